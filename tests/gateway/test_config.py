"""The configuration: what counts, and what is said about every mistake."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccproxy import dialects
from ccproxy.gateway import config
from ccproxy.gateway.config import Config, ConfigError, Target, as_toml, check_secrets, load, secret, upstream_keys

UPSTREAM = """\
[upstreams.main]
dialect = "anthropic"
url = "https://api.example.com"
"""
EXAMPLE = Path(config.__file__).with_name("example.toml")


def write(folder: Path, text: str) -> Path:
    path = folder / "ccproxy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistake(folder: Path, text: str, environment: dict[str, str] | None = None, **flags: Any) -> str:
    """What is said about a configuration, from the file's name on."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), environment or {}, flags)
    return str(caught.value).replace(f"{folder}/", "")


# What counts


def test_an_upstream_is_enough(tmp_path: Path) -> None:
    read = load(write(tmp_path, UPSTREAM), {})
    assert (read.host, read.port, read.log) == ("127.0.0.1", 8484, "auto")
    assert read.upstreams["main"].url == "https://api.example.com"
    assert read.route("anything") == (Target(upstream="main"),)


def test_flags_before_environment_before_file(tmp_path: Path) -> None:
    path = write(tmp_path, f"port = 1\nkeepalive = 1.0\ndrain = 1.0\n{UPSTREAM}")
    read = load(path, {"CCPROXY_KEEPALIVE": "2", "CCPROXY_DRAIN": "2"}, {"drain": 3})
    assert (read.port, read.keepalive, read.drain) == (1, 2.0, 3.0)


def test_environment_reaches_tables(tmp_path: Path) -> None:
    text = UPSTREAM.replace("main", "my-Server")
    environment = {
        "CCPROXY_LIMITS__MAX_BODY": "1000",
        "CCPROXY_UPSTREAMS__MY_SERVER__TIMEOUTS__IDLE": "7.5",
        "CCPROXY_UPSTREAMS__MY_SERVER__URL": "http://127.0.0.1:8080",
        "CCPROXY_UPSTREAMS__MY_SERVER__NORMALIZE": "true",
        "CCPROXY_CLIENT_KEYS": "env:A, file:/b",
        "CCPROXY_HOST": "127.1.1.1",
        "CCPROXY_MODELS": '[{match = "x", upstream = "my-Server"}]',
    }
    read = load(write(tmp_path, text), environment)
    upstream = read.upstreams["my-Server"]
    assert (upstream.timeouts.idle, upstream.url, upstream.normalize) == (7.5, "http://127.0.0.1:8080", True)
    assert read.limits.max_body == 1000
    assert read.client_keys == ("env:A", "file:/b")
    assert read.host == "127.1.1.1"
    assert [rule.match for rule in read.models] == ["x"]


def test_environment_alone() -> None:
    environment = {"CCPROXY_UPSTREAMS__A__URL": "http://localhost", "CCPROXY_UPSTREAMS__A__DIALECT": "openai-chat"}
    assert load(None, environment).upstreams["a"].dialect == "openai-chat"


def test_text_in_the_environment_may_look_like_a_number() -> None:
    flags = {"upstreams": {"a": {"url": "http://localhost", "dialect": "openai-chat"}}}
    assert load(None, {"CCPROXY_HOST": "localhost", "CCPROXY_LOG": "off"}, flags).log == "off"
    with pytest.raises(ConfigError, match=r"^the environment variable CCPROXY_LOG: log: '1' is not known"):
        load(None, {"CCPROXY_LOG": "1"}, flags)


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    environment = {"CCPROXY_CORPUS": "x", "CCPROXY_TEAM__NAME": "x", "PORT": "x", "CCPROXY_CLIENT_KEY": "the key"}
    read = load(write(tmp_path, f'client_keys = ["env:CCPROXY_CLIENT_KEY"]\n{UPSTREAM}'), environment)
    assert read == load(write(tmp_path, f'client_keys = ["env:CCPROXY_CLIENT_KEY"]\n{UPSTREAM}'), {})


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    """Windows' Notepad and PowerShell write one."""
    assert load(write(tmp_path, f"\ufeff{UPSTREAM}"), {}) == load(write(tmp_path, UPSTREAM), {})


