"""Clients that leave, or do not read: the upstream hears of it at once, and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from ccproxy.gateway import create_app
from ccproxy.gateway.exchange import AccessLog, Exchange

from .answers import DIALECTS, SPEECHES, question
from .in_process import Speaker, pass_on
from .stage import Connection, Gateway, gateway, in_loop, one
from .upstream import STREAM, Call, Script, Upstream, body, stalled, upstream

AT_ONCE = 0.1
"""Seconds within which the upstream is left, in the best of some tries: the machine may be busy."""
TRIES = 5
CLIENTS = pytest.mark.parametrize("client", DIALECTS)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.002)


def leaves(
    client: str, script: Script, *, streams: bool = True, reads: bytes = b"", settings: Any = None, **more: Any
) -> list[float]:
    """Have a client leave as soon as the upstream has been asked, and the client has read so far: the seconds until the
    upstream is left."""

    async def main() -> list[float]:
        dialect = "openai-chat" if client == "anthropic" else "anthropic"
        took: list[float] = []
        async with upstream(script) as server, gateway(one(dialect, server.url, settings, **more)) as served:
            for number in range(1, TRIES + 1):
                connection = await Connection.open(served.url)
                await connection.post(*question(client, streams=streams))
                await _until(lambda wanted=number: len(server.calls) == wanted)  # type: ignore[misc]
                if reads:
                    await connection.until(reads)
                left = connection.vanish()
                async with asyncio.timeout(10):
                    await server.last.left.wait()
                assert server.last.left_at is not None
                took.append(server.last.left_at - left)
                exchange = (await served.over(number))[-1]
                assert exchange.left and exchange.error is None
            assert not served.app.active and served.said == []
            assert len(server.calls) == TRIES  # and nothing was tried again
        return took

    return in_loop(main)


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "body"])
@CLIENTS
def test_before_the_head(client: str, streams: bool) -> None:
    assert min(leaves(client, stalled(head=False), streams=streams)) < AT_ONCE


@CLIENTS
def test_before_the_first_word(client: str) -> None:
    assert min(leaves(client, stalled())) < AT_ONCE


@CLIENTS
def test_in_the_middle(client: str) -> None:
    speech = SPEECHES["openai-chat" if client == "anthropic" else "anthropic"]
    assert min(leaves(client, stalled(*speech.text[: speech.said]), reads=b"The tide")) < AT_ONCE


@CLIENTS
def test_while_words_come(client: str) -> None:
    """The upstream never falls silent."""
    speech = SPEECHES["openai-chat" if client == "anthropic" else "anthropic"]

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for frame in speech.text[: speech.said - 2]:
            await call.send(frame)
        while not call.left.is_set():
            await call.send(speech.text[speech.said - 2])
            await asyncio.sleep(0.005)

    assert min(leaves(client, script, reads=b"The tide")) < AT_ONCE


@CLIENTS
def test_in_a_body(client: str) -> None:
    async def script(call: Call) -> None:
        await call.raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"id"')
        await call.left.wait()

    assert min(leaves(client, script, streams=False)) < AT_ONCE


def test_in_an_error() -> None:
    async def script(call: Call) -> None:
        await call.raw(b"HTTP/1.1 500 No\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        await call.left.wait()

    assert min(leaves("openai-chat", script)) < AT_ONCE


def test_between_two_attempts() -> None:
    """Nothing is asked for a client that is gone."""
    settings = {"retries": {"attempts": 3, "backoff": 0.2}}

    async def main() -> None:
        async with upstream(body({}, 503)) as server, gateway(one("anthropic", server.url, settings)) as served:
            connection = await Connection.open(served.url)
            await connection.post(*question("openai-chat"))
            await _until(lambda: len(server.calls) == 1)
            await asyncio.sleep(0.05)
            connection.vanish()
            (exchange,) = await served.over()
            await asyncio.sleep(0.3)
            assert exchange.left and len(server.calls) == 1

    in_loop(main)


def test_in_its_own_request() -> None:
    async def main() -> None:
        async with upstream(stalled()) as server, gateway(one("anthropic", server.url)) as served:
            connection = await Connection.open(served.url)
            connection.writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            await _until(lambda: bool(served.app.active))
            connection.vanish()
            (exchange,) = await served.over()
            assert exchange.left and exchange.phase == "before"
            assert server.calls == [] and served.said == []

    in_loop(main)


def test_at_the_end_nobody_has_left() -> None:
    """A client that closes its connection after the last byte has got all there is."""

    async def main() -> None:
        speech = SPEECHES["anthropic"]
        async with upstream(whole(speech.text)) as server, gateway(one("anthropic", server.url)) as served:
            for number in range(20):
                connection = await Connection.open(served.url)
                await connection.post(*question("anthropic"))
                await connection.until(b"0\r\n\r\n")
                connection.vanish()
                exchange = (await served.over(number + 1))[-1]
                assert not exchange.left and exchange.finish == "end"

    in_loop(main)


def test_nor_where_the_server_takes_its_time() -> None:
    """Servers say that the client has left as soon as they have the last byte of a response."""

    async def main() -> None:
        over: list[Exchange] = []
        config = one("anthropic", "http://upstream.invalid")
        app = create_app(config, client=Speaker("anthropic"), log=AccessLog("off"), observer=over.append)
        for streams in (True, False):
            path, asked = question("openai-chat", streams=streams)
            status, _ = await pass_on(app, "POST", path, b"", [], [json.dumps(asked).encode()])
            assert status == 200
        assert [exchange.left for exchange in over] == [False, False]

    in_loop(main)


def whole(frames: list[bytes]) -> Script:
    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for frame in frames:
            await call.send(frame)
        await call.end()

    return script


def crowd(size: int) -> None:
    """So many clients leave at once, and all upstream requests are closed within a second.

    It takes a tenth of that, all of it work: no timer is on the way. So the second is one of processor time, and a machine
    that is busy with something else gets more by the clock.
    """

    async def main() -> None:
        speech = SPEECHES["anthropic"]
        script = stalled(*speech.text[: speech.said])
        async with upstream(script) as server, gateway(one("anthropic", server.url)) as served:
            connections: list[Connection] = []
            for _ in range(size):
                connection = await Connection.open(served.url)
                await connection.post(*question("openai-chat"))
                connections.append(connection)
            await asyncio.gather(*(connection.until(b"The tide") for connection in connections))
            assert len(served.app.active) == size == len(server.calls)
            before = process_time()
            left = max([connection.vanish() for connection in connections])
            async with asyncio.timeout(30):
                await asyncio.gather(*(call.left.wait() for call in server.calls))
            assert process_time() - before < 1.0
            assert max(call.left_at or 0 for call in server.calls) - left < 5.0
            await served.over(size)
            assert all(exchange.left for exchange in served.exchanges)
            assert served.said == []
            await _until(lambda: server.open == 0)

    in_loop(main)


def test_fifty_at_once() -> None:
    crowd(50)


@pytest.mark.slow
def test_five_hundred_at_once() -> None:
    crowd(500)


# Slow readers


def resident() -> int:
    """Bytes of memory of this process; 0 where that can't be told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


