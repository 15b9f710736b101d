"""Requests of generateContent: https://ai.google.dev/api/generate-content

The model and whether the answer is to be a stream stand in the URL.
"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.losses import Losses
from ccproxy.core.model import Request
from ccproxy.core.spi import RequestOptions

from .request_reader import Reader
from .request_writer import Writer


def read(body: Mapping[str, Any], options: RequestOptions) -> Request:
    return Reader(options).read(body)


def write(request: Request, options: RequestOptions, losses: Losses) -> dict[str, Any]:
    return Writer(request, options, losses).write()
