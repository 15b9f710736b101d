"""Events to Gemini chunks."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from ccproxy.core.assemble import Part
from ccproxy.core.events import (
    Citation,
    Delta,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Ping,
    Signature,
    StreamEnd,
    StreamError,
    StreamStart,
    UsageUpdate,
)
from ccproxy.core.losses import Losses
from ccproxy.core.spi import Context
from ccproxy.core.vocab import Usage
from ccproxy.core.writer import BaseWriter
from ccproxy.wire.json import Hole, is_object

from . import errors, logprobs, response, usage

_EMPTY: Final = {"parts": [{"text": ""}], "role": "model"}


class _Choice:
    """What one candidate has said so far, as far as its last chunk depends on it."""

    __slots__ = ("citations", "finish", "kinds", "parts", "waiting")

    def __init__(self) -> None:
        self.parts: list[int] = []
        self.kinds: set[str] = set()
        self.citations: list[Citation] = []
        self.waiting: Signature | None = None
        """The signature of the call that follows."""
        self.finish: Finish | None = None


class Writer(BaseWriter):
    """The target is serial: one part of each candidate is open at a time. A call is written whole when it has ended."""

    dialect: ClassVar[str] = response.SCHEME

    def __init__(self, context: Context, losses: Losses, parts: Callable[[int], Part]) -> None:
        super().__init__(context, losses, parts)
        self._base: dict[str, Any] = {}
        self._open: dict[int, PartStart] = {}  # the open parts that have a place here
        self._signatures: dict[int, Signature] = {}  # of open parts: the last one counts, so it waits for the end
        self._choices: dict[int, _Choice] = {}
        self._choice_of: dict[int, _Choice] = {}  # by part
        self._usage: Usage | None = None

    def writes(self, part: int) -> Callable[[str], bytes] | None:
        start = self._open.get(part)
        if start is not None and start.kind in response.CALLS:
            return _nothing
        return super().writes(part)

    def on_start(self, event: StreamStart) -> None:
        self._base = response.envelope(event, self.context)
        self._usage = event.usage

    def on_part(self, event: PartStart) -> None:
        response.report(event, self.losses)
        if not response.places(event):
            return
        choice = self._choice(event.choice)
        choice.parts.append(event.part)
        choice.kinds.add(event.kind)
        self._choice_of[event.part] = choice
        self._open[event.part] = event
        own = response.whole(event)
        if own is not None:
            self._write(event.choice, own)
        elif event.kind in response.TEXTS:
            self.stream_into(event.part, self._payload(event.choice, {"text": Hole.TEXT}))
        elif event.kind == "reasoning":
            self.stream_into(event.part, self._payload(event.choice, response.thought(Hole.TEXT)))

    def on_delta(self, event: Delta) -> None:
        start = self._open.get(event.part)
        if start is None:
            return
        if event.logprobs and start.kind == "text":
            result = {"logprobsResult": logprobs.write(event.logprobs)}
            self.frame(self._payload(start.choice, {"text": "".join(event.texts)}, **result))
            return
        if event.logprobs:
            self.losses.add("logprobs", event.part, f"log probabilities of {start.kind}")
        if self.writes(event.part) not in (None, _nothing):
            self.out.append(self.encode_texts(event.part, event.texts))

    def on_signature(self, event: Signature) -> None:
        start = self._open.get(event.part)
        if start is None or not response.carries(start):
            self.losses.add("signature", event.part, f"{event.scheme} signature")
        else:
            self._signatures[event.part] = event

    def on_citation(self, event: Citation) -> None:
        choice = self._choice_of.get(event.part)
        if choice is not None:
            choice.citations.append(event)

    def on_part_end(self, event: PartEnd) -> None:
        self.stop_streaming(event.part)
        start = self._open.pop(event.part, None)
        if start is None:
            return
        choice = self._choices[start.choice]
        signature = self._signatures.pop(event.part, None)
        if start.kind in response.CALLS:
            self._call(start, signature)
            return
        if choice.waiting is not None and (
            signature is not None or response.whole(start) is not None or self.part(event.part).text
        ):
            self._orphan(choice)
        self._sign(start, signature)

    def _call(self, start: PartStart, signature: Signature | None) -> None:
        part = self.part(start.part)
        if part.end is None and not (start.kind == "tool" and is_object(part.text)):
            self._cut(start)  # the stream fails, and another part waits for the end of this one
            return
        choice = self._choice(start.choice)
        if signature is not None:
            self._orphan(choice)
        self._write(start.choice, response.call(part, signature or choice.waiting, self.losses))
        choice.waiting = None

    def _cut(self, start: PartStart) -> None:
        self.losses.add("part", start.part, f"{start.kind} {start.name}, which was cut")

    def _sign(self, start: PartStart, signature: Signature | None) -> None:
        if signature is None:
            return
        signed = response.signed(self.part(start.part), signature)
        if signed is None:
            self._choice(start.choice).waiting = signature
        else:
            self._write(start.choice, signed)

    def _orphan(self, choice: _Choice) -> None:
        if choice.waiting is not None:
            response.orphan(choice.waiting, self.losses)
            choice.waiting = None

    def on_usage(self, event: UsageUpdate) -> None:
        self._usage = event.usage

    def on_finish(self, event: Finish) -> None:
        choice = self._choice(event.choice)
        choice.finish = event
        self._orphan(choice)

    def on_end(self, event: StreamEnd) -> None:
        candidates: list[dict[str, Any]] = []
        top: dict[str, Any] = {}
        for number, choice in sorted(self._choices.items()):
            if choice.finish is None:
                continue
            texts = response.texts_of([self.part(part) for part in choice.parts]) if choice.citations else []
            end, beside = response.last(choice.finish, choice.kinds, texts, choice.citations, self.losses)
            top |= beside
            if choice.parts or not response.blocked(choice.finish):
                candidates.append({"content": _EMPTY, "index": number, **end})
        if self._usage is not None:
            usage.report(self._usage, self.losses)
            top["usageMetadata"] = usage.write(self._usage)
        self.frame({**({"candidates": candidates} if candidates else {}), **top, **self._base})

    def on_error(self, event: StreamError) -> None:
        for number, start in self._open.items():
            if start.kind in response.CALLS:
                self._cut(start)
            else:
                self._sign(start, self._signatures.get(number))
        for choice in self._choices.values():
            self._orphan(choice)
        self.frame(errors.write(event))

    def on_ping(self, event: Ping) -> None:
        """Nothing may be written but chunks: the official SDK can't read anything else."""

    def on_opaque(self, event: Opaque) -> None:
        if event.source == self.dialect:
            if "groundingMetadata" not in event.payload:  # which the last chunk has
                self.frame({**event.payload, **self._base})
        else:
            self.losses.add("opaque", event.part, f"{event.source}: {', '.join(event.payload)}")

    def _choice(self, number: int) -> _Choice:
        return self._choices.setdefault(number, _Choice())

    def _write(self, number: int, part: dict[str, Any]) -> None:
        self.frame(self._payload(number, part))

    def _payload(self, number: int, part: dict[str, Any], **more: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": number, **more}
        return {"candidates": [candidate], **self._base}


def _nothing(_: str) -> bytes:
    """A delta of a call waits for its end."""
    return b""
