"""A gateway in a process of its own, and surroundings in which nobody's keys and settings are."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_SECONDS: Final = 30


class Missing(Exception):
    """Something that must be on this machine is not."""


def empty_environment(home: str) -> dict[str, str]:
    """All that a foreign program is given: where programs are, and an empty home."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def listening(port: int, process: asyncio.subprocess.Process, what: str) -> None:
    """Wait until a process listens."""
    async with asyncio.timeout(_SECONDS):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"{what} did not start")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


async def stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def gateway(config: str) -> AsyncIterator[str]:
    """`ccproxy serve` with a configuration; gives its URL."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "ccproxy.toml"
        path.write_text(config, encoding="utf-8")
        port = free_port()
        command = ["-m", "ccproxy", "serve", "--config", str(path), "--port", str(port), "--log", "off"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=empty_environment(home), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await listening(port, process, "the gateway")
            yield f"http://127.0.0.1:{port}"
        finally:
            await stopped(process)
