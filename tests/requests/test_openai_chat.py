"""Requests of Chat Completions: every row of the mapping in both directions, and every refusal."""

from __future__ import annotations

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
from ccproxy.core.signatures import Sealed, seal
from ccproxy.core.spi import RequestOptions
from ccproxy.dialects.openai_chat import request as requests
from tests.exchanges import Exchange, each_request
from tests.oracles.openai_chat_sdk import validate_request

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
HI = {"role": "user", "content": "hi"}


def envelope(scheme: str, value: str = "c2ln", model: str = "", redacted: bool = False, signs: Any = "part") -> str:
    return seal(Signature(0, scheme, value, model, signs), redacted)


def read(*messages: Any, **body: Any) -> Request:
    return requests.read({"model": "m", "messages": list(messages) or [HI], **body}, RequestOptions())


def content(*blocks: Any, role: str = "user") -> list[Part]:
    return read({"role": role, "content": list(blocks)}).turns[0].parts


def answer(**fields: Any) -> list[Part]:
    return read({"role": "assistant", **fields}).turns[0].parts


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
    given: dict[str, Any] = {"model": "m", **settings}
    turns = turns or (user(Text(text="hi")),)
    return Request(source="elsewhere", turns=[*turns], paths={name: f"at.{name}" for name in given}, **given)


def write(request: Request, **options: Any) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    body = requests.write(request, RequestOptions(**options), losses)
    assert validate_request(body) == []
    return body, list(map(str, losses))


def messages(*turns: Turn, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    body, losses = write(other(*turns), **options)
    return body["messages"], losses


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=[*parts], path="t[0]")


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=[*parts], path="t[1]")


def called(id: str = "c1", *before: Part) -> tuple[Turn, Turn]:
    """A call and its result."""
    return (
        assistant(*before, Call(id=id, name="f", arguments="{}", path="t[1].call")),
        user(Result(id=id, parts=[Text(text="done")], path="t[2].result")),
    )


# As it was


@each_request(where=lambda exchange: exchange.dialect == "openai-chat" and not exchange.bundled)
def test_a_recorded_request_comes_back_as_it_was(exchange: Exchange) -> None:
    body = dict(exchange.request or {})
    model = {} if "model" in body else {"model": "the URL has it"}
    assert rewritten(body, **model)[1] == []
    assert said(rewritten(body, **model)[0]) == said(body)
    assert validate_request(body) == []


def history(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [HI, {"role": "assistant", **fields}]}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a" : 1}'}}
AS_IT_WAS: dict[str, dict[str, Any]] = {
    "settings": {
        "model": "m",
        "messages": [HI],
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 4,
        "stop": ["a", "b", "c", "d", "e"],
        "seed": 1,
        "n": 2,
        "frequency_penalty": 0,
        "presence_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "xhigh",
        "verbosity": "low",
        "parallel_tool_calls": False,
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "on_demand",
        "prompt_cache_key": "k",
        "store": False,
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
    },
    "names-of-settings": {
        "model": "m",
        "messages": [HI],
        "max_tokens": 1,
        "max_completion_tokens": 2,
        "user": "a",
        "safety_identifier": "b",
    },
    "empty": {"model": "m", "messages": [HI], "stop": [], "tools": [], "stream_options": {}, "metadata": {}},
    "stop-string": {"model": "m", "messages": [HI], "stop": "END"},
    "no-usage": {"model": "m", "messages": [HI], "stream": True, "stream_options": {"include_usage": False}},
    "effort-of-a-vendor": {"model": "m", "messages": [HI], "reasoning_effort": "default"},
    "no-effort": {"model": "m", "messages": [HI], "reasoning_effort": "none"},
    "openrouter-reasoning": {"model": "m", "messages": [HI], "reasoning": {"max_tokens": 5, "exclude": False, "x": 1}},
    "deepseek-thinking": {
        "model": "m",
        "messages": [HI],
        "thinking": {"type": "enabled", "clear_thinking": False},
        "reasoning_effort": "max",
        "reasoning": {"enabled": True},
    },
    "unknown-thinking": {
        "model": "m",
        "messages": [HI],
        "thinking": {"type": "dreamy"},
        "response_format": {"type": "x"},
    },
    "thinking-that-is-no-object": {"model": "m", "messages": [HI], "thinking": True, "reasoning": "high"},
    "formats": {"model": "m", "messages": [HI], "response_format": {"type": "json_object", "schema": SCHEMA}},
    "json-schema": {
        "model": "m",
        "messages": [HI],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA, "strict": True, "x": 1},
        },
    },
    "tools": {
        "model": "m",
        "messages": [HI],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "", "parameters": {}, "strict": False, "x": 1},
            },
            {"function": {"name": "untyped"}},
            {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "parameters": {"max_uses": 1}},
        ],
        "web_search_options": {"search_context_size": "low"},
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
    },
    "mistral-choice": {"model": "m", "messages": [HI], "tool_choice": "any"},
    "unknown-choice": {"model": "m", "messages": [HI], "tool_choice": {"type": "dreamy"}},
    "functions": {
        "model": "m",
        "messages": [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
        "functions": [{"name": "f", "parameters": SCHEMA, "x": 1}],
        "function_call": {"name": "f"},
    },
    "roles-and-forms": {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "a"},
            {"role": "system", "content": [{"type": "text", "text": "b"}], "name": "n"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "c", "x": 1}, {"type": "hologram", "depth": 3}],
                "y": 2,
            },
            {"role": "user", "content": []},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": [{"type": "text", "text": "d"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": "", "refusal": "no", "annotations": []},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "audio": {"id": "audio_1"}},
        ],
    },
    "media": {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1n", "detail": "low", "x": 1}},
                    {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
                    {"type": "image_url", "image_url": "https://example.com/a.png"},
                    {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "mp3", "rate": 1}},
                    {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "flac"}},
                    {"type": "input_audio", "input_audio": "YXVk"},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,cGRm", "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,d29yZHM="}},
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,d29yZHM"}},
                    {"type": "file", "file": {"file_data": "data:image/png;base64,aW1n", "file_id": "file_2"}},
                    {"type": "file", "file": {"file_data": "cGRm"}},
                    {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
                    {"type": "file", "file": {"file_id": "file_1"}},
                    {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
                    {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                ],
            }
        ],
    },
    "cache": {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                    {"type": "text", "text": "c", "cache_control": {"type": "magic"}},
                ],
            }
        ],
    },
    "calls": {
        "model": "m",
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    CALL | {"index": 0, "x": 1},
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}},
                    {"id": "", "function": {"name": "h"}},
                    {"id": "c4", "type": "function", "function": {"name": "i", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "done", "name": "f"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "done"}]},
            {"role": "tool", "content": []},
            {"role": "tool", "tool_call_id": "c4", "content": [{"type": "hologram"}]},
        ],
    },
    "reasoning-plain": history(content="a", reasoning_content="b", reasoning="b", reasoning_text="other"),
    "reasoning-empty": history(content="a", reasoning_content=""),
    "reasoning-details": history(
        content=None,
        reasoning="ab",
        reasoning_details=[
            {"type": "reasoning.text", "index": 0, "text": "a", "format": "anthropic-claude-v1", "id": "r1"},
            {"type": "reasoning.text", "index": 0, "text": "b", "signature": "sig"},
            {"type": "reasoning.summary", "index": 1, "summary": "c", "format": None},
            {"type": "reasoning.encrypted", "index": 1, "data": "enc", "format": "openai-responses-v1"},
            {"type": "reasoning.server_tool_call", "index": 2},
            {"type": "reasoning.text", "index": 3, "text": "", "signature": "sig", "format": "unheard-of", "x": 1},
        ],
        thinking_blocks=[{"type": "thinking", "thinking": "z", "signature": "s"}],
        tool_calls=[CALL],
    ),
    "thinking-blocks": history(
        content="a",
        reasoning_content="b",
        thinking_blocks=[
            {"type": "thinking", "thinking": "b", "signature": "s", "x": 1},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "dream"},
        ],
    ),
    "copilot": history(content="a", reasoning_text="b", reasoning_opaque="o"),
    "copilot-opaque-alone": history(content="a", reasoning_opaque="o"),
    "gemini-signatures": history(
        content="a",
        tool_calls=[
            CALL | {"extra_content": {"google": {"thought_signature": "c2ln"}}},
            CALL | {"id": "c2", "extra_content": {"vertex": {"thought_signature": "c2ln"}, "x": 1}},
        ],
        extra_content={"google": {"thought_signature": "bXNn"}},
    ),
    "mistral-thinking": history(
        content=[
            {
                "type": "thinking",
                "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "closed": True,
            },
            {"type": "thinking", "thinking": "c", "signature": "s"},
            {"type": "thinking", "thinking": [{"type": "reference", "reference_ids": [1]}]},
            {"type": "text", "text": "d"},
        ]
    ),
    "databricks-reasoning": history(
        content=[
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            },
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "c", "signature": "s"}]},
            {"type": "text", "text": "d"},
        ]
    ),
}


