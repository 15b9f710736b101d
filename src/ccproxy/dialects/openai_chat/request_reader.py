"""Chat Completions requests, as read."""

from collections import deque
from typing import Any, ClassVar, Final, Literal

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields
from ccproxy.core.model import (
    Call,
    Foreign,
    Format,
    InputGrammar,
    Media,
    Part,
    Result,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Turn,
)
from ccproxy.core.parts import carried_id
from ccproxy.core.request import RequestReader
from ccproxy.core.signatures import Sealed, unseal

from . import content, thoughts
from .content import cache_of, inner, required
from .maps import CHOICE_MODES, EFFORTS, GOOGLE, HOSTED, ROLES, SETTINGS, THINKING_TYPES

_READ: Final = (
    *(name for name in SETTINGS.values() if "." not in name),
    "messages",
    "max_tokens",
    "safety_identifier",
    "top_k",
    "stream_options",
    "tools",
    "functions",
    "function_call",
    "thinking",
    "reasoning",
    "web_search_options",
)


class Reader(RequestReader):
    dialect: ClassVar[str] = "openai-chat"

    def body(self, body: Fields) -> None:
        request = self.request
        request.extra = body.rest(*_READ)
        request.noise = {field: [] for field in ("tools", "functions", "stop") if body.raw.get(field) == []}
        if body.raw.get("modalities") == ["text"]:  # which is the default
            request.noise["modalities"] = request.extra.pop("modalities")
        self._settings(body)
        self._stream_options(body)
        self._thinking(body)
        request.format = self._format(body)
        request.tools = [_tool(tool) for tool in body.each("tools")]
        request.tools += [_legacy_tool(function) for function in body.each("functions")]
        self._web_search(body)
        request.tool_choice = self._tool_choice(body)
        if "audio" in body.list("modalities"):
            request.held.append(("modalities", "an answer in audio"))
        self._ids: set[str] = set()  # of the calls so far
        self._without_id: dict[str, deque[Call]] = {}  # calls without an id, by name, and all of them under ""
        self._answered: set[int] = set()  # which of these have their result
        for message in body.each("messages"):
            request.turns.append(self._turn(message))
        if not request.turns:
            raise RequestRefused("messages", "must have at least one message")

    # Settings

    def _settings(self, body: Fields) -> None:
        self.set("model", body.string("model"), "model")
        if not (self.request.model or self.options.model):
            raise RequestRefused("model", "is missing")
        for name in ("stream", "logprobs", "parallel", "store"):
            self.set(name, body.flag(SETTINGS[name]), SETTINGS[name])
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
            self.set(name, body.real(SETTINGS[name]), SETTINGS[name])
        for name in ("seed", "choices", "top_logprobs"):
            self.set(name, body.integer(SETTINGS[name]), SETTINGS[name])
        for name in ("verbosity", "tier", "cache_key"):
            self.set(name, body.string(SETTINGS[name]), SETTINGS[name])
        for name in ("logit_bias", "metadata"):
            if body.raw.get(SETTINGS[name]) is not None:
                self.set(name, dict(body.fields(SETTINGS[name]).raw), SETTINGS[name])
        self.set("top_k", body.integer("top_k"), "top_k")
        for field in ("max_tokens", "max_completion_tokens"):
            self._later("max_output", body.integer(field), field)
        for field in ("user", "safety_identifier"):
            self._later("user", body.string(field), field)
        stop = body.raw.get("stop")
        if isinstance(stop, str):
            self.request.noise["stop"] = stop
            self.set("stop", [stop], "stop")
        elif stop:
            if not all(isinstance(word, str) for word in body.list("stop")):
                raise RequestRefused("stop", "must be a string or an array of strings")
            self.set("stop", list(body.list("stop")), "stop")

    def _later(self, name: str, value: object, field: str) -> None:
        """A setting with two names, of which the later counts."""
        before = getattr(self.request, name)
        if value is not None and before is not None:
            self.request.extra[self.request.paths[name]] = before
        self.set(name, value, field)

    def _stream_options(self, body: Fields) -> None:
        options = body.fields("stream_options")
        self.set("include_usage", options.flag("include_usage"), "stream_options.include_usage")
        if self.request.stream and self.request.include_usage is None:
            self.request.include_usage = False
        self.request.extra |= inner(body, "stream_options", "include_usage")
        if body.raw.get("stream_options") == {}:
            self.request.noise["stream_options"] = {}

    def _thinking(self, body: Fields) -> None:
        """`reasoning_effort`, and what vendors have in its place or beside it."""
        effort, switch = body.string("reasoning_effort"), body.noise("thinking")
        kind = switch.word("type")
        thinking: Thinking | None = None
        if effort == "none":
            thinking = Thinking(path="reasoning_effort", mode="off")
        elif effort is not None and effort in EFFORTS:
            thinking = Thinking(path="reasoning_effort", effort=EFFORTS[effort])
        elif effort is not None:
            self.request.extra["reasoning_effort"] = effort
        if kind in THINKING_TYPES and effort != "none":
            mode = THINKING_TYPES[kind]
            thinking = thinking or Thinking(path="thinking")
            thinking.mode, thinking.budget = mode, switch.integer("budget_tokens")
            thinking.noise = {"thinking": switch.raw} | ({"reasoning_effort": effort} if effort in EFFORTS else {})
            self.request.extra |= inner(body, "thinking", "type", "budget_tokens")
        elif body.raw.get("thinking") is not None:
            self.request.extra["thinking"] = body.raw["thinking"]
        if thinking is None:
            thinking = _reasoning(body.noise("reasoning"))
        if body.raw.get("reasoning") is not None and "reasoning" not in (thinking.noise if thinking else ()):
            self.request.extra["reasoning"] = body.raw["reasoning"]
        self.request.thinking = thinking

    def _format(self, body: Fields) -> Format | None:
        field = body.fields("response_format")
        match field.text("type"):
            case "text":
                return Format(kind="text", path=field.path, extra=field.rest("type"))
            case "json_object" if isinstance(field.raw.get("schema"), dict):  # llama.cpp, Together
                noise = {"response_format": field.raw}
                return Format(kind="schema", schema=field.raw["schema"], path=field.path, noise=noise)
            case "json_object":
                return Format(kind="json", path=field.path, extra=field.rest("type"))
            case "json_schema":
                schema = field.fields("json_schema")
                return Format(
                    kind="schema",
                    name=schema.text("name"),
                    description=schema.text("description"),
                    schema=_object(schema, "schema"),
                    strict=schema.flag("strict"),
                    path=field.path,
                    extra=field.rest("type", "json_schema")
                    | inner(field, "json_schema", "name", "description", "schema", "strict"),
                )
            case _:
                if field.raw:
                    self.request.extra["response_format"] = field.raw
                return None

    # Tools

    def _web_search(self, body: Fields) -> None:
        if body.raw.get("web_search_options") is not None:
            field = body.fields("web_search_options")
            self.request.tools.append(
                Tool(
                    kind="hosted",
                    name="web_search_options",
                    hosted="web_search",
                    path=field.path,
                    extra=field.rest(),
                    noise={"form": "field"},
                )
            )

    def _tool_choice(self, body: Fields) -> ToolChoice | None:
        for field in ("tool_choice", "function_call"):
            raw = body.raw.get(field)
            if raw is None:
                continue
            choice = self._word(body, field) if isinstance(raw, str) else _named(body.fields(field), field)
            if choice is None:
                self.request.extra[field] = raw
            elif field == "function_call" or raw == "any" or not isinstance(raw, str):
                choice.noise = {field: raw}
            return choice
        return None

    def _word(self, body: Fields, field: str) -> ToolChoice | None:
        word = body.text(field)
        return ToolChoice(mode=CHOICE_MODES[word], path=field) if word in CHOICE_MODES else None

    # Messages

    def _turn(self, message: Fields) -> Turn:
        role = message.text("role")
        if role not in ROLES:
            raise RequestRefused(message.at("role"), f"there is no role {role!r}" if role else "is missing")
        if role in ("tool", "function"):
            return Turn(role="user", parts=[self._result(message, role)], path=message.path)
        turn = Turn(role=ROLES[role], name=message.text("name"), path=message.path)
        turn.noise = {key: value for key, value in message.raw.items() if value in ("", []) and key != "role"}
        if role == "assistant":
            self._assistant(message, turn)
        else:
            turn.extra = message.rest("role", "name", "content", *turn.noise)
            if message.raw.get("content") is None:
                raise RequestRefused(message.at("content"), "is missing")
            turn.parts = content.read(message)
        return turn

    def _assistant(self, message: Fields, turn: Turn) -> None:
        known = ("role", "name", "content", "refusal", "tool_calls", "function_call", *thoughts.FIELDS, *turn.noise)
        turn.extra = message.rest(*known)
        audio = message.noise("audio").text("id")
        if audio:
            self.request.held.append((message.at("audio"), f"the audio {audio!r}"))
        reasoning = thoughts.read(message, turn.extra)
        signature = self._google(message, turn.extra, "call" if message.raw.get("tool_calls") else "text")
        if signature is not None:
            reasoning.append(signature)
        later = [part for part in reasoning if isinstance(part, Thought) and _signs(part) != "part"]
        parts: list[Part] = [part for part in reasoning if part not in later]
        calls = self._read_calls(message)
        if message.raw.get("content") != "" or not (parts or calls or message.raw.get("refusal")):
            parts += content.read(message)
        refusal = message.text("refusal")
        if refusal:
            parts.append(Text(text=refusal, refusal=True, path=message.at("refusal"), noise={"form": "string"}))
        parts += [part for part in later if _signs(part) == "text"]
        parts += [part for part in later if _signs(part) == "call"]
        turn.parts = parts + calls

    def _read_calls(self, message: Fields) -> list[Part]:
        parts: list[Part] = []
        function = message.fields("function_call")
        if function.raw:
            name, arguments = required(function, "name"), function.text("arguments")
            legacy = {"function_call": function.raw}
            self._called(parts, Call(id="", name=name, arguments=arguments, path=function.path, noise=legacy))
        for call in message.each("tool_calls"):
            extra = call.rest("id", "type", "function", "custom", "index")
            noise: dict[str, Any] = {"index": call.raw["index"]} if call.raw.get("index") is not None else {}
            if call.raw.get("type") is None:
                noise["type"] = None
            elif call.text("type") not in ("function", "custom"):
                raise RequestRefused(call.at("type"), "must be function or custom")
            if call.raw.get("id") == "":
                noise["id"] = ""
            custom = call.word("type") == "custom"
            field, text = ("custom", "input") if custom else ("function", "arguments")
            called = call.fields(field)
            if called.raw.get(text) is None:
                noise[f"{field}.{text}"] = None
            signature = self._google(call, extra, "call")
            if signature is not None:
                parts.append(signature)
            self._called(
                parts,
                Call(
                    id=carried_id(call.text("id")),
                    name=required(called, "name"),
                    arguments=called.text(text),
                    custom=custom,
                    path=call.path,
                    extra=extra | inner(call, field, "name", text),
                    noise=noise,
                ),
            )
        return parts

    def _called(self, parts: list[Part], call: Call) -> None:
        parts.append(call)
        self._ids.add(call.id)
        if not call.id:
            for name in ("", call.name):
                self._without_id.setdefault(name, deque()).append(call)

    def _google(self, source: Fields, extra: dict[str, Any], signs: Literal["call", "text"]) -> Thought | None:
        """Gemini's signature of a call, or of the text. What stands beside it stays in `extra`."""
        found = thoughts.google(source.raw)
        if found is None:
            return None
        vendor, value, model = found
        content = source.fields("extra_content")
        extra.pop("extra_content", None)
        beside = {name: what for name, what in content.raw.items() if name not in thoughts.VENDORS}
        beside |= {name: rest for name in thoughts.VENDORS if (rest := content.noise(name).rest(*thoughts.SIGNATURE))}
        if beside:
            extra["extra_content"] = beside
        enveloped = unseal(value)
        bare = Sealed("gemini" if model else GOOGLE, model, value, signs=signs)  # only we name the model
        return Thought(
            signature=enveloped or bare,
            path=f"{content.path}.{vendor}.thought_signature",
            noise={} if enveloped else {"extra_content": content.raw},
        )

    def _result(self, message: Fields, role: str) -> Result:
        id, name = carried_id(message.text("tool_call_id")), message.text("name")
        result = Result(id=id, name=name, path=message.path, id_path=message.at("tool_call_id" if id else "name"))
        result.extra = message.rest("role", "name", "content", "tool_call_id")
        if role == "function":
            result.noise = {"role": "function"}
            if not name:
                raise RequestRefused(message.at("name"), "is missing")
        else:
            self._answers(result, message)
        if message.raw.get("content") is None:
            raise RequestRefused(message.at("content"), "is missing")
        parts = content.read(message)
        result.parts = [part for part in parts if isinstance(part, Text | Media | Foreign)]
        if len(result.parts) < len(parts):
            result.extra["content"] = message.raw["content"]
        if message.raw["content"] == []:
            result.noise["content"] = []
        return result

    def _answers(self, result: Result, message: Fields) -> None:
        """Refuse the result of no call. Without ids (Writer) results come in the order of their calls."""
        place = message.at("tool_call_id")
        if result.id and result.id not in self._ids:
            raise RequestRefused(place, f"no tool call has the id {result.id!r}")
        if result.id:
            return
        waiting = self._without_id.get(result.name, deque())
        while waiting and id(waiting[0]) in self._answered:
            waiting.popleft()
        if not waiting:
            raise RequestRefused(place, "is missing")
        call = waiting.popleft()
        self._answered.add(id(call))
        if not result.name:
            result.noise = {"name": None}
            result.name = call.name


