"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses-streaming"""

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
    frames=frames,
    sniff=sniff,
    read_error=errors.read,
    write_error=errors.body,
    error_status=ERROR_STATUS,
    read_request=request.read,
    write_request=request.write,
    signature_scheme=SCHEME,
    has_foreign=has_foreign,
    count=COUNT,
    endpoints=ENDPOINTS,
)
