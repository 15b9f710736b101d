"""The benchmark's input: one long text answer in each dialect, in the exact form its provider streams it.

Same call, same bytes: the words come from a fixed list in a fixed order, so runs and machines can be compared.

    from bench.make_streams import stream
    stream("anthropic")                     # 4,000 text deltas, about 130 bytes a frame
    stream("openai-chat", deltas=100_000)   # about 350 bytes a frame, as in openai-responses and gemini
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

__all__ = ["DIALECTS", "stream", "words"]

_CREATED: Final = 1784700000

# What a tokeniser makes of prose with a little code and a little of other scripts: mostly short words with their
# space in front, some parts of words, punctuation, and the characters that JSON escapes. A bar divides tokens.
_TEXT: Final = (
    "The| harbour| lay| quiet| under| the| early| light|,| and| only| a| few| bo|ats| moved|.| On| the| quay| stood"
    '| two| crates| marked| "|fragile|"| in| red| paint|;| someone| had| drawn| a| little| fish| beside| them|.|\n\n'
    "##| Notes|\n|-| wind|:| north|-|west|,| |12| knots|\n|-| caf|é| opens| at| |06|:|30|\n|-| price|:| |4|,|50| €|"
    "\n\n|She| wrote| it| all| down| in| her| notebook|,| carefully|,| as| she| had| every| morning| since| spring|."
    "| Die| Möwen| kr|eisten| über| dem| Deich|;| 海|は|静|か|だった|。| Later| she| would| call| it| the| day| of| the"
    '| great| catch| 🐟|.| ```|python|\n|path| =| "|C|:\\\\|log|\\\\|tide|.txt|"\n|print|(|path|)|\n|```|\n\n|"|Ready'
    '|?"| asked| the| pilot|,| and| nobody| answered|,| because| the| engine| had| already| started|.|\n'
)
_TOKENS: Final = tuple(_TEXT.split("|"))

_TOKENS_PER_DELTA: Final = 3

# OpenAI fills a delta up with `obfuscation` to a multiple of 16 characters, now and then of more. openai-responses is
# filled up further here, for its frames to have the size that the measurements are stated for (with 16: 275 bytes).
_PAD_CHAT: Final = 16
_PAD_RESPONSES: Final = 96


def words(deltas: int) -> Iterator[str]:
    """The texts of the deltas in order; the list of tokens starts again when it is used up."""
    for k in range(0, deltas * _TOKENS_PER_DELTA, _TOKENS_PER_DELTA):
        yield "".join(_TOKENS[j % len(_TOKENS)] for j in range(k, k + _TOKENS_PER_DELTA))


def stream(dialect: str, deltas: int = 4000) -> bytes:
    """A whole stream of `deltas` text deltas: start, one text part, finish, usage, end mark."""
    if dialect not in DIALECTS:
        raise ValueError(f"no benchmark stream for {dialect!r}; there are: {', '.join(DIALECTS)}")
    return b"".join(DIALECTS[dialect](list(words(deltas))))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _named(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _json(event))


def _padding(k: int, text: str, width: int) -> str:
    """OpenAI's `obfuscation`: it hides the length of a delta by filling it up to a multiple of `width`."""
    alphabet = "kQ7vXm2RtZ9bLw4HsYc1NfJ8pDg5TaVe"
    return "".join(alphabet[(k * 7 + j * 5) % len(alphabet)] for j in range(-len(text) % width))


def _anthropic(texts: Sequence[str]) -> Iterator[bytes]:
    yield _named(
        {
            "type": "message_start",
            "message": {
                "model": "claude-sonnet-4-6",
                "id": "msg_01BenchStream000000000001",
                "type": "message",
                "role": "assistant",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "stop_details": None,
                "usage": {
                    "input_tokens": 25,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                    "output_tokens": 1,
                    "service_tier": "standard",
                    "inference_geo": "global",
                },
            },
        }
    )
    yield _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    yield b'event: ping\ndata: {"type": "ping"}\n\n'
    for text in texts:
        yield _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    yield _named({"type": "content_block_stop", "index": 0})
    yield _named(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
            "usage": {
                "input_tokens": 25,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": len(texts),
            },
        }
    )
    yield _named({"type": "message_stop"})


