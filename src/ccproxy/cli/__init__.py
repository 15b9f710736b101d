"""The command `ccproxy`: one module per subcommand, imported when it is called.

A subcommand is a module with `run(argv) -> exit code`. What they share: `_io` (input, output, exit codes), `_options`
(arguments, help, words for people), `_sniff` (`--from auto`).
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from . import _io

COMMANDS: Final[Mapping[str, str]] = {
    "translate": "translate a stream while it arrives",
    "collect": "print the response body that a stream amounts to",
    "dialects": "list the dialects and their quirks",
    "serve": "run the gateway: any client on any upstream",
    "run": "run a command whose clients talk to a gateway of their own",
    "config": "check the gateway's configuration, or print an example",
    "demo": "run the gateway with a built-in upstream: no key, no network",
}

_EXAMPLES: Final = """\
examples:
  ccproxy demo --once
  ccproxy dialects
  ccproxy translate --from anthropic --to openai-chat answer.sse
  ccproxy collect --from auto answer.sse
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code (`ccproxy --help` lists them)."""
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
    except SystemExit as done:  # argparse: 0 after --help, 2 after a wrong argument
        code = done.code if isinstance(done.code, int) else _io.OK
    except _io.Exit as done:
        _io.say(done.reason)
        code = done.exit_code
    except KeyboardInterrupt:
        code = _io.INTERRUPTED
    return _io.settle(code)


def _dispatch(argv: list[str]) -> int:
    if argv and argv[0] in COMMANDS:
        code: int = import_module(f"{__name__}.{argv[0]}").run(argv[1:])
        return code
    from ._options import Parser, suggestion

    parser = Parser(
        "ccproxy",
        "Translates between the APIs of language models: streams in files and pipes, and whole exchanges as a gateway.",
        _EXAMPLES,
        usage="ccproxy [--help] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_argument_group("commands", "`ccproxy COMMAND --help` tells more about each")
    for name, purpose in COMMANDS.items():
        commands.add_argument(name, nargs="?", help=purpose)
    word = next((word for word in argv if not word.startswith("-")), None)
    if word is not None and argv[0] == word:
        parser.error(f"unknown command {word!r}{suggestion(word, COMMANDS)}")
    if parser.parse_args(argv).version:
        from importlib.metadata import version

        _io.Output().write(f"ccproxy {version('ccproxy-streaming')}\n".encode())
        return _io.OK
    parser.print_help(sys.stderr)
    return _io.MISUSE