@pytest.mark.parametrize("name", AS_IT_WAS)
def test_the_same_dialect_writes_it_as_it_was(name: str) -> None:
    body, losses = rewritten(AS_IT_WAS[name])
    assert said(body) == said(AS_IT_WAS[name])
    assert losses == []


def test_model_and_stream_of_the_options_count() -> None:
    body = {"model": "m", "messages": [HI], "stream": True, "stream_options": {"include_usage": True}}
    assert rewritten(body, model="n", stream=False)[0] == {"model": "n", "messages": [HI], "stream": False}
    assert rewritten({"messages": [HI]}, model="in the URL")[0] == {"messages": [HI]}


# Settings, as read


def test_settings_are_read() -> None:
    request = requests.read(AS_IT_WAS["settings"], RequestOptions())
    assert request.model == "m"
    assert (request.stream, request.include_usage, request.max_output) == (True, True, 9)
    assert (request.temperature, request.top_p, request.top_k, request.seed, request.choices) == (0.5, 1, 4, 1, 2)
    assert request.stop == ["a", "b", "c", "d", "e"]
    assert (request.frequency_penalty, request.presence_penalty) == (0, 0.1)
    assert (request.logit_bias, request.logprobs, request.top_logprobs) == ({"50256": -100}, True, 2)
    assert request.thinking == Thinking(path="reasoning_effort", effort="xhigh")
    assert (request.verbosity, request.parallel, request.user, request.tier) == ("low", False, "u", "on_demand")
    assert (request.metadata, request.cache_key, request.store) == ({"a": "b"}, "k", False)
    assert list(request.extra) == ["prediction", "stream_options.include_obfuscation"]
    assert request.noise["modalities"] == ["text"]
    assert request.paths["include_usage"] == "stream_options.include_usage"


def test_the_newer_name_of_a_setting_counts() -> None:
    request = requests.read(AS_IT_WAS["names-of-settings"], RequestOptions())
    assert (request.max_output, request.user) == (2, "b")
    assert request.extra == {"max_tokens": 1, "user": "a"}
    assert request.paths["max_output"] == "max_completion_tokens"


def test_a_streaming_client_that_did_not_ask_gets_no_usage() -> None:
    assert read(stream=True).include_usage is False
    assert read().include_usage is None


@pytest.mark.parametrize(
    ("body", "thinking"),
    [
        ({"reasoning_effort": "none"}, {"mode": "off"}),
        ({"reasoning_effort": "minimal"}, {"effort": "minimal"}),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"effort": "low", "show": "none"}),
        ({"reasoning": {"effort": "none"}}, {"mode": "off"}),
        ({"reasoning": {"enabled": True, "max_tokens": 7}}, {"mode": "on", "budget": 7}),
        ({"thinking": {"type": "disabled"}}, {"mode": "off"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 7}}, {"mode": "on", "budget": 7}),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "high"}, {"mode": "auto", "effort": "high"}),
    ],
)
def test_vendors_ways_to_ask_for_reasoning(body: dict[str, Any], thinking: dict[str, Any]) -> None:
    found = read(**body).thinking
    assert found is not None
    names = ("mode", "effort", "budget", "show")
    assert {name: value for name in names if (value := getattr(found, name)) is not None} == thinking


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ({"type": "text"}, Format(kind="text", path="response_format")),
        ({"type": "json_object"}, Format(kind="json", path="response_format")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True}},
            Format(kind="schema", name="n", description="d", schema=SCHEMA, strict=True, path="response_format"),
        ),
    ],
)
def test_formats_are_read(format: dict[str, Any], expected: Format) -> None:
    assert read(response_format=format).format == expected


def test_tools_are_read() -> None:
    request = requests.read(AS_IT_WAS["tools"], RequestOptions())
    function, untyped, cached, custom, hosted, search = request.tools
    assert (function.kind, function.name, function.schema, function.strict) == ("function", "f", {}, False)
    assert (function.path, function.extra) == ("tools[0]", {"function.x": 1})
    assert (untyped.kind, untyped.name, untyped.schema) == ("function", "untyped", None)
    assert (cached.cache, cached.extra) == (Cache("1h"), {})
    assert (custom.kind, custom.name, custom.extra, custom.grammar) == ("custom", "c", {}, None)
    assert custom.noise == {"custom.format": {"type": "text"}}
    assert (hosted.kind, hosted.name, hosted.hosted) == ("hosted", "openrouter:web_search", "web_search")
    assert (search.hosted, search.path, search.extra) == (
        "web_search",
        "web_search_options",
        {"search_context_size": "low"},
    )


