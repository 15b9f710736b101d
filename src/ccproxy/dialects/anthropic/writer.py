"""Events to Messages API frames."""

import re
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
from ccproxy.core.vocab import FinishReason, PartKind, Usage
from ccproxy.core.writer import BaseWriter
from ccproxy.wire.json import Hole

from . import errors, response, usage

_DELTA: Final[dict[PartKind, tuple[str, str]]] = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "tool": ("input_json_delta", "partial_json"),
    "server_tool": ("input_json_delta", "partial_json"),
    "custom_tool": ("input_json_delta", "partial_json"),
}
_EVENT_NAME: Final = re.compile(r"[\w.-]+", re.ASCII)
_LAZY: Final = ("text", "refusal", "reasoning")  # blocks that only begin with their first content


class Writer(BaseWriter):
    """The target is serial: one block is open at a time, numbered from 0 as they begin."""

    dialect: ClassVar[str] = "anthropic"

    def __init__(self, context: Context, losses: Losses, parts: Callable[[int], Part]) -> None:
        super().__init__(context, losses, parts)
        self._open: Part | None = None  # the open part, if it has a place here
        self._index = -1
        self._begun = False  # whether its block has begun
        self._blocks = 0
        self._kinds: set[str] = set()
        self._usage: Usage | None = None
        self._finish: Finish | None = None

    def on_start(self, event: StreamStart) -> None:
        self._usage = event.usage
        if event.usage is not None:
            usage.report(event.usage, self.losses)
        self.frame({"type": "message_start", "message": response.envelope(event, self.context)}, "message_start")

    def on_part(self, event: PartStart) -> None:
        if not response.places(event):
            response.lose(event, self.losses)
            return
        self._open = Part(event)
        self._begun = False
        if event.kind not in _LAZY and event.kind != "redacted":
            self._begin(self._open)

    def _begin(self, part: Part) -> None:
        self._begun = True
        self._kinds.add(part.start.kind)
        self._index = self._blocks
        self._blocks += 1
        response.report(part, self.losses)
        self._event("content_block_start", content_block=response.block(part))
        if part.start.kind in _DELTA and part.start.kind != "custom_tool":
            name, field = _DELTA[part.start.kind]
            payload = {"type": "content_block_delta", "index": self._index, "delta": {"type": name, field: Hole.TEXT}}
            self.stream_into(part.start.part, payload, "content_block_delta")
        elif part.start.kind == "custom_tool":
            self._text(part, '{"input":"')

    def on_delta(self, event: Delta) -> None:
        part = self._open
        if part is None or part.start.part != event.part:
            return
        if event.logprobs:
            self.losses.add("logprobs", event.part, "log probabilities")
        texts = [text for text in event.texts if text]
        if texts and not self._begun:
            self._begin(part)
        if part.start.kind == "custom_tool":
            for text in texts:
                self._text(part, response.escape(text))
        elif texts:
            self.out.append(self.encode_texts(event.part, texts))

    def _text(self, part: Part, text: str) -> None:
        name, field = _DELTA[part.start.kind]
        self._event("content_block_delta", delta={"type": name, field: text})

    def on_signature(self, event: Signature) -> None:
        part = self._open
        if part is None or part.start.part != event.part or part.start.kind not in ("reasoning", "redacted"):
            self.losses.add("signature", event.part, f"{event.scheme} signature")
        else:
            if not self._begun and part.start.kind == "reasoning":
                self._begin(part)
            part.signature = event  # the last one counts, so it waits for the end

    def on_citation(self, event: Citation) -> None:
        part = self._open
        own = event.raw.get(self.dialect)
        if part is None or part.start.part != event.part or own is None:
            self.losses.add("citation", event.part, event.url or event.title or "citation")
            return
        if not self._begun:
            self._begin(part)
        self._event("content_block_delta", delta={"type": "citations_delta", "citation": own})

    def on_part_end(self, event: PartEnd) -> None:
        part = self._open
        if part is None or part.start.part != event.part:
            return
        self._sign(part)
        if part.start.kind == "custom_tool" and self.part(event.part).end is not None:  # else the stream failed
            self._text(part, '"}')
        elif part.start.kind in ("tool", "server_tool"):
            response.report_arguments(self.part(event.part), self.losses)
        if self._begun:
            self._event("content_block_stop")
        self.stop_streaming(event.part)
        self._open = None

    def _sign(self, part: Part) -> None:
        """The signature of the open part, which waited for its end."""
        if part.start.kind == "redacted":
            self._begin(part)
        elif part.signature is not None:
            delta = {"type": "signature_delta", "signature": response.signature(part.signature)}
            self._event("content_block_delta", delta=delta)

    def on_usage(self, event: UsageUpdate) -> None:
        self._usage = event.usage
        usage.report(event.usage, self.losses)

    def on_finish(self, event: Finish) -> None:
        self._finish = event

    def on_end(self, event: StreamEnd) -> None:
        finish = self._finish
        if finish is None:  # the source's first choice is not its choice 0
            finish = Finish(0, FinishReason("unknown"))
        delta = response.finish(finish, self._kinds, self.losses)
        top: dict[str, Any] = finish.meta.get(self.dialect, {}).get("top", {})
        self.frame({"type": "message_delta", "delta": delta, "usage": usage.write(self._usage), **top}, "message_delta")
        self.frame({"type": "message_stop"}, "message_stop")

    def on_error(self, event: StreamError) -> None:
        if self._open is not None and self._open.signature is not None:
            self._sign(self._open)
        self.frame(errors.write(event), "error")

    def on_ping(self, event: Ping) -> None:
        self.frame({"type": "ping"}, "ping")

    def on_opaque(self, event: Opaque) -> None:
        if event.source != self.dialect:
            self.losses.add("opaque", event.part, f"{event.source}: {', '.join(event.payload)}")
            return
        name = event.payload.get("type")
        if not isinstance(name, str) or not _EVENT_NAME.fullmatch(name):
            self.losses.add("opaque", event.part, f"{event.source}: an event without a name")
        elif event.part is None and not name.startswith("content_block_"):
            self.frame(dict(event.payload), name)
        elif self._open is not None and self._open.start.part == event.part and self._begun:
            self.frame({**event.payload, "index": self._index}, name)
        else:
            self.losses.add("opaque", event.part, f"{event.source}: {name}")

    def _event(self, name: str, **fields: Any) -> None:
        self.frame({"type": name, "index": self._index, **fields}, name)
