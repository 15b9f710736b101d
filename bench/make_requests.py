"""Agent requests to measure with: a system text, 24 tools, and a history of tool calls, of any size."""

from functools import cache
from typing import Any

from ccproxy import translate_request

TOOLS = 24
AGENT = 115_000
"""Bytes of what a coding agent sends first, most of it tools and instructions."""
HISTORY = 2_000_000
"""Bytes of a long conversation."""
_WORDS = "the quick brown fox reads every file of the project and explains what it does before it changes one; "


def _text(length: int, seed: int) -> str:
    start = seed * 17 % len(_WORDS)
    return ((_WORDS[start:] + _WORDS) * (length // len(_WORDS) + 1))[:length]


def _tool(number: int) -> dict[str, Any]:
    properties = {
        f"argument_{position}": {"type": kind, "description": _text(120, number + position)}
        for position, kind in enumerate(("string", "integer", "boolean", "string", "number", "string"))
    }
    parameters = {"type": "object", "properties": properties, "required": ["argument_0"], "additionalProperties": False}
    function = {"name": f"tool_{number}", "description": _text(2_400, number), "parameters": parameters}
    return {"type": "function", "function": function}


def _turn(number: int) -> list[dict[str, Any]]:
    """One question, one call and its result: about 4 kB."""
    call = {"name": f"tool_{number % TOOLS}", "arguments": f'{{"argument_0": "{_text(700, number)}", "argument_1": 3}}'}
    return [
        {"role": "user", "content": _text(500, number)},
        {
            "role": "assistant",
            "content": _text(400, number + 1),
            "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": f"call_{number}", "content": _text(2_200, number + 2)},
    ]


@cache
def request(dialect: str, size: int) -> dict[str, Any]:
    """A request of about `size` bytes in a dialect."""
    turns = max(1, (size - AGENT) // 4_200) if size > AGENT else 1
    messages = [{"role": "system", "content": _text(28_000, 3)}]
    for number in range(turns):
        messages += _turn(number)
    body = {
        "model": "some-model",
        "messages": [*messages, {"role": "user", "content": "go on"}],
        "tools": [_tool(number) for number in range(TOOLS)],
        "max_completion_tokens": 32_000,
        "stream": True,
    }
    return translate_request(body, "openai-chat", dialect).body
