"""`ccproxy demo`: the gateway with its built-in upstream, and one stream in every dialect."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ccproxy import Translator, collect, dialects, read_response, translate_request
from ccproxy.cli import _gateway, _io, _play, demo, main
from ccproxy.cli._options import loss_line
from ccproxy.core.spi import Endpoint
from ccproxy.gateway.config import Timeouts
from ccproxy.gateway.demo import DemoClient, demo_config, model_of
from ccproxy.gateway.routes import find_route, spoken, upstream_url
from tests.cli.gateways import curl, exports, gateway, run
from tests.cli.streams import ANTHROPIC, COMMAND, CUT, ENVIRONMENT, TIMEOUT

Capture = pytest.CaptureFixture[str]
BUNDLED = Path(demo.__file__).with_name("demo.sse")


ANSWER = Path(demo.__file__).with_name("demo_answer.sse")


def body(out: str) -> object:
    return json.loads(out.rpartition("===\n")[2])


def test_bundled_answer(capsys: Capture) -> None:
    assert main(["demo", "--print"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    data = BUNDLED.read_bytes()
    source = out.partition(" events of ")[2].split()[0]
    for target in dialects.names():
        assert f"=== {source} -> {target}: " in out
    assert data.decode() in out
    assert body(out) == collect(data, source)
    kinds = [block["type"] for block in collect(data, "anthropic")["content"]]
    assert {"text", "thinking"} < set(kinds) and kinds.count("tool_use") == 2


def test_any_file(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "in.sse"
    data = b"".join(ANTHROPIC)
    path.write_bytes(data)
    for arguments in ([], ["--from", "anthropic"]):
        assert main(["demo", *arguments, str(path)]) == 0
        out, _ = capsys.readouterr()
        for target in dialects.names():
            section = out.partition(f"anthropic -> {target}: ")[2].partition("\n===")[0].splitlines()
            stream = Translator("anthropic", target)
            stream.feed(data)
            stream.close()
            assert [line for line in section if line.startswith("lost:")] == [loss_line(loss) for loss in stream.losses]
            assert ("nothing was lost" in section) is not bool(stream.losses)
        assert "lost: which stop sequence was met: END" in out
        assert body(out) == collect(data, "anthropic")


def test_losses_without_end_are_counted(capsys: Capture, tmp_path: Path) -> None:
    calls = (
        b'data: {"choices":[{"index":%d,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n' % i for i in range(40)
    )
    (tmp_path / "in.sse").write_bytes(b"".join(calls) + b"data: [DONE]\n\n")
    assert main(["demo", "--from", "openai-chat", str(tmp_path / "in.sse")]) == 0
    section = capsys.readouterr().out.partition("openai-chat -> anthropic: ")[2].partition("\n===")[0]
    assert section.count("\nlost: ") == 13
    assert "\nlost: 27 more\n" in section


def test_stream_that_failed(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "in.sse").write_bytes(b"".join(CUT))
    assert main(["demo", str(tmp_path / "in.sse")]) == _io.FAILED
    out, err = capsys.readouterr()
    assert out.count("the stream failed at event 4") == len(dialects.names()) + 1
    assert err.startswith("ccproxy: the stream failed at event 4")


def test_what_nobody_knows(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "in.sse").write_bytes(b'data: {"unheard":"of"}\n\n')
    assert main(["demo", str(tmp_path / "in.sse")]) == _io.FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert "no dialect recognises" in err


def test_no_colours_and_no_pace_without_a_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_play, "sleep", lambda seconds: pytest.fail("slept"))
    assert main(["demo", "--print"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="needs the terminals of Linux")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_terminal(no_color: str, tmp_path: Path) -> None:
    """Colours, unless NO_COLOR says no; and what the stream holds can't steer the terminal."""
    import pty

    path = tmp_path / "in.sse"
    path.write_bytes(b": \x1b]0;owned\x07\n\n" + b"".join(ANTHROPIC))
    child, terminal = pty.fork()
    if child == 0:
        os.execve(COMMAND[0], [*COMMAND, "demo", str(path)], {**ENVIRONMENT, "NO_COLOR": no_color})
    out = b""
    try:
        while piece := os.read(terminal, 65536):
            out += piece
    except OSError:  # how Linux says that the other side has closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (b"\x1b[1;36m" in out) is not bool(no_color)
    assert b"\x1b]" not in out and b"\x07" not in out
    assert b"rebuilt from the anthropic stream" in out


