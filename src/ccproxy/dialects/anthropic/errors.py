"""The error object of the Messages API: https://docs.claude.com/en/api/errors"""

import re
from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.reports import report

from .maps import ERROR_READ, ERROR_WRITE

_TOO_LONG = "prompt is too long"  # the words that clients look for
_STATUS = re.compile(r"[45]\d\d")  # as the code of an error it names no cause


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error in ``{"type": "error", "error": {"type", "message"}}``."""
    return report(payload).error(ERROR_READ, {"anthropic": payload})


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was Anthropic's."""
    own = error.raw.get("anthropic")
    if own is not None and isinstance(own.get("error"), dict) and "type" in own["error"]:
        return {"type": "error", **own} | ({"request_id": error.request_id} if error.request_id else {})
    message = error.message
    if error.kind == "context" and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    out: dict[str, Any] = {"type": ERROR_WRITE[error.kind], "message": message}
    if error.code is not None and not _STATUS.fullmatch(error.code):
        out["details"] = {"error_code": error.code}
    body: dict[str, Any] = {"type": "error", "error": out}
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return body
