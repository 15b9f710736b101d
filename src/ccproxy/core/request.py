"""What reading and writing requests share: settings, identity of calls, names of tools, what is lost.

A dialect's `request.py` has a `RequestReader`, which is strict (a wrong type is refused with its path), and a
`RequestWriter`, which may assume that every result has its call. What a writer does not list in `settings` and `keeps`
is reported as lost by `RequestWriter.write`, so no dialect can forget to.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from .errors import RequestRefused
from .fields import Fields
from .losses import Losses
from .model import SETTINGS, Call, Effort, Foreign, Media, Part, Piece, Request, Result, Text, Thought, Tool, Turn
from .model import ToolName as ToolName
from .parts import call_id, digest, flat_name
from .signatures import Sealed, belongs
from .spi import RequestOptions
from .vocab import LossKind

_VERSION: Final = re.compile(r"(?:-(?:latest|preview|exp|\d[\d.]*))+$|@.*$|:[^/]*$")
_NOT_IN_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]|^(?=[0-9-])")  # Gemini's begin with a letter or `_`
_NAME_LENGTH: Final = 64
_NAME: Final = re.compile(rf"(?![0-9-])[a-zA-Z0-9_-]{{,{_NAME_LENGTH}}}")

Setting = tuple[str, str, Callable[[Fields, str], object]]
"""A setting of a dialect: its key on the wire, its neutral name, and how it is read."""

_LINKED: Final = frozenset({Call, Result})
_HOLD_FOREIGN: Final = frozenset({Foreign, Result})
_OPTIONAL: Final[Mapping[type[Piece], tuple[str, ...]]] = {
    Text: ("cache",),
    Media: ("cache",),
    Thought: ("cache",),
    Call: ("cache",),
    Result: ("cache",),
    Turn: ("name",),
    Tool: ("cache", "grammar"),
}
"""What a piece may have that `_report` looks for by itself: a truthy value that a dialect does not keep is lost."""


class RequestReader:
    """Subclasses read one dialect: `body` fills `request`."""

    dialect: ClassVar[str]

    def __init__(self, options: RequestOptions) -> None:
        self.options = options
        self.request = Request(source=self.dialect)

    def read(self, body: Mapping[str, Any]) -> Request:
        """The request. Raises `FieldError` or `RequestRefused` with the path of what is wrong."""
        self.body(Fields(body))
        return self.request

    def set(self, name: str, value: object, path: str) -> None:
        """A setting, if it was said."""
        if value is not None:
            setattr(self.request, name, value)
            self.request.paths[name] = path

    def set_each(self, body: Fields, settings: Iterable[Setting]) -> None:
        """The settings that were said, of an object that has them."""
        raw = body.raw
        for key, name, read in settings:
            if raw.get(key) is not None:
                self.set(name, read(body, key), body.at(key))

    # What a dialect adds

    def body(self, body: Fields) -> None:
        raise NotImplementedError


class RequestWriter:
    """Subclasses write one dialect: `body` makes the request that `write` gives, after it reported the losses."""

    dialect: ClassVar[str]
    settings: ClassVar[Mapping[str, str]]
    """The settings of `model.Request` that the dialect has, and their names on the wire."""
    keeps: ClassVar[Mapping[str, frozenset[str]]]
    """What it keeps of each piece beyond what every dialect does, by the piece's class name in lower case."""
    _missing: ClassVar[tuple[str, ...]]
    """The settings that it does not have."""
    _unkept: ClassVar[Mapping[type[Piece], Collection[str]]]
    """What it does not keep of each piece."""

    def __init_subclass__(cls) -> None:
        cls._missing = tuple(name for name in SETTINGS if name not in getattr(cls, "settings", SETTINGS))
        keeps: Mapping[str, frozenset[str]] = getattr(cls, "keeps", {})
        cls._unkept = {
            kind: tuple(name for name in names if name not in keeps.get(kind.__name__.lower(), ()))
            for kind, names in _OPTIONAL.items()
        }

    def __init__(self, request: Request, options: RequestOptions, losses: Losses) -> None:
        self.request = request
        self.options = options
        self.losses = losses
        self.names = ToolNames(request)
        request.renamed = dict(self.names.restore)
        self.own = request.source == self.dialect
        """Whether `extra` is this dialect's."""
        self.last = request.turns[-1].path if request.turns else ""
        """Where the last turn stands in the source, to name it if nothing is left to send."""

    @property
    def target_model(self) -> str:
        """The model that is asked for; empty if only the URL has it."""
        return self.options.model or self.request.model

    def write(self) -> dict[str, Any]:
        """The body. Raises `RequestRefused` for what can't be served honestly."""
        if not self.own:
            if not kinds(self.request.turns).isdisjoint(_HOLD_FOREIGN):
                self._reword()
            self._report()
            link(self.request, self.losses)
        return self.body()

    # What a dialect adds

    def body(self) -> dict[str, Any]:
        raise NotImplementedError

    # For the dialects

    def lose(self, piece: Piece | str, detail: str, kind: LossKind = "field") -> None:
        """Report what is lost of a piece, or at a path."""
        self.losses.add(kind, None, detail, piece if isinstance(piece, str) else piece.path)

    def lose_each(self, turn: Turn, detail: str, kind: LossKind = "field") -> None:
        """Report what is lost of a turn, and at the parts that `link` has joined to it."""
        self.lose(turn, detail, kind)
        for part in turn.parts:
            if not part.path.startswith(turn.path):
                self.lose(part, detail, kind)

    def drop(self, part: Piece, detail: str) -> None:
        """Report that a part is left out."""
        self.lose(part, detail, "part")

    def refuse(self, piece: Piece | str, reason: str) -> RequestRefused:
        return RequestRefused(piece if isinstance(piece, str) else piece.path, reason)

    def extra(self, piece: Piece) -> dict[str, Any]:
        """The piece's own fields, if they are this dialect's."""
        return piece.extra if self.own else {}

    def setting(self, name: str) -> str:
        """The path of a setting in the source."""
        return self.request.paths.get(name, name)

    def readable(self, thought: Thought, scheme: str) -> Sealed | None:
        """The thought's signature if it is of this scheme and of the request's model, so that it may be sent."""
        signature = thought.signature
        return signature if usable(signature, scheme, self.target_model) else None

    def _reword(self) -> None:
        """Put text in the place of what only the source knows as more than that."""
        for turn in self.request.turns:
            turn.parts = [self._in_words(part) if type(part) is Foreign else part for part in turn.parts]
            for part in turn.parts:
                if type(part) is Result:
                    part.parts = [self._in_words(one) if type(one) is Foreign else one for one in part.parts]

    def _in_words(self, part: Foreign) -> Foreign | Text:
        if part.words is None:
            return part
        self.lose(part, f"{part.kind}: text here, which can't be cited", "citation")
        return part.words

    def _report(self) -> None:
        request = self.request
        for name in self._missing:
            value = getattr(request, name)
            if value is not None and value not in ("", DEFAULTS.get(name)):
                self.lose(self.setting(name), f"{name}: there is no such setting")
        unkept = self._unkept
        for piece in pieces(request):
            for name in unkept.get(type(piece), ()):
                if getattr(piece, name):
                    self.lose(piece, f"{name}: there is no place for it")
            for name in piece.extra:
                self.lose(f"{piece.path}.{name}" if piece.path else name, f"{name}: there is no such field")


