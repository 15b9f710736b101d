"""Identity: ids made up where the source has none, the same for the same stream."""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from functools import cache
from typing import Any, Final

_CARRIED: Final = "ccproxy_"
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")


def digest(*words: object) -> str:
    """24 hex digits that depend on the words alone."""
    text = "\x1f".join(map(str, words))
    hashed: str = _hash()(text.encode("utf-8", "surrogatepass")).hexdigest()
    return hashed[:24]


@cache
def _hash() -> Callable[[bytes], Any]:
    from hashlib import blake2s  # slow to import, and many uses of the library need none

    return blake2s


def call_id(seed: str, part: int) -> str:
    """The id of a call that came without one. With a constant seed ids would repeat in later turns."""
    return "call_" + digest(seed, part)


def carry_id(id: str) -> str:
    """A call id for a target that takes letters, digits, `_` and `-` alone; `carried_id` gives the original back.

    Anthropic refuses other characters; Kimi's ids, for one, are like `functions.get_weather:0`.
    """
    if _CALL_ID.fullmatch(id):
        return id
    encoded = b2a_base64(id.encode("utf-8", "surrogatepass"), newline=False).decode("ascii").rstrip("=")
    return _CARRIED + encoded.replace("+", "-").replace("/", "_")


def carried_id(id: str) -> str:
    """The id that `carry_id` made this one of, else the id itself."""
    if not id.startswith(_CARRIED):
        return id
    text = id.removeprefix(_CARRIED).replace("-", "+").replace("_", "/")
    try:
        original = a2b_base64(text + "=" * (-len(text) % 4)).decode("utf-8", "surrogatepass")
    except ValueError:
        return id
    return original if carry_id(original) == id else id  # somebody else's may begin so too


def flat_name(namespace: str, name: str) -> str:
    """A tool's name for a dialect without namespaces. OpenAI gives a tool that is in none its own name as namespace."""
    return name if namespace in ("", name) else f"{namespace}__{name}"


def with_prefix(prefix: str, id: str, accepts: Callable[[str], object] = _CALL_ID.fullmatch) -> str:
    """`id` if it has the prefix that the target's ids have, else one made from it."""
    if id.startswith(prefix) and accepts(id):
        return id
    return prefix + digest(id)
