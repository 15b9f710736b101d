"""Anthropic Messages."""

from __future__ import annotations

import json
from typing import Any

from . import Json, Server, Thing
from .wire import QUESTION, RESULT, SCHEMA, TOOL, payloads, sse

MODEL = "claude-sonnet-4-5"


def _message(id: str, *blocks: list[Json]) -> bytes:
    usage = {"input_tokens": 5, "output_tokens": 7}
    start = {"id": id, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": []}
    frames: list[Json] = [
        {"type": "message_start", "message": start | {"stop_reason": None, "stop_sequence": None, "usage": usage}}
    ]
    for index, (first, *deltas) in enumerate(blocks):
        frames.append({"type": "content_block_start", "index": index, "content_block": first})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "tool_use", "stop_sequence": None}
    frames += [{"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]
    return b"".join(sse(frame, frame["type"]) for frame in frames)


def _thinking(text: str, signature: str) -> list[Json]:
    words = [{"type": "thinking_delta", "thinking": word} for word in text.split("|") if word]
    start = {"type": "thinking", "thinking": "", "signature": ""}
    return [start, *words, {"type": "signature_delta", "signature": signature}]


def _redacted(data: str) -> list[Json]:
    return [{"type": "redacted_thinking", "data": data}]


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": ""}, {"type": "text_delta", "text": text}]


def _call(id: str, city: str) -> list[Json]:
    start = {"type": "tool_use", "id": id, "name": TOOL, "input": {}}
    return [start, {"type": "input_json_delta", "partial_json": json.dumps({"city": city})}]


SERVERS = {
    "": Server(
        MODEL,
        "claude-opus-4-1",
        [
            _message(
                "msg_1",
                _thinking("Two| calls.", "c2lnLWEx/+=="),
                _text("I look."),
                _call("toolu_1", "Brest"),
                _call("toolu_2", "Lyon"),
            ),
            _message(
                "msg_2", _thinking("Once| more.", "c2lnLWEy"), _redacted("cmVkYWN0ZWQx"), _call("toolu_3", "Brest")
            ),
            _message(
                "msg_3",
                _redacted("cmVkYWN0ZWQy"),
                _thinking("First.", "c2lnLWEz"),
                _thinking("Then.", "c2lnLWE0"),
                _text("Again."),
                _call("toolu_4", "Lyon"),
            ),
            _message("msg_4", _thinking("", "c2lnLWE1"), _call("toolu_5", "Lyon")),
        ],
        [
            [("thought", "Two calls.", "c2lnLWEx/+=="), ("call", "toolu_1", ""), ("call", "toolu_2", "")],
            [("thought", "Once more.", "c2lnLWEy"), ("redacted", "cmVkYWN0ZWQx"), ("call", "toolu_3", "")],
            [
                ("redacted", "cmVkYWN0ZWQy"),
                ("thought", "First.", "c2lnLWEz"),
                ("thought", "Then.", "c2lnLWE0"),
                ("call", "toolu_4", ""),
            ],
            [("thought", "", "c2lnLWE1"), ("call", "toolu_5", "")],
        ],
        ["c2lnLWEx", "c2lnLWEy", "cmVkYWN0ZWQx", "cmVkYWN0ZWQy", "c2lnLWEz", "c2lnLWE0", "c2lnLWE1"],
    )
}


def ask() -> Json:
    tool = {"name": TOOL, "description": "The weather", "input_schema": SCHEMA}
    thinking = {"type": "enabled", "budget_tokens": 2000}
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": MODEL, "max_tokens": 4000, "thinking": thinking, "tools": [tool], "messages": messages}


def answer(request: Json, stream: bytes, *, keep: bool) -> Json:
    content = _content(stream)
    if not keep:
        content = [block for block in content if block["type"] in ("text", "tool_use")]
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": id, "content": RESULT} for id in calls]
    turns = [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return request | {"messages": [*request["messages"], *turns]}


def _content(stream: bytes) -> list[Json]:
    blocks: dict[int, Json] = {}
    arguments: dict[int, str] = {}
    for frame in payloads(stream):
        if frame["type"] == "content_block_start":
            blocks[frame["index"]] = frame["content_block"]
        elif frame["type"] == "content_block_delta":
            block, delta = blocks[frame["index"]], frame["delta"]
            if delta["type"] == "input_json_delta":
                arguments[frame["index"]] = arguments.get(frame["index"], "") + delta["partial_json"]
            elif delta["type"] == "signature_delta":
                block["signature"] = delta["signature"]
            else:
                field = delta["type"].removesuffix("_delta")
                block[field] += delta[field]
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return [block for _, block in sorted(blocks.items())]


def seen(request: Json) -> list[Thing]:
    return [thing for message in request["messages"] if message["role"] == "assistant" for thing in _things(message)]


def _things(message: Json) -> list[Thing]:
    out: list[Thing] = []
    content: list[dict[str, Any]] = message["content"] if isinstance(message["content"], list) else []
    for block in content:
        if block["type"] == "thinking":
            out.append(("thought", block["thinking"], block["signature"]))
        elif block["type"] == "redacted_thinking":
            out.append(("redacted", block["data"]))
        elif block["type"] == "tool_use":
            out.append(("call", block["id"], ""))
    return out
