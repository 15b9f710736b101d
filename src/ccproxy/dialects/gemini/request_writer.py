"""Writing generateContent requests."""

from binascii import b2a_base64
from collections.abc import Iterable
from typing import Any, Final

from ccproxy.core.losses import Losses
from ccproxy.core.model import Call, Foreign, Media, Part, Piece, Request, Result, Text, Thinking, Thought, Tool, Turn
from ccproxy.core.request import EFFORT_BUDGET, RequestWriter, effort_of, input_schema
from ccproxy.core.spi import RequestOptions
from ccproxy.wire.json import JSONError, loads

from .maps import (
    BUDGET_MODELS,
    BUDGETS,
    HOSTED_WRITE,
    KEEPS,
    LABEL,
    LEVEL_WRITE,
    MEDIA_TYPES,
    MINIMAL_MODELS,
    MODE_WRITE,
    PLACEHOLDER,
    SETTINGS,
    STOP_LIMIT,
    TIER_READ,
    TIER_WRITE,
    UNTHINKING_MODELS,
)
from .response import SCHEME

_AS_THEY_ARE: Final = tuple(
    (name, SETTINGS[name].rpartition(".")[2])
    for name in (
        *("max_output", "temperature", "top_p", "top_k", "seed", "choices"),
        *("frequency_penalty", "presence_penalty", "logprobs"),
    )
)
_NESTED: Final = frozenset(
    {"generationConfig", "toolConfig", "functionCall", "functionResponse", "inlineData", "fileData"}
)


