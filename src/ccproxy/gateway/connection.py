"""One HTTP/1.1 connection to an upstream: a request goes out, its answer is read as it arrives, and then the next."""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final, cast

import httptools

Address = tuple[int, int, int, str, Any]
"""As `getaddrinfo` has it."""

_HEAD_START: Final = 0.25
_KEPT: Final = 60.0
"""Seconds that a connection is kept without a request."""
_LONGEST_HEAD: Final = 64 * 1024
_MOST_HELD: Final = 256 * 1024
"""Bytes that wait for the reader before the sender has to."""


class Broken(Exception):
    """There is no answer, or none that goes on. The message says why, and no address."""


class Connection(asyncio.Protocol):
    """Takes one request at a time. It is in `idle` while it may take one, and in `every` while it exists."""

    def __init__(self, sock: socket.socket, idle: dict["Connection", None], every: set["Connection"]) -> None:
        self.status = 0
        """0 until the head of the answer is there."""
        self.headers: dict[str, str] = {}
        """Names in lower case; of several with one name the last counts."""
        self._sock = sock
        self._idle = idle
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._pieces: list[bytes] = []
        self._held = 0
        """Bytes that were received since the reader last took some."""
        self._paused = False
        self._complete = True
        """Whether all of the answer has been received."""
        self._keeps = False
        """Whether the server, too, keeps the connection."""
        self._why = ""
        self._arrival: asyncio.Future[None] | None = None
        self._idle_since = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self.on_body = self._pieces.append
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # lone line feeds, folded lines, spaces after the size of a chunk
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    @property
    def is_open(self) -> bool:
        """Whether the server has neither closed it nor said more, nor done so without the loop having noticed yet."""
        if self._loop.is_closed() or self._transport.is_closing():
            return False
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False

    @property
    def at_end(self) -> bool:
        """Whether all of the answer has been read, as far as that is known by now."""
        return self._complete and not self._pieces

    async def ask(self, request: bytes, patience: float) -> None:
        """Send a request, and wait for the head of the answer: so many seconds, or for ever if they are 0. Raises
        `TimeoutError`, `Broken`."""
        if self._parser is None:
            raise Broken("it closed the connection without an answer")
        self.status, self.headers, self._held = 0, {}, 0
        self._complete = self._keeps = False
        arrival = self._arrival = self._loop.create_future()
        if len(request) > _LONGEST_HEAD:
            self._transport.write(memoryview(request)[:-1])
            request = request[-1:]  # TLS counts as unsent only what is written after what waits
        self._transport.write(request)
        timer = self._loop.call_later(patience, _give_up, arrival) if patience else None
        try:
            await arrival
            if not self.status:
                raise Broken(self._why)
        except BaseException:
            self._transport.abort()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    async def read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end. Raises `Broken`."""
        pieces = self._pieces
        while not pieces:
            if self._complete:
                return b""
            if self._why:
                raise Broken(self._why)
            self._arrival = self._loop.create_future()
            await self._arrival
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def release(self) -> None:
        """Keep the connection for the next request if the answer has been read whole; close it at once if not."""
        transport = self._transport
        if not (self._keeps and self.at_end) or transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()
            return
        self._idle[self] = None
        self._idle_since = self._loop.time()
        if self._expiry is None:
            self._expiry = self._loop.call_later(_KEPT, self._expire)

    def abort(self) -> None:
        if self._loop.is_closed():  # it ended with the loop that it was in
            self._every.discard(self)
        else:
            self._transport.abort()

    def _expire(self) -> None:
        """One timer goes on for many requests."""
        self._expiry = None
        if self in self._idle:
            left = self._idle_since + _KEPT - self._loop.time()
            if left > 0:
                self._expiry = self._loop.call_later(left, self._expire)
            else:
                self._transport.abort()

    def _arrived(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _break(self, why: str) -> None:
        """What is wrong; without consequence for an answer that is there."""
        self._why = self._why or why
        self._end()
        self._arrived()

    def _end(self) -> None:
        """For the methods that the transport calls: TLS of asyncio fails where it is ended while it reads."""
        self._keeps = False
        self._idle.pop(self, None)
        self._loop.call_soon(self._transport.abort)

    # The transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._every.add(self)

    def data_received(self, data: bytes) -> None:
        if self._complete or self._parser is None:  # nobody has asked for it
            self._end()
            return
        self._held += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__  # where one of the methods below has raised
            self._break(str(cause) if isinstance(cause, Broken) else f"what it says is no HTTP ({error})")
        if self._pieces or self._complete:
            self._arrived()
            if self._held > _MOST_HELD and not (self._paused or self._complete):
                self._paused = True
                self._transport.pause_reading()
        elif self._held > _LONGEST_HEAD:
            self._break("its headers are too long")

    def eof_received(self) -> None:
        headers = self.headers
        coding = headers.get("transfer-encoding", "").rpartition(",")[2].strip().lower()
        framed = "content-length" in headers or coding == "chunked"
        if self.status and not (self._why or framed or self._is_cut()):
            self._complete = True  # nothing but this says where the answer ends
            self._arrived()
        self._end()  # else it would wait until the request is sent

    def _is_cut(self) -> bool:
        """Whether TLS has ended without saying so: anybody may have ended it (RFC 9112, 9.8)."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        try:
            return tls is not None and tls.read(1) != b""
        except ssl.SSLError:
            return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._every.discard(self)
        self._idle.pop(self, None)
        self._parser = None  # it has methods of this object
        if self._expiry is not None:
            self._expiry.cancel()
        if not self._complete:
            closed = "it closed the connection" if self.status else "it closed the connection without an answer"
            self._why = self._why or (closed if exc is None else words(exc))
        self._arrived()

    # The parser calls, and `on_body`

    def on_message_begin(self) -> None:
        if self._complete:
            raise Broken("two answers")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else it comes after a body in chunks
            text = value.strip().decode("utf-8", "surrogateescape")
            self.headers[name.decode("latin-1").lower()] = text

    def on_headers_complete(self) -> None:
        parser, headers = self._parser, self.headers
        assert parser is not None
        if self._held > _LONGEST_HEAD and sum(map(len, (*headers, *headers.values()))) > _LONGEST_HEAD:
            raise Broken("its headers are too long")
        status = parser.get_status_code()
        if status < 100:
            raise Broken(f"what it says is no HTTP (status {status})")
        if status < 200 and status != 101:
            headers.clear()
        else:
            self.status = status
            self._keeps = parser.should_keep_alive()
            self._arrived()

    def on_message_complete(self) -> None:
        if self.status:
            self._complete = True


