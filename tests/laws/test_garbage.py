"""A translation leaves nothing that only the collector of cycles could free: what it held goes with its last reference."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from ccproxy import Translator, translate_request
from ccproxy.core.errors import RequestRefused
from ccproxy.core.store import MemoryStore
from tests.corpus import fixture_streams
from tests.exchanges import bundled

from .harness import targets


@contextmanager
def _counting() -> Generator[Callable[[Callable[[], object]], int]]:
    """What tells how many objects a call leaves behind. It calls twice, since some things are made only once."""

    def left_by(work: Callable[[], object]) -> int:
        work()
        gc.collect()
        work()
        return gc.collect()

    gc.collect()
    gc.freeze()  # what is there before need not be looked at each time
    gc.disable()
    try:
        yield left_by
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize("source", targets())
def test_a_stream_leaves_no_cycles(source: str) -> None:
    store = MemoryStore()
    with _counting() as left_by:
        for stream in fixture_streams(source):
            for target in targets():

                def translate(data: bytes = stream.data, target: str = target) -> None:
                    translator = Translator(source, target, normalize=True, store=store)
                    translator.feed(data)
                    translator.close()
                    assert translator.message.parts is not None
                    assert translator.losses is not None

                assert left_by(translate) == 0, f"{stream.id} to {target}"


@pytest.mark.parametrize("source", targets())
def test_a_request_leaves_no_cycles(source: str) -> None:
    store = MemoryStore()
    with _counting() as left_by:
        for exchange in bundled(source):
            body = exchange.request
            assert body is not None
            for target in targets():

                def translate(body: Mapping[str, Any] = body, target: str = target) -> None:
                    try:
                        translate_request(body, source, target, store=store)
                    except RequestRefused:
                        pass

                assert left_by(translate) == 0, f"{exchange.id} to {target}"
