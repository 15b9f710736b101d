"""Messages API requests, read and written: a case for each row of the tables and for each refusal."""

from __future__ import annotations

import copy
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
from ccproxy.core.signatures import Sealed, seal
from ccproxy.core.spi import RequestOptions
from ccproxy.dialects.anthropic import request as dialect
from tests.exchanges import Exchange, each_exchange
from tests.oracles.anthropic_requests import validate_request

OLD, NEW = "claude-sonnet-4-5", "claude-opus-5"
TOOL = Tool(path="tools[0]", kind="function", name="f", schema={"type": "object"})


def body(*content: Any, **fields: Any) -> dict[str, Any]:
    """A request with one message of the user."""
    return {"model": OLD, "max_tokens": 9, "messages": [{"role": "user", "content": list(content) or "hi"}], **fields}


def read(payload: dict[str, Any], **options: Any) -> Request:
    return dialect.read(payload, RequestOptions(**options))


def again(payload: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The request read and written, and what that lost."""
    losses = Losses()
    return dialect.write(read(copy.deepcopy(payload)), RequestOptions(), losses), [str(loss) for loss in losses]


def said(text: str = "hi") -> Turn:
    return Turn(role="user", path="m[0]", parts=[Text(path="m[0].c", text=text)])


def turn(role: Any, *parts: Part, path: str = "m[1]") -> Turn:
    return Turn(role=role, path=path, parts=list(parts))


def written(request: Request | None = None, /, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """A request of another dialect as this one has it, and what that lost; options have a leading `option_`."""
    options = {name.removeprefix("option_"): fields.pop(name) for name in list(fields) if name.startswith("option_")}
    fields = {"model": OLD, "max_output": 9000, "turns": [said()], **fields}
    losses = Losses()
    out = dialect.write(Request(source="elsewhere", **fields), RequestOptions(**options), losses)
    assert not validate_request(out)
    return out, [str(loss) for loss in losses]


def content(*parts: Part, role: Any = "user", **fields: Any) -> tuple[Any, list[str]]:
    """The content that parts become in one message, and what that lost."""
    out, losses = written(turns=[said(), turn("assistant", Text(text="ok")), turn(role, *parts)], **fields)
    return out["messages"][-1]["content"], losses


def refused(**fields: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        written(**fields)
    return str(caught.value)


# The same dialect: what was read is written


@each_exchange(kind="generate", where=lambda e: e.dialect == "anthropic" and e.request is not None)
def test_recorded_requests_are_written_as_they_were_read(exchange: Exchange) -> None:
    assert exchange.request is not None
    out, losses = again(dict(exchange.request))
    assert _without_null(out) == _without_null(exchange.request)
    assert not losses


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(inner) for name, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value] if isinstance(value, list) else value


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
PDF = {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "Y"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0, "b": []}}


@pytest.mark.parametrize(
    "payload",
    [
        body(stream=True, temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["a"], service_tier="auto"),
        body(stream=False, stop_sequences=[], service_tier="standard_only", metadata={"user_id": "u"}),
        body(metadata={"user_id": "u", "more": 1}),
        body(metadata={}),
        body(service_tier="new_tier", inference_geo="eu", speed="fast"),
        body(cache_control={"type": "ephemeral"}),
        body(cache_control={"type": "ephemeral", "ttl": "1h"}),
        body(cache_control={"type": "lasting"}),
        body(system="be brief"),
        body(system=""),
        body(system=[]),
        body(
            system=[
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "b"},
            ]
        ),
        body(thinking={"type": "enabled", "budget_tokens": 2000, "display": "summarized"}),
        body(thinking={"type": "adaptive", "display": "omitted"}, output_config={"effort": "xhigh"}),
        body(thinking={"type": "adaptive", "display": "updates", "block_binding": {"x": 1}}),
        body(thinking={"type": "between_tools"}),
        body(thinking={"type": "disabled"}),
        body(output_config={"effort": "colossal", "task_budget": {"total": 5}}),
        body(output_config={"effort": "low", "task_budget": {"total": 5}}),
        body(output_config={}),
        body(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}),
        body(output_config={"format": {"type": "grammar"}}),
        body(output_format={"type": "json_schema", "schema": {"type": "object"}}),
        body(tools=[]),
        body(tools=[{"name": "f", "input_schema": {}, "description": ""}]),
        body(tools=[{"type": "custom", "name": "f", "input_schema": {"type": "object"}, "strict": False}]),
        body(tools=[{"name": "a.b" * 30, "description": "d", "input_schema": {}, "defer_loading": True}]),
        body(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]),
        body(tools=[{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]),
        body(tools=[{"type": "mcp_toolset", "mcp_server_name": "s"}], mcp_servers=[{"type": "url"}]),
        body(tool_choice={"type": "any", "disable_parallel_tool_use": False}),
        body(tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        body(tool_choice={"type": "none"}),
        body(container="container_1"),
        body(container={"id": "c", "skills": []}),
        body(thread={"type": "continue", "previous_message_id": "msg_1"}),
        body({"type": "text", "text": "a"}, IMAGE, PDF),
        body({"type": "text", "text": ""}),
        body({"type": "container_upload", "file_id": "file_1"}),
        body({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "t"}, "context": "c"}),
        body({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ""}, "title": ""}),
        body({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "t"}]}}),
        body({"type": "document", "source": {"type": "content", "content": "t"}, "citations": {"enabled": True}}),
        body({"type": "document", "source": {"type": "bucket", "key": "k"}}),
        body({"type": "image", "source": {"type": "file", "file_id": "file_1"}, "transformations": {"x": 1}}),
        {
            "model": NEW,
            "max_tokens": 9,
            "messages": [
                {"role": "assistant", "content": "before", "more": 1},
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "text", "text": "b"}]},
                {"role": "system", "content": "c"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "t", "signature": "s"},
                        {"type": "redacted_thinking", "data": "d"},
                        {"type": "text", "text": "x", "citations": [{"type": "char_location"}]},
                        {**CALL, "caller": {"type": "direct"}, "cache_control": {"type": "ephemeral"}},
                        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_1",
                            "is_error": False,
                            "toolset_name": "t",
                            "content": [
                                {"type": "tool_reference", "tool_name": "h"},
                                {"type": "text", "text": "r"},
                                IMAGE,
                                {"type": "search_result", "source": "s", "title": "t", "content": []},
                            ],
                        },
                        {"type": "tool_result", "tool_use_id": "toolu_2"},
                    ],
                },
                {"role": "assistant", "content": "go on "},
            ],
        },
    ],
    ids=lambda payload: str(list(payload)[-1]),
)
def test_what_was_read_is_written(payload: dict[str, Any]) -> None:
    assert again(payload) == (payload, [])


def test_the_options_say_model_and_stream() -> None:
    losses = Losses()
    out = dialect.write(read(body(stream=False)), RequestOptions(model="m", stream=True), losses)
    assert out == {**body(), "model": "m", "stream": True}


def test_a_request_of_bedrock_has_no_model() -> None:
    payload = {**body(), "anthropic_version": "bedrock-2023-05-31"}
    del payload["model"]
    losses = Losses()
    assert dialect.write(read(payload), RequestOptions(model="m", stream=True), losses) == payload


def test_a_count_of_tokens_has_no_limit() -> None:
    payload = body()
    del payload["max_tokens"]
    assert again(payload) == (payload, [])


# Signatures


def sealed(scheme: str, redacted: bool = False, model: str = "") -> str:
    return seal(Signature(0, scheme, "value", model), redacted)


def test_envelopes_are_opened_and_another_providers_do_not_reach_this_one() -> None:
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": sealed("anthropic", model=OLD)},
        {"type": "thinking", "thinking": "", "signature": sealed("anthropic", redacted=True)},
        {"type": "redacted_thinking", "data": sealed("anthropic", redacted=True)},
        {"type": "thinking", "thinking": "b", "signature": sealed("openai")},
        {"type": "thinking", "thinking": "c", "signature": sealed("anthropic", model=NEW)},
    ]
    payload = body()
    payload["messages"].append({"role": "assistant", "content": blocks})
    out, losses = again(payload)
    assert out["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "value"},
        {"type": "redacted_thinking", "data": "value"},
        {"type": "redacted_thinking", "data": "value"},
    ]
    assert losses == [
        "part (messages[1].content[3]): reasoning that only openai can check",
        f"part (messages[1].content[4]): reasoning of another model, {NEW}",
    ]


def test_a_message_whose_reasoning_is_all_dropped_is_none() -> None:
    payload = body()
    payload["messages"].append(
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "b", "signature": sealed("openai")}]}
    )
    assert again(payload)[0]["messages"] == body()["messages"]


# Reading


def test_settings_have_neutral_names_and_paths() -> None:
    request = read(
        body(
            stream=True,
            temperature=1,
            top_p=0.5,
            top_k=4,
            stop_sequences=["x"],
            service_tier="standard_only",
            metadata={"user_id": "u"},
            cache_control={"type": "ephemeral", "ttl": "5m"},
            thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            output_config={"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
            tools=[{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}],
            tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            speed="fast",
        )
    )
    assert (request.model, request.stream, request.max_output) == (OLD, True, 9)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (1, 0.5, 4, ["x"])
    assert (request.tier, request.user, request.cache, request.parallel) == ("default", "u", Cache("5m"), False)
    assert request.thinking == Thinking(path="thinking", mode="on", budget=2000, effort="max", show="none")
    assert request.format == Format(path="output_config.format", kind="schema", schema={"type": "object"}, strict=True)
    assert request.tool_choice == ToolChoice(path="tool_choice", mode="any", names=[("", "f")])
    assert request.tools == [
        Tool(path="tools[0]", kind="function", name="f", description="d", schema={"type": "object"}, strict=True)
    ]
    assert request.extra == {"speed": "fast"}
    assert request.paths["max_output"] == "max_tokens"
    assert request.paths["user"] == "metadata.user_id"
    assert request.paths["parallel"] == "tool_choice.disable_parallel_tool_use"


def test_an_effort_alone_has_its_own_place() -> None:
    assert read(body(output_config={"effort": "low"})).thinking == Thinking(path="output_config.effort", effort="low")


@pytest.mark.parametrize(
    ("type", "hosted", "extra"),
    [
        ("web_search_20260209", "web_search", {}),
        ("web_fetch_20250910", "web_fetch", {}),
        ("code_execution_20260521", "code_execution", {}),
        ("memory_20250818", "", {}),
        ("bash_20250124", "", {}),
    ],
)
def test_hosted_tools(type: str, hosted: Any, extra: dict[str, Any]) -> None:
    [tool] = read(body(tools=[{"type": type, "name": type[:-9], "x": 1}])).tools
    assert tool == Tool(path="tools[0]", kind="hosted", name=type, hosted=hosted, extra={"x": 1, **extra})


def test_turns_and_parts() -> None:
    request = read(
        {
            "model": OLD,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [IMAGE, {**PDF, "context": "c"}, {"type": "search_result", "x": 1}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "t", "signature": "sig"},
                        {"type": "redacted_thinking", "data": "d"},
                        {**CALL, "id": "ccproxy_ZnVuY3Rpb25zLmY6MA"},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "ccproxy_ZnVuY3Rpb25zLmY6MA", "content": "r"}],
                },
            ],
        }
    )
    assert request.turns == [
        Turn(role="system", path="system", parts=[Text(path="system[0]", text="s", cache=Cache())]),
        Turn(
            role="user",
            path="messages[0]",
            parts=[
                Media(path="messages[0].content[0]", kind="image", media_type="image/png", data="AAAA"),
                Media(
                    path="messages[0].content[1]",
                    kind="document",
                    url="https://x/y.pdf",
                    name="Y",
                    extra={"context": "c"},
                ),
                Foreign(path="messages[0].content[2]", kind="search_result", payload={"type": "search_result", "x": 1}),
            ],
        ),
        Turn(
            role="assistant",
            path="messages[1]",
            parts=[
                Thought(path="messages[1].content[0]", text="t", signature=Sealed("anthropic", "", "sig")),
                Thought(path="messages[1].content[1]", signature=Sealed("anthropic", "", "d", redacted=True)),
                Call(path="messages[1].content[2]", id="functions.f:0", name="f", arguments='{"a":1.0,"b":[]}'),
            ],
        ),
        Turn(
            role="user",
            path="messages[2]",
            parts=[
                Result(
                    path="messages[2].content[0]",
                    id="functions.f:0",
                    id_path="messages[2].content[0].tool_use_id",
                    parts=[Text(path="messages[2].content[0].content", text="r")],
                )
            ],
        ),
    ]


@pytest.mark.parametrize(
    ("source", "field", "value"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "data", "JVBERi0="),
        ({"type": "text", "media_type": "text/plain", "data": "words"}, "text", "words"),
        ({"type": "content", "content": "words"}, "text", "words"),
        ({"type": "url", "url": "https://x"}, "url", "https://x"),
        ({"type": "file", "file_id": "file_1"}, "file_id", "file_1"),
    ],
)
def test_sources_of_documents(source: dict[str, Any], field: str, value: str) -> None:
    [part] = read(body({"type": "document", "source": source})).turns[0].parts
    assert isinstance(part, Media)
    assert (part.kind, getattr(part, field)) == ("document", value)


def test_the_blocks_of_a_document_become_its_text() -> None:
    blocks = [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]
    source = {"type": "content", "content": blocks}
    [part] = read(body({"type": "document", "source": source})).turns[0].parts
    assert isinstance(part, Media)
    assert (part.text, part.extra) == ("a\n\nb", {"source": source})


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({"container": "c_1"}, ("container", "the container 'c_1'")),
        ({"container": {"id": "c_1"}}, ("container.id", "the container 'c_1'")),
        (
            {"thread": {"type": "continue", "previous_message_id": "msg_1"}},
            ("thread.previous_message_id", "the thread of 'msg_1'"),
        ),
    ],
)
def test_what_the_provider_holds(fields: dict[str, Any], held: tuple[str, str]) -> None:
    assert read(body(**fields)).held == [held]


def test_a_continued_thread_has_results_of_calls_that_are_not_there() -> None:
    payload = body({"type": "tool_result", "tool_use_id": "toolu_9", "content": "r"})
    payload["thread"] = {"type": "continue", "previous_message_id": "msg_1"}
    assert again(payload) == (payload, [])


def messages(*messages: Any) -> dict[str, Any]:
    return {"model": OLD, "messages": list(messages)}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "model: is missing"),
        ({"model": 3, "messages": []}, "model must be a string, not a number"),
        ({"model": OLD}, "messages: there must be at least one message"),
        (messages(), "messages: there must be at least one message"),
        ({"model": OLD, "messages": {}}, "messages must be an array, not an object"),
        (messages("x"), "messages[0] must be an object, not a string"),
        (messages({"content": "x"}), "messages[0].role: is missing"),
        (messages({"role": "tool", "content": "x"}), "messages[0].role: 'tool' is none of user, assistant, system"),
        (messages({"role": "user"}), "messages[0].content: is missing"),
        (messages({"role": "user", "content": 3}), "messages[0].content must be a string or an array, not a number"),
        (body("x"), "messages[0].content[0] must be an object, not a string"),
        (body({"text": "x"}), "messages[0].content[0].type: is missing"),
        (body({"type": "text"}), "messages[0].content[0].text: is missing"),
        (body({"type": "text", "text": 1}), "messages[0].content[0].text must be a string, not a number"),
        (body({"type": "image"}), "messages[0].content[0].source: is missing"),
        (body({"type": "image", "source": {}}), "messages[0].content[0].source.type: is missing"),
        (body({"type": "tool_use", "name": "f", "input": {}}), "messages[0].content[0].id: is missing"),
        (body({"type": "tool_use", "id": "a", "input": {}}), "messages[0].content[0].name: is missing"),
        (
            body({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}),
            "messages[0].content[0].input must be an object, not a string",
        ),
        (body({"type": "tool_result"}), "messages[0].content[0].tool_use_id: is missing"),
        (
            body({"type": "tool_result", "tool_use_id": "toolu_9"}),
            "messages[0].content[0].tool_use_id: no tool call before it has the id 'toolu_9'",
        ),
        (
            body(CALL, {"type": "tool_result", "tool_use_id": "toolu_1", "content": [CALL]}),
            "messages[0].content[1].content[0]: a tool result can't hold this",
        ),
        (
            body(CALL, {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": "no"}),
            "messages[0].content[1].is_error must be a boolean, not a string",
        ),
        (body({"type": "redacted_thinking"}), "messages[0].content[0].data: is missing"),
        (body(system=3), "system must be a string or an array, not a number"),
        (body(max_tokens="9"), "max_tokens must be a whole number, not a string"),
        (body(temperature="1"), "temperature must be a number, not a string"),
        (body(stop_sequences="a"), "stop_sequences must be an array, not a string"),
        (body(stop_sequences=["a", 1]), "stop_sequences[1] must be a string"),
        (body(stream="yes"), "stream must be a boolean, not a string"),
        (body(metadata=[]), "metadata must be an object, not an array"),
        (body(thinking={}), "thinking.type: is missing"),
        (
            body(thinking={"type": "enabled", "budget_tokens": "9"}),
            "thinking.budget_tokens must be a whole number, not a string",
        ),
        (body(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema: is missing"),
        (body(tools=[{"input_schema": {}}]), "tools[0].name: is missing"),
        (body(tools=[{"name": "f"}]), "tools[0].input_schema: is missing"),
        (body(tools=[{"name": "f", "input_schema": []}]), "tools[0].input_schema must be an object, not an array"),
        (body(tool_choice={}), "tool_choice.type: is missing"),
        (body(tool_choice={"type": "tool"}), "tool_choice.name: is missing"),
        (body(tool_choice={"type": "some"}), "tool_choice.type: 'some' is none of auto, any, tool, none"),
        (body(tool_choice="auto"), "tool_choice must be an object, not a string"),
        (body(cache_control=3), "cache_control must be an object, not a number"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(payload: dict[str, Any], told: str) -> None:
    with pytest.raises((RequestRefused, FieldError)) as caught:
        read(payload)
    assert str(caught.value) == told


# Writing for another dialect: settings


def test_the_least() -> None:
    assert written() == (
        {"model": OLD, "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}]},
        [],
    )


def test_the_limit_that_must_be_there() -> None:
    out, losses = written(max_output=None, option_max_tokens=77)
    assert out["max_tokens"] == 77
    assert losses == ["default (max_tokens): max_tokens: it must be there; 77"]


@pytest.mark.parametrize(
    ("model", "thinking", "limit", "budget"),
    [
        (OLD, Thinking(budget=24576), 32768, 24576),
        (OLD, Thinking(effort="high"), 24576, 16384),
        (OLD, Thinking(mode="off"), 8192, None),
        ("claude-opus-4-1", Thinking(budget=32768), 32000, 23808),
        ("glm-5", Thinking(effort="max"), 32000, 23808),
        (NEW, Thinking(effort="high"), 24576, None),
    ],
)
def test_reasoning_comes_on_top_of_the_limit_that_must_be_there(
    model: str, thinking: Thinking, limit: int, budget: int | None
) -> None:
    out, losses = written(model=model, max_output=None, thinking=thinking)
    assert (out["max_tokens"], out["thinking"].get("budget_tokens")) == (limit, budget)
    assert losses[0] == f"default (max_tokens): max_tokens: it must be there; {limit}"


@pytest.mark.parametrize(("limit", "budget"), [(32000, 32000), (60000, 32000), (64000, 32000), (70000, 32768)])
def test_no_more_is_asked_for_than_a_model_gives(limit: int, budget: int) -> None:
    out, _ = written(max_output=None, option_max_tokens=limit, thinking=Thinking(budget=32768))
    assert (out["max_tokens"], out["thinking"]["budget_tokens"]) == (max(64000, limit), budget)


def test_settings_that_it_has() -> None:
    out, losses = written(
        stream=True,
        include_usage=False,
        choices=1,
        temperature=0.5,
        top_k=4,
        stop=["a"],
        user="u",
        tier="default",
        cache=Cache("1h"),
        parallel=True,
        tools=[TOOL],
    )
    assert out | {"messages": [], "tools": []} == {
        "model": OLD,
        "max_tokens": 9000,
        "messages": [],
        "tools": [],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
        "temperature": 0.5,
        "top_k": 4,
        "stream": True,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    assert not losses


def test_the_options_come_first() -> None:
    out, _ = written(option_model="m", option_stream=False, stream=True)
    assert (out["model"], out["stream"]) == ("m", False)


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({"seed": 1}, "field (seed): seed: there is no such setting"),
        ({"metadata": {"a": "b"}}, "field (metadata): metadata: there is no such setting"),
        ({"logit_bias": {"1": 2}}, "field (logit_bias): logit_bias: there is no such setting"),
        ({"cache_key": "k"}, "field (cache_key): cache_key: there is no such setting"),
        ({"verbosity": "low"}, "field (verbosity): verbosity: there is no such setting"),
        ({"store": True}, "field (store): store: there is no such setting"),
        ({"extra": {"prediction": 1}}, "field (prediction): prediction: there is no such field"),
        ({"tier": "galactic"}, "field (tier): tier: there is none like galactic"),
        ({"format": Format(path="f", kind="json")}, "field (f): json: the form needs a schema"),
        ({"parallel": False}, "field (parallel): parallel: there are no tools"),
        ({"tool_choice": ToolChoice(path="t", mode="auto")}, "field (t): tool_choice: there are no tools"),
    ],
)
def test_settings_that_it_lacks(fields: dict[str, Any], loss: str) -> None:
    assert written(**fields) == (written()[0], [loss])


def test_several_answers_are_refused() -> None:
    assert refused(choices=2, paths={"choices": "n"}) == "n: 2 answers to one request; there is but one"


@pytest.mark.parametrize(
    ("tier", "word"),
    [
        ("auto", "auto"),
        ("priority", "auto"),
        ("scale", "auto"),
        ("flex", "standard_only"),
        ("standard", "standard_only"),
    ],
)
def test_tiers(tier: str, word: str) -> None:
    out, losses = written(tier=tier)
    assert out["service_tier"] == word
    assert losses == ([] if tier == "auto" else [f"field (tier): tier: {tier} becomes {word}"])


def test_stop_sequences_of_white_space_are_refused_by_the_api() -> None:
    out, losses = written(stop=["\n", "END"])
    assert out["stop_sequences"] == ["END"]
    assert losses == ["repair (stop): stop: a sequence of white space is refused"]


def test_a_schema_of_the_answer() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    out, losses = written(format=Format(path="f", kind="schema", name="n", schema=schema, strict=True))
    assert out["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert losses == ["field (f): name: there is no place for it"]
    _, losses = written(format=Format(path="f", kind="schema", schema=schema))
    assert losses == ["default (f): strict: a schema always binds"]
    assert written(format=Format(kind="text")) == written()


@pytest.mark.parametrize(
    ("model", "fields", "kept", "lost"),
    [
        (
            "claude-3-5-haiku-latest",
            {"temperature": 0.5, "top_p": 0.5, "top_k": 5},
            ["temperature", "top_p", "top_k"],
            [],
        ),
        ("claude-sonnet-4-20250514", {"temperature": 0.5, "top_p": 0.5}, ["temperature", "top_p"], []),
        ("claude-opus-4-1", {"temperature": 0.5, "top_p": 0.5}, ["temperature"], ["top_p"]),
        ("anthropic/claude-sonnet-4.6", {"temperature": 0.5, "top_p": 0.5}, ["temperature"], ["top_p"]),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", {"top_p": 0.5, "top_k": 5}, ["top_p", "top_k"], []),
        ("claude-opus-4-7", {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, [], ["temperature", "top_p", "top_k"]),
        (NEW, {"temperature": 0.9, "top_k": 1}, [], ["temperature", "top_k"]),
        (NEW, {"temperature": 1, "top_p": 1}, [], []),
        ("kimi-k3", {"temperature": 0.5, "top_p": 0.5}, ["temperature", "top_p"], []),
    ],
)
def test_sampling_goes_by_the_model(model: str, fields: dict[str, Any], kept: list[str], lost: list[str]) -> None:
    out, losses = written(model=model, **fields)
    assert [name for name in ("temperature", "top_p", "top_k") if name in out] == kept
    assert [loss.split("(")[1].split(")")[0] for loss in losses] == lost


def test_the_temperature_ends_at_one() -> None:
    out, losses = written(temperature=1.5)
    assert out["temperature"] == 1
    assert losses == ["field (temperature): temperature: 1.5 becomes 1"]


def test_where_the_model_reasons_it_is_not_cooled() -> None:
    out, losses = written(thinking=Thinking(budget=2000), temperature=0.5, top_p=0.99, top_k=5)
    assert "temperature" not in out
    assert "top_k" not in out
    assert out["top_p"] == 0.99
    assert losses == [
        "field (temperature): temperature: it must be 1 where the model reasons",
        "field (top_k): top_k: there is none where the model reasons",
    ]


# Reasoning


@pytest.mark.parametrize(
    ("thinking", "written_as", "effort", "losses"),
    [
        (Thinking(mode="off"), {"type": "disabled"}, None, []),
        (Thinking(mode="on"), {"type": "adaptive"}, None, []),
        (Thinking(mode="auto", show="none"), {"type": "adaptive", "display": "omitted"}, None, []),
        (Thinking(effort="high", show="auto"), {"type": "adaptive", "display": "summarized"}, "high", []),
        (Thinking(effort="minimal"), {"type": "adaptive"}, "low", ["effort: minimal becomes low"]),
        (Thinking(budget=5000), {"type": "adaptive"}, "medium", ["budget: 5000 tokens become the effort medium"]),
        (
            Thinking(budget=5000, effort="low"),
            {"type": "adaptive"},
            "low",
            ["budget: 5000 tokens; the effort low stands for it"],
        ),
        (
            Thinking(mode="on", show="detailed"),
            {"type": "adaptive", "display": "summarized"},
            None,
            ["show: detailed becomes summarized"],
        ),
    ],
)
def test_new_models_adapt(thinking: Thinking, written_as: Any, effort: str | None, losses: list[str]) -> None:
    out, lost = written(model=NEW, thinking=thinking)
    assert out["thinking"] == written_as
    assert out.get("output_config", {}).get("effort") == effort
    assert lost == [f"field: {loss}" for loss in losses]


@pytest.mark.parametrize(
    ("model", "effort", "word"),
    [
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-sonnet-4.6", "xhigh", "high"),
        ("claude-opus-4-6", "max", "max"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
        ("claude-sonnet-5", "xhigh", "xhigh"),
    ],
)
def test_an_effort_that_the_model_has(model: str, effort: Any, word: str) -> None:
    out, losses = written(model=model, thinking=Thinking(path="t", effort=effort))
    assert out["output_config"] == {"effort": word}
    assert losses == ([] if word == effort else [f"field (t): effort: {effort} becomes {word}"])


@pytest.mark.parametrize(
    ("thinking", "written_as", "losses"),
    [
        (Thinking(mode="off"), {"type": "disabled"}, []),
        (Thinking(mode="on", budget=3000), {"type": "enabled", "budget_tokens": 3000}, []),
        (Thinking(budget=3000, show="none"), {"type": "enabled", "budget_tokens": 3000, "display": "omitted"}, []),
        (
            Thinking(effort="low"),
            {"type": "enabled", "budget_tokens": 2048},
            ["field: effort: low becomes 2048 tokens"],
        ),
        (
            Thinking(mode="auto", budget=3000),
            {"type": "enabled", "budget_tokens": 3000},
            ["field: mode: the model reasons in any case"],
        ),
        (
            Thinking(mode="on"),
            {"type": "enabled", "budget_tokens": 4499},
            ["default: mode: the model must be told a budget; 4499 tokens"],
        ),
        (
            Thinking(effort="max"),
            {"type": "enabled", "budget_tokens": 4499},
            ["field: effort: max becomes 4499 tokens"],
        ),
        (
            Thinking(budget=20000),
            {"type": "enabled", "budget_tokens": 8999},
            ["field: budget: 20000 tokens become 8999"],
        ),
        (Thinking(budget=5), {"type": "enabled", "budget_tokens": 1024}, ["field: budget: 5 tokens become 1024"]),
    ],
)
def test_old_models_are_told_a_budget(thinking: Thinking, written_as: Any, losses: list[str]) -> None:
    assert (written(thinking=thinking)[0]["thinking"], written(thinking=thinking)[1]) == (written_as, losses)


def test_a_budget_needs_room() -> None:
    out, losses = written(thinking=Thinking(path="t", budget=2000), max_output=1024)
    assert "thinking" not in out
    assert losses == ["repair (t): mode: off, as max_tokens leaves no room for 1024 tokens"]


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("claude-3-7-sonnet-20250219", "enabled"),
        ("claude-sonnet-4", "enabled"),
        ("claude-sonnet-4-0", "enabled"),
        ("claude-opus-4@20250514", "enabled"),
        ("claude-4-sonnet-20250514", "enabled"),
        ("claude-opus-4-5-20251101", "enabled"),
        ("anthropic/claude-opus-4.5", "enabled"),
        ("glm-6", "enabled"),
        ("claude-opus-4-6", "adaptive"),
        ("claude-sonnet-4.6", "adaptive"),
        ("claude-opus-4-10", "adaptive"),
        ("anthropic.claude-opus-4-7-v1:0", "adaptive"),
        ("claude-sonnet-5", "adaptive"),
        ("claude-fable-5-20260901", "adaptive"),
    ],
)
def test_the_way_to_reason_goes_by_the_model(model: str, style: str) -> None:
    assert written(model=model, thinking=Thinking(effort="low"))[0]["thinking"]["type"] == style


@pytest.mark.parametrize(("model", "option", "style"), [(NEW, "budget", "enabled"), (OLD, "adaptive", "adaptive")])
def test_the_way_to_reason_by_option(model: str, option: str, style: str) -> None:
    out, _ = written(model=model, thinking=Thinking(effort="low"), option_thinking=option)
    assert out["thinking"]["type"] == style


@pytest.mark.parametrize(("model", "effort"), [(OLD, None), (NEW, {"effort": "low"})])
def test_no_reasoning_where_a_tool_is_forced(model: str, effort: Any) -> None:
    out, losses = written(
        model=model,
        tools=[TOOL],
        tool_choice=ToolChoice(path="c", mode="any"),
        thinking=Thinking(path="t", effort="low"),
    )
    assert "thinking" not in out
    assert out.get("output_config") == effort
    assert losses[-1] == "repair (t): mode: off, where a tool must be called"


def test_no_budget_for_an_answer_that_goes_on_without_its_reasoning() -> None:
    turns = [
        said(),
        turn("assistant", Call(id="a", name="f")),
        turn("user", Result(id="a", parts=[Text(text="r")])),
    ]
    thinking = Thinking(path="t", budget=2000)
    out, losses = written(turns=copy.deepcopy(turns), thinking=thinking)
    assert "thinking" not in out
    assert losses == ["repair (t): mode: off, as the answer that goes on begins without its reasoning"]
    turns[1].parts.insert(0, Thought(text="t", signature=Sealed("anthropic", "", "s")))
    assert "thinking" in written(turns=copy.deepcopy(turns), thinking=thinking)[0]
    assert "thinking" in written(turns=[*turns, turn("assistant", Text(text="x")), said()], thinking=thinking)[0]


@pytest.mark.parametrize(
    ("signature", "loss"),
    [
        (None, "reasoning without a signature is refused"),
        (Sealed("openai", "", "s"), "reasoning that only openai can check"),
        (Sealed("anthropic", NEW, "s"), f"reasoning of another model, {NEW}"),
    ],
)
def test_reasoning_that_can_not_be_checked_is_dropped(signature: Sealed | None, loss: str) -> None:
    parts: list[Part] = [Thought(path="p", text="t", signature=signature), Text(text="x")]
    out, losses = written(turns=[said(), turn("assistant", *parts)], prefill=True)
    assert out["messages"][1] == {"role": "assistant", "content": "x"}
    assert losses == [f"part (p): {loss}"]


def test_reasoning_that_can_be_checked_is_kept() -> None:
    parts: list[Part] = [
        Thought(text="t", signature=Sealed("anthropic", "claude-sonnet-4-5-20250929", "s")),
        Thought(signature=Sealed("anthropic", "", "d", redacted=True)),
        Thought(path="a", text="1", group="g", channel="summary"),
        Thought(path="b", text="2", group="g", channel="summary", signature=Sealed("anthropic", "", "s")),
        Text(text="x"),
    ]
    out, losses = written(turns=[said(), turn("assistant", *parts), said("y")])
    assert out["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "1\n\n2", "signature": "s"},
        {"type": "text", "text": "x"},
    ]
    assert losses == [
        "boundary (b): text: one block with what is before it",
        "field (b): channel: a summary is not told apart",
    ]


# Tools


def test_a_function() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    tool = Tool(kind="function", name="f", description="d", schema=schema, strict=True, cache=Cache())
    out, losses = written(tools=[tool])
    assert out["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": schema,
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        }
    ]
    assert not losses


@pytest.mark.parametrize(
    ("schema", "becomes"),
    [
        (None, {"properties": {}, "type": "object"}),
        ({}, {"properties": {}, "type": "object"}),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "type": "object"}),
    ],
)
def test_a_schema_must_be_an_object(schema: Any, becomes: Any) -> None:
    out, losses = written(tools=[Tool(path="t", kind="function", name="f", schema=schema, strict=False)])
    assert out["tools"] == [{"name": "f", "input_schema": becomes}]
    assert losses == ["default (t): schema: it must have the type object"]


@pytest.mark.parametrize(
    ("schema", "becomes", "keys"),
    [
        (
            {"anyOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}], "type": "object"},
            {"properties": {"a": {}, "b": {}}, "type": "object"},
            ["anyOf"],
        ),
        (
            {
                "type": "object",
                "properties": {"k": {"type": "string"}},
                "oneOf": [
                    {"properties": {"k": {"const": "x"}, "n": {"type": "integer"}}, "required": ["k", "n"]},
                    {"$ref": "#/$defs/y"},
                    {"$ref": "elsewhere"},
                ],
                "$defs": {"y": {"properties": {"k": {"const": "y"}, "n": {"type": "integer"}}, "required": ["k", "n"]}},
            },
            {
                "type": "object",
                "properties": {
                    "k": {"anyOf": [{"type": "string"}, {"const": "x"}, {"const": "y"}]},
                    "n": {"type": "integer"},
                },
                "$defs": {"y": {"properties": {"k": {"const": "y"}, "n": {"type": "integer"}}, "required": ["k", "n"]}},
            },
            ["oneOf"],
        ),
        (
            {
                "type": "object",
                "required": ["a"],
                "allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}],
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {"type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}}},
            ["anyOf", "allOf"],
        ),
        ({"type": "object", "anyOf": "odd"}, {"type": "object"}, ["anyOf"]),
    ],
)
def test_a_schema_of_a_tool_has_no_choices_at_its_top(schema: Any, becomes: Any, keys: list[str]) -> None:
    out, losses = written(tools=[Tool(path="t", kind="function", name="f", schema=schema)])
    assert out["tools"] == [{"name": "f", "input_schema": becomes}]
    assert losses == [f"repair (t): schema: {key} at the top; what it holds is told as one" for key in keys]


def test_a_strict_tool_with_choices_at_its_top_takes_what_they_hold() -> None:
    schema = {"anyOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]}
    out, _ = written(tools=[Tool(kind="function", name="f", schema=schema, strict=True)])
    assert out["tools"][0]["input_schema"]["properties"].keys() == {"a", "b"}
    assert out["tools"][0]["strict"] is True


def test_names_are_made_flat() -> None:
    tools = [Tool(kind="function", name="f", namespace="n", schema={"type": "object"})]
    choice = ToolChoice(mode="any", names=[("n", "f")])
    turns = [
        said(),
        turn("assistant", Call(id="functions.f:0", name="f", namespace="n", arguments='{"a": 1}')),
        turn("user", Result(id="functions.f:0", parts=[Text(text="r")])),
    ]
    out, losses = written(tools=tools, tool_choice=choice, turns=turns)
    assert out["tools"][0]["name"] == "n__f"
    assert out["tool_choice"] == {"type": "tool", "name": "n__f"}
    assert out["messages"][1]["content"] == [
        {"type": "tool_use", "id": "ccproxy_ZnVuY3Rpb25zLmY6MA", "name": "n__f", "input": {"a": 1}}
    ]
    assert out["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "ccproxy_ZnVuY3Rpb25zLmY6MA", "content": "r"}
    ]
    assert not losses


def test_a_custom_tool_becomes_a_function() -> None:
    tool = Tool(path="t", kind="custom", name="patch", description="d", extra={"format": {}})
    turns = [
        said(),
        turn("assistant", Call(path="c", id="a", name="patch", arguments="*** Begin", custom=True)),
        turn("user", Result(id="a", parts=[Text(text="ok")], custom=True)),
    ]
    out, losses = written(tools=[tool], turns=turns)
    assert out["tools"] == [
        {
            "name": "patch",
            "description": "d",
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": False,
            },
        }
    ]
    assert out["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert losses == [
        "field (t.format): format: there is no such field",
        "custom_tool (c): custom: the input is the argument `input`",
        "custom_tool (t): custom: a function whose only argument is the input",
    ]


@pytest.mark.parametrize(
    ("hosted", "type"),
    [
        ("web_search", "web_search_20250305"),
        ("web_fetch", "web_fetch_20250910"),
        ("code_execution", "code_execution_20250825"),
    ],
)
def test_hosted_tools_of_another_provider(hosted: Any, type: str) -> None:
    out, losses = written(tools=[Tool(path="t", kind="hosted", name="x", hosted=hosted, extra={"size": 1})])
    assert out["tools"] == [{"type": type, "name": hosted}]
    assert losses == ["field (t.size): size: there is no such field"]


def test_a_hosted_tool_that_there_is_not() -> None:
    choice = ToolChoice(path="c", mode="any", names=[("", "image_generation")])
    tools = [Tool(path="t", kind="hosted", name="image_generation")]
    out, losses = written(tools=tools, tool_choice=choice)
    assert "tools" not in out
    assert "tool_choice" not in out
    assert losses == [
        "part (t): image_generation: there is no such tool",
        "field (c): tool_choice: there are no tools",
    ]
    out, losses = written(tools=[*tools, TOOL], tool_choice=choice)
    assert [tool["name"] for tool in out["tools"]] == ["f"]
    assert out["tool_choice"] == {"type": "auto"}
    assert losses[-1] == "field (c): names: the tool is left out, so that none must be called"


@pytest.mark.parametrize(
    ("choice", "parallel", "becomes"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (
            ToolChoice(mode="any", names=[("", "f")]),
            True,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
        ),
        (ToolChoice(mode="none"), None, {"type": "none"}),
    ],
)
def test_choice_of_tools(choice: ToolChoice | None, parallel: bool | None, becomes: Any) -> None:
    out, losses = written(tools=[TOOL], tool_choice=choice, parallel=parallel)
    assert out.get("tool_choice") == becomes
    assert not losses


def test_no_calls_at_once_where_none_may_be_called() -> None:
    out, losses = written(tools=[TOOL], tool_choice=ToolChoice(mode="none"), parallel=False)
    assert out["tool_choice"] == {"type": "none"}
    assert losses == ["field (parallel): parallel: no tool may be called"]


@pytest.mark.parametrize(("mode", "names"), [("auto", ["f"]), ("any", ["f", "g"])])
def test_a_choice_among_some_leaves_the_others_out(mode: Any, names: list[str]) -> None:
    tools = [Tool(path=name, kind="function", name=name, schema={"type": "object"}) for name in "fgh"]
    choice = ToolChoice(path="c", mode=mode, names=[("", name) for name in names])
    out, losses = written(tools=tools, tool_choice=choice)
    assert [tool["name"] for tool in out["tools"]] == names
    assert out["tool_choice"] == {"type": mode}
    left = [name for name in "fgh" if name not in names]
    assert losses == [
        *(f"part ({name}): the choice of tools is without it" for name in left),
        "field (c): names: the other tools are left out",
    ]


@pytest.mark.parametrize(
    ("arguments", "input", "losses"),
    [
        ("", {}, []),
        (' {"b":1, "a":[]} ', {"b": 1, "a": []}, []),
        ('{"a": ', {"_raw": '{"a": '}, ["repair (c): arguments: they are no JSON object"]),
        ("[1]", {"_raw": "[1]"}, ["repair (c): arguments: they are no JSON object"]),
    ],
)
def test_arguments(arguments: str, input: Any, losses: list[str]) -> None:
    turns = [
        said(),
        turn("assistant", Call(path="c", id="a", name="f", arguments=arguments)),
        turn("user", Result(id="a")),
    ]
    out, lost = written(turns=turns)
    assert out["messages"][1]["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": input}]
    assert lost == losses


@pytest.mark.parametrize(
    ("result", "block"),
    [
        (Result(id="a"), {}),
        (Result(id="a", parts=[Text(text="")]), {"content": ""}),
        (Result(id="a", parts=[Text(text="r")], is_error=True), {"content": "r", "is_error": True}),
        (
            Result(id="a", parts=[Text(text="r", cache=Cache())], cache=Cache()),
            {
                "content": [{"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}],
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            Result(id="a", parts=[Text(text="r"), Media(kind="image", url="https://x")]),
            {
                "content": [
                    {"type": "text", "text": "r"},
                    {"type": "image", "source": {"type": "url", "url": "https://x"}},
                ]
            },
        ),
    ],
)
def test_results(result: Result, block: dict[str, Any]) -> None:
    out, losses = written(turns=[said(), turn("assistant", Call(id="a", name="f")), turn("user", result)])
    assert out["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a", **block}]
    assert not losses


# Turns


def system(text: str, path: str = "s") -> Turn:
    return Turn(role="developer", path=path, parts=[Text(path=f"{path}.c", text=text)])


def test_system_text_in_front() -> None:
    assert written(turns=[system("a"), said()])[0]["system"] == "a"
    assert written(turns=[system("a"), Turn(role="system", parts=[Text(text="b", cache=Cache())]), said()])[0][
        "system"
    ] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]


def roles(out: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in out["messages"]]


def test_system_text_later_on() -> None:
    answer = turn("assistant", Text(text="b"))
    out, losses = written(model=NEW, turns=[said("a"), system("s"), answer, said("c"), system("t")])
    assert roles(out) == [("user", "a"), ("system", "s"), ("assistant", "b"), ("user", "c"), ("system", "t")]
    assert not losses


def test_system_text_stands_behind_the_users() -> None:
    answer = turn("assistant", Text(text="b"))
    out, losses = written(model=NEW, turns=[said("a"), answer, system("s"), said("c")])
    assert roles(out) == [("user", "a"), ("assistant", "b"), ("user", "c"), ("system", "s")]
    assert losses == ["order (s): role: a system message stands behind the user's"]


def test_every_system_text_that_moves_is_named() -> None:
    answer = turn("assistant", Text(text="b"))
    out, losses = written(model=NEW, turns=[said("a"), answer, system("s"), system("t", "t"), said("c")])
    assert [role for role, _ in roles(out)] == ["user", "assistant", "user", "system"]
    assert losses == [
        "order (s): role: a system message stands behind the user's",
        "order (t.c): role: a system message stands behind the user's",
    ]


def test_system_text_that_can_stand_nowhere_is_the_users() -> None:
    turns = [said("a"), turn("assistant", Text(text="b")), system("s"), turn("assistant", Text(text="c")), said("d")]
    out, losses = written(model=NEW, turns=turns)
    assert roles(out) == [("user", "a"), ("assistant", "b"), ("user", "s"), ("assistant", "c"), ("user", "d")]
    assert losses == ["repair (s): role: a system message must stand behind the user's; it is the user's"]


@pytest.mark.parametrize("model", [OLD, "claude-opus-4-7", "kimi-k3"])
def test_models_without_system_messages(model: str) -> None:
    out, losses = written(model=model, turns=[said("a"), system("s"), said("b")])
    assert roles(out) == [("user", [{"type": "text", "text": text} for text in "asb"])]
    assert losses == ["repair (s): role: the model takes no system message here; it is the user's"]


def test_a_system_message_has_text_alone() -> None:
    image = Media(path="i", kind="image", url="https://x")
    out, losses = written(turns=[Turn(role="system", parts=[Text(text="a"), image]), said()])
    assert out["system"] == "a"
    assert losses == ["part (i): a system message holds text alone"]


def test_neighbours_of_one_role_are_one_message() -> None:
    thought = turn("assistant", Thought(path="t", text="t"))
    out, losses = written(turns=[said("a"), thought, said("b")])
    assert roles(out) == [("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])]
    assert losses == ["part (t): reasoning without a signature is refused"]


def test_an_assistant_may_begin_and_end() -> None:
    turns = [turn("assistant", Text(text="a")), said("b"), turn("assistant", Text(path="p", text="c \n"))]
    out, losses = written(turns=turns)
    assert roles(out) == [("assistant", "a"), ("user", "b"), ("assistant", "c")]
    assert losses == [
        "repair (p): text: white space at the end of the last message is refused",
        "default (m[1]): prefill: the answer goes on from the assistant's last message",
    ]
    assert written(turns=turns, prefill=True)[1] == losses[:1]


def test_newer_models_go_on_from_no_answer() -> None:
    turns = [said("b"), turn("assistant", Text(text="c"))]
    for model in ("claude-opus-4-6", "claude-sonnet-4.6", NEW):
        assert refused(model=model, turns=turns) == "m[1]: the model does not go on from the assistant's last message"
    thought = turn("assistant", Thought(path="t", text="t"))  # which is left out
    assert roles(written(model=NEW, turns=[said("b"), thought])[0]) == [("user", "b")]


def test_empty_text_is_left_out() -> None:
    out, losses = written(
        turns=[said(), turn("user", Text(path="p", text=""), Text(path="q", text=" "), Text(text="x"))]
    )
    assert roles(out) == [("user", [{"type": "text", "text": "hi"}, {"type": "text", "text": "x"}])]
    assert losses == [
        "repair (p): text: it is empty, which is refused",
        "part (q): text: it is empty, which is refused",
    ]


@pytest.mark.parametrize("turns", [[system("a")], [turn("user", Text(text=""))]])
def test_without_a_message_it_is_refused(turns: list[Turn]) -> None:
    assert refused(turns=turns).endswith(": there is no message")


def test_what_was_empty_is_named() -> None:
    empty = Turn(role="user", path="contents[0]")
    assert refused(turns=[system("systemInstruction"), empty]) == "contents[0]: there is no message"


def test_text_that_says_more() -> None:
    parts = [Text(path="p", text="no", refusal=True), Text(path="q", text="x", extra={"annotations": []})]
    out, losses = written(
        turns=[turn("assistant", *parts), Turn(role="user", path="u", name="Ann", parts=[Text(text="y")])]
    )
    assert out["messages"][0]["content"] == [{"type": "text", "text": "no"}, {"type": "text", "text": "x"}]
    assert losses == [
        "field (q.annotations): annotations: there is no such field",
        "field (u): name: there is no place for it",
        "refusal (p): refusal: written as text",
    ]


def test_parts_that_only_their_dialect_knows_are_dropped() -> None:
    out, losses = written(turns=[said(), turn("user", Foreign(path="p", kind="web_search_call", payload={}))])
    assert roles(out) == [("user", "hi")]
    assert losses == ["part (p): web_search_call: only elsewhere knows it"]


# Media

B64_TEXT = b64encode("täxt".encode()).decode()


@pytest.mark.parametrize(
    ("media", "block", "losses"),
    [
        (
            Media(kind="image", media_type="image/webp", data="AAAA", cache=Cache()),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"},
                "cache_control": {"type": "ephemeral"},
            },
            [],
        ),
        (
            Media(path="p", kind="image", media_type="image/jpg", data="AAAA"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
            ["repair (p): media_type: image/jpg becomes image/jpeg"],
        ),
        (
            Media(path="p", kind="image", url="https://x", detail="low", name="x.png", media_type="image/png"),
            {"type": "image", "source": {"type": "url", "url": "https://x"}},
            ["field (p): detail: low", "field (p): media_type: image/png", "field (p): name: an image has none"],
        ),
        (
            Media(kind="document", media_type="application/pdf", data="JVBE", name="x.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "x.pdf",
            },
            [],
        ),
        (
            Media(kind="file", url="https://x/y.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            [],
        ),
        (
            Media(kind="document", text="words"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            [],
        ),
        (
            Media(path="p", kind="file", media_type="text/markdown; charset=utf-8", data=B64_TEXT),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "täxt"}},
            ["field (p): media_type: text/markdown becomes text/plain"],
        ),
    ],
)
def test_media(media: Media, block: dict[str, Any], losses: list[str]) -> None:
    assert content(media) == ([block], losses)


@pytest.mark.parametrize(
    ("media", "why"),
    [
        (Media(kind="audio", data="AAAA"), "anthropic takes no audio"),
        (Media(kind="video", url="https://x"), "anthropic takes no video"),
        (Media(kind="image", file_id="file_1"), "the file 'file_1' is with another provider; send its content"),
        (Media(kind="image"), "an image without content"),
        (Media(kind="document"), "a document without content"),
        (
            Media(kind="image", media_type="image/bmp", data="AAAA"),
            "an image of the type 'image/bmp'; image/gif, image/jpeg, image/png, image/webp are known",
        ),
        (
            Media(kind="file", media_type="application/zip", data="AAAA"),
            "a document of the type 'application/zip'; application/pdf and text are known",
        ),
        (Media(kind="file", media_type="text/plain", data="/w=="), "the text is not UTF-8 in base64"),
    ],
)
def test_media_that_are_refused(media: Media, why: str) -> None:
    media.path = "p"
    assert refused(turns=[turn("user", media)]) == f"p: {why}"


# Caching


@pytest.mark.parametrize(
    ("ttl", "hint", "losses"),
    [
        (None, {"type": "ephemeral"}, []),
        ("5m", {"type": "ephemeral", "ttl": "5m"}, []),
        ("24h", {"type": "ephemeral", "ttl": "1h"}, ["field (p): cache: 24h becomes 1h"]),
        ("in_memory", {"type": "ephemeral"}, ["field (p): cache: in_memory becomes the usual time"]),
    ],
)
def test_times_to_live(ttl: str | None, hint: dict[str, Any], losses: list[str]) -> None:
    assert content(Text(path="p", text="x", cache=Cache(ttl))) == (
        [{"type": "text", "text": "x", "cache_control": hint}],
        losses,
    )


def marked(out: dict[str, Any]) -> list[str]:
    blocks = [*out.get("tools", []), *out.get("system", [])]
    blocks += [block for message in out["messages"] for block in message["content"]]
    return [block.get("text") or block["name"] for block in blocks if "cache_control" in block]


@pytest.mark.parametrize(("top", "kept"), [(None, ["f", "s", "3", "4"]), (Cache(), ["f", "s", "4"])])
def test_four_breakpoints_those_in_front_and_the_last(top: Cache | None, kept: list[str]) -> None:
    tool = Tool(path="t", kind="function", name="f", schema={"type": "object"}, cache=Cache())
    lead = Turn(role="system", parts=[Text(path="s", text="s", cache=Cache())])
    texts = [Text(path=name, text=name, cache=Cache()) for name in "1234"]
    out, losses = written(tools=[tool], turns=[lead, turn("user", *texts)], cache=top)
    assert marked(out) == kept
    gone = [name for name in "1234" if name not in kept]
    assert losses == [f"field ({name}): cache: a request has no more than 4" for name in gone]


def test_more_breakpoints_in_front_than_there_may_be() -> None:
    lead = Turn(role="system", parts=[Text(path=name, text=name, cache=Cache()) for name in "12345"])
    out, losses = written(turns=[lead, turn("user", Text(path="6", text="6", cache=Cache()))])
    assert [block["text"] for block in out["system"] if "cache_control" in block] == ["1", "2", "3", "4"]
    assert [loss.split(":")[0] for loss in losses] == ["field (5)", "field (6)"]