def test_it_is_frozen(tmp_path: Path) -> None:
    read = load(write(tmp_path, UPSTREAM), {})
    with pytest.raises(AttributeError):
        read.port = 1  # type: ignore[misc]


def test_routes(tmp_path: Path) -> None:
    rules = """
[[models]]
match = "claude-sonnet[1m]"
upstream = "main"
[[models]]
match = "claude-?-*"
upstream = "other"
model = "x"
fallback = [{ upstream = "main" }, { upstream = "main", model = "y" }]
"""
    read = load(write(tmp_path, UPSTREAM + UPSTREAM.replace("main", "other") + rules), {})
    assert read.route("claude-sonnet[1m]") == (Target(upstream="main"),)
    assert read.route("claude-3-x") == (
        Target(upstream="other", model="x"),
        Target(upstream="main"),
        Target(upstream="main", model="y"),
    )
    assert read.route("claude-sonnet1") == read.route("Claude-3-x") == read.route("gpt") == ()


# Mistakes

LONG = UPSTREAM + "".join(f"# {i}\n" for i in range(3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # names
        (f"prot = 1\n{UPSTREAM}", ", line 1: there is no 'prot'; do you mean 'port'?"),
        (f"\n\nxyzzy = 1\n{UPSTREAM}", ", line 3: there is no 'xyzzy'; known are host, port, upstreams, models,"),
        (f"{UPSTREAM}ulr = 1\n", ", line 4: there is no 'ulr' in upstreams.main; do you mean 'url'?"),
        (
            f"{LONG}[upstreams.main.timeouts]\nconnect = 1.0\nidel = 1\n",
            ", line 9: there is no 'idel' in upstreams.main.timeouts; do you mean 'idle'?",
        ),
        (f"{UPSTREAM}timeouts = {{ idel = 1 }}\n", ", line 4: there is no 'idel' in upstreams.main.timeouts; do you"),
        (f"{UPSTREAM}timeouts.idel = 1\n", ", line 4: there is no 'idel' in upstreams.main.timeouts; do you mean"),
        (
            f'{UPSTREAM}[[models]]\nmatch = "a"\nupstream = "main"\n[[models]]\nmatch = "b"\nupstraem = "main"\n',
            ", line 9: there is no 'upstraem' in models[1]; do you mean 'upstream'?",
        ),
        # types
        (f'port = "1"\n{UPSTREAM}', ", line 1: port: must be a whole number, not text"),
        (f"port = true\n{UPSTREAM}", ", line 1: port: must be a whole number, not true or false"),
        (f"port = 1.5\n{UPSTREAM}", ", line 1: port: must be a whole number, not a number"),
        (f"host = 1\n{UPSTREAM}", ", line 1: host: must be text, not a whole number"),
        (f"host = 2026-11-22\n{UPSTREAM}", ", line 1: host: must be text, not a date or time"),
        (f'client_keys = "env:A"\n{UPSTREAM}', ", line 1: client_keys: must be an array, not text"),
        (f"client_keys = [\n  'env:A',\n  1,\n]\n{UPSTREAM}", ", line 1: client_keys[1]: must be text, not a whole"),
        (f"limits = 1\n{UPSTREAM}", ", line 1: limits: must be a table, not a whole number"),
        (f"models = [1]\n{UPSTREAM}", ", line 1: models[0]: must be a table, not a whole number"),
        ("[[upstreams]]\nurl = 'x'\n", ", line 1: upstreams: must be a table, not an array"),
        ("upstreams.a = 'x'\n", ", line 1: upstreams.a: must be a table, not text"),
        (f"{UPSTREAM}normalize = 'yes'\n", ", line 4: upstreams.main.normalize: must be true or false, not text"),
        (f"{UPSTREAM}headers.x = 1\n", ", line 4: upstreams.main.headers.x: must be text, not a whole number"),
        (
            f"{UPSTREAM}[upstreams.main.timeouts]\nidle = '1'\n",
            ", line 5: upstreams.main.timeouts.idle: must be a number, not text",
        ),
        (f"log = 'jsn'\n{UPSTREAM}", ", line 1: log: 'jsn' is not known; do you mean 'json'?"),
        (f"log = 1\n{UPSTREAM}", ", line 1: log: 1 is not known; known are auto, json, text, off"),
        (f"{UPSTREAM}stream = 'allways'\n", ", line 4: upstreams.main.stream: 'allways' is not known; do you mean"),
        # missing
        ("", ": no upstream; give --upstream and --upstream-dialect, or [upstreams.NAME]"),
        ("[upstreams.main]\nurl = 'http://x'\n", ", line 1: upstreams.main: 'dialect' is missing"),
        ("[upstreams.main]\ndialect = 'gemini'\n", ", line 1: upstreams.main: 'url' is missing"),
        (f"{UPSTREAM}[[models]]\nmatch = 'x'\n", ", line 4: models[0]: 'upstream' is missing"),
        # numbers
        (f"port = 65536\n{UPSTREAM}", ", line 1: port: 65536 is no port"),
        (f"port = -1\n{UPSTREAM}", ", line 1: port: -1 is no port"),
        (f"drain = -1\n{UPSTREAM}", ", line 1: drain: must not be negative or endless, but is -1"),
        (f"keepalive = inf\n{UPSTREAM}", ", line 1: keepalive: must not be negative or endless, but is inf"),
        (f"keepalive = nan\n{UPSTREAM}", ", line 1: keepalive: must not be negative or endless, but is nan"),
        (f"remember_calls = -1\n{UPSTREAM}", ", line 1: remember_calls: must not be negative"),
        (f"limits.max_body = 0\n{UPSTREAM}", ", line 1: limits.max_body: must be positive"),
        (f"limits.header_timeout = 0\n{UPSTREAM}", ", line 1: limits.header_timeout: must be positive"),
        (f"{UPSTREAM}retries.attempts = 0\n", ", line 4: upstreams.main.retries.attempts: must be positive"),
        (f"{UPSTREAM}options.max_tokens = 0\n", ", line 4: upstreams.main.options.max_tokens: must be positive"),
        # what does not exist
        (
            UPSTREAM.replace("anthropic", "antropic"),
            ", line 2: upstreams.main.dialect: unknown dialect 'antropic'; do you mean 'anthropic'?",
        ),
        (
            UPSTREAM.replace("anthropic", "qqqq"),
            f", line 2: upstreams.main.dialect: unknown dialect 'qqqq'; known are {', '.join(dialects.names())}",
        ),
        (f"{UPSTREAM}quirks = ['x']\n", ", line 4: upstreams.main.quirks[0]: unknown quirk 'x'; known are "),
        (
            f"{UPSTREAM.replace('anthropic', 'openai-chat')}quirks = ['thinktags']\n",
            ", line 4: upstreams.main.quirks[0]: unknown quirk 'thinktags'; do you mean 'think-tags'?",
        ),
        (
            f"{UPSTREAM}[[models]]\nmatch = '*'\nupstream = 'mian'\n",
            ", line 6: models[0].upstream: there is no upstream 'mian'; do you mean 'main'?",
        ),
        (
            f"{UPSTREAM}[[models]]\nmatch = '*'\nupstream = 'zzz'\n",
            ", line 6: models[0].upstream: there is no upstream 'zzz'; known are main",
        ),
        (
            f"{UPSTREAM}[[models]]\nmatch = '*'\nupstream = 'main'\n[[models.fallback]]\nupstream = 'mani'\n",
            ", line 8: models[0].fallback[0].upstream: there is no upstream 'mani'; do you mean 'main'?",
        ),
        (f"{UPSTREAM}[[models]]\nmatch = ''\nupstream = 'main'\n", ", line 5: models[0].match: is empty; '*' matches"),
        # URLs
        *(
            (UPSTREAM.replace("https://api.example.com", url), f", line 3: upstreams.main.url: {url!r} is no URL like")
            for url in (
                *("api.example.com", "ftp://api.example.com", "https://", "https:///v1", "https://a/v1?key=x"),
                *("https://user@a", "https://a:99999", "https://a:port", "https://a b", "https://[::1"),
            )
        ),
        # keys
        (f"{UPSTREAM}key = 'sk-ant-1'\n", ", line 4: upstreams.main.key: a key is named by env:NAME or file:PATH"),
        (f"{UPSTREAM}key = 'env:'\n", ", line 4: upstreams.main.key: a key is named by env:NAME or file:PATH"),
        (f"client_keys = ['secret']\n{UPSTREAM}", ", line 1: client_keys[0]: a key is named by env:NAME or file:PATH"),
        (f"client_keys = ['']\n{UPSTREAM}", ", line 1: client_keys[0]: a key is named by env:NAME or file:PATH"),
        (
            f"{UPSTREAM}headers.X-API-Key = 'sk-1'\n",
            ", line 4: upstreams.main.headers.X-API-Key: a key is named by `key` of the upstream, never written here",
        ),
        (
            f"{UPSTREAM}headers.api-key = 'env:'\n",
            ", line 4: upstreams.main.headers.api-key: a key is named by `key` of the upstream, never written here; a",
        ),
        (
            f"client_keys = ['env:A']\n{UPSTREAM}forward_key = true\n",
            ", line 5: upstreams.main.forward_key: would send the gateway's own client keys to the upstream",
        ),
        (
            f"{UPSTREAM}forward_key = true\nkey = 'env:A'\n",
            ", line 4: upstreams.main.forward_key: the client's key or `key`: only one can be sent",
        ),
        # headers, names
        (f'{UPSTREAM}headers."a b" = "x"\n', ", line 4: upstreams.main.headers.a b: is no name of a header"),
        (f'{UPSTREAM}headers.a = "x\\r\\ny: z"\n', ", line 4: upstreams.main.headers.a: must be printable ASCII"),
        (f'{UPSTREAM}headers.a = "é"\n', ", line 4: upstreams.main.headers.a: must be printable ASCII"),
        ('[upstreams."a b"]\ndialect = "gemini"\nurl = "http://a"\n', ", line 1: upstreams.a b: a name has letters,"),
        # where it listens
        (
            f"host = '0.0.0.0'\n{UPSTREAM}",
            ", line 1: host: 0.0.0.0 can be reached from other machines; set client_keys, or whoever reaches it",
        ),
        (f"host = '::'\n{UPSTREAM}", ", line 1: host: :: can be reached from other machines"),
        (f"host = 'example.com'\n{UPSTREAM}", ", line 1: host: example.com can be reached from other machines"),
        (f"host = ''\n{UPSTREAM}", ", line 1: host: is empty"),
        # no TOML
        (f"{UPSTREAM}key = env:A\n", ", line 4: invalid value"),
        (f"{UPSTREAM}{UPSTREAM}", ", line 4: cannot declare ('upstreams', 'main') twice"),
        ("port = 1\nport = 2\n", ", line 2: cannot overwrite a value"),
        ("[upstreams.main", ": expected ']' at the end of a table declaration (at end of document)"),
    ],
)
def test_mistakes(text: str, said: str, tmp_path: Path) -> None:
    assert mistake(tmp_path, text).startswith(f"ccproxy.toml{said}")


