"""Events to a `Message`, in linear time, readable at any moment."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from ccproxy.wire.json import join

from .events import (
    Citation,
    Delta,
    Event,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Signature,
    StreamEnd,
    StreamError,
    StreamStart,
    UsageUpdate,
)
from .vocab import Usage

_FOLD_AT: Final = 1024  # texts kept as they came before they are joined, so that memory is the text and not its cuts


class Part(msgspec.Struct):
    """One part as known so far."""

    start: PartStart
    text: str = ""
    logprobs: list[Any] = []
    signature: Signature | None = None
    citations: list[Citation] = []
    opaque: list[Opaque] = []
    end: PartEnd | None = None
    """None while the part is open."""


class Message(msgspec.Struct):
    """A whole answer, or what is known of it so far, in neutral terms."""

    start: StreamStart | None = None
    parts: list[Part] = []
    finishes: dict[int, Finish] = {}
    """By choice."""
    usage: Usage | None = None
    error: StreamError | None = None
    ended: bool = False
    """Whether the source came to its end; False for a snapshot or after an error."""

    def text(self, choice: int = 0) -> str:
        """All text of one choice, joined."""
        return "".join(p.text for p in self.parts if p.start.kind == "text" and p.start.choice == choice)


class _Slot:
    """A part under construction: pieces are joined when somebody looks."""

    __slots__ = ("joined", "part", "texts")

    def __init__(self, start: PartStart) -> None:
        self.part = Part(start)
        self.texts: list[str] = []
        self.joined: list[str] = []
        """Runs of texts, joined: what a long stream keeps is its text, not its cuts."""

    def fold(self) -> None:
        self.joined.append("".join(self.texts))
        self.texts = []

    def snapshot(self) -> Part:
        part = self.part
        return Part(
            part.start,
            join([*self.joined, *self.texts]),
            part.logprobs[:],
            part.signature,
            part.citations[:],
            part.opaque[:],
            part.end,
        )


class Assembler:
    """A listener that assembles when asked."""

    __slots__ = ("_events", "_message", "_size", "_slots")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._size = 0  # texts and other events among them
        self._message = Message()
        self._slots: list[_Slot] = []

    def on_events(self, events: list[Event]) -> None:
        self._events += events
        self._size += len(events)
        for event in events:
            if type(event) is Delta:
                self._size += len(event.texts)
        if self._size > _FOLD_AT:
            self._fold()

    def run(self, part: int) -> Callable[[str], None]:
        """What adds texts of one part, one by one, until the assembler is next asked or told anything."""
        texts: list[str] = []
        self.on_events([Delta(part, texts)])
        return texts.append

    @property
    def message(self) -> Message:
        """A snapshot: later events do not change it."""
        self._fold()
        message = self._message
        return Message(
            message.start,
            [slot.snapshot() for slot in self._slots],
            dict(message.finishes),
            message.usage,
            message.error,
            message.ended,
        )

    def part(self, number: int) -> Part:
        """A snapshot of one part."""
        self._fold()
        return self._slots[number].snapshot()

    @property
    def usage(self) -> Usage | None:
        self._fold()
        return self._message.usage

    def _fold(self) -> None:
        message, slots = self._message, self._slots
        for event in self._events:
            if type(event) is Delta:
                slot = slots[event.part]
                slot.texts += event.texts
                if len(slot.texts) > _FOLD_AT:
                    slot.fold()
                if event.logprobs:
                    slot.part.logprobs += event.logprobs
            elif type(event) is PartStart:
                slots.append(_Slot(event))
            elif type(event) is PartEnd:
                slots[event.part].part.end = event
            elif type(event) is Signature:
                slots[event.part].part.signature = event
            elif type(event) is Citation:
                slots[event.part].part.citations.append(event)
            elif type(event) is Opaque:
                if event.part is not None:
                    slots[event.part].part.opaque.append(event)
            elif type(event) is StreamStart:
                message.start = event
                message.usage = event.usage
            elif type(event) is UsageUpdate:
                message.usage = event.usage
            elif type(event) is Finish:
                message.finishes[event.choice] = event
            elif type(event) is StreamError:
                message.error = event
            elif type(event) is StreamEnd:
                message.ended = True
        self._events.clear()
        self._size = 0
