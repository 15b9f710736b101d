"""Objects of a request, whose keys Google takes in camelCase and in snake_case."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields

_SNAKE: Final = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")


def camel(key: str) -> str:
    return _SNAKE.sub(lambda found: found[1].upper(), key)


class Keys(Fields):
    """An object whose keys are in camelCase here; paths name them as they came. What is null is absent."""

    __slots__ = ("_came",)

    def __init__(self, raw: Mapping[str, Any], path: str = "") -> None:
        keys: dict[str, Any] = {}
        self._came: dict[str, str] = {}
        super().__init__(keys, path)
        for came, value in raw.items():
            key = camel(came)
            if value is None:
                continue
            if key in keys:
                raise RequestRefused(super().at(came), f"{key} is given twice")
            keys[key] = value
            self._came[key] = came

    def at(self, key: str) -> str:
        return super().at(self._came.get(key, key))

    def fields(self, key: str) -> "Keys":
        return Keys(super().fields(key).raw, self.at(key))

    def free(self, key: str) -> dict[str, Any] | None:
        """An object with keys that are the client's own; None if there is none."""
        return dict(super().fields(key).raw) if key in self.raw else None

    def each(self, key: str) -> "Iterator[Keys]":
        """The objects of an array; a single object stands for an array of one, as Google takes it too."""
        if isinstance(self.raw.get(key), dict):
            yield self.fields(key)
        else:
            for one in super().each(key):
                yield Keys(one.raw, one.path)
