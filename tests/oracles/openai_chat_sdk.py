"""The OpenAI SDK as a judge of Chat Completions streams: the helper `.stream()`, and `create(stream=True)` beneath it."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import takewhile
from typing import Any, Final

from openai import APIError, ContentFilterFinishReasonError, LengthFinishReasonError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.shared import ErrorObject
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from .judge import JsonObject, Normal, Part, Replay, Verdict, fold, objects, plain, quiet, reason
from .strict_types import check, frames, json_object, telling

REPLAY: Final = Replay()
CLIENT: Final = OpenAI(api_key="key", base_url="http://oracle.invalid", http_client=REPLAY.client(), max_retries=0)
atexit.register(CLIENT.close)

REQUEST: Final[Any] = {"model": "model", "messages": [{"role": "user", "content": "hi"}]}
REASONING: Final = ("reasoning_content", "reasoning", "reasoning_text")


class ErrorChunk(BaseModel):
    """The data of an error in a stream; no official type wraps it."""

    error: ErrorObject


def accept(data: bytes) -> Verdict:
    """The helper's verdict; it reads what `create(stream=True)` yields, which is asked alone where the helper refuses."""
    REPLAY.body = data
    with quiet():
        verdict = _run()
        if not verdict.ok:
            return verdict.but(_iterate())
    if verdict.api_error is not None:
        return verdict
    sent = sum(1 for _ in takewhile(lambda frame: not frame.data.startswith("[DONE]"), frames(data)))
    ignored = f"ignored: {sent - verdict.events} of {sent} chunks" if sent > verdict.events else None
    return verdict.unless(ignored, *_garbled(verdict.final or {}))


def _iterate() -> str:
    """What plain iteration says of a stream that the helper refuses."""
    with CLIENT.chat.completions.create(**REQUEST, stream=True) as stream:
        try:
            for _ in stream:
                pass
        except Exception as exc:
            return f"create: {reason(exc)}"
    return "create takes it"


def _run() -> Verdict:
    """Read the helper to its end."""
    events = 0
    with CLIENT.chat.completions.stream(**REQUEST) as stream:
        try:
            for event in stream:
                events += event.type == "chunk"
            try:
                final = plain(stream.get_final_completion())
            except (LengthFinishReasonError, ContentFilterFinishReasonError):
                final = plain(stream.current_completion_snapshot)
        except Exception as exc:
            try:
                partial = plain(stream.current_completion_snapshot)
            except AssertionError:
                partial = None
            api_error = body_of(exc)
            return Verdict(api_error is not None, reason(exc), partial, events, api_error)
    choices = objects(final.get("choices"))
    complete = bool(choices) and all(choice.get("finish_reason") for choice in choices)
    return Verdict(True, None, final, events, complete=complete)


def _garbled(final: Mapping[str, Any]) -> Iterator[str]:
    """Roles joined ("assistantassistant"), and calls without the type that the helper needs for their events."""
    for number, choice in enumerate(objects(final.get("choices"))):
        message: Mapping[str, Any] = choice.get("message") or {}
        if message.get("role") != "assistant":
            yield f"choice {number}: role {message.get('role')!r}"
        if any(call.get("type") not in ("function", "custom") for call in objects(message.get("tool_calls"))):
            yield f"choice {number}: call without type"


def body_of(exc: Exception) -> JsonObject | None:
    """The error object of an error that the stream itself reported."""
    return dict(exc.body) if isinstance(exc, APIError) and isinstance(exc.body, dict) else None


def normal(final: Mapping[str, Any]) -> Normal:
    """Parts by choice; a message has no order across kinds: here reasoning, redacted, text, refusal, calls."""
    choices = sorted(objects(final.get("choices")), key=lambda choice: int(choice.get("index") or 0))
    return {
        "parts": fold(part for choice in choices for part in _parts(choice)),
        "finish": {int(choice.get("index") or 0): choice.get("finish_reason") for choice in choices},
        "stop_sequence": None,
        "usage": dict(final.get("usage") or {}),
    }


def _parts(choice: Mapping[str, Any]) -> Iterator[Part]:
    index = int(choice.get("index") or 0)
    message: Mapping[str, Any] = choice.get("message") or {}
    reasoning = next((message[key] for key in REASONING if message.get(key)), None)
    if reasoning:
        yield Part(index, "reasoning", None, None, reasoning)
    for detail in objects(message.get("reasoning_details")):
        if detail.get("type") == "reasoning.encrypted":
            yield Part(index, "redacted", None, None, detail.get("data"))
    content = message.get("content")
    if content:
        yield Part(index, "text" if isinstance(content, str) else "opaque", None, None, content)
    if message.get("refusal"):
        yield Part(index, "refusal", None, None, message["refusal"])
    if message.get("function_call"):
        call = message["function_call"]
        yield Part(index, "tool", None, call.get("name"), call.get("arguments") or "")
    for call in objects(message.get("tool_calls")):
        if call.get("type") == "custom":
            custom: Mapping[str, Any] = call.get("custom") or {}
            yield Part(index, "custom_tool", call.get("id"), custom.get("name"), custom.get("input") or "")
        else:
            function: Mapping[str, Any] = call.get("function") or {}
            yield Part(index, "tool", call.get("id"), function.get("name"), function.get("arguments") or "")
    for key in ("audio", "images"):
        if message.get(key):
            yield Part(index, "opaque", None, key, message[key])


