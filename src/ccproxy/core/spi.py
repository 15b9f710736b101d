"""What a dialect must provide, and what it is given."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from .assemble import Message, Part
from .events import Event, StreamError
from .losses import Losses
from .model import Request
from .vocab import ErrorKind

ReasoningStyle = Literal["reasoning_content", "reasoning", "both", "thinking-xml", "none"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    max_frame: int = 32 * 1024 * 1024
    """Bytes of one frame."""
    max_waiting: int = 8 * 1024 * 1024
    """Characters that wait for an open part to end, where the target is serial."""
    max_parts: int = 10_000


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one translation. `Translator` documents them."""

    model: str | None = None
    requested_model: str | None = None
    ids: str | None = None
    created: int | None = None
    include_usage: bool = True
    reasoning: ReasoningStyle = "reasoning_content"
    reasoning_details: bool = True
    reasoning_item: Literal["summary", "text"] = "summary"
    choices: Literal["first", "merge"] = "first"
    input_tokens: int | None = None
    quirks: tuple[str, ...] = ()
    limits: Limits = Limits()


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one request. `translate_request` documents them."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int = 8192
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    thinking: Literal["auto", "adaptive", "budget"] = "auto"
    reasoning: Literal["reasoning_content", "reasoning", "none"] = "reasoning_content"
    reasoning_details: bool = True
    cache_breakpoints: bool = False
    custom_tools: bool = False
    web_search: bool = False
    google: Literal["any", "gemini-api", "vertex"] = "any"
    unsigned_thinking: Literal["auto", "keep", "drop"] = "auto"


class Reader(Protocol):
    """Frames of one dialect to events. Repairs what its vendors get wrong. `core.reader.BaseReader` is its base."""

    finished: bool
    """Whether the stream has ended; what comes after is ignored."""
    offset: int
    """Bytes before the block of the last read."""
    kept: int
    """Bytes of the tail given to `close` that counted: a half frame does not."""
    part: int
    """The part whose text `read_one` gave."""
    array: bool
    """Set to read the elements of a JSON array instead of server-sent events; `read` is then told where they end."""

    def read(self, block: bytes, ends: Sequence[int] = ()) -> list[Event]: ...
    def read_one(self, block: bytes) -> str: ...
    def read_payload(self, event: str, payload: Mapping[str, Any]) -> list[Event]: ...
    def mark_one(self, block: bytes) -> None: ...
    def overflow(self, tail: bytes) -> list[Event]: ...
    def close(self, tail: bytes) -> list[Event]: ...
    def locate(self, position: int, text: int = 0) -> tuple[int, int]: ...


class Writer(Protocol):
    """Events to frames of one dialect. May assume that their order is legal. `core.writer.BaseWriter` is its base."""

    def write(self, events: list[Event]) -> bytes: ...
    def writes(self, part: int) -> Callable[[str], bytes] | None: ...
    def interrupt(self, message: Message, error: StreamError) -> bytes: ...


