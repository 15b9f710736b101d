"""Gemini: `generateContent`. The calls may have no ids."""

from __future__ import annotations

import json
from typing import Any

from . import Json, Server, Thing
from .wire import QUESTION, RESULT, SCHEMA, TOOL, payloads, sse

MODEL = "gemini-3-pro-preview"


def _stream(id: str, *chunks: list[Json]) -> bytes:
    frames: list[Json] = []
    for parts in chunks:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        frames.append({"candidates": [candidate], "responseId": id, "modelVersion": MODEL})
    frames[-1]["candidates"][0]["finishReason"] = "STOP"
    frames[-1]["usageMetadata"] = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    return b"".join(map(sse, frames))


def _call(city: str, signature: str = "", id: str = "") -> Json:
    call: Json = {"name": TOOL, "args": {"city": city}} | ({"id": id} if id else {})
    return {"functionCall": call} | ({"thoughtSignature": signature} if signature else {})


SERVERS = {
    "": Server(
        MODEL,
        "gemini-2.5-flash",
        [
            _stream(
                "r-1",
                [{"text": "I think.", "thought": True}],
                [_call("Brest", "c2lnLWdnMQ=="), _call("Lyon")],
            ),
            _stream("r-2", [{"text": "I look."}], [_call("Brest", "c2lnLWdnMg==", "fc-1")]),
            _stream("r-3", [_call("Lyon", "c2lnLWdnMw==")]),
        ],
        [
            [("call", "Brest", "c2lnLWdnMQ=="), ("call", "Lyon", "")],
            [("call", "Brest", "c2lnLWdnMg==")],
            [("call", "Lyon", "c2lnLWdnMw==")],
        ],
        ["c2lnLWdnMQ", "c2lnLWdnMg", "c2lnLWdnMw"],
    )
}


def ask() -> Json:
    tool = {"name": TOOL, "description": "The weather", "parametersJsonSchema": SCHEMA}
    thinking = {"includeThoughts": True, "thinkingLevel": "low"}
    return {
        "contents": [{"role": "user", "parts": [{"text": QUESTION}]}],
        "tools": [{"functionDeclarations": [tool]}],
        "generationConfig": {"thinkingConfig": thinking},
    }


def answer(request: Json, stream: bytes, *, keep: bool) -> Json:
    parts: list[Json] = [
        part
        for chunk in payloads(stream)
        for candidate in chunk.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]
    if not keep:
        parts = [
            {key: value for key, value in part.items() if key != "thoughtSignature"}
            for part in parts
            if not part.get("thought") and (part.get("text") or "functionCall" in part)
        ]
    results = [
        {
            "functionResponse": {key: call[key] for key in ("id", "name") if key in call}
            | {"response": {"output": RESULT}}
        }
        for part in parts
        for call in [part.get("functionCall")]
        if call
    ]
    turns = [{"role": "model", "parts": parts}, {"role": "user", "parts": results}]
    return request | {"contents": [*request["contents"], *turns]}


def seen(request: Json) -> list[Thing]:
    out: list[Thing] = []
    for content in request["contents"]:
        parts: list[dict[str, Any]] = content["parts"] if content["role"] == "model" else []
        for part in parts:
            if "functionCall" in part:
                city = json.loads(json.dumps(part["functionCall"]["args"]))["city"]
                out.append(("call", city, part.get("thoughtSignature", "")))
    return out
