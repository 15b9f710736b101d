"""Requests of the Responses API, as read.

Each input item is a turn of its own, which holds the item's id and whatever else belongs to the item as a whole.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from typing import Any, ClassVar, Final, cast, get_args

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields
from ccproxy.core.model import (
    Cache,
    Call,
    Effort,
    Foreign,
    Format,
    InputGrammar,
    Media,
    Result,
    Role,
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

from .maps import AUDIO_READ, ENCRYPTED, HELD, HOSTED_READ, ITEM_ROLE, LOGPROBS, SHOW_READ, TOOL_CHOICE_READ, TOOLS_ITEM
from .response import SCHEME

_SETTINGS: Final = (
    "model",
    "stream",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "parallel_tool_calls",
    "store",
    "prompt_cache_key",
    "service_tier",
    "metadata",
    "reasoning",
    "text",
    "include",
    "instructions",
    "input",
    "tools",
    "tool_choice",
)
_ONE_BY_ONE: Final[tuple[Setting, ...]] = (
    ("stream", "stream", Fields.flag),
    ("max_output_tokens", "max_output", Fields.integer),
    ("temperature", "temperature", Fields.real),
    ("top_p", "top_p", Fields.real),
    ("top_logprobs", "top_logprobs", Fields.integer),
    ("parallel_tool_calls", "parallel", Fields.flag),
    ("store", "store", Fields.flag),
    ("prompt_cache_key", "cache_key", Fields.string),
    ("service_tier", "tier", Fields.string),
)
_EMPTY: Final[tuple[Any, ...]] = ("", [], {})
_EFFORTS: Final = get_args(Effort)
_ROLES: Final = get_args(Role)


class Reader(RequestReader):
    dialect: ClassVar[str] = "openai-responses"

    def body(self, body: Fields) -> None:
        self._ids: set[str] = set()  # of the calls so far
        self._given: list[Tool] = []  # by items of the input
        request = self.request
        request.held = [(key, what) for key, what in HELD.items() if body.raw.get(key)]
        request.extra = body.rest(*_SETTINGS)
        self._settings(body)
        self._user(body)
        if body.raw.get("include") is not None:
            self._include(body)
        self._reasoning(body)
        if body.raw.get("text") is not None:
            self._text(body.fields("text"))
        self._input(body)
        for fields in body.each("tools"):
            request.tools += _tools(fields)
        if self._given:
            known = {_identity(tool) for tool in request.tools}
            given = {_identity(tool): tool for tool in self._given}  # the last word on each
            request.tools += [tool for identity, tool in given.items() if identity not in known]
        request.tool_choice = _tool_choice(body)

    # Settings

    def _settings(self, body: Fields) -> None:
        self.set("model", body.string("model"), "model")
        if not (self.request.model or self.options.model or self.request.held):  # a stored prompt may name it
            raise RequestRefused("model", "is missing")
        self.set_each(body, _ONE_BY_ONE)
        self.set("metadata", body.mapping("metadata") or None, "metadata")
        if body.flag("background") is False:
            self.request.noise["background"] = self.request.extra.pop("background")
        if body.raw.get("truncation") == "disabled":  # which is the default
            self.request.noise["truncation"] = self.request.extra.pop("truncation")
        self._keep_empty(body, "metadata", "text", "instructions", "tools")

    def _user(self, body: Fields) -> None:
        """Both fields say who the end user is; with both, the older one has no neutral name."""
        for key in ("user", "safety_identifier"):
            if body.raw.get(key) is not None:
                self.set("user", body.string(key), key)
        if self.request.user is not None:
            del self.request.extra[self.request.paths["user"]]

    def _include(self, body: Fields) -> None:
        """The list is kept as it is: signatures come from every provider, and the rest nobody else can include."""
        given = body.list("include")
        if LOGPROBS in given:
            self.set("logprobs", True, f"include[{given.index(LOGPROBS)}]")
        known = all(name in (ENCRYPTED, LOGPROBS) for name in given)
        (self.request.noise if known else self.request.extra)["include"] = given

    def _reasoning(self, body: Fields) -> None:
        if body.raw.get("reasoning") is None:
            return
        fields = body.fields("reasoning")
        thinking = Thinking(path=fields.path, extra=fields.rest("effort", "summary"))
        effort, show = fields.string("effort"), fields.string("summary")
        if effort == "none":
            thinking.mode = "off"
        elif effort in _EFFORTS:
            thinking.mode, thinking.effort = "on", cast("Effort", effort)
        elif effort is not None:
            thinking.extra["effort"] = effort
        if show in SHOW_READ:
            thinking.show = SHOW_READ[show]
        elif show is not None:
            thinking.extra["summary"] = show
        self.set("thinking", thinking, fields.path)

    def _text(self, text: Fields) -> None:
        self.set("verbosity", text.string("verbosity"), text.at("verbosity"))
        rest = text.rest("format", "verbosity")
        if text.raw.get("format") is not None:
            fields = text.fields("format")
            known = _format(fields)
            if known is None:
                rest["format"] = fields.raw
            self.set("format", known, fields.path)
        if rest:
            self.request.extra["text"] = rest

    # Input

    def _input(self, body: Fields) -> None:
        turns = self.request.turns
        instructions = body.text("instructions")
        if instructions:
            path = "instructions"
            turns.append(Turn(role="system", parts=[Text(text=instructions, path=path)], path=path))
        value = body.raw.get("input")
        if value is not None and type(value) is not str and type(value) is not list:
            raise body.wrong("input", "a string or an array")
        if not value and not self.request.held:
            raise RequestRefused("input", "must not be empty" if value is not None else "is missing")
        self._keep_empty(body, "input")
        if value and isinstance(value, str):
            turns.append(Turn(role="user", parts=[Text(text=value, path="input")], path="input"))
        elif value:
            for item in body.each("input"):
                turns.append(self._item(item))

    def _item(self, item: Fields) -> Turn:
        kind = item.text("type") or ("message" if "role" in item.raw else "item_reference" if "id" in item.raw else "")
        if kind == "message":
            return _message(item)
        if kind == "reasoning":
            return _thoughts(item)
        if kind == "function_call" or kind == "custom_tool_call":
            self._ids.add(carried_id(item.text("call_id")))
            return _call(item, custom=kind == "custom_tool_call")
        if kind == "function_call_output" or kind == "custom_tool_call_output":
            turn = _result(item, custom=kind == "custom_tool_call_output")
            id = carried_id(item.text("call_id"))
            if id not in self._ids and not self.request.held:
                reason = f"no tool call before it has the id {id!r}" if id else "is missing"
                raise RequestRefused(item.at("call_id"), reason)
            return turn
        if not kind:
            raise RequestRefused(item.at("type"), "is missing")
        if kind == TOOLS_ITEM and item.list("tools"):
            for fields in item.each("tools"):
                self._given += _tools(fields)
            return Turn(role=_role(kind, item), path=item.path, noise=dict(item.raw))
        if kind == "item_reference":
            self.request.held.append((item.path, HELD[kind]))
        whole = Foreign(kind=kind, payload=dict(item.raw), path=item.path)
        return Turn(role=_role(kind, item), parts=[whole], path=item.path)

    def _keep_empty(self, body: Fields, *keys: str) -> None:
        self.request.noise |= _empty(body, *keys)


# Items


def _role(kind: str, item: Fields) -> Role:
    role = item.word("role")
    if role in _ROLES:
        return cast("Role", role)
    return ITEM_ROLE.get(kind, "user" if kind.endswith("_output") else "assistant")


def _turn(role: Role, item: Fields, *known: str) -> Turn:
    """The turn of an item, with what the item has beside its content."""
    turn = Turn(role=role, path=item.path, extra=item.rest("type", "id", *known))
    for key in ("type", "id"):
        if item.raw.get(key) is not None:
            turn.noise[key] = item.raw[key]
    if turn.extra.get("status") == "completed":
        turn.noise["status"] = turn.extra.pop("status")
    return turn


def _message(item: Fields) -> Turn:
    role = _needed(item, "role")
    if role not in _ROLES:
        raise RequestRefused(item.at("role"), f"unknown role {role!r}; known are {', '.join(_ROLES)}")
    if len(item.raw) > 2:
        turn = _turn(cast("Role", role), item, "role", "content")
    else:
        turn = Turn(role=cast("Role", role), path=item.path)
    turn.parts += _content(item, "content", turn.role)
    return turn


def _thoughts(item: Fields) -> Turn:
    turn = _turn("assistant", item, "summary", "content", "encrypted_content")
    turn.noise |= _empty(item, "summary", "content", "encrypted_content")
    thoughts: list[Thought] = []
    for key, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        for part in item.each(key):
            thought = Thought(text=part.text("text"), group=item.path, path=part.path, extra=part.rest("type", "text"))
            thought.channel = "summary" if key == "summary" else "full"
            if part.text("type") != kind:
                thought.extra["type"] = part.raw.get("type")
            thoughts.append(thought)
    signature = item.text("encrypted_content")
    if not thoughts:
        thoughts.append(Thought(group=item.path, path=item.path))
    if signature:
        redacted = all(not thought.text for thought in thoughts)
        thoughts[-1].signature = unseal(signature) or Sealed(SCHEME, "", signature, redacted)
    turn.parts = [*thoughts]
    return turn


def _call(item: Fields, *, custom: bool) -> Turn:
    key = "input" if custom else "arguments"
    turn = _turn("assistant", item, "call_id", "name", "namespace", key)
    call = Call(
        id=carried_id(_needed(item, "call_id")),
        name=_needed(item, "name"),
        namespace=item.text("namespace"),
        arguments=_needed(item, key, empty=True),
        custom=custom,
        path=item.path,
    )
    turn.parts.append(call)
    return turn


def _result(item: Fields, *, custom: bool) -> Turn:
    turn = _turn("user", item, "call_id", "name", "output")
    id = carried_id(item.text("call_id"))
    result = Result(id=id, name=item.text("name"), custom=custom, path=item.path, id_path=item.at("call_id"))
    result.parts = _content(item, "output", "user")
    turn.parts.append(result)
    return turn


# Content


def _content(item: Fields, key: str, role: Role) -> list[Text | Media | Foreign]:
    """The parts of a text or a list; a text's path is that of the field, which tells the two apart."""
    value = item.raw.get(key)
    if value is None:
        raise RequestRefused(item.at(key), "is missing")
    if type(value) is str:
        return [Text(text=value, path=item.at(key))]
    if type(value) is not list:
        raise item.wrong(key, "a string or an array")
    return [_part(part, role) for part in item.each(key)]


