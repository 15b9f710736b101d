"""What the upstreams of each dialect answer, written without the library: one plain answer, and errors."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tests.laws.conversation.wire import sse

TEXT: Final = "The tide turns at six. Café, 潮."
WORDS: Final = ("The tide", " turns at", " six. Café, 潮.")
USAGE: Final = (11, 6)
"""Input and output."""

Json = dict[str, Any]


class Refusal(NamedTuple):
    """An HTTP error."""

    status: int
    headers: dict[str, str]
    body: Json


class Speech(NamedTuple):
    """A dialect as it is spoken by its server."""

    path: str
    """Where it is asked for an answer, streaming."""
    text: list[bytes]
    """Frames."""
    said: int
    """How many of them until all the words are out."""
    body: Json
    """The same without streaming."""
    error: bytes
    """The frame of an error: overloaded."""
    refusals: dict[str, Refusal]


def _anthropic() -> Speech:
    message: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
    usage = {"input_tokens": 11, "output_tokens": 6}
    start = message | {"content": [], "stop_reason": None, "stop_sequence": None}
    words = [{"type": "text_delta", "text": word} for word in WORDS]
    payloads: list[Json] = [
        {"type": "message_start", "message": start | {"usage": usage | {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": word} for word in words),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    content = [{"type": "text", "text": TEXT}]
    error = _anthropic_error("overloaded_error", "Too much to do")
    return Speech(
        "/v1/messages",
        [sse(payload, payload["type"]) for payload in payloads],
        5,
        message | {"content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage},
        sse(error, "error"),
        {
            "rate_limit": Refusal(429, {"retry-after": "7"}, _anthropic_error("rate_limit_error", "Slow down")),
            "bad_request": Refusal(400, {}, _anthropic_error("invalid_request_error", "No such thing")),
            "overloaded": Refusal(529, {}, error),
        },
    )


def _anthropic_error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}


def _openai_refusals() -> dict[str, Refusal]:
    def error(message: str, type: str, code: str | None) -> Json:
        return {"error": {"message": message, "type": type, "param": None, "code": code}}

    return {
        "rate_limit": Refusal(429, {"retry-after": "7"}, error("Slow down", "requests", "rate_limit_exceeded")),
        "bad_request": Refusal(400, {}, error("No such thing", "invalid_request_error", None)),
        "overloaded": Refusal(503, {}, error("Too much to do", "server_error", "server_is_overloaded")),
    }


def _chat() -> Speech:
    base: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    usage = {"prompt_tokens": 11, "completion_tokens": 6, "total_tokens": 17}
    deltas: list[Json] = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
    chunks = [base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append(base | {"choices": [], "usage": usage})
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return Speech(
        "/v1/chat/completions",
        [*map(sse, chunks), b"data: [DONE]\n\n"],
        4,
        base | {"object": "chat.completion", "choices": [choice], "usage": usage},
        sse(_openai_refusals()["overloaded"].body),
        _openai_refusals(),
    )


def _responses() -> Speech:
    response: Json = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5"}
    usage = {"input_tokens": 11, "output_tokens": 6, "total_tokens": 17}
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    at: Json = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    words = [{"type": "response.output_text.delta", "delta": word, "logprobs": []} | at for word in WORDS]
    begun = item | {"status": "in_progress", "content": []}
    whole = response | {"status": "completed", "output": [item], "usage": usage}
    payloads: list[Json] = [
        {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", "part": part | {"text": ""}} | at,
        *words,
        {"type": "response.output_text.done", "text": TEXT, "logprobs": []} | at,
        {"type": "response.content_part.done", "part": part} | at,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    failed = response | {
        "status": "failed",
        "output": [],
        "error": {"code": "server_is_overloaded", "message": "Too much to do"},
    }
    return Speech(
        "/v1/responses",
        [sse(payload | {"sequence_number": n}, payload["type"]) for n, payload in enumerate(payloads)],
        6,
        whole,
        sse({"type": "response.failed", "sequence_number": 6, "response": failed}, "response.failed"),
        _openai_refusals(),
    )


def _gemini() -> Speech:
    base: Json = {"modelVersion": "gemini-2.5-flash", "responseId": "r-1"}
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 6, "totalTokenCount": 17}

    def candidate(text: str, **more: Any) -> Json:
        return {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}

    chunks: list[Json] = [base | {"candidates": [candidate(word)]} for word in WORDS[:-1]]
    chunks.append(base | {"candidates": [candidate(WORDS[-1])]})
    chunks.append(base | {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": usage})

    def error(code: int, status: str, message: str) -> Json:
        return {"error": {"code": code, "message": message, "status": status}}

    overloaded = error(503, "UNAVAILABLE", "Too much to do")
    return Speech(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        [*map(sse, chunks)],
        3,
        base | {"candidates": [candidate(TEXT, finishReason="STOP")], "usageMetadata": usage},
        sse(overloaded),
        {
            "rate_limit": Refusal(429, {"retry-after": "7"}, error(429, "RESOURCE_EXHAUSTED", "Slow down")),
            "bad_request": Refusal(400, {}, error(400, "INVALID_ARGUMENT", "No such thing")),
            "overloaded": Refusal(503, {}, overloaded),
        },
    )


SPEECHES: Final[dict[str, Speech]] = {
    "anthropic": _anthropic(),
    "openai-chat": _chat(),
    "openai-responses": _responses(),
    "gemini": _gemini(),
}
DIALECTS: Final = tuple(SPEECHES)


def question(dialect: str, model: str = "m", *, streams: bool = True) -> tuple[str, Json]:
    """Path and body of a simple request."""
    if dialect == "gemini":
        contents = [{"role": "user", "parts": [{"text": "When does the tide turn?"}]}]
        return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if streams else 'generateContent'}", {
            "contents": contents
        }
    said = [{"role": "user", "content": "When does the tide turn?"}]
    base: Json = {"model": model, "stream": True} if streams else {"model": model}
    if dialect == "anthropic":
        return "/v1/messages", base | {"max_tokens": 100, "messages": said}
    if dialect == "openai-chat":
        return "/v1/chat/completions", base | {"messages": said}
    return "/v1/responses", base | {"input": said}


def told(dialect: str, payload: Any) -> tuple[str, str]:
    """Kind and message of an error body, in the dialect's words; fails if it is none of the dialect's."""
    error = payload["error"]
    if dialect == "anthropic":
        assert payload["type"] == "error"
        return error["type"], error["message"]
    if dialect == "gemini":
        assert isinstance(error["code"], int)
        return error["status"], error["message"]
    return error["type"], error["message"]
