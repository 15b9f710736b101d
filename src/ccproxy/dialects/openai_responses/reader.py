"""Responses API events to neutral events.

State is keyed by `output_index`: GitHub Copilot gives an item another id in every event. Several items may be open.
A part ends when its item goes on to the next one or is done, so that what the end of the item tells (its
`encrypted_content`) still belongs to an open part.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, get_args

from ccproxy.core.events import Citation, Finish, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.parts import call_id
from ccproxy.core.reader import BaseReader
from ccproxy.core.signatures import unseal
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishKind, FinishReason, PartKind
from ccproxy.wire.json import dumps, join

from . import errors, usage
from .maps import INCOMPLETE_READ, ITEM_EVENTS, ITEM_KIND, PART_EVENTS, TEXT_EVENTS, TextEvents
from .response import SCHEME
from .wire_types import DeltaFrame

_TYPES: Final[Mapping[str, type]] = {
    str(kind.__struct_config__.tag).removesuffix(".delta"): kind for kind in get_args(DeltaFrame)
}
"""The typed delta frames by the stem of their names."""


class _Item:
    """One output item."""

    __slots__ = ("annotations", "done", "group", "held", "index", "live", "parts", "raw", "type")

    def __init__(self, index: int, group: int, raw: Fields) -> None:
        self.index = index
        self.group = group
        self.type = raw.word("type")
        self.raw = raw
        self.parts: dict[tuple[str, int], int] = {}
        """Part numbers by (stem of their events, content_index or summary_index)."""
        self.live: tuple[str, int] | None = None
        """The open part."""
        self.annotations: dict[int, int] = {}
        """How many annotations have come, by part."""
        self.done = False
        self.held: list[str] = []
        """Text of a call whose name is not known."""


class Reader(BaseReader):
    dialect: ClassVar[str] = "openai-responses"
    delta_type = DeltaFrame
    delta_mark = b".delta"
    _latest = -1
    _entered = 0  # items; more than there are indexes where a server gives all of them the same
    _called = False
    _resumed = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._items: dict[int, _Item] = {}
        self._slots: dict[tuple[type | None, int, int], int] = {}  # the open part by (type of its deltas, item, sub)
        self.told = self._told = dict[int, list[str]]()
        """The texts of each open part: what comes at its end repeats them, and may have more."""

    # The typed way

    def text_of(self, frame: Any) -> str:
        self.part = self._slots.get((type(frame), frame.output_index, frame.sub), -1)
        return frame.delta if self.part >= 0 else ""

    def texts_of(self, frames: list[Any]) -> list[str]:
        kind, index, sub = type(frames[0]), frames[0].output_index, frames[0].sub
        return [f.delta for f in frames if f.output_index == index and f.sub == sub and type(f) is kind]

    def open(self, kind: PartKind, **fields: Any) -> int:
        part = super().open(kind, **fields)
        self._told[part] = []
        return part

    # The dict way

    def handle(self, event: str, frame: Fields) -> None:
        name = frame.word("type") or event
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, frame)
        elif frame.raw.get("error"):
            self.report(frame.raw)
        else:
            item = self._items.get(frame.number("output_index") or 0) if "output_index" in frame.raw else None
            self.opaque(frame.raw, next(iter(item.parts.values())) if item and len(item.parts) == 1 else None)

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        return errors.read(payload)

    def end_of_stream(self) -> None:
        for item in self._items.values():
            self._open_item(item)
        self.truncated()

    def on_lifecycle(self, frame: Fields) -> None:
        response = frame.fields("response")
        self.model = self.model or response.word("model")
        own = {key: value for key, value in response.raw.items() if key not in ("output", "usage")}
        self.start(
            response.word("id"), self.model, response.number("created_at"), meta={self.dialect: {"response": own}}
        )

    def _resume(self) -> None:
        """A stream that begins in the middle is a background response that the client came back to."""
        self._resumed = self._resumed or not self.started
        self.start()

    # Items

    def _index(self, frame: Fields, fallback: int) -> int:
        index = frame.integer("output_index")
        return fallback if index is None else index

    def _item(self, frame: Fields) -> _Item:
        """The item that an event is about; one that was never added is entered."""
        self._resume()
        index = self._index(frame, max(self._latest, 0))
        item = self._items.get(index)
        return self._enter(index, Fields({})) if item is None else item

    def _enter(self, index: int, raw: Fields) -> _Item:
        self._latest = index
        self._entered += 1
        item = self._items[index] = _Item(index, self._entered, raw)
        return item

    def on_item_added(self, frame: Fields) -> None:
        self._resume()
        index = self._index(frame, self._latest + 1)
        raw = frame.fields("item")
        known = self._items.get(index)
        if known is not None and not known.done:
            if known.type == raw.word("type") and known.raw.word("id") == raw.word("id"):
                return
            self._end_live(known)
        item = self._enter(index, raw)
        named = item.type not in ("function_call", "custom_tool_call") or raw.word("name")
        if named and (item.type in ITEM_EVENTS or not raw.word("call_id")):
            self._open_item(item)  # else the end may give it another call id, as a client's tool search does

    def _open_item(self, item: _Item) -> None:
        """Items that are one part start it; the parts of the others have events of their own."""
        if item.type in ("message", "reasoning", "") or item.parts:
            return
        kind = ITEM_KIND.get(item.type, "opaque")
        raw = item.raw
        meta = {self.dialect: {"item": dict(raw.raw)}}
        key = (ITEM_EVENTS[item.type].stem if item.type in ITEM_EVENTS else "", 0)
        if kind in ("tool", "custom_tool"):
            self._called = True
            id = raw.word("call_id") or raw.word("id") or call_id(self.seed, self.next_part)
            space = raw.word("namespace")
            part = self.open(kind, id=id, name=raw.text("name"), namespace=space, group=item.group, meta=meta)
        else:
            part = self.open(
                kind, id=raw.word("call_id") or raw.word("id"), name=item.type, group=item.group, meta=meta
            )
        item.parts[key] = part
        item.live = key

    def on_item_done(self, frame: Fields) -> None:
        self.start()
        index = self._index(frame, max(self._latest, 0))
        item = self._items.get(index)
        raw = frame.fields("item")
        if item is None or (item.done and item.type != raw.word("type")):
            item = self._enter(index, raw)
            self._open_item(item)
        elif not item.type and not item.parts:  # deltas came, but it was never added
            item.raw, item.type = raw, raw.word("type")
            self._open_item(item)
        if not item.done:
            self._complete(item, raw)

    def _complete(self, item: _Item, raw: Fields) -> None:
        """The item is done: what it holds and no event has told is told now."""
        item.done = True
        if not item.parts:
            item.raw = raw if raw.word("type") == item.type else item.raw
            self._open_item(item)
        kind = raw.word("type") or item.type
        if kind == "message":
            self._fill(item, raw, "content")
        elif kind == "reasoning":
            self._fill(item, raw, "summary")
            self._fill(item, raw, "content")
            self._sign(item, raw.word("encrypted_content"))
        elif kind in ITEM_EVENTS:
            events = ITEM_EVENTS[kind]
            self._speak(item, events, 0, _as_text(raw.raw.get(events.field)) or "".join(item.held))
        self._end_live(item, {self.dialect: {"item": dict(raw.raw)}})

    def _fill(self, item: _Item, raw: Fields, field: str) -> None:
        for sub, content in enumerate(raw.each(field)):
            self._whole_part(item, sub, content)

    def _whole_part(self, item: _Item, sub: int, content: Fields) -> None:
        """A content part as a whole: the text if no event had it, and the annotations that were not announced."""
        events = PART_EVENTS.get(content.word("type"))
        if events is None:
            if ("", sub) not in item.parts:
                self._open_part(item, ("", sub), content)
            return
        key = (events.stem, sub)
        text = content.text(events.field)
        if text:
            self._speak(item, events, sub, text, content.list("logprobs"))
        annotations = content.list("annotations")
        if annotations and key in item.parts:
            part = item.parts[key]
            for annotation in content.each("annotations"):
                known = item.annotations.get(part, 0)
                if known:
                    item.annotations[part] = known - 1
                else:
                    self._cite(part, annotation)
            item.annotations[part] = len(annotations)

    def _sign(self, item: _Item, encrypted: str) -> None:
        if not encrypted and item.parts:
            return
        sealed = unseal(encrypted)
        if item.live is None:
            kind: PartKind = "redacted" if encrypted and (sealed is None or sealed.redacted) else "reasoning"
            item.live = ("", 0)
            meta = {self.dialect: {"item": dict(item.raw.raw)}}
            item.parts[item.live] = self.open(kind, channel="summary", group=item.group, meta=meta)
        if encrypted:
            self.sign(item.parts[item.live], SCHEME, encrypted)

    # Parts

    def on_part_added(self, frame: Fields) -> None:
        item = self._item(frame)
        content = frame.fields("part")
        summary = frame.word("type").startswith("response.reasoning_summary")
        events = PART_EVENTS.get(content.word("type") or ("summary_text" if summary else "output_text"))
        sub = frame.integer("summary_index" if summary else "content_index") or 0
        key = (events.stem if events else "", sub)
        if key not in item.parts:
            self._open_part(item, key, content)
        if events is not None and content.text(events.field):
            self._speak(item, events, sub, content.text(events.field))

    def on_part_done(self, frame: Fields) -> None:
        item = self._item(frame)
        summary = frame.word("type").startswith("response.reasoning_summary")
        sub = frame.integer("summary_index" if summary else "content_index") or 0
        self._whole_part(item, sub, frame.fields("part"))

    def _open_part(self, item: _Item, key: tuple[str, int], content: Fields) -> int:
        self._end_live(item)
        stem, _ = key
        events = next((events for events in TEXT_EVENTS if events.stem == stem), None)
        own: dict[str, Any] = {"item": dict(item.raw.raw)}
        if events is None:
            own["part"] = dict(content.raw)
        part = self.open(
            events.kind if events else "opaque",
            channel="summary" if stem == "response.reasoning_summary_text" else "full",
            group=item.group,
            meta={self.dialect: own},
        )
        item.parts[key] = part
        item.live = key
        return part

    def _end_live(self, item: _Item, meta: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        if item.live is not None:
            stem, sub = item.live
            self._slots.pop((_TYPES.get(stem), item.index, sub), None)
            part = item.parts[item.live]
            self._told.pop(part, None)
            self.close_part(part, meta)
            item.live = None

    def _speak(self, item: _Item, events: TextEvents, sub: int, text: str, logprobs: list[Any] | None = None) -> None:
        """The whole text of a part: what its deltas have not told is told now."""
        part = item.parts.get((events.stem, sub))
        if not text or (part is not None and part not in self._told):
            return  # the part has ended
        told = ""
        if part is not None:
            told = join(self._told[part])
            self._told[part] = [told]  # its end repeats itself up to four times
        if text == told:
            return
        if text.startswith(told):
            self._say(item, events, sub, text[len(told) :], (logprobs or None) if not told else None)
        else:
            self.opaque({"type": f"{events.stem}.done", events.field: text}, part)

    def _say(self, item: _Item, events: TextEvents, sub: int, text: str, logprobs: list[Any] | None) -> int | None:
        key = (events.stem, sub)
        part = item.parts.get(key)
        if part is None:
            if events.item and item.type in ("", events.item):
                item.held.append(text)
                return None
            if events.item:
                self.fail("protocol", f"{events.stem} for output item {item.index}, which is no {events.item}")
                return None
            part = self._open_part(item, key, Fields({}))
        elif item.live != key:
            self.fail("protocol", f"{events.stem} for part {sub} of output item {item.index}, which has ended")
            return None
        self.delta(part, text, logprobs)
        self._told[part].append(text)
        return part

    def on_text_delta(self, frame: Fields, events: TextEvents, kind: type) -> None:
        text = frame.text("delta")
        if text:
            item = self._item(frame)
            sub = (frame.integer(events.place) or 0) if events.place else 0
            part = self._say(item, events, sub, text, frame.list("logprobs") or None)
            if part is not None:
                self._slots[kind, item.index, sub] = part

    def on_text_done(self, frame: Fields, events: TextEvents) -> None:
        text = _as_text(frame.raw.get(events.field))
        if text:
            sub = (frame.integer(events.place) or 0) if events.place else 0
            self._speak(self._item(frame), events, sub, text)

    def on_annotation(self, frame: Fields) -> None:
        item = self._item(frame)
        part = item.parts.get((TEXT_EVENTS[0].stem, frame.integer("content_index") or 0))
        if part is None:
            self.opaque(frame.raw)
            return
        item.annotations[part] = item.annotations.get(part, 0) + 1
        self._cite(part, frame.fields("annotation"))

    def _cite(self, part: int, annotation: Fields) -> None:
        self.events.append(
            Citation(
                part,
                url=annotation.word("url") or None,
                title=annotation.word("title") or annotation.word("filename") or None,
                raw={self.dialect: annotation.raw},
            )
        )

    # The end

    def _unseen(self, response: Fields) -> list[Fields]:
        """The items that only the terminal response has. Those that are not done are completed."""
        output = list(response.each("output"))
        for index, raw in enumerate(output):
            item = self._items.get(index)
            if item is not None and not item.done and item.type in ("", raw.word("type")):
                self._complete(item, raw)
        if self._entered >= len(output):
            return []
        known = {id for item in self._items.values() for key in ("id", "call_id") if (id := item.raw.word(key))}
        last = max(self._items, default=-1)
        return [
            raw
            for index, raw in enumerate(output)
            if index not in self._items
            and not known & {raw.word("id"), raw.word("call_id")}
            and (index > last or not self._resumed)  # what a resumed stream does not repeat was told before it
        ]

    def on_terminal(self, frame: Fields) -> None:
        self.on_lifecycle(frame)
        response = frame.fields("response")
        for raw in self._unseen(response):
            item = self._enter(max(self._items, default=-1) + 1, raw)
            self._complete(item, raw)
        for item in self._items.values():
            self._end_live(item)
            if item.held and not item.parts:
                self.opaque({"output_index": item.index, "delta": "".join(item.held)})
        self.usage(usage.read(response.noise("usage").raw))
        name = frame.word("type").removeprefix("response.")
        status = response.word("status") or name
        if name == "failed" or status == "failed":
            self.report(response.raw if response.raw.get("error") else {"error": {"message": "the response failed"}})
            return
        reason = response.noise("incomplete_details").word("reason")
        unified: FinishKind
        if name == "cancelled" or status == "cancelled":
            unified = "cancelled"
        elif name == "incomplete" or status == "incomplete":
            unified = INCOMPLETE_READ.get(reason, "unknown")
        else:
            unified = "tool" if self._called else "end"
        own = {"response": dict(response.raw)}
        self.events.append(Finish(0, FinishReason(unified, reason or status), meta={self.dialect: own}))
        self.end()


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return dumps(value).decode("utf-8") if isinstance(value, dict | list) else ""


_Handler = Callable[[Reader, Fields], None]


def _handles_delta(events: TextEvents) -> _Handler:
    kind = _TYPES[events.stem]
    return lambda reader, frame: reader.on_text_delta(frame, events, kind)


def _handles_done(events: TextEvents) -> _Handler:
    return lambda reader, frame: reader.on_text_done(frame, events)


_HANDLERS: Final[Mapping[str, _Handler]] = {
    "response.created": Reader.on_lifecycle,
    "response.queued": Reader.on_lifecycle,
    "response.in_progress": Reader.on_lifecycle,
    "response.output_item.added": Reader.on_item_added,
    "response.output_item.done": Reader.on_item_done,
    "response.content_part.added": Reader.on_part_added,
    "response.content_part.done": Reader.on_part_done,
    "response.reasoning_summary_part.added": Reader.on_part_added,
    "response.reasoning_summary_part.done": Reader.on_part_done,
    "response.output_text.annotation.added": Reader.on_annotation,
    "response.completed": Reader.on_terminal,
    "response.incomplete": Reader.on_terminal,
    "response.failed": Reader.on_terminal,
    "response.cancelled": Reader.on_terminal,
    "error": lambda reader, frame: reader.report(frame.raw),
    "keepalive": lambda reader, _: reader.ping(),
    **{f"{events.stem}.delta": _handles_delta(events) for events in TEXT_EVENTS},
    **{f"{events.stem}.done": _handles_done(events) for events in TEXT_EVENTS},
}
