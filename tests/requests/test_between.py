"""Requests from one dialect to another: content and settings that each has in a form of its own, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic import transform_schema

from ccproxy.core.errors import RequestRefused
from ccproxy.core.schemas import why_not_strict
from ccproxy.dialects.anthropic.schema import bound
from ccproxy.requests import TranslatedRequest, translate_request
from tests.corpus import FIXTURES
from tests.exchanges import Exchange, each_exchange
from tests.oracles import ORACLES

ANTHROPIC, CHAT, RESPONSES, GEMINI = "anthropic", "openai-chat", "openai-responses", "gemini"
MODELS = {ANTHROPIC: "claude-sonnet-4-5", CHAT: "gpt-5", RESPONSES: "gpt-5", GEMINI: "gemini-3-flash"}


def bundled(source: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FIXTURES / "requests" / source / f"{name}.json").read_bytes())
    return content


def translated(body: dict[str, Any], source: str, target: str, **options: Any) -> TranslatedRequest:
    options = {"model": MODELS[target], **options}
    there = translate_request(body, source, target, normalize=True, **options)
    assert source == target or not ORACLES[target].validate_request(there.body)
    return there


def lost(there: TranslatedRequest, kinds: Iterable[str] = ("field", "part", "repair", "citation")) -> list[str]:
    return [str(loss) for loss in there.losses if loss.kind in kinds]


# Tools


GRAMMAR = {"syntax": "lark", "definition": 'start: "add " NUMBER\n%import common.NUMBER'}


def test_a_grammar_from_chat_to_responses() -> None:
    there = translated(bundled(CHAT, "tools-grammar"), CHAT, RESPONSES)
    assert there.body["tools"] == [
        {
            "type": "custom",
            "name": "calculate",
            "description": "Calculates.",
            "format": {"type": "grammar", **GRAMMAR},
        },
        {"type": "custom", "name": "note"},
    ]
    assert lost(there) == []


def test_a_grammar_from_responses_to_chat() -> None:
    body = bundled(RESPONSES, "tools-grammar")
    there = translated(body, RESPONSES, CHAT, custom_tools=True)
    grammar = {"syntax": "regex", "definition": "add \\d+"}
    assert there.body["tools"][0]["custom"] == {
        "name": "calculate",
        "description": "Calculates.",
        "format": {"type": "grammar", "grammar": grammar},
    }
    assert lost(there) == []
    assert lost(translated(body, RESPONSES, CHAT)) == ["field (tools[0]): grammar: the argument of a function has none"]


@pytest.mark.parametrize("target", [ANTHROPIC, GEMINI])
def test_a_grammar_that_has_no_place(target: str) -> None:
    there = translated(bundled(CHAT, "tools-grammar"), CHAT, target)
    assert lost(there) == ["field (tools[0]): grammar: there is no place for it"]


@pytest.mark.parametrize("source", [CHAT, RESPONSES])
def test_a_grammar_that_says_more_is_its_dialects_own(source: str) -> None:
    body = bundled(source, "tools-grammar")
    tool = body["tools"][0].get("custom", body["tools"][0])
    tool["format"]["version"] = 2
    assert translated(body, source, source).body == body
    target = RESPONSES if source == CHAT else CHAT
    there = translated(body, source, target, custom_tools=True)
    assert "grammar" not in json.dumps(there.body)
    assert len(lost(there, ["field"])) == 1 and "format" in lost(there)[0]


@pytest.mark.parametrize("name", ["3d_view", "-verbose"])
def test_names_begin_with_a_letter(name: str) -> None:
    function = {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    there = translated({"model": "m", "messages": messages, "tools": [function]}, CHAT, GEMINI)
    flat = there.body["tools"][0]["functionDeclarations"][0]["name"]
    assert flat.startswith(f"_{name}_") and len(flat) <= 64
    assert there.body["contents"][1]["parts"][0]["functionCall"]["name"] == flat
    assert there.body["contents"][2]["parts"][0]["functionResponse"]["name"] == flat
    assert there.tools[flat].name == name


def test_a_search_is_left_out_where_servers_may_refuse_it() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    function = {"name": "f", "input_schema": {"type": "object"}}
    hi = [{"role": "user", "content": "hi"}]
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": hi, "tools": [search, function]}
    there = translated(body, ANTHROPIC, CHAT)
    assert "web_search_options" not in there.body
    assert lost(there) == ["part (tools[0]): web_search_20250305: the option web_search is off"]
    there = translated(body, ANTHROPIC, CHAT, web_search=True)
    assert there.body["web_search_options"] == {} and lost(there) == []
    for google in ("any", "vertex"):
        there = translated(body, ANTHROPIC, GEMINI, google=google)
        assert "toolConfig" not in there.body and [*there.body["tools"][0]] == ["functionDeclarations"]
        assert lost(there)[0].startswith("part (tools[0]): web_search_20250305: only the Gemini API")
    there = translated(body, ANTHROPIC, GEMINI, google="gemini-api")
    assert there.body["toolConfig"]["includeServerSideToolInvocations"] is True
    there = translated({**body, "tools": [search]}, ANTHROPIC, GEMINI)  # alone it is anybody's
    assert there.body["tools"] == [{"googleSearch": {}}]


def test_an_orphan_is_named_by_its_id() -> None:
    calls = [{"role": "user", "parts": [{"text": "hi"}]}]
    for field, response in (("id", {"id": "1", "name": "f"}), ("name", {"name": "f"})):
        parts = [{"functionResponse": {**response, "response": {"output": "done"}}}]
        body = {"contents": [*calls, {"role": "user", "parts": parts}]}
        with pytest.raises(RequestRefused) as refused:
            translated(body, GEMINI, CHAT)
        assert refused.value.path == f"contents[1].parts[0].functionResponse.{field}"


# Schemas


def test_a_schema_that_binds_towards_anthropic() -> None:
    there = translated(bundled(CHAT, "format-bounds"), CHAT, ANTHROPIC)
    schema = there.body["output_config"]["format"]["schema"]
    closed = {"additionalProperties": False}
    assert schema == {
        "$defs": {
            "Tag": {"enum": ["a", "b"]},
            "Place": {"type": "object", "properties": {"city": {"type": "string"}}, **closed},
        },
        "type": "object",
        "title": "Person",
        "properties": {
            "name": {"type": "string", "description": "In full.\n\n{minLength: 1}"},
            "age": {"type": ["integer", "null"], "description": "{minimum: 0, maximum: 150}"},
            "email": {"type": "string", "format": "email"},
            "phone": {"type": "string", "description": "{format: phone}"},
            "tags": {
                "type": "array",
                "items": {"$ref": "#/$defs/Tag"},
                "description": "{minItems: 2, maxItems: 5}",
            },
            "home": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        },
        "required": ["name"],
        **closed,
    }
    path = "repair (response_format): schema: "
    told = "told in the description"
    assert sorted(loss for loss in lost(there, ["repair"])) == sorted(
        f"{path}{change}"
        for change in (
            "$defs.Place.additionalProperties: false",
            f"properties.name.minLength: {told}",
            f"properties.age.minimum: {told}",
            f"properties.age.maximum: {told}",
            f"properties.phone.format: {told}",
            f"properties.tags.minItems: {told}",
            f"properties.tags.maxItems: {told}",
            "properties.home.oneOf: is anyOf",
            "properties.home.anyOf[0].description: there is nothing beside $ref",
            "additionalProperties: false",
        )
    )
    del schema["properties"]["age"]  # the SDK knows no lists of types
    assert transform_schema(schema) == schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}}, "#/$defs/A holds itself"),
        ({"type": "array", "items": {"$ref": "https://example.com/a"}}, "https://example.com/a is not in it"),
        ({"type": "object", "properties": {"a": {}}}, "properties.a may be anything"),
        ({"type": "array", "items": True}, "items may be anything"),
        ({}, "it may be anything"),
    ],
)
def test_a_schema_that_can_not_bind_towards_anthropic(schema: dict[str, Any], why: str) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    }
    there = translated(body, CHAT, ANTHROPIC)
    assert "output_config" not in there.body
    assert lost(there) == [f"field (response_format): schema: the schema can't bind, as {why}"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"properties": {}}, {"type": "object", "properties": {}, "additionalProperties": False}),
        ({"items": {"const": 1}}, {"type": "array", "items": {"const": 1}}),
        ({"enum": [{"a": 1}], "type": "object"}, None),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, None),
        ({"type": "string", "pattern": "a+", "default": None}, None),
        ({"allOf": [{"type": "string"}, {"enum": ["a"]}]}, None),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "const": "a"}, {"const": "a"}),
        ({"const": 1, "definitions": {"a": {"const": 1}}}, {"const": 1, "definitions": {"a": {"const": 1}}}),
    ],
)
def test_schemas_as_the_official_sdk_makes_them(given: dict[str, Any], written: dict[str, Any] | None) -> None:
    """`written` is given where the SDK refuses a schema, or goes further."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": given}},
    }
    schema = translated(body, CHAT, ANTHROPIC).body["output_config"]["format"]["schema"]
    schema.pop("$schema", None)
    if written is not None:
        assert schema == written
        return
    assert schema.keys() == transform_schema(given).keys()
    assert schema.get("type") == transform_schema(given).get("type")


