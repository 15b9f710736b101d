"""Every client on every upstream, end to end on real sockets: the official SDKs, the gateway, a scripted upstream.

What a client gets is what the upstream said, in its own SDK's terms; what the upstream gets is valid, and comes once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest

from ccproxy import Translator
from tests.laws.conversation import SPEAKERS
from tests.laws.conversation.wire import TOOL
from tests.oracles import ORACLES

from .answers import DIALECTS, SPEECHES, TEXT, USAGE
from .sdks import CALLED, END, KEY, RAISED, Clients
from .stage import Gateway, Stage, configure, gateway, in_thread
from .upstream import Upstream, body, cut, joined, spoilt, stream, upstream

PAIRS = [pytest.param(c, u, id=f"{c}-{u}") for c in DIALECTS for u in DIALECTS]
WAYS = pytest.mark.parametrize("streams", [True, False], ids=["stream", "body"])
SERVERS = [
    pytest.param(client, dialect, name, id=f"{client}-{dialect}{f'-{name}' if name else ''}")
    for client in DIALECTS
    for dialect in DIALECTS
    for name in SPEAKERS[dialect].SERVERS
]
UNREADABLE = ("openrouter", "litellm")
"""Whose streams OpenAI's own helper garbles: it joins every text of a list's entries, or raises. They pass as they are."""
STATUS = {
    "rate_limit": dict.fromkeys(DIALECTS, 429),
    "bad_request": dict.fromkeys(DIALECTS, 400),
    "overloaded": dict.fromkeys(DIALECTS, 503) | {"anthropic": 529},
    "truncated": dict.fromkeys(DIALECTS, 502) | {"gemini": 500},
}


class World(NamedTuple):
    stage: Stage
    gateway: Gateway
    upstreams: dict[str, Upstream]
    clients: Clients

    def ask(self, client: str, dialect: str, *, streams: bool, always: bool = False) -> Any:
        """Ask a simple question."""
        sdk = self.clients[client]
        return sdk.ask(sdk.question(f"{dialect}{'-always' if always else ''}", tools=False), stream=streams)


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """One gateway with an upstream of each dialect, chosen by the model, and again with streams whatever is asked for."""
    known: dict[str, Upstream] = {}
    served: list[Gateway] = []

    async def main(stage: Stage, ready: Any) -> None:
        async with AsyncExitStack() as stack:
            for dialect in DIALECTS:
                known[dialect] = await stack.enter_async_context(upstream())
            tables: dict[str, dict[str, Any]] = {}
            rules: list[dict[str, str]] = []
            for dialect, server in known.items():
                model = next(iter(SPEAKERS[dialect].SERVERS.values())).model
                tables[dialect] = {"dialect": dialect, "url": server.url}
                tables[f"{dialect}-always"] = {"dialect": dialect, "url": server.url, "stream": "always"}
                rules += [{"match": name, "upstream": name, "model": model} for name in (dialect, f"{dialect}-always")]
            served.append(await stack.enter_async_context(gateway(configure(tables, models=rules))))
            for server in known.values():
                server.heard = served[0].first_byte
            ready()
            await stage.forever()

    with in_thread(main) as stage:
        clients = Clients(served[0].url)
        try:
            yield World(stage, served[0], known, clients)
        finally:
            clients.close()


@pytest.fixture
def world(made: World) -> Iterator[World]:
    for server in made.upstreams.values():
        server.scripts.clear()
        server.calls.clear()
    yield made
    made.stage.wait(made.gateway.over(0))
    assert made.gateway.said == []


@WAYS
@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_text(world: World, client: str, dialect: str, streams: bool) -> None:
    speech, server = SPEECHES[dialect], world.upstreams[dialect]
    server.scripts.append(stream(*speech.text) if streams else body(speech.body))
    answer = world.ask(client, dialect, streams=streams)
    assert (answer.text, answer.reasoning, answer.calls) == (TEXT, "", [])
    assert answer.finish == END[client] and answer.usage == USAGE
    assert len(server.calls) == 1
    asked = server.last.json
    assert ORACLES[dialect].validate_request(asked) == []
    assert bool(asked.get("stream") or "streamGenerateContent" in server.last.target) is streams
    assert KEY not in str(server.last.headers)


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_body_from_an_upstream_that_streams(world: World, client: str, dialect: str) -> None:
    server = world.upstreams[dialect]
    server.scripts.append(stream(*SPEECHES[dialect].text))
    answer = world.ask(client, dialect, streams=False, always=True)
    assert (answer.text, answer.finish, answer.usage) == (TEXT, END[client], USAGE)
    assert server.last.json.get("stream") or "streamGenerateContent" in server.last.target
    assert len(server.calls) == 1


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_body_where_a_stream_was_asked_for(world: World, client: str, dialect: str) -> None:
    world.upstreams[dialect].scripts.append(body(SPEECHES[dialect].body))
    answer = world.ask(client, dialect, streams=True)
    assert (answer.text, answer.finish, answer.usage) == (TEXT, END[client], USAGE)


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_stream_where_a_body_was_asked_for(world: World, client: str, dialect: str) -> None:
    world.upstreams[dialect].scripts.append(stream(*SPEECHES[dialect].text))
    answer = world.ask(client, dialect, streams=False)
    assert (answer.text, answer.finish, answer.usage) == (TEXT, END[client], USAGE)


@WAYS
@pytest.mark.parametrize(("client", "dialect", "name"), SERVERS)
def test_tools_with_signed_reasoning(world: World, client: str, dialect: str, name: str, streams: bool) -> None:
    """A whole conversation: what the upstream signed comes back to it with the results, and each turn asks it once."""
    streams = streams and not (client == dialect and name in UNREADABLE)
    server = SPEAKERS[dialect].SERVERS[name]
    scripted, sdk = world.upstreams[dialect], world.clients[client]
    request = sdk.question(dialect, tools=True)
    for number, said in enumerate(server.answers):
        scripted.scripts.append(stream(said) if streams else body(whole(dialect, said)))
        answer = sdk.ask(request, stream=streams)
        assert answer.calls and {called for called, _ in answer.calls} == {TOOL}
        assert {arguments["city"] for _, arguments in answer.calls} <= {"Brest", "Lyon"}
        assert answer.finish == CALLED[client]
        request = sdk.reply(request, answer)
        scripted.scripts.append(stream(*SPEECHES[dialect].text) if streams else body(SPEECHES[dialect].body))
        assert sdk.ask(request, stream=streams).text == TEXT
        asked = scripted.last.json
        assert SPEAKERS[dialect].seen(asked) == [thing for things in server.wants[: number + 1] for thing in things]
        if client != dialect:
            assert ORACLES[dialect].validate_request(asked) == []
    assert len(scripted.calls) == 2 * len(server.answers)


def whole(dialect: str, said: bytes) -> dict[str, Any]:
    translator = Translator(dialect, dialect)
    translator.feed(said)
    translator.close()
    return translator.body()


@WAYS
@pytest.mark.parametrize("kind", ["rate_limit", "bad_request", "overloaded"])
@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_an_error_before(world: World, client: str, dialect: str, kind: str, streams: bool) -> None:
    refusal, server = SPEECHES[dialect].refusals[kind], world.upstreams[dialect]
    server.scripts.append(body(refusal.body, refusal.status, refusal.headers))
    with pytest.raises(RAISED[client][kind]) as caught:
        world.ask(client, dialect, streams=streams)
    told = world.clients[client].caught(caught.value)
    assert told.status == (refusal.status if client == dialect else STATUS[kind][client])
    words = {"rate_limit": "Slow down", "bad_request": "No such thing", "overloaded": "Too much to do"}
    assert words[kind] in told.message
    assert told.headers.get("retry-after") == refusal.headers.get("retry-after")
    assert len(server.calls) == 1


@WAYS
@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_an_error_as_the_first_event(world: World, client: str, dialect: str, streams: bool) -> None:
    """Nothing was sent by then, so it is an HTTP error."""
    server = world.upstreams[dialect]
    server.scripts.append(stream(SPEECHES[dialect].error))
    with pytest.raises(RAISED[client]["overloaded"]) as caught:
        world.ask(client, dialect, streams=streams, always=True)
    told = world.clients[client].caught(caught.value)
    assert told.status == STATUS["overloaded"][client] and "Too much to do" in told.message
    assert len(server.calls) == 1


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_an_error_in_the_middle(world: World, client: str, dialect: str) -> None:
    speech = SPEECHES[dialect]
    world.upstreams[dialect].scripts.append(spoilt(speech.text[: speech.said], speech.error))
    with pytest.raises(RAISED[client]["stream"]) as caught:
        world.ask(client, dialect, streams=True)
    assert "Too much to do" in world.clients[client].caught(caught.value).message
    assert len(world.upstreams[dialect].calls) == 1


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_an_error_in_the_middle_of_what_is_collected(world: World, client: str, dialect: str) -> None:
    speech = SPEECHES[dialect]
    world.upstreams[dialect].scripts.append(spoilt(speech.text[: speech.said], speech.error))
    with pytest.raises(RAISED[client]["overloaded"]) as caught:
        world.ask(client, dialect, streams=False, always=True)
    assert world.clients[client].caught(caught.value).status == STATUS["overloaded"][client]


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_cut_stream(world: World, client: str, dialect: str) -> None:
    """Never a success."""
    speech = SPEECHES[dialect]
    world.upstreams[dialect].scripts.append(cut(*speech.text[: speech.said]))
    with pytest.raises(RAISED[client]["stream"]):
        world.ask(client, dialect, streams=True)
    assert len(world.upstreams[dialect].calls) == 1


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_cut_stream_that_is_collected(world: World, client: str, dialect: str) -> None:
    speech = SPEECHES[dialect]
    world.upstreams[dialect].scripts.append(cut(*speech.text[: speech.said]))
    with pytest.raises(RAISED[client]["truncated"]) as caught:
        world.ask(client, dialect, streams=False, always=True)
    assert world.clients[client].caught(caught.value).status == STATUS["truncated"][client]


@pytest.mark.parametrize(("client", "dialect"), PAIRS)
def test_a_cut_body(world: World, client: str, dialect: str) -> None:
    data = json.dumps(SPEECHES[dialect].body).encode()

    async def script(call: Any) -> None:
        await call.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data))
        await call.raw(data[:-20])

    world.upstreams[dialect].scripts.append(script)
    with pytest.raises(RAISED[client]["truncated"]) as caught:
        world.ask(client, dialect, streams=False)
    assert world.clients[client].caught(caught.value).status == STATUS["truncated"][client]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_dialect_passes_byte_for_byte(world: World, dialect: str) -> None:
    from urllib.request import Request, urlopen

    speech = SPEECHES[dialect]
    world.upstreams[dialect].scripts.append(stream(*speech.text))
    asked = {**SPEAKERS[dialect].ask(), "stream": True, "vendor_field": [1.0, {"b": 1, "a": 2}]}
    path = speech.path.replace("{model}", dialect)
    asked.update({"model": dialect} if dialect != "gemini" else {})
    if dialect == "gemini":
        del asked["stream"]
    request = Request(
        world.gateway.url + path, json.dumps(asked).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urlopen(request) as response:
        assert response.read() == joined(speech.text)
    got = world.upstreams[dialect].last.json
    assert {k: v for k, v in got.items() if k != "model"} == {k: v for k, v in asked.items() if k != "model"}
