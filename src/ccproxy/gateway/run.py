"""The server under the application: the only module that knows uvicorn."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .config import Limits
from .exchange import AccessLog

if TYPE_CHECKING:
    from .server import Application

Result = TypeVar("Result")

BACKLOG: Final = 4096
_KEEP_ALIVE: Final = 75
"""Seconds that an idle connection is kept; clients with pools want more than uvicorn's five."""
_LAST_WORDS: Final = 2
"""Seconds that connections have to take what was written, after the exchanges are over."""
_COLLECT: Final = (50_000, 20, 20)
"""When to look for cycles. An exchange leaves none, and has some hundred objects while it is under way."""
_DESCRIPTORS: Final = 64
"""File descriptors for everything but exchanges."""
_LOGGER: Final = "uvicorn.error"


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address; port 0 is any that is free. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a client on this machine finds the socket."""
    bound: str = sock.getsockname()[0]
    port: int = sock.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def descriptors_short(max_exchanges: int) -> str:
    """What to say if the process may open too few files for as many exchanges; empty if it may open enough.

    The limit is raised as far as the process may do that itself. Each exchange takes two: the client's and the
    upstream's.
    """
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit
        return ""
    wanted = 2 * max_exchanges + _DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < enough:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
            soft = enough
        except (OSError, ValueError):  # macOS refuses more than its own maximum
            pass
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ""
    possible = max(0, (soft - _DESCRIPTORS) // 2)
    return (
        f"ulimit -n is {soft}, enough for {possible} exchanges at once; limits.max_exchanges is {max_exchanges}:"
        f" raise the one to {wanted} or lower the other"
    )


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in the server's event loop."""
    gc.freeze()  # modules stay: no collection need look at them
    gc.set_threshold(*_COLLECT)
    factory = uvicorn.Config("ccproxy").get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


class _Parser(httptools.HttpRequestParser):
    """A parser that reads on where a request offers another protocol, which is never taken.

    Java's client offers HTTP/2 in every request, and the body follows all the same. llhttp ends there, so it is given
    the head once more without the offer: https://github.com/Kludex/uvicorn/issues/2722
    """

    def __init__(self, protocol: "_Protocol") -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        while True:
            try:
                super().feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self._protocol.is_offer:
                    raise
                data = self._head() + data[offer.args[0] :]
            else:
                return

    def _head(self) -> bytes:
        protocol = self._protocol
        version = self.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.get_method(), protocol.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in protocol.headers if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"


class _Protocol(HttpToolsProtocol):
    """A connection whose client has to send each request's head within some seconds and bytes.

    The parser knows neither limit. The bytes are counted by reads after the one that a head begins in, which may hold
    the end of a body as well; a head that is complete is measured by the application.
    """

    def __init__(self, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.parser: _Parser = _Parser(self)
        self.is_offer = False
        """Whether what has been read is a head with an offer."""
        self._limits = limits
        self._in_head = False
        self._size = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        within = self._in_head
        super().data_received(data)
        if not self._in_head:
            if self._deadline is not None:
                self._settle()
        elif within:
            self._size += len(data)
            if self._size > self._limits.max_headers:
                self._refuse()
        elif self._deadline is None:
            self._wait()

    def on_message_begin(self) -> None:
        self._in_head, self._size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.is_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self.is_offer:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.is_offer:
            super().on_message_complete()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self._limits.header_timeout, self._late)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    @property
    def _answers(self) -> bool:
        """Whether an earlier request of the connection is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn does not say that there may be none
        return cycle is not None and not cycle.response_complete

    def _late(self) -> None:
        if self._answers:
            self._wait()
        else:
            self.transport.close()

    def _refuse(self) -> None:
        if not (self._answers or self.transport.is_closing()):
            said = f"The headers are longer than {self._limits.max_headers} bytes.".encode()
            head = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
            self.transport.write(f"{head}connection: close\r\ncontent-length: {len(said)}\r\n\r\n".encode() + said)
        self.transport.close()


class _Server(uvicorn.Server):
    """A server that leaves signals alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(
    app: "Application", sock: socket.socket, log: AccessLog, limits: Limits
) -> AsyncGenerator[None, None]:
    """Serve the application while the context is open. What the server itself has to say goes to the log."""
    config = uvicorn.Config(
        cast(Any, app),  # uvicorn types its scopes one by one
        http=cast(Any, partial(_Protocol, limits)),  # it asks for a class, and calls it
        backlog=BACKLOG,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    server = _Server(config)
    with _logging(log):
        task = asyncio.create_task(server.serve([sock]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        try:
            if task.done():
                raise RuntimeError("the server did not start") from task.exception()
            yield
        finally:
            server.should_exit = True
            await task


@contextmanager
def on_signals(names: Iterable[str], handler: Callable[[int], None]) -> Generator[None, None, None]:
    """Have signals, of those that the system has, handled in the running event loop."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(handler, number)

    numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class _Handler(logging.Handler):
    def __init__(self, log: AccessLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.say(record.levelname.lower(), self.format(record))


@contextmanager
def _logging(log: AccessLog) -> Generator[None, None, None]:
    logger, handler = logging.getLogger(_LOGGER), _Handler(log)
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)
