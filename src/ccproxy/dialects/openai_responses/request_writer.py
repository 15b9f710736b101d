"""Requests of the Responses API, as written."""

from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby
from typing import Any, ClassVar, Final

import msgspec

from ccproxy.core.fields import Fields
from ccproxy.core.model import Call, Foreign, Media, Part, Piece, Result, Text, Thought, Tool, ToolChoice, Turn
from ccproxy.core.parts import digest
from ccproxy.core.request import effort_of, objects
from ccproxy.core.schemas import StrictWriter
from ccproxy.core.spi import RequestOptions

from .maps import (
    AUDIO_READ,
    CHOSEN_ALONE,
    ENCRYPTED,
    HOSTED_WRITE,
    KEEPS,
    LOGPROBS,
    SETTINGS,
    SHOW_WRITE,
    TIER_WRITE,
    TOOL_CHOICE_WRITE,
    TOOLS_ITEM,
)
from .response import SCHEME, is_made_up

_LEAST_OUTPUT: Final = 16
_LONGEST_ID: Final = 64  # of a call, and no item of the input may have a longer one
_LONGEST_USER: Final = 128
_AUDIO: Final[Mapping[str, str]] = {media_type: format for format, media_type in AUDIO_READ.items()}


class Writer(StrictWriter):
    dialect: ClassVar[str] = "openai-responses"
    settings: ClassVar[Mapping[str, str]] = SETTINGS
    keeps: ClassVar[Mapping[str, frozenset[str]]] = KEEPS

    def body(self) -> dict[str, Any]:
        request = self.request
        if (request.choices or 1) > 1:
            raise self.refuse(self.setting("choices"), "there is one answer and no more")
        tools = self._tools() if request.tools else []
        values = {
            "model": self._model(),
            "stream": request.stream if self.options.stream is None else self.options.stream,
            "max_output_tokens": self._max_output(),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_logprobs": request.top_logprobs,
            "reasoning": self._reasoning(),
            "text": self._text(),
            "tools": tools or None,
            "tool_choice": self._tool_choice(tools),
            "parallel_tool_calls": request.parallel,
            "metadata": request.metadata,
            "service_tier": self._tier(),
            "prompt_cache_key": request.cache_key,
            "store": request.store,
            **self._user(),
            **self._input(),
        }
        if not self.own:
            values |= self._stateless()
        said = {key: value for key, value in values.items() if value is not None}
        return {**request.noise, **request.extra, **said} if self.own else said

    def _with(self, piece: Piece, out: dict[str, Any]) -> dict[str, Any]:
        """What is written of a piece, with its own fields if they are this dialect's."""
        return {**out, **piece.noise, **piece.extra} if self.own else out

    # Settings

    def _model(self) -> str | None:
        model = self.options.model or self.request.model
        if not (model or self.own):
            raise self.refuse("model", "is missing: the source has none in its body, so it must be given")
        return model or None

    def _max_output(self) -> int | None:
        limit = self.request.max_output
        if self.own or limit is None or limit >= _LEAST_OUTPUT:
            return limit
        self.lose(self.setting("max_output"), f"max_output: {limit} became {_LEAST_OUTPUT}, the least", "repair")
        return _LEAST_OUTPUT

    def _reasoning(self) -> dict[str, Any] | None:
        thinking = self.request.thinking
        if thinking is None:
            return None
        effort: str | None = "none" if thinking.mode == "off" else thinking.effort
        if thinking.mode != "off" and thinking.budget is not None:
            effort = effort or effort_of(thinking.budget)
            self.lose(thinking, f"budget: {thinking.budget} tokens became the effort {effort}")
        if not self.own and (thinking.mode == "auto" or (thinking.mode == "on" and effort is None)):
            made_up, effort = effort is None, effort or "medium"
            self.lose(thinking, f"mode: {thinking.mode} became the effort {effort}", "default" if made_up else "field")
        show = thinking.show and SHOW_WRITE.get(thinking.show)
        if thinking.show == "full":
            self.lose(thinking, f"show: full became {show}")
        said = {"effort": effort, "summary": show}
        return self._with(thinking, {key: value for key, value in said.items() if value}) or ({} if self.own else None)

    def _text(self) -> dict[str, Any] | None:
        """The `text` object, which holds the format and the verbosity."""
        form, out = self.request.format, dict(self.request.extra.get("text", {})) if self.own else {}
        if self.request.verbosity is not None:
            out["verbosity"] = self.request.verbosity
        if form is not None and form.kind == "schema":
            strict = self.strict(form)
            said = {"name": form.name, "description": form.description, "schema": form.schema, "strict": strict}
            if not form.name and not self.own:
                said["name"] = "response"
                self.lose(form, "name: response, as there must be one", "default")
            given = {key: value for key, value in said.items() if value is not None and value != ""}
            out["format"] = self._with(form, {"type": "json_schema", **given})
        elif form is not None:
            out["format"] = self._with(form, {"type": "json_object" if form.kind == "json" else "text"})
        return out or None

    def _tier(self) -> str | None:
        tier = self.request.tier
        if self.own or tier is None:
            return tier
        word = TIER_WRITE.get(tier)
        if word != tier:
            self.lose(self.setting("tier"), f"tier: {tier} became {word}" if word else f"tier: there is no {tier}")
        return word

    def _user(self) -> dict[str, Any]:
        user = self.request.user
        if user is None:
            return {}
        if self.own:
            return {self.setting("user"): user}
        if len(user) > _LONGEST_USER:
            self.lose(self.setting("user"), f"user: longer than {_LONGEST_USER} characters")
            return {}
        return {"safety_identifier": user}

    def _stateless(self) -> dict[str, Any]:
        """Nothing is kept by the provider that the source's client did not ask it to keep."""
        out: dict[str, Any] = {}
        include = [LOGPROBS] if self.request.logprobs else []
        if self.request.store is None:
            out["store"] = False
            self.lose("store", "store: false, as the source keeps nothing by itself", "default")
        thinking = self.request.thinking
        if thinking is not None and thinking.mode != "off":
            include.append(ENCRYPTED)
            self.lose("include", f"include: {ENCRYPTED}, as reasoning comes back with the history", "default")
        return out | ({"include": include} if include else {})

    # Input

    def _input(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        turns = self.request.turns
        for position, turn in enumerate(turns):
            text: str | None = None
            if self.own and turn.path in ("instructions", "input"):
                out[turn.path] = self._string(turn.parts)
                continue
            if not self.own and position == 0 and len(turns) > 1 and turn.role == "system":
                text = self._string(turn.parts)
            if text:
                out["instructions"] = text
            else:
                out.setdefault("input", []).extend(self._items(turn))
        if not (self.own or out.get("input")):
            raise self.refuse(self.last, "nothing is left that can be sent")
        return out

    def _items(self, turn: Turn) -> Iterator[dict[str, Any]]:
        """The input items of a turn. A turn that was read here is one item."""
        if turn.noise.get("type") == TOOLS_ITEM:
            yield turn.noise
        elif not turn.parts and self.own:
            yield self._with(turn, {"role": turn.role, "content": []})
        for place, parts in self._runs(turn):
            item: dict[str, Any] | None = None
            if place == "message":
                item = self._message(turn, parts)
            elif isinstance(parts[0], Thought):
                thoughts = [part for part in parts if isinstance(part, Thought)]
                if self.own and turn.noise.get("type") != "reasoning":  # remembered, and put into another item's turn
                    item = self._thoughts(Turn(role="assistant", path=parts[0].path), thoughts)
                    if item is not None:
                        yield {"summary": [], **item}
                    continue
                item = self._thoughts(turn, thoughts)
            elif isinstance(parts[0], Call):
                item = self._call(parts[0])
            elif isinstance(parts[0], Result):
                item = self._result(parts[0])
            elif isinstance(parts[0], Foreign):
                if self.own:
                    yield parts[0].payload
                else:
                    self.drop(parts[0], f"{parts[0].kind} of another provider")
            if item is not None:
                yield self._with(turn, item)

    def _runs(self, turn: Turn) -> list[tuple[str | int, list[Part]]]:
        """The parts that share an item, and their place."""
        runs: list[tuple[str | int, list[Part]]] = []
        for part in turn.parts:
            place = self._place(part, turn)
            if runs and runs[-1][0] == place:
                runs[-1][1].append(part)
            else:
                runs.append((place, [part]))
        return runs

    def _place(self, part: Part, turn: Turn) -> str | int:
        """What tells items apart: neighbours of one place share an item."""
        if type(part) is Text or type(part) is Media:
            return "message"
        if type(part) is Foreign and self.own and part.path != turn.path:
            return "message"
        return (part.group if type(part) is Thought else "") or id(part)

    def _message(self, turn: Turn, parts: list[Part]) -> dict[str, Any] | None:
        if turn.role == "assistant" and not self.own:
            for part in parts:
                if type(part) is Media:
                    self.drop(part, f"{part.kind} of the assistant")
            parts = [part for part in parts if type(part) is not Media]
            if not parts:
                return None
        text = self._string(parts)
        content = [self._part(part, turn) for part in parts] if text is None else text
        message = {"role": turn.role, "content": content}
        return message if self.own else {"type": "message", **message}

    def _string(self, parts: Sequence[Part]) -> str | None:
        """The text of parts that are written as a string: as it was, or if they are one text and nothing else."""
        if len(parts) != 1:
            return None
        part = parts[0]
        if type(part) is not Text:
            return None
        if self.own:
            return None if part.path.endswith("]") else part.text
        if part.refusal or (part.cache is not None and self.options.cache_breakpoints):
            return None
        if part.cache is not None:
            self._cache(part)  # which reports a hint that is not wanted
        return part.text

    def _part(self, part: Part, turn: Turn | None = None) -> dict[str, Any]:
        """A content part; outside a turn, one of a tool's result."""
        if isinstance(part, Text):
            return self._with(part, self._words(part, turn))
        if isinstance(part, Media):
            return self._with(part, {**self._media(part), **self._cache(part)})
        assert isinstance(part, Foreign)
        return part.payload

    def _words(self, part: Text, turn: Turn | None) -> dict[str, Any]:
        if part.refusal:
            return {"type": "refusal", "refusal": part.text}
        if turn is None or turn.role != "assistant":
            return {"type": "input_text", "text": part.text, **self._cache(part)}
        if self.own:
            return {"type": "output_text", "text": part.text, **self._cache(part)}
        if part.cache is not None:
            self.lose(part, "cache: there is no place for it in an answer")
        return {"type": "output_text", "text": part.text, "annotations": []}

    def _cache(self, part: Text | Media) -> dict[str, Any]:
        if part.cache is None:
            return {}
        point: dict[str, Any] = {"mode": "explicit"}
        if self.own and part.cache.ttl is not None:
            point["ttl"] = part.cache.ttl
        if not self.own and not self.options.cache_breakpoints:
            self.lose(part, "cache: the option cache_breakpoints is off")
            return {}
        if not self.own and part.cache.ttl is not None:
            self.lose(part, f"cache: a lifetime of {part.cache.ttl} became the default")
        return {"prompt_cache_breakpoint": point}

    def _media(self, part: Media) -> dict[str, Any]:
        if not self.own:
            self._check(part)
        if part.kind == "audio":
            format = _AUDIO.get(part.media_type, part.media_type.removeprefix("audio/"))
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": format}}
        image = part.kind == "image"
        out: dict[str, Any] = {
            "type": "input_image" if image else "input_file",
            "image_url" if image else "file_url": part.url,
            "file_id": part.file_id,
            "detail": part.detail,
        }
        if image and part.data:
            out["image_url"] = f"data:{part.media_type};base64,{part.data}"
        elif not image:
            out |= {"file_data": _file_data(part), "filename": self._filename(part)}
        return {key: value for key, value in out.items() if value}

    def _check(self, part: Media) -> None:
        """Refuse what nobody could read there."""
        if part.kind == "audio" or part.kind == "video":
            raise self.refuse(part, f"the Responses API takes no {part.kind}")
        if part.file_id:
            raise self.refuse(part, "the file is with another provider: send its content")
        if not (part.data or part.url or (part.text and part.kind != "image")):
            raise self.refuse(part, "there is no content")
        if part.url and not part.url.startswith(("https://", "http://")):
            raise self.refuse(part, f"only its own provider can read {part.url[:40]}")
        if part.kind == "image" and part.name:
            self.lose(part, "name: images have none")
        if part.url and part.media_type:
            self.lose(part, "media_type: what an address leads to is found out there")

    def _filename(self, part: Media) -> str:
        if part.name or part.url or self.own:
            return part.name
        ending = {"application/pdf": ".pdf", "text/plain": ".txt"}.get(part.media_type or "text/plain", "")
        self.lose(part, f"name: document{ending}, as content must have one", "default")
        return f"document{ending}"

    def _thoughts(self, turn: Turn, thoughts: list[Thought]) -> dict[str, Any] | None:
        """A reasoning item, if its encrypted content is this provider's; as it was if it was read here without any."""
        signed = next((thought for thought in reversed(thoughts) if thought.signature is not None), None)
        signature = None if signed is None else self.readable(signed, SCHEME)
        made_up = self.own and is_made_up(str(turn.noise.get("id", "")))
        if signature is None and (signed is not None or not self.own or made_up):
            for thought in thoughts:
                self.drop(thought, "reasoning of another provider or model")
            return None
        item: dict[str, Any] = {"type": "reasoning"}
        if made_up:  # OpenAI checks encrypted content against the id, if there is one: maximhq/bifrost#5186
            self.lose(turn, "id: it was made up for the client", "repair")
            turn.noise = {name: value for name, value in turn.noise.items() if name != "id"}
        if not self.own:
            item["summary"] = []
        for thought in thoughts:
            summary = thought.channel == "summary" or not self.own
            if thought.text and summary and thought.channel == "full":
                self.lose(thought, "channel: the text is told as a summary")
            if thought.text or (self.own and thought.path != turn.path):
                part = {"type": "summary_text" if summary else "reasoning_text", "text": thought.text}
                item.setdefault("summary" if summary else "content", []).append(self._with(thought, part))
        if signature is not None:
            item["encrypted_content"] = signature.value
        return item

    def _call(self, call: Call) -> dict[str, Any]:
        item: dict[str, Any] = {"call_id": self._call_id(call)}
        if self.own:
            item |= {"name": call.name, **({"namespace": call.namespace} if call.namespace else {})}
        else:
            item["name"] = self.names.flat(call.namespace, call.name)
        if call.custom:
            return {"type": "custom_tool_call", **item, "input": call.arguments}
        return {"type": "function_call", **item, "arguments": call.arguments}

    def _result(self, result: Result) -> dict[str, Any]:
        parts: list[Part] = []
        for part in result.parts:
            if isinstance(part, Foreign) and not self.own:
                self.drop(part, f"{part.kind} of another provider")
            else:
                parts.append(part)
        if result.is_error:
            self.lose(result, "is_error: said in the text")
            texts = [position for position, part in enumerate(parts) if isinstance(part, Text)]
            position = texts[0] if texts else 0
            first = parts.pop(position) if texts else Text(text="", path=result.path)
            assert isinstance(first, Text)
            parts.insert(position, msgspec.structs.replace(first, text=f"Error: {first.text}"))
        text = self._string(parts)
        content = [self._part(part) for part in parts] if text is None else text
        item = {
            "type": "custom_tool_call_output" if result.custom else "function_call_output",
            "call_id": self._call_id(result),
            "name": result.name if self.own else "",
            "output": content or ([] if self.own and text is None else ""),
        }
        return {key: value for key, value in item.items() if value or key == "output"}

    def _call_id(self, part: Call | Result) -> str:
        if self.own or len(part.id) <= _LONGEST_ID:
            return part.id
        short = f"call_{digest(part.id)}"
        self.lose(part, f"id: longer than {_LONGEST_ID} characters, became {short}", "repair")
        return short

    # Tools

    def _tools(self) -> list[dict[str, Any]]:
        if not self.own:
            return [item for item in map(self._tool, self.request.tools) if item is not None]
        out: list[dict[str, Any]] = []
        given = [tool for tool in self.request.tools if not tool.path.startswith("input[")]
        for _, run in groupby(given, lambda tool: tool.path.rpartition(".tools[")[0] or id(tool)):
            tools = list(run)
            written = [item for item in map(self._tool, tools) if item is not None]
            namespace = tools[0].namespace
            if namespace:
                own = {key.removeprefix("namespace."): value for key, value in _of_namespace(tools[0], True).items()}
                out.append({"type": "namespace", "name": namespace, "tools": written, **own})
            else:
                out += written
        return out

    def _tool(self, tool: Tool) -> dict[str, Any] | None:
        if self.own:
            return {**self._function(tool), **tool.noise, **_of_namespace(tool, False)}
        if tool.kind != "hosted":
            return self._function(tool)
        known = HOSTED_WRITE.get(tool.hosted)
        if known is None:
            self.drop(tool, f"{tool.name}: a tool that its provider runs")
            return None
        return deepcopy(dict(known))

    def _function(self, tool: Tool) -> dict[str, Any]:
        if tool.kind == "hosted":
            return {"type": tool.name}
        out: dict[str, Any] = {"type": tool.kind}
        out["name"] = tool.name if self.own else self.names.flat(tool.namespace, tool.name)
        if tool.description:
            out["description"] = tool.description
        if tool.kind == "custom":
            return out | ({"format": {"type": "grammar", **msgspec.to_builtins(tool.grammar)}} if tool.grammar else {})
        if tool.schema is not None or not self.own:
            out["parameters"] = tool.schema
        if tool.strict is not None or not self.own:
            out["strict"] = self.strict(tool) is True  # its default, unlike elsewhere: arguments could not be optional
        if tool.strict is None and not self.own:
            self.lose("tools", "strict: false, which is the default elsewhere", "default")
        return out

    def _tool_choice(self, tools: list[dict[str, Any]]) -> str | dict[str, Any] | None:
        choice = self.request.tool_choice
        if choice is None:
            return None
        if self.own:
            return choice.noise or TOOL_CHOICE_WRITE[choice.mode]
        if not tools:
            if choice.mode != "auto":
                self.lose(choice, f"mode: {choice.mode}, but there are no tools")
            return None
        return self._chosen(choice, tools) or TOOL_CHOICE_WRITE[choice.mode if not choice.names else "auto"]

    def _chosen(self, choice: ToolChoice, tools: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The choice of certain tools; None if there is none of them."""
        flat = {self.names.flat(*name) for name in choice.names}
        hosted = {name for _, name in choice.names}
        types = {
            str(HOSTED_WRITE[tool.hosted]["type"])
            for tool in self.request.tools
            if tool.hosted in HOSTED_WRITE and not hosted.isdisjoint((tool.name, tool.hosted))
        }
        chosen: list[dict[str, Any]] = [
            {"type": tool["type"], **({"name": tool["name"]} if "name" in tool else {})}
            for tool in tools
            if (tool["name"] in flat if "name" in tool else tool["type"] in types)
        ]
        if len(chosen) < len(choice.names):
            self.lose(choice, "names: not all of these tools are there")
        if len(chosen) == 1 and choice.mode == "any" and chosen[0]["type"] in CHOSEN_ALONE:
            return chosen[0]
        mode = TOOL_CHOICE_WRITE[choice.mode]
        return {"type": "allowed_tools", "mode": mode, "tools": chosen} if chosen else None


def has_foreign(body: Mapping[str, Any], _options: RequestOptions) -> bool:
    """Whether there is reasoning in the history with an id that was made up for a client.

    Items with an id of the server's own are left to the server, also where nothing but a summary is left of them: it
    may have them stored, and those that store nothing (DeepSeek, llama.cpp) take the text.
    """
    items = map(Fields, objects(body.get("input")))
    return any(item.word("type") == "reasoning" and is_made_up(item.word("id")) for item in items)


def _file_data(part: Media) -> str:
    if part.text:
        content = b2a_base64(part.text.encode("utf-8", "surrogatepass"), newline=False).decode("ascii")
        return f"data:{part.media_type or 'text/plain'};base64,{content}"
    return f"data:{part.media_type};base64,{part.data}" if part.media_type else part.data


def _of_namespace(tool: Tool, wanted: bool) -> dict[str, Any]:
    """The tool's own fields that its namespace has, or those that it has itself."""
    return {key: value for key, value in tool.extra.items() if key.startswith("namespace.") == wanted}