def _openai_chat(texts: Sequence[str]) -> Iterator[bytes]:
    def chunk(k: int, choices: list[dict[str, Any]], text: str = "", usage: dict[str, Any] | None = None) -> bytes:
        return b"data: %b\n\n" % _json(
            {
                "id": "chatcmpl-BenchStream000000000000000001",
                "object": "chat.completion.chunk",
                "created": _CREATED,
                "model": "gpt-4.1-mini-2025-04-14",
                "service_tier": "default",
                "system_fingerprint": "fp_f1c7e00001",
                "choices": choices,
                "usage": usage,
                "obfuscation": _padding(k, text, _PAD_CHAT),
            }
        )

    def choice(delta: dict[str, Any], finish_reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]

    yield chunk(0, choice({"role": "assistant", "content": "", "refusal": None}))
    for k, text in enumerate(texts):
        yield chunk(k, choice({"content": text}), text)
    yield chunk(1, choice({}, "stop"))
    yield chunk(
        2,
        [],
        usage={
            "prompt_tokens": 25,
            "completion_tokens": len(texts),
            "total_tokens": 25 + len(texts),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    )
    yield b"data: [DONE]\n\n"


def _openai_responses(texts: Sequence[str]) -> Iterator[bytes]:
    item_id = "msg_0bec0c0000000000000000000000000000000000000000000001"
    at: dict[str, Any] = {"content_index": 0, "item_id": item_id, "output_index": 0}
    full = "".join(texts)

    def response(status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": "resp_0bec0c0000000000000000000000000000000000000000000000",
            "object": "response",
            "created_at": _CREATED,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "max_tool_calls": None,
            "model": "gpt-4.1-mini-2025-04-14",
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": None,
            "service_tier": "default",
            "store": True,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "user": None,
            "metadata": {},
        }

    def item(status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": item_id, "type": "message", "status": status, "content": content, "role": "assistant"}

    def part(text: str) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def event(type: str, sequence_number: int, **fields: Any) -> bytes:
        rest = {**fields, "sequence_number": sequence_number}
        return _named({"type": type, **{key: rest[key] for key in sorted(rest)}})

    yield event("response.created", 0, response=response("in_progress", [], None))
    yield event("response.in_progress", 1, response=response("in_progress", [], None))
    yield event("response.output_item.added", 2, item=item("in_progress", []), output_index=0)
    yield event("response.content_part.added", 3, part=part(""), **at)
    for k, text in enumerate(texts):
        pad = _padding(k, text, _PAD_RESPONSES)
        yield event("response.output_text.delta", 4 + k, delta=text, logprobs=[], obfuscation=pad, **at)
    n = 4 + len(texts)
    yield event("response.output_text.done", n, text=full, logprobs=[], **at)
    yield event("response.content_part.done", n + 1, part=part(full), **at)
    yield event("response.output_item.done", n + 2, item=item("completed", [part(full)]), output_index=0)
    usage = {
        "input_tokens": 25,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
        "output_tokens": len(texts),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 25 + len(texts),
    }
    yield event("response.completed", n + 3, response=response("completed", [item("completed", [part(full)])], usage))


def _gemini(texts: Sequence[str]) -> Iterator[bytes]:
    def chunk(k: int, text: str, finish: str = "") -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}}
        usage = {
            "promptTokenCount": 25,
            "candidatesTokenCount": k,
            "totalTokenCount": 25 + k,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 25}],
        }
        payload = {
            "candidates": [candidate | ({"finishReason": finish} if finish else {}) | {"index": 0}],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "BenchStream00000000001",
        }
        return b"data: %b\r\n\r\n" % json.dumps(payload, ensure_ascii=False, separators=(",", ": ")).encode()

    for k, text in enumerate(texts):
        yield chunk(k + 1, text)
    yield chunk(len(texts), "", "STOP")


DIALECTS: Final[dict[str, Callable[[Sequence[str]], Iterator[bytes]]]] = {
    "anthropic": _anthropic,
    "gemini": _gemini,
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
}
