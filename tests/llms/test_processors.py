"""What the processors make of a stream, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from time import time
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from pydantic import TypeAdapter

from ccproxy.llms.streaming import AnthropicSSEFormatter, AnthropicStreamProcessor, OpenAIStreamProcessor
from tests.oracles import ORACLES

from . import streams
from .streams import (
    DONE,
    Json,
    anthropic_event,
    arguments,
    calls,
    chat_chunk,
    chat_chunks,
    chunk,
    deltas,
    finishes,
    joined,
    live,
    run,
    tool_start,
    tool_texts,
    usages,
)

VARIABLE = "LLM__OPENAI_THINKING_XML"
FIXED: Json = {"message_id": "chatcmpl-1", "model": "m", "created": 1_700_000_000}

THINKING = '<thinking signature="c2lnbmVk">Two cities, two calls.</thinking>'
TEXT = "I'll look – é😀."
CALLS = [("toolu_1", "weather", '{"city":"Łódź","days":1.0}'), ("toolu_2", "time", '{ "zone" : "CET" }')]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def to_sse(events: list[Any], failure: BaseException | None = None, **options: Any) -> list[str]:
    return run(OpenAIStreamProcessor(**(FIXED | options)), events, failure)


def to_chunks(events: list[Any], failure: BaseException | None = None, **options: Any) -> list[Json]:
    return run(OpenAIStreamProcessor(**(FIXED | options), output_format="dict"), events, failure)


def to_anthropic(events: list[Any], failure: BaseException | None = None, **options: Any) -> list[str]:
    return run(AnthropicStreamProcessor(**options), events, failure)


def events_of(frames: list[str]) -> list[Json]:
    return [anthropic_event(frame) for frame in frames]


def no_success(chunks: list[Json]) -> Json:
    """The error of chunks that end in one, with no success before or after it."""
    assert finishes(chunks) in ([], ["error"])
    assert [bool(item.get("error")) for item in chunks] == [False] * (len(chunks) - 1) + [True]
    error: Json = chunks[-1]["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert error["type"]
    return error


# -- OpenAIStreamProcessor: the form ----------------------------------------------------------------------------------


def test_sse_is_one_frame_a_string_and_ends_with_done() -> None:
    frames = to_sse(streams.anthropic())
    assert all(isinstance(frame, str) for frame in frames)
    assert frames[-1] == DONE
    assert frames.count(DONE) == 1
    for item in chat_chunks(frames):
        assert item["object"] == "chat.completion.chunk"
        assert (item["id"], item["model"], item["created"]) == ("chatcmpl-1", "m", 1_700_000_000)


def test_sse_is_compact_json() -> None:
    for frame in to_sse(streams.answer(streams.text_block(0, "Hi"))):
        if frame != DONE:
            assert frame == f"data: {json.dumps(chat_chunk(frame), separators=(',', ':'))}\n\n"


@pytest.mark.parametrize("thinking", [True, False])
def test_dicts_are_the_chunks_of_the_sse(thinking: bool) -> None:
    frames = to_sse(streams.anthropic(), enable_thinking_serialization=thinking)
    found = to_chunks(streams.anthropic(), enable_thinking_serialization=thinking)
    assert found == chat_chunks(frames)
    assert all(isinstance(item, dict) for item in found)


def test_dicts_are_json_of_their_own() -> None:
    """A caller may change a chunk without changing the next."""
    processor = OpenAIStreamProcessor(**FIXED, output_format="dict")

    async def collect() -> list[str]:
        found = []
        async for item in processor.process_stream(_later(streams.anthropic())):
            assert isinstance(item, dict)
            found.append(json.dumps(item))
            item.clear()
        return found

    assert [json.loads(text) for text in asyncio.run(collect())] == to_chunks(streams.anthropic())


async def _later(events: list[Any]) -> AsyncIterator[Any]:
    for item in events:
        await asyncio.sleep(0)
        yield item


def test_role_comes_first_and_once() -> None:
    found = deltas(to_chunks(streams.anthropic()))
    assert found[0]["role"] == "assistant"
    assert not any(fields.get("role") for fields in found[1:])


def test_every_choice_is_the_first() -> None:
    for item in to_chunks(streams.anthropic()):
        for choice in item["choices"]:
            assert choice["index"] == 0
            assert "finish_reason" in choice


def test_all_of_it_arrives() -> None:
    found = to_chunks(streams.anthropic())
    assert joined(found) == THINKING + TEXT
    assert tool_texts(found) == CALLS
    assert finishes(found) == ["tool_calls"]


@pytest.mark.parametrize("options", [{}, {"enable_thinking_serialization": False}, {"enable_usage": False}])
def test_the_official_sdk_takes_it(options: Json) -> None:
    data = "".join(to_sse(streams.anthropic(), **options)).encode()
    verdict = ORACLES["openai-chat"].accept(data)
    assert verdict.ok, verdict.error
    assert verdict.final is not None
    message = verdict.final["choices"][0]["message"]
    assert [(call["id"], call["function"]["arguments"]) for call in message["tool_calls"]] == [
        (call_id, text) for call_id, _, text in CALLS
    ]


def test_wrapped_events() -> None:
    wrapped = [{"event": item["type"], "data": item} for item in streams.anthropic()]
    assert to_chunks(wrapped) == to_chunks(streams.anthropic())


def test_wrapped_events_named_outside_only() -> None:
    wrapped = [
        {"event": item["type"], "data": {key: value for key, value in item.items() if key != "type"}}
        for item in streams.anthropic()
    ]
    assert to_chunks(wrapped) == to_chunks(streams.anthropic())


def test_sparse_events() -> None:
    """No index, no message, empty fields left out: as scripts and tests of the original write them."""
    found = to_chunks(
        [
            {"type": "message_start"},
            {"type": "content_block_start", "content_block": {"type": "thinking"}},
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "secret"}},
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "sig"}},
            {"type": "content_block_stop"},
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hello"}},
            {"type": "content_block_stop"},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
    )
    assert joined(found) == '<thinking signature="sig">secret</thinking>hello'
    assert finishes(found) == ["stop"]


def test_events_of_the_official_sdks() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    assert to_chunks([adapter.validate_python(item) for item in streams.anthropic()]) == to_chunks(streams.anthropic())
    typed = [ChatCompletionChunk.model_validate(item) for item in streams.chat()]
    assert events_of(to_anthropic(typed)) == events_of(to_anthropic(streams.chat()))


def test_pings_and_unknown_events_are_no_chunks() -> None:
    noisy = [noise for item in streams.anthropic() for noise in (item, streams.PING, {"type": "of_tomorrow"})]
    assert to_chunks(noisy) == to_chunks(streams.anthropic())


def test_the_events_are_not_changed() -> None:
    events = streams.anthropic()
    to_chunks(events)
    assert events == streams.anthropic()


# -- OpenAIStreamProcessor: its options -------------------------------------------------------------------------------


def test_options_by_position() -> None:
    processor = OpenAIStreamProcessor("chatcmpl-7", "model", 5, False, False, False, "dict")
    found = run(processor, streams.anthropic())
    assert {(item["id"], item["model"], item["created"]) for item in found} == {("chatcmpl-7", "model", 5)}
    assert usages(found) == []
    assert calls(found) == {}
    assert joined(found, "reasoning_content")


def test_defaults() -> None:
    before = int(time())
    found = run(OpenAIStreamProcessor(output_format="dict"), streams.anthropic())
    ((message_id, model, created),) = {(item["id"], item["model"], item["created"]) for item in found}
    assert isinstance(message_id, str)
    assert message_id
    assert model == "claude-3-5-sonnet-20241022"
    assert isinstance(created, int)
    assert before <= created <= int(time())
    assert joined(found).startswith("<thinking")
    assert usages(found)


def test_the_model_is_the_one_asked_for() -> None:
    """The upstream calls itself claude-test."""
    assert {item["model"] for item in to_chunks(streams.anthropic(), model="alias")} == {"alias"}


def test_usage_once_and_last() -> None:
    opened = {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 2,
        "output_tokens": 1,
    }
    events = [
        streams.message_start(opened),
        *streams.text_block(0, "x"),
        streams.message_delta("end_turn", {"output_tokens": 7}),
        streams.MESSAGE_STOP,
    ]
    found = to_chunks(events)
    (usage,) = usages(found)
    assert found[-1]["usage"] == usage
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (17, 7, 24)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 5


def test_usage_counts_are_replaced_not_added() -> None:
    events = [
        streams.message_start({"input_tokens": 10, "output_tokens": 3}),
        streams.message_delta("end_turn", {"input_tokens": 12, "output_tokens": 7}),
        streams.MESSAGE_STOP,
    ]
    (usage,) = usages(to_chunks(events))
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 7, 19)


def test_usage_stands_where_a_reader_of_the_first_choice_finds_no_gap() -> None:
    """It rides on the finish chunk, as `format_final_chunk` has it: every chunk has a choice."""
    assert all(item["choices"] for item in to_chunks(streams.anthropic()))


def test_usage_switched_off() -> None:
    found = to_chunks(streams.anthropic(), enable_usage=False)
    assert not any("usage" in item for item in found)
    assert finishes(found) == ["tool_calls"]


def test_usage_that_never_came_is_not_invented() -> None:
    events = [
        {"type": "message_start", "message": {"id": "msg_1", "role": "assistant"}},
        *streams.text_block(0, "x"),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        streams.MESSAGE_STOP,
    ]
    found = to_chunks(events)
    assert usages(found) == []
    assert finishes(found) == ["stop"]


def test_tool_calls_switched_off() -> None:
    found = to_chunks(streams.anthropic(), enable_tool_calls=False)
    assert not any("tool_calls" in fields for fields in deltas(found))
    assert joined(found) == THINKING + TEXT
    assert finishes(found) == ["stop"]


# -- OpenAIStreamProcessor: thinking ----------------------------------------------------------------------------------


def test_thinking_true_is_one_element_a_block() -> None:
    events = streams.answer(
        streams.thinking_block(0, "s0", "a", "b", "c"),
        streams.thinking_block(1, "s1", "d"),
        streams.text_block(2, "x"),
        streams.thinking_block(3, "s3", "e"),
    )
    found = to_chunks(events, enable_thinking_serialization=True)
    assert joined(found) == (
        '<thinking signature="s0">abc</thinking><thinking signature="s1">d</thinking>x<thinking signature="s3">e</thinking>'
    )
    assert not any("reasoning_content" in fields for fields in deltas(found))


def test_thinking_true_without_a_signature() -> None:
    events = streams.answer(streams.thinking_block(0, None, "a"), streams.text_block(1, "x"))
    assert joined(to_chunks(events, enable_thinking_serialization=True)) == "<thinking>a</thinking>x"


def test_thinking_true_with_the_signature_alone() -> None:
    events = streams.answer(streams.thinking_block(0, "sig"), streams.text_block(1, "x"))
    assert joined(to_chunks(events, enable_thinking_serialization=True)) == '<thinking signature="sig"></thinking>x'


def test_thinking_true_without_anything_in_it() -> None:
    events = streams.answer(streams.thinking_block(0, None), streams.text_block(1, "x"))
    assert joined(to_chunks(events, enable_thinking_serialization=True)) == "x"


def test_thinking_true_keeps_any_text() -> None:
    text = 'a < b & "c"\n</thinking\n\u2028 é😀'
    events = streams.answer(streams.thinking_block(0, "s==", text[:9], text[9:]))
    assert joined(to_chunks(events, enable_thinking_serialization=True)) == (
        f'<thinking signature="s==">{text}</thinking>'
    )


def test_thinking_true_cut_inside_a_block_loses_none_of_it() -> None:
    """The element can't be opened before its signature is known; a cut must not swallow what was thought."""
    events = [streams.message_start(), *streams.thinking_block(0, "sig", "so far")[:2]]
    found = to_chunks(events, enable_thinking_serialization=True)
    no_success(found)
    assert "so far" in joined(found)


