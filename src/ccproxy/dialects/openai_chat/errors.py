"""The error object of Chat Completions: https://platform.openai.com/docs/guides/error-codes"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.vocab import ERROR_OF_STATUS, ErrorKind

from .maps import ERROR_READ, ERROR_WRITE


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error in ``{"error": {"message", "type", "param", "code"}}``, or in the object itself (older vLLM)."""
    fields = Fields(payload)
    error = fields.noise("error")
    if not error.raw:
        error = fields
    message = error.word("message") or fields.word("error") or "the provider reported an error without a message"
    status = error.number("code") or error.number("status_code")
    code = error.word("code") or (str(status) if status is not None else None)
    if status is None and error.word("code").isdecimal():
        status = int(error.word("code"))
    kind: ErrorKind = (
        ERROR_READ.get(error.word("code"))
        or ERROR_OF_STATUS.get(status or 0)
        or ERROR_READ.get(error.word("type"), "internal")
    )
    return StreamError(kind, message, code, raw={"openai-chat": payload})


def _name(code: str | None) -> str | None:
    """The provider's own code, if it is a word that a client may know; a gateway's number is none."""
    return code if code and not code.isdecimal() else None


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was one of Chat Completions."""
    name, code = ERROR_WRITE[error.kind]
    out = {"message": error.message, "type": name, "param": None, "code": _name(error.code) or code}
    own = Fields(error.raw.get("openai-chat", {})).noise("error").raw
    out |= {key: value for key, value in own.items() if value is not None}
    return {"error": out | {"code": str(out["code"]) if out["code"] is not None else None}}
