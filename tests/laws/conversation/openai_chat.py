"""Chat Completions, of OpenRouter, LiteLLM, GitHub Copilot, Google and DeepSeek, which signs nothing."""

from __future__ import annotations

import json
from typing import Any

from . import Json, Server, Thing
from .wire import QUESTION, RESULT, SCHEMA, TOOL, payloads, sse

MODEL = "vendor/model-1"


def _chat(id: str, *deltas: Json) -> bytes:
    base = {"id": id, "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    chunks: list[Json] = [*({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas)]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    return b"".join(sse(base | {"choices": [choice]}) for choice in chunks) + b"data: [DONE]\n\n"


def _call(index: int, id: str, city: str, **more: Any) -> list[Json]:
    function = {"name": TOOL, "arguments": ""}
    rest = {"index": index, "function": {"arguments": json.dumps({"city": city})}}
    first = {"index": index, "id": id, "type": "function", "function": function, **more}
    return [{"tool_calls": [first]}, {"tool_calls": [rest]}]


def _detail(text: str, index: int = 0, **more: Any) -> Json:
    entry = {"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": index, **more}
    return {"reasoning": text, "reasoning_details": [entry]}


def _signed(signature: str, index: int = 0) -> Json:
    entry = {"type": "reasoning.text", "signature": signature, "format": "anthropic-claude-v1", "index": index}
    return {"reasoning_details": [entry]}


def _encrypted(data: str, format: str) -> Json:
    return {"reasoning_details": [{"type": "reasoning.encrypted", "data": data, "format": format, "index": 0}]}


def _blocks(text: str, signature: str = "") -> Json:
    block = {"type": "thinking", "thinking": text, "signature": signature}
    return {"reasoning_content": text, "thinking_blocks": [block]}


def _google(signature: str) -> Json:
    return {"google": {"thought_signature": signature}}


SERVERS = {
    "openrouter": Server(
        MODEL,
        "vendor/else-2",
        [
            _chat(
                "gen-1",
                _detail("Two"),
                _detail(" calls."),
                _signed("c2lnLW8x/+=="),
                {"content": "I look."},
                *_call(0, "functions.get_weather:0", "Brest"),
                *_call(1, "functions.get_weather:1", "Lyon"),
            ),
            _chat("gen-2", _encrypted("gAAAA-o2", "openai-responses-v1"), *_call(0, "call_3", "Brest")),
            _chat("gen-3", _encrypted("any-o3", "format-of-tomorrow-v9"), *_call(0, "call_4", "Lyon")),
        ],
        [
            [
                ("thought", "Two calls.", "anthropic-claude-v1", "c2lnLW8x/+=="),
                ("call", "functions.get_weather:0", ""),
                ("call", "functions.get_weather:1", ""),
            ],
            [("redacted", "openai-responses-v1", "gAAAA-o2"), ("call", "call_3", "")],
            [("redacted", "format-of-tomorrow-v9", "any-o3"), ("call", "call_4", "")],
        ],
        ["c2lnLW8x", "gAAAA-o2", "any-o3"],
    ),
    "litellm": Server(
        MODEL,
        "vendor/else-2",
        [
            _chat(
                "chatcmpl-1", _blocks("Think"), _blocks(" once."), _blocks("", "c2lnLWwx"), *_call(0, "call_1", "Brest")
            ),
            _chat(
                "chatcmpl-2",
                {"thinking_blocks": [{"type": "redacted_thinking", "data": "cmVkLWwy"}]},
                _blocks("More."),
                _blocks("", "c2lnLWwy"),
                *_call(0, "call_2", "Lyon"),
            ),
        ],
        [
            [("block", "Think once.", "c2lnLWwx"), ("call", "call_1", "")],
            [("block", "cmVkLWwy"), ("block", "More.", "c2lnLWwy"), ("call", "call_2", "")],
        ],
        ["c2lnLWwx", "cmVkLWwy", "c2lnLWwy"],
    ),
    "copilot": Server(
        MODEL,
        "vendor/else-2",
        [
            _chat(
                "chatcmpl-1",
                {"reasoning_text": "Both."},
                {"reasoning_opaque": "gAAAA-c1"},
                {"content": "I look."},
                *_call(0, "call_1", "Brest"),
            ),
            _chat("chatcmpl-2", {"reasoning_opaque": "gAAAA-c2"}, *_call(0, "call_2", "Lyon")),
        ],
        [[("opaque", "gAAAA-c1"), ("call", "call_1", "")], [("opaque", "gAAAA-c2"), ("call", "call_2", "")]],
        ["gAAAA-c1", "gAAAA-c2"],
    ),
    "google": Server(
        MODEL,
        "vendor/else-2",
        [
            _chat(
                "google-1",
                *_call(0, "call_1", "Brest", extra_content=_google("c2lnLWcx")),
                *_call(1, "call_2", "Lyon"),
            ),
            _chat("google-2", {"content": "I look."}, *_call(0, "call_3", "Lyon", extra_content=_google("c2lnLWcy"))),
        ],
        [
            [("call", "call_1", "c2lnLWcx"), ("call", "call_2", "")],
            [("call", "call_3", "c2lnLWcy")],
        ],
        ["c2lnLWcx", "c2lnLWcy"],
    ),
    "deepseek": Server(
        MODEL,
        "vendor/else-2",
        [
            _chat(
                "ds-1",
                {"reasoning_content": "Two"},
                {"reasoning_content": " calls."},
                {"content": "I look."},
                *_call(0, "call_d1", "Brest"),
                *_call(1, "call_d2", "Lyon"),
            ),
            _chat("ds-2", {"reasoning_content": "Once more."}, *_call(0, "call_d3", "Brest")),
        ],
        [
            [("said", "Two calls."), ("call", "call_d1", ""), ("call", "call_d2", "")],
            [("said", "Once more."), ("call", "call_d3", "")],
        ],
        [],
    ),
}


def ask() -> Json:
    tool = {"type": "function", "function": {"name": TOOL, "description": "The weather", "parameters": SCHEMA}}
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [tool],
        "reasoning_effort": "low",
    }


