"""What a gateway is besides its answers: who may ask and what crosses, limits, models, counts, logs and metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ccproxy import dialects
from ccproxy.core.spi import Endpoint
from ccproxy.gateway import create_app, run
from ccproxy.gateway.config import Config, ConfigError, load
from ccproxy.gateway.exchange import AccessLog, Exchange
from ccproxy.gateway.headers import is_foreign_page
from ccproxy.gateway.routes import upstream_url
from tests.oracles import ORACLES

from .answers import DIALECTS, SPEECHES, TEXT, question, told
from .in_process import Speaker, pass_on
from .stage import Connection, Gateway, Reply, Stage, ask, configure, gateway, in_loop, in_thread, one, send
from .upstream import Call, Script, Upstream, body, stalled, stream, upstream

CLIENTS = pytest.mark.parametrize("client", DIALECTS)
UPSTREAMS = pytest.mark.parametrize("dialect", DIALECTS)
SECRET = "sk-upstream-secret"
CLIENT_KEY = "sk-client-secret"
KEY_HEADERS = {
    "anthropic": {"x-api-key": CLIENT_KEY},
    "openai-chat": {"authorization": f"Bearer {CLIENT_KEY}"},
    "openai-responses": {"authorization": f"Bearer {CLIENT_KEY}"},
    "gemini": {"x-goog-api-key": CLIENT_KEY},
}


class Bench:
    """One gateway with an upstream of each dialect, chosen by the model."""

    def __init__(self, stage: Stage, upstreams: dict[str, Upstream], served: Gateway) -> None:
        self.stage = stage
        self.upstreams = upstreams
        self.gateway = served

    def ask(self, client: str, dialect: str, script: Script | None = None, **more: Any) -> Reply:
        server = self.upstreams[dialect]
        server.calls.clear()
        streams = more.get("streams", True)
        server.script = script or (stream(*SPEECHES[dialect].text) if streams else body(SPEECHES[dialect].body))
        return self.stage.wait(ask(self.gateway, client, model=dialect, **more))

    def send(self, path: str, *more: Any, **named: Any) -> Reply:
        return self.stage.wait(send(self.gateway.url + path, *more, **named))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made: list[Bench] = []

    async def main(stage: Stage, ready: Any) -> None:
        async with AsyncExitStack() as stack:
            servers = {dialect: await stack.enter_async_context(upstream()) for dialect in DIALECTS}
            tables = {dialect: {"dialect": dialect, "url": server.url} for dialect, server in servers.items()}
            rules = [{"match": dialect, "upstream": dialect} for dialect in DIALECTS]
            served = await stack.enter_async_context(gateway(configure(tables, models=rules)))
            made.append(Bench(stage, servers, served))
            ready()
            await stage.forever()

    with in_thread(main):
        yield made[0]


def alone(script: Script, config: Any, work: Any) -> Any:
    """Do the work with one upstream and a gateway of its own."""

    async def main() -> Any:
        async with upstream(script) as server, gateway(config(server.url)) as served:
            return await work(server, served)

    return in_loop(main)


# Who may ask


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", SECRET)
    monkeypatch.setenv("CLIENT_KEY", CLIENT_KEY)


@CLIENTS
def test_client_keys(keys: None, client: str) -> None:
    """Every way a client may send its key, and none of the others; the upstream is asked with its own."""

    async def work(server: Upstream, served: Gateway) -> None:
        assert (await ask(served, client, headers=KEY_HEADERS[client])).status == 200
        if client == "anthropic":
            assert (await ask(served, client, headers={"authorization": f"Bearer {CLIENT_KEY}"})).status == 200
        if client == "gemini":
            path, asked = question(client)
            assert (await send(f"{served.url}{path}&key={CLIENT_KEY}", asked)).status == 200
        for call in server.calls:
            assert CLIENT_KEY not in call.target + str(call.headers) and call.headers["x-api-key"] == SECRET
        count = len(server.calls)
        name = next(iter(KEY_HEADERS[client]))
        for wrong in ({}, {name: ""}, {name: "x"}, {name: CLIENT_KEY[:-1]}, {name: f"{CLIENT_KEY}x"}, {name: "\xe9"}):
            refused = await ask(served, client, headers=wrong)
            assert refused.status == 401 and told(client, refused.json), wrong
        assert (await send(f"{served.url}/v1/models")).status == 401
        assert (await send(f"{served.url}/v1/nothing")).status == 401
        for page in ("/health/live", "/health/ready", "/metrics", "/"):
            assert (await send(f"{served.url}{page}")).status == 200
        assert len(server.calls) == count

    settings = {"key": "env:UPSTREAM_KEY"}
    script = stream(*SPEECHES["anthropic"].text)
    alone(script, lambda url: one("anthropic", url, settings, client_keys=["env:CLIENT_KEY"]), work)


@UPSTREAMS
@CLIENTS
def test_the_clients_key_stays_here(bench: Bench, client: str, dialect: str) -> None:
    reply = bench.ask(client, dialect, headers=KEY_HEADERS[client])
    assert reply.status == 200
    call = bench.upstreams[dialect].last
    assert CLIENT_KEY not in call.target + str(call.headers) + call.body.decode()


@UPSTREAMS
@CLIENTS
def test_unless_it_is_to_be_forwarded(client: str, dialect: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        await ask(served, client, headers=KEY_HEADERS[client])
        for name, value in KEY_HEADERS[dialect].items():
            assert server.last.headers[name] == value

    script = stream(*SPEECHES[dialect].text)
    alone(script, lambda url: one(dialect, url, {"forward_key": True}), work)


@UPSTREAMS
def test_also_to_list_models(dialect: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        for client, path, headers in ASKERS:
            await send(f"{served.url}{path}", None, headers | KEY_HEADERS[client])
            assert KEY_HEADERS[dialect].items() <= server.last.headers.items()

    alone(body(LISTS[dialect]), lambda url: one(dialect, url, {"forward_key": True}), work)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_an_open_address_needs_keys(host: str) -> None:
    flags = {"host": host, "upstreams": {"it": {"dialect": "anthropic", "url": "http://x"}}}
    with pytest.raises(ConfigError, match="client_keys"):
        load(None, {}, flags)
    assert load(None, {}, {**flags, "client_keys": ["env:K"]}).host == host


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        (None, False),
        ("https://evil.example", True),
        ("http://127.0.0.1.evil.example:8484", True),
        ("http://localhost.evil.example", True),
        ("null", True),
        ("http://[", True),
        ("http://localhost:3000", False),
        ("http://127.0.0.1:8484", False),
        ("http://[::1]:1", False),
        ("vscode-webview://abc", False),
    ],
)
def test_pages(origin: str | None, foreign: bool) -> None:
    assert is_foreign_page({"origin": origin} if origin is not None else {}) is foreign


@CLIENTS
def test_a_page_of_another_host_is_not_served(bench: Bench, client: str) -> None:
    """Whoever reaches the port is served, and every page that a browser shows here reaches it."""
    bench.ask(client, "gemini")
    calls = bench.upstreams["gemini"].calls
    headers = {"origin": "https://evil.example", "content-type": "text/plain"}
    assert bench.ask(client, "gemini", headers=headers).status == 403
    assert calls == []
    assert bench.ask(client, "gemini", headers={"origin": "http://localhost:3000"}).status == 200


def test_a_page_with_a_key_is(keys: None) -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        headers = {"origin": "https://app.example", **KEY_HEADERS["openai-chat"]}
        assert (await ask(served, "openai-chat", headers=headers)).status == 200

    script = stream(*SPEECHES["anthropic"].text)
    alone(script, lambda url: one("anthropic", url, client_keys=["env:CLIENT_KEY"]), work)


# What crosses

SENT = {
    "cookie": "a=b",
    "x-secret": "1",
    "x-forwarded-for": "10.0.0.1",
    "referer": "http://here",
    "user-agent": "a client/1.0",
    "accept-encoding": "br",
    "anthropic-version": "2023-01-01",
    "anthropic-beta": "one,two",
    "openai-organization": "org",
    "openai-project": "proj",
    "host": "elsewhere.example",
    "te": "trailers",
    "x-stainless-lang": "python",
}
CROSSING = {
    "anthropic": {"anthropic-version": "2023-01-01", "anthropic-beta": "one,two"},
    "openai-chat": {"openai-organization": "org", "openai-project": "proj"},
    "openai-responses": {"openai-organization": "org", "openai-project": "proj"},
    "gemini": {},
}
OURS = {"content-type", "accept-encoding", "user-agent", "host", "content-length", "accept", "anthropic-version"}


@UPSTREAMS
@CLIENTS
def test_only_listed_headers_go_up(bench: Bench, client: str, dialect: str) -> None:
    bench.ask(client, dialect, headers=SENT)
    received = bench.upstreams[dialect].last.headers
    crossed = {name: value for name, value in received.items() if name not in OURS}
    if client == dialect:
        assert crossed == {k: v for k, v in CROSSING[client].items() if k not in OURS}
        assert received.get("anthropic-version") == CROSSING[client].get("anthropic-version")
    else:
        assert crossed == {}
    assert received["user-agent"] == "ccproxy"
    assert received["accept-encoding"] == "identity"
    assert received["host"] == bench.upstreams[dialect].url.removeprefix("http://")


RETURNED = {
    "set-cookie": "a=b",
    "server": "secret/1.0",
    "x-internal": "1",
    "connection": "keep-alive",
    "via": "1.1 x",
    "alt-svc": "h3",
    "request-id": "req_up",
    "anthropic-ratelimit-requests-remaining": "9",
    "openai-processing-ms": "12",
    "x-ratelimit-remaining-requests": "8",
    "x-goog-x": "y",
}
RETURNING = {
    "anthropic": {"request-id", "anthropic-ratelimit-requests-remaining"},
    "openai-chat": {"openai-processing-ms", "x-ratelimit-remaining-requests"},
    "openai-responses": {"openai-processing-ms", "x-ratelimit-remaining-requests"},
    "gemini": {"x-goog-x"},
}
OWN = {"date", "content-type", "content-length", "transfer-encoding", "x-request-id", "cache-control"}
OWN |= {"x-accel-buffering", "x-ccproxy-losses"}


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "body"])
@UPSTREAMS
@CLIENTS
def test_only_listed_headers_come_back(bench: Bench, client: str, dialect: str, streams: bool) -> None:
    speech = SPEECHES[dialect]
    script = stream(*speech.text, headers=RETURNED) if streams else body(speech.body, headers=RETURNED)
    reply = bench.ask(client, dialect, script, streams=streams)
    dialects_own = {"request-id"} if client == "anthropic" else set()
    assert reply.headers.keys() - OWN == (RETURNING[client] if client == dialect else dialects_own)
    if streams:
        assert reply.headers["cache-control"] == "no-cache" and reply.headers["x-accel-buffering"] == "no"


@UPSTREAMS
@CLIENTS
def test_nor_with_errors(bench: Bench, client: str, dialect: str) -> None:
    refusal = SPEECHES[dialect].refusals["rate_limit"]
    reply = bench.ask(client, dialect, body(refusal.body, refusal.status, {**refusal.headers, **RETURNED}))
    listed = {"retry-after", "request-id"} | RETURNING[client] if client == dialect else {"retry-after", "request-id"}
    assert reply.headers.keys() - OWN <= listed
    assert reply.headers["retry-after"] == "7"


def test_configured_headers_go_up() -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        await ask(served, "openai-chat", headers={"x-team": "theirs"})
        assert server.last.headers["x-team"] == "ours" and server.last.headers["user-agent"] == "us/1"

    settings = {"headers": {"X-Team": "ours", "User-Agent": "us/1"}}
    alone(stream(*SPEECHES["anthropic"].text), lambda url: one("anthropic", url, settings), work)


def test_a_key_in_a_header_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """As Azure has it. The environment is the one that is given."""

    async def main() -> None:
        async with upstream(stream(*SPEECHES["openai-chat"].text)) as server:
            server.scripts.append(body(LISTS["openai-chat"]))
            config = one("openai-chat", server.url, {"headers": {"api-key": "env:AZURE_KEY"}})
            over: list[Exchange] = []
            app = create_app(config, environment={"AZURE_KEY": SECRET}, log=AccessLog("json"), observer=over.append)
            for method, path in (("GET", "/v1/models"), ("POST", "/v1/messages")):
                data = json.dumps(question("anthropic")[1]).encode() if method == "POST" else b""
                status, _ = await pass_on(app, method, path, b"", [], [data])
                assert status == 200 and server.last.headers["api-key"] == SECRET
            await app.close()
            assert SECRET not in repr(app.config) + repr([exchange.record(0) for exchange in over])

    in_loop(main)
    assert SECRET not in "".join(capfd.readouterr())


def test_a_key_that_is_not_there() -> None:
    config = one("openai-chat", "http://x", {"headers": {"api-key": "env:AZURE_KEY"}})
    with pytest.raises(ConfigError, match=r"^upstreams\.it\.headers\.api-key: the environment variable AZURE_KEY"):
        create_app(config, environment={})


@pytest.mark.parametrize(
    "model", ["../../files", "a/../../b", "..", "x/./y", "m?key=1", "m#x", "a b", "%2e%2e/x", "\ud800", "a:b", "é"]
)
@pytest.mark.parametrize("client", [client for client in DIALECTS if client != "gemini"])
def test_a_model_leads_nowhere_else(client: str, model: str) -> None:
    """Gemini has it in the path."""

    async def work(server: Upstream, served: Gateway) -> None:
        reply = await ask(served, client, model=model)
        if model in ("../../files", "a/../../b", "x/./y"):
            assert reply.status == 400 and "no name of a model" in told(client, reply.json)[1]
            assert server.calls == []
        else:
            assert reply.status == 200
            path, _, query = server.last.target.partition("?")
            assert re.fullmatch(r"/v1beta/models/[^:?#]+:streamGenerateContent", path) and query == "alt=sse"

    alone(stream(*SPEECHES["gemini"].text), lambda url: one("gemini", url), work)


def test_a_model_whose_name_is_no_name_but_a_text() -> None:
    """URLs are kept."""

    async def work(server: Upstream, served: Gateway) -> None:
        assert (await ask(served, "anthropic", model="m" * 1000)).status == 200
        reply = await ask(served, "anthropic", model="m" * 1001)
        assert reply.status == 400 and "no name of a model" in told("anthropic", reply.json)[1]
        assert len(server.calls) == 1

    alone(stream(*SPEECHES["gemini"].text), lambda url: one("gemini", url), work)


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("https://x", "https://x/v1/messages"),
        ("https://x/", "https://x/v1/messages"),
        ("https://x/v1", "https://x/v1/messages"),
        ("https://x/v1/", "https://x/v1/messages"),
        ("https://x/api/anthropic", "https://x/api/anthropic/v1/messages"),
        ("https://x/v4/anthropic", "https://x/v4/anthropic/messages"),
    ],
)
def test_bases_with_and_without_version(base: str, path: str) -> None:
    endpoints = dialects.get("anthropic").endpoints
    assert endpoints is not None
    assert upstream_url(base, endpoints, Endpoint("generate", "m")) == path


def test_urls_in_bodies_are_not_fetched(bench: Bench) -> None:
    """Whoever can name a URL can't have the gateway ask for it."""
    seen = bench.upstreams["gemini"]
    seen.calls.clear()
    image = {"type": "image_url", "image_url": {"url": f"{seen.url}/picture.png"}}
    asked = {"model": "anthropic", "messages": [{"role": "user", "content": [image]}]}
    bench.upstreams["anthropic"].script = body(SPEECHES["anthropic"].body)
    assert bench.send("/v1/chat/completions", asked).status == 200
    assert seen.calls == []
    assert f"{seen.url}/picture.png".encode() in bench.upstreams["anthropic"].last.body


