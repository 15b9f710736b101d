"""Events to Responses API frames.

The target is serial. Parts of one group share an item; an item is done when the next one begins or the stream
finishes, since only then it is known whether it goes on and whether it is complete.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from ccproxy.core.assemble import Message, Part
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
from ccproxy.core.parts import digest
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishReason, Usage
from ccproxy.core.writer import BaseWriter
from ccproxy.wire.json import Counter, Hole, dumps

from . import errors, response, usage
from .maps import ITEM_EVENTS, PART_EVENTS, PROGRESS, TextEvents

_KEPT_WHEN_DONE: Final = ("text", "refusal", "reasoning", "tool", "custom_tool")
"""Kinds of parts that clients run or keep as said when their item is done."""


class _Item:
    """The open output item."""

    __slots__ = ("ended", "id", "index", "open", "parts", "places", "start", "told")

    def __init__(self, start: PartStart, id: str, index: int) -> None:
        self.start = start
        self.id = id
        self.index = index
        self.parts: dict[int, PartStart] = {}
        """Those that have begun, by number."""
        self.ended = False
        """Whether its last part has ended."""
        self.places: dict[str, int] = {}
        """How many content parts there are for each kind of index."""
        self.open: tuple[TextEvents, dict[str, Any]] | None = None
        """Of the content part that is not done: its events, and the fields that address it."""
        self.told: dict[int, Part] = {}
        """The parts that are done."""


class Writer(BaseWriter):
    dialect: ClassVar[str] = "openai-responses"

    def __init__(self, context: Context, losses: Losses, parts: Callable[[int], Part]) -> None:
        super().__init__(context, losses, parts)
        self.counter = self._counter = Counter()
        self._response: dict[str, Any] | None = None
        self._seed = context.ids or ""
        self._item: _Item | None = None
        self._pending: PartStart | None = None  # a part that has said nothing yet
        self._output: list[dict[str, Any]] = []
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._cited = response.Cited(losses)
        # What was said of parts, as of now: the parts that `part` gives may be ahead of what is being written.
        self._signatures: dict[int, Signature] = {}
        self._citations: dict[int, list[Citation]] = {}
        self._called = False

    def on_start(self, event: StreamStart) -> None:
        self._seed = self._seed or event.id
        self._note_usage(event.usage)
        self._response = response.envelope(event, self.context)
        written = msgspec.Raw(dumps(self._response))
        for name in ("response.created", "response.in_progress"):
            self._event(name, response=written)

    # Items and parts

    def on_part(self, event: PartStart) -> None:
        if not response.places(event):
            response.lose(event, self.losses)
            return
        self._end_part()
        self._pending = event
        if event.kind not in ("text", "refusal", "reasoning"):
            self._begin(event)
        self._called = self._called or event.kind in ("tool", "custom_tool")

    def _begin(self, start: PartStart) -> _Item:
        """The part says something: begin it, and its item if it is the first."""
        self._pending = None
        item = self._item
        if item is None or not response.continues(start, item.start):
            self._end_item("completed")
            index = len(self._output)
            item = self._item = _Item(start, response.item_id(start, self._seed, index), index)
            self._event("response.output_item.added", output_index=index, item=response.skeleton(start, item.id))
        item.parts[start.part] = start
        item.ended = False
        events = ITEM_EVENTS.get(response.item_type(start))
        if events is not None:
            address = {"item_id": item.id, "output_index": item.index}
            item.open = (events, address)
            self._stream(start, events, address)
        elif start.kind in ("text", "refusal"):
            self._begin_content(item, start)
        elif start.kind == "opaque" and "part" in start.meta[self.dialect]:
            place = self._take_place(item, "content_index")
            address = {"item_id": item.id, "output_index": item.index, "content_index": place}
            content = start.meta[self.dialect]["part"]
            self._event("response.content_part.added", **address, part=content)
            self._event("response.content_part.done", **address, part=content)
        return item

    def _begin_content(self, item: _Item, start: PartStart) -> None:
        """A part of a message or of reasoning, which is announced."""
        shape = response.content(Part(start), self.context, response.no_citations)
        events = PART_EVENTS[shape["type"]]
        place = self._take_place(item, events.place)
        address = {"item_id": item.id, "output_index": item.index, events.place: place}
        item.open = (events, address)
        self._event(self._part_event(events, "added"), **address, part=shape)
        self._stream(start, events, address)

    @staticmethod
    def _take_place(item: _Item, place: str) -> int:
        index = item.places.get(place, 0)
        item.places[place] = index + 1
        return index

    @staticmethod
    def _part_event(events: TextEvents, state: str) -> str:
        summary = events.place == "summary_index"
        return f"response.{'reasoning_summary_part' if summary else 'content_part'}.{state}"

    def _stream(self, start: PartStart, events: TextEvents, address: dict[str, Any]) -> None:
        name = f"{events.stem}.delta"
        payload = {"type": name, "sequence_number": Hole.COUNT, **address, "delta": Hole.TEXT}
        if start.kind == "text":
            payload["logprobs"] = []
        self.stream_into(start.part, payload, name)

    def on_delta(self, event: Delta) -> None:
        if self._pending is not None and self._pending.part == event.part:
            self._begin(self._pending)
        item = self._item
        start = item.parts.get(event.part) if item is not None else None
        if item is None or start is None:
            return
        if item.open is None and start.kind == "reasoning":
            self._begin_content(item, start)
        if item.open is None:
            return
        if event.logprobs is None:
            self.out.append(self.encode_texts(event.part, event.texts))
            return
        if item.start.kind != "text":
            self.losses.add("logprobs", event.part, f"log probabilities of {item.start.kind}")
        events, address = item.open
        logprobs = {"logprobs": event.logprobs} if events.stem == "response.output_text" else {}
        self._event(f"{events.stem}.delta", **address, delta="".join(event.texts), **logprobs)

    def on_signature(self, event: Signature) -> None:
        pending = self._pending
        if pending is not None and pending.part == event.part and pending.kind == "reasoning":
            self._begin(pending)  # the item's encrypted_content
        start = self._item.parts.get(event.part) if self._item else None
        if start is not None and start.kind in ("reasoning", "redacted"):
            self._signatures[event.part] = event
        else:
            self.losses.add("signature", event.part, f"{event.scheme} signature")

    def on_citation(self, event: Citation) -> None:
        start = self._pending
        if start is None or start.part != event.part:
            item = self._item
            start = item.parts.get(event.part) if item is not None and item.open is not None else None
        if start is not None and start.kind == "text":
            self._citations.setdefault(event.part, []).append(event)
        else:
            self._lose_citation(event)

    def _lose_citation(self, event: Citation) -> None:
        self.losses.add("citation", event.part, event.url or event.title or "citation")

    def on_part_end(self, event: PartEnd) -> None:
        if self._item is not None and event.part in self._item.parts:
            self._item.ended = True
        pending = self._pending
        if pending is not None and pending.part == event.part:
            self._pending = None
            if pending.kind == "reasoning" and self.dialect in pending.meta:
                self._begin(pending)  # an item without content is still the one that calls refer to
            else:
                for citation in self._citations.pop(event.part, ()):
                    self._lose_citation(citation)

    def _end_part(self) -> None:
        """The done events of the content part that is open."""
        item = self._item
        if item is None or item.open is None:
            return
        events, address = item.open
        item.open = None
        start = next(reversed(item.parts.values()))
        self.stop_streaming(start.part)
        part = item.told[start.part] = self._told(start.part)
        if events.item:
            text = part.text
            if start.kind == "tool" and not text:
                text = "{}"
                self._event(f"{events.stem}.delta", **address, delta=text)
            name = {"name": start.name} if start.kind == "tool" else {}
            if text or start.kind != "server_tool":
                self._event(f"{events.stem}.done", **address, **{events.field: text}, **name)
            return
        shape = response.content(part, self.context, self._cited)
        for position, annotation in enumerate(shape.get("annotations", ())):
            self._event(
                "response.output_text.annotation.added", **address, annotation_index=position, annotation=annotation
            )
        logprobs = {"logprobs": shape["logprobs"]} if "logprobs" in shape else {}
        self._event(f"{events.stem}.done", **address, **{events.field: part.text}, **logprobs)
        self._event(self._part_event(events, "done"), **address, part=shape)

    def _end_item(self, status: str) -> None:
        item = self._item
        if item is None:
            return
        self._end_part()
        done = self._done(item, status)
        self._item = None
        self._output.append(done)
        self._event("response.output_item.done", output_index=item.index, item=done)

    def _done(self, item: _Item, status: str) -> dict[str, Any]:
        parts = [self._told(number, item.told.get(number)) for number in item.parts]
        return response.item(parts, item.id, status, self.context, self._cited)

    def _told(self, number: int, part: Part | None = None) -> Part:
        part = part or self.part(number)
        part.signature = self._signatures.get(number)
        part.citations = self._citations.get(number, [])
        return part

    # The end

    def on_usage(self, event: UsageUpdate) -> None:
        self._note_usage(event.usage)

    def _note_usage(self, counted: Usage | None) -> None:
        self._usage = counted
        if counted is not None:
            usage.report(counted, self.losses)

    def on_finish(self, event: Finish) -> None:
        self._finish = event

    def on_end(self, event: StreamEnd) -> None:
        finish = self._finish or Finish(0, FinishReason("unknown"))
        status, reason = response.terminal(finish, self._called, self.losses)
        self._end_item("completed" if status == "completed" else "incomplete")
        own = finish.meta.get(self.dialect, {}).get("response", {})
        last = {key: value for key, value in own.items() if key not in ("id", "model", "output", "usage", "status")}
        details = {"reason": reason} if reason else None
        self._terminal(status, **{**last, "incomplete_details": details})

    def on_error(self, event: StreamError) -> None:
        if self._response is None:
            self.on_start(StreamStart(digest(self._seed, event.kind, event.message)))
        item = self._item
        if item is not None and (item.ended or item.start.kind not in _KEPT_WHEN_DONE):
            self._end_item("completed" if item.ended else "incomplete")
        elif item is not None:  # no done event for what was cut: clients run such a call, and keep such a text as said
            self._output.append(self._done(item, "incomplete"))
        error = errors.write(event)
        self._event("error", error=error)
        self._terminal("failed", error={"code": error["code"], "message": error["message"]})

    def _terminal(self, status: str, /, **fields: Any) -> None:
        last = {**(self._response or {}), **fields, "status": status, "output": self._output}
        name = "incomplete" if status == "cancelled" else status  # there is no event of its own for it
        self._event(f"response.{name}", response={**last, "usage": usage.write(self._usage)})

    def interrupt(self, message: Message, error: StreamError) -> bytes:
        if message.start is not None:
            self.write([message.start])
        self._counter.value = error.frame
        self._usage = message.usage
        return self.write([error])

    # What is not about parts

    def on_ping(self, event: Ping) -> None:
        self.out.append(b": ping\n\n")

    def on_opaque(self, event: Opaque) -> None:
        name = str(event.payload.get("type", ""))
        item = self._item
        if event.source == self.dialect and name in PROGRESS and item is not None and event.part in item.parts:
            number = self._counter.take()
            place = {"sequence_number": number, "output_index": item.index, "item_id": item.id}
            self.frame({**event.payload, **place}, name)
        else:
            self.losses.add("opaque", event.part, f"{event.source}: {name or ', '.join(event.payload)}")

    def _event(self, name: str, /, **fields: Any) -> None:
        self.frame({"type": name, "sequence_number": self._counter.take(), **fields}, name)