def test_thinking_false_is_reasoning_content() -> None:
    found = to_chunks(streams.anthropic(), enable_thinking_serialization=False)
    assert joined(found, "reasoning_content") == "Two cities, two calls."
    assert joined(found) == TEXT


def test_thinking_false_of_several_blocks() -> None:
    events = streams.answer(
        streams.thinking_block(0, "s0", "a"), streams.text_block(1, "x"), streams.thinking_block(2, "s2", "b")
    )
    found = to_chunks(events, enable_thinking_serialization=False)
    assert joined(found, "reasoning_content").replace("\n", "") == "ab"
    assert joined(found) == "x"


@pytest.mark.parametrize(
    ("value", "in_content"),
    [
        (None, True),
        ("true", True),
        ("1", True),
        ("yes", True),
        ("on", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("0", False),
        ("no", False),
        ("off", False),
        ("Off", False),
    ],
)
def test_thinking_none_reads_the_variable(monkeypatch: pytest.MonkeyPatch, value: str | None, in_content: bool) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    found = to_chunks(streams.anthropic(), enable_thinking_serialization=None)
    assert ("<thinking" in joined(found)) is in_content
    assert bool(joined(found, "reasoning_content")) is not in_content


@pytest.mark.parametrize("value", ["true", "false"])
@pytest.mark.parametrize("asked", [True, False])
def test_thinking_asked_for_overrules_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, asked: bool) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert ("<thinking" in joined(to_chunks(streams.anthropic(), enable_thinking_serialization=asked))) is asked


