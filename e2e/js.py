"""The official JS SDKs and the Vercel AI SDK as clients of the gateway, on a scripted upstream of each dialect.

    python -m e2e.js [-k WORD] [--verbose]

Installs the SDKs into `e2e/node_modules` as the lock file has them. Every client asks every upstream, streaming and
not: for a text, for a tool with its round trip and signed reasoning, and to meet an error before the first byte, one in
the middle, and a cut. Prints a table; exits 1 if anything is wrong, 2 if something that it needs is missing.
"""

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from ccproxy import Translator
from tests.gateway.answers import DIALECTS, SPEECHES, TEXT, USAGE, WORDS
from tests.gateway.upstream import Call, body, cut, stream, upstream
from tests.laws.conversation import SPEAKERS
from tests.laws.conversation.wire import QUESTION, RESULT, SCHEMA, TOOL

from .serving import Missing, empty_environment, gateway

HERE: Final = Path(__file__).parent
CLIENTS: Final = {
    "openai chat": "openai-chat",
    "openai responses": "openai-responses",
    "anthropic": "anthropic",
    "google genai": "gemini",
    "ai openai chat": "openai-chat",
    "ai openai responses": "openai-responses",
    "ai openai-compatible": "openai-chat",
    "ai anthropic": "anthropic",
    "ai google": "gemini",
}
"""By the dialect that they speak."""
SCENARIOS: Final = ("text", "tools", "refused", "failed", "cut")
SHOWS_REASONING: Final = frozenset(CLIENTS) - {"ai openai chat"}
"""That provider knows no reasoning in Chat Completions."""
NORMALIZED: Final = frozenset({("openai-chat", "tools")})
"""That upstream's first delta has no role, which OpenAI's own stream helper refuses; untouched it would stay so."""
FORGET_SIGNATURES: Final = frozenset({"ai openai chat", "ai openai-compatible"})
"""They send no `reasoning_details` back; a request of the upstream's own dialect goes there as it came."""
_CASE: Final = re.compile(r"\(case (\d+)\)")
_INSTALL_SECONDS: Final = 300
_SECONDS: Final = 300
"""For all clients together; each case has its own limit."""


class Case(NamedTuple):
    number: int
    client: str
    upstream: str
    scenario: str
    streams: bool

    @property
    def model(self) -> str:
        return f"{self.upstream}-strict" if (self.upstream, self.scenario) in NORMALIZED else self.upstream

    def asked(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "client": self.client,
            "model": self.model,
            "question": f"{QUESTION} (case {self.number})",
            "stream": self.streams,
            "tools": self.scenario == "tools",
        }


def all_cases() -> list[Case]:
    wanted = [
        (client, dialect, scenario, streams)
        for client in CLIENTS
        for dialect in DIALECTS
        for scenario in SCENARIOS
        for streams in (True, False)
    ]
    return [Case(number, *what) for number, what in enumerate(wanted)]


class Scripted:
    """The upstreams' side of all cases."""

    def __init__(self, cases: list[Case]) -> None:
        self._cases = {case.number: case for case in cases}
        self.requests: defaultdict[int, list[Any]] = defaultdict(list)
        """The bodies that a case brought upstream."""

    async def __call__(self, call: Call) -> None:
        found = _CASE.search(call.body.decode())
        assert found is not None, call.target
        case = self._cases[int(found[1])]
        self.requests[case.number].append(call.json)
        speech = SPEECHES[case.upstream]
        begun = speech.text[: speech.said]
        if case.scenario == "refused":
            refusal = speech.refusals["rate_limit"]
            script = body(refusal.body, refusal.status, refusal.headers)
        elif case.scenario == "failed":
            refusal = speech.refusals["overloaded"]
            failed = body(refusal.body, refusal.status, refusal.headers)
            script = stream(*begun, speech.error, pause=0.01) if case.streams else failed
        elif case.scenario == "cut":
            script = cut(*begun) if case.streams else cut()
        elif case.scenario == "tools" and len(self.requests[case.number]) == 1:
            said = first_answer(case.upstream)
            script = stream(said) if case.streams else body(whole(case.upstream, said))
        else:
            script = stream(*speech.text) if case.streams else body(speech.body)
        await script(call)


def first_answer(dialect: str) -> bytes:
    return next(iter(SPEAKERS[dialect].SERVERS.values())).answers[0]


def whole(dialect: str, said: bytes) -> dict[str, Any]:
    translator = Translator(dialect, dialect)
    translator.feed(said)
    translator.close()
    return translator.body()


