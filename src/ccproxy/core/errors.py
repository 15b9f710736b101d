"""The exceptions.

    CCProxyError
    ├── MisuseError(ValueError)  the caller's fault: unknown dialect or option, feed() after close()
    ├── RequestRefused           the request's: a field is wrong, or the target can't do what it asks for
    └── StreamFailed             the stream's: cut, unintelligible, too large, or the provider reported an error

Nothing in a stream raises from `feed` or `close`; they end the output in the target's error form and keep the
`StreamFailed` as `Translator.error`. Only `collect` raises it.
"""

from typing import TYPE_CHECKING, Literal

from .events import StreamError
from .vocab import HTTP_STATUS, ErrorKind

if TYPE_CHECKING:
    from .assemble import Message


class CCProxyError(Exception):
    """Base of all errors of this library."""


class MisuseError(CCProxyError, ValueError):
    """The library was called in a way that can't work."""


class RequestRefused(CCProxyError):
    """A request that can't be read or translated."""

    def __init__(self, path: str, reason: str, kind: ErrorKind = "bad_request") -> None:
        self.path: str = path
        """The place in the body: ``messages[3].content[0].tool_call_id``; empty if it is the whole."""
        self.reason: str = reason
        self.kind: ErrorKind = kind
        super().__init__(path, reason, kind)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class StreamFailed(CCProxyError):
    """A stream that ended in an error."""

    def __init__(self, error: StreamError, message: "Message | None" = None) -> None:
        self.kind: ErrorKind = error.kind
        self.reason: str = error.message
        self.code: str | None = error.code
        self.offset: int = error.offset
        """Bytes from the beginning of the stream to the frame at fault."""
        self.frame: int = error.frame
        """Number of the frame at fault, counted from 0."""
        self.event: StreamError = error
        self.partial: Message | None = message
        """What was understood before, where the raiser has it."""
        super().__init__(error)

    @property
    def fault(self) -> Literal["provider", "stream"]:
        """Whose fault: the provider reported the error itself, or its stream broke."""
        return "provider" if self.event.raw else "stream"

    @property
    def http_status(self) -> int:
        """The HTTP status that fits, for callers that have sent nothing yet."""
        return HTTP_STATUS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason} (event {self.frame}, byte {self.offset})"
