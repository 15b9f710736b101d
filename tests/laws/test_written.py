"""What is written is in the strict form of `tests/laws/strict`, of the official types, and the official SDKs take it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ccproxy.core.losses import Losses
from tests.corpus import Stream, each_stream, fixture_streams
from tests.oracles import ORACLES

from .frames import frames
from .harness import Result, run, targets
from .strict import STRICT
from .verdicts import OTHER_AT_THE_END, intelligible, unlike

LARGE = 15_000  # bytes; the SDKs are slow
HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


def unlawful(written: Result, target: str) -> Iterator[str]:
    """What is wrong under the strict form."""
    if target in STRICT:
        found = list(STRICT[target].problems(frames(written.out)))
        yield from found[:5]


def refused(written: Result, target: str, native: bool) -> Iterator[str]:
    """What the official SDK says, and where its final answer differs from ours."""
    oracle = ORACLES.get(target)
    if oracle is None:
        return
    if not native and written.error is None and not HALVES.search(written.out):
        # What only one dialect knows may be newer than the official types, error codes too; pydantic takes no halves.
        yield from oracle.validate(written.out)[:5]
    verdict = oracle.accept(written.out)
    if not verdict.ok:
        if all(map(intelligible, written.message.parts)):
            yield f"refused: {verdict.error}"
    elif written.error is not None:
        if verdict.api_error is None:
            yield "the error is taken for a success"
    elif not verdict.complete or verdict.final is None:
        yield f"not complete: {verdict}"
    else:
        ours, theirs = map(oracle.normal, (written.translator.body(), verdict.final))
        yield from unlike(ours, theirs)
        if ours["finish"] != theirs["finish"]:
            yield f"finish {theirs['finish']}, ours {ours['finish']}"


def _each(stream: Stream) -> Iterator[tuple[str, Result]]:
    for target in targets():
        yield target, run(stream.data, stream.dialect, target, normalize=True)


@each_stream(include_suspect=True)
def test_strict_form(stream: Stream) -> None:
    problems = [f"to {target}: {problem}" for target, written in _each(stream) for problem in unlawful(written, target)]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@each_stream(include_suspect=True, where=lambda stream: len(stream.data) > LARGE)
def test_official_sdks_large(stream: Stream) -> None:
    _official_sdks(stream)


@each_stream(where=lambda stream: len(stream.data) <= LARGE and not OTHER_AT_THE_END & set(stream.features))
def test_official_sdks(stream: Stream) -> None:
    _official_sdks(stream)


def _official_sdks(stream: Stream) -> None:
    problems = [
        f"to {target}: {problem}"
        for target, written in _each(stream)
        for problem in refused(written, target, native=target == stream.dialect)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("dialect", targets())
def test_judges_are_there(dialect: str) -> None:
    assert dialect in STRICT and dialect in ORACLES, (
        "a built-in dialect needs a checker of its form and an official judge"
    )
    assert fixture_streams(dialect)


@each_stream(include_suspect=True)
def test_body_and_stream_lose_the_same(stream: Stream) -> None:
    """The full body and the stream report the same losses. (What is opaque and of no part is not in the message.)"""
    problems = []
    for target, written in _each(stream):
        if written.error is None:
            body = Losses()
            written.translator.target.body(written.message, written.translator._context, body)
            streamed, whole = (
                {(loss.kind, loss.part) for loss in losses if loss.kind != "opaque"}
                for losses in (written.losses, body)
            )
            late = {loss for loss in streamed - whole if loss[0] in ("order", "signature")}
            if streamed - late != whole:  # a body has its parts in order, and what came after their end
                problems.append(f"to {target}: streamed {sorted(streamed, key=repr)}, whole {sorted(whole, key=repr)}")
    assert not problems, "\n".join(problems)
