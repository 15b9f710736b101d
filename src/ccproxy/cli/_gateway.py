"""What the subcommands that run a gateway share: flags, the configuration, how to ask it, the server's life."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import _io
from ._options import Parser

if TYPE_CHECKING:  # `--help` shall not import the library
    import socket

    from ccproxy.core.spi import Dialect, Endpoints
    from ccproxy.gateway.config import Config
    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.live import View
    from ccproxy.gateway.server import App
    from ccproxy.gateway.upstream import Client

LOGS: Final = ("auto", "json", "text", "off")
EXTRA: Final = 'pip install "ccproxy-streaming[gateway]"'
_UPSTREAM: Final = "default"
"""The name of the upstream that the flags make."""
_QUESTION: Final = "What is there to see in Lisbon?"
_NO_KEY: Final = "ccproxy"
"""What clients send where no key is asked for: their SDKs want one."""


class Ask(NamedTuple):
    """How a client of one dialect asks the gateway."""

    dialect: "Dialect"
    environment: dict[str, str]
    url: str
    headers: dict[str, str]
    body: bytes


def need_extra() -> None:
    """Raises `Exit` if what the gateway needs is not installed."""
    try:
        for name in ("live", "run", "server"):
            import_module(f"ccproxy.gateway.{name}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "ccproxy"):
            raise
        raise _io.Exit(_io.FAILED, f"the gateway needs {missing}, which is not installed: {EXTRA}") from None


# Configuration


def add_config(parser: Parser) -> None:
    parser.add_argument("--config", metavar="FILE", help="a TOML file; `ccproxy config example` prints one")


def add_upstream(parser: Parser) -> None:
    """The flags for one upstream that gets everything."""
    group = parser.add_argument_group("upstream", "one that gets every request; it goes before those of a file")
    group.add_argument("--upstream", metavar="URL", help="what the dialect's official SDK takes as base URL")
    group.add_argument("--upstream-dialect", metavar="D", help="what it speaks; `ccproxy dialects` lists the names")
    group.add_argument("--key", metavar="REF", help="its key: env:NAME or file:PATH; none by default")
    group.add_argument("--forward-key", action="store_true", help="send it the key that the client sent")
    group.add_argument("--model", metavar="M", help="the model to ask for, whatever the client names")
    group.add_argument("--quirk", action="append", metavar="NAME", help="repair what it gets wrong; may be given again")
    group.add_argument("--normalize", action="store_true", help="write streams of its own dialect anew, too")
    group.add_argument("--always-stream", action="store_true", help="serve clients that don't stream from a stream")
    group.add_argument("--max-tokens", type=int, metavar="N", help="the limit for clients that name none")


def configuration(arguments: argparse.Namespace, **flags: Any) -> "Config":
    """The configuration from the file, the environment and the flags. Raises `Exit` for a mistake.

    `flags` that are None were not given.
    """
    from ccproxy.gateway.config import ConfigError, load

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return load(arguments.config, flags=given | _upstream(arguments))
    except ConfigError as error:
        raise _io.Exit(_io.MISUSE, str(error)) from None


def _upstream(arguments: argparse.Namespace) -> dict[str, Any]:
    known = {
        "url": arguments.upstream,
        "dialect": arguments.upstream_dialect,
        "key": arguments.key,
        "forward_key": arguments.forward_key or None,
        "quirks": arguments.quirk,
        "normalize": arguments.normalize or None,
        "stream": "always" if arguments.always_stream else None,
        "options": None if arguments.max_tokens is None else {"max_tokens": arguments.max_tokens},
    }
    upstream = {name: value for name, value in known.items() if value is not None}
    if arguments.upstream is None:
        if upstream or arguments.model is not None:
            raise _io.Exit(_io.MISUSE, "the flags for an upstream need --upstream URL")
        return {}
    if arguments.upstream_dialect is None:
        raise _io.Exit(_io.MISUSE, "--upstream needs --upstream-dialect (`ccproxy dialects` lists the names)")
    rule = {"match": "*", "upstream": _UPSTREAM, "model": arguments.model or ""}
    return {"upstreams": {_UPSTREAM: upstream}, "models": [rule]}


def port(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text!r}")
    return number


# How to ask it


def asks(url: str, key: str, models: Mapping[str, str]) -> Iterator[Ask]:
    """How to ask for a stream in each dialect; `models` tells the model by dialect."""
    from ccproxy.gateway.routes import spoken

    for dialect, endpoints in spoken():
        yield _ask(dialect, endpoints, url, key, models[dialect.name])


def _ask(dialect: "Dialect", endpoints: "Endpoints", url: str, key: str, model: str) -> Ask:
    from ccproxy.core.losses import Losses
    from ccproxy.core.model import Request, Text, Turn
    from ccproxy.core.spi import Endpoint, RequestOptions
    from ccproxy.wire.json import dumps

    assert dialect.write_request is not None  # what is spoken over HTTP has requests
    question = Turn(role="user", parts=[Text(text=_QUESTION)])
    request = Request(source="", turns=[question], model=model, stream=True)  # no dialect's own: all is written
    sent = {"content-type": "application/json", **endpoints.headers}
    sent[endpoints.key_headers[0]] = f"Bearer {key}" if endpoints.bearer else key
    return Ask(
        dialect,
        variables(endpoints, url, key),
        url + endpoints.version + endpoints.path(Endpoint("generate", model, stream=True)),
        sent,
        dumps(dialect.write_request(request, RequestOptions(), Losses())),
    )


def variables(endpoints: "Endpoints", url: str, key: str) -> dict[str, str]:
    """The variables that point a client at the gateway."""
    words = {"base": url + endpoints.version, "root": url, "key": key}
    return {name: value.format(**words) for name, value in endpoints.environment.items()}


def pointers(url: str, key: str, models: Mapping[str, str]) -> str:
    """For each dialect the variables that point a client at the gateway, and a curl line."""
    from shlex import quote

    blocks: list[str] = []
    for ask in asks(url, key, models):
        exports = " ".join(f"{name}={quote(value) if value else ''}" for name, value in ask.environment.items())
        headers = " ".join(f"-H {quote(f'{name}: {value}')}" for name, value in ask.headers.items())
        curl = f"curl -N {quote(ask.url)} {headers} -d {quote(ask.body.decode())}"
        blocks.append(f"\n{ask.dialect.title}\n  export {exports}\n  {curl}\n")
    return "".join(blocks)


def pointers_for(config: "Config", url: str) -> str:
    """The same for a configuration, as far as it names models and asks for keys."""
    from ccproxy.gateway.routes import spoken

    model = shown_model(config)
    return pointers(url, shown_key(config), {dialect.name: model for dialect, _ in spoken()})


def shown_key(config: "Config") -> str:
    """What stands for the key that clients send."""
    if config.client_keys:
        return "YOUR_CLIENT_KEY"
    return "YOUR_KEY" if any(upstream.forward_key for upstream in config.upstreams.values()) else _NO_KEY


def shown_model(config: "Config") -> str:
    """A model that clients may ask for, as far as the configuration names one."""
    exact = [rule.match for rule in config.models if not set("*?") & set(rule.match)]
    named = [rule.model for rule in config.models if rule.model]
    return next(iter([*exact, *named]), "MODEL")


# The server's life


def listen(host: str, port: int) -> "socket.socket":
    """A socket for the gateway. Raises `Exit` if the address can't be had."""
    from ccproxy.gateway.run import listen

    try:
        return listen(host, port)
    except OSError as error:
        raise _io.Exit(_io.IO_ERROR, f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def app(config: "Config", environment: Mapping[str, str] | None = None, **options: Any) -> "App":
    """The application. Raises `Exit` for a key that is not there."""
    from ccproxy.gateway.server import create_app

    check_keys(config, environment)
    return create_app(config, environment=environment, **options)


def check_keys(config: "Config", environment: Mapping[str, str] | None = None) -> None:
    """Raises `Exit` for a key that is not there."""
    from ccproxy.gateway.config import ConfigError, check_secrets

    try:
        check_secrets(config, environment)
    except ConfigError as error:
        raise _io.Exit(_io.MISUSE, f"{error}; what the configuration names must be there") from None


def serve(config: "Config", words: Callable[[str], str], client: "Client | None" = None) -> int:
    """Serve until a signal ends it. Says at first where, and the words for that URL."""
    from ccproxy.gateway.exchange import AccessLog
    from ccproxy.gateway.live import View
    from ccproxy.gateway.run import descriptors_short, run

    _io.say(descriptors_short(config.limits.max_exchanges))
    view = View() if config.log == "auto" else None
    if view is not None and view.is_terminal:
        application = app(config, client=client, log=AccessLog("off"), observer=view.over)
        return run(_serve(application, words, AccessLog("text"), view))
    log = AccessLog("json" if config.log == "auto" else config.log)
    return run(_serve(app(config, client=client, log=log), words, log, None))


async def _serve(app: "App", words: Callable[[str], str], log: "AccessLog", view: "View | None") -> int:
    import asyncio
    from contextlib import AsyncExitStack

    from ccproxy.gateway.run import on_signals, serving, url_of

    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            if view is not None:
                view.stop()
            os._exit(128 + number)  # at once: whoever asks twice does not want to wait for anything
        stop.set()

    async with AsyncExitStack() as stack:
        sock = stack.enter_context(listen(app.config.host, app.config.port))
        stack.enter_context(on_signals(("SIGINT", "SIGTERM"), on_signal))
        await stack.enter_async_context(serving(app, sock, log, app.config.limits))
        url = url_of(sock)
        _io.Output().write(f"ccproxy listens on {url}\n{words(url)}".encode())
        if view is not None:
            await stack.enter_async_context(view.shown(lambda: app.active))
        await stop.wait()
        if app.active:
            log.say("info", f"waiting up to {app.config.drain:g} s for {len(app.active)} exchanges")
        await app.drain()
    return _io.OK
