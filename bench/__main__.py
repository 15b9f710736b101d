"""Microseconds of CPU per event for every pair, beside `orjson.loads` + `orjson.dumps` of the same events.

    python -m bench [--rounds 11] [--json FILE]

Each round times the floor and every pair in turn, so that the ratios hold on a noisy machine. The median is shown.
Then the same for requests: an agent's of 115 kB with 24 tools, histories of 2 and 4 MB, and the peak of memory as a
multiple of the body. At last streams and histories of many shapes, and how much longer eight times as much takes.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import orjson

from bench import linear, requests
from bench.make_streams import stream
from ccproxy import Translator
from ccproxy.dialects import names

READ = 16 * 1024
TARGET = {"16 KiB": 1.2, "1 event": 2.5}
TARGET_RESPONSES = {"16 KiB": 1.7, "1 event": 3.0}
"""Ratios to the floor that are promised; writing Responses costs more, since every event is numbered."""


def frames(data: bytes) -> list[bytes]:
    end = b"\r\n\r\n" if b"\r\n" in data else b"\n\n"
    return [frame + end for frame in data.split(end) if frame]


def timed(run: Callable[[], object]) -> float:
    start = process_time()
    run()
    return process_time() - start


def floor(payloads: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        loads, dumps = orjson.loads, orjson.dumps
        for payload in payloads:
            dumps(loads(payload))

    return run


def translation(source: str, target: str, reads: list[bytes], normalize: bool) -> Callable[[], None]:
    def run() -> None:
        translator = Translator(source, target, normalize=normalize)
        feed = translator.feed
        for read in reads:
            feed(read)
        translator.close()
        if translator.error is not None:
            raise translator.error

    return run


def measure(rounds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for source in names():
        data = stream(source)
        events = frames(data)
        payloads = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]
        cuts = {"16 KiB": [data[i : i + READ] for i in range(0, len(data), READ)], "1 event": events}
        runs: dict[tuple[str, str, str], Callable[[], None]] = {}
        for target in names():
            for cut, reads in cuts.items():
                runs[target, cut, ""] = translation(source, target, reads, False)
                if target == source:
                    runs[target, cut, "normalize"] = translation(source, target, reads, True)
        base = floor(payloads)
        times: dict[tuple[str, str, str], list[float]] = {key: [] for key in runs}
        ratios: dict[tuple[str, str, str], list[float]] = {key: [] for key in runs}
        floors: list[float] = []
        for _ in range(rounds):
            gc.collect()
            gc.disable()
            for key, run in runs.items():
                unit = timed(base)
                spent = timed(run)
                floors.append(unit)
                times[key].append(spent)
                ratios[key].append(spent / unit)
            gc.enable()
        for (target, cut, mode), spent_times in times.items():
            limits = TARGET_RESPONSES if target == "openai-responses" else TARGET
            rows.append(
                {
                    "source": source,
                    "target": target,
                    "mode": mode or ("untouched" if source == target else ""),
                    "read": cut,
                    "floor_us": 1e6 * median(floors) / len(payloads),
                    "us": 1e6 * median(spent_times) / len(payloads),
                    "ratio": median(ratios[target, cut, mode]),
                    "limit": limits[cut],
                }
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", help="also write the rows to this file")
    options = parser.parse_args()
    rows = measure(options.rounds)
    print(f"{'source':17}{'target':17}{'mode':11}{'read':9}{'floor us':>9}{'us':>7}{'ratio':>7}{'limit':>7}")
    for row in rows:
        mark = "" if row["ratio"] <= row["limit"] else "  over"
        print(
            f"{row['source']:17}{row['target']:17}{row['mode']:11}{row['read']:9}"
            f"{row['floor_us']:9.2f}{row['us']:7.2f}{row['ratio']:7.2f}{row['limit']:7.1f}{mark}"
        )
    request_rows = requests.measure(max(3, options.rounds // 2))
    requests.show(request_rows)
    linear_rows = linear.measure(3)
    linear.show(linear_rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([*rows, *request_rows, *linear_rows], file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
