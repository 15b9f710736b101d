"""What an error body says, whatever its shape: providers, gateways and web frameworks each have their own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ccproxy.wire.json import JSONError, dumps

from .events import Meta, StreamError
from .fields import Fields
from .vocab import ERROR_OF_STATUS, ErrorKind

VAGUE: Final = frozenset[ErrorKind]({"bad_request", "internal"})
"""Kinds that say whose fault it was and no more; whoever knows better may replace them."""

EXCERPT: Final = 500
"""Characters of a body that an error message shows if the body has no message."""

_MESSAGES: Final = (
    "message",
    "Message",
    "msg",
    "detail",
    "error",
    "errors",
    "error_description",
    "error_message",
    "errorMessage",
    "description",
    "title",
)
"""Where the message is, the best place first. Any of them may hold an object or a list with messages of its own."""
_STATUSES: Final = ("code", "status", "status_code", "statusCode", "http_status_code", "raw_status_code")
_TYPES: Final = ("type", "status", "error_type", "__type")

# Most providers have no code for it, and clients that can shorten their history must know.
_TOO_LONG: Final = re.compile(
    r"(?:prompt|input) is too long"
    r"|maximum (?:context|prompt|model) length"
    r"|exceed(?:s|ed)? (?:\w+ ){0,3}context"
    r"|context (?:length|window|size|limit) (?:is |was )?(?:exceeded|full)"
    r"|exceeds the maximum number of (?:input )?tokens allowed"
    r"|prompt token count of \d+ exceeds"
    r"|exceeded model token limit"
    r"|reduce the length of the (?:input )?(?:messages|prompt)"
    r"|range of input length should be",
    re.IGNORECASE,
)
# Anthropic says it with the type and the status of any bad request (continuedev/continue#5499).
_UNPAID: Final = re.compile(r"credit balance is too low", re.IGNORECASE)
_DEPTH: Final = 6  # objects and lists around a message; nobody wraps deeper
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class Report(NamedTuple):
    """An error as its body tells it, in nobody's words but the provider's. What it does not tell is empty."""

    message: str
    code: str
    type: str
    param: str | None
    """The field of the request that is at fault."""
    status: int | None
    """An HTTP status that stands in the body."""
    reasons: tuple[str, ...]
    """`reason` of each google.rpc.ErrorInfo."""
    retry_after: float | None
    """Seconds, from a google.rpc.RetryInfo."""
    request_id: str | None

    def kind(self, words: Mapping[str, ErrorKind]) -> ErrorKind:
        """What kind of error it is, by the dialect's words; the first that is not vague counts."""
        said: list[ErrorKind | None] = [words.get(word) for word in (*self.reasons, self.code, self.type)]
        said.append(ERROR_OF_STATUS.get(self.status or 0))
        kinds: list[ErrorKind] = [kind for kind in said if kind is not None]
        usual: ErrorKind = kinds[0] if kinds else "internal"
        exact: list[ErrorKind] = [kind for kind in kinds if kind not in VAGUE]
        kind = exact[0] if exact else usual
        return self._told() or kind if kind in VAGUE else kind

    def _told(self) -> ErrorKind | None:
        """The kind that the message tells."""
        if _TOO_LONG.search(self.message):
            return "context"
        return "billing" if _UNPAID.search(self.message) else None

    def error(self, words: Mapping[str, ErrorKind], raw: Meta) -> StreamError:
        """The neutral error, by the dialect's words."""
        kind = self.kind(words)
        code = self.code
        if words.get(code, kind) != kind:
            code = ""  # a vague word that another one explains
        if not code or code.isdecimal():  # a word says more than a number
            code = next((word for word in (*self.reasons, self.type) if word and word not in words), code)
        if (kind == "context" or kind == self._told()) and code not in words:
            code = ""  # the message said it; clients look for the code that the target has for it
        return StreamError(
            kind,
            self.message,
            code or None,
            raw=raw,
            param=self.param,
            request_id=self.request_id,
            retry_after=self.retry_after,
        )


