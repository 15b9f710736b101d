"""One exchange without I/O: what goes upstream, and what the client gets for what comes back.

An `Answer` takes the upstream's bytes and gives the client's. There are four kinds, by whether the client and the
upstream stream. Until an answer has given its first byte its error can still be an HTTP error, and another upstream
asked.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple, Protocol

import msgspec

from ccproxy import dialects
from ccproxy.core.assemble import Message
from ccproxy.core.errors import StreamFailed
from ccproxy.core.events import StreamError
from ccproxy.core.losses import Loss
from ccproxy.core.spi import Dialect, Endpoint
from ccproxy.core.store import Store
from ccproxy.core.vocab import ErrorKind
from ccproxy.requests import (
    RequestOptionsDict,
    TranslatedRequest,
    translate_count_request,
    translate_count_response,
    translate_request,
)
from ccproxy.responses import read_response, replay, translate_response
from ccproxy.translator import Options, Translator
from ccproxy.wire.array import BLANK, begins_array, from_events
from ccproxy.wire.json import dumps
from ccproxy.wire.sse import BOM

from . import headers
from .config import Config, Target, Upstream, UpstreamOptions
from .routes import upstream_url

RETRIED: frozenset[ErrorKind] = frozenset({"rate_limit", "overloaded", "internal", "timeout", "truncated", "protocol"})
"""Errors that another attempt, or another upstream, may not have."""
_CHARACTERS_OF_A_TOKEN = 4
_EVENTS = "text/event-stream; charset=utf-8"
_JSON = "application/json"


class Asked(NamedTuple):
    """A client's request."""

    dialect: Dialect
    endpoint: Endpoint
    headers: Mapping[str, str]
    body: bytes
    key: str
    """The client's own key."""
    id: str


class Keys(NamedTuple):
    """What an upstream is asked with."""

    key: str
    headers: Mapping[str, str]
    """Those that are configured."""


class Plan(NamedTuple):
    """One request upstream."""

    target: Target
    upstream: Upstream
    dialect: Dialect
    url: str
    headers: dict[str, str]
    body: bytes
    translated: TranslatedRequest
    client_streams: bool
    upstream_streams: bool


class Answer(Protocol):
    """What a client gets for one response upstream."""

    media_type: str

    def feed(self, data: bytes) -> bytes: ...
    def close(self) -> bytes: ...
    def fail(self, kind: ErrorKind, message: str) -> bytes:
        """End it with an error that the upstream's bytes do not tell."""
        ...

    def ping(self) -> bytes:
        """A sign of life; empty where the dialect has none."""
        ...

    @property
    def error(self) -> StreamFailed | None:
        """Why it failed."""
        ...

    @property
    def message(self) -> Message | None: ...
    @property
    def losses(self) -> tuple[Loss, ...]: ...


def plan(asked: Asked, target: Target, config: Config, keys: Keys, store: Store | None) -> Plan:
    """The request for a target. Raises `RequestRefused`."""
    upstream = config.upstreams[target.upstream]
    dialect = dialects.get(upstream.dialect)
    endpoints = dialect.endpoints
    assert endpoints is not None  # the configuration was checked
    source = asked.dialect
    options: RequestOptionsDict = {
        **_fields(upstream.options),
        "model": target.model or asked.endpoint.model or None,
        "stream": asked.endpoint.stream,
    }
    if asked.endpoint.kind == "count_tokens":
        translated = translate_count_request(asked.body, source.name, dialect.name, **options)
        streams = client_streams = False
    else:
        translated = translate_request(asked.body, source.name, dialect.name, store=store, **options)
        client_streams = translated.stream
        streams = client_streams or upstream.stream == "always"
        if streams != client_streams:
            options["stream"] = True
            translated = translate_request(asked.body, source.name, dialect.name, store=store, **options)
    same = source.name == dialect.name
    return Plan(
        target,
        upstream,
        dialect,
        upstream_url(upstream.url, endpoints, Endpoint(asked.endpoint.kind, translated.model, streams)),
        headers.upstream(endpoints, asked.headers, same, asked.key if upstream.forward_key else keys.key, keys.headers),
        asked.body if translated.untouched else dumps(translated.body),
        translated,
        client_streams,
        streams,
    )