@pytest.mark.parametrize("thinking", [True, False])
def test_redacted_thinking_is_no_text(thinking: bool) -> None:
    events = streams.answer(
        [streams.start(0, type="redacted_thinking", data="b3BhcXVl"), streams.stop(0)], streams.text_block(1, "x")
    )
    found = to_chunks(events, enable_thinking_serialization=thinking)
    assert joined(found) == "x"
    assert finishes(found) == ["stop"]


# -- OpenAIStreamProcessor: tools and finish --------------------------------------------------------------------------


def test_tool_indexes_count_tools() -> None:
    blocks = [
        streams.text_block(0, "x"),
        *(streams.tool_block(n, f"toolu_{n}", "f", '{"n":', f"{n}}}") for n in (1, 2)),
    ]
    events = streams.answer(*blocks, streams.text_block(3, "y"), streams.tool_block(4, "toolu_4", "g", "{}"))
    assert list(calls(to_chunks(events))) == [0, 1, 2]
    assert tool_texts(to_chunks(events)) == [
        ("toolu_1", "f", '{"n":1}'),
        ("toolu_2", "f", '{"n":2}'),
        ("toolu_4", "g", "{}"),
    ]


def test_interleaved_tools() -> None:
    events = [
        streams.message_start(),
        tool_start(0, "toolu_1", "f"),
        tool_start(1, "toolu_2", "g"),
        arguments(1, '{"b":'),
        arguments(0, '{"a":'),
        arguments(1, "2}"),
        arguments(0, "1}"),
        streams.stop(0),
        streams.stop(1),
        streams.message_delta("tool_use"),
        streams.MESSAGE_STOP,
    ]
    assert tool_texts(to_chunks(events)) == [("toolu_1", "f", '{"a":1}'), ("toolu_2", "g", '{"b":2}')]


