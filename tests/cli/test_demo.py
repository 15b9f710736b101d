"""`ccproxy demo`: every dialect, every loss, the whole response."""

import json
import os
import sys
from pathlib import Path

import pytest

from ccproxy import Translator, collect, dialects
from ccproxy.cli import _io, demo, main
from ccproxy.cli._options import loss_line
from tests.cli.streams import ANTHROPIC, COMMAND, CUT, ENVIRONMENT

Capture = pytest.CaptureFixture[str]
BUNDLED = Path(demo.__file__).with_name("demo.sse")


def body(out: str) -> object:
    return json.loads(out.rpartition("===\n")[2])


def test_bundled_answer(capsys: Capture) -> None:
    assert main(["demo"]) == 0
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
    monkeypatch.setattr(demo, "sleep", lambda seconds: pytest.fail("slept"))
    assert main(["demo"]) == 0
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
