"""Neutral requests to those of the Messages API.

A request of this dialect is written as it was read. One of another is first made what the API accepts: what it refuses
depends on the model, and `maps` has the names.
"""

from binascii import a2b_base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from ccproxy.core.fields import Fields
from ccproxy.core.model import (
    Cache,
    Call,
    Foreign,
    Media,
    Part,
    Piece,
    Result,
    Text,
    Thought,
    Tool,
    ToolChoice,
    Turn,
)
from ccproxy.core.parts import carry_id
from ccproxy.core.request import input_schema, objects, plain
from ccproxy.core.spi import RequestOptions
from ccproxy.wire.json import JSONError, loads

from .maps import (
    BREAKPOINTS,
    HOSTED_WRITE,
    IMAGE_TYPES,
    KEEPS,
    NO_SYSTEM_MODELS,
    PREFILL_MODELS,
    SETTINGS,
    TOOL_DATE,
    UNSIGNED_MODELS,
)
from .request_settings import SettingsWriter
from .response import SCHEME
from .schema import without_choices

_SYSTEM: Final = ("system", "developer")
_TEXT: Final = frozenset({"type", "text"})
"""What a block has that is plain text and nothing else."""


class Writer(SettingsWriter):
    settings: ClassVar[Mapping[str, str]] = {**SETTINGS, "choices": "", "include_usage": ""}
    """Several choices are refused, and the usage always comes."""
    keeps: ClassVar[Mapping[str, frozenset[str]]] = KEEPS

    def body(self) -> dict[str, Any]:
        request = self.request
        if (request.choices or 1) > 1:
            raise self.refuse(self.setting("choices"), f"{request.choices} answers to one request; there is but one")
        system, turns = self._split()
        if not self.own:
            self._limit_breakpoints(system)
            turns = self._trimmed(self._placed(turns))
        out: dict[str, Any] = {}
        if self.model and (not self.own or "model" in request.paths):
            out["model"] = self.model
        if request.max_output is not None:
            out["max_tokens"] = request.max_output
        elif not self.own:
            out["max_tokens"] = self.limit()
            self.lose("max_tokens", f"max_tokens: it must be there; {out['max_tokens']}", "default")
        blocks = [block for turn in system for block in self._blocks(self._parts(turn))]
        if blocks or (self.own and "system" in request.paths):
            out["system"] = self._content([part for turn in system for part in turn.parts], blocks)
        out["messages"] = self._messages(turns)
        if out["messages"][-1]["role"] == "assistant" and not self.own:
            self._goes_on()
        if self.own or request.tools or request.tool_choice is not None or request.parallel is not None:
            self._tools(out)
        if self.own:
            self.thinking_as_read(out)
            out.update(self.sampling_as_read())
        else:
            thinks = self.thinking(out)
            out.update(self.sampling(thinks))
        self.write_settings(out)
        for name, value in self.extra(request).items():
            out[name] = {**value, **out[name]} if isinstance(value, dict) and name in out else value
        return out

    # Tools

    def _tools(self, out: dict[str, Any]) -> None:
        request = self.request
        choice = request.tool_choice
        only: set[tuple[str, str]] = set()
        if choice is not None and not self.own and (choice.mode == "auto" or len(choice.names) > 1):
            only = set(choice.names)
        tools: list[dict[str, Any]] = []
        written: dict[tuple[str, str], str] = {}
        for tool in request.tools:
            if only and (tool.namespace, tool.name) not in only:
                self.drop(tool, "the choice of tools is without it")
                continue
            whole = self._tool(tool)
            if whole is not None:
                tools.append(whole)
                written[tool.namespace, tool.name] = whole.get("name", "")
        if tools or (self.own and "tools" in request.paths):
            out["tools"] = tools
        if self.own:
            written = {("", name): name for _, name in choice.names} if choice is not None else {}
        if tools or self.own:
            whole = self._choice(choice, written, bool(only))
            if whole:
                out["tool_choice"] = whole
            return
        if choice is not None:
            self.lose(choice, "tool_choice: there are no tools")
        if request.parallel is False:
            self.lose(self.setting("parallel"), "parallel: there are no tools")

    def _choice(self, choice: ToolChoice | None, written: Mapping[tuple[str, str], str], only: bool) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        if choice is not None:
            whole = {"type": choice.mode, **self.extra(choice)}
            if only:
                self.lose(choice, "names: the other tools are left out")
            elif choice.names and choice.names[0] not in written:
                self.lose(choice, "names: the tool is left out, so that none must be called")
                whole = {"type": "auto"}
            elif choice.names:
                whole |= {"type": "tool", "name": written[choice.names[0]]}
        parallel = self.request.parallel
        if parallel is not None and (self.own or whole.get("type") != "none"):
            whole = {"type": "auto", **whole, "disable_parallel_tool_use": not parallel}
        elif parallel is not None:
            self.lose(self.setting("parallel"), "parallel: no tool may be called")
        self.forced = whole.get("type") in ("any", "tool")
        return whole

    def _tool(self, tool: Tool) -> dict[str, Any] | None:
        paths = self.request.paths
        hint = self._cache(tool, tool.cache)
        if tool.kind == "hosted":
            if self.own:
                name = {"name": TOOL_DATE.sub("", tool.name)} if f"{tool.path}.name" in paths else {}
                return {"type": tool.name, **name, **hint, **tool.extra}
            if tool.hosted in HOSTED_WRITE:
                return {"type": HOSTED_WRITE[tool.hosted], "name": tool.hosted, **hint}
            self.drop(tool, f"{tool.name}: there is no such tool")
            return None
        whole: dict[str, Any] = {"name": self._name(tool.namespace, tool.name)}
        if self.own and f"{tool.path}.type" in paths:
            whole["type"] = "custom"
        if tool.description or (self.own and f"{tool.path}.description" in paths):
            whole["description"] = tool.description
        whole["input_schema"] = schema = self._schema(tool)
        if self.own and tool.strict is not None:
            whole["strict"] = tool.strict
        elif tool.strict:
            strict = self.bound(tool, schema)
            whole |= {"input_schema": strict, "strict": True} if strict is not None else {}
        return {**whole, **hint, **self.extra(tool)}

    def _schema(self, tool: Tool) -> dict[str, Any]:
        if tool.kind == "custom":
            self.lose(tool, "custom: a function whose only argument is the input", "custom_tool")
            return input_schema()
        if self.own:
            return tool.schema or {}
        schema, choices = without_choices(tool.schema or {"properties": {}})
        for key in choices:
            self.lose(tool, f"schema: {key} at the top; what it holds is told as one", "repair")
        if schema.get("type") == "object":
            return schema
        whole: dict[str, Any] = {**schema, "type": "object"}
        self.lose(tool, "schema: it must have the type object", "default")
        return whole

    def _name(self, namespace: str, name: str) -> str:
        return name if self.own else self.names.flat(namespace, name)

    # Turns

    def _split(self) -> tuple[list[Turn], list[Turn]]:
        """The turns of the field `system`, and those that are messages."""
        turns = self.request.turns
        if self.own:
            lead = sum(turn.path == "system" for turn in turns)
            return turns[:lead], turns[lead:]
        lead = 0
        while lead < len(turns) and turns[lead].role in _SYSTEM:
            lead += 1
        return turns[:lead], turns[lead:]

    def _placed(self, turns: Sequence[Turn]) -> list[Turn]:
        """System messages where they may stand: behind the user's, before the assistant's or at the end."""
        placed: list[Turn] = []
        waiting: list[Turn] = []
        for turn in turns:
            if turn.role in _SYSTEM:
                if NO_SYSTEM_MODELS.search(self.model):
                    placed.append(self._as_user(turn, "the model takes no system message here"))
                else:
                    waiting.append(turn)
                continue
            if waiting and turn.role == "assistant":
                self._release(waiting, placed)
            for system in waiting:
                self.lose_each(system, "role: a system message stands behind the user's", "order")
            placed.append(turn)
        self._release(waiting, placed)
        return placed

    def _release(self, waiting: list[Turn], placed: list[Turn]) -> None:
        for turn in waiting:
            if placed and placed[-1].role in ("user", *_SYSTEM):
                placed.append(turn)
            else:
                placed.append(self._as_user(turn, "a system message must stand behind the user's"))
        waiting.clear()

    def _as_user(self, turn: Turn, why: str) -> Turn:
        self.lose_each(turn, f"role: {why}; it is the user's", "repair")
        return replace(turn, role="user")

    def _trimmed(self, turns: list[Turn]) -> list[Turn]:
        """The beginning of the answer, if it is there, must not end with white space."""
        if turns and turns[-1].role == "assistant" and turns[-1].parts:
            last = turns[-1].parts[-1]
            if isinstance(last, Text) and last.text.strip() and last.text != last.text.rstrip():
                self.lose(last, "text: white space at the end of the last message is refused", "repair")
                parts: list[Part] = [*turns[-1].parts[:-1], replace(last, text=last.text.rstrip())]
                turns[-1] = replace(turns[-1], parts=parts)
        return turns

    def _messages(self, turns: Sequence[Turn]) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        before: list[Any] = []
        for turn in turns:
            role = "system" if turn.role in _SYSTEM else turn.role
            blocks = self._blocks(self._parts(turn))
            if not blocks and (turn.parts or not self.own):
                continue  # all of it was dropped
            if not self.own and messages and messages[-1]["role"] == role:
                before += blocks
                messages[-1]["content"] = self._content([], before)
                continue
            before = blocks
            messages.append({"role": role, "content": self._content(turn.parts, blocks), **self.extra(turn)})
        if not messages:
            raise self.refuse(self.last, "there is no message")
        return messages

    def _goes_on(self) -> None:
        """Say that the answer goes on from the last message."""
        if not PREFILL_MODELS.search(self.model):
            raise self.refuse(self.last, "the model does not go on from the assistant's last message")
        if not self.request.prefill:
            self.lose(self.last, "prefill: the answer goes on from the assistant's last message", "default")

    def _content(self, parts: Sequence[Part], blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        """A single text as a string: of this dialect if it was one, of another if it is nothing but text."""
        single = len(blocks) == 1 and blocks[0].keys() == _TEXT
        if single and (not self.own or not parts[0].path.endswith("]")):
            text: str = blocks[0]["text"]
            return text
        return blocks

    # Parts

    def _parts(self, turn: Turn) -> list[Part]:
        """What a turn may hold: a system message has text alone."""
        if self.own or turn.role not in _SYSTEM:
            return turn.parts
        for part in turn.parts:
            if not isinstance(part, Text):
                self.drop(part, "a system message holds text alone")
        return [part for part in turn.parts if isinstance(part, Text)]

    def _blocks(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for together in _grouped(parts):
            block = self._thoughts(together) if isinstance(together, list) else self._block(together)
            if block is not None:
                blocks.append(block)
        return blocks

    def _block(self, part: Part) -> dict[str, Any] | None:
        if type(part) is Text:
            return self._text(part)
        if type(part) is Call:
            whole = {
                "type": "tool_use",
                "id": carry_id(part.id),
                "name": self._name(part.namespace, part.name),
                "input": self._input(part),
            }
            return self._with_own(whole, part)
        if type(part) is Result:
            return self._result(part)
        if type(part) is Thought:
            return self._thoughts([part])
        if type(part) is Media:
            return self._media(part)
        if self.own:
            return part.payload
        self.drop(part, f"{part.kind}: only {self.request.source} knows it")
        return None

    def _with_own(self, whole: dict[str, Any], part: Text | Call) -> dict[str, Any]:
        """With its caching hint, and its own fields if they are this dialect's."""
        if part.cache is not None:
            whole["cache_control"] = self.hint(part.cache, part.path)
        return {**whole, **part.extra} if self.own else whole

    def _text(self, text: Text) -> dict[str, Any] | None:
        if not self.own and not text.text.strip():
            self.lose(text, "text: it is empty, which is refused", "part" if text.text else "repair")
            return None
        if text.refusal:
            self.lose(text, "refusal: written as text", "refusal")
        return self._with_own({"type": "text", "text": text.text}, text)

    def _thoughts(self, thoughts: Sequence[Thought]) -> dict[str, Any] | None:
        """One block of reasoning; the last thought of a group has its signature."""
        last = thoughts[-1]
        signature = self.readable(last, SCHEME)
        says = self.own or any(thought.text for thought in thoughts)
        if signature is None and not (says and last.signature is None and keeps_unsigned(self.options, self.model)):
            for thought in thoughts:
                self.drop(thought, _unreadable(last))
            self.dropped = True
            return None
        if signature is not None and signature.redacted:
            return {"type": "redacted_thinking", "data": signature.value, **self.extra(last)}
        for thought in thoughts[1:]:
            self.lose(thought, "text: one block with what is before it", "boundary")
        if not self.own and last.channel != "full":
            self.lose(last, "channel: a summary is not told apart")
        text = "\n\n".join(thought.text for thought in thoughts)
        whole = {"type": "thinking", "thinking": text, "signature": signature.value if signature is not None else ""}
        if self.own and signature is None and f"{last.path}.signature" not in self.request.paths:
            del whole["signature"]
        return {**whole, **self.extra(last)}

    def _input(self, call: Call) -> dict[str, Any]:
        if call.custom:
            self.lose(call, "custom: the input is the argument `input`", "custom_tool")
            return {"input": call.arguments}
        if not call.arguments.strip():
            return {}
        try:
            value = loads(call.arguments.encode("utf-8", "surrogatepass"))
        except JSONError:
            value = None
        if isinstance(value, dict):
            return value
        self.lose(call, "arguments: they are no JSON object", "repair")
        return {"_raw": call.arguments}

    def _result(self, result: Result) -> dict[str, Any]:
        whole: dict[str, Any] = {"type": "tool_result", "tool_use_id": carry_id(result.id)}
        text = plain(result.parts)
        if text is not None and not self.own:
            whole["content"] = text
        elif result.parts:
            blocks = self._blocks(result.parts)
            if blocks:
                whole["content"] = self._content(result.parts, blocks)
        if result.is_error is not None:
            whole["is_error"] = result.is_error
        return {**whole, **self.extra(result), **self._cache(result, result.cache)}

    def _media(self, media: Media) -> dict[str, Any]:
        document = media.kind != "image"
        if self.own:
            source = media.extra.get("source") or _source(media)
        elif media.file_id:
            raise self.refuse(media, f"the file {media.file_id!r} is with another provider; send its content")
        elif media.kind in ("audio", "video"):
            raise self.refuse(media, f"{self.dialect} takes no {media.kind}")
        else:
            source = self._document(media) if document else self._image(media)
        whole: dict[str, Any] = {"type": "document" if document else "image", "source": source}
        if media.detail:
            self.lose(media, f"detail: {media.detail}")
        if media.url and media.media_type and not self.own:
            self.lose(media, f"media_type: {media.media_type}")
        if media.name and not document:
            self.lose(media, "name: an image has none")
        elif document and (media.name or (self.own and f"{media.path}.title" in self.request.paths)):
            whole["title"] = media.name
        extra = {name: value for name, value in self.extra(media).items() if name != "source"}
        return {**whole, **self._cache(media, media.cache), **extra}

    def _image(self, image: Media) -> dict[str, Any]:
        if image.data:
            if image.media_type == "image/jpg":
                self.lose(image, "media_type: image/jpg becomes image/jpeg", "repair")
                image.media_type = "image/jpeg"
            if image.media_type not in IMAGE_TYPES:
                raise self.refuse(
                    image, f"an image of the type {image.media_type!r}; {', '.join(sorted(IMAGE_TYPES))} are known"
                )
        elif not image.url:
            raise self.refuse(image, "an image without content")
        return _source(image)

    def _document(self, document: Media) -> dict[str, Any]:
        kind = document.media_type.partition(";")[0]
        if document.data and kind.startswith("text/"):
            try:
                document = replace(document, text=a2b_base64(document.data).decode("utf-8"), data="")
            except ValueError:
                raise self.refuse(document, "the text is not UTF-8 in base64") from None
        if document.text:
            if kind not in ("text/plain", ""):
                self.lose(document, f"media_type: {kind} becomes text/plain")
            return _source(replace(document, media_type="text/plain"))
        if document.data and kind != "application/pdf":
            raise self.refuse(document, f"a document of the type {kind!r}; application/pdf and text are known")
        if not document.data and not document.url:
            raise self.refuse(document, "a document without content")
        return _source(replace(document, media_type=kind))

    # Caching

    def _cache(self, piece: Piece, cache: Cache | None) -> dict[str, Any]:
        return {} if cache is None else {"cache_control": self.hint(cache, piece.path)}

    def _limit_breakpoints(self, system: Sequence[Turn]) -> None:
        """Those of tools and system text are kept, and the last ones of the messages."""
        tools = [tool for tool in self.request.tools if tool.cache is not None]
        marked = [*tools, *_marked(self.request.turns)]
        room = BREAKPOINTS - (self.request.cache is not None)
        if len(marked) <= room:
            return
        fixed = len(tools) + len(_marked(system))
        late = max(0, room - fixed)
        kept = [*marked[: min(fixed, room)], *(marked[fixed:][-late:] if late else [])]
        for piece in marked:
            if not any(piece is one for one in kept):
                self.lose(piece, f"cache: a request has no more than {BREAKPOINTS}")
                piece.cache = None


def has_foreign(body: Mapping[str, Any], options: RequestOptions) -> bool:
    """Whether there is reasoning in the history that nobody has signed, for a model that refuses it."""
    return not keeps_unsigned(options, options.model or Fields(body).word("model")) and any(
        block.get("type") == "thinking" and not block.get("signature")
        for message in objects(body.get("messages"))
        for block in objects(message.get("content"))
    )


def keeps_unsigned(options: RequestOptions, model: str) -> bool:
    """Whether the model gets reasoning back that nobody has signed."""
    if options.unsigned_thinking == "auto":
        return UNSIGNED_MODELS.search(model) is not None
    return options.unsigned_thinking == "keep"


def _marked(turns: Iterable[Turn]) -> list[Text | Media | Call | Result]:
    """The parts that are marked for caching."""
    marked: list[Text | Media | Call | Result] = []
    for turn in turns:
        for part in turn.parts:
            if type(part) is Result:
                marked += [one for one in part.parts if type(one) is not Foreign and one.cache is not None]
            if type(part) is not Foreign and type(part) is not Thought and part.cache is not None:
                marked.append(part)
    return marked


def _grouped(parts: Sequence[Part]) -> list[Part | list[Thought]]:
    """The parts, with neighbouring thoughts of one group together."""
    grouped: list[Part | list[Thought]] = []
    for part in parts:
        if type(part) is Thought and part.group:
            before = grouped[-1] if grouped else None
            if isinstance(before, list) and before[0].group == part.group:
                before.append(part)
            else:
                grouped.append([part])
        else:
            grouped.append(part)
    return grouped


def _source(media: Media) -> dict[str, Any]:
    if media.url:
        return {"type": "url", "url": media.url}
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.text:
        return {"type": "text", "media_type": media.media_type, "data": media.text}
    return {"type": "base64", "media_type": media.media_type, "data": media.data}


def _unreadable(thought: Thought) -> str:
    signature = thought.signature
    if signature is None:
        return "reasoning without a signature is refused"
    if signature.scheme != SCHEME:
        return f"reasoning that only {signature.scheme or 'another provider'} can check"
    return f"reasoning of another model, {signature.model}"
