"""Whole streams, decoded elsewhere: the facades tell what `ccproxy.collect` tells of the bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy import StreamFailed, collect
from ccproxy.llms.streaming import (
    AnthropicStreamProcessor,
    ClaudeAccumulator,
    OpenAIAccumulator,
    OpenAIStreamProcessor,
    ResponsesAccumulator,
)
from tests.corpus import Stream, each_stream

from .streams import DONE, Json, accumulated, anthropic_event, chat_chunks, finishes, run


def events(stream: Stream) -> list[Json]:
    """The JSON objects of a stream up to `[DONE]`, or to what is none, as an SSE library and `json.loads` give them."""
    found: list[Json] = []
    text = stream.data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for frame in text.split(b"\n\n"):
        fields = [line.partition(b":") for line in frame.split(b"\n")]
        data = b"\n".join(value.removeprefix(b" ") for name, _, value in fields if name == b"data")
        if not data.strip():
            continue
        try:
            value = json.loads(data)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        names = [name.strip().decode() for field, _, name in fields if field == b"event"]
        found.append({"type": names[-1]} | value if names and stream.dialect != "openai-chat" else value)
    return found


def collected(stream: Stream, target: str, **options: Any) -> Json | None:
    """The response body; None if the stream fails."""
    try:
        return collect(stream.data, stream.dialect, target, **options)
    except StreamFailed:
        return None


def messages(body: Json) -> list[Json]:
    return [choice["message"] for choice in body["choices"]]


@each_stream(dialect="anthropic")
def test_claude_accumulator(stream: Stream) -> None:
    body = collected(stream, "anthropic")
    rebuilt = accumulated(ClaudeAccumulator(), events(stream)).rebuild_response_object({})
    if body is None:
        assert not rebuilt.get("stop_reason")
        return
    assert [block for block in rebuilt["content"] if block != {"type": "text", "text": ""}] == body["content"]
    assert rebuilt.get("text", "") == "".join(block["text"] for block in body["content"] if block["type"] == "text")
    assert {"input_tokens": 0, "output_tokens": 0} | rebuilt.get("usage", {}) == body["usage"]
    assert rebuilt["stop_reason"]


@each_stream(dialect="openai-chat")
def test_openai_accumulator(stream: Stream) -> None:
    body = collected(stream, "openai-chat")
    rebuilt = accumulated(OpenAIAccumulator(), events(stream)).rebuild_response_object({})
    if body is None:
        known = {"stop", "length", "tool_calls", "content_filter"}
        assert not rebuilt["choices"] or any(choice["finish_reason"] not in known for choice in rebuilt["choices"])
        return
    if "id" in events(stream)[-1]:
        assert messages(rebuilt) == messages(body)
    assert ("usage" in rebuilt) == ("usage" in body)
    assert all(choice["finish_reason"] for choice in rebuilt["choices"])


@each_stream(dialect="openai-responses")
def test_responses_accumulator(stream: Stream) -> None:
    body = collected(stream, "openai-responses")
    accumulator = accumulated(ResponsesAccumulator(), events(stream))
    rebuilt = accumulator.rebuild_response_object({})
    if body is None:
        assert rebuilt.get("status") not in ("completed", "incomplete")
        return
    assert [item["type"] for item in rebuilt["output"]] == [item["type"] for item in body["output"]]
    calls = [item for item in body["output"] if item["type"] == "function_call" and item.get("status") != "incomplete"]
    assert [(call["call_id"], call["function"]["arguments"]) for call in accumulator.get_complete_tool_calls()] == [
        (call["call_id"], call["arguments"] or "{}") for call in calls
    ]
    final = accumulator.get_completed_response()
    assert final is not None
    assert {**rebuilt, **final} | {"output": rebuilt["output"]} == {
        **rebuilt,
        **{key: final[key] for key in ("text", "reasoning") if key in final},
    }


@pytest.mark.parametrize("thinking", [True, False])
@each_stream(dialect="anthropic")
def test_anthropic_to_openai(stream: Stream, thinking: bool) -> None:
    reasoning: Any = "thinking-xml" if thinking else "reasoning_content"
    body = collected(stream, "openai-chat", reasoning=reasoning)
    frames = run(OpenAIStreamProcessor("chatcmpl-1", "m", 1, enable_thinking_serialization=thinking), events(stream))
    chunks = chat_chunks(frames)
    if body is None:
        assert DONE not in frames
        assert chunks[-1]["error"]
        return
    assert frames[-1] == DONE
    rebuilt = accumulated(OpenAIAccumulator(), chunks).rebuild_response_object({})
    for key in ("content", "reasoning_content", "tool_calls", "annotations"):
        assert [message.get(key) or None for message in messages(rebuilt)] == [
            message.get(key) or None for message in messages(body)
        ]
    assert finishes(chunks) == [choice["finish_reason"] for choice in body["choices"]]
    assert rebuilt.get("usage") == body.get("usage")


@each_stream(dialect="anthropic")
def test_anthropic_to_anthropic(stream: Stream) -> None:
    body = collected(stream, "anthropic")
    source = events(stream)
    found = [anthropic_event(frame) for frame in run(AnthropicStreamProcessor(), source)]
    if body is None:
        assert found[-1]["type"] == "error"
        return
    assert found == source[: len(found)]
    assert found == source or found[-1]["type"] == "message_stop"


@each_stream(dialect="openai-chat")
def test_openai_to_anthropic(stream: Stream) -> None:
    body = collected(stream, "anthropic", model="m")
    found = [anthropic_event(frame) for frame in run(AnthropicStreamProcessor("m"), events(stream))]
    rebuilt = accumulated(ClaudeAccumulator(), found).rebuild_response_object({})
    if body is None:
        assert found[-1]["type"] == "error"
        return
    unsigned = [[block | {"signature": ""} for block in each["content"]] for each in (rebuilt, body)]
    assert unsigned[0] == unsigned[1]  # a signature that comes after its block has no place in a stream
    for key in ("model", "stop_reason", "usage"):
        assert rebuilt[key] == body[key]