def test_mistakes_never_show_a_key(tmp_path: Path) -> None:
    assert "sk-ant-1" not in mistake(tmp_path, f"{UPSTREAM}key = 'sk-ant-1'\n")
    assert "sk-ant-1" not in mistake(tmp_path, f"client_keys = ['sk-ant-1']\n{UPSTREAM}")
    assert "sk-ant-1" not in mistake(tmp_path, f"{UPSTREAM}headers.authorization = 'Bearer sk-ant-1'\n")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CCPROXY_PORT": "many"}, "the environment variable CCPROXY_PORT: port: must be a whole number, not text"),
        ({"CCPROXY_LIMITS": "5"}, "the environment variable CCPROXY_LIMITS: limits: must be a table, not a whole"),
        ({"CCPROXY_LIMITS": "5", "CCPROXY_LIMITS__MAX_BODY": "5"}, "the environment variable CCPROXY_LIMITS__MAX_BODY: limits is no table"),
        ({"CCPROXY_PORT__X": "5"}, "the environment variable CCPROXY_PORT__X: port is no table"),
        ({"CCPROXY_LIMITS__MAX_BDY": "5"}, "the environment variable CCPROXY_LIMITS__MAX_BDY: there is no 'max_bdy' in limits; do you mean 'max_body'?"),
        ({"CCPROXY_PROT": "5"}, "the environment variable CCPROXY_PROT sets nothing; do you mean 'CCPROXY_PORT'?"),
        ({"CCPROXY_UPSTREAM": "x"}, "the environment variable CCPROXY_UPSTREAM sets nothing; do you mean 'CCPROXY_UPSTREAMS'?"),
        ({"CCPROXY_UPSTREAMS__MAIN__KEY": "sk-1"}, "the environment variable CCPROXY_UPSTREAMS__MAIN__KEY: upstreams.main.key: a key is named by"),
        ({"CCPROXY_HOST": "0.0.0.0"}, "the environment variable CCPROXY_HOST: host: 0.0.0.0 can be reached"),
    ],
)  # fmt: skip
def test_mistakes_in_the_environment(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    assert mistake(tmp_path, f"port = 1\n{UPSTREAM}", environment).startswith(said)


def test_mistakes_on_the_command_line(tmp_path: Path) -> None:
    assert mistake(tmp_path, UPSTREAM, port=70_000) == "the command line: port: 70000 is no port"
    said = mistake(tmp_path, UPSTREAM, upstreams={"main": {"dialect": "gemni"}})
    assert said == "the command line: upstreams.main.dialect: unknown dialect 'gemni'; do you mean 'gemini'?"
    with pytest.raises(ConfigError, match=r"^the command line: no upstream"):
        load(None, {})


def test_the_place_is_that_of_the_layer_that_counts(tmp_path: Path) -> None:
    text = f"host = 'a'\nport = 1\n{UPSTREAM}"
    assert mistake(tmp_path, text, {"CCPROXY_HOST": "b"}).startswith("the environment variable CCPROXY_HOST: host: b")
    assert mistake(tmp_path, text, {"CCPROXY_HOST": "b"}, host="c").startswith("the command line: host: c")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, why in [
        (tmp_path / "absent.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (write(tmp_path, ""), "'utf-8' codec can't decode"),
    ]:
        if path.is_file():
            path.write_bytes(b"\xff")
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value).startswith(f"{path} can't be read: {why}")


# Keys


def test_secrets(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("  one \n")
    assert secret("", {}) == ""
    assert secret("env:A", {"A": " two "}) == "two"
    assert secret(f"file:{path}", {}) == "one"


def test_secrets_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for reference, said in [
        ("env:A", "the environment variable A is not set"),
        ("env:B", "the environment variable B is not set"),
        (f"file:{tmp_path}/absent", f"the key file {tmp_path}/absent can't be read: No such file or directory"),
        (f"file:{tmp_path}/empty", f"the key file {tmp_path}/empty is empty"),
        ("file:~nobody-of-that-name/key", "the key file ~nobody-of-that-name/key can't be read: "),
    ]:
        with pytest.raises(ConfigError) as caught:
            secret(reference, {"B": " "})
        assert str(caught.value).startswith(said)


def test_secrets_are_checked_by_place(tmp_path: Path) -> None:
    read = load(write(tmp_path, f"client_keys = ['env:A', 'env:B']\n{UPSTREAM}key = 'env:C'\n"), {})
    check_secrets(read, {"A": "1", "B": "2", "C": "3"})
    for absent, where in [("B", "client_keys"), ("C", "upstreams.main.key")]:
        with pytest.raises(ConfigError, match=f"^{where}: the environment variable {absent} is not set$"):
            check_secrets(read, {name: "x" for name in "ABC" if name != absent})


def test_headers_may_be_named_like_keys(tmp_path: Path) -> None:
    """As Azure's key, which is in a header of its own."""
    (tmp_path / "token").write_text("three\n")
    named = f"api-key = 'env:CCPROXY_POTR', authorization = 'file:{tmp_path}/token', x-kind = 'envelope'"
    environment = {"CCPROXY_POTR": "two"}  # no misspelt CCPROXY_PORT
    read = load(write(tmp_path, f"{UPSTREAM}key = 'env:KEY'\nheaders = {{ {named} }}\n"), environment)
    key, headers = upstream_keys(read.upstreams["main"], environment | {"KEY": "one"})
    assert key == "one"
    assert headers == {"api-key": "two", "authorization": "three", "x-kind": "envelope"}
    assert "two" not in as_toml(read) and 'api-key = "env:CCPROXY_POTR"' in as_toml(read)
    with pytest.raises(ConfigError, match=r"^upstreams\.main\.headers\.api-key: the environment variable CCPROXY_POTR"):
        check_secrets(read, {"KEY": "one"})


@pytest.mark.parametrize("where", ["key", "headers.api-key"])
def test_what_no_header_can_hold_is_not_shown(tmp_path: Path, where: str) -> None:
    read = load(write(tmp_path, f"{UPSTREAM}{where} = 'env:KEY'\n"), {})
    with pytest.raises(ConfigError) as caught:
        check_secrets(read, {"KEY": "one\ntwo"})
    assert str(caught.value) == f"upstreams.main.{where}: what env:KEY holds can't be sent in a header"


# Written


def test_the_example_has_every_field() -> None:
    read = load(EXAMPLE, {})
    written = set()
    for line in EXAMPLE.read_text().splitlines():
        if not line.startswith("#"):
            written.add(line.partition("=")[0].strip("[] ").rpartition(".")[2])
    kinds = [
        *(Config, config.Limits, config.Upstream, config.Timeouts, config.Retries),
        *(config.UpstreamOptions, config.ModelRule, config.Target),
    ]
    for kind in kinds:
        assert set(kind.__struct_fields__) <= written | {"upstreams", "models"}
    assert read.upstreams and read.models


def test_the_example_shows_the_defaults() -> None:
    """But where its comments say that there is another."""
    read, upstream = load(EXAMPLE, {}), load(EXAMPLE, {}).upstreams["anthropic"]
    bare = config.Upstream(dialect=upstream.dialect, url=upstream.url)
    assert msgspec.structs.replace(upstream, key="", headers={}) == bare
    assert msgspec.structs.replace(read, client_keys=(), upstreams={}, models=()) == Config()
    assert read.upstreams["local"] == config.Upstream(dialect="openai-chat", url="http://127.0.0.1:8080/v1")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = f"""
client_keys = ['env:A "b" \\ c']
{UPSTREAM}headers = {{ "x.y" = 'a "b" \\ c', z = "tab" }}
quirks = []
[upstreams."a.b"]
dialect = "gemini"
url = "http://localhost:1/é"
[[models]]
match = "*"
upstream = "a.b"
fallback = [{{ upstream = "main" }}]
"""
    for path in (write(tmp_path, text), EXAMPLE):
        read = load(path, {})
        again = tmp_path / "again.toml"
        again.write_text(as_toml(read), encoding="utf-8")
        assert load(again, {}) == read


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.168.1.1", False), ("localhost.example.com", False)])  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert config.is_loopback(host) is expected
