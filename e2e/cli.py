"""Coding agents as clients of the gateway, as `ccproxy run` starts them, on a scripted upstream of each dialect.

    python -m e2e.cli [-k WORD] [--verbose]

Installs Claude Code, Codex and Gemini CLI into `e2e/agents/node_modules` as the lock file has them, without their
install scripts. Each asks every upstream: for tools that it runs, whose results and signed reasoning have to come back;
to meet a server that is busy once, an error, and a cut; once more as a client of `ccproxy serve`, and `ccproxy demo`.
They get an empty home, a dummy key, and the settings that keep them from talking to anybody else. Prints a table; exits
1 if anything is wrong, 2 if something that it needs is missing.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.gateway.answers import DIALECTS, SPEECHES, TEXT, WORDS
from tests.gateway.upstream import Call, Script, body, cut, stream, upstream
from tests.oracles import ORACLES

from . import scripted
from .js import install
from .scripted import Use
from .serving import Missing, empty_environment, free_port, listening, stopped

HERE: Final = Path(__file__).parent / "agents"
PROGRAMS: Final = {
    "claude": "@anthropic-ai/claude-code-*/claude",
    "codex": "@openai/codex/bin/codex.js",
    "gemini": "@google/gemini-cli/bundle/gemini.js",
}
"""Where they are in `node_modules`. Claude Code's own start script is put there by an install script."""
CCPROXY: Final = (sys.executable, "-m", "ccproxy")
SERVING: Final = ("serve", "demo")
"""Scenarios in which the gateway is there already."""
SCENARIOS: Final = ("tools", "busy", "refused", "cut", "serve")
QUESTION: Final = "Look when the tide turns."
FILE: Final = "tide.txt"
FILED: Final = "harbour wall"
"""What is in a file that a tool reads."""
ECHO: Final = "echo to-${PWD##*/}-and-back > echo.txt; cat echo.txt"
ECHOED: Final = "to-work-and-back"
"""What a command says, and leaves in a file."""
JUDGED: Final = json.dumps({"complexity_reasoning": "It is short.", "complexity_score": 10})
_SECONDS: Final = 40


class Agent(NamedTuple):
    """A client, and how to have it answer one question in the folder `work` of its home."""

    program: str
    dialect: str
    words: tuple[str, ...]
    """Its arguments; HOME stands for the home."""
    environment: dict[str, str]
    uses: tuple[Use, ...]
    """Calls of tools that it has."""

    def words_at(self, home: str) -> list[str]:
        return [word.replace("HOME", home) for word in self.words]

    def uses_at(self, home: str) -> list[Use]:
        return [
            Use(name, {key: value.replace("HOME", home) for key, value in said.items()}) for name, said in self.uses
        ]