def validate(data: bytes) -> list[str]:
    """Each chunk; nothing may follow `[DONE]`."""
    problems: list[str] = []
    done = False
    for frame in frames(data):
        if done:
            problems.append(f"event {frame.number}: after [DONE]")
        elif frame.data == "[DONE]":
            done = True
        else:
            problems += [f"event {frame.number}: {problem}" for problem in _problems(frame.data)]
    return problems


def _problems(data: str) -> list[str]:
    event = json_object(data)
    if isinstance(event, str):
        return [event]
    return check(data, [ErrorChunk if event.get("error") else ChatCompletionChunk])


def validate_body(body: Mapping[str, Any]) -> list[str]:
    """A response without streaming."""
    return check(json.dumps(body), [ChatCompletion])


OMITTED: Final[Mapping[str, frozenset[str]]] = {
    "CompletionCreateParamsNonStreaming": frozenset({"model"}),  # Azure has it in the URL
    "CompletionCreateParamsStreaming": frozenset({"model"}),
    "ChatCompletionFunctionToolParam": frozenset({"type"}),  # Hugging Face, recorded by pydantic-ai
    "ChatCompletionNamedToolChoiceParam": frozenset({"type"}),  # likewise
    "ChatCompletionMessageFunctionToolCallParam": frozenset({"id"}),  # Writer, recorded by openllmetry
    "ChatCompletionToolMessageParam": frozenset({"tool_call_id"}),  # likewise
}
"""Required by the types, and left out by clients whose requests are recorded."""

_TOP: Final = frozenset(
    {
        *("reasoning", "include_reasoning", "provider", "preset", "transforms", "models", "usage"),  # OpenRouter
        *("thinking", "clear_thinking"),  # DeepSeek, Z.AI; Cerebras
        *("reasoning_format", "search_settings"),  # Groq
        *("cache_prompt", "grammar"),  # llama.cpp
        *("top_k", "min_p", "repetition_penalty", "echo", "safety_model"),  # Together
        *("return_related_questions", "search_context_size"),  # Perplexity
        "venice_parameters",
    }
)
ADDED: Final[Mapping[str, frozenset[str]]] = {
    "CompletionCreateParamsNonStreaming": _TOP,
    "CompletionCreateParamsStreaming": _TOP,
    "ChatCompletionAssistantMessageParam": frozenset(
        {
            *REASONING,
            *("reasoning_details", "thinking_blocks", "reasoning_opaque", "extra_content"),  # how it has reasoned
            *("annotations", "prefix", "provider_specific_fields"),
        }
    ),
    "ChatCompletionMessageFunctionToolCallParam": frozenset({"extra_content", "index"}),
    "ChatCompletionToolMessageParam": frozenset({"name"}),
    "ChatCompletionContentPartTextParam": frozenset({"cache_control"}),  # LiteLLM, OpenRouter
    "ChatCompletionFunctionToolParam": frozenset({"cache_control"}),
}
"""In no type, and what vendors take; what we write of it is what carries reasoning."""

FOREIGN: Final = frozenset({"thinking", "document_url", "video_url", "openrouter:web_search", "openrouter:advisor"})
"""Types of blocks and tools that are a vendor's own."""

SPELLED: Final[Mapping[str, Any]] = {
    "tool_choice": ("any",),  # Mistral
    "reasoning_effort": ("default",),  # Groq
    "service_tier": ("on_demand",),  # Groq
}
"""Words of vendors."""


def validate_request(body: Mapping[str, Any]) -> list[str]:
    """A request under the types of `create`, and what vendors are recorded to take beside them. Null is absence."""
    params = CompletionCreateParamsStreaming if body.get("stream") is True else CompletionCreateParamsNonStreaming
    official = {name: value for name, value in body.items() if value not in SPELLED.get(name, ())}
    try:
        _request_type(params).validate_json(json.dumps([_official(official)]), strict=True)
    except ValidationError as exc:
        return list(telling(exc))
    return []


def _official(value: Any) -> Any:
    """Without what is null, and without blocks and tools of vendors. Mistral's clients have strings for objects."""
    if isinstance(value, list):
        return [_official(one) for one in value if not (isinstance(one, dict) and one.get("type") in FOREIGN)]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if isinstance(value.get(str(kind)), str) and kind in ("image_url", "input_audio"):
        return {"type": "text", "text": value[kind]}
    out = {name: _official(one) for name, one in value.items() if one is not None}
    if out.get("role") == "tool" and isinstance(out.get("content"), list):  # llama.cpp takes images in results
        out["content"] = [block for block in out["content"] if block.get("type") != "image_url"]
    return out


@cache
def _request_type(params: type) -> SchemaValidator:
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    adapter: TypeAdapter[Any] = TypeAdapter(list[params], config=config)  # type: ignore[valid-type]
    return SchemaValidator(_eager(adapter.core_schema))


def _eager(schema: Any) -> Any:
    """The schema with lists for iterables, which pydantic does not look into, and with what vendors do otherwise."""
    if isinstance(schema, list | tuple):
        return [_eager(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: part if key == "cls" else _eager(part) for key, part in schema.items()}
    if out.get("type") in ("generator", "is-instance"):
        return {"type": "list", **({"items_schema": out["items_schema"]} if "items_schema" in out else {})}
    if out.get("type") == "typed-dict":
        name = out["cls"].__name__
        for field in OMITTED.get(name, ()):
            out["fields"][field]["required"] = False
        for field in ADDED.get(name, ()):
            out["fields"][field] = {"type": "typed-dict-field", "schema": {"type": "any"}, "required": False}
    return out
