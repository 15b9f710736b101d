"""What the gateway costs, beside nginx `proxy_pass` in the same run.

    python -m bench.gateway [--rounds 3] [--seconds 2] [--quick] [--json FILE]

One core is the proxy's; the upstream and the clients, `peers.c`, have another. Microseconds are CPU of the proxy's
process alone, so that they say nearly the same while the machine does other things. "burst" is 1,000 events of about
150 bytes at once, "each" one event at a time; both keep the proxy busy all the time. "stream" is a stream of three
deltas, "body" an answer without streaming. "paced" is many open streams that share 10,000 events a second, after which
the memory of one stream is told. Medians of the rounds. Exits 1 if a limit is passed, 2 without nginx or a compiler.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from bench.gateway import streams

EVENTS: Final = 1000
SHORT: Final = 3
CONNECTIONS: Final = 32
PACED: Final = 2000
PACE: Final = 10_000
"""Events a second over all paced streams."""
LIMITS: Final = {"burst": 12.0, "request": 450.0, "first": 0.8, "delay": 100.0, "memory": 60.0}
HERE: Final = Path(__file__).parent

Measured = dict[str, float]


class Case(NamedTuple):
    name: str
    upstream: str
    client: str
    """The dialects at its two ends."""
    limited: bool = False
    is_paced: bool = False


CASES: Final = (
    Case("nginx proxy_pass", "openai-chat", "openai-chat", is_paced=True),
    Case("untouched chat", "openai-chat", "openai-chat"),
    Case("chat -> anthropic", "openai-chat", "anthropic", limited=True, is_paced=True),
    Case("anthropic -> responses", "anthropic", "openai-responses", limited=True),
)


class Missing(Exception):
    """Something that the measurement needs is not on this machine."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def raise_descriptors() -> None:
    wanted = 2 * PACED + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise Missing(f"{PACED} streams need {wanted} file descriptors, and `ulimit -Hn` allows {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def pinned(core: int) -> Callable[[], None]:
    """What a child does before it begins: take one core, where there are two."""

    def pin() -> None:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[core]})

    return pin if hasattr(os, "sched_setaffinity") else lambda: None