# Limits


@CLIENTS
def test_too_many_at_once(client: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        first = await Connection.open(served.url)
        await first.post(*question(client))
        async with asyncio.timeout(10):
            while not server.calls:
                await asyncio.sleep(0.005)
        reply = await ask(served, client)
        assert reply.status == 429 and told(client, reply.json)
        first.vanish()
        await served.over(2)
        server.script = stream(*SPEECHES["anthropic"].text)
        assert (await ask(served, client)).status == 200
        assert len(server.calls) == 2

    alone(stalled(head=False), lambda url: one("anthropic", url, limits={"max_exchanges": 1}), work)


@CLIENTS
def test_a_body_that_is_too_long(client: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        path, asked = question(client)
        reply = await send(served.url + path, {**asked, "more": "x" * 3000})
        assert reply.status == (400 if client == "gemini" else 413) and "2000 bytes" in told(client, reply.json)[1]
        connection = await Connection.open(served.url)  # and without a length, as long as it takes
        connection.writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        for _ in range(4):
            connection.writer.write(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        assert reply.status == int((await connection.until(b"\r\n"))[9:12])
        connection.vanish()
        assert server.calls == []

    alone(stalled(), lambda url: one("anthropic", url, limits={"max_body": 2000}), work)


@CLIENTS
def test_headers_that_are_too_long(client: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        reply = await ask(served, client, headers={"x-long": "y" * 3000})
        assert reply.status in (400, 413) and "headers" in told(client, reply.json)[1]
        assert server.calls == []

    alone(stalled(), lambda url: one("anthropic", url, limits={"max_headers": 2000}), work)


# Paths


@pytest.mark.parametrize(
    ("client", "method", "path", "headers"),
    [
        ("anthropic", "GET", "/v1/messages", {}),
        ("anthropic", "POST", "/v1/messages/batches", {}),
        ("anthropic", "DELETE", "/v1/nothing", {"anthropic-version": "2023-06-01"}),
        ("openai-chat", "PUT", "/v1/chat/completions", {}),
        ("openai-chat", "POST", "/v1/embeddings", {}),
        ("openai-chat", "GET", "/what/is/this", {}),
        ("openai-responses", "GET", "/v1/responses/resp_1", {}),
        ("gemini", "GET", "/v1beta/models/m:generateContent", {}),
        ("gemini", "POST", "/v1beta/models/m:embedContent", {}),
        ("gemini", "POST", "/v1/nothing", {"x-goog-api-key": "x"}),
    ],
)
def test_unknown_paths_and_methods(bench: Bench, client: str, method: str, path: str, headers: dict[str, str]) -> None:
    reply = bench.send(path, b"{}", headers, method)
    assert reply.status == 404
    assert path in told(client, reply.json)[1]


@pytest.mark.parametrize(
    ("client", "path"),
    [
        ("anthropic", "/v1/messages?beta=true"),
        ("anthropic", "/messages"),
        ("anthropic", "/v1/v1/messages"),
        ("anthropic", "//v1/messages"),
        ("openai-chat", "/v1/v1/chat/completions"),
        ("openai-chat", "/chat/completions"),
        ("openai-responses", "/responses"),
        ("gemini", "/v1/models/anthropic:streamGenerateContent?alt=sse"),
        ("gemini", "/models/anthropic:streamGenerateContent?alt=sse"),
        ("gemini", "/v1/v1beta/models/anthropic:streamGenerateContent?alt=sse"),
        ("gemini", "/v1beta/v1beta/models/anthropic:streamGenerateContent?alt=sse"),
    ],
)
def test_paths_with_and_without_version(bench: Bench, client: str, path: str) -> None:
    bench.upstreams["anthropic"].script = stream(*SPEECHES["anthropic"].text)
    reply = bench.send(path, question(client, "anthropic")[1])
    assert reply.status == 200 and ORACLES[client].accept(reply.body).complete


def test_pages_without_a_dialect(bench: Bench) -> None:
    head = bench.send("/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for page in ("/", "/health/live", "/health/ready"):
        assert bench.send(page).status == 200
    assert bench.send("/x" + "?a=1" * 300).status == 404  # however much a query has


def test_not_ready_while_draining() -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        await served.app.drain()
        assert (await send(f"{served.url}/health/ready")).status == 503
        assert (await send(f"{served.url}/health/live")).status == 200
        assert (await ask(served, "openai-chat")).status == 503

    alone(stalled(), lambda url: one("anthropic", url), work)


# Models and counts

LISTS = {
    "anthropic": {"data": [{"type": "model", "id": "m-1", "display_name": "M 1"}], "has_more": False},
    "openai-chat": {"object": "list", "data": [{"id": "m-1", "object": "model", "created": 5, "owned_by": "x"}]},
    "openai-responses": {"object": "list", "data": [{"id": "m-1", "object": "model", "created": 5, "owned_by": "x"}]},
    "gemini": {"models": [{"name": "models/m-1", "displayName": "M 1"}]},
}
ASKERS = [
    ("anthropic", "/v1/models", {"anthropic-version": "2023-06-01"}),
    ("openai-chat", "/v1/models", {}),
    ("openai-chat", "/models", {}),
    ("gemini", "/v1beta/models", {}),
    ("gemini", "/v1beta/models", {"x-goog-api-key": "x"}),
    ("gemini", "/v1/models", {"x-goog-api-key": "x"}),
]


def listed(client: str, payload: Any) -> list[str]:
    if client == "gemini":
        return [model["name"].removeprefix("models/") for model in payload["models"]]
    if client == "anthropic":
        assert payload["has_more"] is False and all(model["type"] == "model" for model in payload["data"])
    else:
        assert payload["object"] == "list" and all(model["object"] == "model" for model in payload["data"])
    return [model["id"] for model in payload["data"]]


@UPSTREAMS
def test_models_of_the_upstream(dialect: str) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        for client, path, headers in ASKERS:
            assert listed(client, (await send(f"{served.url}{path}", None, headers)).json) == ["m-1"]
            one_of_them = (await send(f"{served.url}{path}/m-1", None, headers)).json
            assert one_of_them.get("id", one_of_them.get("name")) in ("m-1", "models/m-1")
            missing = await send(f"{served.url}{path}/m-2", None, headers)
            assert missing.status == 404 and told(client, missing.json)

    alone(body(LISTS[dialect]), lambda url: one(dialect, url), work)


def test_models_of_the_upstreams_that_tell_theirs() -> None:
    def config(url: str) -> Config:
        down = {"dialect": "openai-chat", "url": "http://127.0.0.1:9"}
        return configure({"down": down, "it": {"dialect": "anthropic", "url": url}})

    async def work(_: Upstream, served: Gateway) -> None:
        assert listed("openai-chat", (await send(f"{served.url}/v1/models", None)).json) == ["m-1"]

    alone(body(LISTS["anthropic"]), config, work)


def test_models_of_the_configuration(bench: Bench) -> None:
    """Nobody is asked."""
    for server in bench.upstreams.values():
        server.calls.clear()
    for client, path, headers in ASKERS:
        assert listed(client, bench.send(path, None, headers).json) == list(DIALECTS)
    assert not any(server.calls for server in bench.upstreams.values())


@pytest.mark.parametrize(
    "script", [body({}, 500), body(b"<html>"), body([1]), body({"data": [7]}), body(LISTS["gemini"], 302)]
)
def test_models_that_are_none(script: Script) -> None:
    async def work(_: Upstream, served: Gateway) -> None:
        reply = await send(f"{served.url}/v1/models", None, {"anthropic-version": "2023-06-01"})
        assert reply.status >= 500 and told("anthropic", reply.json)
        assert served.said == []

    alone(script, lambda url: one("openai-chat", url), work)


NUMBERS = {
    "anthropic": ("/v1/messages/count_tokens", {"input_tokens": 42}),
    "openai-responses": ("/v1/responses/input_tokens", {"object": "response.input_tokens", "input_tokens": 42}),
    "gemini": ("/v1beta/models/gemini:countTokens", {"totalTokens": 42}),
}


@UPSTREAMS
@pytest.mark.parametrize("client", list(NUMBERS))
def test_counting(bench: Bench, client: str, dialect: str) -> None:
    path, _ = NUMBERS[client]
    _, asked = question(client, dialect, streams=False)
    asked.pop("max_tokens", None)
    server = bench.upstreams[dialect]
    server.calls.clear()
    if dialect in NUMBERS:
        server.script = body(NUMBERS[dialect][1])
    reply = bench.send(path.replace("/gemini:", f"/{dialect}:"), asked)
    assert reply.status == 200
    count = reply.json.get("input_tokens") or reply.json["totalTokens"]
    if dialect in NUMBERS:
        assert count == 42
        assert server.last.target == NUMBERS[dialect][0]
    else:  # it counts none
        assert count > 5 and "estimate" in reply.headers["x-ccproxy-losses"] and server.calls == []


# Details of the dialects


@UPSTREAMS
def test_a_json_array(bench: Bench, dialect: str) -> None:
    bench.upstreams[dialect].script = stream(*SPEECHES[dialect].text)
    _, asked = question("gemini")
    reply = bench.send(f"/v1beta/models/{dialect}:streamGenerateContent", asked)
    assert reply.headers["content-type"].startswith("application/json")
    chunks = reply.json
    said = [part["text"] for c in chunks for part in c["candidates"][0].get("content", {}).get("parts", ())]
    assert "".join(said) == TEXT
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


def test_a_json_array_that_is_cut(bench: Bench) -> None:
    speech = SPEECHES["anthropic"]

    async def script(call: Call) -> None:
        await call.head(200, {"content-type": "text/event-stream"})
        for frame in speech.text[: speech.said]:
            await call.send(frame)
        await asyncio.sleep(0.1)

    bench.upstreams["anthropic"].script = script
    reply = bench.send("/v1beta/models/anthropic:streamGenerateContent", question("gemini")[1])
    assert reply.status == 200 and "error" in reply.json[-1]


@pytest.mark.parametrize(
    "field", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}]
)
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "openai-responses"])
def test_what_only_its_provider_holds(bench: Bench, dialect: str, field: dict[str, Any]) -> None:
    server = bench.upstreams[dialect]
    server.calls.clear()
    reply = bench.send("/v1/responses", question("openai-responses", dialect)[1] | field)
    assert reply.status == 400
    (name,) = field
    assert reply.json["error"]["param"] == name and name in reply.json["error"]["message"]
    assert server.calls == []


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "openai-responses"])
def test_to_store_is_only_lost(bench: Bench, dialect: str) -> None:
    bench.upstreams[dialect].script = stream(*SPEECHES[dialect].text)
    reply = bench.send("/v1/responses", question("openai-responses", dialect)[1] | {"store": True})
    assert reply.status == 200
    if dialect == "openai-chat":  # which stores, too
        assert bench.upstreams[dialect].last.json["store"] is True
    else:
        assert "field store" in reply.headers["x-ccproxy-losses"]


