"""What a model of each dialect says when it calls tools, and what it hears, written without the library."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tests.laws.conversation.wire import sse

Json = dict[str, Any]

THOUGHT: Final = "I have to look first."
SIGNATURE: Final = "c2lnbmVkL2J5K3RoZS91cHN0cmVhbQ=="
"""Base64, as all dialects take it, with each of its special characters."""
SAID: Final = "I look."


class Declared(NamedTuple):
    """A tool in a request."""

    namespace: str
    name: str
    custom: bool


class Use(NamedTuple):
    """A tool that is called: by the end of its name, which a translation may have put a namespace before."""

    name: str
    arguments: Json
    """Of a custom tool: `input`."""


class Heard(NamedTuple):
    """What a request tells of the first answer."""

    calls: list[str]
    """Ids; Gemini's clients may send none."""
    results: dict[str, str]
    """By id or, where there is none, by position."""
    signatures: list[str]


def declared(dialect: str, request: Json) -> list[Declared]:
    if dialect == "anthropic":
        return [Declared("", tool["name"], False) for tool in request.get("tools", ())]
    if dialect == "openai-chat":
        return [Declared("", tool[tool["type"]]["name"], tool["type"] == "custom") for tool in request.get("tools", ())]
    if dialect == "gemini":
        groups = (tool.get("functionDeclarations", ()) for tool in request.get("tools", ()))
        return [Declared("", function["name"], False) for group in groups for function in group]
    items = (item for item in request["input"] if item.get("type") == "additional_tools")
    return [one for tools in (request, *items) for one in _responses_tools(tools.get("tools", ()), "")]


def _responses_tools(tools: list[Json], namespace: str) -> Iterator[Declared]:
    for tool in tools:
        if tool["type"] == "namespace":
            yield from _responses_tools(tool["tools"], tool["name"])
        elif tool["type"] in ("function", "custom"):
            yield Declared(namespace, tool["name"], tool["type"] == "custom")


def answer(dialect: str, request: Json, uses: list[Use]) -> list[bytes]:
    """Frames of a stream: signed reasoning, a text, and the calls."""
    tools = declared(dialect, request)
    calls = [(next(tool for tool in tools if tool.name.endswith(use.name)), use.arguments) for use in uses]
    return {"anthropic": _anthropic, "openai-chat": _chat, "openai-responses": _responses, "gemini": _gemini}[dialect](
        calls
    )


Calls = list[tuple[Declared, Json]]


