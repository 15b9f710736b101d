"""Identity: ids made up where the source has none, the same for the same stream."""

import re
from collections.abc import Callable
from typing import Final

_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")


def digest(*words: object) -> str:
    """24 hex digits that depend on the words alone."""
    from hashlib import blake2s  # slow to import, seldom needed

    text = "\x1f".join(map(str, words))
    return blake2s(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def call_id(seed: str, part: int) -> str:
    """The id of a call that came without one. With a constant seed ids would repeat in later turns."""
    return "call_" + digest(seed, part)


def with_prefix(prefix: str, id: str, accepts: Callable[[str], object] = _CALL_ID.fullmatch) -> str:
    """`id` if it has the prefix that the target's ids have, else one made from it."""
    if id.startswith(prefix) and accepts(id):
        return id
    return prefix + digest(id)
