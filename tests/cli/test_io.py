"""Input and output: live, interrupted, broken, full, closed."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from ccproxy.cli import _io, main
from tests.cli.streams import ANTHROPIC, CHAT, COMMAND, ENVIRONMENT, TIMEOUT, ccproxy, running

TO_CHAT = ("translate", "--from", "anthropic", "--to", "openai-chat")
posix = pytest.mark.skipif(os.name != "posix", reason="needs the pipes and signals of POSIX")


def read_until(stream: IO[bytes], mark: bytes) -> bytes:
    """What the command writes, up to the mark. Fails if it writes nothing for too long, or ends."""
    data = b""
    while mark not in data:
        ready, _, _ = select.select([stream], [], [], TIMEOUT)
        assert ready, f"{mark!r} did not come; there was {data!r}"
        piece = os.read(stream.fileno(), 65536)
        assert piece, f"the output ended before {mark!r} came; there was {data!r}"
        data += piece
    return data


@posix
@pytest.mark.parametrize("source", ["anthropic", "auto"])
def test_a_line_in_a_line_out(source: str) -> None:
    with running("translate", "--from", source, "--to", "openai-chat") as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(ANTHROPIC[0])
        read_until(process.stdout, b'"role":"assistant"')
        process.stdin.write(ANTHROPIC[1])
        for frame, text in zip(ANTHROPIC[2:5], (b"One", b" two", b" three"), strict=True):
            process.stdin.write(frame)
            assert read_until(process.stdout, b"\n\n").count(b'"content":"%b"' % text) == 1
        process.stdin.write(b"".join(ANTHROPIC[5:]))
        process.stdin.close()
        read_until(process.stdout, b"data: [DONE]\n\n")
        assert process.wait(TIMEOUT) == 0


@posix
def test_same_dialect_is_live_too() -> None:
    with running("translate", "--from", "auto", "--to", "openai-chat") as process:
        assert process.stdin is not None and process.stdout is not None
        for frame in CHAT:
            process.stdin.write(frame[:-3])
            process.stdin.write(frame[-3:])
            assert read_until(process.stdout, b"\n\n") == frame
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0


@posix
def test_stops_reading_when_the_stream_has_failed() -> None:
    with running(*TO_CHAT) as process:
        assert process.stdin is not None
        process.stdin.write(b"event: message_start\ndata: {broken\n\n")
        assert process.wait(TIMEOUT) == _io.FAILED  # though its input is still open


@posix
def test_ctrl_c() -> None:
    with running(*TO_CHAT) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(ANTHROPIC[0])
        read_until(process.stdout, b"\n\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == _io.INTERRUPTED
        assert process.stderr.read() == b""


@posix
@pytest.mark.parametrize(
    "command", ["translate --from anthropic --to openai-chat", "demo --print", "dialects", "collect --from auto"]
)
def test_broken_pipe_is_quiet(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [*COMMAND, *command.split()],
            input=b"".join(ANTHROPIC),
            stdout=writer,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (_io.PIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "command", ["--help", "--version", "dialects", "demo --print", "collect --from auto", " ".join(TO_CHAT)]
)
def test_full_disk(command: str) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [*COMMAND, *command.split()],
            input=b"".join(ANTHROPIC),
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            timeout=TIMEOUT,
            check=False,
        )
    assert result.returncode == _io.IO_ERROR
    assert result.stderr == b"ccproxy: cannot write standard output: No space left on device\n"


@posix
@pytest.mark.parametrize(
    ("closed", "words"), [("<&-", b"standard input is closed"), (">&-", b"standard output is closed")]
)
def test_closed_streams(closed: str, words: bytes) -> None:
    result = subprocess.run(
        ["sh", "-c", f'"$PYTHON" -m ccproxy {" ".join(TO_CHAT)} {closed}'],
        env={**ENVIRONMENT, "PYTHON": sys.executable},
        input=b"".join(ANTHROPIC),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == _io.IO_ERROR
    assert result.stderr == b"ccproxy: %b\n" % words


@posix
def test_pipes_that_do_not_block() -> None:
    """A parent that made its end non-blocking (node does) changes ours as well."""
    in_reader, in_writer = os.pipe()
    out_reader, out_writer = os.pipe()
    os.set_blocking(in_reader, False)
    os.set_blocking(out_writer, False)
    long = ANTHROPIC[2].replace(b"One", b"1" * 300_000)  # more than a pipe holds
    with subprocess.Popen([*COMMAND, *TO_CHAT], stdin=in_reader, stdout=out_writer, env=ENVIRONMENT) as process:
        os.close(in_reader)
        os.close(out_writer)
        with open(out_reader, "rb", buffering=0) as output:
            os.write(in_writer, ANTHROPIC[0])
            data = read_until(output, b"\n\n")
            with open(in_writer, "wb") as writer:
                writer.write(ANTHROPIC[1] + long + b"".join(ANTHROPIC[3:]))
            data += output.readall()
        assert process.wait(TIMEOUT) == 0
    assert data.count(b"1" * 300_000) == 1
    assert data.endswith(b"data: [DONE]\n\n")


def test_output_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "in.sse", tmp_path / "out.sse"
    source.write_bytes(b"".join(ANTHROPIC))
    assert main([*TO_CHAT, str(source), "-o", str(target)]) == 0
    assert target.read_bytes().endswith(b"data: [DONE]\n\n")
    assert main(["collect", "--from", "openai-chat", str(target), "-o", str(tmp_path / "body.json")]) == 0
    assert (tmp_path / "body.json").read_bytes().startswith(b'{\n  "id": "chatcmpl-')
    assert capsys.readouterr() == ("", "")


def test_output_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.sse"
    source.write_bytes(b"".join(ANTHROPIC))
    for command in (TO_CHAT, ("collect", "--from", "auto")):
        assert main([*command, str(source), "-o", str(tmp_path / "no" / "where")]) == _io.IO_ERROR
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.endswith("where': No such file or directory\n")


@posix
def test_the_input_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, link = tmp_path / "in.sse", tmp_path / "link.sse"
    source.write_bytes(b"".join(ANTHROPIC))
    link.symlink_to(source)
    for command in (TO_CHAT, ("collect", "--from", "auto")):
        assert main([*command, str(source), "-o", str(link)]) == _io.MISUSE
        assert "is the input" in capsys.readouterr().err
    with source.open("rb") as stdin:
        result = subprocess.run(
            [*COMMAND, *TO_CHAT, "-o", str(link)],
            stdin=stdin,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=TIMEOUT,
            check=False,
        )
    assert result.returncode == _io.MISUSE
    assert source.read_bytes() == b"".join(ANTHROPIC)


def test_a_missing_input_leaves_the_output_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.sse"
    target.write_bytes(b"precious")
    assert main([*TO_CHAT, str(tmp_path / "absent"), "-o", str(target)]) == _io.IO_ERROR
    assert main(["collect", "--from", "anthropic", os.devnull, "-o", str(target)]) == _io.FAILED
    assert target.read_bytes() == b"precious"


def test_what_is_said_cannot_steer_a_terminal() -> None:
    assert _io.printable("a\x1b[31m\nb\x9b\u202e\ud800é🥐") == "a\\x1b[31m\\nb\\x9b\\u202e\\ud800é🥐"
    frame = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"a\\u001b[2J\\nb"}}\n\n'
    result = ccproxy(*TO_CHAT, stdin=frame)
    assert result.returncode == _io.FAILED
    assert b"a\\x1b[2J\\nb" in result.stderr
    assert result.stderr.count(b"\n") == 1
