"""Gemini chunks to events."""

import re
from collections.abc import Mapping
from io import StringIO
from typing import Any, ClassVar, Final

import msgspec

from ccproxy.core.events import Finish, Signature, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.parts import call_id
from ccproxy.core.reader import BaseReader
from ccproxy.core.signatures import Sealed, unseal
from ccproxy.core.spi import Context
from ccproxy.core.vocab import ErrorKind, FinishReason, PartKind, Signs
from ccproxy.wire.json import JSONError, dumps, join, loads

from . import citations, errors, logprobs, usage
from .maps import BLOCK_NUMBER, FINISH_NUMBER, FINISH_RANK, FINISH_READ, NO_EXPLANATION, PART_KIND, UNSAID
from .partial import PartialCall
from .response import SCHEME, arguments_text
from .wire_types import Chunk

_BESIDE: Final = frozenset({"usageMetadata", "promptFeedback", "modelStatus"})
_KNOWN: Final = _BESIDE | {"candidates", "responseId", "modelVersion", "createTime", "error"}
_TOLD: Final = ("finishMessage", "safetyRatings", "avgLogprobs", "tokenCount")
_UNKNOWN: Final = ("urlContextMetadata", "continuationToken")
_NO_CONTENT: Final = ("text", "thought", "thoughtSignature")  # fields of a part that don't say what it is
_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z")


