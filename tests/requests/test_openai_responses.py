"""Requests of the Responses API: every row of the mapping in both directions, and every refusal."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

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
from ccproxy.core.request import link
from ccproxy.core.signatures import Sealed, seal
from ccproxy.core.spi import RequestOptions
from ccproxy.dialects.openai_responses import request as requests
from tests.exchanges import Exchange, each_request
from tests.oracles.openai_responses_sdk import validate_request

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SEALED = seal(Signature(0, "anthropic", "c2ln", model="claude"), False)


def read(**body: Any) -> Request:
    return requests.read({"model": "m", "input": "hi", **body}, RequestOptions())


def items(*given: Any) -> list[Turn]:
    return read(input=[*given]).turns


def parts(*content: Any, role: str = "user") -> list[Part]:
    return items({"role": role, "content": [*content]})[0].parts


def rewritten(body: dict[str, Any], **options: Any) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    given = RequestOptions(**options)
    return requests.write(requests.read(body, given), given, losses), list(map(str, losses))


def said(value: Any) -> Any:
    """Without what is null."""
    if isinstance(value, dict):
        return {key: said(part) for key, part in value.items() if part is not None}
    return [said(part) for part in value] if isinstance(value, list) else value


def other(*turns: Turn, **settings: Any) -> Request:
    """A request that another dialect read."""
    given: dict[str, Any] = {"model": "m", "store": False, **settings}
    turns = turns or (Turn(role="user", parts=[Text(text="hi")], path="t[0]"),)
    paths = {name: f"at.{name}" for name in given}
    return Request(source="elsewhere", turns=[*turns], paths=paths, **given)


def write(request: Request, **options: Any) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    body = requests.write(request, RequestOptions(**options), losses)
    assert validate_request(body) == []
    return body, list(map(str, losses))


def user(*content: Part) -> Turn:
    return Turn(role="user", parts=[*content], path="t[0]")


def assistant(*content: Part) -> Turn:
    return Turn(role="assistant", parts=[*content], path="t[1]")


# As it was


@each_request(where=lambda exchange: exchange.dialect == "openai-responses" and not exchange.bundled)
def test_a_recorded_request_comes_back_as_it_was(exchange: Exchange) -> None:
    assert exchange.request is not None
    body, losses = rewritten(dict(exchange.request))
    assert body == said(exchange.request) or said(body) == said(exchange.request)
    assert losses == []
    assert validate_request(body) == []


AS_IT_WAS: dict[str, dict[str, Any]] = {
    "no-tools": {"model": "m", "input": "hi", "tools": []},
    "input-string": {"model": "m", "input": "hi", "instructions": "Be brief."},
    "prompt-alone": {"prompt": {"id": "pmpt_1", "variables": {"q": "?"}}},
    "previous-response": {"model": "m", "previous_response_id": "resp_1", "input": []},
    "conversation": {"model": "m", "conversation": "conv_1", "input": ""},
    "empty-fields": {
        "model": "m",
        "input": [{"role": "user", "content": []}, {"role": "user", "content": ""}],
        "instructions": "",
        "metadata": {},
        "text": {},
        "reasoning": {},
        "include": [],
        "tools": [{"type": "function", "name": "f", "description": "", "parameters": {}}],
        "background": False,
    },
    "message-forms": {
        "model": "m",
        "input": [
            {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
            {"role": "user", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": "lenient"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
            {
                "type": "message",
                "id": "msg_2",
                "role": "assistant",
                "status": "incomplete",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "d", "annotations": [], "logprobs": []},
                    {"type": "output_text", "text": "e", "annotations": [{"type": "url_citation", "url": "u"}]},
                    {"type": "refusal", "refusal": "no"},
                    {"type": "hologram", "depth": 3},
                ],
            },
        ],
    },
    "media": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "data:image/png;base64,aW1n", "detail": "low"},
                    {"type": "input_image", "image_url": "https://example.com/a.png"},
                    {"type": "input_image", "file_id": "file_1", "detail": "original"},
                    {"type": "input_image", "image_url": "data:image/svg+xml,<svg/>"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,cGRm", "filename": "a.pdf"},
                    {"type": "input_file", "file_data": "cGRm", "detail": "high", "pages": 3},
                    {"type": "input_file", "file_data": "data:;base64,cGRm"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,d29yZHM="},
                    {"type": "input_file", "file_data": "data:text/plain;base64,d29yZHM"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,/w=="},
                    {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                    {"type": "input_file", "file_id": "file_2"},
                    {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "mp3"}},
                    {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "flac"}},
                    {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "wav", "rate": 1}},
                ],
            }
        ],
    },
    "breakpoints": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                    {"type": "input_text", "text": "c", "prompt_cache_breakpoint": {"mode": "magic"}},
                ],
            }
        ],
    },
    "reasoning-items": {
        "model": "m",
        "input": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": ""}],
                "content": [{"type": "reasoning_text", "text": "b", "step": 1}, {"type": "odd", "text": "c"}],
                "encrypted_content": "gAAA",
                "status": "completed",
            },
            {"type": "reasoning", "id": "rs_2", "summary": []},
            {"type": "reasoning", "summary": [], "content": [], "encrypted_content": "gBBB"},
            {"type": "reasoning", "id": "rs_3", "content": [{"type": "reasoning_text", "text": "d"}]},
        ],
    },
    "calls": {
        "model": "m",
        "input": [
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": "f",
                "arguments": "",
                "status": "completed",
            },
            {"type": "function_call", "call_id": "c2", "name": "g", "namespace": "ns", "arguments": '{"a" : 1}'},
            {"type": "custom_tool_call", "call_id": "c3", "name": "patch", "input": "*** Begin", "async": True},
            {"type": "function_call_output", "call_id": "c1", "output": "", "id": "fco_1"},
            {"type": "function_call_output", "call_id": "c2", "name": "g", "namespace": "ns", "output": []},
            {
                "type": "custom_tool_call_output",
                "call_id": "c3",
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "file_1"}],
            },
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "hologram"}], "status": "incomplete"},
        ],
    },
    "own-items": {
        "model": "m",
        "input": [
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "sources": None},
            },
            {"type": "compaction", "encrypted_content": "gCCC"},
            {"type": "additional_tools", "role": "developer", "tools": []},
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_2"},
        ],
    },
    "tools-in-items": {
        "model": "m",
        "input": [
            {
                "type": "additional_tools",
                "id": "at_1",
                "role": "developer",
                "tools": [
                    {
                        "type": "namespace",
                        "name": "agents",
                        "description": "",
                        "tools": [{"type": "custom", "name": "do"}],
                    },
                    {"type": "function", "name": "f", "parameters": None, "strict": False},
                ],
            },
            {"role": "user", "content": "hi"},
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
    },
    "tools": {
        "model": "m",
        "input": "hi",
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True, "defer_loading": True},
            {"type": "custom", "name": "patch", "description": "d", "format": {"type": "text"}},
            {
                "type": "namespace",
                "name": "agents",
                "description": "All of them.",
                "tools": [{"type": "function", "name": "spawn"}, {"type": "custom", "name": "say"}],
            },
            {
                "type": "namespace",
                "name": "agents",
                "description": "More.",
                "tools": [{"type": "function", "name": "end"}],
            },
            {"type": "namespace", "name": "none", "description": "Empty.", "tools": []},
            {"type": "web_search", "external_web_access": True},
            {"type": "mcp", "server_label": "dice", "server_url": "https://example.com"},
        ],
        "tool_choice": {"type": "mcp", "server_label": "dice", "name": "roll"},
    },
    "settings": {
        "model": "m",
        "input": "hi",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "max_output_tokens": 5,
        "temperature": 0.5,
        "top_p": 1,
        "top_logprobs": 3,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results"],
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "service_tier": "scale",
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit"},
        "store": True,
        "truncation": "auto",
        "reasoning": {"effort": "ultra", "summary": "musical", "context": "auto"},
        "text": {"format": {"type": "grammar", "rules": "x"}, "verbosity": "low", "tone": "dry"},
    },
}


@pytest.mark.parametrize("body", AS_IT_WAS.values(), ids=AS_IT_WAS.keys())
def test_what_was_read_is_written_back(body: dict[str, Any]) -> None:
    assert rewritten(body) == (body, [])


def test_null_is_absent() -> None:
    body = {"model": "m", "input": "hi", "reasoning": None, "temperature": None, "previous_response_id": None}
    assert rewritten(body) == ({"model": "m", "input": "hi"}, [])


def test_the_options_are_asked_before_the_body() -> None:
    body, _ = rewritten({"model": "m", "input": "hi", "stream": False}, model="other", stream=True)
    assert body == {"model": "other", "input": "hi", "stream": True}


def test_the_model_may_come_from_the_options() -> None:
    assert rewritten({"input": "hi"}, model="m")[0] == {"model": "m", "input": "hi"}


def test_a_signature_of_another_provider_does_not_reach_this_one() -> None:
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": SEALED}
    body, losses = rewritten({"model": "m", "input": [item, {"role": "user", "content": "hi"}]})
    assert body["input"] == [{"role": "user", "content": "hi"}]
    assert losses == ["part (input[0].summary[0]): reasoning of another provider or model"]


def test_an_own_signature_of_another_model_does_not_reach_this_one() -> None:
    sealed = seal(Signature(0, "openai", "gAAA", model="gpt-5"), True)
    item = {"type": "reasoning", "summary": [], "encrypted_content": sealed}
    assert rewritten({"model": "gpt-4o", "input": [item]})[1] == [
        "part (input[0]): reasoning of another provider or model"
    ]
    body, losses = rewritten({"model": "openai/gpt-5-2025-08-07", "input": [item]})
    assert body["input"] == [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]
    assert losses == []


# Read: input


def test_a_string_is_the_users_and_instructions_are_the_systems() -> None:
    assert read(instructions="Be brief.").turns == [
        Turn(role="system", parts=[Text(text="Be brief.", path="instructions")], path="instructions"),
        Turn(role="user", parts=[Text(text="hi", path="input")], path="input"),
    ]


def test_an_item_is_a_turn_and_its_id_is_noise() -> None:
    message = {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "a"}]}
    assert items(message, {"role": "assistant", "content": "b", "phase": "final_answer"}) == [
        Turn(
            role="developer",
            parts=[Text(text="a", path="input[0].content[0]")],
            path="input[0]",
            noise={"type": "message", "id": "msg_1"},
        ),
        Turn(
            role="assistant",
            parts=[Text(text="b", path="input[1].content")],
            path="input[1]",
            extra={"phase": "final_answer"},
        ),
    ]


def test_content_parts() -> None:
    path = "input[0].content[0]"
    point = {"mode": "explicit", "ttl": "30m"}
    for part, expected in [
        ({"type": "input_text", "text": "a", "n": 1}, Text(text="a", path=path, extra={"n": 1})),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": point},
            Text(text="a", path=path, cache=Cache("30m")),
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,aW1n", "detail": "low"},
            Media(kind="image", media_type="image/png", data="aW1n", detail="low", path=path),
        ),
        (
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            Media(kind="image", url="https://example.com/a.png", path=path),
        ),
        ({"type": "input_image", "file_id": "file_1"}, Media(kind="image", file_id="file_1", path=path)),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,cGRm", "filename": "a.pdf"},
            Media(kind="document", media_type="application/pdf", data="cGRm", name="a.pdf", path=path),
        ),
        (
            {"type": "input_file", "file_data": "data:text/plain;base64,d29yZHM="},
            Media(kind="document", media_type="text/plain", text="words", path=path),
        ),
        ({"type": "input_file", "file_data": "cGRm"}, Media(kind="document", data="cGRm", path=path)),
        ({"type": "input_file", "file_url": "https://a.b/c"}, Media(kind="document", url="https://a.b/c", path=path)),
        (
            {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "mp3"}},
            Media(kind="audio", media_type="audio/mpeg", data="YXVk", path=path),
        ),
        ({"type": "hologram", "n": 1}, Foreign(kind="hologram", payload={"type": "hologram", "n": 1}, path=path)),
    ]:
        assert parts(part) == [expected]


def test_answers() -> None:
    given = [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}]
    assert parts(*given, role="assistant") == [
        Text(text="a", path="input[0].content[0]", noise={"annotations": []}),
        Text(text="no", refusal=True, path="input[0].content[1]"),
    ]


def test_reasoning_is_thoughts_of_one_group_with_the_signature_on_the_last() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "content": [{"type": "reasoning_text", "text": "b"}],
        "encrypted_content": "gAAA",
    }
    assert items(item)[0].parts == [
        Thought(text="a", channel="summary", group="input[0]", path="input[0].summary[0]"),
        Thought(text="b", group="input[0]", path="input[0].content[0]", signature=Sealed("openai", "", "gAAA")),
    ]


def test_reasoning_without_text_is_redacted() -> None:
    signature = Sealed("openai", "", "gAAA", redacted=True)
    assert items({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"})[0].parts == [
        Thought(group="input[0]", path="input[0]", signature=signature)
    ]


def test_a_sealed_signature_is_opened() -> None:
    (thought,) = items({"type": "reasoning", "summary": [], "encrypted_content": SEALED})[0].parts
    assert isinstance(thought, Thought)
    assert thought.signature == Sealed("anthropic", "claude", "c2ln")


def test_calls_and_results() -> None:
    turns = items(
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "f",
            "namespace": "ns",
            "arguments": '{"a": 1}',
        },
        {"type": "custom_tool_call", "call_id": "ccproxy_Zi5mOjA", "name": "patch", "input": "text"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"type": "custom_tool_call_output", "call_id": "f.f:0", "output": [{"type": "input_text", "text": "ok"}]},
    )
    assert [(turn.role, turn.parts) for turn in turns] == [
        ("assistant", [Call(id="c1", name="f", namespace="ns", arguments='{"a": 1}', path="input[0]")]),
        ("assistant", [Call(id="f.f:0", name="patch", arguments="text", custom=True, path="input[1]")]),
        ("user", [result("input[2]", Text(text="done", path="input[2].output"), id="c1")]),
        ("user", [result("input[3]", Text(text="ok", path="input[3].output[0]"), id="f.f:0", custom=True)]),
    ]


def result(path: str, said: Text, **fields: Any) -> Result:
    return Result(path=path, id_path=f"{path}.call_id", parts=[said], **fields)


def test_parallel_calls_are_calls_of_one_answer() -> None:
    request = read(
        input=[
            {"role": "user", "content": "hi"},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c2", "output": "2"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
        ]
    )
    losses = Losses()
    link(request, losses)
    assert [(turn.role, [type(part).__name__ for part in turn.parts]) for turn in request.turns] == [
        ("user", ["Text"]),
        ("assistant", ["Thought", "Call", "Call"]),
        ("user", ["Result", "Result"]),
    ]
    assert list(losses) == []


@pytest.mark.parametrize(
    ("item", "role"),
    [
        ({"type": "web_search_call", "id": "ws_1"}, "assistant"),
        ({"type": "compaction", "encrypted_content": "g"}, "assistant"),
        ({"type": "shell_call_output", "call_id": "c"}, "user"),
        ({"type": "mcp_approval_response", "approve": True}, "user"),
        ({"type": "additional_tools", "role": "developer", "tools": []}, "developer"),
        ({"type": "configuration_update", "reasoning": {}}, "developer"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else value,
)
def test_items_of_its_own(item: dict[str, Any], role: str) -> None:
    (turn,) = items(item)
    assert (turn.role, turn.parts) == (role, [Foreign(kind=item["type"], payload=item, path="input[0]")])


def test_tools_in_an_item_are_tools_of_the_request() -> None:
    exec = {"type": "custom", "name": "exec", "description": "Runs code."}
    request = read(
        input=[
            {
                "type": "additional_tools",
                "role": "developer",
                "tools": [
                    {"type": "namespace", "name": "functions", "tools": [exec]},
                    {"type": "function", "name": "wait", "parameters": SCHEMA},
                ],
            },
            {"role": "user", "content": "hi"},
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "wait"}]},
        ],
        tools=[{"type": "function", "name": "first", "parameters": SCHEMA}],
    )
    assert [(tool.namespace, tool.name, tool.kind, tool.schema, tool.path) for tool in request.tools] == [
        ("", "first", "function", SCHEMA, "tools[0]"),
        ("functions", "exec", "custom", None, "input[0].tools[0].tools[0]"),
        ("", "wait", "function", None, "input[2].tools[0]"),  # what is told later counts
    ]
    losses = Losses()
    link(request, losses)
    assert [part for turn in request.turns for part in turn.parts] == [Text(text="hi", path="input[1].content")]
    assert list(losses) == []


def test_a_tool_beside_the_input_is_not_there_twice() -> None:
    given = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]}
    request = read(input=[given, {"role": "user", "content": "hi"}], tools=[{"type": "function", "name": "f"}])
    assert [tool.path for tool in request.tools] == ["tools[0]"]


def test_what_the_provider_holds() -> None:
    request = read(
        previous_response_id="resp_1",
        conversation={"id": "conv_1"},
        prompt={"id": "pmpt_1"},
        background=True,
        input=[{"type": "item_reference", "id": "msg_1"}, {"id": "msg_2"}],
    )
    assert request.held == [
        ("previous_response_id", "an earlier response"),
        ("conversation", "a conversation"),
        ("prompt", "a stored prompt"),
        ("background", "an answer in the background"),
        ("input[0]", "an earlier item"),
        ("input[1]", "an earlier item"),
    ]
    assert read(background=False, previous_response_id=None).held == []


# Read: settings


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("stream", True, "stream"),
        ("max_output_tokens", 100, "max_output"),
        ("temperature", 0.5, "temperature"),
        ("top_p", 1, "top_p"),
        ("top_logprobs", 3, "top_logprobs"),
        ("parallel_tool_calls", False, "parallel"),
        ("store", True, "store"),
        ("prompt_cache_key", "k", "cache_key"),
        ("service_tier", "flex", "tier"),
        ("metadata", {"a": "b"}, "metadata"),
        ("user", "u", "user"),
        ("safety_identifier", "s", "user"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings(field: str, value: Any, name: str) -> None:
    request = read(**{field: value})
    assert (getattr(request, name), request.paths[name], request.extra) == (value, field, {})


def test_verbosity() -> None:
    request = read(text={"verbosity": "low"})
    assert (request.verbosity, request.paths["verbosity"]) == ("low", "text.verbosity")


def test_of_two_users_the_newer_field_counts() -> None:
    request = read(user="u", safety_identifier="s")
    assert (request.user, request.extra) == ("s", {"user": "u"})


def test_include() -> None:
    request = read(include=["reasoning.encrypted_content", "message.output_text.logprobs"])
    assert (request.logprobs, request.paths["logprobs"], request.extra) == (True, "include[1]", {})
    assert read(include=["file_search_call.results"]).extra == {"include": ["file_search_call.results"]}


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        ({"effort": "none"}, Thinking(mode="off")),
        ({"effort": "xhigh"}, Thinking(mode="on", effort="xhigh")),
        ({"summary": "concise"}, Thinking(show="concise")),
        ({"effort": None, "summary": None}, Thinking()),
        (
            {"effort": "ultra", "summary": "s", "mode": "pro"},
            Thinking(extra={"effort": "ultra", "summary": "s", "mode": "pro"}),
        ),
    ],
)
def test_reasoning(reasoning: dict[str, Any], expected: Thinking) -> None:
    expected.path = "reasoning"
    assert read(reasoning=reasoning).thinking == expected


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ({"type": "text"}, Format(kind="text")),
        ({"type": "json_object"}, Format(kind="json")),
        (
            {"type": "json_schema", "name": "City", "description": "d", "schema": SCHEMA, "strict": True, "n": 1},
            Format(kind="schema", name="City", description="d", schema=SCHEMA, strict=True, extra={"n": 1}),
        ),
    ],
    ids=["text", "json", "schema"],
)
def test_format(format: dict[str, Any], expected: Format) -> None:
    expected.path = "text.format"
    assert read(text={"format": format}).format == expected


def test_tools() -> None:
    function = {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": SCHEMA,
        "strict": True,
        "async": True,
    }
    tools = [
        function,
        {"type": "custom", "name": "patch", "format": {"type": "text"}},
        {"type": "namespace", "name": "ns", "description": "d", "tools": [{"type": "function", "name": "g"}]},
        {"type": "web_search_preview", "search_context_size": "low"},
        {"type": "code_interpreter", "container": "c"},
        {"type": "local_shell"},
    ]
    assert read(tools=tools).tools == [
        Tool(
            kind="function",
            name="f",
            description="d",
            schema=SCHEMA,
            strict=True,
            extra={"async": True},
            path="tools[0]",
        ),
        Tool(kind="custom", name="patch", noise={"format": {"type": "text"}}, path="tools[1]"),
        Tool(
            kind="function",
            name="g",
            namespace="ns",
            extra={"namespace.description": "d"},
            path="tools[2].tools[0]",
        ),
        Tool(
            kind="hosted",
            name="web_search_preview",
            hosted="web_search",
            extra={"search_context_size": "low"},
            path="tools[3]",
        ),
        Tool(
            kind="hosted", name="code_interpreter", hosted="code_execution", extra={"container": "c"}, path="tools[4]"
        ),
        Tool(kind="hosted", name="local_shell", path="tools[5]"),
    ]


@pytest.mark.parametrize(
    ("given", "mode", "names", "extra"),
    [
        ("auto", "auto", [], {}),
        ("required", "any", [], {}),
        ("none", "none", [], {}),
        ({"type": "function", "name": "f"}, "any", [("", "f")], {}),
        ({"type": "custom", "name": "f", "namespace": "ns", "n": 1}, "any", [("ns", "f")], {"n": 1}),
        ({"type": "web_search_preview"}, "any", [("", "web_search_preview")], {}),
        ({"type": "mcp", "server_label": "s"}, "any", [("", "mcp")], {"server_label": "s"}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, {"type": "mcp"}]},
            "auto",
            [("", "f"), ("", "mcp")],
            {},
        ),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, "any", [], {}),
    ],
)
def test_tool_choice(given: Any, mode: str, names: Any, extra: dict[str, Any]) -> None:
    choice = read(tool_choice=given).tool_choice
    assert choice is not None
    assert (choice.mode, choice.names, choice.extra, choice.path) == (mode, names, extra, "tool_choice")


# Read: refused


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"model": None}, "model", "is missing"),
        ({"model": 4}, "model", "must be a string, not a number"),
        ({"input": None}, "input", "is missing"),
        ({"input": []}, "input", "must not be empty"),
        ({"input": ""}, "input", "must not be empty"),
        ({"input": {}}, "input", "must be a string or an array, not an object"),
        ({"input": ["hi"]}, "input[0]", "must be an object, not a string"),
        ({"input": [{}]}, "input[0].type", "is missing"),
        ({"input": [{"type": 1}]}, "input[0].type", "must be a string, not a number"),
        ({"input": [{"type": "message", "content": "a"}]}, "input[0].role", "is missing"),
        (
            {"input": [{"role": "tool", "content": "a"}]},
            "input[0].role",
            "unknown role 'tool'; known are system, developer, user, assistant",
        ),
        ({"input": [{"role": "user"}]}, "input[0].content", "is missing"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content", "must be a string or an array, not a number"),
        ({"input": [{"role": "user", "content": [{"text": "a"}]}]}, "input[0].content[0].type", "is missing"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text", "is missing"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": {"url": "u"}}]}]},
            "input[0].content[0].image_url",
            "must be a string, not an object",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": ""}]}, "input[0].call_id", "is missing"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": ""}]}, "input[0].name", "is missing"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments", "is missing"),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]},
            "input[0].arguments",
            "must be a string, not an object",
        ),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f"}]}, "input[0].input", "is missing"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output", "is missing"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": {}}]},
            "input[0].output",
            "must be a string or an array, not an object",
        ),
        ({"input": [{"type": "reasoning", "summary": "a"}]}, "input[0].summary", "must be an array, not a string"),
        ({"instructions": ["a"]}, "instructions", "must be a string, not an array"),
        ({"max_output_tokens": "8"}, "max_output_tokens", "must be a whole number, not a string"),
        ({"max_output_tokens": 1.5}, "max_output_tokens", "must be a whole number, not a number"),
        ({"temperature": True}, "temperature", "must be a number, not a boolean"),
        ({"stream": "yes"}, "stream", "must be a boolean, not a string"),
        ({"metadata": []}, "metadata", "must be an object, not an array"),
        ({"reasoning": "high"}, "reasoning", "must be an object, not a string"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort", "must be a string, not a number"),
        ({"text": {"format": {}}}, "text.format.type", "is missing"),
        (
            {"text": {"format": {"type": "json_schema", "schema": "s"}}},
            "text.format.schema",
            "must be an object, not a string",
        ),
        ({"tools": {}}, "tools", "must be an array, not an object"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "is missing"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "is missing"),
        (
            {"tools": [{"type": "function", "name": "f", "strict": 1}]},
            "tools[0].strict",
            "must be a boolean, not a number",
        ),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
            "tools[0].tools[0].name",
            "is missing",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c9", "output": ""}]},
            "input[0].call_id",
            "no tool call before it has the id 'c9'",
        ),
        ({"input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id", "is missing"),
        ({"tool_choice": "maybe"}, "tool_choice", "unknown choice 'maybe'; known are auto, required, none"),
        ({"tool_choice": 1}, "tool_choice", "must be an object, not a number"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name", "is missing"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "none", "tools": []}},
            "tool_choice.mode",
            "unknown mode 'none'; known are auto, required",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(body: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises((RequestRefused, FieldError)) as refused:
        read(**body)
    error: Any = refused.value
    assert (error.path, error.reason) == (path, reason)


def test_results_of_calls_that_the_provider_holds() -> None:
    request = read(
        previous_response_id="resp_1", input=[{"type": "function_call_output", "call_id": "c9", "output": ""}]
    )
    assert request.turns[0].parts == [result("input[0]", Text(text="", path="input[0].output"), id="c9")]


# Write: input


def test_nothing_left_to_send() -> None:
    compaction = Foreign(kind="compaction", payload={}, path="messages[0].content[0]")
    with pytest.raises(RequestRefused) as refused:
        write(other(Turn(role="assistant", parts=[compaction], path="messages[0]")))
    assert refused.value.path == "messages[0]"


def test_a_hosted_tools_settings_are_ones_own() -> None:
    first, _ = write(other(tools=[PYTHON]))
    first["tools"][0]["container"]["type"] = "spoilt"
    assert write(other(tools=[PYTHON]))[0]["tools"] == [{"type": "code_interpreter", "container": {"type": "auto"}}]


def test_leading_system_text_becomes_instructions() -> None:
    system = Turn(role="system", parts=[Text(text="Be brief.")], path="s")
    developer = Turn(role="developer", parts=[Text(text="Now in verse.")], path="d")
    body, losses = write(other(system, user(Text(text="hi")), developer))
    assert body == {
        "model": "m",
        "store": False,
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "user", "content": "hi"},
            {"type": "message", "role": "developer", "content": "Now in verse."},
        ],
    }
    assert losses == []


def test_system_text_in_parts_is_a_message() -> None:
    system = Turn(role="system", parts=[Text(text="a"), Text(text="b")], path="s")
    body, _ = write(other(system, user(Text(text="hi"))))
    assert "instructions" not in body
    assert body["input"][0] == {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
    }


def test_system_text_alone_is_the_input() -> None:
    body, _ = write(other(Turn(role="system", parts=[Text(text="a")], path="s")))
    assert body["input"] == [{"type": "message", "role": "system", "content": "a"}]


def test_a_turn_becomes_items_in_its_order() -> None:
    thought = Thought(text="b", signature=Sealed("openai", "m", "gAAA"), channel="summary", path="r")
    body, losses = write(
        other(
            user(Text(text="hi"), Media(kind="image", url="https://example.com/a.png", detail="low", path="i")),
            assistant(
                Text(text="a"),
                thought,
                Call(id="c1", name="f", arguments='{"a" : 1}', path="c1"),
                Call(id="c2", name="patch", arguments="text", custom=True, path="c2"),
                Text(text="c"),
                Text(text="no", refusal=True),
            ),
            user(Result(id="c1", parts=[Text(text="1")], path="r1"), Result(id="c2", path="r2"), Text(text="go on")),
        )
    )
    assert body["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "a"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a" : 1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "text"},
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "c", "annotations": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
        {"type": "message", "role": "user", "content": "go on"},
    ]
    assert losses == []


def written_part(part: Part, **options: Any) -> tuple[dict[str, Any], list[str]]:
    part.path = "p"
    body, losses = write(other(user(Text(text="x"), part)), **options)
    content: dict[str, Any] = body["input"][0]["content"][1]
    return content, losses


def test_written_media() -> None:
    text = b64encode(b"words").decode()
    for media, expected, lost in [
        (
            Media(kind="image", media_type="image/png", data="aW1n"),
            {"type": "input_image", "image_url": "data:image/png;base64,aW1n"},
            [],
        ),
        (
            Media(kind="document", media_type="application/pdf", data="cGRm", name="a.pdf"),
            {"type": "input_file", "file_data": "data:application/pdf;base64,cGRm", "filename": "a.pdf"},
            [],
        ),
        (
            Media(kind="document", media_type="application/pdf", data="cGRm"),
            {"type": "input_file", "file_data": "data:application/pdf;base64,cGRm", "filename": "document.pdf"},
            ["default (p): name: document.pdf, as content must have one"],
        ),
        (
            Media(kind="document", text="words"),
            {"type": "input_file", "file_data": f"data:text/plain;base64,{text}", "filename": "document.txt"},
            ["default (p): name: document.txt, as content must have one"],
        ),
        (Media(kind="document", url="https://a.b/c"), {"type": "input_file", "file_url": "https://a.b/c"}, []),
        (
            Media(kind="image", url="https://a.b/c", media_type="image/png"),
            {"type": "input_image", "image_url": "https://a.b/c"},
            ["field (p): media_type: what an address leads to is found out there"],
        ),
        (
            Media(kind="image", url="https://a.b/c", name="a.png"),
            {"type": "input_image", "image_url": "https://a.b/c"},
            ["field (p): name: images have none"],
        ),
    ]:
        assert written_part(media) == (expected, lost)


@pytest.mark.parametrize(
    ("media", "reason"),
    [
        (Media(kind="audio", media_type="audio/wav", data="YQ=="), "the Responses API takes no audio"),
        (Media(kind="video", media_type="video/mp4", data="YQ=="), "the Responses API takes no video"),
        (Media(kind="image", file_id="file_1"), "the file is with another provider: send its content"),
        (Media(kind="image"), "there is no content"),
        (Media(kind="document", url="gs://bucket/a.pdf"), "only its own provider can read gs://bucket/a.pdf"),
    ],
    ids=["audio", "video", "file-id", "empty", "foreign-url"],
)
def test_media_that_nobody_could_read_are_refused(media: Media, reason: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        written_part(media)
    assert (refused.value.path, refused.value.reason) == ("p", reason)


def test_cache_breakpoints_are_an_option() -> None:
    text = Text(text="a", cache=Cache("1h"))
    assert written_part(text) == (
        {"type": "input_text", "text": "a"},
        ["field (p): cache: the option cache_breakpoints is off"],
    )
    assert written_part(text, cache_breakpoints=True) == (
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ["field (p): cache: a lifetime of 1h became the default"],
    )
    answer = assistant(Text(text="a", cache=Cache(), path="p"))
    body, losses = write(other(user(Text(text="hi")), answer), cache_breakpoints=True)
    assert body["input"][1]["content"] == [{"type": "output_text", "text": "a", "annotations": []}]
    assert losses == ["field (p): cache: there is no place for it in an answer"]


def test_parts_that_have_no_place() -> None:
    turn = assistant(
        Thought(text="a", signature=Sealed("anthropic", "", "s"), path="p[0]"),
        Thought(text="b", path="p[1]"),
        Thought(text="c", signature=Sealed("openai", "gpt-4o", "s"), path="p[2]"),
        Media(kind="image", data="aQ==", path="p[3]"),
        Foreign(kind="server_tool_use", payload={}, path="p[4]"),
        Text(text="d", path="p[5]"),
    )
    body, losses = write(other(turn, model="gpt-5"))
    assert body["input"] == [{"type": "message", "role": "assistant", "content": "d"}]
    assert losses == [
        "part (p[0]): reasoning of another provider or model",
        "part (p[1]): reasoning of another provider or model",
        "part (p[2]): reasoning of another provider or model",
        "part (p[3]): image of the assistant",
        "part (p[4]): server_tool_use of another provider",
    ]


def test_reasoning_comes_back_as_a_summary() -> None:
    turn = assistant(
        Thought(text="a", group="g", channel="summary"),
        Thought(text="b", group="g", signature=Sealed("openai", "", "gAAA"), path="p"),
        Thought(signature=Sealed("openai", "m", "gBBB", redacted=True)),
    )
    body, losses = write(other(turn))
    texts = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    assert body["input"] == [
        {"type": "reasoning", "summary": texts, "encrypted_content": "gAAA"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
    ]
    assert losses == ["field (p): channel: the text is told as a summary"]


def called(result: Result, name: str = "f", id: str = "c") -> tuple[list[dict[str, Any]], list[str]]:
    result.path = "r"
    body, losses = write(other(assistant(Call(id=id, name=name, arguments="{}", path="c")), user(result)))
    return body["input"], losses


def test_results() -> None:
    image = Media(kind="image", media_type="image/png", data="aW1n")
    picture = {"type": "input_image", "image_url": "data:image/png;base64,aW1n"}
    for result, output, lost in [
        (Result(id="c", parts=[Text(text="a")], is_error=False), "a", []),
        (
            Result(id="c", parts=[Text(text="a"), image]),
            [{"type": "input_text", "text": "a"}, picture],
            [],
        ),
        (
            Result(id="c", parts=[image, Text(text="a")], is_error=True),
            [picture, {"type": "input_text", "text": "Error: a"}],
            ["field (r): is_error: said in the text"],
        ),
        (Result(id="c", is_error=True), "Error: ", ["field (r): is_error: said in the text"]),
    ]:
        (_, item), losses = called(result)
        assert (item, losses) == ({"type": "function_call_output", "call_id": "c", "output": output}, lost)


def test_names_and_ids_that_are_too_long_or_have_other_characters() -> None:
    id = "c" * 65
    (call, output), losses = called(Result(id=id), name="files.read", id=id)
    assert call["name"].startswith("files_read_")
    assert call["call_id"] == output["call_id"]
    assert len(call["call_id"]) == 29
    assert losses == [
        f"repair ({path}): id: longer than 64 characters, became {call['call_id']}" for path in ("c", "r")
    ]


# Write: settings


@pytest.mark.parametrize(
    ("setting", "value", "field"),
    [
        ("stream", True, "stream"),
        ("max_output", 100, "max_output_tokens"),
        ("temperature", 0.5, "temperature"),
        ("top_p", 1, "top_p"),
        ("top_logprobs", 3, "top_logprobs"),
        ("parallel", False, "parallel_tool_calls"),
        ("store", True, "store"),
        ("cache_key", "k", "prompt_cache_key"),
        ("tier", "flex", "service_tier"),
        ("metadata", {"a": "b"}, "metadata"),
        ("user", "u", "safety_identifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_written_settings(setting: str, value: Any, field: str) -> None:
    body, losses = write(other(**{setting: value}))
    assert (body[field], losses) == (value, [])


@pytest.mark.parametrize(
    ("settings", "field", "written", "lost"),
    [
        ({"max_output": 5}, "max_output_tokens", 16, "repair (at.max_output): max_output: 5 became 16, the least"),
        ({"tier": "standard_only"}, "service_tier", "default", "field (at.tier): tier: standard_only became default"),
        ({"tier": "warp"}, "service_tier", None, "field (at.tier): tier: there is no warp"),
        ({"user": "u" * 129}, "safety_identifier", None, "field (at.user): user: longer than 128 characters"),
        ({"stop": ["x"]}, "stop", None, "field (at.stop): stop: there is no such setting"),
        ({"top_k": 4}, "top_k", None, "field (at.top_k): top_k: there is no such setting"),
        ({"seed": 4}, "seed", None, "field (at.seed): seed: there is no such setting"),
        ({"logit_bias": {"1": 2}}, "logit_bias", None, "field (at.logit_bias): logit_bias: there is no such setting"),
        ({"cache": Cache()}, "cache", None, "field (at.cache): cache: there is no such setting"),
        ({"store": None}, "store", False, "default (store): store: false, as the source keeps nothing by itself"),
    ],
    ids=["max-output", "tier", "unknown-tier", "long-user", "stop", "top-k", "seed", "logit-bias", "cache", "store"],
)
def test_settings_that_change_or_go(settings: dict[str, Any], field: str, written: Any, lost: str) -> None:
    body, losses = write(other(**settings))
    assert (body.get(field), losses) == (written, [lost])


def test_one_choice_is_what_there_is() -> None:
    assert write(other(choices=1, include_usage=False))[1] == []
    with pytest.raises(RequestRefused) as refused:
        write(other(choices=2))
    assert (refused.value.path, refused.value.reason) == ("at.choices", "there is one answer and no more")


def test_a_source_without_a_model_needs_the_option() -> None:
    with pytest.raises(RequestRefused) as refused:
        write(other(model=""))
    assert refused.value.path == "model"
    assert write(other(model=""), model="m")[0]["model"] == "m"


def test_log_probabilities_are_included() -> None:
    assert write(other(logprobs=True))[0]["include"] == ["message.output_text.logprobs"]
    assert "include" not in write(other(logprobs=False))[0]


ENCRYPTED = "default (include): include: reasoning.encrypted_content, as reasoning comes back with the history"


@pytest.mark.parametrize(
    ("thinking", "reasoning", "lost"),
    [
        (Thinking(mode="off", budget=0), {"effort": "none"}, []),
        (Thinking(mode="on", effort="max"), {"effort": "max"}, [ENCRYPTED]),
        (Thinking(effort="low", show="auto"), {"effort": "low", "summary": "auto"}, [ENCRYPTED]),
        (Thinking(show="none"), None, [ENCRYPTED]),
        (
            Thinking(mode="on", budget=10_000),
            {"effort": "medium"},
            ["field (k): budget: 10000 tokens became the effort medium", ENCRYPTED],
        ),
        (
            Thinking(effort="high", budget=1024),
            {"effort": "high"},
            ["field (k): budget: 1024 tokens became the effort high", ENCRYPTED],
        ),
        (Thinking(mode="auto"), {"effort": "medium"}, ["default (k): mode: auto became the effort medium", ENCRYPTED]),
        (
            Thinking(mode="auto", effort="low"),
            {"effort": "low"},
            ["field (k): mode: auto became the effort low", ENCRYPTED],
        ),
        (
            Thinking(effort="low", show="full"),
            {"effort": "low", "summary": "detailed"},
            ["field (k): show: full became detailed", ENCRYPTED],
        ),
    ],
)
def test_written_reasoning(thinking: Thinking, reasoning: dict[str, Any] | None, lost: list[str]) -> None:
    thinking.path = "k"
    body, losses = write(other(thinking=thinking))
    assert (body.get("reasoning"), losses) == (reasoning, lost)
    assert body.get("include") == (["reasoning.encrypted_content"] if ENCRYPTED in lost else None)


@pytest.mark.parametrize(
    ("format", "written", "lost"),
    [
        (Format(kind="text"), {"type": "text"}, []),
        (Format(kind="json"), {"type": "json_object"}, []),
        (
            Format(kind="schema", name="City", schema=SCHEMA, strict=False),
            {"type": "json_schema", "name": "City", "schema": SCHEMA, "strict": False},
            [],
        ),
        (
            Format(kind="schema", schema=SCHEMA, description="d", path="f"),
            {"type": "json_schema", "name": "response", "schema": SCHEMA, "description": "d"},
            ["default (f): name: response, as there must be one"],
        ),
    ],
    ids=["text", "json", "schema", "schema-without-name"],
)
def test_written_format(format: Format, written: dict[str, Any], lost: list[str]) -> None:
    body, losses = write(other(format=format, verbosity="low"))
    assert (body["text"], losses) == ({"format": written, "verbosity": "low"}, lost)


# Write: tools

FUNCTION = Tool(kind="function", name="f", description="d", schema=SCHEMA, strict=True, path="tools[0]")
CUSTOM = Tool(kind="custom", name="patch", path="tools[1]")
SEARCH = Tool(kind="hosted", name="web_search_20250305", hosted="web_search", extra={"max_uses": 3}, path="tools[2]")
PYTHON = Tool(kind="hosted", name="codeExecution", hosted="code_execution", path="tools[3]")
FETCH = Tool(kind="hosted", name="web_fetch", hosted="web_fetch", path="tools[4]")


def test_written_tools() -> None:
    bare = Tool(kind="function", name="files.read", path="tools[5]")
    body, losses = write(other(tools=[FUNCTION, CUSTOM, SEARCH, PYTHON, FETCH, bare]))
    *known, last = body["tools"]
    assert known == [
        {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        {"type": "custom", "name": "patch"},
        {"type": "web_search"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]
    assert last.pop("name").startswith("files_read_")
    assert last == {"type": "function", "parameters": None, "strict": False}
    assert losses == [
        "field (tools[2].max_uses): max_uses: there is no such field",
        "part (tools[4]): web_fetch: a tool that its provider runs",
        "default (tools): strict: false, which is the default elsewhere",
    ]


@pytest.mark.parametrize(
    ("choice", "written", "lost"),
    [
        (ToolChoice(mode="auto"), "auto", []),
        (ToolChoice(mode="any"), "required", []),
        (ToolChoice(mode="none"), "none", []),
        (ToolChoice(mode="any", names=[("", "f")]), {"type": "function", "name": "f"}, []),
        (ToolChoice(mode="any", names=[("", "patch")]), {"type": "custom", "name": "patch"}, []),
        (ToolChoice(mode="any", names=[("", "codeExecution")]), {"type": "code_interpreter"}, []),
        (
            ToolChoice(mode="any", names=[("", "f"), ("", "patch")]),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "patch"}],
            },
            [],
        ),
        (
            ToolChoice(mode="auto", names=[("", "f")]),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            [],
        ),
        (
            ToolChoice(mode="any", names=[("", "web_search_20250305")]),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
            [],
        ),
        (
            ToolChoice(mode="any", names=[("", "web_fetch")], path="k"),
            "auto",
            ["field (k): names: not all of these tools are there"],
        ),
    ],
)
def test_written_tool_choice(choice: ToolChoice, written: Any, lost: list[str]) -> None:
    search = Tool(kind="hosted", name="web_search_20250305", hosted="web_search", path="tools[2]")
    body, losses = write(other(tools=[FUNCTION, CUSTOM, search, PYTHON, FETCH], tool_choice=choice))
    assert body["tool_choice"] == written
    assert losses == ["part (tools[4]): web_fetch: a tool that its provider runs", *lost]


def test_without_tools_there_is_no_choice() -> None:
    body, losses = write(other(tools=[FETCH], tool_choice=ToolChoice(mode="any", path="k")))
    assert not {"tools", "tool_choice"} & body.keys()
    assert losses == [
        "part (tools[4]): web_fetch: a tool that its provider runs",
        "field (k): mode: any, but there are no tools",
    ]


def test_what_has_no_place() -> None:
    turn = Turn(role="user", name="Ada", parts=[Text(text="hi")], path="t", extra={"mood": 1})
    cached = Tool(kind="function", name="f", schema=SCHEMA, strict=True, cache=Cache(), path="tools[0]")
    body, losses = write(other(turn, tools=[cached]))
    assert body["input"] == [{"type": "message", "role": "user", "content": "hi"}]
    assert losses == [
        "field (tools[0]): cache: there is no place for it",
        "field (t): name: there is no place for it",
        "field (t.mood): mood: there is no such field",
    ]