def _anthropic(calls: Calls) -> list[bytes]:
    usage = {"input_tokens": 5, "output_tokens": 7}
    blocks: list[tuple[Json, list[Json]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": THOUGHT},
                {"type": "signature_delta", "signature": SIGNATURE},
            ],
        ),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": SAID}]),
    ]
    for number, (tool, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:9], text[9:])]
        blocks.append(({"type": "tool_use", "id": f"toolu_{number}", "name": tool.name, "input": {}}, pieces))
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    frames: list[Json] = [
        {"type": "message_start", "message": start | {"stop_reason": None, "stop_sequence": None, "usage": usage}}
    ]
    for index, (block, deltas) in enumerate(blocks):
        frames.append({"type": "content_block_start", "index": index, "content_block": block})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "tool_use", "stop_sequence": None}
    frames += [{"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]
    return [sse(frame, frame["type"]) for frame in frames]


def _chat(calls: Calls) -> list[bytes]:
    base = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "vendor/model-1"}
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    deltas: list[Json] = [
        {"role": "assistant", "content": ""},
        {"reasoning": THOUGHT, "reasoning_details": [detail | {"text": THOUGHT}]},
        {"reasoning_details": [detail | {"signature": SIGNATURE}]},
        {"content": SAID},
    ]
    for index, (tool, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        function = {"name": tool.name, "arguments": ""}
        deltas.append(
            {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in (text[:9], text[9:])
        ]
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
    return [*(sse(base | chunk) for chunk in chunks), b"data: [DONE]\n\n"]


def _responses(calls: Calls) -> list[bytes]:
    response: Json = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "status": "in_progress"}
    summary = {"type": "summary_text", "text": THOUGHT}
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": [summary], "encrypted_content": SIGNATURE}
    part = {"type": "output_text", "text": SAID, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    at_part = {"item_id": "rs_1", "summary_index": 0}
    at_text = {"item_id": "msg_1", "content_index": 0}
    items: list[tuple[Json, Json, list[Json]]] = [
        (
            reasoning | {"summary": [], "encrypted_content": ""},
            reasoning,
            [
                {"type": "response.reasoning_summary_part.added", "part": summary | {"text": ""}} | at_part,
                {"type": "response.reasoning_summary_text.delta", "delta": THOUGHT} | at_part,
                {"type": "response.reasoning_summary_text.done", "text": THOUGHT} | at_part,
                {"type": "response.reasoning_summary_part.done", "part": summary} | at_part,
            ],
        ),
        (
            message | {"status": "in_progress", "content": []},
            message,
            [
                {"type": "response.content_part.added", "part": part | {"text": ""}} | at_text,
                {"type": "response.output_text.delta", "delta": SAID, "logprobs": []} | at_text,
                {"type": "response.output_text.done", "text": SAID, "logprobs": []} | at_text,
                {"type": "response.content_part.done", "part": part} | at_text,
            ],
        ),
        *(_responses_call(number, tool, arguments) for number, (tool, arguments) in enumerate(calls)),
    ]
    frames: list[Json] = [{"type": "response.created", "response": response | {"output": []}}]
    for index, (begun, item, deltas) in enumerate(items):
        frames.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        frames += [delta | {"output_index": index} for delta in deltas]
        frames.append({"type": "response.output_item.done", "output_index": index, "item": item})
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    end = {"status": "completed", "output": [item for _, item, _ in items], "usage": usage}
    frames.append({"type": "response.completed", "response": response | end})
    return [sse(frame | {"sequence_number": number}, frame["type"]) for number, frame in enumerate(frames)]


def _responses_call(number: int, tool: Declared, arguments: Json) -> tuple[Json, Json, list[Json]]:
    id = f"call_{number}"
    key, text = ("input", arguments["input"]) if tool.custom else ("arguments", json.dumps(arguments))
    kind = "custom_tool_call" if tool.custom else "function_call"
    item: Json = {
        "id": f"fc_{number}",
        "type": kind,
        "status": "completed",
        "call_id": id,
        "name": tool.name,
        key: text,
    }
    if tool.namespace:
        item["namespace"] = tool.namespace
    event = "response.custom_tool_call_input" if tool.custom else "response.function_call_arguments"
    at = {"item_id": item["id"]}
    deltas: list[Json] = [{"type": f"{event}.delta", "delta": piece} | at for piece in (text[:9], text[9:])]
    deltas.append({"type": f"{event}.done", key: text} | at)
    return item | {"status": "in_progress", key: ""}, item, deltas


def _gemini(calls: Calls) -> list[bytes]:
    parts: list[Json] = [{"text": THOUGHT, "thought": True}, {"text": SAID}]
    for number, (tool, arguments) in enumerate(calls):
        call: Json = {"functionCall": {"id": f"fc_{number}", "name": tool.name, "args": arguments}}
        parts.append(call | ({} if number else {"thoughtSignature": SIGNATURE}))
    base = {"responseId": "r-1", "modelVersion": "gemini-3-pro-preview"}
    chunks: list[Json] = [
        base | {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts
    ]
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    chunks.append(base | {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": usage})
    return [*map(sse, chunks)]


def heard(dialect: str, request: Json) -> Heard:
    """What a request tells of the first answer."""
    out = Heard([], {}, [])
    {"anthropic": _hear_anthropic, "openai-chat": _hear_chat, "openai-responses": _hear_responses}.get(
        dialect, _hear_gemini
    )(request, out)
    return out


def _hear_anthropic(request: Json, out: Heard) -> None:
    for message in request["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "thinking":
                out.signatures.append(block["signature"])
            elif block["type"] == "tool_use":
                out.calls.append(block["id"])
            elif block["type"] == "tool_result":
                out.results[block["tool_use_id"]] = json.dumps(block.get("content"))


def _hear_chat(request: Json, out: Heard) -> None:
    for message in request["messages"]:
        out.signatures.extend(
            entry["signature"] for entry in message.get("reasoning_details") or () if entry.get("signature")
        )
        out.calls.extend(call["id"] for call in message.get("tool_calls") or ())
        if message["role"] == "tool":
            out.results[message["tool_call_id"]] = json.dumps(message["content"])


def _hear_responses(request: Json, out: Heard) -> None:
    for item in request["input"]:
        if item.get("type") == "reasoning":
            out.signatures.append(item.get("encrypted_content", ""))
        elif item.get("type") in ("function_call", "custom_tool_call"):
            out.calls.append(item["call_id"])
        elif item.get("type") in ("function_call_output", "custom_tool_call_output"):
            out.results[item["call_id"]] = json.dumps(item["output"])


def _hear_gemini(request: Json, out: Heard) -> None:
    for part in (part for content in request["contents"] for part in content["parts"]):
        if "thoughtSignature" in part:
            out.signatures.append(part["thoughtSignature"])
        if "functionCall" in part:
            out.calls.append(part["functionCall"].get("id", ""))
        if "functionResponse" in part:
            response = part["functionResponse"]
            out.results[response.get("id") or str(len(out.results))] = json.dumps(response["response"])
