"""Streams for the facades, as dicts: one builder for each kind of event, and what runs a processor and reads its output.

Every value is written here. `anthropic`, `chat` and `responses` are the complete answers that most tests share.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from ccproxy.llms.streaming import StreamAccumulator

Json = dict[str, Any]
A = TypeVar("A", bound=StreamAccumulator)

DONE: Final = "data: [DONE]\n\n"


class Processor(Protocol):
    def process_stream(self, stream: AsyncIterator[Json], /) -> AsyncIterator[Any]: ...


class Dumped:
    """An SDK's event as far as an accumulator may know it: something with `model_dump()`."""

    def __init__(self, payload: Json) -> None:
        self._payload = payload

    def model_dump(self) -> Json:
        return self._payload


# -- Anthropic --------------------------------------------------------------------------------------------------------


def message_start(usage: Json | None = None, **fields: Any) -> Json:
    message: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-test",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 10, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message | fields}


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def text_block(index: int, *texts: str) -> list[Json]:
    return [start(index, type="text", text=""), *(delta(index, "text_delta", text=text) for text in texts), stop(index)]


def thinking_block(index: int, signature: str | None, *texts: str) -> list[Json]:
    signed = [] if signature is None else [delta(index, "signature_delta", signature=signature)]
    thoughts = [delta(index, "thinking_delta", thinking=text) for text in texts]
    return [start(index, type="thinking", thinking="", signature=""), *thoughts, *signed, stop(index)]


def tool_start(index: int, call_id: str, name: str) -> Json:
    return start(index, type="tool_use", id=call_id, name=name, input={})


def arguments(index: int, text: str) -> Json:
    return delta(index, "input_json_delta", partial_json=text)


def tool_block(index: int, call_id: str, name: str, *texts: str) -> list[Json]:
    return [tool_start(index, call_id, name), *(arguments(index, text) for text in texts), stop(index)]


def message_delta(stop_reason: str | None, usage: Json | None = None, stop_sequence: str | None = None) -> Json:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence},
        "usage": {"output_tokens": 7} if usage is None else usage,
    }


MESSAGE_STOP: Final[Json] = {"type": "message_stop"}
PING: Final[Json] = {"type": "ping"}


def answer(*blocks: list[Json], stop_reason: str = "end_turn", usage: Json | None = None) -> list[Json]:
    """A whole Anthropic answer around these blocks."""
    events = [event for block in blocks for event in block]
    return [message_start(), *events, message_delta(stop_reason, usage), MESSAGE_STOP]


def error_event(kind: str = "overloaded_error", message: str = "Overloaded") -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}}


def anthropic() -> list[Json]:
    """Thinking, text and two parallel calls; the arguments are not in the form `json.dumps` would give."""
    return answer(
        thinking_block(0, "c2lnbmVk", "Two cities, ", "two calls."),
        text_block(1, "I'll ", "look – é😀."),
        tool_block(2, "toolu_1", "weather", "", '{"city":', '"Łódź","days":1.0', "}"),
        tool_block(3, "toolu_2", "time", '{ "zone" : "CET" }'),
        stop_reason="tool_use",
    )


# -- Chat Completions -------------------------------------------------------------------------------------------------


def chunk(fields: Json | None = None, finish: str | None = None, *, choice: int = 0, **extra: Any) -> Json:
    choices = [{"index": choice, "delta": fields or {}, "logprobs": None, "finish_reason": finish}]
    return {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-test",
        "choices": choices,
    } | extra