def build(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing("a C compiler is needed for the load; on Debian or Ubuntu: apt install gcc")
    out = folder / "peers"
    subprocess.run([compiler, "-O2", "-o", out, HERE / "peers.c"], check=True)
    return out


@contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[int]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if program is None:
        raise Missing("nginx is needed beside the gateway; on Debian or Ubuntu: apt install nginx-light")
    (folder / "nginx").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
        events {{ worker_connections 16384; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/nginx/a; proxy_temp_path {folder}/nginx/b;
            fastcgi_temp_path {folder}/nginx/c;
            uwsgi_temp_path {folder}/nginx/d; scgi_temp_path {folder}/nginx/e;
            keepalive_requests 1000000000;
            upstream peers {{ server 127.0.0.1:{upstream} max_fails=0; keepalive 4096; keepalive_requests 1000000000; }}
            server {{
                listen 127.0.0.1:{port} backlog=4096;
                location / {{
                    proxy_pass http://peers; proxy_http_version 1.1; proxy_set_header Connection "";
                    proxy_buffering off; proxy_read_timeout 600s;
                }}
            }}
        }}
        """,
        encoding="utf-8",
    )
    command = [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with running(command, port) as pid:
        yield pid


@contextmanager
def gateway(case: Case, port: int, upstream: int) -> Iterator[int]:
    url = f"http://127.0.0.1:{upstream}"
    command = [sys.executable, "-m", "ccproxy", "serve", "--upstream", url, "--upstream-dialect", case.upstream]
    with running([*command, "--port", str(port), "--log", "json"], port) as pid:
        yield pid


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server that listens, on the first core. Its process is over when the context is."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, preexec_fn=pinned(0)
        )
        try:
            end = time.monotonic() + 20
            while True:
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} did not start:\n{said.read().decode(errors='replace')}")
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Load(NamedTuple):
    """One proxy under one case."""

    peers: Path
    folder: Path
    case: Case
    pid: int
    port: int
    upstream: int

    def run(self, mode: str, events: int, connections: int, seconds: float, **more: float) -> Measured:
        streaming = mode != "body"
        request, answer = self.folder / "request.json", self.folder / "answer"
        request.write_bytes(streams.request(self.case.client, streaming))
        answer.write_bytes(
            streams.stream(self.case.upstream, events) if streaming else streams.body(self.case.upstream)
        )
        options: dict[str, Any] = {
            "mode": mode,
            "connections": connections,
            "client-port": self.port,
            "upstream-port": self.upstream,
            "pid": self.pid,
            "seconds": seconds,
            "path": streams.PATHS[self.case.client],
            "request": request,
            "stream": answer,
            **more,
        }
        command = [str(self.peers), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        done = subprocess.run(command, stdout=subprocess.PIPE, preexec_fn=pinned(1), timeout=120, check=True)
        measured: Measured = json.loads(done.stdout)
        if measured["errors"] or not measured["events"]:
            raise RuntimeError(f"{self.case.name}, {mode}: {measured}")
        return measured


def measure_once(load: Load, seconds: float) -> Measured:
    """One round of a case: microseconds per event and request, milliseconds to the first byte."""
    burst = load.run("burst", EVENTS, CONNECTIONS, seconds)
    each = load.run("each", EVENTS, CONNECTIONS, seconds)
    short = load.run("burst", SHORT, CONNECTIONS, seconds)
    body = load.run("body", 1, CONNECTIONS, seconds)
    first = load.run("burst", SHORT, 1, seconds / 2)
    return {
        "burst": 1e6 * burst["cpu"] / burst["events"],
        "each": 1e6 * each["cpu"] / each["events"],
        "request": 1e6 * short["cpu"] / short["requests"],
        "body": 1e6 * body["cpu"] / body["requests"],
        "first": first["first_p50"],
        "busy": 100 * burst["cpu"] / burst["wall"],
    }


def measure_paced(load: Load, seconds: float) -> Measured:
    load.run("burst", SHORT, 8, 0.5)  # what the process needs only once is loaded by then
    paced = load.run("paced", EVENTS, PACED, seconds, pace=PACE, warm=2)
    if paced["streams"] < PACED:
        raise RuntimeError(f"{load.case.name}: {paced['streams']} of {PACED} streams were open")
    return {
        "paced": 1e6 * paced["cpu"] / paced["events"],
        "rate": paced["events"] / paced["wall"],
        "delay_p50": paced["delay_p50"],
        "delay": paced["delay_p99"],
        "memory": (paced["resident"] - paced["idle"]) / 1024 / PACED,
        "paced_busy": 100 * paced["cpu"] / paced["wall"],
    }


def measure(rounds: int, seconds: float, cases: tuple[Case, ...]) -> dict[str, Measured]:
    rows: dict[str, list[Measured]] = {case.name: [] for case in cases}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = build(folder)

        def serving(case: Case, port: int, upstream: int) -> Any:
            return nginx(folder, port, upstream) if case.name.startswith("nginx") else gateway(case, port, upstream)

        for _ in range(rounds):  # in turn, so that a slow phase of the machine concerns all
            for case in cases:
                port, upstream = free_port(), free_port()
                with serving(case, port, upstream) as pid:
                    measured = measure_once(Load(peers, folder, case, pid, port, upstream), seconds)
                if case.is_paced:
                    with serving(case, port, upstream) as pid:
                        measured |= measure_paced(Load(peers, folder, case, pid, port, upstream), 3 * seconds)
                rows[case.name].append(measured)
    return {name: {key: median(one[key] for one in many) for key in many[0]} for name, many in rows.items()}


def show(rows: dict[str, Measured], cases: tuple[Case, ...]) -> list[str]:
    """Print the table; gives what is over its limit."""
    over: list[str] = []

    def cell(case: Case, key: str, width: int, digits: int) -> str:
        value = rows[case.name].get(key)
        if value is None:
            return " " * width
        limit = LIMITS.get(key)
        is_over = case.limited and limit is not None and value > limit
        if is_over:
            over.append(f"{case.name}: {key} {value:.{digits}f}, limit {limit:g}")
        return f"{value:.{digits}f}{'*' if is_over else ''}".rjust(width)

    print("upstream -> client       us/event      us/request        ms   2,000 paced streams: us/  delay ms     KB a")
    print("                       burst    each  stream    body     first     event  busy  p50    p99    stream")
    for case in cases:
        line = f"{case.name:22}" + cell(case, "burst", 6, 2) + cell(case, "each", 8, 2) + cell(case, "request", 8, 0)
        line += cell(case, "body", 8, 0) + cell(case, "first", 10, 2) + cell(case, "paced", 10, 1)
        line += cell(case, "paced_busy", 6, 0) + cell(case, "delay_p50", 6, 1) + cell(case, "delay", 7, 1)
        print((line + cell(case, "memory", 10, 1)).rstrip())
    print("limits of translations:", ", ".join(f"{key} {limit:g}" for key, limit in LIMITS.items()))
    return over


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--json", help="also write the medians to this file")
    options = parser.parse_args()
    rounds, seconds = (1, 0.7) if options.quick else (options.rounds, options.seconds)
    try:
        raise_descriptors()
        rows = measure(rounds, seconds, CASES)
    except Missing as missing:
        print(f"make bench-gateway: {missing}", file=sys.stderr)
        return 2
    if len(os.sched_getaffinity(0)) < 2:
        print("one core for all: times to the first byte and delays are those of a crowded machine")
    over = show(rows, CASES)
    for line in over:
        print("over:", line)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
