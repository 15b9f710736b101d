"""Reading generateContent requests."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final, Literal

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields
from ccproxy.core.model import (
    Call,
    Foreign,
    Format,
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
from ccproxy.core.vocab import Signs
from ccproxy.wire.json import dumps

from .keys import Keys, keys
from .maps import (
    ANSWER_FIELDS,
    HELD_FILES,
    HOSTED_READ,
    LEVEL_READ,
    MEDIA_KIND,
    MEDIA_TYPES,
    MODE_READ,
    PLACEHOLDERS,
    ROLE_READ,
    SETTINGS,
    TIER_READ,
    VIDEOS,
)
from .response import SCHEME
from .schema import json_schema, ordered

_CONTAINERS: Final = ("generationConfig", "toolConfig", "systemInstruction", "tools")
_KNOWN: Final = (*_CONTAINERS, "contents", "model", "labels", "serviceTier", "store")
_CONFIG: Final[tuple[Setting, ...]] = (
    *(
        (SETTINGS[name].rpartition(".")[2], name, Fields.integer)
        for name in ("max_output", "top_k", "seed", "choices", "top_logprobs")
    ),
    *(
        (SETTINGS[name].rpartition(".")[2], name, Fields.real)
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")
    ),
)
_CONFIG_KNOWN: Final = ("stopSequences", "responseLogprobs", "thinkingConfig", *(key for key, _, _ in _CONFIG))
_DATA: Final = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_STANDARD: Final = str.maketrans("-_", "+/")


class Reader(RequestReader):
    dialect = "gemini"

    def body(self, body: Fields) -> None:
        source = keys(body)
        request = self.request
        request.extra = source.rest(*_KNOWN)
        request.noise = {key: source.raw[key] for key in _CONTAINERS if source.raw.get(key) in ({}, [])}
        model = source.text("model")
        if model:
            request.noise["model"] = model
            self.set("model", model.removeprefix("models/"), source.at("model"))
        if "systemInstruction" in source.raw and "systemInstruction" not in request.noise:
            request.turns.append(self._system(source))
        if not source.raw.get("contents"):
            raise RequestRefused(source.at("contents"), "must not be empty")
        for content in source.each("contents"):
            request.turns.append(self._turn(content))
        if request.turns[-1].role == "assistant":
            self.set("prefill", True, request.turns[-1].path)
        for entry in source.each("tools"):
            request.tools += self._tools(entry)
        if "generationConfig" in source.raw:
            self._config(source.fields("generationConfig"))
        if "toolConfig" in source.raw:
            self._tool_config(source.fields("toolConfig"))
        if source.text("cachedContent"):
            request.held.append((source.at("cachedContent"), "content that is cached by Google"))
        if "labels" in source.raw:
            self.set("metadata", source.mapping("labels"), source.at("labels"))
        if "serviceTier" in source.raw:
            tier = source.text("serviceTier")
            self.set("tier", TIER_READ.get(tier, tier), source.at("serviceTier"))
        if "store" in source.raw:
            self.set("store", source.flag("store"), source.at("store"))

    # Turns

    def _system(self, source: Keys) -> Turn:
        if isinstance(source.raw["systemInstruction"], str):
            path = source.at("systemInstruction")
            return Turn(role="system", path=path, parts=[Text(text=source.text("systemInstruction"), path=path)])
        content = source.fields("systemInstruction")
        turn = Turn(role="system", path=content.path, extra=content.rest("role", "parts"))
        turn.noise = {"role": content.raw["role"]} if "role" in content.raw else {}
        return self._content(content, turn)

    def _turn(self, content: Keys) -> Turn:
        role = content.string("role")
        if (role or "user") not in ROLE_READ:
            raise RequestRefused(content.at("role"), f"unknown role {role!r}; known are user and model")
        turn = Turn(role=ROLE_READ[role or "user"], path=content.path, extra=content.rest("role", "parts"))
        if role not in ("user", "model"):
            turn.noise["role"] = role
        return self._content(content, turn)

    def _content(self, content: Keys, turn: Turn) -> Turn:
        if content.raw.get("parts") == []:
            turn.noise["parts"] = []
        for part in content.each("parts"):
            turn.parts += self._part(part)
        for one, other in pairwise(turn.parts):
            if type(one) is Thought and type(other) is Thought:
                other.goes_on = one.signature is None and other.signature is None
        return turn

    def _part(self, part: Keys) -> Iterable[Part]:
        """What is in one part: its signature is a piece of its own."""
        if len(part.raw) == 1 and "text" in part.raw:
            return (Text(text=part.text("text"), path=part.path),)
        return self._more(part)

    def _more(self, part: Keys) -> Iterator[Part]:
        found = [key for key in _DATA if key in part.raw]
        if len(found) > 1:
            raise RequestRefused(part.at(found[1]), f"a part that has {found[0]} has no {found[1]}")
        kind = found[0] if found else "text" if "thoughtSignature" in part.raw else ""
        thought, signature = part.flag("thought"), part.text("thoughtSignature")
        extra = part.rest(kind, "thought", "thoughtSignature")
        noise: dict[str, Any] = {"thought": False} if thought is False else {}
        if kind == "text":
            if not found:
                noise["text"] = None
            yield from self._text(part, thought is True, signature, extra, noise)
            return
        if thought:
            extra["thought"] = True
        sealed = unseal(signature)
        match kind:
            case "functionCall":
                if signature in PLACEHOLDERS:
                    noise["thoughtSignature"] = signature
                elif signature:
                    yield Thought(signature=_sealed(signature, "call"), path=part.at("thoughtSignature"))
                yield self._call(part, extra, noise)
            case "functionResponse" | "inlineData" | "fileData":
                if sealed:
                    yield Thought(signature=sealed, path=part.at("thoughtSignature"))
                elif signature:
                    extra["thoughtSignature"] = signature
                read = self._result if kind == "functionResponse" else self._media
                yield read(part, extra, noise)
            case _:
                if sealed:
                    yield Thought(signature=sealed, path=part.at("thoughtSignature"))
                payload = part.rest("thoughtSignature") if sealed else dict(part.raw)
                yield Foreign(kind=kind or next(iter(payload), "part"), payload=payload, path=part.path)

    def _text(
        self, part: Keys, thought: bool, signature: str, extra: dict[str, Any], noise: dict[str, Any]
    ) -> Iterator[Part]:
        text = part.text("text")
        if thought:
            sealed = _sealed(signature, "part") if signature else None
            yield Thought(text=text, signature=sealed, path=part.path, extra=extra, noise=noise)
        elif not signature:
            yield Text(text=text, path=part.path, extra=extra, noise=noise)
        else:
            sealed = _sealed(signature, "text")
            sign = Thought(signature=sealed, path=part.at("thoughtSignature"))
            if not text:  # it signs the text of the parts before
                sign.extra, sign.noise = extra, noise
                yield sign
                return
            said = Text(text=text, path=part.path, extra=extra, noise=noise)
            yield from (said, sign) if sealed.signs == "text" else (sign, said)

    def _call(self, part: Keys, extra: dict[str, Any], noise: dict[str, Any]) -> Call:
        call = part.fields("functionCall")
        name = call.text("name")
        if not name:
            raise RequestRefused(call.at("name"), "must not be empty")
        arguments = call.mapping("args")
        return Call(
            id=carried_id(call.text("id")),
            name=name,
            arguments="" if arguments is None else dumps(arguments).decode("utf-8", "surrogatepass"),
            path=part.path,
            extra=extra | _inner("functionCall", call.rest("id", "name", "args")),
            noise=noise,
        )

    def _result(self, part: Keys, extra: dict[str, Any], noise: dict[str, Any]) -> Result:
        response = part.fields("functionResponse")
        id, name = response.text("id"), response.text("name")
        if not id and not name:
            raise RequestRefused(response.at("name"), "must not be empty")
        value = response.mapping("response")
        text, is_error = _answer(value or {}, name)
        parts: list[Text | Media | Foreign] = [Text(text=text, path=response.at("response"))] if text else []
        parts += [self._nested(one) for one in response.each("parts")]
        return Result(
            id=carried_id(id),
            name=name,
            id_path=response.at("id" if id else "name"),
            parts=parts,
            value=value,
            is_error=is_error,
            path=part.path,
            extra=extra | _inner("functionResponse", response.rest("id", "name", "response", "parts")),
            noise=noise,
        )

    def _nested(self, part: Keys) -> Media:
        kinds = [key for key in ("inlineData", "fileData") if key in part.raw]
        if len(kinds) != 1:
            raise RequestRefused(part.path, "must have either inlineData or fileData")
        return self._media(part, part.rest(*kinds), {})

    def _media(self, part: Keys, extra: dict[str, Any], noise: dict[str, Any]) -> Media:
        kind = "inlineData" if "inlineData" in part.raw else "fileData"
        source = part.fields(kind)
        media_type = source.text("mimeType")
        media = Media(kind=_kind(media_type), media_type=media_type, name=source.text("displayName"), path=part.path)
        media.extra, media.noise = extra, noise
        if kind == "inlineData":
            media.extra = extra | _inner(kind, source.rest("mimeType", "data", "displayName"))
            if not media_type:
                raise RequestRefused(source.at("mimeType"), "must not be empty")
            said = source.text("data")
            if not said:
                raise RequestRefused(source.at("data"), "must not be empty")
            media.data = said.translate(_STANDARD) + "=" * (-len(said) % 4)
            if media.data != said:  # the official Python SDK writes base64 for URLs
                media.noise["inlineData.data"] = said
            text = _plain(media.data) if media_type == "text/plain" else None
            if text:
                media.data, media.text = "", text
            return media
        media.extra = extra | _inner(kind, source.rest("mimeType", "fileUri", "displayName"))
        uri = source.text("fileUri")
        if not uri:
            raise RequestRefused(source.at("fileUri"), "must not be empty")
        if not media_type:
            media.kind = "video" if VIDEOS.match(uri) else _kind(MEDIA_TYPES.get(uri.rpartition(".")[2].lower(), ""))
        if HELD_FILES.match(uri):
            media.file_id = uri
        else:
            media.url = uri
        return media

    # Tools

    def _tools(self, entry: Keys) -> Iterator[Tool]:
        for function in entry.each("functionDeclarations"):
            yield self._function(function)
        for name in entry.raw:
            if name != "functionDeclarations":
                settings = entry.raw[name]
                tool = Tool(kind="hosted", name=name, hosted=HOSTED_READ.get(name, ""), path=entry.at(name))
                if isinstance(settings, dict):
                    tool.extra = dict(settings)
                else:
                    tool.noise = {name: settings}
                yield tool

    def _function(self, function: Keys) -> Tool:
        name = function.text("name")
        if not name:
            raise RequestRefused(function.at("name"), "must not be empty")
        tool = Tool(
            kind="function",
            name=name,
            description=function.text("description"),
            schema=function.mapping("parametersJsonSchema"),
            path=function.path,
            extra=function.rest("name", "description", "parameters", "parametersJsonSchema"),
        )
        if function.raw.get("description") == "":
            tool.noise["description"] = ""
        given = tool.schema
        tool.schema = ordered(given, function.at("parametersJsonSchema"))
        if tool.schema is not given:
            tool.noise["parametersJsonSchema"] = given
        parameters = function.mapping("parameters")
        if parameters is not None and tool.schema is None:
            tool.schema = json_schema(parameters, function.at("parameters"))
            tool.noise |= {"parameters": parameters, "parametersJsonSchema": None}
        elif parameters is not None:
            tool.extra["parameters"] = parameters
        return tool

    def _tool_config(self, config: Keys) -> None:
        self.request.extra |= _inner("toolConfig", config.rest("functionCallingConfig"))
        if "functionCallingConfig" not in config.raw:
            return
        calling = config.fields("functionCallingConfig")
        said = calling.text("mode")
        mode = said.upper()
        if mode not in MODE_READ:
            raise RequestRefused(calling.at("mode"), f"unknown mode {said!r}; known are AUTO, ANY, NONE and VALIDATED")
        names = _strings(calling, "allowedFunctionNames")
        choice = ToolChoice(mode=MODE_READ[mode], names=[("", name) for name in names or ()], path=calling.path)
        choice.extra = calling.rest("mode", "allowedFunctionNames")
        if mode == "VALIDATED":
            choice.extra["mode"] = said
        else:
            choice.noise["mode"] = said or None
        if names == []:
            choice.noise["allowedFunctionNames"] = []
        self.set("tool_choice", choice, calling.path)

    # Settings

    def _config(self, config: Keys) -> None:
        self.set_each(config, _CONFIG)
        self.set("stop", _strings(config, "stopSequences"), config.at("stopSequences"))
        self.set("logprobs", config.flag("responseLogprobs"), config.at("responseLogprobs"))
        if "thinkingConfig" in config.raw:
            self.set("thinking", self._thinking(config.fields("thinkingConfig")), config.at("thinkingConfig"))
        extra = config.rest(*_CONFIG_KNOWN, *self._format(config))
        modalities = _strings(config, "responseModalities")
        if modalities in (["TEXT"], []):  # which is the default
            self.request.noise |= _inner("generationConfig", {"responseModalities": extra.pop("responseModalities")})
        elif modalities and "TEXT" not in modalities:
            self.request.held.append((config.at("responseModalities"), f"an answer in {' and '.join(modalities)}"))
        self.request.extra |= _inner("generationConfig", extra)

    def _thinking(self, config: Keys) -> Thinking:
        thinking = Thinking(path=config.path, extra=config.rest("includeThoughts", "thinkingBudget", "thinkingLevel"))
        budget, level = config.integer("thinkingBudget"), config.text("thinkingLevel")
        effort = LEVEL_READ.get(level.upper())
        if budget is not None:
            thinking.mode = "off" if budget == 0 else "auto" if budget < 0 else "on"
            thinking.budget = budget if budget > 0 else None
            thinking.noise["thinkingBudget"] = budget
        if effort:
            thinking.mode, thinking.effort = thinking.mode or "on", effort
            thinking.noise["thinkingLevel"] = level
        elif level:
            thinking.extra["thinkingLevel"] = level
        include = config.flag("includeThoughts")
        thinking.show = None if include is None else "auto" if include else "none"
        return thinking

    def _format(self, config: Keys) -> set[str]:
        """Set the format; gives the fields that it is made of."""
        media_type = config.text("responseMimeType")
        if media_type not in ("", "text/plain", "application/json"):
            return set()
        kinds = [key for key in ("responseJsonSchema", "responseSchema") if key in config.raw]
        if not media_type and not kinds:
            return set()
        key = (kinds or ["responseMimeType"])[0]
        path = config.at(key)
        format = Format(kind="json" if media_type == "application/json" else "text", path=path)
        if kinds:
            schema = config.mapping(key)
            format.kind, format.strict = "schema", True
            if key == "responseJsonSchema":
                format.schema = ordered(schema, path)
                format.noise = {key: schema} if format.schema is not schema else {}
            else:
                format.schema = json_schema(schema or {}, path)
                format.noise = {key: schema, "responseJsonSchema": None}
            format.noise["responseMimeType"] = media_type or None
        self.set("format", format, path)
        return {"responseMimeType", key}


def _sealed(value: str, signs: Signs) -> Sealed:
    return unseal(value) or Sealed(SCHEME, "", value, signs=signs)


def _inner(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an inner object under names that say where they belong."""
    return {f"{name}.{key}": value for key, value in fields.items()}


