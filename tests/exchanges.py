"""The requests that tests run over: the repository's own, and recorded ones where they are present.

Ours are bodies in `fixtures/requests/<dialect>/`. Recorded requests and responses without streaming are in a folder
`exchanges` beside the corpus.

`manifest.jsonl` has one row for each file: `file`, `dialect`, `kind`. A file holds `request`, `response`, `status` and
what belongs to them. `clients/` has requests of real clients: `path`, `body`. Only dialects that the library has
registered are listed.

    @each_exchange(kind="generate", where=lambda exchange: exchange.response is not None)
    def test_law(exchange: Exchange) -> None: ...

    @each_request()                                     # ours, the recorded ones, the clients'
    def test_other(exchange: Exchange) -> None: ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from ccproxy.dialects import names

from .corpus import FIXTURES, MANIFEST, SUSPECT, corpus_dir

ABSENT = "no recorded exchanges: a folder `exchanges` beside the recorded corpus"
BUNDLED = "bundled"


@dataclass(frozen=True)
class Exchange:
    """One request and what came back."""

    path: Path
    dialect: str
    kind: str  # "generate", "count_tokens", …
    provider: str
    row: Mapping[str, Any] = field(repr=False, compare=False)

    @cached_property
    def content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = json.loads(self.path.read_bytes())
        return content

    @property
    def bundled(self) -> bool:
        """Whether it is the repository's own: a request and nothing else."""
        return self.provider == BUNDLED

    @property
    def request(self) -> Mapping[str, Any] | None:
        return self.content if self.bundled else self.content.get("request") or self.content.get("body")

    @property
    def response(self) -> Mapping[str, Any] | None:
        """None where the answer was a stream."""
        return self.content.get("response")

    @property
    def suspect(self) -> bool:
        """Looks hand-written: good for survival, no evidence of what a provider sends."""
        return str(self.row["file"]).startswith(SUSPECT)

    @property
    def id(self) -> str:
        prefix = "fixture/" if self.bundled else SUSPECT if self.suspect else ""
        return f"{prefix}{self.dialect}/{self.path.stem}"


def exchanges_dir() -> Path | None:
    corpus = corpus_dir()
    folder = corpus.parent / "exchanges" if corpus is not None else None
    return folder if folder is not None and (folder / MANIFEST).is_file() else None


@cache
def _recorded(folder: Path) -> tuple[Exchange, ...]:
    rows = [json.loads(line) for line in (folder / MANIFEST).read_bytes().splitlines()]
    found = (Exchange(folder / row["file"], row["dialect"], row["kind"], row["provider"], row) for row in rows)
    return tuple(sorted(found, key=lambda exchange: exchange.id))


def exchanges(kind: str | None = None) -> list[Exchange]:
    """The recorded exchanges of the registered dialects; empty where there are none."""
    folder = exchanges_dir()
    if folder is None:
        return []
    return [exchange for exchange in _recorded(folder) if exchange.dialect in names() and kind in (None, exchange.kind)]


PATHS: Final = {
    "messages": "anthropic",
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "enerateContent": "gemini",
}
"""Whose request it is, by a piece of its path."""


@cache
def _sent(folder: Path) -> tuple[Exchange, ...]:
    found: list[Exchange] = []
    for path in sorted((folder / "clients").glob("*.json")):
        row = {"file": f"clients/{path.name}", **json.loads(path.read_bytes())}
        dialect = next(dialect for piece, dialect in PATHS.items() if piece in row["path"])
        found.append(Exchange(path, dialect, "generate", path.name.partition(".")[0], row))
    return tuple(found)


def clients() -> list[Exchange]:
    """What real clients send."""
    folder = exchanges_dir()
    return [exchange for exchange in _sent(folder) if exchange.dialect in names()] if folder is not None else []


@cache
def bundled(dialect: str | None = None) -> tuple[Exchange, ...]:
    """The repository's own requests: `fixtures/requests/<dialect>/*.json`."""
    return tuple(
        Exchange(path, name, "generate", BUNDLED, {"file": f"{name}/{path.name}"})
        for name in names()
        if dialect in (None, name)
        for path in sorted((FIXTURES / "requests" / name).glob("*.json"))
    )


def each_request(where: Callable[[Exchange], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Run the test once for each request for an answer, ours, recorded or a client's, as its argument `exchange`."""
    sent = (*bundled(), *exchanges("generate"), *clients())
    return _each([exchange for exchange in sent if exchange.request is not None and where(exchange)])


def each_exchange(kind: str | None = None, where: Callable[[Exchange], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Run the test once for each exchange, as its argument `exchange`. Their absence shows as one skipped case."""
    return _each([exchange for exchange in exchanges(kind) if where(exchange)])


def _each(found: list[Exchange]) -> pytest.MarkDecorator:
    params = [pytest.param(exchange, id=exchange.id) for exchange in found]
    if exchanges_dir() is None:
        params.append(pytest.param(None, id="exchanges", marks=pytest.mark.skip(reason=ABSENT)))
    return pytest.mark.parametrize("exchange", params)
