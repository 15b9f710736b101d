"""The law of requests: written for another dialect and read again, a request says the same, less the declared losses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ccproxy import dialects
from ccproxy.core.errors import RequestRefused
from ccproxy.core.model import Request
from ccproxy.core.signatures import PREFIX
from ccproxy.core.spi import RequestOptions
from ccproxy.requests import TranslatedRequest, translate_request
from tests.exchanges import Exchange, each_request
from tests.laws.requests import differences
from tests.oracles import ORACLES

DIALECTS = [name for name in dialects.names() if dialects.get(name).read_request is not None]
OPTIONS: dict[str, Any] = {"cache_breakpoints": True, "model": "some-model"}


def read(body: Mapping[str, Any], dialect: str) -> Request:
    reader = dialects.get(dialect).read_request
    assert reader is not None
    return reader(body, RequestOptions(**OPTIONS))


@each_request()
@pytest.mark.parametrize("step", range(1, len(DIALECTS)))
def test_translation_loses_what_it_says_and_nothing_else(exchange: Exchange, step: int) -> None:
    body, source = exchange.request, exchange.dialect
    assert body is not None
    target = DIALECTS[(DIALECTS.index(source) + step) % len(DIALECTS)]  # each of the others
    there = attempt(body, source, target)
    if there is None:
        return
    assert not ORACLES[target].validate_request(there.body)
    assert not differences(read(body, source), read(there.body, target), there.losses)
    back = attempt(there.body, target, source)
    if back is None:
        return  # a video, which Chat's vendors read and OpenAI does not
    assert not ORACLES[source].validate_request(back.body)
    assert not differences(read(there.body, target), read(back.body, source), back.losses)


def attempt(body: Mapping[str, Any], source: str, target: str) -> TranslatedRequest | None:
    """The translation; None if it is refused, which has to say where and why."""
    try:
        return translate_request(body, source, target, **OPTIONS)
    except RequestRefused as error:
        refused = error
    assert refused.path
    assert refused.reason
    return None


@each_request()
def test_written_anew_a_request_is_what_it_was(exchange: Exchange) -> None:
    body = exchange.request
    assert body is not None
    azure = {"model": "in-the-url"} if exchange.dialect == "openai-chat" and "model" not in body else {}
    anew = translate_request(body, exchange.dialect, exchange.dialect, normalize=True, **azure)
    if PREFIX in json.dumps(body):  # signatures of other providers stay behind
        assert PREFIX not in json.dumps(anew.body)
        assert not differences(read(body, exchange.dialect), read(anew.body, exchange.dialect), anew.losses)
        return
    assert not anew.losses
    assert canonical(anew.body, exchange.dialect) == canonical(body, exchange.dialect)


def canonical(body: Any, dialect: str) -> Any:
    """Null is absent; what else is one thing in two spellings, the dialect's judge knows."""
    form = getattr(ORACLES[dialect], "canonical_request", None)
    return _without_null(form(body) if form is not None else body)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(entry) for key, entry in value.items() if entry is not None}
    return [_without_null(entry) for entry in value] if isinstance(value, list) else value
