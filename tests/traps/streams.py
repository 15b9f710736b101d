"""Small streams by hand, and what runs a translator over them.

One builder for each dialect frames whole events: `chat(chunk(...), ...)`, `anthropic(event, ...)`,
`responses(event, ...)`. The helpers below them spell the events; `message` and `response` add a stream's beginning and
end. `run` translates and gives the output as `outputs` has read it, under every rule of the target's protocol.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest

from ccproxy import Translator

from .outputs import Output, read

Json = dict[str, Any]

DIALECTS: Final = ("anthropic", "openai-chat", "openai-responses")

FINISHES: Final[dict[str, tuple[str, ...]]] = {
    "end": ("end_turn", "stop", "completed"),
    "tool": ("tool_use", "tool_calls", "completed"),
    "length": ("max_tokens", "length", "max_output_tokens"),
    "filtered": ("refusal", "content_filter", "content_filter"),
}
"""How the dialects spell why a stream stops."""

each_target: Final = pytest.mark.parametrize("target", DIALECTS)
each_source: Final = pytest.mark.parametrize("source", DIALECTS)


def sse(payload: object, event: str = "") -> bytes:
    """One frame."""
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return (f"event: {event}\n" if event else "").encode() + f"data: {data}\n\n".encode()


def frames_of(data: bytes) -> list[bytes]:
    """The frames of a stream in this module's form, each with its blank line; what follows the last one as it is."""
    return re.findall(rb".+?\n\n|.+\Z", data, re.DOTALL)


# -- Chat Completions -------------------------------------------------------------------------------------------------

CHAT_USAGE: Final[Json] = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}


def chat(*chunks: Json, done: bool = True) -> bytes:
    """Chunks, framed; `[DONE]` after them."""
    return b"".join(map(sse, chunks)) + (sse("[DONE]") if done else b"")


def chunk(delta: Json | None = None, finish: str | None = None, **top: Any) -> Json:
    """One chunk with one choice."""
    return _chunk([{"index": 0, "delta": delta or {}, "finish_reason": finish}]) | top


def usage_chunk(usage: Json = CHAT_USAGE) -> Json:
    return _chunk([]) | {"usage": usage}


def _chunk(choices: list[Json]) -> Json:
    top = {"id": "chatcmpl-trap", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "model-1"}
    return top | {"choices": choices}


def call(
    index: int | None, id: str | None = None, name: str | None = None, arguments: str | None = None, **more: Any
) -> Json:
    """A delta with one fragment of a tool call; what is None is left out."""
    return {"tool_calls": [fragment(index, id, name, arguments, **more)]}


def fragment(
    index: int | None, id: str | None = None, name: str | None = None, arguments: str | None = None, **more: Any
) -> Json:
    function = {"name": name, "arguments": arguments}
    out: Json = {"function": {key: value for key, value in function.items() if value is not None}}
    if index is not None:
        out["index"] = index
    if id is not None:
        out |= {"id": id, "type": "function"}
    return out | more


def said(text: str) -> Json:
    return {"content": text}


def thought(text: str) -> Json:
    return {"reasoning_content": text}


# -- Anthropic --------------------------------------------------------------------------------------------------------


def anthropic(*events: Json) -> bytes:
    """Events, framed."""
    return b"".join(sse(event, event["type"]) for event in events)


def message(*events: Json, stop: str = "end_turn", usage: Json | None = None, start: Json | None = None) -> bytes:
    """A whole message around the events of its blocks. `usage` is message_delta's, `start` message_start's."""
    return anthropic(
        message_start(start), *events, message_delta(stop, usage or {"output_tokens": 9}), {"type": "message_stop"}
    )


def message_start(usage: Json | None = None, id: str = "msg_trap") -> Json:
    return {
        "type": "message_start",
        "message": {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": "model-1",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage or {"input_tokens": 21, "output_tokens": 1},
        },
    }


def message_delta(stop: str | None, usage: Json) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}


