"""A stream as one JSON array says what its events say: cut anywhere, ended anywhere, passed on, or bad. For every dialect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ccproxy import Translator
from tests.corpus import Stream, corpus_dir, each_stream, needs_corpus

from .frames import BLANK, frames
from .harness import Result, at_random, chance, every_byte, run, shorten, some, targets
from .streams import written
from .test_fuzz import MODERATELY, endure
from .test_linear import one_part

SMALL = 1_500  # bytes; larger streams are not cut byte by byte
FEW = 8


def elements(stream: bytes) -> list[bytes] | None:
    """The events as elements of an array; None if they say what an element can't: a name alone, or no JSON object."""
    out: list[bytes] = []
    for frame in frames(stream):
        if frame.done:
            break
        if frame.stray or (frame.data is not None and not frame.object) or (frame.event and "type" not in frame.object):
            return None
        if frame.data is not None:
            out.append(frame.data)
    return out


def as_array(found: Iterable[bytes], open: bool = False) -> bytes:
    """The array as Gemini writes it."""
    return b"[" + b"\n,\r\n".join(found) + (b"" if open else b"\n]\n")


def as_events(found: Iterable[bytes]) -> bytes:
    return b"".join(b"data: " + re.sub(rb"\r\n|\r|\n", b"\ndata: ", data) + b"\n\n" for data in found)


def told(result: Result) -> tuple[object, ...]:
    """All but where it was said."""
    message, error = result.message, result.message.error
    if error is not None:
        message = replace(message, error=replace(error, offset=0))
    return message, result.losses, error and (error.kind, error.message, error.frame)


def place(array: bytes, element: int, found: list[bytes]) -> int:
    """Where an element begins."""
    return len(as_array(found[:element], open=True)) + (len(b"\n,\r\n") if element else 0)


@each_stream(recorded=False)
def test_it_says_the_same(stream: Stream) -> None:
    compare_forms(stream)


@pytest.mark.slow
@each_stream(fixtures=False)
def test_it_says_the_same_of_what_was_recorded(stream: Stream) -> None:
    compare_forms(stream)


def compare_forms(stream: Stream) -> None:
    found = elements(stream.data)
    if not found:
        return
    for target in targets():
        events, array = (run(data, stream.dialect, target) for data in (as_events(found), as_array(found)))
        assert told(events) == told(array)


@each_stream(recorded=False)
def test_it_may_be_cut_anywhere(stream: Stream) -> None:
    found = elements(stream.data)
    if not found:
        return
    array = as_array(found)
    ways: list[Iterable[int]] = [at_random(array, 12 if len(array) < SMALL else 60), at_random(array, 1000)]
    if len(array) <= SMALL:
        ways.append(every_byte(array))
    for target in targets():
        whole = run(array, stream.dialect, target)
        for cuts in ways:
            cut = run(array, stream.dialect, target, cuts)
            assert (cut.out, str(cut.error), cut.losses, cut.message) == (
                whole.out,
                str(whole.error),
                whole.losses,
                whole.message,
            )


@pytest.mark.slow
@each_stream(recorded=False)
def test_it_may_end_anywhere(stream: Stream) -> None:
    """As its events may: the end of the array says nothing, a half element does not count."""
    found = elements(stream.data)
    if not found:
        return
    chances = chance(stream.data)
    for count in some(range(len(found) + 1), FEW, chances):
        expected = run(as_events(found[:count]), stream.dialect, stream.dialect).error
        ends = [as_array(found[:count]), as_array(found[:count], open=True)]
        if count < len(found):
            half = chances.randrange(1, len(found[count]))
            ends.append(as_array([*found[:count], found[count][:half]], open=True))
        for number, data in enumerate(ends):
            for target in {
                stream.dialect,
                targets()[(count + number) % len(targets())],
            }:  # in turn, for the time it takes
                result = run(data, stream.dialect, target)
                assert (result.error is None) == (expected is None), (count, result.error, expected)
                again = run(result.out, target, target)
                assert (again.error is None) == (expected is None), (count, again.error, expected)


@each_stream(recorded=False)
def test_it_passes_untouched(stream: Stream) -> None:
    """But for the error that ends one that was cut; what comes out is an array all the same."""
    found = elements(stream.data)
    if not found:
        return
    array = b"\xef\xbb\xbf \n" + as_array(found)
    for cuts in ((), at_random(array, 50)):
        result = run(array, stream.dialect, stream.dialect, cuts)
        if result.error is None or result.error.fault == "provider":
            assert result.out == array, shorten(result.out)
        else:
            ends_in_error(result.out, array, found)
    for count in some(range(len(found)), FEW, chance(stream.data)):
        for data in (as_array(found[:count]), as_array([*found[:count], b'{"a":"'], open=True)):
            result = run(data, stream.dialect, stream.dialect, at_random(data, 50))
            if result.error is not None and result.error.fault == "stream":
                ends_in_error(result.out, data, found[:count])


