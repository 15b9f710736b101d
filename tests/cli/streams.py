"""What the tests of the command share: small streams, and ways to run it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ccproxy.wire.json import dumps

TIMEOUT = 60  # seconds; only a hang takes that long
COMMAND = [sys.executable, "-m", "ccproxy"]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "PYTHONUNBUFFERED")}


def sse(*payloads: Mapping[str, Any], named: bool) -> list[bytes]:
    """One frame for each payload."""
    frames = []
    for payload in payloads:
        head = f"event: {payload['type']}\n".encode() if named else b""
        frames.append(b"%bdata: %b\n\n" % (head, dumps(payload)))
    return frames


def _text(index: int, text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


ANTHROPIC = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-test",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    _text(0, "One"),
    _text(0, " two"),
    _text(0, " three"),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
    named=True,
)
"""An answer that met a stop sequence, which only Anthropic can say."""


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-test",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


CHAT = [
    *sse(
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": "<think>hm</think>One"}),
        _chunk({"content": " two"}),
        _chunk({}, "stop"),
        named=False,
    ),
    b"data: [DONE]\n\n",
]
CUT = ANTHROPIC[:4]
OVERLOADED = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, named=True)
CHAT_ERROR = (
    b'data: {"error":{"message":"You have no quota","type":"insufficient_quota","code":"insufficient_quota"}}\n\n'
)


def ccproxy(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        env={**ENVIRONMENT, **environment},
        check=False,
    )


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, with pipes to talk to it, unbuffered on this side."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=ENVIRONMENT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