@pytest.mark.parametrize("fragments", [(), ("",)])
def test_tool_without_arguments(fragments: tuple[str, ...]) -> None:
    events = streams.answer(streams.tool_block(0, "toolu_1", "now", *fragments), stop_reason="tool_use")
    assert tool_texts(to_chunks(events)) == [("toolu_1", "now", "{}")]


def test_tool_whose_input_is_whole_in_its_start() -> None:
    block = [streams.start(0, type="tool_use", id="toolu_1", name="f", input={"a": 1}), streams.stop(0)]
    ((_, _, text),) = tool_texts(to_chunks(streams.answer(block, stop_reason="tool_use")))
    assert json.loads(text) == {"a": 1}


def test_cut_arguments_stay_cut() -> None:
    events = streams.answer(streams.tool_block(0, "toolu_1", "f", '{"path":"/etc'), stop_reason="max_tokens")
    found = to_chunks(events)
    assert tool_texts(found) == [("toolu_1", "f", '{"path":"/etc')]
    assert finishes(found) == ["length"]


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("model_context_window_exceeded", "length"),
        ("reason_of_tomorrow", "stop"),
    ],
)
def test_finish_reason(stop_reason: str, finish: str) -> None:
    block = streams.tool_block(0, "t", "f", "{}") if finish == "tool_calls" else streams.text_block(0, "x")
    assert finishes(to_chunks(streams.answer(block, stop_reason=stop_reason))) == [finish]


