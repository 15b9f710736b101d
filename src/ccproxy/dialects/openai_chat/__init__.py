"""OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat-streaming"""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.spi import Dialect

from . import errors, request, thoughts
from .endpoints import ENDPOINTS
from .maps import ERROR_STATUS, SCHEME
from .quirks import QUIRKS
from .reader import Reader
from .response import body, frames
from .writer import Writer


def sniff(_event: str, payload: Mapping[str, Any]) -> bool:
    return payload.get("object") == "chat.completion.chunk" or isinstance(payload.get("choices"), list)


DIALECT = Dialect(
    name="openai-chat",
    title="OpenAI Chat Completions",
    serial=False,
    reader=Reader,
    writer=Writer,
    quirks=QUIRKS,
    body=body,
    frames=frames,
    read_request=request.read,
    write_request=request.write,
    signature_scheme=SCHEME,
    has_foreign=thoughts.has_foreign,
    wants_unsigned=True,
    sniff=sniff,
    read_error=errors.read,
    write_error=errors.write,
    error_status=ERROR_STATUS,
    endpoints=ENDPOINTS,
)
