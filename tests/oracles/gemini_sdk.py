"""The Google Gen AI SDK as a judge: `generate_content_stream`. It joins nothing, so its chunks are put together here."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.genai import Client
from google.genai.errors import APIError
from google.genai.types import GenerateContentConfig, GenerateContentResponse, HttpOptions
from pydantic import BaseModel

from .gemini_requests import canonical_request as canonical_request
from .gemini_requests import validate_request as validate_request
from .judge import JsonObject, Normal, Part, Replay, Verdict, fold, objects, plain, quiet, reason
from .strict_types import check, frames, json_object

REPLAY: Final = Replay()
OPTIONS: Final = HttpOptions(base_url="http://oracle.invalid", httpx_client=REPLAY.client())
CLIENT: Final = Client(api_key="key", vertexai=False, http_options=OPTIONS)
atexit.register(CLIENT.close)
CONFIG: Final = GenerateContentConfig(automatic_continuation=False)
SERVER_TOOLS: Final = {
    "executableCode": "server_tool",
    "codeExecutionResult": "server_result",
    "toolCall": "server_tool",
    "toolResponse": "server_result",
}


class Status(BaseModel):
    code: int
    message: str
    status: str
    details: list[JsonObject] | None = None


class ErrorChunk(BaseModel):
    """The data of an error in a stream; no official type wraps it."""

    error: Status


def accept(data: bytes) -> Verdict:
    REPLAY.body = data
    with quiet():
        verdict = _run()
    if verdict.api_error is not None or not verdict.ok:
        return verdict
    sent = len(frames(data))
    ignored = f"ignored: {sent - verdict.events} of {sent} chunks" if sent > verdict.events else None
    return verdict.unless(ignored, _pieces(verdict.final or {}), None if verdict.events else "no chunks")


def _run() -> Verdict:
    """Read the stream to its end."""
    final: JsonObject = {}
    events = 0
    try:
        for chunk in CLIENT.models.generate_content_stream(model="model", contents="hi", config=CONFIG):
            _add(final, plain(chunk))
            events += 1
    except APIError as exc:
        return Verdict(True, reason(exc), final or None, events, dict(exc.details["error"]))
    except Exception as exc:
        return Verdict(False, reason(exc), final or None, events)
    candidates = objects(final.get("candidates"))
    blocked = (final.get("promptFeedback") or {}).get("blockReason")
    complete = bool(blocked) or (bool(candidates) and all(one.get("finishReason") for one in candidates))
    return Verdict(True, None, final or None, events, complete=complete)


def _add(final: JsonObject, chunk: Mapping[str, Any]) -> None:
    """Content is joined by candidate; of all else the last counts."""
    final.update({key: value for key, value in chunk.items() if key != "candidates" and value is not None})
    candidates = final.setdefault("candidates", [])
    for position, source in enumerate(objects(chunk.get("candidates"))):
        index = source.get("index") or (position if source.get("index") is None else 0)
        known = next((one for one in candidates if one["index"] == index), None)
        if known is None:
            known = {"index": index, "content": {"role": "model", "parts": []}}
            candidates.append(known)
        known["content"]["parts"] += objects((source.get("content") or {}).get("parts"))
        known.update({k: v for k, v in source.items() if k not in ("index", "content") and v is not None})


def _pieces(final: Mapping[str, Any]) -> str | None:
    """Vertex streams the arguments of a call in pieces, which the SDK leaves as they are."""
    calls = [part.get("functionCall") for _, part in _parts(final)]
    pieces = any(isinstance(call, dict) and (call.get("willContinue") or "name" not in call) for call in calls)
    return "arguments in pieces" if pieces else None


def normal(final: Mapping[str, Any]) -> Normal:
    """Arguments are objects: the SDK keeps no text."""
    candidates = objects(final.get("candidates"))
    blocked = (final.get("promptFeedback") or {}).get("blockReason")
    finish = {int(one.get("index") or 0): one.get("finishReason") for one in candidates}
    return {
        "parts": fold(part for index, source in _parts(final) for part in _part(index, source)),
        "finish": finish or {0: blocked},
        "stop_sequence": None,
        "usage": dict(final.get("usageMetadata") or {}),
    }


def _parts(final: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for candidate in sorted(objects(final.get("candidates")), key=lambda one: int(one.get("index") or 0)):
        for part in objects((candidate.get("content") or {}).get("parts")):
            yield int(candidate.get("index") or 0), part


def _part(index: int, part: Mapping[str, Any]) -> Iterator[Part]:
    call = part.get("functionCall")
    server = next((key for key in SERVER_TOOLS if part.get(key)), None)
    if isinstance(call, dict):
        yield Part(index, "tool", call.get("id"), call.get("name"), call.get("args") or {})
    elif server is not None:
        yield Part(index, SERVER_TOOLS[server], None, server, part[server])
    elif "text" in part:
        if part["text"]:
            yield Part(index, "reasoning" if part.get("thought") else "text", None, None, part["text"])
    elif part.get("inlineData"):
        yield Part(index, "opaque", None, "inlineData", part["inlineData"].get("mimeType"))


def validate(data: bytes) -> list[str]:
    """Each chunk."""
    return [f"event {frame.number}: {problem}" for frame in frames(data) for problem in _problems(frame.data)]


def _problems(data: str) -> list[str]:
    event = json_object(data)
    if isinstance(event, str):
        return [event]
    return check(data, [ErrorChunk if "error" in event else GenerateContentResponse])


def validate_body(body: Mapping[str, Any]) -> list[str]:
    """A response without streaming."""
    return check(json.dumps(body), [GenerateContentResponse])