# The gateway


def test_once() -> None:
    """One request in each dialect, and every answer is whole and of another dialect's upstream."""
    result = run("demo", "--once")
    assert (result.returncode, result.stderr) == (0, "")
    names = dialects.names()
    sections = result.stdout.split("=== ")[1:]
    assert len(sections) == len(names)
    for name, section in zip(names, sections, strict=True):
        title, _, stream = section.partition(" ===\n\n")
        assert title.startswith(f"{name}, answered by demo-") and not title.endswith(f"demo-{name}")
        heard = Translator(name, name)
        heard.feed(stream.encode())
        heard.close()
        assert heard.error is None
        assert "bundled with ccproxy" in heard.message.text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pipe that holds less than the answers")
def test_once_for_a_reader_that_leaves() -> None:
    import fcntl

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    command = [*COMMAND, "demo", "--once"]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        os.close(writer)
        assert os.read(reader, 1)
        os.close(reader)
        _, said = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, said) == (_io.PIPE, b"")


def test_as_long_as_it_runs() -> None:
    with gateway("demo", "--port", "0") as running:
        assert (
            running.words[0]
            == "The model chooses the built-in upstream: "
            + ", ".join(model_of(name) for name in dialects.names())
            + "."
        )
        blocks = [line.strip() for line in running.words[1:] if line]
        began = time.monotonic()
        answers = [curl(line) for line in blocks[2::3]]
        for (dialect, _), export, answer in zip(spoken(), blocks[1::3], answers, strict=True):
            assert any(value.startswith(running.url) for value in exports(export).values())
            heard = Translator(dialect.name, dialect.name)
            heard.feed(answer.rest())
            heard.close()
            assert answer.status == 200 and heard.error is None
        assert time.monotonic() - began > 1  # they come at the pace of a model
        code, said = running.stop(signal.SIGINT)
    assert code == 0
    assert [json.loads(line)["status"] for line in said.splitlines()] == [200] * len(dialects.names())


def test_address_that_is_given() -> None:
    assert demo_config(8484).port == 8484 and demo_config(8484).host == "127.0.0.1"
    assert "--port N" in run("demo", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "anthropic"], "--from is about a stream that is printed"),
        (["--port", "x"], "must be a number from 0"),
    ],
)
def test_misuse(arguments: list[str], said: str, capsys: Capture) -> None:
    assert main(["demo", *arguments]) == _io.MISUSE
    assert said in capsys.readouterr().err


# The built-in upstream

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["C", "F"]},
                "days": {"type": "integer"},
                "why": {"type": "string"},
                "brief": {"type": "boolean"},
                "limit": {"type": "number"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "not_asked_for": {"type": "string"},
            },
            "required": ["city", "scale", "brief", "limit", "tags", "why"],
        },
    },
}
WEATHER["function"]["parameters"]["properties"]["scale"] = {"type": "string", "enum": ["C", "F"]}  # type: ignore[index]  # a dict of dicts
BASH = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object", "properties": {}}}}
QUESTION = {"role": "user", "content": "?"}
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
NAMES = dialects.names()


