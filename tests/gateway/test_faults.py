"""What upstreams do wrong: it ends in the client dialect's error, never in a success, and is tried again only in time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import pytest

from ccproxy.gateway import create_app
from ccproxy.gateway import upstream as upstreams
from ccproxy.gateway.exchange import AccessLog, Exchange
from tests.oracles import ORACLES

from .answers import DIALECTS, SPEECHES, TEXT, question, told
from .in_process import Speaker, pass_on
from .stage import PATIENCE, Connection, Gateway, Reply, Stage, ask, configure, gateway, in_loop, in_thread, one, send
from .upstream import (
    STREAM,
    Call,
    Script,
    Upstream,
    body,
    compressed,
    cut,
    joined,
    killed,
    page,
    spoilt,
    stalled,
    stream,
    upstream,
)

CLIENTS = pytest.mark.parametrize("client", DIALECTS)
UPSTREAMS = pytest.mark.parametrize("dialect", DIALECTS)
WAYS = pytest.mark.parametrize("streams", [True, False], ids=["stream", "body"])
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BAD_GATEWAY = dict.fromkeys(DIALECTS, 502) | {"gemini": 500}
SOON = 0.15


def speaks(client: str) -> str:
    """Another dialect than the client's."""
    return "openai-chat" if client == "anthropic" else "anthropic"


SETTINGS: dict[str, dict[str, Any]] = {
    "short.waits": {"retries": {"attempts": 6, "backoff": 0.02, "max_backoff": 0.03}},
    "plain": {},
    "headers": {"timeouts": {"headers": SOON}},
    "idle": {"timeouts": {"idle": SOON}},
    "total": {"timeouts": {"total": 2 * SOON}},
    "patient": {"timeouts": {"total": SOON}, "retries": {"attempts": 3, "backoff": 5.0}},
    "three": {"retries": {"attempts": 3, "backoff": 0.01, "max_backoff": 0.5}},
    "always": {"stream": "always"},
    "slow": {"timeouts": {"headers": SOON, "idle": SOON}, "retries": {"attempts": 3, "backoff": 0.01}},
}
"""What is said of an upstream."""


class Bench:
    """A server that is scripted, two gateways in front of it, and a server to turn to when that fails.

    The model names the dialect that the server speaks, and the settings.
    """

    def __init__(self, stage: Stage, server: Upstream, other: Upstream, gateways: dict[str, Gateway]) -> None:
        self.stage = stage
        self.server = server
        self.other = other
        self.gateways = gateways

    def ask(
        self, client: str, dialect: str, *scripts: Script, streams: bool = True, settings: str = "plain", **more: Any
    ) -> Tried:
        """A question of the client to an upstream that does as the scripts say, the last one from then on."""
        return self.stage.wait(self._ask(client, dialect, scripts, streams, settings, **more))

    async def _ask(
        self,
        client: str,
        dialect: str,
        scripts: tuple[Script, ...],
        streams: bool,
        settings: str,
        gateway: str = "plain",
    ) -> Tried:
        served = self.gateways[gateway]
        for server in (self.server, self.other):
            server.calls.clear()
            server.scripts.clear()
            server.heard = served.first_byte
        self.server.scripts += scripts[:-1]
        self.server.script = scripts[-1]
        served.exchanges.clear()
        began = asyncio.get_running_loop().time()
        reply = await ask(served, client, streams=streams, model=f"{dialect}.{settings}")
        (exchange,) = await served.over()
        assert served.said == []
        assert exchange.attempts == len(self.server.calls) + len(self.other.calls)
        for call in self.server.calls:
            if not call.whole:
                async with asyncio.timeout(PATIENCE):
                    await call.left.wait()
        seconds = asyncio.get_running_loop().time() - began
        return Tried(reply, exchange, list(self.server.calls), list(self.other.calls), seconds)

    def fails(
        self, client: str, script: Script, *, streams: bool = True, settings: str = "plain", **more: Any
    ) -> Tried:
        """The same of an upstream of another dialect, where an error comes of it."""
        tried = self.ask(client, speaks(client), script, streams=streams, settings=settings, **more)
        assert tried.exchange.error is not None
        return tried