def ends_in_error(out: bytes, data: bytes, found: list[bytes]) -> None:
    said = json.loads(out)
    before = [json.loads(element) for element in found][: len(said) - 1]
    assert said[: len(before)] == before, shorten(out)
    assert len(said) > len(before)
    assert "error" in json.dumps(said[-1])


@pytest.mark.parametrize("source", targets())
def test_the_place_of_a_fault(source: str) -> None:
    found = elements(written(source, one_part("text", 3))) or []
    for number in range(len(found)):
        bad = [*found[:number], b'{"a": }', *found[number:]]
        array = as_array(bad)
        for cuts in ((), every_byte(array)):
            for target in targets():
                error = run(array, source, target, cuts).error
                assert error is not None
                assert (error.kind, error.frame, error.offset) == ("protocol", number, place(array, number, bad))
                assert array[error.offset :].startswith(b'{"a": }')


@pytest.mark.parametrize("source", targets())
def test_the_place_of_a_cut(source: str) -> None:
    """The half element, or what should have come before the array's end."""
    found = (elements(written(source, one_part("text", 3))) or [])[:3]
    for array, offset in (
        (as_array([*found, b'{"a": '], open=True), place(b"", 3, [*found, b""])),
        (as_array(found), len(as_array(found)) - len(b"]\n")),
    ):
        for cuts in ((), every_byte(array)):
            error = run(array, source, source, cuts).error
            assert error is not None
            assert (error.kind, error.frame, error.offset) == ("truncated", 3, offset)


def recorded() -> list[Path]:
    folder = corpus_dir()
    return sorted((folder / "extra").glob("*-json-array/*.json")) if folder is not None else []


@needs_corpus
def test_recorded_arrays() -> None:
    assert recorded()
    for path in recorded():
        source = path.parent.name.removesuffix("-json-array")
        if source not in targets():
            continue
        data = path.read_bytes()
        found = [json.dumps(element).encode() for element in json.loads(data)]
        for target in targets():
            array, events = run(data, source, target, at_random(data, 200)), run(as_events(found), source, target)
            assert array.error is None
            assert array.message == events.message
            if source == target:
                assert array.out == data


# Bad arrays

