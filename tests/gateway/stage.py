"""A gateway on a real socket, in the test's own event loop or in a thread's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Event, Thread
from typing import Any, NamedTuple, TypeVar

import aiohttp
from yarl import URL

from ccproxy.gateway import run
from ccproxy.gateway.config import Config, load
from ccproxy.gateway.exchange import AccessLog, Exchange
from ccproxy.gateway.server import App

from .answers import question

Result = TypeVar("Result")
PATIENCE = 5.0
"""Seconds after which a test has failed: far more than anything here takes."""
QUICK = {"attempts": 1, "backoff": 0.01, "max_backoff": 0.5}


class Gateway:
    def __init__(self, app: App, url: str, exchanges: list[Exchange], said: list[str]) -> None:
        self.app = app
        self.url = url
        self.exchanges = exchanges
        """Those that are over."""
        self.said = said
        """What server and gateway had to say apart from exchanges; nothing, as it should be."""

    async def first_byte(self) -> None:
        """Wait until every exchange under way has given its client something; in vain, if it never does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while any(exchange.first_byte is None for exchange in self.app.active):
                    await asyncio.sleep(0.002)

    async def over(self, count: int = 1) -> list[Exchange]:
        """The exchanges, as soon as so many are over."""
        async with asyncio.timeout(PATIENCE):
            while len(self.exchanges) < count or self.app.active:
                await asyncio.sleep(0.005)
        return self.exchanges


class _Log:
    """In the place of an `AccessLog`."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.said: list[str] = []

    def write(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def say(self, level: str, message: str) -> None:
        self.said.append(f"{level}: {message}")


def configure(upstreams: Mapping[str, Mapping[str, Any]], **more: Any) -> Config:
    """A configuration; upstreams that say nothing of retries are asked once."""
    tables = {name: {"retries": QUICK, **upstream} for name, upstream in upstreams.items()}
    return load(None, {}, {"upstreams": tables, **more})


def one(dialect: str, url: str, settings: Mapping[str, Any] | None = None, **more: Any) -> Config:
    """A configuration with one upstream, named `it`."""
    return configure({"it": {"dialect": dialect, "url": url, **(settings or {})}}, **more)


@asynccontextmanager
async def gateway(config: Config, log: AccessLog | None = None) -> AsyncIterator[Gateway]:
    kept: Any = _Log()
    exchanges: list[Exchange] = []
    app = App(config, log=log or kept, observer=exchanges.append)
    sock = run.listen("127.0.0.1", 0)
    async with run.serving(app, sock, kept, config.limits):
        yield Gateway(app, run.url_of(sock), exchanges, kept.said)


def in_loop(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a test in the server's event loop, and see that it leaves no task behind."""

    async def bounded() -> Result:
        async with asyncio.timeout(PATIENCE * 2):
            result = await main()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if left:
            await asyncio.wait(left, timeout=1)
        assert [task for task in left if not task.done()] == []
        return result

    return run.run(bounded())


class Stage:
    """What runs in the thread's loop, for clients that block."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, work: Awaitable[Result]) -> Result:
        async def awaiting() -> Result:
            return await work

        return asyncio.run_coroutine_threadsafe(awaiting(), self._loop).result(PATIENCE)

    async def forever(self) -> None:
        """Until the context of `in_thread` ends."""
        await asyncio.Event().wait()


@contextmanager
def in_thread(main: Callable[[Stage, Callable[[], None]], Coroutine[Any, Any, None]]) -> Iterator[Stage]:
    """Run `main(stage, ready)` in a thread; it is cancelled at the end of the context."""
    ready = Event()
    failed: list[BaseException] = []
    stages: list[tuple[Stage, asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def begin() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stage = Stage(loop)
        stages.append((stage, loop, task))
        try:
            await main(stage, ready.set)
        except asyncio.CancelledError:
            pass

    def work() -> None:
        try:
            run.run(begin())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        if failed:
            raise failed[0]
        yield stages[0][0]
    finally:
        if stages and thread.is_alive():
            stages[0][1].call_soon_threadsafe(stages[0][2].cancel)
        thread.join(PATIENCE)
        assert not thread.is_alive() and not failed, failed


# A client in the loop


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def send(
    url: str, body: Any = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> Reply:
    """One request, on a connection of its own."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            method or ("GET" if data is None else "POST"),
            URL(url, encoded=True),
            data=data,
            headers={**({"content-type": "application/json"} if data else {}), **(headers or {})},
            allow_redirects=False,
        ) as response,
    ):
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, names, await response.read())


async def ask(
    gateway: Gateway, dialect: str, *, streams: bool = True, model: str = "m", headers: Mapping[str, str] | None = None
) -> Reply:
    """A simple question of a client of the dialect."""
    path, body = question(dialect, model, streams=streams)
    return await send(gateway.url + path, body, headers)


class Connection:
    """A client that does what no library does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, url: str, limit: int = 64 * 1024) -> Connection:
        parts = URL(url)
        return cls(*await asyncio.open_connection(parts.host, parts.port, limit=limit))

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
        head = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(data)}", *lines]
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        await self.writer.drain()

    async def until(self, text: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(text)

    def vanish(self) -> float:
        """Gone; says when."""
        self.writer.transport.abort()
        return asyncio.get_running_loop().time()
