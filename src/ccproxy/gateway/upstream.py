"""The HTTP client. Its errors leave as `UpstreamError`."""

import asyncio
import re
import socket
import ssl
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

from ccproxy.core.vocab import ErrorKind

from .config import Timeouts
from .connection import Address, Broken, Connection, reach, words

_ADVICE: Final = "check that it runs, and its url"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
_NO_URL: Final = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_NO_NAME: Final = re.compile("[\xdf\u03c2\u200c\u200d]")
"""What was once something else in the name of a host; it has to be written as `xn--`."""
_PORTS: Final = {"http": 80, "https": 443}
_KNOWN: Final = 60.0
"""Seconds that the addresses of a host are known."""
_CODINGS: Final = ("gzip", "x-gzip", "deflate")
_MOST: Final = 256 * 1024
"""Bytes that are decompressed at once."""
_OTHER_HOST: Final = (62, 63, 64)
"""What OpenSSL says of a certificate for another host, mail address, IP address (X509_V_ERR_..._MISMATCH)."""


class UpstreamError(Exception):
    """No response, or none that goes on."""

    def __init__(self, kind: ErrorKind, what: str, again: bool = True) -> None:
        """`what` follows on "the upstream"; `again`: whether the request may be sent there once more."""
        self.kind: ErrorKind = kind
        self.what = what
        self.again = again
        super().__init__(what)

    def about(self, name: str) -> str:
        """What happened, with the name that the configuration has for the upstream."""
        return f"the upstream {name!r} {self.what}"


class Response(Protocol):
    """What an upstream answers, as it arrives."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    async def read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end. Raises `UpstreamError` where it breaks off."""
        ...

    @property
    def at_end(self) -> bool:
        """Whether all of it has been read, as far as that is known without waiting."""
        ...

    def close(self) -> None:
        """End it, whether it was read to its end or not. The connection is given up if it was not."""
        ...


class Client(Protocol):
    async def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Timeouts) -> Response:
        """The response as soon as its head is there. Raises `UpstreamError`."""
        ...

    async def close(self) -> None: ...