def report(payload: Mapping[str, Any]) -> Report:
    """What an error object says; it may be in the payload, or be the payload."""
    top = Fields(payload)
    error = Fields(_innermost(payload))
    details = error.raw.get("details")
    rpc = [Fields(detail) for detail in _list(details) if isinstance(detail, dict)]
    code = next((code for object in (error, error.noise("details"), top) if (code := _code(object))), "")
    kind = next((word for key in _TYPES if (word := error.word(key))), "")
    return Report(
        message=_message(error.raw, payload),
        code=code or str(_status(error) or ""),
        type="" if kind == "error" else kind,
        param=error.word("param") or next(_places(payload), None),
        status=_status(error) or _status(top),
        reasons=tuple(reason for detail in rpc if (reason := detail.word("reason"))),
        retry_after=next((delay for detail in rpc if (delay := _seconds(detail.word("retryDelay"))) is not None), None),
        request_id=top.word("request_id") or None,
    )


def is_error(payload: Mapping[str, Any]) -> bool:
    """Whether a body that came with a status of success tells of an error all the same."""
    if any(payload.get(key) for key in ("error", "errors", "detail")):
        return True
    if payload.get("type") == "error" or payload.get("object") == "error":
        return True
    response = payload.get("response")
    if isinstance(response, dict) and response.get("error"):
        return True
    return bool(payload.get("code") and payload.get("message"))


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status of an error means."""
    return ERROR_OF_STATUS.get(status) or ("bad_request" if status < 500 else "internal")


def excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * EXCERPT].split())
    return line if len(line) <= EXCERPT else line[:EXCERPT] + "…"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _code(error: Fields) -> str:
    number = error.number("code")
    return error.word("code") or error.word("error_code") or (str(number) if number is not None else "")


def _innermost(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The error object, which may be wrapped: `error`, `response.error`, the first of `errors`."""
    found = payload
    for _ in range(_DEPTH):
        inner = next(
            (value for key in ("error", "errors", "response", "detail") if (value := _object(found, key))), None
        )
        if inner is None:
            break
        found = inner
    return found


def _object(payload: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = payload.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) and value else None


def _message(error: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """The message, with what explains it: `metadata.raw` (OpenRouter's upstream), `detailMessage`."""
    message = _text(payload, _DEPTH) or _text(error, _DEPTH)
    if not message:
        return f"an error without a message: {_shown(payload)}"
    for more in (error.get("detailMessage"), Fields(error).noise("metadata").word("raw")):
        if isinstance(more, str) and more and more not in message:
            message += f": {excerpt(more)}"
    return message


def _shown(payload: Mapping[str, Any]) -> str:
    try:
        return excerpt(dumps(payload).decode())
    except (*JSONError, TypeError):  # nested too deep; or from a caller, and no JSON
        return "it can't be shown"


def _text(value: Any, depth: int) -> str:
    """The message in a value: the value itself, that of an object, or those of a list."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(entry, depth - 1) for entry in _list(value))))
    if not isinstance(value, Mapping):
        return ""
    text = next((text for key in (*_MESSAGES, "response") if (text := _text(value.get(key), depth - 1))), "")
    place = _place(value.get("loc"))
    return f"{place}: {text}" if place and text else text


def _places(payload: Mapping[str, Any]) -> Iterator[str]:
    """The fields at fault, as FastAPI's list of validation errors names them."""
    for key in ("detail", "errors", "message"):
        for entry in _list(payload.get(key)):
            if isinstance(entry, dict) and (place := _place(entry.get("loc"))):
                yield place


def _place(loc: Any) -> str:
    """A path as the OpenAI APIs write it: ``messages[0].role`` for ``["body", "messages", 0, "role"]``."""
    path = ""
    for step in _list(loc):
        if isinstance(step, int):
            path += f"[{step}]"
        elif isinstance(step, str) and (path or step != "body"):
            path += f".{step}" if path else step
    return path


def _status(error: Fields) -> int | None:
    for key in _STATUSES:
        status = error.number(key)
        if status is None and error.word(key).isdecimal():
            status = int(error.word(key)[:9])
        if status is not None and 400 <= status < 600:  # a provider's own number is none
            return status
    return None


def _seconds(duration: str) -> float | None:
    match = _DELAY.fullmatch(duration)
    return float(match[1]) if match else None
