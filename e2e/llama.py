"""llama.cpp's own server behind the gateway, with the official Python SDKs as clients.

    python -m e2e.llama

Makes an environment of its own in `e2e/.venv-llama`, and in it a tiny model of random weights. Every client asks in
every dialect that the server speaks, streaming and not, for an answer that the limit cuts and for one that ends by
itself, and meets a refusal. At temperature 0 the model says the same each time, so what a client gets is compared with
what the server says when it is asked directly. Prints a table; exits 1 if anything is wrong.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import openai

from tests.gateway.sdks import Answer, Clients

from .serving import Missing, empty_environment, free_port, gateway, listening, stopped

HERE: Final = Path(__file__).parent
LIMITS: Final = (20, 400)
"""Tokens: an answer that is cut, and one that ends by itself if the model comes to an end."""
MODEL: Final = "tiny"
CLIENTS: Final = ("anthropic", "openai-chat", "openai-responses", "gemini")
UPSTREAMS: Final = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
}
"""What llama.cpp's server speaks."""
NORMALIZED: Final = frozenset({"openai-responses"})
"""Its events have no indices, which OpenAI's own stream helper can't do without; untouched it would stay so."""
LENGTH: Final = {
    "anthropic": ("max_tokens",),
    "openai-chat": ("length",),
    "openai-responses": ("incomplete:max_output_tokens",),
    "gemini": ("MAX_TOKENS",),
}
END: Final = {
    "anthropic": ("end_turn",),
    "openai-chat": ("stop",),
    "openai-responses": ("completed",),
    "gemini": ("STOP",),
}
_INSTALL_SECONDS: Final = 300
_SECONDS: Final = 120


def install() -> Path:
    """The interpreter of the environment with llama.cpp."""
    folder, wanted = HERE / ".venv-llama", HERE / "llama-requirements.txt"
    python, done = folder / "bin" / "python", folder / ".installed"
    if done.exists() and done.read_bytes() == wanted.read_bytes():
        return python
    print("== install llama.cpp", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=_INSTALL_SECONDS)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]
    try:
        subprocess.run(command, check=True, timeout=_INSTALL_SECONDS)
    except subprocess.CalledProcessError:
        raise Missing("xllamacpp can't be installed here; it has wheels for Linux and macOS") from None
    done.write_bytes(wanted.read_bytes())
    return python


@asynccontextmanager
async def engine(python: Path) -> AsyncIterator[str]:
    """llama.cpp's server; gives its URL."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            python,
            HERE / "llama_server.py",
            folder,
            str(port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=said,
            env=empty_environment(folder),
        )
        try:
            try:
                await listening(port, process, "llama.cpp's server")
            except RuntimeError:
                said.seek(0)
                print(said.read().decode(errors="replace")[-3000:], file=sys.stderr)
                raise
            yield f"http://127.0.0.1:{port}"
        finally:
            await stopped(process)


def question(clients: Clients, client: str, upstream: str, tokens: int) -> dict[str, Any]:
    """A request for a short answer, always the same."""
    request = clients[client].question(f"on-{upstream}", tools=False)
    if client == "gemini":
        request["config"].max_output_tokens = tokens
        request["config"].temperature = 0
        return request
    limit = {"anthropic": "max_tokens", "openai-chat": "max_tokens", "openai-responses": "max_output_tokens"}[client]
    greedy = {"extra_body": {"temperature": 0}} if client == "anthropic" else {"temperature": 0}
    return request | {limit: tokens} | greedy


class Truth(NamedTuple):
    """What the server says without the gateway."""

    text: str
    tokens: int
    is_cut: bool


def directly(url: str, clients: Clients, dialect: str, limit: int) -> Truth:
    request = question(clients, dialect, dialect, limit)
    request |= request.pop("extra_body", {})
    asked = urllib.request.Request(
        url + UPSTREAMS[dialect], json.dumps(request).encode(), {"content-type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=_SECONDS) as response:
        answer = json.load(response)
    if dialect == "openai-chat":
        parts = [{"text": answer["choices"][0]["message"]["content"]}]
    elif dialect == "anthropic":
        parts = answer["content"]
    else:
        parts = [part for item in answer["output"] for part in item.get("content", ())]
    tokens = answer["usage"]["completion_tokens" if dialect == "openai-chat" else "output_tokens"]
    return Truth("".join(part.get("text", "") for part in parts), tokens, tokens >= limit)


def read_chat(url: str, request: dict[str, Any]) -> Answer:
    with openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as client:
        chunks = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    usage = next(chunk.usage for chunk in chunks if chunk.usage is not None)
    finish = next(choice.finish_reason for choice in choices if choice.finish_reason)
    return Answer(text, "", [], finish, (usage.prompt_tokens, usage.completion_tokens), None)


def read_responses(url: str, request: dict[str, Any]) -> Answer:
    with openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as client:
        events = list(client.responses.create(**request, stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last: Any = events[-1]
    usage = last.response.usage
    finish = last.response.status
    if last.response.incomplete_details is not None:
        finish += f":{last.response.incomplete_details.reason}"
    return Answer(text, "", [], finish, (usage.input_tokens, usage.output_tokens), None)


READERS: Final = {"openai-chat": read_chat, "openai-responses": read_responses}
"""For streams that the limit cuts: OpenAI's own helpers raise for these, so the events are read one by one."""


