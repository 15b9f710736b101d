"""HTTP errors between dialects, case by case; `laws/test_errors.py` has what holds for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ccproxy import (
    MisuseError,
    RequestRefused,
    StreamFailed,
    TranslatedError,
    Translator,
    error_response,
    translate_error,
)
from ccproxy.core.events import StreamError
from ccproxy.dialects import names
from ccproxy.failures import read_error

OPENAI = "openai-chat"


def openai(**error: Any) -> dict[str, Any]:
    return {"error": {"message": "it failed", "type": "invalid_request_error", "param": None, "code": None, **error}}


def anthropic(type: str, message: str = "it failed", **rest: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}, **rest}


# What the body says, and what the status


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai(code="context_length_exceeded"), "context"),
        (413, openai(code="context_length_exceeded"), "context"),
        (429, openai(type="insufficient_quota", code="insufficient_quota"), "billing"),
        (429, openai(type="requests", code="rate_limit_exceeded"), "rate_limit"),
        (400, openai(code="model_not_found"), "not_found"),
        (401, openai(), "auth"),
        (404, openai(), "not_found"),
        (422, openai(), "bad_request"),
        (413, openai(), "too_large"),
        (418, openai(), "bad_request"),
        (503, openai(type="server_error"), "overloaded"),
        (529, openai(type="server_error"), "overloaded"),
        (501, openai(type="server_error"), "internal"),
        (524, openai(type="server_error"), "internal"),
        (400, openai(type="authentication_error", code="invalid_request_error"), "auth"),
        (400, openai(type="exceed_context_size_error", code=400), "context"),
        (500, openai(type="server_error", code=429), "rate_limit"),
        (200, openai(type=None, code=502), "internal"),
        (200, openai(type="server_error"), "internal"),
        (500, openai(type="server_error", code="1302"), "internal"),
        (400, {"object": "error", "message": "it failed", "type": "BadRequestError", "code": 400}, "bad_request"),
    ],
)
def test_the_body_counts_before_the_status(status: int, body: dict[str, Any], kind: str) -> None:
    assert read_error(status, {}, body, OPENAI).kind == kind


@pytest.mark.parametrize(
    ("status", "type", "kind"),
    [
        (529, "overloaded_error", "overloaded"),
        (200, "overloaded_error", "overloaded"),
        (529, "api_error", "overloaded"),
        (413, "invalid_request_error", "too_large"),
        (413, "request_too_large", "too_large"),
        (402, "billing_error", "billing"),
        (400, "some_new_error", "bad_request"),
        (500, "some_new_error", "internal"),
        (499, "api_error", "cancelled"),
    ],
)
def test_anthropic_types(status: int, type: str, kind: str) -> None:
    assert read_error(status, {}, anthropic(type), "anthropic").kind == kind


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 199058 + 8192 > 200000, decrease input length",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130012 tokens.",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "Prompt contains 40046 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "Input is too long for requested model.",
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
        "The input token count exceeds the maximum number of tokens allowed 1048576.",
        "request (2009 tokens) exceeds the available context size (512 tokens), try increasing it",
        "prompt token count of 131000 exceeds the limit of 128000",
        "Please reduce the length of the messages or completion.",
        "Range of input length should be [1, 30720]",
        "Invalid request: Your request exceeded model token limit: 262144",
    ],
)
@pytest.mark.parametrize("source", names())
def test_a_prompt_that_is_too_long_is_known_by_its_words(source: str, message: str) -> None:
    body = {"error": {"message": message, "type": "invalid_request_error"}}
    answer = translate_error(400, {}, body, source, "anthropic")
    assert (answer.status, answer.body["error"]["type"]) == (400, "invalid_request_error")
    if source != "anthropic":
        assert answer.body["error"]["message"].lower().startswith("prompt is too long")
        assert message in answer.body["error"]["message"]
    assert read_error(400, {}, body, source).kind == "context"
    target = "openai-responses" if source == OPENAI else OPENAI
    assert translate_error(400, {}, body, source, target).body["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
        "input (4002 tokens) is too large to process. increase the physical batch size",
        "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 29000, Requested 4000.",
        "Invalid 'metadata.context': expected a string.",
        "messages: at least one message is required",
    ],
)
def test_other_words_are_no_long_prompt(message: str) -> None:
    assert read_error(400, {}, openai(message=message), OPENAI).kind == "bad_request"


@pytest.mark.parametrize("source", names())
def test_an_account_without_credit_is_known_by_its_words(source: str) -> None:
    """Anthropic sends the status and the type of any bad request."""
    message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    assert read_error(400, {}, body, source).kind == "billing"
    assert translate_error(400, {}, body, source, source).status == 400
    target = "openai-responses" if source == OPENAI else OPENAI
    answer = translate_error(400, {}, body, source, target)
    assert answer == translate_error(402, {}, anthropic("billing_error", message), "anthropic", target)
    assert answer.body["error"]["code"] == "insufficient_quota"
    assert read_error(529, {}, anthropic("overloaded_error", message), "anthropic").kind == "overloaded"


def test_a_provider_that_names_the_limit_another_way_keeps_its_status() -> None:
    """A message about the context is no reason to overrule what a code says."""
    body = openai(message="rate limit: maximum context length", code="rate_limit_exceeded")
    assert read_error(429, {}, body, OPENAI).kind == "rate_limit"


# Statuses and bodies as each target has them


@pytest.mark.parametrize(
    ("kind", "target", "status", "word"),
    [
        ("overloaded", "anthropic", 529, "overloaded_error"),
        ("overloaded", "openai-chat", 503, "server_is_overloaded"),
        ("overloaded", "openai-responses", 503, "server_is_overloaded"),
        ("billing", "anthropic", 402, "billing_error"),
        ("billing", "openai-chat", 429, "insufficient_quota"),
        ("billing", "openai-responses", 429, "insufficient_quota"),
        ("too_large", "anthropic", 413, "request_too_large"),
        ("too_large", "openai-chat", 413, "request_too_large"),
        ("bad_request", "openai-chat", 400, None),
        ("bad_request", "openai-responses", 400, None),
        ("timeout", "anthropic", 504, "timeout_error"),
        ("truncated", "anthropic", 502, "api_error"),
    ],
)
def test_statuses(kind: Any, target: str, status: int, word: str | None) -> None:
    answer = error_response(StreamError(kind, "it failed"), target)
    assert answer.status == status
    assert answer.body["error"]["type" if target == "anthropic" else "code"] == word


def test_the_code_and_the_field_cross() -> None:
    body = openai(code="unsupported_parameter", param="max_tokens")
    answer = translate_error(400, {}, body, OPENAI, "anthropic")
    assert answer.body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "it failed",
            "details": {"error_code": "unsupported_parameter"},
        },
    }
    answer = translate_error(400, {}, body, OPENAI, "openai-responses")
    assert answer.body == {
        "error": {
            "message": "it failed",
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": "unsupported_parameter",
        }
    }


def test_a_number_is_no_code_of_openai() -> None:
    answer = translate_error(500, {}, {"error": {"code": 500, "message": "it failed"}}, "anthropic", OPENAI)
    assert answer.body["error"]["code"] is None


# Bodies of any shape


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"detail": "Invalid API Key"}, "Invalid API Key", None),
        ({"message": "The security token is expired"}, "The security token is expired", None),
        ({"Message": "Too many tokens"}, "Too many tokens", None),
        ({"error": "Invalid username or password."}, "Invalid username or password.", None),
        ({"error": {"error": {"message": "wrapped", "code": "c"}}}, "wrapped", "c"),
        ({"code": "InvalidParameter", "message": "Model not exist.", "request_id": "1"}, "Model not exist.", "InvalidParameter"),
        ({"object": "error", "message": "no", "type": "invalid_model", "code": "1500"}, "no", "invalid_model"),
        ({"success": False, "message": "oops", "code": "P-6", "detailMessage": "no model"}, "oops: no model", "P-6"),
        ({"errors": [{"code": 7003, "message": "No route"}], "success": False}, "No route", "7003"),
        ({"statusCode": 400, "message": ["a is bad", "b is bad"], "error": "Bad Request"}, "a is bad; b is bad", "400"),
        ({"title": "Bad Request", "detail": "no model", "status": 400}, "no model", "400"),
        ({"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "slow down"}}}, "Provider returned error: slow down", "429"),
        ({"type": "error", "error": {"type": "new_error"}}, 'an error without a message: {"type":"error","error":{"type":"new_error"}}', "new_error"),
        ({}, "an error without a message: {}", None),
        ([{"error": {"code": 400, "message": "in a list"}}], "in a list", "400"),
        ("Unauthorized", "Unauthorized", None),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("source", names())
def test_shapes(source: str, body: Any, message: str, code: str | None) -> None:
    error = read_error(400, {}, json.dumps(body).encode(), source)
    assert (error.message, error.code) == (message, code)


@pytest.mark.parametrize("depth", [5, 200, 900])
def test_an_error_may_be_nested_deep(depth: int) -> None:
    """No error of any depth raises, in a stream or in a body."""
    body = b'{"error":' * depth + b"{}" + b"}" * depth
    for source in names():
        translator = Translator(source, "anthropic")
        translator.feed(b"data: " + body + b"\n\n")
        assert translator.error is not None
        assert translate_error(500, {}, body, source, "anthropic").status == 500


def test_validation_errors_name_the_field() -> None:
    detail = [
        {"type": "missing", "loc": ["body", "messages", 0, "role"], "msg": "Field required"},
        {"type": "int_type", "loc": ["body", "max_tokens"], "msg": "Input should be an integer"},
    ]
    answer = translate_error(422, {}, {"detail": detail}, "anthropic", OPENAI)
    assert answer.status == 400
    assert answer.body["error"]["message"] == "messages[0].role: Field required; max_tokens: Input should be an integer"
    assert answer.body["error"]["param"] == "messages[0].role"


PAGE = b"""<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title><style>h1 { color: red }</style></head>
<body><!-- a comment --><h1>502 Bad Gateway</h1><script>alert("<p>")</script>nginx</body></html>"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PAGE, "502 Bad Gateway 502 Bad Gateway nginx"),
        (b"upstream connect error\n  or disconnect/reset before headers", "upstream connect error or disconnect/reset before headers"),
        (b"\xef\xbb\xbf  caf\xc3\xa9", "café"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("text", "text"),
        (b"x" * 5000, "x" * 500 + "…"),
        (b'{"error": {"message": "cut', '{"error": {"message": "cut'),
        (b"", "the provider answered with status 502 and an empty body"),
        (None, "the provider answered with status 502 and an empty body"),
        (b"[]", "[]"),
        (b"null", "null"),
        (b"<>", "the provider answered with status 502 and an empty body"),
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("target", ["anthropic", "openai-chat"])
def test_what_is_not_json(target: str, body: Any, message: str) -> None:
    """The client gets JSON in its dialect, also where source and target are the same."""
    answer = translate_error(502, {"Content-Type": "text/html", "Server": "nginx"}, body, OPENAI, target)
    assert answer.status == (502 if target == OPENAI else 500)
    assert answer.headers == {"content-type": "application/json"}
    assert answer.body["error"]["message"] == message


@pytest.mark.parametrize(
    "body",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'data: {"type":"ping"}\r\n\r\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        b': hello\n\nerror: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    ],
)
def test_a_stream_that_begins_with_an_error(body: bytes) -> None:
    """https://github.com/vercel/ai/issues/15922: a status that the client can act on, before any byte is sent."""
    answer = translate_error(200, {}, body, "anthropic", OPENAI)
    assert (answer.status, answer.body["error"]["message"]) == (503, "Overloaded")
    answer = translate_error(200, {}, body, "anthropic", "anthropic")
    assert (answer.status, answer.body) == (529, anthropic("overloaded_error", "Overloaded"))


