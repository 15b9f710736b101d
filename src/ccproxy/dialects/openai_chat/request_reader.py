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
from ccproxy.core.request import RequestReader, Setting
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
_REASONING: Final = frozenset({"reasoning_effort", "thinking", "reasoning"})
_OF_ASSISTANT: Final = ("role", "name", "content", "refusal", "tool_calls", "function_call", *thoughts.FIELDS)
_ONE_BY_ONE: Final[tuple[Setting, ...]] = (
    *((SETTINGS[name], name, Fields.flag) for name in ("stream", "logprobs", "parallel", "store")),
    *(
        (SETTINGS[name], name, Fields.real)
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")
    ),
    *((SETTINGS[name], name, Fields.integer) for name in ("seed", "choices", "top_logprobs")),
    *((SETTINGS[name], name, Fields.string) for name in ("verbosity", "tier", "cache_key")),
    *((SETTINGS[name], name, Fields.mapping) for name in ("logit_bias", "metadata")),
    ("top_k", "top_k", Fields.integer),
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
        if not body.raw.keys().isdisjoint(_REASONING):
            self._thinking(body)
        if body.raw.get("response_format") is not None:
            request.format = self._format(body)
        for tool in body.each("tools"):
            request.tools.append(_tool(tool))
        for function in body.each("functions"):
            request.tools.append(_legacy_tool(function))
        if body.raw.get("web_search_options") is not None:
            request.tools.append(_web_search(body.fields("web_search_options")))
        request.tool_choice = self._tool_choice(body)
        if body.raw.get("modalities") is not None and "audio" in body.list("modalities"):
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
        self.set_each(body, _ONE_BY_ONE)
        for field in ("max_tokens", "max_completion_tokens"):
            if body.raw.get(field) is not None:
                self._later("max_output", body.integer(field), field)
        for field in ("user", "safety_identifier"):
            if body.raw.get(field) is not None:
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
        if before is not None:
            self.request.extra[self.request.paths[name]] = before
        self.set(name, value, field)

    def _stream_options(self, body: Fields) -> None:
        request = self.request
        if body.raw.get("stream_options") is not None:
            options = body.fields("stream_options")
            self.set("include_usage", options.flag("include_usage"), "stream_options.include_usage")
            request.extra |= inner("stream_options", options, "include_usage")
            if not options.raw:
                request.noise["stream_options"] = {}
        if request.stream and request.include_usage is None:
            request.include_usage = False

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
            self.request.extra |= inner("thinking", switch, "type", "budget_tokens")
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
                    schema=schema.mapping("schema"),
                    strict=schema.flag("strict"),
                    path=field.path,
                    extra=field.rest("type", "json_schema")
                    | inner("json_schema", schema, "name", "description", "schema", "strict"),
                )
            case _:
                if field.raw:
                    self.request.extra["response_format"] = field.raw
                return None

    # Tools

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
        if len(message.raw) == 2 and message.raw.get("content"):  # beside the role, and nothing else
            turn.parts = content.read(message)
            return turn
        for key, value in message.raw.items():
            if not value and value in ("", []) and key != "role":
                turn.noise[key] = value
        if role == "assistant":
            self._assistant(message, turn)
        else:
            turn.extra = message.rest("role", "name", "content", *turn.noise)
            if message.raw.get("content") is None:
                raise RequestRefused(message.at("content"), "is missing")
            turn.parts = content.read(message)
        return turn

    def _assistant(self, message: Fields, turn: Turn) -> None:
        turn.extra = message.rest(*_OF_ASSISTANT, *turn.noise)
        audio = message.noise("audio").text("id")
        if audio:
            self.request.held.append((message.at("audio"), f"the audio {audio!r}"))
        parts, later = self._thoughts(message, turn.extra)
        calls = self._read_calls(message)
        if message.raw.get("content") != "" or not (parts or calls or message.raw.get("refusal")):
            parts += content.read(message)
        refusal = message.text("refusal")
        if refusal:
            parts.append(Text(text=refusal, refusal=True, path=message.at("refusal"), noise={"form": "string"}))
        turn.parts = [*parts, *later, *calls]

    def _thoughts(self, message: Fields, extra: dict[str, Any]) -> tuple[list[Part], list[Part]]:
        """The reasoning of a message, and what only signs its text and its first call, in this order."""
        parts: list[Part] = [*thoughts.read(message, extra)]
        signature = self._google(message, extra, "call" if message.raw.get("tool_calls") else "text")
        if signature is not None:
            parts.append(signature)
        if not parts:
            return parts, parts[:]
        texts, calls = ([part for part in parts if _signs(part) == what] for what in ("text", "call"))
        return [part for part in parts if _signs(part) == "part"], texts + calls

    def _read_calls(self, message: Fields) -> list[Part]:
        parts: list[Part] = []
        function = message.fields("function_call") if message.raw.get("function_call") is not None else None
        if function is not None and function.raw:
            name, arguments = required(function, "name"), function.text("arguments")
            legacy = {"function_call": function.raw}
            self._called(parts, Call(id="", name=name, arguments=arguments, path=function.path, noise=legacy))
        for call in message.each("tool_calls"):
            extra = call.rest("id", "type", "function", "custom", "index")
            noise: dict[str, Any] = {"index": call.raw["index"]} if call.raw.get("index") is not None else {}
            kind = call.string("type")
            if kind is None:
                noise["type"] = None
            elif kind not in ("function", "custom"):
                raise RequestRefused(call.at("type"), "must be function or custom")
            if call.raw.get("id") == "":
                noise["id"] = ""
            custom = kind == "custom"
            field, text = ("custom", "input") if custom else ("function", "arguments")
            called = call.fields(field)
            if called.raw.get(text) is None:
                noise[f"{field}.{text}"] = None
            signature = self._google(call, extra, "call") if "extra_content" in extra else None
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
                    extra=extra | inner(field, called, "name", text),
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
        result.parts = [p for p in parts if type(p) is Text or type(p) is Media or type(p) is Foreign]
        if len(result.parts) < len(parts):
            result.extra["content"] = message.raw["content"]
        if message.raw["content"] == []:
            result.noise["content"] = []
        return result

    def _answers(self, result: Result, message: Fields) -> None:
        """Refuse the result of no call. Without ids (Writer) results come in the order of their calls."""
        if result.id in self._ids and result.id:
            return
        place = message.at("tool_call_id")
        if result.id:
            raise RequestRefused(place, f"no tool call has the id {result.id!r}")
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
        schema=described.mapping("parameters") if kind == "function" else None,
        strict=described.flag("strict") if kind == "function" else None,
        grammar=grammar,
        cache=cache,
        path=tool.path,
        extra=tool.rest("type", kind, *hint) | inner(kind, described, *known),
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
        schema=function.mapping("parameters"),
        path=function.path,
        extra=function.rest("name", "description", "parameters"),
        noise={"form": "function"},
    )


def _web_search(field: Fields) -> Tool:
    return Tool(
        kind="hosted",
        name="web_search_options",
        hosted="web_search",
        path=field.path,
        extra=field.rest(),
        noise={"form": "field"},
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


def _signs(part: Part) -> str:
    return part.signature.signs if type(part) is Thought and part.signature else "part"
