"""The error object of the Messages API: https://docs.claude.com/en/api/errors"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.vocab import ERROR_OF_STATUS, ErrorKind

from .maps import ERROR_READ, ERROR_WRITE

_TOO_LONG = "prompt is too long"  # the words that clients look for


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error in ``{"type": "error", "error": {"type", "message"}}``."""
    fields = Fields(payload)
    error = fields.noise("error")
    if not error.raw:
        error = fields
    message = error.word("message") or fields.word("error") or "the provider reported an error without a message"
    name = error.word("type")
    kind: ErrorKind = ERROR_READ.get(name) or ERROR_OF_STATUS.get(error.number("code") or 0, "internal")
    if kind == "bad_request" and _TOO_LONG in message.lower():
        kind = "context"
    code = error.word("code") or error.noise("details").word("error_code") or None
    return StreamError(kind, message, code, raw={"anthropic": payload})


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was Anthropic's."""
    own = error.raw.get("anthropic")
    if own is not None and isinstance(own.get("error"), dict) and "type" in own["error"]:
        return {"type": "error", **own}
    message = error.message
    if error.kind == "context" and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    out: dict[str, Any] = {"type": ERROR_WRITE[error.kind], "message": message}
    if error.code is not None:
        out["details"] = {"error_code": error.code}
    return {"type": "error", "error": out}