def call(index: int | None, text: str | None = None, *, call_id: str | None = None, name: str | None = None) -> Json:
    """The delta with one fragment of a tool call; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", text)) if value is not None}
    fragment: Json = {"function": function}
    if index is not None:
        fragment = {"index": index} | fragment
    if call_id is not None:
        fragment |= {"id": call_id, "type": "function"}
    return {"tool_calls": [fragment]}


CHAT_USAGE: Final[Json] = {
    "prompt_tokens": 17,
    "completion_tokens": 9,
    "total_tokens": 26,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def usage_chunk(**fields: Any) -> Json:
    return chunk(choices=[], usage=CHAT_USAGE | fields)


def chat() -> list[Json]:
    """Text and two parallel calls whose fragments alternate, then the usage."""
    return [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk(call(0, "", call_id="call_1", name="weather")),
        chunk(call(1, "", call_id="call_2", name="time")),
        chunk(call(0, '{"city":')),
        chunk(call(1, '{ "zone" : ')),
        chunk(call(0, '"Łódź"}')),
        chunk(call(1, '"CET" }')),
        chunk({}, "tool_calls"),
        usage_chunk(),
    ]


# -- Responses --------------------------------------------------------------------------------------------------------


def response(**fields: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "in_progress",
        "model": "gpt-test",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        "metadata": {},
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "text"}},
    } | fields


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", **fields}


REASONING: Final[Json] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Think hard."}],
    "encrypted_content": "ZW5j",
}
MESSAGE: Final[Json] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {
            "type": "output_text",
            "text": "Hello",
            "annotations": [
                {"type": "url_citation", "url": "https://e.test", "title": "t", "start_index": 0, "end_index": 5}
            ],
            "logprobs": [],
        }
    ],
}
CALL: Final[Json] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Łódź"}',
}
CALL_2: Final[Json] = {
    "id": "fc_2",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_2",
    "name": "now",
    "arguments": "{}",
}
RESPONSES_USAGE: Final[Json] = {
    "input_tokens": 17,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 26,
}


def reasoning_item(index: int, item: Json = REASONING) -> list[Json]:
    at = {"item_id": item["id"], "output_index": index}
    events = [
        event("output_item.added", output_index=index, item={"id": item["id"], "type": "reasoning", "summary": []})
    ]
    for position, part in enumerate(item["summary"]):
        here = at | {"summary_index": position}
        text = part["text"]
        events += [
            event("reasoning_summary_part.added", **here, part={"type": "summary_text", "text": ""}),
            event("reasoning_summary_text.delta", **here, delta=text[:3]),
            event("reasoning_summary_text.delta", **here, delta=text[3:]),
            event("reasoning_summary_text.done", **here, text=text),
            event("reasoning_summary_part.done", **here, part=part),
        ]
    return [*events, event("output_item.done", output_index=index, item=item)]


def message_item(index: int, item: Json = MESSAGE) -> list[Json]:
    at = {"item_id": item["id"], "output_index": index}
    opened = item | {"status": "in_progress", "content": []}
    events = [event("output_item.added", output_index=index, item=opened)]
    for position, part in enumerate(item["content"]):
        here = at | {"content_index": position}
        field = "refusal" if part["type"] == "refusal" else "text"
        name = "refusal" if field == "refusal" else "output_text"
        whole = part[field]
        logprobs: Json = {} if field == "refusal" else {"logprobs": []}
        empty = part | {field: ""} | ({} if field == "refusal" else {"annotations": []})
        notes = [
            event("output_text.annotation.added", **here, annotation_index=number, annotation=note)
            for number, note in enumerate(part.get("annotations", []))
        ]
        events += [
            event("content_part.added", **here, part=empty),
            event(f"{name}.delta", **here, delta=whole[:2], **logprobs),
            event(f"{name}.delta", **here, delta=whole[2:], **logprobs),
            *notes,
            event(f"{name}.done", **here, **{field: whole}, **logprobs),
            event("content_part.done", **here, part=part),
        ]
    return [*events, event("output_item.done", output_index=index, item=item)]


def call_item(index: int, item: Json = CALL) -> list[Json]:
    at = {"item_id": item["id"], "output_index": index}
    opened = item | {"status": "in_progress", "arguments": ""}
    whole = item["arguments"]
    return [
        event("output_item.added", output_index=index, item=opened),
        *(event("function_call_arguments.delta", **at, delta=part) for part in (whole[:3], whole[3:]) if part),
        event("function_call_arguments.done", **at, arguments=whole),
        event("output_item.done", output_index=index, item=item),
    ]


def opening() -> list[Json]:
    return [event("created", response=response()), event("in_progress", response=response())]


def numbered(events: Iterable[Json]) -> list[Json]:
    return [item | {"sequence_number": number} for number, item in enumerate(events)]


def items() -> list[Json]:
    """Reasoning, a message with a citation and two calls, as items without what goes around them."""
    return [*reasoning_item(0), *message_item(1), *call_item(2), *call_item(3, CALL_2)]


def terminal(kind: str = "completed", **fields: Any) -> Json:
    """The terminal event over `items()`; `fields` are the response's."""
    output = [REASONING, MESSAGE, CALL, CALL_2]
    return event(kind, response=response(status=kind, output=output, usage=RESPONSES_USAGE) | fields)


