"""Counting tokens: https://ai.google.dev/api/tokens"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.model import Request
from ccproxy.core.spi import RequestOptions, TokenCount

from . import request

_WHOLE: Final = "generateContentRequest"
_WHOLE_SNAKE: Final = "generate_content_request"


def read(body: Mapping[str, Any], options: RequestOptions) -> Request:
    """The contents alone, a whole request inside, or, as Vertex has it, its fields beside the contents."""
    fields = Fields(body)
    inner = next((fields.fields(name).raw for name in (_WHOLE, _WHOLE_SNAKE) if body.get(name) is not None), body)
    return request.read(inner, options)


def write(asked: Request, options: RequestOptions, losses: Losses) -> dict[str, Any]:
    whole = request.write(asked, options, losses)
    model = options.model or asked.model
    if whole.keys() <= {"contents"}:
        return whole
    return {_WHOLE: {"model": f"models/{model.removeprefix('models/')}", **whole}}


def read_answer(body: Mapping[str, Any]) -> int | None:
    return Fields(body).integer("totalTokens")


def write_answer(tokens: int) -> dict[str, Any]:
    return {"totalTokens": tokens}


COUNT: Final = TokenCount(read=read, write=write, read_answer=read_answer, write_answer=write_answer)
