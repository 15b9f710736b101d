"""Which headers cross, in both directions: those that are listed, and nothing else."""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from random import getrandbits
from urllib.parse import urlsplit

from ccproxy.core.losses import Loss
from ccproxy.core.spi import Endpoints

from .config import is_loopback

REQUEST_ID = "x-request-id"
LOSSES = "x-ccproxy-losses"
_LONGEST_ID = 128
_LONGEST_LOSSES = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def decode(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI's headers; of several with one name the first counts."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed([*raw])}


def size(raw: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes of ASGI's headers."""
    return sum(map(len, chain.from_iterable(raw)))


def encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """What goes out; a value with a control character, which could end the header, is left out."""
    if _CONTROL.search("".join(headers.values())):
        headers = {name: value for name, value in headers.items() if not _CONTROL.search(value)}
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


def request_id(headers: Mapping[str, str]) -> str:
    """The client's id of the request if it has one that can go into a log, else one that is made up."""
    return as_id(headers.get(REQUEST_ID)) or f"{getrandbits(128):032x}"


def upstream_id(headers: Mapping[str, str], own: str) -> str:
    """The upstream's id of the request, which may be in a header of its dialect's own; empty if it tells none."""
    return as_id(headers.get(own)) or as_id(headers.get(REQUEST_ID))


def ids(own: str, ours: str, theirs: str) -> dict[str, str]:
    """The headers with a request's ids: ours, which is the client's if it gave one, and in the one that the client's
    SDK shows as the request's id, where that is another, the upstream's."""
    return {REQUEST_ID: ours} if own == REQUEST_ID else {REQUEST_ID: ours, own: theirs or ours}


def as_id(text: str | None) -> str:
    """An id that can go into a log and a header; empty if it is none."""
    return text if text and len(text) <= _LONGEST_ID and text.isascii() and text.isprintable() else ""


def is_foreign_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks for a page that is not this machine's.

    Any page can send requests to a port of the machine it is shown on, with a name that it has the browser resolve to
    127.0.0.1 too. Programs send no origin, or one of a scheme of their own.
    """
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return True
    return origin == "null" or (parts.scheme in ("http", "https") and not is_loopback(host))


class Upstream:
    """The headers of requests to one upstream. A configured one replaces any other."""

    def __init__(
        self, endpoints: Endpoints, same_dialect: bool, key: str, configured: Mapping[str, str], *, forward_key: bool
    ) -> None:
        """`same_dialect`: whether the clients speak the upstream's; `key`: the upstream's own."""
        own = {name.lower(): value for name, value in configured.items()}
        self._fixed = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "ccproxy"}
        self._fixed |= endpoints.headers
        self._bearer = endpoints.bearer
        self._key_header = endpoints.key_headers[0]
        self._forward_key = forward_key and self._key_header not in own
        if key and not forward_key:
            self._fixed[self._key_header] = self._sent(key)
        self._fixed |= own
        self._crossing = [name for name in endpoints.crossing if name not in own] if same_dialect else []

    def of(self, client: Mapping[str, str], key: str) -> Mapping[str, str]:
        """Those for a client with these headers and this key."""
        crossing = [name for name in self._crossing if name in client]
        forwards = self._forward_key and key
        if not (crossing or forwards):
            return self._fixed
        out = self._fixed | {name: client[name] for name in crossing}
        if forwards:
            out[self._key_header] = self._sent(key)
        return out

    def _sent(self, key: str) -> str:
        return f"Bearer {key}" if self._bearer else key


def returning(endpoints: Endpoints, received: Mapping[str, str]) -> dict[str, str]:
    """What a client gets of the headers of an upstream of its own dialect."""
    return {name: value for name, value in received.items() if name.startswith(endpoints.returning)}


def losses(lost: Iterable[Loss]) -> str:
    """What the header says that names what a request lost: kind, place and what."""
    shown = [f"{loss.kind} {loss.path}" if loss.path else f"{loss.kind} {loss.detail}" for loss in lost]
    text = "; ".join(shown).encode("ascii", "replace").decode("ascii").replace("\n", " ").replace("\r", " ")
    return text[:_LONGEST_LOSSES]
