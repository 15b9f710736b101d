"""The official SDKs as judges of an HTTP error: what a client gets to see of it, without a network.

`refuse(dialect, answer)` gives the answer to a call of the SDK and returns the `Refusal` that it raises. Clients choose
what to do by the class, so `exception` is compared with `EXCEPTIONS`.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, get_args

import anthropic
import httpx2
import openai
import pytest
from anthropic.types.shared import ErrorType
from pydantic import TypeAdapter

from ccproxy import TranslatedError

MESSAGES: Final[Any] = [{"role": "user", "content": "hi"}]
TYPES: Final = {*get_args(ErrorType), "request_too_large"}  # the SDK's list lacks what the API's page has


class Refusal(NamedTuple):
    """What an SDK raised."""

    exception: str
    status: int
    message: str
    word: str | None
    """What clients look at first: the type of Anthropic, the code of OpenAI, the status of Gemini."""
    detail: str | None
    """What they may look at: Anthropic's error_code, OpenAI's param, the reason of Gemini's ErrorInfo."""
    request_id: str | None
    wait: float | None
    """Seconds until the SDK tries again, if it was told how long."""


class Fixed(httpx2.BaseTransport):
    """Answers every request with `answer`."""

    answer: TranslatedError

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        content = json.dumps(self.answer.body).encode()
        return httpx2.Response(self.answer.status, headers=self.answer.headers, content=content)


TRANSPORT: Final = Fixed()
HTTP: Final = httpx2.Client(transport=TRANSPORT, trust_env=False)
ANTHROPIC: Final = anthropic.Anthropic(api_key="key", base_url="http://oracle.invalid", http_client=HTTP, max_retries=0)
OPENAI: Final = openai.OpenAI(api_key="key", base_url="http://oracle.invalid", http_client=HTTP, max_retries=0)
atexit.register(HTTP.close)


def _anthropic() -> Refusal:
    with pytest.raises(anthropic.APIStatusError) as caught:
        ANTHROPIC.messages.create(model="model", max_tokens=9, messages=MESSAGES)
    error = caught.value
    assert error.type in TYPES
    assert isinstance(error.body, dict) and error.body["type"] == "error"
    assert error.body.get("request_id") in (None, error.request_id)
    wait = ANTHROPIC._parse_retry_after_header(error.response.headers)
    name, message = type(error).__name__, error.api_message or ""
    return Refusal(name, error.status_code, message, error.type, error.error_code, error.request_id, wait)


def _openai(call: Callable[[], object]) -> Refusal:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    error = caught.value
    body = TypeAdapter(openai.types.shared.ErrorObject).validate_python(error.body, strict=True)
    wait = OPENAI._parse_retry_after_header(error.response.headers)
    name = type(error).__name__
    return Refusal(name, error.status_code, body.message, error.code, error.param, error.request_id, wait)


def _chat() -> Refusal:
    return _openai(lambda: OPENAI.chat.completions.create(model="model", messages=MESSAGES))


def _responses() -> Refusal:
    return _openai(lambda: OPENAI.responses.create(model="model", input="hi"))


@cache
def _genai() -> Any:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(httpx_client=HTTP, base_url="http://oracle.invalid")
    return genai.Client(api_key="key", http_options=options)


def _gemini() -> Refusal:
    from google.genai import errors

    with pytest.raises(errors.APIError) as caught:
        _genai().models.generate_content(model="model", contents="hi")
    error = caught.value
    body = error.details["error"]
    assert body["code"] == error.code == TRANSPORT.answer.status
    reasons = [detail["reason"] for detail in body.get("details", ()) if "reason" in detail]
    delays = [detail["retryDelay"] for detail in body.get("details", ()) if "retryDelay" in detail]
    wait = float(delays[0].removesuffix("s")) if delays else None
    id = error.response.headers.get("x-request-id")
    name, message = type(error).__name__, error.message or ""
    return Refusal(name, error.code, message, error.status, next(iter(reasons), None), id, wait)


_CALLS: Final[dict[str, Callable[[], Refusal]]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
}
if find_spec("google") is not None and find_spec("google.genai") is not None:
    _CALLS["gemini"] = _gemini

_OPENAI: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "APIStatusError",
    429: "RateLimitError",
    499: "APIStatusError",
    500: "InternalServerError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}
EXCEPTIONS: Final[dict[str, dict[int, str]]] = {
    "anthropic": {
        **_OPENAI,
        402: "PaymentRequiredError",
        413: "ContentTooLargeError",
        499: "ClientClosedRequestError",
        504: "GatewayTimeoutError",
        529: "OverloadedError",
    },
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    "gemini": {status: "ClientError" if status < 500 else "ServerError" for status in _OPENAI if status != 413},
}
"""The class of each status that we write. A status that is missing here is none of the dialect."""


DIALECTS: Final = tuple(_CALLS)


def refuse(dialect: str, answer: TranslatedError) -> Refusal:
    """What the dialect's SDK raises for the answer."""
    TRANSPORT.answer = answer
    return _CALLS[dialect]()
