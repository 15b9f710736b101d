"""Vendor repairs by name, off by default."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ccproxy.core.spi import Quirk
from ccproxy.wire.json import JSONError, dumps, loads


def _choices(frame: dict[str, Any]) -> list[dict[str, Any]]:
    choices = frame.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


class ThinkTags:
    """`<think>…</think>` at the beginning of the content becomes reasoning (models served without a reasoning parser).

    A tag may be cut over several deltas: only what could still become a tag is held back.
    """

    _TAGS: Final = {False: "<think>", True: "</think>"}

    def __init__(self) -> None:
        self._thinking: dict[int, bool] = {}
        self._held: dict[int, str] = {}

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]:
        for choice in _choices(frame):
            delta = choice.get("delta")
            delta = choice["delta"] = dict(delta) if isinstance(delta, dict) else {}
            content = delta.get("content")
            if isinstance(content, str) or choice.get("finish_reason"):
                index = choice.get("index") if isinstance(choice.get("index"), int) else 0
                text = content if isinstance(content, str) else ""
                self._split(index or 0, text, delta, bool(choice.get("finish_reason")))
        return frame

    def _split(self, index: int, text: str, delta: dict[str, Any], last: bool) -> None:
        thinking = self._thinking.get(index, False)
        text = self._held.pop(index, "") + text
        spoken, thought = "", ""
        while text:
            tag = self._TAGS[thinking]
            before, found, text = text.partition(tag)
            if not found and not last:
                kept = next((n for n in range(len(tag) - 1, 0, -1) if before.endswith(tag[:n])), 0)
                if kept:
                    self._held[index] = before[-kept:]
                    before = before[:-kept]
            if thinking:
                thought += before
            else:
                spoken += before
            if found:
                thinking = not thinking
        self._thinking[index] = thinking
        delta["content"] = spoken
        if thought:
            delta["reasoning_content"] = thought


class ParallelWrapper:
    """A call named `parallel` (or `multi_tool_use.parallel`) that wraps several is taken apart.

    Azure sends them: https://github.com/vercel/ai/pull/19098. Its arguments are held until the choice finishes.
    """

    _NAMES: Final = ("parallel", "multi_tool_use.parallel")

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], str] = {}

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]:
        for choice in _choices(frame):
            delta = choice.get("delta")
            delta = choice["delta"] = dict(delta) if isinstance(delta, dict) else {}
            number = choice.get("index") if isinstance(choice.get("index"), int) else 0
            calls = delta.get("tool_calls")
            if isinstance(calls, list):
                delta["tool_calls"] = [call for call in calls if not self._hold(number or 0, call)]
            if choice.get("finish_reason"):
                released = [call for key in list(self._held) if key[0] == number for call in self._release(key)]
                if released:
                    delta["tool_calls"] = [*(delta.get("tool_calls") or []), *released]
        return frame

    def _hold(self, number: int, call: Any) -> bool:
        if not isinstance(call, dict):
            return False
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        index = call.get("index") if isinstance(call.get("index"), int) else 0
        key = (number, index or 0)
        if key not in self._held and function.get("name") not in self._NAMES:
            return False
        arguments = function.get("arguments")
        self._held[key] = self._held.get(key, "") + (arguments if isinstance(arguments, str) else "")
        return True

    def _release(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        text = self._held.pop(key)
        _, index = key
        try:
            uses = loads(text.encode("utf-8", "surrogatepass"))["tool_uses"]
            calls = [(use["recipient_name"].removeprefix("functions."), use.get("parameters") or {}) for use in uses]
        except (*JSONError, TypeError, KeyError, AttributeError):
            calls = []
        if not calls:  # not a wrapper after all: the call as it came
            return [{"index": index, "type": "function", "function": {"name": self._NAMES[0], "arguments": text}}]
        return [
            {
                "index": 1000 * (index + 1) + place,
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
        self._called = self._called or any((c.get("delta") or {}).get("tool_calls") for c in choices)
        if frame.get("usage") and not any(choice.get("finish_reason") for choice in choices):
            reason = "tool_calls" if self._called else "stop"
            frame["choices"] = [*choices, {"index": 0, "delta": {}, "finish_reason": reason}]
        return frame


QUIRKS: Final[Mapping[str, Callable[[], Quirk]]] = {
    "final-usage": FinalUsage,
    "parallel-wrapper": ParallelWrapper,
    "think-tags": ThinkTags,
}
