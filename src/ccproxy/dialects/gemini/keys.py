"""Objects of a request, whose keys Google takes in camelCase and in snake_case."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields

_SNAKE: Final = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")


def camel(key: str) -> str:
    return _SNAKE.sub(lambda found: found[1].upper(), key) if "_" in key else key


class Keys(Fields):
    """An object whose keys are in camelCase here; paths name them as they came. What is null is absent."""

    came: Mapping[str, str] = {}
    """The keys that came in another case."""

    def at(self, key: str) -> str:
        return Fields.at(self, self.came.get(key, key))

    def fields(self, key: str) -> "Keys":
        return keys(super().fields(key))

    def each(self, key: str) -> "Iterable[Keys]":
        """The objects of an array; a single object stands for an array of one, as Google takes it too."""
        if isinstance(self.raw.get(key), dict):
            return (self.fields(key),)
        return map(keys, super().each(key))


def keys(fields: Fields) -> Keys:
    """Raises `RequestRefused` for a key that is given in both cases."""
    known: dict[str, Any] = {}
    came: dict[str, str] = {}
    for given, value in fields.raw.items():
        if value is None:
            continue
        key = camel(given)
        if key in known:
            raise RequestRefused(fields.at(given), f"{key} is given twice")
        known[key] = value
        if key != given:
            came[key] = given
    return Keys(known, fields.path, came)