def test_what_only_one_of_googles_servers_has() -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        asked = question("openai-responses")[1] | {"store": True}
        assert (await send(f"{served.url}/v1/responses", asked)).status == 200
        assert server.last.json["store"] is True

    settings = {"options": {"google": "gemini-api"}}
    alone(stream(*SPEECHES["gemini"].text), lambda url: one("gemini", url, settings), work)


def test_what_is_lost_is_said(bench: Bench) -> None:
    bench.upstreams["anthropic"].script = stream(*SPEECHES["anthropic"].text)
    asked = question("openai-chat", "anthropic")[1]
    reply = bench.send("/v1/chat/completions", asked | {"seed": 1, "logit_bias": {"1": 2}})
    assert {"field seed", "field logit_bias"} <= set(reply.headers["x-ccproxy-losses"].split("; "))
    assert "x-ccproxy-losses" not in bench.ask("anthropic", "anthropic").headers


def test_a_stream_is_written_anew_where_the_configuration_says_so() -> None:
    """A server that leaves out what the official SDK needs."""
    deviant = [frame.replace(b'"object": "chat.completion.chunk", ', b"") for frame in SPEECHES["openai-chat"].text]

    async def work(server: Upstream, served: Gateway) -> None:
        assert b"chat.completion.chunk" in (await ask(served, "openai-chat")).body

    async def untouched(server: Upstream, served: Gateway) -> None:
        assert (await ask(served, "openai-chat")).body == b"".join(deviant)

    alone(stream(*deviant), lambda url: one("openai-chat", url, {"normalize": True}), work)
    alone(stream(*deviant), lambda url: one("openai-chat", url), untouched)


