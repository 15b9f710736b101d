"""What a target could not say."""

from collections.abc import Iterator

import msgspec

from .vocab import LossKind


class Loss(msgspec.Struct, frozen=True):
    kind: LossKind
    part: int | None
    """The part's number; None if it is not about one part."""
    detail: str

    def __str__(self) -> str:
        where = "" if self.part is None else f" (part {self.part})"
        return f"{self.kind}{where}: {self.detail}"


class Losses:
    """Losses in order of appearance, each once."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Loss, None] = {}

    def add(self, kind: LossKind, part: int | None, detail: str) -> None:
        self._seen[Loss(kind, part, detail)] = None

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._seen)
