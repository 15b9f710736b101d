"""Twice the stream takes about twice the work, however it is cut, and no more memory than what it says.

Work is counted, not timed; `make bench` times the same streams.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from ccproxy import Translator
from ccproxy.core.events import Citation, Delta, Event, Finish, PartEnd, PartStart, Signature, StreamEnd, StreamStart
from ccproxy.core.vocab import FinishReason, PartKind

from .frames import frames
from .harness import targets
from .streams import written
from .work import work

LIMIT = 9.0  # eight times the stream: 8 times the work if linear, 64 times if quadratic

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


def signed_parts(dialect: str, count: int) -> Iterator[bytes]:
    """Reasoning in many parts, each with its signature."""
    events: list[Event] = [StreamStart("id", "model")]
    for part in range(count):
        signature = Signature(part, "scheme", f"value {part}", "model")
        events += [PartStart(part, "reasoning"), Delta(part, ["ab "]), signature, PartEnd(part)]
    return iter([written(dialect, [*events, Finish(0, FinishReason("end")), StreamEnd()])])


def cited_parts(dialect: str, count: int) -> Iterator[bytes]:
    """Text in many parts, each with a source, and calls between, so that they stay apart."""
    events: list[Event] = [StreamStart("id", "model")]
    for part in range(0, 2 * count, 2):
        citation = Citation(part, url=f"https://example.invalid/{part}", title="t")
        call = PartStart(part + 1, "tool", id=f"call_{part}", name="f")
        events += [PartStart(part, "text"), Delta(part, ["ab "]), citation, PartEnd(part), call, PartEnd(part + 1)]
    return iter([written(dialect, [*events, Finish(0, FinishReason("tool")), StreamEnd()])])


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
    signed_parts: 600,
    cited_parts: 1_200,
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
def test_linear_work(stream: Pieces, source: str) -> None:
    size = STREAMS[stream]
    small, large = list(stream(source, size // 16)), list(stream(source, size // 2))
    for target in targets():
        ratio = work(translation(large, source, target)) / work(translation(small, source, target))
        assert ratio < LIMIT, f"to {target}: eight times the stream is {ratio:.1f} times the work"


def translation(pieces: list[bytes], source: str, target: str) -> Callable[[], None]:
    translator = Translator(source, target)

    def run() -> None:
        for piece in pieces:
            translator.feed(piece)
        translator.close()

    return run


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