# What an operator sees


@CLIENTS
def test_request_ids(bench: Bench, client: str) -> None:
    given = bench.ask(client, "gemini", headers={"x-request-id": "mine-7"})
    assert given.headers["x-request-id"] == "mine-7"
    made_up = {bench.ask(client, "gemini").headers["x-request-id"] for _ in range(2)}
    assert len(made_up) == 2 and all(len(id) == 32 for id in made_up)
    for bad in ("x" * 200, "a\tb", "\xe9"):
        assert bench.ask(client, "gemini", headers={"x-request-id": bad}).headers["x-request-id"] != bad


@pytest.mark.parametrize("kind", ["stream", "body", "error", "none"])
@UPSTREAMS
@CLIENTS
def test_the_upstreams_id_is_in_the_log_and_in_the_dialects_own_header(
    bench: Bench, client: str, dialect: str, kind: str
) -> None:
    """The client's own id comes back, whatever happens; Anthropic's SDK shows another header as the request's id."""
    theirs = {"request-id" if dialect == "anthropic" else "x-request-id": "req_up"} if kind != "none" else {}
    refusal = SPEECHES[dialect].refusals["bad_request"]
    script = {
        "stream": stream(*SPEECHES[dialect].text, headers=theirs),
        "body": body(SPEECHES[dialect].body, headers=theirs),
        "error": body(refusal.body, refusal.status, {**refusal.headers, **theirs}),
        "none": stream(*SPEECHES[dialect].text),
    }[kind]
    bench.gateway.exchanges.clear()
    reply = bench.ask(client, dialect, script, streams=kind != "body", headers={"x-request-id": "mine-7"})
    assert reply.headers["x-request-id"] == "mine-7"
    assert reply.headers.get("request-id") == (None if client != "anthropic" else (theirs and "req_up") or "mine-7")
    (exchange,) = bench.stage.wait(bench.gateway.over())
    assert exchange.record(0).get("upstream_id") == ("req_up" if theirs else None)


