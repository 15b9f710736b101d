"""Typed access to decoded JSON that names the place of what is wrong."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


class FieldError(ValueError):
    """A value of the wrong type. The text says which, where, and what was expected."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} {reason}")


class Fields(msgspec.Struct):
    """A JSON object and its path. Absent and null are the same everywhere, and stand for the empty value."""

    raw: Mapping[str, Any]
    path: str = ""

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if type(value) is str:
            return value
        if value is None:
            return ""
        raise self.wrong(key, "a string")

    def string(self, key: str) -> str | None:
        """As `text`, but None where there is none."""
        value = self.raw.get(key)
        if type(value) is str or value is None:
            return value
        raise self.wrong(key, "a string")

    def flag(self, key: str) -> bool | None:
        value = self.raw.get(key)
        if type(value) is bool or value is None:
            return value
        raise self.wrong(key, "a boolean")

    def real(self, key: str) -> float | None:
        """A number, whole or not; a whole one stays whole."""
        value = self.raw.get(key)
        if type(value) is float or type(value) is int or value is None:
            return value
        raise self.wrong(key, "a number")

    def rest(self, *known: str) -> dict[str, Any]:
        """The fields that are not known and not null."""
        rest: dict[str, Any] = {}
        for key in self.raw:
            if key not in known and self.raw[key] is not None:
                rest[key] = self.raw[key]
        return rest

    def word(self, key: str) -> str:
        """A string that carries no content: anything else counts as absent."""
        value = self.raw.get(key)
        return value if type(value) is str else ""

    def integer(self, key: str) -> int | None:
        value = self.raw.get(key)
        if type(value) is int or value is None:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        raise self.wrong(key, "a whole number")

    def number(self, key: str) -> int | None:
        """A whole number that carries no content: anything else counts as absent."""
        value = self.raw.get(key)
        return int(value) if type(value) is int or (type(value) is float and value.is_integer()) else None

    def fields(self, key: str) -> "Fields":
        value: Any = self.raw.get(key)
        kind = type(value)
        if kind is dict:
            return Fields(value, self.at(key))
        if value is None:
            return Fields({}, self.at(key))
        raise self.wrong(key, "an object")

    def mapping(self, key: str) -> dict[str, Any] | None:
        """A copy of an object whose keys are the client's own; None where there is none."""
        value: Any = self.raw.get(key)
        kind = type(value)
        if kind is dict:
            return dict(value)
        if value is None:
            return None
        raise self.wrong(key, "an object")

    def noise(self, key: str) -> "Fields":
        """An object that may be left out: anything else counts as absent."""
        value: Any = self.raw.get(key)
        kind = type(value)
        return Fields(value, self.at(key)) if kind is dict else _NOTHING

    def list(self, key: str) -> "list[Any]":
        value = self.raw.get(key)
        if value is None:
            return []
        if type(value) is list:
            return value
        raise self.wrong(key, "an array")

    def each(self, key: str) -> "Iterable[Fields]":
        """The objects of an array, to go through once."""
        values = self.list(key)
        return _objects(self.at(key), values) if values else ()

    def wrong(self, key: str, expected: str) -> FieldError:
        found = _NAMES.get(type(self.raw.get(key)), "this")
        return FieldError(self.at(key), f"must be {expected}, not {found}")

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _objects(path: str, values: list[Any]) -> Iterator[Fields]:
    for position, value in enumerate(values):
        place = f"{path}[{position}]"
        kind = type(value)
        if kind is not dict:
            raise FieldError(place, f"must be an object, not {_NAMES.get(kind, 'this')}")
        yield Fields(value, place)


_NOTHING: Final = Fields({})
