"""What one client is sent, and when: its response, and signs of life while there is nothing else to say."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from ccproxy import dialects
from ccproxy.core.vocab import ErrorKind
from ccproxy.failures import TranslatedError
from ccproxy.wire.json import dumps

from . import flow, headers
from .config import Config, Upstream
from .exchange import Exchange

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LAST_WORDS: Final = 5.0
"""Seconds that a client has to take the error in which its stream ends."""


class Sender:
    """The response of one exchange: its head with the first byte, its end once."""

    def __init__(self, send: Send, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._exchange = exchange
        self.loop = loop
        self.started = False
        self.ended = False
        self.before_end: Callable[[], object] = lambda: None

    async def body(self, status: int, out_headers: dict[str, str], data: bytes, more: bool) -> None:
        """Some of the body. The last of it ends the response."""
        if not self.started:
            self.started = True
            self._exchange.status = status
            self._exchange.first_byte = time.perf_counter()
            encoded = headers.encode(out_headers)
            if not more and not (status == 200 and self._exchange.streams):  # a stream has no length, even a short one
                encoded.append((b"content-length", str(len(data)).encode()))
            await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        if not more:
            self.ended = True
            self.before_end()
        self._exchange.sent += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def last(self, status: int, out_headers: dict[str, str], data: bytes) -> None:
        """The end of the body, unless it was sent."""
        if not self.ended:
            await self.body(status, out_headers, data, more=False)

    async def error(self, response: TranslatedError) -> None:
        """An error response, if nothing was sent."""
        exchange = self._exchange
        if not self.started and not exchange.left:
            own = dialects.get(exchange.client).request_id_header
            out_headers = response.headers | headers.ids(own, exchange.id, exchange.upstream_id)
            await self.body(response.status, out_headers, dumps(response.body), more=False)


class Opening:
    """Begins a client's stream, with signs of life, while its upstream has not begun to answer."""

    def __init__(
        self, wait: float, keepalive: float, begin: Callable[[], tuple[flow.Answer, dict[str, str]]], sender: Sender
    ) -> None:
        self._loop = sender.loop
        self._keepalive = keepalive
        self._begin = begin
        self._begun: tuple[flow.Answer, dict[str, str]] | None = None
        self._sender = sender
        self._sign: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(max(0.0, wait), self._beat)

    def _beat(self) -> None:
        self._begun = self._begun or self._begin()
        answer, out_headers = self._begun
        sign = answer.ping()
        if not sign:  # the client's dialect has none
            return
        if self._sign is None or self._sign.done():
            self._sign = self._loop.create_task(self._sender.body(200, out_headers, sign, more=True))
        self._timer = self._loop.call_later(self._keepalive, self._beat)

    @property
    def begun(self) -> bool:
        return self._sign is not None

    async def over(self) -> bool:
        """The upstream has begun, or never will. Whether the client's stream has; what it was given has arrived."""
        self.stop()
        if self._sign is not None:
            await self._sign
        return self.begun

    async def fail(self, kind: ErrorKind, message: str) -> None:
        """End the stream that has begun in an error."""
        assert self._begun is not None
        answer, out_headers = self._begun
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._sender.last(200, out_headers, answer.fail(kind, message))

    def stop(self) -> None:
        self._timer.cancel()


class Pulse:
    """One timer for a stream: gives the client a sign of life in silence, and up on an upstream that says nothing."""

    def __init__(
        self,
        config: Config,
        upstream: Upstream,
        exchange: Exchange,
        answer: flow.Answer,
        sender: Sender,
        out_headers: dict[str, str],
    ) -> None:
        self._loop = sender.loop
        self._keepalive = config.keepalive
        self._idle = upstream.timeouts.idle
        self._exchange = exchange
        self._answer = answer
        self._sender = sender
        self._headers = out_headers
        self._waiting_since: float | None = None
        self._last_sign = self._loop.time()
        self._ping: asyncio.Task[None] | None = None
        self.stalled: tuple[ErrorKind, str] | None = None
        """Why it has ended the exchange."""
        waits = [seconds for seconds in (self._keepalive, self._idle) if seconds > 0]
        self._interval = min(waits) / 4 if waits else 0.0
        self._timer = self._loop.call_later(self._interval, self._beat) if waits else None

    def waits(self) -> None:
        """The upstream is being read."""
        self._waiting_since = self._loop.time()

    def reads(self) -> float:
        """The upstream has said something. Gives the time."""
        now = self._last_sign = self._loop.time()
        self._waiting_since = None
        return now

    async def settle(self) -> None:
        """Let what the client is being given arrive before anything else."""
        if self._ping is not None:
            await self._ping
            self._ping = None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()

    def _beat(self) -> None:
        now = self._loop.time()
        since = self._waiting_since
        if since is not None:
            if self._idle and now - since >= self._idle:
                self.stalled = ("timeout", f"the upstream has said nothing for {self._idle:g} s")
                self._exchange.cancel()
                return
            pinging = self._ping is not None and not self._ping.done()
            if self._keepalive and now - max(since, self._last_sign) >= self._keepalive and not pinging:
                self._last_sign = now
                sign = self._answer.ping()
                if sign:
                    self._ping = self._loop.create_task(self._sender.body(200, self._headers, sign, more=True))
        self._timer = self._loop.call_later(self._interval, self._beat)
