"""`ccproxy serve`: any client on any upstream."""

from collections.abc import Sequence

from . import _gateway
from ._options import Parser

_EXAMPLES = """\
examples:
  ccproxy serve --upstream https://api.anthropic.com --upstream-dialect anthropic --key env:ANTHROPIC_API_KEY
  ccproxy serve --upstream http://127.0.0.1:8080/v1 --upstream-dialect openai-chat --model qwen3-coder
  ccproxy serve --config ccproxy.toml --log json
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy serve",
        "Runs the gateway: clients of every dialect, one upstream or several of any dialect. Says how to point a\n"
        "client at it. SIGTERM and Ctrl-C let running streams finish within a limit; the second one does not.",
        _EXAMPLES,
    )
    _gateway.add_config(parser)
    parser.add_argument("--host", metavar="H", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=_gateway.port, metavar="N", help="default: 8484; 0: any that is free")
    parser.add_argument("--client-key", action="append", metavar="REF", help="a key that clients must send")
    parser.add_argument("--log", choices=_gateway.LOGS, metavar="FORM", help="%(choices)s (default: auto)")
    parser.add_argument("--drain", type=float, metavar="S", help="seconds that running streams have at the end")
    parser.add_argument("--keepalive", type=float, metavar="S", help="seconds of silence before a sign of life")
    _gateway.add_upstream(parser)
    arguments = parser.parse_args(argv)

    config = _gateway.configuration(
        arguments,
        host=arguments.host,
        port=arguments.port,
        client_keys=arguments.client_key,
        log=arguments.log,
        drain=arguments.drain,
        keepalive=arguments.keepalive,
    )
    _gateway.need_extra()
    return _gateway.serve(config, lambda url: _gateway.pointers_for(config, url))
