"""What the gateway is told: one typed, frozen object, from TOML, then the environment, then the command line.

A mistake is a `ConfigError` that names file, line and the nearest name that is valid.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from fnmatch import translate
from functools import cached_property
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from ccproxy import dialects
from ccproxy.core.errors import MisuseError

ENVIRONMENT_PREFIX: Final = "CCPROXY_"

_OTHER_KEY_HEADERS: Final = {"api-key", "proxy-authorization"}
"""Headers that hold a key and are no dialect's own; the first is Azure's."""

_Path = tuple[str | int, ...]

_NAMES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "an array",
    dict: "a table",
}


class ConfigError(MisuseError):
    """A configuration that can't work; the text says where and what is valid there."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds; 0 is no limit."""

    connect: float = 10.0
    headers: float = 300.0
    """Until the upstream's response begins: a model may think long before it does."""
    idle: float = 120.0
    """Without a byte in the middle of a response."""
    total: float = 0.0
    """The whole exchange."""


class Retries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is tried again, before the first byte has gone to the client only."""

    attempts: int = 3
    """With the first one, for each upstream."""
    backoff: float = 0.5
    """Seconds before the second attempt; doubled for each further one."""
    max_backoff: float = 8.0
    """Seconds between two attempts at most. An upstream that asks for more (retry-after) is not tried again."""


class UpstreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests are written for an upstream; `translate_request` documents them."""

    max_tokens: int = 8192
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    thinking: Literal["auto", "adaptive", "budget"] = "auto"
    reasoning: Literal["reasoning_content", "reasoning", "none"] = "reasoning_content"
    reasoning_details: bool = True
    cache_breakpoints: bool = False
    custom_tools: bool = False
    web_search: bool = False
    google: Literal["any", "gemini-api", "vertex"] = "any"
    unsigned_thinking: Literal["auto", "keep", "drop"] = "auto"


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that answers."""

    dialect: str
    url: str
    """What the dialect's official SDK takes as base URL, with or without the version path."""
    key: str = ""
    """`env:NAME`, `file:PATH`, or empty for none. Never the key itself."""
    forward_key: bool = False
    """Whether the client's own key goes to the upstream instead of one that is configured."""
    headers: dict[str, str] = {}
    """Sent with every request. A value may be `env:NAME` or `file:PATH`, and is one where it is a key."""
    quirks: tuple[str, ...] = ()
    choices: Literal["first", "merge"] = "first"
    normalize: bool = False
    """Whether streams of a client of the same dialect are written anew, in the strict form."""
    stream: Literal["as-asked", "always"] = "as-asked"
    """`always`: clients that don't stream are served from a stream, too."""
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    options: UpstreamOptions = UpstreamOptions()


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a request may go."""

    upstream: str
    model: str = ""
    """The model to ask for there; empty: as the client named it."""


class ModelRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models go where. The first rule that matches counts."""

    match: str
    """A name, or a pattern with `*` and `?`."""
    upstream: str
    model: str = ""
    fallback: tuple[Target, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target(upstream=self.upstream, model=self.model), *self.fallback)


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_body: int = 64 * 1024 * 1024
    """Bytes of a request."""
    max_response: int = 64 * 1024 * 1024
    """Bytes of a response that is not a stream."""
    max_frame: int = 32 * 1024 * 1024
    """Bytes of one event of a stream."""
    max_waiting: int = 8 * 1024 * 1024
    """Characters that wait in a stream until their turn comes."""
    max_headers: int = 64 * 1024
    """Bytes of a request's headers."""
    header_timeout: float = 30.0
    """Seconds that a client has to send a request's headers."""
    max_exchanges: int = 4000
    """At the same time; more are answered with 429."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    host: str = "127.0.0.1"
    port: int = 8484
    upstreams: dict[str, Upstream] = {}
    models: tuple[ModelRule, ...] = ()
    client_keys: tuple[str, ...] = ()
    """`env:NAME` or `file:PATH` (one key a line). Without any, whoever reaches the port is served."""
    keepalive: float = 15.0
    """Seconds of silence after which a stream's client gets a sign of life; 0: never."""
    head_wait: float = 30.0
    """Seconds that a stream's client waits for an upstream that has not begun its response, before it gets the head of
    its own and signs of life. From then on errors are in the stream, and nothing is tried again; 0: it waits on."""
    drain: float = 30.0
    """Seconds that running streams have to finish when the gateway is told to stop."""
    remember_calls: int = 10_000
    """Calls whose signed reasoning is kept for clients that drop it; 0: none."""
    log: Literal["auto", "json", "text", "off"] = "auto"
    limits: Limits = Limits()

    def route(self, model: str) -> tuple[Target, ...]:
        """Where requests for a model may go, in order; empty if nowhere."""
        for matches, targets in self._routes:
            if matches(model):
                return targets
        return ()

    @cached_property
    def _routes(self) -> list[tuple[Callable[[str], object], tuple[Target, ...]]]:
        """What a model's name must match, and where it then goes."""
        out: list[tuple[Callable[[str], object], tuple[Target, ...]]] = []
        for rule in self.models:
            pattern = translate(rule.match.replace("[", "[[]"))  # a bracket is one: claude-sonnet-4-5[1m]
            out.append((re.compile(pattern).match, rule.targets))
        if len(self.upstreams) == 1:
            out.append((lambda _: True, (Target(upstream=next(iter(self.upstreams))),)))
        return out


