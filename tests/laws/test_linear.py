"""Twice the stream takes about twice the time, however it is cut, and no more memory than what it says.

Processor time, the best of several runs; a ratio over the limit gets more chances, so that only a real square fails.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from time import process_time

import pytest

from ccproxy import Translator
from ccproxy.core.events import Delta, Event, Finish, PartEnd, PartStart, StreamEnd, StreamStart
from ccproxy.core.vocab import FinishReason, PartKind

from .frames import frames
from .harness import targets
from .streams import written

LIMIT = 2.6**3  # eight times the stream: 8 times as long if linear, 64 times if quadratic
CHANCES = 6

Pieces = Callable[[str, int], Iterator[bytes]]


def text_deltas(dialect: str, count: int) -> Iterator[bytes]:
    return iter(_split(dialect, "text", count))


def call_deltas(dialect: str, count: int) -> Iterator[bytes]:
    return iter(_split(dialect, "tool", count))


def _split(dialect: str, kind: PartKind, count: int) -> list[bytes]:
    return [piece for piece in written(dialect, one_part(kind, count)).splitlines(keepends=True) if piece]


def one_part(kind: PartKind, count: int) -> list[Event]:
    """One part, its text in many deltas."""
    name = {"id": "call_1", "name": "f"} if kind == "tool" else {}
    texts = ['{"a":"', *["ab "] * count, '"}'] if kind == "tool" else ["ab "] * count
    return [
        StreamStart("id", "model"),
        PartStart(0, kind, **name),  # type: ignore[arg-type]
        *(Delta(0, [text]) for text in texts),
        PartEnd(0),
        Finish(0, FinishReason("tool" if kind == "tool" else "end")),
        StreamEnd(),
    ]


def many_parts(dialect: str, count: int) -> Iterator[bytes]:
    events: list[Event] = [StreamStart("id", "model")]
    for part in range(count):
        events += [PartStart(part, "tool", id=f"call_{part}", name="f"), Delta(part, ["{}"]), PartEnd(part)]
    events += [Finish(0, FinishReason("tool")), StreamEnd()]
    return iter([written(dialect, events)])


def many_data_lines(dialect: str, count: int) -> Iterator[bytes]:
    """One event, a line per read."""
    yield b'data: {"type":"nothing",\n'
    for number in range(count):
        yield b'data: "key%d": 0,\n' % number
    yield b'data: "last": 0}\n\n'


def long_line(dialect: str, count: int) -> Iterator[bytes]:
    """One event of one line, in small pieces."""
    yield b'data: {"type":"nothing","text":"'
    for _ in range(count):
        yield b"0123456789"
    yield b'"}\n\n'


def carriage_returns(dialect: str, count: int) -> Iterator[bytes]:
    """Comments in lines that end in CR, CRLF and LF, cut between."""
    for _ in range(count):
        yield b": a\r\n: b\r"
        yield b"\n: c\n: d\r\r"


def array_elements(dialect: str, count: int) -> Iterator[bytes]:
    """A JSON array with a text in many elements, in small pieces."""
    found = [frame.data for frame in frames(b"".join(_split(dialect, "text", count))) if frame.object]
    array = b"[" + b",\n".join(filter(None, found)) + b"]"
    return (array[start : start + 50] for start in range(0, len(array), 50))


def long_element(dialect: str, count: int) -> Iterator[bytes]:
    """One element of a JSON array, with brackets, strings and escapes, in small pieces."""
    yield b'[{"type":"nothing","texts":['
    for _ in range(count):
        yield b'{"a\\"":['
        yield b'"\\n{"]},'
    yield b"0]}]"


def one_read(dialect: str, count: int) -> Iterator[bytes]:
    """Many elements in one piece."""
    return iter([b"".join(array_elements(dialect, count))])


STREAMS: dict[Pieces, int] = {
    text_deltas: 3_000,
    call_deltas: 3_000,
    many_parts: 600,
    many_data_lines: 20_000,
    long_line: 20_000,
    carriage_returns: 3_000,
    array_elements: 3_000,
    long_element: 10_000,
    one_read: 3_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.__name__)
def test_linear_time(stream: Pieces, source: str) -> None:
    size = STREAMS[stream]
    small, large = list(stream(source, size // 4)), list(stream(source, 2 * size))
    for target in targets():
        ratios = islice(_ratios(small, large, source, target), CHANCES)
        best = next((ratio for ratio in ratios if ratio < LIMIT), None)
        assert best is not None, (
            f"to {target}: eight times the stream took more than {LIMIT:.0f} times as long, {CHANCES} times"
        )


def _ratios(small: list[bytes], large: list[bytes], source: str, target: str) -> Iterator[float]:
    """The best times so far, compared again and again."""
    one = other = float("inf")
    while True:
        one = min(one, _time(small, source, target))
        other = min(other, _time(large, source, target))
        yield other / max(one, 0.001)


def _time(pieces: list[bytes], source: str, target: str) -> float:
    translator = Translator(source, target)
    feed = translator.feed
    start = process_time()
    for piece in pieces:
        feed(piece)
    translator.close()
    return process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("kind", ["text", "tool"])
def test_a_hundred_thousand_deltas(kind: PartKind, source: str) -> None:
    pieces = _split(source, kind, 100_000)
    for target in targets():
        tracemalloc.start()
        translator = Translator(source, target)
        for piece in pieces:
            translator.feed(piece)
        translator.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert translator.error is None
        assert len(translator.message.parts[0].text) >= 300_000
        assert peak < 16 * 1024 * 1024, f"to {target}: {peak} bytes"
