"""An HTTP error of any dialect is one of every other: the SDK of the target raises what its clients expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy import MisuseError, TranslatedError, error_response, translate_error
from ccproxy.core.events import StreamError
from ccproxy.core.reports import VAGUE
from ccproxy.core.vocab import ErrorKind
from ccproxy.dialects import names
from ccproxy.failures import read_error
from tests.corpus import ABSENT, corpus_dir
from tests.oracles.refusals import DIALECTS, EXCEPTIONS, refuse

WAITS = {"retry-after": "7"}
IDS = {"request-id": "req_1", "x-request-id": "req_1"}
JUDGED = [name for name in names() if name in DIALECTS]


class Recorded(NamedTuple):
    path: Path
    status: int

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def is_json(self) -> bool:
        return self.path.suffix == ".json"


def recorded() -> list[Any]:
    """The recorded error bodies; without the corpus, one skipped case that says so."""
    folder = corpus_dir()
    if folder is None or not (folder / "errors" / "manifest.jsonl").is_file():
        return [pytest.param(None, id="corpus", marks=pytest.mark.skip(reason=ABSENT))]
    rows = [json.loads(line) for line in (folder / "errors" / "manifest.jsonl").read_bytes().splitlines()]
    cases = [Recorded(folder / row["file"], row["http_status"]) for row in rows]
    return [pytest.param(case, id=case.path.stem) for case in cases if _is_error(case)]


def _is_error(case: Recorded) -> bool:
    """One of the files is a whole response that happens to have an `error`, which is null."""
    return case.status >= 400 or not case.is_json or bool(json.loads(case.body).get("error"))


each_recorded = pytest.mark.parametrize("case", recorded())
each_kind = pytest.mark.parametrize("kind", get_args(ErrorKind))


def check(target: str, answer: TranslatedError, error: StreamError) -> None:
    """What the SDK raises is the class of the status, with the message, the request's id and the wait."""
    assert list(answer.headers) == [name.lower() for name in answer.headers]
    assert answer.headers["content-type"] == "application/json"
    refusal = refuse(target, answer)
    assert refusal.status == answer.status
    assert refusal.exception == EXCEPTIONS[target][answer.status]
    assert error.message in refusal.message
    assert refusal.request_id == error.request_id
    assert refusal.wait == error.retry_after


@each_recorded
def test_every_recorded_error_is_one_of_every_target(case: Recorded) -> None:
    for source in names():
        error = read_error(case.status, WAITS | IDS, case.body, source)
        assert error.message and error.retry_after == 7 and error.request_id == "req_1"
        for target in JUDGED:
            if target != source:
                check(target, translate_error(case.status, WAITS | IDS, case.body, source, target), error)


@each_recorded
def test_nothing_the_provider_says_is_lost(case: Recorded) -> None:
    for source in names():
        message = read_error(case.status, {}, case.body, source).message
        assert message in _strings(case)


def _strings(case: Recorded) -> str:
    """All strings of a body, in their order, as a message may join them."""
    if not case.is_json:
        return case.body.decode()
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(child)

    walk(json.loads(case.body))
    return "\n".join([*found, *(f"{a}: {b}" for a in found for b in found)])


@each_recorded
def test_there_and_back(case: Recorded) -> None:
    for source in names():
        for target in names():
            there = translate_error(case.status, WAITS | IDS, case.body, source, target)
            back = translate_error(there.status, there.headers, msgspec.json.encode(there.body), target, source)
            before = read_error(case.status, WAITS | IDS, case.body, source)
            after = _read(back, source)
            if before.kind in VAGUE:  # the target may know the provider's word, which the source did not
                before = msgspec.structs.replace(before, kind=after.kind)
            _same(before, after)


@each_recorded
def test_the_same_dialect_is_untouched(case: Recorded) -> None:
    headers = {"Retry-After": "7", "X-Vendor": "x", "Content-Type": "application/json; charset=utf-8"}
    for name in names():
        answer = translate_error(case.status, headers, case.body, name, name)
        if case.is_json:
            assert answer.body == json.loads(case.body)
        if case.status >= 400:
            assert answer.status == case.status
        assert answer.status >= 400
        assert answer.headers == {"retry-after": "7", "x-vendor": "x", "content-type": "application/json"}


@each_kind
@pytest.mark.parametrize("target", names())
def test_every_kind_has_its_response(kind: ErrorKind, target: str) -> None:
    error = StreamError(kind, "it failed", retry_after=1.5, request_id="req_1")
    answer = error_response(error, target)
    assert 400 <= answer.status < 600
    if target in JUDGED:
        check(target, answer, error)


@each_kind
@pytest.mark.parametrize("source", names())
@pytest.mark.parametrize("target", names())
def test_every_kind_there_and_back(kind: ErrorKind, source: str, target: str) -> None:
    first = error_response(StreamError(kind, "it failed", retry_after=1.5, request_id="req_1"), source)
    there = translate_error(first.status, first.headers, first.body, source, target)
    back = translate_error(there.status, there.headers, there.body, target, source)
    _same(_read(first, source), _read(back, source))


def _read(answer: TranslatedError, dialect: str) -> StreamError:
    return read_error(answer.status, answer.headers, answer.body, dialect)


def _same(before: StreamError, after: StreamError) -> None:
    assert after.kind == before.kind
    assert before.message in after.message
    assert after.retry_after == before.retry_after
    assert after.request_id == before.request_id


@pytest.mark.parametrize("source", names())
@pytest.mark.parametrize("target", names())
@pytest.mark.parametrize("status", [0, 200, 204, 302])
@pytest.mark.parametrize("body", [None, b"", b"{}", b"<html>", b'{"id":"1","error":null}', {"content": []}, b"[]"])
def test_what_is_no_error_is_misuse(source: str, target: str, status: int, body: Any) -> None:
    with pytest.raises(MisuseError):
        translate_error(status, {}, body, source, target)


WORDS = ("error", "errors", "message", "code", "type", "status", "detail", "details", "reason", "loc", "param", "raw")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)


VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9)


@given(body=VALUES, status=st.integers(400, 599), headers=st.dictionaries(st.sampled_from([*WAITS, *IDS]), VALUE))
@settings(max_examples=40)
def test_whatever_comes_is_an_error(body: Any, status: int, headers: dict[str, str]) -> None:
    data = json.dumps(body).encode()
    for source in names():
        for target in JUDGED:
            if target != source:
                answer = translate_error(status, headers, data, source, target)
                refusal = refuse(target, answer)
                assert refusal.exception == EXCEPTIONS[target][answer.status]
                assert refusal.message
