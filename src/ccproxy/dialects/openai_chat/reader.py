"""Chat Completions chunks to events."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from ccproxy.core.events import Citation, Finish, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.parts import call_id
from ccproxy.core.reader import BaseReader
from ccproxy.core.signatures import Sealed, unseal
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishReason, PartKind, Signs, Usage
from ccproxy.wire.json import dumps

from . import errors, usage
from .calls import Call, Calls
from .maps import (
    CONTENT,
    DELTA_FIELDS,
    FINISH_RANK,
    FINISH_READ,
    GOOGLE,
    NAMED,
    REASONING_FIELDS,
    REASONING_OPAQUE,
    SCHEME,
    THINKING_BLOCKS,
)
from .quirks import QUIRKS
from .wire_types import Chunk

_PLAIN: Final = frozenset({"role", "content"})  # a delta of these alone needs no further look
_ECHOED: Final = ("id", "service_tier", "system_fingerprint")
_NONE: Final[dict[int, int]] = {}
_NO_FIELDS: Final = Fields({})
_PIECEWISE: Final = ("data", "transcript")  # fields of audio that come in pieces


class _Choice:
    """One choice: its open parts, its calls, why it finished."""

    __slots__ = (
        "after_text",
        "audio",
        "blocks",
        "called",
        "calls",
        "closed",
        "finish",
        "formats",
        "last_call",
        "live",
        "live_wire",
        "number",
        "plain",
        "signed",
        "signed_by",
        "stop_sequence",
        "text",
        "thought",
        "thoughts",
        "wires",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.live: dict[PartKind, int] = {}
        """The open text, reasoning or refusal; one at a time."""
        self.calls: dict[int, Calls] = {}
        """By the choice's number on the wire, which `choices="merge"` may have more of."""
        self.finish: FinishReason | None = None
        self.called = False
        self.last_call: int | None = None
        """The call that began last, for signatures that come late."""
        self.live_wire = 0
        """The choice on the wire that the open part came from."""
        self.wires: dict[int, bool] = {}
        """Whether each choice on the wire has finished; `choices="merge"` makes one of all."""
        self.stop_sequence: str | None = None
        self.text: int | None = None
        """The last text part, for citations that come late."""
        self.signed: int | None = None
        """The last reasoning part, for signatures that come late."""
        self.closed: int | None = None
        """The reasoning part whose signature came at its end: what follows is another."""
        self.signed_by: int | None = None
        """The index of the entry that signed it."""
        self.formats: dict[int, str] = {}
        """What the entries of each index said to be; some vendors say it once."""
        self.after_text: list[Sealed] = []
        """Signatures of the text at hand."""
        self.plain = False
        """Whether a plain field has reasoning text, so that entries with signatures only repeat it."""
        self.blocks = 0
        """How many thinking blocks were signed."""
        self.thoughts: list[str] = []
        """What thinking blocks have said: the one with the signature may say all of it again."""
        self.thought = 0
        """How many characters that is."""
        self.audio: dict[str, list[Any]] = {}

    def repeats(self, text: str) -> bool:
        """Whether the text is all that thinking blocks have said."""
        return len(text) == self.thought and text == "".join(self.thoughts)