def test_strict_tools_towards_anthropic() -> None:
    there = translated(bundled(RESPONSES, "format-recursive"), RESPONSES, ANTHROPIC)
    plant, water = there.body["tools"]
    assert "strict" not in plant and plant["input_schema"]["properties"]["children"]["items"] == {"$ref": "#"}
    assert water["strict"] is True
    assert water["input_schema"]["properties"] == {"litres": {"type": "number", "description": "{exclusiveMinimum: 0}"}}
    assert "output_config" not in there.body
    assert lost(there) == [
        "field (tools[0]): strict: the schema can't bind, as # holds itself",
        "repair (tools[1]): schema: properties.litres.exclusiveMinimum: told in the description",
        "field (text.format): schema: the schema can't bind, as # holds itself",
    ]


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_strict_schemas_towards_openai(target: str) -> None:
    there = translated(bundled(ANTHROPIC, "tools-strict"), ANTHROPIC, target)
    tools = [tool.get("function", tool) for tool in there.body["tools"]]
    assert [tool["strict"] for tool in tools] == [True, False]
    assert lost(there) == [
        f"repair ({path}): strict: false, as it does not require {name}"
        for path, name in sorted([("tools[1]", "a"), ("output_config.format", "b")], reverse=target == RESPONSES)
    ]
    body = bundled(ANTHROPIC, "tools-strict")
    body["output_config"]["format"]["schema"]["required"] = ["a", "b"]
    written = json.dumps(translated({**body, "tools": []}, ANTHROPIC, target).body)
    assert '"strict": true' in written  # as a schema always binds at Anthropic


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "array", "items": {"type": "string"}}, "it is no object"),
        ({"type": "object", "anyOf": []}, "it is no object"),
        ({"type": "object", "properties": {}}, "it allows additionalProperties"),
        ({"a": {"minLength": 1}}, "properties.a has no type"),
        ({"a": {"type": "object"}}, "properties.a allows additionalProperties"),
        ({"a": {"type": "array", "items": {"allOf": [], "type": "string"}}}, "properties.a.items has allOf"),
        ({"a": {"anyOf": [{"type": "null"}, {"not": {}, "type": "string"}]}}, "properties.a.anyOf[1] has not"),
        ({"a": {"$ref": "#", "description": "d"}}, "properties.a has more than its $ref"),
        ({"a": {"type": "string", "format": "uri"}}, "properties.a has the format uri"),
        ({"a": {"$ref": "#"}, "b": {"type": ["string", "null"], "minLength": 1, "default": None}}, ""),
    ],
)
def test_what_openai_binds_to(schema: dict[str, Any], why: str) -> None:
    closed = {"required": [*schema], "additionalProperties": False}
    whole = schema if "type" in schema else {"type": "object", "properties": schema, **closed}
    hi = [{"role": "user", "content": "hi"}]
    tool = {"type": "function", "function": {"name": "f", "parameters": whole, "strict": True}}
    there = translated({"model": "m", "messages": hi, "tools": [tool]}, CHAT, RESPONSES)
    assert there.body["tools"][0]["strict"] is not bool(why)
    assert lost(there) == ([f"repair (tools[0]): strict: false, as {why}"] if why else [])


