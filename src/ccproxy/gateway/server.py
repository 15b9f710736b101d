"""The ASGI application. All that waits for a client or an upstream is here; what is said is `flow`'s matter."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from hmac import compare_digest
from typing import Any, Literal

import msgspec

from ccproxy import dialects
from ccproxy.core.errors import CCProxyError, MisuseError, RequestRefused, StreamFailed
from ccproxy.core.events import StreamError
from ccproxy.core.spi import Dialect, Endpoint, Endpoints, Model
from ccproxy.core.store import MemoryStore, Store
from ccproxy.core.vocab import HTTP_STATUS, ErrorKind
from ccproxy.failures import TranslatedError, error_response, read_error, translate_error
from ccproxy.wire.json import JSONError, dumps, loads

from . import flow, headers
from .config import Config, Target, Upstream, check_secrets, secret, upstream_keys
from .exchange import AccessLog, Exchange
from .metrics import MEDIA_TYPE, Metrics
from .routes import client_key, find_route, parse_query, upstream_url
from .sender import LAST_WORDS, Opening, Pulse, Send, Sender
from .upstream import AiohttpClient, Client, Response, UpstreamError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_ESTIMATED = {headers.LOSSES: "default: the upstream counts no tokens; the number is an estimate"}
_MODEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LONGEST_ERROR = 1024 * 1024

_Retry = Literal["again", "elsewhere", "never"]
"""Where another attempt may be made: at the same upstream, at a fall-back only, or nowhere."""


class _Failed(Exception):
    """An attempt failed before the client got a byte."""

    def __init__(self, response: TranslatedError, error: StreamError, retry: _Retry = "again") -> None:
        self.response = response
        self.error = error
        self.retry = retry
        super().__init__(error.message)


class App:
    """The gateway as an ASGI application. One for each configuration; several may live in one process."""

    def __init__(
        self,
        config: Config,
        *,
        client: Client | None = None,
        store: Store | None = None,
        log: AccessLog | None = None,
        environment: Mapping[str, str] | None = None,
        observer: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self.active: set[Exchange] = set()
        self.draining = False
        self._client = client or AiohttpClient()
        self._store = store or (MemoryStore(config.remember_calls) if config.remember_calls else None)
        self._log = log or AccessLog("json" if config.log == "auto" else config.log)
        self._observer = observer
        check_secrets(config, environment)
        self._keys = {
            name: flow.Keys(*upstream_keys(upstream, environment)) for name, upstream in config.upstreams.items()
        }
        listed = [secret(reference, environment) for reference in config.client_keys]
        self._client_keys = [line.strip().encode() for text in listed for line in text.splitlines() if line.strip()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def drain(self) -> None:
        """Take no new exchanges, and wait for those under way; what is not over by then ends in an error."""
        self.draining = True
        loop = asyncio.get_running_loop()
        end = loop.time() + self.config.drain
        while self.active and loop.time() < end:
            await asyncio.sleep(0.05)
        for exchange in list(self.active):
            exchange.abort("overloaded", "the gateway is shutting down")
        end = loop.time() + 5
        while self.active and loop.time() < end:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Give the connections to upstreams up. A server that passes lifespan events on has it done."""
        await self._client.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # Requests

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        page = self._page(method, path)
        if page is not None:
            await _respond(send, *page)
            return
        received = headers.decode(scope["headers"])
        query = parse_query(scope.get("query_string", b""))
        dialect, endpoint = find_route(method, path, query, received)
        exchange = Exchange(headers.request_id(received), dialect.name, time.perf_counter())
        loop = asyncio.get_running_loop()  # once: before Python 3.12 it asks the system for the process each time
        task = asyncio.current_task(loop)
        assert task is not None
        exchange.cancel = task.cancel
        self.active.add(exchange)
        self.metrics.active.inc()
        sender = Sender(send, exchange, loop)
        try:
            await self._answer(scope, receive, sender, exchange, dialect, endpoint, query, received)
        except asyncio.CancelledError:
            if not exchange.left and exchange.aborted is None:
                raise
            task.uncancel()
            if exchange.aborted is not None and not exchange.left:
                exchange.error = exchange.aborted[0]
                await sender.error(error_response(StreamError(*exchange.aborted), dialect.name, exchange.id))
        except Exception as bug:  # whatever it is, the client gets its dialect's error, and the log no body
            exchange.error = "internal"
            self._log.say("error", f"{exchange.id}: {_place(bug)}")
            failed = StreamError("internal", "the gateway itself failed")
            await sender.error(error_response(failed, dialect.name, exchange.id))
        finally:
            self.active.discard(exchange)
            self._over(exchange)

    def _page(self, method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        if method not in ("GET", "HEAD"):
            return None
        plain = {"content-type": "text/plain; charset=utf-8"}
        match path:
            case "/" if method == "HEAD":
                return 200, plain, b""
            case "/":
                return 200, plain, b"ccproxy\n"
            case "/health/live":
                return 200, plain, b"ok\n"
            case "/health/ready":
                return (503, plain, b"draining\n") if self.draining else (200, plain, b"ok\n")
            case "/metrics":
                return 200, {"content-type": MEDIA_TYPE}, self.metrics.text()
            case _:
                return None

    def _over(self, exchange: Exchange) -> None:
        now = time.perf_counter()
        self.metrics.over(exchange, now)
        self._log.write(exchange.record(now))
        self._observer(exchange)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        sender: Sender,
        exchange: Exchange,
        dialect: Dialect,
        endpoint: Endpoint | None,
        query: dict[str, str],
        received: dict[str, str],
    ) -> None:
        """Check the request, then ask. Errors of our own are sent from here."""
        endpoints = dialect.endpoints
        assert endpoints is not None
        try:
            key = self._admit(scope, exchange, endpoints, endpoint, query, received)
            body = await self._body(receive)
            if body is None:
                exchange.left = True
                return
            watcher = sender.loop.create_task(_watch(receive, exchange))
            sender.before_end = watcher.cancel
            try:
                await self._serve(sender, exchange, dialect, endpoint, received, body, key)
            finally:
                watcher.cancel()
        except RequestRefused as refused:
            exchange.error = refused.kind
            await sender.error(error_response(refused, dialect.name, exchange.id))
        except _Failed as failed:
            exchange.error = failed.error.kind
            await sender.error(failed.response)
        except MisuseError as error:
            exchange.error = "bad_request"
            await sender.error(error_response(RequestRefused("", str(error)), dialect.name, exchange.id))

    def _admit(
        self,
        scope: Scope,
        exchange: Exchange,
        endpoints: Endpoints,
        endpoint: Endpoint | None,
        query: dict[str, str],
        received: dict[str, str],
    ) -> str:
        """The client's key, if it may ask. Raises `RequestRefused`."""
        limits = self.config.limits
        if sum(len(name) + len(value) for name, value in scope["headers"]) > limits.max_headers:
            raise RequestRefused("", f"the headers are longer than {limits.max_headers} bytes", "too_large")
        key = client_key(endpoints, received, query)
        if not self._client_keys and headers.is_foreign_page(received):
            why = "a web page of another host may not ask; set client_keys, and its requests count by their key"
            raise RequestRefused("", why, "permission")
        if self._client_keys:
            given = key.encode("utf-8", "surrogateescape")
            matches = [compare_digest(given, known) for known in self._client_keys]  # all of them: no early way out
            if not any(matches):
                raise RequestRefused("", "the key is none of this gateway's", "auth")
        if endpoint is None:
            raise RequestRefused("", f"there is nothing at {scope['method']} {scope['path'][:200]}", "not_found")
        if self.draining:
            raise RequestRefused("", "the gateway is shutting down", "overloaded")
        if len(self.active) > limits.max_exchanges:
            raise RequestRefused("", "the gateway has as many requests under way as it may have", "rate_limit")
        return key

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None if the client left. Raises `RequestRefused` where it is too long."""
        limit = self.config.limits.max_body
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise RequestRefused("", f"the body is longer than {limit} bytes", "too_large")
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    async def _serve(
        self,
        sender: Sender,
        exchange: Exchange,
        dialect: Dialect,
        endpoint: Endpoint | None,
        received: dict[str, str],
        body: bytes,
        key: str,
    ) -> None:
        assert endpoint is not None
        if endpoint.kind in ("models", "model"):
            await self._models(sender, exchange, dialect, endpoint, key)
            return
        asked = flow.Asked(dialect, endpoint, received, body, key, exchange.id)
        exchange.model = endpoint.model or _named_model(body)
        targets = self.config.route(exchange.model)
        if not targets:
            raise RequestRefused("model", f"no upstream serves the model {exchange.model!r}", "not_found")
        total = self.config.upstreams[targets[0].upstream].timeouts.total
        timer: asyncio.TimerHandle | None = None
        if total > 0:
            why = "the exchange took longer than it may"
            timer = sender.loop.call_later(total, exchange.abort, "timeout", why)
        try:
            await self._try(sender, exchange, asked, targets)
        finally:
            if timer is not None:
                timer.cancel()

    async def _try(self, sender: Sender, exchange: Exchange, asked: flow.Asked, targets: tuple[Target, ...]) -> None:
        """Ask the targets in turn, each as often as it may be, until one begins to answer."""
        last: _Failed | None = None
        for position, target in enumerate(targets):
            upstream = self.config.upstreams[target.upstream]
            if asked.endpoint.kind == "count_tokens" and dialects.get(upstream.dialect).count is None:
                exchange.upstream, exchange.upstream_dialect = target.upstream, upstream.dialect
                own_id = headers.ids(asked.dialect.request_id_header, asked.id, "")
                out_headers = {"content-type": "application/json", **own_id, **_ESTIMATED}
                await sender.body(200, out_headers, flow.estimate(asked), more=False)
                return
            try:
                planned = flow.plan(asked, target, self.config, self._keys[target.upstream], self._store)
            except RequestRefused:
                if last is not None:
                    continue  # a fall-back that can't serve this; the first error says more
                if position + 1 == len(targets):
                    raise
                continue
            exchange.upstream, exchange.upstream_dialect = target.upstream, planned.dialect.name
            exchange.upstream_model, exchange.streams = planned.translated.model, planned.client_streams
            wait = upstream.retries.backoff
            for attempt in range(max(1, upstream.retries.attempts)):
                exchange.attempts += 1
                exchange.phase = "waiting"
                try:
                    await self._attempt(sender, exchange, asked, planned)
                except _Failed as failed:
                    last = failed
                    self.metrics.upstream_errors.labels(target.upstream, failed.error.kind).inc()
                    told = failed.error.retry_after
                    pause = min(wait, upstream.retries.max_backoff) if told is None else told
                    if failed.retry == "never" or failed.error.kind not in flow.RETRIED:
                        raise
                    if failed.retry == "elsewhere" or attempt + 1 == upstream.retries.attempts:
                        break
                    if pause > upstream.retries.max_backoff:
                        break
                    self.metrics.retries.labels(target.upstream).inc()
                    await asyncio.sleep(pause)
                    wait *= 2
                else:
                    return
        assert last is not None
        raise last

    async def _attempt(self, sender: Sender, exchange: Exchange, asked: flow.Asked, planned: flow.Plan) -> None:
        """One request upstream. Raises `_Failed` while the client has no byte."""
        response: Response | None = None
        opening = self._opening(sender, exchange, asked, planned) if planned.client_streams else None
        exchange.upstream_id = ""
        exchange.error = None
        try:
            response = await self._client.open(
                "POST", planned.url, planned.headers, planned.body, planned.upstream.timeouts
            )
            exchange.upstream_id = headers.upstream_id(response.headers, planned.dialect.request_id_header)
            if opening is not None:
                await opening.over()
            if not 200 <= response.status < 300:
                raise await self._refused(response, exchange, asked, planned)
            await self._pass(sender, exchange, asked, planned, response)
        except (_Failed, UpstreamError) as error:
            failed = error if isinstance(error, _Failed) else self._unreachable(exchange, error)
            if opening is None or not await opening.over():
                raise failed from None
            self.metrics.upstream_errors.labels(exchange.upstream, failed.error.kind).inc()
            exchange.error = failed.error.kind
            await opening.fail(failed.error.kind, failed.error.message)
        except asyncio.CancelledError:
            if opening is None or not opening.begun or exchange.left or exchange.aborted is None:
                raise
            _uncancel()
            exchange.error = exchange.aborted[0]
            await opening.over()
            await opening.fail(*exchange.aborted)
        finally:
            if opening is not None:
                opening.stop()
            if response is not None:
                response.close()

    def _opening(self, sender: Sender, exchange: Exchange, asked: flow.Asked, planned: flow.Plan) -> Opening | None:
        """What begins the client's stream if the upstream takes too long to begin its own."""
        if not (self.config.head_wait and self.config.keepalive):
            return None

        def begin() -> tuple[flow.Answer, dict[str, str]]:
            answer = flow.answer(asked, planned, self.config, None, True, int(time.time()))
            return answer, self._head(exchange, asked, planned, answer)

        wait = self.config.head_wait - (time.perf_counter() - exchange.began)
        return Opening(wait, self.config.keepalive, begin, sender)

    def _head(self, exchange: Exchange, asked: flow.Asked, planned: flow.Plan, answer: flow.Answer) -> dict[str, str]:
        """The headers of a response, but for those that are the upstream's."""
        out_headers = {"content-type": answer.media_type}
        out_headers |= headers.ids(asked.dialect.request_id_header, asked.id, exchange.upstream_id)
        out_headers |= headers.losses(planned.translated.losses)
        if planned.client_streams:
            out_headers |= _STREAM_HEADERS
        return out_headers

    def _failed(self, exchange: Exchange, error: StreamError, retry: _Retry = "again") -> _Failed:
        return _Failed(error_response(error, exchange.client, exchange.upstream_id or exchange.id), error, retry)

    def _unreachable(self, exchange: Exchange, error: UpstreamError) -> _Failed:
        """The error of an upstream that did not answer, or with nothing that can be read."""
        said = StreamError(error.kind, error.about(exchange.upstream))
        failed = self._failed(exchange, said, "again" if error.again else "elsewhere")
        if error.kind == "internal":  # not the gateway's: a bad gateway, as far as the dialect knows that
            status = dialects.get(exchange.client).error_status.get("protocol", HTTP_STATUS["protocol"])
            failed.response = msgspec.structs.replace(failed.response, status=status)
        return failed

    async def _refused(self, response: Response, exchange: Exchange, asked: flow.Asked, planned: flow.Plan) -> _Failed:
        """The error that an upstream's error response is."""
        pieces: list[bytes] = []
        with suppress(UpstreamError):  # what there is of it will do
            await _collect(response, pieces, _LONGEST_ERROR, planned.upstream.timeouts.idle)
        body = b"".join(pieces)
        failed = self._refusal(exchange, response, body, planned.dialect.name, asked.dialect)
        if response.headers.get("x-should-retry", "") == "false":
            failed.retry = "never"
        return failed

    def _refusal(self, exchange: Exchange, response: Response, body: bytes, source: str, target: Dialect) -> _Failed:
        if response.status < 400:  # a redirect, which is not followed
            failed = self._unreachable(exchange, UpstreamError("internal", f"answered with status {response.status}"))
            failed.retry = "never"
            return failed
        error = read_error(response.status, response.headers, body, source)
        exchange.upstream_id = exchange.upstream_id or headers.as_id(error.request_id)
        translated = translate_error(response.status, response.headers, body, source, target.name)
        kept = {name: value for name, value in translated.headers.items() if _crosses(name, target.endpoints)}
        status = translated.status if translated.status < 600 else 502  # HTTP has no others
        return _Failed(msgspec.structs.replace(translated, status=status, headers=kept), error)

    async def _pass(
        self, sender: Sender, exchange: Exchange, asked: flow.Asked, planned: flow.Plan, response: Response
    ) -> None:
        """The response, as it comes. Raises `_Failed` while the client has no byte."""
        media_type = response.headers.get("content-type", "")
        is_stream = "event-stream" in media_type or (planned.upstream_streams and "json" not in media_type)
        answer = flow.answer(asked, planned, self.config, self._store, is_stream, int(time.time()))
        same = asked.dialect.name == planned.dialect.name
        endpoints = planned.dialect.endpoints
        assert endpoints is not None
        out_headers = headers.returning(endpoints, response.headers, same)
        out_headers |= self._head(exchange, asked, planned, answer)
        gaps = self.metrics.of(self.metrics.gap, exchange.client, exchange.upstream)
        pulse = Pulse(self.config, planned.upstream, exchange, answer, sender, out_headers)
        last_read: float | None = None
        try:
            more = True
            while more:
                pulse.waits()
                try:
                    data = await response.read()
                except UpstreamError:
                    data = b""
                now = pulse.reads()
                if last_read is not None:
                    gaps.observe(now - last_read)
                last_read = now
                out = answer.feed(data) if data else b""
                more = not response.at_end and bool(data) and answer.error is None
                if not more and answer.error is None:
                    out += answer.close()
                await pulse.settle()
                if answer.error is not None and not sender.started:
                    raise self._failed(exchange, *_ours(answer.error.event))
                if out:
                    exchange.phase = "streaming"
                    await sender.body(200, out_headers, out, more)
        except asyncio.CancelledError:
            why = exchange.aborted or pulse.stalled
            if exchange.left or why is None or (exchange.aborted and not sender.started):
                raise
            _uncancel()
            response.close()  # before the client takes the rest, or does not
            if not sender.started:
                raise self._failed(exchange, StreamError(*why), "elsewhere") from None  # it may be at work
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await sender.last(200, out_headers, answer.fail(*why))
        finally:
            pulse.stop()
            exchange.losses.clear()  # those of an earlier attempt
            exchange.note(answer.message, [*planned.translated.losses, *answer.losses])
            if answer.error is not None:
                exchange.error = answer.error.kind
                if sender.started:
                    self.metrics.upstream_errors.labels(exchange.upstream, answer.error.kind).inc()
        exchange.phase = "done"
        await sender.last(200, out_headers, b"")

    # Models

    async def _models(self, sender: Sender, exchange: Exchange, dialect: Dialect, endpoint: Endpoint, key: str) -> None:
        endpoints = dialect.endpoints
        assert endpoints is not None
        models = await self._listed(exchange, dialect, key)
        if endpoint.kind == "model":
            wanted = endpoint.model.removeprefix("models/")
            model = next((model for model in models if model.id == wanted), None)
            if model is None:
                raise RequestRefused("model", f"there is no model {wanted!r}", "not_found")
            payload = endpoints.write_model(model)
        else:
            payload = endpoints.write_models(models)
        content = {"content-type": "application/json", **headers.ids(dialect.request_id_header, exchange.id, "")}
        await sender.body(200, content, dumps(payload), more=False)

    async def _listed(self, exchange: Exchange, dialect: Dialect, key: str) -> list[Model]:
        """The models that the configuration names; if it names none, those of the upstreams that tell theirs."""
        named = [Model(id=rule.match) for rule in self.config.models if not set("*?") & set(rule.match)]
        if named:
            return named
        models: dict[str, Model] = {}
        failures: list[_Failed] = []
        for name, upstream in self.config.upstreams.items():
            exchange.upstream, exchange.upstream_dialect = name, upstream.dialect
            try:
                listed = await self._list_of(exchange, upstream, dialect, key)
            except _Failed as failed:
                failures.append(failed)
                continue
            for model in listed:
                models.setdefault(model.id, model)
        if len(failures) == len(self.config.upstreams):
            raise failures[0]
        return list(models.values())

    async def _list_of(self, exchange: Exchange, upstream: Upstream, dialect: Dialect, key: str) -> list[Model]:
        source = dialects.get(upstream.dialect)
        endpoints = source.endpoints
        assert endpoints is not None
        url = upstream_url(upstream.url, endpoints, Endpoint("models"))
        keys = self._keys[exchange.upstream]
        sent = headers.upstream(endpoints, {}, False, key if upstream.forward_key else keys.key, keys.headers)
        try:
            response = await self._client.open("GET", url, sent, b"", upstream.timeouts)
            try:
                pieces: list[bytes] = []
                await _collect(response, pieces, self.config.limits.max_response, upstream.timeouts.idle)
            finally:
                response.close()
            body = b"".join(pieces)
            if response.status >= 300:
                raise self._refusal(exchange, response, body, source.name, dialect)
            return endpoints.read_models(loads(body))
        except UpstreamError as error:
            raise self._unreachable(exchange, error) from None
        except (*JSONError, CCProxyError, AttributeError):
            raise self._failed(exchange, StreamError("protocol", "the upstream's list of models is none")) from None


