"""Requests of the Messages API, read and written."""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.losses import Losses
from ccproxy.core.model import Request
from ccproxy.core.spi import RequestOptions

from .request_reader import Reader
from .request_writer import Writer


def read(body: Mapping[str, Any], options: RequestOptions) -> Request:
    """The request in neutral terms. Raises `FieldError` or `RequestRefused`."""
    return Reader(options).read(body)


def write(request: Request, options: RequestOptions, losses: Losses) -> dict[str, Any]:
    """The body. Raises `RequestRefused` for what can't be served."""
    return Writer(request, options, losses).write()
