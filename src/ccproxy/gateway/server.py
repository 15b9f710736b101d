"""The ASGI application: who may ask, what is asked, and how it ended. The rest of an exchange is `course`'s matter."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from hmac import compare_digest
from time import perf_counter
from typing import Any

import msgspec

from ccproxy.core.errors import MisuseError, RequestRefused
from ccproxy.core.events import StreamError
from ccproxy.core.spi import Endpoint
from ccproxy.core.store import MemoryStore, Store
from ccproxy.failures import error_response
from ccproxy.wire.json import JSONError, loads

from . import flow, headers, models
from .config import Config, check_secrets, secret, upstream_keys
from .course import Course, Gateway
from .exchange import AccessLog, Exchange
from .failed import Failed
from .metrics import MEDIA_TYPE, Metrics
from .routes import Route, client_key, find_route, parse_query, spoken
from .sender import Send, Sender
from .upstream import Client, HttpClient

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


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
        self._client = client or HttpClient()
        self._log = log or AccessLog("json" if config.log == "auto" else config.log)
        self._observer = observer
        check_secrets(config, environment)
        store = store or (MemoryStore(config.remember_calls) if config.remember_calls else None)
        keys = {name: flow.Keys(*upstream_keys(upstream, environment)) for name, upstream in config.upstreams.items()}
        pairs = {
            (dialect.name, name): flow.Pair(dialect, name, config, keys[name], store)
            for dialect, _ in spoken()
            for name in config.upstreams
        }
        self._gateway = Gateway(config, self._client, self.metrics, pairs)
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
        page = self._page(method, path) if method in ("GET", "HEAD") else None
        if page is not None:
            await _respond(send, *page)
            return
        received = headers.decode(scope["headers"])
        query = parse_query(scope.get("query_string", b""))
        route = find_route(method, path, query, received)
        client = route.dialect.name
        exchange = Exchange(headers.request_id(received), client, perf_counter())
        loop = asyncio.get_running_loop()  # once: before Python 3.12 it asks the system for the process each time
        task = asyncio.current_task(loop)
        assert task is not None
        exchange.cancel = task.cancel
        self.active.add(exchange)
        self.metrics.active += 1
        sender = Sender(send, exchange, loop)
        try:
            await self._answer(scope, receive, sender, exchange, route, query, received)
        except asyncio.CancelledError:
            if not exchange.left and exchange.aborted is None:
                raise
            task.uncancel()
            if exchange.aborted is not None and not exchange.left:
                exchange.error = exchange.aborted[0]
                await sender.error(error_response(StreamError(*exchange.aborted), client, exchange.id))
        except Exception as bug:  # whatever it is, the client gets its dialect's error, and the log no body
            exchange.error = "internal"
            self._log.say("error", f"{exchange.id}: {_place(bug)}")
            failed = StreamError("internal", "the gateway itself failed")
            await sender.error(error_response(failed, client, exchange.id))
        finally:
            self.active.discard(exchange)
            now = perf_counter()
            self.metrics.over(exchange, now)
            self._log.write(exchange.record(now))
            self._observer(exchange)

    def _page(self, method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
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

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        sender: Sender,
        exchange: Exchange,
        route: Route,
        query: Mapping[str, str],
        received: Mapping[str, str],
    ) -> None:
        """Check the request, then ask. Errors of our own are sent from here."""
        try:
            key = client_key(route.dialect, received, query)
            endpoint = self._admit(scope, route.endpoint, key, received)
            body = await self._body(receive)
            if body is None:
                exchange.left = True
                return
            watcher = sender.loop.create_task(_watch(receive, exchange))
            sender.before_end = watcher.cancel
            try:
                if endpoint.kind in ("models", "model"):
                    listed = await models.answer(self._gateway, exchange, route.dialect, endpoint, key)
                    own_id = headers.ids(route.dialect.request_id_header, exchange.id, "")
                    await sender.body(200, {"content-type": "application/json", **own_id}, listed, more=False)
                    return
                exchange.model = endpoint.model or _named_model(body)
                asked = flow.Asked(endpoint, received, body, key)
                await Course(self._gateway, sender, exchange, asked).run()
            finally:
                watcher.cancel()
        except RequestRefused as refused:
            exchange.error = refused.kind
            await sender.error(error_response(refused, exchange.client, exchange.id))
        except Failed as failed:
            exchange.error = failed.error.kind
            await sender.error(failed.response)
        except MisuseError as error:
            exchange.error = "bad_request"
            await sender.error(error_response(RequestRefused("", str(error)), exchange.client, exchange.id))

    def _admit(self, scope: Scope, endpoint: Endpoint | None, key: str, received: Mapping[str, str]) -> Endpoint:
        """The endpoint, if a client with this key may ask for it. Raises `RequestRefused`."""
        limits = self.config.limits
        if headers.size(scope["headers"]) > limits.max_headers:
            raise RequestRefused("", f"the headers are longer than {limits.max_headers} bytes", "too_large")
        if self._client_keys:
            given = key.encode("utf-8", "surrogateescape")
            matches = [compare_digest(given, known) for known in self._client_keys]  # all of them: no early way out
            if not any(matches):
                raise RequestRefused("", "the key is none of this gateway's", "auth")
        elif "origin" in received and headers.is_foreign_page(received):
            why = "a web page of another host may not ask; set client_keys, and its requests count by their key"
            raise RequestRefused("", why, "permission")
        if endpoint is None:
            raise RequestRefused("", f"there is nothing at {scope['method']} {scope['path'][:200]}", "not_found")
        if self.draining:
            raise RequestRefused("", "the gateway is shutting down", "overloaded")
        if len(self.active) > limits.max_exchanges:
            raise RequestRefused("", "the gateway has as many requests under way as it may have", "rate_limit")
        return endpoint

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


async def _watch(receive: Receive, exchange: Exchange) -> None:
    """Wait for the client to leave: sending does not tell that it has."""
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.leave()


def _place(bug: BaseException) -> str:
    """Where a mistake of ours came to light; its message may hold what a client said."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(bug).__name__}{where}"


class _Named(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw(b'""')


_named = msgspec.json.Decoder(_Named).decode


def _named_model(body: bytes) -> str:
    """The model that a body names; what else is wrong with it, its translation will say."""
    try:
        model = loads(_named(body).model)
    except JSONError:
        return ""
    return model if isinstance(model, str) else ""


async def _respond(send: Send, status: int, out_headers: dict[str, str], body: bytes) -> None:
    length = {"content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": headers.encode(out_headers | length)})
    await send({"type": "http.response.body", "body": body})


def create_app(config: Config, **options: Any) -> App:
    """An ASGI application to serve or to mount. Raises `ConfigError` if a key that is referred to is not there."""
    return App(config, **options)
