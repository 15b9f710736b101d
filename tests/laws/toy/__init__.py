"""A dialect that only the tests have: neutral events, spelled one to one. It is copied into a temporary folder to be found there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from ccproxy.core.assemble import Message
from ccproxy.core.events import (
    Citation,
    Delta,
    Event,
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
from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.reader import BaseReader
from ccproxy.core.spi import Context, Dialect
from ccproxy.core.vocab import FinishReason, Usage
from ccproxy.core.writer import BaseWriter
from ccproxy.wire.json import Hole, loads

NAME = "toy"
KINDS = ("text", "reasoning", "redacted", "tool", "custom_tool", "refusal")


class Say(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    toy: Literal["say"]
    part: int
    text: str


def read_error(payload: Mapping[str, Any]) -> StreamError:
    fields = Fields(payload)
    kind: Any = fields.word("kind") or "internal"
    return StreamError(kind, fields.word("message") or "failed", raw={NAME: payload})


def write_error(error: StreamError) -> dict[str, Any]:
    return {"toy": "fail", "kind": error.kind, "message": error.message}


class Reader(BaseReader):
    dialect: ClassVar[str] = NAME
    delta_type = Say

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._open: dict[int, int] = {}  # choices by part
        self._finishes: list[Finish] = []
        self._choices = {0}

    def text_of(self, frame: Say) -> str:
        self.part = frame.part
        return frame.text if frame.part in self._open else ""

    def texts_of(self, frames: list[Say]) -> list[str]:
        return [frame.text for frame in frames if frame.part == frames[0].part]

    def handle(self, event: str, frame: Fields) -> None:
        name = frame.word("toy")
        if name == "fail":
            self.report(frame.raw)
        elif name == "start" or self.started:
            getattr(self, f"_{name}", self._unknown)(frame)
        else:
            self.fail("protocol", f"{name} before the start")

    def _unknown(self, frame: Fields) -> None:
        self.opaque(frame.raw)

    def _start(self, frame: Fields) -> None:
        self.start(frame.word("id"), frame.word("model"))

    def _part(self, frame: Fields) -> None:
        kind: Any = frame.word("kind")
        if kind not in KINDS:
            self.fail("protocol", f"unknown kind {kind!r}")
            return
        choice = frame.integer("choice") or 0
        self._choices.add(choice)
        self._open[self.open(kind, choice=choice, id=frame.word("id"), name=frame.text("name"))] = choice

    def _say(self, frame: Fields) -> None:
        self.delta(frame.integer("part") or 0, frame.text("text"))

    def _sign(self, frame: Fields) -> None:
        part = frame.integer("part") or 0
        self.events.append(Signature(part, frame.text("scheme"), frame.text("value"), frame.text("model")))

    def _cite(self, frame: Fields) -> None:
        part = frame.integer("part") or 0
        self.events.append(Citation(part, frame.word("url") or None, frame.word("title") or None))

    def _end(self, frame: Fields) -> None:
        part = frame.integer("part") or 0
        self._open.pop(part, None)
        self.close_part(part)

    def _usage(self, frame: Fields) -> None:
        names = ("input", "cache_read", "cache_write", "output", "reasoning")
        ttl = {name: count for name in frame.noise("ttl").raw if (count := frame.noise("ttl").number(name)) is not None}
        self.usage(Usage(**{name: frame.number(name) for name in names}, cache_write_ttl=ttl or None))

    def _ping(self, frame: Fields) -> None:
        self.ping()

    def _finish(self, frame: Fields) -> None:
        reason: Any = frame.word("reason")
        choice = frame.integer("choice") or 0
        self._finishes.append(Finish(choice, FinishReason(reason, reason), frame.word("stop") or None))

    def _over(self, frame: Fields) -> None:
        self.end_of_stream()

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        return read_error(payload)

    def end_of_stream(self) -> None:
        if self._choices - {finish.choice for finish in self._finishes}:
            self.truncated()
            return
        for part in list(self._open):
            self.close_part(part)
        self.events += self._finishes
        self.end()


class Writer(BaseWriter):
    dialect: ClassVar[str] = NAME

    def _say(self, toy: str, /, **fields: Any) -> None:
        self.frame({"toy": toy, **fields})

    def on_start(self, event: StreamStart) -> None:
        self._numbers: dict[int, int] = {}
        self._say("start", id=event.id, model=self.context.model or event.model)
        if event.usage is not None:
            self.on_usage(UsageUpdate(event.usage))

    def on_part(self, event: PartStart) -> None:
        if event.kind not in KINDS:
            self.losses.add("part", event.part, event.kind)
            return
        number = self._numbers[event.part] = len(self._numbers)
        self._say("part", kind=event.kind, choice=event.choice, id=event.id, name=event.name)
        self.stream_into(event.part, {"toy": "say", "part": number, "text": Hole.TEXT})

    def on_delta(self, event: Delta) -> None:
        if event.part in self._numbers:
            if event.logprobs:
                self.losses.add("logprobs", event.part, "log probabilities")
            for text in event.texts:
                self._say("say", part=self._numbers[event.part], text=text)

    def on_signature(self, event: Signature) -> None:
        if event.part in self._numbers:
            part = self._numbers[event.part]
            self._say("sign", part=part, scheme=event.scheme, value=event.value, model=event.model)

    def on_citation(self, event: Citation) -> None:
        if event.part in self._numbers:
            self._say("cite", part=self._numbers[event.part], url=event.url, title=event.title)

    def on_part_end(self, event: PartEnd) -> None:
        self.stop_streaming(event.part)
        if event.part in self._numbers:
            self._say("end", part=self._numbers[event.part])

    def on_usage(self, event: UsageUpdate) -> None:
        usage = event.usage
        names = ("input", "cache_read", "cache_write", "output", "reasoning")
        self._say("usage", **{name: getattr(usage, name) for name in names}, ttl=usage.cache_write_ttl)

    def on_finish(self, event: Finish) -> None:
        self._say("finish", choice=event.choice, reason=event.reason.unified, stop=event.stop_sequence)

    def on_error(self, event: StreamError) -> None:
        self.frame(write_error(event))

    def on_end(self, event: StreamEnd) -> None:
        self._say("over")

    def on_ping(self, event: Ping) -> None:
        self._say("ping")

    def on_opaque(self, event: Opaque) -> None:
        self.losses.add("opaque", event.part, event.source)


def body(message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    """The frames of a stream in one object, each part's text in one of them."""
    events: list[Event] = [message.start or StreamStart("")]
    for part in message.parts:
        number = part.start.part
        events.append(part.start)
        if part.text or part.logprobs:
            events.append(Delta(number, [part.text], part.logprobs or None))
        events += [*filter(None, [part.signature]), *part.citations, PartEnd(number)]
    if message.usage is not None:
        events.append(UsageUpdate(message.usage))
    data = Writer(context, losses, message.parts.__getitem__).write([*events, *message.finishes.values(), StreamEnd()])
    return {"says": [loads(frame.removeprefix(b"data: ")) for frame in data.split(b"\n\n") if frame]}


def frames(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for say in Fields(body).each("says"):
        yield "", say.raw


DIALECT = Dialect(
    name=NAME,
    title="Toy",
    serial=False,
    reader=Reader,
    writer=Writer,
    body=body,
    frames=frames,
    sniff=lambda event, payload: "toy" in payload,
    read_error=read_error,
    write_error=write_error,
)