@pytest.mark.parametrize(
    ("stop_reason", "finish"), [("end_turn", "tool_calls"), ("max_tokens", "length"), ("refusal", "content_filter")]
)
def test_finish_reason_beside_tool_calls(stop_reason: str, finish: str) -> None:
    events = streams.answer(streams.tool_block(0, "t", "f", "{}"), stop_reason=stop_reason)
    assert finishes(to_chunks(events)) == [finish]


def test_finish_chunk_has_an_empty_delta() -> None:
    (choice,) = [
        choice for item in to_chunks(streams.anthropic()) for choice in item["choices"] if choice["finish_reason"]
    ]
    assert choice["delta"] == {}


def test_a_message_that_comes_whole_in_its_start() -> None:
    content = [{"type": "text", "text": "hm"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}]
    found = to_chunks([streams.message_start(content=content, stop_reason="tool_use"), streams.MESSAGE_STOP])
    assert joined(found) == "hm"
    ((call_id, name, text),) = tool_texts(found)
    assert (call_id, name, json.loads(text)) == ("toolu_1", "f", {"a": 1})
    assert finishes(found) == ["tool_calls"]


# -- OpenAIStreamProcessor: what goes wrong ---------------------------------------------------------------------------


def test_error_event() -> None:
    events = [streams.message_start(), *streams.text_block(0, "Hel")[:2], streams.error_event()]
    frames = to_sse(events)
    assert DONE not in frames
    assert no_success(chat_chunks(frames))["message"] == "Overloaded"
    assert joined(chat_chunks(frames)) == "Hel"
    found = to_chunks(events)
    assert found == chat_chunks(frames)


def test_error_event_first() -> None:
    frames = to_sse([streams.error_event("authentication_error", "invalid x-api-key")])
    assert DONE not in frames
    assert no_success(chat_chunks(frames))["message"] == "invalid x-api-key"


def test_wrapped_error_event() -> None:
    error = streams.error_event()
    found = to_chunks([streams.message_start(), {"event": "error", "data": error}])
    assert no_success(found)["message"] == "Overloaded"


def test_error_event_after_the_stop_reason() -> None:
    events = [streams.message_start(), *streams.text_block(0, "x"), streams.message_delta("end_turn")]
    frames = to_sse([*events, streams.error_event()])
    assert DONE not in frames
    no_success(chat_chunks(frames))


def test_nothing_follows_an_error() -> None:
    rest = streams.answer(streams.text_block(0, "more"))
    assert to_sse([streams.message_start(), streams.error_event(), *rest]) == to_sse(
        [streams.message_start(), streams.error_event()]
    )


@pytest.mark.parametrize("length", range(len(streams.anthropic()) - 2))
def test_cut_before_the_stop_reason(length: int) -> None:
    frames = to_sse(streams.anthropic()[:length])
    assert DONE not in frames
    no_success(chat_chunks(frames))
    assert to_chunks(streams.anthropic()[:length]) == chat_chunks(frames)


def test_cut_after_the_stop_reason() -> None:
    frames = to_sse(streams.anthropic()[:-1])
    assert frames == to_sse(streams.anthropic())