def answer(request: Json, stream: bytes, *, keep: bool) -> Json:
    message = _message(stream)
    if not keep:
        message = {key: value for key, value in message.items() if key in ("role", "content", "tool_calls")}
        message["tool_calls"] = [
            {key: value for key, value in call.items() if key in ("id", "type", "function")}
            for call in message["tool_calls"]
        ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in message["tool_calls"]]
    return request | {"messages": [*request["messages"], message, *results]}


_LISTS = ("tool_calls", "reasoning_details")


def _message(stream: bytes) -> Json:
    """Deltas added up: texts are joined, entries of one index are one, what has no index is another entry."""
    out: Json = {"role": "assistant", "content": None}
    for chunk in payloads(stream):
        for choice in chunk["choices"]:
            for key, value in choice["delta"].items():
                if key in _LISTS:
                    entries = out.setdefault(key, [])
                    for entry in value:
                        _merge(entries, entry)
                elif isinstance(value, list):
                    out[key] = [*out.get(key, ()), *value]
                elif isinstance(value, str) and key != "role":
                    out[key] = (out.get(key) or "") + value
                elif value is not None:
                    out[key] = value
    blocks = out.get("thinking_blocks", [])
    if any(block.get("signature") == "" for block in blocks):  # of a stream: text in pieces
        out["thinking_blocks"] = _blocks_of_pieces(blocks)
    for key in _LISTS:
        for entry in out.get(key, ()):
            entry.pop("index", None)
    return out


def _merge(entries: list[Json], entry: Json) -> None:
    known = next((one for one in entries if one["index"] == entry["index"]), None)
    if known is None:
        entries.append(json.loads(json.dumps(entry)))
        return
    for key, value in entry.items():
        if key == "function":
            known["function"]["arguments"] += value["arguments"]
        elif key in ("text", "data"):
            known[key] = known.get(key, "") + value
        else:
            known[key] = value


def _blocks_of_pieces(pieces: list[Json]) -> list[Json]:
    out: list[Json] = []
    text = ""
    for piece in pieces:
        text += piece.get("thinking", "")
        if piece.get("signature"):
            out.append({**piece, "thinking": text})
            text = ""
        elif "data" in piece:
            out.append(piece)
    return out


def seen(request: Json) -> list[Thing]:
    return [thing for message in request["messages"] if message["role"] == "assistant" for thing in _things(message)]


def _things(message: Json) -> list[Thing]:
    out: list[Thing] = []
    text = message.get("reasoning_content") or message.get("reasoning") or ""
    if text and not any(message.get(name) for name in ("reasoning_details", "thinking_blocks", "reasoning_opaque")):
        out.append(("said", text))
    for entry in message.get("reasoning_details", ()):
        if entry["type"] == "reasoning.encrypted":
            out.append(("redacted", entry.get("format", ""), entry["data"]))
        elif entry.get("signature"):
            out.append(("thought", entry.get("text") or text, entry.get("format", ""), entry["signature"]))
    blocks = message.get("thinking_blocks", ())
    out += [("block", b["data"]) if "data" in b else ("block", b["thinking"], b["signature"]) for b in blocks]
    if message.get("reasoning_opaque"):
        out.append(("opaque", message["reasoning_opaque"]))
    for call in message.get("tool_calls", ()):
        google = call.get("extra_content", {}).get("google", {})
        out.append(("call", call["id"], google.get("thought_signature", "")))
    return out
