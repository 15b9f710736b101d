"""Twice the history takes about twice the work, however it is made up, and no more memory than a few copies of it.

Work is counted, not timed; `make bench` times histories.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from ccproxy.requests import translate_request

from .test_bad_requests import DIALECTS, calls, picture, request, results, spoken
from .work import work

LIMIT = 9.0  # eight times the history: 8 times the work if linear, 64 times if quadratic

History = Callable[[str, int], dict[str, Any]]


def many_turns(source: str, count: int) -> dict[str, Any]:
    return request(source, *(spoken(source, f"text {number}") for number in range(count)))


def many_system_texts(source: str, count: int) -> dict[str, Any]:
    if source == "gemini":
        return request(source, systemInstruction={"parts": [{"text": f"text {number}"} for number in range(count)]})
    texts = (spoken(source, f"text {number}") for number in range(count))
    return request(source, *({**text, "role": ("system", "user")[number % 2]} for number, text in enumerate(texts)))


def many_parts(source: str, count: int) -> dict[str, Any]:
    if source == "gemini":
        return request(source, {"role": "user", "parts": [{"text": f"text {number}"} for number in range(count)]})
    kind = "input_text" if source == "openai-responses" else "text"
    return request(source, {"role": "user", "content": [{"type": kind, "text": f"text {n}"} for n in range(count)]})


def many_images(source: str, count: int) -> dict[str, Any]:
    return request(source, *(picture(source, "AAAA") for _ in range(count)))


def many_rounds(source: str, count: int) -> dict[str, Any]:
    turns: list[Any] = []
    for number in range(count):
        turns += [calls(source, (f"call_{number}", "f", "{}")), results(source, (f"call_{number}", "f", "ok"))]
    return request(source, *turns)


def many_parallel_calls(source: str, count: int) -> dict[str, Any]:
    """Answered from the last to the first."""
    made = calls(source, *((f"call_{number}", "f", "{}") for number in range(count)))
    return request(source, made, results(source, *((f"call_{n}", "f", "ok") for n in reversed(range(count)))))


def many_calls_of_one_id(source: str, count: int) -> dict[str, Any]:
    given = [("call_1", f"f{number}", "{}") for number in range(count)]
    return request(source, calls(source, *given), results(source, *given))


def many_late_results(source: str, count: int) -> dict[str, Any]:
    """Calls turn by turn, with text between, and all results at the end."""
    turns: list[Any] = []
    for number in range(count):
        turns += [calls(source, (f"call_{number}", "f", "{}")), spoken(source, "go on")]
    return request(source, *turns, results(source, *((f"call_{n}", "f", "ok") for n in range(count))))


def many_thoughts(source: str, count: int) -> dict[str, Any]:
    match source:
        case "anthropic":
            blocks = [{"type": "thinking", "thinking": f"{n}", "signature": "c2ln"} for n in range(count)]
            turn: Any = {"role": "assistant", "content": blocks}
        case "openai-chat":
            details = [{"type": "reasoning.text", "text": f"{n}", "index": n} for n in range(count)]
            turn = {"role": "assistant", "content": "yes", "reasoning_details": details}
        case "openai-responses":
            parts = [{"type": "summary_text", "text": f"{n}"} for n in range(count)]
            turn = [{"type": "reasoning", "summary": parts, "encrypted_content": "c2ln"}]
        case _:
            turn = {"role": "model", "parts": [{"text": f"{n}", "thought": True} for n in range(count)]}
    return request(source, turn, spoken(source, "well?"))


def many_tools(source: str, count: int) -> dict[str, Any]:
    names = [f"tool_{number}" for number in range(count)]
    schema = {"type": "object"}
    match source:
        case "anthropic":
            return request(source, tools=[{"name": name, "input_schema": schema} for name in names])
        case "openai-chat":
            described = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
            return request(source, tools=described)
        case "openai-responses":
            tools = [{"type": "function", "name": name, "parameters": schema, "strict": False} for name in names]
            namespaces = [{"type": "namespace", "name": f"ns{n}", "tools": [tool]} for n, tool in enumerate(tools)]
            return request(source, tools=tools + namespaces)
        case _:
            return request(source, tools=[{"functionDeclarations": [{"name": name}]} for name in names])


def many_hints(source: str, count: int) -> dict[str, Any]:
    """Parts that are marked for caching."""
    mark: dict[str, Any] = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    if source == "gemini":
        return many_parts(source, count)
    if source == "anthropic":
        mark = {"cache_control": {"type": "ephemeral"}}
    body = many_parts(source, count)
    for block in body["input" if source == "openai-responses" else "messages"][1]["content"]:
        block |= mark
    return body


def calls_without_ids(source: str, count: int) -> dict[str, Any]:
    """As Gemini and some Chat servers have them; the others' calls have ids."""
    body = many_parallel_calls(source, count)
    if source == "gemini":
        for content in body["contents"][1:]:
            for part in content["parts"]:
                del next(iter(part.values()))["id"]
    elif source == "openai-chat":
        for call in body["messages"][1]["tool_calls"]:
            del call["id"]
        for message in body["messages"][2:]:
            del message["tool_call_id"]
    return body


HISTORIES: dict[History, int] = {
    many_turns: 2_000,
    many_system_texts: 2_000,
    many_parts: 2_000,
    many_images: 1_000,
    many_rounds: 1_000,
    many_parallel_calls: 1_000,
    many_calls_of_one_id: 1_000,
    many_late_results: 1_000,
    many_thoughts: 2_000,
    many_tools: 1_000,
    many_hints: 2_000,
    calls_without_ids: 1_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_linear_work(history: History, source: str) -> None:
    size = HISTORIES[history]
    small, large = (json.dumps(history(source, count)).encode() for count in (size // 16, size // 2))
    for target in DIALECTS:
        ratio = work(_translation(large, source, target)) / work(_translation(small, source, target))
        assert ratio < LIMIT, f"to {target}: eight times the history is {ratio:.1f} times the work"


def _translation(body: bytes, source: str, target: str) -> Callable[[], object]:
    return lambda: translate_request(body, source, target, normalize=True, model="some-model")


@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
def test_memory_of_a_long_history(source: str, target: str) -> None:
    turns: list[Any] = []
    for number in range(500):
        id = f"call_{number}"
        turns += [
            calls(source, (id, "f", json.dumps({"path": "p" * 1000}))),
            results(source, (id, "f", "line\n" * 500)),
        ]
    body = json.dumps(request(source, *turns)).encode()
    assert len(body) > 1_800_000
    tracemalloc.start()
    try:
        translate_request(body, source, target, normalize=True, model="some-model")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(body), f"{peak / len(body):.1f} times the body"
