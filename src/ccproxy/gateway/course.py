"""The course of one exchange: which upstreams are asked, and what its client gets of what they say."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from math import inf
from typing import Final

import msgspec

from ccproxy.core.errors import RequestRefused
from ccproxy.core.events import StreamError

from . import flow, headers
from .config import Config
from .exchange import Exchange
from .failed import Failed, answered_wrong, failed, refused, unreachable
from .metrics import Metrics
from .sender import Pulse, Sender
from .upstream import Client, Response, UpstreamError

_STREAM_HEADERS: Final = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_ESTIMATED: Final = {headers.LOSSES: "default: the upstream counts no tokens; the number is an estimate"}
_LONGEST_ERROR: Final = 1024 * 1024


class Gateway(msgspec.Struct, frozen=True):
    """What all exchanges of an application share."""

    config: Config
    client: Client
    metrics: Metrics
    pairs: Mapping[tuple[str, str], flow.Pair]
    """By the client's dialect and the upstream."""


class Course:
    """One exchange, from the checked request to the last byte of the answer."""

    def __init__(self, gateway: Gateway, sender: Sender, exchange: Exchange, asked: flow.Asked) -> None:
        self._gateway = gateway
        self._config = gateway.config
        self._sender = sender
        self._exchange = exchange
        self._asked = asked

    async def run(self) -> None:
        """Ask the targets in turn until one begins to answer.

        Raises `RequestRefused`, and `Failed` while the client has no byte.
        """
        exchange = self._exchange
        targets = self._config.route(exchange.model)
        if not targets:
            raise RequestRefused("model", f"no upstream serves the model {exchange.model!r}", "not_found")
        total = self._config.upstreams[targets[0].upstream].timeouts.total
        timer: asyncio.TimerHandle | None = None
        if total > 0:
            why = "the exchange took longer than it may"
            timer = self._sender.loop.call_later(total, exchange.abort, "timeout", why)
        last: Failed | None = None
        try:
            for target in targets:
                pair = self._gateway.pairs[exchange.client, target.upstream]
                if self._asked.endpoint.kind == "count_tokens" and pair.dialect.count is None:
                    await self._estimate(pair)
                    return
                try:
                    planned = flow.plan(self._asked, pair, target.model)
                except RequestRefused:
                    if last is None and target is targets[-1]:
                        raise
                    continue  # a fall-back that can't serve this; the first error says more
                last = await self._insist(planned)
                if last is None:
                    return
        finally:
            if timer is not None:
                timer.cancel()
        assert last is not None
        raise last

    async def _estimate(self, pair: flow.Pair) -> None:
        """A number of tokens for an upstream that counts none."""
        exchange = self._exchange
        exchange.upstream, exchange.upstream_dialect = pair.name, pair.dialect.name
        own_id = headers.ids(pair.client.request_id_header, exchange.id, "")
        out_headers = {"content-type": "application/json", **own_id, **_ESTIMATED}
        await self._sender.body(200, out_headers, flow.estimate(pair.client, self._asked.body), more=False)

    async def _insist(self, planned: flow.Plan) -> Failed | None:
        """Ask one upstream as often as it may be. Gives why it does not answer, if another may."""
        exchange, pair = self._exchange, planned.pair
        exchange.upstream, exchange.upstream_dialect = pair.name, pair.dialect.name
        exchange.upstream_model, exchange.streams = planned.translated.model, planned.client_streams
        retries = pair.upstream.retries
        wait = retries.backoff
        attempt = 0
        while True:
            attempt += 1
            exchange.attempts += 1
            exchange.phase = "waiting"
            try:
                await self._attempt(planned)
                return None
            except Failed as error:
                self._gateway.metrics.upstream_errors[pair.name, error.error.kind] += 1
                if error.retry == "never":
                    raise
                told = error.error.retry_after
                pause = min(wait, retries.max_backoff) if told is None else told
                if error.retry == "elsewhere" or attempt >= retries.attempts or pause > retries.max_backoff:
                    return error
            self._gateway.metrics.retries[(pair.name,)] += 1
            await asyncio.sleep(pause)
            wait *= 2

    async def _attempt(self, planned: flow.Plan) -> None:
        """One request upstream. Raises `Failed` while the client has no byte."""
        exchange, sender, config, upstream = self._exchange, self._sender, self._config, planned.pair.upstream
        exchange.upstream_id = ""
        exchange.error = None
        may_begin = planned.client_streams and config.head_wait and config.keepalive
        begins_at = exchange.began + config.head_wait if may_begin else inf
        begin = partial(self._begin, planned)
        pulse = Pulse(config.keepalive, upstream.timeouts.idle, exchange, sender, begin, begins_at)
        response: Response | None = None
        try:
            response = await self._gateway.client.open(
                "POST", planned.url, planned.headers, planned.body, upstream.timeouts
            )
            exchange.upstream_id = headers.upstream_id(response.headers, planned.pair.dialect.request_id_header)
            await pulse.head()
            if not 200 <= response.status < 300:
                raise await self._refused(planned, response)
            await self._pass(planned, response, pulse)
        except (Failed, UpstreamError) as error:
            why = error if isinstance(error, Failed) else unreachable(exchange, error)
            await pulse.head()
            if not sender.started:
                raise why from None
            self._gateway.metrics.upstream_errors[exchange.upstream, why.error.kind] += 1
            exchange.error = why.error.kind
            await pulse.fail(why.error.kind, why.error.message)
        except asyncio.CancelledError:
            if not pulse.begun or exchange.left or exchange.aborted is None:
                raise
            uncancel()
            exchange.error = exchange.aborted[0]
            await pulse.head()
            await pulse.fail(*exchange.aborted)
        finally:
            pulse.stop()
            if response is not None:
                response.close()

    def _begin(self, planned: flow.Plan) -> tuple[flow.Answer, dict[str, str]]:
        """What begins the client's stream if the upstream takes too long to begin its own."""
        answer = flow.answer(self._asked, planned, True, int(time.time()))
        return answer, self._head(planned, answer)

    def _head(self, planned: flow.Plan, answer: flow.Answer) -> dict[str, str]:
        """The headers of a response, but for those that are the upstream's."""
        exchange, own = self._exchange, planned.pair.client.request_id_header
        out_headers = {"content-type": answer.media_type, **headers.ids(own, exchange.id, exchange.upstream_id)}
        if planned.translated.losses:
            out_headers[headers.LOSSES] = headers.losses(planned.translated.losses)
        if planned.client_streams:
            out_headers |= _STREAM_HEADERS
        return out_headers

    async def _refused(self, planned: flow.Plan, response: Response) -> Failed:
        """The error that an upstream's error response is."""
        pieces: list[bytes] = []
        with suppress(UpstreamError):  # what there is of it will do
            await collect(response, pieces, _LONGEST_ERROR, planned.pair.upstream.timeouts.idle)
        return refused(self._exchange, response, b"".join(pieces), planned.pair.dialect, planned.pair.client)

    async def _pass(self, planned: flow.Plan, response: Response, pulse: Pulse) -> None:
        """The response, as it comes. Raises `Failed` while the client has no byte."""
        exchange, sender, pair = self._exchange, self._sender, planned.pair
        media_type = response.headers.get("content-type", "")
        is_stream = "event-stream" in media_type or (planned.upstream_streams and "json" not in media_type)
        answer = flow.answer(self._asked, planned, is_stream, int(time.time()))
        out_headers = self._head(planned, answer)
        if pair.same:
            out_headers = headers.returning(pair.endpoints, response.headers) | out_headers
        gaps = self._gateway.metrics.gap[exchange.client, exchange.upstream]
        pulse.follow(answer, out_headers)
        last_read: float | None = None
        try:
            more = True
            while more:
                pulse.reads_since = time.perf_counter()
                try:
                    data = await response.read()
                except UpstreamError:
                    data = b""
                pulse.reads_since = None
                now = time.perf_counter()
                if last_read is not None:
                    gaps.observe(now - last_read)
                last_read = now
                out = answer.feed(data) if data else b""
                more = bool(data) and answer.error is None and not response.at_end
                if not more and answer.error is None:
                    out += answer.close()
                if pulse.sign is not None:
                    await pulse.settle()
                if answer.error is not None and not sender.started:
                    raise answered_wrong(exchange, answer.error.event)
                if out:
                    exchange.phase = "streaming"
                    await sender.body(200, out_headers, out, more)
        except asyncio.CancelledError:
            why = exchange.aborted or pulse.stalled
            if exchange.left or why is None or (exchange.aborted and not sender.started):
                raise
            uncancel()
            response.close()  # before the client takes the rest, or does not
            if not sender.started:
                raise failed(exchange, StreamError(*why), "elsewhere") from None  # it may be at work
            await pulse.fail(*why)
        finally:
            exchange.note(answer.message, planned.translated.losses + answer.losses)
            if answer.error is not None:
                exchange.error = answer.error.kind
                if sender.started:
                    self._gateway.metrics.upstream_errors[exchange.upstream, answer.error.kind] += 1
        exchange.phase = "done"
        await sender.last(200, out_headers, b"")


async def collect(response: Response, pieces: list[bytes], limit: int, idle: float) -> None:
    """Read a body to its end, or until it is longer than the limit. Raises `UpstreamError`."""
    while sum(map(len, pieces)) <= limit:
        try:
            async with asyncio.timeout(idle or None):
                data = await response.read()
        except TimeoutError:
            raise UpstreamError("timeout", f"has said nothing for {idle:g} s", again=False) from None
        if not data:
            return
        pieces.append(data)


def uncancel() -> None:
    """The exchange goes on in spite of what cancelled it."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
