"""`ccproxy run`: the command's environment, its exit code, its signals."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ccproxy.cli import _io, main
from ccproxy.gateway.routes import spoken
from tests.cli.gateways import QUIET, chat_upstream, in_terminal, run
from tests.cli.streams import COMMAND, TIMEOUT

Capture = pytest.CaptureFixture[str]
NOWHERE = ["--upstream", "http://127.0.0.1:9/v1", "--upstream-dialect", "openai-chat"]
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
ASKING = """\
import os, sys, urllib.request as http
request = http.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", method="POST", data=sys.argv[1].encode())
request.add_header("content-type", "application/json")
request.add_header("authorization", "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"])
print(http.build_opener(http.ProxyHandler({})).open(request).read().decode())
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell and signals")


def environment(*flags: str, **given: str) -> dict[str, str]:
    """What a command finds in its environment."""
    result = run("run", *(flags or NOWHERE), "--", sys.executable, "-c", SHOW, **given)
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout)
    return found


def test_every_client_is_pointed_at_the_gateway() -> None:
    found = environment(OPENAI_API_KEY="mine", ANTHROPIC_API_KEY="mine", KEPT="yes")
    root = found["ANTHROPIC_BASE_URL"]
    key = found["ANTHROPIC_AUTH_TOKEN"]
    assert root.startswith("http://127.0.0.1:") and len(key) >= 32
    for _, endpoints in spoken():
        for name, form in endpoints.environment.items():
            assert found[name] == form.format(root=root, base=f"{root}/v1", key=key)
    assert found["KEPT"] == "yes"
    assert "mine" not in found.values()
    assert environment()["ANTHROPIC_AUTH_TOKEN"] != key


def test_what_would_send_clients_elsewhere_is_gone() -> None:
    given = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "CLAUDE_CODE_USE_VERTEX": "1",
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_GENAI_USE_GCA": "true",
    }
    assert not environment(**given).keys() & given.keys()
    assert not environment(*NOWHERE, "--forward-key", **given).keys() & given.keys()


def test_what_belongs_to_another_key_is_gone() -> None:
    """But where clients keep theirs."""
    given = {
        "GOOGLE_API_KEY": "mine",
        "OPENAI_ORG_ID": "org",
        "OPENAI_PROJECT_ID": "proj",
        "OPENAI_CUSTOM_HEADERS": "authorization: mine",
        "ANTHROPIC_CUSTOM_HEADERS": "x-api-key: mine",
    }
    assert not environment(**given).keys() & given.keys()
    assert environment(*NOWHERE, "--forward-key", **given).items() >= given.items()


def test_the_sdk_of_google_takes_the_gateways_key() -> None:
    """Though there is another that it likes better."""
    script = "import google.genai as g; print(g.Client()._api_client.api_key)"
    result = run("run", *NOWHERE, "--", "sh", "-c", f'echo $GEMINI_API_KEY; "{sys.executable}" -c "{script}"', GOOGLE_API_KEY="mine")  # fmt: skip
    wanted, got = result.stdout.split()
    assert wanted == got and len(got) >= 32


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    assert "NO_PROXY" not in environment() or "NO_PROXY" in QUIET
    found = environment(HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.com")
    assert found["NO_PROXY"] == "example.com,127.0.0.1"
    assert found["HTTP_PROXY"] == "http://127.0.0.1:9"


def test_our_own_environment_stays_as_it_is(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    before = dict(os.environ)
    assert main(["run", *NOWHERE, "--", "env"]) == 0
    out = capfd.readouterr().out
    assert "\nANTHROPIC_BASE_URL=http://127.0.0.1:" in out
    assert "CCPROXY_RUN_KEY" not in out
    assert dict(os.environ) == before


def test_an_exchange() -> None:
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}], "stream": True})
    with chat_upstream() as upstream:
        result = run("run", *upstream.flags, "--model", "m2", "--", sys.executable, "-c", ASKING, body)
    assert result.returncode == 0, result.stderr
    assert "event: message_stop" in result.stdout
    assert result.stderr == ""  # the terminal is the command's
    assert [json.loads(sent)["model"] for _, _, sent in upstream.requests] == ["m2"]


def test_nobody_else_is_served() -> None:
    asking = ASKING.replace('os.environ["ANTHROPIC_AUTH_TOKEN"]', '"ccproxy"')
    with chat_upstream() as upstream:
        result = run("run", *upstream.flags, "--", sys.executable, "-c", asking, "{}")
    assert "HTTP Error 401" in result.stderr
    assert upstream.requests == []


def test_the_clients_own_key_where_it_is_forwarded() -> None:
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}], "stream": True})
    with chat_upstream() as upstream:
        command = [sys.executable, "-c", ASKING, body]
        result = run("run", *upstream.flags, "--forward-key", "--", *command, ANTHROPIC_AUTH_TOKEN="mine")
    assert result.returncode == 0, result.stderr
    assert [headers["authorization"] for _, headers, _ in upstream.requests] == ["Bearer mine"]