async def _watch(receive: Receive, exchange: Exchange) -> None:
    """Wait for the client to leave: sending does not tell that it has."""
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.leave()


async def _collect(response: Response, pieces: list[bytes], limit: int, idle: float) -> None:
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


def _ours(error: StreamError) -> tuple[StreamError, _Retry]:
    """The error of an answer, and where another attempt may not have it. What is too long is the upstream's fault."""
    if error.kind == "too_large" and not error.raw:
        return msgspec.structs.replace(error, kind="protocol"), "never"
    return error, "again"


def _place(bug: BaseException) -> str:
    """Where a mistake of ours came to light; its message may hold what a client said."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(bug).__name__}{where}"


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _named_model(body: bytes) -> str:
    """The model that a body names; what else is wrong with it, its translation will say."""
    try:
        model = loads(_MODEL.decode(body).get("model", b'""'))
    except JSONError:
        return ""
    return model if isinstance(model, str) else ""


def _crosses(name: str, endpoints: Endpoints | None) -> bool:
    """Whether a header of an error response goes to the client."""
    listed = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "request-id", headers.REQUEST_ID)
    return name in listed or (endpoints is not None and name.startswith(endpoints.returning))


async def _respond(send: Send, status: int, out_headers: dict[str, str], body: bytes) -> None:
    length = {"content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": headers.encode(out_headers | length)})
    await send({"type": "http.response.body", "body": body})


def create_app(config: Config, **options: Any) -> App:
    """An ASGI application to serve or to mount. Raises `ConfigError` if a key that is referred to is not there."""
    return App(config, **options)


__all__ = ["App", "ErrorKind", "StreamFailed", "create_app"]
