"""Vendor repairs by name, off by default."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ccproxy.core.spi import Quirk
from ccproxy.wire.json import JSONError, dumps, loads

from .maps import REASONING_FIELDS


def _choices(frame: dict[str, Any]) -> list[dict[str, Any]]:
    choices = frame.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _delta(choice: dict[str, Any]) -> dict[str, Any]:
    """The choice's delta, put back as one that may be changed."""
    delta = choice.get("delta")
    choice["delta"] = dict(delta) if isinstance(delta, dict) else {}
    changed: dict[str, Any] = choice["delta"]
    return changed


def _index(source: dict[str, Any]) -> int:
    index = source.get("index")
    return index if isinstance(index, int) else 0


class ThinkTags:
    """`<think>…</think>` in the content becomes reasoning (models served without a reasoning parser).

    A tag may be cut over several deltas: only what could still become a tag is held back.
    """

    _TAGS: Final = {False: "<think>", True: "</think>"}

    def __init__(self) -> None:
        self._thinking: dict[int, bool] = {}
        self._held: dict[int, str] = {}

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]:
        for choice in _choices(frame):
            delta = _delta(choice)
            content = delta.get("content")
            last = bool(choice.get("finish_reason") or delta.get("tool_calls") or any(map(delta.get, REASONING_FIELDS)))
            if isinstance(content, str) or (last and content is None):
                self._split(_index(choice), content or "", delta, last)
        return frame

    def release(self) -> dict[str, Any]:
        choices = [{"index": index, "delta": {self._field(index): text}} for index, text in self._held.items()]
        self._held = {}
        return {"choices": choices} if choices else {}

    def _field(self, index: int) -> str:
        return "reasoning_content" if self._thinking.get(index) else "content"

    def _split(self, index: int, text: str, delta: dict[str, Any], last: bool) -> None:
        told: list[dict[str, Any]] = []  # a list as Mistral sends it, since one delta may go back and forth
        text = self._held.pop(index, "") + text
        while text:
            tag = self._TAGS[self._thinking.get(index, False)]
            before, found, text = text.partition(tag)
            if not found and not last:
                kept = next((n for n in range(len(tag) - 1, 0, -1) if before.endswith(tag[:n])), 0)
                if kept:
                    self._held[index] = before[-kept:]
                    before = before[:-kept]
            thought = {"type": "thinking", "thinking": [{"type": "text", "text": before}]}
            told.append(thought if self._thinking.get(index) else {"type": "text", "text": before})
            if found:
                self._thinking[index] = not self._thinking.get(index, False)
        delta["content"] = told


class ParallelWrapper:
    """A call named `parallel` (or `multi_tool_use.parallel`) that wraps several is taken apart.

    Azure sends them: https://github.com/vercel/ai/pull/19098. Its arguments are held until the choice finishes.
    """

    _NAMES: Final = ("parallel", "multi_tool_use.parallel")

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[dict[str, Any], list[str]]] = {}

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]:
        for choice in _choices(frame):
            delta = _delta(choice)
            number = _index(choice)
            calls = delta.get("tool_calls")
            if isinstance(calls, list):
                delta["tool_calls"] = [call for call in calls if not self._hold(number, call)]
            if choice.get("finish_reason"):
                released = [call for key in list(self._held) if key[0] == number for call in self._unwrap(key)]
                delta["tool_calls"] = [*(delta.get("tool_calls") or []), *released]
        return frame

    def release(self) -> dict[str, Any]:
        choices = [{"index": key[0], "delta": {"tool_calls": self._unwrap(key)}} for key in list(self._held)]
        return {"choices": choices} if choices else {}

    def _hold(self, number: int, call: Any) -> bool:
        if not isinstance(call, dict):
            return False
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        key = (number, _index(call))
        if key not in self._held and function.get("name") not in self._NAMES:
            return False
        _, texts = self._held.setdefault(key, (call, []))
        if isinstance(function.get("arguments"), str):
            texts.append(function["arguments"])
        return True

    def _unwrap(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        first, texts = self._held.pop(key)
        text = "".join(texts)
        try:
            uses = loads(text.encode("utf-8", "surrogatepass"))["tool_uses"]
            calls = [(use["recipient_name"].removeprefix("functions."), use.get("parameters") or {}) for use in uses]
        except (*JSONError, TypeError, KeyError, AttributeError):
            calls = []
        if not calls:  # not a wrapper after all: the call as it came
            return [{**first, "function": {**first["function"], "arguments": text}}]
        return [
            {
                "index": 1000 * (key[1] + 1) + place,  # apart from the numbers that the provider gives
                "type": "function",
                "function": {"name": name, "arguments": dumps(parameters).decode()},
            }
            for place, (name, parameters) in enumerate(calls)
        ]


class FinalUsage:
    """A stream without any finish_reason ends with the chunk that has its usage (Snowflake)."""

    def __init__(self) -> None:
        self._called = False

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]:
        choices = _choices(frame)
        self._called = self._called or any(_delta(choice).get("tool_calls") for choice in choices)
        if frame.get("usage") and not any(choice.get("finish_reason") for choice in choices):
            reason = "tool_calls" if self._called else "stop"
            frame["choices"] = [*choices, {"index": 0, "delta": {}, "finish_reason": reason}]
        return frame

    def release(self) -> dict[str, Any]:
        return {}


QUIRKS: Final[Mapping[str, Callable[[], Quirk]]] = {
    "final-usage": FinalUsage,
    "parallel-wrapper": ParallelWrapper,
    "think-tags": ThinkTags,
}