def judge(case: Case, got: dict[str, Any], requests: list[Any]) -> list[str]:
    """What is wrong with a case."""
    wrong: list[str] = []

    def expect(what: str, value: Any, expected: Any) -> None:
        if value != expected:
            wrong.append(f"{what} is {value!r}, not {expected!r}")

    expect("the number of requests upstream", len(requests), 2 if case.scenario == "tools" else 1)
    error = got.get("error")
    if case.scenario in ("text", "tools"):
        if error is not None:
            return [*wrong, f"{error['type']} {error['status']}: {error['message'].strip()}"]
        answer = got["answer"]
        expect("the text", answer["text"], TEXT)
        expect("the text as it was heard", answer["heard"], TEXT)
        expect("the usage", tuple(answer["usage"]), USAGE)
        if not answer["finish"]:
            wrong.append("there is no finish reason")
    if case.scenario == "tools":
        first = got.get("first")
        if first is None:
            return [*wrong, "no tool was called"]
        expect("the calls", sorted(call["city"] for call in first["calls"]), ["Brest", "Lyon"])
        if case.client in SHOWS_REASONING and not first["reasoning"]:
            wrong.append("the reasoning was not shown")
        wants = next(iter(SPEAKERS[case.upstream].SERVERS.values())).wants[0]
        if len(requests) == 2:
            seen = SPEAKERS[case.upstream].seen(requests[1])
            if case.client in FORGET_SIGNATURES and CLIENTS[case.client] == case.upstream:
                wants, seen = ([thing for thing in things if thing[0] == "call"] for things in (wants, seen))
            expect("what came back to the upstream", seen, list(wants))
            if RESULT not in json.dumps(requests[1]):
                wrong.append("the results of the calls did not reach the upstream")
    if case.scenario in ("refused", "failed", "cut"):
        if error is None:
            return [*wrong, f"no error, but {got['answer']}"]
        if case.scenario == "refused":
            expect("the status", error["status"], 429)
        words = {"refused": "Slow down", "failed": "Too much to do", "cut": ""}[case.scenario]
        if words not in error["message"] or error["message"].strip() == "no end":
            wrong.append(f"the error says {error['message'].strip()!r}")
        if case.streams and case.scenario != "refused":
            expect("the text until then", error["heard"], "".join(WORDS))
    return wrong


def install(folder: Path = HERE, what: str = "the SDKs") -> None:
    """Have what the folder's lock file names; does nothing if it is there."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing("Node.js 20 or newer with npm is needed; on Debian or Ubuntu: apt install nodejs npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        raise Missing(f"Node.js 20 or newer is needed; this is {version}")
    lock, done = folder / "package-lock.json", folder / "node_modules" / ".installed"
    if done.exists() and done.read_bytes() == lock.read_bytes():
        return
    print(f"== install {what}", flush=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, timeout=_INSTALL_SECONDS)
    done.write_bytes(lock.read_bytes())


@asynccontextmanager
async def staged(scripted: Scripted) -> AsyncIterator[str]:
    """The URL of a gateway with a scripted upstream of each dialect."""
    async with AsyncExitStack() as stack:
        lines: list[str] = []
        for dialect in DIALECTS:
            server = await stack.enter_async_context(upstream(scripted))
            model = next(iter(SPEAKERS[dialect].SERVERS.values())).model
            for name, normalize in ((dialect, "false"), (f"{dialect}-strict", "true")):
                lines += [f"[upstreams.{name}]", f'dialect = "{dialect}"', f'url = "{server.url}"']
                lines += [f"normalize = {normalize}", f"[upstreams.{name}.retries]", "attempts = 1"]
                lines += ["[[models]]", f'match = "{name}"', f'upstream = "{name}"', f'model = "{model}"']
        yield await stack.enter_async_context(gateway("\n".join(lines)))


async def ask(url: str, cases: list[Case]) -> dict[int, dict[str, Any]]:
    """What each case came to, by its number."""
    told = {"url": url, "toolName": TOOL, "schema": SCHEMA, "result": RESULT}
    asked = json.dumps({**told, "cases": [case.asked() for case in cases]}).encode()
    with tempfile.TemporaryDirectory() as home:
        process = await asyncio.create_subprocess_exec(
            shutil.which("node") or "node",
            HERE / "clients.mjs",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=empty_environment(home),
        )
        try:
            async with asyncio.timeout(_SECONDS):
                out, _ = await process.communicate(asked)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    results = [json.loads(line) for line in out.splitlines() if line.startswith(b'{"case"')]
    return {result["case"]: result for result in results}


def show(cases: list[Case], wrong: dict[int, list[str]]) -> None:
    width = max(map(len, CLIENTS)) + 2
    print(" " * width + "".join(dialect.ljust(18) for dialect in DIALECTS))
    for client in CLIENTS:
        cells: list[str] = []
        for dialect in DIALECTS:
            mine = [case for case in cases if (case.client, case.upstream) == (client, dialect)]
            bad = sum(bool(wrong[case.number]) for case in mine)
            cells.append((f"{bad} of {len(mine)} wrong" if bad else f"{len(mine)} right").ljust(18))
        print(client.ljust(width) + "".join(cells).rstrip())


async def run(cases: list[Case], verbose: bool) -> int:
    scripted = Scripted(cases)
    async with staged(scripted) as url:
        got = await ask(url, cases)
    wrong = {
        case.number: judge(case, got[case.number], scripted.requests[case.number])
        if case.number in got
        else ["the client gave up before it"]
        for case in cases
    }
    show(cases, wrong)
    for case in cases:
        for line in wrong[case.number]:
            way = "stream" if case.streams else "body"
            print(f"{case.client} on {case.upstream}, {case.scenario}, {way}: {line}")
        if verbose and wrong[case.number]:
            print("   ", json.dumps(got.get(case.number)), json.dumps(scripted.requests[case.number])[:3000])
    failed = sum(bool(lines) for lines in wrong.values())
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="WORD", default="", help="only cases with this in `client on upstream, scenario`")
    parser.add_argument("--verbose", action="store_true", help="show what was said where something is wrong")
    options = parser.parse_args()
    cases = [case for case in all_cases() if options.k in f"{case.client} on {case.upstream}, {case.scenario}"]
    try:
        install()
    except Missing as missing:
        print(f"make e2e: {missing}", file=sys.stderr)
        return 2
    return asyncio.run(run(cases, options.verbose))


if __name__ == "__main__":
    sys.exit(main())