@CLIENTS
def test_a_client_that_does_not_read(client: str) -> None:
    """The upstream is made to wait, and goes on as soon as the client reads."""
    piece = 64 * 1024
    enough = 48 * 1024 * 1024
    dialect = "openai-chat" if client == "anthropic" else "anthropic"
    speech = SPEECHES[dialect]
    place = 1 if dialect == "openai-chat" else 2
    long = speech.text[place].replace(b"The tide", b"x" * piece)

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for frame in speech.text[:place]:
            await call.send(frame)
        while call.sent < enough:
            await call.send(long)
        for frame in speech.text[place:]:
            await call.send(frame)
        await call.end()

    async def main() -> None:
        async with upstream(script) as server, gateway(one(dialect, server.url)) as served:
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
                raw.setblocking(False)
                port = int(served.url.rpartition(":")[2])
                await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
                connection = Connection(*await asyncio.open_connection(sock=raw.dup(), limit=2**16))
            before = resident()
            await connection.post(*question(client))
            await _until(lambda: bool(server.calls) and server.last.sent > 0)
            held = await plateau(server)
            assert held < enough / 2, f"{held} bytes were taken of an upstream that should wait"
            assert resident() - before < enough / 2
            got = 0
            async with asyncio.timeout(30):
                while data := await connection.reader.read(2**20):
                    got += len(data)
                    if data.endswith(b"0\r\n\r\n"):
                        break
            assert got > enough - held and server.last.sent > enough
            assert (await served.over())[0].finish == "end"
            connection.vanish()

    in_loop(main)