@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        ("auto", "auto", []),
        ("none", "none", []),
        ("required", "any", []),
        ("any", "any", []),
        ({"type": "function", "function": {"name": "f"}}, "any", [("", "f")]),
        ({"function": {"name": "f"}}, "any", [("", "f")]),
        ({"type": "custom", "custom": {"name": "f"}}, "any", [("", "f")]),
        (AS_IT_WAS["tools"]["tool_choice"], "any", [("", "f")]),
    ],
)
def test_tool_choices_are_read(choice: Any, mode: str, names: list[tuple[str, str]]) -> None:
    found = read(tool_choice=choice).tool_choice
    assert found is not None and (found.mode, found.names, found.path) == (mode, names, "tool_choice")


# Messages, as read


def test_each_message_is_a_turn() -> None:
    turns = read(
        {"role": "developer", "content": "a"},
        {"role": "user", "content": "b", "name": "n"},
        {"role": "assistant", "content": "c", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "d"},
    ).turns
    assert [(turn.role, turn.name, turn.path) for turn in turns] == [
        ("developer", "", "messages[0]"),
        ("user", "n", "messages[1]"),
        ("assistant", "", "messages[2]"),
        ("user", "", "messages[3]"),
    ]
    text, call = turns[2].parts
    assert isinstance(text, Text) and (text.text, text.path) == ("c", "messages[2].content")
    assert isinstance(call, Call) and (call.id, call.name, call.arguments) == ("c1", "f", '{"a" : 1}')
    assert call.path == "messages[2].tool_calls[0]"
    [result] = turns[3].parts
    assert isinstance(result, Result) and (result.id, result.path) == ("c1", "messages[3]")


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1n", "detail": "low"}},
            {"kind": "image", "media_type": "image/png", "data": "aW1n", "detail": "low"},
        ),
        ({"type": "image_url", "image_url": "https://example.com"}, {"kind": "image", "url": "https://example.com"}),
        (
            {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "mp3"}},
            {"kind": "audio", "media_type": "audio/mpeg", "data": "YXVk"},
        ),
        ({"type": "input_audio", "input_audio": "YXVk"}, {"kind": "audio", "data": "YXVk"}),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,cGRm", "filename": "a.pdf"}},
            {"kind": "document", "media_type": "application/pdf", "data": "cGRm", "name": "a.pdf"},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,d29yZHM="}},
            {"kind": "document", "media_type": "text/plain", "text": "words"},
        ),
        ({"type": "file", "file": {"file_id": "file_1"}}, {"kind": "file", "file_id": "file_1"}),
        (
            {"type": "document_url", "document_url": "https://example.com", "document_name": "a"},
            {"kind": "document", "url": "https://example.com", "name": "a"},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,dmlk"}},
            {"kind": "video", "media_type": "video/mp4", "data": "dmlk"},
        ),
        (
            {"type": "audio_url", "audio_url": {"url": "https://example.com"}},
            {"kind": "audio", "url": "https://example.com"},
        ),
    ],
)
def test_media_are_read(block: dict[str, Any], fields: dict[str, Any]) -> None:
    [media] = content(block)
    names = ("kind", "media_type", "data", "text", "url", "file_id", "name", "detail")
    assert {name: value for name in names if (value := getattr(media, name))} == fields
    assert (media.path, media.extra) == ("messages[0].content[0]", {})


def test_other_parts_are_read() -> None:
    text, refusal, hologram = content(
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"type": "refusal", "refusal": "no"},
        {"type": "hologram", "depth": 3},
        role="assistant",
    )
    assert isinstance(text, Text) and (text.text, text.cache, text.extra) == ("a", Cache("5m"), {})
    assert isinstance(refusal, Text) and (refusal.text, refusal.refusal) == ("no", True)
    assert isinstance(hologram, Foreign) and hologram.kind == "hologram"
    assert hologram.payload == {"type": "hologram", "depth": 3}


def test_results_without_ids_follow_the_order_of_their_calls() -> None:
    turns = read(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"function": {"name": "f"}}, {"function": {"name": "g"}}],
        },
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2", "name": "g"},
    ).turns
    assert [part.name for turn in turns[1:] for part in turn.parts if isinstance(part, Result)] == ["f", "g"]


def test_an_id_carried_through_another_dialect_is_given_back() -> None:
    body = CALL | {"id": "ccproxy_ZnVuY3Rpb25zLmdldF93ZWF0aGVyOjA"}
    [call] = answer(content=None, tool_calls=[body])
    assert isinstance(call, Call) and call.id == "functions.get_weather:0"


def test_what_the_provider_holds_is_named() -> None:
    request = read(HI, {"role": "assistant", "audio": {"id": "audio_1"}}, modalities=["text", "audio"])
    assert request.held == [("modalities", "an answer in audio"), ("messages[1].audio", "the audio 'audio_1'")]


# Reasoning, as read


def thoughts(**fields: Any) -> list[tuple[str, Sealed | None]]:
    return [(part.text, part.signature) for part in answer(**fields) if isinstance(part, Thought)]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
def test_plain_reasoning(field: str) -> None:
    assert thoughts(content="a", **{field: "b"}) == [("b", None)]


@pytest.mark.parametrize(
    ("entry", "text", "signature"),
    [
        (
            {
                "type": "reasoning.text",
                "text": "a",
                "signature": "s",
                "format": "anthropic-claude-v1",
                "model": "claude",
            },
            "a",
            Sealed("anthropic", "claude", "s"),
        ),
        ({"type": "reasoning.text", "text": "a", "signature": "s"}, "a", Sealed("openai-chat/", "", "s")),
        (
            {"type": "reasoning.text", "text": "a", "signature": "s", "format": "moon-v2"},
            "a",
            Sealed("openai-chat/moon-v2", "", "s"),
        ),
        (
            {"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1", "model": "gpt"},
            "",
            Sealed("openai", "gpt", "d", redacted=True),
        ),
        (  # without a model it is a Chat server's own
            {"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1"},
            "",
            Sealed("openai-chat/openai-responses-v1", "", "d", redacted=True),
        ),
        ({"type": "reasoning.summary", "summary": "a"}, "a", None),
        (
            {
                "type": "reasoning.text",
                "signature": envelope("openai-chat/x", model="m", redacted=True),
                "format": "unknown",
            },
            "",
            Sealed("openai-chat/x", "m", "c2ln", redacted=True),
        ),
    ],
)
def test_reasoning_details(entry: dict[str, Any], text: str, signature: Sealed | None) -> None:
    assert thoughts(content="a", reasoning_details=[entry]) == [(text, signature)]


