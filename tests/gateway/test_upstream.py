"""The HTTP client, against servers on 127.0.0.1 that send what a test says, byte by byte; in both kinds of event loop."""

from __future__ import annotations

import asyncio
import errno
import gc
import gzip
import random
import socket
import socketserver
import ssl
import warnings
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccproxy.gateway import connection as connections
from ccproxy.gateway import upstream as upstreams
from ccproxy.gateway.config import Timeouts
from ccproxy.gateway.connection import Broken, Connection
from ccproxy.gateway.upstream import HttpClient, Response, UpstreamError

from .certificates import Authority

PATIENCE = 10.0
"""Seconds after which a test has failed."""
SOON = 0.1
LIMITS = Timeouts(connect=5, headers=5)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
ADVICE = "; check that it runs, and its url"
Peer = Callable[["Talk"], Awaitable[None]]
Within = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def within(request: pytest.FixtureRequest) -> Within:
    """Runs a test in an event loop, and sees that it leaves no task behind."""

    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def bounded() -> None:
            failures: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            async with asyncio.timeout(PATIENCE):
                await main()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:
                await asyncio.wait(left, timeout=1)
            assert not [task for task in left if not task.done()]
            assert failures == []

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded())

    return run


class Talk:
    """One connection, as the server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.asked: list[bytes] = []
        """The heads of requests."""
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()

    async def hear(self) -> bool:
        """Wait for a request; whether there was one."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            self.left.set()
            return False
        self.asked.append(head)
        _, _, length = head.partition(b"content-length: ")
        self.bodies.append(await self.reader.readexactly(int(length.split(b"\r\n")[0] or b"0")))
        return True

    async def say(self, *pieces: bytes) -> None:
        """Each in a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        """Wait until the client closes the connection."""
        with suppress(OSError):
            while await self.reader.read(65536):
                pass
        self.left.set()


class Server:
    def __init__(self) -> None:
        self.talks: list[Talk] = []
        self.port = 0
        self.open = 0
        self.secure = False

    @property
    def url(self) -> str:
        return self.named("127.0.0.1")

    def named(self, host: str) -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/v1"


@asynccontextmanager
async def serving(peer: Peer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """In the end every connection must have been closed by somebody."""
    known = Server()
    known.secure = tls is not None

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        known.talks.append(talk)
        known.open += 1
        try:
            with suppress(OSError):  # the client has left
                await peer(talk)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            known.open -= 1

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    known.port = server.sockets[0].getsockname()[1]
    try:
        yield known
        await until(lambda: not known.open)
    finally:
        server.close()


def says(*pieces: bytes, closes: bool = False) -> Peer:
    """The same answer to each request."""

    async def peer(talk: Talk) -> None:
        while await talk.hear():
            await talk.say(*pieces)
            if closes:
                break

    return peer


@asynccontextmanager
async def using() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    try:
        yield client
    finally:
        await client.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE / 2):
        while not true():
            await asyncio.sleep(0.002)


async def post(client: HttpClient, url: str, body: bytes = b"{}", limits: Timeouts = LIMITS) -> Response:
    return await client.open("POST", url, {"content-type": "application/json"}, body, limits)


async def rest(response: Response) -> bytes:
    """What there is to read. Ends the response."""
    pieces: list[bytes] = []
    await collect(response, pieces)
    return b"".join(pieces)


async def collect(response: Response, pieces: list[bytes]) -> None:
    try:
        while data := await response.read():
            pieces.append(data)
        assert response.at_end
    finally:
        response.close()


async def whole(client: HttpClient, url: str) -> bytes:
    return await rest(await post(client, url))


async def fails(client: HttpClient, url: str, limits: Timeouts = LIMITS) -> UpstreamError:
    """Before there is a response."""
    with pytest.raises(UpstreamError) as caught:
        await post(client, url, limits=limits)
    assert "127.0.0.1" not in caught.value.what
    return caught.value


async def breaks(response: Response) -> tuple[bytes, str]:
    """What there is to read before it breaks off, and why."""
    pieces: list[bytes] = []
    with pytest.raises(UpstreamError) as caught:
        await collect(response, pieces)
    assert caught.value.kind == "truncated" and "127.0.0.1" not in caught.value.what
    return b"".join(pieces), caught.value.what


def addresses(*ports: int, family: int = socket.AF_INET) -> list[connections.Address]:
    return [(family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name is this machine's, and is noted."""
    asked: list[str] = []

    async def look_up(host: str, port: int) -> list[connections.Address]:
        asked.append(host)
        await asyncio.sleep(0.01)
        return addresses(port)

    monkeypatch.setattr(upstreams, "_look_up", look_up)
    return asked


# Requests


def test_a_request(within: Within) -> None:
    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            assert await whole(client, server.url) == b"hello"
            response = await client.open("GET", f"{server.url}/models?a=%20b", {"x-a": "é\t\udcff"}, b"", LIMITS)
            assert await rest(response) == b"hello"
            posted, got = server.talks[0].asked
            host = b"host: 127.0.0.1:%d\r\naccept: */*\r\n" % server.port
            json = b"content-type: application/json\r\ncontent-length: 2\r\n\r\n"
            assert posted == b"POST /v1 HTTP/1.1\r\n" + host + json
            assert got == b"GET /v1/models?a=%20b HTTP/1.1\r\n" + host + b"x-a: \xc3\xa9\t\xff\r\n\r\n"
            assert server.talks[0].bodies == [b"{}", b""]

    within(main)


def test_a_long_request(within: Within) -> None:
    async def main() -> None:
        body = random.Random(1).randbytes(5_000_000)
        async with serving(says(HELLO)) as server, using() as client:
            for _ in range(2):
                assert await rest(await post(client, server.url, body)) == b"hello"
            assert server.talks[0].bodies == [body, body]

    within(main)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\0"),
        ("x\r\nb", "c"),
        ("x", "\x7f"),
        ("é", "\x85\x0b"),
        ("x", "\ud800"),
    ],
)
def test_no_header_is_smuggled(within: Within, name: str, value: str) -> None:
    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            with pytest.raises(UpstreamError, match="a header has a control character in it") as caught:
                await client.open("POST", server.url, {name: value}, b"", LIMITS)
            assert not caught.value.again and server.talks == []

    within(main)


