"""Agents as they really ask: their requests reach every upstream in a valid form, once, and calls come back by the
client's own names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest

from ccproxy import Translator
from tests.exchanges import ABSENT, Exchange, clients, exchanges_dir
from tests.laws.conversation import SPEAKERS
from tests.laws.conversation.wire import payloads, sse
from tests.oracles import ORACLES

from .answers import DIALECTS, SPEECHES, told
from .stage import Gateway, Reply, Stage, configure, gateway, in_thread, send
from .upstream import Call, Upstream, body, stream, upstream

Json = dict[str, Any]
UPSTREAMS = pytest.mark.parametrize("dialect", DIALECTS)
FOREIGN = pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "openai-responses"])
"""To Codex."""


# Requests, in the form of the clients


def _schema(*names: str) -> Json:
    properties = {name: {"type": "string", "description": f"The {name}"} for name in names}
    return {"type": "object", "properties": properties, "required": list(names[:1]), "additionalProperties": False}


def claude_code(*, answered: bool = False) -> Json:
    """The billing block, caching hints, 24 tools, a budget for thinking, context management; results as plain text."""
    names = ["Agent", "Bash", "CronCreate", "CronDelete", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Skill"]
    names += [
        "TaskOutput",
        "TodoWrite",
        "WebFetch",
        "WebSearch",
        "Write",
        *(f"mcp__server__tool_{n}" for n in range(9)),
    ]
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    tools = [
        {
            "name": name,
            "description": "What it is for. " * 40,
            "input_schema": draft | _schema("command", "description"),
        }
        for name in names
    ]
    cached = {"cache_control": {"type": "ephemeral"}}
    reminders = [{"type": "text", "text": f"<system-reminder>{n}</system-reminder>"} for n in range(3)]
    asked = {"type": "text", "text": "Say what is in the folder"}
    messages: list[Json] = [{"role": "user", "content": [*reminders, asked if answered else asked | cached]}]
    if answered:
        call = {
            "type": "tool_use",
            "id": "toolu_01A",
            "name": "Bash",
            "input": {"command": "ls", "description": "list"},
        }
        result = {"tool_use_id": "toolu_01A", "type": "tool_result", "content": "a\nb", "is_error": False} | cached
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {
        "model": "claude-sonnet-4-5",
        "messages": messages,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are an agent.", **cached},
            {"type": "text", "text": "Long instructions. " * 1000, **cached},
        ],
        "tools": tools,
        "metadata": {"user_id": json.dumps({"device_id": "d", "session_id": "s"})},
        "max_tokens": 32000,
        "thinking": {"budget_tokens": 31999, "type": "enabled"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
    }


def codex(*, answered: bool = False) -> Json:
    """Developer messages, a namespace of tools, a free-form tool, web search, nothing stored."""

    def message(role: str, *texts: str) -> Json:
        content = [{"type": "input_text", "text": text} for text in texts]
        return {"type": "message", "id": f"msg_{role}", "role": role, "content": content}

    def function(name: str, *fields: str) -> Json:
        more = {"description": f"What {name} does", "strict": False}
        return {"type": "function", "name": name, "parameters": _schema(*fields), **more}

    items = [
        message("developer", "You are Codex. " * 500),
        message("developer", "Permissions", "Skills"),
        message("user", "<environment_context/>"),
        message("user", "Say what is in the folder"),
    ]
    if answered:
        items += [
            {
                "type": "function_call",
                "status": "completed",
                "id": "fc_1",
                "name": "exec_command",
                "arguments": '{"cmd": "ls"}',
                "call_id": "call_1",
            },
            {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "a\nb"},
            {
                "type": "custom_tool_call",
                "status": "completed",
                "id": "ctc_1",
                "name": "apply_patch",
                "input": "*** Begin Patch",
                "call_id": "call_2",
            },
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
        ]
    agents = [function("close_agent", "target"), function("resume_agent", "id"), function("wait", "ids")]
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" /.+/'}
    return {
        "model": "gpt-5",
        "stream": True,
        "input": items,
        "tools": [
            function("exec_command", "cmd", "workdir"),
            function("write_stdin", "session_id", "chars"),
            {"type": "custom", "name": "apply_patch", "description": "Edit files", "format": grammar},
            {"type": "namespace", "name": "multi_agent_v1", "description": "Agents", "tools": agents},
            {"type": "web_search", "external_web_access": True},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0197",
        "client_metadata": {"session_id": "s", "turn_id": "t"},
    }


def gemini_cli(*, answered: bool = False) -> Json:
    """Schemas as JSON Schema, thoughts wanted, the signature and the id of a call sent back."""
    declared = [
        {"name": name, "description": "What it is for", "parametersJsonSchema": _schema("dir_path", "pattern")}
        for name in ("list_directory", "read_file", "run_shell_command", "grep_search", "write_file", "mcp_x_y")
    ]
    contents: list[Json] = [{"parts": [{"text": "Context"}, {"text": "Say what is in the folder"}], "role": "user"}]
    if answered:
        call = {"id": "run_shell_command_1_0", "args": {"command": "ls"}, "name": "run_shell_command"}
        said = {"name": "run_shell_command", "response": {"output": "a\nb"}, "id": "run_shell_command_1_0"}
        contents.append({"parts": [{"functionCall": call, "thoughtSignature": "c2ln"}], "role": "model"})
        contents.append({"parts": [{"functionResponse": said}], "role": "user"})
    return {
        "contents": contents,
        "systemInstruction": {"parts": [{"text": "Long instructions. " * 1000}], "role": "user"},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
    }


class Agent(NamedTuple):
    name: str
    dialect: str
    path: str
    headers: dict[str, str]
    body: Json


_BETA = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"
AGENTS = [
    Agent(f"{name}{'-answered' if answered else ''}", dialect, path, headers, body(answered=answered))
    for name, dialect, path, headers, body in (
        (
            "claude-code",
            "anthropic",
            "/v1/messages?beta=true",
            {"anthropic-version": "2023-06-01", "anthropic-beta": _BETA, "x-app": "cli"},
            claude_code,
        ),
        ("codex", "openai-responses", "/v1/responses", {"accept": "text/event-stream"}, codex),
        (
            "gemini-cli",
            "gemini",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            {"accept": "*/*"},
            gemini_cli,
        ),
    )
    for answered in (False, True)
]
OURS = pytest.mark.parametrize("agent", [pytest.param(agent, id=agent.name) for agent in AGENTS])


# The stage


class World(NamedTuple):
    stage: Stage
    upstreams: dict[str, Upstream]
    gateways: dict[str, Gateway]

    def ask(self, dialect: str, agent: Agent, script: Any) -> tuple[Reply, Json]:
        """What an agent gets from an upstream, and what that was asked; once."""
        server = self.upstreams[dialect]
        server.calls.clear()
        server.script = script
        reply = self.stage.wait(send(self.gateways[dialect].url + agent.path, agent.body, agent.headers))
        assert reply.status == 200, reply
        assert len(server.calls) == 1
        assert self.gateways[dialect].said == []
        return reply, server.last.json


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    upstreams: dict[str, Upstream] = {}
    gateways: dict[str, Gateway] = {}
    made: list[World] = []

    async def main(stage: Stage, ready: Any) -> None:
        async with AsyncExitStack() as stack:
            for dialect in DIALECTS:
                upstreams[dialect] = server = await stack.enter_async_context(upstream())
                model = next(iter(SPEAKERS[dialect].SERVERS.values())).model
                rules = [{"match": "*", "upstream": "it", "model": model}]
                config = configure({"it": {"dialect": dialect, "url": server.url}}, models=rules)
                gateways[dialect] = await stack.enter_async_context(gateway(config))
            made.append(World(stage, upstreams, gateways))
            ready()
            await stage.forever()

    with in_thread(main):
        yield made[0]


def calling(dialect: str, name: str, arguments: Json) -> Any:
    """An upstream that calls the tool whose name ends in this."""

    async def script(call: Call) -> None:
        names = [tool for tool in tools_of(dialect, call.json) if tool.endswith(name)]
        assert len(names) == 1, names
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
        message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1}}
        block = {"type": "tool_use", "id": "toolu_9", "name": names[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        usage = {"input_tokens": 5, "output_tokens": 7}
        frames: list[Json] = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        translator = Translator("anthropic", dialect, normalize=True)
        said = b"".join(translator.feed(sse(frame, frame["type"])) for frame in frames) + translator.close()
        await call.head(200, {"content-type": "text/event-stream"})
        await call.send(said)
        await call.end()

    return script


def tools_of(dialect: str, request: Json) -> list[str]:
    """The names of the tools that are offered to an upstream."""
    tools = request["tools"]
    if dialect == "gemini":
        return [declared["name"] for tool in tools for declared in tool.get("functionDeclarations", ())]
    if dialect == "openai-chat":
        return [tool[tool["type"]]["name"] for tool in tools]
    inner = [tool for outer in tools for tool in outer.get("tools", [outer])]
    return [tool["name"] for tool in inner if "name" in tool]


# The laws


@UPSTREAMS
@OURS
def test_valid_at_the_upstream(world: World, agent: Agent, dialect: str) -> None:
    wanted = tools_of(agent.dialect, agent.body)
    reply, asked = world.ask(dialect, agent, calling(dialect, wanted[0], {"command": "ls"}))
    assert ORACLES[agent.dialect].accept(reply.body).complete
    if dialect == agent.dialect:
        assert asked == agent.body | ({"model": asked["model"]} if "model" in agent.body else {})
        return
    assert ORACLES[dialect].validate_request(asked) == []
    offered = [name for name in tools_of(dialect, asked) if name != "web_search"]  # a server's own
    assert len(offered) == len(set(offered)) == len(wanted)
    assert all(any(name.endswith(tool) for name in offered) for tool in wanted)
    text = json.dumps(asked)
    assert "Say what is in the folder" in text and "cache_control" not in text.replace('"cache_control": {', "")
    if agent.name.endswith("answered"):
        assert "a\\nb" in text


@UPSTREAMS
def test_claude_codes_betas_cross_to_its_own_dialect_only(world: World, dialect: str) -> None:
    world.ask(dialect, AGENTS[0], calling(dialect, "Bash", {"command": "ls"}))
    received = world.upstreams[dialect].last.headers
    assert received.get("anthropic-beta") == (_BETA if dialect == "anthropic" else None)
    assert "x-app" not in received


@UPSTREAMS
def test_claude_code_gets_its_tool(world: World, dialect: str) -> None:
    reply, _ = world.ask(dialect, AGENTS[0], calling(dialect, "mcp__server__tool_3", {"command": "ls"}))
    starts = [frame["content_block"] for frame in payloads(reply.body) if frame["type"] == "content_block_start"]
    assert [(block["type"], block["name"]) for block in starts] == [("tool_use", "mcp__server__tool_3")]


@FOREIGN
@pytest.mark.parametrize(
    ("name", "namespace", "arguments"),
    [("exec_command", None, {"cmd": "ls"}), ("close_agent", "multi_agent_v1", {"target": "a"})],
)
def test_codex_gets_its_tool(world: World, dialect: str, name: str, namespace: str | None, arguments: Json) -> None:
    """By name and namespace, in the item that it reads and in the completed response."""
    reply, _ = world.ask(dialect, AGENTS[2], calling(dialect, name, arguments))
    for item in items(reply):
        assert (item["type"], item["name"], item.get("namespace")) == ("function_call", name, namespace)
        assert json.loads(item["arguments"]) == arguments


@FOREIGN
def test_codex_gets_its_patch(world: World, dialect: str) -> None:
    """A free-form tool is a function elsewhere, and its text comes back as text."""
    reply, _ = world.ask(dialect, AGENTS[2], calling(dialect, "apply_patch", {"input": "*** Begin Patch\n+x"}))
    for item in items(reply):
        assert (item["type"], item["name"]) == ("custom_tool_call", "apply_patch")
        assert item["input"] == "*** Begin Patch\n+x"


def items(reply: Reply) -> list[Json]:
    frames = list(payloads(reply.body))
    (done,) = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    (whole,) = frames[-1]["response"]["output"]
    assert frames[-1]["type"] == "response.completed"
    return [done, whole]


@UPSTREAMS
def test_gemini_cli_gets_its_tool(world: World, dialect: str) -> None:
    reply, _ = world.ask(dialect, AGENTS[4], calling(dialect, "read_file", {"dir_path": "/x"}))
    parts = [part for chunk in payloads(reply.body) for part in chunk["candidates"][0]["content"]["parts"]]
    (call,) = [part["functionCall"] for part in parts if "functionCall" in part]
    assert (call["name"], call["args"]) == ("read_file", {"dir_path": "/x"})


RECORDED = [pytest.param(exchange, id=exchange.path.stem) for exchange in clients()]
if exchanges_dir() is None:
    RECORDED.append(pytest.param(None, id="recorded", marks=pytest.mark.skip(reason=ABSENT)))


@UPSTREAMS
@pytest.mark.parametrize("exchange", RECORDED)
def test_recorded_clients(world: World, exchange: Exchange, dialect: str) -> None:
    sent = dict(exchange.request or {})
    agent = Agent(exchange.path.stem, exchange.dialect, str(exchange.row["path"]), {}, sent)
    thread = sent.get("thread") or {}
    if "previous_message_id" in thread and dialect != agent.dialect:  # what went before is with its provider only
        reply = world.stage.wait(send(world.gateways[dialect].url + agent.path, sent))
        assert reply.status == 400 and told(agent.dialect, reply.json)
        return
    reply, asked = world.ask(dialect, agent, _saying_nothing_much(dialect))
    if dialect == agent.dialect:
        assert asked == sent | ({"model": asked["model"]} if "model" in sent else {})
    else:
        assert ORACLES[dialect].validate_request(asked) == []
    streams = sent.get("stream") or "streamGenerateContent" in agent.path
    oracle = ORACLES[agent.dialect]
    assert oracle.accept(reply.body).complete if streams else not oracle.validate_body(reply.json)


def _saying_nothing_much(dialect: str) -> Any:
    async def script(call: Call) -> None:
        streams = call.json.get("stream") or "streamGenerateContent" in call.target
        speech = SPEECHES[dialect]
        await (stream(*speech.text) if streams else body(speech.body))(call)

    return script
