"""Responses: the form of "Written" in the NOTES.md of the dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tests.laws.frames import Frame, frames, joined

TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
STOPS: Final = TERMINAL | {"response.cancelled"}
LIFECYCLE: Final = TERMINAL | {"response.created", "response.in_progress", "response.queued"}
DELTAS: Final = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
}
"""Streamed texts, and the field of the `.done` event that repeats them. The first four are in a part."""
IN_PART: Final = tuple(DELTAS)[:4]


def said_why(frames: Iterable[Frame]) -> bool:
    return any((frame.object.get("type") or frame.event) in STOPS for frame in frames if frame.usable)


def failed(frame: Frame) -> bool:
    kind = frame.object.get("type") or frame.event
    return kind in ("error", "response.failed") or bool(frame.object.get("error")) or frame.foreign


def twin(data: bytes) -> tuple[bytes, Any] | None:
    """The terminal event's output is emptied, as ChatGPT-Codex sends it."""
    for frame in frames(data):
        payload = frame.object
        response = payload.get("response")
        if payload.get("type") in TERMINAL and isinstance(response, dict) and response.get("output") and frame.data:
            bare = json.dumps(payload | {"response": response | {"output": []}}).encode()
            return (data.replace(frame.data, bare), response) if frame.data in data else None
    return None


def problems(frames: Sequence[Frame]) -> Iterator[str]:
    sent = [frame for frame in frames if frame.data is not None]
    if not sent:
        yield "no frames"
        return
    checker = _Checker()
    for number, frame in enumerate(frames):
        for problem in checker.step(frame):
            yield f"frame {number}: {problem}"
    if checker.end not in TERMINAL:
        yield "the stream does not end"