class Tried(NamedTuple):
    reply: Reply
    exchange: Exchange
    calls: list[Call]
    elsewhere: list[Call]
    seconds: float


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made: list[Bench] = []

    async def main(stage: Stage, ready: Any) -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(upstream())
            other = await stack.enter_async_context(upstream(stream(*SPEECHES["gemini"].text)))
            tables = {
                f"{dialect}.{name}": {"dialect": dialect, "url": server.url, **settings}
                for dialect in DIALECTS
                for name, settings in SETTINGS.items()
            }
            tables["there"] = {"dialect": "gemini", "url": other.url}
            fallback = [{"upstream": "there", "model": "other"}]
            rules = [{"match": name, "upstream": name} for name in tables]
            rules += [{"match": f"{name}.or.there", "upstream": name, "fallback": fallback} for name in tables]
            plain = configure(tables, models=rules)
            small = configure(tables, models=rules, limits={"max_frame": 4000, "max_response": 4000})
            lively = configure(tables, models=rules, keepalive=SOON / 2)
            early = configure(tables, models=rules, keepalive=SOON / 3, head_wait=SOON / 3)
            gateways = {
                "plain": await stack.enter_async_context(gateway(plain)),
                "small": await stack.enter_async_context(gateway(small)),
                "lively": await stack.enter_async_context(gateway(lively)),
                "early": await stack.enter_async_context(gateway(early)),
                "small early": await stack.enter_async_context(
                    gateway(msgspec.structs.replace(early, limits=small.limits))
                ),
            }
            made.append(Bench(stage, server, other, gateways))
            ready()
            await stage.forever()

    with in_thread(main):
        yield made[0]


def refused(client: str, reply: Reply) -> str:
    """The message of an HTTP error."""
    assert reply.status >= 400
    assert reply.headers["content-type"] == "application/json"
    return told(client, reply.json)[1]


def broke_off(client: str, reply: Reply) -> str:
    """The message of a stream that ended in an error."""
    assert reply.status == 200
    verdict = ORACLES[client].accept(reply.body)
    assert verdict.ok and verdict.api_error is not None and not verdict.complete
    return str(verdict.api_error["message"])


def words_of(client: str) -> list[bytes]:
    """The frames of the upstream until all the words are out."""
    speech = SPEECHES[speaks(client)]
    return speech.text[: speech.said]


# Killed


@WAYS
@CLIENTS
def test_nobody_listens(client: str, streams: bool) -> None:
    async def main() -> Reply:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with gateway(one(speaks(client), url)) as served:
                return await ask(served, client, streams=streams)

    reply = in_loop(main)
    assert reply.status == BAD_GATEWAY[client]
    why = "the upstream 'it' can't be reached: connection refused; check that it runs, and its url"
    assert refused(client, reply) == why
    assert b"127.0.0.1" not in reply.body


