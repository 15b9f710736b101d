"""Messages API frames to events."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from ccproxy.core.events import Citation, Finish, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.parts import carried_id
from ccproxy.core.reader import BaseReader
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishReason, PartKind

from . import errors, usage
from .maps import BLOCK_KIND, DELTA_KIND, FINISH_READ
from .response import SCHEME, input_text
from .wire_types import DELTA_TYPES, ContentBlockDelta

_CALLS: Final = ("tool", "server_tool")
_ENVELOPE_FIELDS: Final = frozenset(
    {"type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)


class _Block:
    """An open content block."""

    __slots__ = ("extended_by", "id", "input", "kind", "part")

    def __init__(self, part: int, kind: PartKind, id: str = "", input: str = "") -> None:
        self.part = part
        self.id = id
        self.kind: PartKind = kind
        self.input = input
        """Arguments that came whole with the start; they count if no delta follows."""
        self.extended_by: type | None = None
        """The typed delta that extends it."""


class Reader(BaseReader):
    dialect: ClassVar[str] = "anthropic"
    delta_type = ContentBlockDelta
    delta_mark = b'"delta"'
    _id = ""
    _latest = -1
    _called = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._blocks: dict[int, _Block] = {}
        self._ended: dict[int, int] = {}  # the part of each index that was last closed
        self._texts: set[int] = set()
        self._usage: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}
        self._top: dict[str, Any] = {}

    def text_of(self, frame: ContentBlockDelta) -> str:
        delta = frame.delta
        block = self._blocks.get(frame.index)
        if block is None or type(delta) is not block.extended_by:
            return ""
        self.part = block.part
        return delta.text

    def texts_of(self, frames: list[ContentBlockDelta]) -> list[str]:
        index = frames[0].index
        kind = type(frames[0].delta)
        return [frame.delta.text for frame in frames if frame.index == index and type(frame.delta) is kind]

    def handle(self, event: str, frame: Fields) -> None:
        name = frame.word("type") or event
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, frame)
        elif "error" in frame.raw:
            self.report(frame.raw)
        else:
            self.opaque(frame.raw)

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        return errors.read(payload)

    def end_of_stream(self) -> None:
        if not self._stop.get("stop_reason"):
            self.truncated()
            return
        for index in list(self._blocks):
            self._close(index)
        raw = str(self._stop["stop_reason"])
        unified = FINISH_READ.get(raw, "unknown")
        if self._called and unified in ("end", "unknown"):
            unified = "tool"
        details = self._stop.get("stop_details")
        own: dict[str, Any] = {"stop_reason": raw, "delta": self._stop, "top": self._top}
        self.events.append(
            Finish(
                0,
                FinishReason(unified, raw),
                Fields(self._stop).word("stop_sequence") or None,
                details if isinstance(details, dict) else None,
                {self.dialect: own},
            )
        )
        self.end()

    def on_message_start(self, frame: Fields) -> None:
        message = frame.fields("message")
        id = message.word("id")
        if self.started:
            if id and self._id and id != self._id:
                self.fail("protocol", f"a second message_start with another id: {id!r} after {self._id!r}")
            return
        self._id = id
        self.model = message.word("model")
        self._usage.update(message.noise("usage").raw)
        extra = {}
        if not _ENVELOPE_FIELDS.issuperset(message.raw):
            extra = {key: value for key, value in message.raw.items() if key not in _ENVELOPE_FIELDS}
        self.start(
            id,
            self.model,
            usage=usage.read(self._usage) if self._usage else None,
            meta={self.dialect: extra} if extra else None,
        )
        for index, block in enumerate(message.each("content")):  # complete blocks: programmatic tool calling
            self._open(index, block)
            self._close(index)
        self._remember_stop(message)

    def on_block_start(self, frame: Fields) -> None:
        self.start()
        index = frame.integer("index")
        self._open(self._latest + 1 if index is None else index, frame.fields("content_block"))

    def _open(self, index: int, block: Fields) -> None:
        known = self._blocks.get(index)
        if known is not None:
            if known.id and known.id == block.word("id"):
                return  # the same call announced twice
            self._close(index)
        self._latest = index
        name = block.word("type")
        kind = BLOCK_KIND.get(name, "opaque")
        if kind == "tool" and not block.word("name"):
            kind = "opaque"  # a call that nobody can run
        input = block.raw.get("input")
        opened = _Block(0, kind, block.word("id"), input_text(input) if input and kind in _CALLS else "")
        if kind in ("text", "reasoning", "redacted"):
            opened.part = self.open(kind)
        elif kind == "tool":
            self._called = True
            own = {key: value for key, value in block.raw.items() if key not in ("type", "id", "name", "input")}
            opened.part = self.open(
                kind, id=carried_id(block.word("id")), name=block.text("name"), meta={self.dialect: own} if own else {}
            )
        else:
            opened.part = self.open(
                kind,
                id=block.word("id") if kind == "server_tool" else block.word("tool_use_id"),
                name=block.word("name") if kind == "server_tool" else name,
                meta={self.dialect: {"block": dict(block.raw)}},
            )
        self._blocks[index] = opened
        if kind in DELTA_TYPES and not opened.input:
            opened.extended_by = DELTA_TYPES[kind]
        if kind == "text":
            self._texts.add(opened.part)
            self.delta(opened.part, block.text("text"))
            for citation in block.each("citations"):
                self._cite(opened.part, citation)
        elif kind == "reasoning":
            self.delta(opened.part, block.text("thinking"))
            self._sign(opened.part, block.text("signature"))
        elif kind == "redacted":
            self._sign(opened.part, block.text("data"))

    def on_block_delta(self, frame: Fields) -> None:
        self.start()
        index = frame.integer("index")
        index = self._latest if index is None else index
        delta = frame.fields("delta")
        name = delta.word("type")
        block = self._blocks.get(index)
        if name in DELTA_KIND:
            kind, field = DELTA_KIND[name]
            text = delta.text(field)
            if not text:
                return
            if block is not None and kind == "tool" and block.kind not in _CALLS:
                self.opaque(frame.raw, block.part)
                return
            block = self._block_for(kind, index, block)
            if block is None:
                self.fail("protocol", f"{name} for content block {index}, which is no open tool call")
                return
            block.input = ""
            block.extended_by = DELTA_TYPES[block.kind]
            self.delta(block.part, text)
            return
        part = block.part if block is not None else self._ended.get(index)
        if part is None:
            self.opaque(frame.raw)
        elif name == "signature_delta":
            self._sign(part, delta.text("signature"))
        elif name == "citations_delta" and part in self._texts:
            self._cite(part, delta.fields("citation"))
        else:
            self.opaque(frame.raw, part)

    def _block_for(self, kind: PartKind, index: int, block: _Block | None) -> _Block | None:
        """The block that a delta of this kind extends. A server may forget to open it, or to open another one."""
        if block is not None and (block.kind == kind or (kind == "tool" and block.kind == "server_tool")):
            return block
        if kind == "tool":
            return None
        if block is not None:
            self._close(index)
        block = self._blocks[index] = _Block(self.open(kind), kind)
        self._latest = index
        if kind == "text":
            self._texts.add(block.part)
        return block

    def on_block_stop(self, frame: Fields) -> None:
        index = frame.integer("index")
        self._close(self._latest if index is None else index)

    def _close(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        self._ended[index] = block.part
        self.delta(block.part, block.input)
        self.close_part(block.part)

    def on_message_delta(self, frame: Fields) -> None:
        self.start()
        self._remember_stop(frame.fields("delta"))
        for key, value in frame.raw.items():
            if key not in ("type", "delta", "usage"):
                self._top[key] = value
        update = {key: value for key, value in frame.noise("usage").raw.items() if value is not None}
        if update:
            self._usage.update(update)
            self.usage(usage.read(self._usage))

    def _remember_stop(self, source: Fields) -> None:
        for key in ("stop_reason", "stop_sequence", "stop_details", "container"):
            if source.raw.get(key) is not None:
                self._stop[key] = source.raw[key]

    def _sign(self, part: int, value: str) -> None:
        if value:
            self.sign(part, SCHEME, value)

    def _cite(self, part: int, citation: Fields) -> None:
        self.events.append(
            Citation(
                part,
                url=citation.word("url") or None,
                title=citation.word("title") or citation.word("document_title") or None,
                cited_text=citation.word("cited_text") or None,
                raw={self.dialect: citation.raw},
            )
        )


_HANDLERS: Final[Mapping[str, Callable[[Reader, Fields], None]]] = {
    "message_start": Reader.on_message_start,
    "content_block_start": Reader.on_block_start,
    "content_block_delta": Reader.on_block_delta,
    "content_block_stop": Reader.on_block_stop,
    "message_delta": Reader.on_message_delta,
    "message_stop": lambda reader, _: reader.end_of_stream(),
    "ping": lambda reader, _: reader.ping(),
    "error": lambda reader, frame: reader.report(frame.raw),
}
