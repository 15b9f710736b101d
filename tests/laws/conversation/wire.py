"""Frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

QUESTION = "What is the weather in Brest and in Lyon?"
TOOL = "get_weather"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
RESULT = "rain"


def sse(payload: dict[str, Any], event: str = "") -> bytes:
    return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(payload).encode() + b"\n\n"


def payloads(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.decode().split("\n"):
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