class HttpClient:
    """Connections are kept and not limited; names and certificates are checked. Redirects are not followed, cookies not
    sent back; the environment names no proxy."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._idle: dict[_Origin, dict[Connection, None]] = {}
        self._lookups: dict[_Origin, tuple[float, asyncio.Task[Sequence[Address]]]] = {}

    async def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Timeouts) -> Response:
        target = _target(url)
        request = _request(method, target, headers, body)
        kept = self._kept(target.origin)
        try:
            return await self._ask(kept or await self._connect(target.origin, limits), request, limits)
        except UpstreamError as error:  # servers close what is kept when they like; asking again must do no harm
            if kept is None or method != "GET" or not error.again:
                raise
        return await self._ask(await self._connect(target.origin, limits), request, limits)

    async def close(self) -> None:
        self._lookups.clear()
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)

    def _kept(self, origin: "_Origin") -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if connection.is_open:
                return connection
            connection.abort()
        return None

    async def _ask(self, connection: Connection, request: bytes, limits: Timeouts) -> Response:
        try:
            await connection.ask(request, limits.headers)
        except TimeoutError:  # it may be at work, and cost as much again
            what = f"has not begun to answer within {limits.headers:g} s"
            raise UpstreamError("timeout", what, again=False) from None
        except Broken as broken:
            raise _unreachable(str(broken)) from None
        coding = connection.headers.get("content-encoding", "").strip().lower()
        if coding in ("", "identity", "utf-8"):  # some take it for the charset
            return _Answer(connection)
        if coding in _CODINGS:
            return _Inflated(_Answer(connection), coding)
        connection.abort()
        raise UpstreamError("protocol", "has compressed its answer in a way that nobody asked for", again=False)

    async def _connect(self, origin: "_Origin", limits: Timeouts) -> Connection:
        patience = min(filter(None, (limits.connect, limits.headers)), default=None)
        try:
            async with asyncio.timeout(patience):
                return await self._connection(origin)
        except (OSError, UnicodeError) as error:  # a name may have parts that are empty or too long
            self._forget(origin)
            if patience is not None and isinstance(error, TimeoutError) and error.errno is None:
                what = f"can't be reached: no connection within {patience:g} s; {_ADVICE}"
                raise UpstreamError("timeout", what) from None
            raise _unreachable(_words(error)) from None

    def _forget(self, origin: "_Origin") -> None:
        """Its addresses; a lookup that goes on will have new ones."""
        known = self._lookups.get(origin)
        if known is not None and known[1].done():
            del self._lookups[origin]

    async def _connection(self, origin: "_Origin") -> Connection:
        idle = self._idle.setdefault(origin, {})
        sock = await reach(await self._addresses(origin))
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(sock, idle, self._connections),
                sock=sock,
                ssl=self._tls if origin.is_tls else None,
                server_hostname=_without_zone(origin.host) if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _addresses(self, origin: "_Origin") -> Sequence[Address]:
        """Of many who ask at once one looks it up, and the others are told."""
        loop = asyncio.get_running_loop()
        known = self._lookups.get(origin)
        if known is None or known[1].get_loop() is not loop or (known[0] < loop.time() and known[1].done()):
            lookup = loop.create_task(_look_up(origin.host, origin.port))
            lookup.add_done_callback(_hear)
            known = self._lookups[origin] = loop.time() + _KNOWN, lookup
        return await asyncio.shield(known[1])


class _Origin(NamedTuple):
    host: str
    port: int
    is_tls: bool


class _Target(NamedTuple):
    origin: _Origin
    host: str
    """As the header has it."""
    path: str
    authorization: str


@lru_cache(maxsize=256)
def _target(url: str) -> _Target:
    if _NO_URL.search(url):  # `urlsplit` leaves some of it out
        raise _unreachable("its url is none")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        default = _PORTS[parts.scheme]
        port = parts.port or default
        if not host.isascii():
            if _NO_NAME.search(host):
                raise UnicodeError
            host = host.encode("idna").decode()
        if ":" in host:
            host = host.replace("%25", "%")  # before a zone (RFC 6874)
    except UnicodeError:
        raise _unreachable("its host name is not known") from None
    except (KeyError, ValueError):
        raise _unreachable("its url is none") from None
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        path = quote(path, safe="!$%&'()*+,/:;=?@~")
    name = _without_zone(host)
    shown = f"[{name}]" if ":" in host else name
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode()}"
    if not host or _NO_URL.search(host):
        raise _unreachable("its url is none")
    shown = shown if port == default else f"{shown}:{port}"
    return _Target(_Origin(host, port, parts.scheme == "https"), shown, path or "/", authorization)


def _without_zone(host: str) -> str:
    """As its certificate has it: nor with the dot of the root."""
    return host.partition("%")[0].rstrip(".")


def _request(method: str, target: _Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = {"host": target.host, "accept": "*/*"}
    if target.authorization:
        lines["authorization"] = target.authorization
    lines.update(headers)
    if body or method != "GET":
        lines["content-length"] = str(len(body))
    said = "".join(lines) + "".join(lines.values())
    if not said.isprintable() and _CONTROL.search(said):
        raise UpstreamError("internal", "can't be asked: a header has a control character in it", again=False)
    text = "".join([f"{name}: {value}\r\n" for name, value in lines.items()])
    return f"{method} {target.path} HTTP/1.1\r\n{text}\r\n".encode("utf-8", "surrogateescape") + body


async def _look_up(host: str, port: int) -> Sequence[Address]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _hear(lookup: asyncio.Task[Sequence[Address]]) -> None:
    """Those who asked may have left before it failed."""
    if not lookup.cancelled():
        lookup.exception()


class _Answer:
    def __init__(self, connection: Connection) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self._connection: Connection | None = connection

    async def read(self) -> bytes:
        connection = self._connection
        if connection is None:
            return b""
        try:
            data = await connection.read()
        except Broken as broken:
            raise UpstreamError("truncated", f"broke off: {broken}") from None
        if connection.at_end:
            self.close()
        return data

    @property
    def at_end(self) -> bool:
        return self._connection is None or self._connection.at_end

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


class _Inflated:
    """An answer that came compressed, though nobody asked for it. However small, it is decompressed piece by piece."""

    def __init__(self, answer: _Answer, coding: str) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._coding = coding
        self._compressed = b""
        self._has_more = False
        """Whether what has been taken from `_compressed` may give more."""
        self._inflater = zlib.decompressobj()
        self._has_begun = False
        """Whether the inflater has what has no end yet."""

    async def read(self) -> bytes:
        while True:
            if not (self._compressed or self._has_more):
                self._compressed = await self._answer.read()
                if not self._compressed:
                    if self._has_begun:
                        raise UpstreamError("truncated", "broke off: its compressed data have no end")
                    return b""
            if data := self._inflate():
                return data
            await asyncio.sleep(0)  # many a little that says nothing would keep everybody waiting

    @property
    def at_end(self) -> bool:
        return self._answer.at_end and not (self._compressed or self._has_begun)

    def close(self) -> None:
        self._answer.close()

    def _inflate(self) -> bytes:
        if not self._has_begun:
            is_zlib = self._compressed[0] & 0x0F == 8  # many send `deflate` without its head
            bits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
            self._inflater = zlib.decompressobj(bits if self._coding == "deflate" else 16 + zlib.MAX_WBITS)
        inflater = self._inflater
        try:
            data = inflater.decompress(self._compressed, _MOST)
        except zlib.error:
            raise UpstreamError("truncated", f"broke off: what it says is no {self._coding}") from None
        self._has_begun = not inflater.eof
        self._has_more = len(data) == _MOST and self._has_begun
        self._compressed = inflater.unconsumed_tail if self._has_begun else inflater.unused_data  # another may follow
        return data


def _unreachable(why: str) -> UpstreamError:
    return UpstreamError("internal", f"can't be reached: {why}; {_ADVICE}")


def _words(error: OSError | UnicodeError) -> str:
    """The error without the address of the upstream, which is not the client's matter."""
    match error:
        case socket.gaierror() | UnicodeError():
            return "its host name is not known"
        case ssl.SSLCertVerificationError():
            is_named = error.verify_code in _OTHER_HOST  # the message names the host
            why = "it is for another host" if is_named else error.verify_message
            return f"its certificate is not accepted: {why}"
        case ssl.SSLError():
            return f"no TLS connection ({error.reason or type(error).__name__})"
        case _:
            return words(error)
