"""What the accumulators give at any moment of a stream: tool calls, blocks, the rebuilt response."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ccproxy.llms.streaming import ClaudeAccumulator, OpenAIAccumulator, ResponsesAccumulator, StreamAccumulator

from . import streams
from .streams import CALL, CALL_2, CHAT_USAGE, MESSAGE, REASONING, RESPONSES_USAGE, Dumped, Json, accumulated

ALL: list[tuple[type[StreamAccumulator], list[Json]]] = [
    (ClaudeAccumulator, streams.anthropic()),
    (OpenAIAccumulator, streams.chat()),
    (ResponsesAccumulator, streams.responses()),
]
each = pytest.mark.parametrize(("accumulator", "events"), ALL, ids=["claude", "openai", "responses"])

WEATHER = '{"city":"Łódź","days":1.0}'
TIME = '{ "zone" : "CET" }'


def claude(*events: Json) -> ClaudeAccumulator:
    return accumulated(ClaudeAccumulator(), events)


def openai(*events: Json) -> OpenAIAccumulator:
    return accumulated(OpenAIAccumulator(), events)


def responses(*events: Json) -> ResponsesAccumulator:
    return accumulated(ResponsesAccumulator(), streams.numbered(events))


def only_message(accumulator: OpenAIAccumulator) -> Json:
    (choice,) = accumulator.rebuild_response_object({})["choices"]
    return dict(choice["message"])


def result(accumulator: StreamAccumulator, argument: Json | None = None) -> tuple[list[Json], Json]:
    """All that every accumulator tells, as it is now."""
    return deepcopy((accumulator.get_complete_tool_calls(), accumulator.rebuild_response_object(argument or {})))


# -- every accumulator ------------------------------------------------------------------------------------------------


@each
def test_events_as_objects_with_model_dump(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    objects = accumulator()
    for item in events:
        objects.accumulate(item.get("type", ""), Dumped(item))  # type: ignore[arg-type]
    assert result(objects) == result(accumulated(accumulator(), events))


@pytest.mark.parametrize(
    ("accumulator", "events", "types"),
    [
        (ClaudeAccumulator, streams.anthropic(), RawMessageStreamEvent),
        (OpenAIAccumulator, streams.chat(), ChatCompletionChunk),
        (ResponsesAccumulator, streams.responses(), ResponseStreamEvent),
    ],
    ids=["claude", "openai", "responses"],
)
def test_events_of_the_official_sdks(accumulator: type[StreamAccumulator], events: list[Json], types: Any) -> None:
    """The SDKs dump every optional field as None; that must change neither the calls nor the texts."""
    adapter: TypeAdapter[Any] = TypeAdapter(types)
    typed, plain = accumulator(), accumulated(accumulator(), events)
    for item in events:
        typed.accumulate(item.get("type", ""), adapter.validate_python(item))
    assert typed.get_complete_tool_calls() == plain.get_complete_tool_calls()
    left, right = typed.rebuild_response_object({}), plain.rebuild_response_object({})
    assert left.keys() >= right.keys()
    assert [block.get("text") for block in left.get("content", [])] == [
        block.get("text") for block in right.get("content", [])
    ]
    assert [choice["message"].get("content") for choice in left.get("choices", [])] == [
        choice["message"].get("content") for choice in right.get("choices", [])
    ]
    assert left.get("text") == right.get("text")
    assert left.get("stop_reason") == right.get("stop_reason")


@each
@pytest.mark.parametrize("name", ["", "message"])
def test_name_only_in_the_data(accumulator: type[StreamAccumulator], events: list[Json], name: str) -> None:
    """Data-only frames: an SSE library then says "", or the standard's default name."""
    unnamed = accumulator()
    for item in events:
        unnamed.accumulate(name, item)
    assert result(unnamed) == result(accumulated(accumulator(), events))


