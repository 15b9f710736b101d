"""Messages API: the form of "Written" in the NOTES.md of the dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tests.laws.frames import Frame

DELTAS: Final = {
    "text_delta": ("text", ("text",)),
    "thinking_delta": ("thinking", ("thinking",)),
    "signature_delta": ("signature", ("thinking",)),
    "input_json_delta": ("partial_json", ("tool_use", "server_tool_use", "mcp_tool_use")),
    "citations_delta": ("citation", ("text",)),
}
KNOWN: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)


def said_why(frames: Iterable[Frame]) -> bool:
    """A stop_reason, in message_delta or in a prefilled message_start."""
    fields = ((frame.object.get(key) for key in ("delta", "message")) for frame in frames if frame.usable)
    return any(isinstance(field, dict) and field.get("stop_reason") for pair in fields for field in pair)


def failed(frame: Frame) -> bool:
    payload = frame.object
    return payload.get("type") == "error" or frame.event == "error" or bool(payload.get("error")) or frame.foreign


def twin(data: bytes) -> None:
    return None


def problems(frames: Sequence[Frame]) -> Iterator[str]:
    if not frames:
        yield "no frames"
        return
    checker = _Checker()
    for number, frame in enumerate(frames):
        for problem in checker.step(frame):
            yield f"frame {number}: {problem}"
    if checker.end not in ("message_stop", "error"):
        yield "the stream does not end"


class _Checker:
    def __init__(self) -> None:
        self.started = False
        self.blocks = 0
        self.open: dict[str, Any] | None = None
        self.signed = False
        self.stopped = False  # message_delta
        self.end = ""

    def step(self, frame: Frame) -> Iterator[str]:
        payload = frame.object
        kind = str(payload.get("type"))
        if self.end:
            yield f"{kind} after {self.end}"
        if not frame.whole or frame.comment or frame.stray:
            yield "not one whole event"
        if frame.event != kind:
            yield f"event {frame.event!r} for type {kind!r}"
        if kind == "error":
            self.end = kind
            error = payload.get("error")
            if not (
                isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)
            ):
                yield f"error without type or message: {payload}"
        elif (kind == "message_start") == self.started:
            yield f"{kind} {'again' if self.started else 'first'}"
        elif kind in KNOWN:
            yield from getattr(self, kind)(payload)

    def ping(self, payload: dict[str, Any]) -> Iterator[str]:
        yield from ()

    def message_start(self, payload: dict[str, Any]) -> Iterator[str]:
        self.started = True
        message = payload["message"]
        usage = message.get("usage") or {}
        if message.get("content") != [] or message.get("stop_reason", 0) is not None:
            yield "message_start with content or stop_reason"
        if type(usage.get("input_tokens")) is not int or type(usage.get("output_tokens")) is not int:
            yield f"message_start with usage {usage}"
        if message.get("role") != "assistant" or message.get("type") != "message" or not message.get("id"):
            yield "message_start without id, type or role"
        if not isinstance(message.get("model"), str):
            yield "message_start without model"

    def content_block_start(self, payload: dict[str, Any]) -> Iterator[str]:
        if self.open is not None or self.stopped:
            yield "a block starts within another or after message_delta"
        if payload["index"] != self.blocks:
            yield f"block {payload['index']} starts where {self.blocks} is next"
        self.blocks += 1
        self.signed = False
        block = self.open = payload["content_block"]
        kind = block.get("type")
        if kind == "tool_use" and not (block.get("id") and block.get("name")):
            yield "tool_use without id or name"
        if (kind == "text" and block.get("text") != "") or (kind == "thinking" and block.get("thinking") != ""):
            yield f"{kind} starts with content"
        if kind == "tool_use" and block.get("input") != {}:
            yield "tool_use starts with input"
        if kind == "redacted_thinking" and not block.get("data"):
            yield "redacted_thinking without data"

    def content_block_delta(self, payload: dict[str, Any]) -> Iterator[str]:
        if self.open is None or payload["index"] != self.blocks - 1:
            yield f"delta for block {payload['index']}, which is not open"
            return
        delta = payload["delta"]
        kind = delta.get("type")
        if kind not in DELTAS:
            return
        field, blocks = DELTAS[kind]
        if self.open["type"] not in blocks:
            yield f"{kind} in a block {self.open['type']}"
        if not isinstance(delta.get(field), dict if field == "citation" else str):
            yield f"{kind} without {field}"
        elif not delta[field] and field != "partial_json":
            yield f"empty {kind}"
        if self.signed and kind != "signature_delta":
            yield f"{kind} after the signature"
        self.signed = self.signed or kind == "signature_delta"

    def content_block_stop(self, payload: dict[str, Any]) -> Iterator[str]:
        if self.open is None or payload["index"] != self.blocks - 1:
            yield f"block {payload['index']} stops, which is not open"
        self.open = None

    def message_delta(self, payload: dict[str, Any]) -> Iterator[str]:
        if self.open is not None or self.stopped:
            yield "message_delta within a block, or again"
        self.stopped = True
        if not payload["delta"].get("stop_reason"):
            yield "message_delta without stop_reason"
        if (payload["delta"].get("stop_reason") == "stop_sequence") != (
            payload["delta"].get("stop_sequence") is not None
        ):
            yield f"stop_sequence does not fit: {payload['delta']}"
        if type((payload.get("usage") or {}).get("output_tokens")) is not int:
            yield "message_delta without usage.output_tokens"

    def message_stop(self, payload: dict[str, Any]) -> Iterator[str]:
        if not self.stopped:
            yield "message_stop without message_delta"
        self.end = "message_stop"