def servers_own(value: str) -> Sealed:
    """The signature of a Chat server."""
    return Sealed("openai-chat/anthropic-claude-v1", "", value)


def test_fragments_of_one_entry_are_one() -> None:
    fragments = [
        {"type": "reasoning.text", "index": 0, "text": "a", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "index": 0, "text": "b"},
        {"type": "reasoning.text", "index": 0, "signature": "s"},
        {"type": "reasoning.text", "index": 1, "text": "c"},
    ]
    assert thoughts(content="a", reasoning_details=fragments) == [("ab", servers_own("s")), ("c", None)]


def test_one_signature_is_of_the_plain_text() -> None:
    entry = {"type": "reasoning.text", "index": 0, "signature": "s", "format": "anthropic-claude-v1"}
    assert thoughts(content="a", reasoning_content="b", reasoning_details=[entry]) == [("b", servers_own("s"))]


def test_text_in_later_entries_is_the_end_of_the_plain_text() -> None:
    """As the writer of answers has it: it can't know at the first that there will be another."""
    entry = {"type": "reasoning.text", "format": "anthropic-claude-v1", "model": "claude"}
    entries = [entry | {"signature": "s"}, entry | {"signature": "t", "text": "two"}]
    assert thoughts(content="a", reasoning_content="onetwo", reasoning_details=entries) == [
        ("one", Sealed("anthropic", "claude", "s")),
        ("two", Sealed("anthropic", "claude", "t")),
    ]


def test_of_several_signatures_nobody_knows_whose_the_text_is() -> None:
    entries = [{"type": "reasoning.text", "signature": s, "format": "anthropic-claude-v1"} for s in ("s", "t")]
    assert thoughts(content="a", reasoning_content="b", reasoning_details=entries) == [
        ("b", None),
        ("", servers_own("s")),
        ("", servers_own("t")),
    ]


def test_text_that_repeats_the_entries_is_read_once() -> None:
    block = {"type": "thinking", "thinking": "b", "signature": "s"}
    assert thoughts(content="a", reasoning_content="b", thinking_blocks=[block]) == [
        ("b", Sealed("openai-chat/thinking_blocks", "", "s"))
    ]


def test_text_that_differs_from_the_entries_is_kept() -> None:
    message = {"role": "assistant", "reasoning": "x", "reasoning_details": [{"type": "reasoning.text", "text": "b"}]}
    assert read(message).turns[0].extra == {"reasoning": "x"}