class _Checker:
    def __init__(self) -> None:
        self.number = 0
        self.id: object = None
        self.created = False
        self.failing = False  # `error` was sent
        self.added: list[dict[str, Any]] = []
        self.done: dict[int, dict[str, Any]] = {}
        self.parts: dict[tuple[object, ...], bool] = {}  # (item, family, part): still open
        self.texts: dict[tuple[object, ...], str] = {}
        self.texts_done: set[tuple[object, ...]] = set()
        self.end = ""

    def step(self, frame: Frame) -> Iterator[str]:
        if not frame.whole or frame.stray:
            yield "not one whole event"
        if frame.data is None:
            return
        payload = frame.object
        kind = str(payload.get("type"))
        if self.end:
            yield f"{frame.data[:60]!r} after {self.end}"
        if frame.event != kind:
            yield f"event {frame.event!r} for type {kind!r}"
        if payload.get("sequence_number") != self.number:
            yield f"sequence_number {payload.get('sequence_number')} where {self.number} is next"
        self.number += 1
        if self.failing and kind != "response.failed":
            yield f"{kind} after error"
        if not self.created and kind not in ("response.created", "error"):
            yield f"{kind} first"
        if kind == "error":
            self.failing = True
            error = payload.get("error")
            if not isinstance(error, dict) or not isinstance(error.get("message"), str):
                yield "error must be nested"
        elif kind in LIFECYCLE:
            yield from self.lifecycle(kind, payload["response"])
        elif "output_index" in payload:
            yield from self.item_event(kind, payload)

    def lifecycle(self, kind: str, response: dict[str, Any]) -> Iterator[str]:
        if kind == "response.created":
            if self.created:
                yield "created again"
            self.created = True
            self.id = response.get("id")
        if not self.id and self.created:
            yield "no id"
        if self.created and response.get("id") != self.id:
            yield f"id {response.get('id')!r} after {self.id!r}"
        missing = {
            "id",
            "object",
            "created_at",
            "status",
            "model",
            "output",
            "parallel_tool_calls",
            "tool_choice",
            "tools",
        }
        missing -= response.keys()
        if missing:
            yield f"{kind} without {sorted(missing)}"
        if kind not in TERMINAL:
            if response.get("output") != []:
                yield f"{kind} with output"
            return
        self.end = kind
        status = kind.removeprefix("response.")
        cancelled = kind == "response.incomplete" and response.get("status") == "cancelled"
        if response.get("status") != status and not cancelled:
            yield f"{kind} with status {response.get('status')!r}"
        if (
            kind == "response.incomplete"
            and not cancelled
            and not (response.get("incomplete_details") or {}).get("reason")
        ):
            yield "incomplete without reason"
        if kind == "response.failed" and not (response.get("error") or {}).get("message"):
            yield "failed without error"
        if kind != "response.failed" and self.failing:
            yield f"{kind} after error"
        if kind != "response.failed" and len(self.done) != len(self.added):
            yield f"{len(self.added)} items, {len(self.done)} done"
        done = [self.done[index] for index in sorted(self.done)]
        if kind != "response.failed" and response.get("output") != done:
            yield "output is not the items that are done"
        usage = response.get("usage")
        if usage is not None and not {"input_tokens", "output_tokens", "total_tokens"} <= usage.keys():
            yield f"usage {usage}"

    def item_event(self, kind: str, payload: dict[str, Any]) -> Iterator[str]:
        index = payload["output_index"]
        if kind == "response.output_item.added":
            if index != len(self.added):
                yield f"item {index} where {len(self.added)} is next"
            if len(self.done) != len(self.added):
                yield "an item starts within another"
            if not payload["item"].get("id"):
                yield "item without id"
            self.added.append(payload["item"])
            return
        if not 0 <= index < len(self.added):
            yield f"{kind} for item {index}, which was never added"
            return
        item = self.added[index]
        if index in self.done:
            yield f"{kind} for item {index}, which is done"
        if kind == "response.output_item.done":
            yield from self.item_done(index, item, payload["item"])
            return
        if payload.get("item_id") != item.get("id"):
            yield f"{kind}: item_id {payload.get('item_id')!r}, not {item.get('id')!r}"
        family, _, stage = kind.rpartition(".")
        where = "summary_index" if "summary" in kind else "content_index"
        part = (index, where, payload.get(where))
        if family in ("response.content_part", "response.reasoning_summary_part"):
            yield from self.part(part, stage, payload)
        elif family in DELTAS:
            key = part if family in IN_PART else (index,)
            if family in IN_PART and not self.parts.get(part):
                yield f"{kind} without its part"
            yield from self.text(key, stage, payload, DELTAS[family])

    def part(self, key: tuple[object, ...], stage: str, payload: dict[str, Any]) -> Iterator[str]:
        if stage == "added":
            before = sum(known[:2] == key[:2] for known in self.parts)
            if key[2] != before:
                yield f"{key[1]} {key[2]} where {before} is next"
            if any(live for known, live in self.parts.items() if known[0] == key[0]):
                yield "a part starts within another"
            self.parts[key] = True
            return
        if not self.parts.get(key):
            yield f"part {key} ends, which is not open"
        self.parts[key] = False
        part = payload["part"]
        text = part.get("text", part.get("refusal"))
        if text is not None and text != joined(self.texts.get(key, "")):
            yield f"part {key} ends with another text"
        if (
            part.get("type") in ("output_text", "refusal", "reasoning_text", "summary_text")
            and key not in self.texts_done
        ):
            yield f"part {key} without its text's done"

    def text(self, key: tuple[object, ...], stage: str, payload: dict[str, Any], field: str) -> Iterator[str]:
        if key in self.texts_done:
            yield f"{payload['type']} after done"
        if stage == "delta":
            if not isinstance(payload.get("delta"), str) or not payload["delta"]:
                yield f"delta {payload.get('delta')!r}"
            self.texts[key] = self.texts.get(key, "") + str(payload.get("delta") or "")
        elif stage == "done":
            self.texts_done.add(key)
            if payload.get(field) != joined(self.texts.get(key, "")):
                yield f"{field} of done is not what the deltas say"

    def item_done(self, index: int, added: dict[str, Any], item: dict[str, Any]) -> Iterator[str]:
        self.done[index] = item
        for key in ("id", "type", "call_id", "name", "role"):
            if added.get(key) != item.get(key):
                yield f"item {index}: {key} {item.get(key)!r} after {added.get(key)!r}"
        if any(live for known, live in self.parts.items() if known[0] == index):
            yield f"item {index} ends with an open part"
        kind = item.get("type")
        field = {"function_call": "arguments", "custom_tool_call": "input"}.get(str(kind))
        if field:
            if (index,) not in self.texts_done:
                yield f"item {index} without the done of its {field}"
            if item.get(field) != joined(self.texts.get((index,), "")):
                yield f"item {index}: {field} is not what the deltas say"
            if not item.get("call_id") or not item.get("name"):
                yield f"item {index} without call_id or name"
        texts = {
            "message": ("content_index", item.get("content")),
            "reasoning": ("summary_index", item.get("summary")),
        }.get(str(kind))
        if texts is not None:
            where, parts = texts
            for number, part in enumerate(parts or ()):
                text = part.get("text", part.get("refusal"))
                if text is not None and text != joined(self.texts.get((index, where, number), "")):
                    yield f"item {index}: part {number} is not what the deltas say"
