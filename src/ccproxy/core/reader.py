"""What every reader shares: runs of delta frames, single frames, stray lines, the end.

Most of a stream is one frame shape, repeated: "append this text to that part". Such a *regular delta frame* is decoded
into a type that admits nothing else (`Reader.delta_type`); everything else goes through `Reader.handle` as a dict. The
typed way only extends parts that the dict way has opened and entered in the dialect's slots, so opening, closing,
naming and repairing exist once. A read that holds nothing but regular delta frames of one part becomes one event.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import msgspec

from ccproxy.wire.array import BLANK, starts
from ccproxy.wire.json import JSONError, dumps, join, loads, loads_text, loads_texts
from ccproxy.wire.sse import BOM, Run, end_of_frame, offsets, parse, run_after

from .events import (
    Delta,
    Event,
    Meta,
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
from .fields import FieldError, Fields
from .parts import call_id, digest
from .signatures import Sealed, unseal
from .spi import Context, Quirk
from .vocab import ErrorKind, PartKind, Usage

_FRAME: Final = re.compile(rb"(?:event: ?(.*)\n)?data: ?(.*)\n\n")  # as most are
_BODY: Final = re.compile(rb"\s*(?:error:\s*)?[{\[<]")  # an unfinished line is no body unless it begins like one
_LONE_RETURN: Final = re.compile(rb"\r(?!\n)")
_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:")
_TWINS_AFTER: Final = 16  # deltas of a part, before it is worth while to look for what their frames share
_NEVER: Final = 1 << 60
_FEW: Final = 8  # so many frames, or a run of which only so small a part is regular, are not tried again
_EXCERPT: Final = 120  # characters of unintelligible input that an error message shows


class BaseReader:
    """Subclasses know one dialect: `handle`, `text_of`, `texts_of`, `provider_error` and `end_of_stream`."""

    dialect: ClassVar[str]
    delta_type: ClassVar[Any]
    """The regular delta frame, as a msgspec Struct."""
    delta_mark: ClassVar[bytes] = b""
    """What every such frame has in it, and most others have not."""
    quirks: ClassVar[Mapping[str, Callable[[], Quirk]]] = {}
    _decoder: ClassVar[msgspec.json.Decoder[Any]]

    # What begins the same in every stream is the class's: there is a reader for each, and most streams are short.
    finished = False
    started = False
    model = ""
    """The model, as the stream names it."""
    kept = 0
    offset = 0
    """Bytes before the read under way."""
    array = False
    next_part = 0
    part = -1
    """The part that the last typed frame extends."""
    told: dict[int, list[str]] | None = None
    """What typed frames have said, by part, for dialects that repeat it at a part's end."""
    _run: Run | None = None  # the shape of the last regular delta frame: its data after this head
    _head = b"\0"
    _head_size = 1
    _twin: Run | None = None  # frames that are the same but for their text, all of one part
    _twin_head = b"\0"
    _twin_tail = b"\0"
    _twin_part = -1
    _twin_ends: tuple[bytes, bytes] | None = None  # those of one frame, until another has the same
    _twin_wait = _TWINS_AFTER
    _first_data = b""
    _note = ""  # the first stray line, for the error message if nothing else comes
    _block = b""  # the read under way,
    _block_frame = 0  # and the frames before it
    _frames = 0
    _refused = -1  # where in the block a frame begins that was found to be no regular delta frame
    _declined = b""  # the block of which `read_one` found that
    _array_begun = False

    def __init_subclass__(cls) -> None:
        cls._decoder = msgspec.json.Decoder(cls.delta_type)

    def __init__(self, context: Context) -> None:
        self.context = context
        self._max_frame = context.limits.max_frame
        self.seed = context.ids or ""
        self._decode = self._decoder.decode
        self._decode_lines = self._decoder.decode_lines
        self._marks: list[tuple[int, int]] = []  # (events when a frame began, its number)
        self._starts: list[int] = []  # where the elements of the block begin, if it is an array's
        self._repairs = [self.quirks[name]() for name in context.quirks] if context.quirks else []
        self._call_ids: set[tuple[int, str]] = set()
        self._halves: dict[int, str] = {}  # the first half of a character whose second half is to come, by part
        self.events: list[Event] = []
        """The events of the read under way."""

    # What a dialect adds

    def handle(self, event: str, frame: Fields) -> None:
        """Read one frame that is a JSON object."""
        raise NotImplementedError

    def text_of(self, frame: Any) -> str:
        """The text of a typed frame that does nothing but extend an open part, which `part` then names; else ""."""
        raise NotImplementedError

    def texts_of(self, frames: list[Any]) -> list[str]:
        """The texts of typed frames that all extend the part of the first one. What does not is left out."""
        raise NotImplementedError

    def provider_error(self, payload: Mapping[str, Any]) -> StreamError:
        """The error that a provider's error object describes."""
        raise NotImplementedError

    def end_of_stream(self) -> None:
        """The source has ended: emit what was held, then `end` or `fail`."""
        raise NotImplementedError

    # Reading

    def read(self, block: bytes, ends: Sequence[int] = ()) -> list[Event]:
        """The events of a block of complete frames; `ends` is where they end in a JSON array."""
        self._begin(block)
        if self.array:
            self._read_elements(block, ends)
            return self.events
        position = no_run = self._skip_bom(block)
        self._refused = -1
        if block is self._declined:
            self._refused, no_run = 0, 1
        returns = 13 in block
        if returns and len(block) <= self._max_frame and not _LONE_RETURN.search(block):
            block = block.replace(b"\r", b"")  # Google's lines end in CRLF; `locate` has the block as it came
            returns = False
        if returns or len(block) > self._max_frame:
            no_run = len(block)
        while position < len(block) and not self.finished:
            if position >= no_run and block.startswith(self._head, position):
                start = position
                position, no_run = self._read_run(block, start)
                if position > start:
                    continue
            match = None if returns else _FRAME.match(block, position)
            if match is not None:
                self._read_frame(block[position : match.start(2)], match[1], match[2], position == self._refused)
                position = match.end()
            else:
                end, after = end_of_frame(block, position, returns)
                self._read_raw(block[position:end])
                position = after
        return self.events

    def _read_elements(self, block: bytes, ends: Sequence[int]) -> None:
        self._starts = starts(block, ends, not self._array_begun)
        self._array_begun = True
        for start, end in zip(self._starts, ends, strict=False):
            if self.finished:
                return
            raw = block[start:end]
            self._mark()
            if len(raw) > self._max_frame:
                self.too_large()
            elif not self._read_typed(raw):
                self._read_data("", raw)

    def _skip_bom(self, block: bytes) -> int:
        return len(BOM) if self.offset == 0 and block.startswith(BOM) else 0

    def read_one(self, block: bytes) -> str:
        """The text of the one delta that the block is, for part `part`; "" if it is anything else, and nothing read.

        This is the lane for one event per read: as few calls as can be.
        """
        if len(block) > self._max_frame:
            return ""
        if block.startswith(self._twin_head) and block.endswith(self._twin_tail):
            data = block[len(self._twin_head) : -len(self._twin_tail)]
            if 10 not in data and 13 not in data:
                try:
                    text = loads_text(data)
                except JSONError:
                    text = ""
                if text:
                    self.part = self._twin_part
                    if self.told is not None:
                        self.told[self.part].append(text)
                    self._frames += 1
                    self.offset += len(block)
                    return text
        if not block.startswith(self._head):
            return ""
        if block.endswith(b"\n\n"):
            data = block[self._head_size : -2]
        elif block.endswith(b"\r\n\r\n"):
            data = block[self._head_size : -4]
        else:
            return ""
        if 10 in data or 13 in data:
            return ""
        try:
            text = self.text_of(self._decode(data))
        except JSONError:
            self._declined = block
            return ""
        if not text or self._halves:
            return ""
        self._twin_wait -= 1
        if self._twin_wait <= 0:
            self._find_twin(data, text)
        if self.told is not None:
            self.told[self.part].append(text)
        self._frames += 1
        self.offset += len(block)
        return text

    def _find_twin(self, data: bytes, text: str) -> None:
        """Learn what frames like this one share, if two in a row differ in the text alone; else never try again.

        The shape is proven by reading a frame of it with another text: what is between its ends is a JSON string, so
        every frame that has the same ends and a JSON string between them says the same about that string.
        """
        before, found, after = data.rpartition(dumps(text))
        ends = self._twin_ends
        if not found or self._twin_part >= 0:
            self._forget_twin(_NEVER)
        elif ends is None:
            self._twin_ends = (before, after)
            self._twin_wait = 1
        elif ends != (before, after) or not self._reads_as(before, "\0" + text, after):
            self._forget_twin(_NEVER)
        else:
            self._twin = Run(self._head + before, after)
            self._twin_head, self._twin_tail = self._twin.head, self._twin.tail
            self._twin_part = self.part
            self._twin_wait = 1

    def _reads_as(self, before: bytes, text: str, after: bytes) -> bool:
        """Whether a frame with these ends says nothing but the text, to the part at hand."""
        part = self.part
        try:
            read = self.text_of(self._decode(before + dumps(text) + after))
        except JSONError:
            return False
        same = read == text and self.part == part
        self.part = part
        return same

    def unlearn(self) -> None:
        """Have the next frame read anew: a part that frames like the last ones extended is not to be extended now."""
        self._forget_twin(_TWINS_AFTER)

    def _forget_twin(self, wait: int) -> None:
        if self._twin_wait < _NEVER // 2:
            self._twin_wait = wait
        self._twin = self._twin_ends = None
        self._twin_head = self._twin_tail = b"\0"
        self._twin_part = -1

    def mark_one(self, block: bytes) -> None:
        """Remember the block of the last `read_one` for `locate`."""
        self.offset -= len(block)
        self._frames -= 1
        self._begin(block)
        self._mark()

    def overflow(self, tail: bytes) -> list[Event]:
        """The frame that is being received is longer than the limit; `tail` is what has come of it."""
        self._begin(tail)
        if self.array:
            self._starts = starts(tail, (), not self._array_begun)
        self._mark()
        self.too_large()
        return self.events

    def read_payload(self, event: str, payload: Mapping[str, Any]) -> list[Event]:
        """The events of one frame that was decoded elsewhere."""
        self._begin(b"")
        if not self.finished:
            self._first_data = self._first_data or dumps(payload)
            self._mark()
            self._take(event, self._repaired(payload))
        return self.events

    def close(self, tail: bytes) -> list[Event]:
        """The last events, given what followed the last complete frame: a frame that counts if it is whole."""
        self._begin(tail)
        if self.finished:
            return self.events
        if self.array:
            self._close_array(tail)
            return self.events
        self.kept = len(tail) - len(tail.lstrip(b"\r\n"))  # the second half of a line end belongs to what was read
        raw = tail[self._skip_bom(tail) :]
        frame = parse(raw)
        if self._is_complete(frame.data) if frame.data is not None else _BODY.match(frame.stray):
            self._read_raw(raw)
            if self.events or frame.data is not None:  # stray lines count where they say why the stream failed
                self.kept = len(tail)
        elif not raw.strip(b"\r\n"):
            self.kept = len(tail)
        elif frame.stray and not any(field.startswith(frame.stray) for field in _FIELDS):
            self._note = self._note or _excerpt(frame.stray)
        if not self.finished:
            self._marks.append((len(self.events), self._frames))
            self._end_of_stream()
        return self.events

    def _close_array(self, tail: bytes) -> None:
        """The end of the array does not say that the answer is whole, and its absence does not say that it is not."""
        self._starts = starts(tail, (), not self._array_begun)
        rest = tail[self._starts[0] :].strip(BLANK)
        if rest in (b"", b"]"):
            self.kept = len(tail)
        elif rest.startswith(b"]"):
            self.kept = self._starts[0] + 1
        self._marks.append((len(self.events), self._frames))
        self._end_of_stream()

    def locate(self, position: int, text: int = 0) -> tuple[int, int]:
        """(frame number, byte offset) of the n-th event of the last read, and of the m-th text in it."""
        frame = self._block_frame
        for events, number in self._marks:
            if events > position:
                break
            frame = number
        frame += text
        places = self._starts if self.array else offsets(self._block)
        place = frame - self._block_frame
        return frame, self.offset + (places[place] if place < len(places) else len(self._block))

    def _begin(self, block: bytes) -> None:
        self.events = []
        self._marks = []
        self.offset += len(self._block)
        self._block_frame = self._frames
        self._block = block

    def _mark(self) -> None:
        self._marks.append((len(self.events), self._frames))
        self._frames += 1

    def _read_run(self, block: bytes, start: int) -> tuple[int, int]:
        """Where the frames from `start` on that were read as one run end; before which place none is tried again."""
        if self._run is None or self._halves:
            return start, start + 1
        if self._twin is not None and block.startswith(self._twin_head, start):
            lines, count, end = self._twin.lines(block, start)
            try:
                texts = loads_texts(lines)
            except JSONError:
                texts = []
            if texts and len(texts) == count and all(texts):
                self.part = self._twin_part
                self._add_run(texts)
                return end, end
        lines, count, end = self._run.lines(block, start)
        stop = again = end
        try:
            frames = self._decode_lines(lines)
        except JSONError:
            frames, size = self._decode_some(lines) if count > 1 else ([], 0)
            self._refused = stop = start + size + len(frames) * self._run.size
            if _FEW < count < _FEW * len(frames):  # else what was looked at in vain would be the most of it
                again = stop + 1
            count = len(frames)
        if len(frames) != count or not frames or not self.text_of(frames[0]):
            if frames and len(frames) == count:
                self._refused = start
            return start, max(again, start + 1)
        texts = self.texts_of(frames)
        if len(texts) != count or not all(texts):
            return start, again
        self._twin_wait -= count
        if self._twin_wait <= 0:
            last = lines.rsplit(b"\n", 2)[-2:] if self._twin_part < 0 else [lines.rpartition(b"\n")[2]]
            for data, text in zip(reversed(last), reversed(texts), strict=False):
                self._find_twin(data, text)
        self._add_run(texts)
        return stop, again

    def _decode_some(self, lines: bytes) -> tuple[list[Any], int]:
        """The frames before the first line that is none, and how long their lines are."""
        frames: list[Any] = []
        size = 0
        for line in lines.split(b"\n"):
            try:
                frames.append(self._decode(line))
            except JSONError:
                break
            size += len(line)
        return frames, size

    def _add_run(self, texts: list[str]) -> None:
        self._marks.append((len(self.events), self._frames))
        self._frames += len(texts)
        self.extend(texts)

    def extend(self, texts: list[str]) -> None:
        """The texts of typed frames for the open part `part`."""
        if self.told is not None:
            self.told[self.part] += texts
        self.events.append(Delta(self.part, texts))

    def _read_frame(self, head: bytes, event: bytes | None, data: bytes, refused: bool) -> None:
        """One frame as most are: a line of data, with or without a name before it."""
        events = self.events
        known = len(events)
        self._marks.append((known, self._frames))
        self._frames += 1
        if len(head) + len(data) > self._max_frame:
            self.too_large()
            return
        if refused or not self._read_typed(data):
            self._read_data("" if event is None else event.decode("utf-8", "replace"), data)
        if len(events) > known and type(events[-1]) is Delta and head != self._head and not self._repairs:
            self._run = run_after(head)  # more of its kind may follow
            self._head = head
            self._head_size = len(head)

    def _read_raw(self, raw: bytes) -> None:
        """One frame, with line ends around it or nothing but those."""
        raw = raw.strip(b"\r\n")
        if not raw:
            return
        self._mark()
        if len(raw) > self._max_frame:
            self.too_large()
            return
        frame = parse(raw)
        if frame.data is None:
            if frame.stray:
                self._stray(frame.stray)
            elif frame.comment:
                self.ping()
        elif not self._read_typed(frame.data):
            self._read_data(frame.event.decode("utf-8", "replace"), frame.data)

    def too_large(self) -> None:
        """Give up: the frame at hand is longer than the limit."""
        self.fail("too_large", f"a frame is longer than the limit max_frame of {self.context.limits.max_frame} bytes")

    def _read_typed(self, data: bytes) -> bool:
        """Whether the data is that of a regular delta frame, which then was read.

        Every frame is tried, and not in runs alone: what the two ways make of a frame may differ in what only one of
        them looks at, and must not depend on where the stream was cut.
        """
        if not self.next_part or self.delta_mark not in data or self._repairs or self._halves:
            return False
        try:
            text = self.text_of(self._decode(data))
        except JSONError:
            return False
        if text:
            self.extend([text])
        return bool(text)

    def _read_data(self, event: str, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            self._end_of_stream()
            return
        if not data.strip():
            return
        self._first_data = self._first_data or data
        try:
            payload = loads(data)
        except JSONError as error:
            self.fail("protocol", f"the data is not JSON ({_reason(error)}): {_excerpt(data)}")
            return
        if not isinstance(payload, dict):
            self.fail("protocol", f"the data must be a JSON object, not {_excerpt(data)}")
            return
        if self.array and not self.started and payload.get("error"):
            self.report(payload)
            return
        self._take(event, self._repaired(payload) if self._repairs else payload)

    def _end_of_stream(self) -> None:
        for quirk in self._repairs:
            self._take("", quirk.release())
        if not self.finished:
            try:
                self.end_of_stream()
            except FieldError as error:  # in what was held
                self.fail("protocol", str(error))

    def _repaired(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        for quirk in self._repairs:
            payload = quirk.repair(dict(payload))
        return payload

    def _take(self, event: str, payload: Mapping[str, Any]) -> None:
        if payload:
            try:
                self.handle(event, Fields(payload))
            except FieldError as error:
                self.fail("protocol", f"{error}{f' (in {event})' if event else ''}")
            except RecursionError:
                self.fail("protocol", "the data is nested too deep")

    def _stray(self, stray: bytes) -> None:
        """Lines that are no events: an error body in the place of a stream, or noise."""
        text = stray.strip()
        if text.startswith(b"error:"):
            text = text[6:].strip()
        if text.startswith((b"{", b"[")):
            try:
                payload = loads(text)
            except JSONError:
                self.fail("protocol", f"neither an event stream nor JSON: {_excerpt(text)}")
                return
            if isinstance(payload, list) and payload:
                payload = payload[0]
            if isinstance(payload, dict) and ("error" in payload or payload.get("object") == "error"):
                self.report(cast("dict[str, Any]", payload))
            else:
                self.fail("protocol", f"a JSON body in the place of an event stream: {_excerpt(text)}")
        elif text.startswith(b"<"):
            self.fail("protocol", f"HTML in the place of an event stream: {_excerpt(text)}")
        elif not self._note:
            self._note = _excerpt(text)

    @staticmethod
    def _is_complete(data: bytes) -> bool:
        if data.startswith(b"[DONE]"):
            return True
        try:
            loads(data)
        except JSONError:
            return False
        return True

    # Emitting

    def start(
        self,
        id: str = "",
        model: str = "",
        created: int | None = None,
        usage: Usage | None = None,
        meta: Meta | None = None,
    ) -> None:
        """The beginning, once."""
        if not self.started:
            self.started = True
            id = id or digest(self._first_data.decode("utf-8", "replace"))
            self.seed = self.seed or id
            self.events.append(StreamStart(id, model, created, usage, meta or {}))

    def open(self, kind: PartKind, **fields: Any) -> int:
        """Start a part and give its number. `fields` are those of `PartStart`."""
        self._forget_twin(_TWINS_AFTER)
        part = self.next_part
        self.next_part += 1
        if kind in ("tool", "custom_tool"):
            call = (fields.get("choice", 0), fields["id"])
            if call in self._call_ids:  # two calls with one id can't be answered
                fields["id"] = call_id(self.seed, part)
            self._call_ids.add(call)
        self.events.append(PartStart(part, kind, **fields))
        return part

    def delta(self, part: int, text: str, logprobs: list[Any] | None = None) -> None:
        """Text for an open part; empty text is none.

        Some providers cut text between the halves of a surrogate pair. The halves go on together: what one SDK joins,
        another refuses.
        """
        half = self._halves.pop(part, "")
        if half or (text and "\ud800" <= text[-1] <= "\udbff"):
            text = join([half, text])
            if "\ud800" <= text[-1] <= "\udbff":
                self._forget_twin(_TWINS_AFTER)
                self._halves[part] = text[-1]
                text = text[:-1]
        if text or logprobs:
            self.events.append(Delta(part, [text], logprobs))

    def close_part(self, part: int, meta: Meta | None = None) -> None:
        self._forget_twin(_TWINS_AFTER)
        self._flush_half(part)
        self.events.append(PartEnd(part, meta or {}))

    def _flush_half(self, part: int) -> None:
        half = self._halves.pop(part, "")
        if half:
            self.events.append(Delta(part, [half]))

    @property
    def signer(self) -> str:
        """The model that a signature is for: the one that was asked for, else what the stream calls it."""
        return self.context.requested_model or self.model

    def sign(self, part: int, scheme: str, value: str) -> None:
        """A signature, of another dialect's provider if it is in an envelope."""
        self.put_signature(part, unseal(value) or Sealed(scheme, self.signer, value))

    def put_signature(self, part: int, sealed: Sealed) -> None:
        self.events.append(Signature(part, sealed.scheme, sealed.value, sealed.model, sealed.signs))

    def usage(self, usage: Usage | None) -> None:
        if usage is not None:
            self.events.append(UsageUpdate(usage))

    def ping(self) -> None:
        """A sign of life; before the start there is nobody to show it to."""
        if self.started:
            self.events.append(Ping())

    def opaque(self, payload: Mapping[str, Any], part: int | None = None) -> None:
        if self.started:
            self.events.append(Opaque(self.dialect, payload, part))

    def end(self) -> None:
        self.finished = True
        self.events.append(StreamEnd())

    def fail(self, kind: ErrorKind, message: str) -> None:
        """The stream is broken at the frame at hand."""
        self._error(StreamError(kind, message))

    def report(self, payload: Mapping[str, Any]) -> None:
        """The provider says that it failed."""
        self._error(self.provider_error(payload))

    def truncated(self) -> None:
        """The stream ended before the source said why it stops."""
        if self.started:
            self.fail("truncated", "the stream ended before the model said why it stops")
        elif self._note:
            self.fail("protocol", f"not an event stream: {self._note}")
        elif self.array and self._first_data:
            self.fail("protocol", f"a JSON body in the place of an event stream: {_excerpt(self._first_data)}")
        elif self._first_data:
            self.fail("truncated", f"the stream ended before an answer began; it said {_excerpt(self._first_data)}")
        else:
            self.fail("truncated", "the stream is empty")

    def _error(self, error: StreamError) -> None:
        self.finished = True
        for part in list(self._halves):
            self._flush_half(part)
        frame, offset = self.locate(len(self.events))
        self.events.append(msgspec.structs.replace(error, frame=frame, offset=offset))


def _excerpt(data: bytes) -> str:
    text = data[: 4 * _EXCERPT].decode("utf-8", "replace").strip()
    return repr(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…")


def _reason(error: BaseException) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
