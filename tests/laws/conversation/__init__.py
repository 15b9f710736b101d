"""Conversations with tools, as each dialect's clients and servers have them, written without the library.

One module for each dialect, named after it (underscores for hyphens). As a server it has `SERVERS`: answers with signed
reasoning, and what it wants to see of them in the next request. As a client it begins a conversation (`ask`), makes the
next request of the stream it got (`answer`, which may keep only what old clients know), and has a `MODEL`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

__all__ = ["SPEAKERS", "Server", "Speaker", "Thing"]

Json = dict[str, Any]

Thing = tuple[str, ...]
"""What a server sees of an earlier answer: ("thought", text, signature), ("redacted", data), ("call", id, signature).

("said", text) is reasoning that nobody signs."""


@dataclass(frozen=True)
class Server:
    """A server of a dialect."""

    model: str
    other_model: str
    answers: Sequence[bytes]
    """The streams of the first turns, each with calls."""
    wants: Sequence[Sequence[Thing]]
    """What the next request must have of each answer, in this order."""
    secrets: Sequence[str]
    """The signatures."""


class Speaker(Protocol):
    """What a module of this package offers."""

    SERVERS: dict[str, Server]
    MODEL: str

    def ask(self) -> Json: ...
    def answer(self, request: Json, stream: bytes, *, keep: bool) -> Json: ...
    def seen(self, request: Json) -> list[Thing]:
        """What a server sees of the earlier answers in a request."""
        ...


SPEAKERS: dict[str, Speaker] = {
    module.name.replace("_", "-"): cast("Speaker", import_module(f"{__name__}.{module.name}"))
    for module in pkgutil.iter_modules(__path__)
    if not module.name.startswith("wire")
}
