"""OpenAI Responses, without anything stored."""

from __future__ import annotations

import json

from . import Json, Server, Thing
from .wire import QUESTION, RESULT, SCHEMA, TOOL, payloads, sse

MODEL = "gpt-5"


def _response(id: str, *items: Json) -> bytes:
    start = {"id": id, "object": "response", "created_at": 1, "status": "in_progress", "model": "gpt-5-2025-08-07"}
    frames: list[Json] = [{"type": "response.created", "response": start | {"output": []}}]
    for index, item in enumerate(items):
        frames.append({"type": "response.output_item.added", "output_index": index, "item": _begun(item)})
        frames += [frame | {"output_index": index, "item_id": item["id"]} for frame in _deltas(item)]
        frames.append({"type": "response.output_item.done", "output_index": index, "item": item})
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    end = start | {"status": "completed", "output": list(items), "usage": usage}
    frames.append({"type": "response.completed", "response": end})
    return b"".join(sse(frame | {"sequence_number": n}, frame["type"]) for n, frame in enumerate(frames))


def _begun(item: Json) -> Json:
    empty = {"summary": [], "content": [], "arguments": ""}
    return {key: empty.get(key, value) for key, value in item.items() if key != "encrypted_content"}


def _deltas(item: Json) -> list[Json]:
    frames: list[Json] = []
    for place, part in enumerate(item.get("summary", ())):
        where = {"summary_index": place}
        begun = {"type": "summary_text", "text": ""}
        frames += [
            {"type": "response.reasoning_summary_part.added", "part": begun} | where,
            {"type": "response.reasoning_summary_text.delta", "delta": part["text"]} | where,
            {"type": "response.reasoning_summary_text.done", "text": part["text"]} | where,
            {"type": "response.reasoning_summary_part.done", "part": part} | where,
        ]
    if "arguments" in item:
        frames += [
            {"type": "response.function_call_arguments.delta", "delta": item["arguments"]},
            {"type": "response.function_call_arguments.done", "arguments": item["arguments"]},
        ]
    return frames


def _reasoning(encrypted: str, *summary: str) -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": f"rs_{encrypted[-4:]}", "type": "reasoning", "summary": parts, "encrypted_content": encrypted}


def _text(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": f"msg_{len(text)}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _call(id: str, city: str) -> Json:
    call = {"id": f"fc_{id}", "type": "function_call", "status": "completed", "call_id": id, "name": TOOL}
    return call | {"arguments": json.dumps({"city": city})}


SERVERS = {
    "": Server(
        MODEL,
        "o4-mini",
        [
            _response(
                "resp_1", _reasoning("gAAAA-r1==", "Two calls."), _call("call_1", "Brest"), _call("call_2", "Lyon")
            ),
            _response("resp_2", _reasoning("gAAAA-r2/+"), _text("I look."), _call("call_3", "Brest")),
            _response(
                "resp_3",
                _reasoning("gAAAA-r3", "One.", "Two."),
                _reasoning("gAAAA-r4", "Three."),
                _call("call_4", "Lyon"),
                _call("call_5", "Brest"),
            ),
        ],
        [
            [("thought", "gAAAA-r1=="), ("call", "call_1", ""), ("call", "call_2", "")],
            [("thought", "gAAAA-r2/+"), ("call", "call_3", "")],
            [
                ("thought", "gAAAA-r3"),
                ("thought", "gAAAA-r4"),
                ("call", "call_4", ""),
                ("call", "call_5", ""),
            ],
        ],
        ["gAAAA-r1", "gAAAA-r2", "gAAAA-r3", "gAAAA-r4"],
    )
}


def ask() -> Json:
    tool = {"type": "function", "name": TOOL, "description": "The weather", "parameters": SCHEMA, "strict": False}
    reasoning = {"effort": "low", "summary": "auto"}
    return {
        "model": MODEL,
        "input": [{"role": "user", "content": QUESTION}],
        "tools": [tool],
        "reasoning": reasoning,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def answer(request: Json, stream: bytes, *, keep: bool) -> Json:
    output: list[Json] = [f["item"] for f in payloads(stream) if f["type"] == "response.output_item.done"]
    if not keep:
        output = [item for item in output if item["type"] != "reasoning"]
    calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": id, "output": RESULT} for id in calls]
    return request | {"input": [*request["input"], *output, *results]}


def seen(request: Json) -> list[Thing]:
    out: list[Thing] = []
    for item in request["input"]:
        if item.get("type") == "reasoning":
            out.append(("thought", item["encrypted_content"]))  # the summary is not needed, nor looked at
        elif item.get("type") == "function_call":
            out.append(("call", item["call_id"], ""))
    return out
