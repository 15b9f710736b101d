"""The command as a whole: help, misuse, exit codes, what it imports."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ccproxy import collect
from ccproxy.cli import COMMANDS, _io, main
from ccproxy.wire.json import dumps
from tests.cli.streams import ANTHROPIC, ENVIRONMENT, TIMEOUT, ccproxy

Capture = pytest.CaptureFixture[str]


def examples(command: str, capsys: Capture) -> list[str]:
    assert main([*command.split(), "--help"]) == 0
    section = re.search(r"^examples:\n((?:  .*\n)+)", capsys.readouterr().out, re.MULTILINE)
    assert section is not None
    assert all("ccproxy" in example for example in section[1].splitlines())
    return section[1].splitlines()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_examples_run(command: str, capsys: Capture, tmp_path: Path) -> None:
    """As they stand, in a folder with what they name. Those that serve are told to stop when they listen."""
    (tmp_path / "answer.sse").write_bytes(b"".join(ANTHROPIC))
    (tmp_path / "answer.json").write_bytes(dumps(collect(b"".join(ANTHROPIC), "anthropic")))
    request = {"model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}
    (tmp_path / "request.json").write_bytes(dumps(request))
    (tmp_path / "ccproxy.toml").write_text("[upstreams.a]\ndialect = 'gemini'\nurl = 'http://127.0.0.1:9'\n")
    for client in ("claude", "codex"):
        (tmp_path / client).write_text("#!/bin/sh\n")
        (tmp_path / client).chmod(0o755)
    environment = {
        **ENVIRONMENT,
        "PYTHON": sys.executable,
        "PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}",
        "CCPROXY_PORT": "0",
        **dict.fromkeys(["ANTHROPIC_API_KEY", "MY_KEY"], "k"),
    }
    for example in examples(command, capsys):
        script = f'ccproxy() {{ exec "$PYTHON" -m ccproxy "$@"; }}\n{example.replace("ccproxy demo", "ccproxy demo --port 0")}'
        with subprocess.Popen(
            ["sh", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                first = process.stdout.readline()
                if first.startswith("ccproxy listens on"):
                    process.terminate()
                _, said = process.communicate(timeout=TIMEOUT)
            finally:
                process.kill()
        assert process.returncode == 0, (example, said)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_lists_the_exit_codes(command: str, capsys: Capture) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    codes = re.findall(r"^  (\d+) ", text.partition("exit codes:\n")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "130", "141"]


def test_help_lists_the_commands(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command, purpose in COMMANDS.items():
        assert re.search(rf"^  {command} +{purpose}$", text, re.MULTILINE)


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ccproxy {metadata.version('ccproxy-streaming')}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: ccproxy"),
        (["tranlate"], "unknown command 'tranlate'; did you mean translate?"),
        (["xyzzy"], "unknown command 'xyzzy'\n"),
        (["--from", "anthropic"], "unrecognized arguments"),
        (["translate"], "the following arguments are required: --from, --to"),
        (["translate", "--from", "antropic", "--to", "openai-chat"], "did you mean anthropic?"),
        (["translate", "--from", "anthropic", "--to", "openai"], "did you mean openai-chat"),
        (["translate", "--from", "anthropic", "--to", "auto"], "unknown dialect 'auto'"),
        (["translate", "--from", "auto", "--to", "qqqq"], "known are anthropic,"),
        (["translate", "--from", "a/b", "--to", "anthropic"], "unknown dialect 'a/b'"),
        (["translate", "--from", "", "--to", "anthropic"], "unknown dialect ''"),
        (
            ["translate", "--from", "openai-chat", "--to", "anthropic", "--quirk", "thinktags"],
            "did you mean think-tags?",
        ),
        (["translate", "--from", "anthropic", "--to", "anthropic", "--quirk", "x"], "unknown quirk 'x' for anthropic"),
        (["translate", "--from", "anthropic", "--to", "openai-chat", "--reasoning", "loud"], "thinking-xml"),
        (["translate", "--from", "anthropic", "--to", "openai-chat", "--loss"], "unrecognized arguments: --loss"),
        (["collect", "--from", "anthropic", "--to", "gemni"], "unknown dialect 'gemni'"),
        (["collect", "--from", "anthropic", "--indent", "many"], "must be a number from 0 to 16, not 'many'"),
        (["collect", "--from", "anthropic", "--indent", "17"], "must be a number from 0 to 16, not '17'"),
        (["dialects", "all"], "unrecognized arguments: all"),
        (["demo", "--from", "claude"], "unknown dialect 'claude'"),
    ],
)
def test_misuse(arguments: list[str], words: str, capsys: Capture, tmp_path: Path) -> None:
    if arguments[:1] == ["translate"]:
        (tmp_path / "empty").touch()
        arguments = [*arguments, str(tmp_path / "empty")]
    assert main(arguments) == _io.MISUSE
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""


@pytest.mark.parametrize("command", ["translate --from auto --to openai-chat", "collect --from auto", "demo --print"])
def test_input_that_cannot_be_read(command: str, capsys: Capture, tmp_path: Path) -> None:
    for name, why in [("absent", "No such file or directory"), ("", "Is a directory"), ("a\0b", "null byte")]:
        path = str(tmp_path / name) if name else str(tmp_path)
        assert main([*command.split(), path]) == _io.IO_ERROR
        output = capsys.readouterr()
        assert output.err == f"ccproxy: cannot read {path!r}: {why}\n".replace("null byte", "embedded null byte")
        assert output.out == ""


def test_runs_as_a_module() -> None:
    result = ccproxy("--version")
    assert result.returncode == 0
    assert result.stdout.startswith(b"ccproxy ")


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        ("--help", ["msgspec", "ccproxy.translator", "ccproxy.dialects"]),
        (
            "translate --from anthropic --to anthropic",
            ["rich", "asyncio", "importlib.metadata", "difflib", "ccproxy.dialects.openai_chat", "ccproxy.cli._sniff"],
        ),
    ],
)
def test_imports_no_more_than_it_needs(arguments: str, unwanted: list[str]) -> None:
    code = (
        "import sys\nfrom ccproxy.cli import main\n"
        f"main({arguments.split()!r})\n"
        f"sys.exit(', '.join(name for name in {unwanted!r} if name in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=b"".join(ANTHROPIC),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
        env=ENVIRONMENT,
        check=False,
    )
    assert result.stderr == b"\n"  # what sys.exit says about none of them