def test_a_stream_without_an_error_is_misuse() -> None:
    body = b'data: {"id":"1","object":"chat.completion.chunk","choices":[],"error":null}\n\ndata: [DONE]\n\n'
    with pytest.raises(MisuseError, match="status 200"):
        translate_error(200, {}, body, OPENAI, "anthropic")


def test_misuse() -> None:
    with pytest.raises(MisuseError, match="unknown dialect"):
        translate_error(500, {}, b"", "nobody", "anthropic")
    with pytest.raises(MisuseError, match="unknown dialect"):
        translate_error(500, {}, b"", "anthropic", "nobody")
    with pytest.raises(MisuseError, match="int"):
        translate_error(500, {}, 5, "anthropic", OPENAI)  # type: ignore[arg-type]


# Headers

UPSTREAM = {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": "99",
    "Content-Encoding": "gzip",
    "Transfer-Encoding": "chunked",
    "Connection": "keep-alive, X-Hop",
    "X-Hop": "1",
    "Set-Cookie": "a=b",
    "CF-Ray": "8f",
    "Request-Id": "req_1",
    "Retry-After": "30",
    "X-Should-Retry": "true",
    "Anthropic-RateLimit-Requests-Remaining": "0",
}


class Headers(Mapping[str, str]):
    """A mapping that is no dict and finds names in any case, as those of HTTP clients."""

    def __getitem__(self, name: str) -> str:
        return {key.lower(): value for key, value in UPSTREAM.items()}[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(UPSTREAM)

    def __len__(self) -> int:
        return len(UPSTREAM)


@pytest.mark.parametrize(
    "headers",
    [
        Headers(),
        list(UPSTREAM.items()),
        [list(pair) for pair in UPSTREAM.items()],
        UPSTREAM.items(),
        [(name.encode(), value.encode()) for name, value in UPSTREAM.items()],
        {name.encode(): value.encode() for name, value in UPSTREAM.items()},
    ],
    ids=["mapping", "pairs", "lists", "view", "bytes", "mapping of bytes"],
)
@pytest.mark.parametrize("target", ["anthropic", OPENAI])
def test_headers_as_http_clients_have_them(headers: Any, target: str) -> None:
    body = anthropic("rate_limit_error")
    answer = translate_error(429, headers, body, "anthropic", target)
    assert answer == translate_error(429, UPSTREAM, body, "anthropic", target)


def test_no_headers() -> None:
    body = anthropic("rate_limit_error")
    assert translate_error(429, None, body, "anthropic", OPENAI) == translate_error(429, {}, body, "anthropic", OPENAI)
    assert read_error(429, None, body, "anthropic").kind == "rate_limit"


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        (5, "a mapping or pairs, not int"),
        ("retry-after: 3", "a mapping or pairs, not str"),
        (b"retry-after: 3", "a mapping or pairs, not bytes"),
        (["retry-after"], "a pair of a name and a value, not 'retry-after'"),
        ([("retry-after", "3", "4")], "a pair of a name and a value"),
        ({"retry-after": 3}, "must be text, not int"),
        ([(None, "3")], "must be text, not NoneType"),
    ],
)
def test_what_is_no_headers_is_misuse(headers: Any, match: str) -> None:
    with pytest.raises(MisuseError, match=match):
        translate_error(429, headers, anthropic("rate_limit_error"), "anthropic", OPENAI)


