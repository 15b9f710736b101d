"""One exchange without I/O: what goes upstream, and what the client gets for what comes back.

An `Answer` takes the upstream's bytes and gives the client's. There are four kinds, by whether the client and the
upstream stream. Until an answer has given its first byte its error can still be an HTTP error, and another upstream
asked.
"""

from collections.abc import Mapping
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
from .config import Config
from .routes import upstream_url

_CHARACTERS_OF_A_TOKEN = 4
_EVENTS = "text/event-stream; charset=utf-8"
_JSON = "application/json"


class Asked(msgspec.Struct, frozen=True):
    """A client's request."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    body: bytes
    key: str
    """The client's own key."""


class Keys(NamedTuple):
    """What an upstream is asked with."""

    key: str
    headers: Mapping[str, str]
    """Those that are configured."""


class Pair:
    """A dialect of clients and an upstream: what is the same in all their exchanges."""

    def __init__(self, client: Dialect, name: str, config: Config, keys: Keys, store: Store | None) -> None:
        self.client = client
        self.name = name
        """The upstream's in the configuration."""
        self.upstream = upstream = config.upstreams[name]
        self.dialect = dialect = dialects.get(upstream.dialect)
        """The upstream's."""
        assert dialect.endpoints is not None  # the configuration was checked
        self.endpoints = dialect.endpoints
        self.same = client.name == dialect.name
        self.store = store
        self.max_response = config.limits.max_response
        self.request_options = msgspec.convert(msgspec.structs.asdict(upstream.options), RequestOptionsDict)
        self.answer_options = Options(
            quirks=upstream.quirks,
            choices=upstream.choices,
            store=store,
            max_frame=config.limits.max_frame,
            max_waiting=config.limits.max_waiting,
        )
        self.headers = headers.Upstream(self.endpoints, self.same, *keys, forward_key=upstream.forward_key)
        self._urls: dict[str, str] = {}

    def url(self, asked: Endpoint, model: str, stream: bool) -> str:
        """The URL of the upstream's endpoint. Raises `RequestRefused` for a model that is no name of one."""
        if self.dialect.model_in_path:
            return upstream_url(self.upstream.url, self.endpoints, Endpoint(asked.kind, model, stream))
        known = self._urls.get(asked.kind)
        if known is None:
            known = self._urls[asked.kind] = upstream_url(self.upstream.url, self.endpoints, Endpoint(asked.kind))
        return known


class Plan(msgspec.Struct, frozen=True):
    """One request upstream."""

    pair: Pair
    url: str
    headers: Mapping[str, str]
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


def plan(asked: Asked, pair: Pair, model: str) -> Plan:
    """The request for an upstream, and for a model there if one is named. Raises `RequestRefused`."""
    source, target = pair.client.name, pair.dialect.name
    endpoint = asked.endpoint
    options = pair.request_options | {"model": model or endpoint.model or None, "stream": endpoint.stream}
    if endpoint.kind == "count_tokens":
        translated = translate_count_request(asked.body, source, target, **options)
        streams = client_streams = False
    else:
        translated = translate_request(asked.body, source, target, store=pair.store, **options)
        client_streams = translated.stream
        streams = client_streams or pair.upstream.stream == "always"
        if streams != client_streams:
            options["stream"] = True
            translated = translate_request(asked.body, source, target, store=pair.store, **options)
    return Plan(
        pair,
        pair.url(endpoint, translated.model, streams),
        pair.headers.of(asked.headers, asked.key),
        asked.body if translated.untouched else dumps(translated.body),
        translated,
        client_streams,
        streams,
    )


def estimate(client: Dialect, body: bytes) -> bytes:
    """A number of tokens for an upstream that counts none."""
    return b"" if client.count is None else dumps(client.count.write_answer(tokens_of(body)))


def tokens_of(body: bytes) -> int:
    """About how many tokens a request has: one is about four characters."""
    return max(1, len(body) // _CHARACTERS_OF_A_TOKEN)


def answer(asked: Asked, planned: Plan, is_stream: bool, created: int) -> Answer:
    """The answer for an upstream's response, which may be a stream or a body whatever was asked for."""
    pair, translated = planned.pair, planned.translated
    source, target = pair.dialect.name, pair.client.name
    if asked.endpoint.kind == "count_tokens":
        return _Count(source, target, pair.max_response)
    options = pair.answer_options | {
        "created": created,
        "include_usage": translated.include_usage,
        "requested_model": translated.model or None,
        "tools": translated.tools,
    }
    body: Answer | None = None
    array = asked.endpoint.array
    if not is_stream:
        body = _Body(source, target, options.copy(), pair.max_response, planned.client_streams, array)
        if not planned.upstream_streams:
            return body
    if planned.client_streams:
        options["normalize"] = pair.upstream.normalize or not is_stream
        options["input_tokens"] = len(asked.body) // _CHARACTERS_OF_A_TOKEN
        stream = _stream(source, target, options, array)
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


class _Stream(Translator):
    """A stream for a stream."""

    media_type = _EVENTS


class _ArrayStream:
    """A stream for a stream that is a JSON array."""

    media_type = _JSON

    def __init__(self, source: str, target: str, options: Options) -> None:
        self._translator = Translator(source, target, **options)
        self._array = _Array()

    def feed(self, data: bytes) -> bytes:
        return self._array.feed(self._translator.feed(data))

    def close(self) -> bytes:
        return self._array.feed(self._translator.close()) + self._array.close()

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        return self._array.feed(self._translator.fail(kind, message)) + self._array.close()

    def ping(self) -> bytes:
        return b""

    @property
    def error(self) -> StreamFailed | None:
        return self._translator.error

    @property
    def message(self) -> Message | None:
        return self._translator.message

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._translator.losses


def _stream(source: str, target: str, options: Options, array: bool) -> Answer:
    return _ArrayStream(source, target, options) if array else _Stream(source, target, **options)


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
        stream = _stream(self._source, self._target, self._options, self._array is not None)
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
