"""An output delta leaves with the input event that caused it: arguments and reasoning included.

The stream is fed event by event. What the neutral events of one read say, another reader of the output must have heard when that
read is over. Only parts that wait for another in a serial target may be late, and parts of it that were declared lost never come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ccproxy import Translator
from ccproxy.core.events import Delta, Event, PartEnd, PartStart
from ccproxy.dialects import get
from ccproxy.wire.json import is_object
from tests.corpus import Stream, each_stream

from .harness import Tape, every_event, targets, trace


@dataclass
class _Part:
    start: PartStart
    text: str = ""
    ended: bool = False
    behind: list[_Part] = field(default_factory=list)
    """The parts that it waits for."""

    @property
    def waits(self) -> bool:
        return any(not part.ended for part in self.behind)


class _Follower:
    """What was said by now, part by part, and how much of it need not have been written yet."""

    def __init__(self, serial: bool, lost: set[int | None]) -> None:
        self.serial = serial
        self.lost = lost
        self.parts: list[_Part] = []

    def hear(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if type(event) is PartStart:
                self._start(event)
            elif type(event) is Delta:
                self.parts[event.part].text += "".join(event.texts)
            elif type(event) is PartEnd:
                self.parts[event.part].ended = True

    def _start(self, event: PartStart) -> None:
        part = _Part(event)
        if self.serial:
            for other in self.parts:
                if other.ended or (other.start.choice and self.serial):
                    continue
                if other.start.kind == "tool" and not other.waits and is_object(other.text):
                    other.ended = True  # gives way: Chat has no mark for the end of a call
                else:
                    part.behind.append(other)
        self.parts.append(part)

    def due(self) -> int:
        """How many characters must have been written by now."""
        return sum(len(part.text) for part in self.parts if self._placed(part) and not part.waits)

    def _placed(self, part: _Part) -> bool:
        return part.start.part not in self.lost and not (self.serial and part.start.choice)


def broken(data: bytes, source: str, target: str) -> Iterator[str]:
    told = trace(data, source, target, every_event(data), normalize=True)
    lost = {loss.part for loss in told.losses if loss.kind == "part"}
    follower = _Follower(get(target).serial, lost)
    tape = Tape()
    reader = Translator(target, target, listeners=(tape,))
    heard = 0
    for number, (events, out) in enumerate(zip(told.events, told.steps, strict=True)):
        follower.hear(events)
        reader.feed(out)
        heard += sum(len(text) for event in tape.take() if type(event) is Delta for text in event.texts)
        if heard < follower.due():
            yield f"after read {number}, {heard} of {follower.due()} characters were written"
            return


@each_stream(include_suspect=True)
def test_deltas_leave_at_once(stream: Stream) -> None:
    problems = [
        f"to {target}: {problem}" for target in targets() for problem in broken(stream.data, stream.dialect, target)
    ]
    assert not problems, "\n".join(problems)