@pytest.mark.parametrize("path", ["/a b", "/a\x7fb", "/a\0", "/\x1f", "/a\nb", "/\ud800"])
def test_nor_in_a_path(within: Within, path: str) -> None:
    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            assert (await fails(client, server.url + path)).what == f"can't be reached: its url is none{ADVICE}"
            assert server.talks == []

    within(main)


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://x:y/", "http://x:99999", "http://[::1", "x", "", "http://\ud800@x"]
)
def test_no_url(within: Within, url: str) -> None:
    async def main() -> None:
        async with using() as client:
            assert (await fails(client, url)).what == f"can't be reached: its url is none{ADVICE}"

    within(main)


@pytest.mark.parametrize(
    ("host", "asked", "header"),
    [
        ("bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("[::1]", "::1", "[::1]"),
        ("[fe80::1%25Eth0]", "fe80::1%Eth0", "[fe80::1]"),
        ("[fe80::1%eth0]", "fe80::1%eth0", "[fe80::1]"),
        ("Some.Example.", "some.example.", "some.example"),
        ("me:s%40crets@some.example", "some.example", "some.example"),
    ],
)
def test_hosts(within: Within, looked_up: list[str], host: str, asked: str, header: str) -> None:
    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            response = await client.open("GET", server.named(host) + "/é?é#no", {}, b"", LIMITS)
            assert await rest(response) == b"hello" and looked_up == [asked]
            lines = server.talks[0].asked[0].decode().split("\r\n")
            assert lines[0] == "GET /v1/%C3%A9?%C3%A9 HTTP/1.1"
            assert f"host: {header}:{server.port}" in lines
            given = [line for line in lines if line.startswith("authorization")]
            assert given == (["authorization: Basic bWU6c0BjcmV0cw=="] if "@" in host else [])

    within(main)


@pytest.mark.parametrize("host", ["straße.example", "a" * 64 + "é.example"])
def test_hosts_that_are_none(within: Within, looked_up: list[str], host: str) -> None:
    async def main() -> None:
        async with using() as client:
            assert (await fails(client, f"http://{host}/")).what.startswith("can't be reached: its host name is not")
            assert looked_up == []

    within(main)


@pytest.mark.parametrize("host", ["a..example", ".example", "a" * 64 + ".example"])
def test_names_with_parts_that_are_none(within: Within, host: str) -> None:
    """The system is not even asked."""

    async def main() -> None:
        async with using() as client:
            for _ in range(2):
                failed = await fails(client, f"https://{host}/")
                assert failed.what == f"can't be reached: its host name is not known{ADVICE}"

    within(main)


def test_the_environment_names_no_proxy(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            assert await whole(client, server.url) == b"hello"

    within(main)


def test_no_cookies_and_no_redirects(within: Within) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 307 No\r\nset-cookie: a=b\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
        async with serving(says(answer)) as server, using() as client:
            for _ in range(2):
                response = await post(client, server.url)
                assert response.status == 307 and response.headers["location"] == "/elsewhere" and response.at_end
                response.close()
            assert [b"cookie" in head for head in server.talks[0].asked] == [False, False]

    within(main)


# Answers

ANSWERS = {
    "length": (HELLO, False),
    "length, and as long as it lasts": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        True,
    ),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nx-trailer: 1\r\n\r\n", False),
    "until it closes": (b"HTTP/1.1 200 OK\r\n\r\nhello", True),
    "in a coding, until it closes": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: x\r\n\r\nhello", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", True),
    "HTTP/1.0, kept": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello", False),
    "lone line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", False),
    "after others": (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + HELLO, False),
}


@pytest.mark.parametrize("single", [False, True], ids=["at once", "single bytes"])
@pytest.mark.parametrize(("answer", "closes"), ANSWERS.values(), ids=ANSWERS)
def test_answers(within: Within, answer: bytes, closes: bool, single: bool) -> None:
    async def main() -> None:
        pieces = [answer[at : at + 1] for at in range(len(answer))] if single else [answer]
        async with serving(says(*pieces, closes=closes)) as server, using() as client:
            for _ in range(2):
                response = await post(client, server.url)
                assert response.status == 200 and "link" not in response.headers
                assert await rest(response) == b"hello" and "x-trailer" not in response.headers
                assert await response.read() == b""
            assert len(server.talks) == (2 if closes else 1)

    within(main)


@pytest.mark.parametrize(
    "head", ["204 No\r\ncontent-length: 5", "304 No\r\ncontent-length: 5", "200 OK\r\ncontent-length: 0"]
)
def test_nothing_to_read(within: Within, head: str) -> None:
    async def main() -> None:
        async with serving(says(f"HTTP/1.1 {head}\r\n\r\n".encode())) as server, using() as client:
            for _ in range(2):
                response = await post(client, server.url)
                assert response.at_end and await response.read() == b""
                response.close()
            assert len(server.talks) == 1

    within(main)


def test_another_protocol(within: Within) -> None:
    """It is offered by nobody, and ends the connection."""

    async def main() -> None:
        answer = b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nwhat?"
        async with serving(says(answer)) as server, using() as client:
            response = await post(client, server.url)
            assert response.status == 101 and await rest(response) == b""
            await server.talks[0].left.wait()

    within(main)