@pytest.mark.parametrize("failure", [ValueError("broken pipe"), OSError("broken pipe"), TimeoutError("broken pipe")])
def test_a_source_that_raises(failure: Exception) -> None:
    events = [streams.message_start(), *streams.text_block(0, "Hel")[:2]]
    frames = to_sse(events, failure)
    assert DONE not in frames
    assert "broken pipe" in no_success(chat_chunks(frames))["message"]
    assert joined(chat_chunks(frames)) == "Hel"
    assert "broken pipe" in no_success(to_chunks(events, failure))["message"]


@pytest.mark.parametrize("processor", [OpenAIStreamProcessor, AnthropicStreamProcessor])
def test_cancellation_is_not_an_answer(processor: Any) -> None:
    with pytest.raises(asyncio.CancelledError):
        run(processor(), [streams.message_start()], asyncio.CancelledError())


def test_message_stop_is_an_end_without_a_stop_reason_too() -> None:
    """Scripted streams leave it out; the event itself is the protocol's end mark. Without either it is a cut."""
    events = [streams.message_start(), *streams.text_block(0, "x"), {"type": "message_delta", "usage": {}}]
    assert finishes(to_chunks([*events, streams.MESSAGE_STOP])) == ["stop"]
    no_success(to_chunks(events))
    assert finishes(to_chunks(streams.answer(stop_reason="max_tokens"))) == ["length"]


def test_a_source_that_raises_after_the_end() -> None:
    assert to_sse(streams.anthropic(), OSError("reset")) == to_sse(streams.anthropic())
    assert to_anthropic(streams.anthropic(), OSError("reset")) == to_anthropic(streams.anthropic())


def test_an_event_that_is_not_json() -> None:
    events = [streams.message_start(), {"type": "content_block_start", "index": 0, "content_block": object()}]
    no_success(to_chunks(events))
    assert events_of(to_anthropic(events))[-1]["type"] == "error"


def test_a_name_cannot_break_out_of_its_line() -> None:
    name = "x\ndata: {}\n\nevent: message_stop"
    frames = to_anthropic([streams.message_start(), {"type": name}, *streams.anthropic()[1:]])
    assert json.loads(frames[1].removeprefix("data: ")) == {"type": name}
    assert len(frames) == len(streams.anthropic()) + 1


# -- OpenAIStreamProcessor: when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_format", ["sse", "dict"])
def test_each_delta_leaves_with_its_event(output_format: str) -> None:
    events = streams.anthropic()
    out = live(OpenAIStreamProcessor(**FIXED, enable_thinking_serialization=False, output_format=output_format), events)
    chunks = [(at, chat_chunk(item) if isinstance(item, str) else item) for at, item in out if item != DONE]
    for number, item in enumerate(events, 1):
        fields = item.get("delta", {})
        mine = [delta for at, found in chunks if at == number for delta in deltas([found])]
        if fields.get("type") == "text_delta":
            assert [delta.get("content") for delta in mine] == [fields["text"]]
        elif fields.get("type") == "thinking_delta":
            assert [delta.get("reasoning_content") for delta in mine] == [fields["thinking"]]
        elif fields.get("partial_json"):
            assert [delta["tool_calls"][0]["function"]["arguments"] for delta in mine] == [fields["partial_json"]]


def test_the_role_and_a_call_leave_with_their_starts() -> None:
    events = streams.anthropic()
    out = live(OpenAIStreamProcessor(**FIXED, output_format="dict"), events)
    roles = [at for at, item in out if any(fields.get("role") for fields in deltas([item]))]
    assert roles in ([1], [2])  # with message_start, or with the first thing said
    names = {
        call["id"]: at
        for at, item in out
        for fields in deltas([item])
        for call in fields.get("tool_calls") or []
        if call.get("id")
    }
    starts = {
        item["content_block"]["id"]: number
        for number, item in enumerate(events, 1)
        if item.get("content_block", {}).get("type") == "tool_use"
    }
    assert names == starts


