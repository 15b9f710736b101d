"""Requests that are wrong: the dialect's error for each, never a 500 or a traceback, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from ccproxy.gateway.exchange import AccessLog, Exchange
from ccproxy.gateway.server import App
from tests.exchanges import bundled

from .answers import DIALECTS, SPEECHES, question, told
from .in_process import Speaker, pass_on
from .stage import Connection, gateway, in_loop, one, send
from .upstream import stream, upstream

METHODS = ["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW", ""]
PATHS = [
    *["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1beta/models/m:streamGenerateContent"],
    *["/v1beta/models/m:generateContent", "/v1/messages/count_tokens", "/v1beta/models/m:countTokens"],
    *["/messages", "/chat/completions", "/responses", "/models/m:generateContent", "/v1/models", "/v1/models/m"],
    *["/v1beta/models/:generateContent", "/v1beta/models/a/b/../../c:generateContent", "/v1beta/models/m:delete"],
    *["/", "//", "", "/v1", "/v1/", "/v2/messages", "/v1/messages/batches", "/../../etc/passwd", "/v1/models/../x"],
    *[
        "/v1beta/models/\ud800:generateContent",
        "/v1beta/models/\0\n:generateContent",
        "/%2e%2e",
        "/é",
        "/" + "x" * 9000,
    ],
]
QUERIES = [b"", b"beta=true", b"alt=sse", b"alt=json", b"key=secret", b"a&b&c", b"%ff%00=%zz", b"=" * 50, b"x=1&" * 300]
NAMES = [b"content-type", b"authorization", b"x-api-key", b"x-goog-api-key", b"anthropic-version", b"x-request-id"]
NAMES += [b"origin", b"host", b"content-encoding", b"x-forwarded-for", b"cookie", b"\xff\xfe", b""]
VALUES = [b"", b"application/json", b"Bearer x", b"Bearer", b"\xff\xfe\x00", b"x" * 5000, b"2023-06-01", b"null"]
VALUES += [b"a\x7fb", "ключ".encode(), b"https://evil.example", b"gzip"]


def wrong(value: Any, chance: random.Random) -> Any:
    """Something else in some place of a value."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.15:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: wrong(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        if chance.random() < 0.15:
            return value[:at] + value[at:] + value[at:]
        return [*value[:at], wrong(value[at], chance), *value[at + 1 :]]
    others: list[Any] = [None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "\ud800", "\0", [], {}, [[]], [None], {"": 0}]
    others += [{"type": "text"}, {"type": "unknown"}, {"role": "user"}, "a" * 3000, [{}] * 20, {"type": None}]
    return chance.choice(others)


def bodies(chance: random.Random) -> bytes:
    kind = chance.randrange(10)
    if kind < 7:
        known = [exchange.content for exchange in bundled()]
        value: Any = chance.choice(known) if chance.random() < 0.5 else question(chance.choice(DIALECTS))[1]
        for _ in range(chance.randrange(1, 4)):
            value = wrong(value, chance)
        return json.dumps(value).encode()
    return chance.choice(
        [
            *[b"", b"{", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}" * 2, b'{"a":1,"a":2}'],
            *[b"[" * 5000, b'{"a":' * 5000, b'{"messages":' + b"[" * 3000 + b"]" * 3000 + b"}", b"\x1f\x8b\x08"],
            *[
                b"a=1&b=2",
                b'{"model":"\xff"}',
                b'{"model":"\\ud800","messages":[]}',
                b'{"max_tokens":1e999}',
                b" " * 999,
            ],
            *[b'{"model":"../../admin","messages":[{"role":"user","content":"x"}],"stream":true}'],
        ]
    )


def requests(count: int, seed: int) -> Iterator[tuple[str, str, bytes, list[tuple[bytes, bytes]], list[bytes]]]:
    chance = random.Random(seed)
    for _ in range(count):
        headers = [(chance.choice(NAMES), chance.choice(VALUES)) for _ in range(chance.randrange(4))]
        body = bodies(chance)
        at = chance.randrange(len(body) + 1)
        pieces = chance.choice([[body], [body[:at], body[at:]], [b"", body, b""]])
        path = chance.choice(PATHS[:7]) if chance.random() < 0.6 else chance.choice(PATHS)
        yield chance.choice(METHODS), path, chance.choice(QUERIES), headers, pieces


def flood(dialect: str, count: int) -> dict[int, int]:
    """How often each status was given."""
    statuses: dict[int, int] = {}

    async def main() -> None:
        said: list[str] = []

        class Log(AccessLog, frozen=True):
            def say(self, level: str, message: str) -> None:
                said.append(message)

        speaker = Speaker(dialect)
        app = App(one(dialect, "http://upstream.invalid"), client=speaker, log=Log("off"))
        for number, request in enumerate(requests(count, seed=len(dialect))):
            status, body = await pass_on(app, *request)
            assert status not in (0, 500) and status < 600, (number, request, body)
            assert said == [], (number, request)
            if status >= 400 and request[0] != "HEAD":
                payload = json.loads(body)
                assert any(_is_error(client, payload) for client in DIALECTS), (number, request, body)
            statuses[status] = statuses.get(status, 0) + 1
        assert not app.active
        assert speaker.asked < count
        text = app.metrics.text()
        assert len(text.splitlines()) < 1000

    in_loop(main)
    gc.collect()
    assert [thing for thing in gc.get_objects() if type(thing) is Exchange] == []
    return statuses


def _is_error(client: str, payload: Any) -> bool:
    try:
        return bool(told(client, payload))
    except (AssertionError, KeyError, TypeError):
        return False


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_flood(dialect: str) -> None:
    statuses = flood(dialect, 250)
    assert {200, 400, 404} <= statuses.keys()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_ten_thousand(dialect: str) -> None:
    """In all."""
    flood(dialect, 2500)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_on_sockets(dialect: str) -> None:
    """What no library sends. The server is alive afterwards."""
    wrongs = [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/messages HTTP/1.0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://example.com/v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n" * 20,
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}" * 20,
    ]

    async def main() -> None:
        script = stream(*SPEECHES[dialect].text)
        async with upstream(script) as server, gateway(one(dialect, server.url)) as served:
            for data in wrongs:
                connection = await Connection.open(served.url)
                connection.writer.write(data)
                connection.writer.write_eof()
                async with asyncio.timeout(5):
                    said = await connection.reader.read(-1)
                assert b" 500 " not in said[:20], (data, said)
                connection.vanish()
            assert (await send(f"{served.url}/health/live")).status == 200
            await served.over(0)
            assert not [line for line in served.said if "Traceback" in line], served.said

    in_loop(main)
