"""Opaque reasoning survives a whole conversation: what a server signed comes back to it, byte for byte and in its place.

A conversation of several turns with tools, for each pair of client and server. The client keeps what it got, or drops what
it does not know, and then a store remembers it. Nobody else is given a signature: no other provider, no other model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ccproxy import Translator, dialects, translate_request, translate_response
from ccproxy.core.signatures import PREFIX
from ccproxy.core.store import MemoryStore, Remembered, Store

from .conversation import SPEAKERS, Server

PAIRS = [
    pytest.param(client, dialect, server, id=f"{client}-{dialect}{f'-{name}' if name else ''}")
    for client in SPEAKERS
    for dialect, speaker in SPEAKERS.items()
    for name, server in speaker.SERVERS.items()
]
FOREIGN = [pair for pair in PAIRS if pair.values[0] != pair.values[1]]


def test_every_dialect_is_here() -> None:
    assert set(SPEAKERS) == {name for name in dialects.names() if dialects.get(name).read_request is not None}


def turns(
    client: str, dialect: str, server: Server, *, keep: bool, store: Store | None = None, model: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The requests of the client after each answer."""
    request = SPEAKERS[client].ask()
    for number, answer in enumerate(server.answers):
        sent = translate_request(request, client, dialect, model=model or server.model, store=store)
        asked = sent.model if model else None
        translator = Translator(dialect, client, tools=sent.tools, store=store, requested_model=asked)
        stream = translator.feed(answer) + translator.close()
        assert translator.error is None, translator.error
        request = SPEAKERS[client].answer(request, stream, keep=keep)
        yield number, request


@pytest.mark.parametrize(("client", "dialect", "server"), PAIRS)
def test_a_client_that_keeps_everything(client: str, dialect: str, server: Server) -> None:
    for number, request in turns(client, dialect, server, keep=True):
        sent = translate_request(request, client, dialect, model=server.model)
        wanted = [thing for things in server.wants[: number + 1] for thing in things]
        assert SPEAKERS[dialect].seen(sent.body) == wanted
        assert PREFIX not in json.dumps(sent.body)


@pytest.mark.parametrize(("client", "dialect", "server"), FOREIGN)
def test_a_client_that_drops_what_it_does_not_know(client: str, dialect: str, server: Server) -> None:
    store = MemoryStore()
    for number, request in turns(client, dialect, server, keep=False, store=store):
        assert not any(secret in json.dumps(request) for secret in server.secrets)
        sent = translate_request(request, client, dialect, model=server.model, store=store)
        wanted = [thing for things in server.wants[: number + 1] for thing in things]
        assert SPEAKERS[dialect].seen(sent.body) == wanted


@pytest.mark.parametrize(("client", "dialect", "server"), FOREIGN)
def test_a_client_that_keeps_everything_and_a_store(client: str, dialect: str, server: Server) -> None:
    """Nothing comes twice."""
    store = MemoryStore()
    for number, request in turns(client, dialect, server, keep=True, store=store):
        sent = translate_request(request, client, dialect, model=server.model, store=store)
        wanted = [thing for things in server.wants[: number + 1] for thing in things]
        assert SPEAKERS[dialect].seen(sent.body) == wanted


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
@pytest.mark.parametrize(("client", "dialect", "server"), FOREIGN)
def test_a_server_that_calls_the_model_otherwise(client: str, dialect: str, server: Server, keep: bool) -> None:
    """A deployment has a name of its own, and its answers have the model's."""
    store = MemoryStore()
    for number, request in turns(client, dialect, server, keep=keep, store=store, model="deployment-7"):
        sent = translate_request(request, client, dialect, model="deployment-7", store=store)
        wanted = [thing for things in server.wants[: number + 1] for thing in things]
        assert SPEAKERS[dialect].seen(sent.body) == wanted


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
@pytest.mark.parametrize(("client", "dialect", "server"), PAIRS)
def test_nobody_else_gets_it(client: str, dialect: str, server: Server, keep: bool) -> None:
    """But for what a client got from a server of its own dialect: it passes untouched, and nothing tells whose it is."""
    store = MemoryStore()
    for _, request in turns(client, dialect, server, keep=keep, store=store):
        for other in SPEAKERS:
            model = server.other_model if other == dialect else SPEAKERS[other].MODEL
            body = json.dumps(translate_request(request, client, other, model=model, store=store).body)
            assert PREFIX not in body
            if not other == client == dialect:
                assert [secret for secret in server.secrets if secret in body] == []


@pytest.mark.parametrize(("client", "dialect", "server"), FOREIGN)
def test_bodies_are_remembered_too(client: str, dialect: str, server: Server) -> None:
    """An answer without streaming leaves the same in the store."""
    streamed, whole = _Kept(), _Kept()
    for answer in server.answers:
        translator = Translator(dialect, client, store=streamed)
        translator.feed(answer)
        translator.close()
        translate_response(translator.body(dialect), dialect, client, store=whole)
    assert streamed.calls and streamed.calls == whole.calls


class _Kept:
    """A store that shows what it has."""

    def __init__(self) -> None:
        self.calls: dict[str, Remembered] = {}

    def get(self, key: str, /) -> Remembered | None:
        return self.calls.get(key)

    def put(self, key: str, remembered: Remembered, /) -> None:
        self.calls[key] = remembered
