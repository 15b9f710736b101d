"""Errors before the first byte: the HTTP error of one dialect as that of another."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil, inf
from typing import Any, Final, cast

import msgspec

from ccproxy import dialects
from ccproxy.core.errors import MisuseError, RequestRefused, StreamFailed
from ccproxy.core.events import StreamError
from ccproxy.core.reports import VAGUE, excerpt, is_error, kind_of_status
from ccproxy.core.spi import Dialect
from ccproxy.core.vocab import HTTP_STATUS
from ccproxy.wire.json import JSONError, loads
from ccproxy.wire.sse import BOM, offsets, parse

_CARRIED: Final = ("retry-after", "retry-after-ms", "x-should-retry")
"""Headers that mean the same to the clients of every dialect."""
_REQUEST_IDS: Final = ("request-id", "x-request-id")
_CONNECTION: Final = frozenset(
    {
        # this connection's: RFC 9110, 7.6.1
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
        # of the bytes, which are written anew
        *("content-length", "content-encoding", "content-type"),
        # of the host, and we are another
        *("alt-svc", "date", "server", "set-cookie", "strict-transport-security"),
    }
)
_READ: Final = 16 * 1024
"""Bytes of a page in which its text is looked for."""
Headers = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]] | None
"""The headers of a response, as HTTP clients have them; None: there are none."""

_MARKUP: Final = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>?", re.DOTALL | re.IGNORECASE)


class TranslatedError(msgspec.Struct, frozen=True):
    """An HTTP error for a client of the target dialect."""

    status: int
    headers: dict[str, str]
    """Names in lower case; without content-length."""
    body: dict[str, Any]


def translate_error(
    status: int,
    headers: Headers,
    body: bytes | str | Mapping[str, Any] | None,
    source: str,
    target: str,
) -> TranslatedError:
    """The error response of a provider of the source dialect, for a client of the target dialect.

    The body may be anything: the dialect's error, another vendor's or a web framework's, a list of one, an event stream
    that begins with an error, HTML, text, nothing. What it says counts before the status; the status decides where it
    says nothing, or only that something is wrong. A client that is told to wait is told so in the target's way.

    Same dialect in and out: status, body and headers stay as they are, without the headers that belong to the
    connection. A status of success becomes the one that fits.

    The headers are any mapping (that of httpx, aiohttp or requests), an iterable of pairs, or None.

    Raises `MisuseError` for an unknown dialect, for headers that are none, and if neither the status nor the body tells
    of an error.
    """
    reader, writer = dialects.get(source), dialects.get(target)
    received = _received(headers)
    whole, error = _read(status, received, body, reader)
    answer = _response(error, writer, received)
    if source != target:
        return answer
    tied = _CONNECTION | {name.strip().lower() for name in received.get("connection", "").split(",")}
    return TranslatedError(
        status if status >= 400 else answer.status,
        {"content-type": "application/json"} | {name: value for name, value in received.items() if name not in tied},
        answer.body if whole is None else dict(whole),
    )


def read_error(status: int, headers: Headers, body: bytes | str | Mapping[str, Any] | None, source: str) -> StreamError:
    """What a provider's error response says, in neutral terms; see `translate_error`."""
    return _read(status, _received(headers), body, dialects.get(source))[1]


def error_response(
    error: StreamFailed | StreamError | RequestRefused, target: str, request_id: str | None = None
) -> TranslatedError:
    """The HTTP response for an error of our own, or for a stream that failed before its first byte was sent."""
    if isinstance(error, RequestRefused):
        event = StreamError(error.kind, str(error), param=error.path or None)
    elif isinstance(error, StreamFailed):
        event = error.event
    else:
        event = error
    if request_id is not None:
        event = msgspec.structs.replace(event, request_id=request_id)
    return _response(event, dialects.get(target), {})