def test_a_processor_can_be_used_again() -> None:
    processor = OpenAIStreamProcessor(**FIXED, output_format="dict")
    first = run(processor, [streams.message_start(), *streams.tool_block(0, "t", "f", '{"a')[:2]])
    second = run(processor, streams.anthropic())
    no_success(first)
    assert second == to_chunks(streams.anthropic())


def test_a_long_answer() -> None:
    texts = [f"word{number} " for number in range(20_000)]
    assert joined(to_chunks(streams.answer(streams.text_block(0, *texts)))) == "".join(texts)


# -- AnthropicStreamProcessor: Anthropic events -----------------------------------------------------------------------


def test_anthropic_events_are_reframed() -> None:
    events = streams.anthropic()
    frames = to_anthropic(events)
    assert events_of(frames) == events
    assert frames[0] == AnthropicSSEFormatter.format_event("message_start", events[0])


def test_anthropic_ping_is_reframed() -> None:
    frames = to_anthropic([streams.message_start(), streams.PING, *streams.anthropic()[1:]])
    assert frames[1] == 'event: ping\ndata: {"type": "ping"}\n\n'


def test_anthropic_error_is_the_end() -> None:
    events = [streams.message_start(), *streams.text_block(0, "Hel")[:2], streams.error_event()]
    assert events_of(to_anthropic([*events, *streams.anthropic()])) == events


@pytest.mark.parametrize("length", range(1, len(streams.anthropic()) - 2))
def test_anthropic_cut_before_the_stop_reason(length: int) -> None:
    found = events_of(to_anthropic(streams.anthropic()[:length]))
    assert found[:length] == streams.anthropic()[:length]
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["message"]
    assert not any(item["type"] in {"message_delta", "message_stop"} for item in found)


# -- AnthropicStreamProcessor: OpenAI chunks --------------------------------------------------------------------------


def blocks_of(events: list[Json]) -> list[Json]:
    """The blocks as an SDK joins them; checks that they come one after the other, numbered from 0."""
    blocks: list[Json] = []
    opened = False
    for item in events:
        if item["type"] == "content_block_start":
            assert not opened
            assert item["index"] == len(blocks)
            blocks.append({"input_json": ""} | item["content_block"])
            opened = True
        elif item["type"] == "content_block_delta":
            assert opened
            assert item["index"] == len(blocks) - 1
            fields = item["delta"]
            key = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "input_json"}[fields["type"]]
            blocks[-1][key] += fields.get("partial_json", fields.get("text", fields.get("thinking")))
        elif item["type"] == "content_block_stop":
            assert opened
            assert item["index"] == len(blocks) - 1
            opened = False
    assert not opened
    return blocks


def end_of(events: list[Json]) -> Json:
    (found,) = [item for item in events if item["type"] == "message_delta"]
    assert events[-2:] == [found, {"type": "message_stop"}]
    return found


def test_chat_chunks_to_anthropic() -> None:
    frames = to_anthropic(streams.chat(), model="claude-alias")
    assert not any("[DONE]" in frame for frame in frames)
    found = events_of(frames)
    assert found[0]["type"] == "message_start"
    message = found[0]["message"]
    assert message["model"] == "claude-alias"
    assert (message["type"], message["role"], message["content"]) == ("message", "assistant", [])
    assert isinstance(message["id"], str)
    assert set(message["usage"]) >= {"input_tokens", "output_tokens"}
    text, weather, time_ = blocks_of(found)
    assert (text["type"], text["text"]) == ("text", "Hello")
    assert (weather["type"], weather["id"], weather["name"]) == ("tool_use", "call_1", "weather")
    assert weather["input_json"] == '{"city":"Łódź"}'
    assert (time_["id"], time_["input_json"]) == ("call_2", '{ "zone" : "CET" }')
    end = end_of(found)
    assert end["delta"]["stop_reason"] == "tool_use"
    assert end["usage"]["input_tokens"] == 12
    assert end["usage"]["cache_read_input_tokens"] == 5
    assert end["usage"]["output_tokens"] == 9


