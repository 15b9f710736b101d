"""Chat Completions: the form of "Written" in the NOTES.md of the dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tests.laws.frames import Frame

NONE: Final = (None, "", "null")


def said_why(frames: Iterable[Frame]) -> bool:
    """A finish_reason for every choice seen."""
    seen: set[object] = set()
    finished: set[object] = set()
    for frame in frames:
        if frame.done:
            break
        for choice in _choices(frame) if frame.usable else ():
            index = choice.get("index") or 0
            seen.add(index)
            if choice.get("finish_reason") not in NONE:
                finished.add(index)
    return bool(seen) and seen == finished


def failed(frame: Frame) -> bool:
    payload = frame.object
    groq = payload.get("x_groq")
    return bool(
        payload.get("error")
        or payload.get("object") == "error"
        or frame.event == "error"
        or frame.foreign
        or (isinstance(groq, dict) and groq.get("error"))
    )


def twin(data: bytes) -> None:
    return None


def _choices(frame: Frame) -> list[dict[str, Any]]:
    choices = frame.object.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def problems(frames: Sequence[Frame]) -> Iterator[str]:
    if not frames:
        yield "no frames"
        return
    checker = _Checker()
    for number, frame in enumerate(frames):
        for problem in checker.step(frame):
            yield f"frame {number}: {problem}"
    yield from checker.last()


class _Choice:
    def __init__(self) -> None:
        self.calls: dict[int, str] = {}  # joined arguments
        self.annotated = False
        self.finish: str | None = None


class _Checker:
    def __init__(self) -> None:
        self.base: tuple[object, ...] | None = None
        self.choices: dict[int, _Choice] = {}
        self.usage = False
        self.end = ""

    def step(self, frame: Frame) -> Iterator[str]:
        if not frame.whole or frame.foreign or frame.event is not None:
            yield "not one whole event without a name"
        if frame.data is None:
            return
        if self.end:
            yield f"{frame.data[:40]!r} after {self.end}"
        payload = frame.object
        if frame.done:
            self.end = "[DONE]"
        elif "error" in payload:
            self.end = "error"
            error = payload["error"]
            if not isinstance(error, dict) or not {"message", "type", "param", "code"} <= error.keys():
                yield f"error without its fields: {error}"
            elif not isinstance(error["message"], str):
                yield "error without message"
        else:
            yield from self.chunk(payload)

    def chunk(self, payload: dict[str, Any]) -> Iterator[str]:
        if payload.get("object") != "chat.completion.chunk" or not isinstance(payload.get("choices"), list):
            yield "no chunk"
            return
        base = tuple(payload.get(key) for key in ("id", "created", "model"))
        if self.base not in (None, base):
            yield f"{base} after {self.base}"
        self.base = base
        if not (isinstance(base[0], str) and base[0] and type(base[1]) is int and isinstance(base[2], str)):
            yield f"id, created, model are {base}"
        if self.usage:
            yield "a chunk after the usage"
        if payload.get("usage") is not None:
            self.usage = True
            if payload["choices"] or not all(choice.finish for choice in self.choices.values()):
                yield "usage before the end"
            usage = payload["usage"]
            if any(type(usage.get(k)) is not int for k in ("prompt_tokens", "completion_tokens", "total_tokens")):
                yield f"usage {usage}"
        elif not payload["choices"]:
            yield "no choices"
        for choice in payload["choices"]:
            yield from self.choice(choice)

    def choice(self, source: dict[str, Any]) -> Iterator[str]:
        index, delta = source["index"], source["delta"]
        known = self.choices.get(index)
        if known is None:
            if index and 0 not in self.choices:
                yield f"choice {index} before choice 0"
            known = self.choices[index] = _Choice()
            if delta.get("role") != "assistant":
                yield f"choice {index} starts without role"
        elif "role" in delta:
            yield "a second role"
        if known.finish:
            yield f"choice {index} goes on after {known.finish}"
        if "finish_reason" not in source or source["finish_reason"] == "":
            yield "finish_reason must be null before the end"
        if source.get("finish_reason"):
            known.finish = source["finish_reason"]
            if delta:
                yield "finish_reason with a delta"
            if known.finish not in ("length", "content_filter") and "" in known.calls.values():
                yield "a call without arguments"
            if known.finish == "tool_calls" and not known.calls:
                yield "tool_calls without calls"
        for field in ("content", "refusal", "reasoning_content"):
            if delta.get(field, None) == "" and "role" not in delta:
                yield f"empty {field}"
        if delta.get("annotations"):
            if known.annotated:
                yield "a second list of annotations"
            known.annotated = True
        for detail in delta.get("reasoning_details") or ():
            if type(detail.get("index")) is not int:
                yield "reasoning_details without index"
        for call in delta.get("tool_calls") or ():
            yield from self.call(known, call)

    def call(self, choice: _Choice, call: dict[str, Any]) -> Iterator[str]:
        index = call.get("index")
        if type(index) is not int:
            yield f"call index {index!r}"
            return
        function = call.get("function") or {}
        if index not in choice.calls:
            if index != len(choice.calls):
                yield f"call {index} where {len(choice.calls)} is next"
            choice.calls[index] = ""
            if not call.get("id") or call.get("type") != "function" or not function.get("name"):
                yield f"call {index} starts without id, type or name"
        elif call.keys() & {"id", "type"} or "name" in function:
            yield f"call {index} repeats id, type or name"
        if "arguments" in function:
            if not isinstance(function["arguments"], str):
                yield "arguments must be a string"
            else:
                choice.calls[index] += function["arguments"]

    def last(self) -> Iterator[str]:
        if not self.end:
            yield "the stream does not end"
        if self.end == "[DONE]" and not (self.choices and all(choice.finish for choice in self.choices.values())):
            yield "[DONE] without a finish_reason for every choice"
