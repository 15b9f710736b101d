"""`Translator`: bytes of one dialect in, bytes of another out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypedDict, get_args

import msgspec

from ccproxy import dialects
from ccproxy.core.assemble import Assembler, Message
from ccproxy.core.errors import MisuseError, StreamFailed
from ccproxy.core.events import Delta, Event, Finish, PartStart, Ping, StreamEnd, StreamError
from ccproxy.core.grammar import Grammar
from ccproxy.core.losses import Loss, Losses
from ccproxy.core.request import ToolName
from ccproxy.core.serialize import Serializer
from ccproxy.core.spi import Context, Dialect, Limits, Listener, ReasoningStyle
from ccproxy.core.store import Recorder, Store
from ccproxy.core.tools import ToolRestorer
from ccproxy.core.vocab import ErrorKind, Usage
from ccproxy.wire.array import BLANK, ArrayDecoder, begins_array, from_events
from ccproxy.wire.json import ObjectScanner
from ccproxy.wire.sse import BOM, SSEDecoder

_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "reasoning": get_args(ReasoningStyle),
    "reasoning_item": ("summary", "text"),
    "choices": ("first", "merge"),
}

_LIMITS: Final = Limits()
_USUAL: Final = ("reasoning_content", "summary", "first")  # options that need no look


class Options(TypedDict, total=False):
    """The options of `Translator`, for what passes them on."""

    model: str | None
    requested_model: str | None
    ids: str | None
    created: int | None
    include_usage: bool
    normalize: bool
    reasoning: ReasoningStyle
    reasoning_details: bool
    reasoning_item: Literal["summary", "text"]
    choices: Literal["first", "merge"]
    input_tokens: int | None
    tools: Mapping[str, ToolName]
    store: Store | None
    quirks: Iterable[str]
    max_frame: int
    max_waiting: int
    max_parts: int
    listeners: Iterable[Listener]


class Translator:
    """Translates one stream. Push bytes in as they arrive, cut anywhere; the same bytes come out however they are cut.

    Same dialect in and out: the frames pass untouched and are only listened to, unless `normalize` has them written
    anew. A stream that fails ends in the target's error form, once; `error` then says what, and where.

    Options:
        model: the model to name in the output; the upstream's by default.
        requested_model: the model that was asked for (`TranslatedRequest.model`), where the upstream may answer under
            another name: it is the one that signatures go back to.
        ids: seed of the ids that are made up where the source has none.
        created: Unix time for targets that need one and sources that have none; 0 by default.
        include_usage: whether Chat gets its usage chunk.
        normalize: write the same dialect anew, in the strict form that the official SDKs accept.
        reasoning: where Chat puts reasoning: "reasoning_content", "reasoning", "both", "thinking-xml" (elements in the
            content; one is sent when its part ends) or "none".
        reasoning_details: whether Chat carries signatures in `reasoning_details`.
        reasoning_item: whether Responses shows foreign reasoning as "summary" or as reasoning "text".
        choices: what becomes of choices beyond the first where the target has one: "first" drops them, "merge" puts
            all parts into the first (GitHub Copilot spreads one answer over several choices).
        input_tokens: an estimate for Anthropic's message_start where the source tells its usage at the end.
        tools: what the names of tools stand for: `TranslatedRequest.tools`, which gives calls the client's names and
            custom tools their text back.
        store: where the reasoning before each call is remembered that the upstream wants back, for clients that drop
            it; `translate_request` with the same store puts it back.
        quirks: vendor repairs by name; `ccproxy dialects` lists them.
        max_frame, max_waiting, max_parts: limits, see `Limits`.
        listeners: objects with `on_events(events)`, called once a read.

    Raises `MisuseError` for an unknown dialect, quirk or value of an option. Nothing in the stream raises.
    """

    error: StreamFailed | None = None
    """Why the stream failed; None while it has not."""
    _beginning: bytes | None = b""  # the first bytes, while the stream may still be an array
    _lane = False  # see `_may_lane`
    _run_part = -1  # the part that deltas pass to one by one
    _write_one: Callable[[str], bytes] | None = None
    _add_text: Callable[[str], None]
    _scanner: ObjectScanner | None = None
    _ended = False  # nothing more will be said
    _closed = False

    def __init__(
        self,
        source: str,
        target: str,
        *,
        model: str | None = None,
        requested_model: str | None = None,
        ids: str | None = None,
        created: int | None = None,
        include_usage: bool = True,
        normalize: bool = False,
        reasoning: ReasoningStyle = "reasoning_content",
        reasoning_details: bool = True,
        reasoning_item: Literal["summary", "text"] = "summary",
        choices: Literal["first", "merge"] = "first",
        input_tokens: int | None = None,
        tools: Mapping[str, ToolName] = {},
        store: Store | None = None,
        quirks: Iterable[str] = (),
        max_frame: int = _LIMITS.max_frame,
        max_waiting: int = _LIMITS.max_waiting,
        max_parts: int = _LIMITS.max_parts,
        listeners: Iterable[Listener] = (),
    ) -> None:
        if isinstance(quirks, str):
            raise MisuseError(f"quirks takes several names: quirks=({quirks!r},)")
        limits = Limits(max_frame=max_frame, max_waiting=max_waiting, max_parts=max_parts)
        context = self._context = Context(
            model=model,
            requested_model=requested_model,
            ids=ids,
            created=created,
            include_usage=include_usage,
            reasoning=reasoning,
            reasoning_details=reasoning_details,
            reasoning_item=reasoning_item,
            choices=choices,
            input_tokens=input_tokens,
            quirks=tuple(quirks),
            limits=limits,
        )
        self.source: Dialect = dialects.get(source)
        self.target: Dialect = dialects.get(target)
        if limits != _LIMITS or context.quirks or (reasoning, reasoning_item, choices) != _USUAL:
            _check(context, self.source)
        self._losses = Losses()
        self._decoder: SSEDecoder | ArrayDecoder = SSEDecoder(max_frame)
        self._reader = self.source.reader(context)
        self._grammar = Grammar(max_parts)
        self._crosses = source != target
        self._untouched = not self._crosses and not normalize
        serial = self.target.serial and not self._untouched
        self._serializer = Serializer(max_waiting, self._losses, self.target.choices) if serial else None
        self._assembler = Assembler()
        self._writer = self.target.writer(context, self._losses, self._assembler.part)
        self._restorer = ToolRestorer(tools, self._losses, self._reader.locate) if tools else None
        self._locate = self._reader.locate if self._restorer is None else self._restorer.locate
        self._recorder = (
            Recorder(store, self._assembler.part, unsigned=self.source.wants_unsigned, model=requested_model or "")
            if store is not None
            else None
        )
        self._listeners = tuple(listeners)
        self._read_one: Callable[[bytes], str] = self._reader.read_one

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What the target could not say, each once, by part."""
        return self._losses.ordered

    @property
    def usage(self) -> Usage | None:
        """Token counts by now; None if the source has told none."""
        self._run_part = -1
        return self._assembler.usage

    @property
    def message(self) -> Message:
        """The message as assembled by now; a snapshot."""
        self._run_part = -1
        return self._assembler.message

    def body(self, target: str | None = None) -> dict[str, Any]:
        """The full response body for the message by now, in the target dialect or another.

        What that dialect can't say is added to `losses`. Raises `StreamFailed` where that is that there is no answer.
        """
        dialect = self.target if target is None else dialects.get(target)
        message = self.message
        for finish in message.finishes.values() if dialect.name != self.source.name else ():
            error = _unanswered(finish, [part.start for part in message.parts])
            if error is not None:
                raise StreamFailed(error)
        return dialect.body(message, self._context, self._losses)

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the source and give the bytes of the target that they cause.

        Raises `MisuseError` after `close`, and for what is not bytes.
        """
        if self._lane and type(data) is bytes:
            text = self._read_one(data)
            if text:
                if self._reader.part == self._run_part or self._begin_run(data):
                    self._add_text(text)
                    if self._scanner is not None:
                        self._scanner.extend([text])
                    return self._write_one(text) if self._write_one is not None else data
                out = self._pass_on(data, [Delta(self._reader.part, [text])])
                self._lane = self._may_lane()
                return out
        return self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Any read: blocks of frames, in the general way."""
        if self._closed:
            raise MisuseError("feed() after close(); a Translator is for one stream")
        if not isinstance(data, bytes | bytearray | memoryview):
            raise MisuseError(f"feed() takes bytes, not {type(data).__name__}")
        if self._ended:
            return b""
        if self._untouched and self._reader.finished:
            return self._decoder.close() + bytes(data)  # what a provider sends after the end is its client's matter
        if self._beginning is not None:
            self._find_framing(bytes(data))
        decoder = self._decoder
        block = decoder.feed(bytes(data))
        ends = decoder.ends if type(decoder) is ArrayDecoder else ()
        out = self._pass_on(block, self._reader.read(block, ends)) if block else b""
        if self._decoder.overflow and not self._reader.finished:
            tail = self._decoder.close()
            out += self._pass_on(tail, self._reader.overflow(tail))
        self._lane = self._may_lane()
        return out

    def feed_payload(self, event: str, payload: Mapping[str, Any]) -> bytes:
        """Take one frame of the source that was decoded elsewhere, and give the bytes of the target that it causes.

        Where frames pass untouched there are none. Raises `MisuseError` after `close`.
        """
        if self._closed:
            raise MisuseError("feed_payload() after close(); a Translator is for one stream")
        if self._ended or self._reader.finished:
            return b""
        return self._pass_on(b"", self._reader.read_payload(event, payload))

    def _find_framing(self, data: bytes) -> None:
        """A stream whose first byte opens a JSON array is no event stream."""
        beginning = (self._beginning or b"") + data
        is_array = begins_array(beginning)
        self._beginning = beginning if BOM.startswith(beginning) else b"" if is_array is None else None
        if is_array:
            held = self._decoder.close()
            self._decoder = ArrayDecoder(self._decoder.limit)
            self._decoder.feed(held)
            self._reader.array = True
            self._read_one = _no_lane

    def _may_lane(self) -> bool:
        """Whether the next read may be one delta of an open part."""
        idle = self._decoder.held or self._ended or self._reader.finished or self._listeners
        return not idle

    def close(self) -> bytes:
        """The source has ended. Gives what was held back, and the error that a cut stream ends in."""
        self._lane = False
        if self._closed or self._ended:
            self._closed = True
            return b""
        self._closed = True
        if self._untouched and self._reader.finished:
            return self._decoder.close()
        tail = self._decoder.close()
        events = self._reader.close(tail)
        return self._pass_on(tail[: self._reader.kept], events)

    def fail(self, kind: ErrorKind, message: str) -> bytes:
        """The source failed in a way that its bytes don't tell: a time-out, say. Gives the output's end."""
        self._lane = False
        if self._closed or self._ended:
            self._closed = True
            return b""
        self._closed = True
        tail = self._decoder.close()
        if self._untouched and self._reader.finished:
            return tail
        self._reader.read(b"")  # what `locate` counts from
        frame, offset = self._reader.locate(0)
        return self._pass_on(b"", [StreamError(kind, message, None, offset, frame)])

    def ping(self) -> bytes:
        """A sign of life for the client, between two reads; empty where the target's clients take none."""
        if self._ended or self._closed:
            return b""
        if self._untouched and self._reader.array:
            return b"\n"
        sign = self._writer.write([Ping()])
        return sign if not sign or self.message.start is not None else b": ping\n\n"

    def _begin_run(self, data: bytes) -> bool:
        """Whether deltas of the reader's part may pass one by one, without the general way's calls.

        They may if the part is open, its turn has come, and its writer streams. What a delta then needs is kept in
        `_write_one`, `_add_text` and `_scanner`, until anything else is read or asked.
        """
        part = self._reader.part
        write_one, scanner = None, None
        if not self._untouched:
            write_one = self._writer.writes(part)
        if self._serializer is not None:
            live, scanner = self._serializer.follow(part)
            if not live:
                write_one = None
        restores = self._restorer is not None and self._restorer.restores(part)
        if restores or part not in self._grammar.live or (write_one is None and not self._untouched):
            self._reader.mark_one(data)
            return False
        self._write_one, self._scanner = write_one, scanner
        self._add_text = self._assembler.run(part)
        self._run_part = part
        return True

    def _pass_on(self, block: bytes, events: list[Event]) -> bytes:
        """Send the events of a block through the grammar, to the listeners, and to the writer."""
        self._run_part = -1
        if self._restorer is not None:
            events = self._restorer.push(events)
        legal, fault = self._grammar.check(events)
        if fault:
            frame, offset = self._locate(legal, 0)
            events = [*events[:legal], StreamError("protocol", fault, None, offset, frame)]
        if self._untouched:
            self._tell(events)
            return self._leave(block, events)
        if self._crosses and events and type(events[-1]) is StreamEnd:
            events = self._answered(events)
        serial = events
        if self._serializer is not None:
            serial, accepted, refused = self._serializer.push(events, self._locate)
            if refused is not None:
                events = [*events[:accepted], refused]
                serial.append(refused)
        self._tell(events)
        self._note_end(events)
        return self._writer.write(serial)

    def _answered(self, events: list[Event]) -> list[Event]:
        """The last events, with an error in the place of an end without an answer."""
        for position, event in enumerate(events):
            if type(event) is Finish and event.reason.unified == "malformed":
                starts = [part.start for part in self._assembler.message.parts]
                error = _unanswered(event, [*starts, *(one for one in events[:position] if type(one) is PartStart)])
                if error is not None:
                    frame, offset = self._locate(position, 0)
                    return [*events[:position], msgspec.structs.replace(error, frame=frame, offset=offset)]
        return events

    def _tell(self, events: list[Event]) -> None:
        self._assembler.on_events(events)
        if self._recorder is not None:
            self._recorder.on_events(events)
        for listener in self._listeners:
            listener.on_events(events[:])

    def _note_end(self, events: list[Event]) -> None:
        last = events[-1] if events else None
        if type(last) is StreamError:
            self.error = StreamFailed(last)
        if type(last) is StreamError or type(last) is StreamEnd:
            self._ended = True

    def _leave(self, block: bytes, events: list[Event]) -> bytes:
        """The block as it came, up to the frame at fault; what the provider itself reports as an error is no fault."""
        if not events or self.error is not None:
            return block
        last = events[-1]
        if type(last) is not StreamError:
            return block
        self.error = StreamFailed(last)
        if last.raw:
            return block
        self._ended = True
        before = block[: last.offset - self._reader.offset]
        written = self._writer.interrupt(self.message, last)
        if type(self._decoder) is ArrayDecoder:
            said = before.strip(BLANK)
            comma = b"" if said.endswith((b"[", b",")) else b"," if said or self._decoder.begun else b"["
            return b"%b%b%b]" % (before, comma, from_events(written))
        if self._closed and before.strip(b"\r\n"):
            before += b"\n\n"  # the last frame, which lacked it
        return before + written


def _check(context: Context, source: Dialect) -> None:
    """Raise `MisuseError` for options that there are not."""
    for limit in Limits.__struct_fields__:
        value = getattr(context.limits, limit)
        if type(value) is not int or value < 1:
            raise MisuseError(f"{limit} must be a positive whole number, not {value!r}")
    for option, known in _KNOWN.items():
        value = getattr(context, option)
        if value not in known:
            raise MisuseError(f"unknown {option} {value!r}; known are {', '.join(known)}")
    for quirk in context.quirks:
        if quirk not in source.quirks:
            names = ", ".join(source.quirks) or "none"
            raise MisuseError(f"unknown quirk {quirk!r} for {source.name}; known are {names}")


def _unanswered(finish: Finish, starts: Iterable[PartStart]) -> StreamError | None:
    """The error that a finish is where the model failed to say anything.

    No dialect but the one that it came in has a word for that, and an agent would take it for the end of its work.
    """
    if finish.reason.unified != "malformed":
        return None
    if any(start.kind not in ("reasoning", "redacted") for start in starts):
        return None
    return StreamError("internal", f"the model stopped with {finish.reason.raw} and without an answer")


def _no_lane(_: bytes) -> str:
    """The elements of an array are not read one by one."""
    return ""
