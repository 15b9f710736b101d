"""A server on 127.0.0.1 that does what the test says, request by request: answers, stalls, breaks off, talks nonsense."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

Script = Callable[["Call"], Awaitable[None]]
"""What becomes of one request. The connection is closed when it returns, unless the answer is whole."""

STREAM = "text/event-stream"


class Call:
    """One request, and the way to answer it."""

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
        heard: Callable[[], Awaitable[None]],
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.sent = 0
        """Bytes of the answer that were taken."""
        self.whole = False
        """Whether the answer was ended properly."""
        self.left = asyncio.Event()
        """Whether the client has closed the connection."""
        self.left_at: float | None = None
        self.heard = heard
        """Waits until what was sent has reached the gateway's client, so that what follows is read by itself."""
        self._writer = writer

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def head(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The head of an answer that is sent in chunks."""
        lines = {"transfer-encoding": "chunked", **(headers or {})}
        await self.raw(_head(status, lines))

    async def send(self, data: bytes) -> None:
        """A chunk; waits until the client takes it."""
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        self.whole = True
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    async def whole_body(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.whole = True
        await self.raw(_head(status, {"content-length": str(len(body)), **headers}) + body)

    def kill(self) -> None:
        """Break the connection off, in the middle of whatever it is."""
        self._writer.transport.abort()

    def half_close(self) -> None:
        """Send nothing more, and go on listening."""
        self._writer.write_eof()

    def leave(self) -> None:
        if not self.left.is_set():
            self.left_at = asyncio.get_running_loop().time()
            self.left.set()


class Upstream:
    """A server; `script` tells what it does with a request for which `scripts` has nothing."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.scripts: deque[Script] = deque()
        self.calls: list[Call] = []
        self.connections = 0
        self.url = ""
        self.heard: Callable[[], Awaitable[None]] = _a_while
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def open(self) -> int:
        """Connections."""
        return len(self._writers)

    @property
    def last(self) -> Call:
        return self.calls[-1]

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=2048)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.005)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            begun = b""
            while (call := await _read(reader, writer, begun, self.heard)) is not None:
                self.calls.append(call)
                more = asyncio.create_task(_more(reader, call))
                try:
                    script = self.scripts.popleft() if self.scripts else self.script
                    assert script is not None, "nobody said what to answer"
                    await script(call)
                    begun = await more if call.whole else b""
                finally:
                    more.cancel()
                    with suppress(asyncio.CancelledError):
                        await more
                    if not call.whole:
                        call.leave()
                if not begun:
                    break
        except OSError:  # the client has left
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)


async def _a_while() -> None:
    await asyncio.sleep(0.05)


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes, heard: Callable[[], Awaitable[None]]
) -> Call | None:
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, target, headers, body, writer, heard)


async def _more(reader: asyncio.StreamReader, call: Call) -> bytes:
    """The first byte of the next request; empty if the client leaves."""
    try:
        begun = await reader.read(1)
    except OSError:
        begun = b""
    if not begun:
        call.leave()
    return begun


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@asynccontextmanager
async def upstream(script: Script | None = None) -> AsyncIterator[Upstream]:
    server = Upstream(script)
    await server.serve()
    try:
        yield server
    finally:
        await server.stop()


# Scripts


def body(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """One JSON body."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()

    async def script(call: Call) -> None:
        await call.whole_body(status, {"content-type": "application/json", **(headers or {})}, data)

    return script


def page(text: str, status: int = 200) -> Script:
    return body(text.encode(), status, {"content-type": "text/html"})


def stream(
    *pieces: bytes, pause: float = 0, media_type: str = STREAM, headers: Mapping[str, str] | None = None
) -> Script:
    """The pieces as they are, one after the other, and the end."""

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": media_type, **(headers or {})})
        for piece in pieces:
            await call.send(piece)
            if pause:
                await asyncio.sleep(pause)
        await call.end()

    return script


def cut(*pieces: bytes) -> Script:
    """The pieces, and then the connection breaks off."""

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for piece in pieces:
            await call.send(piece)
        await call.heard()

    return script


def spoilt(words: Iterable[bytes], end: bytes) -> Script:
    """Words that reach the client, and then something else."""

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": STREAM})
        for piece in words:
            await call.send(piece)
        await call.heard()
        await call.send(end)
        await call.end()

    return script


def stalled(*pieces: bytes, head: bool = True) -> Script:
    """The pieces, and then nothing until the client leaves."""

    async def script(call: Call) -> None:
        if head:
            await call.head(200, {"content-type": STREAM})
        for piece in pieces:
            await call.send(piece)
        await call.left.wait()

    return script


def killed(data: bytes = b"", *, words: bool = False) -> Script:
    """The bytes, with or without words that reach the client, and then the connection is reset."""

    async def script(call: Call) -> None:
        if data:
            await call.raw(data)
            await (call.heard() if words else asyncio.sleep(0.03))  # a reset overtakes what was sent
        call.kill()

    return script


def compressed(data: bytes, media_type: str) -> Script:
    """A body that nobody asked to be compressed."""
    return body(gzip.compress(data), headers={"content-type": media_type, "content-encoding": "gzip"})


def frames(data: bytes) -> list[bytes]:
    """The frames of a stream."""
    return [frame + b"\n\n" for frame in data.split(b"\n\n") if frame]


def joined(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)
