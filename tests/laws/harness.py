"""Run one stream through the library: cut anywhere, traced read by read if asked."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ccproxy import Loss, Translator
from ccproxy.core.assemble import Message
from ccproxy.core.errors import StreamFailed
from ccproxy.core.events import Event
from ccproxy.dialects import names

from .frames import boundaries, frames


@dataclass(frozen=True)
class Result:
    """What came of one stream."""

    steps: tuple[bytes, ...]
    """The output of each read, that of `close` last."""
    translator: Translator
    events: tuple[tuple[Event, ...], ...] = ()
    """The neutral events of each read, if traced."""

    @property
    def out(self) -> bytes:
        return b"".join(self.steps)

    @property
    def error(self) -> StreamFailed | None:
        return self.translator.error

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self.translator.losses

    @property
    def message(self) -> Message:
        return self.translator.message

    @property
    def told(self) -> tuple[object, ...]:
        """All that must not depend on the cuts. (Blank lines between frames passed on are no matter.)"""
        return tuple(frame.raw for frame in frames(self.out)), str(self.error), self.losses, self.message


def targets() -> tuple[str, ...]:
    """Every dialect; asked anew each time, since tests may add one."""
    return names()


def run(data: bytes, source: str, target: str, cuts: Iterable[int] = (), **options: Any) -> Result:
    """Feed the stream in pieces that end at the cuts, then close."""
    translator = Translator(source, target, **options)
    steps = [translator.feed(piece) for piece in pieces(data, cuts)]
    steps.append(translator.close())
    return Result(tuple(steps), translator)


def trace(data: bytes, source: str, target: str, cuts: Iterable[int] = (), **options: Any) -> Result:
    """`run` that keeps the neutral events of each read. (A listener closes the lane for one event per read.)"""
    tape = Tape()
    translator = Translator(source, target, listeners=(tape,), **options)
    steps: list[bytes] = []
    events: list[tuple[Event, ...]] = []
    for piece in pieces(data, cuts):
        steps.append(translator.feed(piece))
        events.append(tape.take())
    steps.append(translator.close())
    events.append(tape.take())
    return Result(tuple(steps), translator, tuple(events))


class Tape:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def on_events(self, events: list[Event], /) -> None:
        self._events += events

    def take(self) -> tuple[Event, ...]:
        events = tuple(self._events)
        self._events.clear()
        return events


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    for start, end in pairwise((0, *cuts, len(data))):
        if start < end:
            yield data[start:end]


# Ways to cut


def chance(data: bytes, *salt: object) -> random.Random:
    """The same chance for the same bytes."""
    return random.Random(hashlib.sha256(repr(salt).encode() + data).digest())


def every_byte(data: bytes) -> range:
    return range(1, len(data))


def every_event(data: bytes) -> Sequence[int]:
    return boundaries(data)


def at_random(data: bytes, longest: int) -> list[int]:
    """Pieces of 1 to `longest` bytes, many of them short."""
    chances = chance(data, longest)
    cuts: list[int] = []
    position = 0
    while True:
        position += min(chances.randint(1, longest), chances.randint(1, longest))
        if position >= len(data):
            return cuts
        cuts.append(position)


def some(values: Sequence[int], count: int, chances: random.Random) -> list[int]:
    """At most `count` of the values in order: the first few, the last ones, and some between."""
    if len(values) <= count:
        return list(values)
    few, last = count // 5, count // 2
    middle = range(few, len(values) - last)
    return [
        *values[:few],
        *(values[i] for i in sorted(chances.sample(middle, count - few - last))),
        *values[-last:],
    ]


def shorten(data: bytes, length: int = 300) -> str:
    """An excerpt for messages."""
    return repr(data if len(data) <= length else data[: length // 2] + b" ... " + data[-length // 2 :])
