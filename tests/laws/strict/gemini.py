"""Gemini: the form of "Written" in the NOTES.md of the dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tests.laws.frames import Frame

BARE: Final = True
WHOLE: Final = frozenset({"tool", "custom_tool"})
NONE: Final = (None, "", 0, "FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")
BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9_-]*={0,2}")
FINISHES: Final = {"STOP", "MAX_TOKENS", "SAFETY", "OTHER", "MALFORMED_FUNCTION_CALL"}
CALL: Final = {"name", "args", "id"}


def said_why(frames: Iterable[Frame]) -> bool:
    """A finishReason for every candidate seen, or a blockReason."""
    seen: set[object] = set()
    finished: set[object] = set()
    for frame in frames:
        if frame.done:
            break
        if not frame.usable:
            continue
        feedback = frame.object.get("promptFeedback")
        if isinstance(feedback, dict) and _blocked(feedback):
            return True
        numberless = 0
        for position, candidate in enumerate(_candidates(frame)):
            index = candidate.get("index")
            if index is None:
                index = position if numberless else 0
                numberless += 1
            seen.add(index)
            if _reason(candidate.get("finishReason")):
                finished.add(index)
    return bool(seen) and seen == finished


def _blocked(feedback: dict[str, Any]) -> bool:
    message = feedback.get("blockReasonMessage")
    return _reason(feedback.get("blockReason")) or (isinstance(message, str) and bool(message))


def _reason(value: Any) -> bool:
    return isinstance(value, str | int) and value not in NONE


def failed(frame: Frame) -> bool:
    return bool(frame.object.get("error") or frame.event == "error" or frame.foreign)


def twin(data: bytes) -> None:
    return None


def _candidates(frame: Frame) -> list[dict[str, Any]]:
    candidates = frame.object.get("candidates")
    return [one for one in candidates if isinstance(one, dict)] if isinstance(candidates, list) else []


def problems(frames: Sequence[Frame]) -> Iterator[str]:
    if not frames:
        yield "no frames"
        return
    checker = _Checker()
    for number, frame in enumerate(frames):
        for problem in checker.step(frame):
            yield f"frame {number}: {problem}"
    if not checker.end:
        yield "the stream does not end"


class _Checker:
    def __init__(self) -> None:
        self.base: tuple[object, ...] | None = None
        self.end = ""

    def step(self, frame: Frame) -> Iterator[str]:
        if not frame.whole or frame.foreign or frame.event is not None or frame.comment or frame.data is None:
            yield "not one whole event without a name"
        elif not frame.raw.startswith(b"data: {") or b"\n" in frame.raw:
            yield "not one line that begins with `data: {`"
        if self.end:
            yield f"a frame after the {self.end}"
        payload = frame.object
        if "error" in payload:
            self.end = "error"
            error = payload["error"]
            if list(payload) != ["error"] or not isinstance(error, dict):
                yield f"an error with other keys: {list(payload)}"
            elif not isinstance(error.get("code"), int) or not isinstance(error.get("message"), str):
                yield f"an error without code or message: {error}"
            elif not isinstance(error.get("status"), str):
                yield "an error without status"
        else:
            yield from self.chunk(payload)

    def chunk(self, payload: dict[str, Any]) -> Iterator[str]:
        base = (payload.get("responseId"), payload.get("modelVersion"))
        if not (isinstance(base[0], str) and base[0] and isinstance(base[1], str)):
            yield f"responseId, modelVersion are {base}"
        if self.base not in (None, base):
            yield f"{base} after {self.base}"
        self.base = base
        finished = {candidate["index"]: candidate.get("finishReason") for candidate in payload.get("candidates", ())}
        blocked = _blocked(payload.get("promptFeedback") or {})
        if any(finished.values()) or blocked:
            self.end = "last chunk"
            if not all(finished.values()):
                yield "a candidate that goes on in the last chunk"
        elif "usageMetadata" in payload:
            yield "usage before the last chunk"
        for candidate in payload.get("candidates", ()):
            yield from self.candidate(candidate)

    def candidate(self, candidate: dict[str, Any]) -> Iterator[str]:
        if candidate.get("finishReason") == "CONTINUATION":
            yield "CONTINUATION"
        content = candidate.get("content", {})
        if content and content.get("role") != "model":
            yield f"role {content.get('role')!r}"
        for part in content.get("parts", ()):
            signature = part.get("thoughtSignature")
            if signature is not None and not (signature and BASE64.fullmatch(signature)):
                yield "a signature that is not base64"
            call = part.get("functionCall")
            if call is not None and not (
                call.get("name") and isinstance(call.get("args"), dict) and call.keys() <= CALL
            ):
                yield f"call {call}"
            if part.get("text") == "" and not candidate.get("finishReason") and len(part) == 1 and len(candidate) == 2:
                yield "an empty text"
