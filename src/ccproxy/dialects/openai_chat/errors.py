"""The error object of Chat Completions: https://platform.openai.com/docs/guides/error-codes"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.events import StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.reports import report

from .maps import ERROR_READ, ERROR_WRITE


def read(payload: Mapping[str, Any]) -> StreamError:
    """The error in ``{"error": {"message", "type", "param", "code"}}``, or in the object itself (older vLLM)."""
    return report(payload).error(ERROR_READ, {"openai-chat": payload})


def _name(code: str | None) -> str | None:
    """The provider's own code, if it is a word that a client may know; a gateway's number is none."""
    return code if code and not code.isdecimal() else None


def write(error: StreamError) -> dict[str, Any]:
    """The error object for a neutral error; the provider's own if it was one of Chat Completions."""
    name, code = ERROR_WRITE[error.kind]
    out = {"message": error.message, "type": name, "param": error.param, "code": _name(error.code) or code}
    own = Fields(error.raw.get("openai-chat", {})).noise("error").raw
    out |= {key: value for key, value in own.items() if value is not None}
    return {"error": out | {"code": str(out["code"]) if out["code"] is not None else None}}