def begin(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def end(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def text_block(index: int, *texts: str) -> list[Json]:
    return [
        begin(index, type="text", text=""),
        *(delta(index, "text_delta", text=text) for text in texts),
        end(index),
    ]


def thinking_block(index: int, *texts: str, signature: str = "") -> list[Json]:
    signed = [delta(index, "signature_delta", signature=signature)] if signature else []
    return [
        begin(index, type="thinking", thinking="", signature=""),
        *(delta(index, "thinking_delta", thinking=text) for text in texts),
        *signed,
        end(index),
    ]


def redacted_block(index: int, data: str) -> list[Json]:
    return [begin(index, type="redacted_thinking", data=data), end(index)]


def tool_begin(index: int, id: str, name: str) -> Json:
    return begin(index, type="tool_use", id=id, name=name, input={})


def tool_delta(index: int, piece: str) -> Json:
    return delta(index, "input_json_delta", partial_json=piece)


def tool_block(index: int, id: str, name: str, *pieces: str) -> list[Json]:
    return [tool_begin(index, id, name), *(tool_delta(index, piece) for piece in pieces), end(index)]


# -- Responses --------------------------------------------------------------------------------------------------------

RESPONSES_USAGE: Final[Json] = {
    "input_tokens": 21,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 30,
}


def responses(*events: Json) -> bytes:
    """Events, numbered and framed."""
    return b"".join(sse(event | {"sequence_number": n}, event["type"]) for n, event in enumerate(events))


def response(
    *events: Json,
    end: str = "completed",
    usage: Json | None = RESPONSES_USAGE,
    output: list[Json] | None = None,
    **more: Any,
) -> bytes:
    """A whole response around the events of its items. `more` are fields of the terminal event's response."""
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    terminal = _response(end, output=items if output is None else output, usage=usage, **more)
    return responses(*opening(), *events, {"type": f"response.{end}", "response": terminal})


def opening() -> list[Json]:
    return [
        {"type": "response.created", "response": _response("in_progress")},
        {"type": "response.in_progress", "response": _response("in_progress")},
    ]


def failed(error: Json, usage: Json | None = None) -> Json:
    return {"type": "response.failed", "response": _response("failed", error=error, usage=usage)}


def _response(status: str, **more: Any) -> Json:
    return {
        "id": "resp_trap",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "model-1",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    } | more


def item_event(name: str, index: int, item: Json) -> Json:
    return {"type": f"response.output_item.{name}", "output_index": index, "item": item}


def item_delta(name: str, index: int, item: str, **fields: Any) -> Json:
    return {"type": f"response.{name}", "output_index": index, "item_id": item, **fields}


def message_item(index: int, *texts: str, status: str = "completed") -> list[Json]:
    """A message item with one output_text part."""
    own = f"msg_{index}"
    where: Json = {"index": index, "item": own, "content_index": 0}
    text = "".join(texts)
    whole = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": own, "type": "message", "role": "assistant"}
    return [
        item_event("added", index, item | {"status": "in_progress", "content": []}),
        item_delta("content_part.added", **where, part=whole | {"text": ""}),
        *(item_delta("output_text.delta", **where, delta=piece, logprobs=[]) for piece in texts),
        item_delta("output_text.done", **where, text=text, logprobs=[]),
        item_delta("content_part.done", **where, part=whole),
        item_event("done", index, item | {"status": status, "content": [whole]}),
    ]


def reasoning_item(index: int, *summaries: Iterable[str], encrypted: str | None = None) -> list[Json]:
    """A reasoning item; each summary is the pieces of one summary part."""
    own = f"rs_{index}"
    item: Json = {"id": own, "type": "reasoning"}
    events = [item_event("added", index, item | {"summary": []})]
    done = []
    for number, pieces in enumerate(map(list, summaries)):
        where: Json = {"index": index, "item": own, "summary_index": number}
        text = "".join(pieces)
        part = {"type": "summary_text", "text": text}
        done.append(part)
        events += [
            item_delta("reasoning_summary_part.added", **where, part=part | {"text": ""}),
            *(item_delta("reasoning_summary_text.delta", **where, delta=piece) for piece in pieces),
            item_delta("reasoning_summary_text.done", **where, text=text),
            item_delta("reasoning_summary_part.done", **where, part=part),
        ]
    sealed = {"encrypted_content": encrypted} if encrypted is not None else {}
    return [*events, item_event("done", index, item | {"summary": done} | sealed)]


def call_item(index: int, call_id: str, name: str, *pieces: str, status: str = "completed") -> list[Json]:
    """A function_call item."""
    own = f"fc_{call_id}"
    arguments = "".join(pieces)
    item = {"id": own, "type": "function_call", "call_id": call_id, "name": name}
    return [
        item_event("added", index, item | {"status": "in_progress", "arguments": ""}),
        *(item_delta("function_call_arguments.delta", index, own, delta=piece) for piece in pieces),
        item_delta("function_call_arguments.done", index, own, arguments=arguments),
        item_event("done", index, item | {"status": status, "arguments": arguments}),
    ]


def custom_item(index: int, call_id: str, name: str, *pieces: str) -> list[Json]:
    """A custom_tool_call item."""
    own = f"ctc_{call_id}"
    whole = "".join(pieces)
    item = {"id": own, "type": "custom_tool_call", "call_id": call_id, "name": name}
    return [
        item_event("added", index, item | {"status": "in_progress", "input": ""}),
        *(item_delta("custom_tool_call_input.delta", index, own, delta=piece) for piece in pieces),
        item_delta("custom_tool_call_input.done", index, own, input=whole),
        item_event("done", index, item | {"status": "completed", "input": whole}),
    ]


# -- Gemini -----------------------------------------------------------------------------------------------------------

GEMINI_USAGE: Final[Json] = {"promptTokenCount": 21, "candidatesTokenCount": 6, "thoughtsTokenCount": 3}


def gemini(*chunks: Json) -> bytes:
    """Chunks, framed."""
    return b"".join(map(sse, chunks))


def candidate(*parts: Json, finish: str | None = None, usage: Json | None = None, **more: Any) -> Json:
    """One chunk with one candidate."""
    choice: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    top = {"usageMetadata": usage} if usage else {}
    return {
        "candidates": [choice | ({"finishReason": finish} if finish else {}) | more],
        **top,
        "modelVersion": "model-1",
        "responseId": "response-trap",
    }


def function_call(name: str, args: Json | None = None, signature: str = "", **more: Any) -> Json:
    arguments = {} if args is None else {"args": args}
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"name": name, **arguments, **more}, **signed}