# Tools and settings


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type")
    noise: dict[str, Any] = {}
    if not kind and tool.raw.get("function") is not None:
        kind = "function"
        noise["type"] = None
    if kind not in ("function", "custom"):
        kind = required(tool, "type")
        return Tool(kind="hosted", name=kind, hosted=HOSTED.get(kind, ""), path=tool.path, extra=tool.rest("type"))
    cache, hint = cache_of(tool)
    described = tool.fields(kind)
    known = ["name", "description", *(("parameters", "strict") if kind == "function" else ())]
    grammar = _grammar(described) if kind == "custom" else None
    if grammar is not None:
        known.append("format")
    elif kind == "custom" and described.raw.get("format") == {"type": "text"}:  # which is the default
        known.append("format")
        noise["custom.format"] = described.raw["format"]
    if described.raw.get("description") == "":
        noise[f"{kind}.description"] = ""
    return Tool(
        kind="custom" if kind == "custom" else "function",
        name=required(described, "name"),
        description=described.text("description"),
        schema=_object(described, "parameters") if kind == "function" else None,
        strict=described.flag("strict") if kind == "function" else None,
        grammar=grammar,
        cache=cache,
        path=tool.path,
        extra=tool.rest("type", kind, *hint) | inner(tool, kind, *known),
        noise=noise | hint,
    )


