"""What every writer shares: envelopes for deltas, a table of handlers for everything else."""

from collections.abc import Callable
from typing import Any, ClassVar

from ccproxy.wire.json import CountedEnvelope, Counter, Envelope, dumps
from ccproxy.wire.sse import encode

from .assemble import Message, Part
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
from .losses import Losses
from .spi import Context

_HANDLERS: dict[type[Event], str] = {
    StreamStart: "on_start",
    PartStart: "on_part",
    Delta: "on_delta",
    Signature: "on_signature",
    Citation: "on_citation",
    PartEnd: "on_part_end",
    UsageUpdate: "on_usage",
    Finish: "on_finish",
    StreamError: "on_error",
    StreamEnd: "on_end",
    Ping: "on_ping",
    Opaque: "on_opaque",
}


class BaseWriter:
    """Subclasses spell one dialect: a handler for each event, an envelope for each part that streams text."""

    dialect: ClassVar[str]
    _handlers: ClassVar[dict[type[Event], Callable[[Any, Any], None]]]

    def __init_subclass__(cls) -> None:
        cls._handlers = {event: getattr(cls, name) for event, name in _HANDLERS.items()}

    def __init__(self, context: Context, losses: Losses, parts: Callable[[int], Part]) -> None:
        self.context = context
        self.losses = losses
        self.part = parts
        """A part as it is known by now, for frames that repeat what was said."""
        self.out: list[bytes] = []
        """The frames of the write under way."""
        self.counter: Counter | None = None
        """Numbers the frames, in dialects that do (`Hole.COUNT` in the payloads of `stream_into`)."""
        self._envelopes: dict[int, Envelope | CountedEnvelope] = {}

    def write(self, events: list[Event]) -> bytes:
        """The frames for the events."""
        out = self.out
        handlers = self._handlers
        for event in events:
            if type(event) is Delta and event.logprobs is None:
                envelope = self._envelopes.get(event.part)
                if envelope is not None:
                    out.append(envelope.many(event.texts))
                    continue
            handlers[type(event)](self, event)
        data = b"".join(out)
        out.clear()
        return data

    def writes(self, part: int) -> Callable[[str], bytes] | None:
        """What makes the frame of one delta of the part while it streams; None if its deltas need `write`."""
        envelope = self._envelopes.get(part)
        return None if envelope is None else envelope.one

    def interrupt(self, message: Message, error: StreamError) -> bytes:
        """The error that ends a stream which this writer did not write."""
        if message.start is not None:
            self.write([message.start])
        return self.write([error])

    def frame(self, payload: dict[str, Any], event: str = "") -> None:
        """Write one frame."""
        self.out.append(encode(dumps(payload), event))

    def stream_into(self, part: int, payload: dict[str, Any], event: str = "") -> None:
        """From now on the part's deltas go out in this payload, which has `Hole.TEXT` where the text goes."""
        head, tail = encode(b"\0", event).split(b"\0")
        if self.counter is None:
            self._envelopes[part] = Envelope(payload, head, tail)
        else:
            self._envelopes[part] = CountedEnvelope(payload, head, tail, self.counter)

    def encode_texts(self, part: int, texts: list[str]) -> bytes:
        """The frames of deltas for a part that streams."""
        return self._envelopes[part].many(texts)

    def stop_streaming(self, part: int) -> None:
        self._envelopes.pop(part, None)

    # What a dialect adds

    def on_start(self, event: StreamStart) -> None:
        raise NotImplementedError

    def on_part(self, event: PartStart) -> None:
        raise NotImplementedError

    def on_delta(self, event: Delta) -> None:
        """A delta of a part without an envelope, or with log probabilities."""
        raise NotImplementedError

    def on_signature(self, event: Signature) -> None:
        raise NotImplementedError

    def on_citation(self, event: Citation) -> None:
        raise NotImplementedError

    def on_part_end(self, event: PartEnd) -> None:
        raise NotImplementedError

    def on_usage(self, event: UsageUpdate) -> None:
        raise NotImplementedError

    def on_finish(self, event: Finish) -> None:
        raise NotImplementedError

    def on_error(self, event: StreamError) -> None:
        raise NotImplementedError

    def on_end(self, event: StreamEnd) -> None:
        raise NotImplementedError

    def on_ping(self, event: Ping) -> None:
        raise NotImplementedError

    def on_opaque(self, event: Opaque) -> None:
        raise NotImplementedError
