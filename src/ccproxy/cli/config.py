"""`ccproxy config`: a configuration that is right, and what is wrong with one."""

from collections.abc import Sequence
from pkgutil import get_data

from . import _gateway, _io
from ._options import Parser

_EXAMPLES = """\
examples:
  ccproxy config example
  ccproxy config check --upstream http://127.0.0.1:8080/v1 --upstream-dialect openai-chat
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy config",
        "check: says what is wrong with the configuration that `ccproxy serve` would run with, also whether the keys\n"
        "are there that it refers to, and prints it whole; no key is printed.\n"
        "example: prints a configuration with everything in it.",
        _EXAMPLES,
    )
    parser.add_argument("action", choices=("check", "example"))
    _gateway.add_config(parser)
    _gateway.add_upstream(parser)
    arguments = parser.parse_args(argv)
    if arguments.action == "example":
        _io.Output().write(get_data("ccproxy.gateway", "example.toml") or b"")
        return _io.OK

    from ccproxy.gateway.config import as_toml

    config = _gateway.configuration(arguments)
    _gateway.check_keys(config)
    _io.Output().write(as_toml(config).encode())
    return _io.OK
