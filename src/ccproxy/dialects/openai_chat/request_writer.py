"""Chat Completions requests, as written."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from msgspec import to_builtins

from ccproxy.core.model import Foreign, Format, Media, Part, Piece, Result, Text, Thinking, Tool, Turn
from ccproxy.core.request import effort_of, input_schema
from ccproxy.core.schemas import StrictWriter

from .assistant import Assistant, call_id, said, spread, whole
from .maps import (
    AUDIO_TYPES,
    CACHE_TTL,
    CHOICE_WORDS,
    DETAILS,
    KEEPS,
    MEDIA_TYPES,
    SETTINGS,
    STOPS,
    TIERS,
)

_AS_THEY_ARE: Final = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "metadata",
    "cache_key",
    "store",
)


class Writer(StrictWriter):
    dialect: ClassVar[str] = "openai-chat"
    settings: ClassVar[Mapping[str, str]] = SETTINGS
    keeps: ClassVar[Mapping[str, frozenset[str]]] = KEEPS

    def body(self) -> dict[str, Any]:
        request = self.request
        out = dict(request.noise) if self.own else {}
        model = self.options.model or request.model
        if model and not (self.own and "model" not in request.paths):  # Azure has it in the URL
            out["model"] = model
        messages: list[dict[str, Any]] = []
        for turn in request.turns:
            self._turn(turn, messages)
        out["messages"] = messages
        if not messages:
            raise self.refuse(self.last, "nothing is left that can be sent")
        self._stream(out)
        self._settings(out)
        if request.tools or request.tool_choice is not None:
            self._tools(out)
        if self.own:
            out = spread(out, request.extra)
            if out.get("stream") is False and request.stream:
                out.pop("stream_options", None)
        return out

    # Settings

    def _stream(self, out: dict[str, Any]) -> None:
        request = self.request
        stream = request.stream if self.options.stream is None else self.options.stream
        if stream is not None:
            out["stream"] = stream
        if self.own and "include_usage" in request.paths:
            out["stream_options"] = {"include_usage": request.include_usage}
        elif stream and not self.own:
            out["stream_options"] = {"include_usage": True}

    def _settings(self, out: dict[str, Any]) -> None:
        request = self.request
        for name in _AS_THEY_ARE:
            value = getattr(request, name)
            if value is not None:
                out[SETTINGS[name]] = value
        if request.max_output is not None:
            out[self._field("max_output", self.options.max_tokens_field)] = request.max_output
        if request.user is not None:
            out[self._field("user", SETTINGS["user"])] = request.user
        if request.choices is not None:
            out["n"] = request.choices
        if self.own and request.top_k is not None:
            out["top_k"] = request.top_k
        if request.parallel is not None and (self.own or request.tools):
            out["parallel_tool_calls"] = request.parallel
        elif request.parallel is False:
            self.lose(self.setting("parallel"), "parallel: there are no tools")
        if request.top_logprobs is not None and request.logprobs is None and not self.own:
            out["logprobs"] = True
            self.lose(self.setting("top_logprobs"), "logprobs: asked for, since top_logprobs needs it", "default")
        if request.stop:
            self._stop(request.stop, out)
        if request.tier is not None:
            self._tier(request.tier, out)
        if request.thinking is not None:
            out |= self._thinking(request.thinking)
        if request.format is not None:
            self._format(request.format, out)

    def _field(self, name: str, field: str) -> str:
        """The name of a setting that has several: as it came, or else `field`."""
        return self.request.paths[name] if self.own else field

    def _stop(self, stop: list[str], out: dict[str, Any]) -> None:
        if not self.own and len(stop) > STOPS:
            self.lose(self.setting("stop"), f"stop: {len(stop)} sequences, of which the first {STOPS} are kept")
            stop = stop[:STOPS]
        out.setdefault("stop", stop)  # it came as a string

    def _tier(self, tier: str, out: dict[str, Any]) -> None:
        word = tier if self.own else TIERS.get(tier)
        if word is not None:
            out["service_tier"] = word
        if word is None:
            self.lose(self.setting("tier"), f"tier: there is no {tier}")
        elif word != tier:
            self.lose(self.setting("tier"), f"tier: {tier} became {word}")

    def _thinking(self, thinking: Thinking) -> dict[str, Any]:
        if self.own and thinking.noise:
            return thinking.noise
        effort = thinking.effort
        if thinking.mode == "off":
            effort = None
        elif effort is None and thinking.budget is not None:
            effort = effort_of(thinking.budget)
            self.lose(thinking, f"budget: {thinking.budget} tokens became the effort {effort}")
        elif thinking.budget is not None:
            self.lose(thinking, f"budget: {thinking.budget} tokens, told by the effort {effort} alone")
        elif effort is None and thinking.mode is not None:
            self.lose(thinking, f"mode: {thinking.mode} without an effort can't be said")
        if thinking.mode == "auto" and effort is not None:
            self.lose(thinking, f"mode: auto became the effort {effort}")
        if thinking.show is not None:
            self.lose(thinking, f"show: {thinking.show}: what is shown of reasoning can't be asked for")
        word = "none" if thinking.mode == "off" else effort
        return {"reasoning_effort": word} if word is not None else {}

    def _format(self, format: Format, out: dict[str, Any]) -> None:
        if self.own and format.noise:
            out |= format.noise
            return
        field: dict[str, Any] = {"type": "json_object" if format.kind == "json" else "text"}
        if format.kind == "schema":
            name = format.name
            if not name and not self.own:
                name = "response"
                self.lose(format, f"name: {name!r}, since one is needed", "default")
            described = {
                "name": name,
                "description": format.description or None,
                "schema": format.schema,
                "strict": self.strict(format),
            }
            field = {"type": "json_schema", "json_schema": said(described)}
        out["response_format"] = spread(field, self.extra(format))

    # Tools

    def _tools(self, out: dict[str, Any]) -> None:
        tools: list[dict[str, Any]] = []
        known: dict[tuple[str, str], str] = {}  # what may be called, and its kind
        for tool in self.request.tools:
            form = tool.noise.get("form") if self.own else None
            if form == "function":
                out.setdefault("functions", []).append(self._function(tool) | tool.extra)
            elif tool.kind != "hosted":
                tools.append(self._tool(tool))
                known[tool.namespace, tool.name] = tools[-1].get("type", "function")
            elif self.own and form is None:
                tools.append({"type": tool.name} | tool.extra)
                known["", tool.name] = tool.name
            elif (
                tool.hosted == "web_search"
                and "web_search_options" not in out
                and (self.own or self.options.web_search)
            ):
                out["web_search_options"] = self.extra(tool)
            elif tool.hosted == "web_search" and not self.options.web_search:
                self.drop(tool, f"{tool.name}: the option web_search is off")
            else:
                self.drop(tool, f"there is no tool {tool.name}")
        if tools:
            out["tools"] = tools
        self._tool_choice(out, known)

    def _function(self, tool: Tool) -> dict[str, Any]:
        described = {
            "name": self._name(tool.namespace, tool.name),
            "description": tool.description or None,
            "parameters": tool.schema,
            "strict": self.strict(tool),
        }
        return said(described)

    def _tool(self, tool: Tool) -> dict[str, Any]:
        field = self._function(tool)
        if tool.kind == "custom" and not self.own and not self.options.custom_tools:
            self.lose(
                tool,
                "custom: a function with the argument input, since not every server has custom tools",
                "custom_tool",
            )
            field["parameters"] = input_schema()
            if tool.grammar is not None:
                self.lose(tool, "grammar: the argument of a function has none")
        elif tool.grammar is not None:
            field["format"] = {"type": "grammar", "grammar": to_builtins(tool.grammar)}
        kind = tool.kind if self.own or self.options.custom_tools else "function"
        return self._with_own({"type": kind, kind: field}, tool)

    def _name(self, namespace: str, name: str) -> str:
        return name if self.own else self.names.flat(namespace, name)

    def _tool_choice(self, out: dict[str, Any], known: Mapping[tuple[str, str], str]) -> None:
        choice = self.request.tool_choice
        if choice is None:
            return
        if self.own:
            out |= choice.noise or {"tool_choice": CHOICE_WORDS[choice.mode]}
            return
        if not known:
            if choice.mode != "auto" or choice.names:
                self.lose(choice, "tool_choice: there are no tools to choose from")
            return
        names = [name for name in choice.names if name in known]
        if len(names) < len(choice.names):
            self.lose(choice, "tool_choice: a tool that there is not here")
        word = CHOICE_WORDS[choice.mode] if names or not choice.names else "auto"
        allowed = [{"type": known[name], known[name]: {"name": self._name(*name)}} for name in names]
        if len(allowed) == 1 and choice.mode == "any":
            out["tool_choice"] = allowed[0]
        elif allowed and word != "none":
            out["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": allowed}}
        else:
            out["tool_choice"] = word

    # Messages

    def _turn(self, turn: Turn, messages: list[dict[str, Any]]) -> None:
        """Add a turn's messages: results are one each, and media in them go into a message after the last of them."""
        if turn.role == "assistant":
            answer = Assistant(self, turn, self._blocks).message()
            if answer is not None:
                messages.append(answer)
            return
        before = len(messages)
        parts: list[Part] = []
        messages += [self._result(part, parts) for part in turn.parts if type(part) is Result]
        parts += [part for part in turn.parts if type(part) is not Result]
        content = self._blocks(parts, turn.role)
        if not (content or (self.own and len(messages) == before)):
            return
        message: dict[str, Any] = {"role": "system" if turn.role == "developer" and not self.own else turn.role}
        if turn.name:
            message["name"] = turn.name
        if self.own:
            message |= turn.noise
        message["content"] = whole(content, parts, self.own)
        messages.append(spread(message, turn.extra) if self.own else message)

    def _result(self, result: Result, later: list[Part]) -> dict[str, Any]:
        """The message of a result; what it can't hold is added to `later`."""
        texts: list[Text | Media | Foreign] = []
        for part in result.parts:
            if type(part) is Media and not self.own and _text(part) is None:
                later.append(part)
                self.lose(part, "it follows in a message of the user, since a result is text", "order")
            else:
                texts.append(part)
        content = whole(self._blocks(texts, "tool"), texts, self.own)
        if result.is_error and not self.own:
            content = _mark(content)
            self.lose(result, "is_error: told by the text alone")
        out: dict[str, Any] = {"role": "tool", "tool_call_id": call_id(self, result) or None, "content": content}
        if self.own:
            out |= {"name": result.name or None} | result.noise | result.extra
        return said(out)

    def _blocks(self, parts: Iterable[Part], role: str) -> list[dict[str, Any]]:
        """The blocks of parts that have a place in a content."""
        blocks: list[dict[str, Any]] = []
        for part in parts:
            if type(part) is Text:
                blocks.append(self._said(part))
            elif type(part) is Media:
                text = None if self.own or role not in ("user", "tool") else _text(part)
                if text is not None:
                    self.lose(part, "document: text here, as a file must be a PDF")
                    blocks.append({"type": "text", "text": text} | self._cache(part))
                elif self.own or role == "user":
                    blocks.append(self._media(part))
                else:
                    self.drop(part, f"a message of role {role} is text")
            elif type(part) is Foreign and self.own:
                blocks.append(part.payload)
            else:
                self.drop(part, f"there is no {part.kind if type(part) is Foreign else 'such part'} here")
        return blocks

    def _said(self, part: Text) -> dict[str, Any]:
        if part.refusal and self.own:
            return self._with_own({"type": "refusal", "refusal": part.text}, part)
        block = {"type": "text", "text": part.text}
        if part.cache is not None:
            block |= self._cache(part)
        return self._with_own(block, part)

    def _with_own(self, block: dict[str, Any], piece: Piece) -> dict[str, Any]:
        """With the piece's own fields, if they are this dialect's."""
        if not self.own:
            return block
        noise = {name: value for name, value in piece.noise.items() if name != "form"}
        return said(spread(spread(block, piece.extra), noise))

    def _cache(self, part: Text | Media) -> dict[str, Any]:
        cache = part.cache
        if cache is None or self.own:
            return {}
        if not self.options.cache_breakpoints:
            self.lose(part, "cache: the option cache_breakpoints is off")
            return {}
        ttl = CACHE_TTL.get(cache.ttl or "")
        if ttl != cache.ttl:
            self.lose(part, f"cache: the lifetime {cache.ttl} became {ttl or 'the default'}")
        return {"prompt_cache_breakpoint": {"mode": "explicit"} | ({"ttl": ttl} if ttl else {})}

    # Media

    def _media(self, media: Media) -> dict[str, Any]:
        if self.own and "whole" in media.noise:
            whole: dict[str, Any] = media.noise["whole"]
            return whole
        form = media.noise.get("form") if self.own else None
        if media.kind == "image" and form is None:
            block = self._image(media)
        elif media.kind == "audio" and form is None:
            block = self._recording(media)
        elif media.kind == "video" and form is None:
            raise self.refuse(media, "there is no video here")
        else:
            block = self._file(media)
        return self._with_own(block | self._cache(media), media)

    def _image(self, media: Media) -> dict[str, Any]:
        url = media.url or (_data_url(media.media_type, media.data) if media.data else "")
        if not url:
            raise self.refuse(media, _elsewhere(media))
        if media.url and media.media_type and not self.own:
            self.lose(media, "media_type: a URL has none")
        detail = media.detail
        if detail and detail not in DETAILS and not self.own:
            self.lose(media, f"detail: there is no {detail}")
            detail = ""
        if media.name and not self.own:
            self.lose(media, "name: images have none")
        return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}

    def _recording(self, media: Media) -> dict[str, Any]:
        format = AUDIO_TYPES.get(media.media_type)
        if not media.data:
            raise self.refuse(media, _elsewhere(media))
        if format is None:
            raise self.refuse(media, f"audio is wav or mp3 here, not {media.media_type or 'of an unknown type'}")
        if MEDIA_TYPES[format] != media.media_type:
            self.lose(media, f"media_type: {media.media_type} is {format} here")
        if media.name and not self.own:
            self.lose(media, "name: recordings have none")
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": format}}

    def _file(self, media: Media) -> dict[str, Any]:
        file: dict[str, Any] = {"filename": media.name} if media.name else {}
        if media.text:  # its own
            file["file_data"] = _data_url(media.media_type or "text/plain", _base64(media.text))
        elif media.data:
            file["file_data"] = (
                _data_url(media.media_type, media.data) if media.media_type or not self.own else media.data
            )
        elif self.own:
            file |= {"file_data": media.url} if media.url else {"file_id": media.file_id}
        else:
            raise self.refuse(media, _elsewhere(media))
        if media.detail and not self.own:
            self.lose(media, f"detail: there is no {media.detail} for a file")
        if not media.name and not self.own:
            file["filename"] = "document.pdf"
            self.lose(media, f"name: {file['filename']}, since one is needed", "default")
        return {"type": "file", "file": file}


def _mark(content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The content of a result that is an error."""
    if isinstance(content, str):
        return f"Error: {content}"
    first, *others = content
    return [first | {"text": f"Error: {first['text']}"}, *others]


def _text(document: Media) -> str | None:
    """A document of plain text, after its title; None if it is another one."""
    text = document.text
    if not text and document.data and document.media_type.startswith("text/"):
        try:
            text = a2b_base64(document.data).decode("utf-8")
        except ValueError:
            return None
    return "\n".join(filter(None, (document.name, text))) if text else None


def _elsewhere(media: Media) -> str:
    """Why media can't be sent whose content is not in the request."""
    if media.url:
        return f"the {media.kind} is at a URL; send its content"
    return f"the {media.kind} is with another provider; send its content" if media.file_id else "its content is missing"


def _data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def _base64(text: str) -> str:
    return b2a_base64(text.encode("utf-8", "surrogatepass"), newline=False).decode("ascii")
