"""`ccproxy translate`: what comes out, what is said about it, and the exit code."""

import json
import os
from pathlib import Path
from typing import get_args

import pytest

from ccproxy import translate, translate_response
from ccproxy.cli import _io, main
from ccproxy.cli._options import LOSS_WORDS
from ccproxy.core.vocab import LossKind
from ccproxy.dialects import names
from tests.cli.streams import ANTHROPIC, CHAT, CHAT_ERROR, CUT, OVERLOADED, ccproxy
from tests.corpus import Stream, each_stream
from tests.laws.frames import frames

Capture = pytest.CaptureFixture[bytes]


def run(capfdbinary: Capture, tmp_path: Path, data: bytes, *arguments: str) -> tuple[int, bytes, str]:
    """Exit code, output, and what was said."""
    (tmp_path / "in.sse").write_bytes(data)
    code = main(["translate", *arguments, str(tmp_path / "in.sse")])
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


@pytest.mark.parametrize("target", names())
def test_is_what_the_library_writes(target: str, capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"".join(CHAT)
    code, out, err = run(capfdbinary, tmp_path, data, "--from", "openai-chat", "--to", target)
    assert (code, err) == (0, "")
    assert out == b"".join(translate(data, "openai-chat", target))


def test_reads_standard_input() -> None:
    data = b"".join(CHAT)
    for dash in ([], ["-"]):
        result = ccproxy("translate", "--from", "openai-chat", "--to", "anthropic", *dash, stdin=data)
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout == b"".join(translate(data, "openai-chat", "anthropic"))


def test_the_clock_is_passed(capfdbinary: Capture, tmp_path: Path) -> None:
    _, out, _ = run(capfdbinary, tmp_path, b"".join(ANTHROPIC), "--from", "anthropic", "--to", "openai-chat")
    assert b'"created":0' not in out
    assert b'"created":' in out


def test_losses(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"".join(ANTHROPIC)
    code, _, err = run(capfdbinary, tmp_path, data, "--from", "anthropic", "--to", "openai-chat", "--losses")
    assert code == 0
    assert "lost: which stop sequence was met: END" in err.splitlines()
    code, _, err = run(capfdbinary, tmp_path, data, "--from", "anthropic", "--to", "anthropic", "--losses")
    assert (code, err) == (0, "nothing was lost\n")


def test_every_kind_of_loss_has_words() -> None:
    assert set(LOSS_WORDS) == set(get_args(LossKind))


def test_options(capfdbinary: Capture, tmp_path: Path) -> None:
    chat = b"".join(CHAT)
    _, out, _ = run(
        capfdbinary,
        tmp_path,
        chat,
        "--from",
        "openai-chat",
        "--to",
        "anthropic",
        "--quirk",
        "think-tags",
        "--model",
        "mine",
    )
    assert b'"thinking_delta","thinking":"hm"' in out
    assert b'"model":"mine"' in out
    _, out, _ = run(
        capfdbinary, tmp_path, b"".join(ANTHROPIC), "--from", "anthropic", "--to", "openai-chat", "--no-usage"
    )
    assert b"prompt_tokens" not in out
    arguments = ["--from", "openai-chat", "--to", "openai-chat", "--normalize", "--quirk", "think-tags"]
    for style, words in [("reasoning", b'"reasoning":"hm"'), ("none", b"")]:
        _, out, _ = run(capfdbinary, tmp_path, chat, *arguments, "--reasoning", style)
        assert words in out and b'"reasoning_content":"hm"' not in out


def test_same_dialect_is_untouched(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b": hello\r\n\r\n" + b"".join(CHAT).replace(b"\n", b"\r\n")
    code, out, err = run(capfdbinary, tmp_path, data, "--from", "openai-chat", "--to", "openai-chat")
    assert (code, out, err) == (0, data, "")
    code, out, err = run(capfdbinary, tmp_path, data, "--from", "openai-chat", "--to", "openai-chat", "--model", "mine")
    assert (code, out) == (0, data)
    assert "need --normalize" in err


def test_cut_stream(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"".join(CUT)
    code, out, err = run(capfdbinary, tmp_path, data, "--from", "anthropic", "--to", "openai-chat")
    assert code == _io.FAILED
    assert b'" two"' in out and b"[DONE]" not in out
    assert out.rstrip().rpartition(b"\n\n")[2].startswith(b'data: {"error":{"message":')
    assert err.startswith(f"ccproxy: the stream failed at event 4 (counted from 0), byte {len(data)}: truncated: ")
    assert err.count("\n") == 1


def test_provider_error(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"".join([*CUT, *OVERLOADED])
    for source in ("anthropic", "auto"):
        code, out, err = run(capfdbinary, tmp_path, data, "--from", source, "--to", "openai-chat")
        assert code == _io.FAILED
        assert b'{"error":{"message":"Overloaded"' in out
        assert err == (
            "ccproxy: the provider reported an error at event 4 (counted from 0), "
            f"byte {len(b''.join(CUT))}: overloaded: Overloaded\n"
        )


def test_pass_through_goes_on_after_a_providers_error(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"".join([*CUT, *OVERLOADED]) + b": the end\n\n"
    code, out, _ = run(capfdbinary, tmp_path, data, "--from", "anthropic", "--to", "anthropic")
    assert (code, out) == (_io.FAILED, data)


@pytest.mark.parametrize(
    ("data", "message", "words"),
    [
        (
            b"".join(OVERLOADED),
            b"Overloaded",
            "the provider reported an error at event 0 (counted from 0), byte 0: overloaded",
        ),
        (CHAT_ERROR, b"You have no quota", "the provider reported an error at event 0"),
        (CHAT_ERROR.removeprefix(b"data: "), b"You have no quota", "the provider reported an error at event 0"),
        (CHAT_ERROR.removeprefix(b"data: ").strip(), b"You have no quota", "the provider reported an error"),
        (
            b"<html><body>502</body></html>\n",
            b"HTML in the place of an event stream",
            "HTML in the place of an event stream",
        ),
        (b"upstream connect error", b"not an event stream", "not an event stream: 'upstream connect error'"),
        (b"", b"the stream is empty", "truncated: the stream is empty"),
        (b"data: [DONE]\n\n", b"the stream is empty", "truncated: the stream is empty"),
        (b'data: {"unheard":"of"}\n\n' * 3, b"no dialect recognises this stream", "name it with --from"),
    ],
)
@pytest.mark.parametrize("target", names())
def test_auto_on_what_is_no_stream(
    target: str, data: bytes, message: bytes, words: str, capfdbinary: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capfdbinary, tmp_path, data, "--from", "auto", "--to", target)
    assert code == _io.FAILED
    assert message in out
    assert words in err
    # What came out is the target's error form: its own reader takes it for one.
    again, _, _ = run(capfdbinary, tmp_path, out, "--from", target, "--to", target, "--normalize")
    assert again == _io.FAILED


@each_stream(tier="core")
def test_auto_finds_the_dialect(stream: Stream, capfdbinary: Capture) -> None:
    target = names()[0]
    named = main(["translate", "--from", stream.dialect, "--to", target, str(stream.path)])
    expected = capfdbinary.readouterr()
    if named == 0:
        assert main(["translate", "--from", "auto", "--to", target, str(stream.path)]) == 0
        assert _without_clock(capfdbinary.readouterr().out) == _without_clock(expected.out)
    else:
        assert (named, expected.out != b"") == (_io.FAILED, True)
        assert main(["translate", "--from", "auto", "--to", target, str(stream.path)]) == _io.FAILED


def _without_clock(data: bytes) -> bytes:
    return b"\n".join(line for line in data.split(b"\n") if b'"created' not in line)


def test_auto_gives_up_in_time(capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ccproxy.cli._sniff._LIMIT", 1000)
    late = b'data: {"unheard":"of"}\n\n' * 10_000 + b"".join(ANTHROPIC)
    code, _, err = run(capfdbinary, tmp_path, late, "--from", "auto", "--to", "openai-chat")
    assert code == _io.FAILED
    assert "no dialect recognises" in err


def test_auto_skips_what_says_nothing(capfdbinary: Capture, tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf: ping\r\n\r\n" + b"".join(ANTHROPIC).replace(b"\n", b"\r\n")
    code, out, _ = run(capfdbinary, tmp_path, data, "--from", "auto", "--to", "anthropic")
    assert (code, out) == (0, data)


def test_devnull_may_be_both_input_and_output() -> None:
    result = ccproxy("translate", "--from", "anthropic", "--to", "anthropic", os.devnull, "-o", os.devnull)
    assert result.returncode == _io.FAILED
    assert b"the stream is empty" in result.stderr


# Bodies

BODY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "One"}],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


@pytest.mark.parametrize("source", ["anthropic", "auto"])
def test_a_response_body(source: str, capfdbinary: Capture, tmp_path: Path) -> None:
    data = json.dumps(BODY).encode()
    for target in names():
        arguments = ("--response", "--from", source, "--to", target, "--model", "mine")
        code, out, err = run(capfdbinary, tmp_path, data, *arguments)
        assert (code, err) == (0, "")
        translated = translate_response(BODY, "anthropic", target, model="mine").body
        for body in (told := json.loads(out)), translated:
            body.pop("created", None), body.pop("created_at", None)
        assert told == translated
    assert out.count(b"\n") > 3


def test_a_response_body_in_the_same_dialect(capfdbinary: Capture, tmp_path: Path) -> None:
    arguments = ("--response", "--from", "anthropic", "--to", "anthropic")
    _, out, _ = run(capfdbinary, tmp_path, json.dumps(BODY | {"of_nobody": 1}).encode(), *arguments)
    assert json.loads(out) == BODY | {"of_nobody": 1}
    _, out, _ = run(capfdbinary, tmp_path, json.dumps(BODY).encode(), *arguments, "--normalize", "--model", "mine")
    assert json.loads(out) == BODY | {"model": "mine"}


def test_what_a_response_body_loses(capfdbinary: Capture, tmp_path: Path) -> None:
    arguments = ("--response", "--from", "anthropic", "--to", "openai-chat", "--losses", "-o", str(tmp_path / "out"))
    code, out, err = run(capfdbinary, tmp_path, json.dumps(BODY).encode(), *arguments)
    assert (code, out) == (0, b"")
    assert json.loads((tmp_path / "out").read_bytes())["choices"][0]["message"]["content"] == "One"
    assert "lost: which stop sequence was met: END" in err.splitlines()


@pytest.mark.parametrize("source", ["anthropic", "auto"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODY | {"content": [{"type": "text", "text": 5}]}, "protocol: content[0].text must be a string, not a number"),
        (BODY | {"stop_reason": None}, "truncated: the response does not say why the model stopped"),
        ([1, 2], "protocol: the body must be a JSON object, not '[1, 2]'"),
    ],
)
def test_a_bad_response_body(source: str, body: object, said: str, capfdbinary: Capture, tmp_path: Path) -> None:
    data = json.dumps(body).encode()
    code, out, err = run(capfdbinary, tmp_path, data, "--response", "--from", source, "--to", "openai-chat")
    assert (code, out, err) == (_io.FAILED, b"", f"ccproxy: the response can't be translated: {said}\n")


@pytest.mark.parametrize("source", ["anthropic", "auto"])
def test_an_error_body(source: str, capfdbinary: Capture, tmp_path: Path) -> None:
    data = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    code, out, err = run(capfdbinary, tmp_path, data, "--response", "--from", source, "--to", "openai-chat")
    assert (code, out, err) == (_io.FAILED, b"", "ccproxy: the provider reported an error: overloaded: Overloaded\n")


def test_a_body_of_nobody(capfdbinary: Capture, tmp_path: Path) -> None:
    code, out, err = run(capfdbinary, tmp_path, b"{}", "--response", "--from", "auto", "--to", "openai-chat")
    assert (code, out) == (_io.FAILED, b"")
    assert "no dialect recognises this response (known are " in err


def test_a_quirk_that_no_body_has(capfdbinary: Capture, tmp_path: Path) -> None:
    arguments = ("--response", "--from", "openai-chat", "--to", "anthropic", "--quirk", "think-tag")
    code, out, err = run(capfdbinary, tmp_path, b"{}", *arguments)
    assert (code, out) == (_io.MISUSE, b"")
    assert "did you mean think-tags" in err


# Arrays


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_the_dialect_of_an_array_is_found_out(start: bytes, capfdbinary: Capture, tmp_path: Path) -> None:
    events = [frame.data for frame in frames(b"".join(ANTHROPIC))]
    array = start + b"[" + b"\n,\r\n".join(data.replace(b",", b",\r\n\r\n", 1) for data in events if data) + b"]"
    _, expected, _ = run(capfdbinary, tmp_path, b"".join(ANTHROPIC), "--from", "anthropic", "--to", "openai-chat")
    for source in ("anthropic", "auto"):
        code, out, err = run(capfdbinary, tmp_path, array, "--from", source, "--to", "openai-chat")
        assert (code, err) == (0, "")
        assert len(frames(out)) == len(frames(expected))
        assert b"three" in out
        code, out, err = run(capfdbinary, tmp_path, array, "--from", source, "--to", "anthropic")
        assert (code, out, err) == (0, array, "")