def _strings(source: Keys, key: str) -> list[str] | None:
    if key not in source.raw:
        return None
    values = source.list(key)
    for position, value in enumerate(values):
        if not isinstance(value, str):
            raise RequestRefused(f"{source.at(key)}[{position}]", "must be a string")
    return list(values)


def _kind(media_type: str) -> Literal["image", "document", "audio", "video", "file"]:
    whole = media_type.partition(";")[0].strip().lower()
    return MEDIA_KIND.get(whole) or MEDIA_KIND.get(whole.partition("/")[0], "file")


def _plain(data: str) -> str | None:
    """The text that the data is, if encoding it again gives the same."""
    try:
        raw = a2b_base64(data)
        return raw.decode() if b2a_base64(raw, newline=False).decode("ascii") == data else None
    except ValueError:
        return None


def _answer(value: dict[str, Any], name: str) -> tuple[str, bool | None]:
    """The text of a function's response, and whether it is an error."""
    rest = {key: inner for key, inner in value.items() if not (key == "name" and inner == name)}
    key = next(iter(rest), "")
    if len(rest) == 1 and (key == "error" or key in ANSWER_FIELDS):
        inner = rest[key]
        text = inner if isinstance(inner, str) else dumps(inner).decode("utf-8", "surrogatepass")
        return text, True if key == "error" else None
    return dumps(value).decode("utf-8", "surrogatepass") if value else "", None
