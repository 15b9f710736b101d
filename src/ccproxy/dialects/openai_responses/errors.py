"""The error object of the Responses API, which comes nested (as OpenAI sends it) or flat (as its SDK types it)."""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.vocab import ERROR_OF_STATUS, ErrorKind

from .maps import ERROR_READ, ERROR_WRITE


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error of an error event, of response.failed, or of an HTTP body."""
    fields = Fields(payload)
    error = fields.noise("error")
    if not error.raw:
        error = fields
    message = error.word("message") or fields.word("error") or "the provider reported an error without a message"
    status = error.number("code") or error.number("status_code")
    code = error.word("code") or (str(status) if status is not None else None)
    kind: ErrorKind | None = ERROR_READ.get(error.word("code")) or ERROR_OF_STATUS.get(status or 0)
    kind = kind or ERROR_READ.get(error.word("type"))
    own = {key: error.raw[key] for key in ("type", "code", "message", "param") if key in error.raw}
    return StreamError(kind or "internal", message, code, raw={"openai-responses": own or {"message": message}})


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was one of the Responses API."""
    name, code = ERROR_WRITE[error.kind]
    if error.code and not error.code.isdecimal():  # a gateway's number is no code that a client knows
        code = error.code
    out: dict[str, Any] = {"type": name, "code": code, "message": error.message, "param": None}
    own = error.raw.get("openai-responses", {})
    out |= {key: value for key, value in own.items() if isinstance(value, str) and (key != "type" or value != "error")}
    return out
