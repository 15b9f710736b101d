"""`ccproxy demo`: the gateway with a built-in upstream, or one stream in every dialect in this terminal."""

import argparse
from collections.abc import Mapping, Sequence
from pkgutil import get_data  # importlib.resources takes 10 ms to import, this is loaded anyway
from typing import TYPE_CHECKING, Final

from . import _gateway, _io
from ._options import AUTO, Parser, add_source, check_source

if TYPE_CHECKING:
    from ccproxy.gateway.server import App

_EXAMPLES: Final = """\
examples:
  ccproxy demo
  ccproxy demo --once
  ccproxy demo --print
  ccproxy demo --from anthropic answer.sse
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy demo",
        "Runs the gateway with a built-in upstream for each dialect, which plays bundled streams at the pace of a\n"
        "model: no key, no network. Says how to ask it.\n\n"
        "With --print or FILE: streams one answer into every dialect, in this terminal, says what each can't express,\n"
        "and ends with the whole response.",
        _EXAMPLES,
    )
    parser.add_argument("--port", type=_gateway.port, default=8484, metavar="N", help="default: %(default)s; 0: any")
    parser.add_argument("--once", action="store_true", help="ask once in each dialect, print the answers and end")
    parser.add_argument("--print", action="store_true", help="no gateway: play a bundled answer, or FILE")
    add_source(parser, default=AUTO)
    parser.add_argument("file", nargs="?", metavar="FILE", help="any recorded stream; - is standard input")
    arguments = parser.parse_args(argv)
    check_source(arguments.source)
    if arguments.print or arguments.file is not None:
        return _print(arguments)
    if arguments.source != AUTO:
        parser.error("--from is about a stream that is printed: give --print or FILE")
    return _serve(arguments)


def _print(arguments: argparse.Namespace) -> int:
    from ._play import play

    if arguments.file is None:
        return play("the bundled answer", _bundled("demo.sse"), arguments.source)
    with _io.Input(arguments.file) as stream:
        return play(arguments.file, b"".join(stream), arguments.source)


def _bundled(name: str) -> bytes:
    return get_data(__package__ or "", name) or b""


def _serve(arguments: argparse.Namespace) -> int:
    _gateway.need_extra()
    from ccproxy.gateway.demo import DemoClient, demo_config, model_of
    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.run import run

    config = demo_config(0 if arguments.once else arguments.port)
    client = DemoClient(_bundled("demo_answer.sse"), _bundled("demo.sse"), pace=0.0 if arguments.once else 1.0)
    names = list(config.upstreams)
    models = {name: model_of(after) for name, after in zip(names, [*names[1:], names[0]], strict=True)}
    if arguments.once:
        return run(_ask_all(_gateway.app(config, client=client, log=AccessLog("off")), models))
    words = f"The model chooses the built-in upstream: {', '.join(map(model_of, names))}.\n"
    key = _gateway.shown_key(config)
    return _gateway.serve(config, lambda url: words + _gateway.pointers(url, key, models), client)


async def _ask_all(app: "App", models: Mapping[str, str]) -> int:
    """Ask for a stream in each dialect, of another's upstream, and print what comes. Gives the exit code."""
    from contextlib import AsyncExitStack, closing

    from ccproxy.gateway.config import Timeouts
    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.run import serving, url_of
    from ccproxy.gateway.upstream import HttpClient
    from ccproxy.translator import Translator

    output, client, code = _io.Output(), HttpClient(), _io.OK
    async with AsyncExitStack() as stack:
        sock = stack.enter_context(_gateway.listen(app.config.host, app.config.port))
        await stack.enter_async_context(serving(app, sock, AccessLog("text"), app.config.limits))
        stack.push_async_callback(client.close)
        for ask in _gateway.asks(url_of(sock), _gateway.shown_key(app.config), models):
            name = ask.dialect.name
            output.write(f"=== {name}, answered by {models[name]} ===\n\n".encode())
            heard = Translator(name, name)
            with closing(await client.open("POST", ask.url, ask.headers, ask.body, Timeouts())) as response:
                while data := await response.read():
                    output.write(data)
                    heard.feed(data)
            heard.close()
            if response.status != 200 or heard.error is not None:
                code = _io.FAILED
    return code
