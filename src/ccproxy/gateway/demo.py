"""A built-in upstream for every dialect: bundled streams at the pace of a model, without a key or a network."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ccproxy import dialects
from ccproxy.core.assemble import Assembler
from ccproxy.core.errors import RequestRefused
from ccproxy.core.events import Delta, Event, PartEnd, PartStart, StreamStart
from ccproxy.core.fields import FieldError
from ccproxy.core.losses import Losses
from ccproxy.core.model import Request, Result, Tool
from ccproxy.core.spi import Context, Dialect, Endpoint, RequestOptions
from ccproxy.failures import TranslatedError, error_response
from ccproxy.translator import Translator
from ccproxy.wire.json import JSONError, dumps, loads
from ccproxy.wire.sse import parse

from .config import Config, ModelRule, Timeouts, Upstream
from .flow import tokens_of
from .routes import spoken

_HOST: Final = "demo.invalid"
_FIRST: Final = 0.4
"""Seconds that a model thinks before it says anything."""
_PACE: Final = 0.03
"""Seconds between two deltas."""
_HARMLESS: Final = re.compile(r"(?:get|list|look|read|search|find|show|fetch|query|weather)", re.IGNORECASE)
"""How the name of a tool begins that only looks: the demo calls no other, since agents do run what it calls."""
_PIECE: Final = 12
"""Characters of arguments in one delta."""


def model_of(dialect: str) -> str:
    """The model that the demo's upstream of a dialect serves."""
    return f"demo-{dialect}"


def demo_config(port: int) -> Config:
    """One upstream for each dialect, chosen by the model; what is asked for any other model goes to the first."""
    names = [dialect.name for dialect, _ in spoken()]
    rules = [ModelRule(match=model_of(name), upstream=name) for name in names]
    return Config(
        port=port,
        upstreams={name: Upstream(dialect=name, url=f"http://{_HOST}/{name}") for name in names},
        models=(*rules, ModelRule(match="*", upstream=names[0])),
    )


class DemoClient:
    """In the place of an HTTP client. Answers with the one stream, or with the other if there is a tool to call."""

    def __init__(self, answer: bytes, call: bytes, pace: float = 1.0) -> None:
        """`pace` is a factor; 0 does not wait."""
        self._answer = _events(answer)
        self._call = _events(call)
        self._pace = pace

    async def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Timeouts
    ) -> "_Streamed | _Whole":
        parts = urlsplit(url)
        _, name, path = parts.path.split("/", 2)
        dialect = dialects.get(name)
        endpoints = dialect.endpoints
        assert endpoints is not None  # the configuration names no other
        endpoint = endpoints.find(method, f"/{path}", dict(parse_qsl(parts.query)))
        if endpoint is not None and endpoint.kind == "count_tokens" and dialect.count is not None:
            count = dialect.count.write_answer(tokens_of(body))
            return _Whole(200, {"content-type": "application/json"}, dumps(count))
        if endpoint is None or endpoint.kind != "generate":
            return _refused(error_response(RequestRefused("", "the demo has no such thing", "not_found"), name))
        try:
            request = _read(dialect, body)
        except (RequestRefused, FieldError) as error:
            refused = error if isinstance(error, RequestRefused) else RequestRefused(error.path, error.reason)
            return _refused(error_response(refused, name))
        streams = bool(request.stream if endpoint.stream is None else endpoint.stream)
        events = self._events_for(request, endpoint)
        await asyncio.sleep(_FIRST * self._pace)
        if streams:
            return _Streamed(dialect, events, _PACE * self._pace)
        assembler = Assembler()
        assembler.on_events(events)
        payload = dialect.body(assembler.message, Context(created=int(time.time())), Losses())
        return _Whole(200, {"content-type": "application/json"}, dumps(payload))

    async def close(self) -> None:
        pass

    def _events_for(self, request: Request, endpoint: Endpoint) -> list[Event]:
        model = request.model or endpoint.model
        tool = _tool_to_call(request)
        events = self._answer if tool is None else list(_calling(self._call, tool))
        return [_named(event, model) if type(event) is StreamStart else event for event in events]