def _part(part: Fields, role: Role) -> Text | Media | Foreign:
    kind = _needed(part, "type")
    if kind in ("input_text", "output_text", "text"):
        noise, cache = _empty(part, "annotations", "logprobs"), _cache(part)
        text = Text(text=_needed(part, "text", empty=True), path=part.path, cache=cache, noise=noise)
        text.extra = _rest(part, cache, "type", "text", *noise)
        if kind != ("output_text" if role == "assistant" else "input_text"):
            text.noise["type"] = kind
        return text
    if kind == "refusal":
        return Text(text=_needed(part, kind), refusal=True, path=part.path, extra=part.rest("type", kind))
    if kind == "input_image":
        return _image(part)
    if kind == "input_file":
        return _file(part)
    if kind == "input_audio" and set(part.fields(kind).raw) == {"data", "format"}:
        return _audio(part)
    return Foreign(kind=kind, payload=dict(part.raw), path=part.path)


def _image(part: Fields) -> Media:
    media = Media(kind="image", path=part.path, cache=_cache(part), detail=part.text("detail"))
    media.file_id, url = part.text("file_id"), part.text("image_url")
    inline = _inline(url)
    if inline is None:
        media.url = url
    else:
        media.media_type, media.data = inline
    media.extra = _rest(part, media.cache, "type", "image_url", "file_id", "detail")
    return media


