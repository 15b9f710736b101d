"""The gateway as an ASGI application, without sockets: an upstream that always answers well, and a server's part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ccproxy.gateway.config import Timeouts

from .answers import SPEECHES
from .upstream import joined

_NUMBERS = b'{"data": [], "models": [], "input_tokens": 1, "totalTokens": 1}'
JSON = {"content-type": "application/json"}


async def _at_once() -> None:
    await asyncio.sleep(0)


class Speaker:
    """In the place of an HTTP client: an upstream that always answers well."""

    def __init__(self, dialect: str) -> None:
        self._speech = SPEECHES[dialect]
        self.asked = 0

    async def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Timeouts) -> _Answer:
        self.asked += 1
        streams = b'"stream":true' in body or "streamGenerateContent" in url
        if method == "GET" or "count" in url or "input_tokens" in url:
            return _Answer(200, JSON, _NUMBERS)
        if streams:
            return _Answer(200, {"content-type": "text/event-stream"}, joined(self._speech.text))
        return _Answer(200, JSON, json.dumps(self._speech.body).encode())

    async def close(self) -> None:
        pass


class _Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    @property
    def at_end(self) -> bool:
        return not self._body

    def close(self) -> None:
        pass


async def pass_on(
    app: Callable[..., Awaitable[None]],
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: list[bytes],
    pause: Callable[[], Awaitable[None]] = _at_once,
) -> tuple[int, bytes]:
    """One request as a server would pass it on. Each message is taken after a pause."""
    received = [{"type": "http.request", "body": piece, "more_body": True} for piece in body[:-1]]
    received.append({"type": "http.request", "body": body[-1], "more_body": False})
    status = 0
    said: list[bytes] = []
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if received:
            return received.pop(0)
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        await pause()
        if message["type"] == "http.response.start":
            assert status == 0
            status = message["status"]
            assert all(b"\n" not in value and b"\r" not in value for _, value in message["headers"])
        else:
            said.append(message["body"])
            if not message.get("more_body"):
                over.set()
                await asyncio.sleep(0)  # the server has told that the exchange is over before it returns

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query,
        "root_path": "",
        "headers": headers,
    }
    await app(scope, receive, send)
    return status, b"".join(said)
