"""Whatever comes: no exception, at most one error, nothing after the end, single bytes read as the whole does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy import Translator
from ccproxy.core.errors import CCProxyError
from ccproxy.core.events import Event, StreamEnd, StreamError
from ccproxy.core.losses import Losses
from tests.corpus import fixture_streams

from .frames import frames
from .harness import Result, at_random, every_byte, every_event, run, targets, trace
from .normal import as_signed, differences, normal_form
from .streams import event_streams, mutations, write
from .strict import STRICT, whole

LIMITS = {"max_frame": 2_000, "max_waiting": 500, "max_parts": 20}
SMALL = 2_500
MODERATELY = settings(max_examples=max(10, settings().max_examples // 4))  # of what the profile asks


def _sources(dialect: str) -> list[bytes]:
    return sorted({stream.data for stream in fixture_streams(dialect) if len(stream.data) <= SMALL}, key=len)


def endure(data: bytes, source: str, target: str) -> None:
    """Hold everything that holds for any bytes."""
    for options in ({}, LIMITS):
        whole = run(data, source, target, normalize=True, **options)
        for cuts in (every_byte(data), every_event(data), at_random(data, 40)):
            assert run(data, source, target, cuts, normalize=True, **options).told == whole.told
        _ends_once(trace(data, source, target, at_random(data, 100), normalize=True, **options))
        if target in STRICT:
            again = run(whole.out, target, target)
            assert (again.error is None) == (whole.error is None), (whole.error, again.error)
    passed = run(data, source, source)
    assert run(data, source, source, every_byte(data)).told == passed.told


def _ends_once(result: Result) -> None:
    events = [event for read in result.events for event in read]
    ends = [number for number, event in enumerate(events) if type(event) in (StreamError, StreamEnd)]
    assert ends == [len(events) - 1]
    assert (type(events[-1]) is StreamError) == (result.error is not None)
    try:
        after = result.translator.feed(b"data: {}\n\n")
    except CCProxyError:
        after = b""  # closed
    assert not after


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("source", targets())
@MODERATELY
@given(data=st.data())
def test_mutated_streams(source: str, target: str, data: st.DataObject) -> None:
    endure(data.draw(mutations(_sources(source))), source, target)


@pytest.mark.parametrize("source", targets())
@MODERATELY
@given(data=st.data())
def test_random_bytes(source: str, data: st.DataObject) -> None:
    lines = st.sampled_from(
        [
            b"data: ",
            b"data:",
            b"event: ",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"{",
            b"}",
            b'"',
            b"[",
            b"]",
            b"[DONE]",
            b":",
            b"null",
            b"0",
        ]
    )
    pieces = data.draw(st.lists(lines | st.binary(max_size=6), max_size=40))
    endure(b"".join(pieces), source, data.draw(st.sampled_from(targets())))


@pytest.mark.parametrize("target", targets())
@given(events=event_streams())
def test_events_of_the_grammar(target: str, events: Sequence[Event]) -> None:
    """Whatever is legal can be written, is in strict form, and is read again as what it was."""
    losses = Losses()
    out, assembler = write(target, events, losses)
    if target in STRICT:
        assert not list(STRICT[target].problems(frames(out)))
    again = run(out, target, target)
    if type(events[-1]) is StreamEnd:
        assert again.error is None, again.error
    else:
        assert again.error is not None and again.error.fault == "provider", again.error
    found = as_signed(again.message, assembler.message, again.translator.source.signature_scheme)
    values = whole(target)
    assert not list(differences(normal_form(assembler.message, losses, values), normal_form(found, (), values)))


@pytest.mark.parametrize("source", targets())
def test_the_end_is_the_end(source: str) -> None:
    for stream in fixture_streams(source):
        for target in targets():
            translator = Translator(source, target)
            translator.feed(stream.data)
            translator.close()
            assert translator.close() == b""
