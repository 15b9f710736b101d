"""`ccproxy run`: a command whose clients talk to a gateway of their own."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from . import _gateway, _io
from ._options import Parser

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.server import App

_EXAMPLES: Final = """\
examples:
  ccproxy run --upstream http://127.0.0.1:8080/v1 --upstream-dialect openai-chat --model qwen3-coder -- claude
  ccproxy run --upstream https://api.anthropic.com --upstream-dialect anthropic --key env:MY_KEY -- codex exec "hi"
  ccproxy run --config ccproxy.toml -- env
"""

_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126

_ELSEWHERE: Final = (
    # https://code.claude.com/docs/en/env-vars
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"),
    # https://github.com/google-gemini/gemini-cli/issues/5585
    *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_GCA"),
)
"""Variables that send a client elsewhere, whatever its base URL says."""
_OTHERS_OWN: Final = (
    "GOOGLE_API_KEY",  # wins over GEMINI_API_KEY in google-genai
    # headers that go on to an upstream of the same dialect, which has a key of another's
    *("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
    # headers that may hold a key: OpenAI's and Anthropic's SDKs, Claude Code
    *("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"),
)
"""Variables that belong to another key than the gateway's."""
_SIGNALS: Final = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_OF_THE_TERMINAL: Final = ("SIGINT", "SIGQUIT")
_KEY_VARIABLE: Final = "CCPROXY_RUN_KEY"
_KEY_BYTES: Final = 24
_LOOPBACK: Final = "127.0.0.1"


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy run",
        "Starts a gateway on a free port of this machine, runs the command with the variables that point its clients\n"
        "there, and ends with it, with its exit code. Only the command gets the key that the gateway asks for.",
        _EXAMPLES,
        usage="ccproxy run [--upstream URL --upstream-dialect D ... | --config FILE] -- COMMAND ...",
    )
    _gateway.add_config(parser)
    parser.add_argument(
        "--log", choices=("off", "json", "text"), default="off", metavar="FORM", help="%(choices)s (default: off)"
    )
    _gateway.add_upstream(parser)
    own, separator, command = _split(argv)
    arguments, unknown = parser.parse_known_args(own)
    if not command:
        parser.error("which command? It comes after --" if separator else "the command comes after --")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return _run(arguments, command)


def _split(argv: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    words = list(argv)
    if "--" not in words:
        return words, False, []
    position = words.index("--")
    return words[:position], True, words[position + 1 :]


def _run(arguments: argparse.Namespace, command: list[str]) -> int:
    config = _gateway.configuration(arguments, host=_LOOPBACK, port=0, log=arguments.log, drain=0.0)
    _gateway.need_extra()
    import secrets

    import msgspec

    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.run import run

    forwards = any(upstream.forward_key for upstream in config.upstreams.values())
    key = "" if forwards else secrets.token_urlsafe(_KEY_BYTES)
    environment = {**os.environ, _KEY_VARIABLE: key}
    config = msgspec.structs.replace(config, client_keys=() if forwards else (f"env:{_KEY_VARIABLE}",))
    log = AccessLog(arguments.log)
    return run(_beside(_gateway.app(config, environment, log=log), log, command, key, arguments.model or ""))


async def _beside(app: "App", log: "AccessLog", command: list[str], key: str, model: str) -> int:
    """Run the command with the gateway beside it. Gives its exit code."""
    import asyncio

    from ccproxy.gateway.run import on_signals, serving, url_of

    process: asyncio.subprocess.Process | None = None
    early: list[int] = []

    def on_signal(number: int) -> None:
        if signal.Signals(number).name in _OF_THE_TERMINAL and _in_foreground():
            return  # the terminal has told the command, too
        if process is None:
            early.append(number)
        elif process.returncode is None:
            process.send_signal(number)

    with _gateway.listen(app.config.host, 0) as sock, on_signals((*_SIGNALS, *_OF_THE_TERMINAL), on_signal):
        async with serving(app, sock, log, app.config.limits):
            url = url_of(sock)
            process = await _started(_arguments(command, url, model), _environment(url, key))
            for number in early:
                process.send_signal(number)
            code = await process.wait()
            await app.drain()
    return code if code >= 0 else 128 - code


async def _started(command: list[str], environment: dict[str, str]) -> "Process":
    """Raises `Exit`, with the code that a shell gives, if the command can't be run."""
    import asyncio

    try:
        return await asyncio.create_subprocess_exec(*command, env=environment)
    except FileNotFoundError:
        raise _io.Exit(_NOT_FOUND, f"there is no command {command[0]!r}") from None
    except (OSError, ValueError) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        raise _io.Exit(_NOT_EXECUTABLE, f"cannot run {command[0]!r}: {why}") from None


def _environment(url: str, key: str) -> dict[str, str]:
    """Our own environment, with clients of every dialect pointed at the gateway; without a key they keep theirs."""
    from ccproxy.gateway.routes import spoken

    out = dict(os.environ)
    for _, endpoints in spoken():
        known = _gateway.variables(endpoints, url, key)
        out |= {
            name: known[name]
            for name, form in endpoints.environment.items()
            if key or "{base}" in form or "{root}" in form
        }
    for name in (*_ELSEWHERE, *_OTHERS_OWN) if key else _ELSEWHERE:
        out.pop(name, None)
    if any(name.lower() in ("http_proxy", "all_proxy") for name in out):
        for name in ("NO_PROXY", "no_proxy"):
            out[name] = ",".join(filter(None, (out.get(name), _LOOPBACK)))
    return out


def _arguments(command: list[str], url: str, model: str) -> list[str]:
    """The command; Codex takes its provider from its configuration alone: https://developers.openai.com/codex/config-advanced

    It is told the model, too, as far as one is asked for: it declares its tools as that model is to have them.
    """
    program, *rest = command
    if os.path.basename(program).removesuffix(".exe") != "codex":
        return command
    provider = "model_providers.ccproxy"
    settings = {
        "model_provider": "ccproxy",
        f"{provider}.name": "ccproxy",
        f"{provider}.base_url": f"{url}/v1",
        f"{provider}.env_key": "OPENAI_API_KEY",
        f"{provider}.wire_api": "responses",
    } | ({"model": model} if model else {})
    return [program, *(word for name, value in settings.items() for word in ("-c", f'{name}="{value}"')), *rest]


def _in_foreground() -> bool:
    """Whether the terminal sends us what it sends the command when somebody presses Ctrl-C."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