def test_thinking_blocks() -> None:
    blocks = [{"type": "thinking", "thinking": "b", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    assert thoughts(content="a", thinking_blocks=blocks) == [
        ("b", Sealed("openai-chat/thinking_blocks", "", "s")),
        ("", Sealed("openai-chat/thinking_blocks", "", "d", redacted=True)),
    ]


def test_copilot_reasoning() -> None:
    scheme = "openai-chat/reasoning_opaque"
    assert thoughts(reasoning_text="b", reasoning_opaque="o") == [("b", Sealed(scheme, "", "o"))]
    assert thoughts(content="a", reasoning_opaque="o") == [("", Sealed(scheme, "", "o", redacted=True))]
    assert answer(content="a", reasoning_opaque="o")[0].path == "messages[0].reasoning_opaque"  # and not all of it


@pytest.mark.parametrize(("model", "scheme"), [("", "openai-chat/google"), ("gemini-3", "gemini")])
def test_a_signature_on_a_call_comes_before_it(model: str, scheme: str) -> None:
    """With the model it is Gemini's own, which a Chat client was given; without it that of Google's Chat server."""
    google = {"thought_signature": "c2ln"} | ({"model": model} if model else {})
    signed = CALL | {"id": "c2", "extra_content": {"google": google}}
    first, thought, second = answer(content=None, tool_calls=[CALL, signed])
    assert isinstance(first, Call) and isinstance(second, Call) and second.extra == {}
    assert isinstance(thought, Thought) and thought.signature == Sealed(scheme, model, "c2ln", signs="call")


def test_a_signature_of_the_message_signs_its_text_or_its_first_call() -> None:
    extra = {"google": {"thought_signature": "c2ln"}}
    text, thought = answer(content="a", extra_content=extra)
    assert isinstance(text, Text) and isinstance(thought, Thought) and thought.signature
    assert thought.signature.signs == "text"
    thought, call = answer(content=None, tool_calls=[CALL], extra_content=extra)
    assert isinstance(call, Call) and isinstance(thought, Thought) and thought.signature
    assert thought.signature.signs == "call"


@pytest.mark.parametrize(("signs", "kinds"), [("call", [Text, Thought, Call]), ("text", [Text, Thought, Call])])
def test_a_carried_signature_stands_beside_what_it_signs(signs: str, kinds: list[type]) -> None:
    entry = {"type": "reasoning.text", "signature": envelope("gemini", signs=signs), "format": "unknown"}
    assert [type(part) for part in answer(content="a", reasoning_details=[entry], tool_calls=[CALL])] == kinds


def test_reasoning_in_the_content() -> None:
    blocks = AS_IT_WAS["mistral-thinking"]["messages"][1]["content"]
    found = content(*blocks, role="assistant")
    assert [type(part) for part in found] == [Thought, Thought, Foreign, Text]
    assert isinstance(found[0], Thought) and found[0].text == "ab"
    assert isinstance(found[1], Thought) and found[1].signature == Sealed("openai-chat/content", "", "s")
    blocks = AS_IT_WAS["databricks-reasoning"]["messages"][1]["content"]
    assert [part.text for part in content(*blocks, role="assistant") if isinstance(part, Thought)] == ["a", "b", "c"]


# Refused when read


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": [HI]}, "model"),
        ({"model": 1, "messages": [HI]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": "hi"}, "messages"),
        ({"model": "m", "messages": ["hi"]}, "messages[0]"),
        ({"model": "m", "messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "messages[0].content[0].type"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].input_audio.data",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].file.file_data",
        ),
        (history(tool_calls=[{"id": "c", "type": "magic"}]), "messages[1].tool_calls[0].type"),
        (history(tool_calls=[{"id": "c", "type": "function"}]), "messages[1].tool_calls[0].function.name"),
        (
            history(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": {}}}]),
            "messages[1].tool_calls[0].function.arguments",
        ),
        ({"model": "m", "messages": [HI, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        (
            {"model": "m", "messages": [HI, {"role": "tool", "content": "x", "tool_call_id": "c9"}]},
            "messages[1].tool_call_id",
        ),
        (
            {
                "model": "m",
                "messages": [*history(tool_calls=[CALL])["messages"], {"role": "tool", "tool_call_id": "c1"}],
            },
            "messages[2].content",
        ),
        ({"model": "m", "messages": [HI, {"role": "function", "content": "x"}]}, "messages[1].name"),
        ({"model": "m", "messages": [HI], "temperature": "hot"}, "temperature"),
        ({"model": "m", "messages": [HI], "max_tokens": 1.5}, "max_tokens"),
        ({"model": "m", "messages": [HI], "stop": [1]}, "stop"),
        ({"model": "m", "messages": [HI], "stop": 1}, "stop"),
        ({"model": "m", "messages": [HI], "stream_options": True}, "stream_options"),
        ({"model": "m", "messages": [HI], "tools": [{}]}, "tools[0].type"),
        ({"model": "m", "messages": [HI], "tools": [{"type": "function"}]}, "tools[0].function.name"),
        (
            {
                "model": "m",
                "messages": [HI],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}],
            },
            "tools[0].function.parameters",
        ),
        ({"model": "m", "messages": [HI], "tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"model": "m", "messages": [HI], "tool_choice": 1}, "tool_choice"),
        ({"model": "m", "messages": [HI], "tool_choice": {"type": 1, "allowed_tools": {}}}, "tool_choice.type"),
        (
            {
                "model": "m",
                "messages": [HI],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": 1}]}},
            },
            "tool_choice.allowed_tools.tools[0].type",
        ),
        ({"model": "m", "messages": [HI], "response_format": {"type": []}}, "response_format.type"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": 1}]}]}, "messages[0].content[0].type"),
    ],
)
def test_bad_input_is_refused_with_its_place(body: dict[str, Any], path: str) -> None:
    with pytest.raises((RequestRefused, FieldError)) as caught:
        requests.read(body, RequestOptions())
    assert caught.value.path == path


def test_many_results_without_ids_find_their_calls() -> None:
    """By name where they have one, else in order."""
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("f", "g", "f", "h")]
    results = [
        {"role": "tool", "content": str(n)} | ({"name": name} if name else {})
        for n, name in enumerate(("g", "", "f", "h"))
    ]
    request = read(HI, {"role": "assistant", "tool_calls": calls}, *results)
    assert [part.name for turn in request.turns[2:] for part in turn.parts if isinstance(part, Result)] == [
        "g",
        "f",
        "f",
        "h",
    ]
    with pytest.raises(RequestRefused) as caught:
        read(HI, {"role": "assistant", "tool_calls": calls}, *results, {"role": "tool", "content": "one too many"})
    assert caught.value.path == "messages[6].tool_call_id"


def test_nothing_left_to_send() -> None:
    compaction = Foreign(kind="compaction", payload={}, path="input[0]")
    with pytest.raises(RequestRefused) as caught:
        write(other(Turn(role="assistant", parts=[compaction], path="input[0]")))
    assert caught.value.path == "input[0]"


def test_the_schema_of_a_custom_tool_is_ones_own() -> None:
    tool = Tool(kind="custom", name="patch")
    first, _ = write(other(tools=[tool]))
    first["tools"][0]["function"]["parameters"]["properties"]["input"]["type"] = "spoilt"
    second, _ = write(other(tools=[tool]))
    assert second["tools"][0]["function"]["parameters"]["properties"] == {"input": {"type": "string"}}


# Settings, as written


def test_settings_are_written() -> None:
    request = other(
        stream=True,
        max_output=9,
        temperature=0.5,
        top_p=1,
        stop=["a"],
        seed=1,
        choices=2,
        frequency_penalty=0,
        presence_penalty=0.1,
        logit_bias={"5": -1},
        logprobs=True,
        top_logprobs=2,
        verbosity="low",
        user="u",
        metadata={"a": "b"},
        tier="flex",
        cache_key="k",
        store=False,
        thinking=Thinking(effort="high", path="at.thinking"),
    )
    assert write(request) == (
        {
            "model": "m",
            "messages": [HI],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 9,
            "temperature": 0.5,
            "top_p": 1,
            "stop": ["a"],
            "seed": 1,
            "n": 2,
            "frequency_penalty": 0,
            "presence_penalty": 0.1,
            "logit_bias": {"5": -1},
            "logprobs": True,
            "top_logprobs": 2,
            "verbosity": "low",
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "store": False,
            "reasoning_effort": "high",
        },
        [],
    )


@pytest.mark.parametrize(
    ("settings", "options", "fields", "losses"),
    [
        ({"max_output": 9}, {"max_tokens_field": "max_tokens"}, {"max_tokens": 9}, []),
        ({"model": "m"}, {"model": "n"}, {"model": "n"}, []),
        ({"stream": True}, {"stream": False}, {"stream": False}, []),
        ({}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}, []),
        ({"top_k": 3}, {}, {}, ["field (at.top_k): top_k: there is no such setting"]),
        ({"stop": []}, {}, {}, []),
        (
            {"stop": list("abcde")},
            {},
            {"stop": list("abcd")},
            ["field (at.stop): stop: 5 sequences, of which the first 4 are kept"],
        ),
        ({"tier": "standard"}, {}, {"service_tier": "default"}, ["field (at.tier): tier: standard became default"]),
        ({"tier": "slow"}, {}, {}, ["field (at.tier): tier: there is no slow"]),
        ({"parallel": False}, {}, {}, ["field (at.parallel): parallel: there are no tools"]),
        (
            {"top_logprobs": 2},
            {},
            {"logprobs": True, "top_logprobs": 2},
            ["default (at.top_logprobs): logprobs: asked for, since top_logprobs needs it"],
        ),
    ],
)
def test_settings_that_differ(
    settings: dict[str, Any], options: dict[str, Any], fields: dict[str, Any], losses: list[str]
) -> None:
    body, told = write(other(**settings), **options)
    assert (body, told) == ({"model": "m", "messages": [HI]} | fields, losses)


@pytest.mark.parametrize(
    ("thinking", "effort", "losses"),
    [
        ({"mode": "off"}, "none", []),
        ({"effort": "max"}, "max", []),
        ({"mode": "on", "effort": "low"}, "low", []),
        ({"budget": 20000}, "high", ["budget: 20000 tokens became the effort high"]),
        ({"effort": "low", "budget": 9}, "low", ["budget: 9 tokens, told by the effort low alone"]),
        ({"mode": "auto"}, None, ["mode: auto without an effort can't be said"]),
        ({"mode": "auto", "effort": "low"}, "low", ["mode: auto became the effort low"]),
        ({"show": "auto"}, None, ["show: auto: what is shown of reasoning can't be asked for"]),
    ],
)
def test_how_much_to_reason(thinking: dict[str, Any], effort: str | None, losses: list[str]) -> None:
    body, told = write(other(thinking=Thinking(path="at", **thinking)))
    assert body.get("reasoning_effort") == effort
    assert told == [f"field (at): {loss}" for loss in losses]


def test_formats_are_written() -> None:
    assert write(other(format=Format(kind="json")))[0]["response_format"] == {"type": "json_object"}
    assert write(other(format=Format(kind="text")))[0]["response_format"] == {"type": "text"}
    body, losses = write(other(format=Format(kind="schema", schema=SCHEMA, strict=True, path="at")))
    expected = {"name": "response", "schema": SCHEMA, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": expected}
    assert losses == ["default (at): name: 'response', since one is needed"]


# Tools, as written


FUNCTION = Tool(kind="function", name="f", description="d", schema=SCHEMA, strict=True, path="tools[0]")
CUSTOM = Tool(kind="custom", name="c", path="tools[1]")


def test_tools_are_written() -> None:
    tools = [FUNCTION, Tool(kind="function", name="get it", namespace="ns"), CUSTOM]
    body, losses = write(other(tools=tools, parallel=False))
    function, named, custom = body["tools"]
    described = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    assert function == {"type": "function", "function": described}
    assert named["function"]["name"].startswith("ns__get_it_") and list(named["function"]) == ["name"]
    assert custom["function"]["parameters"] == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert body["parallel_tool_calls"] is False
    assert losses == [
        "custom_tool (tools[1]): custom: a function with the argument input, since not every server has custom tools"
    ]


def test_custom_tools_of_a_server_that_knows_them() -> None:
    turns = (
        assistant(Call(id="c1", name="c", arguments="free", custom=True)),
        user(Result(id="c1", parts=[Text(text="done")])),
    )
    request = other(*turns, tools=[CUSTOM], tool_choice=ToolChoice(mode="any", names=[("", "c")]))
    body, losses = write(request, custom_tools=True)
    assert body["tools"] == [{"type": "custom", "custom": {"name": "c"}}]
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}
    call = {"id": "c1", "type": "custom", "custom": {"name": "c", "input": "free"}}
    assert body["messages"][0]["tool_calls"] == [call]
    assert losses == []


def test_hosted_tools() -> None:
    search = Tool(kind="hosted", name="web_search", hosted="web_search", extra={"max_uses": 1}, path="tools[0]")
    code = Tool(kind="hosted", name="code_execution", hosted="code_execution", path="tools[1]")
    choice = ToolChoice(mode="any", names=[("", "code_execution")], path="choice")
    body, losses = write(other(tools=[search]))  # which most servers refuse
    assert body == {"model": "m", "messages": [HI]}
    assert losses[1:] == ["part (tools[0]): web_search: the option web_search is off"]
    body, losses = write(other(tools=[search, code], tool_choice=choice), web_search=True)
    assert body == {"model": "m", "messages": [HI], "web_search_options": {}}
    assert losses == [
        "field (tools[0].max_uses): max_uses: there is no such field",
        "part (tools[1]): there is no tool code_execution",
        "field (choice): tool_choice: there are no tools to choose from",
    ]


@pytest.mark.parametrize(
    ("mode", "names", "expected"),
    [
        ("auto", [], "auto"),
        ("none", [], "none"),
        ("any", [], "required"),
        ("any", ["f"], {"type": "function", "function": {"name": "f"}}),
        (
            "auto",
            ["f"],
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
        (
            "any",
            ["f", "c"],
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "function", "function": {"name": "c"}},
                    ],
                },
            },
        ),
        ("any", ["gone"], "auto"),
    ],
)
def test_tool_choices_are_written(mode: Any, names: list[str], expected: Any) -> None:
    choice = ToolChoice(mode=mode, names=[("", name) for name in names], path="choice")
    body, losses = write(other(tools=[FUNCTION, CUSTOM], tool_choice=choice))
    assert body["tool_choice"] == expected
    told = [loss for loss in losses if "(choice)" in loss]
    assert told == (["field (choice): tool_choice: a tool that there is not here"] if names == ["gone"] else [])


def test_a_choice_without_tools_says_nothing() -> None:
    assert write(other(tool_choice=ToolChoice(mode="auto"))) == ({"model": "m", "messages": [HI]}, [])


# Messages, as written


def test_turns_are_written() -> None:
    turns = (
        Turn(role="system", parts=[Text(text="a"), Text(text="b")]),
        Turn(role="developer", parts=[Text(text="c")]),
        Turn(role="user", name="n", parts=[Text(text="d")]),
        assistant(Text(text="e"), Call(id="c1", name="f", path="call")),
        user(Result(id="c1", parts=[Text(text="g")]), Text(text="h")),
        assistant(Text(text="no", refusal=True)),
    )
    assert messages(*turns) == (
        [
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "system", "content": "c"},
            {"role": "user", "name": "n", "content": "d"},
            {
                "role": "assistant",
                "content": "e",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "g"},
            {"role": "user", "content": "h"},
            {"role": "assistant", "content": None, "refusal": "no"},
        ],
        [],
    )


def test_text_after_a_call_comes_before_it() -> None:
    turns = (
        assistant(Call(id="c1", name="f", arguments="{}"), Text(text="a", path="late")),
        user(Result(id="c1", parts=[])),
    )
    told, losses = messages(*turns)
    assert told[0]["content"] == "a" and told[1] == {"role": "tool", "tool_call_id": "c1", "content": ""}
    assert losses == ["order (late): it comes before what it followed"]


def test_ids_longer_than_openai_takes_are_shortened() -> None:
    kept, _ = messages(*called("c" * 40))
    assert kept[0]["tool_calls"][0]["id"] == kept[1]["tool_call_id"] == "c" * 40
    (call, result), losses = messages(*called("c" * 41))
    id = call["tool_calls"][0]["id"]
    assert id == result["tool_call_id"]
    assert len(id) <= 40
    told = f"id: longer than 40 characters, became {id}"
    assert losses == [f"repair (t[1].call): {told}", f"repair (t[2].result): {told}"]


def test_free_text_of_a_custom_call_is_an_argument() -> None:
    turns = (
        assistant(Call(id="c1", name="c", arguments='say "hi"', custom=True, path="call")),
        user(Result(id="c1", parts=[Text(text="done")])),
    )
    told, losses = messages(*turns)
    assert told[0]["tool_calls"][0]["function"] == {"name": "c", "arguments": '{"input":"say \\"hi\\""}'}
    assert losses == ["custom_tool (call): custom: the input is an argument"]


def test_an_error_is_told_by_the_text() -> None:
    call, _ = called()
    result = Result(id="c1", is_error=True, parts=[Text(text="a"), Text(text="b")], path="result")
    told, losses = messages(call, user(result))
    assert told[1]["content"] == [{"type": "text", "text": "Error: a"}, {"type": "text", "text": "b"}]
    assert losses == ["field (result): is_error: told by the text alone"]
    call, _ = called()
    assert messages(call, user(Result(id="c1", is_error=True)))[0][1]["content"] == "Error: "


def test_an_image_in_a_result_follows_it() -> None:
    call, _ = called()
    image = Media(kind="image", media_type="image/png", data="aW1n", path="image")
    told, losses = messages(call, user(Result(id="c1", parts=[image, Text(text="a")]), Text(text="b")))
    assert told[1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1n"}},
                {"type": "text", "text": "b"},
            ],
        },
    ]
    assert losses == ["order (image): it follows in a message of the user, since a result is text"]