class _Streamed:
    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, dialect: Dialect, events: list[Event], pace: float) -> None:
        self._events = iter(events)
        self._pace = pace
        self._assembler = Assembler()
        self._writer = dialect.writer(Context(created=int(time.time())), Losses(), self._assembler.part)

    at_end = False

    async def read(self) -> bytes:
        for event in self._events:
            if type(event) is Delta:
                await asyncio.sleep(self._pace)
            self._assembler.on_events([event])
            data = self._writer.write([event])
            if data:
                return data
        return b""

    def close(self) -> None:
        pass


class _Whole:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    @property
    def at_end(self) -> bool:
        return not self._body

    def close(self) -> None:
        pass


def _refused(error: TranslatedError) -> _Whole:
    return _Whole(error.status, error.headers, dumps(error.body))


def _events(stream: bytes) -> list[Event]:
    """What a bundled stream says, each delta alone."""
    heard = _Listener()
    frames = [frame + b"\n\n" for frame in stream.split(b"\n\n") if frame]
    source = next(name for name in dialects.names() if _sniff(dialects.get(name), frames[0]))
    translator = Translator(source, source, listeners=[heard])
    for frame in frames:
        translator.feed(frame)
    translator.close()
    return heard.events


class _Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_events(self, events: list[Event]) -> None:
        self.events += events


def _sniff(dialect: Dialect, raw: bytes) -> bool:
    frame = parse(raw)
    return dialect.sniff(frame.event.decode(), loads(frame.data or b"{}"))


def _read(dialect: Dialect, body: bytes) -> Request:
    """Raises `RequestRefused` or `FieldError`."""
    assert dialect.read_request is not None
    try:
        payload = loads(body)
    except JSONError as error:
        raise RequestRefused("", f"the body is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise RequestRefused("", "the body must be a JSON object")
    return dialect.read_request(payload, RequestOptions())


def _tool_to_call(request: Request) -> Tool | None:
    """The tool that the demo calls; none in an answer to a result, or if none is known to be harmless."""
    if request.turns and any(type(part) is Result for part in request.turns[-1].parts):
        return None
    if request.tool_choice is not None and request.tool_choice.mode == "none":
        return None
    return next((tool for tool in request.tools if tool.kind == "function" and _HARMLESS.match(tool.name)), None)


def _calling(events: list[Event], tool: Tool) -> Iterator[Event]:
    """The bundled calls, as calls of the client's tool."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if type(event) is PartStart and event.kind == "tool":
            calls[event.part] = []
            yield msgspec.structs.replace(event, name=tool.name, namespace=tool.namespace)
        elif type(event) is Delta and event.part in calls:
            calls[event.part] += event.texts
        else:
            if type(event) is PartEnd and event.part in calls:
                arguments = _arguments(tool.schema or {}, loads("".join(calls[event.part]).encode()))
                text = dumps(arguments).decode()
                for start in range(0, len(text), _PIECE):
                    yield Delta(event.part, [text[start : start + _PIECE]])
            yield event


def _arguments(schema: Mapping[str, Any], bundled: Mapping[str, Any]) -> dict[str, Any]:
    """Values for what the tool requires: the bundled ones where the names are the same."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return {}
    required = schema.get("required")
    wanted = required if isinstance(required, list) and required else list(properties)[:1]
    word = next((value for value in bundled.values() if isinstance(value, str)), "")
    return {name: bundled.get(name, _sample(properties.get(name), word)) for name in wanted if isinstance(name, str)}


def _sample(schema: Any, word: str) -> Any:
    """A value of the type that a schema wants, as far as it says so."""
    known = schema if isinstance(schema, dict) else {}
    if isinstance(known.get("enum"), list) and known["enum"]:
        return known["enum"][0]
    samples: dict[str, Any] = {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}
    kind = known.get("type")
    return samples.get(str(kind).lower(), word)


def _named(start: StreamStart, model: str) -> StreamStart:
    return msgspec.structs.replace(start, model=model)
