"""What an HTTP request is about: which client dialect speaks, and what it asks for."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

import msgspec

from ccproxy import dialects
from ccproxy.core.errors import RequestRefused
from ccproxy.core.spi import Dialect, Endpoint, Endpoints

_LONGEST_MODEL = 1000


class Route(NamedTuple):
    dialect: Dialect
    endpoint: Endpoint | None
    """None: there is nothing at this path, or not by this method."""


@cache
def spoken() -> tuple[tuple[Dialect, Endpoints], ...]:
    """The dialects that are spoken over HTTP."""
    known = [dialects.get(name) for name in dialects.names()]
    return tuple((dialect, dialect.endpoints) for dialect in known if dialect.endpoints is not None)


def find_route(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Route:
    """The route of a request. Paths count without their version and with one too many, since base URLs come both ways.

    Several dialects list models at one path: the one that the headers speak for counts, else the one that has most of
    the clients, OpenAI's.
    """
    return _plain().get((method, path)) or _search(method, path, query, headers)


@cache
def _plain() -> Mapping[tuple[str, str], Route]:
    """Where method and path say all: nobody else has the path, and the body names the model."""
    out: dict[tuple[str, str], Route] = {}
    for _, endpoints in spoken():
        for kind in ("generate", "count_tokens"):
            path = endpoints.version + endpoints.path(Endpoint(kind))
            hits = [Route(d, found) for d, e in spoken() if (found := e.find("POST", path, {})) is not None]
            if len(hits) == 1 and not hits[0].dialect.model_in_path:
                out["POST", path] = hits[0]
    return out


def _search(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Route:
    candidates = spoken()
    path = f"/{path.lstrip('/')}"
    for whole in _spellings(path):
        found = [(d, e, e.find(method, whole, query)) for d, e in candidates]
        hits = [(d, e, endpoint) for d, e, endpoint in found if endpoint is not None]
        for dialect, endpoints, endpoint in hits:
            if len(hits) == 1 or endpoints.owns(whole, headers):
                return Route(dialect, endpoint)
        for dialect, endpoints, endpoint in hits:
            if endpoints.base_has_version:
                return Route(dialect, endpoint)
    for dialect, endpoints in candidates:
        if endpoints.owns(path, headers):
            return Route(dialect, None)
    fallback = next((d for d, e in candidates if e.base_has_version), candidates[0][0])
    return Route(fallback, None)


def _spellings(path: str) -> Iterator[str]:
    """The paths that one may stand for."""
    yield path
    yield f"/v1{path}"
    for version in {endpoints.version: None for _, endpoints in spoken()}:
        yield path.removeprefix(version)


def client_key(dialect: Dialect, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key that a client sent; empty if none."""
    endpoints = dialect.endpoints
    assert endpoints is not None
    for name in endpoints.key_headers:
        value = headers.get(name)
        if value:
            kind, _, rest = value.partition(" ")
            return rest.strip() if kind.lower() == "bearer" else value
    return query.get(endpoints.key_query, "") if endpoints.key_query else ""


def parse_query(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def upstream_url(base: str, endpoints: Endpoints, endpoint: Endpoint) -> str:
    """The URL of an endpoint; the base may end in the version, or have it anywhere in its path.

    The model is the client's word: it must not lead anywhere else, nor be so long that URLs which are kept take much
    memory. Raises `RequestRefused`.
    """
    named = quote(endpoint.model.encode("utf-8", "replace"), safe="/@,+")
    path = endpoints.path(msgspec.structs.replace(endpoint, model=named))
    if len(endpoint.model) > _LONGEST_MODEL or not {".", ".."}.isdisjoint(path.partition("?")[0].split("/")):
        raise RequestRefused("model", f"{endpoint.model[:200]!r} is no name of a model")
    base = base.rstrip("/")
    steps = base.partition("://")[2].split("/")[1:]
    versioned = any(step[:1] == "v" and step[1:2].isdigit() for step in steps)
    return base + ("" if versioned else endpoints.version) + path
