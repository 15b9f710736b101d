"""Messages API requests to neutral ones.

What may be spelled in two ways is told apart by paths: a text that was the content itself, and not a block of it, has a
path without an index, and `Request.paths` also has what was said without need (`_said`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import FieldError, Fields
from ccproxy.core.model import (
    Cache,
    Call,
    Foreign,
    Format,
    Media,
    Part,
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
from ccproxy.core.spi import RequestOptions
from ccproxy.wire.json import dumps

from .maps import (
    CHOICE_READ,
    DISPLAY_READ,
    EFFORT_READ,
    HOSTED_READ,
    SOURCE_FIELDS,
    THINKING_READ,
    TIER_READ,
    TOOL_DATE,
)
from .response import SCHEME

_ROLES: Final[Mapping[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_TOP: Final = (
    "model",
    "stream",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
)
_OUTPUT: Final = frozenset({"output_config", "output_format", "thinking"})


def _strings(parent: Fields, key: str) -> list[str]:
    strings: list[str] = []
    for position, value in enumerate(parent.list(key)):
        if not isinstance(value, str):
            raise FieldError(f"{parent.at(key)}[{position}]", "must be a string")
        strings.append(value)
    return strings


def _tier(body: Fields, key: str) -> str:
    word = body.text(key)
    return TIER_READ.get(word, word)


_ONE_BY_ONE: Final[tuple[Setting, ...]] = (
    ("stream", "stream", Fields.flag),
    ("max_tokens", "max_output", Fields.integer),
    ("temperature", "temperature", Fields.real),
    ("top_p", "top_p", Fields.real),
    ("top_k", "top_k", Fields.integer),
    ("stop_sequences", "stop", _strings),
    ("service_tier", "tier", _tier),
)


class Reader(RequestReader):
    dialect: ClassVar[str] = "anthropic"

    def __init__(self, options: RequestOptions) -> None:
        super().__init__(options)
        self._calls: set[str] = set()

    def body(self, body: Fields) -> None:
        request = self.request
        model = body.text("model")
        if not model and not self.options.model and "anthropic_version" not in body.raw:
            raise _missing(body, "model")  # Bedrock and Vertex have it in the URL, and this field in the body
        cache = _cache(body)
        request.extra = _rest(body, cache, *_TOP)
        self.set("model", model or None, "model")
        self.set_each(body, _ONE_BY_ONE)
        self.set("cache", cache, "cache_control")
        if body.raw.get("metadata") is not None:
            self._metadata(body.fields("metadata"))
        if not body.raw.keys().isdisjoint(_OUTPUT):
            self._output(body)
        self._held(body)
        for name in ("system", "tools"):
            self._said(body, name)
        if body.raw.get("system") is not None:
            parts = self._content(body, "system")
            if parts:
                request.turns.append(Turn(role="system", path="system", parts=parts))
        for tool in body.each("tools"):
            request.tools.append(self._tool(tool))
        for message in body.each("messages"):
            request.turns.append(self._turn(message))
        if not body.list("messages"):
            raise RequestRefused("messages", "there must be at least one message")
        if request.turns[-1].role == "assistant":
            self.set("prefill", True, request.turns[-1].path)
        if body.raw.get("tool_choice") is not None:
            self._choice(body.fields("tool_choice"))

    # Settings

    def _metadata(self, metadata: Fields) -> None:
        self.set("user", metadata.string("user_id"), metadata.at("user_id"))
        rest = metadata.rest("user_id")
        if rest or self.request.user is None:
            self.request.extra["metadata"] = rest

    def _output(self, body: Fields) -> None:
        """`output_config` and `thinking`."""
        output = body.fields("output_config")
        rest = output.rest()
        effort = EFFORT_READ.get(output.text("effort"))
        thinking = self._thinking(body.fields("thinking")) if body.raw.get("thinking") is not None else None
        if effort is not None:
            del rest["effort"]
            if thinking is None:
                thinking = Thinking(path=output.at("effort"))
            thinking.effort = effort
        if thinking is not None:
            self.set("thinking", thinking, thinking.path)
        if self._format(output, "format"):
            del rest["format"]
        elif self._format(body, "output_format"):  # what it was called first
            del self.request.extra["output_format"]
        if rest or (body.raw.get("output_config") is not None and not output.rest()):
            self.request.extra["output_config"] = rest

    def _thinking(self, thinking: Fields) -> Thinking:
        kind = thinking.text("type")
        if not kind:
            raise _missing(thinking, "type")
        mode = THINKING_READ.get(kind)
        show = DISPLAY_READ.get(thinking.text("display"))
        known = ["budget_tokens"]
        known += ["type"] if mode is not None else []
        known += ["display"] if show is not None else []
        return Thinking(
            path=thinking.path,
            extra=thinking.rest(*known),
            mode=mode,
            budget=thinking.integer("budget_tokens"),
            show=show,
        )

    def _format(self, parent: Fields, key: str) -> bool:
        """Whether there is a format that has a neutral name."""
        format = parent.fields(key)
        if format.text("type") != "json_schema":
            return False
        schema = format.mapping("schema")
        if schema is None:
            raise _missing(format, "schema")
        self.set(
            "format",
            Format(path=format.path, kind="schema", schema=schema, strict=True, extra=format.rest("type", "schema")),
            format.path,
        )
        return True

    def _held(self, body: Fields) -> None:
        container = body.raw.get("container")
        if isinstance(container, str):
            self.request.held.append(("container", f"the container {container!r}"))
        elif container is not None and body.fields("container").text("id"):
            self.request.held.append(("container.id", f"the container {body.fields('container').text('id')!r}"))
        if body.raw.get("thread") is not None:
            before = body.fields("thread").text("previous_message_id")
            if before:
                self.request.held.append(("thread.previous_message_id", f"the thread of {before!r}"))

    def _choice(self, choice: Fields) -> None:
        kind = choice.text("type")
        if not kind:
            raise _missing(choice, "type")
        if kind not in CHOICE_READ:
            raise RequestRefused(choice.at("type"), f"{kind!r} is none of {', '.join(CHOICE_READ)}")
        names: list[tuple[str, str]] = []
        if kind == "tool":
            names.append(("", _required(choice, "name")))
        known = ["type", "disable_parallel_tool_use", *(["name"] if names else [])]
        self.set(
            "tool_choice",
            ToolChoice(path=choice.path, extra=choice.rest(*known), mode=CHOICE_READ[kind], names=names),
            choice.path,
        )
        alone = choice.flag("disable_parallel_tool_use")
        if alone is not None:
            self.set("parallel", not alone, choice.at("disable_parallel_tool_use"))

    def _tool(self, tool: Fields) -> Tool:
        cache = _cache(tool)
        kind = tool.text("type")
        if kind not in ("", "custom"):
            base = TOOL_DATE.sub("", kind)
            known = ["type"]
            if tool.text("name") == base:  # the type has it already
                known.append("name")
                self._said(tool, "name")
            return Tool(
                path=tool.path,
                extra=_rest(tool, cache, *known),
                kind="hosted",
                name=kind,
                hosted=HOSTED_READ.get(base, ""),
                cache=cache,
            )
        if tool.raw.get("input_schema") is None:
            raise _missing(tool, "input_schema")
        if kind:
            self._said(tool, "type")
        self._said(tool, "description")
        return Tool(
            path=tool.path,
            extra=_rest(tool, cache, "type", "name", "description", "input_schema", "strict"),
            kind="function",
            name=_required(tool, "name"),
            description=tool.text("description"),
            schema=tool.mapping("input_schema"),
            strict=tool.flag("strict"),
            cache=cache,
        )

    # Content

    def _turn(self, message: Fields) -> Turn:
        role = _required(message, "role")
        if role not in _ROLES:
            raise RequestRefused(message.at("role"), f"{role!r} is none of {', '.join(_ROLES)}")
        if message.raw.get("content") is None:
            raise _missing(message, "content")
        turn = Turn(path=message.path, role=_ROLES[role], parts=self._content(message, "content"))
        if len(message.raw) > 2:
            turn.extra = message.rest("role", "content")
        return turn

    def _content(self, parent: Fields, key: str) -> list[Part]:
        value = parent.raw.get(key)
        if type(value) is str:
            return [Text(path=parent.at(key), text=value)]
        if type(value) is not list:
            raise parent.wrong(key, "a string or an array")
        return [self._block(block) for block in parent.each(key)]

    def _block(self, block: Fields) -> Part:
        match _required(block, "type"):
            case "text":
                return _text(block)
            case "image" | "document":
                return self._media(block)
            case "thinking":
                signature = block.text("signature")
                self._said(block, "signature")
                return Thought(
                    path=block.path,
                    extra=block.rest("type", "thinking", "signature"),
                    text=block.text("thinking"),
                    signature=(unseal(signature) or Sealed(SCHEME, "", signature)) if signature else None,
                )
            case "redacted_thinking":
                data = _required(block, "data")
                return Thought(
                    path=block.path,
                    extra=block.rest("type", "data"),
                    signature=unseal(data) or Sealed(SCHEME, "", data, redacted=True),
                )
            case "tool_use":
                return self._call(block)
            case "tool_result":
                return self._result(block)
            case "search_result":
                return _found(block)
            case kind:
                return Foreign(path=block.path, kind=kind, payload=dict(block.raw))

    def _call(self, block: Fields) -> Call:
        id = _required(block, "id")
        self._calls.add(id)
        cache = _cache(block)
        return Call(
            path=block.path,
            extra=_rest(block, cache, "type", "id", "name", "input"),
            id=carried_id(id),
            name=_required(block, "name"),
            arguments=dumps(block.fields("input").raw).decode("utf-8"),
            cache=cache,
        )

    def _result(self, block: Fields) -> Result:
        id = _required(block, "tool_use_id")
        if id not in self._calls and not self.request.held:
            raise RequestRefused(block.at("tool_use_id"), f"no tool call before it has the id {id!r}")
        cache = _cache(block)
        extra = _rest(block, cache, "type", "tool_use_id", "content", "is_error")
        parts: list[Text | Media | Foreign] = []
        if block.raw.get("content") is not None:
            for part in self._content(block, "content"):
                if type(part) is Thought or type(part) is Call or type(part) is Result:
                    raise RequestRefused(part.path, "a tool result can't hold this")
                parts.append(part)
        return Result(
            path=block.path,
            extra=extra,
            id=carried_id(id),
            id_path=block.at("tool_use_id"),
            parts=parts,
            is_error=block.flag("is_error"),
            cache=cache,
        )

    def _media(self, block: Fields) -> Media | Foreign:
        if block.raw.get("source") is None:
            raise _missing(block, "source")
        source = block.fields("source")
        kind = _required(source, "type")
        if kind not in SOURCE_FIELDS:
            return Foreign(path=block.path, kind=block.text("type"), payload=dict(block.raw))
        cache = _cache(block)
        image = block.text("type") == "image"
        known = ["type", "source", *([] if image else ["title"])]
        media = Media(path=block.path, kind="image" if image else "document", extra=_rest(block, cache, *known))
        media.cache = cache
        if not image:
            media.name = block.text("title")
            self._said(block, "title")
        media.media_type = source.text("media_type")
        match kind:
            case "base64":
                media.data = source.text("data")
            case "text":
                media.text = source.text("data")
            case "url":
                media.url = source.text("url")
            case "file":
                media.file_id = source.text("file_id")
            case _:
                parts = self._content(source, "content")
                media.text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
        content = media.data or media.text or media.url or media.file_id
        if kind == "content" or not content or frozenset(source.rest()) != SOURCE_FIELDS[kind]:
            media.extra["source"] = dict(source.raw)
        return media

    def _said(self, parent: Fields, key: str) -> None:
        """Note that a field was there, where its value does not show it."""
        if parent.raw.get(key) is not None:
            self.request.paths[parent.at(key)] = parent.at(key)


def _text(block: Fields) -> Text:
    cache = _cache(block)
    if block.raw.get("text") is None:
        raise _missing(block, "text")
    return Text(path=block.path, extra=_rest(block, cache, "type", "text"), text=block.text("text"), cache=cache)


def _found(block: Fields) -> Foreign:
    """A search result, which other dialects are told as text: its title, its source, what it says."""
    texts = [one.text("text") for one in block.each("content")]
    said = "\n".join(filter(None, (block.text("title"), block.text("source"), *texts)))
    cache = _cache(block)
    found = Foreign(path=block.path, kind="search_result", payload=dict(block.raw))
    if said:
        extra = _rest(block, cache, "type", "title", "source", "content", "citations")
        found.words = Text(path=block.path, text=said, cache=cache, extra=extra)
    return found


def _cache(parent: Fields) -> Cache | None:
    """A caching hint that says nothing else; another one is left to the extra fields."""
    if parent.raw.get("cache_control") is None:
        return None
    hint = parent.fields("cache_control")
    if hint.word("type") != "ephemeral" or hint.rest("type", "ttl"):
        return None
    return Cache(hint.string("ttl"))


def _rest(parent: Fields, cache: Cache | None, *known: str) -> dict[str, Any]:
    return parent.rest(*known, "cache_control") if cache is not None else parent.rest(*known)


def _required(parent: Fields, key: str) -> str:
    value = parent.text(key)
    if not value:
        raise _missing(parent, key)
    return value


def _missing(parent: Fields, key: str) -> RequestRefused:
    return RequestRefused(parent.at(key), "is missing")
