"""A new dialect is one folder: found where it lies, it keeps the laws with no other file touched."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccproxy import collect, dialects
from tests.corpus import ROOT, Stream, fixture_streams

from . import test_liveness, test_round_trip
from .harness import at_random, every_byte, every_event, run, targets
from .test_chunking import broken as broken_by_cuts

NAME = "toy"
SMALL = 3_000


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The dialect, in a temporary folder that the registry looks into."""
    shutil.copytree(Path(__file__).parent / NAME, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(dialects, "__path__", [*dialects.__path__, str(tmp_path)])
    _forget()
    yield NAME
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    dialects.names.cache_clear()
    dialects.get.cache_clear()
    sys.modules.pop(f"{dialects.__name__}.{NAME}", None)


def _streams() -> list[Stream]:
    """Small ones, since what is tested is the new dialect."""
    return [stream for stream in fixture_streams() if len(stream.data) <= SMALL]


def test_it_is_found(toy: str) -> None:
    assert toy in dialects.names()
    assert dialects.get(toy).name == toy
    assert collect(_from(_streams()[0], toy), toy) is not None


def _from(stream: Stream, dialect: str) -> bytes:
    """A stream in the dialect, translated from another."""
    return run(stream.data, stream.dialect, dialect).out


def test_chunking(toy: str) -> None:
    for stream in _streams():
        data = _from(stream, toy)
        ways = {"byte by byte": every_byte(data), "event by event": every_event(data), "at random": at_random(data, 30)}
        for source, target in ((stream.dialect, toy), (toy, stream.dialect), (toy, toy)):
            fed = stream.data if source == stream.dialect else data
            cuts = ways if fed is data else {"event by event": every_event(fed)}
            assert not list(broken_by_cuts(fed, source, target, cuts)), stream.id


def test_round_trip_and_from_each_to_each(toy: str) -> None:
    for stream in _streams():
        data = _from(stream, toy)
        problems = [
            *test_round_trip.broken(stream.data, stream.dialect, toy),
            *test_round_trip.broken(data, toy, toy),
            *test_round_trip.broken(data, toy, stream.dialect),
            *test_liveness.broken(data, toy, stream.dialect),
        ]
        assert not problems, (stream.id, problems)


@pytest.mark.parametrize("dialect", targets())
def test_no_other_source_names_a_dialect(dialect: str) -> None:
    """But for the facades of `llms`. In other dialects the name can only be that of a scheme of signatures."""
    source = ROOT / "src" / "ccproxy"
    named = re.compile(rf"""["']{dialect}["']|dialects[./]{dialect.replace("-", "_")}\b""")
    elsewhere = [path for path in source.rglob("*.py") if path.relative_to(source).parts[0] not in ("dialects", "llms")]
    assert not [str(path) for path in elsewhere if named.search(path.read_text("utf-8"))]
    siblings = [path for path in (source / "dialects").rglob("*.py") if dialect.replace("-", "_") not in path.parts]
    assert not [
        str(path)
        for path in siblings
        if re.search(rf"import.*\b{dialect.replace('-', '_')}\b", path.read_text("utf-8"))
    ]