def _received(headers: object) -> dict[str, str]:
    """The headers by their names in lower case; of one that comes twice the last counts."""
    if headers is None:
        return {}
    if not isinstance(headers, Iterable) or isinstance(headers, str | bytes):
        raise MisuseError(f"the headers must be a mapping or pairs, not {type(headers).__name__}")
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    received: dict[str, str] = {}
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(cast("Sequence[Any]", pair)) != 2:
            raise MisuseError(f"a header must be a pair of a name and a value, not {pair!r}")
        name, value = (_header_text(word) for word in cast("Sequence[Any]", pair))
        received[name.lower()] = value
    return received


def _header_text(word: object) -> str:
    if isinstance(word, str):
        return word
    if isinstance(word, bytes | bytearray):
        return word.decode("latin-1")
    raise MisuseError(f"the name and the value of a header must be text, not {type(word).__name__}")


def _read(
    status: int, headers: Mapping[str, str], body: bytes | str | Mapping[str, Any] | None, dialect: Dialect
) -> tuple[Mapping[str, Any] | None, StreamError]:
    """The body, if it is one JSON object, and the error."""
    whole, payload = _payload(body)
    failed = status >= 400
    if not failed and (payload is None or not is_error(payload)):
        raise MisuseError(f"status {status} is no error, and neither is the body")
    if payload is None:
        said = _readable(_bytes(body))
        payload = {"message": said or f"the provider answered with status {status} and an empty body"}
        whole = False
    error = dialect.read_error(payload)
    if failed and error.kind in VAGUE:
        error = msgspec.structs.replace(error, kind=kind_of_status(status))
    ids = [headers.get(name) for name in (dialect.request_id_header, *_REQUEST_IDS)]
    error = msgspec.structs.replace(
        error,
        request_id=next(filter(None, ids), error.request_id),
        retry_after=_seconds(headers, error.retry_after),
    )
    return (payload if whole else None), error


def _response(error: StreamError, dialect: Dialect, received: Mapping[str, str]) -> TranslatedError:
    headers = {"content-type": "application/json"}
    headers |= {name: received[name] for name in _CARRIED if name in received}
    if error.retry_after is not None and not headers.keys() & {"retry-after", "retry-after-ms"}:
        headers["retry-after"] = str(ceil(error.retry_after))  # whole seconds, by RFC 9110
        if error.retry_after % 1:
            headers["retry-after-ms"] = str(ceil(error.retry_after * 1000))
    if error.request_id is not None and error.request_id.isascii() and error.request_id.isprintable():
        headers[dialect.request_id_header] = error.request_id
    status = dialect.error_status.get(error.kind, HTTP_STATUS[error.kind])
    return TranslatedError(status, headers, dialect.write_error(error))


def _seconds(headers: Mapping[str, str], said: float | None) -> float | None:
    """How long to wait; the body may say it too. A date is left to the client, which has a clock."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < inf:
            return seconds
    return said


def _payload(body: bytes | str | Mapping[str, Any] | None) -> tuple[bool, Mapping[str, Any] | None]:
    """The object in the body, and whether it is the whole body (Google puts it into a list); None if there is none."""
    if isinstance(body, Mapping):
        return True, body
    data = _bytes(body)
    try:
        value = loads(data)
    except JSONError:
        return False, _streamed(data)
    if isinstance(value, list):
        objects = [entry for entry in value if isinstance(entry, dict)]
        return True, next(filter(is_error, objects), objects[0] if objects else None)
    if isinstance(value, str) and value:
        return False, {"message": value}
    return True, cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _streamed(data: bytes) -> Mapping[str, Any] | None:
    """The error in an event stream."""
    starts = offsets(data)
    for start, end in pairwise([*starts, len(data)]):
        frame = parse(data[start:end])
        try:
            value = loads(frame.data if frame.data is not None else frame.stray.removeprefix(b"error:"))
        except JSONError:
            continue
        if isinstance(value, dict) and is_error(value):
            return cast("dict[str, Any]", value)
    return None


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass").strip()
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body).removeprefix(BOM).strip()
    raise MisuseError(f"the body must be bytes, text or an object, not {type(body).__name__}")


def _readable(data: bytes) -> str:
    """The beginning of a text, of a page without its markup."""
    text = data[:_READ].decode("utf-8", "replace")
    if text.startswith("<"):
        text = _MARKUP.sub(" ", text)
    return excerpt(text)