@pytest.mark.parametrize("target", [ANTHROPIC, CHAT, RESPONSES, GEMINI])
def test_the_order_of_properties(target: str) -> None:
    body = bundled(GEMINI, "property-ordering")
    there = translated(body, GEMINI, target)
    if target == GEMINI:
        assert there.body["tools"] == body["tools"]
        assert there.body["generationConfig"] == body["generationConfig"]
        return
    assert "propertyOrdering" not in json.dumps(there.body)
    schemas = [found for found in objects(there.body) if isinstance(found.get("properties"), dict)]
    assert [list(found["properties"]) for found in schemas] == [["b", "a"], ["y", "x"]] * 3
    assert not [loss for loss in lost(there) if "rdering" in loss]


def objects(value: Any) -> Iterable[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


# Content


@pytest.mark.parametrize("target", [CHAT, RESPONSES, GEMINI])
def test_search_results_are_text(target: str) -> None:
    there = translated(bundled(ANTHROPIC, "search-results"), ANTHROPIC, target)
    written = json.dumps(there.body)
    for number in (1, 2):
        said = f"Page {number}\nhttps://example.com/{number}\nWhat page {number} says.\nAnd more."
        assert json.dumps(said)[1:-1] in written
    first, second, unknown = "messages[0].content[0]", "messages[2].content[0].content[1]", "messages[2].content[0]"
    assert lost(there, ["citation"]) == [
        f"citation ({path}): search_result: text here, which can't be cited" for path in (first, second)
    ]
    assert [loss.path for loss in there.losses if loss.kind == "part"] == [f"{unknown}.content[2]"]
    assert [loss.detail.partition(":")[0] for loss in there.losses if loss.path == first] == ["search_result", "cache"]


def test_search_results_stay_in_their_dialect() -> None:
    body = bundled(ANTHROPIC, "search-results")
    assert translated(body, ANTHROPIC, ANTHROPIC).body == {**body, "model": MODELS[ANTHROPIC]}


def test_a_result_holds_what_only_its_dialect_knows() -> None:
    part = {"type": "new_part", "x": 1}
    output = [{"type": "input_text", "text": "a"}, part, {"type": "input_text", "text": "b"}]
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": output}
    body = {"model": "gpt-5", "input": [{"role": "user", "content": "hi"}, call, result]}
    assert translated(body, RESPONSES, RESPONSES).body == body
    there = translated(body, RESPONSES, CHAT)
    assert there.body["messages"][-1]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert lost(there) == ["part (input[2].output[1]): there is no new_part here"]


@pytest.mark.parametrize(("name", "source"), [("prefill", ANTHROPIC), ("prefill", GEMINI)])
@pytest.mark.parametrize("target", [ANTHROPIC, CHAT, RESPONSES, GEMINI])
def test_an_answer_that_goes_on(name: str, source: str, target: str) -> None:
    there = translated(bundled(source, name), source, target)
    path = "messages[1]" if source == ANTHROPIC else "contents[1]"
    goes_on = target in (ANTHROPIC, GEMINI)
    assert lost(there) == ([] if goes_on else [f"field ({path}): prefill: there is no such setting"])


# Settings


@pytest.mark.parametrize("target", [ANTHROPIC, CHAT, RESPONSES, GEMINI])
@pytest.mark.parametrize("source", [CHAT, RESPONSES])
def test_what_goes_without_saying_is_not_lost(source: str, target: str) -> None:
    for model in (MODELS[target], "claude-opus-5"):
        there = translated(bundled(source, "settings-defaults"), source, target, model=model)
        assert lost(there) == []


def test_what_says_something_is_lost() -> None:
    settings = {"store": True, "logprobs": True, "presence_penalty": 0.1, "seed": 0, "verbosity": "low"}
    body = {**bundled(CHAT, "settings-defaults"), **settings}
    assert lost(translated(body, CHAT, ANTHROPIC)) == [
        f"field ({name}): {name}: there is no such setting"
        for name in ("seed", "presence_penalty", "logprobs", "verbosity", "store")
    ]


def test_fields_that_only_one_of_googles_servers_knows() -> None:
    body = {**bundled(CHAT, "settings-defaults"), "store": True, "metadata": {"team": "a"}}
    there = translated(body, CHAT, GEMINI)
    assert not there.body.keys() & {"store", "labels"}
    assert lost(there) == [
        "field (metadata): metadata: only Vertex AI has labels, see the option google",
        "field (store): store: only the Gemini API has it, see the option google",
    ]
    assert translated(body, CHAT, GEMINI, google="gemini-api").body["store"] is True
    assert translated(body, CHAT, GEMINI, google="vertex").body["labels"] == {"team": "a"}
    own = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "store": True, "labels": {"team": "a"}}
    assert translated(own, GEMINI, GEMINI).body == own