def test_headers(within: Within) -> None:
    """Spaces around a value are not of it; of several the last counts."""

    async def main() -> None:
        lines = "X-A: 1\r\nx-a:  2 \t\r\nX-Empty:\r\nx-utf: é\r\nContent-Length: 0".encode() + b"\r\nx-bytes: \xff"
        async with serving(says(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n")) as server, using() as client:
            response = await post(client, server.url)
            named = {"x-a": "2", "x-empty": "", "x-utf": "é", "content-length": "0", "x-bytes": "\udcff"}
            assert response.headers == named
            response.close()

    within(main)


def test_the_end_is_known_with_the_last_bytes(within: Within) -> None:
    async def main() -> None:
        on = asyncio.Event()

        async def peer(talk: Talk) -> None:
            await talk.hear()
            await talk.say(CHUNKED + b"2\r\nhe\r\n")
            await on.wait()
            await talk.say(b"3\r\nllo\r\n0\r\n\r\n")
            await talk.leave()

        async with serving(peer) as server, using() as client:
            response = await post(client, server.url)
            assert await response.read() == b"he" and not response.at_end
            on.set()
            assert await response.read() == b"llo" and response.at_end
            response.close()

    within(main)


def test_one_read_gives_all_that_has_arrived(within: Within) -> None:
    async def main() -> None:
        async with serving(says(CHUNKED, *[b"1\r\nx\r\n"] * 50)) as server, using() as client:
            response = await post(client, server.url)
            await asyncio.sleep(0.5)
            assert await response.read() == b"x" * 50
            response.close()

    within(main)


# Kept connections


def test_connections_are_not_limited_and_are_kept(within: Within) -> None:
    async def main() -> None:
        async with serving(says(CHUNKED + b"1\r\nx\r\n", b"0\r\n\r\n")) as server, using() as client:
            for _ in range(2):
                responses = await asyncio.gather(*(post(client, server.url) for _ in range(150)))
                assert len(server.talks) == 150
                assert await asyncio.gather(*map(rest, responses)) == [b"x"] * 150

    within(main)


def test_each_origin_has_its_own(within: Within, looked_up: list[str]) -> None:
    async def main() -> None:
        async with serving(says(HELLO)) as one, serving(says(HELLO)) as other, using() as client:
            for server in (one, other, one, other):
                await whole(client, server.url)
            await whole(client, one.named("localhost"))
            assert (len(one.talks), len(other.talks)) == (2, 1)
            assert looked_up == ["127.0.0.1", "127.0.0.1", "localhost"]

    within(main)


def test_a_name_is_looked_up_once(within: Within, looked_up: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For all that ask within a minute; anew where nobody answered."""

    async def main() -> None:
        async with serving(says(HELLO, closes=True)) as server, using() as client:
            await asyncio.gather(*(whole(client, server.url) for _ in range(5)))
            await whole(client, server.url)
            assert len(looked_up) == 1
            monkeypatch.setattr(upstreams, "_KNOWN", 0.0)
            await fails(client, "http://127.0.0.1:1")
            await fails(client, "http://127.0.0.1:1")
            assert len(looked_up) == 3

    within(main)


def test_a_lookup_that_takes_too_long(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts another, and it may fail when all have left."""
    asked: list[str] = []

    async def main() -> None:
        on = asyncio.Event()

        async def look_up(host: str, port: int) -> list[connections.Address]:
            asked.append(host)
            await on.wait()
            raise socket.gaierror(-3, "try again")

        monkeypatch.setattr(upstreams, "_look_up", look_up)
        monkeypatch.setattr(upstreams, "_KNOWN", 0.0)
        async with using() as client:
            for _ in range(3):
                assert (await fails(client, "http://some.example", Timeouts(connect=0.02))).kind == "timeout"
            assert asked == ["some.example"]
            on.set()
            await asyncio.sleep(0.01)
        gc.collect()
        await asyncio.sleep(0)

    within(main)


def test_a_connection_is_not_kept_for_ever(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_KEPT", 3 * SOON)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(says(HELLO)) as server, using() as client:
            for _ in range(5):
                await whole(client, server.url)
                last = loop.time()
                await asyncio.sleep(SOON)
            assert len(server.talks) == 1
            await server.talks[0].left.wait()
            assert loop.time() - last >= 3 * SOON - 0.02
            await whole(client, server.url)
            assert len(server.talks) == 2

    within(main)


def test_no_time_runs_out_in_an_answer(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_KEPT", SOON)

    async def main() -> None:
        async def peer(talk: Talk) -> None:
            while await talk.hear():
                await talk.say(CHUNKED)
                await asyncio.sleep(2 * SOON)
                await talk.say(b"1\r\nx\r\n0\r\n\r\n")

        async with serving(peer) as server, using() as client:
            assert [await whole(client, server.url) for _ in range(2)] == [b"x", b"x"]
            assert len(server.talks) == 1
            await server.talks[0].left.wait()

    within(main)


@pytest.mark.parametrize(
    "unasked", [b"", b"\r\n", HELLO, b"HTTP/1.1 408 Bye\r\n\r\n"], ids=["bye", "blank", "more", "408"]
)
def test_what_the_server_closed_or_said_unasked_is_not_used(within: Within, unasked: bytes) -> None:
    async def main() -> None:
        async def peer(talk: Talk) -> None:
            if await talk.hear():
                await talk.say(HELLO)
                await asyncio.sleep(0.03)
                if unasked:
                    await talk.say(unasked)
                    await talk.leave()

        async with serving(peer) as server, using() as client:
            for _ in range(2):
                assert await whole(client, server.url) == b"hello"
                await until(lambda: not server.open)
            assert len(server.talks) == 2

    within(main)


def test_a_close_that_comes_with_the_last_byte(within: Within) -> None:
    """It is there when the next request is to be sent, and the loop hasn't read it yet."""

    async def main() -> None:
        async def answers(listening: socket.socket) -> None:
            loop = asyncio.get_running_loop()
            while True:
                sock, _ = await loop.sock_accept(listening)
                with sock:
                    await loop.sock_recv(sock, 65536)
                    sock.send(HELLO)

        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            answering = asyncio.create_task(answers(listening))
            async with using() as client:
                for _ in range(20):
                    assert await whole(client, f"http://127.0.0.1:{listening.getsockname()[1]}/") == b"hello"
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    within(main)


@pytest.mark.parametrize(
    "extra", [b"!", b"hello", HELLO, b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"]
)
def test_an_answer_ends_where_it_ends(within: Within, extra: bytes) -> None:
    """And what comes with it is in no answer."""

    async def main() -> None:
        async with serving(says(HELLO + extra)) as server, using() as client:
            for _ in range(2):
                assert await whole(client, server.url) == b"hello"
            assert len(server.talks) == 2

    within(main)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_an_answer_before_the_end_of_the_request(within: Within, trusted: Authority, secure: bool) -> None:
    """The connection can't be used for another."""

    async def main() -> None:
        async def peer(talk: Talk) -> None:
            with suppress(OSError):
                await talk.reader.readuntil(b"\r\n\r\n")
                await talk.say(HELLO)
                await asyncio.sleep(2 * SOON)
            await talk.leave()

        async with serving(peer, trusted.server("127.0.0.1") if secure else None) as server, using() as client:
            for _ in range(2):
                assert await rest(await post(client, server.url, b"x" * 20_000_000)) == b"hello"
            assert len(server.talks) == 2

    within(main)


@pytest.mark.parametrize("said", [b"", CHUNKED + b"5\r\nhello\r\n"], ids=["nothing", "half an answer"])
def test_a_server_that_neither_reads_nor_says_more(within: Within, said: bytes) -> None:
    """The end of what it says is the end, though not all of the request has been sent."""

    async def main() -> None:
        on = asyncio.Event()

        async def peer(talk: Talk) -> None:
            await talk.reader.readuntil(b"\r\n\r\n")
            await talk.say(said)
            talk.writer.write_eof()
            await on.wait()

        async with serving(peer) as server, using() as client:
            async with asyncio.timeout(LIMITS.headers / 2):
                with pytest.raises(UpstreamError, match="it closed the connection"):
                    await rest(await post(client, server.url, b"x" * 20_000_000))
            on.set()

    within(main)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 2"], ids=["nothing", "half a head"])
def test_a_kept_connection_that_breaks(within: Within, begun: bytes) -> None:
    """It may have taken the request: what only reads is asked for again, the rest is for the caller to try."""

    async def main() -> None:
        async def peer(talk: Talk) -> None:
            await talk.hear()
            await talk.say(HELLO)
            await talk.hear()
            await talk.say(begun)

        async with serving(peer) as server, using() as client:
            await whole(client, server.url)
            failed = await fails(client, server.url)
            why = "can't be reached: it closed the connection without an answer"
            assert (failed.kind, failed.what, failed.again) == ("internal", why + ADVICE, True)
            assert [len(talk.asked) for talk in server.talks] == [2]
            await whole(client, server.url)
            assert await rest(await client.open("GET", server.url, {}, b"", LIMITS)) == b"hello"
            assert [len(talk.asked) for talk in server.talks] == [2, 2, 1]

    within(main)


# How connections come to be


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket | str]:
    """Ports below ten do not answer, those below twenty refuse. What became of the others."""
    made: list[socket.socket | str] = []

    async def connected(address: connections.Address) -> socket.socket:
        port = address[4][1]
        if port < 10:
            try:
                await asyncio.Event().wait()
            finally:
                made.append("given up")
        if port < 20:
            raise ConnectionRefusedError(port, "127.0.0.1")
        await asyncio.sleep((port - 20) / 100)
        made.append(socket.socket())
        return made[-1]

    monkeypatch.setattr(connections, "_connected", connected)
    return made


@pytest.mark.parametrize(
    ("ports", "least"),
    [((20,), 0.0), ((1, 20), 0.25), ((1, 2, 20), 0.5), ((11, 20), 0.0), ((11, 1, 12, 20), 0.25), ((1, 11, 20), 0.25)],
)
def test_the_first_address_that_answers(
    within: Within, attempts: list[Any], ports: tuple[int, ...], least: float
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        sock = await connections.reach(addresses(*ports))
        assert least - 0.01 <= loop.time() - began < least + 0.2
        await asyncio.sleep(0.01)
        assert attempts == [sock] + ["given up"] * sum(port < 10 for port in ports)
        sock.close()

    within(main)


def test_families_take_turns(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    async def connected(address: connections.Address) -> socket.socket:
        tried.append(address[4][1])
        raise ConnectionRefusedError(111, "127.0.0.1")

    monkeypatch.setattr(connections, "_connected", connected)

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await connections.reach([*addresses(1, 2, 3, family=socket.AF_INET6), *addresses(4, 5)])
        assert tried == [1, 4, 2, 5, 3]

    within(main)


def test_a_zone_is_kept(within: Within) -> None:
    """An address of a link means nothing to the system without it."""

    async def main() -> None:
        with pytest.raises(OSError, match=rf"^\[Errno (?!{errno.EINVAL}\])"):
            await connections.reach([(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 1, 0, 1))])

    within(main)


def test_nobody_answers(within: Within, attempts: list[Any]) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError) as caught:
            await connections.reach(addresses(12, 11, 13))
        assert caught.value.errno == 12

    within(main)


def test_of_two_that_answer_one_is_closed(within: Within, attempts: list[Any]) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await connections.reach(addresses(90, 90))
        await asyncio.sleep(0.01)
        assert attempts == []
        sock = await connections.reach(addresses(55, 30))  # both within a moment
        await asyncio.sleep(0.05)
        assert [made.fileno() for made in attempts if made is not sock] in ([], [-1])
        sock.close()

    within(main)


def test_no_connection_in_time(within: Within, attempts: list[Any], looked_up: list[str]) -> None:
    async def main() -> None:
        async with using() as client:
            for limits in (Timeouts(connect=SOON), Timeouts(connect=0, headers=SOON)):
                failed = await fails(client, "http://127.0.0.1:1", limits)
                what = f"can't be reached: no connection within 0.1 s{ADVICE}"
                assert (failed.kind, failed.what, failed.again) == ("timeout", what, True)
            await asyncio.sleep(0.01)
            assert attempts == ["given up"] * 2

    within(main)


def test_the_system_gives_up(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connected(_: connections.Address) -> socket.socket:
        raise TimeoutError(110, "Connect call failed ('127.0.0.1', 1)")

    monkeypatch.setattr(connections, "_connected", connected)

    async def main() -> None:
        async with using() as client:
            failed = await fails(client, "http://127.0.0.1:1")
            assert (failed.kind, failed.what) == ("internal", f"can't be reached: connection timed out{ADVICE}")

    within(main)


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    return authority


@pytest.mark.parametrize(("answer", "closes"), ANSWERS.values(), ids=ANSWERS)
def test_tls(within: Within, trusted: Authority, answer: bytes, closes: bool) -> None:
    async def main() -> None:
        async with serving(says(answer, closes=closes), trusted.server("127.0.0.1")) as server, using() as client:
            for _ in range(2):
                assert await whole(client, server.url) == b"hello"
            assert len(server.talks) == (2 if closes else 1)

    within(main)


@pytest.mark.parametrize(
    ("answer", "is_whole"),
    [(b"HTTP/1.1 200 OK\r\n\r\nhello", False), (HELLO, True), (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", True)],
    ids=["until it closes", "length", "chunks"],
)
def test_tls_that_ends_without_saying_so(within: Within, trusted: Authority, answer: bytes, is_whole: bool) -> None:
    """Anybody on the way may have ended it: it ends no answer (RFC 9112, 9.8)."""

    async def main() -> None:
        async def peer(talk: Talk) -> None:
            await talk.hear()
            await talk.say(answer, b"")
            talk.writer.transport.abort()

        async with serving(peer, trusted.server("127.0.0.1")) as server, using() as client:
            response = await post(client, server.url)
            if is_whole:
                assert await rest(response) == b"hello"
            else:
                assert await breaks(response) == (b"hello", "broke off: it closed the connection")

    within(main)


def test_names_are_checked(within: Within, trusted: Authority, looked_up: list[str]) -> None:
    async def main() -> None:
        tls = trusted.server("some.example", "xn--bcher-kva.example")
        async with serving(says(HELLO), tls) as server, using() as client:
            for host in ("some.example", "some.example.", "bücher.example"):
                assert await whole(client, server.named(host)) == b"hello"
            for host in ("127.0.0.1", "another.example", "[::1]"):
                failed = await fails(client, server.named(host))
                assert (
                    failed.what == f"can't be reached: its certificate is not accepted: it is for another host{ADVICE}"
                )
                assert failed.kind == "internal"

    within(main)


@pytest.mark.parametrize(
    ("environment", "days", "why"),
    [
        ({"SSL_CERT_FILE": "/dev/null"}, 1, "unable to get local issuer certificate"),
        ({}, -1, "certificate has expired"),
    ],
)
def test_no_certificate(
    within: Within,
    trusted: Authority,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    days: int,
    why: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        async with serving(says(HELLO), trusted.server("127.0.0.1", days=days)) as server, using() as client:
            failed = await fails(client, server.url)
            assert failed.what == f"can't be reached: its certificate is not accepted: {why}{ADVICE}"

    within(main)


def test_a_server_that_does_not_shake_hands(within: Within, trusted: Authority) -> None:
    async def main() -> None:
        async def plain(talk: Talk) -> None:
            await talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async def closes(talk: Talk) -> None:
            await talk.reader.read(1)

        async def stalls(talk: Talk) -> None:
            await talk.leave()

        for peer, kind, why in [
            (plain, "internal", "no TLS connection ("),
            (closes, "internal", ""),
            (stalls, "timeout", "no connection within 0.2 s"),
        ]:
            async with serving(peer) as server, using() as client:
                server.secure = True
                failed = await fails(client, server.url, Timeouts(connect=0.2 if peer is stalls else 5))
                assert failed.kind == kind and f"can't be reached: {why}" in failed.what and failed.again

    within(main)


# Time-outs, cancellation, ends


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nx: y"], ids=["nothing", "half a head"])
def test_no_head_in_time(within: Within, begun: bytes) -> None:
    async def main() -> None:
        async with serving(says(begun)) as server, using() as client:
            failed = await fails(client, server.url, Timeouts(headers=SOON))
            what = "has not begun to answer within 0.1 s"
            assert (failed.kind, failed.what, failed.again) == ("timeout", what, False)
            await server.talks[0].left.wait()

    within(main)


def test_a_head_in_time(within: Within) -> None:
    """The time is that of the head alone."""

    async def main() -> None:
        async def peer(talk: Talk) -> None:
            while await talk.hear():
                await talk.say(CHUNKED)
                await asyncio.sleep(2 * SOON)
                await talk.say(b"1\r\nx\r\n0\r\n\r\n")

        async with serving(peer) as server, using() as client:
            for limits in (Timeouts(headers=SOON), Timeouts(headers=0, connect=0)):
                assert await rest(await post(client, server.url, limits=limits)) == b"x"

    within(main)


PHASES = {
    "without a head": [],
    "in a head": [CHUNKED[:30]],
    "before the body": [CHUNKED],
    "in the body": [CHUNKED, b"5\r\nhello\r\n"],
    "in a chunk": [CHUNKED, b"5\r\nhe"],
}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("pieces", PHASES.values(), ids=PHASES)
def test_cancelled(within: Within, trusted: Authority, pieces: list[bytes], secure: bool) -> None:
    async def main() -> None:
        tls = trusted.server("127.0.0.1") if secure else None
        async with serving(says(*pieces), tls) as server, using() as client:
            asking = asyncio.create_task(whole(client, server.url))
            await until(lambda: bool(server.talks and server.talks[0].asked))
            await asyncio.sleep(SOON / 2)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await server.talks[0].left.wait()
            assert not client._connections and not any(client._idle.values())

    within(main)


@pytest.mark.parametrize("steps", range(12))
def test_cancelled_at_any_step(within: Within, trusted: Authority, steps: int) -> None:
    async def main() -> None:
        async with serving(says(HELLO), trusted.server("127.0.0.1")) as server, using() as client:
            asking = asyncio.create_task(whole(client, server.url))
            for _ in range(steps):
                await asyncio.sleep(0)
            if steps > 8:
                await asyncio.sleep((steps - 8) / 1000)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            await until(lambda: len(client._connections) == sum(map(len, client._idle.values())))
            await asyncio.sleep(SOON / 2)  # the server may not have known of the connection yet

    within(main)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("pieces", [PHASES[name] for name in list(PHASES)[2:]], ids=list(PHASES)[2:])
def test_closed_at_once(within: Within, trusted: Authority, pieces: list[bytes], secure: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(says(*pieces), trusted.server("127.0.0.1") if secure else None) as server, using() as client:
            response = await post(client, server.url)
            await asyncio.sleep(SOON / 2)
            began = loop.time()
            response.close()
            response.close()
            await server.talks[0].left.wait()
            assert loop.time() - began < SOON and await response.read() == b""

    within(main)


def test_closed_unread(within: Within) -> None:
    """The whole answer is there, and nobody has read it."""

    async def main() -> None:
        async with serving(says(HELLO)) as server, using() as client:
            response = await post(client, server.url)
            await asyncio.sleep(SOON / 2)
            assert not response.at_end
            response.close()
            await server.talks[0].left.wait()

    within(main)


def test_closed_twice(within: Within) -> None:
    """The second time it is another's connection."""

    async def main() -> None:
        async with serving(says(CHUNKED + b"1\r\nx\r\n0\r\n\r\n")) as server, using() as client:
            first = await post(client, server.url)
            assert await first.read() == b"x" and first.at_end
            second = await post(client, server.url)
            first.close()
            assert await first.read() == b"" and first.at_end
            assert await rest(second) == b"x" and len(server.talks) == 1

    within(main)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_the_client_is_closed(within: Within, trusted: Authority, secure: bool) -> None:
    """With its connections, also those in use; it can be used again."""

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\n\r\nhe"
        async with serving(says(head), trusted.server("127.0.0.1") if secure else None) as server, using() as client:
            for _ in range(2):
                response = await post(client, server.url)
                assert await response.read() == b"he"
                await client.close()
                assert (await breaks(response))[1] == "broke off: it closed the connection"
                await until(lambda: not server.open)

    within(main)


# Nonsense


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "it closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n", "it closed the connection without an answer"),
        (b"HTTP/1.1 100 Go on\r\n\r\n", "it closed the connection without an answer"),
        (b"\x16\x03\x01 SSH-2.0 what\r\n\r\n", "what it says is no HTTP (Expected HTTP/, RTSP/ or ICE/)"),
        (b"<html>hello</html>", "what it says is no HTTP (Expected HTTP/, RTSP/ or ICE/)"),
        (b"HTTP/2 200 OK\r\n\r\n", "what it says is no HTTP (Expected dot)"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "what it says is no HTTP (Invalid status code)"),
        (b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n", "what it says is no HTTP (status 0)"),
        (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", "what it says is no HTTP (status 99)"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "what it says is no HTTP (Invalid header token)"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "what it says is no HTTP (Invalid character in Content-Length)",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "what it says is no HTTP (Duplicate"),
        (CHUNKED[:-2] + b"content-length: 1\r\n\r\n", "what it says is no HTTP (Content-Length can't be present"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", "its headers are too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "its headers are too long"),
        (b"HTTP/1.1 200 " + b"y" * 70_000, "its headers are too long"),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 5000, "its headers are too long"),
    ],
)
def test_no_answer(within: Within, said: bytes, why: str) -> None:
    async def main() -> None:
        async with serving(says(said, closes=True)) as server, using() as client:
            failed = await fails(client, server.url)
            assert failed.what.startswith(f"can't be reached: {why}") and failed.what.endswith(ADVICE)
            assert (failed.kind, failed.again) == ("internal", True)

    within(main)


def test_many_headers_in_one_read() -> None:
    async def main() -> None:
        connection, transport, asking = await begun()
        lines = b"".join(b"x-%d: yyyy\r\n" % number for number in range(8000))
        connection.data_received(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 5\r\n\r\nhello")
        with pytest.raises(Broken, match="its headers are too long"):
            await asking
        assert transport.closed

    asyncio.run(main())


def test_long_headers(within: Within) -> None:
    async def main() -> None:
        async with (
            serving(says(HELLO[:17] + b"x: " + b"y" * 60_000 + b"\r\n" + HELLO[17:])) as server,
            using() as client,
        ):
            response = await post(client, server.url)
            assert len(response.headers["x"]) == 60_000 and await rest(response) == b"hello"

    within(main)


@pytest.mark.parametrize(
    ("said", "read", "why"),
    [
        (HELLO[:-1], b"hell", "it closed the connection"),
        (CHUNKED + b"5\r\nhel", b"hel", "it closed the connection"),
        (CHUNKED + b"5\r\nhello\r\n", b"hello", "it closed the connection"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", b"hello", "it closed the connection"),
        (CHUNKED + b"5\r\nhello\r\nzz\r\n", b"hello", "what it says is no HTTP (Invalid character in chunk size)"),
        (CHUNKED + b"-1\r\nhello", b"", "what it says is no HTTP (Invalid character in chunk size)"),
        (CHUNKED + b"5\r\nhello!\r\n", b"hello", "what it says is no HTTP (Expected LF after chunk data)"),
        (CHUNKED + b"f" * 20 + b"\r\n", b"", "what it says is no HTTP (Chunk size overflow)"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nx: " + b"y" * 900_000, b"hello", "its headers are too long"),
        (CHUNKED + b"5;" + b"y" * 90_000, b"", "its headers are too long"),
    ],
)
def test_an_answer_that_breaks_off(within: Within, said: bytes, read: bytes, why: str) -> None:
    async def main() -> None:
        async with serving(says(said, closes=True)) as server, using() as client:
            got, failed = await breaks(await post(client, server.url))
            assert got == read and failed.startswith(f"broke off: {why}")
            await until(lambda: not client._connections)

    within(main)


def test_a_reset(within: Within) -> None:
    async def main() -> None:
        async def peer(talk: Talk) -> None:
            await talk.hear()
            await talk.say(CHUNKED + b"5\r\nhello\r\n", b"")
            sock = talk.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            talk.writer.transport.abort()

        async with serving(peer) as server, using() as client:
            response = await post(client, server.url)
            assert await breaks(response) == (b"hello", "broke off: connection reset by peer")

    within(main)


# Compressed answers

TEXT = b"".join(b"data: %d\n\n" % number for number in range(3000))


def packed(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


COMPRESSED = {
    "gzip": ("gzip", packed(TEXT)),
    "x-gzip": ("X-GZIP ", packed(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without its head": ("deflate", raw_deflate(TEXT)),
    "two of gzip": ("gzip", packed(TEXT[:1000]) + packed(TEXT[1000:])),
    "identity": ("identity", TEXT),
    "a charset": ("utf-8", TEXT),
}


def answer(coding: str, data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        coding.encode(),
        len(data),
        data,
    )


@pytest.mark.parametrize("size", [7, 1 << 20], ids=["a few bytes", "at once"])
@pytest.mark.parametrize(("coding", "data"), COMPRESSED.values(), ids=COMPRESSED)
def test_compressed(within: Within, coding: str, data: bytes, size: int) -> None:
    async def main() -> None:
        async def peer(talk: Talk) -> None:
            said = answer(coding, data)
            while await talk.hear():
                for at in range(0, len(said), size):
                    talk.writer.write(said[at : at + size])
                    await asyncio.sleep(0)

        async with serving(peer) as server, using() as client:
            for _ in range(2):
                assert await whole(client, server.url) == TEXT
            assert len(server.talks) == 1

    within(main)


def test_compressed_words_are_not_held(within: Within) -> None:
    async def main() -> None:
        on = asyncio.Event()

        async def peer(talk: Talk) -> None:
            await talk.hear()
            made = zlib.compressobj(wbits=31)
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
            for word in (b"one", b"two"):
                await talk.say(made.compress(word) + made.flush(zlib.Z_SYNC_FLUSH))
                await on.wait()
            await talk.say(made.flush())

        async with serving(peer) as server, using() as client:
            response = await post(client, server.url)
            assert await response.read() == b"one" and not response.at_end
            on.set()
            assert await rest(response) == b"two"

    within(main)


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1, 512 * 1024, 64 * 1024 * 1024])
def test_what_grows_is_given_piece_by_piece(within: Within, size: int) -> None:
    async def main() -> None:
        async with serving(says(answer("gzip", packed(bytes(size), 9)))) as server, using() as client:
            response = await post(client, server.url)
            got = 0
            while data := await response.read():
                assert len(data) <= 256 * 1024 and not (response.at_end and got + len(data) < size)
                got += len(data)
            assert got == size and response.at_end
            response.close()

    within(main)


@pytest.mark.parametrize(
    ("coding", "data", "why"),
    [
        ("gzip", b"not gzip", "what it says is no gzip"),
        ("gzip", packed(TEXT)[:50] + b"x" * 50, "what it says is no gzip"),
        ("gzip", packed(TEXT)[:-9], "its compressed data have no end"),
        ("gzip", packed(TEXT) + b"what?", "what it says is no gzip"),
        ("deflate", zlib.compress(TEXT)[:-9], "its compressed data have no end"),
        ("deflate", b"\xff\xff\xff", "what it says is no deflate"),
    ],
    ids=["none", "broken", "cut", "more", "deflate, cut", "no deflate"],
)
def test_compressed_nonsense(within: Within, coding: str, data: bytes, why: str) -> None:
    async def main() -> None:
        async with serving(says(answer(coding, data))) as server, using() as client:
            assert (await breaks(await post(client, server.url)))[1] == f"broke off: {why}"

    within(main)


def test_nothing_compressed_many_times(within: Within) -> None:
    """Others have their turn meanwhile."""

    async def main() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with serving(says(answer("gzip", packed(b"") * 3000 + packed(b"hello")))) as server, using() as client:
            response = await post(client, server.url)
            await asyncio.sleep(SOON / 2)
            other = asyncio.create_task(others())
            assert await rest(response) == b"hello"
            other.cancel()
            assert turns >= 3000

    within(main)


def test_nothing_compressed(within: Within) -> None:
    async def main() -> None:
        async with serving(says(answer("gzip", b""))) as server, using() as client:
            response = await post(client, server.url)
            assert response.at_end and await rest(response) == b""

    within(main)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress"])
def test_another_coding(within: Within, coding: str) -> None:
    async def main() -> None:
        async with serving(says(answer(coding, b"?"))) as server, using() as client:
            failed = await fails(client, server.url)
            what = "has compressed its answer in a way that nobody asked for"
            assert (failed.kind, failed.what, failed.again) == ("protocol", what, False)
            await server.talks[0].left.wait()

    within(main)


class _Greets(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            if line == b"\r\n":
                self.wfile.write(HELLO)


def test_one_loop_after_another() -> None:
    client = HttpClient()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Greets) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        async def main() -> None:
            for _ in range(2):
                response = await client.open("GET", f"http://127.0.0.1:{server.server_address[1]}/", {}, b"", LIMITS)
                assert await rest(response) == b"hello"

        asyncio.run(main())
        asyncio.run(main())
        asyncio.run(client.close())
        server.shutdown()
        thread.join(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # a loop that is closed leaves its connections to the collector
        client.__dict__.clear()
        gc.collect()


# Slow readers


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("compressed", [False, True], ids=["as it is", "compressed"])
def test_nobody_reads(within: Within, trusted: Authority, compressed: bool, secure: bool) -> None:
    """The sender is made to wait, and goes on as soon as somebody reads."""
    data = random.Random(1).randbytes(24 * 1024 * 1024)
    said = answer("gzip", packed(data, 0)) if compressed else answer("identity", data)

    async def main() -> None:
        sent = 0

        async def peer(talk: Talk) -> None:
            nonlocal sent
            while await talk.hear():
                for at in range(0, len(said), 65536):
                    await talk.say(said[at : at + 65536])
                    sent += 65536

        async with serving(peer, trusted.server("127.0.0.1") if secure else None) as server, using() as client:
            response = await post(client, server.url)
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(SOON)
            (connection,) = client._connections
            assert sent < len(said) / 2
            assert connection._held < 256 * 1024 + 300_000
            got = await response.read()
            assert len(got) <= 256 * 1024 + 300_000
            assert got + await rest(response) == data
            assert await whole(client, server.url) == data and len(server.talks) == 1

    within(main)


def test_an_end_that_nobody_reads(within: Within) -> None:
    """More than is held has come, and the server has gone."""

    async def main() -> None:
        data = bytes(400_000)
        async with serving(says(b"HTTP/1.1 200 OK\r\n\r\n" + data, closes=True)) as server, using() as client:
            response = await post(client, server.url)
            await asyncio.sleep(SOON)
            assert await rest(response) == data

    within(main)


# However an answer is cut into reads


class Wire(asyncio.Transport):
    """In the place of a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


async def begun() -> tuple[Connection, Wire, asyncio.Task[None]]:
    """A connection that has been asked."""
    with socket.socket() as sock:
        connection = Connection(sock, {}, set())
    wire = Wire()
    connection.connection_made(wire)
    asking = asyncio.create_task(connection.ask(b"?", 0))
    await asyncio.sleep(0)
    return connection, wire, asking


def test_a_connection_that_was_lost_before_it_was_asked() -> None:
    async def main() -> None:
        with socket.socket() as sock:
            connection = Connection(sock, {}, set())
        connection.connection_made(Wire())
        connection.connection_lost(None)
        with pytest.raises(Broken, match="it closed the connection without an answer"):
            await connection.ask(b"?", 0)

    asyncio.run(main())


def test_tls_breaks() -> None:
    """Its errors have numbers, too, which are not the system's."""

    async def main() -> None:
        connection, _, asking = await begun()
        connection.data_received(CHUNKED)
        await asking
        connection.connection_lost(ssl.SSLError(1, "[SSL] what?"))
        with pytest.raises(Broken, match=r"what it says is no TLS \(SSLError\)"):
            await connection.read()

    asyncio.run(main())


@pytest.mark.parametrize("said", [HELLO + b"!", HELLO + HELLO, b"<html>", None], ids=["more", "two", "none", "end"])
def test_a_transport_is_not_ended_while_it_calls(said: bytes | None) -> None:
    """TLS of asyncio fails then, where what was read has waited."""

    async def main() -> None:
        connection, wire, asking = await begun()
        if said is None:
            connection.eof_received()
        else:
            connection.data_received(said)
        assert not wire.closed
        await asyncio.sleep(0)
        assert wire.closed
        connection.connection_lost(None)
        with suppress(Broken):
            await asking

    asyncio.run(main())


async def heard(reads: list[bytes]) -> tuple[Any, ...]:
    """What is known after so many reads, and the end."""
    connection, wire, asking = await begun()
    for data in reads:
        if not wire.closed:
            connection.data_received(data)
    if not wire.closed:
        connection.eof_received()
    connection.connection_lost(None)
    try:
        await asking
        said = b""
        while data := await connection.read():
            said += data
        why = ""
    except Broken as broken:
        said, why = b"" if not connection.status else said, str(broken)
    return connection.status, connection.headers if connection.status else {}, said, why


SAID = [
    *(said for said, _ in ANSWERS.values()),
    answer("gzip", b"what?"),
    HELLO[:-1],
    HELLO + b"!",
    HELLO + HELLO,
    CHUNKED + b"5\r\nhello\r\n" * 3 + b"0\r\n\r\n" + HELLO,
    CHUNKED + b"5\r\nhello\r\nzz\r\n",
    CHUNKED + b"5\r\nhello\r\n5\r\nhel",
    CHUNKED + b"5\r\nhello!\r\n",
    b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nwhat?",
    b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n",
    b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 1",
    b"<html>",
    b"",
]


@settings(max_examples=300, deadline=None)
@given(said=st.sampled_from(SAID), cuts=st.lists(st.integers(0, 200), max_size=12))
@example(said=ANSWERS["chunks"][0], cuts=list(range(200)))
@example(said=HELLO + HELLO, cuts=list(range(200)))
def test_an_answer_is_the_same_however_it_is_cut(said: bytes, cuts: list[int]) -> None:
    places = [0, *sorted({min(cut, len(said)) for cut in cuts}), len(said)]
    reads = [said[begin:end] for begin, end in pairwise(places) if begin < end]
    assert asyncio.run(heard(reads)) == asyncio.run(heard([said] if said else []))


def test_exchanges_leave_no_garbage(within: Within) -> None:
    """Nothing that only the collector finds."""

    async def main() -> None:
        async with serving(says(CHUNKED + b"1\r\nx\r\n0\r\n\r\n")) as server, using() as client:
            await whole(client, server.url)
            gc.collect()
            gc.disable()
            try:
                for _ in range(50):
                    await whole(client, server.url)
                await client.close()
                gc.set_debug(gc.DEBUG_SAVEALL)
                gc.collect()
                found = [thing for thing in gc.garbage if type(thing).__module__.startswith("ccproxy")]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
            assert found == []

    within(main)