class Reader(BaseReader):
    dialect: ClassVar[str] = "openai-chat"
    delta_type = Chunk
    delta_mark = b'"delta"'
    quirks = QUIRKS
    _usage: Usage | None = None

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._choices: dict[int, _Choice] = {}
        self._text: dict[int, int] = {}  # slots of the typed way: the live text part of a choice on the wire,
        self._reasoning: dict[int, int] = {}  # its live reasoning part,
        self._calls: dict[int, dict[int, int]] = {}  # and its call parts by their number
        self._cited: set[str] = set()

    # The typed way

    def text_of(self, frame: Chunk) -> str:
        choice = frame.choices[0]
        delta = choice.delta
        calls = delta.tool_calls
        thought = delta.reasoning_content or delta.reasoning or delta.reasoning_text
        if delta.content:
            self.part = self._text.get(choice.index, -1)
            text = delta.content if not thought and calls is None else ""
        elif calls is None:
            self.part = self._reasoning.get(choice.index, -1)
            text = thought or ""
        else:
            self.part = self._calls.get(choice.index, _NONE).get(calls[0].index, -1)
            text = calls[0].function.arguments if not thought else ""
        return text if text and self.part >= 0 else ""

    def texts_of(self, frames: list[Chunk]) -> list[str]:
        part = self.part
        texts = [self.text_of(frame) for frame in frames if self.part == part]
        return texts if self.part == part else []

    # The dict way

    def handle(self, event: str, frame: Fields) -> None:
        choices = list(frame.each("choices"))
        raw = frame.raw
        failed = raw.get("error") or event == "error" or raw.get("object") == "error"
        if not failed and "choices" not in raw and frame.word("message"):
            failed = True  # the error object itself, without its envelope
        if not self.started and not failed and not choices and not frame.word("id"):
            return  # Azure's first chunk: content filter results and nothing else
        told = _usage_in(frame, choices)
        counted = usage.read(told) if told is not None else None
        if not failed and not self.started:
            self._start(frame, counted)
        for choice in choices:
            if self.started and (not failed or choice.raw.get("delta")):
                self._choice(choice)
        if "citations" in raw:  # Perplexity: all of them on every chunk
            for citation in frame.list("citations"):
                if isinstance(citation, str) and citation not in self._cited:
                    self._cite_source(citation)
        if counted is not None and counted != self._usage and self.started:
            self._usage = counted
            self.usage(counted)
        failed = failed or ("x_groq" in raw and frame.noise("x_groq").raw.get("error"))
        if failed:
            self.report(raw if raw.get("error") or event == "error" else {**raw, "error": failed})

    def _start(self, frame: Fields, counted: Usage | None) -> None:
        self.model = frame.word("model")
        own = {key: word for key in _ECHOED if (word := frame.word(key))}
        created = frame.number("created")
        self._usage = counted
        self.start(frame.word("id"), self.model, created or None, counted, {self.dialect: own} if own else None)

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        return errors.read(payload)

    def end_of_stream(self) -> None:
        choices = sorted(self._choices.values(), key=lambda choice: choice.number)
        if not choices or not all(all(choice.wires.values()) for choice in choices):
            self.truncated()
            return
        failed = next((c.finish for c in choices if c.finish is not None and c.finish.unified == "error"), None)
        if failed is not None:
            self.report(
                {"error": {"message": f"the model stopped with finish_reason {failed.raw!r}", "code": failed.raw}}
            )
            return
        for choice in choices:
            for wire_index in choice.wires:
                self._end_parts(choice, wire_index)
            reason = choice.finish or FinishReason("unknown")
            self.events.append(Finish(choice.number, reason, choice.stop_sequence))
        self.end()

    def _choice(self, source: Fields) -> None:
        wire_index = source.integer("index") or 0
        number = 0 if self.context.choices == "merge" else wire_index
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(number)
        choice.wires.setdefault(wire_index, False)
        delta = source.fields("delta" if "delta" in source.raw else "message")
        said = delta.raw
        logprobs = source.noise("logprobs") if source.raw.get("logprobs") else _NO_FIELDS
        if _PLAIN.issuperset(said) or all(value is None or key in _PLAIN for key, value in said.items()):
            if said.get("content") or logprobs.raw:  # most of what comes this way
                self._content(choice, wire_index, delta, logprobs.list("content"))
            if source.raw.get("finish_reason"):
                self._finish(choice, wire_index, source)
            return
        self._reason(choice, wire_index, delta)
        self._content(choice, wire_index, delta, logprobs.list("content"))
        for sealed in choice.after_text:
            self._carry(choice, sealed)
        choice.after_text.clear()
        refusal = delta.text("refusal")
        if refusal:
            self._say(choice, wire_index, "refusal", refusal, logprobs.list("refusal"))
        for fragment in delta.each("tool_calls"):
            self._fragment(choice, wire_index, fragment)
        function = delta.fields("function_call")
        if _has_content(function.raw):
            self._fragment(choice, wire_index, Fields({"index": 0, "function": function.raw}))
        self._rest(choice, delta)
        self._finish(choice, wire_index, source)

    def _say(
        self, choice: _Choice, wire_index: int, kind: PartKind, text: str, logprobs: list[Any] | None = None
    ) -> None:
        """Text of a kind: extends the live part of that kind, or ends the live one and starts another."""
        part = choice.live.get(kind)
        if part is not None and part == choice.closed and text:
            part = None
        if part is None:
            if not text:
                return
            self._end_live(choice)
            choice.live_wire = wire_index
            part = choice.live[kind] = self.open(kind, choice=choice.number)
            for index in choice.calls:
                self._calls.pop(index, None)  # a call's next fragment must end this part
            if kind == "text":
                choice.text = part
            elif kind == "reasoning":
                choice.signed = part
                choice.signed_by = None
        if kind == "text":
            self._text[wire_index] = part
        elif kind == "reasoning":
            self._reasoning[wire_index] = part
        self.delta(part, text, logprobs or None)

    def _end_live(self, choice: _Choice) -> None:
        for part in choice.live.values():
            self.close_part(part)
            for slots in (self._text, self._reasoning):
                if part in slots.values():
                    for index in [index for index, live in slots.items() if live == part]:
                        del slots[index]
        choice.live.clear()

    def _content(self, choice: _Choice, wire_index: int, delta: Fields, logprobs: list[Any]) -> None:
        content = delta.raw.get("content")
        if not isinstance(content, list):
            self._say(choice, wire_index, "text", delta.text("content"), logprobs)
            return
        if logprobs:
            self.opaque({"logprobs": logprobs})
        for block in delta.each("content"):
            kind = block.word("type")
            if kind == "text":
                self._say(choice, wire_index, "text", block.text("text"))
            elif kind == "refusal":
                self._say(choice, wire_index, "refusal", block.text("refusal"))
            elif kind == "thinking":  # Mistral
                if isinstance(block.raw.get("thinking"), str):
                    self._say(choice, wire_index, "reasoning", block.text("thinking"))
                    continue
                for thought in block.each("thinking"):
                    if thought.word("type") not in ("text", ""):
                        self.opaque({"content": [block.raw]})
                    self._say(choice, wire_index, "reasoning", thought.text("text"))
                self._sign(choice, CONTENT, block.word("signature"))
            elif kind == "reasoning":  # Databricks
                for summary in block.each("summary"):
                    self._say(choice, wire_index, "reasoning", summary.text("text"))
                    self._sign(choice, CONTENT, summary.word("signature"))
            else:
                self.opaque({"content": [block.raw]})

    def _reason(self, choice: _Choice, wire_index: int, delta: Fields) -> None:
        """Reasoning. Its text may stand twice, in a plain field and in entries; where they agree the entries count."""
        plain = next((delta.text(name) for name in REASONING_FIELDS if delta.raw.get(name)), "")
        details, blocks = list(delta.each("reasoning_details")), list(delta.each("thinking_blocks"))
        told = bool(plain) and plain != "".join(map(_text_of, details or blocks))
        if told:
            self._say(choice, wire_index, "reasoning", plain)
        for detail in details:  # OpenRouter
            repeats = not plain and choice.plain and detail.raw.get("signature")
            self._detail(choice, wire_index, detail, told or bool(repeats))
        for block in blocks if not details else ():  # LiteLLM
            repeats = block.raw.get("signature") and (choice.plain or choice.repeats(_text_of(block)))
            self._thinking(choice, wire_index, block, told or (not plain and bool(repeats)))
        choice.plain = choice.plain or bool(plain)
        self._sign(choice, REASONING_OPAQUE, delta.text("reasoning_opaque"))

    def _detail(self, choice: _Choice, wire_index: int, detail: Fields, told: bool) -> None:
        kind = detail.word("type")
        index = detail.number("index")
        model = detail.word("model")
        scheme = self._scheme(choice, detail, index) + (NAMED if model else "")
        if kind == "reasoning.encrypted":
            self._redacted(choice, scheme, detail.text("data"), model)
        elif kind in ("reasoning.text", "reasoning.summary"):
            if not told:
                self._say(choice, wire_index, "reasoning", _text_of(detail))
            self._sign_entry(choice, scheme, detail.text("signature"), index, model)
        else:
            self.opaque({"reasoning_details": [detail.raw]})

    def _thinking(self, choice: _Choice, wire_index: int, block: Fields, told: bool) -> None:
        if block.word("type") == "redacted_thinking":
            self._redacted(choice, THINKING_BLOCKS, block.text("data"))
            return
        if not told:
            choice.thoughts.append(_text_of(block))
            choice.thought += len(_text_of(block))
            self._say(choice, wire_index, "reasoning", _text_of(block))
        if block.raw.get("signature"):
            choice.blocks += 1
            self._sign_entry(choice, THINKING_BLOCKS, block.text("signature"), choice.blocks)

    def _scheme(self, choice: _Choice, detail: Fields, index: int | None) -> str:
        """Whose signature an entry has: its format, as it says itself or as an entry of its index said before."""
        format = detail.word("format")
        if index is not None:
            format = choice.formats[index] = format or choice.formats.get(index, "")
        return SCHEME + format

    def _sign_entry(self, choice: _Choice, scheme: str, value: str, index: int | None, model: str = "") -> None:
        """The signature of an entry: of the last reasoning, or of one without text if that has another's already."""
        if not value:
            return
        sealed = self._sealed(scheme, value, model)
        if sealed.signs == "text":
            choice.after_text.append(sealed)
            return
        if sealed.signs == "call":
            self._carry(choice, sealed)
            return
        if choice.signed is None or (choice.signed_by is not None and choice.signed_by != index):
            self._end_live(choice)
            choice.signed = self.open("reasoning", choice=choice.number)
            choice.live["reasoning"] = choice.signed
        choice.signed_by = index
        choice.closed = choice.signed
        for slot in [slot for slot, part in self._reasoning.items() if part == choice.signed]:
            del self._reasoning[slot]
        self.unlearn()
        self.put_signature(choice.signed, sealed)

    def _carry(self, choice: _Choice, sealed: Sealed) -> None:
        """A signature of something else than reasoning: a reasoning part without text, next to what it signs."""
        self._end_live(choice)
        part = self.open("reasoning", choice=choice.number)
        self.put_signature(part, sealed)
        self.close_part(part)

    def _sealed(self, scheme: str, value: str, model: str = "") -> Sealed:
        return unseal(value) or Sealed(scheme, model or self.signer, value)

    def _google(self, source: Fields, signs: Signs) -> Sealed | None:
        """Gemini's signature of a call or of the text."""
        extra = source.noise("extra_content")
        for vendor in ("google", "vertex"):
            value, model = extra.noise(vendor).word("thought_signature"), extra.noise(vendor).word("model")
            if value:
                return self._sealed(GOOGLE + (NAMED if model else ""), value, model)._replace(signs=signs)
        return None

    def _sign(self, choice: _Choice, scheme: str, value: str) -> None:
        """A signature of the reasoning so far; without any it stands alone as redacted reasoning."""
        if not value:
            return
        if choice.signed is None:
            self._redacted(choice, scheme, value)
        else:
            self.sign(choice.signed, scheme, value)

    def _redacted(self, choice: _Choice, scheme: str, data: str, model: str = "") -> None:
        if data:
            self._end_live(choice)
            part = self.open("redacted", choice=choice.number)
            self.put_signature(part, self._sealed(scheme, data, model))
            self.close_part(part)

    def _fragment(self, choice: _Choice, wire_index: int, fragment: Fields) -> None:
        custom = fragment.word("type") == "custom" or _has_content(fragment.noise("custom").raw)
        kind: PartKind = "custom_tool" if custom else "tool"
        function = fragment.fields("custom" if kind == "custom_tool" else "function")
        arguments = function.raw.get("input" if kind == "custom_tool" else "arguments")
        if isinstance(arguments, dict | list):
            arguments = dumps(arguments).decode("utf-8")
        elif arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            raise function.wrong("arguments", "a string")
        id = fragment.word("id")
        id = "" if id == "null" else id  # Mistral
        index = fragment.integer("index")
        calls = choice.calls.setdefault(wire_index, Calls())
        call = calls.resolve(index, id, function.text("name"), arguments)
        signature = self._google(fragment, "call")
        if call.part is None:
            call.signature = signature or call.signature
            self._open_call(choice, call, kind)
        if call.part is None:
            call.arguments.append(arguments)
            return
        self._end_live(choice)
        if index is not None and kind == "tool":
            self._calls.setdefault(wire_index, {})[index] = call.part
        self.delta(call.part, arguments)
        if signature and signature != call.signature:
            self.put_signature(call.part, signature._replace(signs="part"))

    def _open_call(self, choice: _Choice, call: Call, kind: PartKind) -> None:
        if call.name:
            self._end_live(choice)
            if call.signature:
                self._carry(choice, call.signature)
            id = call.id or call_id(self.seed, self.next_part)
            call.part = choice.last_call = self.open(kind, choice=choice.number, id=id, name=call.name)
            choice.called = True
            for waiting in call.arguments:
                self.delta(call.part, waiting)
            call.arguments.clear()

    def _rest(self, choice: _Choice, delta: Fields) -> None:
        for annotation in delta.each("annotations"):
            self._cite(choice, annotation)
        google = self._google(delta, "text")
        if google:
            self._sign_last(choice, google)
        for image in delta.each("images"):
            self._end_live(choice)
            self.close_part(self.open("image", choice=choice.number, meta={self.dialect: {"image": image.raw}}))
        audio = delta.fields("audio").raw
        for key, value in audio.items() if _has_content(audio) else ():
            if isinstance(value, str):
                choice.audio.setdefault(key, []).append(value)
            elif value is not None:
                choice.audio[key] = [value]
        unknown = {k: v for k, v in delta.raw.items() if k not in DELTA_FIELDS and _has_content(v)}
        if unknown:
            self.opaque(unknown)

    def _sign_last(self, choice: _Choice, sealed: Sealed) -> None:
        """Gemini's signature of the last call, else of the text, sent on its own."""
        if choice.last_call is not None:
            self.put_signature(choice.last_call, sealed._replace(signs="part"))
        else:
            self._carry(choice, sealed)

    def _cite(self, choice: _Choice, annotation: Fields) -> None:
        if choice.text is None:
            self.opaque({"annotations": [annotation.raw]})
            return
        source = annotation.noise(annotation.word("type")) if annotation.word("type") else annotation
        self.events.append(
            Citation(
                choice.text,
                url=source.word("url") or None,
                title=source.word("title") or None,
                cited_text=source.word("content") or None,
                start=source.number("start_index"),
                end=source.number("end_index"),
                raw={self.dialect: annotation.raw},
            )
        )

    def _cite_source(self, url: str) -> None:
        text = next((choice.text for choice in self._choices.values() if choice.text is not None), None)
        if text is not None:
            self._cited.add(url)
            self.events.append(Citation(text, url=url))

    def _finish(self, choice: _Choice, wire_index: int, source: Fields) -> None:
        raw = source.word("finish_reason")
        if raw in ("", "null"):
            return
        unified = FINISH_READ.get(raw, "unknown")
        matched = source.raw.get("stop_reason") or source.raw.get("matched_stop")  # vLLM, SGLang
        if unified == "end" and isinstance(matched, str):
            choice.stop_sequence = matched
            unified = "stop_sequence"
        if unified in ("end", "unknown") and choice.called:
            unified = "tool"
        choice.wires[wire_index] = True
        self._end_parts(choice, wire_index)
        last = choice.finish
        if last is None or FINISH_RANK.get(unified, 3) > FINISH_RANK.get(last.unified, 3):
            choice.finish = FinishReason(unified, raw)

    def _end_parts(self, choice: _Choice, wire_index: int) -> None:
        """Calls have no end mark: the finish ends them, and whatever else is open."""
        if choice.live_wire == wire_index:
            self._end_live(choice)
        calls = choice.calls.pop(wire_index, None)
        if not choice.calls:
            choice.last_call = None
        for call in calls.all if calls is not None else ():
            if call.part is None:
                self.opaque({"tool_calls": [{"id": call.id, "arguments": "".join(call.arguments)}]})
            else:
                self.close_part(call.part)
        self._calls.pop(wire_index, None)
        if choice.audio:
            audio = {
                key: pieces[-1] if key not in _PIECEWISE else "".join(pieces) for key, pieces in choice.audio.items()
            }
            self.close_part(self.open("audio", choice=choice.number, meta={self.dialect: {"audio": audio}}))
            choice.audio = {}


def _text_of(entry: Fields) -> str:
    """The text of a reasoning detail or a thinking block."""
    return entry.text("text") or entry.text("summary") or entry.text("thinking")


def _usage_in(frame: Fields, choices: list[Fields]) -> Mapping[str, Any] | None:
    """The chunk's usage; Groq has it in `x_groq`, Moonshot in the choice."""
    own = frame.raw.get("usage")
    if type(own) is dict and own:
        return cast("dict[str, Any]", own)
    for place in (frame.noise("x_groq"), *choices) if "x_groq" in frame.raw else choices:
        if "usage" in place.raw and (raw := place.noise("usage").raw):
            return raw
    return None


def _has_content(value: Any) -> bool:
    """Whether an unknown value says anything: not null, empty, or an object of nothing but such."""
    if isinstance(value, dict):
        return any(map(_has_content, value.values()))
    return value not in (None, "", [], False)
