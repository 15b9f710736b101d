"""The HTTP client: the only module that knows aiohttp. Its errors leave as `UpstreamError`."""

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol

import aiohttp
from yarl import URL

from ccproxy.core.vocab import ErrorKind

from .config import Timeouts


class UpstreamError(Exception):
    """No response, or none that goes on."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        self.kind: ErrorKind = kind
        self.message = message
        super().__init__(message)


class Response(Protocol):
    """What an upstream answers, as it arrives."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    async def read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end. Raises `UpstreamError` where it breaks off."""
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
        timeout = aiohttp.ClientTimeout(total=None, connect=limits.connect or None, sock_connect=limits.connect or None)
        try:
            async with asyncio.timeout(limits.headers or None):
                response = await self._open_session().request(
                    method,
                    URL(url, encoded=url.isascii()),
                    headers=headers,
                    data=body or None,
                    timeout=timeout,
                    allow_redirects=False,
                )
        except aiohttp.ConnectionTimeoutError:
            raise UpstreamError("timeout", f"no connection to the upstream within {limits.connect:g} s") from None
        except TimeoutError:
            raise UpstreamError("timeout", f"no response from the upstream within {limits.headers:g} s") from None
        except aiohttp.ClientError as error:
            raise UpstreamError("internal", f"the upstream can't be reached: {_words(error)}") from None
        return _Response(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Response:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError("truncated", f"the upstream broke off: {_words(error)}") from None

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _words(error: BaseException) -> str:
    """The error without the address of the upstream, which is not the client's matter."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else type(error).__name__