_PLAIN_CODEX: Final = (
    *("-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false", "-c", "features.plugins=false"),
    *("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
)
AGENTS: Final = {
    "claude code": Agent(
        "claude",
        "anthropic",
        ("-p", QUESTION, "--allowedTools=Bash,Read", "--debug-file", "HOME/debug.log"),
        {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1"},
        (
            Use("Bash", {"command": ECHO, "description": "Says something"}),
            Use("Read", {"file_path": f"HOME/work/{FILE}"}),
        ),
    ),
    "codex": Agent(
        "codex",
        "openai-responses",
        (*_PLAIN_CODEX, QUESTION),
        {},
        (Use("exec", {"input": f"text(await tools.exec_command({{cmd: {json.dumps(f'{ECHO}; cat {FILE}')}}}))"}),),
    ),
    "codex, other model": Agent(
        "codex",
        "openai-responses",
        ("-m", "some-model", *_PLAIN_CODEX, QUESTION),
        {},
        (Use("exec_command", {"cmd": ECHO}), Use("exec_command", {"cmd": f"cat {FILE}"})),
    ),
    "gemini cli": Agent(
        "gemini",
        "gemini",
        ("-p", QUESTION, "--approval-mode", "yolo"),
        {"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_TELEMETRY_ENABLED": "false"},
        (
            Use("run_shell_command", {"command": ECHO, "description": "Says something"}),
            Use("read_file", {"file_path": f"HOME/work/{FILE}"}),
        ),
    ),
}
"""Codex gives the models that it knows one tool that runs scripts, and others functions."""
REFUSALS: Final = {"claude code": 6}
"""How often an agent asks whose request is called bad, if it tries other ways; so it does with its own provider."""
DEMO_WORDS: Final = {"gemini cli": ["-m", "gemini-2.5-pro"]}
"""Without a model it asks for one first, in JSON, which is no part of the play; it goes on after many attempts."""
GEMINI_SETTINGS: Final = {
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
}
"""Without the last of them, which its dialogue writes, it heeds no variable."""


class Case(NamedTuple):
    agent: str
    upstream: str
    scenario: str

    def __str__(self) -> str:
        return f"{self.agent} on {self.upstream}, {self.scenario}"


@dataclass
class Outcome:
    """What a case came to."""

    code: int = 0
    out: str = ""
    errors: str = ""
    requests: list[Call] = field(default_factory=list[Call])
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The gateway's lines."""
    echoed: str = ""


def script_for(case: Case, home: str, requests: list[Call]) -> Script:
    speech = SPEECHES[case.upstream]

    async def script(call: Call) -> None:
        requests.append(call)
        number = sum(bool(scripted.declared(case.upstream, request.json)) for request in requests)
        streams = bool(call.json.get("stream")) or ":stream" in call.target
        if not number:  # Gemini CLI asks first which of its models is needed
            await body(_saying(speech.body, JUDGED))(call)
            return
        begun = speech.text[: speech.said]
        answer = stream(*speech.text) if streams else body(speech.body)
        if case.scenario == "tools" and number == 1:
            frames = scripted.answer(case.upstream, call.json, AGENTS[case.agent].uses_at(home))
            answer = stream(*frames, pause=0.005)
        elif case.scenario == "busy" and number == 1:
            answer = body(speech.refusals["overloaded"].body, speech.refusals["overloaded"].status)
        elif case.scenario == "refused":
            answer = body(speech.refusals["bad_request"].body, speech.refusals["bad_request"].status)
        elif case.scenario == "cut" and number == 1:
            answer = cut(*begun)
        await answer(call)

    return script


def _saying(answer: dict[str, Any], text: str) -> dict[str, Any]:
    """A whole answer with other words."""
    out: dict[str, Any] = json.loads(json.dumps(answer, ensure_ascii=False).replace(TEXT, json.dumps(text)[1:-1]))
    return out


async def ask(case: Case) -> Outcome:
    agent, outcome = AGENTS[case.agent], Outcome()
    with tempfile.TemporaryDirectory(prefix="ccproxy-e2e-") as home:
        environment = surroundings(home) | agent.environment
        async with upstream(script_for(case, home, outcome.requests)) as server:
            base = server.url if case.upstream in ("anthropic", "gemini") else f"{server.url}/v1"
            flags = ["--upstream", base, "--upstream-dialect", case.upstream]
            words = [agent.program, *agent.words_at(home)]
            if case.scenario == "demo":
                words += DEMO_WORDS.get(case.agent, [])
            if case.scenario not in SERVING:
                run = [*CCPROXY, "run", *flags, "--log", "json", "--", *words]
                await finish(run, environment, home, outcome)
            else:
                served = [*CCPROXY, "demo"] if case.scenario == "demo" else [*CCPROXY, "serve", *flags, "--log", "json"]
                async with serving(served, environment, home) as (url, told):
                    await finish(with_provider(words, url), environment | told, home, outcome)
        echo = Path(home) / "work" / "echo.txt"
        outcome.echoed = echo.read_text() if echo.exists() else ""
    return outcome


def surroundings(home: str) -> dict[str, str]:
    """An empty home with the programs in it."""
    programs, work, settings = Path(home) / "bin", Path(home) / "work", Path(home) / ".gemini"
    for folder in (programs, work, settings):
        folder.mkdir()
    for name, place in PROGRAMS.items():
        (found,) = (HERE / "node_modules").glob(place)
        (programs / name).symlink_to(found)
    (work / FILE).write_text(f"It turns at six, at the {FILED}.\n")
    (settings / "settings.json").write_text(json.dumps(GEMINI_SETTINGS))
    environment = empty_environment(home)
    return environment | {"PATH": f"{programs}{os.pathsep}{environment['PATH']}"}


def with_provider(words: list[str], url: str) -> list[str]:
    """Codex takes its provider from its configuration alone."""
    if words[0] != "codex":
        return words
    provider = f'{{name = "ccproxy", base_url = "{url}/v1", env_key = "OPENAI_API_KEY", wire_api = "responses"}}'
    return ["codex", "-c", 'model_provider="ccproxy"', "-c", f"model_providers.ccproxy={provider}", *words[1:]]


@asynccontextmanager
async def serving(
    words: list[str], environment: dict[str, str], home: str
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A gateway that stays: its URL, and the variables that it says point a client there."""
    port = free_port()
    gateway = await start([*words, "--port", str(port)], environment, home)
    assert gateway.stdout is not None
    try:
        await listening(port, gateway, "the gateway")
        said = (await gateway.stdout.read(65_536)).decode()
        exports = re.findall(r"^  export (.*)$", said, re.MULTILINE)
        yield (
            f"http://127.0.0.1:{port}",
            dict(assignment.split("=", 1) for line in exports for assignment in line.split()),
        )
    finally:
        await stopped(gateway)


async def start(words: list[str], environment: dict[str, str], home: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    # a session of its own, so that all of it can be ended
    return await asyncio.create_subprocess_exec(
        *words,
        cwd=f"{home}/work",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )


async def finish(words: list[str], environment: dict[str, str], home: str, outcome: Outcome) -> None:
    words = [shutil.which(words[0], path=environment["PATH"]) or words[0], *words[1:]]
    process = await start(words, environment, home)
    try:
        async with asyncio.timeout(_SECONDS):
            out, errors = await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = await process.communicate()
        outcome.errors = f"it took longer than {_SECONDS} s\n"
    assert process.returncode is not None
    outcome.code, outcome.out = process.returncode, out.decode()
    for line in errors.decode().splitlines(keepends=True):
        if line.startswith('{"id":'):
            outcome.log.append(json.loads(line))
        else:
            outcome.errors += line


def judge(case: Case, got: Outcome) -> list[str]:
    """What is wrong with a case."""
    agent = AGENTS[case.agent]
    wrong: list[str] = []

    def expect(what: str, value: Any, expected: Any) -> None:
        if value != expected:
            wrong.append(f"{what} is {value!r}, not {expected!r}")

    bodies = [call.json for call in got.requests]
    asked = [request for request in bodies if scripted.declared(case.upstream, request)]
    if agent.dialect != case.upstream:  # else they are the agent's own
        for number, request in enumerate(bodies):
            wrong += [f"request {number}: {problem}" for problem in ORACLES[case.upstream].validate_request(request)]
    if case.scenario == "refused":
        if not got.code:
            wrong.append("it ended as if nothing had been refused")
        if "No such thing" not in got.out + got.errors:
            wrong.append("it does not say what the upstream said")
        expect("the number of requests", len(asked), REFUSALS.get(case.agent, 1))
        return wrong
    expect("the exit code", got.code, 0)
    if case.scenario == "demo":
        return wrong if got.out.strip() else [*wrong, "it said nothing"]
    if TEXT not in got.out:
        wrong.append(f"it said {got.out.strip()[-200:]!r}")
    expect("the number of requests", len(asked), 1 if case.scenario == "serve" else 2)
    if case.scenario == "busy":
        expect("the attempts", [line["attempts"] for line in got.log[-1:]], [2])
    elif case.scenario == "cut":
        expect("the errors", [line["error"] for line in got.log if "error" in line], ["truncated"])
        if len(asked) == 2 and WORDS[0] in json.dumps(asked[1]):
            wrong.append("what was cut was asked again as if it had been said")
    elif case.scenario == "tools":
        expect("the finishes", [line.get("finish") for line in got.log[-2:]], ["tool", "end"])
        expect("what the command left", got.echoed.strip(), ECHOED)
        if len(asked) == 2:
            heard = scripted.heard(case.upstream, asked[1])
            expect("the number of calls", len(heard.calls), len(agent.uses))
            expect("the calls with a result", sorted(heard.results), sorted(heard.calls))
            expect("the signatures", heard.signatures, [scripted.SIGNATURE])
            for result in (ECHOED, FILED):
                if result not in "".join(heard.results.values()):
                    wrong.append(f"{result!r} is in no result")
    return wrong


def show(cases: list[Case], wrong: dict[Case, list[str]]) -> None:
    width = max(map(len, AGENTS)) + 2
    print(" " * width + "".join(dialect.ljust(18) for dialect in DIALECTS))
    for agent in AGENTS:
        cells: list[str] = []
        for dialect in DIALECTS:
            mine = [case for case in cases if (case.agent, case.upstream) == (agent, dialect)]
            bad = sum(bool(wrong[case]) for case in mine)
            cells.append((f"{bad} of {len(mine)} wrong" if bad else f"{len(mine)} right").ljust(18))
        print(agent.ljust(width) + "".join(cells).rstrip())


async def run(cases: list[Case], verbose: bool) -> int:
    wrong: dict[Case, list[str]] = {}
    for case in cases:
        got = await ask(case)
        wrong[case] = judge(case, got)
        for line in wrong[case]:
            print(f"{case}: {line}", flush=True)
        if verbose:
            losses = [line["losses"] for line in got.log if "losses" in line]
            targets = [call.target for call in got.requests]
            print(f"{case}: exit code {got.code}, {targets}, losses {losses}", flush=True)
            if wrong[case]:
                print(got.out[-3000:], got.errors[-3000:], flush=True)
    show(cases, wrong)
    failed = sum(bool(lines) for lines in wrong.values())
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


def all_cases() -> list[Case]:
    everywhere = [Case(*what) for what in product(AGENTS, DIALECTS, SCENARIOS)]
    return everywhere + [Case(name, agent.dialect, "demo") for name, agent in AGENTS.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="WORD", default="", help="only cases with this in `agent on upstream, scenario`")
    parser.add_argument("--verbose", action="store_true", help="show the requests, the losses, and what an agent said")
    options = parser.parse_args()
    try:
        install(HERE, "the agents, some 900 MB")
    except Missing as missing:
        print(f"make e2e-cli: {missing}", file=sys.stderr)
        return 2
    return asyncio.run(run([case for case in all_cases() if options.k in str(case)], options.verbose))


if __name__ == "__main__":
    sys.exit(main())
