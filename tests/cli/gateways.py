"""What the tests of the gateway's commands share: an upstream that is told what to say, the command, a client."""

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.cli.streams import CHAT, COMMAND, ENVIRONMENT, TIMEOUT

Say = Callable[[bytes], None]

QUIET = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("CCPROXY_")}
"""The environment without anything that configures a gateway."""
_STYLE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
ASK = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "?"}]}).encode()


class Upstream(NamedTuple):
    url: str
    requests: list[tuple[str, dict[str, str], bytes]]
    """Path, headers and body of each."""

    @property
    def flags(self) -> list[str]:
        return ["--upstream", f"{self.url}/v1", "--upstream-dialect", "openai-chat"]


@contextmanager
def chat_upstream(script: Callable[[Say], None] | None = None) -> Iterator[Upstream]:
    """A Chat Completions server that streams what the script says, a whole answer by default."""
    requests: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                (script or whole)(self.wfile.write)
            except OSError:  # the gateway has left
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Upstream(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()


def whole(say: Say) -> None:
    for frame in CHAT:
        say(frame)


class Gateway:
    """`ccproxy serve` or `ccproxy demo`, running."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.stderr.read())
        self.url = line.split()[-1]
        self.words: list[str] = []
        titles = 0
        while titles < 4 or "curl" not in self.words[-1]:  # there are four dialects, and a curl line ends each block
            self.words.append(process.stdout.readline().rstrip("\n"))
            assert process.poll() is None
            titles += "export" in self.words[-1]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send the signal and wait for the end. Gives the exit code and what was said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, said


@contextmanager
def gateway(*arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> Iterator[Gateway]:
    with subprocess.Popen(
        [*prefix, *COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**QUIET, **environment},
    ) as process:
        try:
            yield Gateway(process)
        finally:
            process.kill()


class Stream:
    """A response while it arrives."""

    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._connection.request("POST" if body else "GET", path, body or None, dict(headers))
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.getheaders()}

    def read_until(self, words: bytes) -> bytes:
        data = b""
        while words not in data:
            line = self._response.readline()
            assert line, data
            data += line
        return data

    def rest(self) -> bytes:
        data = self._response.read()
        self.close()
        return data

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def drains(url: str) -> bool:
    """Whether the gateway says that it takes no new streams."""
    asked = Stream(f"{url}/health/ready", {}, b"")
    asked.close()
    return asked.status == 503


def ask(url: str, body: bytes = ASK, path: str = "/v1/chat/completions", **headers: str) -> Stream:
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Stream(url + path, sent, body)


def curl(line: str) -> Stream:
    """What a curl line asks for, without curl."""
    words = shlex.split(line)
    assert words[:2] == ["curl", "-N"] and words[-2] == "-d"
    headers = dict(word.split(": ", 1) for flag, word in zip(words[3:-2:2], words[4:-2:2], strict=True) if flag == "-H")
    return Stream(words[2], headers, words[-1].encode())


def exports(line: str) -> dict[str, str]:
    """The variables of an export line."""
    words = shlex.split(line)
    assert words[0] == "export"
    return dict(word.split("=", 1) for word in words[1:])


def eventually(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**QUIET, **environment},
        check=False,
    )


def in_terminal(arguments: list[str], talk: Callable[[int, Callable[[str], str]], None]) -> tuple[int, str]:
    """Run the command in a terminal of its own. `talk` gets its process id and what waits for a pattern on the screen.

    Gives the exit code and all that was shown.
    """
    import pty

    child, terminal = pty.fork()
    if child == 0:
        os.execve(COMMAND[0], [*COMMAND, *arguments], {**QUIET, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"})
    shown = ""

    def read() -> bool:
        nonlocal shown
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side has closed
            return False
        shown += piece.decode("utf-8", "replace")
        return bool(piece)

    def wait_for(pattern: str) -> str:
        while (match := re.search(pattern, _STYLE.sub("", shown))) is None:
            assert read(), shown
        return match[0]

    killer = Timer(TIMEOUT, os.kill, (child, signal.SIGKILL))
    killer.start()
    try:
        talk(child, wait_for)
        while read():
            pass
    finally:
        killer.cancel()
        os.close(terminal)  # which ends a command that still runs
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown
