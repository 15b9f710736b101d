"""The streams that tests run over: the repository's own fixtures and, where it is present, the recorded corpus.

The corpus is a folder with a `manifest.jsonl`, found at `$CCPROXY_CORPUS`, else at `shared/corpus` beside the
checkout. An empty `CCPROXY_CORPUS` hides it, which is how a fresh clone looks. Only dialects that the library has
registered are listed, so a recorded dialect starts to count on the day its folder arrives.

    @each_stream()                                      # every fixture and every recorded stream, one test id each
    def test_law(stream: Stream) -> None: ...

    @each_stream(dialect="…", tier="core", where=lambda s: "tool_use" in s.features)
    def test_some(stream: Stream) -> None: ...

    @needs_corpus                                       # for tests that read other files of the corpus
    def test_errors() -> None: ... corpus_file("errors/…")
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from ccproxy.dialects import names

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
MANIFEST = "manifest.jsonl"
SUSPECT = "suspect/"


@dataclass(frozen=True)
class Stream:
    """One stream and what its manifest says about it."""

    path: Path
    dialect: str
    provider: str
    features: frozenset[str]
    tier: str  # "core" or "extra"
    provenance: str  # "recorded", "fixture" (of another project), "fixture-suspect"; ours are "bundled"
    stop: tuple[str, ...]  # as the provider spelled it (fixtures: none, see `finish` in the row)
    n_events: int | None  # None: not counted (fixtures)
    row: Mapping[str, Any] = field(repr=False, compare=False)

    @cached_property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def bundled(self) -> bool:
        return self.provenance == "bundled"

    @property
    def suspect(self) -> bool:
        """Looks hand-written or spliced: good for survival, no evidence of what a provider sends."""
        return str(self.row.get("file", "")).startswith(SUSPECT)

    @property
    def id(self) -> str:
        prefix = "fixture/" if self.bundled else SUSPECT if self.suspect else ""
        return f"{prefix}{self.dialect}/{self.path.stem}"


def corpus_dir() -> Path | None:
    """The folder of the recorded corpus; None where there is none. A named folder without manifest is a mistake."""
    named = os.environ.get("CCPROXY_CORPUS")
    if named == "":
        return None
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    if (folder / MANIFEST).is_file():
        return folder.resolve()
    if named:
        raise FileNotFoundError(f"CCPROXY_CORPUS={named} holds no {MANIFEST}")
    return None


def corpus_file(name: str) -> Path:
    folder = corpus_dir()
    assert folder is not None, "mark the test with @needs_corpus"
    return folder / name


ABSENT = "no recorded corpus: set CCPROXY_CORPUS, or put it in shared/corpus beside the checkout"
needs_corpus = pytest.mark.skipif(corpus_dir() is None, reason=ABSENT)


def _rows(folder: Path) -> list[dict[str, Any]]:
    manifest = folder / MANIFEST
    return [json.loads(line) for line in manifest.read_bytes().splitlines()] if manifest.is_file() else []


def _stream(path: Path, dialect: str, row: Mapping[str, Any]) -> Stream:
    return Stream(
        path=path,
        dialect=dialect,
        provider=row.get("provider", dialect),
        features=frozenset(row.get("features", ())),
        tier=row.get("tier", "core"),
        provenance=row.get("provenance", "bundled"),
        stop=tuple(row.get("stop", ())),
        n_events=row.get("n_events"),
        row=row,
    )


@cache
def _recorded(folder: Path) -> tuple[Stream, ...]:
    streams = (_stream(folder / row["file"], row["dialect"], row) for row in _rows(folder))
    return tuple(sorted(streams, key=lambda stream: stream.id))


@cache
def _bundled(dialect: str) -> tuple[Stream, ...]:
    rows = {row["file"]: row for row in _rows(FIXTURES)}
    paths = sorted((FIXTURES / dialect).glob("*.sse"))
    return tuple(_stream(path, dialect, rows.get(f"{dialect}/{path.name}", {})) for path in paths)


def _dialects(only: str | None) -> list[str]:
    return [name for name in names() if only in (None, name)]


def corpus_streams(dialect: str | None = None, tier: str | None = None, include_suspect: bool = False) -> list[Stream]:
    """The recorded streams of the registered dialects; empty where the corpus is absent."""
    folder = corpus_dir()
    if folder is None:
        return []
    wanted = _dialects(dialect)
    return [
        stream
        for stream in _recorded(folder)
        if stream.dialect in wanted and tier in (None, stream.tier) and (include_suspect or not stream.suspect)
    ]


def fixture_streams(dialect: str | None = None) -> list[Stream]:
    """The repository's own streams of the registered dialects: `tests/fixtures/<dialect>/*.sse`.

    Where `tests/fixtures/manifest.jsonl` has a row, it says what must come out: `end`, `finish`, `expect`, `deviant`.
    """
    return [stream for name in _dialects(dialect) for stream in _bundled(name)]


def stream_params(
    dialect: str | None = None,
    tier: str | None = None,
    include_suspect: bool = False,
    *,
    fixtures: bool = True,
    recorded: bool = True,
    where: Callable[[Stream], bool] = lambda _: True,
) -> list[Any]:
    """`pytest.param`s, one per stream and named after it; recorded streams outside the core tier are marked slow.

    An absent corpus shows as one skipped case that says so.
    """
    streams = fixture_streams(dialect) if fixtures else []
    streams += corpus_streams(dialect, tier, include_suspect) if recorded else []
    params = [
        pytest.param(stream, id=stream.id, marks=() if stream.tier == "core" else pytest.mark.slow)
        for stream in streams
        if tier in (None, stream.tier) and where(stream)
    ]
    if recorded and corpus_dir() is None:
        params.append(pytest.param(None, id="corpus", marks=pytest.mark.skip(reason=ABSENT)))
    return params


def each_stream(*args: Any, **selection: Any) -> pytest.MarkDecorator:
    """Run the test once per stream, as its argument `stream`; the selection is that of `stream_params`."""
    return pytest.mark.parametrize("stream", stream_params(*args, **selection))