class Writer(RequestWriter):
    dialect = "gemini"
    settings = SETTINGS
    keeps = KEEPS

    def __init__(self, request: Request, options: RequestOptions, losses: Losses) -> None:
        super().__init__(request, options, losses)
        self.model = (options.model or request.model).rpartition("/")[2].lower()
        self.older = BUDGET_MODELS.match(self.model) is not None
        self.called: dict[str, str] = {}
        """The function's name of each call id."""
        self._provided: list[Tool] = []  # the tools that Google runs
        self._busy = False  # whether there are tools, and the model can't do anything beside

    def body(self) -> dict[str, Any]:
        request = self.request
        system, turns = self._split()
        current = self._current(turns)
        written = [(turn, self._content(turn, number >= current)) for number, turn in enumerate(turns)]
        contents = [content for turn, content in written if "parts" in content or not turn.parts]
        if not contents:
            raise self.refuse(self.last, "nothing is left that Gemini can be sent")
        out: dict[str, Any] = {"contents": contents}
        if system:
            out["systemInstruction"] = system
        tools, functions = self._tools() if request.tools else ([], set[str]())
        if tools:
            out["tools"] = tools
            self._busy = self.older and not self.own
        choice = self._choice(functions)
        if choice:
            out["toolConfig"] = choice
        config = self._config()
        if config:
            out["generationConfig"] = config
        if request.metadata is not None:
            labels = request.metadata if self.own else self._labels(request.metadata)
            if labels or self.own:
                out["labels"] = labels
        self._tier(out)
        if request.store is not None and (self.own or self.options.google == "gemini-api"):
            out["store"] = request.store
        elif request.store:
            self.lose(self.setting("store"), "store: only the Gemini API has it, see the option google")
        out = self.with_own(out, request)
        if "model" in out and self.options.model:
            out["model"] = f"models/{self.options.model}"
        return out

    def with_own(self, out: dict[str, Any], piece: Piece) -> dict[str, Any]:
        """What was built of a piece, with the fields that are Gemini's own."""
        if not self.own:
            return out
        for name, value in {**piece.extra, **piece.noise}.items():
            head, dot, key = name.partition(".")
            if dot and head in _NESTED:
                out.setdefault(head, {})[key] = value
            elif value is None:
                out.pop(name, None)
            elif name not in out or not isinstance(value, dict | list) or value:
                out[name] = value
        return out

    # Turns

    def _split(self) -> tuple[dict[str, Any], list[Turn]]:
        """The instructions that the request begins with, and the turns after them."""
        turns = self.request.turns
        count = 0
        while count < len(turns) and turns[count].role in ("system", "developer"):
            count += 1
        if count and count == len(turns):
            self.lose_each(turns[-1], "instructions alone are no request: the user says the last of them", "repair")
            turns = [*turns[:-1], Turn(role="user", parts=turns[-1].parts, path=turns[-1].path)]
            count -= 1
        if self.own:
            return self._content(turns[0], False) if count else {}, turns[count:]
        parts: list[Part] = []
        for turn in turns[:count]:
            for part in turn.parts:
                if type(part) is Text:
                    parts.append(part)
                else:
                    self.drop(part, "instructions are text alone")
        written = self._parts(Turn(role="system", parts=parts), False) if parts else []
        return {"parts": written} if written else {}, turns[count:]

    def _current(self, turns: list[Turn]) -> int:
        """Where the present exchange begins: after the last turn in which the user says something."""
        for number in range(len(turns) - 1, -1, -1):
            turn = turns[number]
            if turn.role != "assistant" and turn.parts and not any(type(part) is Result for part in turn.parts):
                return number
        return 0

    def _content(self, turn: Turn, current: bool) -> dict[str, Any]:
        out: dict[str, Any] = {"role": "model" if turn.role == "assistant" else "user"}
        if turn.role in ("system", "developer"):
            if self.own:
                del out["role"]
            else:
                self.lose_each(turn, f"role: what the {turn.role} says between other turns is the user's here")
        parts = self._parts(turn, current)
        if parts:
            out["parts"] = parts
        return self.with_own(out, turn)

    def _parts(self, turn: Turn, current: bool) -> list[dict[str, Any]]:
        return Parts(self, turn, current).out

    # Tools

    def _tools(self) -> tuple[list[dict[str, Any]], set[str]]:
        """The tools, and the names of the functions among them."""
        tools = [tool for tool in self.request.tools if tool.kind != "hosted" or self._serves(tool)]
        if self.own:
            return self._own_tools(tools), {tool.name for tool in tools if tool.kind != "hosted"}
        functions = [self._function(tool) for tool in tools if tool.kind != "hosted"]
        out: list[dict[str, Any]] = [{"functionDeclarations": functions}] if functions else []
        self._provided = [tool for tool in tools if tool.kind == "hosted"]
        out += [{kind: {}} for kind in dict.fromkeys(HOSTED_WRITE[tool.hosted] for tool in self._provided)]
        return out, {function["name"] for function in functions}

    def _own_tools(self, tools: Iterable[Tool]) -> list[dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        for tool in tools:
            entry = entries.setdefault(tool.path.partition(".")[0], {})
            if tool.kind == "hosted":
                entry[tool.name] = tool.noise.get(tool.name, tool.extra)
            else:
                entry.setdefault("functionDeclarations", []).append(self._function(tool))
        return list(entries.values())

    def _serves(self, tool: Tool) -> bool:
        """Whether a hosted tool can be asked for; reports it if not."""
        if self.own:
            return True
        choice = self.request.tool_choice
        if not tool.hosted:
            self.drop(tool, f"{tool.name}: Google has no such tool")
        elif self.older and any(other.kind != "hosted" for other in self.request.tools):
            self.drop(tool, f"{tool.name}: the model does not combine it with functions")
        elif self.options.google != "gemini-api" and any(other.kind != "hosted" for other in self.request.tools):
            self.drop(tool, f"{tool.name}: only the Gemini API runs it beside functions, see the option google")
        elif choice is not None and choice.mode == "none":
            self.drop(tool, f"{tool.name}: there is no other way to forbid it")
        else:
            return True
        return False

    def _function(self, tool: Tool) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name(tool.namespace, tool.name)}
        if tool.description:
            out["description"] = tool.description
        schema = tool.schema
        if tool.kind == "custom":
            self.lose(tool, "a custom tool is a function with one argument", "custom_tool")
            schema = input_schema()
        if schema is not None:
            out["parametersJsonSchema"] = schema
        if tool.strict:
            self.lose(tool, "strict: there is no such choice")
        return self.with_own(out, tool)

    def name(self, namespace: str, name: str) -> str:
        return name if self.own else self.names.flat(namespace, name)

    def _choice(self, functions: set[str]) -> dict[str, Any]:
        choice = self.request.tool_choice
        if self.own:
            if choice is None:
                return {}
            calling: dict[str, Any] = {"mode": MODE_WRITE[choice.mode]}
            if choice.names:
                calling["allowedFunctionNames"] = [name for _, name in choice.names]
            return {"functionCallingConfig": self.with_own(calling, choice)}
        out: dict[str, Any] = {}
        if functions and self._provided:
            out["includeServerSideToolInvocations"] = True
            detail = "includeServerSideToolInvocations: needed for functions beside Google's own tools"
            self.lose(self._provided[0], detail, "default")
        if choice is None:
            return out
        names = [self.name(*name) for name in choice.names]
        known = [name for name in names if name in functions]
        if not functions:
            self.lose(choice, f"mode: {choice.mode}: there is no function to choose")
        elif len(known) < len(names):
            missing = [name for name in names if name not in functions]
            self.lose(choice, f"names: only functions can be asked for, not {', '.join(missing)}")
        if not functions or (names and not known):
            return out
        # VALIDATED takes names, and is the one mode beside Google's own tools
        validated = choice.mode == "auto" and (known or out)
        calling = {"mode": "VALIDATED" if validated else MODE_WRITE[choice.mode]}
        if known:
            calling["allowedFunctionNames"] = known
        return out | {"functionCallingConfig": calling}

    # Settings

    def _config(self) -> dict[str, Any]:
        request = self.request
        out: dict[str, Any] = {}
        for name, key in _AS_THEY_ARE:
            value = getattr(request, name)
            if value is not None:
                out[key] = value
        if request.top_logprobs is not None:
            if request.logprobs is None and not self.own:
                out["responseLogprobs"] = True
                self.lose(self.setting("top_logprobs"), "responseLogprobs: logprobs needs it", "default")
            out["logprobs"] = request.top_logprobs
        stop = request.stop
        if stop is not None:
            if len(stop) > STOP_LIMIT and not self.own:
                self.lose(self.setting("stop"), f"stop: {len(stop)} sequences are cut to {STOP_LIMIT}")
                stop = stop[:STOP_LIMIT]
            out["stopSequences"] = stop
        if request.thinking is not None:
            thinking = self._thinking(request.thinking)
            if thinking or self.own:
                out["thinkingConfig"] = self.with_own(thinking, request.thinking)
        return self._format(out)

    def _format(self, out: dict[str, Any]) -> dict[str, Any]:
        format = self.request.format
        if format is None:
            return out
        if self._busy and format.kind != "text":
            self.lose(format, f"{format.kind}: the model does not combine it with tools")
            return out
        out["responseMimeType"] = "text/plain" if format.kind == "text" else "application/json"
        if format.kind == "schema" and format.schema is not None:
            out["responseJsonSchema"] = format.schema
        for name in ("name", "description"):
            if getattr(format, name):
                self.lose(format, f"{name}: there is no place for it")
        if format.kind == "schema" and not format.strict:
            self.lose(format, "strict: a schema is always kept to", "default")
        return self.with_own(out, format)

    def _thinking(self, thinking: Thinking) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if not self.own and UNTHINKING_MODELS.match(self.model):
            self.lose(thinking, "the model does not reason")
            return out
        if thinking.show is not None:
            out["includeThoughts"] = thinking.show != "none"
            if thinking.show not in ("none", "auto"):
                self.lose(thinking, f"show: {thinking.show} is auto here")
        if not self.own:
            out |= self._budget(thinking) if self.older else self._level(thinking)
        return out

    def _level(self, thinking: Thinking) -> dict[str, Any]:
        effort, budget = thinking.effort, thinking.budget
        if thinking.mode == "off":
            said, effort = "off", "minimal"
        elif effort is not None:
            said = effort
            if budget is not None:
                self.lose(thinking, f"budget: {budget}, beside the effort {effort}")
        elif budget is not None:
            said, effort = f"a budget of {budget}", effort_of(budget)
        else:
            if thinking.mode is not None:
                self.lose(thinking, f"mode: {thinking.mode}: the model always reasons as much as it sees fit")
            return {}
        level = LEVEL_WRITE[effort]
        if level == "MINIMAL" and not MINIMAL_MODELS.match(self.model):
            level = "LOW"
        if said != level.lower():
            self.lose(thinking, f"effort: {said} is {level} here")
        return {"thinkingLevel": level}

    def _budget(self, thinking: Thinking) -> dict[str, Any]:
        off, low, high = next(limits for name, limits in BUDGETS.items() if self.model.startswith(name))
        said: str | int
        if thinking.mode == "off":
            said, budget = "off", off
        elif thinking.budget is not None:
            said, budget = thinking.budget, min(max(thinking.budget, low), high)
            if thinking.effort is not None:
                self.lose(thinking, f"effort: {thinking.effort}, beside {budget} tokens")
        elif thinking.effort is not None:
            said, budget = thinking.effort, min(max(EFFORT_BUDGET[thinking.effort], low), high)
        elif thinking.mode is not None:
            if thinking.mode == "on":
                self.lose(thinking, "mode: on is auto here")
            return {"thinkingBudget": -1}
        else:
            return {}
        if said != ("off" if budget == 0 else budget):
            self.lose(thinking, f"budget: {said} is {budget} tokens here")
        return {"thinkingBudget": budget}

    def _labels(self, metadata: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if metadata and self.options.google != "vertex":
            self.lose(self.setting("metadata"), "metadata: only Vertex AI has labels, see the option google")
            return out
        for name, value in metadata.items():
            if isinstance(value, str) and name[:1].isalpha() and LABEL.fullmatch(name) and LABEL.fullmatch(value):
                out[name] = value
            else:
                self.lose(f"{self.setting('metadata')}.{name}", f"{name}: can't be a label")
        return out

    def _tier(self, out: dict[str, Any]) -> None:
        tier = self.request.tier
        if tier is None or (tier == "auto" and not self.own):  # which is as the project has it
            return
        written = TIER_WRITE.get(tier, tier if self.own else "")
        if written:
            out["serviceTier"] = written
        if TIER_READ.get(written, written) != tier and not self.own:
            self.lose(self.setting("tier"), f"tier: {tier} is {written or 'what the project has'} here")


class Parts:
    """The parts of one turn."""

    def __init__(self, writer: Writer, turn: Turn, current: bool) -> None:
        self.writer = writer
        self.own = writer.own
        self.out: list[dict[str, Any]] = []
        self._said: Text | None = None  # what the last part is, if its signature may follow
        self._sign: Thought | None = None  # whose signature is that of the next call
        self._results = 0  # how many there are; of another dialect they come first
        self._asks = current and turn.role == "assistant" and not writer.older
        self._lost = not self.own  # whether a signature may be missing
        for part in turn.parts:
            self._part(part)
        self._unsaid()

    def _part(self, part: Part) -> None:
        said, self._said = self._said, None
        if type(part) is Text:
            self._text(part)
        elif type(part) is Call:
            self._call(part)
        elif type(part) is Result:
            self._result(part)
        elif type(part) is Thought:
            self._thought(part, said)
        elif type(part) is Media:
            self.out.append(self.writer.with_own(self._media(part), part))
        elif self.own:
            self.out.append(part.payload)
        else:
            self.writer.drop(part, f"{part.kind}: only its own provider understands it")

    def _text(self, part: Text) -> None:
        if not part.text and not self.own:
            self.writer.lose(part, "an empty text is left out", "repair")
            return
        if part.refusal:
            self.writer.lose(part, "a refusal is text here", "refusal")
        self.out.append(self.writer.with_own({"text": part.text}, part))
        self._said = part

    # Reasoning

    def _thought(self, part: Thought, said: Text | None) -> None:
        signature = self.writer.readable(part, SCHEME)
        if signature is None and (not self.own or part.signature is not None):
            self._lost = True
            what = "reasoning of another model" if part.signature is not None else "reasoning that nobody signed"
            self.writer.drop(part, what)
            return
        if signature is None or signature.signs == "part" or part.text:
            out: dict[str, Any] = {"thought": True, "text": part.text}
            if signature is not None and signature.signs == "part":
                out["thoughtSignature"] = signature.value
            self.out.append(self.writer.with_own(out, part))
        if signature is None or signature.signs == "part":
            return
        if signature.signs == "call":
            self._unsaid()
            self._sign = part
        elif said is not None and (not self.own or part.path.startswith(f"{said.path}.")):
            self.out[-1]["thoughtSignature"] = signature.value
        else:
            self.out.append(self.writer.with_own({"text": "", "thoughtSignature": signature.value}, part))

    def _unsaid(self) -> None:
        """Report a signature that has found no call."""
        if self._sign is not None:
            self.writer.lose(self._sign, "no call follows", "signature")

    # Tools

    def _call(self, part: Call) -> None:
        name = self.writer.name(part.namespace, part.name)
        self.writer.called[part.id] = name
        call: dict[str, Any] = {"name": name}
        if part.id:
            call["id"] = part.id
        if part.custom:
            call["args"] = {"input": part.arguments}
            self.writer.lose(part, "custom: the input is an argument", "custom_tool")
        elif part.arguments or not self.own:
            call["args"] = self._arguments(part)
        out: dict[str, Any] = {"functionCall": call}
        if self._sign is not None and self._sign.signature is not None:
            out["thoughtSignature"] = self._sign.signature.value
            self._sign = None
        out = self.writer.with_own(out, part)
        if self._asks and self._lost and "thoughtSignature" not in out:
            out["thoughtSignature"] = PLACEHOLDER
            self.writer.lose(part, "thoughtSignature: a placeholder stands for the one that is missing", "repair")
        self._asks = False  # only the first call of a turn is signed
        self.out.append(out)

    def _arguments(self, part: Call) -> dict[str, Any]:
        try:
            arguments = loads(part.arguments.encode("utf-8", "surrogatepass")) if part.arguments else {}
        except JSONError:
            arguments = None
        if isinstance(arguments, dict):
            return arguments
        self.writer.lose(part, "arguments: no JSON object, so they are its only field", "repair")
        return {"_raw": part.arguments}

    def _result(self, part: Result) -> None:
        name = part.name if self.own else self.writer.called.get(part.id) or self.writer.name("", part.name)
        response: dict[str, Any] = {"name": name} if name else {}
        if part.id:
            response["id"] = part.id
        after: list[dict[str, Any]] = []
        media = [one for one in part.parts if isinstance(one, Media)]
        for one in part.parts:
            if isinstance(one, Foreign):
                self.writer.drop(one, f"{one.kind}: only its own provider understands it")
        if self.own:
            value = part.value
        else:
            texts = [one.text for one in part.parts if isinstance(one, Text)]
            if len(texts) > 1:
                self.writer.lose(part, f"{len(texts)} texts are one", "boundary")
            value = {"error" if part.is_error else "output": "\n".join(texts)} if texts or not media else {}
            if part.is_error and "error" not in value:
                self.writer.lose(part, "is_error: there is no place for it")
        if value is not None:
            response["response"] = value
        for one in media:
            if self.own or self._nests(one):
                response.setdefault("parts", []).append(self.writer.with_own(self._media(one), one))
            else:
                self.writer.lose(one, "it follows the results", "order")
                after.append(self._media(one))
        self.out.insert(
            len(self.out) if self.own else self._results, self.writer.with_own({"functionResponse": response}, part)
        )
        self._results += 1
        self.out += after

    def _nests(self, media: Media) -> bool:
        """Whether a function's response may hold it."""
        return not self.writer.older and (
            media.kind == "image" or media.media_type.partition(";")[0] in ("application/pdf", "text/plain")
        )

    # Media

    def _media(self, media: Media) -> dict[str, Any]:
        if media.detail:
            self.writer.lose(media, f"detail: {media.detail}: there is no such choice")
        if media.file_id and not self.own:
            raise self.writer.refuse(media, "the file is with another provider; send its content")
        named = {"displayName": media.name} if media.name else {}
        uri = media.url or media.file_id
        if uri:
            path = uri.partition("?")[0].partition("#")[0]
            media_type = media.media_type or ("" if self.own else MEDIA_TYPES.get(path.rpartition(".")[2].lower(), ""))
            typed = {"mimeType": media_type} if media_type else {}
            return {"fileData": typed | {"fileUri": uri} | named}
        data, media_type = media.data, media.media_type
        if media.text:
            encoded = media.text.encode("utf-8", "surrogatepass")
            data, media_type = b2a_base64(encoded, newline=False).decode("ascii"), media_type or "text/plain"
        if not data:
            raise self.writer.refuse(media, "has no content")
        if not media_type:
            raise self.writer.refuse(media, "its media type is needed")
        return {"inlineData": {"mimeType": media_type, "data": data} | named}
