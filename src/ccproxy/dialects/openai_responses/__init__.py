"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses-streaming"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.spi import Dialect

from .reader import Reader
from .response import body
from .writer import Writer


def sniff(event: str, payload: Mapping[str, Any]) -> bool:
    name = payload.get("type", event)
    return isinstance(name, str) and name.startswith("response.")


DIALECT = Dialect(
    name="openai-responses",
    title="OpenAI Responses",
    serial=True,
    reader=Reader,
    writer=Writer,
    body=body,
    sniff=sniff,
)
