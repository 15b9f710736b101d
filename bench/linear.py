"""Eight times the stream or history, timed: about eight times as long, however it is cut and whatever it is made of."""

import gc
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from time import process_time
from typing import Any

from ccproxy import translate_request
from ccproxy.dialects import names
from tests.laws.test_linear import STREAMS, Pieces, translation
from tests.laws.test_linear_requests import HISTORIES, History

LIMIT = 16.0
"""Twice of linear; a square is 64."""

Sized = Callable[[str, str, int], Callable[[], object]]


def measure(rounds: int) -> list[dict[str, Any]]:
    """For each shape the pair that grows most: each source and, in turn, a target."""
    rows: list[dict[str, Any]] = []
    for number, (title, size, sized) in enumerate(_shapes()):
        targets = cycle(names())
        pairs = list(zip(names(), islice(targets, number % len(names()), None), strict=False))
        growth = {pair: _growth(sized, *pair, size, rounds) for pair in pairs}
        worst = max(growth, key=lambda pair: growth[pair])
        rows.append({"shape": title, "source": worst[0], "target": worst[1], "growth": growth[worst], "limit": LIMIT})
    return rows


def _shapes() -> Iterator[tuple[str, int, Sized]]:
    for pieces, size in STREAMS.items():
        yield pieces.__name__, size, partial(_stream, pieces)
    for history, size in HISTORIES.items():
        yield history.__name__, size, partial(_request, history)


def _stream(pieces: Pieces, source: str, target: str, count: int) -> Callable[[], object]:
    return translation(list(pieces(source, count)), source, target)


def _request(history: History, source: str, target: str, count: int) -> Callable[[], object]:
    data = json.dumps(history(source, count)).encode()
    return lambda: translate_request(data, source, target, normalize=True, model="some-model")


def _growth(sized: Sized, source: str, target: str, size: int, rounds: int) -> float:
    sizes = (size // 8, size)
    times = [[_timed(sized(source, target, count)) for count in sizes] for _ in range(rounds)]  # in turn, for noise
    small, large = (min(column) for column in zip(*times, strict=True))
    return large / small


def _timed(run: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()  # its passes over all that is alive are not ours to measure
    try:
        start = process_time()
        run()
        return process_time() - start
    finally:
        gc.enable()


def show(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'eight times as much of':24}{'is at most':>12}  from -> to")
    for row in rows:
        mark = "" if row["growth"] <= row["limit"] else "  over"
        print(f"{row['shape']:24}{row['growth']:7.1f} times  {row['source']} -> {row['target']}{mark}")
