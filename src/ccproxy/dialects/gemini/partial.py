"""A call whose arguments come value by value (Vertex, `streamFunctionCallArguments`)."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from ccproxy.core.fields import FieldError, Fields
from ccproxy.wire.json import dumps

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_DEEPEST: Final = 200

_Container = dict[str, Any] | list[Any]


class PartialCall:
    """Puts the arguments together by their paths, in linear time."""

    __slots__ = ("_arguments", "_open", "part")

    def __init__(self, part: int) -> None:
        self.part = part
        self._arguments: dict[str, Any] = {}
        self._open: dict[str, tuple[_Container, Any, list[str]]] = {}  # strings that go on, by path

    def update(self, arguments: Mapping[str, Any]) -> None:
        """Arguments that came whole."""
        self._arguments.update(arguments)

    def add(self, argument: Fields) -> None:
        """One entry of `partialArgs`."""
        path = argument.text("jsonPath")
        goes_on = argument.raw.get("willContinue") is True
        if "stringValue" in argument.raw:
            self._add_string(argument, path, argument.text("stringValue"), goes_on)
            return
        for key in ("numberValue", "boolValue", "nullValue"):
            if key in argument.raw:
                container, step = self._place(argument, path)
                value = None if key == "nullValue" else argument.raw[key]
                if isinstance(value, dict | list | str):
                    raise argument.wrong(key, "a number or a boolean")
                _put(argument, container, step, value)

    def _add_string(self, argument: Fields, path: str, text: str, goes_on: bool) -> None:
        known = self._open.get(path)
        if known is None:
            container, step = self._place(argument, path)
            _put(argument, container, step, "")
            known = self._open[path] = (container, step, [])
        container, step, pieces = known
        pieces.append(text)
        if not goes_on:
            container[step] = "".join(pieces)
            del self._open[path]

    def _place(self, argument: Fields, path: str) -> tuple[_Container, Any]:
        """The container of the value that the path names, and its key or index there."""
        steps = list(_steps(argument, path))
        container: _Container = self._arguments
        for step, after in pairwise(steps):
            inner: Any = _get(container, step)
            if inner is None:
                inner = [] if isinstance(after, int) else {}
                _put(argument, container, step, inner)
            if not isinstance(inner, dict | list):
                raise argument.wrong("jsonPath", "a path to one value")
            container = inner
        return container, steps[-1]

    def text(self, cut: bool) -> str:
        """The arguments as JSON; without their last brace if the call was cut, so that nobody takes them for whole."""
        for container, step, pieces in self._open.values():
            container[step] = "".join(pieces)
        text = dumps(self._arguments).decode("utf-8")
        return text[:-1] if cut else text


def _steps(argument: Fields, path: str) -> Iterator[str | int]:
    position = 1
    depth = 0
    while position < len(path) or not depth:
        match = _STEP.match(path, position) if path.startswith("$") and depth < _DEEPEST else None
        if match is None:
            raise FieldError(argument.at("jsonPath"), f"must be a path such as $.a[0].b, not {path[:100]!r}")
        name, index, *quoted = match.groups()
        if index is not None:
            yield int(index)
        elif name is not None:
            yield name
        else:
            yield re.sub(r"\\(.)", r"\1", quoted[0] if quoted[0] is not None else quoted[1])
        position = match.end()
        depth += 1


def _get(container: _Container, step: str | int) -> Any:
    if isinstance(container, dict):
        return container.get(step) if isinstance(step, str) else None
    return container[step] if isinstance(step, int) and step < len(container) else None


def _put(argument: Fields, container: _Container, step: str | int, value: Any) -> None:
    if isinstance(container, dict) and isinstance(step, str):
        container[step] = value
        return
    if isinstance(container, list) and isinstance(step, int) and step <= len(container):
        container[step : step + 1] = [value]
        return
    raise argument.wrong("jsonPath", "a path that fits the values before")