def judge(url: str, clients: Clients, client: str, upstream: str, streams: bool, limit: int, truth: Truth) -> list[str]:
    """What is wrong with an answer."""
    request = question(clients, client, upstream, limit)
    try:
        if streams and truth.is_cut and client in READERS:
            answer = READERS[client](url, request)
        else:
            answer = clients[client].ask(request, stream=streams)
    except Exception as error:  # whatever an SDK raises for a stream that it can't read
        return [f"{type(error).__name__}: {error}"]
    wrong: list[str] = []
    if not answer.text or answer.text != truth.text:
        wrong.append(f"the text is {answer.text!r}, not {truth.text!r}")
    finishes = LENGTH[client] if truth.is_cut else END[client]
    if truth.is_cut and upstream == "openai-responses":
        finishes += END[client]  # it says `completed` whatever ended the answer
    if answer.finish not in finishes:
        wrong.append(f"the finish reason is {answer.finish!r}, not {' or '.join(finishes)}")
    if answer.usage[1] != truth.tokens:
        wrong.append(f"the usage is {answer.usage}, and the server counts {truth.tokens} tokens")
    return wrong


def refused(clients: Clients, client: str, upstream: str) -> list[str]:
    """The server's own refusal, which must be an error of the client's SDK."""
    request = clients[client].question(f"on-{upstream}", tools=False)
    long = "a sentence that is too long for so small a context. " * 400
    if client == "gemini":
        request["contents"] = long
    else:
        request["input" if client == "openai-responses" else "messages"] = [{"role": "user", "content": long}]
    try:
        answer = clients[client].ask(request, stream=True)
    except Exception as error:  # judged below, whatever the SDK raises
        told = clients[client].caught(error)
        if told.status == 400 and "context" in told.message:
            return []
        return [f"{told.type.__name__} {told.status}: {told.message}"]
    return [f"a prompt beyond the context is answered with {answer.text!r}"]


async def run(python: Path) -> int:
    wrong: list[str] = []
    count = 0
    async with engine(python) as server:
        table: list[str] = []
        for dialect in UPSTREAMS:
            table += [f"[upstreams.{dialect}]", f'dialect = "{dialect}"', f'url = "{server}"']
            table += ["normalize = true"] if dialect in NORMALIZED else []
            table += [f"[upstreams.{dialect}.retries]", "attempts = 1"]
            table += ["[[models]]", f'match = "on-{dialect}"', f'upstream = "{dialect}"', f'model = "{MODEL}"']
        async with gateway("\n".join(table)) as url:
            clients = Clients(url)
            print(" " * 18 + "".join(f"on {dialect}".ljust(22) for dialect in UPSTREAMS))
            truths = {
                (dialect, limit): await asyncio.to_thread(directly, server, clients, dialect, limit)
                for dialect in UPSTREAMS
                for limit in LIMITS
            }
            for client in CLIENTS:
                cells: list[str] = []
                for dialect in UPSTREAMS:
                    checks: dict[str, list[str]] = {}
                    for limit in LIMITS:
                        truth = truths[dialect, limit]
                        for way, streams in (("stream", True), ("body", False)):
                            found = await asyncio.to_thread(judge, url, clients, client, dialect, streams, limit, truth)
                            checks[f"{way} of {limit} tokens"] = found
                    checks["error"] = await asyncio.to_thread(refused, clients, client, dialect)
                    found = [f"{check}: {line}" for check, lines in checks.items() for line in lines]
                    count += len(checks)
                    cells.append(("wrong" if found else "right").ljust(22))
                    wrong += [f"{client} on {dialect}, {line}" for line in found]
                print(client.ljust(18) + "".join(cells).rstrip())
            clients.close()
    for line in wrong:
        print(line)
    failed = len({line.partition(":")[0] for line in wrong})
    print(f"{count - failed} passed, {failed} failed")
    return 1 if wrong else 0


async def bounded(python: Path) -> int:
    async with asyncio.timeout(_SECONDS):
        return await run(python)


def main() -> int:
    try:
        python = install()
    except Missing as missing:
        print(f"make e2e-llama: {missing}", file=sys.stderr)
        return 2
    return asyncio.run(bounded(python))


if __name__ == "__main__":
    sys.exit(main())