def test_caching_hints() -> None:
    turn = user(Text(text="a", cache=Cache("5m"), path="a"), Text(text="b", cache=Cache(), path="b"))
    told, losses = messages(turn)
    assert told[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert losses == [f"field ({path}): cache: the option cache_breakpoints is off" for path in "ab"]
    told, losses = messages(turn, cache_breakpoints=True)
    assert told[0]["content"] == [
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
        {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]
    assert losses == ["field (a): cache: the lifetime 5m became 30m"]


@pytest.mark.parametrize(
    ("media", "block", "losses"),
    [
        (
            {"kind": "image", "url": "https://example.com", "detail": "high"},
            {"type": "image_url", "image_url": {"url": "https://example.com", "detail": "high"}},
            [],
        ),
        (
            {"kind": "image", "data": "aW1n", "media_type": "image/png", "name": "n", "detail": "ultra"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1n"}},
            ["field (at): detail: there is no ultra", "field (at): name: images have none"],
        ),
        (
            {"kind": "image", "url": "https://example.com", "media_type": "image/png"},
            {"type": "image_url", "image_url": {"url": "https://example.com"}},
            ["field (at): media_type: a URL has none"],
        ),
        (
            {"kind": "audio", "data": "YXVk", "media_type": "audio/x-wav", "name": "n"},
            {"type": "input_audio", "input_audio": {"data": "YXVk", "format": "wav"}},
            ["field (at): media_type: audio/x-wav is wav here", "field (at): name: recordings have none"],
        ),
        (
            {"kind": "document", "data": "cGRm", "media_type": "application/pdf", "name": "a.pdf"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
            [],
        ),
        (
            {"kind": "document", "data": "cGRm", "media_type": "application/pdf"},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
            ["default (at): name: document.pdf, since one is needed"],
        ),
    ],
)
def test_media_are_written(media: dict[str, Any], block: dict[str, Any], losses: list[str]) -> None:
    told, lost = messages(user(Media(path="at", **media)))
    assert (told[0]["content"], lost) == ([block], losses)


@pytest.mark.parametrize(
    ("media", "text"),
    [
        ({"text": "words"}, "words"),
        ({"text": "words", "name": "a.txt", "media_type": "text/plain"}, "a.txt\nwords"),
        ({"data": "YSxi", "name": "a.csv", "media_type": "text/csv"}, "a.csv\na,b"),
    ],
)
def test_documents_of_plain_text_are_text(media: dict[str, Any], text: str) -> None:
    document = Media(kind="document", path="at", **media)
    losses = ["field (at): document: text here, as a file must be a PDF"]
    told, lost = messages(user(document))
    assert (told[0]["content"], lost) == (text, losses)
    call, _ = called()
    told, lost = messages(call, user(Result(id="c1", parts=[document])))
    assert (told[-1], lost) == ({"role": "tool", "tool_call_id": "c1", "content": text}, losses)


def test_text_that_is_none_stays_a_file() -> None:
    latin = Media(kind="document", path="at", data="/w==", name="a.csv", media_type="text/csv")
    told, lost = messages(user(latin))
    assert told[0]["content"][0]["file"]["file_data"] == "data:text/csv;base64,/w=="
    assert lost == []


@pytest.mark.parametrize(
    "media",
    [
        {"kind": "image", "file_id": "file_1"},
        {"kind": "image"},
        {"kind": "audio", "url": "https://example.com"},
        {"kind": "audio", "data": "YXVk", "media_type": "audio/flac"},
        {"kind": "audio", "data": "YXVk"},
        {"kind": "video", "data": "dmlk", "media_type": "video/mp4"},
        {"kind": "document", "url": "https://example.com"},
        {"kind": "file", "file_id": "file_1"},
    ],
)
def test_media_that_have_no_place_are_refused(media: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused) as caught:
        write(other(user(Media(path="at", **media))))
    assert caught.value.path == "at" and caught.value.reason


def test_parts_that_have_no_place_are_dropped() -> None:
    image = Media(kind="image", url="https://example.com", path="image")
    foreign = Foreign(kind="server_tool_use", payload={}, path="foreign")
    told, losses = messages(user(Text(text="hi")), assistant(foreign, image))
    assert told == [HI]
    assert losses == [
        "part (foreign): there is no server_tool_use here",
        "part (image): a message of role assistant is text",
    ]


# Reasoning, as written


def thought(scheme: str, text: str = "t", redacted: bool = False, signs: Any = "part", **fields: Any) -> Thought:
    sealed = Sealed(scheme, "m", "c2ln", redacted, signs)
    return Thought(text=text, signature=sealed, path="thought", **fields)


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        (
            thought("openai-chat/anthropic-claude-v1"),
            {
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "t",
                        "signature": "c2ln",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    }
                ]
            },
        ),
        (
            thought("openai-chat/", redacted=True, text=""),
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "c2ln", "index": 0}]},
        ),
        (  # what is signed was reasoning, though it came back through a dialect that shows it as a summary
            thought("openai-chat/x", channel="summary"),
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "t", "signature": "c2ln", "format": "x", "index": 0}
                ]
            },
        ),
        (
            thought("openai-chat/x#model", text="", redacted=True),
            {
                "reasoning_details": [
                    {"type": "reasoning.encrypted", "data": "c2ln", "format": "x", "model": "m", "index": 0}
                ]
            },
        ),
        (
            thought("openai-chat/thinking_blocks"),
            {"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "c2ln"}]},
        ),
        (
            thought("openai-chat/thinking_blocks", text="", redacted=True),
            {"thinking_blocks": [{"type": "redacted_thinking", "data": "c2ln"}]},
        ),
        (thought("openai-chat/reasoning_opaque"), {"reasoning_text": "t", "reasoning_opaque": "c2ln"}),
        (thought("openai-chat/reasoning_opaque", text="", redacted=True), {"reasoning_opaque": "c2ln"}),
        (
            thought("openai-chat/google", text="", signs="text"),
            {"extra_content": {"google": {"thought_signature": "c2ln"}}},
        ),
        (
            thought("openai-chat/content"),
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "t"}], "signature": "c2ln"},
                    {"type": "text", "text": "a"},
                ]
            },
        ),
        (Thought(text="t"), {"reasoning_content": "t"}),
    ],
)
def test_what_a_chat_server_signed_goes_back_in_its_form(part: Thought, fields: dict[str, Any]) -> None:
    told, losses = messages(user(Text(text="hi")), assistant(part, Text(text="a")))
    assert told[1] == {"role": "assistant", "content": "a"} | fields
    assert losses == []


