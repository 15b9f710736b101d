"""The neutral words: kinds of parts, reasons to finish, kinds of errors and losses, usage."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

PartKind = Literal[
    "text",
    "reasoning",
    "redacted",  # reasoning that only its provider can read; its data is the part's Signature
    "tool",  # a function call; the text is its JSON arguments
    "custom_tool",  # a call whose input is free text
    "server_tool",  # a call that the provider runs itself; the text is its input
    "server_result",
    "refusal",
    "image",
    "audio",
    "opaque",  # a part that only its own dialect understands
]

Signs = Literal[
    "part",  # what it is on
    "call",  # the call that follows
    "text",  # the text before
]
"""What a signature signs."""

FinishKind = Literal[
    "end",
    "stop_sequence",
    "tool",
    "length",
    "context_full",
    "pause",
    "filtered",
    "compaction",
    "malformed",
    "error",
    "cancelled",
    "unknown",
]

ErrorKind = Literal[
    "bad_request",
    "context",
    "auth",
    "billing",
    "permission",
    "not_found",
    "conflict",
    "too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "internal",
    "filtered",
    "cancelled",
    "truncated",  # the stream ended before the source said why
    "protocol",  # the stream is not what its dialect allows
]

LossKind = Literal[
    "choice",
    "part",
    "signature",
    "citation",
    "refusal",
    "custom_tool",
    "stop_sequence",
    "finish",
    "boundary",
    "order",
    "logprobs",
    "usage",
    "opaque",
    "field",  # a field of a request that the target does not have
    "default",  # a field that the target requires and the source lacks
    "repair",  # a request that would have been refused as it was
]

HTTP_STATUS: Final[Mapping[ErrorKind, int]] = {
    "bad_request": 400,
    "context": 400,
    "auth": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limit": 429,
    "overloaded": 503,
    "timeout": 504,
    "internal": 500,
    "filtered": 400,
    "cancelled": 499,
    "truncated": 502,
    "protocol": 502,
}
"""A hint: the status that fits the kind where the dialect has no opinion of its own."""

ERROR_OF_STATUS: Final[Mapping[int, ErrorKind]] = {
    400: "bad_request",
    401: "auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limit",
    499: "cancelled",
    500: "internal",
    502: "internal",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
"""What a numeric code in an error object means (gateways put the upstream's HTTP status there)."""


class FinishReason(msgspec.Struct, frozen=True, gc=False):
    unified: FinishKind
    raw: str | None = None
    """The source's own word."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts; None is unknown, never zero. The whole input is `input` + `cache_read` + `cache_write`."""

    input: int | None = None
    """Input tokens that were neither read from nor written to a cache."""
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_ttl: dict[str, int] | None = None
    """`cache_write` split by lifetime: {"5m": …, "1h": …}."""
    output: int | None = None
    """Output tokens, reasoning included."""
    reasoning: int | None = None
    extra: tuple[str, ...] = ()
    """The provider's fields that have no neutral one and are not empty."""
    raw: dict[str, dict[str, Any]] | None = None
    """The provider's own object by dialect, with everything that has no neutral field."""

    def has_raw(self, dialect: str) -> bool:
        return self.raw is not None and dialect in self.raw

    @property
    def total_input(self) -> int | None:
        """Input tokens with cache reads and writes; None if nothing is known."""
        known = [n for n in (self.input, self.cache_read, self.cache_write) if n is not None]
        return sum(known) if known else None