def test_chat_chunks_that_the_official_sdk_takes() -> None:
    verdict = ORACLES["anthropic"].accept("".join(to_anthropic(streams.chat())).encode())
    assert verdict.ok, verdict.error
    assert verdict.final is not None
    assert [block["type"] for block in verdict.final["content"]] == ["text", "tool_use", "tool_use"]


def test_chat_default_model() -> None:
    assert events_of(to_anthropic(streams.chat()))[0]["message"]["model"] == "claude-3-5-sonnet-20241022"


def test_chat_reasoning_becomes_thinking() -> None:
    found = events_of(
        to_anthropic(
            [
                chunk({"role": "assistant", "content": None, "reasoning_content": "let "}),
                chunk({"reasoning_content": "me"}),
                chunk({"content": "Hi"}),
                chunk({}, "stop"),
            ]
        )
    )
    thinking, text = blocks_of(found)
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "let me")
    assert (text["type"], text["text"]) == ("text", "Hi")


@pytest.mark.parametrize(
    ("finish", "stop_reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("of_tomorrow", "end_turn")],
)
def test_chat_finish_reason(finish: str, stop_reason: str) -> None:
    found = events_of(to_anthropic([chunk({"role": "assistant", "content": "x"}), chunk({}, finish)]))
    assert end_of(found)["delta"]["stop_reason"] == stop_reason


@pytest.mark.parametrize(("finish", "stop_reason"), [("stop", "tool_use"), ("length", "max_tokens")])
def test_chat_finish_reason_beside_tool_calls(finish: str, stop_reason: str) -> None:
    found = events_of(to_anthropic([chunk(streams.call(0, "{}", call_id="call_1", name="f")), chunk({}, finish)]))
    assert end_of(found)["delta"]["stop_reason"] == stop_reason


def test_chat_usage_on_the_finish_chunk() -> None:
    found = events_of(to_anthropic([chunk({"content": "x"}), chunk({}, "stop", usage=streams.CHAT_USAGE)]))
    assert end_of(found)["usage"]["output_tokens"] == 9


@pytest.mark.parametrize("before", [[], streams.chat()[:3]])
def test_chat_error(before: list[Json]) -> None:
    error = {"error": {"message": "The engine is overloaded", "type": "server_error", "code": None, "param": None}}
    found = events_of(to_anthropic([*before, error, *streams.chat()[3:]]))
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["message"] == "The engine is overloaded"
    assert found[-1]["error"]["type"]
    assert not any(item["type"] in {"message_delta", "message_stop"} for item in found)


@pytest.mark.parametrize("length", range(9))
def test_chat_cut_before_the_finish_reason(length: int) -> None:
    found = events_of(to_anthropic(streams.chat()[:length]))
    assert [item["type"] for item in found].count("error") == 1
    assert found[-1]["type"] == "error"
    assert not any(item["type"] in {"message_delta", "message_stop"} for item in found)


def test_chat_cut_after_the_finish_reason() -> None:
    assert end_of(events_of(to_anthropic(streams.chat()[:-1])))["delta"]["stop_reason"] == "tool_use"


def test_chat_deltas_leave_with_their_chunks() -> None:
    """The second call waits for the first to end, as Anthropic's blocks are serial."""
    source = streams.chat()
    out = [(at, anthropic_event(frame)) for at, frame in live(AnthropicStreamProcessor(), source)]
    assert [at for at, item in out if item.get("delta", {}).get("type") == "text_delta"] == [2, 3]
    first = [(at, item["delta"]["partial_json"]) for at, item in out if item.get("index") == 1 and "delta" in item]
    assert [pair for pair in first if pair[1]] == [(6, '{"city":'), (8, '"Łódź"}')]


def test_anthropic_processor_can_be_used_again() -> None:
    processor = AnthropicStreamProcessor()
    run(processor, streams.chat()[:5])
    assert run(processor, streams.chat()) == to_anthropic(streams.chat())
