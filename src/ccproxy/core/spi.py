"""What a dialect must provide, and what it is given."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from .assemble import Message, Part
from .events import Event, StreamError
from .losses import Losses

ReasoningStyle = Literal["reasoning_content", "reasoning", "both", "thinking-xml", "none"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    max_frame: int = 32 * 1024 * 1024
    """Bytes of one frame."""
    max_waiting: int = 8 * 1024 * 1024
    """Characters that wait for an open part to end, where the target is serial."""
    max_parts: int = 10_000


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one translation. `Translator` documents them."""

    model: str | None = None
    ids: str | None = None
    created: int | None = None
    include_usage: bool = True
    reasoning: ReasoningStyle = "reasoning_content"
    reasoning_details: bool = True
    reasoning_item: Literal["summary", "text"] = "summary"
    choices: Literal["first", "merge"] = "first"
    input_tokens: int | None = None
    quirks: tuple[str, ...] = ()
    limits: Limits = Limits()


class Reader(Protocol):
    """Frames of one dialect to events. Repairs what its vendors get wrong. `core.reader.BaseReader` is its base."""

    finished: bool
    """Whether the stream has ended; what comes after is ignored."""
    offset: int
    """Bytes before the block of the last read."""
    kept: int
    """Bytes of the tail given to `close` that counted: a half frame does not."""
    part: int
    """The part whose text `read_one` gave."""

    def read(self, block: bytes) -> list[Event]: ...
    def read_one(self, block: bytes) -> str: ...
    def read_payload(self, event: str, payload: Mapping[str, Any]) -> list[Event]: ...
    def mark_one(self, block: bytes) -> None: ...
    def overflow(self) -> list[Event]: ...
    def close(self, tail: bytes) -> list[Event]: ...
    def locate(self, position: int, text: int = 0) -> tuple[int, int]: ...


class Writer(Protocol):
    """Events to frames of one dialect. May assume that their order is legal. `core.writer.BaseWriter` is its base."""

    def write(self, events: list[Event]) -> bytes: ...
    def writes(self, part: int) -> Callable[[str], bytes] | None: ...
    def interrupt(self, message: Message, error: StreamError) -> bytes: ...


class Quirk(Protocol):
    """A vendor repair asked for by name: made once for a stream, it repairs the frames in turn before they are read."""

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]: ...
    def release(self) -> dict[str, Any]:
        """A last frame with what is still held when the stream ends; empty if nothing is."""
        ...


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format. `dialects/` holds one folder for each."""

    name: str
    title: str
    serial: bool
    """Whether the target takes one part at a time and one choice."""
    reader: Callable[[Context], Reader]
    writer: Callable[[Context, Losses, Callable[[int], Part]], Writer]
    quirks: Mapping[str, Callable[[], Quirk]] = {}
    body: Callable[[Message, Context, Losses], dict[str, Any]]
    """The non-streaming response body of a message."""
    sniff: Callable[[str, Mapping[str, Any]], bool]
    """Whether a frame (event name, payload) is this dialect's."""


class Listener(Protocol):
    def on_events(self, events: list[Event], /) -> None: ...