def _grammar(custom: Fields) -> InputGrammar | None:
    """What a custom tool's input keeps to, if that says no more than this."""
    form = custom.noise("format")
    grammar = form.noise("grammar")
    syntax, definition = grammar.word("syntax"), grammar.word("definition")
    known = form.word("type") == "grammar" and not form.rest("type", "grammar")
    if not (known and syntax and definition) or grammar.rest("syntax", "definition"):
        return None
    return InputGrammar(syntax, definition)


def _legacy_tool(function: Fields) -> Tool:
    return Tool(
        kind="function",
        name=required(function, "name"),
        description=function.text("description"),
        schema=_object(function, "parameters"),
        path=function.path,
        extra=function.rest("name", "description", "parameters"),
        noise={"form": "function"},
    )


def _named(field: Fields, path: str) -> ToolChoice | None:
    """The choice of one tool or a few; None if it is of another kind."""
    if field.text("type") == "allowed_tools":
        allowed = field.fields("allowed_tools")
        mode = CHOICE_MODES.get(allowed.text("mode"), "auto")
        names = [("", _chosen(tool) or required(tool, "type")) for tool in allowed.each("tools")]
        return ToolChoice(mode=mode, names=names, path=path)
    name = field.text("name") if path == "function_call" else _chosen(field)
    return ToolChoice(mode="any", names=[("", name)], path=path) if name else None


def _chosen(entry: Fields) -> str:
    kind = entry.text("type") or "function"
    return required(entry.fields(kind), "name") if kind in ("function", "custom") else ""


def _reasoning(field: Fields) -> Thinking | None:
    """`reasoning` (OpenRouter)."""
    if not field.raw:
        return None
    effort, enabled, excluded = field.text("effort"), field.flag("enabled"), field.flag("exclude")
    thinking = Thinking(path=field.path, noise={field.path: field.raw}, budget=field.integer("max_tokens"))
    if enabled is not None:
        thinking.mode = "on" if enabled else "off"
    if effort in EFFORTS:
        thinking.effort = EFFORTS[effort]
    elif effort == "none":
        thinking.mode = "off"
    elif effort:
        thinking.extra["effort"] = effort
    if excluded:
        thinking.show = "none"
    thinking.extra |= field.rest("effort", "enabled", "exclude", "max_tokens")
    return thinking


def _object(fields: Fields, key: str) -> dict[str, Any] | None:
    return dict(fields.fields(key).raw) if fields.raw.get(key) is not None else None


def _signs(thought: Thought) -> str:
    return thought.signature.signs if thought.signature else "part"
