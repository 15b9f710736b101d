"""Gemini generateContent: https://ai.google.dev/api/generate-content"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.spi import Dialect

from . import errors, request
from .count import COUNT
from .endpoints import ENDPOINTS
from .maps import ERROR_STATUS
from .reader import Reader
from .response import SCHEME, body, frames
from .writer import Writer

_FIELDS: Final = ("promptFeedback", "usageMetadata", "modelVersion", "responseId")


def sniff(_event: str, payload: Mapping[str, Any]) -> bool:
    return isinstance(payload.get("candidates"), list) or any(key in payload for key in _FIELDS)


DIALECT = Dialect(
    name="gemini",
    title="Gemini generateContent",
    serial=True,
    choices=True,
    reader=Reader,
    writer=Writer,
    body=body,
    frames=frames,
    read_request=request.read,
    write_request=request.write,
    signature_scheme=SCHEME,
    sniff=sniff,
    read_error=errors.read,
    write_error=errors.write,
    error_status=ERROR_STATUS,
    count=COUNT,
    endpoints=ENDPOINTS,
    model_in_path=True,
)