class _Choice:
    """One choice: its open part, why it finished, what it said of itself."""

    __slots__ = (
        "call",
        "calls",
        "finish",
        "kind",
        "live",
        "number",
        "own",
        "parts",
        "recited",
        "signed",
        "texts",
        "wires",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.live = -1
        """The open text or reasoning part."""
        self.kind: PartKind = "opaque"
        self.signed = ""
        """The signature of the live text. It waits until that ends, since citations may come with it."""
        self.call: PartialCall | None = None
        """The open call."""
        self.calls = 0
        self.finish: FinishReason | None = None
        self.wires: dict[int, bool] = {}
        """Whether each candidate on the wire has finished; `choices="merge"` makes one choice of all."""
        self.own: dict[str, Any] = {}
        """What the candidate says of itself, for its last chunk."""
        self.recited: dict[bytes, Any] = {}
        """Its citations; some models repeat them on every chunk."""
        self.parts = 0
        self.texts: list[tuple[int, int]] = []
        """The text parts, each with its place among all."""


class Reader(BaseReader):
    dialect: ClassVar[str] = SCHEME
    delta_type = Chunk
    delta_mark = b'"text"'
    _blocked: str | None = None

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._choices: dict[int, _Choice] = {}
        self._text: dict[int, int] = {}  # slots of the typed way: the live text part of a candidate,
        self._thought: dict[int, int] = {}  # and its live reasoning part
        self._said: dict[int, StringIO] = {}  # text parts: citations count bytes of all text
        self._counts: bytes | dict[str, Any] = {}  # usage comes on every chunk and is read when it is asked for
        self._latest = msgspec.Raw()  # that of the typed frames at hand
        self._twin_counts = msgspec.Raw()  # that of the twins
        self._told: dict[str, Any] = {}
        self._top: dict[str, Any] = {}

    # The typed way

    def text_of(self, frame: Chunk) -> str:
        candidate = frame.candidates[0]
        part = candidate.content.parts[0]
        self.part = (self._thought if part.thought else self._text).get(candidate.index, -1)
        self._latest = frame.usage_metadata
        return part.text if self.part >= 0 else ""

    def texts_of(self, frames: list[Chunk]) -> list[str]:
        first = frames[0].candidates[0]
        index, thought = first.index, first.content.parts[0].thought
        texts = [
            part.text
            for frame in frames
            if (part := (candidate := frame.candidates[0]).content.parts[0]).thought is thought
            and candidate.index == index
        ]
        counts = (frame.usage_metadata for frame in reversed(frames))
        self._latest = next(filter(_counts, counts), self._latest)
        return texts

    def read_one(self, block: bytes) -> str:
        self._latest = self._twin_counts
        text = super().read_one(block)
        if text:
            self._hear([text])
        return text

    def extend(self, texts: list[str]) -> None:
        self._hear(texts)
        super().extend(texts)

    def _hear(self, texts: list[str]) -> None:
        """Remember what typed frames say beside their text, and the text."""
        said = self._said.get(self.part)
        if said is not None:
            said.writelines(texts)
        if _counts(self._latest):
            self._counts = bytes(self._latest)

    def _read_run(self, block: bytes, start: int) -> tuple[int, int]:
        self._latest = self._twin_counts
        return super()._read_run(block, start)

    def _find_twin(self, data: bytes, text: str) -> None:
        latest = self._latest
        super()._find_twin(data, text)
        self._twin_counts = self._latest if self._twin is not None else msgspec.Raw()
        self._latest = latest

    # The dict way

    def handle(self, event: str, frame: Fields) -> None:
        if frame.raw.get("error") or event == "error":
            self.report(frame.raw)
            return
        candidates = list(frame.each("candidates"))
        if not candidates and not frame.raw.keys() & _BESIDE and frame.raw.keys() - _KNOWN:
            self.opaque(frame.raw)
            return
        counted = frame.noise("usageMetadata").raw
        if counted:
            self._counts = dict(counted)
        self._start(frame)
        for key in ("promptFeedback", "modelStatus"):
            if frame.noise(key).raw:
                self._top[key] = frame.raw[key]
        numberless = 0
        for position, candidate in enumerate(candidates):
            index = candidate.integer("index")
            if index is None:  # left out, as zero is
                index = position if numberless else 0
                numberless += 1
            self._candidate(candidate, index)
        feedback = frame.noise("promptFeedback")
        reason = _reason(feedback, "blockReason", BLOCK_NUMBER)
        if reason is not None or feedback.word("blockReasonMessage"):
            self._blocked = reason or ""
            self._top["promptFeedback"] = {**feedback.raw, **({"blockReason": reason} if reason else {})}
        self._tell_usage()

    def _start(self, frame: Fields) -> None:
        if self.started:
            return
        self.model = frame.word("modelVersion")
        created = frame.word("createTime")
        self._told = self._known()
        self.start(
            frame.word("responseId"),
            self.model,
            _unix_time(created),
            usage.read(self._told),
            {self.dialect: {"createTime": created}} if created else None,
        )

    def _known(self) -> dict[str, Any]:
        """The last usage object."""
        if isinstance(self._counts, bytes):
            try:
                self._counts = loads(self._counts)
            except JSONError:
                self._counts = {}
        return self._counts if isinstance(self._counts, dict) else {}

    def _tell_usage(self) -> None:
        known = self._known()
        if known != self._told and self.started:
            self._told = known
            self.usage(usage.read(known))

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        return errors.read(payload)

    def fail(self, kind: ErrorKind, message: str) -> None:
        self._leave()
        super().fail(kind, message)

    def report(self, payload: Mapping[str, Any]) -> None:
        self._leave()
        super().report(payload)

    def _leave(self) -> None:
        """What is known by now goes out before an error."""
        for choice in self._choices.values():
            if choice.call is not None:
                self.delta(choice.call.part, choice.call.text(cut=True))
                choice.call = None
            if choice.signed:
                self._end_live(choice)
        self._tell_usage()

    def end_of_stream(self) -> None:
        choices = sorted(self._choices.values(), key=lambda choice: choice.number)
        if self._blocked is None and not (choices and all(all(choice.wires.values()) for choice in choices)):
            self.truncated()
            return
        blocked = not choices
        self._tell_usage()
        for choice in choices or [_Choice(0)]:
            self._end_call(choice)
            self._cite(choice)
            self._end_live(choice)
            reason = choice.finish or FinishReason("filtered", self._blocked or None)
            if reason.unified == "end" and choice.calls:
                reason = FinishReason("tool", reason.raw)
            own: dict[str, Any] = {"finishReason": reason.raw, "candidate": choice.own, "top": self._last_top()}
            if blocked:
                own["blocked"] = True
            self.events.append(Finish(choice.number, reason, None, self._details(choice), {self.dialect: own}))
        self.end()

    def _last_top(self) -> dict[str, Any]:
        """What stands beside the candidates; usage that counts nothing has no other place."""
        return self._top | ({"usageMetadata": self._told} if self._told and usage.read(self._told) is None else {})

    def _details(self, choice: _Choice) -> dict[str, Any] | None:
        """Why it was no ordinary end."""
        if choice.finish is None:
            return {"explanation": Fields(self._top).noise("promptFeedback").word("blockReasonMessage")}
        message = Fields(choice.own).word("finishMessage")
        return {"explanation": message} if message and message not in NO_EXPLANATION else None

    def _candidate(self, source: Fields, index: int) -> None:
        number = 0 if self.context.choices == "merge" else index
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(number)
        choice.wires.setdefault(index, False)
        probabilities = logprobs.read(source.noise("logprobsResult"))
        for part in source.fields("content").each("parts"):
            if self._part(choice, index, part, probabilities):
                probabilities = []
        if probabilities:
            self._say(choice, index, "text", "", probabilities)
        self._describe(choice, index, source)
        reason = _reason(source, "finishReason", FINISH_NUMBER)
        if reason is not None:
            self._finish(choice, index, reason)

    def _part(self, choice: _Choice, index: int, part: Fields, probabilities: list[Any]) -> bool:
        """One part of the content; whether the log probabilities went with it."""
        raw = part.raw
        rest = {key: value for key, value in raw.items() if key not in _NO_CONTENT and value is not None}
        if "functionCall" in rest:
            self._function_call(choice, part)
            return False
        if rest and "text" not in raw:
            self._whole(choice, part, next(iter(rest)))
            return False
        text = part.text("text")
        kind: PartKind = "reasoning" if raw.get("thought") is True else "text"
        signature = part.text("thoughtSignature")
        entries = probabilities if kind == "text" else []
        self._say(choice, index, kind, text, entries)
        if signature:
            self._sign_thought(choice, signature) if kind == "reasoning" else self._sign_text(choice, signature)
        if rest:
            stub = {"parts": [{"text": "", **rest}], "role": "model"}
            live = choice.live if choice.live >= 0 else None
            self.opaque({"candidates": [{"content": stub, "index": choice.number}]}, live)
        return bool(entries)

    def _say(self, choice: _Choice, index: int, kind: PartKind, text: str, entries: list[Any]) -> None:
        """Text of a kind: extends the live part if it is of that kind, or ends it and starts another."""
        if not text and not entries:
            return
        self._end_call(choice)
        if choice.kind != kind or choice.signed:
            self._end_live(choice)
            self._open_live(choice, kind)
        (self._text if kind == "text" else self._thought)[index] = choice.live
        said = self._said.get(choice.live)
        if said is not None:
            said.write(text)
        self.delta(choice.live, text, entries or None)

    def _open_live(self, choice: _Choice, kind: PartKind) -> None:
        choice.live = self.open(kind, choice=choice.number)
        choice.kind = kind
        if kind == "text":
            choice.texts.append((choice.live, choice.parts))
            self._said[choice.live] = StringIO()
        choice.parts += 1

    def _end_live(self, choice: _Choice) -> None:
        if choice.live < 0:
            return
        self.close_part(choice.live)
        self._close_slots(choice)
        signature = choice.signed
        choice.live = -1
        choice.kind = "opaque"
        choice.signed = ""
        if signature:
            self._carry(choice, signature, "text")

    def _close_slots(self, choice: _Choice) -> None:
        for slots in (self._text, self._thought):
            for index in [index for index, live in slots.items() if live == choice.live]:
                del slots[index]

    def _sign(self, part: int, value: str, signs: Signs) -> None:
        """A signature, of another dialect's provider if it is in an envelope. Where it stands, says what it signs."""
        sealed = unseal(value) or Sealed(SCHEME, self.signer, value)
        self.events.append(Signature(part, sealed.scheme, sealed.value, sealed.model, signs))

    def _sign_thought(self, choice: _Choice, value: str) -> None:
        """A signature ends its part: another thought has its own."""
        sealed = unseal(value)
        self._end_call(choice)
        if sealed is not None and sealed.redacted:
            self._carry(choice, value, "part", "redacted")
            return
        if choice.kind != "reasoning":
            self._end_live(choice)
            self._open_live(choice, "reasoning")
        self._sign(choice.live, value, "part")
        self._end_live(choice)

    def _sign_text(self, choice: _Choice, value: str) -> None:
        self._end_call(choice)
        if choice.kind == "text" and not choice.signed:
            choice.signed = value
            self._close_slots(choice)
            self.unlearn()
        else:
            self._carry(choice, value, "text")

    def _carry(self, choice: _Choice, value: str, signs: Signs, kind: PartKind = "reasoning") -> None:
        """A part that is nothing but a signature."""
        self._end_live(choice)
        part = self.open(kind, choice=choice.number)
        self._sign(part, value, signs)
        self.close_part(part)

    def _function_call(self, choice: _Choice, source: Fields) -> None:
        call = source.fields("functionCall")
        name = call.text("name")
        args = call.fields("args").raw
        signature = source.text("thoughtSignature")
        goes_on = call.raw.get("willContinue") is True
        pieces = list(call.each("partialArgs"))
        if name:
            self._open_call(choice, call, name, signature)
            if not goes_on and not pieces and choice.call is not None:  # the usual: a whole call
                self._end_call(choice, text=arguments_text(args))
                return
        if choice.call is None:
            if call.rest() or signature or not choice.calls:  # else it marks the end of a call that has ended
                self._nameless(choice, source)
            return
        if signature and not name:
            self._sign(choice.call.part, signature, "part")
        choice.call.update(args)
        for piece in pieces:
            choice.call.add(piece)
        if not goes_on:
            self._end_call(choice)

    def _open_call(self, choice: _Choice, call: Fields, name: str, signature: str) -> None:
        self._end_call(choice)
        self._end_live(choice)
        if signature:
            self._carry(choice, signature, "call")
        id = call.text("id")
        own = {} if id else {self.dialect: {"without_id": True}}
        id = id or call_id(
            f"{self.seed}:{choice.number}", choice.calls
        )  # the same in a body, which has no interleaving
        part = self.open("tool", choice=choice.number, id=id, name=name, meta=own)
        choice.parts += 1
        choice.calls += 1
        choice.call = PartialCall(part)

    def _end_call(self, choice: _Choice, *, text: str | None = None, cut: bool = False) -> None:
        """The open call ends, if there is one; if it was cut, with arguments that nobody takes for whole."""
        call = choice.call
        if call is not None:
            choice.call = None
            self.delta(call.part, call.text(cut) if text is None else text)
            self.close_part(call.part)

    def _nameless(self, choice: _Choice, source: Fields) -> None:
        """A call that nobody can run, and that no client takes."""
        self._end_live(choice)
        meta = {self.dialect: {"nameless": dict(source.raw)}}
        self.close_part(self.open("opaque", choice=choice.number, name="functionCall", meta=meta))
        choice.parts += 1

    def _whole(self, choice: _Choice, source: Fields, key: str) -> None:
        """A part that comes whole and that only Gemini knows."""
        self._end_call(choice)
        self._end_live(choice)
        content = source.noise(key)
        kind: PartKind = PART_KIND.get(key, "opaque")
        if key == "inlineData":
            media = content.word("mimeType").partition("/")[0]
            kind = "image" if media == "image" else "audio" if media == "audio" else "opaque"
        part = self.open(
            kind,
            choice=choice.number,
            id=content.word("id"),
            name=content.word("toolType") or (key if kind in ("server_tool", "server_result") else ""),
            meta={self.dialect: {"part": dict(source.raw)}},
        )
        choice.parts += 1
        if kind == "server_tool":
            input = content.raw.get("args") if key == "toolCall" else content.rest("id")
            self.delta(part, dumps(input or {}).decode("utf-8"))
        self.close_part(part)

    def _describe(self, choice: _Choice, index: int, source: Fields) -> None:
        """What a candidate says beside its content."""
        for key in _TOLD:
            if source.raw.get(key) not in (None, ""):
                choice.own[key] = source.raw[key]
        grounding = source.noise("groundingMetadata").raw
        if grounding:
            choice.own["groundingMetadata"] = {**choice.own.get("groundingMetadata", {}), **grounding}
        recited = source.noise("citationMetadata")
        for key in ("citations", "citationSources"):
            for citation in recited.each(key):
                choice.recited.setdefault(dumps(citation.raw), citation.raw)
        for key in _UNKNOWN:
            if source.raw.get(key):
                self.opaque({"candidates": [{"index": choice.number, key: source.raw[key]}]})

    def _cite(self, choice: _Choice) -> None:
        if choice.recited:
            choice.own["citationMetadata"] = {"citations": list(choice.recited.values())}
        texts = [
            citations.Text(part, join([self._said[part].getvalue(), ""]), position) for part, position in choice.texts
        ]
        self.events += citations.read(Fields(choice.own), texts)
        beside = citations.beside(Fields(choice.own))
        if beside:
            self.opaque({"groundingMetadata": beside}, texts[-1].part if texts else None)

    def _finish(self, choice: _Choice, index: int, raw: str) -> None:
        """The finish waits for the end of the input; so does the open part, as older models say STOP on every chunk."""
        unified = FINISH_READ.get(raw, "unknown")
        choice.wires[index] = True
        self._end_call(choice, cut=unified != "end")
        last = choice.finish
        if last is None or FINISH_RANK.get(unified, 2) > FINISH_RANK.get(last.unified, 2):
            choice.finish = FinishReason(unified, raw)


def _counts(usage: msgspec.Raw) -> bool:
    """Whether it is an object."""
    return bytes(usage).startswith(b"{")


def _reason(source: Fields, key: str, numbers: Mapping[int, str]) -> str | None:
    """A reason, if one is given; some gateways write enums as numbers."""
    value = source.raw.get(key)
    if type(value) is int:
        return numbers.get(value, str(value)) if value else None
    return value if isinstance(value, str) and value not in UNSAID else None


def _unix_time(text: str) -> int | None:
    """Seconds since 1970 of a time in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    months = year * 12 + month - 3  # years that begin in March end with the leap day
    years = months // 12
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * (months % 12) + 2) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second
