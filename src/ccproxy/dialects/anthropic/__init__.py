"""Anthropic Messages: https://docs.claude.com/en/api/messages-streaming"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.spi import Dialect

from .reader import Reader
from .response import body
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
    sniff=sniff,
)
