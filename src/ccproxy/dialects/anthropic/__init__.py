"""Anthropic Messages: https://docs.claude.com/en/api/messages-streaming"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.spi import Dialect

from . import errors, request
from .count import COUNT
from .endpoints import ENDPOINTS
from .maps import ERROR_STATUS
from .reader import Reader
from .request_writer import has_foreign
from .response import SCHEME, body, frames
from .writer import Writer

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)


def sniff(event: str, payload: Mapping[str, Any]) -> bool:
    return payload.get("type") in _EVENTS or event in _EVENTS or (payload.get("type") == "error" and "error" in payload)


DIALECT = Dialect(
    name="anthropic",
    title="Anthropic Messages",
    serial=True,
    reader=Reader,
    writer=Writer,
    body=body,
    frames=frames,
    read_request=request.read,
    write_request=request.write,
    signature_scheme=SCHEME,
    has_foreign=has_foreign,
    sniff=sniff,
    read_error=errors.read,
    write_error=errors.write,
    error_status=ERROR_STATUS,
    request_id_header="request-id",
    count=COUNT,
    endpoints=ENDPOINTS,
)