@cache
def _fields(options: UpstreamOptions) -> RequestOptionsDict:
    return msgspec.convert(msgspec.structs.asdict(options), RequestOptionsDict)


def estimate(asked: Asked) -> bytes:
    """A number of tokens for an upstream that counts none."""
    count = asked.dialect.count
    return b"" if count is None else dumps(count.write_answer(tokens_of(asked.body)))


def tokens_of(body: bytes) -> int:
    """About how many tokens a request has: one is about four characters."""
    return max(1, len(body) // _CHARACTERS_OF_A_TOKEN)


def answer(asked: Asked, planned: Plan, config: Config, store: Store | None, is_stream: bool, created: int) -> Answer:
    """The answer for an upstream's response, which may be a stream or a body whatever was asked for."""
    options = Options(
        created=created,
        include_usage=planned.translated.include_usage,
        requested_model=planned.translated.model or None,
        quirks=planned.upstream.quirks,
        choices=planned.upstream.choices,
        tools=planned.translated.tools,
        store=store,
        max_frame=config.limits.max_frame,
        max_waiting=config.limits.max_waiting,
    )
    source, target = planned.dialect.name, asked.dialect.name
    if asked.endpoint.kind == "count_tokens":
        return _Count(source, target, config.limits.max_response)
    body: Answer | None = None
    if not is_stream:
        limit = config.limits.max_response
        body = _Body(source, target, options.copy(), limit, planned.client_streams, asked.endpoint.array)
        if not planned.upstream_streams:
            return body
    if planned.client_streams:
        options["normalize"] = planned.upstream.normalize or not is_stream
        options["input_tokens"] = len(asked.body) // _CHARACTERS_OF_A_TOKEN
        stream: Answer = _Stream(source, target, options, asked.endpoint.array)
    else:
        stream = _Collected(source, target, options)
    return stream if body is None else _Either(stream, body)


class _Array:
    """Events as the elements of one JSON array."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, events: bytes) -> bytes:
        elements = from_events(events)
        if not elements:
            return b""
        before = b",\n" if self._begun else b"["
        self._begun = True
        return before + elements

    def close(self) -> bytes:
        return b"]" if self._begun else b"[]"


class _Stream:
    """A stream for a stream."""

    def __init__(self, source: str, target: str, options: Options, array: bool) -> None:
        self._translator = Translator(source, target, **options)
        self._array = _Array() if array else None
        self.media_type = _JSON if array else _EVENTS

    def feed(self, data: bytes) -> bytes:
        out = self._translator.feed(data)
        return out if self._array is None else self._array.feed(out)

    def close(self) -> bytes:
        return self._last(self._translator.close())

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        return self._last(self._translator.fail(kind, message))

    def _last(self, out: bytes) -> bytes:
        return out if self._array is None else self._array.feed(out) + self._array.close()

    def ping(self) -> bytes:
        return b"" if self._array is not None else self._translator.ping()

    @property
    def error(self) -> StreamFailed | None:
        return self._translator.error

    @property
    def message(self) -> Message | None:
        return self._translator.message

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._translator.losses


class _Collected:
    """A body for a client that does not stream, from a stream."""

    media_type = _JSON

    def __init__(self, source: str, target: str, options: Options) -> None:
        self._target = target
        self._translator = Translator(source, source, **options)
        self._unanswered: StreamFailed | None = None

    def feed(self, data: bytes) -> bytes:
        self._translator.feed(data)
        return b""

    def close(self) -> bytes:
        self._translator.close()
        if self.error is not None:
            return b""
        try:
            return dumps(self._translator.body(self._target))
        except StreamFailed as failed:
            self._unanswered = failed
            return b""

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        self._translator.fail(kind, message)
        return b""

    def ping(self) -> bytes:
        return b""

    @property
    def error(self) -> StreamFailed | None:
        return self._unanswered or self._translator.error

    @property
    def message(self) -> Message | None:
        return self._translator.message

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._translator.losses


class _Count:
    """A number of tokens."""

    media_type = _JSON
    message: Message | None = None
    losses: tuple[Loss, ...] = ()

    def __init__(self, source: str, target: str, limit: int) -> None:
        self._source, self._target, self._limit = source, target, limit
        self._body = b""
        self.error: StreamFailed | None = None

    def feed(self, data: bytes) -> bytes:
        self._body += data
        if len(self._body) > self._limit:
            self.fail("too_large", f"the response is longer than the limit max_response of {self._limit} bytes")
        return b""

    def close(self) -> bytes:
        if self.error is not None:
            return b""
        try:
            return dumps(translate_count_response(self._body, self._source, self._target).body)
        except StreamFailed as failed:
            self.error = failed
            return b""

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        self.error = self.error or StreamFailed(StreamError(kind, message))
        return b""

    def ping(self) -> bytes:
        return b""


class _Body:
    """A body for a body, or for a client that asked for a stream."""

    def __init__(self, source: str, target: str, options: Options, limit: int, streams: bool, array: bool) -> None:
        self._source, self._target, self._options = source, target, options
        self._limit = limit
        self._streams = streams
        self._array = _Array() if array else None
        self._pieces: list[bytes] = []
        self._size = 0
        self.media_type = _EVENTS if streams and not array else _JSON
        self.error: StreamFailed | None = None
        self.message: Message | None = None
        self.losses: tuple[Loss, ...] = ()

    def feed(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
            said = f"the response is longer than the limit max_response of {self._limit} bytes"
            return self.fail("too_large", said)
        if self.error is None:
            self._pieces.append(data)
        return b""

    def close(self) -> bytes:
        if self.error is not None:
            return b""
        body = b"".join(self._pieces)
        try:
            self.message = read_response(body, self._source, **self._options)
            if self._streams:
                events = replay(body, self._source, self._target, **self._options)
                self.losses = events.losses
                return events if self._array is None else self._array.feed(events) + self._array.close()
            if self._source == self._target:
                return body
            translated = translate_response(body, self._source, self._target, **self._options)
        except StreamFailed as failed:
            self.error = failed
            return self._last_words(failed)
        self.losses = translated.losses
        return dumps(translated.body)

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        if self.error is not None:
            return b""
        self.error = StreamFailed(StreamError(kind, message))
        return self._last_words(self.error)

    def _last_words(self, failed: StreamFailed) -> bytes:
        """The error as the end of a stream, for a client that has had a sign of life."""
        if not self._streams:
            return b""
        stream = _Stream(self._source, self._target, self._options, self._array is not None)
        return stream.fail(failed.kind, failed.event.message)

    def ping(self) -> bytes:
        return b""


class _Either:
    """What an upstream calls JSON when it was asked for a stream: an array is one, anything else a body."""

    def __init__(self, stream: Answer, body: Answer) -> None:
        self._stream, self._body = stream, body
        self._answer: Answer | None = None
        self._beginning = b""
        self.media_type = stream.media_type

    def feed(self, data: bytes) -> bytes:
        if self._answer is None:
            data = (self._beginning + data).lstrip(BLANK).removeprefix(BOM).lstrip(BLANK)
            is_array = begins_array(data)
            if is_array is None:
                self._beginning = data
                return b""
            self._answer = self._stream if is_array else self._body
        return self._answer.feed(data)

    def close(self) -> bytes:
        return self._chosen.close()

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        return self._chosen.fail(kind, message)

    def ping(self) -> bytes:
        return self._stream.ping() if self._answer is None else self._answer.ping()

    @property
    def _chosen(self) -> Answer:
        return self._answer or self._body

    @property
    def error(self) -> StreamFailed | None:
        return self._chosen.error

    @property
    def message(self) -> Message | None:
        return self._chosen.message

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._chosen.losses
