"""Requests of generateContent: what is read from each field, what is written for each neutral word, what is refused."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from ccproxy import translate_request
from ccproxy.core.errors import RequestRefused
from ccproxy.core.events import Signature
from ccproxy.core.fields import FieldError
from ccproxy.core.losses import Losses
from ccproxy.core.model import (
    Cache,
    Call,
    Foreign,
    Format,
    Media,
    Part,
    Request,
    Result,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Turn,
)
from ccproxy.core.signatures import Sealed, seal
from ccproxy.core.spi import RequestOptions
from ccproxy.dialects.gemini import request as gemini
from tests.oracles.gemini_requests import canonical_request, validate_request

USER: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PLACEHOLDER = "skip_thought_signature_validator"


def read(body: dict[str, Any]) -> Request:
    return gemini.read(body, RequestOptions())


def read_parts(*parts: dict[str, Any], role: str = "user") -> list[Part]:
    return read({"contents": [{"role": role, "parts": list(parts)}]}).turns[0].parts


def write(request: Request, **options: Any) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    body = gemini.write(request, RequestOptions(**options), losses)
    assert validate_request(body) == []
    return body, [str(loss) for loss in losses]


def again(body: dict[str, Any]) -> dict[str, Any]:
    """Read and written by the same dialect, which loses nothing."""
    out, losses = write(read(body))
    assert losses == []
    return out


def of(*turns: Turn, **fields: Any) -> Request:
    """A request of another dialect."""
    return Request(source="other", turns=list(turns), **{"model": "gemini-3-flash", **fields})


def user(*parts: Part, text: str = "hi") -> Turn:
    return Turn(role="user", parts=list(parts) or [Text(text=text)], path="messages[0]")


def model(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts), path="messages[1]")


def call(id: str = "call_1", **fields: Any) -> Call:
    return Call(**{"id": id, "name": "weather", "arguments": '{"city":"Oslo"}', "path": f"calls.{id}", **fields})


def result(id: str = "call_1", *parts: Text | Media, **fields: Any) -> Result:
    return Result(id=id, parts=list(parts) or [Text(text="sunny")], path=f"results.{id}", **fields)


def settings(options: Mapping[str, Any] | None = None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    body, losses = write(of(user(), **fields), **options or {})
    assert body.pop("contents") == [USER]
    return body, losses


def config(**fields: Any) -> tuple[Any, list[str]]:
    body, losses = settings(**fields)
    return body.get("generationConfig"), losses


# Reading


def test_a_request_of_every_setting() -> None:
    request = read(
        {
            "contents": [USER],
            "generationConfig": {
                "maxOutputTokens": 100,
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40,
                "stopSequences": ["END"],
                "seed": 7,
                "candidateCount": 2,
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.2,
                "responseLogprobs": True,
                "logprobs": 3,
            },
            "labels": {"team": "a"},
            "serviceTier": "standard",
            "store": False,
        }
    )
    assert (request.max_output, request.temperature, request.top_p, request.top_k) == (100, 0.5, 0.9, 40)
    assert (request.stop, request.seed, request.choices) == (["END"], 7, 2)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.logprobs, request.top_logprobs) == (True, 3)
    assert (request.metadata, request.tier, request.store) == ({"team": "a"}, "default", False)
    assert request.paths["max_output"] == "generationConfig.maxOutputTokens"
    assert request.paths["metadata"] == "labels"
    assert (request.extra, request.model, request.stream) == ({}, "", None)


def test_snake_case_is_the_same_and_comes_out_in_camel_case() -> None:
    snake = {
        "contents": [
            {"parts": [{"file_data": {"file_uri": "https://a.b/c.png", "mime_type": "image/png"}}], "role": "user"},
            {
                "role": "model",
                "parts": [{"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "c2ln"}],
            },
            {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"c_d": 1}}}]},
        ],
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"google_search": {}}, {"function_declarations": [{"name": "f", "parameters_json_schema": SCHEMA}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"include_thoughts": True}},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }
    assert again(snake) == canonical_request(snake)
    request = read(snake)
    assert request.paths["max_output"] == "generation_config.max_output_tokens"
    calls = [part for part in request.turns[2].parts if isinstance(part, Call)]
    assert [call.arguments for call in calls] == ['{"a_b":1}']


def test_an_object_stands_for_a_list_of_one() -> None:
    body = {
        "contents": {"role": "user", "parts": {"text": "hi"}},
        "systemInstruction": {"parts": {"text": "be brief"}},
        "tools": {"functionDeclarations": {"name": "f"}},
    }
    assert again(body) == {
        "contents": [USER],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    assert read(body).tools[0].path == "tools.functionDeclarations"


def test_the_instructions_are_the_first_turn() -> None:
    body: dict[str, Any] = {"contents": [USER], "systemInstruction": {"role": "user", "parts": [{"text": "be brief"}]}}
    turn = read(body).turns[0]
    assert (turn.role, turn.path, turn.extra) == ("system", "systemInstruction", {})
    assert turn.parts == [Text(text="be brief", path="systemInstruction.parts[0]")]
    assert again(body) == body


def test_instructions_may_be_a_string() -> None:
    body = {"contents": [USER], "systemInstruction": "be brief"}
    assert again(body) == {"contents": [USER], "systemInstruction": {"parts": [{"text": "be brief"}]}}


@pytest.mark.parametrize(
    ("role", "neutral"), [("user", "user"), ("model", "assistant"), (None, "user"), ("function", "user")]
)
def test_roles(role: str | None, neutral: str) -> None:
    content = {"parts": [{"text": "hi"}]} | ({"role": role} if role else {})
    request = read({"contents": [content]})
    assert request.turns[0].role == neutral
    assert gemini.write(request, RequestOptions(), Losses())["contents"] == [content]


def test_a_turn_without_parts_stays() -> None:
    empty: dict[str, Any] = {"parts": []}
    body: dict[str, Any] = {
        "contents": [USER, {"role": "model"}, {"role": "model", **empty}],
        "systemInstruction": empty,
    }
    assert again(body) == body


def test_a_schema_may_be_nested_too_deep() -> None:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(600):
        schema = {"type": "OBJECT", "properties": {"a": schema}}
    for body, path in (
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]},
            "tools[0].functionDeclarations[0].parameters",
        ),
        ({"generation_config": {"response_schema": schema}}, "generation_config.response_schema"),
    ):
        with pytest.raises(FieldError) as refused:
            read({"contents": [USER], **body})
        assert (refused.value.path, refused.value.reason) == (path, "is nested too deep")


def test_reasoning_and_its_signature() -> None:
    part = {"thought": True, "text": "hm", "thoughtSignature": "c2ln"}
    assert read_parts(part, role="model") == [
        Thought(text="hm", signature=Sealed("gemini", "", "c2ln"), path="contents[0].parts[0]")
    ]


def test_reasoning_in_the_pieces_that_it_came_in() -> None:
    """Clients keep the parts of a stream: they are one text for servers that are told it as one."""
    pieces = [{"thought": True, "text": text} for text in ("H", "m", ".")]
    answer = [*pieces, {"text": "yes"}, {"thought": True, "text": "So."}]
    body = {"contents": [USER, {"role": "model", "parts": answer}, USER]}
    assert again(body) == body
    told = translate_request(body, "gemini", "openai-chat", model="m")
    assert told.body["messages"][1]["reasoning_content"] == "Hm.\n\nSo."
    assert [loss.kind for loss in told.losses if loss.path != "stream"] == ["order", "boundary"]
    answer = [pieces[0], pieces[1] | {"partMetadata": {"a": 1}}, pieces[2]]
    body = {"contents": [USER, {"role": "model", "parts": answer}, USER]}
    told = translate_request(body, "gemini", "openai-chat", model="m")
    assert told.body["messages"][1]["reasoning_content"] == "H\n\nm."
    assert "contents[1].parts[1].partMetadata" in [loss.path for loss in told.losses]


def test_a_calls_signature_is_a_thought_before_it() -> None:
    part = {"functionCall": {"id": "1", "name": "f", "args": {"a": 1.0}}, "thoughtSignature": "c2ln"}
    thought, found = read_parts(part, role="model")
    place = "contents[0].parts[0].thoughtSignature"
    assert thought == Thought(signature=Sealed("gemini", "", "c2ln", signs="call"), path=place)
    assert found == Call(id="1", name="f", arguments='{"a":1.0}', path="contents[0].parts[0]")


def test_a_texts_signature_is_a_thought_after_it() -> None:
    text, thought = read_parts({"text": "yes", "thoughtSignature": "c2ln"}, role="model")
    assert text == Text(text="yes", path="contents[0].parts[0]")
    place = "contents[0].parts[0].thoughtSignature"
    assert thought == Thought(signature=Sealed("gemini", "", "c2ln", signs="text"), path=place)


def test_signatures_stay_where_they_were() -> None:
    body = {
        "contents": [
            USER,
            {
                "role": "model",
                "parts": [
                    {"thought": True, "text": "hm"},
                    {"text": "yes", "thoughtSignature": "c2ln"},
                    {"text": "", "thoughtSignature": "c2lo"},
                    {"thoughtSignature": "c2lp"},
                    {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2lq", "thought": False},
                    {"functionCall": {"name": "g"}},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {}}} for name in "fg"]},
        ]
    }
    assert again(body) == body


@pytest.mark.parametrize("value", [PLACEHOLDER, base64.b64encode(PLACEHOLDER.encode()).decode()])
def test_a_placeholder_is_no_signature(value: str) -> None:
    part = {"functionCall": {"name": "f"}, "thoughtSignature": value}
    assert [type(one) for one in read_parts(part, role="model")] == [Call]
    body = {"contents": [USER, {"role": "model", "parts": [part]}]}
    assert again(body) == body


def test_an_envelope_is_opened() -> None:
    envelope = seal(Signature(0, "anthropic", "sig", "claude"), redacted=False)
    (thought,) = read_parts({"thought": True, "text": "hm", "thoughtSignature": envelope}, role="model")
    assert isinstance(thought, Thought) and thought.signature == Sealed("anthropic", "claude", "sig")


def test_a_foreign_signature_never_reaches_google() -> None:
    envelope = seal(Signature(0, "anthropic", "sig", "claude"), redacted=False)
    thought = {"thought": True, "text": "hm", "thoughtSignature": envelope}
    body = {"contents": [USER, {"role": "model", "parts": [thought, {"text": "yes"}]}, USER]}
    out, losses = write(read(body))
    assert out["contents"][1] == {"role": "model", "parts": [{"text": "yes"}]}
    assert losses == ["part (contents[1].parts[0]): reasoning of another model"]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "sunny"}, "sunny", None),
        ({"result": "sunny"}, "sunny", None),
        ({"content": "sunny"}, "sunny", None),
        ({"return_value": "sunny"}, "sunny", None),
        ({"name": "f", "content": "sunny"}, "sunny", None),
        ({"result": {"sky": "blue"}}, '{"sky":"blue"}', None),
        ({"error": "no such city"}, "no such city", True),
        ({"error": {"code": 5}}, '{"code":5}', True),
        ({"sky": "blue"}, '{"sky":"blue"}', None),
        ({"output": "a", "error": "b"}, '{"output":"a","error":"b"}', None),
    ],
)
def test_what_a_function_gave(response: dict[str, Any], text: str, is_error: bool | None) -> None:
    (found,) = read_parts({"functionResponse": {"id": "1", "name": "f", "response": response}})
    assert isinstance(found, Result)
    assert found.parts == [Text(text=text, path="contents[0].parts[0].functionResponse.response")]
    assert (found.id, found.name, found.value, found.is_error) == ("1", "f", response, is_error)


def test_media_in_a_functions_response() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
    part = {"functionResponse": {"name": "f", "response": {}, "parts": [image], "willContinue": False}}
    (found,) = read_parts(part)
    assert isinstance(found, Result)
    path = "contents[0].parts[0].functionResponse.parts[0]"
    assert found.parts == [Media(kind="image", media_type="image/png", data="iVBO", path=path)]
    assert found.extra == {"functionResponse.willContinue": False}
    body = {"contents": [{"role": "user", "parts": [part]}]}
    assert again(body) == body


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", "image"),
        ("application/pdf", "document"),
        ("text/csv", "document"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("application/zip", "file"),
    ],
)
def test_media_by_their_type(media_type: str, kind: str) -> None:
    (found,) = read_parts({"inlineData": {"mimeType": media_type, "data": "AAAA", "displayName": "it"}})
    assert found == Media(kind=kind, media_type=media_type, data="AAAA", name="it", path="contents[0].parts[0]")  # type: ignore[arg-type]


def test_text_that_is_no_base64_stays_as_it_is() -> None:
    for data in ("\u00e9", "A", "/w=="):
        (found,) = read_parts({"inlineData": {"mimeType": "text/plain", "data": data}})
        assert isinstance(found, Media)
        assert found.data.startswith(data)
        assert not found.text


def test_base64_for_urls() -> None:
    (found,) = read_parts({"inlineData": {"mimeType": "image/png", "data": "_9j-"}})
    assert isinstance(found, Media) and found.data == "/9j+"
    body = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "_9j-"}}]}]}
    assert again(body) == body


def test_a_plain_text_document() -> None:
    data = base64.b64encode("grüße".encode()).decode()
    body = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "text/plain", "data": data}}]}]}
    (found,) = read(body).turns[0].parts
    assert isinstance(found, Media) and (found.kind, found.text, found.data) == ("document", "grüße", "")
    assert again(body) == body


@pytest.mark.parametrize(
    ("uri", "url", "file_id"),
    [
        ("https://a.b/c.png", "https://a.b/c.png", ""),
        ("gs://bucket/c.png", "", "gs://bucket/c.png"),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/x",
            "",
            "https://generativelanguage.googleapis.com/v1beta/files/x",
        ),
    ],
)
def test_files(uri: str, url: str, file_id: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": uri, "mimeType": "image/png"}}]}]}
    (found,) = read(body).turns[0].parts
    assert isinstance(found, Media) and (found.kind, found.url, found.file_id) == ("image", url, file_id)
    assert again(body) == body


def test_a_video_without_a_media_type() -> None:
    part = {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"startOffset": "2s"}}
    (found,) = read_parts(part)
    assert isinstance(found, Media)
    assert (found.kind, found.media_type, found.extra) == ("video", "", {"videoMetadata": {"startOffset": "2s"}})


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "FILE_SEARCH", "id": "1", "args": {}}},
        {"toolResponse": {"toolType": "FILE_SEARCH", "id": "1", "response": {}}},
    ],
)
def test_parts_that_are_geminis_alone(part: dict[str, Any]) -> None:
    assert read_parts(part, role="model") == [
        Foreign(kind=next(iter(part)), payload=part, path="contents[0].parts[0]"),
    ]
    body = {"contents": [USER, {"role": "model", "parts": [part]}]}
    assert again(body) == body


def test_older_schemas() -> None:
    older = {
        "type": "OBJECT",
        "properties": {
            "b": {"type": "STRING", "nullable": True, "enum": ["x"]},
            "a_b": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
            "c": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": True, "example": 1},
        },
        "required": ["b"],
        "propertyOrdering": ["a_b", "b"],
    }
    body = {"contents": [USER], "tools": [{"functionDeclarations": [{"name": "f", "parameters": older}]}]}
    schema = read(body).tools[0].schema
    assert schema == {
        "type": "object",
        "properties": {
            "a_b": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "b": {"type": ["string", "null"], "enum": ["x", None]},
            "c": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}], "examples": [1]},
        },
        "required": ["b"],
    }
    assert list(schema["properties"]) == ["a_b", "b", "c"]
    assert gemini.write(read(body), RequestOptions(), Losses()) == body


def test_types_in_capitals_in_a_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "enum": ["OBJECT"]},
            "b": {"type": "ARRAY", "items": {"type": "INTEGER"}},
        },
        "required": ["b"],
    }
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    function = {"name": "f", "parametersJsonSchema": schema}
    body = {"contents": [USER], "tools": [{"functionDeclarations": [function]}], "generationConfig": config}
    request = read(body)
    assert request.format is not None
    assert request.format.schema == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["OBJECT"]},
            "b": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["b"],
    }
    assert request.tools[0].schema == request.format.schema
    assert gemini.write(request, RequestOptions(), Losses()) == body


def test_older_schemas_with_numbers_for_types() -> None:
    function = {"name": "f", "parameters": {"type": 6, "properties": {"a": {"type": 1}}}}
    tool = read({"contents": [USER], "tools": [{"functionDeclarations": [function]}]}).tools[0]
    assert tool.schema == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_tools_in_their_entries() -> None:
    body = {
        "contents": [USER],
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": ""}, {"name": "g", "parametersJsonSchema": SCHEMA}]},
            {"codeExecution": {}, "functionDeclarations": [{"name": "h", "behavior": "NON_BLOCKING"}]},
            {"googleSearch": {"excludeDomains": ["a.b"]}},
            {"googleMaps": {}},
        ],
    }
    f, g, h, _, search, maps = read(body).tools
    assert (f.schema, g.schema, h.extra) == (None, SCHEMA, {"behavior": "NON_BLOCKING"})
    assert [tool.hosted for tool in read(body).tools] == ["", "", "", "code_execution", "web_search", ""]
    assert (search.kind, search.name, search.extra) == ("hosted", "googleSearch", {"excludeDomains": ["a.b"]})
    assert (maps.path, h.path) == ("tools[3].googleMaps", "tools[1].functionDeclarations[0]")
    assert again(body) == body


@pytest.mark.parametrize(
    ("calling", "mode", "names", "extra"),
    [
        ({"mode": "AUTO"}, "auto", [], {}),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, "any", [("", "f")], {}),
        ({"mode": "NONE"}, "none", [], {}),
        ({"mode": "VALIDATED"}, "auto", [], {"mode": "VALIDATED"}),
        ({}, "auto", [], {}),
        ({"mode": "any"}, "any", [], {}),
    ],
)
def test_the_choice_of_a_tool(calling: dict[str, Any], mode: str, names: list[Any], extra: dict[str, Any]) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    body = {"contents": [USER], "tools": tools, "toolConfig": {"functionCallingConfig": calling}}
    choice = read(body).tool_choice
    assert choice == ToolChoice(
        mode=mode,  # type: ignore[arg-type]
        names=names,
        path="toolConfig.functionCallingConfig",
        extra=extra,
        noise={} if extra else {"mode": calling.get("mode")},
    )
    assert again(body) == body


@pytest.mark.parametrize(
    ("thinking", "mode", "effort", "budget", "show"),
    [
        ({"thinkingBudget": 0}, "off", None, None, None),
        ({"thinkingBudget": -1}, "auto", None, None, None),
        ({"thinkingBudget": 512, "includeThoughts": True}, "on", None, 512, "auto"),
        ({"thinkingLevel": "HIGH", "includeThoughts": False}, "on", "high", None, "none"),
        ({"thinkingLevel": "minimal"}, "on", "minimal", None, None),
        ({"includeThoughts": True}, None, None, None, "auto"),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None, None, None, None),
        ({}, None, None, None, None),
    ],
)
def test_how_much_to_reason(thinking: dict[str, Any], mode: Any, effort: Any, budget: Any, show: Any) -> None:
    body = {"contents": [USER], "generationConfig": {"thinkingConfig": thinking}}
    found = read(body).thinking
    assert found is not None
    assert (found.mode, found.effort, found.budget, found.show) == (mode, effort, budget, show)
    assert again(body) == body


@pytest.mark.parametrize(
    ("fields", "kind", "schema"),
    [
        ({"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}, "schema", SCHEMA),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}}},
            "schema",
            {"type": "array", "items": {"type": "string"}},
        ),
        ({"responseSchema": {"type": "STRING"}}, "schema", {"type": "string"}),
        ({"responseMimeType": "application/json"}, "json", None),
        ({"responseMimeType": "text/plain"}, "text", None),
    ],
)
def test_the_form_of_the_answer(fields: dict[str, Any], kind: str, schema: Any) -> None:
    body = {"contents": [USER], "generationConfig": fields}
    format = read(body).format
    assert format is not None and (format.kind, format.schema) == (kind, schema)
    assert again(body) == body


def test_an_enum_as_the_answer_is_geminis_alone() -> None:
    fields = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}
    body = {"contents": [USER], "generationConfig": fields}
    request = read(body)
    assert request.format is None
    assert list(request.extra) == ["generationConfig.responseMimeType", "generationConfig.responseSchema"]
    assert again(body) == body


def test_what_has_no_neutral_name_is_kept() -> None:
    body = {
        "contents": [USER],
        "model": "models/gemini-3-flash",
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "toolConfig": {"includeServerSideToolInvocations": True},
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}},
    }
    request = read(body)
    assert set(request.extra) == {
        "safetySettings",
        "toolConfig.includeServerSideToolInvocations",
        "generationConfig.responseModalities",
        "generationConfig.imageConfig",
    }
    assert request.model == "gemini-3-flash"
    assert again(body) == body
    assert write(request, model="gemini-3-pro")[0]["model"] == "models/gemini-3-pro"


def test_what_says_nothing_is_no_loss() -> None:
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "hi", "thought": False}]}],
        "generationConfig": {"responseModalities": ["TEXT"]},
        "tools": [],
        "toolConfig": {},
    }
    request = read(body)
    assert request.extra == {} and request.turns[0].parts[0].extra == {}
    assert again(body) == body
    assert "safetySettings" not in again({**body, "safetySettings": None})


def test_an_answer_without_text() -> None:
    body = {"contents": [USER], "generationConfig": {"responseModalities": ["AUDIO"]}}
    assert read(body).held == [("generationConfig.responseModalities", "an answer in AUDIO")]
    assert again(body) == body


def test_content_that_google_holds() -> None:
    body = {"contents": [USER], "cachedContent": "cachedContents/x"}
    assert read(body).held == [("cachedContent", "content that is cached by Google")]
    assert again(body) == body


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": "user", "parts": "hi"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"text": "a", "inline_data": {}}]}]}, "contents[0].parts[0].inline_data"),
        ({"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "a/b"}}]}]}, "contents[0].parts[0].inlineData.data"),
        ({"contents": [{"parts": [{"file_data": {}}]}]}, "contents[0].parts[0].file_data.fileUri"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": "{}"}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"response": {}}}]}]},
            "contents[0].parts[0].functionResponse.name",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": "x"}}]}]},
            "contents[0].parts[0].functionResponse.response",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": [{"text": "x"}]}}]}]},
            "contents[0].parts[0].functionResponse.parts[0]",
        ),
        ({"contents": [USER], "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        (
            {"contents": [USER], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            {"contents": [USER], "generation_config": {"stop_sequences": [1]}},
            "generation_config.stop_sequences[0]",
        ),
        ({"contents": [USER], "generationConfig": {"topK": "40"}}, "generationConfig.topK"),
        ({"contents": [USER], "generationConfig": {"topK": 1, "top_k": 1}}, "generationConfig.top_k"),
        ({"contents": [USER], "labels": []}, "labels"),
    ],
)
def test_bad_requests_name_the_place(body: dict[str, Any], path: str) -> None:
    with pytest.raises((RequestRefused, FieldError)) as refused:
        read(body)
    assert refused.value.path == path


# Writing for another dialect


def test_instructions_and_text() -> None:
    leading = [Turn(role="system", parts=[Text(text="a")]), Turn(role="developer", parts=[Text(text="b")])]
    body, losses = write(of(*leading, user(), model(Text(text="yes")), user(text="go")))
    assert body == {
        "contents": [
            USER,
            {"role": "model", "parts": [{"text": "yes"}]},
            {"role": "user", "parts": [{"text": "go"}]},
        ],
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
    }
    assert losses == []


def test_instructions_between_turns_are_the_users() -> None:
    stop = Turn(role="system", parts=[Text(text="stop", path="messages[1].content")], path="messages[1]")
    now = Turn(role="system", parts=[Text(text="now", path="messages[2].content")], path="messages[2]")
    body, losses = write(of(user(), stop, now))
    assert body["contents"] == [USER, {"role": "user", "parts": [{"text": "stop"}, {"text": "now"}]}]
    assert losses == [
        "field (messages[1]): role: what the system says between other turns is the user's here",
        "field (messages[2].content): role: what the system says between other turns is the user's here",
    ]


def test_instructions_alone() -> None:
    body, losses = write(
        of(Turn(role="system", parts=[Text(text="hi", path="messages[0].content")], path="messages[0]"))
    )
    assert body == {"contents": [USER]}
    assert losses == ["repair (messages[0]): instructions alone are no request: the user says the last of them"]


def test_instructions_are_text() -> None:
    image = Media(kind="image", media_type="image/png", data="AAAA", path="input[0].content[1]")
    body, losses = write(of(Turn(role="developer", parts=[Text(text="a"), image]), user()))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}]}
    assert losses == ["part (input[0].content[1]): instructions are text alone"]


def test_an_empty_text_is_left_out() -> None:
    body, losses = write(of(user(Text(text="", path="here"), Text(text="hi"))))
    assert body["contents"] == [USER]
    assert losses == ["repair (here): an empty text is left out"]


def test_nothing_left() -> None:
    for nothing in (user(Foreign(kind="compaction", payload={}, path="here")), Turn(role="user", path="messages[0]")):
        with pytest.raises(RequestRefused) as refused:
            write(of(nothing))
        assert refused.value.path == "messages[0]"


def test_a_refusal_is_text() -> None:
    body, losses = write(of(user(), model(Text(text="no", refusal=True, path="here")), user()))
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "no"}]}
    assert losses == ["refusal (here): a refusal is text here"]


def test_foreign_parts_are_dropped() -> None:
    turn = model(Text(text="yes"), Foreign(kind="server_tool_use", payload={}, path="here"))
    body, losses = write(of(user(), turn, user()))
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "yes"}]}
    assert losses == ["part (here): server_tool_use: only its own provider understands it"]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media(kind="image", media_type="image/png", data="AAAA"),
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ),
        (
            Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
        ),
        (Media(kind="document", text="hi"), {"inlineData": {"mimeType": "text/plain", "data": "aGk="}}),
        (
            Media(kind="audio", media_type="audio/wav", data="AAAA"),
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            Media(kind="video", media_type="video/mp4", data="AAAA"),
            {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        ),
        (
            Media(kind="image", url="https://a.b/c.PNG?size=1"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://a.b/c.PNG?size=1"}},
        ),
        (Media(kind="image", url="https://a.b/c"), {"fileData": {"fileUri": "https://a.b/c"}}),
    ],
)
def test_media(media: Media, part: dict[str, Any]) -> None:
    body, losses = write(of(user(media)))
    assert body["contents"] == [{"role": "user", "parts": [part]}]
    assert losses == []


def test_what_media_lose() -> None:
    media = Media(kind="image", media_type="image/png", data="AAAA", detail="low", cache=Cache(), path="here")
    assert write(of(user(media)))[1] == [
        "field (here): cache: there is no place for it",
        "field (here): detail: low: there is no such choice",
    ]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="image", file_id="file-1", path="here"),
        Media(kind="image", media_type="image/png", path="here"),
        Media(kind="file", data="AAAA", path="here"),
    ],
)
def test_media_that_cannot_be_sent(media: Media) -> None:
    with pytest.raises(RequestRefused) as refused:
        write(of(user(media)))
    assert refused.value.path == "here"


# Calls and their results


def test_a_call_and_its_result() -> None:
    body, losses = write(of(user(), model(call()), user(result()), model="gemini-2.5-flash"))
    assert body["contents"][1:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "id": "call_1", "args": {"city": "Oslo"}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "weather", "id": "call_1", "response": {"output": "sunny"}}}],
        },
    ]
    assert losses == []


def response(*parts: Text | Media, model_name: str = "gemini-2.5-flash", **fields: Any) -> tuple[Any, list[str]]:
    """What comes after the call, and the losses."""
    found = Result(id="call_1", parts=list(parts), path="here", **fields)
    body, losses = write(of(user(), model(call()), user(found), model=model_name))
    return body["contents"][2]["parts"], losses


def test_a_failure() -> None:
    (part,), losses = response(Text(text="no such city"), is_error=True)
    assert part["functionResponse"]["response"] == {"error": "no such city"}
    assert losses == []


def test_a_result_of_several_texts() -> None:
    (part,), losses = response(Text(text="a"), Text(text="b"))
    assert part["functionResponse"]["response"] == {"output": "a\nb"}
    assert losses == ["boundary (here): 2 texts are one"]


def test_an_empty_result() -> None:
    (part,), losses = response()
    assert part["functionResponse"]["response"] == {"output": ""}
    assert losses == []


IMAGE = Media(kind="image", media_type="image/png", data="AAAA", path="here.content[0]")
INLINE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def test_an_image_in_a_result() -> None:
    (part,), losses = response(IMAGE, model_name="gemini-3-flash")
    assert part["functionResponse"]["response"] == {} and part["functionResponse"]["parts"] == [INLINE]
    assert [loss for loss in losses if "repair" not in loss] == []


def test_an_image_in_a_result_for_older_models() -> None:
    parts, losses = response(Text(text="see"), IMAGE)
    assert parts[0]["functionResponse"]["response"] == {"output": "see"}
    assert parts[1:] == [INLINE]
    assert losses == ["order (here.content[0]): it follows the results"]


def test_audio_in_a_result_follows_the_results() -> None:
    audio = Media(kind="audio", media_type="audio/wav", data="AAAA", path="here.content[0]")
    results = user(result("call_1", audio), result("call_2"))
    body, _ = write(of(user(), model(call(), call("call_2")), results))
    assert [next(iter(part)) for part in body["contents"][2]["parts"]] == [
        "functionResponse",
        "functionResponse",
        "inlineData",
    ]


def test_arguments_that_are_no_object() -> None:
    turns = (user(), model(call(arguments='{"city"')), user(result()))
    body, losses = write(of(*turns, model="gemini-2.5-flash"))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"_raw": '{"city"'}
    assert losses == ["repair (calls.call_1): arguments: no JSON object, so they are its only field"]


def test_no_arguments() -> None:
    body, losses = write(of(user(), model(call(arguments="")), user(result()), model="gemini-2.5-flash"))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {}
    assert losses == []


def test_names_and_custom_tools() -> None:
    tools = [
        Tool(
            kind="function", name="read", namespace="files", schema=SCHEMA, description="reads", strict=True, path="t0"
        ),
        Tool(kind="custom", name="patch", path="t1"),
    ]
    turns = [
        user(),
        model(call(name="read", namespace="files"), call("call_2", name="patch", arguments="*** diff", custom=True)),
        user(result(), result("call_2")),
    ]
    body, losses = write(of(*turns, tools=tools, model="gemini-2.5-flash"))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "files__read", "description": "reads", "parametersJsonSchema": SCHEMA},
                {
                    "name": "patch",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"input": {"type": "string"}},
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                },
            ]
        }
    ]
    assert [part["functionCall"] for part in body["contents"][1]["parts"]] == [
        {"name": "files__read", "id": "call_1", "args": {"city": "Oslo"}},
        {"name": "patch", "id": "call_2", "args": {"input": "*** diff"}},
    ]
    assert [part["functionResponse"]["name"] for part in body["contents"][2]["parts"]] == ["files__read", "patch"]
    assert losses == [
        "custom_tool (calls.call_2): custom: the input is an argument",
        "field (t0): strict: there is no such choice",
        "custom_tool (t1): a custom tool is a function with one argument",
    ]


# Reasoning of earlier turns


def test_reasoning_with_its_signature() -> None:
    thought = Thought(text="hm", signature=Sealed("gemini", "gemini-3-flash", "c2ln"))
    body, losses = write(of(user(), model(thought, Text(text="yes")), user()))
    assert body["contents"][1]["parts"] == [
        {"thought": True, "text": "hm", "thoughtSignature": "c2ln"},
        {"text": "yes"},
    ]
    assert losses == []


def test_signatures_find_their_call_and_their_text() -> None:
    def sign(value: str, signs: Any) -> Thought:
        return Thought(signature=Sealed("gemini", "", value, signs=signs), path=value)

    turn = model(
        Text(text="well"),
        sign("dGV4dA==", "text"),
        sign("Y2FsbA==", "call"),
        call(),
        call("call_2"),
        sign("bGFzdA==", "text"),
    )
    body, losses = write(of(user(), turn, user(result(), result("call_2"))))
    assert body["contents"][1]["parts"] == [
        {"text": "well", "thoughtSignature": "dGV4dA=="},
        {
            "functionCall": {"name": "weather", "id": "call_1", "args": {"city": "Oslo"}},
            "thoughtSignature": "Y2FsbA==",
        },
        {"functionCall": {"name": "weather", "id": "call_2", "args": {"city": "Oslo"}}},
        {"text": "", "thoughtSignature": "bGFzdA=="},
    ]
    assert losses == []


def test_a_signature_without_its_call() -> None:
    thought = Thought(signature=Sealed("gemini", "", "c2ln", signs="call"), path="here")
    body, losses = write(of(user(), model(thought, Text(text="yes")), user()))
    assert body["contents"][1]["parts"] == [{"text": "yes"}]
    assert losses == ["signature (here): no call follows"]


@pytest.mark.parametrize(
    ("thought", "why"),
    [
        (Thought(text="hm", path="here"), "reasoning that nobody signed"),
        (Thought(text="hm", signature=Sealed("anthropic", "", "x"), path="here"), "reasoning of another model"),
        (Thought(signature=Sealed("anthropic", "", "x", redacted=True), path="here"), "reasoning of another model"),
        (
            Thought(text="hm", signature=Sealed("gemini", "gemini-2.5-pro", "x"), path="here"),
            "reasoning of another model",
        ),
    ],
)
def test_reasoning_that_gemini_cannot_read(thought: Thought, why: str) -> None:
    body, losses = write(of(user(), model(thought, Text(text="yes")), user()))
    assert body["contents"][1]["parts"] == [{"text": "yes"}]
    assert losses == [f"part (here): {why}"]


def test_placeholders_for_the_first_calls_of_the_present_exchange() -> None:
    turns = [
        user(),
        model(call("old")),
        user(result("old")),
        model(Text(text="sunny")),
        user(),
        model(call("a"), call("b")),
        user(result("a"), result("b")),
        model(Thought(signature=Sealed("gemini", "", "c2ln", signs="call")), call("c")),
        user(result("c")),
        model(call("d")),
        user(result("d")),
    ]
    body, losses = write(of(*turns))
    found = {
        part["functionCall"]["id"]: part.get("thoughtSignature")
        for content in body["contents"]
        for part in content["parts"]
        if "functionCall" in part
    }
    assert found == {"old": None, "a": PLACEHOLDER, "b": None, "c": "c2ln", "d": PLACEHOLDER}
    assert losses == [
        f"repair (calls.{id}): thoughtSignature: a placeholder stands for the one that is missing" for id in "ad"
    ]


def test_older_models_need_no_placeholder() -> None:
    body, losses = write(of(user(), model(call()), user(result())), model="gemini-2.5-pro")
    assert "thoughtSignature" not in body["contents"][1]["parts"][0]
    assert losses == []


def test_a_lost_signature_is_replaced_in_geminis_own_requests_too() -> None:
    envelope = seal(Signature(0, "anthropic", "sig", "claude", "call"), redacted=False)
    parts = [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": envelope}]
    results = [{"functionResponse": {"name": "f", "response": {}}}]
    body = {"contents": [USER, {"role": "model", "parts": parts}, {"role": "user", "parts": results}]}
    out, losses = write(read(body), model="gemini-3-pro")
    assert out["contents"][1]["parts"] == [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": PLACEHOLDER}]
    assert len(losses) == 2


# Tools


FUNCTION = Tool(kind="function", name="f", path="tools[0]")
DECLARED = {"functionDeclarations": [{"name": "f"}]}
SEARCH = Tool(kind="hosted", name="web_search", hosted="web_search", extra={"max_uses": 1}, path="tools[1]")


@pytest.mark.parametrize(
    ("hosted", "name"),
    [("web_search", "googleSearch"), ("web_fetch", "urlContext"), ("code_execution", "codeExecution")],
)
def test_tools_that_google_runs(hosted: Any, name: str) -> None:
    body, losses = settings(tools=[Tool(kind="hosted", name="its", hosted=hosted)])
    assert body == {"tools": [{name: {}}]} and losses == []


def test_a_search_beside_functions() -> None:
    given: dict[str, Any] = {"tools": [FUNCTION, SEARCH], "tool_choice": ToolChoice(mode="auto")}
    body, losses = settings(**given, options={"google": "gemini-api"})
    assert body == {
        "tools": [DECLARED, {"googleSearch": {}}],
        "toolConfig": {
            "includeServerSideToolInvocations": True,
            "functionCallingConfig": {"mode": "VALIDATED"},
        },
    }
    assert losses == [
        "field (tools[1].max_uses): max_uses: there is no such field",
        "default (tools[1]): includeServerSideToolInvocations: needed for functions beside Google's own tools",
    ]
    body, losses = settings(**given)  # Vertex AI does not know the field
    assert body == {"tools": [DECLARED], "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}
    assert losses[1:] == [
        "part (tools[1]): web_search: only the Gemini API runs it beside functions, see the option google"
    ]


def test_older_models_search_only_without_functions() -> None:
    body, losses = settings(tools=[FUNCTION, SEARCH], model="gemini-2.5-flash")
    assert body == {"tools": [DECLARED]}
    assert losses[1:] == ["part (tools[1]): web_search: the model does not combine it with functions"]


def test_a_tool_that_google_lacks() -> None:
    tool = Tool(kind="hosted", name="computer", path="tools[0]")
    body, losses = settings(tools=[tool], tool_choice=ToolChoice(mode="any", names=[("", "computer")], path="choice"))
    assert body == {}
    assert losses == [
        "part (tools[0]): computer: Google has no such tool",
        "field (choice): mode: any: there is no function to choose",
    ]


def test_a_search_that_is_forbidden() -> None:
    given: dict[str, Any] = {"tools": [FUNCTION, SEARCH], "tool_choice": ToolChoice(mode="none")}
    body, losses = settings(**given, options={"google": "gemini-api"})
    assert body == {"tools": [DECLARED], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    assert losses[1:] == ["part (tools[1]): web_search: there is no other way to forbid it"]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="any"), {"mode": "ANY"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="any", names=[("", "f")]), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="auto", names=[("", "f")]), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_choices(choice: ToolChoice, calling: dict[str, Any]) -> None:
    body, losses = settings(tools=[FUNCTION], tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": calling} and losses == []


def test_the_choice_of_a_hosted_tool() -> None:
    choice = ToolChoice(mode="any", names=[("", "web_search")], path="tool_choice")
    body, losses = settings(tools=[FUNCTION, SEARCH], tool_choice=choice, model="gemini-2.5-flash")
    assert "toolConfig" not in body
    assert losses[-1] == "field (tool_choice): names: only functions can be asked for, not web_search"


# Settings


def test_plain_settings() -> None:
    body, losses = settings(
        max_output=100,
        temperature=1.5,
        top_p=0.9,
        top_k=40,
        stop=["END"],
        seed=7,
        choices=2,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
        stream=True,
        include_usage=False,
    )
    assert body == {
        "generationConfig": {
            "maxOutputTokens": 100,
            "temperature": 1.5,
            "topP": 0.9,
            "topK": 40,
            "stopSequences": ["END"],
            "seed": 7,
            "candidateCount": 2,
            "frequencyPenalty": 0.1,
            "presencePenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
        },
    }
    assert losses == []


def test_settings_that_gemini_lacks() -> None:
    body, losses = settings(parallel=False, user="u", verbosity="low", cache_key="k", logit_bias={"1": 2})
    assert body == {}
    assert sorted(loss.partition(")")[0] for loss in losses) == [
        "field (cache_key",
        "field (logit_bias",
        "field (parallel",
        "field (user",
        "field (verbosity",
    ]


def test_log_probabilities_that_need_a_switch() -> None:
    assert config(top_logprobs=2) == (
        {"responseLogprobs": True, "logprobs": 2},
        ["default (top_logprobs): responseLogprobs: logprobs needs it"],
    )


def test_too_many_stop_sequences() -> None:
    assert config(stop=list("abcdef")) == (
        {"stopSequences": list("abcde")},
        ["field (stop): stop: 6 sequences are cut to 5"],
    )


def test_labels() -> None:
    metadata = {"team": "a", "Team": "a", "note": "a b", "n": 1}
    body, losses = settings(metadata=metadata, options={"google": "vertex"})
    assert body == {"labels": {"team": "a"}}
    assert losses == [f"field (metadata.{name}): {name}: can't be a label" for name in ("Team", "note", "n")]
    body, losses = settings(metadata=metadata)  # the Gemini API does not know the field
    assert (body, losses) == ({}, ["field (metadata): metadata: only Vertex AI has labels, see the option google"])


def test_what_is_stored() -> None:
    assert settings(store=False) == ({}, [])
    assert settings(store=True) == ({}, ["field (store): store: only the Gemini API has it, see the option google"])
    assert settings(store=False, options={"google": "gemini-api"}) == ({"store": False}, [])


@pytest.mark.parametrize(
    ("tier", "written", "losses"),
    [
        ("default", "standard", []),
        ("flex", "flex", []),
        ("priority", "priority", []),
        ("fast", "priority", ["field (tier): tier: fast is priority here"]),
        ("auto", None, []),
        ("turbo", None, ["field (tier): tier: turbo is what the project has here"]),
    ],
)
def test_tiers(tier: str, written: str | None, losses: list[str]) -> None:
    assert settings(tier=tier) == ({"serviceTier": written} if written else {}, losses)


@pytest.mark.parametrize(
    ("format", "written", "losses"),
    [
        (Format(kind="text"), {"responseMimeType": "text/plain"}, []),
        (Format(kind="json"), {"responseMimeType": "application/json"}, []),
        (
            Format(kind="schema", schema=SCHEMA, name="city", path="format"),
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
            [
                "field (format): name: there is no place for it",
                "default (format): strict: a schema is always kept to",
            ],
        ),
        (
            Format(kind="schema", schema=SCHEMA, strict=True),
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
            [],
        ),
    ],
)
def test_forms_of_the_answer(format: Format, written: dict[str, Any], losses: list[str]) -> None:
    assert config(format=format) == (written, losses)


def test_older_models_have_no_form_of_the_answer_beside_tools() -> None:
    tools = [Tool(kind="function", name="f", schema={"type": "object"})]
    for format in (Format(kind="json", path="format"), Format(kind="schema", schema=SCHEMA, path="format")):
        body, losses = settings(format=format, tools=tools, model="gemini-2.5-flash")
        assert "generationConfig" not in body
        assert losses == [f"field (format): {format.kind}: the model does not combine it with tools"]
    assert "generationConfig" in settings(format=Format(kind="json"), tools=tools, model="gemini-3-flash")[0]
    assert "generationConfig" in settings(format=Format(kind="json"), model="gemini-2.5-flash")[0]


@pytest.mark.parametrize(
    ("name", "thinking", "written", "losses"),
    [
        ("gemini-3-flash", Thinking(effort="high"), {"thinkingLevel": "HIGH"}, []),
        ("gemini-3-flash", Thinking(effort="minimal"), {"thinkingLevel": "MINIMAL"}, []),
        ("gemini-3-flash", Thinking(effort="max"), {"thinkingLevel": "HIGH"}, ["effort: max is HIGH here"]),
        ("gemini-3.1-pro", Thinking(effort="minimal"), {"thinkingLevel": "LOW"}, ["effort: minimal is LOW here"]),
        ("gemini-3-flash", Thinking(mode="off"), {"thinkingLevel": "MINIMAL"}, ["effort: off is MINIMAL here"]),
        (
            "gemini-3-flash",
            Thinking(mode="on", budget=8192),
            {"thinkingLevel": "MEDIUM"},
            ["effort: a budget of 8192 is MEDIUM here"],
        ),
        (
            "models/gemini-3-flash",
            Thinking(effort="low", budget=99, show="auto"),
            {"includeThoughts": True, "thinkingLevel": "LOW"},
            ["budget: 99, beside the effort low"],
        ),
        (
            "gemini-3-flash",
            Thinking(mode="auto"),
            None,
            ["mode: auto: the model always reasons as much as it sees fit"],
        ),
        ("gemini-3-flash", Thinking(show="none"), {"includeThoughts": False}, []),
        ("gemini-3-flash", Thinking(show="detailed"), {"includeThoughts": True}, ["show: detailed is auto here"]),
        ("gemini-2.5-flash", Thinking(budget=2000), {"thinkingBudget": 2000}, []),
        ("gemini-2.5-flash", Thinking(mode="off"), {"thinkingBudget": 0}, []),
        ("gemini-2.5-flash", Thinking(mode="auto"), {"thinkingBudget": -1}, []),
        ("gemini-2.5-flash", Thinking(mode="on"), {"thinkingBudget": -1}, ["mode: on is auto here"]),
        (
            "gemini-2.5-flash",
            Thinking(effort="max"),
            {"thinkingBudget": 24576},
            ["budget: max is 24576 tokens here"],
        ),
        (
            "gemini-2.5-flash-lite",
            Thinking(budget=100, effort="low"),
            {"thinkingBudget": 512},
            ["effort: low, beside 512 tokens", "budget: 100 is 512 tokens here"],
        ),
        ("gemini-2.5-pro", Thinking(mode="off"), {"thinkingBudget": 128}, ["budget: off is 128 tokens here"]),
        ("gemini-2.5-pro", Thinking(), None, []),
        ("gemini-2.0-flash", Thinking(effort="low"), None, ["the model does not reason"]),
    ],
)
def test_how_much_is_asked_for(name: str, thinking: Thinking, written: Any, losses: list[str]) -> None:
    found, lost = config(model=name, thinking=thinking)
    assert found == (written and {"thinkingConfig": written})
    assert lost == [f"field: {loss}" for loss in losses]


def test_the_options_model_decides() -> None:
    request = of(user(), thinking=Thinking(effort="low"), model="claude-opus-5")
    assert write(request, model="gemini-2.5-pro")[0]["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 2048}}