def test_only_what_means_the_same_crosses() -> None:
    answer = translate_error(429, UPSTREAM, anthropic("rate_limit_error"), "anthropic", OPENAI)
    assert answer.headers == {
        "content-type": "application/json",
        "retry-after": "30",
        "x-should-retry": "true",
        "x-request-id": "req_1",
    }


def test_the_same_dialect_keeps_its_headers() -> None:
    body = anthropic("rate_limit_error", request_id="req_1", extra=[1])
    answer = translate_error(429, UPSTREAM, body, "anthropic", "anthropic")
    assert answer == TranslatedError(
        429,
        {
            "content-type": "application/json",
            "cf-ray": "8f",
            "request-id": "req_1",
            "retry-after": "30",
            "x-should-retry": "true",
            "anthropic-ratelimit-requests-remaining": "0",
        },
        body,
    )


def test_the_same_dialect_keeps_what_is_foreign_to_it() -> None:
    body = {"detail": "Invalid API Key"}
    assert translate_error(401, {}, body, OPENAI, OPENAI).body == body
    assert translate_error(422, {}, body, OPENAI, OPENAI).status == 422


@pytest.mark.parametrize(
    ("headers", "body", "id"),
    [
        ({"X-REQUEST-ID": "req_x"}, openai(), "req_x"),
        ({"x-request-id": "req_x"}, openai() | {"request_id": "req_body"}, "req_x"),
        ({}, openai() | {"request_id": "req_body"}, "req_body"),
        ({"request-id": "req_2"}, openai(), "req_2"),
        ({"cf-ray": "8f"}, openai(), None),
    ],
)
def test_the_id_of_the_request(headers: dict[str, str], body: dict[str, Any], id: str | None) -> None:
    answer = translate_error(400, headers, body, OPENAI, "anthropic")
    assert answer.headers.get("request-id") == answer.body.get("request_id") == id