@CLIENTS
def test_errors_of_our_own_have_the_id(bench: Bench, client: str) -> None:
    path, _ = question(client)
    reply = bench.send(path, b"{", {"x-request-id": "mine-7"})
    assert reply.status == 404 and reply.headers["x-request-id"] == "mine-7"
    assert reply.headers.get("request-id") == ("mine-7" if client == "anthropic" else None)


@pytest.mark.parametrize("bad", ["x" * 200, "\xe9", "a\tb"])
def test_an_upstreams_id_that_is_none(bench: Bench, bad: str) -> None:
    bench.gateway.exchanges.clear()
    script = stream(*SPEECHES["openai-chat"].text, headers={"x-request-id": bad})
    reply = bench.ask("anthropic", "openai-chat", script)
    assert reply.headers["request-id"] == reply.headers["x-request-id"] != bad
    (exchange,) = bench.stage.wait(bench.gateway.over())
    assert "upstream_id" not in exchange.record(0)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_key_and_no_body_in_any_log(
    keys: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, form: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    word = "sesame-in-the-body"

    async def main() -> None:
        config = configure({"it": {"dialect": "anthropic", "url": "http://x", "key": "env:UPSTREAM_KEY"}})
        async with upstream() as server:
            server.script = stream(*SPEECHES["anthropic"].text)
            config = one("anthropic", server.url, {"key": "env:UPSTREAM_KEY"}, client_keys=["env:CLIENT_KEY"])
            async with gateway(config, AccessLog(form)) as served:
                for client in DIALECTS:
                    path, asked = question(client)
                    secret = json.loads(json.dumps(asked).replace("When does the tide turn?", word))
                    for key in (KEY_HEADERS[client], {"authorization": "Bearer sk-wrong-secret"}):
                        await send(served.url + path, secret, key)
                    await send(f"{served.url}{path}", secret | {"messages": word, "input": 7}, KEY_HEADERS[client])
                path, asked = question("gemini")
                await send(f"{served.url}{path}&key={CLIENT_KEY}", asked)
                await send(f"{served.url}/v1beta/models/x?key={CLIENT_KEY}")
                await served.over()
                assert served.said == []

    in_loop(main)
    said = "".join(capfd.readouterr())
    logged = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn.access"))
    assert said.count("\n") >= 14
    for text in (said, logged):
        for secret in (SECRET, CLIENT_KEY, "sk-wrong-secret", word, TEXT[:8], "127.0.0.1"):
            assert secret not in text


def test_a_mistake_of_ours_is_the_dialects_error_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("sesame-in-the-body")

    monkeypatch.setattr("ccproxy.gateway.flow.plan", broken)

    async def work(_: Upstream, served: Gateway) -> None:
        for client in DIALECTS:
            reply = await ask(served, client)
            assert reply.status == 500 and told(client, reply.json)
            assert b"sesame" not in reply.body
        assert len(served.said) == 4 and all("KeyError at" in line for line in served.said)
        assert not any("sesame" in line for line in served.said)
        assert not served.app.active

    alone(stalled(), lambda url: one("anthropic", url), work)


def test_metrics() -> None:
    async def script(call: Call) -> None:
        if b"stalls" in call.body:
            await call.left.wait()
        await stream(*SPEECHES["anthropic"].text)(call)

    async def work(server: Upstream, served: Gateway) -> None:
        server.scripts.append(body({}, 503))
        retried = await ask(served, "openai-chat")
        assert retried.status == 200
        lossy = question("openai-chat")[1] | {"seed": 1}
        await send(f"{served.url}/v1/chat/completions", lossy)
        connection = await Connection.open(served.url)
        await connection.post(*question("gemini", "stalls-by-its-name"))
        async with asyncio.timeout(10):
            while len(server.calls) < 4:
                await asyncio.sleep(0.005)
        running = (await send(f"{served.url}/metrics")).body.decode()
        assert "ccproxy_active_exchanges 1.0" in running
        connection.vanish()
        for number in range(30):
            await send(f"{served.url}/v1/nothing/{number}")
            await ask(served, "openai-chat", model=f"model-{number}")
        await served.over(63)
        reply = await send(f"{served.url}/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=")
        text = reply.body.decode()
        for line in (
            'ccproxy_requests_total{client="openai-chat",status="200",upstream="it"} 32.0',
            'ccproxy_requests_total{client="openai-chat",status="404",upstream="none"} 30.0',
            'ccproxy_tokens_total{client="openai-chat",kind="input",upstream="it"} 352.0',
            'ccproxy_tokens_total{client="openai-chat",kind="output",upstream="it"} 192.0',
        ):
            assert f"\n{line}\n" in text
        assert re.search(r'ccproxy_losses_total\{.*kind="field".*\} 1\.0', text)
        assert re.search(r'ccproxy_upstream_errors_total\{kind="overloaded",upstream="it"\} 1\.0', text)
        assert re.search(r'ccproxy_retries_total\{upstream="it"\} 1\.0', text)
        assert re.search(r'ccproxy_disconnects_total\{client="gemini",phase="waiting",upstream="it"\} 1\.0', text)
        assert re.search(r"ccproxy_first_byte_seconds_count\{.*\} 32\.0", text)
        assert re.search(r"ccproxy_exchange_seconds_count\{.*\} 32\.0", text)
        assert re.search(r"ccproxy_read_gap_seconds_count\{.*\} \d+", text)
        assert "ccproxy_active_exchanges 0.0" in text
        assert "model-7" not in text and "nothing" not in text

    settings = {"retries": {"attempts": 2, "backoff": 0.01}}
    alone(script, lambda url: one("anthropic", url, settings), work)


@pytest.mark.parametrize("said", [-11, int("1" * 400)], ids=["less than none", "more than a float holds"])
def test_a_number_of_tokens_that_is_none_is_not_counted(said: int) -> None:
    async def work(server: Upstream, served: Gateway) -> None:
        reply = await ask(served, "anthropic", streams=False)
        assert reply.status == 200 and reply.json["usage"]["input_tokens"] == said
        [exchange] = await served.over()
        assert exchange.usage is not None and exchange.usage.input == said
        text = (await send(f"{served.url}/metrics")).body.decode()
        assert '\nccproxy_tokens_total{client="anthropic",kind="output",upstream="it"} 6.0\n' in text
        assert 'kind="input"' not in text
        assert served.said == []

    answer = SPEECHES["anthropic"].body | {"usage": {"input_tokens": said, "output_tokens": 6}}
    alone(body(answer), lambda url: one("anthropic", url), work)


def test_the_bytes_given_are_counted(bench: Bench) -> None:
    bench.gateway.exchanges.clear()
    reply = bench.ask("gemini", "openai-chat")
    (exchange,) = bench.stage.wait(bench.gateway.over())
    assert exchange.sent == len(reply.body) and exchange.streams and exchange.finish == "end"


def test_mounted_below_a_path() -> None:
    """As Starlette and FastAPI mount it: the path is whole, and its beginning is told."""

    async def main() -> None:
        app = create_app(one("anthropic", "http://upstream.invalid"), client=Speaker("anthropic"), log=AccessLog("off"))

        async def below(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "root_path": "/llm", "path": f"/llm{scope['path']}"}, receive, send)

        path, asked = question("openai-chat", streams=False)
        status, said = await pass_on(below, "POST", path, b"", [], [json.dumps(asked).encode()])
        assert status == 200 and TEXT in json.loads(said)["choices"][0]["message"]["content"]

    in_loop(main)


