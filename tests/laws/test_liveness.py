"""An output delta leaves with the input event that caused it: arguments and reasoning included.

The stream is fed event by event. What the neutral events of one read say, another reader of the output must have heard when that
read is over. Only parts that wait for another in a serial target may be late, and parts of it that were declared lost never come. A
call that is written whole must have been written when it ended.
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
from .strict import whole as whole_kinds


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

    def __init__(self, serial: bool, choices: bool, whole: frozenset[str], lost: set[int | None]) -> None:
        self.serial = serial
        self.choices = choices
        self.whole = whole
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
                if other.ended or self._dropped(other) or other.start.choice != event.choice:
                    continue
                if other.start.kind == "tool" and not other.waits and is_object(other.text):
                    other.ended = True  # gives way: Chat has no mark for the end of a call
                else:
                    part.behind.append(other)
        self.parts.append(part)

    def due(self) -> tuple[int, int]:
        """How many characters must have been written by now, and how many of the parts that are written whole."""
        parts = [part for part in self.parts if self._placed(part) and not part.waits]
        texts = sum(len(part.text) for part in parts if part.start.kind not in self.whole)
        return texts, sum(part.ended for part in parts if part.start.kind in self.whole)

    def _placed(self, part: _Part) -> bool:
        return part.start.part not in self.lost and not self._dropped(part)

    def _dropped(self, part: _Part) -> bool:
        """Whether it never takes a turn; one that has no place takes its turn and says nothing."""
        return self.serial and not self.choices and part.start.choice != 0


def broken(data: bytes, source: str, target: str) -> Iterator[str]:
    told = trace(data, source, target, every_event(data), normalize=True)
    lost = {loss.part for loss in told.losses if loss.kind == "part"}
    whole = whole_kinds(target)
    follower = _Follower(get(target).serial, get(target).choices, whole, lost)
    tape = Tape()
    reader = Translator(target, target, listeners=(tape,))
    heard = 0
    calls: set[int] = set()
    for number, (events, out) in enumerate(zip(told.events, told.steps, strict=True)):
        follower.hear(events)
        reader.feed(out)
        for event in tape.take():
            if type(event) is PartStart and event.kind in whole:
                calls.add(event.part)
            elif type(event) is Delta and event.part not in calls:
                heard += sum(map(len, event.texts))
        texts, ended = follower.due()
        if heard < texts or len(calls) < ended:
            yield f"after read {number}, {heard} of {texts} characters and {len(calls)} of {ended} calls were written"
            return


@each_stream(include_suspect=True)
def test_deltas_leave_at_once(stream: Stream) -> None:
    problems = [
        f"to {target}: {problem}" for target in targets() for problem in broken(stream.data, stream.dialect, target)
    ]
    assert not problems, "\n".join(problems)