def test_an_id_that_is_no_header_value_stays_in_the_body() -> None:
    body = openai() | {"request_id": "a\r\nset-cookie: b"}
    answer = translate_error(400, {}, body, OPENAI, "anthropic")
    assert answer.headers == {"content-type": "application/json"}
    assert answer.body["request_id"] == "a\r\nset-cookie: b"


def google(delay: str) -> dict[str, Any]:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return {"error": {"code": 429, "message": "it failed", "status": "RESOURCE_EXHAUSTED", "details": [detail]}}


@pytest.mark.parametrize(
    ("headers", "delay", "expected"),
    [
        ({}, "30s", {"retry-after": "30"}),
        ({}, "34.074824224s", {"retry-after": "35", "retry-after-ms": "34075"}),
        ({}, "0s", {"retry-after": "0"}),
        ({}, "soon", {}),
        ({"retry-after": "7"}, "30s", {"retry-after": "7"}),
        ({"retry-after-ms": "1500"}, "30s", {"retry-after-ms": "1500"}),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, "soon", {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], delay: str, expected: dict[str, str]) -> None:
    """Google's interface for OpenAI clients has RetryInfo too."""
    answer = translate_error(429, headers, google(delay), OPENAI, "anthropic")
    assert answer.headers == {"content-type": "application/json", **expected}


def rpc(reason: str) -> list[dict[str, str]]:
    return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]