@pytest.mark.parametrize("passes_lifespan", [True, False], ids=["with lifespan", "without"])
def test_mounted_in_another_application(passes_lifespan: bool) -> None:
    """The example in the README, served: some frameworks pass lifespan events on, and the others call `close`."""

    async def main() -> None:
        async with upstream(stream(*SPEECHES["anthropic"].text)) as server:
            config = load(None, {}, {"upstreams": {"local": {"dialect": "anthropic", "url": server.url}}})
            mounted = create_app(config, log=AccessLog("off"))
            events: list[str] = []

            async def lifespan(receive: Any, send: Any) -> None:
                for event in ("startup", "shutdown"):
                    events.append((await receive())["type"])
                    if event == "shutdown":
                        await mounted.close()
                    await send({"type": f"lifespan.{event}.complete"})

            async def application(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "lifespan":
                    await (mounted(scope, receive, send) if passes_lifespan else lifespan(receive, send))
                elif scope["path"].startswith("/llm/"):
                    await mounted({**scope, "root_path": "/llm"}, receive, send)
                else:
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                    await send({"type": "http.response.body", "body": b"elsewhere"})

            sock = run.listen("127.0.0.1", 0)
            url = run.url_of(sock)
            async with run.serving(application, sock, AccessLog("off"), config.limits):
                assert (await send(f"{url}/v1/messages")).body == b"elsewhere"
                assert (await send(f"{url}/llm/health/ready")).body == b"ok\n"
                for client in DIALECTS:
                    path, asked = question(client)
                    reply = await send(f"{url}/llm{path}", asked)
                    assert reply.status == 200 and ORACLES[client].accept(reply.body).complete
                assert server.connections == 1 == server.open
            assert events == ([] if passes_lifespan else ["lifespan.startup", "lifespan.shutdown"])
            async with asyncio.timeout(5):
                while server.open:
                    await asyncio.sleep(0.005)

    in_loop(main)


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().port = 1  # type: ignore[misc]
