"""The OpenAI SDK as a judge of Responses streams: the helper `.stream()`, and `create(stream=True)` beneath it."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal, cast

from openai import APIError, OpenAI
from openai.lib.streaming.responses import ResponseStream
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from openai.types.shared import ErrorObject
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from .judge import JsonObject, Normal, Part, Replay, Verdict, fold, objects, plain, quiet, reason
from .strict_types import check, check_type, frames, json_object, telling, variants

REPLAY: Final = Replay()
CLIENT: Final = OpenAI(api_key="key", base_url="http://oracle.invalid", http_client=REPLAY.client(), max_retries=0)
atexit.register(CLIENT.close)

REQUEST: Final[Any] = {"model": "model", "input": "hi"}
TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
TYPES: Final = variants(ResponseStreamEvent)
SERVER_TOOLS: Final = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)


class ErrorEvent(BaseModel):
    """The `error` event as the provider really sends it (the SDK's own type is flat, and only the nested one raises)."""

    type: Literal["error"]
    sequence_number: int
    error: ErrorObject


def accept(data: bytes) -> Verdict:
    """The helper's verdict; it reads what `create(stream=True)` yields, which is asked alone where the helper refuses."""
    REPLAY.body = data
    with quiet():
        verdict = _run()
        if not verdict.ok:
            return verdict.but(_iterate())
    if verdict.api_error is not None or verdict.final is None or verdict.snapshot is None:
        return verdict
    given, seen = (len(objects(response.get("output"))) for response in (verdict.final, verdict.snapshot))
    return verdict.unless(f"the response has {given} of {seen} items" if given < seen else None)


def _iterate() -> str:
    """What plain iteration says of a stream that the helper refuses."""
    with CLIENT.responses.create(**REQUEST, stream=True) as stream:
        try:
            for _ in stream:
                pass
        except Exception as exc:
            return f"create: {reason(exc)}"
    return "create takes it"


def _run() -> Verdict:
    """Read the helper to its end; an incomplete or failed response is taken from its event, as the helper raises."""
    events = 0
    last: BaseModel | None = None
    complete = False
    with CLIENT.responses.stream(**REQUEST) as stream:
        try:
            for event in stream:
                events += 1
                complete = complete or event.type in TERMINAL
                if event.type == "response.incomplete" or event.type == "response.failed":
                    last = event.response
            final = plain(last or stream.get_final_response())
            return Verdict(True, None, final, events, complete=complete, snapshot=_snapshot(stream))
        except Exception as exc:
            partial = _snapshot(stream)
            api_error = body_of(exc)
            return Verdict(api_error is not None, reason(exc), partial, events, api_error, snapshot=partial)


def body_of(exc: Exception) -> JsonObject | None:
    """The error object of an error that the stream itself reported."""
    return dict(exc.body) if isinstance(exc, APIError) and isinstance(exc.body, dict) else None


def _snapshot(stream: ResponseStream[Any]) -> JsonObject | None:
    """What the helper joined: texts and function arguments from deltas alone, all else from the items' done events.

    The helper keeps this to itself. Reasoning of an item that never ended is not in it, nor its usage and status.
    """
    state: Any = stream._state
    response = state._ResponseStreamState__current_snapshot
    if response is None:
        return None
    added, done = state._output_items, state._completed_output
    output = [_joined(added.get(index), done.get(index)) for index in sorted(added.keys() | done.keys())]
    return {**plain(response), "output": output}


def _joined(added: BaseModel | None, done: BaseModel | None) -> JsonObject:
    known = [plain(item) for item in (added, done) if item is not None]
    item, ended = known[0], known[-1]
    if item.get("type") == "function_call":
        return item
    if item.get("type") != "message":
        return ended
    parts = objects(ended.get("content"))
    content = [
        parts[index] if part.get("type") != "output_text" and index < len(parts) else part
        for index, part in enumerate(objects(item.get("content")))
    ]
    return {**item, "content": content}


def normal(final: Mapping[str, Any]) -> Normal:
    """Finish is the status, with `:` and the reason of an incomplete or the code of a failed response."""
    status = final.get("status")
    why = (final.get("incomplete_details") or {}).get("reason") or (final.get("error") or {}).get("code")
    return {
        "parts": fold(part for item in objects(final.get("output")) for part in _parts(item)),
        "finish": {0: f"{status}:{why}" if why else status},
        "stop_sequence": None,
        "usage": dict(final.get("usage") or {}),
    }


def _parts(item: Mapping[str, Any]) -> Iterator[Part]:
    """A server's own call is one part: its id, its type (an MCP call: its name) and the whole item."""
    kind = str(item.get("type"))
    call_id = item.get("call_id")
    if kind == "message":
        yield from map(_content, objects(item.get("content")))
    elif kind == "reasoning":
        yield from _reasoning(item)
    elif kind == "function_call":
        yield Part(0, "tool", call_id, item.get("name"), item.get("arguments") or "")
    elif kind == "custom_tool_call":
        yield Part(0, "custom_tool", call_id, item.get("name"), item.get("input") or "")
    elif kind in SERVER_TOOLS:
        yield Part(0, "server_tool", item.get("id"), item.get("name") or kind, dict(item))
    elif kind.endswith("_output"):
        yield Part(0, "server_result", call_id or item.get("id"), kind, dict(item))
    else:
        yield Part(0, "opaque", call_id, kind, dict(item))


def _content(part: Mapping[str, Any]) -> Part:
    if part.get("type") == "output_text":
        return Part(0, "text", None, None, part.get("text") or "")
    if part.get("type") == "refusal":
        return Part(0, "refusal", None, None, part.get("refusal") or "")
    return Part(0, "opaque", None, str(part.get("type")), dict(part))


def _reasoning(item: Mapping[str, Any]) -> Iterator[Part]:
    """Summary, then full text; an item with nothing but encrypted content is redacted."""
    texts = [part.get("text") or "" for part in [*objects(item.get("summary")), *objects(item.get("content"))]]
    if not texts and item.get("encrypted_content"):
        yield Part(0, "redacted", None, None, item["encrypted_content"])
    else:
        yield Part(0, "reasoning", None, None, "".join(texts))


def validate(data: bytes) -> list[str]:
    """Each event under its type; the name, where there is one, must be the type; a last `[DONE]` is let pass."""
    return [
        f"event {frame.number}: {problem}" for frame in frames(data) for problem in _problems(frame.event, frame.data)
    ]


def _problems(name: str | None, data: str) -> list[str]:
    if data == "[DONE]":
        return []
    event = json_object(data)
    if isinstance(event, str):
        return [event]
    kind = event.get("type")
    if name is not None and kind != name:
        return [f"event name {name!r} for type {kind!r}"]
    return check(data, [ErrorEvent]) if kind == "error" and "error" in event else check_type(event, data, TYPES)


def validate_body(body: Mapping[str, Any]) -> list[str]:
    """A response without streaming."""
    return check(json.dumps(body), [Response])


OMITTED: Final[Mapping[str, frozenset[str]]] = {
    "FunctionToolParam": frozenset({"strict", "parameters"}),  # several clients
    "ResponseInputImageParam": frozenset({"detail"}),  # pydantic-ai
    "ResponseOutputMessageParam": frozenset({"id", "status", "type"}),  # ellmer
    "ResponseOutputTextParam": frozenset({"annotations"}),  # ellmer
    "ResponseReasoningItemParam": frozenset({"id"}),  # Codex: without storage an id is of nothing
    "ImageGenerationCall": frozenset({"result", "status"}),  # opentelemetry-js-contrib
}
"""Required by the types, and left out by clients whose requests the API is recorded to have answered."""

ADDED: Final[Mapping[str, frozenset[str]]] = {
    "EasyInputMessageParam": frozenset({"id"}),  # Codex
    "Message": frozenset({"id"}),
    "ResponseCreateParamsNonStreaming": frozenset({"client_metadata", "provider"}),  # Codex; OpenRouter
    "ResponseCreateParamsStreaming": frozenset({"client_metadata", "provider"}),
}
"""In no type, and sent by such clients."""


def validate_request(body: Mapping[str, Any]) -> list[str]:
    """A request under the types of `create`; a field that they do not have is a problem too. Null may be absence."""
    params = ResponseCreateParamsStreaming if body.get("stream") is True else ResponseCreateParamsNonStreaming
    problems: list[str] = []
    for said in (body, _said(body)):
        try:
            _request_type(params).validate_json(json.dumps([said]), strict=True)
        except ValidationError as exc:
            problems = list(telling(exc))
        else:
            return []
    return problems


def _said(value: Any) -> Any:
    """Without what is null."""
    if isinstance(value, dict):
        return {key: _said(part) for key, part in cast("JsonObject", value).items() if part is not None}
    return [_said(part) for part in value] if isinstance(value, list) else value


@cache
def _request_type(params: type) -> SchemaValidator:
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    adapter: TypeAdapter[Any] = TypeAdapter(list[params], config=config)  # type: ignore[valid-type]
    return SchemaValidator(_eager(adapter.core_schema))


def _eager(schema: Any) -> Any:
    """The schema with lists for iterables, which pydantic does not look into, and with what clients do otherwise."""
    if isinstance(schema, list | tuple):
        return [_eager(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: part if key == "cls" else _eager(part) for key, part in cast("JsonObject", schema).items()}
    if out.get("type") in ("generator", "is-instance"):
        out = {"type": "list", **({"items_schema": out["items_schema"]} if "items_schema" in out else {})}
    elif out.get("type") == "typed-dict":
        name = out["cls"].__name__
        for field in OMITTED.get(name, ()):
            out["fields"][field]["required"] = False
        for field in ADDED.get(name, ()):
            out["fields"][field] = {"type": "typed-dict-field", "schema": {"type": "any"}, "required": False}
    return out