# -- the same answer in each dialect ----------------------------------------------------------------------------------


def texts(source: str, *pieces: str) -> bytes:
    """An answer of text alone."""
    if source == "anthropic":
        return message(*text_block(0, *pieces))
    if source == "openai-chat":
        return chat(chunk({"role": "assistant"}), *(chunk(said(piece)) for piece in pieces), chunk(finish="stop"))
    return response(*message_item(0, *pieces))


def one_call(source: str, *pieces: str, id: str = "call_1", name: str = "f") -> bytes:
    """An answer of one tool call alone."""
    if source == "anthropic":
        return message(*tool_block(0, id, name, *pieces), stop="tool_use")
    if source == "openai-chat":
        arguments = (chunk(call(0, arguments=piece)) for piece in pieces)
        return chat(chunk(call(0, id, name, "")), *arguments, chunk(finish="tool_calls"))
    return response(*call_item(0, id, name, *pieces))


# -- running ----------------------------------------------------------------------------------------------------------


def run(source: str, target: str, data: bytes, **options: Any) -> Output:
    """Translate (the same dialect is written anew) and read the output by the target's rules.

    However the input is cut, the output must be the same.
    """
    options = {"normalize": True, **options}
    translator = Translator(source, target, **options)
    out = translator.feed(data) + translator.close()
    for pieces in (frames_of(data), [data[at : at + 1] for at in range(len(data))]):
        again = Translator(source, target, **options)
        assert b"".join(map(again.feed, pieces)) + again.close() == out
    return Output(read(target, out), translator)


def steps(source: str, target: str, frames: Iterable[bytes], **options: Any) -> list[bytes]:
    """What leaves with each input frame, and last what leaves at the end."""
    translator = Translator(source, target, **{"normalize": True, **options})
    return [*map(translator.feed, frames), translator.close()]


def finish_in(dialect: str, finish: str) -> str:
    """A neutral finish in the dialect's word."""
    return FINISHES[finish][DIALECTS.index(dialect)]


def losses(output: Output) -> set[str]:
    """The kinds of what was lost."""
    return {loss.kind for loss in output.translator.losses}


def usage_of(output: Output) -> Mapping[str, Any]:
    """The usage that the output ends with."""
    assert output.usage is not None
    return output.usage
