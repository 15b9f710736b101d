"""One open part at a time, for targets that are serial (`Dialect.serial`) and have one choice.

The open part streams live; the events of the others wait, in order of first appearance, until it ends. Chat has no end
mark for tool calls, so an open call gives way to the next part if its arguments are a complete JSON object by then.
What waits is limited; over the limit is an error.
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


class Serializer:
    __slots__ = ("_dropped", "_losses", "_max_waiting", "_waiting", "_waiting_size", "_yielded", "live", "scanner")

    def __init__(self, max_waiting: int, losses: Losses) -> None:
        self.live: int | None = None
        """The open part, whose events go straight on."""
        self.scanner: ObjectScanner | None = None
        """Follows the arguments of the open part, if that is a tool call."""
        self._max_waiting = max_waiting
        self._losses = losses
        self._waiting: OrderedDict[int, list[Event]] = OrderedDict()  # the first of a dict costs what was deleted
        self._waiting_size = 0
        self._yielded: set[int] = set()  # calls that gave way before their source ended them
        self._dropped: set[int] = set()  # parts of other choices

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
        elif type(event) is Finish and event.choice != 0:
            self._losses.add("choice", None, f"choice {event.choice}")
        else:
            out.append(event)

    def _start(self, event: PartStart, out: list[Event]) -> None:
        if event.choice != 0:
            self._dropped.add(event.part)
            self._losses.add("choice", None, f"choice {event.choice}")
        elif self.live is None:
            self._open(event, out)
        elif self.scanner is not None and self.scanner.complete:
            self._yielded.add(self.live)
            out.append(PartEnd(self.live))
            self._open(event, out)
        else:
            self._waiting[event.part] = [event]

    def _open(self, event: PartStart, out: list[Event]) -> None:
        self.live = event.part
        self.scanner = ObjectScanner() if event.kind == "tool" else None
        out.append(event)

    def _delta(self, event: Delta, out: list[Event]) -> None:
        if event.part == self.live:
            if self.scanner is not None:
                self.scanner.extend(event.texts)
            out.append(event)
        elif event.part in self._waiting:
            for position, text in enumerate(event.texts):
                try:
                    self._weigh(len(text), position)
                except _Refused:
                    if position:
                        self._waiting[event.part].append(Delta(event.part, event.texts[:position]))
                    raise
            if event.logprobs:
                self._weigh(len(dumps(event.logprobs)))
            self._waiting[event.part].append(event)
        elif not "".join(event.texts).strip():
            self._losses.add("order", event.part, "white space after complete arguments")
        elif event.part not in self._dropped:
            raise _Refused("protocol", f"more arguments for the call of part {event.part}, which was complete")

    def _weigh(self, size: int, text: int = 0) -> None:
        self._waiting_size += size
        if self._waiting_size > self._max_waiting:
            message = f"more than {self._max_waiting} characters wait for part {self.live} to end"
            raise _Refused("too_large", f"{message}; raise the limit max_waiting if that is meant", text)

    def _attach(self, part: int | None, event: Event, out: list[Event]) -> None:
        if part is not None and part in self._waiting:
            self._weigh(len(dumps(event)))
            self._waiting[part].append(event)
        elif part not in self._dropped:
            out.append(event)

    def _end(self, event: PartEnd, out: list[Event]) -> None:
        if event.part == self.live:
            self.live = self.scanner = None
            out.append(event)
            self._release(out)
        elif event.part in self._waiting:
            self._waiting[event.part].append(event)
        elif event.part not in self._yielded and event.part not in self._dropped:
            out.append(event)

    def _flush(self, out: list[Event]) -> None:
        """The stream fails: what waits goes out before the error, each part ended by the next."""
        while self._waiting and self.live is not None:
            out.append(PartEnd(self.live))
            self.live = self.scanner = None
            self._release(out)

    def _release(self, out: list[Event]) -> None:
        while self.live is None and self._waiting:
            _, events = self._waiting.popitem(last=False)
            for event in events:
                if type(event) is PartStart:
                    self._open(event, out)
                    continue
                if type(event) is Delta:
                    self._waiting_size -= sum(map(len, event.texts))
                    if self.scanner is not None:
                        self.scanner.extend(event.texts)
                elif type(event) is PartEnd:
                    self.live = self.scanner = None
                out.append(event)
