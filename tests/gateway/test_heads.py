"""The heads of requests, on real sockets: how long they may be, and how long they may take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .answers import DIALECTS, SPEECHES, question
from .stage import PATIENCE, Connection, Gateway, ask, gateway, in_loop, one
from .upstream import Upstream, stalled, stream, upstream

SOON = 0.2
HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n"
Work = Callable[[Upstream, Gateway], Awaitable[None]]


def alone(work: Work, **limits: Any) -> None:
    async def main() -> None:
        script = stream(*SPEECHES["anthropic"].text)
        async with upstream(script) as server, gateway(one("anthropic", server.url, limits=limits)) as served:
            await work(server, served)
            assert served.app.active == set() and served.said == []

    in_loop(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def closed(connection: Connection) -> bytes:
    """What the gateway says until it closes the connection."""
    async with asyncio.timeout(PATIENCE):
        try:
            said = await connection.reader.read(-1)
        except ConnectionError:
            said = b""
    connection.vanish()
    return said


async def drip(connection: Connection, data: bytes) -> None:
    """Now and then some bytes, as long as anybody takes them."""
    while not connection.writer.is_closing():
        connection.writer.write(data)
        await asyncio.sleep(SOON / 10)


@pytest.mark.parametrize(
    "begun", [b"", b"P", HEAD, HEAD + b"x-long: "], ids=["nothing", "a byte", "headers", "a value"]
)
def test_a_head_that_does_not_come(begun: bytes) -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        began = now()
        connection = await Connection.open(served.url)
        connection.writer.write(begun)
        assert await closed(connection) == b""
        assert now() - began >= SOON * 0.9

    alone(work, header_timeout=SOON)


@pytest.mark.parametrize("piece", [b"x-a: b\r\n", b"y"], ids=["headers", "a value"])
def test_a_head_that_comes_by_and_by(piece: bytes) -> None:
    """However long it may be: every piece is in time, and the whole is not."""

    async def work(_: Upstream, served: Gateway) -> None:
        began = now()
        connection = await Connection.open(served.url)
        connection.writer.write(HEAD)
        dripping = asyncio.create_task(drip(connection, piece))
        await closed(connection)
        await dripping
        assert now() - began >= SOON * 0.9

    alone(work, header_timeout=SOON)


def test_the_next_head_of_a_connection() -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        for _ in range(2):
            await connection.post(*question("anthropic"))
            await connection.until(b"0\r\n\r\n")
        began = now()
        connection.writer.write(HEAD)
        assert await closed(connection) == b""
        assert now() - began >= SOON * 0.9
        assert len(server.calls) == 2

    alone(work, header_timeout=SOON)


def test_what_a_connection_does_between_two_requests_takes_no_time() -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        for _ in range(2):
            await connection.post(*question("anthropic"))
            await connection.until(b"0\r\n\r\n")
            await asyncio.sleep(1.5 * SOON)
        await connection.post(*question("anthropic"))
        await connection.until(b"0\r\n\r\n")
        connection.vanish()
        assert len(server.calls) == 3
        await served.over(3)

    alone(work, header_timeout=SOON)


def test_a_body_may_take_its_time() -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        connection.writer.write(HEAD + b"content-length: 2\r\n\r\n{")
        await asyncio.sleep(1.5 * SOON)
        connection.writer.write(b"}")
        assert b"HTTP/1.1 200" in await connection.until(b"\r\n")
        connection.vanish()
        await served.over()

    alone(work, header_timeout=SOON)


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_upgrade_that_is_offered_is_not_taken(protocol: str, framing: str) -> None:
    """The client of Java's library offers HTTP/2 in every request; its body is to be read all the same.

    https://github.com/Kludex/uvicorn/issues/2722
    """
    data = json.dumps(question("anthropic")[1]).encode()
    body = data if framing == "length" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    lines = [
        b"content-length: %d" % len(data) if framing == "length" else b"transfer-encoding: chunked",
        b"connection: Upgrade, HTTP2-Settings",
        b"upgrade: " + protocol.encode(),
        b"http2-settings: AAMAAABk\r\n\r\n",
    ]
    head = HEAD + b"\r\n".join(lines)

    async def work(server: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        for pieces in ([head + body], [head[:50], head[50:], body[:9], body[9:]]):  # one connection: it goes on
            for piece in pieces:
                connection.writer.write(piece)
                await asyncio.sleep(0.02)
            assert b"message_stop" in await connection.until(b"0\r\n\r\n")
        connection.vanish()
        assert [call.json for call in server.calls] == [json.loads(data)] * 2
        await served.over(2)

    alone(work)


def test_a_stream_outlives_half_a_head_behind_it() -> None:
    """A client that has begun its next request reads the answer to this one to its end."""

    async def work(server: Upstream, served: Gateway) -> None:
        speech = SPEECHES["anthropic"]
        server.script = stream(*speech.text, pause=2 * SOON / len(speech.text))
        connection = await Connection.open(served.url)
        await connection.post(*question("anthropic"))
        await connection.until(b"message_start")
        connection.writer.write(HEAD)
        assert b"message_stop" in await connection.until(b"0\r\n\r\n")
        assert await closed(connection) == b""

    alone(work, header_timeout=SOON)


@pytest.mark.parametrize("piece", [b"x-a: b\r\n" * 1000, b"y" * 10_000], ids=["headers", "a value"])
def test_a_head_without_an_end(piece: bytes) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        connection.writer.write(HEAD + b"x-long: ")
        sent = 0
        while not connection.writer.is_closing() and not connection.reader.at_eof() and sent < 100 * len(piece):
            connection.writer.write(piece)
            sent += len(piece)
            await asyncio.sleep(0.005)
        assert sent < 50 * len(piece)
        said = await closed(connection)
        assert said[:12] in (b"HTTP/1.1 431", b"")  # what is unread resets the connection
        assert server.calls == []

    alone(work, max_headers=20_000)


def test_it_is_told_to_who_listens() -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        connection = await Connection.open(served.url)
        connection.writer.write(HEAD + b"x-long: ")
        await asyncio.sleep(0.05)
        connection.writer.write(b"y" * 30_000)
        said = await closed(connection)
        assert said.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"\r\nconnection: close\r\n" in said and said.endswith(
            b"\r\n\r\nThe headers are longer than 20000 bytes."
        )

    alone(work, max_headers=20_000)


def test_long_bodies_are_no_heads() -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        for client in DIALECTS:
            path, asked = question(client)
            connection = await Connection.open(served.url)
            await connection.post(path, asked | {"metadata": {"long": "x" * 300_000}})
            assert b"HTTP/1.1 " in await connection.until(b"\r\n")
            connection.vanish()
        await served.over(len(DIALECTS))
        assert server.calls

    alone(work, max_headers=20_000)


def test_many_at_once_leave_nothing_behind() -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        connections = [await Connection.open(served.url) for _ in range(200)]
        for connection in connections:
            connection.writer.write(HEAD)
        await asyncio.gather(*(closed(connection) for connection in connections))
        assert (await ask(served, "anthropic")).status == 200

    alone(work, header_timeout=SOON)


def test_it_is_asked_of_nobody_who_is_served() -> None:
    """A long wait for the upstream is no long head."""

    async def work(server: Upstream, served: Gateway) -> None:
        server.script = stalled(head=False)
        connection = await Connection.open(served.url)
        await connection.post(*question("anthropic"))
        await asyncio.sleep(2 * SOON)
        assert len(served.app.active) == 1
        connection.vanish()
        await served.over()

    alone(work, header_timeout=SOON)
