"""A prefix that ends before the source said why it stops ends in an error, never in success; a later one ends clean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.corpus import Stream, each_stream

from .frames import boundaries, frames
from .harness import chance, run, some, targets
from .strict import STRICT

FEW = 9
MANY = 150


def broken(stream: Stream, cuts: Sequence[int], each_target: bool = True) -> Iterator[str]:
    data, source = stream.data, stream.dialect
    strict = STRICT[source]
    sound = run(data, source, source).error is None
    for number, cut in enumerate(cuts):
        prefix = data[:cut]
        seen = frames(prefix)
        said = strict.said_why(seen)
        if said and not (sound or any(map(strict.failed, seen))):
            continue  # what is wrong with the stream may be in the prefix or not
        wanted = said and not any(strict.failed(frame) for frame in seen if frame.usable or frame.foreign)
        for target in targets() if each_target else targets()[number % len(targets()) :][:1]:
            result = run(prefix, source, target)
            if (result.error is None) != wanted:
                yield f"to {target}, cut at {cut} of {len(data)} (said why: {said}): {result.error}"
            again = run(result.out, target, target)
            if (again.error is None) != wanted:
                yield f"to {target}, cut at {cut} of {len(data)} (said why: {said}): written as {again.error}"
            yield from _form(target, source, result.out, cut)


def _form(target: str, source: str, out: bytes, cut: int) -> Iterator[str]:
    """What was written before is in strict form to its end."""
    if target != source:
        for problem in STRICT[target].problems(frames(out)):
            yield f"to {target}, cut at {cut}: {problem}"
            return


def _cuts(data: bytes, count: int) -> list[int]:
    """After events, and within some."""
    ends = boundaries(data)
    chances = chance(data, count)
    within = [chances.randrange(1, len(data)) for _ in range(count // 3)] if len(data) > 1 else []
    bare = [len(data[:end].rstrip(b"\r\n")) for end in some(ends, count // 3, chances)]  # without the blank line
    return [0, *some(ends, count, chances), *within, *bare]


@each_stream(include_suspect=True)
def test_cut(stream: Stream) -> None:
    problems = list(broken(stream, _cuts(stream.data, FEW)))
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@each_stream(include_suspect=True)
def test_cut_at_every_event(stream: Stream) -> None:
    problems = list(broken(stream, _cuts(stream.data, MANY), each_target=False))  # in turn, for the time it takes
    assert not problems, "\n".join(problems)
