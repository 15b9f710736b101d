"""What a target could not say."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .vocab import LossKind


class Loss(msgspec.Struct, frozen=True):
    kind: LossKind
    part: int | None
    """The part's number; None if it is not about one part."""
    detail: str
    path: str = ""
    """The place in the body that was translated, as `messages[3].content[0]`; empty for a stream."""

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path else "" if self.part is None else f" (part {self.part})"
        return f"{self.kind}{where}: {self.detail}"


class Losses:
    """Losses in order of appearance, each once."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Loss, None] = {}

    def add(self, kind: LossKind, part: int | None, detail: str, path: str = "") -> None:
        self._seen[Loss(kind, part, detail, path)] = None

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._seen)

    @property
    def ordered(self) -> tuple[Loss, ...]:
        """By part, those about no part last."""
        return tuple(sorted(self, key=lambda loss: (loss.part is None, loss.part or 0, loss.kind, loss.detail)))


class Translated(msgspec.Struct, frozen=True):
    """A body in another dialect."""

    body: dict[str, Any]
    losses: tuple[Loss, ...] = ()
    """What the target could not say."""
