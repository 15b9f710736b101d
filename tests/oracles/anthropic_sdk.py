"""The Anthropic SDK as a judge: both stream helpers (`messages` and `beta.messages`) must take the stream."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from typing import Any, Final

from anthropic import Anthropic, APIStatusError
from anthropic.lib.streaming import BetaMessageStreamManager, MessageStreamManager
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta_error_response import BetaErrorResponse
from anthropic.types.shared import ErrorResponse

from .anthropic_requests import validate_request as validate_request
from .judge import JsonObject, Normal, Part, Replay, Verdict, fold, objects, plain, quiet, reason
from .strict_types import check, check_type, frames, json_object, variants

REPLAY: Final = Replay()
CLIENT: Final = Anthropic(api_key="key", base_url="http://oracle.invalid", http_client=REPLAY.client(), max_retries=0)
atexit.register(CLIENT.close)

DERIVED: Final = frozenset({"text", "input_json", "citation", "thinking", "signature", "compaction"})
TYPES: Final = variants(RawMessageStreamEvent, BetaRawMessageStreamEvent)
SERVER_TOOLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})


def accept(data: bytes) -> Verdict:
    """Both helpers' verdict; `final` is the beta helper's, as only that one reads deltas of beta blocks."""
    REPLAY.body = data
    request: Any = {"model": "model", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    with quiet():
        stable = _run(CLIENT.messages.stream(**request))
        beta = _run(CLIENT.beta.messages.stream(**request))
    if beta.error is None:
        sent = sum(frame.event != "ping" for frame in frames(data))
        beta = beta.unless(f"ignored: {sent - beta.events} of {sent} events" if sent > beta.events else None)
    if stable.ok or stable.faults or stable.error == beta.error:
        return beta
    return beta.but(f"messages.stream: {stable.error}")


def _run(manager: MessageStreamManager[None] | BetaMessageStreamManager[None]) -> Verdict:
    """Read one helper to its end."""
    events = 0
    faults: list[str] = []
    complete = False
    with manager as stream:
        try:
            for event in stream:
                if event.type in DERIVED:
                    continue
                if (event.type == "message_start") != (events == 0):
                    faults.append(f"ignored: {event.type} as event {events}")
                elif event.type == "content_block_start":
                    block = len(stream.current_message_snapshot.content) - 1
                    faults += [f"index {event.index} for block {block}"] if event.index != block else []
                complete = complete or event.type == "message_stop"
                events += 1
            final = plain(stream.get_final_message())
        except Exception as exc:
            try:
                partial = plain(stream.current_message_snapshot)
            except AssertionError:
                partial = None
            api_error = _api_error(exc)
            return Verdict(api_error is not None, reason(exc), partial, events, api_error)
    return Verdict(True, None, final, events, complete=complete).unless(*faults)


def _api_error(exc: Exception) -> JsonObject | None:
    if isinstance(exc, APIStatusError) and isinstance(exc.body, dict) and isinstance(exc.body.get("error"), dict):
        return dict(exc.body["error"])
    return None


def normal(final: Mapping[str, Any]) -> Normal:
    """Tool input is the parsed object: the SDK keeps no text."""
    return {
        "parts": fold(_part(block) for block in objects(final.get("content"))),
        "finish": {0: final.get("stop_reason")},
        "stop_sequence": final.get("stop_sequence"),
        "usage": dict(final.get("usage") or {}),
    }


def _part(block: Mapping[str, Any]) -> Part:
    kind = str(block.get("type"))
    if kind == "text":
        return Part(0, "text", None, None, block.get("text") or "")
    if kind == "thinking":
        return Part(0, "reasoning", None, None, block.get("thinking") or "")
    if kind == "redacted_thinking":
        return Part(0, "redacted", None, None, block.get("data"))
    if kind == "tool_use":
        return Part(0, "tool", block.get("id"), block.get("name"), block.get("input"))
    if kind in SERVER_TOOLS:
        return Part(0, "server_tool", block.get("id"), block.get("name"), block.get("input"))
    if kind.endswith("_tool_result"):
        return Part(0, "server_result", block.get("tool_use_id"), kind, block.get("content"))
    return Part(0, "opaque", None, kind, dict(block))


def validate(data: bytes) -> list[str]:
    """Each event under its stable or its beta type; the event's name must be its type."""
    return [
        f"event {frame.number}: {problem}" for frame in frames(data) for problem in _problems(frame.event, frame.data)
    ]


def _problems(name: str | None, data: str) -> list[str]:
    event = json_object(data)
    if isinstance(event, str):
        return [event]
    kind = event.get("type")
    if kind != name:
        return [f"event name {name!r} for type {kind!r}"]
    if kind == "ping":
        return []
    return check(data, (BetaErrorResponse, ErrorResponse)) if kind == "error" else check_type(event, data, TYPES)


def validate_body(body: Mapping[str, Any]) -> list[str]:
    """A response without streaming, under its stable or its beta type."""
    return check(json.dumps(body), (BetaMessage, Message))
