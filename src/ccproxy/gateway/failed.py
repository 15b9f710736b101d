"""What an upstream does instead of answering: the error that the client gets, and where another attempt may be made."""

from typing import Literal

import msgspec

from ccproxy import dialects
from ccproxy.core.events import StreamError
from ccproxy.core.spi import Dialect, Endpoints
from ccproxy.core.vocab import HTTP_STATUS, ErrorKind
from ccproxy.failures import TranslatedError, error_response, read_error, translate_error

from . import headers
from .exchange import Exchange
from .upstream import Response, UpstreamError

RETRIED: frozenset[ErrorKind] = frozenset({"rate_limit", "overloaded", "internal", "timeout", "truncated", "protocol"})
"""Errors that another attempt, or another upstream, may not have."""

Retry = Literal["again", "elsewhere", "never"]
"""Where another attempt may be made: at the same upstream, at a fall-back only, or nowhere."""


class Failed(Exception):
    """An attempt failed before the client got a byte."""

    def __init__(self, response: TranslatedError, error: StreamError, retry: Retry = "again") -> None:
        self.response = response
        self.error = error
        self.retry: Retry = retry if error.kind in RETRIED else "never"
        super().__init__(error.message)


def failed(exchange: Exchange, error: StreamError, retry: Retry = "again") -> Failed:
    return Failed(error_response(error, exchange.client, exchange.upstream_id or exchange.id), error, retry)


def answered_wrong(exchange: Exchange, error: StreamError) -> Failed:
    """The error that an answer is, or ends in. What is too long is the upstream's fault, and will be again."""
    if error.kind == "too_large" and not error.raw:
        return failed(exchange, msgspec.structs.replace(error, kind="protocol"), "never")
    return failed(exchange, error)


def unreachable(exchange: Exchange, error: UpstreamError) -> Failed:
    """The error of an upstream that did not answer, or with nothing that can be read."""
    said = StreamError(error.kind, error.about(exchange.upstream))
    out = failed(exchange, said, "again" if error.again else "elsewhere")
    if error.kind == "internal":  # not the gateway's: a bad gateway, as far as the dialect knows that
        status = dialects.get(exchange.client).error_status.get("protocol", HTTP_STATUS["protocol"])
        out.response = msgspec.structs.replace(out.response, status=status)
    return out


def refused(exchange: Exchange, response: Response, body: bytes, source: Dialect, target: Dialect) -> Failed:
    """The error that an upstream's error response is."""
    if response.status < 400:  # a redirect, which is not followed
        out = unreachable(exchange, UpstreamError("internal", f"answered with status {response.status}"))
        out.retry = "never"
        return out
    error = read_error(response.status, response.headers, body, source.name)
    exchange.upstream_id = exchange.upstream_id or headers.as_id(error.request_id)
    translated = translate_error(response.status, response.headers, body, source.name, target.name)
    kept = {name: value for name, value in translated.headers.items() if _crosses(name, target.endpoints)}
    status = translated.status if translated.status < 600 else 502  # HTTP has no others
    never = response.headers.get("x-should-retry", "") == "false"
    answer = msgspec.structs.replace(translated, status=status, headers=kept)
    return Failed(answer, error, "never" if never else "again")


def _crosses(name: str, endpoints: Endpoints | None) -> bool:
    """Whether a header of an error response goes to the client."""
    listed = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "request-id", headers.REQUEST_ID)
    return name in listed or (endpoints is not None and name.startswith(endpoints.returning))