DEFAULTS: Final[Mapping[str, Any]] = {
    "stop": [],
    "choices": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "verbosity": "medium",
    "parallel": True,
    "metadata": {},
    "store": False,
}
"""What is so without being said where the dialect has no such setting: to leave it out loses nothing."""


def pieces(request: Request) -> Iterator[Piece]:
    """Everything that has a path and extra fields, but parts that stand for themselves (`Foreign`)."""
    yield request
    for piece in (request.thinking, request.format, request.tool_choice):
        if piece is not None:
            yield piece
    yield from request.tools
    for turn in request.turns:
        yield turn
        for part in turn.parts:
            if type(part) is not Foreign:
                yield part
            if type(part) is Result:
                yield from (one for one in part.parts if type(one) is not Foreign)


def kinds(turns: Iterable[Turn]) -> set[type[Part]]:
    """Which kinds of parts there are, so that nobody goes looking for others."""
    found: set[type[Part]] = set()
    for turn in turns:
        found.update(map(type, turn.parts))
    return found


def usable(signature: Sealed | None, scheme: str, model: str) -> bool:
    """Whether a provider that makes signatures of this scheme takes this one for its model."""
    return signature is not None and belongs(signature.scheme, scheme) and same_model(signature.model, model)


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in an array; anything else counts as absent."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model: providers add versions and dates, gateways prefixes. Unknown is the same."""
    return not one or not other or _base(one) == _base(other)