def _file(part: Fields) -> Media:
    media = Media(kind="document", path=part.path, cache=_cache(part), detail=part.text("detail"))
    media.file_id, media.url, media.name = part.text("file_id"), part.text("file_url"), part.text("filename")
    media.data = part.text("file_data")
    inline = _inline(media.data)
    if inline is not None and inline[0]:
        media.media_type, media.data = inline
        text = _plain_text(*inline)
        if text:
            media.text, media.data = text, ""
    media.extra = _rest(part, media.cache, "type", "file_data", "file_id", "file_url", "filename", "detail")
    return media


def _audio(part: Fields) -> Media:
    audio = part.fields("input_audio")
    format = _needed(audio, "format")
    media = Media(kind="audio", media_type=AUDIO_READ.get(format, f"audio/{format}"), data=_needed(audio, "data"))
    media.path, media.cache = part.path, _cache(part)
    media.extra = _rest(part, media.cache, "type", "input_audio")
    return media


def _inline(url: str) -> tuple[str, str] | None:
    """The media type and the base64 of a data URL."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return head.removeprefix("data:").removesuffix(";base64"), data
    return None


def _plain_text(media_type: str, data: str) -> str:
    """The text of a plain text document, which other dialects have a place for; empty if it is none."""
    if media_type != "text/plain":
        return ""
    try:
        content = a2b_base64(data, strict_mode=True)
        return content.decode("utf-8") if b2a_base64(content, newline=False).decode("ascii") == data else ""
    except ValueError:
        return ""


def _cache(part: Fields) -> Cache | None:
    if part.raw.get("prompt_cache_breakpoint") is None:
        return None
    point = part.noise("prompt_cache_breakpoint")
    ttl = point.raw.get("ttl")
    known = point.raw.get("mode") == "explicit" and point.raw.keys() <= {"mode", "ttl"}
    return Cache(ttl) if known and (ttl is None or isinstance(ttl, str)) else None


def _rest(part: Fields, cache: Cache | None, *known: str) -> dict[str, Any]:
    """What a content part has beside what is known, and its cache breakpoint if that was understood."""
    return part.rest(*known) if cache is None else part.rest(*known, "prompt_cache_breakpoint")


# Tools


def _tools(fields: Fields) -> Iterator[Tool]:
    if fields.text("type") != "namespace" or not fields.list("tools"):
        yield _tool(fields, "")
        return
    name = _needed(fields, "name")
    own = {f"namespace.{key}": value for key, value in fields.rest("type", "name", "tools").items()}
    for nested in fields.each("tools"):
        tool = _tool(nested, name)
        tool.extra |= own
        own = {}  # the first one keeps what belongs to the namespace
        yield tool


def _tool(fields: Fields, namespace: str) -> Tool:
    kind = _needed(fields, "type")
    if kind not in ("function", "custom"):
        hosted = Tool(kind="hosted", name=kind, namespace=namespace, path=fields.path, extra=fields.rest("type"))
        hosted.hosted = HOSTED_READ.get(kind, "")
        return hosted
    name, description, noise = _needed(fields, "name"), fields.text("description"), _empty(fields, "description")
    tool = Tool(kind="custom", name=name, description=description, namespace=namespace, path=fields.path, noise=noise)
    if kind == "function":
        tool.kind = "function"
        tool.strict = fields.flag("strict")
        tool.schema = fields.mapping("parameters")
        tool.extra = fields.rest("type", "name", "description", "parameters", "strict")
        return tool
    tool.extra = fields.rest("type", "name", "description")
    tool.grammar = _grammar(fields.noise("format"))
    if tool.grammar is not None:
        del tool.extra["format"]
    elif fields.raw.get("format") == {"type": "text"}:  # which is the default
        tool.noise["format"] = tool.extra.pop("format")
    return tool


def _identity(tool: Tool) -> tuple[bool, str, str]:
    return tool.kind == "hosted", tool.namespace, tool.name


def _grammar(form: Fields) -> InputGrammar | None:
    """What a custom tool's input keeps to, if that says no more than this."""
    syntax, definition = form.word("syntax"), form.word("definition")
    known = form.word("type") == "grammar" and not form.rest("type", "syntax", "definition")
    return InputGrammar(syntax, definition) if known and syntax and definition else None