class Quirk(Protocol):
    """A vendor repair asked for by name: made once for a stream, it repairs the frames in turn before they are read."""

    def repair(self, frame: dict[str, Any]) -> dict[str, Any]: ...
    def release(self) -> dict[str, Any]:
        """A last frame with what is still held when the stream ends; empty if nothing is."""
        ...


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that ask how many tokens another request has, and their answers."""

    read: Callable[[Mapping[str, Any], RequestOptions], Request]
    write: Callable[[Request, RequestOptions, Losses], dict[str, Any]]
    read_answer: Callable[[Mapping[str, Any]], int | None]
    write_answer: Callable[[int], dict[str, Any]]


class Endpoint(msgspec.Struct, frozen=True):
    """What an HTTP request asks for."""

    kind: Literal["generate", "count_tokens", "models", "model"]
    model: str = ""
    """The model that the path names."""
    stream: bool | None = None
    """What the path says about streaming; None: the body does."""
    array: bool = False
    """Whether the stream is asked for as a JSON array rather than as server-sent events."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model, as a list of models shows it."""

    id: str
    title: str = ""
    created: int = 0
    """Unix time in seconds."""
    owner: str = ""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how a dialect is spoken over HTTP."""

    version: str
    """What the paths of the official API begin with (`/v1`)."""
    base_has_version: bool
    """Whether the base URL that the official SDK takes ends in the version."""
    environment: Mapping[str, str]
    """Variables that point a client at a gateway: `{base}`, `{root}` and `{key}` are filled in."""
    owns: Callable[[str, Mapping[str, str]], bool]
    """Whether a path, with the request's headers, can only be this dialect's."""
    find: Callable[[str, str, Mapping[str, str]], Endpoint | None]
    """What (method, path, query) asks for, if it is an endpoint of this dialect."""
    path: Callable[[Endpoint], str]
    """Path and query of an endpoint, after the version."""
    key_headers: tuple[str, ...]
    """The headers in which a client may send its key, bare or as a bearer; the first is how it is sent upstream."""
    key_query: str = ""
    """The query parameter in which a client may send its key."""
    bearer: bool
    """Whether the key is sent upstream as a bearer."""
    headers: Mapping[str, str] = {}
    """What every request upstream has."""
    crossing: tuple[str, ...] = ()
    """Headers of a client that go on to an upstream of the same dialect."""
    returning: tuple[str, ...] = ()
    """Beginnings of the names of headers that come back from an upstream of the same dialect."""
    read_models: Callable[[Mapping[str, Any]], list[Model]]
    """The models in a list."""
    write_models: Callable[[list[Model]], dict[str, Any]]
    write_model: Callable[[Model], dict[str, Any]]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format. `dialects/` holds one folder for each."""

    name: str
    title: str
    serial: bool
    """Whether the target takes one part at a time, of each choice if it has several."""
    choices: bool = False
    """Whether a serial target takes several choices."""
    reader: Callable[[Context], Reader]
    writer: Callable[[Context, Losses, Callable[[int], Part]], Writer]
    quirks: Mapping[str, Callable[[], Quirk]] = {}
    body: Callable[[Message, Context, Losses], dict[str, Any]]
    """The non-streaming response body of a message."""
    frames: Callable[[Mapping[str, Any]], Iterable[tuple[str, Mapping[str, Any]]]]
    """A non-streaming response body as frames (event name, payload) of its stream that say the same.

    Raises `FieldError` for what is no answer.
    """
    read_request: Callable[[Mapping[str, Any], RequestOptions], Request] | None = None
    """A request body in neutral terms. Raises `FieldError` or `RequestRefused`."""
    write_request: Callable[[Request, RequestOptions, Losses], dict[str, Any]] | None = None
    """The body for a request. Raises `RequestRefused` for what can't be served honestly."""
    has_foreign: Callable[[Mapping[str, Any], RequestOptions], bool] | None = None
    """Whether the history in a body for its own provider has reasoning that can't go there as it is.

    That is reasoning of another model or provider, or that the provider refuses, but for what is in an envelope. What
    it says of a wrong body does not count. None: there is none but in envelopes.
    """
    wants_unsigned: bool = False
    """Whether its servers want reasoning back that nobody has signed."""
    count: TokenCount | None = None
    """None: it counts no tokens."""
    model_in_path: bool = False
    """Whether a request's model, and whether it streams, stand in the URL and not in the body."""
    signature_scheme: str = ""
    """The scheme of the signatures that its own provider makes and wants back; see `signatures.belongs`."""
    sniff: Callable[[str, Mapping[str, Any]], bool]
    """Whether a frame (event name, payload) is this dialect's."""
    read_error: Callable[[Mapping[str, Any]], StreamError]
    """The error of a frame or of an HTTP body."""
    write_error: Callable[[StreamError], dict[str, Any]]
    """The HTTP body for an error."""
    error_status: Mapping[ErrorKind, int] = {}
    """The HTTP statuses that differ from `vocab.HTTP_STATUS`."""
    request_id_header: str = "x-request-id"
    endpoints: Endpoints | None = None
    """None: it is not spoken over HTTP."""


class Listener(Protocol):
    def on_events(self, events: list[Event], /) -> None: ...
