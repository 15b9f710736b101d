"""The legal order of events, as tables.

A state is its row: {event class: the next row}. A class that is missing from the row is the protocol error. There is
one machine for the stream, one for each choice and one for each part; an event must be legal in all that it concerns.
`tools/docs.py` draws the state diagram of ARCHITECTURE.md from these rows.
"""

from typing import Final

from .events import (
    Citation,
    Delta,
    Event,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Ping,
    Signature,
    StreamEnd,
    StreamError,
    StreamStart,
    UsageUpdate,
)

Row = dict[type[Event], "Row"]

# The stream
IDLE: Final[Row] = {}
OPEN: Final[Row] = {}
CLOSED: Final[Row] = {}
IDLE.update({StreamStart: OPEN, StreamError: CLOSED})
OPEN.update(
    {
        PartStart: OPEN,
        Delta: OPEN,
        Signature: OPEN,
        Citation: OPEN,
        PartEnd: OPEN,
        UsageUpdate: OPEN,
        Finish: OPEN,
        Ping: OPEN,
        Opaque: OPEN,
        StreamError: CLOSED,
        StreamEnd: CLOSED,
    }
)

# A part
LIVE: Final[Row] = {}
SEALED: Final[Row] = {}
ENDED: Final[Row] = {}
LIVE.update({Delta: LIVE, Signature: LIVE, Citation: LIVE, Opaque: LIVE, PartEnd: ENDED})
SEALED.update({Signature: SEALED, Opaque: SEALED, PartEnd: ENDED})
ENDED.update({Signature: ENDED, Citation: ENDED, Opaque: ENDED})

# A choice
SPEAKING: Final[Row] = {}
FINISHED: Final[Row] = {}
SPEAKING.update({PartStart: SPEAKING, Finish: FINISHED})

STATES: Final[dict[str, dict[str, Row]]] = {
    "stream": {"idle": IDLE, "open": OPEN, "closed": CLOSED},
    "part": {"live": LIVE, "sealed": SEALED, "ended": ENDED},
    "choice": {"speaking": SPEAKING, "finished": FINISHED},
}
"""Every state by machine and name, for the diagram and for tests."""

_NAMES: Final = {id(row): name for rows in STATES.values() for name, row in rows.items()}
_WHOLE: Final = frozenset({"redacted", "image", "audio", "opaque"})  # kinds without text


class Grammar:
    """Follows one stream and says how much of a batch of events is legal."""

    __slots__ = ("_choices", "_max_parts", "_open", "_open_in", "_parts", "_stream", "live")

    def __init__(self, max_parts: int) -> None:
        self.live: set[int] = set()
        """The parts that a Delta may extend (what the hot lane asks)."""
        self._max_parts = max_parts
        self._stream = IDLE
        self._parts: list[Row] = []
        self._open: dict[int, int] = {}  # open part: its choice
        self._open_in: dict[int, int] = {}  # choice: how many of its parts are open
        self._choices: dict[int, Row] = {}

    def check(self, events: list[Event]) -> tuple[int, str]:
        """How many of the events are legal, and why the next one is not ("" if all are)."""
        for position, event in enumerate(events):
            row = self._stream.get(type(event))
            if row is None:
                return position, f"{type(event).__name__} while the stream is {_NAMES[id(self._stream)]}"
            if type(event) is Delta:
                fault = "" if event.part in self.live else self._within(event.part, event)
            elif type(event) is PartEnd or type(event) is Signature or type(event) is Citation:
                fault = self._within(event.part, event)
            elif type(event) is PartStart:
                fault = self._start(event)
            elif type(event) is Finish:
                fault = self._finish(event)
            elif type(event) is Opaque and event.part is not None:
                fault = self._within(event.part, event)
            elif type(event) is StreamEnd:
                fault = self._end()
            else:
                fault = ""
            if fault:
                return position, fault
            self._stream = row
        return len(events), ""

    def _start(self, event: PartStart) -> str:
        if event.part != len(self._parts):
            return f"part {event.part} starts where part {len(self._parts)} is next"
        if event.part >= self._max_parts:
            return f"more than {self._max_parts} parts"
        if PartStart not in self._choices.setdefault(event.choice, SPEAKING):
            return f"part {event.part} starts after choice {event.choice} finished"
        self._open[event.part] = event.choice
        self._open_in[event.choice] = self._open_in.get(event.choice, 0) + 1
        if event.kind in _WHOLE:
            self._parts.append(SEALED)
        else:
            self._parts.append(LIVE)
            self.live.add(event.part)
        return ""

    def _within(self, part: int, event: Event) -> str:
        if not 0 <= part < len(self._parts):
            return f"{type(event).__name__} for part {part}, which never started"
        row = self._parts[part].get(type(event))
        if row is None:
            return f"{type(event).__name__} for part {part}, which is {_NAMES[id(self._parts[part])]}"
        self._parts[part] = row
        if row is ENDED:
            self.live.discard(part)
            choice = self._open.pop(part, None)
            if choice is not None:
                self._open_in[choice] -= 1
        return ""

    def _finish(self, event: Finish) -> str:
        row = self._choices.setdefault(event.choice, SPEAKING).get(Finish)
        if row is None:
            return f"choice {event.choice} finishes twice"
        if self._open_in.get(event.choice):
            return f"choice {event.choice} finishes with an open part"
        self._choices[event.choice] = row
        return ""

    def _end(self) -> str:
        for choice, row in self._choices.items():
            if row is not FINISHED:
                return f"the stream ends, but choice {choice} never finished"
        return "" if self._choices else "the stream ends, but choice 0 never finished"