def test_a_configuration_file_counts_but_for_the_address(tmp_path: Path) -> None:
    with chat_upstream() as upstream:
        (tmp_path / "c.toml").write_text(
            f"host = '0.0.0.0'\nport = 1\nclient_keys = ['env:ABSENT']\n"
            f"[upstreams.a]\ndialect = 'openai-chat'\nurl = '{upstream.url}'\n"
        )
        found = environment("--config", str(tmp_path / "c.toml"))
    assert found["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")


def test_the_log_is_off_unless_asked_for() -> None:
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]})
    with chat_upstream() as upstream:
        result = run("run", "--log", "json", *upstream.flags, "--", sys.executable, "-c", ASKING, body)
    assert [json.loads(line)["client"] for line in result.stderr.splitlines() if line.startswith("{")] == ["anthropic"]


# Codex


def program(folder: Path, name: str) -> Path:
    """A program that prints its arguments and its environment."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n")
    path.chmod(0o755)
    return path


def test_codex_is_told_the_model_that_is_asked_for(tmp_path: Path) -> None:
    result = run("run", *NOWHERE, "--model", "claude-sonnet-4-5", "--", str(program(tmp_path, "codex")), "exec")
    words, _ = json.loads(result.stdout)
    assert words[-3:] == ["-c", 'model="claude-sonnet-4-5"', "exec"]


@pytest.mark.parametrize("name", ["codex", "sub/codex"])
def test_codex_is_told_its_provider(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n")
    path.chmod(0o755)
    command = "codex" if name == "codex" else str(path)
    result = run("run", *NOWHERE, "--", command, "exec", "-c", "a=b", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    words, found = json.loads(result.stdout)
    assert words[10:] == ["exec", "-c", "a=b"]
    assert set(words[0:10:2]) == {"-c"}
    settings = dict(word.split("=", 1) for word in words[1:10:2])
    provider = settings.pop("model_provider").strip('"')
    assert settings == {
        f"model_providers.{provider}.name": f'"{provider}"',
        f"model_providers.{provider}.base_url": f'"{found["ANTHROPIC_BASE_URL"]}/v1"',
        f"model_providers.{provider}.env_key": '"OPENAI_API_KEY"',
        f"model_providers.{provider}.wire_api": '"responses"',
    }
    assert found["OPENAI_API_KEY"] == found["ANTHROPIC_AUTH_TOKEN"]


# The end


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + signal.SIGKILL), ("kill $$", 128 + signal.SIGTERM)],
)
def test_exit_codes(script: str, code: int) -> None:
    result = run("run", *NOWHERE, "--", "sh", "-c", script)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", "")


def test_commands_that_cannot_be_run(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for command, code, why in [
        ("no-such-command", 127, "there is no command 'no-such-command'"),
        (f"{tmp_path}/text", 126, f"cannot run '{tmp_path}/text': Permission denied"),
    ]:
        assert main(["run", *NOWHERE, "--", command]) == code
        assert capsys.readouterr().err == f"ccproxy: {why}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (NOWHERE, "the command comes after --"),
        ([*NOWHERE, "--"], "which command? It comes after --"),
        ([*NOWHERE, "env"], "the command comes after --"),
        ([*NOWHERE, "env", "--", "env"], "unrecognized arguments: env"),
        (["--", "env"], "no upstream; give --upstream and --upstream-dialect"),
    ],
)
def test_misuse(arguments: list[str], said: str, capsys: Capture) -> None:
    assert main(["run", *arguments]) == _io.MISUSE
    output = capsys.readouterr()
    assert said in output.err
    assert output.out == ""


def started(*script: str) -> "subprocess.Popen[str]":
    """The command with a shell script in it, that has said a line."""
    return subprocess.Popen(
        [*COMMAND, "run", *NOWHERE, "--", "sh", "-c", *script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET,
        start_new_session=True,  # without a terminal
    )


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1"])
def test_signals_are_passed_on(name: str) -> None:
    script = f"trap 'echo caught; kill -9 $!; exit 5' {name}; sleep {TIMEOUT} & echo $OPENAI_BASE_URL; wait"
    with started(script) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            process.send_signal(getattr(signal, f"SIG{name}"))
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (5, "caught\n", "")
    port = int(url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), TIMEOUT)


@pytest.mark.skipif(sys.platform == "darwin", reason="needs the terminals of Linux")
def test_ctrl_c_reaches_the_command_once() -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done"  # caught whenever it comes

    def talk(process: int, wait_for: Callable[[str], str]) -> None:
        wait_for("ready")
        os.killpg(os.getpgid(process), signal.SIGINT)  # what the terminal does
        wait_for("caught")

    code, shown = in_terminal(["run", *NOWHERE, "--", "sh", "-c", script], talk)
    assert shown.count("caught") == 1
    assert code == 3
