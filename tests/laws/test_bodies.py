"""A body says what its stream says: read, translated, replayed, and the same as the body of the translated stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ccproxy import Loss, StreamFailed, Translator, dialects, read_response, replay, translate_response
from ccproxy.core.assemble import Message
from tests.corpus import Stream, each_stream
from tests.exchanges import Exchange, each_exchange
from tests.oracles import ORACLES

from .harness import Result, run, targets
from .normal import JSON_TEXT, Normal, Said, as_signed, differences, merged, normal_form
from .verdicts import OTHER_AT_THE_END, comparable, known

UNDER_WAY = frozenset({"queued", "in_progress"})


def said(message: Message, losses: Iterable[Loss] = (), signatures: bool = True) -> Normal:
    """The normal form, as far as a body has it: arguments are JSON and not text, and the choices come one by one."""
    normal = normal_form(message, losses)
    parts = [_as_json(part) if signatures else replace(_as_json(part), signatures=()) for part in normal.parts]
    normal.parts = list(merged(sorted(parts, key=lambda part: part.choice)))
    return normal


def _as_json(part: Said) -> Said:
    try:
        return replace(part, text=json.dumps(json.loads(part.text))) if part.kind in JSON_TEXT else part
    except ValueError:
        return part


# Streams and their bodies


def whole(stream: Stream) -> Result | None:
    """The stream as its own dialect reads it, if it says the same at its end as before, and has an end."""
    if OTHER_AT_THE_END & stream.features or stream.suspect:
        return None
    result = run(stream.data, stream.dialect, stream.dialect)
    return result if result.error is None else None


@each_stream()
def test_the_body_of_a_stream(stream: Stream) -> None:
    """Read again it is the same message. Providers encrypt anew what they repeat, so recorded signatures may differ."""
    result = whole(stream)
    if result is None:
        return
    again = read_response(result.translator.body(), stream.dialect)
    expected = said(result.message, result.losses, signatures=stream.bundled)
    problems = list(differences(expected, said(again, signatures=stream.bundled)))
    assert not problems, "\n".join(problems)


@each_stream()
def test_the_twin(stream: Stream) -> None:
    """The translated body is the body of the translated stream, less what only one of the ways loses."""
    result = whole(stream)
    if result is None:
        return
    body = result.translator.body()
    problems = [
        f"to {target}: {problem}"
        for target in targets()
        if target != stream.dialect
        for problem in unlike_twin(result, body, run(stream.data, stream.dialect, target), target)
    ]
    assert not problems, "\n".join(problems)


def unlike_twin(source: Result, body: dict[str, Any], streamed: Result, target: str) -> Iterator[str]:
    translated = translate_response(body, source.translator.source.name, target)
    twin = run(streamed.out, target, target)
    kinds = ({loss.kind for loss in losses} for losses in ((*source.losses, *translated.losses), streamed.losses))
    twice = {loss.kind for loss in source.losses} & {loss.kind for loss in translated.losses}
    if set.symmetric_difference(*kinds) - {"opaque"} or twice:  # what was lost on the way to the body, and once more
        ours, theirs = read_response(translated.body, target), twin.message
        yield from differences(said(source.message, (*source.losses, *translated.losses), False), said(ours, (), False))
        yield from differences(said(source.message, streamed.losses, False), said(theirs, (), False))
        return
    one, other = (ORACLES[target].normal(body) for body in (translated.body, twin.translator.body()))
    if comparable(one["parts"]) != comparable(other["parts"]):
        yield f"parts {one['parts']!r:.600}, of the stream {other['parts']!r:.600}"
    for name in ("finish", "stop_sequence"):
        if one[name] != other[name]:  # type: ignore[literal-required]
            yield f"{name} {one!r:.300}, of the stream {other!r:.300}"
    if known(one["usage"]) != known(other["usage"]):
        yield f"usage {one['usage']}, of the stream {other['usage']}"


# Recorded bodies


def answered(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.get("status") not in UNDER_WAY


def anew(exchange: Exchange, target: str) -> tuple[bytes, Translator]:
    """The body as a stream of the target, and what was lost."""
    translator = Translator(exchange.dialect, target, normalize=True)
    frames = dialects.get(exchange.dialect).frames(exchange.response or {})
    out = b"".join(translator.feed_payload(event, payload) for event, payload in frames)
    return out + translator.close(), translator


@each_exchange(kind="generate", where=answered)
def test_a_recorded_body(exchange: Exchange) -> None:
    """It can be translated to each dialect, is what the official SDK wants there, and says the same."""
    body = exchange.response
    assert body is not None
    message = read_response(body, exchange.dialect)
    problems: list[str] = []
    for target in targets():
        translated = translate_response(body, exchange.dialect, target, normalize=True)
        again = read_response(json.dumps(translated.body), target)
        again = as_signed(again, message, dialects.get(target).signature_scheme)
        problems += [f"to {target}: {p}" for p in differences(said(message, translated.losses), said(again))]
        if target != exchange.dialect:  # what a provider says of itself is not always what its SDK expects
            problems += [f"to {target}: {p}" for p in ORACLES[target].validate_body(translated.body)]
    assert not problems, "\n".join(problems)


@each_exchange(kind="generate", where=answered)
def test_a_recorded_body_replayed(exchange: Exchange) -> None:
    body = exchange.response
    assert body is not None
    message = read_response(body, exchange.dialect)
    problems: list[str] = []
    for target in targets():
        out, translator = anew(exchange, target)
        again = run(out, target, target)
        assert replay(body, exchange.dialect, target) == out
        assert again.error is None, again.error
        found = as_signed(again.message, message, again.translator.source.signature_scheme)
        problems += [f"to {target}: {p}" for p in differences(said(message, translator.losses), said(found))]
    assert not problems, "\n".join(problems)


@each_exchange(kind="generate", where=lambda exchange: exchange.response is not None and not answered(exchange))
def test_an_answer_that_has_not_ended(exchange: Exchange) -> None:
    with pytest.raises(StreamFailed, match="status must be"):
        read_response(exchange.response or {}, exchange.dialect)


@each_exchange(kind="generate", where=answered)
def test_the_same_dialect(exchange: Exchange) -> None:
    assert translate_response(exchange.response or {}, exchange.dialect, exchange.dialect) == (
        translate_response(json.dumps(exchange.response), exchange.dialect, exchange.dialect)
    )
    assert translate_response(exchange.response or {}, exchange.dialect, exchange.dialect).body == exchange.response
