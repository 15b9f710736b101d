"""CPU and peak memory of translating requests, beside `orjson.loads` + `orjson.dumps` of the same body."""

import gc
import tracemalloc
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import orjson

from bench.make_requests import AGENT, HISTORY, request
from ccproxy import dialects, translate_request

SIZES = {"115 kB": AGENT, "2 MB": HISTORY, "4 MB": 2 * HISTORY}


def names() -> list[str]:
    return [name for name in dialects.names() if dialects.get(name).write_request is not None]


def _timed(run: Callable[[], object]) -> float:
    start = process_time()
    run()
    return process_time() - start


def _peak(run: Callable[[], object]) -> int:
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def measure(rounds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for source in names():
        bodies = {title: orjson.dumps(request(source, size)) for title, size in SIZES.items()}
        for target in names():
            runs = {title: (_translation(data, source, target), _floor(data)) for title, data in bodies.items()}
            times: dict[str, list[float]] = {title: [] for title in runs}
            floors: dict[str, list[float]] = {title: [] for title in runs}
            for _ in range(rounds):  # all sizes in turn, so that a slow phase of the machine concerns all
                gc.collect()
                gc.disable()
                for title, (run, floor) in runs.items():
                    floors[title].append(_timed(floor))
                    times[title].append(_timed(run))
                gc.enable()
            rows += [
                {
                    "source": source,
                    "target": target,
                    "size": title,
                    "bytes": len(data),
                    "us": 1e6 * median(times[title]),
                    "ratio": median(times[title]) / median(floors[title]),
                    "peak": _peak(runs[title][0]) / len(data),
                }
                for title, data in bodies.items()
            ]
    return rows


def _translation(data: bytes, source: str, target: str) -> Callable[[], object]:
    return lambda: orjson.dumps(translate_request(data, source, target, model="some-model").body)


def _floor(data: bytes) -> Callable[[], object]:
    return lambda: orjson.dumps(orjson.loads(data))


def show(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'source':17}{'target':17}{'size':8}{'bytes':>9}{'us':>9}{'ratio':>7}{'peak x':>8}{'x twice':>9}")
    by_size = {(row["source"], row["target"], row["size"]): row for row in rows}
    for row in rows:
        half = by_size.get((row["source"], row["target"], "2 MB"))
        growth = f"{row['us'] / half['us']:9.2f}" if row["size"] == "4 MB" and half else ""
        print(
            f"{row['source']:17}{row['target']:17}{row['size']:8}{row['bytes']:9}{row['us']:9.0f}"
            f"{row['ratio']:7.2f}{row['peak']:8.1f}{growth}"
        )