def responses() -> list[Json]:
    return numbered([*opening(), *items(), terminal()])


# -- running ----------------------------------------------------------------------------------------------------------


def accumulated(accumulator: A, events: Iterable[Json]) -> A:
    """The accumulator after these events, each under its own name ("" for Chat chunks, which have none)."""
    for item in events:
        accumulator.accumulate(item.get("type", ""), item)
    return accumulator


async def _source(events: Iterable[Any], failure: BaseException | None = None) -> AsyncIterator[Any]:
    for item in events:
        yield item
    if failure is not None:
        raise failure


async def _collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


def run(processor: Processor, events: Iterable[Any], failure: BaseException | None = None) -> list[Any]:
    """All that a processor gives for these events; `failure` is raised by the source after the last."""
    return asyncio.run(_collect(processor.process_stream(_source(events, failure))))


def live(processor: Processor, events: Sequence[Any]) -> list[tuple[int, Any]]:
    """Each output with the number of events that the source had given by then."""

    async def record() -> list[tuple[int, Any]]:
        given = 0

        async def source() -> AsyncIterator[Any]:
            nonlocal given
            for item in events:
                given += 1
                yield item

        return [(given, item) async for item in processor.process_stream(source())]

    return asyncio.run(record())


def chat_chunk(frame: str) -> Json:
    """The chunk in one SSE string, which must be exactly one `data:` frame."""
    assert frame.startswith("data: ")
    assert frame.endswith("\n\n")
    assert frame.count("\n") == 2
    value: Json = json.loads(frame.removeprefix("data: "))
    return value


def chat_chunks(frames: Iterable[str]) -> list[Json]:
    """The chunks of a whole output, without its `[DONE]`."""
    return [chat_chunk(frame) for frame in frames if frame != DONE]


def anthropic_event(frame: str) -> Json:
    """The event in one SSE string, which must be one frame whose `event:` line says the data's type."""
    assert frame.endswith("\n\n")
    name, data = frame.removesuffix("\n\n").split("\n")
    value: Json = json.loads(data.removeprefix("data: "))
    assert name == f"event: {value['type']}"
    return value


def deltas(chunks: Iterable[Json]) -> list[Json]:
    return [choice["delta"] for item in chunks for choice in item.get("choices", [])]


def joined(chunks: Iterable[Json], key: str = "content") -> str:
    return "".join(fields.get(key) or "" for fields in deltas(chunks))


def finishes(chunks: Iterable[Json]) -> list[str]:
    """Every finish_reason that is not null."""
    return [
        choice["finish_reason"] for item in chunks for choice in item.get("choices", []) if choice.get("finish_reason")
    ]


def usages(chunks: Iterable[Json]) -> list[Json]:
    return [item["usage"] for item in chunks if item.get("usage")]


def calls(chunks: Iterable[Json]) -> dict[int, Json]:
    """The tool calls of a stream of chunks, by index; id, type and name must come once, in the first fragment."""
    found: dict[int, Json] = {}
    for fields in deltas(chunks):
        for fragment in fields.get("tool_calls") or []:
            function = fragment.get("function") or {}
            if fragment["index"] not in found:
                assert fragment["id"]
                assert fragment["type"] == "function"
                assert function["name"]
                found[fragment["index"]] = {"id": fragment["id"], "name": function["name"], "arguments": ""}
            else:
                assert not fragment.get("id")
                assert not function.get("name")
            found[fragment["index"]]["arguments"] += function.get("arguments") or ""
    return found


def tool_texts(chunks: Iterable[Json]) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of every call, in order of index, which must be 0, 1, 2 …"""
    found = calls(chunks)
    assert list(found) == list(range(len(found)))
    return [(item["id"], item["name"], item["arguments"]) for item in found.values()]