def load(
    path: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration. `environment` is the process's by default; `flags` have the form of the file.

    Raises `ConfigError`.
    """
    text = ""
    if path is not None:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} can't be read: {_why(error)}") from None
    name = str(path) if path is not None else "the command line"
    try:
        whole: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, where = str(error).partition(" (at line ")
        line = f", line {where.partition(',')[0]}" if where else ""
        raise ConfigError(f"{name}{line}: {reason[:1].lower()}{reason[1:]}") from None
    places = _Places(name, text)
    variables = os.environ if environment is None else environment
    unknown = _apply_environment(whole, variables, places)
    _apply_flags(whole, flags or {}, (), places)
    _examine(whole, Config, (), places)
    config = msgspec.convert(whole, Config)
    _check(config, places)
    _check_variables(config, unknown)
    return config


def is_reference(text: str) -> bool:
    """Whether a value names a key (`env:NAME`, `file:PATH`) rather than being what it says."""
    kind, _, rest = text.partition(":")
    return kind in ("env", "file") and bool(rest)


def upstream_keys(upstream: Upstream, environment: Mapping[str, str] | None = None) -> tuple[str, dict[str, str]]:
    """An upstream's key and its own headers. Raises `ConfigError` if what they refer to is not there."""
    named = [("key", upstream.key), *((f"headers.{name}", value) for name, value in upstream.headers.items())]
    found: list[str] = []
    for where, value in named:
        is_secret = where == "key" or is_reference(value)
        try:
            found.append(secret(value, environment) if is_secret else value)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        if is_secret and not _is_header_value(found[-1]):
            raise ConfigError(f"{where}: what {value} holds can't be sent in a header")
    return found[0], dict(zip(upstream.headers, found[1:], strict=True))


def secret(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """The key that a reference (`env:NAME`, `file:PATH`) stands for. Raises `ConfigError` if it is not there."""
    if not reference:
        return ""
    kind, _, rest = reference.partition(":")
    if kind == "env":
        value = (os.environ if environment is None else environment).get(rest, "").strip()
        if not value:
            raise ConfigError(f"the environment variable {rest} is not set")
        return value
    try:
        value = Path(rest).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"the key file {rest} can't be read: {_why(error)}") from None
    if not value:
        raise ConfigError(f"the key file {rest} is empty")
    return value


def check_secrets(config: Config, environment: Mapping[str, str] | None = None) -> None:
    """Raises `ConfigError` for the first key that is referred to and is not there."""
    for name, upstream in config.upstreams.items():
        try:
            upstream_keys(upstream, environment)
        except ConfigError as error:
            raise ConfigError(f"upstreams.{name}.{error}") from None
    for reference in config.client_keys:
        try:
            secret(reference, environment)
        except ConfigError as error:
            raise ConfigError(f"client_keys: {error}") from None


def as_toml(config: Config) -> str:
    """The configuration with every default, in the form of the file. Keys are in it by reference only."""
    lines: list[str] = []
    _write_table(msgspec.to_builtins(config), "", lines)
    return "\n".join(lines).strip() + "\n"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# The layers


def _apply_environment(whole: dict[str, Any], environment: Mapping[str, str], places: "_Places") -> dict[str, str]:
    """Set what `CCPROXY_PORT=1234` and, for what is in a table, `CCPROXY_LIMITS__MAX_BODY=…` say.

    Gives the variables that resemble a field and are none, by the field.
    """
    unknown: dict[str, str] = {}
    fields = Config.__struct_fields__
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        steps = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if steps[0] not in fields:  # most likely somebody else's
            near = get_close_matches(steps[0], fields, 1, 0.75)
            if near:
                unknown[variable] = ENVIRONMENT_PREFIX + near[0].upper()
            continue
        table = whole
        path: tuple[str, ...] = ()
        for step in steps[:-1]:
            key = _spelled(step, table)
            path = (*path, key)
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(f"the environment variable {variable}: {'.'.join(path)} is no table")
        path = (*path, _spelled(steps[-1], table))
        table[path[-1]] = _value(environment[variable], _type_at(path))
        places.set(path, f"the environment variable {variable}")
    return unknown


def _spelled(step: str, table: Mapping[str, Any]) -> str:
    """The key of a table that a variable's name means: variables have capitals and no hyphens."""
    return next((key for key in table if key.lower().replace("-", "_") == step), step)


def _type_at(path: tuple[str, ...]) -> Any:
    kind: Any = Config
    for step in path:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif _is_struct(kind):
            kind = get_type_hints(kind).get(step)
        else:
            return None
    return kind


def _value(text: str, kind: Any) -> Any:
    """What a variable says, read as its field's type wants it; a wrong one is told later."""
    if kind is str or get_origin(kind) is Literal:
        return text
    if get_origin(kind) is tuple and get_args(kind)[0] is str and not text.lstrip().startswith("["):
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _apply_flags(table: dict[str, Any], flags: Mapping[str, Any], path: tuple[str, ...], places: "_Places") -> None:
    for key, value in flags.items():
        known = table.get(key)
        if isinstance(known, dict) and isinstance(value, Mapping):
            _apply_flags(known, value, (*path, key), places)
        else:
            table[key] = value
            places.set((*path, key), "the command line")


class _Places:
    """Where each key was set: a line of the file, a variable, the command line."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._known: dict[_Path, str] = {}
        table: _Path = ()
        counts: dict[_Path, int] = {}
        statement, began = "", 0
        for number, line in enumerate(text.splitlines(), 1):
            statement, began = (f"{statement}\n{line}", began) if statement else (line, number)
            try:
                parsed = tomllib.loads(statement)
            except tomllib.TOMLDecodeError:
                continue  # it goes on in the next line
            where = f"{name}, line {began}"
            if statement.lstrip().startswith("["):
                table = self._header(parsed, statement.lstrip().startswith("[["), counts)
                self._known.setdefault(table, where)
            else:
                self._note(parsed, table, where)
            statement = ""

    def _header(self, parsed: dict[str, Any], is_array: bool, counts: dict[_Path, int]) -> _Path:
        """The path of a table header, with the position wherever there are several tables of that name."""
        keys = _keys(parsed)
        path: _Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in counts:
                path = (*path, counts[path])
        path = (*path, keys[-1])
        if is_array:
            counts[path] = counts.get(path, -1) + 1
        return (*path, counts[path]) if path in counts else path

    def _note(self, parsed: dict[str, Any], table: _Path, where: str) -> None:
        for key, value in parsed.items():
            self._known[*table, key] = where
            if isinstance(value, dict):
                self._note(value, (*table, key), where)

    def set(self, path: _Path, where: str) -> None:
        for known in [known for known in self._known if known[: len(path)] == path]:
            del self._known[known]
        self._known[path] = where

    def at(self, path: _Path) -> str:
        """The place of a key, of the first thing in it, or of what it stands in."""
        inside = (where for known, where in self._known.items() if known[: len(path)] == path)
        around = (self._known[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._known)
        return self._known.get(path) or next(inside, None) or next(around, self.name)

    def mistake(self, path: _Path, reason: str) -> ConfigError:
        where = _shown(path)
        return ConfigError(f"{self.at(path)}: {where}: {reason}" if where else f"{self.at(path)}: {reason}")


def _keys(parsed: Any) -> list[str]:
    """The keys of a table header, which is all that was parsed."""
    keys: list[str] = []
    while parsed:
        key, parsed = next(iter(parsed.items()))
        keys.append(key)
        parsed = parsed[0] if isinstance(parsed, list) else parsed
    return keys


def _shown(path: _Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


# The checks


def _examine(value: Any, kind: Any, path: _Path, places: _Places) -> None:
    """Whether a value is what its type wants, down to each key."""
    origin = get_origin(kind)
    if origin is dict:
        for key, entry in _table(value, path, places).items():
            _examine(entry, get_args(kind)[1], (*path, key), places)
    elif origin is tuple:
        if not isinstance(value, list):
            raise places.mistake(path, f"must be an array, not {_named(value)}")
        for position, entry in enumerate(value):
            _examine(entry, get_args(kind)[0], (*path, position), places)
    elif _is_struct(kind):
        types = get_type_hints(kind)
        for key, entry in _table(value, path, places).items():
            if key not in types:
                inside = f" in {_shown(path)}" if path else ""
                raise ConfigError(f"{places.at((*path, key))}: there is no {key!r}{inside}{_nearest(key, types)}")
            _examine(entry, types[key], (*path, key), places)
        missing = [field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in value]
        if missing:
            raise places.mistake(path, f"{missing[0]!r} is missing")
    elif origin is Literal:
        if value not in get_args(kind):
            raise places.mistake(path, f"{value!r} is not known{_nearest(value, get_args(kind))}")
    else:
        wanted = (int, float) if kind is float else (kind,)
        if type(value) not in wanted:
            raise places.mistake(path, f"must be {_NAMES[kind]}, not {_named(value)}")
        if kind is float and not (isfinite(value) and value >= 0):
            raise places.mistake(path, f"must not be negative or endless, but is {value}")


def _table(value: Any, path: _Path, places: _Places) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise places.mistake(path, f"must be a table, not {_named(value)}")
    return value


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _named(value: Any) -> str:
    return _NAMES.get(type(value), "a date or time")


def _nearest(word: Any, known: Iterable[str]) -> str:
    """The valid name that is nearest, as the end of a sentence; all of them if none is near."""
    names = list(known)
    near = get_close_matches(str(word), names, 1, 0.5)
    return f"; do you mean {near[0]!r}?" if near else f"; known are {', '.join(names) or 'none'}"


def _check(config: Config, places: _Places) -> None:
    """What types alone can't say."""
    if not config.upstreams:
        raise ConfigError(f"{places.name}: no upstream; give --upstream and --upstream-dialect, or [upstreams.NAME]")
    for name, upstream in config.upstreams.items():
        _check_upstream(name, upstream, config, places)
    for position, rule in enumerate(config.models):
        path: _Path = ("models", position)
        named = [((*path, "upstream"), rule.upstream)]
        named += [((*path, "fallback", i, "upstream"), target.upstream) for i, target in enumerate(rule.fallback)]
        for where, wanted in named:
            if wanted not in config.upstreams:
                raise places.mistake(where, f"there is no upstream {wanted!r}{_nearest(wanted, config.upstreams)}")
        if not rule.match:
            raise places.mistake((*path, "match"), "is empty; '*' matches every model")
    for position, reference in enumerate(config.client_keys):
        _check_reference(reference, ("client_keys", position), places)
    if not 0 <= config.port <= 65_535:
        raise places.mistake(("port",), f"{config.port} is no port")
    if not config.host:
        raise places.mistake(("host",), "is empty")
    if not is_loopback(config.host) and not config.client_keys:
        raise places.mistake(
            ("host",),
            f"{config.host} can be reached from other machines; set client_keys, or whoever reaches it spends your"
            " upstream's money",
        )
    if config.remember_calls < 0:
        raise places.mistake(("remember_calls",), "must not be negative")
    for key in Limits.__struct_fields__:
        if getattr(config.limits, key) <= 0:
            raise places.mistake(("limits", key), "must be positive")


def _check_upstream(name: str, upstream: Upstream, config: Config, places: _Places) -> None:
    path = ("upstreams", name)
    if not re.fullmatch(r"[\w.-]{1,60}", name, re.ASCII):
        raise places.mistake(path, "a name has letters, digits, '_', '-' and '.', at most 60 of them")
    known = [entry for entry in dialects.names() if dialects.get(entry).endpoints is not None]
    if upstream.dialect not in known:
        raise places.mistake(
            (*path, "dialect"), f"unknown dialect {upstream.dialect!r}{_nearest(upstream.dialect, known)}"
        )
    if not _is_base_url(upstream.url):
        raise places.mistake(
            (*path, "url"), f"{upstream.url!r} is no URL like https://host/path, without a query or a user"
        )
    _check_reference(upstream.key, (*path, "key"), places)
    if upstream.forward_key and upstream.key:
        raise places.mistake((*path, "forward_key"), "the client's key or `key`: only one can be sent")
    if upstream.forward_key and config.client_keys:
        raise places.mistake((*path, "forward_key"), "would send the gateway's own client keys to the upstream")
    quirks = dialects.get(upstream.dialect).quirks
    for position, quirk in enumerate(upstream.quirks):
        if quirk not in quirks:
            raise places.mistake((*path, "quirks", position), f"unknown quirk {quirk!r}{_nearest(quirk, quirks)}")
    for header, value in upstream.headers.items():
        where = (*path, "headers", header)
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header):
            raise places.mistake(where, "is no name of a header")
        if not _is_header_value(value):
            raise places.mistake(where, "must be printable ASCII")
        if header.lower() in _key_headers() and not is_reference(value):
            raise places.mistake(
                where,
                "a key is named by `key` of the upstream, never written here; a header's by env:NAME or file:PATH",
            )
    if upstream.retries.attempts < 1:
        raise places.mistake((*path, "retries", "attempts"), "must be positive")
    if upstream.options.max_tokens < 1:
        raise places.mistake((*path, "options", "max_tokens"), "must be positive")


