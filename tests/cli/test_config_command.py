"""`ccproxy config`."""

import tomllib
from pathlib import Path

import pytest

from ccproxy.cli import _io, main
from ccproxy.gateway.config import load
from tests.cli.gateways import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATEWAY_CLIENT_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def example(folder: Path, capsys: Capture) -> Path:
    assert main(["config", "example"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    path = folder / "ccproxy.toml"
    path.write_text(out, encoding="utf-8")
    return path


def test_the_example_passes_when_its_variables_are_set(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = example(tmp_path, capsys)
    for name, where in [("ANTHROPIC_API_KEY", "upstreams.anthropic.key"), ("GATEWAY_CLIENT_KEY", "client_keys")]:
        assert main(["config", "check", "--config", str(path)]) == _io.MISUSE
        out, err = capsys.readouterr()
        assert where in err and out == ""
        monkeypatch.setenv(name, f"the secret of {name}")
    assert main(["config", "check", "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "the secret of" not in out
    (tmp_path / "effective.toml").write_text(out, encoding="utf-8")
    assert load(tmp_path / "effective.toml", {}) == load(path, {})
    assert main(["config", "check", "--upstream", "http://localhost", "--upstream-dialect", "openai-chat"]) == 0
    assert capsys.readouterr().err == ""  # the example's variables are nobody's mistake without the example


def test_a_key_that_is_not_there(capsys: Capture, tmp_path: Path) -> None:
    for reference, why in [
        ("env:CCPROXY_TEST_ABSENT", "the environment variable CCPROXY_TEST_ABSENT is not set"),
        ("file:/absent", "the key file /absent can't be read: No such file or directory"),
    ]:
        flags = ["--upstream", "http://x", "--upstream-dialect", "gemini", "--key", reference]
        assert main(["config", "check", *flags]) == _io.MISUSE
        said = f"upstreams.default.key: {why}; what the configuration names must be there"
        assert capsys.readouterr().err == f"ccproxy: {said}\n"


def test_a_mistake_is_told_with_its_line(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("port = 1\n\n[limits]\nmax_bdy = 1\n")
    assert main(["config", "check", "--config", str(path)]) == _io.MISUSE
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"ccproxy: {path}, line 4: there is no 'max_bdy' in limits; do you mean 'max_body'?\n"


def test_flags_become_one_upstream_for_everything(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k\n")
    path = tmp_path / "c.toml"
    path.write_text("[upstreams.a]\ndialect = 'gemini'\nurl = 'http://a'\n[[models]]\nmatch = 'x'\nupstream = 'a'\n")
    flags = [
        *("--upstream", "http://x/v1", "--upstream-dialect", "openai-chat", "--key", f"file:{tmp_path}/key"),
        *("--model", "m", "--quirk", "think-tags", "--normalize", "--always-stream", "--max-tokens", "100"),
    ]
    assert main(["config", "check", "--config", str(path), *flags]) == 0
    whole = tomllib.loads(capsys.readouterr().out)
    assert set(whole["upstreams"]) == {"a", "default"}
    upstream = whole["upstreams"]["default"]
    expected = {
        "url": "http://x/v1",
        "dialect": "openai-chat",
        "key": f"file:{tmp_path}/key",
        "forward_key": False,
        "quirks": ["think-tags"],
        "normalize": True,
        "stream": "always",
    }
    assert {name: upstream[name] for name in expected} == expected
    assert upstream["options"]["max_tokens"] == 100
    assert whole["models"] == [{"match": "*", "upstream": "default", "model": "m", "fallback": []}]


def test_forwarded_keys(capsys: Capture) -> None:
    flags = ["--upstream", "http://x", "--upstream-dialect", "gemini", "--forward-key"]
    assert main(["config", "check", *flags]) == 0
    assert tomllib.loads(capsys.readouterr().out)["upstreams"]["default"]["forward_key"] is True
    assert main(["config", "check", *flags, "--key", "env:A"]) == _io.MISUSE
    assert "only one can be sent" in capsys.readouterr().err


def test_it_needs_no_extra() -> None:
    """In a process of its own, and with the environment."""
    result = run("config", "check", CCPROXY_UPSTREAMS__A__URL="http://x", CCPROXY_UPSTREAMS__A__DIALECT="anthropic")
    assert (result.returncode, result.stderr) == (0, "")
    assert tomllib.loads(result.stdout)["upstreams"]["a"]["url"] == "http://x"


def test_misuse(capsys: Capture) -> None:
    assert main(["config"]) == _io.MISUSE
    assert main(["config", "chekc"]) == _io.MISUSE
    assert "invalid choice: 'chekc'" in capsys.readouterr().err
