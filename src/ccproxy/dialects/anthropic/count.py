"""Counting tokens: https://docs.claude.com/en/api/messages-count-tokens"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.model import Request
from ccproxy.core.spi import RequestOptions, TokenCount

from . import request

_COUNTED: Final = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control", "output_config"),
        *("output_format", "context_management", "mcp_servers"),
    }
)


def write(asked: Request, options: RequestOptions, losses: Losses) -> dict[str, Any]:
    whole = request.write(asked, options, losses)
    return {name: value for name, value in whole.items() if name in _COUNTED}


def read_answer(body: Mapping[str, Any]) -> int | None:
    return Fields(body).integer("input_tokens")


def write_answer(tokens: int) -> dict[str, Any]:
    return {"input_tokens": tokens}


COUNT: Final = TokenCount(read=request.read, write=write, read_answer=read_answer, write_answer=write_answer)