def _check_reference(reference: str, path: _Path, places: _Places) -> None:
    if not reference and path[-1] == "key":
        return
    if not is_reference(reference):
        raise places.mistake(path, "a key is named by env:NAME or file:PATH, never written here")


def _check_variables(config: Config, unknown: Mapping[str, str]) -> None:
    """A variable that resembles one of ours is a mistake, unless a key is in it."""
    references = {*config.client_keys}
    for upstream in config.upstreams.values():
        references |= {upstream.key, *upstream.headers.values()}
    for variable, meant in unknown.items():
        if f"env:{variable}" not in references:
            raise ConfigError(f"the environment variable {variable} sets nothing; do you mean {meant!r}?")


def _is_base_url(url: str) -> bool:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, brackets that do not close
        return False


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _key_headers() -> set[str]:
    known = [dialects.get(name).endpoints for name in dialects.names()]
    of_dialects = {header for endpoints in known if endpoints is not None for header in endpoints.key_headers}
    return of_dialects | _OTHER_KEY_HEADERS


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


# Writing


def _write_table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    """The values of a table, then the tables in it."""
    inner: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) or (isinstance(value, list | tuple) and value and isinstance(value[0], dict)):
            inner.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_inline(value)}")
    for key, value in inner:
        name = f"{path}.{_key(key)}" if path else _key(key)
        if isinstance(value, dict):
            if not all(isinstance(entry, dict) for entry in value.values()):
                lines += ["", f"[{name}]"]
            _write_table(value, name, lines)
            continue
        for entry in value:
            lines += ["", f"[[{name}]]"]
            _write_table(entry, name, lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _inline(key)


def _inline(value: Any) -> str:
    """A value: JSON spells these types as TOML does, but for DEL."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