@pytest.mark.parametrize(
    ("code", "status", "details", "kind"),
    [
        (400, "INVALID_ARGUMENT", [], "bad_request"),
        (400, "INVALID_ARGUMENT", rpc("API_KEY_INVALID"), "auth"),
        (400, "FAILED_PRECONDITION", [], "bad_request"),
        (401, "UNAUTHENTICATED", rpc("CREDENTIALS_MISSING"), "auth"),
        (403, "PERMISSION_DENIED", rpc("SERVICE_DISABLED"), "permission"),
        (403, "PERMISSION_DENIED", rpc("BILLING_DISABLED"), "billing"),
        (409, "ALREADY_EXISTS", [], "conflict"),
        (429, "RESOURCE_EXHAUSTED", rpc("RATE_LIMIT_EXCEEDED"), "rate_limit"),
        (499, "CANCELLED", [], "cancelled"),
        (500, "INTERNAL", [], "internal"),
        (503, "UNAVAILABLE", [], "overloaded"),
        (504, "DEADLINE_EXCEEDED", [], "timeout"),
    ],
)
def test_gemini_statuses_and_reasons(code: int, status: str, details: list[Any], kind: str) -> None:
    body = {"error": {"code": code, "message": "it failed", "status": status, "details": details}}
    assert read_error(code, {}, body, "gemini").kind == kind
    assert read_error(code, {}, json.dumps([body]), "gemini").kind == kind


def test_a_reason_that_nobody_knows_is_the_code() -> None:
    error = {"code": 403, "message": "it failed", "status": "PERMISSION_DENIED", "details": rpc("SERVICE_DISABLED")}
    answer = translate_error(403, {}, {"error": error}, "gemini", "openai-responses")
    assert (answer.status, answer.body["error"]["code"]) == (403, "SERVICE_DISABLED")


