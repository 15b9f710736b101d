"""The error object of Google's APIs: https://cloud.google.com/apis/design/errors"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.reports import report

from .maps import ERROR_READ, ERROR_REASON, ERROR_WRITE

_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY: Final = "type.googleapis.com/google.rpc.RetryInfo"


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error in ``{"error": {"code", "message", "status", "details"}}``."""
    return report(payload).error(ERROR_READ, {"gemini": payload})


def _word(code: str | None) -> str | None:
    """The provider's own code, if it is a word; a gateway's number names no reason."""
    return code if code and not code.isdecimal() else None


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was one of Gemini.

    `error` is the first key, and the only one: by that the official SDK knows an error in a stream.
    """
    code, status = ERROR_WRITE[error.kind]
    out: dict[str, Any] = {"code": code, "message": error.message, "status": status}
    own = Fields(error.raw.get("gemini", {})).noise("error")
    if own.number("code") is not None and own.word("message") and own.word("status"):
        return {"error": dict(own.raw)}
    named = [ERROR_REASON.get(error.kind), _word(error.code)]
    reasons = dict.fromkeys(reason for reason in named if reason and reason != status)
    details: list[dict[str, Any]] = [{"@type": _INFO, "reason": reason} for reason in reasons]
    if error.retry_after is not None:
        delay = f"{error.retry_after:.9f}".rstrip("0").rstrip(".")
        details.append({"@type": _RETRY, "retryDelay": f"{delay}s"})
    return {"error": out | ({"details": details} if details else {})}
