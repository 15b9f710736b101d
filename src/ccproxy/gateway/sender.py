"""What one client is sent, and when: its response, and signs of life while there is nothing else to say."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from math import inf
from time import perf_counter
from typing import Any, Final

from ccproxy import dialects
from ccproxy.core.vocab import ErrorKind
from ccproxy.failures import TranslatedError
from ccproxy.wire.json import dumps

from . import flow, headers
from .exchange import Exchange

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Begin = Callable[[], tuple[flow.Answer, dict[str, str]]]
"""Gives an answer, and the headers that its client gets."""

_LAST_WORDS: Final = 5.0
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
            self._exchange.first_byte = perf_counter()
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


class Pulse:
    """One timer for one request upstream.

    In silence it gives a stream's client signs of life, even before the upstream's head if that takes too long. It
    gives up on an upstream that says nothing in the middle of its response.
    """

    def __init__(
        self, keepalive: float, idle: float, exchange: Exchange, sender: Sender, begin: Begin, begins_at: float
    ) -> None:
        """`begin` gives what begins the client's stream at that time if there is no head; `inf`: it waits on."""
        self._keepalive = keepalive
        self._idle = idle
        self._exchange = exchange
        self._sender = sender
        self._begin = begin
        self._begins_at = begins_at
        self._answer: flow.Answer | None = None
        self._headers: dict[str, str] = {}
        self.sign: asyncio.Task[None] | None = None
        """What gives the client a sign of life, until `settle` has waited for it."""
        self._last_sign = 0.0
        self.reads_since: float | None = None
        """When the upstream was asked for more; None while it is not."""
        self.stalled: tuple[ErrorKind, str] | None = None
        """Why it has ended the exchange."""
        self._interval = min(keepalive or inf, idle or inf) / 4
        self._timer: asyncio.TimerHandle | None = None
        self._wait(perf_counter())

    @property
    def begun(self) -> bool:
        """Whether the client has been given anything, or is being given it."""
        return self._sender.started or self.sign is not None

    async def head(self) -> None:
        """The upstream has begun to answer, or never will."""
        self._begins_at = inf
        if self.sign is not None:
            await self.settle()

    def follow(self, answer: flow.Answer, out_headers: dict[str, str]) -> None:
        """Signs of life are this answer's from now on."""
        self._answer, self._headers = answer, out_headers
        self._last_sign = perf_counter()

    async def settle(self) -> None:
        """Let what the client is being given arrive before anything else."""
        if self.sign is not None:
            await self.sign
            self.sign = None

    async def fail(self, kind: ErrorKind, message: str) -> None:
        """End the stream that has begun in an error."""
        assert self._answer is not None
        self.reads_since = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._sender.last(200, self._headers, self._answer.fail(kind, message))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.sign is not None:
            self.sign.cancel()

    def _wait(self, now: float) -> None:
        delay = min(self._interval, self._begins_at - now)
        if delay < inf:
            self._timer = self._sender.loop.call_later(max(0.0, delay), self._beat)

    def _beat(self) -> None:
        now, since = perf_counter(), self.reads_since
        if now >= self._begins_at:
            if self._answer is None:
                self._answer, self._headers = self._begin()
            self._begins_at = now + self._keepalive if self._say() else inf
        elif since is not None:
            if self._idle and now - since >= self._idle:
                self.stalled = ("timeout", f"the upstream has said nothing for {self._idle:g} s")
                self._exchange.cancel()
                return
            if self._keepalive and now - max(since, self._last_sign) >= self._keepalive and self._say():
                self._last_sign = now
        self._wait(now)

    def _say(self) -> bool:
        """Give the client a sign of life; whether its dialect has one."""
        assert self._answer is not None
        sign = self._answer.ping()
        if sign and (self.sign is None or self.sign.done()):
            self.sign = self._sender.loop.create_task(self._sender.body(200, self._headers, sign, more=True))
        return bool(sign)
