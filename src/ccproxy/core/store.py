"""What a client may drop from its history and its provider wants back, remembered by call.

Claude with tools, Gemini 3 and the reasoning models of OpenAI want their signed reasoning back with the results of the
calls that it led to, and DeepSeek refuses calls without theirs, which nobody signs. Clients send back call ids without
fail, but many drop fields that they do not know. `Recorder` listens to an answer and puts what belongs to each of its
calls into a `Store`; `restore` puts it back into the history of a later request.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from ccproxy.wire.json import JSONError, loads

from .assemble import Assembler, Part
from .events import Event, PartEnd, PartStart, Signature, StreamStart
from .model import Call, Request, Text, Thought, Turn
from .model import Part as Piece
from .parts import digest
from .request import runs, same_model, usable
from .signatures import Sealed
from .vocab import Signs


class RememberedThought(msgspec.Struct, frozen=True):
    """Reasoning and its signature."""

    text: str
    scheme: str = ""
    model: str = ""
    value: str = ""
    """The signature; empty for reasoning that another thought of its group signs, or nobody."""
    redacted: bool = False
    signs: Signs = "part"
    channel: Literal["full", "summary"] = "full"
    group: str = ""
    leads: bool = False
    """Whether text came between it and the call."""


class Remembered(msgspec.Struct, frozen=True):
    """The reasoning that led to a call, since the call before."""

    thoughts: tuple[RememberedThought, ...]

    @property
    def size(self) -> int:
        """Characters."""
        return sum(len(thought.text) + len(thought.value) for thought in self.thoughts)


class Store(Protocol):
    """Where a gateway may put a database, one for each tenant.

    The key is made from a call's id and its arguments: some servers give the same ids in every conversation. Both
    methods are called between two reads of a stream, so they must be quick. What is gone is not missed: the request
    then goes out without it.
    """

    def get(self, key: str, /) -> Remembered | None: ...
    def put(self, key: str, remembered: Remembered, /) -> None: ...


class MemoryStore:
    """The latest calls of this process. What was not asked for longest goes first."""

    def __init__(self, max_calls: int = 10_000, max_characters: int = 64 * 1024 * 1024) -> None:
        self._max_calls = max_calls
        self._max_characters = max_characters
        self._characters = 0
        self._calls: OrderedDict[str, Remembered] = OrderedDict()

    def get(self, key: str, /) -> Remembered | None:
        remembered = self._calls.get(key)
        if remembered is not None:
            self._calls.move_to_end(key)
        return remembered

    def put(self, key: str, remembered: Remembered, /) -> None:
        known = self._calls.pop(key, None)
        self._characters += remembered.size - (known.size if known is not None else 0)
        self._calls[key] = remembered
        while len(self._calls) > self._max_calls or self._characters > self._max_characters:
            _, oldest = self._calls.popitem(last=False)
            self._characters -= oldest.size


def key_of(call_id: str, arguments: str) -> str:
    """The key of a call. Clients write arguments anew, so their JSON counts and not its spelling."""
    return digest(call_id, _canonical(arguments))


def _canonical(arguments: str) -> str:
    try:
        value = loads((arguments or "{}").encode("utf-8", "surrogatepass"))
        return repr(_sorted(value))
    except JSONError:
        return arguments


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Recorder:
    """A listener that puts the signed reasoning before each call into the store, when the call ends.

    Given `part`, which tells a part as known by now, it needs no deltas; else it assembles the parts itself. With
    `unsigned` it remembers reasoning that nobody signs, too, as that of `model`, or of the model that the stream names.
    """

    def __init__(
        self, store: Store, part: Callable[[int], Part] | None = None, *, unsigned: bool = False, model: str = ""
    ) -> None:
        self._store = store
        self._unsigned = unsigned
        self._model = model
        self._assembler: Assembler | None = None
        if part is None:
            self._assembler = Assembler()
            part = self._assembler.part
        self._part = part
        self._before: dict[int, list[int]] = {}  # by choice: reasoning and text since the last call
        self._led: dict[int, list[int]] = {}  # by call: the parts before it
        self._call_of: dict[int, int] = {}  # by part
        self._ended: set[int] = set()  # calls

    def on_events(self, events: list[Event], /) -> None:
        if self._assembler is not None:
            self._assembler.on_events(events)
        for event in events:
            if type(event) is PartStart:
                self._start(event)
            elif type(event) is PartEnd:
                self._end(event)
            elif type(event) is Signature:
                self._sign(event)
            elif type(event) is StreamStart:
                self._model = self._model or event.model

    def _start(self, event: PartStart) -> None:
        if event.kind in ("tool", "custom_tool"):
            self._led[event.part] = self._before.pop(event.choice, [])
            for number in (*self._led[event.part], event.part):
                self._call_of[number] = event.part
        elif event.kind in ("reasoning", "redacted", "text", "refusal"):
            self._before.setdefault(event.choice, []).append(event.part)

    def _end(self, event: PartEnd) -> None:
        if event.part in self._led:
            self._ended.add(event.part)
            self._remember(event.part)

    def _sign(self, event: Signature) -> None:
        """A signature may come after the call that the reasoning led to."""
        call = self._call_of.get(event.part, -1)
        if call in self._ended:
            self._remember(call)

    def _remember(self, number: int) -> None:
        call = self._part(number)
        thoughts = self._thoughts(self._led[number], signed=True)
        if call.signature is not None:
            sealed = call.signature
            thoughts.append(RememberedThought("", sealed.scheme, sealed.model, sealed.value, signs="call"))
        if not thoughts and self._unsigned:
            thoughts = self._thoughts(self._led[number], signed=False)
        if thoughts:
            self._store.put(key_of(call.start.id, call.text), Remembered(tuple(thoughts)))

    def _thoughts(self, numbers: list[int], signed: bool) -> list[RememberedThought]:
        """The signed reasoning among the parts, and what belongs to one item with it; or that which nobody signs."""
        parts = [self._part(number) for number in numbers]
        groups = {part.start.group for part in parts if part.signature is not None} - {None}
        out: list[RememberedThought] = []
        leads = False
        for part in reversed(parts):
            start, signature = part.start, part.signature
            if start.kind in ("text", "refusal"):
                leads = leads or bool(part.text)
            elif not signed and start.kind == "reasoning" and part.text:
                out.append(RememberedThought(part.text, model=self._model, channel=start.channel, leads=leads))
            elif signed and (signature is not None or start.group in groups):
                sealed = signature or Signature(start.part, "", "")
                out.append(
                    RememberedThought(
                        part.text,
                        sealed.scheme,
                        sealed.model,
                        sealed.value,
                        start.kind == "redacted",
                        sealed.signs,
                        start.channel,
                        str(start.group) if start.group is not None else "",
                        leads,
                    )
                )
        return out[::-1]


def restore(request: Request, store: Store, scheme: str, model: str, *, unsigned: bool = False) -> None:
    """Put remembered reasoning of this scheme and model back in front of the calls that it led to.

    With `unsigned` that of this model which nobody signs, too. Turns that still have reasoning with a signature for
    this model are left as they are, and without a signature those with reasoning that is not remembered.
    """
    if not any(isinstance(part, Call) for turn in request.turns for part in turn.parts):
        return
    for turns in runs(request.turns):
        parts = [part for turn in turns for part in turn.parts]
        calls = [part for part in parts if isinstance(part, Call)]
        if any(isinstance(part, Thought) and usable(part.signature, scheme, model) for part in parts):
            continue
        known = {id(call): store.get(key_of(call.id, call.arguments)) for call in calls}
        remembered = {call: _usable(thoughts, scheme, model) for call, thoughts in known.items()}
        plain = {call: _unsigned(thoughts, model) for call, thoughts in known.items()} if unsigned else {}
        told = "".join(thought.text for thoughts in plain.values() for thought in thoughts)
        if all(part.text in told for part in parts if isinstance(part, Thought)):
            remembered |= {call: thoughts for call, thoughts in plain.items() if thoughts}
        if any(remembered.values()):
            _put_back(turns, remembered)


def _usable(remembered: Remembered | None, scheme: str, model: str) -> list[RememberedThought]:
    """The thoughts that this model takes back."""
    thoughts = remembered.thoughts if remembered is not None else ()
    signed = [thought for thought in thoughts if usable(_sealed(thought), scheme, model)]
    groups = {thought.group for thought in signed} - {""}
    return [thought for thought in thoughts if thought in signed or (not thought.value and thought.group in groups)]


def _unsigned(remembered: Remembered | None, model: str) -> list[RememberedThought]:
    """The thoughts of this model, if nobody has signed any."""
    if remembered is None or any(thought.value for thought in remembered.thoughts):
        return []
    return [thought for thought in remembered.thoughts if same_model(thought.model, model)]


def _sealed(thought: RememberedThought) -> Sealed | None:
    if not thought.value:
        return None
    return Sealed(thought.scheme, thought.model, thought.value, thought.redacted, thought.signs)


def _put_back(turns: list[Turn], remembered: dict[int, list[RememberedThought]]) -> None:
    """Before the call, or before the text before it. What the client kept of the same reasoning gives way."""
    told = "".join(thought.text for thoughts in remembered.values() for thought in thoughts)
    parts: list[tuple[Turn, Piece]] = []
    for turn in turns:
        for part in turn.parts:
            if isinstance(part, Thought) and part.signature is None and part.text in told:
                continue
            thoughts = remembered.get(id(part), [])
            place = len(parts)
            while place and isinstance(parts[place - 1][1], Text):
                place -= 1
            first = parts[place][0] if place < len(parts) else turn
            parts[place:place] = [(first, _thought(thought, part)) for thought in thoughts if thought.leads]
            parts += [(turn, _thought(thought, part)) for thought in thoughts if not thought.leads]
            parts.append((turn, part))
    for turn in turns:
        turn.parts = [part for of, part in parts if of is turn]


def _thought(thought: RememberedThought, call: Piece) -> Thought:
    group = f"{call.path}/{thought.group}" if thought.group else ""
    return Thought(path=call.path, text=thought.text, signature=_sealed(thought), channel=thought.channel, group=group)
