"""Counting tokens: https://platform.openai.com/docs/api-reference/responses/input-tokens"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.model import Request
from ccproxy.core.spi import RequestOptions, TokenCount

from . import request

_COUNTED: Final = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "reasoning", "text", "parallel_tool_calls"),
        *("conversation", "previous_response_id", "truncation", "personality"),
    }
)


def write(asked: Request, options: RequestOptions, losses: Losses) -> dict[str, Any]:
    whole = request.write(asked, options, losses)
    return {name: value for name, value in whole.items() if name in _COUNTED}


def read_answer(body: Mapping[str, Any]) -> int | None:
    return Fields(body).integer("input_tokens")


def write_answer(tokens: int) -> dict[str, Any]:
    return {"object": "response.input_tokens", "input_tokens": tokens}


COUNT: Final = TokenCount(read=request.read, write=write, read_answer=read_answer, write_answer=write_answer)
