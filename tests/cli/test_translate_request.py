"""`ccproxy translate --request`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccproxy import cli

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "seed": 7}
PAIR = ["translate", "--request", "--from", "openai-chat", "--to", "anthropic"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(BODY))
    return str(path)


def test_a_request(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*PAIR, "--losses", "--model", "claude-sonnet-4-5", "--set", "max_tokens=77", file]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 77,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert "seed" in err
    assert "max_tokens" in err


def test_a_refused_request_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"model": "m", "messages": [{"role": "usr", "content": "Hi"}]}))
    assert cli.main([*PAIR, str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "messages[0].role" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "max_tokens"], "NAME=VALUE"),
        (["--set", "limit=1"], "unknown option 'limit'"),
        (["--set", "max_tokens=many"], "max_tokens"),
        (["--set", "thinking=hard"], "thinking"),
    ],
)
def test_wrong_options(arguments: list[str], said: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*PAIR, *arguments, file]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "--request", "--from", "auto", "--to", "gemini"],
        ["translate", "--request", "--response", "--from", "gemini", "--to", "gemini"],
        ["translate", "--set", "max_tokens=1", "--from", "gemini", "--to", "gemini"],
    ],
)
def test_what_does_not_go_together(arguments: list[str], file: str) -> None:
    assert cli.main([*arguments, file]) == 2