def _base(model: str) -> str:
    return _VERSION.sub("", model.rpartition("/")[2].lower())


def link(request: Request, losses: Losses) -> None:
    """Give every call an id of its own and every result its call, and let results follow their calls at once.

    Neighbouring turns of one role become one. Raises `RequestRefused` for a result without a call and a call without
    a result: no provider takes them.
    """
    request.turns = _joined(request.turns)  # first, as calls that are turns of their own are still calls of one answer
    if kinds(request.turns).isdisjoint(_LINKED):
        return
    waiting: dict[tuple[str, str], deque[_Waiting]] = {}
    ids: set[str] = set()
    turns: list[Turn] = []
    for turn in request.turns:
        results = [part for part in turn.parts if type(part) is Result]
        others = [part for part in turn.parts if type(part) is not Result]
        for position, result in enumerate(results):
            asked = _asked(result, waiting)
            asked.place.parts.append(result)
            if turns[-1] is not asked.place or turn.parts[position] is not result:
                losses.add("order", None, "the result follows its call at once", result.path)
        if others or not results:
            turns.append(msgspec.structs.replace(turn, parts=others))
        calls = [part for part in others if type(part) is Call]
        place = Turn(role="user", path=turn.path)  # of the results of these calls
        if calls:
            turns.append(place)
        for call in calls:
            key = _key(call)
            waiting.setdefault(key, deque()).append(_Waiting(_identify(call, ids, losses), place))
    for unanswered in waiting.values():
        call = unanswered[0].call
        raise RequestRefused(call.path, f"the tool call {call.id!r} has no result")
    request.turns = _joined(turns)


def runs(turns: Iterable[Turn]) -> list[list[Turn]]:
    """Neighbouring turns of the assistant: one answer, or several without a result between."""
    out: list[list[Turn]] = []
    before = ""
    for turn in turns:
        if turn.role == "assistant":
            if before != "assistant":
                out.append([])
            out[-1].append(turn)
        before = turn.role
    return out


def join_thoughts(request: Request, scheme: str, model: str) -> None:
    """Make one of what clients have kept in the pieces in which it came.

    Signatures that may be sent are given the text that they sign, where the source has that in parts before them.
    """
    for turns in runs(request.turns):
        pieces: list[Thought] = []  # unsigned, one after the other
        gone: set[int] = set()
        for part in (part for turn in turns for part in turn.parts):
            if type(part) is not Thought or part.group:
                pieces.clear()
            elif part.signature is None and part.goes_on and pieces and not part.extra:
                pieces[-1].text += part.text
                gone.add(id(part))
            elif part.signature is None:
                pieces.append(part)
            else:
                signature = part.signature
                if signature.signs == "part" and not signature.redacted and usable(signature, scheme, model):
                    part.text = "".join([*(piece.text for piece in pieces), part.text])
                    gone.update(map(id, pieces))
                pieces.clear()
        for turn in turns if gone else ():
            turn.parts = [part for part in turn.parts if id(part) not in gone]


