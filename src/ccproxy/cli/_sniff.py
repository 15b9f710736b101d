"""`--from auto`: which dialect is it?"""

import re
from collections.abc import Iterator
from itertools import chain
from time import time
from typing import Final

from ccproxy import dialects
from ccproxy.core.assemble import Assembler
from ccproxy.core.errors import StreamFailed
from ccproxy.core.events import StreamError
from ccproxy.core.losses import Losses
from ccproxy.core.spi import Context, Limits
from ccproxy.responses import read_response
from ccproxy.shells.sync import with_clock
from ccproxy.translator import Translator
from ccproxy.wire.array import ArrayDecoder, begins_array, starts
from ccproxy.wire.json import JSONError, loads
from ccproxy.wire.sse import BOM, SSEDecoder, parse

from . import _io
from ._options import failure_line

EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2,}")
_LIMIT: Final = Limits().max_frame  # bytes to look at before giving up


class Unrecognised(Exception):
    """No dialect recognises the input. Holds what was read of it."""

    def __init__(self, data: bytes, events: int) -> None:
        self.data = data
        self.events = events
        """How many events carried a JSON object."""
        super().__init__(events)


def find_source(pieces: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """The name of the input's dialect and the whole input. Holds the input only until one event is recognised.

    Raises `Unrecognised` if none is.
    """
    held: list[bytes] = []
    size = events = 0
    decoder: SSEDecoder | ArrayDecoder = SSEDecoder(_LIMIT)
    is_array: bool | None = None
    first = False
    for piece in chain(pieces, [None]):
        if piece is None:
            block = decoder.close()
        else:
            held.append(piece)
            size += len(piece)
            if is_array is None:
                is_array = begins_array(b"".join(held))
                if is_array:
                    decoder, piece = ArrayDecoder(_LIMIT), b"".join(held)
            first = type(decoder) is ArrayDecoder and not decoder.begun
            block = decoder.feed(piece if len(held) > 1 else piece.removeprefix(BOM))
        for raw in _elements(block, decoder.ends, first) if type(decoder) is ArrayDecoder else EVENT_END.split(block):
            found, is_event = _recognise(raw)
            if found is not None:
                return found, chain([b"".join(held)], pieces)
            events += is_event
        if size > _LIMIT:
            break
    raise Unrecognised(b"".join(held), events)


def _elements(block: bytes, ends: list[int], first: bool) -> list[bytes]:
    """The elements of an array as events."""
    places = zip(starts(block, ends, first), ends, strict=False)
    return [b"data: " + block[start:end].replace(b"\r", b" ").replace(b"\n", b" ") for start, end in places]


def find_source_of_body(body: bytes) -> str:
    """The dialect of a response body. Raises `StreamFailed` with what the dialect that it looks like says of it."""
    failures: list[StreamFailed] = []
    for name in dialects.names():
        try:
            read_response(body, name)
        except StreamFailed as error:
            failures.append(error)
        else:
            return name
    best = max(failures, key=lambda error: (error.fault == "provider", _began(error)))
    if best.fault == "stream" and best.partial is not None and not _began(best):
        known = ", ".join(dialects.names())
        raise StreamFailed(StreamError("protocol", f"no dialect recognises this response (known are {known})"))
    raise best


def _began(error: StreamFailed) -> bool:
    return error.partial is not None and error.partial.start is not None


def _recognise(raw: bytes) -> tuple[str | None, bool]:
    """The dialect that the frame belongs to, and whether it carries a JSON object at all."""
    frame = parse(raw)
    try:
        payload = loads(frame.data or b"")
    except JSONError:
        payload = None
    event = frame.event.decode("utf-8", "replace")  # may tell even where the data is broken
    fields = payload if isinstance(payload, dict) else {}
    name = next((name for name in dialects.names() if dialects.get(name).sniff(event, fields)), None)
    return name, fields is payload


def give_up(input: Unrecognised, target: str | None = None) -> bytes:
    """Say what an input is that no dialect claims, and give the target's error form for it.

    A provider's error object looks much the same everywhere, so every dialect's reader is asked what it says. An
    error page or an empty input is what the readers call it. Anything else is a stream that nobody knows.
    """
    target = target or dialects.names()[0]
    readings: list[tuple[tuple[bool, bool, bool], bytes, StreamFailed]] = []
    for name in dialects.names():
        reading = Translator(name, target, **with_clock({"normalize": True}))
        out = reading.feed(input.data) + reading.close()
        error = reading.error
        if error is not None:
            readings.append(((error.fault == "provider", error.kind != "internal", name == target), out, error))
    if readings:
        _, out, error = max(readings, key=lambda reading: reading[0])
        if error.fault == "provider" or not input.events:
            _io.say(failure_line(error))
            return out
    unknown = StreamError("protocol", f"no dialect recognises this stream (known are {', '.join(dialects.names())})")
    _io.say(failure_line(StreamFailed(unknown)))
    _io.say("if you know its dialect, name it with --from")
    writer = dialects.get(target).writer(Context(created=int(time())), Losses(), Assembler().part)
    return writer.write([unknown])