@CLIENTS
def test_no_host_of_that_name(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(*_: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known: nowhere.invalid")

    monkeypatch.setattr(upstreams, "_look_up", look_up)

    async def main() -> Reply:
        async with gateway(one(speaks(client), "http://nowhere.invalid")) as served:
            return await ask(served, client)

    reply = in_loop(main)
    assert reply.status == BAD_GATEWAY[client]
    assert "the upstream 'it' can't be reached: its host name is not known; check" in refused(client, reply)
    assert b"nowhere" not in reply.body


@CLIENTS
def test_no_tls(client: str) -> None:
    async def main() -> Reply:
        async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with gateway(one(speaks(client), url)) as served:
                return await ask(served, client)

    reply = in_loop(main)
    assert reply.status == BAD_GATEWAY[client]
    assert "the upstream 'it' can't be reached: no TLS connection (" in refused(client, reply)


@WAYS
@CLIENTS
@pytest.mark.parametrize("said", [b"", HEAD[:20], HEAD], ids=["accepted", "in the head", "after the head"])
def test_killed_before_the_first_byte(bench: Bench, client: str, streams: bool, said: bytes) -> None:
    tried = bench.fails(client, killed(said), streams=streams)
    assert refused(client, tried.reply)
    assert len(tried.calls) == 1


@CLIENTS
@pytest.mark.parametrize("piece", [b"", b'event: x\ndata: {"type":'], ids=["between frames", "in a frame"])
def test_killed_in_the_middle(bench: Bench, client: str, piece: bytes) -> None:
    said = joined(words_of(client)) + piece
    tried = bench.fails(client, killed(HEAD + b"%x\r\n%b\r\n" % (len(said), said), words=True))
    broke_off(client, tried.reply)
    assert TEXT.split()[0].encode() in tried.reply.body
    assert len(tried.calls) == 1


@CLIENTS
def test_half_closed(bench: Bench, client: str) -> None:
    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        await call.send(joined(words_of(client)))
        call.half_close()
        await call.left.wait()

    tried = bench.fails(client, script)
    broke_off(client, tried.reply)


# Stalled


@WAYS
@CLIENTS
def test_no_head(bench: Bench, client: str, streams: bool) -> None:
    tried = bench.fails(client, stalled(head=False), streams=streams, settings="headers")
    assert "has not begun to answer within" in refused(client, tried.reply)
    assert tried.reply.status == 504
    assert tried.calls[0].left.is_set()


@CLIENTS
def test_silence_before_the_first_event(bench: Bench, client: str) -> None:
    tried = bench.fails(client, stalled(), settings="idle")
    assert "has said nothing" in refused(client, tried.reply)
    assert tried.reply.status == 504 and tried.calls[0].left.is_set()


@CLIENTS
def test_silence_in_the_middle(bench: Bench, client: str) -> None:
    tried = bench.fails(client, stalled(*words_of(client)), settings="idle")
    assert "has said nothing" in broke_off(client, tried.reply)
    assert tried.calls[0].left.is_set()


@CLIENTS
def test_silence_in_a_body(bench: Bench, client: str) -> None:
    async def script(call: Call) -> None:
        await call.raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"id"')
        await call.left.wait()

    tried = bench.fails(client, script, streams=False, settings="idle")
    assert "has said nothing" in refused(client, tried.reply)
    assert tried.reply.status == 504 and tried.calls[0].left.is_set()


@CLIENTS
def test_silence_in_an_error(bench: Bench, client: str) -> None:
    """The status says what failed, though the body never comes."""

    async def script(call: Call) -> None:
        await call.raw(b"HTTP/1.1 503 No\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        await call.left.wait()

    tried = bench.fails(client, script, settings="idle")
    assert refused(client, tried.reply)
    assert tried.reply.status == (529 if client == "anthropic" else 503)


@CLIENTS
def test_the_whole_takes_too_long(bench: Bench, client: str) -> None:
    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for frame in words_of(client):
            await call.send(frame)
        while not call.left.is_set():
            await call.send(b": still here\n\n")
            await asyncio.sleep(0.02)

    tried = bench.fails(client, script, settings="total")
    assert "longer than it may" in broke_off(client, tried.reply)
    assert tried.calls[0].left.is_set()


@WAYS
@CLIENTS
def test_too_long_before_the_first_byte(bench: Bench, client: str, streams: bool) -> None:
    tried = bench.fails(client, stalled(head=False), streams=streams, settings="total")
    assert "longer than it may" in refused(client, tried.reply)
    assert tried.reply.status == 504


@CLIENTS
def test_too_long_between_two_attempts(bench: Bench, client: str) -> None:
    tried = bench.fails(client, body({}, 503), settings="patient")
    assert "longer than it may" in refused(client, tried.reply)
    assert len(tried.calls) == 1


def test_models_that_never_come() -> None:
    async def main() -> int:
        async with (
            upstream(stalled()) as server,
            gateway(one("anthropic", server.url, {"timeouts": {"idle": SOON}})) as served,
        ):
            return (await send(f"{served.url}/v1/models")).status

    assert in_loop(main) == 504


# Nonsense


@WAYS
@CLIENTS
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(killed(b"\x16\x03\x01 SSH-2.0 what\r\n\r\n"), id="no HTTP"),
        pytest.param(killed(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), id="a header without a colon"),
        pytest.param(killed(HEAD + b"zz\r\nhello\r\n"), id="a chunk of no size"),
        pytest.param(stream(b"what is this", b"\xff\xfe\x00"), id="no events"),
        pytest.param(stream(b"data: {\n\ndata: }\n\n"), id="no JSON"),
        pytest.param(stream(b"data: 7\n\n"), id="no object"),
        pytest.param(stream(), id="nothing"),
        pytest.param(page("<html><h1>Please sign in</h1></html>"), id="a page"),
        pytest.param(body(b"", 200), id="an empty body"),
        pytest.param(body([1, 2]), id="another JSON"),
        pytest.param(body({"hello": "world"}), id="another object"),
        pytest.param(body(b"", 204), id="no content"),
        pytest.param(body(b"", 307, {"location": "/elsewhere"}), id="a redirect"),
        pytest.param(body(b"not gzip", 200, {"content-encoding": "gzip"}), id="gzip that is none"),
        pytest.param(page("<html>Bad gateway</html>", 502), id="a page with an error"),
        pytest.param(body({"message": "?"}, 999), id="a status that is none"),
        pytest.param(body({"error": {"message": "?"}}, 600), id="another status that is none"),
    ],
)
def test_nonsense(bench: Bench, client: str, script: Script, streams: bool) -> None:
    tried = bench.fails(client, script, streams=streams)
    assert refused(client, tried.reply)
    assert 400 <= tried.reply.status < 600
    assert len(tried.calls) == 1


@CLIENTS
@pytest.mark.parametrize("status", [999, 600])
def test_a_strange_status_of_the_same_dialect(bench: Bench, client: str, status: int) -> None:
    assert bench.ask(client, client, body({"error": {"message": "?"}}, status)).reply.status == 502


@CLIENTS
@pytest.mark.parametrize(
    "garbage",
    [b"<html>", b"data: {]\n\n", b"data: [1]\n\n", b"\xff\xfe\xfd", b"event: error\n\n"],
    ids=["a page", "no JSON", "no object", "no text", "an empty event"],
)
def test_nonsense_in_the_middle(bench: Bench, client: str, garbage: bytes) -> None:
    tried = bench.fails(client, spoilt(words_of(client), garbage))
    broke_off(client, tried.reply)


@CLIENTS
def test_an_event_that_is_too_long(bench: Bench, client: str) -> None:
    script = spoilt(words_of(client), b"data: " + b"x" * 5000)
    tried = bench.fails(client, script, gateway="small")
    assert "max_frame" in broke_off(client, tried.reply)


@CLIENTS
def test_a_first_event_that_is_too_long(bench: Bench, client: str) -> None:
    """It is the upstream's fault, not the size of the request; and not asked for again."""
    tried = bench.fails(client, stalled(b"data: " + b"x" * 5000), settings="three", gateway="small")
    assert "max_frame" in refused(client, tried.reply)
    assert tried.reply.status == BAD_GATEWAY[client]
    assert len(tried.calls) == 1 and tried.calls[0].left.is_set()


@CLIENTS
def test_a_body_that_is_too_long(bench: Bench, client: str) -> None:
    async def script(call: Call) -> None:
        await call.head(200, {"content-type": "application/json"})
        while not call.left.is_set():
            await call.send(b" " * 1000)

    tried = bench.fails(client, script, streams=False, gateway="small")
    assert "max_response" in refused(client, tried.reply)


# What is unusual and no fault


@CLIENTS
@UPSTREAMS
def test_compressed(bench: Bench, client: str, dialect: str) -> None:
    """Nobody asked for it, and it is understood, and what the client gets is not compressed."""
    speech = SPEECHES[dialect]
    streamed = bench.ask(client, dialect, compressed(joined(speech.text), STREAM))
    assert ORACLES[client].accept(streamed.reply.body).complete
    whole = compressed(json.dumps(speech.body).encode(), "application/json")
    plain = bench.ask(client, dialect, whole, streams=False)
    assert "café" in json.dumps(plain.reply.json, ensure_ascii=False).lower()
    for tried in (streamed, plain):
        assert tried.reply.status == 200 and "content-encoding" not in tried.reply.headers
        assert tried.calls[0].headers["accept-encoding"] == "identity"


@CLIENTS
def test_single_bytes(bench: Bench, client: str) -> None:
    data = joined(SPEECHES[speaks(client)].text)
    script = stream(*(data[at : at + 1] for at in range(len(data))))
    verdict = ORACLES[client].accept(bench.ask(client, speaks(client), script).reply.body)
    assert verdict.ok and verdict.complete


# Again, and elsewhere

CHAT = "openai-chat"
GOOD = stream(*SPEECHES["anthropic"].text)


def attempts(bench: Bench, *scripts: Script) -> Tried:
    """What comes of several attempts."""
    return bench.ask(CHAT, "anthropic", *scripts, settings="three")


@pytest.mark.parametrize(
    "script",
    [
        *[pytest.param(body({}, status), id=str(status)) for status in (429, 500, 502, 503, 504, 529)],
        pytest.param(killed(), id="killed"),
        pytest.param(killed(HEAD), id="killed after the head"),
        pytest.param(stream(SPEECHES["anthropic"].error), id="an error as the first event"),
        pytest.param(stream(), id="nothing"),
        pytest.param(page("<html>"), id="a page"),
    ],
)
def test_tried_again(bench: Bench, script: Script) -> None:
    tried = attempts(bench, script, script, GOOD)
    assert tried.reply.status == 200 and ORACLES[CHAT].accept(tried.reply.body).complete
    assert len(tried.calls) == 3
    assert tried.exchange.error is None  # what an earlier attempt met is in the metrics


@pytest.mark.parametrize("script", [stalled(head=False), stalled()], ids=["no head", "no word"])
def test_what_may_be_running_is_not_asked_for_again(bench: Bench, script: Script) -> None:
    """It costs as much again; another upstream may be quicker."""
    tried = bench.ask(CHAT, "anthropic", script, settings="slow")
    assert (tried.reply.status, len(tried.calls)) == (504, 1)
    tried = bench.ask(CHAT, "anthropic", script, settings="slow.or.there")
    assert (tried.reply.status, len(tried.calls), len(tried.elsewhere)) == (200, 1, 1)


def test_a_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there was none, nothing is running."""
    tries: list[Any] = []

    async def reach(addresses: Any) -> None:
        tries.append(addresses)
        await asyncio.Event().wait()

    async def main() -> int:
        config = one("anthropic", "http://127.0.0.1", SETTINGS["three"] | {"timeouts": {"connect": SOON / 2}})
        app = create_app(config, log=AccessLog("off"))
        path, asked = question(CHAT)
        with monkeypatch.context() as patch:
            patch.setattr(upstreams, "reach", reach)
            status, said = await pass_on(app, "POST", path, b"", [], [json.dumps(asked).encode()])
        await app.close()
        assert b"no connection within 0.075 s" in said
        return status

    assert (in_loop(main), len(tries)) == (504, 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_not_tried_again(bench: Bench, status: int) -> None:
    tried = attempts(bench, body({"error": {"message": "No"}}, status), GOOD)
    assert tried.reply.status == (400 if status == 422 else status)
    assert len(tried.calls) == 1


def test_what_should_not_be_retried(bench: Bench) -> None:
    tried = attempts(bench, body({}, 503, {"x-should-retry": "false"}), GOOD)
    assert (tried.reply.status, len(tried.calls)) == (503, 1)


def test_not_for_ever(bench: Bench) -> None:
    tried = attempts(bench, body({}, 503))
    assert (tried.reply.status, len(tried.calls)) == (503, 3)


def test_its_own_patience_is_bounded_too(bench: Bench) -> None:
    """`max_backoff` ends the doubling, not the attempts."""
    tried = bench.ask(CHAT, "anthropic", body({}, 503), settings="short.waits")
    assert (tried.reply.status, len(tried.calls)) == (503, 6)
    assert tried.seconds < 1


def test_retry_after_is_honoured(bench: Bench) -> None:
    tried = attempts(bench, body({}, 429, {"retry-after-ms": "300"}), GOOD)
    assert (tried.reply.status, len(tried.calls)) == (200, 2)
    assert tried.seconds >= 0.3


def test_retry_after_is_bounded(bench: Bench) -> None:
    tried = attempts(bench, body({}, 429, {"retry-after": "60"}), GOOD)
    assert (tried.reply.status, len(tried.calls)) == (429, 1)
    assert tried.reply.headers["retry-after"] == "60"


@pytest.mark.parametrize(
    "script",
    [cut(*words_of(CHAT)), spoilt(words_of(CHAT), SPEECHES["anthropic"].error)],
    ids=["cut", "an error"],
)
def test_nothing_is_tried_again_after_the_first_byte(bench: Bench, script: Script) -> None:
    tried = attempts(bench, script, GOOD)
    broke_off(CHAT, tried.reply)
    assert len(tried.calls) == 1


def test_losses_count_once(bench: Bench) -> None:
    """However often the request was tried. Chat always wants the obfuscation of its streams, and nobody else has it."""
    path, asked = question(CHAT, "anthropic.three")

    async def main() -> Exchange:
        served = bench.gateways["plain"]
        served.exchanges.clear()
        bench.server.scripts.extend([stream(), stream(), GOOD])
        reply = await send(served.url + path, asked | {"seed": 1})
        assert reply.status == 200
        return (await served.over())[0]

    exchange = bench.stage.wait(main())
    assert (exchange.attempts, exchange.losses["field"]) == (3, 1)


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        pytest.param(body({}, 503), "plain", id="503"),
        pytest.param(body({}, 429, {"retry-after": "60"}), "three", id="429 for long"),
        pytest.param(killed(), "plain", id="killed"),
        pytest.param(stalled(head=False), "headers", id="no head"),
        pytest.param(stalled(), "idle", id="silence"),
        pytest.param(stream(SPEECHES["anthropic"].error), "plain", id="an error as the first event"),
    ],
)
def test_elsewhere(bench: Bench, script: Script, settings: str) -> None:
    tried = bench.ask(CHAT, "anthropic", script, settings=f"{settings}.or.there")
    assert tried.reply.status == 200 and ORACLES[CHAT].accept(tried.reply.body).complete
    assert (len(tried.calls), len(tried.elsewhere)) == (1, 1)
    assert tried.exchange.upstream == "there" and "/models/other:" in tried.elsewhere[0].target


def test_after_all_attempts_elsewhere(bench: Bench) -> None:
    tried = bench.ask(CHAT, "anthropic", body({}, 503), settings="three.or.there")
    assert (len(tried.calls), len(tried.elsewhere)) == (3, 1)


def test_not_elsewhere(bench: Bench) -> None:
    tried = bench.ask(CHAT, "anthropic", body({"error": {"message": "No"}}, 400), settings="plain.or.there")
    assert (tried.reply.status, len(tried.calls), len(tried.elsewhere)) == (400, 1, 0)


def test_not_elsewhere_after_the_first_byte(bench: Bench) -> None:
    tried = bench.ask(CHAT, "anthropic", cut(*words_of(CHAT)), settings="plain.or.there")
    broke_off(CHAT, tried.reply)
    assert (len(tried.calls), len(tried.elsewhere)) == (1, 0)


# Signs of life

SIGN = {"anthropic": b"event: ping", "openai-chat": b":", "openai-responses": b":"}


@UPSTREAMS
@CLIENTS
def test_signs_of_life(bench: Bench, client: str, dialect: str) -> None:
    """In silence, before the first event and in the middle; none for Gemini's clients, which know none."""
    speech = SPEECHES[dialect]

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for part in (speech.text[: speech.said], speech.text[speech.said :]):
            await asyncio.sleep(1.5 * SOON)
            for frame in part:
                await call.send(frame)
        await call.end()

    reply = bench.ask(client, dialect, script, gateway="lively").reply
    verdict = ORACLES[client].accept(reply.body)
    assert verdict.ok and verdict.complete, verdict
    before, _, after = reply.body.partition(b"The tide")
    if client == "gemini":
        assert not {b":", b"e"} & {line[:1] for line in reply.body.splitlines()}
    else:
        assert before.startswith(b": ")  # an event would be too early
        assert b"\n" + SIGN[client] in after


def test_an_error_after_a_sign_of_life_is_in_the_stream(bench: Bench) -> None:
    """And nothing is tried again."""

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        await call.heard()
        await call.send(SPEECHES["anthropic"].error)
        await call.end()

    tried = bench.ask(CHAT, "anthropic", script, gateway="lively", settings="three")
    assert "Too much to do" in broke_off(CHAT, tried.reply)
    assert len(tried.calls) == 1


def test_a_sign_of_life_and_the_first_word_at_once() -> None:
    """Where the server takes its time with the head of the response, the words wait for it."""

    class Slow(Speaker):
        async def open(self, *asked: Any) -> Any:
            answer = await super().open(*asked)
            read = answer.read

            async def later() -> bytes:
                await asyncio.sleep(1.2 * SOON)
                return await read()

            answer.read = later
            return answer

    async def pause() -> None:
        await asyncio.sleep(SOON)

    async def main() -> None:
        config = one("anthropic", "http://upstream.invalid", keepalive=SOON / 2)
        app = create_app(config, client=Slow("anthropic"), log=AccessLog("off"))
        path, asked = question(CHAT)
        status, said = await pass_on(app, "POST", path, b"", [], [json.dumps(asked).encode()], pause)
        assert status == 200 and said.startswith(b": ") and ORACLES[CHAT].accept(said).complete

    in_loop(main)


# No head


def late(script: Script) -> Script:
    """The upstream thinks before it answers at all."""

    async def waits(call: Call) -> None:
        await asyncio.sleep(SOON)
        await script(call)

    return waits


SIGNS = pytest.mark.parametrize("client", list(SIGN))
BUSY = SPEECHES["anthropic"].refusals["overloaded"]


def early(bench: Bench, client: str, script: Script, settings: str = "plain", *, streams: bool = True) -> Tried:
    return bench.ask(client, speaks(client), script, settings=settings, streams=streams, gateway="early")


@SIGNS
def test_signs_of_life_before_the_head(bench: Bench, client: str) -> None:
    """What is on the way to a client, and the client, may give up on a response that does not begin."""
    tried = early(bench, client, late(stream(*SPEECHES[speaks(client)].text)))
    verdict = ORACLES[client].accept(tried.reply.body)
    assert verdict.ok and verdict.complete, verdict
    assert tried.reply.body.startswith(b": ") and tried.reply.body.partition(b"The tide")[0].count(b": ping\n\n") >= 2
    assert tried.reply.headers["content-type"].startswith("text/event-stream")
    assert tried.reply.headers["cache-control"] == "no-cache" and "x-request-id" in tried.reply.headers
    assert tried.exchange.finish == "end" and tried.exchange.error is None


@SIGNS
def test_after_them_an_error_is_in_the_stream(bench: Bench, client: str) -> None:
    """And nothing is tried again or elsewhere."""
    for script, kind, said in [
        (late(body(SPEECHES[speaks(client)].refusals["overloaded"].body, 503)), "overloaded", "Too much to do"),
        (late(killed()), "internal", "can't be reached"),
        (late(stream()), "truncated", ""),
        (late(page("<html>Sign in</html>")), "protocol", ""),
        (late(body({"hello": "world"})), "protocol", ""),
        (late(body(b"{")), "protocol", ""),
        (late(body(SPEECHES[speaks(client)].refusals["overloaded"].body)), "overloaded", "Too much to do"),
    ]:
        tried = early(bench, client, script, "three.or.there")
        assert said in broke_off(client, tried.reply)
        assert (tried.exchange.error, len(tried.calls), len(tried.elsewhere)) == (kind, 1, 0)


@SIGNS
def test_after_them_a_body_may_be_too_long_or_stall(bench: Bench, client: str) -> None:
    async def silent(call: Call) -> None:
        await call.head(200, {"content-type": "application/json"})
        await call.send(b'{"id"')
        await call.left.wait()

    tried = early(bench, client, late(silent), "idle")
    assert "has said nothing" in broke_off(client, tried.reply)
    tried = bench.ask(client, speaks(client), late(body(b"{" + b" " * 5000)), gateway="small early")
    assert "max_response" in broke_off(client, tried.reply)


@SIGNS
def test_after_them_a_body_is_replayed(bench: Bench, client: str) -> None:
    tried = early(bench, client, late(body(SPEECHES[speaks(client)].body)))
    verdict = ORACLES[client].accept(tried.reply.body)
    assert verdict.ok and verdict.complete and tried.reply.body.startswith(b": ping")


@SIGNS
@pytest.mark.parametrize(
    ("settings", "said"), [("headers", "has not begun to answer"), ("total", "longer than it may")]
)
def test_after_them_a_time_out_is(bench: Bench, client: str, settings: str, said: str) -> None:
    tried = early(bench, client, stalled(head=False), settings)
    assert said in broke_off(client, tried.reply)
    assert tried.exchange.error == "timeout" and tried.calls[0].left.is_set()


def test_before_them_it_is_not(bench: Bench) -> None:
    tried = bench.ask(CHAT, "anthropic", body({}, 503), GOOD, settings="three", gateway="early")
    assert (tried.reply.status, len(tried.calls)) == (200, 2) and not tried.reply.body.startswith(b":")


@pytest.mark.parametrize(("client", "streams"), [("gemini", True), (CHAT, False)])
def test_where_there_are_no_signs_of_life(bench: Bench, client: str, streams: bool) -> None:
    tried = early(bench, client, late(body(BUSY.body, 503)), streams=streams)
    assert tried.reply.status == 503 and "Too much to do" in refused(client, tried.reply)
    tried = early(bench, client, late(stream(*SPEECHES["anthropic"].text)), streams=streams)
    assert tried.reply.status == 200 and tried.exchange.finish == "end"


def test_a_client_that_leaves_after_them() -> None:
    async def main() -> None:
        settings = {"keepalive": SOON / 3, "head_wait": SOON / 3}
        async with upstream(stalled(head=False)) as server, gateway(one("anthropic", server.url, **settings)) as served:
            connection = await Connection.open(served.url)
            await connection.post(*question(CHAT))
            await connection.until(b": ping\n\n")
            connection.vanish()
            (exchange,) = await served.over()
            assert exchange.left and exchange.error is None
            async with asyncio.timeout(PATIENCE):
                await server.last.left.wait()
            assert len(server.calls) == 1 and served.said == []

    in_loop(main)


def test_a_gateway_that_stops_after_them() -> None:
    async def main() -> None:
        settings = {"keepalive": SOON / 3, "head_wait": SOON / 3, "drain": 0.0}
        async with upstream(stalled(head=False)) as server, gateway(one("anthropic", server.url, **settings)) as served:
            connection = await Connection.open(served.url)
            await connection.post(*question(CHAT), {"connection": "close"})
            await connection.until(b": ping\n\n")
            await served.app.drain()
            said = await connection.reader.read(-1)
            assert b"shutting down" in said and said.endswith(b"0\r\n\r\n")
            connection.vanish()
            assert served.said == []

    in_loop(main)


# Streams as JSON


@WAYS
@CLIENTS
def test_a_json_array_for_a_stream(bench: Bench, client: str, streams: bool) -> None:
    """As Gemini has it without `alt=sse`, and servers that ignore that."""
    frames = [frame.removeprefix(b"data: ").strip() for frame in SPEECHES["gemini"].text]
    pieces = [b" [" + frames[0], *(b",\n" + frame for frame in frames[1:]), b"]"]
    script = stream(*pieces, pause=0.01, media_type="application/json; charset=UTF-8")
    tried = bench.ask(client, "gemini", script, streams=streams, settings="plain" if streams else "always")
    assert tried.reply.status == 200 and tried.exchange.finish == "end"
    if streams:
        verdict = ORACLES[client].accept(tried.reply.body)
        assert verdict.ok and verdict.complete, verdict
    assert TEXT.split()[-1] in json.dumps(tried.reply.body.decode(), ensure_ascii=False)


@pytest.mark.parametrize("streams", [True, False], ids=["array", "object"])
def test_white_space_before_json_is_a_sign_of_life(bench: Bench, streams: bool) -> None:
    """However much of it; some servers send it while they think."""
    speech = SPEECHES["gemini"]
    frames = [frame.removeprefix(b"data: ").strip() for frame in speech.text]
    data = b"[" + b",".join(frames) + b"]" if streams else json.dumps(speech.body).encode()
    script = stream(b"\xef\xbb", b"\xbf \n", *[b" " * 1000] * 10, data, media_type="application/json")
    tried = bench.ask(CHAT, "gemini", script, gateway="small")
    assert tried.reply.status == 200 and ORACLES[CHAT].accept(tried.reply.body).complete


@CLIENTS
def test_a_json_array_that_is_cut(bench: Bench, client: str) -> None:
    frames = [frame.removeprefix(b"data: ").strip() for frame in SPEECHES["gemini"].text]

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": "application/json"})
        await call.send(b"[" + frames[0] + b",")
        await call.heard()

    broke_off(client, bench.ask(client, "gemini", script).reply)


@pytest.mark.parametrize("streams", [True, False], ids=["array", "object"])
def test_an_array_is_asked_for(bench: Bench, streams: bool) -> None:
    """And comes, whatever the upstream makes of a stream."""
    speech = SPEECHES["gemini"]
    frames = [frame.removeprefix(b"data: ").strip() for frame in speech.text]
    data = b"[" + b",".join(frames) + b"]" if streams else json.dumps(speech.body).encode()

    async def main() -> Reply:
        bench.server.scripts.append(body(data))
        path = "/v1beta/models/gemini.plain:streamGenerateContent"
        return await send(bench.gateways["plain"].url + path, question("gemini")[1])

    reply = bench.stage.wait(main())
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    said = [part["text"] for c in reply.json for part in c["candidates"][0].get("content", {}).get("parts", ())]
    assert "".join(said) == TEXT