# Schemas that providers took


def strict_schemas(exchange: Exchange, *providers: str) -> list[dict[str, Any]]:
    """The schemas that bind in a request that was answered."""
    request = exchange.request or {}
    if exchange.content.get("status") != 200 or exchange.provider not in providers:
        return []
    described = [tool.get("function", tool) for tool in objects(request.get("tools"))]
    settings = [request.get(name) for name in ("output_config", "output_format", "response_format", "text")]
    forms = [form.get("json_schema", form) for form in objects(settings) if form.get("type") == "json_schema"]
    binding = [
        one for one in [*described, *forms] if one.get("strict") or (exchange.dialect == ANTHROPIC and one in forms)
    ]
    found = [one.get(name) for one in binding for name in ("parameters", "input_schema", "schema")]
    return [schema for schema in found if isinstance(schema, dict)]


@each_exchange(kind="generate", where=lambda exchange: bool(strict_schemas(exchange, "openai", "azure")))
def test_what_openai_took_stays_strict(exchange: Exchange) -> None:
    assert [
        why_not_strict(schema) for schema in strict_schemas(exchange, exchange.provider) if why_not_strict(schema)
    ] == []


@each_exchange(kind="generate", where=lambda exchange: bool(strict_schemas(exchange, "anthropic")))
def test_what_anthropic_took_stays_as_it_is(exchange: Exchange) -> None:
    for schema in strict_schemas(exchange, "anthropic"):
        assert bound(schema) == (schema, [])