def _tool_choice(body: Fields) -> ToolChoice | None:
    value = body.raw.get("tool_choice")
    if value is None:
        return None
    path = body.at("tool_choice")
    if isinstance(value, str):
        if value not in TOOL_CHOICE_READ:
            raise RequestRefused(path, f"unknown choice {value!r}; known are {', '.join(TOOL_CHOICE_READ)}")
        return ToolChoice(mode=TOOL_CHOICE_READ[value], path=path)
    fields = body.fields("tool_choice")
    kind = _needed(fields, "type")
    choice = ToolChoice(mode="any", path=path, noise=dict(fields.raw))  # whole, as it has several forms
    if kind == "allowed_tools":
        mode = _needed(fields, "mode")
        if mode != "auto" and mode != "required":
            raise RequestRefused(fields.at("mode"), f"unknown mode {mode!r}; known are auto, required")
        choice.mode = TOOL_CHOICE_READ[mode]
        choice.names = [_named(tool) for tool in fields.each("tools")]
        choice.extra = fields.rest("type", "mode", "tools")
    else:
        choice.names = [_named(fields)]
        choice.extra = fields.rest("type", *(("name", "namespace") if kind in ("function", "custom") else ()))
    return choice


def _named(fields: Fields) -> tuple[str, str]:
    """Which tool is meant; a hosted one by its type."""
    kind = _needed(fields, "type")
    return (fields.text("namespace"), _needed(fields, "name")) if kind in ("function", "custom") else ("", kind)


def _format(fields: Fields) -> Format | None:
    kind = _needed(fields, "type")
    if kind == "text":
        return Format(kind="text", path=fields.path, extra=fields.rest("type"))
    if kind == "json_object":
        return Format(kind="json", path=fields.path, extra=fields.rest("type"))
    if kind != "json_schema":
        return None
    return Format(
        kind="schema",
        name=fields.text("name"),
        description=fields.text("description"),
        schema=fields.mapping("schema"),
        strict=fields.flag("strict"),
        path=fields.path,
        extra=fields.rest("type", "name", "description", "schema", "strict"),
        noise=_empty(fields, "description"),
    )


# Fields


def _needed(fields: Fields, key: str, *, empty: bool = False) -> str:
    """A text that must be there."""
    value = fields.string(key)
    if value is None or not (value or empty):
        raise RequestRefused(fields.at(key), "is missing")
    return value


def _empty(fields: Fields, *keys: str) -> dict[str, Any]:
    """The fields that are there and say nothing."""
    empty: dict[str, Any] = {}
    for key in keys:
        value = fields.raw.get(key)
        if not value and value in _EMPTY:
            empty[key] = value
    return empty
