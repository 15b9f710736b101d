"""Carrying a signature through a dialect that has no place for its scheme.

The envelope is base64 throughout (Gemini accepts nothing else) and begins with a fixed prefix that holds a version. It
names the scheme and the model, so that whoever unseals it can tell whose it is and never hands it to another.
"""

from binascii import a2b_base64, b2a_base64
from typing import Any, Final, NamedTuple, get_args

from ccproxy.core.events import Signature
from ccproxy.core.vocab import Signs
from ccproxy.wire.json import JSONError, dumps, loads

_MAGIC = b"ccproxy:1"  # nine bytes, so that its twelve base64 characters stand for themselves
PREFIX = b2a_base64(_MAGIC, newline=False).decode("ascii")


class Sealed(NamedTuple):
    scheme: str
    model: str
    value: str
    redacted: bool = False
    """Whether it is the data of redacted reasoning, and not the signature of any."""
    signs: Signs = "part"


def belongs(scheme: str, own: str) -> bool:
    """Whether a signature of the scheme is one of `own`: that scheme, or any that begins with it if it ends in "/"."""
    return scheme == own or (own.endswith("/") and scheme.startswith(own))


def seal(signature: Signature, redacted: bool) -> str:
    """An envelope for another dialect's signature field."""
    content = [signature.scheme, signature.model, signature.value, redacted, signature.signs]
    return b2a_base64(_MAGIC + dumps(content), newline=False).decode("ascii")


BROKEN: Final = Sealed("", "", "")
"""What an envelope holds that a client has changed: nobody's signature, but not the carrier's either."""


def unseal(text: str) -> Sealed | None:
    """What an envelope holds; None if the text is none of ours, so a signature of the carrier itself."""
    if not text.startswith(PREFIX):
        return None
    try:
        content: Any = loads(a2b_base64(text, strict_mode=True)[len(_MAGIC) :])
        scheme, model, value, redacted, signs = content
    except (*JSONError, TypeError):
        return BROKEN
    if isinstance(scheme, str) and isinstance(model, str) and isinstance(value, str) and signs in get_args(Signs):
        return Sealed(scheme, model, value, redacted is True, signs)
    return BROKEN
