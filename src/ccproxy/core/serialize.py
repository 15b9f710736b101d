"""One open part at a time, for targets that are serial (`Dialect.serial`).

The open part streams live; the events of the others wait, in order of first appearance, until it ends. Where the target
takes several choices (`Dialect.choices`) each has its open part; else choice 0 is written and the others are losses.

Chat has no end mark for tool calls, so an open call gives way to the next part if its arguments are a complete JSON
object by then. What waits is limited; over the limit is an error.
"""

from collections import OrderedDict
from collections.abc import Callable

from ccproxy.wire.json import ObjectScanner, dumps

from .events import Citation, Delta, Event, Finish, Opaque, PartEnd, PartStart, Signature, StreamError
from .losses import Losses
from .vocab import ErrorKind

Locate = Callable[[int, int], tuple[int, int]]
"""(frame number, byte offset) of the n-th event of the read under way, and of the m-th text in it."""


class _Refused(Exception):
    def __init__(self, kind: ErrorKind, message: str, text: int = 0) -> None:
        self.kind: ErrorKind = kind
        self.message = message
        self.text = text  # which of the delta's texts was too much
        super().__init__(message)


class _Line:
    """The parts of one choice: one is open, the others wait for it."""

    __slots__ = ("live", "scanner", "waiting")

    def __init__(self) -> None:
        self.live: int | None = None
        """The open part, whose events go straight on."""
        self.scanner: ObjectScanner | None = None
        """Follows the arguments of the open part, if that is a tool call."""
        self.waiting: OrderedDict[int, list[Event]] = OrderedDict()  # the first of a dict costs what was deleted


class Serializer:
    __slots__ = ("_choices", "_dropped", "_line_of", "_lines", "_losses", "_max_waiting", "_waiting_size", "_yielded")

    def __init__(self, max_waiting: int, losses: Losses, choices: bool = False) -> None:
        self._max_waiting = max_waiting
        self._losses = losses
        self._choices = choices
        self._lines: dict[int, _Line] = {}  # by choice
        self._line_of: dict[int, _Line] = {}  # by part, as long as it is open or waits
        self._waiting_size = 0
        self._yielded: set[int] = set()  # calls that gave way before their source ended them
        self._dropped: set[int] = set()  # parts of other choices

    def follow(self, part: int) -> tuple[bool, ObjectScanner | None]:
        """Whether deltas of the part go straight on, and what must hear them, for callers that don't `push` them.

        The answer holds until the next `push`.
        """
        line = self._line_of.get(part)
        return (True, line.scanner) if line is not None and line.live == part else (False, None)

    def push(self, events: list[Event], locate: Locate) -> tuple[list[Event], int, StreamError | None]:
        """The events in serial order, how many were accepted, and the error if one was refused."""
        out: list[Event] = []
        for position, event in enumerate(events):
            try:
                self._push(event, out)
            except _Refused as refused:
                self._flush(out)
                frame, offset = locate(position, refused.text)
                return out, position, StreamError(refused.kind, refused.message, None, offset, frame)
        return out, len(events), None

    def _push(self, event: Event, out: list[Event]) -> None:
        if type(event) is Delta:
            self._delta(event, out)
        elif type(event) is PartStart:
            self._start(event, out)
        elif type(event) is PartEnd:
            self._end(event, out)
        elif type(event) is Signature or type(event) is Citation or type(event) is Opaque:
            self._attach(event.part, event, out)
        elif type(event) is StreamError:
            self._flush(out)
            out.append(event)
        elif type(event) is Finish and event.choice != 0 and not self._choices:
            self._losses.add("choice", None, f"choice {event.choice}")
        else:
            out.append(event)

    def _start(self, event: PartStart, out: list[Event]) -> None:
        if event.choice != 0 and not self._choices:
            self._dropped.add(event.part)
            self._losses.add("choice", None, f"choice {event.choice}")
            return
        line = self._lines.get(event.choice)
        if line is None:
            line = self._lines[event.choice] = _Line()
        if line.live is None:
            self._open(line, event, out)
        elif line.scanner is not None and line.scanner.complete:
            self._yielded.add(line.live)
            out.append(PartEnd(line.live))
            self._close(line)
            self._open(line, event, out)
        else:
            line.waiting[event.part] = [event]
            self._line_of[event.part] = line

    def _open(self, line: _Line, event: PartStart, out: list[Event]) -> None:
        line.live = event.part
        line.scanner = ObjectScanner() if event.kind == "tool" else None
        self._line_of[event.part] = line
        out.append(event)

    def _close(self, line: _Line) -> None:
        if line.live is not None:
            self._line_of.pop(line.live, None)
        line.live = line.scanner = None

    def _delta(self, event: Delta, out: list[Event]) -> None:
        line = self._line_of.get(event.part)
        if line is not None and event.part == line.live:
            if line.scanner is not None:
                line.scanner.extend(event.texts)
            out.append(event)
        elif line is not None:
            waiting = line.waiting[event.part]
            for position, text in enumerate(event.texts):
                try:
                    self._weigh(line, len(text), position)
                except _Refused:
                    if position:
                        waiting.append(Delta(event.part, event.texts[:position]))
                    raise
            if event.logprobs:
                self._weigh(line, len(dumps(event.logprobs)))
            waiting.append(event)
        elif not "".join(event.texts).strip():
            self._losses.add("order", event.part, "white space after complete arguments")
        elif event.part not in self._dropped:
            raise _Refused("protocol", f"more arguments for the call of part {event.part}, which was complete")

    def _weigh(self, line: _Line, size: int, text: int = 0) -> None:
        self._waiting_size += size
        if self._waiting_size > self._max_waiting:
            message = f"more than {self._max_waiting} characters wait for part {line.live} to end"
            raise _Refused("too_large", f"{message}; raise the limit max_waiting if that is meant", text)

    def _attach(self, part: int | None, event: Event, out: list[Event]) -> None:
        line = None if part is None else self._line_of.get(part)
        if line is not None and part is not None and part in line.waiting:
            self._weigh(line, len(dumps(event)))
            line.waiting[part].append(event)
        elif part not in self._dropped:
            out.append(event)

    def _end(self, event: PartEnd, out: list[Event]) -> None:
        line = self._line_of.get(event.part)
        if line is not None and event.part == line.live:
            self._close(line)
            out.append(event)
            self._release(line, out)
        elif line is not None:
            line.waiting[event.part].append(event)
        elif event.part not in self._yielded and event.part not in self._dropped:
            out.append(event)

    def _flush(self, out: list[Event]) -> None:
        """The stream fails: what waits goes out before the error, each part ended by the next."""
        for line in self._lines.values():
            while line.waiting and line.live is not None:
                out.append(PartEnd(line.live))
                self._close(line)
                self._release(line, out)

    def _release(self, line: _Line, out: list[Event]) -> None:
        while line.live is None and line.waiting:
            _, events = line.waiting.popitem(last=False)
            for event in events:
                if type(event) is PartStart:
                    self._open(line, event, out)
                    continue
                if type(event) is Delta:
                    self._waiting_size -= sum(map(len, event.texts))
                    if line.scanner is not None:
                        line.scanner.extend(event.texts)
                elif type(event) is PartEnd:
                    self._close(line)
                out.append(event)