def test_a_signature_goes_on_the_call_that_follows() -> None:
    told, losses = messages(*called("c1", thought("openai-chat/google", text="", signs="call")))
    assert told[0]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert losses == []


@pytest.mark.parametrize("scheme", ["anthropic", "openai", "gemini", ""])
def test_what_another_provider_signed_is_dropped(scheme: str) -> None:
    told, losses = messages(user(Text(text="hi")), assistant(thought(scheme), Text(text="a")))
    assert told[1] == {"role": "assistant", "content": "a"}
    assert losses == ["part (thought): reasoning that another provider or model has signed"]


def test_what_another_model_signed_is_dropped() -> None:
    told, losses = messages(user(Text(text="hi")), assistant(thought("openai-chat/x"), Text(text="a")), model="n")
    assert told[1] == {"role": "assistant", "content": "a"}
    assert losses == ["part (thought): reasoning that another provider or model has signed"]


def test_a_group_is_signed_by_its_last() -> None:
    group = [Thought(text="s", group="g", path="first"), thought("openai", group="g")]
    told, losses = messages(user(Text(text="hi")), assistant(*group, Text(text="a")))
    assert told[1] == {"role": "assistant", "content": "a"}
    assert [loss.partition(":")[0] for loss in losses] == ["part (first)", "part (thought)"]


