"""`ccproxy collect`: the body, and nothing but an explanation where there is none."""

import json
from pathlib import Path

import pytest

from ccproxy import collect
from ccproxy.cli import _io, main
from ccproxy.dialects import names
from tests.cli.streams import ANTHROPIC, CHAT_ERROR, CUT, OVERLOADED

Capture = pytest.CaptureFixture[str]
DATA = b"".join(ANTHROPIC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "in.sse"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("source", ["anthropic", "auto"])
@pytest.mark.parametrize("target", [None, *names()])
def test_body(target: str | None, source: str, path: Path, capsys: Capture) -> None:
    assert main(["collect", "--from", source, *(["--to", target] if target else []), str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    created = json.loads(out).get("created", json.loads(out).get("created_at", 0))
    assert json.loads(out) == collect(DATA, "anthropic", target, created=created)


def test_indent(path: Path, capsys: Capture) -> None:
    bodies = {}
    for width in ("0", "2", "4"):
        assert main(["collect", "--from", "anthropic", "--indent", width, str(path)]) == 0
        bodies[width] = capsys.readouterr().out
    assert bodies["0"].count("\n") == 1
    assert bodies["2"].startswith('{\n  "id"') and bodies["2"].endswith("\n}\n")
    assert bodies["4"].startswith('{\n    "id"')
    assert len({json.dumps(json.loads(body)) for body in bodies.values()}) == 1


def test_halves_of_surrogate_pairs_survive(path: Path, capsys: Capture) -> None:
    path.write_bytes(DATA.replace(b"One", b"\\ud83d"))
    assert main(["collect", "--from", "anthropic", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["content"][0]["text"] == "\ud83d two three"


def test_losses_of_the_body(path: Path, capsys: Capture) -> None:
    assert (
        main(["collect", "--from", "anthropic", "--to", "openai-chat", "--losses", "--model", "mine", str(path)]) == 0
    )
    out, err = capsys.readouterr()
    assert "lost: which stop sequence was met: END" in err.splitlines()
    assert json.loads(out)["model"] == "mine"


@pytest.mark.parametrize("source", ["anthropic", "auto"])
@pytest.mark.parametrize(
    "data", [b"".join(CUT), b"".join([*CUT, *OVERLOADED]), b"".join(OVERLOADED), CHAT_ERROR, b"", b"<html>"]
)
def test_no_body_of_a_stream_that_failed(data: bytes, source: str, path: Path, capsys: Capture) -> None:
    path.write_bytes(data)
    assert main(["collect", "--from", source, str(path)]) == _io.FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ccproxy: the ")
    assert err.count("\n") == 1