def answer(name: str, request: Mapping[str, Any], stream: bool, raw: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of what the upstream of a dialect answers to a request in the words of Chat Completions."""
    client = DemoClient(ANSWER.read_bytes(), BUNDLED.read_bytes(), pace=0.0)
    endpoints = dialects.get(name).endpoints
    assert endpoints is not None
    whole = {"model": model_of(name), "messages": [QUESTION], **request}
    translated = translate_request(whole, "openai-chat", name, stream=stream)
    url = upstream_url(demo_config(0).upstreams[name].url, endpoints, Endpoint("generate", translated.model, stream))

    async def ask() -> tuple[int, bytes]:
        body = json.dumps(translated.body).encode() if raw is None else raw
        response = await client.open("POST", url, {}, body, Timeouts())
        data = b""
        while piece := await response.read():
            data += piece
        response.close()
        await client.close()
        return response.status, data

    return asyncio.run(ask())


@pytest.mark.parametrize("name", NAMES)
def test_text(name: str) -> None:
    status, stream = answer(name, {}, stream=True)
    heard = Translator(name, name)
    heard.feed(stream)
    heard.close()
    assert status == 200 and heard.error is None
    assert heard.message.start is not None and heard.message.start.model == model_of(name)
    status, whole = answer(name, {}, stream=False)
    message = read_response(whole, name)
    assert status == 200
    assert (
        message.text()
        == heard.message.text()
        == read_response(collect(ANSWER.read_bytes(), "anthropic"), "anthropic").text()
    )


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_tool_calls(name: str, stream: bool) -> None:
    _, data = answer(name, {"tools": [BASH, WEATHER]}, stream)
    whole = collect(data, name) if stream else data
    message = read_response(whole, name)
    calls = [part for part in message.parts if part.start.kind == "tool"]
    assert [part.start.name for part in calls] == ["get_weather", "get_weather"]
    assert [json.loads(part.text) for part in calls] == [
        {"city": city, "scale": "C", "brief": False, "limit": 1, "tags": [], "why": city}
        for city in ("Lisbon", "Porto")
    ]
    assert message.finishes[0].reason.unified == "tool"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "request_",
    [
        {"tools": [WEATHER], "messages": [QUESTION, CALL, RESULT]},
        {"tools": [WEATHER], "tool_choice": "none"},
        {"tools": [BASH]},  # an agent would run what is called
    ],
    ids=["result", "none", "harmful"],
)
def test_no_tool_call(name: str, request_: Mapping[str, Any]) -> None:
    _, data = answer(name, request_, stream=False)
    assert {part.start.kind for part in read_response(data, name).parts} <= {"text", "reasoning"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_request(name: str) -> None:
    for raw in (b"", b"{", b"[]", b'{"messages":1,"contents":1,"input":1}'):
        status, data = answer(name, {}, stream=False, raw=raw)
        assert status == 400
        assert dialects.get(name).read_error(json.loads(data)).message


def test_counting() -> None:
    """Each upstream whose dialect counts tokens; the gateway makes an estimate for the others."""
    for name, upstream in demo_config(0).upstreams.items():
        dialect = dialects.get(name)
        if dialect.count is None or dialect.endpoints is None:
            continue
        client = DemoClient(ANSWER.read_bytes(), BUNDLED.read_bytes(), pace=0.0)
        url = upstream_url(upstream.url, dialect.endpoints, Endpoint("count_tokens", model_of(name)))
        counts: list[int | None] = []
        for words in (10, 100):
            response = asyncio.run(client.open("POST", url, {}, b'{"x":"' + b"word " * words + b'"}', Timeouts()))
            assert response.status == 200
            counts.append(dialect.count.read_answer(json.loads(asyncio.run(response.read()))))
        assert counts == [14, 127]


def test_other_endpoints() -> None:
    client = DemoClient(ANSWER.read_bytes(), BUNDLED.read_bytes(), pace=0.0)
    for name, upstream in demo_config(0).upstreams.items():
        response = asyncio.run(client.open("POST", f"{upstream.url}/nothing/here", {}, b"{}", Timeouts()))
        assert response.status == 404
        assert dialects.get(name).read_error(json.loads(asyncio.run(response.read()))).kind == "not_found"


def test_every_sample_request_finds_its_route() -> None:
    models = dict.fromkeys(NAMES, "m")
    for ask in _gateway.asks("http://x", "k", models):
        path, _, query = ask.url.removeprefix("http://x").partition("?")
        found = find_route("POST", path, dict([query.split("=")]) if query else {}, ask.headers)
        assert (found.dialect.name, found.endpoint and found.endpoint.kind) == (ask.dialect.name, "generate")
