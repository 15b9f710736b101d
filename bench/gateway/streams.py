"""What the upstream says and the clients ask. Each text delta has one `~`, by which `peers.c` counts events."""

import json
from typing import Any, Final

MODEL: Final = "bench-00000"
"""The digits are the number of the client, which writes them itself."""
PATHS: Final = {
    "anthropic": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "gemini": f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
}
_TEXT: Final = "the harbour lay quiet under an early light and only a few boats moved past its old pier"
_WORDS: Final = tuple(_TEXT.split())
_CREATED: Final = 1784700000


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _texts(deltas: int) -> list[str]:
    return [f" {_WORDS[k % len(_WORDS)]}~" for k in range(deltas)]


def _chat_chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-7Qe", "object": "chat.completion.chunk", "created": _CREATED, "model": "bench"}
    return f"data: {_json({**chunk, 'choices': [choice]})}\n\n"


def _chat(deltas: int) -> str:
    usage = {"prompt_tokens": 12, "completion_tokens": deltas, "total_tokens": 12 + deltas}
    last = {"id": "chatcmpl-7Qe", "object": "chat.completion.chunk", "created": _CREATED, "model": "bench"}
    return "".join(
        [
            _chat_chunk({"role": "assistant", "content": ""}),
            *(_chat_chunk({"content": text}) for text in _texts(deltas)),
            _chat_chunk({}, "stop"),
            f"data: {_json({**last, 'choices': [], 'usage': usage})}\n\n",
            "data: [DONE]\n\n",
        ]
    )


def _event(payload: dict[str, Any]) -> str:
    return f"event: {payload['type']}\ndata: {_json(payload)}\n\n"


def _anthropic(deltas: int) -> str:
    message = {"id": "msg_7Qe", "type": "message", "role": "assistant", "model": "bench", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return "".join(
        [
            _event({"type": "message_start", "message": message}),
            _event(block),
            *(
                _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
                for text in _texts(deltas)
            ),
            _event({"type": "content_block_stop", "index": 0}),
            _event({"type": "message_delta", "delta": end, "usage": {"output_tokens": deltas}}),
            _event({"type": "message_stop"}),
        ]
    )


def stream(dialect: str, deltas: int) -> bytes:
    """What an upstream answers, in events of about 150 bytes."""
    return {"openai-chat": _chat, "anthropic": _anthropic}[dialect](deltas).encode()


def body(dialect: str) -> bytes:
    """The same, of one word, for a client that does not stream."""
    if dialect == "anthropic":
        content = [{"type": "text", "text": "word~"}]
        usage = {"input_tokens": 12, "output_tokens": 1}
        message = {"id": "msg_7Qe", "type": "message", "role": "assistant", "model": "bench", "content": content}
        return _json({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()
    choice = {"index": 0, "message": {"role": "assistant", "content": "word~"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}
    whole = {"id": "chatcmpl-7Qe", "object": "chat.completion", "created": _CREATED, "model": "bench"}
    return _json({**whole, "choices": [choice], "usage": usage}).encode()


def request(dialect: str, streams: bool) -> bytes:
    """What a client asks: a few turns of a conversation."""
    said = ["What lies in the harbour?", "A few boats, and two crates on the quay.", "Describe them, please."]
    roles = ["user", "assistant", "user"]
    turns = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    asked: dict[str, Any] = {"model": MODEL, "stream": streams}
    if dialect == "anthropic":
        asked |= {"max_tokens": 1024, "system": "Answer in one paragraph.", "messages": turns}
    elif dialect == "openai-responses":
        asked |= {"instructions": "Answer in one paragraph.", "input": turns, "store": False}
    else:
        asked |= {"messages": [{"role": "system", "content": "Answer in one paragraph."}, *turns]}
        if streams:
            asked["stream_options"] = {"include_usage": True}
    return _json(asked).encode()
