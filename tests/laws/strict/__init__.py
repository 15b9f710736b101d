"""What has to know a dialect, written without the library: one module for each, named after it (underscores for hyphens).

A module has:

- `problems(frames)`: what is wrong with a stream that this library wrote, in the form that the official SDKs ask for;
- `said_why(frames)`: whether a stream that goes no further has said why it stops (the law of the cut);
- `failed(frame)`: whether a frame reports the provider's failure;
- `twin(data)`: for a dialect that repeats the answer at the end of the stream: the stream without that repetition, and
  what it was; else None;
- `WHOLE`, if it has calls that are written whole when they end, their arguments as a JSON value: the kinds of such parts;
- `BARE`, if the official SDK takes events alone, and raises for comments and other lines.

A dialect without a module is only held to the laws that need none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from tests.laws.frames import Frame

__all__ = ["STRICT", "Strict", "bare", "whole"]


class Strict(Protocol):
    """What a module of this package offers."""

    def problems(self, frames: Sequence[Frame]) -> Iterator[str]: ...
    def said_why(self, frames: Iterable[Frame]) -> bool: ...
    def failed(self, frame: Frame) -> bool: ...
    def twin(self, data: bytes) -> tuple[bytes, Any] | None: ...


STRICT: dict[str, Strict] = {
    module.name.replace("_", "-"): cast("Strict", import_module(f"{__name__}.{module.name}"))
    for module in pkgutil.iter_modules(__path__)
}


def whole(dialect: str) -> frozenset[str]:
    """The kinds of parts that the dialect writes whole."""
    return getattr(STRICT.get(dialect), "WHOLE", frozenset())


def bare(dialect: str) -> bool:
    """Whether nothing but events may be written."""
    return getattr(STRICT.get(dialect), "BARE", False)
