"""However the bytes are cut: the same output, the same error, the same losses, the same message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.corpus import Stream, each_stream

from .harness import at_random, every_byte, every_event, run, shorten, targets

SMALL = 4_000  # bytes; larger streams are cut byte by byte in the slow part only


def broken(data: bytes, source: str, target: str, ways: Mapping[str, Iterable[int]]) -> Iterator[str]:
    """How the results of some ways to cut differ from the whole."""
    for normalize in (False, True) if source == target else (False,):
        whole = run(data, source, target, normalize=normalize)
        for way, cuts in ways.items():
            cut = run(data, source, target, cuts, normalize=normalize)
            for name in ("out", "error", "losses", "message"):
                one, other = getattr(whole, name), getattr(cut, name)
                if str(one) != str(other) if name == "error" else one != other:
                    yield f"to {target}{' anew' if normalize else ''}, {way}: {name}: {_first(one, other)}"
                    break


def _first(one: object, other: object) -> str:
    """Where they differ."""
    if not (isinstance(one, bytes) and isinstance(other, bytes)):
        return f"{other!r:.400}, whole: {one!r:.400}"
    position = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    around = slice(max(0, position - 100), position + 200)
    return f"at byte {position}: {shorten(other[around])}, whole: {shorten(one[around])}"


@each_stream(include_suspect=True)
def test_cut_between_events_and_at_random(stream: Stream) -> None:
    data = stream.data
    ways: dict[str, Iterable[int]] = {
        "event by event": every_event(data),
        "in short pieces": at_random(data, 12 if len(data) < SMALL else 60),
        "in long pieces": at_random(data, 1000),
    }
    if len(data) <= SMALL:
        ways["byte by byte"] = every_byte(data)
    problems = [problem for target in targets() for problem in broken(data, stream.dialect, target, ways)]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@each_stream(include_suspect=True, where=lambda stream: len(stream.data) > SMALL)
def test_cut_at_every_byte(stream: Stream) -> None:
    data = stream.data
    ways = {"byte by byte": every_byte(data), "in short pieces": at_random(data, 7)}
    problems = [problem for target in targets() for problem in broken(data, stream.dialect, target, ways)]
    assert not problems, "\n".join(problems)
