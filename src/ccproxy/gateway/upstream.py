"""The HTTP client: the only module that knows aiohttp. Its errors leave as `UpstreamError`."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final, Protocol

import aiohttp
from yarl import URL

from ccproxy.core.vocab import ErrorKind

from .config import Timeouts

_ADVICE: Final = "check that it runs, and its url"
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


class AiohttpClient:
    """Connections are kept and not limited; names and certificates are checked; redirects are not followed."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
                read_bufsize=256 * 1024,
            )
        return self._session

    async def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Timeouts) -> Response:
        try:
            async with asyncio.timeout(limits.headers or None):
                response = await self._open_session().request(
                    method,
                    URL(url, encoded=url.isascii()),
                    headers=headers,
                    data=body or None,
                    timeout=_timeout(limits.connect),
                    allow_redirects=False,
                )
        except aiohttp.ConnectionTimeoutError:
            what = f"can't be reached: no connection within {limits.connect:g} s; {_ADVICE}"
            raise UpstreamError("timeout", what) from None
        except TimeoutError:  # it may be at work, and cost as much again
            what = f"has not begun to answer within {limits.headers:g} s"
            raise UpstreamError("timeout", what, again=False) from None
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # IDNA refuses a name of a host
            raise UpstreamError("internal", f"can't be reached: {_words(error)}; {_ADVICE}") from None
        return _Response(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


@cache
def _timeout(connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect or None, sock_connect=connect or None)


class _Response:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError("truncated", f"broke off: {_words(error)}") from None

    @property
    def at_end(self) -> bool:
        return self._response.content.at_eof()

    def close(self) -> None:
        if self.at_end:
            self._response.release()
        else:
            self._response.close()


def _words(error: Exception) -> str:
    """The error without the address of the upstream, which is not the client's matter."""
    match error:
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return "its host name is not known"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            is_named = refused.verify_code in _OTHER_HOST  # the message names the host
            why = "it is for another host" if is_named else refused.verify_message
            return f"its certificate is not accepted: {why}"
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as failed):
            return f"no TLS connection ({failed.reason or type(failed).__name__})"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return f"what it says is no HTTP ({type(error).__name__})"
        case OSError(errno=int(number)) if number > 0:
            words = os.strerror(number)
            return words[:1].lower() + words[1:]
        case _:
            return type(error).__name__