async def plateau(server: Upstream) -> int:
    """What the gateway has taken when it takes no more."""
    sent = -1
    while server.last.sent != sent:
        sent = server.last.sent
        await asyncio.sleep(0.15)
    return sent


def test_a_client_that_never_reads_is_given_up() -> None:
    """Where the exchange has a limit. The upstream does not wait for the client to take the error."""
    piece = SPEECHES["anthropic"].text[2].replace(b"The tide", b"x" * 65536)

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for frame in SPEECHES["anthropic"].text[:2]:
            await call.send(frame)
        while not call.left.is_set():
            await call.send(piece)

    async def main() -> None:
        settings = {"timeouts": {"total": 0.3}}
        async with upstream(script) as server, gateway(one("anthropic", server.url, settings)) as served:
            connection = await Connection.open(served.url)
            await connection.post(*question("openai-chat"))
            async with asyncio.timeout(3):
                await _until(lambda: bool(server.calls))
                await server.last.left.wait()
            connection.vanish()
            (exchange,) = await served.over()
            assert exchange.error == "timeout"

    in_loop(main)


# The gateway leaves


def test_drained_under_load() -> None:
    """What ends within the limit is whole; the rest ends in an error; what comes late is refused."""

    async def script(call: Call) -> None:
        speech = SPEECHES["anthropic"]
        slow = b"for ever" in call.body
        if b"without a head" in call.body:
            await call.left.wait()
            return
        await call.head(200, {"content-type": STREAM})
        for frame in speech.text[: speech.said]:
            await call.send(frame)
        await (call.left.wait() if slow else asyncio.sleep(0.3))
        for frame in speech.text[speech.said :]:
            await call.send(frame)
        await call.end()

    async def asking(served: Gateway, text: str) -> bytes:
        connection = await Connection.open(served.url)
        path, asked = question("openai-chat")
        asked["messages"][0]["content"] = text
        await connection.post(path, asked, {"connection": "close"})
        data = await connection.reader.read(-1)
        connection.vanish()
        return data

    async def main() -> None:
        async with upstream(script) as server, gateway(one("anthropic", server.url, drain=1.0)) as served:
            texts = ["a while", "for ever", "without a head"] * 10
            running = [asyncio.create_task(asking(served, text)) for text in texts]
            half = await Connection.open(served.url)
            half.writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            await _until(lambda: len(server.calls) == len(texts) and len(served.app.active) == len(texts) + 1)
            draining = asyncio.create_task(served.app.drain())
            await asyncio.sleep(0.05)
            assert b"503" in (await asking(served, "too late"))[:20]
            await draining
            assert not served.app.active
            for text, said in zip(texts, await asyncio.gather(*running), strict=True):
                if text == "a while":
                    assert b"[DONE]" in said and b'"error"' not in said
                elif text == "for ever":
                    assert b"shutting down" in said and b"[DONE]" not in said and said.endswith(b"0\r\n\r\n")
                else:
                    assert b"503" in said[:20] and b"shutting down" in said
            refused = await half.until(b'"request_id"')
            assert b"529" in refused[:20] and b'"type":"error"' in refused
            half.vanish()
            assert len(server.calls) == len(texts)
            assert served.said == []

    in_loop(main)