@pytest.mark.parametrize(("accumulator", "events"), [ALL[0], ALL[2]], ids=["claude", "responses"])
def test_name_only_beside_the_data(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    untyped = accumulator()
    for item in events:
        untyped.accumulate(item["type"], {key: value for key, value in item.items() if key != "type"})
    assert result(untyped) == result(accumulated(accumulator(), events))


@each
def test_nothing_yet(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    empty = accumulator()
    assert empty.get_complete_tool_calls() == []
    rebuilt = empty.rebuild_response_object({"id": "own", "extra": [1]})
    assert rebuilt["id"] == "own"
    assert rebuilt["extra"] == [1]
    assert not rebuilt.get("text")
    assert not rebuilt.get("stop_reason")
    assert rebuilt.get("status") != "completed"


@each
def test_a_snapshot_at_every_event_changes_nothing(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    watched = accumulator()
    for item in events:
        watched.accumulate(item.get("type", ""), item)
        result(watched)
    assert result(watched) == result(accumulated(accumulator(), events))


@each
def test_twice_the_same(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    filled = accumulated(accumulator(), events)
    assert result(filled) == result(filled)


def spoil(value: Any) -> None:
    """Change every list and dict within."""
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value.clear()
        value["spoilt"] = True
    elif isinstance(value, list | tuple):
        for inner in value:
            spoil(inner)
        if isinstance(value, list):
            value.clear()


@each
def test_what_is_given_out_is_a_copy(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    filled = accumulated(accumulator(), events)
    before = result(filled)
    spoil(filled.rebuild_response_object({}))
    spoil(filled.get_complete_tool_calls())
    assert result(filled) == before


@each
def test_what_is_taken_in_is_a_copy(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    mine = deepcopy(events)
    filled = accumulated(accumulator(), mine)
    before = result(filled)
    spoil(mine)
    assert result(filled) == before


@each
def test_the_events_are_not_changed(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    mine = deepcopy(events)
    result(accumulated(accumulator(), mine))
    assert mine == events


@each
def test_the_argument_is_not_changed(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    argument = {"id": "own", "choices": [], "content": [], "tool_calls": [], "nested": {"a": [1]}, "usage": {"x": 1}}
    before = deepcopy(argument)
    rebuilt = accumulated(accumulator(), events).rebuild_response_object(argument)
    assert argument == before
    spoil(rebuilt)
    assert argument == before


@each
def test_own_fields_are_kept(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    rebuilt = accumulated(accumulator(), events).rebuild_response_object({"container": {"id": "c"}, "mine": None})
    assert rebuilt["container"] == {"id": "c"}
    assert rebuilt["mine"] is None


@each
@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"type": None},
        {"type": 7},
        {"type": "no.such.event", "x": 1},
        {"type": "ping"},
        {"choices": None},
        {"choices": "x"},
        {"choices": [None, 1, {}, {"delta": None}, {"index": {}, "delta": []}]},
        {"type": "message_start"},
        {"type": "message_start", "message": None},
        {"type": "content_block_start"},
        {"type": "content_block_delta", "index": 99, "delta": {"type": "text_delta", "text": "stray"}},
        {"type": "content_block_delta", "index": "0", "delta": 1},
        {"type": "content_block_stop", "index": None},
        {"type": "message_delta", "delta": None, "usage": None},
        {"type": "response.created"},
        {"type": "response.output_item.added", "output_index": 0},
        {"type": "response.output_text.delta", "output_index": {}, "delta": None},
    ],
    ids=str,
)
def test_junk_does_not_raise(accumulator: type[StreamAccumulator], events: list[Json], junk: Json) -> None:
    alone = accumulator()
    alone.accumulate("", junk)
    alone.accumulate(str(junk.get("type", "")), junk)
    result(alone)
    result(accumulated(accumulator(), [*events, junk]))


@each
@pytest.mark.parametrize(
    "value", [None, "text", b"bytes", 7, [], ["x"], object()], ids=lambda value: type(value).__name__
)
def test_a_value_that_is_no_event_does_not_raise(
    accumulator: type[StreamAccumulator], events: list[Json], value: Any
) -> None:
    alone = accumulator()
    alone.accumulate("message_start", value)
    assert alone.get_complete_tool_calls() == []


@each
def test_rebuilt_is_json(accumulator: type[StreamAccumulator], events: list[Json]) -> None:
    rebuilt = accumulated(accumulator(), events).rebuild_response_object({})
    assert json.loads(json.dumps(rebuilt)) == rebuilt


def test_two_accumulators_share_nothing() -> None:
    first, second = claude(*streams.anthropic()), ClaudeAccumulator()
    assert second.get_complete_tool_calls() == []
    assert len(first.get_complete_tool_calls()) == 2


# -- Claude: tool calls -----------------------------------------------------------------------------------------------


def test_claude_tool_calls() -> None:
    """Positions count tools, not blocks; arguments are the bytes that came."""
    assert claude(*streams.anthropic()).get_complete_tool_calls() == [
        {
            "id": "toolu_1",
            "type": "function",
            "name": "weather",
            "input": {"city": "Łódź", "days": 1.0},
            "function": {"name": "weather", "arguments": WEATHER},
            "index": 0,
            "order": 0,
        },
        {
            "id": "toolu_2",
            "type": "function",
            "name": "time",
            "input": {"zone": "CET"},
            "function": {"name": "time", "arguments": TIME},
            "index": 1,
            "order": 1,
        },
    ]


@pytest.mark.parametrize("fragments", [(), ("",)])
def test_claude_tool_without_arguments(fragments: tuple[str, ...]) -> None:
    accumulator = claude(*streams.answer(streams.tool_block(0, "toolu_1", "now", *fragments), stop_reason="tool_use"))
    (call,) = accumulator.get_complete_tool_calls()
    assert call["input"] == {}
    assert call["function"] == {"name": "now", "arguments": "{}"}
    assert accumulator.rebuild_response_object({})["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    ]


def test_claude_tool_whose_input_is_whole_in_its_start() -> None:
    block = [streams.start(0, type="tool_use", id="toolu_1", name="f", input={"a": [1]}), streams.stop(0)]
    accumulator = claude(*streams.answer(block, stop_reason="tool_use"))
    (call,) = accumulator.get_complete_tool_calls()
    assert call["input"] == {"a": [1]}
    assert json.loads(call["function"]["arguments"]) == {"a": [1]}
    assert accumulator.rebuild_response_object({})["content"][0]["input"] == {"a": [1]}


def test_claude_interleaved_tools_keep_their_own_arguments() -> None:
    accumulator = claude(
        streams.message_start(),
        streams.tool_start(0, "toolu_1", "f"),
        streams.tool_start(1, "toolu_2", "g"),
        streams.arguments(1, '{"b":'),
        streams.arguments(0, '{"a":'),
        streams.arguments(1, "2}"),
        streams.arguments(0, "1}"),
        streams.stop(1),
        streams.stop(0),
        streams.message_delta("tool_use"),
        streams.MESSAGE_STOP,
    )
    found = [(call["id"], call["function"]["arguments"]) for call in accumulator.get_complete_tool_calls()]
    assert found == [("toolu_1", '{"a":1}'), ("toolu_2", '{"b":2}')]


@pytest.mark.parametrize("seen", [1, 2])
def test_claude_unfinished_tool_is_not_complete(seen: int) -> None:
    accumulator = claude(streams.message_start(), *streams.tool_block(0, "toolu_1", "f", '{"a":', "1}")[:seen])
    assert accumulator.get_complete_tool_calls() == []


@pytest.mark.parametrize("cut", ['{"path":"/etc', '{"a":1,', '{"a":[1,2', "{"])
def test_claude_cut_arguments_are_never_repaired(cut: str) -> None:
    accumulator = claude(*streams.answer(streams.tool_block(0, "toolu_1", "f", cut), stop_reason="max_tokens"))
    assert accumulator.get_complete_tool_calls() == []
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["stop_reason"] == "max_tokens"
    (block,) = rebuilt["content"]
    assert (block["type"], block["id"], block["name"]) == ("tool_use", "toolu_1", "f")
    assert block["input"] == {"_raw": cut}  # as `ccproxy.collect` has it


@each
def test_a_call_is_complete_when_it_has_ended_not_when_it_parses(
    accumulator: type[StreamAccumulator], events: list[Json]
) -> None:
    """The text may go on after a whole object (vercel/ai#16838)."""
    ends = {"content_block_stop", "message_stop", "response.output_item.done", "response.completed"}
    unfinished = accumulated(
        accumulator(),
        [
            item
            for item in events
            if item.get("type") not in ends and not any(choice["finish_reason"] for choice in item.get("choices", []))
        ],
    )
    assert unfinished.get_complete_tool_calls() == []


def test_claude_cut_call_does_not_hide_the_others() -> None:
    accumulator = claude(
        *streams.answer(
            streams.tool_block(0, "toolu_1", "f", '{"a":1}'),
            streams.tool_block(1, "toolu_2", "g", '{"b":'),
            stop_reason="max_tokens",
        )
    )
    assert [call["id"] for call in accumulator.get_complete_tool_calls()] == ["toolu_1"]


def test_claude_server_tools_are_not_calls_for_the_client() -> None:
    block = [
        streams.start(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        streams.arguments(0, '{"query":"x"}'),
        streams.stop(0),
    ]
    assert claude(*streams.answer(block)).get_complete_tool_calls() == []


# -- Claude: blocks ---------------------------------------------------------------------------------------------------


def test_claude_block_info() -> None:
    accumulator = claude(*streams.anthropic())
    thinking, text, tool = (accumulator.get_block_info(index) for index in range(3))
    assert thinking is not None
    assert thinking[1]["type"] == "thinking"
    assert thinking[1]["thinking"] == "Two cities, two calls."
    assert thinking[1]["signature"] == "c2lnbmVk"
    assert text is not None
    assert isinstance(text, tuple)
    assert isinstance(text[0], str)
    assert text[1]["type"] == "text"
    assert text[1]["text"] == "I'll look – é😀."
    assert tool is not None
    assert tool[0] == "toolu_1"
    assert tool[1]["name"] == "weather"
    assert tool[1]["input"] == {"city": "Łódź", "days": 1.0}


def test_claude_block_ids_differ() -> None:
    accumulator = claude(*streams.answer(*(streams.text_block(index, "x") for index in range(4))))
    ids = {info[0] for info in map(accumulator.get_block_info, range(4)) if info}
    assert len(ids) == 4


@pytest.mark.parametrize("index", [-1, 4, 99])
def test_claude_block_that_does_not_exist(index: int) -> None:
    accumulator = claude(*streams.anthropic())
    assert accumulator.get_block_info(index) is None
    assert accumulator.get_tool_entry(index) is None


def test_claude_block_info_in_mid_stream() -> None:
    accumulator = claude(streams.message_start(), *streams.text_block(0, "Hel", "lo")[:2])
    info = accumulator.get_block_info(0)
    assert info is not None
    assert info[1]["text"] == "Hel"


def test_claude_tool_entry_by_block_index_and_by_id() -> None:
    accumulator = claude(*streams.anthropic())
    entry = accumulator.get_tool_entry(2)
    assert entry is not None
    assert (entry["id"], entry["name"], entry["input"]) == ("toolu_1", "weather", {"city": "Łódź", "days": 1.0})
    assert accumulator.get_tool_entry("toolu_1") == entry
    second = accumulator.get_tool_entry("toolu_2")
    assert second is not None
    assert second == accumulator.get_tool_entry(3)
    assert second["name"] == "time"


def test_claude_tool_entry_of_other_blocks() -> None:
    accumulator = claude(*streams.anthropic())
    assert accumulator.get_tool_entry(0) is None
    assert accumulator.get_tool_entry(1) is None
    assert accumulator.get_tool_entry("no such id") is None


def test_claude_tool_entry_exists_from_the_block_start() -> None:
    accumulator = claude(streams.message_start(), streams.tool_start(0, "toolu_1", "f"))
    entry = accumulator.get_tool_entry(0)
    assert entry is not None
    assert (entry["id"], entry["name"], entry["input"]) == ("toolu_1", "f", {})


def test_claude_block_and_entry_are_copies() -> None:
    accumulator = claude(*streams.anthropic())
    before = deepcopy((accumulator.get_block_info(2), accumulator.get_tool_entry(2), result(accumulator)))
    spoil(accumulator.get_block_info(2))
    spoil(accumulator.get_tool_entry(2))
    assert (accumulator.get_block_info(2), accumulator.get_tool_entry(2), result(accumulator)) == before


# -- Claude: the rebuilt message --------------------------------------------------------------------------------------


def test_claude_rebuilds_the_whole_message_from_nothing() -> None:
    assert claude(*streams.anthropic()).rebuild_response_object({}) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [
            {"type": "thinking", "thinking": "Two cities, two calls.", "signature": "c2lnbmVk"},
            {"type": "text", "text": "I'll look – é😀."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Łódź", "days": 1.0}},
            {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {"zone": "CET"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 7},
        "text": "I'll look – é😀.",
    }


def test_claude_without_message_start_completes_the_argument() -> None:
    accumulator = claude(*streams.text_block(0, "Hello", " world"), *streams.tool_block(1, "t", "f", '{"foo": "bar"}'))
    own = {"id": "msg_own", "model": "claude-own", "type": "message", "role": "assistant", "content": []}
    rebuilt = accumulator.rebuild_response_object(own)
    assert {key: rebuilt[key] for key in ("id", "model", "type", "role")} == {
        "id": "msg_own",
        "model": "claude-own",
        "type": "message",
        "role": "assistant",
    }
    assert rebuilt["content"] == [
        {"type": "text", "text": "Hello world"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"foo": "bar"}},
    ]
    assert rebuilt["text"] == "Hello world"


def test_claude_without_message_start_on_nothing() -> None:
    rebuilt = claude(*streams.text_block(0, "Hi")).rebuild_response_object({})
    assert rebuilt["type"] == "message"
    assert rebuilt["role"] == "assistant"
    assert rebuilt["content"] == [{"type": "text", "text": "Hi"}]
    assert not rebuilt.get("stop_reason")


def test_claude_events_without_an_index() -> None:
    blocks = [
        {key: value for key, value in item.items() if key != "index"}
        for item in [*streams.thinking_block(0, "sig", "hm"), *streams.text_block(1, "Hel", "lo")]
    ]
    rebuilt = claude({"type": "message_start"}, *blocks, streams.MESSAGE_STOP).rebuild_response_object({})
    assert rebuilt["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Hello"},
    ]


def test_claude_stop_reason_of_the_argument_stays_until_there_is_one() -> None:
    argument = {"stop_reason": "own"}
    assert claude(*streams.answer()[:1]).rebuild_response_object(argument)["stop_reason"] == "own"
    assert claude(*streams.answer()).rebuild_response_object(argument)["stop_reason"] == "end_turn"


def test_claude_stop_sequence() -> None:
    events = [
        streams.message_start(),
        *streams.text_block(0, "a"),
        streams.message_delta("stop_sequence", None, "###"),
        streams.MESSAGE_STOP,
    ]
    rebuilt = claude(*events).rebuild_response_object({})
    assert (rebuilt["stop_reason"], rebuilt["stop_sequence"]) == ("stop_sequence", "###")


def test_claude_several_texts_are_joined() -> None:
    events = streams.answer(
        streams.text_block(0, "one "), streams.tool_block(1, "t", "f", "{}"), streams.text_block(2, "two")
    )
    rebuilt = claude(*events).rebuild_response_object({})
    assert rebuilt["text"] == "one two"
    assert [block["type"] for block in rebuilt["content"]] == ["text", "tool_use", "text"]


def test_claude_no_text_no_text_key() -> None:
    assert "text" not in claude(*streams.answer(streams.tool_block(0, "t", "f"))).rebuild_response_object({})


def test_claude_text_that_starts_in_its_start() -> None:
    block = [streams.start(0, type="text", text="Hel"), streams.delta(0, "text_delta", text="lo"), streams.stop(0)]
    rebuilt = claude(*streams.answer(block)).rebuild_response_object({})
    assert rebuilt["content"] == [{"type": "text", "text": "Hello"}]
    assert rebuilt["text"] == "Hello"


def test_claude_blocks_without_their_empty_fields() -> None:
    """Some servers leave out `text`, `thinking` and `input` of a block that starts empty."""
    events = streams.answer(
        [streams.start(0, type="thinking"), streams.delta(0, "thinking_delta", thinking="hm"), streams.stop(0)],
        [streams.start(1, type="text"), streams.delta(1, "text_delta", text="Hi"), streams.stop(1)],
        [streams.start(2, type="tool_use", id="t", name="f"), streams.arguments(2, "{}"), streams.stop(2)],
    )
    rebuilt = claude(*events).rebuild_response_object({})
    assert rebuilt["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]


def test_claude_thinking_in_several_blocks_keeps_its_signatures() -> None:
    events = streams.answer(
        streams.thinking_block(0, "s0", "a"), streams.text_block(1, "x"), streams.thinking_block(2, "s2", "b")
    )
    rebuilt = claude(*events).rebuild_response_object({})
    assert [block for block in rebuilt["content"] if block["type"] == "thinking"] == [
        {"type": "thinking", "thinking": "a", "signature": "s0"},
        {"type": "thinking", "thinking": "b", "signature": "s2"},
    ]
    assert rebuilt["text"] == "x"


def test_claude_thinking_of_which_only_the_signature_is_shown() -> None:
    rebuilt = claude(*streams.answer(streams.thinking_block(0, "sig"))).rebuild_response_object({})
    assert rebuilt["content"] == [{"type": "thinking", "thinking": "", "signature": "sig"}]


def test_claude_a_second_signature_replaces_the_first() -> None:
    block = streams.thinking_block(0, "one", "a")
    block.insert(-1, streams.delta(0, "signature_delta", signature="two"))
    assert claude(*streams.answer(block)).rebuild_response_object({})["content"][0]["signature"] == "two"


def test_claude_citations() -> None:
    citation = {
        "type": "char_location",
        "cited_text": "c",
        "document_index": 0,
        "document_title": "d",
        "start_char_index": 0,
        "end_char_index": 1,
    }
    other = citation | {"cited_text": "e"}
    block = [
        streams.start(0, type="text", text="", citations=[]),
        streams.delta(0, "citations_delta", citation=citation),
        streams.delta(0, "text_delta", text="The text."),
        streams.delta(0, "citations_delta", citation=other),
        streams.stop(0),
    ]
    rebuilt = claude(*streams.answer(block)).rebuild_response_object({})
    assert rebuilt["content"] == [{"type": "text", "text": "The text.", "citations": [citation, other]}]


WHOLE_BLOCKS: list[Json] = [
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "title": "T",
                "url": "https://e.test",
                "encrypted_content": "x",
                "page_age": None,
            }
        ],
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_2",
        "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
    },
    {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_3",
        "content": {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": []},
    },
    {"type": "container_upload", "file_id": "file_1"},
    {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": []},
    {"type": "block_of_tomorrow", "payload": {"deep": [1, {"a": None}]}},
]


@pytest.mark.parametrize("block", WHOLE_BLOCKS, ids=lambda block: str(block["type"]))
def test_claude_blocks_that_come_whole(block: Json) -> None:
    events = streams.answer(
        streams.text_block(0, "a"), [streams.start(1, **block), streams.stop(1)], streams.text_block(2, "b")
    )
    rebuilt = claude(*events).rebuild_response_object({})
    assert rebuilt["content"] == [{"type": "text", "text": "a"}, block, {"type": "text", "text": "b"}]
    assert rebuilt["text"] == "ab"


@pytest.mark.parametrize(
    "head",
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "s"},
    ],
    ids=lambda head: str(head["type"]),
)
def test_claude_server_tools(head: Json) -> None:
    block = [
        streams.start(0, **head, input={}),
        streams.arguments(0, '{"q":'),
        streams.arguments(0, "1}"),
        streams.stop(0),
    ]
    assert claude(*streams.answer(block)).rebuild_response_object({})["content"] == [head | {"input": {"q": 1}}]


def test_claude_message_that_comes_whole_in_its_start() -> None:
    """Programmatic tool calling: content, stop_reason and usage stand in message_start, and no block follows."""
    content = [{"type": "text", "text": "hm"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}]
    accumulator = claude(streams.message_start(content=content, stop_reason="tool_use"), streams.MESSAGE_STOP)
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["content"] == content
    assert rebuilt["stop_reason"] == "tool_use"
    assert rebuilt["text"] == "hm"
    assert [call["input"] for call in accumulator.get_complete_tool_calls()] == [{"a": 1}]


def test_claude_snapshot_in_mid_stream() -> None:
    events = streams.anthropic()
    rebuilt = claude(*events[:-4]).rebuild_response_object({})
    assert [block["type"] for block in rebuilt["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    rebuilt = claude(*events[:8]).rebuild_response_object({})
    assert rebuilt["content"][-1] == {"type": "text", "text": "I'll "}
    assert rebuilt["text"] == "I'll "
    assert not rebuilt.get("stop_reason")


def test_claude_usage_of_the_delta_replaces_that_of_the_start() -> None:
    opened = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }
    closed = {
        "input_tokens": 4,
        "output_tokens": 9,
        "cache_read_input_tokens": None,
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    }
    events = [streams.message_start(opened), streams.message_delta("end_turn", closed), streams.MESSAGE_STOP]
    usage = claude(*events).rebuild_response_object({})["usage"]
    assert usage["input_tokens"] == 4
    assert usage["output_tokens"] == 9
    assert usage["cache_creation_input_tokens"] == 3
    assert usage["cache_read_input_tokens"] == 5
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0}
    assert usage["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert usage["service_tier"] == "standard"


def test_claude_usage_is_not_added_up() -> None:
    events = [
        streams.message_start(),
        streams.message_delta(None, {"output_tokens": 5}),
        streams.message_delta("end_turn", {"output_tokens": 6}),
        streams.MESSAGE_STOP,
    ]
    assert claude(*events).rebuild_response_object({})["usage"]["output_tokens"] == 6


def test_claude_usage_in_mid_stream_is_that_of_the_start() -> None:
    usage = claude(streams.message_start()).rebuild_response_object({})["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (10, 1)


def test_claude_no_usage_is_invented() -> None:
    usage = claude(*streams.text_block(0, "x")).rebuild_response_object({}).get("usage")
    assert not usage or not any(usage.values())
    kept = claude(*streams.text_block(0, "x")).rebuild_response_object({"usage": {"input_tokens": 3}})["usage"]
    assert kept["input_tokens"] == 3


def test_claude_error_is_no_end() -> None:
    accumulator = claude(streams.message_start(), *streams.text_block(0, "Hel")[:2], streams.error_event())
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["text"] == "Hel"
    assert not rebuilt.get("stop_reason")


def test_claude_error_after_the_stop_reason_is_no_end_either() -> None:
    events = [streams.message_start(), *streams.text_block(0, "Hel"), streams.message_delta("end_turn")]
    rebuilt = claude(*events, streams.error_event(), streams.message_delta("end_turn")).rebuild_response_object({})
    assert rebuilt["text"] == "Hel"
    assert not rebuilt.get("stop_reason")


def test_claude_fields_that_stand_beside_the_delta() -> None:
    edits = {"context_management": {"applied_edits": []}}
    rebuilt = claude(streams.message_start(), streams.message_delta("end_turn") | edits).rebuild_response_object({})
    assert rebuilt["context_management"] == {"applied_edits": []}
    assert "delta" not in rebuilt


def test_claude_block_index_is_the_one_of_the_wire() -> None:
    accumulator = claude(*streams.tool_block(3, "toolu_1", "f", "{}"))
    assert accumulator.get_block_info(3) == ("toolu_1", {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})
    assert accumulator.get_block_info(0) is None
    assert accumulator.get_tool_entry(3) == accumulator.get_tool_entry("toolu_1")


def test_claude_events_that_an_sdk_derives_count_once() -> None:
    """`client.messages.stream()` yields its own events between the raw ones, and more fields on some of these."""
    accumulator = claude(
        streams.message_start(),
        streams.start(0, type="text", text=""),
        streams.delta(0, "text_delta", text="Hi"),
        {"type": "text", "text": "Hi", "snapshot": "Hi"},
        streams.stop(0) | {"content_block": {"type": "text", "text": "Hi"}},
        streams.tool_start(1, "t", "f"),
        streams.arguments(1, "{}"),
        {"type": "input_json", "partial_json": "{}", "snapshot": {}},
        streams.stop(1) | {"content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
        streams.message_delta("tool_use"),
        streams.MESSAGE_STOP | {"message": {"id": "msg_1", "content": [{"type": "text", "text": "Hi"}]}},
    )
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["text"] == "Hi"
    assert len(rebuilt["content"]) == 2
    assert len(accumulator.get_complete_tool_calls()) == 1


def test_claude_pings_and_unknown_events_change_nothing() -> None:
    noisy = [noise for item in streams.anthropic() for noise in (item, streams.PING, {"type": "of_tomorrow", "x": 1})]
    assert result(claude(*noisy)) == result(claude(*streams.anthropic()))


# -- OpenAI: tool calls -----------------------------------------------------------------------------------------------


def test_openai_tool_calls() -> None:
    assert openai(*streams.chat()).get_complete_tool_calls() == [
        {
            "id": "call_1",
            "type": "function",
            "index": 0,
            "order": 0,
            "function": {"name": "weather", "arguments": '{"city":"Łódź"}'},
        },
        {
            "id": "call_2",
            "type": "function",
            "index": 1,
            "order": 1,
            "function": {"name": "time", "arguments": '{ "zone" : "CET" }'},
        },
    ]


def test_openai_tool_without_arguments() -> None:
    accumulator = openai(
        streams.chunk(streams.call(0, "", call_id="call_1", name="now")), streams.chunk({}, "tool_calls")
    )
    (found,) = accumulator.get_complete_tool_calls()
    assert found["function"]["name"] == "now"
    assert json.loads(found["function"]["arguments"]) == {}


def test_openai_unfinished_tool_is_not_complete() -> None:
    parts = [
        streams.chunk(streams.call(0, "", call_id="call_1", name="f")),
        streams.chunk(streams.call(0, '{"a":')),
    ]
    assert openai(*parts[:1]).get_complete_tool_calls() == []
    assert openai(*parts).get_complete_tool_calls() == []


def test_openai_cut_arguments_are_never_repaired() -> None:
    accumulator = openai(
        streams.chunk(streams.call(0, '{"path":"/etc', call_id="call_1", name="f")), streams.chunk({}, "length")
    )
    assert accumulator.get_complete_tool_calls() == []
    (choice,) = accumulator.rebuild_response_object({})["choices"]
    assert choice["finish_reason"] == "length"
    (kept,) = choice["message"]["tool_calls"]
    assert kept["function"] == {"name": "f", "arguments": '{"path":"/etc'}


@pytest.mark.parametrize("repeated", ["call_1", "", None])
def test_openai_id_and_name_repeated_in_every_fragment(repeated: str | None) -> None:
    later = streams.chunk(streams.call(0, "1}"))
    later["choices"][0]["delta"]["tool_calls"][0] |= {"id": repeated, "type": "function"}
    later["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] = "f" if repeated else repeated
    accumulator = openai(
        streams.chunk(streams.call(0, '{"a":', call_id="call_1", name="f")), later, streams.chunk({}, "tool_calls")
    )
    (found,) = accumulator.get_complete_tool_calls()
    assert (found["id"], found["function"]) == ("call_1", {"name": "f", "arguments": '{"a":1}'})


def test_openai_calls_without_an_index() -> None:
    accumulator = openai(
        streams.chunk(streams.call(None, '{"a":1}', call_id="call_1", name="f")),
        streams.chunk(streams.call(None, '{"b":2}', call_id="call_2", name="g")),
        streams.chunk({}, "tool_calls"),
    )
    found = [
        (call["id"], call["index"], call["function"]["arguments"]) for call in accumulator.get_complete_tool_calls()
    ]
    assert found == [("call_1", 0, '{"a":1}'), ("call_2", 1, '{"b":2}')]


def test_openai_a_new_id_on_a_used_index_is_a_new_call() -> None:
    accumulator = openai(
        streams.chunk(streams.call(0, '{"a":1}', call_id="call_1", name="f")),
        streams.chunk(streams.call(0, '{"b":2}', call_id="call_2", name="g")),
        streams.chunk({}, "tool_calls"),
    )
    found = [(call["id"], call["function"]) for call in accumulator.get_complete_tool_calls()]
    assert found == [
        ("call_1", {"name": "f", "arguments": '{"a":1}'}),
        ("call_2", {"name": "g", "arguments": '{"b":2}'}),
    ]


def test_openai_call_without_an_id_gets_one() -> None:
    accumulator = openai(streams.chunk(streams.call(0, "{}", name="f")), streams.chunk({}, "tool_calls"))
    (found,) = accumulator.get_complete_tool_calls()
    assert found["id"].startswith("call_")
    assert found["type"] == "function"
    assert accumulator.get_complete_tool_calls() == [found]


def test_openai_deprecated_function_call() -> None:
    accumulator = openai(
        streams.chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
        streams.chunk({"function_call": {"arguments": '{"a":'}}),
        streams.chunk({"function_call": {"arguments": "1}"}}),
        streams.chunk({}, "function_call"),
    )
    (found,) = accumulator.get_complete_tool_calls()
    assert found["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert "a" in json.dumps(only_message(accumulator))


# -- OpenAI: the rebuilt completion -----------------------------------------------------------------------------------


def test_openai_rebuilds_the_whole_completion_from_nothing() -> None:
    rebuilt = openai(*streams.chat()).rebuild_response_object({})
    assert rebuilt["id"] == "chatcmpl-9"
    assert rebuilt["object"] == "chat.completion"
    assert rebuilt["created"] == 1_700_000_000
    assert rebuilt["model"] == "gpt-test"
    assert rebuilt["usage"] == CHAT_USAGE
    (choice,) = rebuilt["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "Hello"
    calls = choice["message"]["tool_calls"]
    assert [(call["id"], call["type"], call["function"]) for call in calls] == [
        ("call_1", "function", {"name": "weather", "arguments": '{"city":"Łódź"}'}),
        ("call_2", "function", {"name": "time", "arguments": '{ "zone" : "CET" }'}),
    ]


def test_openai_completes_the_argument() -> None:
    own = {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 1_694_268_190,
        "model": "own",
        "choices": [],
    }
    accumulator = openai(
        {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
        {"choices": [{"index": 0, "delta": {"content": "Hello"}}]},
        {"choices": [{"index": 0, "delta": streams.call(0, call_id="call_1", name="f")}]},
        {"choices": [{"index": 0, "delta": streams.call(0, '{"foo":')}]},
        {"choices": [{"index": 0, "delta": streams.call(0, '"bar"}')}]},
        {"choices": [{"index": 0, "finish_reason": "tool_calls"}]},
    )
    rebuilt = accumulator.rebuild_response_object(own)
    assert {key: rebuilt[key] for key in own if key != "choices"} == {
        key: value for key, value in own.items() if key != "choices"
    }
    (choice,) = rebuilt["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Hello"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"foo":"bar"}'}


def test_openai_each_choice_has_its_own() -> None:
    accumulator = openai(
        streams.chunk({"role": "assistant", "content": "a"}),
        streams.chunk({"role": "assistant", "content": "b"}, choice=1),
        streams.chunk({"role": "assistant", "refusal": "no"}, choice=2),
        streams.chunk(streams.call(0, '{"x":0}', call_id="call_0", name="f")),
        streams.chunk(streams.call(0, '{"x":1}', call_id="call_1", name="g"), choice=1),
        streams.chunk({"content": "A"}),
        streams.chunk({"content": "B"}, choice=1),
        streams.chunk({}, "stop", choice=2),
        streams.chunk({}, "tool_calls"),
        streams.chunk({}, "length", choice=1),
    )
    zero, one, two = accumulator.rebuild_response_object({})["choices"]
    assert [choice["index"] for choice in (zero, one, two)] == [0, 1, 2]
    assert [choice["finish_reason"] for choice in (zero, one, two)] == ["tool_calls", "length", "stop"]
    assert [zero["message"]["content"], one["message"]["content"]] == ["aA", "bB"]
    assert [call["id"] for call in zero["message"]["tool_calls"]] == ["call_0"]
    assert [call["id"] for call in one["message"]["tool_calls"]] == ["call_1"]
    assert two["message"]["refusal"] == "no"
    assert not two["message"].get("tool_calls")
    assert {call["id"] for call in accumulator.get_complete_tool_calls()} == {"call_0", "call_1"}


def test_openai_choices_are_ordered_by_index() -> None:
    accumulator = openai(streams.chunk({"content": "b"}, "stop", choice=1), streams.chunk({"content": "a"}, "stop"))
    assert [choice["index"] for choice in accumulator.rebuild_response_object({})["choices"]] == [0, 1]


def test_openai_only_a_call_has_no_content() -> None:
    accumulator = openai(
        streams.chunk({"role": "assistant", "content": None}),
        streams.chunk(streams.call(0, "{}", call_id="call_1", name="f")),
        streams.chunk({}, "tool_calls"),
    )
    assert not only_message(accumulator)["content"]


def test_openai_no_call_no_tool_calls() -> None:
    message = only_message(openai(streams.chunk({"content": "x"}), streams.chunk({}, "stop")))
    assert not message.get("tool_calls")


def test_openai_refusal() -> None:
    accumulator = openai(
        streams.chunk({"role": "assistant", "refusal": "I "}), streams.chunk({"refusal": "can't."}, "stop")
    )
    message = only_message(accumulator)
    assert message["refusal"] == "I can't."
    assert not message.get("content")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_openai_reasoning(field: str) -> None:
    accumulator = openai(
        streams.chunk({"role": "assistant", "content": None, field: "let "}),
        streams.chunk({"content": None, field: "me"}),
        streams.chunk({"content": "Hi", field: None}),
        streams.chunk({}, "stop"),
    )
    message = only_message(accumulator)
    assert message["reasoning_content"] == "let me"
    assert message["content"] == "Hi"


def test_openai_null_fields() -> None:
    """SGLang and Azure send every field in every delta."""
    nothing = {"role": None, "content": None, "tool_calls": None, "reasoning_content": None, "refusal": None}
    accumulator = openai(
        streams.chunk({"role": "assistant"}),
        streams.chunk(nothing | {"content": "x"}),
        streams.chunk(nothing | streams.call(0, "{}", call_id="call_1", name="f")),
        streams.chunk(nothing, "tool_calls"),
    )
    message = only_message(accumulator)
    assert message["role"] == "assistant"
    assert message["content"] == "x"
    assert len(accumulator.get_complete_tool_calls()) == 1


def test_openai_a_finish_reason_is_not_taken_back() -> None:
    accumulator = openai(streams.chunk({"content": "x"}, "length"), streams.chunk({}), streams.usage_chunk())
    assert accumulator.rebuild_response_object({})["choices"][0]["finish_reason"] == "length"


def test_openai_unfinished_has_no_finish_reason() -> None:
    accumulator = openai(streams.chunk({"content": "x"}))
    assert accumulator.rebuild_response_object({})["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize(
    "end",
    [
        [streams.chunk({}, "stop"), streams.usage_chunk()],
        [streams.chunk({}, "stop", usage=CHAT_USAGE)],
        [streams.chunk({}, "stop", usage=None), streams.usage_chunk()],
        [
            streams.chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
            streams.chunk({}, "stop", usage=CHAT_USAGE),
        ],
    ],
    ids=["own chunk", "finish chunk", "null before", "cumulative"],
)
def test_openai_usage(end: list[Json]) -> None:
    rebuilt = openai(streams.chunk({"content": "x"}, usage=None), *end).rebuild_response_object({})
    assert rebuilt["usage"] == CHAT_USAGE


def test_openai_no_usage_is_invented() -> None:
    ended = openai(streams.chunk({"content": "x"}, "stop"))
    assert not ended.rebuild_response_object({}).get("usage")
    assert ended.rebuild_response_object({"usage": {"total_tokens": 3}})["usage"] == {"total_tokens": 3}


def test_openai_error_is_no_end() -> None:
    accumulator = openai(
        streams.chunk({"content": "Hel"}), {"error": {"message": "Overloaded", "type": "server_error"}}
    )
    (choice,) = accumulator.rebuild_response_object({})["choices"]
    assert choice["message"]["content"] == "Hel"
    assert choice["finish_reason"] is None


def test_openai_error_after_the_finish_reason_is_no_end_either() -> None:
    accumulator = openai(streams.chunk({"content": "Hel"}, "stop"), {"error": {"message": "Overloaded"}})
    (choice,) = accumulator.rebuild_response_object({})["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hel", None)


def test_openai_length_is_not_hidden_behind_a_later_reason() -> None:
    accumulator = openai(streams.chunk({"content": "x"}, "length"), streams.chunk({}, "tool_calls"))
    assert accumulator.rebuild_response_object({})["choices"][0]["finish_reason"] == "length"


def test_openai_an_empty_first_chunk() -> None:
    """Azure sends its prompt's filter results first, with empty id, model and object."""
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
    rebuilt = openai(first, *streams.chat()).rebuild_response_object({})
    assert (rebuilt["id"], rebuilt["model"]) == ("chatcmpl-9", "gpt-test")


# -- Responses --------------------------------------------------------------------------------------------------------


def test_responses_tool_calls() -> None:
    assert responses(*streams.opening(), *streams.items()).get_complete_tool_calls() == [
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "function": {"name": "weather", "arguments": '{"city":"Łódź"}'},
        },
        {
            "id": "fc_2",
            "type": "function_call",
            "call_id": "call_2",
            "function": {"name": "now", "arguments": "{}"},
        },
    ]


def test_responses_tool_calls_of_the_terminal_payload_alone() -> None:
    found = responses(streams.terminal()).get_complete_tool_calls()
    assert [call["call_id"] for call in found] == ["call_1", "call_2"]


def test_responses_tool_call_without_arguments() -> None:
    item = CALL | {"arguments": ""}
    (found,) = responses(*streams.opening(), *streams.call_item(0, item)).get_complete_tool_calls()
    assert json.loads(found["function"]["arguments"]) == {}


def test_responses_tool_call_that_starts_without_its_empty_fields() -> None:
    opened = {key: value for key, value in CALL.items() if key not in {"arguments", "status"}}
    first, *rest = streams.call_item(0)
    accumulator = responses(*streams.opening(), first | {"item": opened}, *rest)
    (found,) = accumulator.get_complete_tool_calls()
    assert found["function"]["arguments"] == CALL["arguments"]


@pytest.mark.parametrize("seen", [1, 2])
def test_responses_unfinished_tool_is_not_complete(seen: int) -> None:
    assert responses(*streams.opening(), *streams.call_item(0)[:seen]).get_complete_tool_calls() == []


def test_responses_cut_arguments_are_never_repaired() -> None:
    cut = CALL | {"arguments": '{"path":"/etc', "status": "incomplete"}
    end = streams.terminal(
        "incomplete", status="incomplete", incomplete_details={"reason": "max_output_tokens"}, output=[cut]
    )
    accumulator = responses(*streams.opening(), *streams.call_item(0, cut), end)
    assert accumulator.get_complete_tool_calls() == []
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["output"][0]["arguments"] == '{"path":"/etc'
    assert not rebuilt.get("tool_calls")


def test_responses_arguments_without_deltas() -> None:
    events = [item for item in streams.call_item(0) if not item["type"].endswith(".delta")]
    (found,) = responses(*streams.opening(), *events).get_complete_tool_calls()
    assert found["function"]["arguments"] == CALL["arguments"]


def test_responses_arguments_only_in_the_deltas() -> None:
    events = [item for item in streams.call_item(0) if item["type"].endswith((".added", ".delta"))]
    end = streams.terminal(output=[])
    (found,) = responses(*streams.opening(), *events, end).get_complete_tool_calls()
    assert found["function"]["arguments"] == CALL["arguments"]


def test_responses_rebuilds_the_terminal_payload() -> None:
    payload = streams.terminal()["response"]
    rebuilt = responses(*streams.opening(), *streams.items(), streams.terminal()).rebuild_response_object({})
    assert rebuilt["output"] == payload["output"]
    for key in ("id", "object", "created_at", "status", "model", "usage", "parallel_tool_calls", "metadata"):
        assert rebuilt[key] == payload[key]
    assert [call["call_id"] for call in rebuilt["tool_calls"]] == ["call_1", "call_2"]
    assert rebuilt["text"] == "Hello"


def test_responses_reasoning_summary() -> None:
    rebuilt = responses(*streams.opening(), *streams.items(), streams.terminal()).rebuild_response_object({})
    assert [(part["type"], part["text"]) for part in rebuilt["reasoning"]["summary"]] == [
        ("summary_text", "Think hard.")
    ]
    assert rebuilt["reasoning"]["effort"] == "high"


def test_responses_reasoning_summary_of_the_terminal_payload_alone() -> None:
    rebuilt = responses(streams.terminal()).rebuild_response_object({})
    assert rebuilt["reasoning"]["summary"][0]["text"] == "Think hard."
    assert rebuilt["text"] == "Hello"


def test_responses_reasoning_summary_of_several_parts_and_items() -> None:
    first = REASONING | {"summary": [{"type": "summary_text", "text": text} for text in ("one.", "two.")]}
    second = REASONING | {"id": "rs_2", "summary": [{"type": "summary_text", "text": "three."}]}
    events = [*streams.opening(), *streams.reasoning_item(0, first), *streams.reasoning_item(1, second)]
    rebuilt = responses(*events).rebuild_response_object({})
    assert [part["text"] for part in rebuilt["reasoning"]["summary"]] == ["one.", "two.", "three."]


def test_responses_without_reasoning_the_configuration_stays() -> None:
    rebuilt = responses(streams.terminal(output=[MESSAGE])).rebuild_response_object({})
    assert rebuilt["reasoning"] == {"effort": "high", "summary": "auto"}
    assert not rebuilt.get("tool_calls")


def test_responses_built_from_the_items_where_no_terminal_came() -> None:
    rebuilt = responses(*streams.opening(), *streams.items()).rebuild_response_object({})
    assert rebuilt["id"] == "resp_1"
    assert rebuilt["output"] == [REASONING, MESSAGE, CALL, CALL_2]
    assert rebuilt["text"] == "Hello"
    assert [call["call_id"] for call in rebuilt["tool_calls"]] == ["call_1", "call_2"]
    assert rebuilt["reasoning"]["summary"][0]["text"] == "Think hard."
    assert rebuilt["status"] != "completed"
    assert not rebuilt.get("usage")


def test_responses_built_from_items_in_mid_stream() -> None:
    events = [*streams.opening(), *streams.reasoning_item(0), *streams.message_item(1)[:3], *streams.call_item(2)[:2]]
    accumulator = responses(*events)
    rebuilt = accumulator.rebuild_response_object({})
    assert [item["type"] for item in rebuilt["output"]] == ["reasoning", "message", "function_call"]
    assert rebuilt["output"][1]["content"][0]["text"] == "He"
    assert rebuilt["output"][2]["arguments"] == CALL["arguments"][:3]
    assert rebuilt["text"] == "He"
    assert accumulator.get_complete_tool_calls() == []


def test_responses_output_is_ordered_by_output_index() -> None:
    first, second = streams.message_item(0), streams.call_item(1)
    events = [first[0], second[0], *second[1:], *first[1:]]
    rebuilt = responses(*streams.opening(), *events).rebuild_response_object({})
    assert [item["id"] for item in rebuilt["output"]] == ["msg_1", "fc_1"]


def test_responses_completes_the_argument() -> None:
    own = {
        "id": "resp_own",
        "model": "own",
        "created_at": 1_687_445_455,
        "status": "in_progress",
        "output": {"type": "responses", "id": "output_1"},
    }
    rebuilt = responses(*streams.items()).rebuild_response_object(own)
    assert {key: rebuilt[key] for key in own if key != "output"} == {
        key: value for key, value in own.items() if key != "output"
    }
    assert rebuilt["output"] == [REASONING, MESSAGE, CALL, CALL_2]


def test_responses_the_terminal_payload_wins_over_a_placeholder() -> None:
    rebuilt = responses(streams.terminal()).rebuild_response_object({"id": "placeholder", "output": [], "mine": 1})
    assert rebuilt["id"] == "resp_1"
    assert rebuilt["status"] == "completed"
    assert rebuilt["usage"] == RESPONSES_USAGE
    assert rebuilt["mine"] == 1
    assert len(rebuilt["output"]) == 4


def test_responses_terminal_payload_without_output_takes_the_items() -> None:
    for end in (streams.terminal(output=[]), streams.terminal(output=None)):
        rebuilt = responses(*streams.opening(), *streams.items(), end).rebuild_response_object({})
        assert rebuilt["output"] == [REASONING, MESSAGE, CALL, CALL_2]
        assert rebuilt["status"] == "completed"
        assert rebuilt["usage"] == RESPONSES_USAGE


def test_responses_all_text_is_joined() -> None:
    parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in (" wor", "ld")]
    second = MESSAGE | {"id": "msg_2", "content": parts}
    events = [*streams.opening(), *streams.message_item(0), *streams.message_item(1, second)]
    assert responses(*events).rebuild_response_object({})["text"] == "Hello world"
    end = streams.terminal(output=[MESSAGE, second])
    assert responses(*events, end).rebuild_response_object({})["text"] == "Hello world"


def test_responses_refusal() -> None:
    refused = MESSAGE | {"content": [{"type": "refusal", "refusal": "I can't."}]}
    rebuilt = responses(*streams.opening(), *streams.message_item(0, refused)).rebuild_response_object({})
    assert rebuilt["output"] == [refused]
    assert not isinstance(rebuilt.get("text"), str)


def test_responses_items_of_other_kinds_stay_as_they_are() -> None:
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    custom = {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_9",
        "name": "patch",
        "input": "+x",
    }
    tomorrow = {"id": "x_1", "type": "of_tomorrow", "payload": [1, {"a": None}]}
    events = list(streams.opening())
    for index, item in enumerate([search, custom, tomorrow]):
        events.append(streams.event("output_item.added", output_index=index, item=item | {"status": "in_progress"}))
        events.append(streams.event("output_item.done", output_index=index, item=item))
    assert responses(*events).rebuild_response_object({})["output"] == [search, custom, tomorrow]


def test_responses_ids_that_change_with_every_event() -> None:
    """GitHub Copilot: only output_index ties the events of an item together."""
    events = [*streams.opening()]
    for number, item in enumerate([*streams.message_item(0)[:-1], *streams.call_item(1)[:-1]]):
        changed = deepcopy(item)
        if "item" in changed:
            changed["item"]["id"] = f"id_{number}"
        else:
            changed["item_id"] = f"id_{number}"
        events.append(changed)
    rebuilt = responses(*events).rebuild_response_object({})
    assert [item["type"] for item in rebuilt["output"]] == ["message", "function_call"]
    assert rebuilt["text"] == "Hello"
    assert rebuilt["output"][1]["arguments"] == CALL["arguments"]


def test_responses_a_sparse_terminal_payload_counts() -> None:
    sparse = {"id": "resp_1", "object": "response", "output": [MESSAGE], "field_of_tomorrow": 1}
    accumulator = responses(streams.event("completed", response=sparse))
    assert accumulator.get_completed_response() == sparse
    assert accumulator.rebuild_response_object({})["text"] == "Hello"


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_responses_completed_response(kind: str) -> None:
    end = streams.terminal(kind, error={"code": "server_error", "message": "x"} if kind == "failed" else None)
    accumulator = responses(*streams.opening(), *streams.items(), end)
    assert accumulator.get_completed_response() == end["response"]
    assert accumulator.rebuild_response_object({})["status"] == kind


def test_responses_no_completed_response_before_the_end() -> None:
    accumulator = ResponsesAccumulator()
    assert accumulator.get_completed_response() is None
    accumulated(accumulator, streams.responses()[:-1])
    assert accumulator.get_completed_response() is None


def test_responses_completed_response_is_a_copy() -> None:
    accumulator = responses(*streams.opening(), *streams.items(), streams.terminal())
    taken = accumulator.get_completed_response()
    assert taken is not None
    taken["status"] = "mutated"
    taken["output"][1]["content"][0]["text"] = "mutated"
    taken["usage"]["total_tokens"] = 0
    assert accumulator.get_completed_response() == streams.terminal()["response"]
    assert accumulator.rebuild_response_object({})["text"] == "Hello"


def test_responses_error_is_no_end() -> None:
    nested = {"type": "error", "error": {"type": "server_error", "code": "x", "message": "m", "param": None}}
    accumulator = responses(*streams.opening(), *streams.message_item(0)[:4], nested)
    assert accumulator.get_completed_response() is None
    rebuilt = accumulator.rebuild_response_object({})
    assert rebuilt["text"] == "Hello"
    assert rebuilt["status"] != "completed"


def test_responses_a_second_start_of_the_same_response_changes_nothing() -> None:
    """llama.cpp repeats created and in_progress before every delta."""
    noisy = [noise for item in streams.items() for noise in (*streams.opening(), item)]
    left, right = responses(*noisy), responses(*streams.opening(), *streams.items())
    assert result(left) == result(right)