def _give_up(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_exception(TimeoutError())


def words(error: Exception) -> str:
    """An error of the system, without its message, which may have an address in it."""
    if isinstance(error, ssl.SSLError):  # its number is not the system's
        return f"what it says is no TLS ({type(error).__name__})"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        said = os.strerror(error.errno)
        return said[:1].lower() + said[1:]
    return "it closed the connection" if isinstance(error, ConnectionError) else type(error).__name__


async def reach(addresses: Sequence[Address]) -> socket.socket:
    """Connect to the first address that answers; each has a quarter of a second's start on the next (RFC 8305). Raises
    the first one's error if none does."""
    family = addresses[0][0]
    pairs = zip_longest(
        [address for address in addresses if address[0] == family],
        [address for address in addresses if address[0] != family],
    )
    waiting = [address for pair in pairs for address in pair if address is not None]
    waiting.reverse()
    attempts: list[asyncio.Task[socket.socket]] = []
    try:
        while True:
            if waiting:
                attempts.append(asyncio.create_task(_connected(waiting.pop())))
            running = [attempt for attempt in attempts if not attempt.done()]
            start = _HEAD_START if waiting else None
            if running:
                await asyncio.wait(running, timeout=start, return_when=asyncio.FIRST_COMPLETED)
            for attempt in attempts:
                if attempt.done() and attempt.exception() is None:
                    attempts.remove(attempt)
                    return attempt.result()
            if not waiting and all(attempt.done() for attempt in attempts):
                return attempts[0].result()
    finally:
        for attempt in attempts:
            if not attempt.cancel() and attempt.exception() is None:
                attempt.result().close()


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    if family == socket.AF_INET6 and place[3]:  # uvloop takes the zone from the name only
        place = (f"{place[0]}%{place[3]}", *place[1:])
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock
