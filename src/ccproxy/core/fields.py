"""Typed access to decoded JSON that names the place of what is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

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


class Fields:
    """A JSON object and its path. Absent and null are the same everywhere, and stand for the empty value."""

    __slots__ = ("path", "raw")

    def __init__(self, raw: Mapping[str, Any], path: str = "") -> None:
        self.raw = raw
        self.path = path

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if type(value) is str:
            return value
        if value is None:
            return ""
        raise self.wrong(key, "a string")

    def string(self, key: str) -> str | None:
        """As `text`, but None where there is none."""
        return None if self.raw.get(key) is None else self.text(key)

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
        return {key: value for key, value in self.raw.items() if value is not None and key not in known}

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
        value = self.raw.get(key)
        if value is None:
            return Fields({}, self.at(key))
        if type(value) is dict:
            return Fields(cast("dict[str, Any]", value), self.at(key))
        raise self.wrong(key, "an object")

    def noise(self, key: str) -> "Fields":
        """An object that may be left out: anything else counts as absent."""
        value = self.raw.get(key)
        return Fields(cast("dict[str, Any]", value), self.at(key)) if type(value) is dict else _NOTHING

    def list(self, key: str) -> "list[Any]":
        value = self.raw.get(key)
        if value is None:
            return []
        if type(value) is list:
            return value
        raise self.wrong(key, "an array")

    def each(self, key: str) -> "Iterator[Fields]":
        """The objects of an array."""
        place = self.at(key)
        for position, value in enumerate(self.list(key)):
            path = f"{place}[{position}]"
            if type(value) is not dict:
                raise FieldError(path, f"must be an object, not {_NAMES.get(type(value), 'this')}")
            yield Fields(cast("dict[str, Any]", value), path)

    def wrong(self, key: str, expected: str) -> FieldError:
        found = _NAMES.get(type(self.raw.get(key)), "this")
        return FieldError(self.at(key), f"must be {expected}, not {found}")

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


_NOTHING: Final = Fields({})