def test_gemini_tells_the_wait_in_the_body() -> None:
    body = anthropic("rate_limit_error", "slow down")
    answer = translate_error(429, {"retry-after-ms": "1500", "request-id": "req_1"}, body, "anthropic", "gemini")
    assert answer == TranslatedError(
        429,
        {"content-type": "application/json", "retry-after-ms": "1500", "x-request-id": "req_1"},
        {
            "error": {
                "code": 429,
                "message": "slow down",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}],
            }
        },
    )
    back = translate_error(answer.status, {}, answer.body, "gemini", "anthropic")
    assert back.headers == {"content-type": "application/json", "retry-after": "2", "retry-after-ms": "1500"}


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("context", 400, "INVALID_ARGUMENT"),
        ("billing", 429, "RESOURCE_EXHAUSTED"),
        ("too_large", 400, "INVALID_ARGUMENT"),
        ("overloaded", 503, "UNAVAILABLE"),
        ("cancelled", 499, "CANCELLED"),
        ("conflict", 409, "ABORTED"),
    ],
)
def test_gemini_has_statuses_of_its_own(kind: Any, code: int, status: str) -> None:
    """What its status can't tell apart, the reason does."""
    answer = error_response(StreamError(kind, "it failed", "odd_code"), "gemini")
    assert answer.status == answer.body["error"]["code"] == code
    assert answer.body["error"]["status"] == status
    assert read_error(answer.status, answer.headers, answer.body, "gemini").kind == kind
    assert {"@type": rpc("")[0]["@type"], "reason": "odd_code"} in answer.body["error"]["details"]


def test_a_list_of_one_is_one_error() -> None:
    error = {"error": {"code": 404, "message": "no model", "status": "NOT_FOUND"}}
    assert translate_error(404, {}, json.dumps([error]), "gemini", "gemini").body == error
    assert translate_error(404, {}, json.dumps([error]), OPENAI, OPENAI).body == error


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e999", "soon", ""])
def test_no_time_to_wait(value: str) -> None:
    assert read_error(429, {"retry-after": value}, b"", OPENAI).retry_after is None


# Our own errors


def test_a_refused_request_names_the_field() -> None:
    refused = RequestRefused("messages[3].content[0].tool_call_id", "no such call")
    assert str(refused) == "messages[3].content[0].tool_call_id: no such call"
    assert (refused.path, refused.reason, refused.kind) == (
        "messages[3].content[0].tool_call_id",
        "no such call",
        "bad_request",
    )
    for target in (OPENAI, "openai-responses"):
        answer = error_response(refused, target, "req_1")
        assert answer.status == 400
        assert answer.headers == {"content-type": "application/json", "x-request-id": "req_1"}
        assert answer.body == {
            "error": {
                "message": "messages[3].content[0].tool_call_id: no such call",
                "type": "invalid_request_error",
                "param": "messages[3].content[0].tool_call_id",
                "code": None,
            }
        }
    answer = error_response(refused, "anthropic", "req_1")
    assert answer.headers["request-id"] == answer.body["request_id"] == "req_1"
    assert answer.body["error"] == {"type": "invalid_request_error", "message": str(refused)}


def test_a_refused_request_as_a_whole() -> None:
    refused = RequestRefused("", "the body is not JSON", "too_large")
    assert str(refused) == "the body is not JSON"
    answer = error_response(refused, OPENAI)
    assert (answer.status, answer.body["error"]["param"]) == (413, None)


def test_a_stream_that_failed_at_once() -> None:
    translator = Translator("anthropic", OPENAI)
    translator.feed(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    )
    assert isinstance(translator.error, StreamFailed)
    answer = error_response(translator.error, OPENAI)
    assert (answer.status, answer.body["error"]["code"]) == (503, "server_is_overloaded")
    assert error_response(translator.error, "anthropic").status == 529


def test_a_stream_that_says_nothing() -> None:
    translator = Translator(OPENAI, "anthropic")
    translator.close()
    assert translator.error is not None
    answer = error_response(translator.error, "anthropic", "req_1")
    assert answer.status == 502
    assert answer.body["error"]["type"] == "api_error"


def test_the_field_crosses_within_a_stream() -> None:
    translator = Translator(OPENAI, "openai-responses")
    out = translator.feed(b'data: {"error":{"message":"it failed","code":"invalid_value","param":"temperature"}}\n\n')
    assert b'"param":"temperature"' in out
