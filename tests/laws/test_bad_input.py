"""Bad input: each ends in the target's error form, once, with kind, frame and offset; all before it has been delivered."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from ccproxy import Translator
from tests.oracles import ORACLES

from .frames import frames
from .harness import every_byte, every_event, run, targets
from .streams import written
from .strict import STRICT, bare
from .test_linear import many_parts, one_part

MIB = 1024 * 1024

BAD = {
    "invalid UTF-8": b'data: {"type":"\xff\xfe","choices":[{"index":0,"delta":{"content":"\xc3\x28"}}]}\n\n',
    "broken JSON": b'data: {"type": "ping", \n\n',
    "a JSON string": b'data: "text"\n\n',
    "a JSON list": b"data: [1, 2]\n\n",
    "a JSON number": b"data: 17\n\n",
    "null": b"data: null\n\n",
    "nesting 10,000 deep": b"data: " + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n\n",
    "lists 10,000 deep": b'data: {"type":"x","a":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n\n",
    "NULs": b"data: \0\0\0\0\n\n",
    "a NUL in JSON": b'data: {"type":"\0"}\n\n',
    "HTML": b"<html>\n<body>\n<h1>502 Bad Gateway</h1>\n\n<hr>nginx</body>\n</html>\n",
    "a JSON error body": b'{"error":{"type":"overloaded_error","message":"Overloaded"}}',
    "a JSON error body over lines": b'{\n  "error": {\n    "message": "Overloaded"\n  }\n}\n',
    "a JSON body": b'{"id": "x", "content": []}',
}
NOTHING = {
    "an empty body": b"",
    "blank lines": b"\r\n\r\n\n\n\r\r",
    "a BOM": b"\xef\xbb\xbf",
    "comments": b": hello\n\n: again\r\n\r\n",
    "text": b"upstream connect error\n\n",
    "only NULs": b"\0" * 100,
}


def begun(source: str) -> bytes:
    """A stream that stops in the middle of a text."""
    return written(source, [event for event in one_part("text", 3) if type(event).__name__ in _BEGIN])


_BEGIN = {"StreamStart", "PartStart", "Delta"}


def noisy(data: bytes, dialect: str) -> bool:
    """Whether the official SDK stumbles over what goes through untouched."""
    return bare(dialect) and any(frame.data is None for frame in frames(data))


def check(data: bytes, source: str, target: str, said: str) -> Iterator[str]:
    whole = run(data, source, target)
    for cuts in (every_event(data), every_byte(data) if len(data) < 3_000 else ()):
        if run(data, source, target, cuts).told != whole.told:
            yield "depends on the cuts"
    error = whole.error
    if error is None:
        yield "no error"
        return
    if not error.reason or not 0 <= error.offset <= len(data) or error.frame < 0:
        yield f"error {error!r}"
    if whole.message.text() != said:
        yield f"said {whole.message.text()!r}"
    again = run(whole.out, target, target)
    if again.error is None or (again.message.text() != said):
        yield f"written as {again.error}, {again.message.text()!r}"
    if target != source or (error.fault == "stream" and not noisy(data[: error.offset], target)):
        verdict = ORACLES[target].accept(whole.out) if target in ORACLES else None
        if verdict is not None and (not verdict.ok or verdict.api_error is None):
            yield f"the SDK sees no error of the API: {verdict.error}"
    if target in STRICT and target != source:
        yield from STRICT[target].problems(frames(whole.out))


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("name", BAD)
def test_in_the_place_of_a_stream(name: str, source: str) -> None:
    problems = [f"to {target}: {p}" for target in targets() for p in check(BAD[name], source, target, "")]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("name", NOTHING)
def test_nothing(name: str, source: str) -> None:
    problems = [f"to {target}: {p}" for target in targets() for p in check(NOTHING[name], source, target, "")]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("name", BAD)
def test_in_the_middle(name: str, source: str) -> None:
    """What came before has been delivered; the error is at the bad frame."""
    before = begun(source)
    problems = [
        f"to {target}: {p}" for target in targets() for p in check(before + BAD[name], source, target, "ab ab ab ")
    ]
    assert not problems, "\n".join(problems)
    error = run(before + BAD[name], source, source).error
    assert error is not None and error.offset == len(before) and error.frame == len(frames(before)), error


@pytest.mark.slow
@pytest.mark.parametrize("source", targets())
def test_wrong_types_everywhere(source: str) -> None:
    """Each value of a stream in turn becomes one of another type: an error or the stream, never an exception."""
    data = written(source, one_part("tool", 1))
    for frame in frames(data):
        for path in _paths(frame.object):
            for value in (17, "x", [], [1], {}, {"a": 1}, True, 1.5):
                payload = json.loads(frame.data or b"")
                holder = payload
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = value
                changed = data.replace(frame.data or b"", json.dumps(payload).encode())
                for target in targets():
                    result = run(changed, source, target)
                    assert result.told == run(changed, source, target, every_event(changed)).told
                    again = run(result.out, target, target)
                    assert (again.error is None) == (result.error is None), (path, value, result.error, again.error)


def _paths(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize(
    ("limit", "total"), [(100_000, 400_000), pytest.param(32 * MIB, 100 * MIB, marks=pytest.mark.slow)]
)
def test_a_line_without_end(source: str, limit: int, total: int) -> None:
    """Over `max_frame` the stream ends in an error; memory stays below four times that."""
    before = begun(source)
    piece = b"x" * (limit // 50)
    for target in targets():
        translator = Translator(source, target, max_frame=limit)
        out = translator.feed(before)
        tracemalloc.start()
        try:
            out += translator.feed(b'data: {"type":"')
            for _ in range(total // len(piece)):
                out += translator.feed(piece)
            out += translator.close()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        error = translator.error
        assert error is not None and (error.kind, error.offset) == ("too_large", len(before)), error
        assert peak <= 4 * limit, f"{peak / limit:.1f} times the limit"
        again = run(out, target, target)
        assert again.error is not None and again.message.text() == "ab ab ab "


@pytest.mark.parametrize("source", targets())
def test_a_long_frame_in_one_read(source: str) -> None:
    before = begun(source)
    data = before + b'data: {"type":"' + b"x" * 5_000 + b'"}\n\n' + before
    for target in targets():
        whole = run(data, source, target, max_frame=4_000)
        assert whole.error is not None and (whole.error.kind, whole.error.offset) == ("too_large", len(before)), (
            whole.error
        )
        assert run(data, source, target, every_byte(data), max_frame=4_000).told == whole.told


@pytest.mark.parametrize("source", targets())
def test_too_many_parts(source: str) -> None:
    data = b"".join(many_parts(source, 12))
    for target in targets():
        whole = run(data, source, target, max_parts=10)
        assert whole.error is not None
        assert len(whole.message.parts) == 10
        assert run(data, source, target, every_event(data), max_parts=10).told == whole.told
