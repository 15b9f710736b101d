"""The error object of the Responses API, which comes nested (as OpenAI sends it) or flat (as its SDK types it)."""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.reports import report

from .maps import ERROR_READ, ERROR_WRITE

_STREAMED = ERROR_WRITE["bad_request"][1]  # a stream's error must have a code, an HTTP error need not


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error of an error event, of response.failed, or of an HTTP body."""
    fields = Fields(payload)
    error = fields.noise("error").raw or fields.raw
    own = {key: error[key] for key in ("type", "code", "message", "param") if key in error}
    said = report(payload)
    return said.error(ERROR_READ, {"openai-responses": own or {"message": said.message}})


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was one of the Responses API."""
    name, code = ERROR_WRITE[error.kind]
    if error.code and not error.code.isdecimal():  # a gateway's number is no code that a client knows
        code = error.code
    out: dict[str, Any] = {"type": name, "code": code, "message": error.message, "param": error.param}
    own = error.raw.get("openai-responses", {})
    out |= {key: value for key, value in own.items() if isinstance(value, str) and (key != "type" or value != "error")}
    return out


def body(error: StreamError) -> dict[str, Any]:
    """The HTTP body for a neutral error."""
    out = write(error)
    if out["code"] == _STREAMED and error.code != _STREAMED:
        out["code"] = None
    return {"error": out}