class _Waiting(NamedTuple):
    """A call whose result is to come."""

    call: Call
    place: Turn
    """Where the result goes."""


def _identify(call: Call, ids: set[str], losses: Losses) -> Call:
    """The call with an id that no other has."""
    if call.id in ids:
        losses.add("repair", None, f"another call has the id {call.id!r}", call.path)
    if not call.id or call.id in ids:
        call.id = call_id("history", len(ids))  # the same in the next turn, which only adds to the history
    ids.add(call.id)
    return call


def _key(piece: Call | Result) -> tuple[str, str]:
    """By what a result and its call know each other: the id, or the name where the source has no ids."""
    return (piece.id, "") if piece.id else ("", piece.name)


def _asked(result: Result, waiting: dict[tuple[str, str], deque[_Waiting]]) -> _Waiting:
    """The call that the result answers. It waits no longer."""
    key = _key(result)
    if key not in waiting:
        what = f"id {result.id!r}" if result.id else f"name {result.name!r}"
        raise RequestRefused(result.id_path or result.path, f"no tool call with the {what} waits for a result")
    asked = waiting[key].popleft()
    if not waiting[key]:
        del waiting[key]
    result.id, result.name, result.custom = asked.call.id, asked.call.name, asked.call.custom
    return asked


def _joined(turns: Iterable[Turn]) -> list[Turn]:
    """Turns with neighbours of one role made one."""
    out: list[Turn] = []
    for turn in turns:
        if out and out[-1].role == turn.role and out[-1].name == turn.name:
            out[-1].parts += turn.parts
        elif turn.parts:
            out.append(turn)
    return out


class ToolNames:
    """One flat name for each tool, of letters, digits, `_` and `-`, at most 64 of them, as every provider takes it."""

    def __init__(self, request: Request) -> None:
        self._flat: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self.restore: dict[str, ToolName] = {}
        """What a flat name stands for, where that is not the same or the tool is a custom one."""
        for tool in request.tools:
            if tool.kind != "hosted":
                self._enter(tool.namespace, tool.name, tool.kind == "custom")
        for turn in request.turns:
            for part in turn.parts:
                if type(part) is Call:
                    self._enter(part.namespace, part.name, part.custom)

    def flat(self, namespace: str, name: str) -> str:
        """The name for a target without namespaces."""
        return self._flat.get((namespace, name)) or self._enter(namespace, name, custom=False)

    def _enter(self, namespace: str, name: str, custom: bool) -> str:
        namespace = "" if namespace == name else namespace
        known = self._flat.get((namespace, name))
        if known is not None:
            return known
        flat = flat_name(namespace, name) if namespace else name
        if _NAME.fullmatch(flat) is None or flat in self._taken:
            flat = f"{_NOT_IN_NAME.sub('_', flat)[: _NAME_LENGTH - 9]}_{digest(namespace, name)[:8]}"
        self._flat[namespace, name] = flat
        self._taken.add(flat)
        if custom or flat != name:
            self.restore[flat] = ToolName(namespace, name, custom)
        return flat


def plain(parts: Iterable[Part]) -> str | None:
    """The text of parts that are one text without anything else; None if they are more than that."""
    match list(parts):
        case [Text(text=text, cache=None, extra={}) as part] if not part.refusal and not part.extra:
            return text
        case _:
            return None


def input_schema() -> dict[str, Any]:
    """The arguments of a function that stands for a custom tool."""
    return {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }


EFFORT_BUDGET: Final[Mapping[Effort, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Tokens of reasoning for an effort, where the target counts tokens."""


def effort_of(budget: int) -> Effort:
    """The effort nearest to a budget of tokens; nothing above high, since many models have nothing above it."""
    return "low" if budget < 4096 else "medium" if budget < 16384 else "high"