ERROR = b'{"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE", "type": "overloaded_error"}}'
BAD = {
    "a number": (b"[1]", "protocol"),
    "numbers": (b"[1, 2]", "protocol"),
    "a string": (b'["a, ]\\"{", {}]', "protocol"),
    "null": (b"[ null ]", "protocol"),
    "an array": (b"[[{}, {}]]", "protocol"),
    "words": (b"[INFO] started\n\n", "protocol"),
    "the mark of another end": (b"[DONE]\n\n", "protocol"),
    "brackets that do not match": (b'[{"a": [}, {]]', "protocol"),
    "a bracket too many": (b'[}, {"a": 1}]', "protocol"),
    "broken JSON": (b'[{"a" 1}]', "protocol"),
    "invalid UTF-8": (b'[{"a": "\xff\xfe"}]', "protocol"),
    "NULs": (b"[\0\0\0]", "protocol"),
    "nesting": (b'[{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}]", "protocol"),
    "objects of nobody": (b'[{"of": "nobody"}, {"of": "nobody"}]', "protocol"),
    "an error": (b"[" + ERROR + b"]", "overloaded"),
    "an error over lines": (b"\n[" + ERROR.replace(b" ", b"\n  ") + b"\n]\n", "overloaded"),
    "an error and no end": (b"[" + ERROR, "overloaded"),
    "nothing": (b"[]", "truncated"),
    "no end": (b"[", "truncated"),
    "half an element": (b' [ {"a": "b', "truncated"),
}


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("name", BAD)
def test_a_bad_array(name: str, source: str) -> None:
    data, kind = BAD[name]
    for target in targets():
        whole = run(data, source, target)
        for cuts in (every_byte(data) if len(data) < SMALL else (), at_random(data, 7)):
            assert run(data, source, target, cuts).told == whole.told
        error = whole.error
        assert error is not None and error.kind == kind, error
        assert (error.fault == "provider") == (kind == "overloaded")
        again = run(whole.out, target, target)
        assert again.error is not None
        assert again.error.kind in (kind, "internal") and error.reason in again.error.reason
        if source == target:
            assert isinstance(json.loads(whole.out if name != "an error and no end" else whole.out + b"]"), list)


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("name", BAD)
def test_a_bad_array_in_the_middle_of_a_stream_is_no_array(name: str, source: str) -> None:
    """Only the first byte decides."""
    data, _ = BAD[name]
    before = b": hello\n\n"
    error = run(before + data, source, source).error
    assert error is not None
    assert error.frame <= 1


@pytest.mark.parametrize("source", targets())
def test_after_the_end_is_nobody_s(source: str) -> None:
    found = elements(written(source, one_part("text", 3))) or []
    for junk in (b"{}", b"]", b",{}", b'"', b"[", b"data: {}\n\n"):
        array = as_array(found).rstrip() + junk
        for cuts in ((), every_byte(array)):
            for target in targets():
                result = run(array, source, target, cuts)
                assert result.error is None
                assert result.message.text() == "ab ab ab "


@pytest.mark.parametrize("source", targets())
def test_an_element_without_end(source: str) -> None:
    """Over `max_frame` the stream ends in an error."""
    found = (elements(written(source, one_part("text", 3))) or [])[:3]
    for data in (as_array([*found, b'{"a":"' + b"b" * 5_000], open=True), as_array(found, open=True) + b" " * 5_000):
        for cuts in ((), at_random(data, 300)):
            for target in targets():
                result = run(data, source, target, cuts, max_frame=1_000)
                assert result.error is not None and result.error.kind == "too_large", result.error
                assert result.error.frame == 3
        ends_in_error(result.out if target == source else run(data, source, source, max_frame=1_000).out, data, found)


@pytest.mark.parametrize("source", targets())
def test_what_is_between_does_not_matter(source: str) -> None:
    found = elements(written(source, one_part("text", 3))) or []
    expected = run(as_array(found), source, source).message
    for array in (
        b"[" + b",".join(found) + b"]",
        b"\r\n[\r\n" + b" , ".join(found) + b",]",
        b"[" + b"\n".join(found) + b"]",
        b"\xef\xbb\xbf[" + b",".join(json.dumps(json.loads(e), indent=2).encode() for e in found) + b"]",
    ):
        for cuts in ((), every_byte(array)):
            result = run(array, source, source, cuts)
            assert result.error is None
            assert result.message == expected


@pytest.mark.parametrize("source", targets())
def test_each_element_leaves_with_its_read(source: str) -> None:
    found = elements(written(source, one_part("text", 3))) or []
    translator = Translator(source, source)
    out = [translator.feed(piece) for piece in _each(found)]
    assert out == list(_each(found))


def _each(found: list[bytes]) -> Iterator[bytes]:
    for number, element in enumerate(found):
        yield (b"\n,\r\n" if number else b"[") + element


@pytest.mark.parametrize("source", targets())
@pytest.mark.parametrize("count", [0, 3])
def test_signs_of_life_and_time_outs_leave_an_array(count: int, source: str) -> None:
    found = (elements(written(source, one_part("text", 3))) or [])[:count]
    translator = Translator(source, source)
    out = b"".join(
        translator.feed(piece) + translator.ping() for piece in [*_each(found), b"\n,\r\n" if found else b"["]
    )
    out += translator.fail("timeout", "the provider says nothing")
    assert translator.error is not None and translator.error.kind == "timeout"
    assert translator.close() == b""
    ends_in_error(out, b"", found)


@pytest.mark.parametrize("source", targets())
@MODERATELY
@given(data=st.data())
def test_random_arrays(source: str, data: st.DataObject) -> None:
    found = elements(written(source, one_part("tool", 2))) or []
    marks = (b"{", b"}", b"[", b"]", b",", b'"', b"\\", b" ", b"\n", b"\r\n", b'{"a":"', b"null", b"0", ERROR, *found)
    pieces = data.draw(st.lists(st.sampled_from(marks) | st.binary(max_size=4), max_size=30))
    endure(b"[" + b"".join(pieces), source, data.draw(st.sampled_from(targets())))


@each_stream(recorded=False)
def test_the_helpers_are_sound(stream: Stream) -> None:
    """What the laws above leave out is little."""
    found = elements(stream.data)
    if found is not None:
        assert [json.loads(data) for data in found] == json.loads(as_array(found))
        assert len(BLANK.findall(as_events(found))) == len(found)