def test_reasoning_without_a_signature() -> None:
    parts = (Thought(text="s", path="first"), Thought(text="t", path="second"), Text(text="a"))
    told, losses = messages(user(Text(text="hi")), assistant(*parts), reasoning="reasoning")
    assert told[1] == {"role": "assistant", "content": "a", "reasoning": "s\n\nt"}
    assert losses == ["boundary (second): text: joined to the reasoning before it"]
    told, losses = messages(user(Text(text="hi")), assistant(*parts), reasoning="none")
    assert told[1] == {"role": "assistant", "content": "a"}
    assert losses == [f"part ({path}): reasoning is left out" for path in ("first", "second")]


def test_a_summary_of_reasoning_that_is_there_is_dropped() -> None:
    parts = (Thought(text="s", channel="summary", group="g", path="first"), Thought(text="t", group="g", path="second"))
    told, losses = messages(user(Text(text="hi")), assistant(*parts))
    assert told[1] == {"role": "assistant", "content": None, "reasoning_content": "t"}
    assert losses == ["part (first): a summary of reasoning that is there in full"]
    told, losses = messages(user(Text(text="hi")), assistant(Thought(text="s", channel="summary", path="first")))
    assert told[1]["reasoning_content"] == "s"
    assert losses == ["field (first): channel: a summary is told as reasoning"]


def test_without_reasoning_details_signatures_are_lost() -> None:
    parts = (thought("openai-chat/x"), thought("openai-chat/x", text="", redacted=True), Text(text="a"))
    told, losses = messages(user(Text(text="hi")), assistant(*parts), reasoning_details=False)
    assert told[1] == {"role": "assistant", "content": "a", "reasoning_content": "t"}
    assert losses == [
        "signature (thought): signature: the option reasoning_details is off",
        "part (thought): the option reasoning_details is off",
    ]


# Envelopes, in a request that stays in its dialect


def test_an_envelope_of_a_chat_server_is_opened() -> None:
    entry = {
        "type": "reasoning.text",
        "index": 0,
        "format": "unknown",
        "signature": envelope("openai-chat/x", model="m"),
    }
    body, losses = rewritten(history(content="a", reasoning_content="b", reasoning_details=[entry]))
    details = [{"type": "reasoning.text", "text": "b", "signature": "c2ln", "format": "x", "index": 0}]
    assert body["messages"][1] == {"role": "assistant", "content": "a", "reasoning_details": details}
    assert losses == []


def test_an_envelope_of_another_provider_does_not_reach_the_server() -> None:
    entry = {"type": "reasoning.text", "index": 0, "format": "unknown", "signature": envelope("gemini")}
    signed = CALL | {"extra_content": {"google": {"thought_signature": envelope("anthropic", signs="call")}}}
    body, losses = rewritten(
        history(content="a", reasoning_content="b", reasoning_details=[entry], tool_calls=[signed])
    )
    assert body["messages"][1] == {"role": "assistant", "content": "a", "tool_calls": [CALL]}
    assert [loss.partition(":")[0] for loss in losses] == [
        "part (messages[1].reasoning_details[0])",
        "part (messages[1].tool_calls[0].extra_content.google.thought_signature)",
    ]


def test_what_files_lose() -> None:
    media = Media(kind="document", data="cGRm", media_type="application/pdf", name="a.pdf", detail="low", path="p")
    assert messages(user(media))[1] == ["field (p): detail: there is no low for a file"]


# The judge


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m"},
        {"model": "m", "messages": [HI], "stream": 1},
        {"model": "m", "messages": [HI], "unheard_of": 1},
        {"model": "m", "messages": [HI | {"mood": "good"}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"model": "m", "messages": [HI], "tools": [{"type": "function", "function": {}}]},
    ],
)
def test_the_judge_finds_problems(body: dict[str, Any]) -> None:
    assert validate_request(body)
