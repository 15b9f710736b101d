"""`ccproxy serve`: what it says, how it logs, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from ccproxy import Translator, dialects
from ccproxy.cli import _io, main
from ccproxy.gateway.routes import spoken
from tests.cli.gateways import (
    QUIET,
    Say,
    ask,
    chat_upstream,
    curl,
    drains,
    eventually,
    exports,
    gateway,
    in_terminal,
    run,
)
from tests.cli.streams import CHAT, TIMEOUT

Capture = pytest.CaptureFixture[str]


def pausing(goes_on: Event) -> Callable[[Say], None]:
    """A stream that stops in the middle until it may go on."""

    def script(say: Say) -> None:
        for frame in CHAT[:2]:
            say(frame)
        assert goes_on.wait(TIMEOUT)
        for frame in CHAT[2:]:
            say(frame)

    return script


def test_says_how_to_ask_it() -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", "--model", "m2", *upstream.flags) as running:
        words = [line for line in running.words if line]
        assert len(words) == 3 * len(dialects.names())
        for (dialect, endpoints), block in zip(spoken(), zip(*[iter(words)] * 3, strict=True), strict=True):
            title, export, line = block
            assert title == dialect.title
            variables = exports(export.strip())
            assert set(variables) == set(endpoints.environment)
            assert any(value.startswith(running.url) for value in variables.values())
            answer = curl(line.strip())
            body = answer.rest()
            assert answer.status == 200, body
            heard = Translator(dialect.name, dialect.name)
            heard.feed(body)
            heard.close()
            assert heard.error is None
            assert heard.message.text() == "<think>hm</think>One two"
        assert {json.loads(body)["model"] for _, _, body in upstream.requests} == {"m2"}
        assert {path for path, _, _ in upstream.requests} == {"/v1/chat/completions"}
        assert running.stop()[0] == 0


def test_a_model_of_the_configuration_is_shown(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        "port = 0\n[upstreams.a]\ndialect = 'gemini'\nurl = 'http://127.0.0.1:9'\n"
        "[[models]]\nmatch = 'x-*'\nupstream = 'a'\n[[models]]\nmatch = 'y'\nupstream = 'a'\n"
    )
    with gateway("serve", "--config", str(tmp_path / "c.toml"), "--client-key", "env:K", K="k") as running:
        assert sum('"model":"y"' in line for line in running.words) == 3
        assert sum("YOUR_CLIENT_KEY" in line for line in running.words) == 2 * len(dialects.names())


def test_keys() -> None:
    with chat_upstream() as upstream:
        flags = [*upstream.flags, "--key", "env:UP", "--client-key", "env:DOWN"]
        with gateway("serve", "--port", "0", *flags, UP="up", DOWN="down") as running:
            refused = ask(running.url, authorization="Bearer up")
            assert refused.status == 401 and "error" in json.loads(refused.rest())
            assert upstream.requests == []
            answer = ask(running.url, authorization="Bearer down")
            assert answer.status == 200 and answer.rest().endswith(b"data: [DONE]\n\n")
            assert [headers["authorization"] for _, headers, _ in upstream.requests] == ["Bearer up"]
            code, said = running.stop()
    assert code == 0
    assert "Bearer" not in said and '"down"' not in said and '"up"' not in said


def test_no_server_header() -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        answer = ask(running.url)
        answer.rest()
        assert "server" not in answer.headers


# Logs


def test_json_lines_by_default() -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        ask(running.url).rest()
        code, said = running.stop()
    assert code == 0
    (record,) = [json.loads(line) for line in said.splitlines()]
    assert (record["client"], record["upstream"], record["status"], record["finish"]) == (
        "openai-chat",
        "default",
        200,
        "end",
    )


def test_text_and_nothing() -> None:
    with chat_upstream() as upstream:
        for form, expected in [("text", ["200 openai-chat -> default (openai-chat)"]), ("off", [])]:
            with gateway("serve", "--port", "0", "--log", form, *upstream.flags) as running:
                ask(running.url).rest()
                code, said = running.stop()
            assert code == 0
            assert [line[: len(expected[0])] for line in said.splitlines()] == expected


def test_what_the_server_says_is_json_too() -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        host, _, port = running.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), TIMEOUT) as raw:
            raw.sendall(b"nonsense\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        code, said = running.stop()
    assert code == 0
    assert [json.loads(line)["level"] for line in said.splitlines()] == ["warning"]


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        assert running.process.stderr is not None
        running.process.stderr.close()
        for _ in range(3):
            answer = ask(running.url)
            assert answer.status == 200 and answer.rest().endswith(b"data: [DONE]\n\n")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(TIMEOUT) == 0


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="needs the terminals of Linux")
def test_live_view() -> None:
    goes_on = Event()
    with chat_upstream(pausing(goes_on)) as upstream:

        def talk(process: int, wait_for: Callable[[str], str]) -> None:
            url = wait_for(r"listens on \S+").split()[-1]
            wait_for("OpenAI Responses")
            stream = ask(
                url, b'{"model":"m\\u001b]0;owned\\u0007","stream":true,"messages":[{"role":"user","content":"?"}]}'
            )
            wait_for(r"client +upstream +model +state +age +sent")
            wait_for(r"openai-chat +default \(openai-chat\) +m\?\]0;owned\? +streaming +[\d.]+ s")
            goes_on.set()
            assert stream.rest().endswith(b"data: [DONE]\n\n")
            wait_for(r"200 openai-chat -> default \(openai-chat\)")
            os.kill(process, signal.SIGINT)

        code, shown = in_terminal(["serve", "--port", "0", *upstream.flags], talk)
    assert code == 0
    assert '"status"' not in shown
    assert "\x1b]" not in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_it_ends_at_once(number: int) -> None:
    with chat_upstream() as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        began = time.monotonic()
        assert running.stop(number) == (0, "")
        assert time.monotonic() - began < 10  # far less than the 30 s that streams would have


def test_running_streams_finish_and_new_ones_are_refused() -> None:
    goes_on = Event()
    with chat_upstream(pausing(goes_on)) as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        stream = ask(running.url)
        first = stream.read_until(b"One")
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: drains(running.url), "it drains")
        refused = ask(running.url)
        assert refused.status == 503 and "shutting down" in json.loads(refused.rest())["error"]["message"]
        goes_on.set()
        assert first + stream.rest() == b"".join(CHAT)
        _, said = running.process.communicate(timeout=TIMEOUT)
    assert running.process.returncode == 0
    assert json.loads(said.splitlines()[0])["message"] == "waiting up to 30 s for 1 exchanges"
    assert len(upstream.requests) == 1


def test_streams_that_do_not_finish_end_in_an_error() -> None:
    goes_on = Event()
    with chat_upstream(pausing(goes_on)) as upstream:
        with gateway("serve", "--port", "0", "--drain", "0.2", *upstream.flags) as running:
            streams = [
                ask(running.url),
                ask(
                    running.url,
                    b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"?"}]}',
                    "/v1/messages",
                ),
            ]
            for stream in streams:
                stream.read_until(b"One")
            code, said = running.stop()
            for stream, name in zip(streams, ["openai-chat", "anthropic"], strict=True):
                heard = Translator(name, name)
                heard.feed(stream.rest())
                heard.close()
                assert heard.error is not None
                assert heard.error.fault == "provider" and "shutting down" in heard.error.reason
        goes_on.set()
    assert code == 0
    records = [json.loads(line) for line in said.splitlines()]
    assert [record["error"] for record in records if "id" in record] == ["overloaded", "overloaded"]


def test_the_second_signal_ends_it_at_once() -> None:
    goes_on = Event()
    with chat_upstream(pausing(goes_on)) as upstream, gateway("serve", "--port", "0", *upstream.flags) as running:
        stream = ask(running.url)
        stream.read_until(b"One")
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: drains(running.url), "it drains")
        began = time.monotonic()
        code, _ = running.stop()
        assert code == 128 + signal.SIGTERM
        assert time.monotonic() - began < 10
        stream.close()
        goes_on.set()


# What it refuses


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port, "--upstream", "http://x", "--upstream-dialect", "gemini")
    assert result.returncode == _io.IO_ERROR
    assert result.stderr == f"ccproxy: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no upstream; give --upstream and --upstream-dialect"),
        (["--upstream", "http://x"], "--upstream needs --upstream-dialect"),
        (["--key", "env:A"], "the flags for an upstream need --upstream URL"),
        (["--model", "m"], "the flags for an upstream need --upstream URL"),
        (["--upstream", "http://x", "--upstream-dialect", "gemni"], "do you mean 'gemini'?"),
        (["--upstream", "http://x", "--upstream-dialect", "gemini", "--key", "sk-1"], "never written here"),
        (["--upstream", "http://x", "--upstream-dialect", "gemini", "--key", "env:NO_SUCH"], "NO_SUCH is not set"),
        (["--upstream", "http://x", "--upstream-dialect", "gemini", "--host", "0.0.0.0"], "set client_keys"),
        (["--upstream", "http://x", "--upstream-dialect", "gemini", "--client-key", "file:/absent"], "client_keys: the key file /absent can't be read"),
        (["--port", "http"], "must be a number from 0 to 65535, not 'http'"),
        (["--log", "loud"], "invalid choice: 'loud'"),
        (["--config", "absent.toml"], "absent.toml can't be read: No such file or directory"),
    ],
)  # fmt: skip
def test_misuse(arguments: list[str], words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name not in QUIET]:
        monkeypatch.delenv(name)
    assert main(["serve", *arguments]) == _io.MISUSE
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""


@pytest.mark.skipif(os.name != "posix", reason="there is no such limit")
def test_too_few_files_may_be_open() -> None:
    prefix = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    with chat_upstream() as upstream:
        for limit, said in [
            ("4000", "ulimit -n is 256, enough for 96 exchanges at once; limits.max_exchanges is 4000"),
            ("90", ""),
        ]:
            environment = {"CCPROXY_LIMITS__MAX_EXCHANGES": limit}
            with gateway("serve", "--port", "0", *upstream.flags, prefix=prefix, **environment) as running:
                assert said in running.stop()[1]


@pytest.mark.parametrize("command", [["serve"], ["run", "--", "true"], ["demo"]])
@pytest.mark.parametrize("module", ["httptools", "uvicorn", "prometheus_client", "rich"])
def test_without_the_extra(command: list[str], module: str) -> None:
    flags = [] if command == ["demo"] else ["--upstream", "http://x", "--upstream-dialect", "gemini"]
    arguments = [command[0], *flags, *command[1:]]
    code = f"import sys\nsys.modules[{module!r}] = None\nfrom ccproxy.cli import main\nsys.exit(main({arguments!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT, env=QUIET, check=False
    )
    assert result.returncode == _io.FAILED
    assert result.stderr == (
        f'ccproxy: the gateway needs {module}, which is not installed: pip install "ccproxy-streaming[gateway]"\n'
    )
