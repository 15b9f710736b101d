"""Server-sent events without I/O: bytes are cut into blocks of complete frames, blocks into frames.

https://html.spec.whatwg.org/multipage/server-sent-events.html, with two liberties that real streams need. Lines that
are no field of the format are kept (`Frame.stray`): gateways put HTML, bare JSON and ``error: {...}`` there. The last
frame may lack its blank line. Lines end only where the bytes CR and LF say so, never at U+2028 or U+0085.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_RECONNECTION = re.compile(rb"(?:id|retry)(?::|\Z)|event\Z")  # fields of no use here, and an event without a name


class Frame(msgspec.Struct, gc=False):
    """One dispatched event, comment, or run of lines that are not server-sent events at all."""

    event: bytes
    """The event's name, empty if it had none."""
    data: bytes | None
    """The data lines joined by LF; None if there was no data line."""
    stray: bytes
    """Lines that no field of the format explains, joined by LF."""
    comment: bool


class SSEDecoder:
    """Collects bytes and gives back blocks that end in a blank line. Linear however the bytes are cut.

    What is held back is at most the unfinished frame; `overflow` tells that this one is longer than `limit` bytes.
    """

    __slots__ = ("_held", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        """Bytes held back until their frame is complete."""
        self._held: list[bytes] = []

    @property
    def overflow(self) -> bool:
        return self.held > self.limit + 4  # room for the line ends

    def feed(self, data: bytes) -> bytes:
        """All frames completed by `data`, as they came: a prefix of the bytes not given back so far."""
        end = self._end_of_frames(data)
        if not end:
            if data:
                self._held.append(data)
                self.held += len(data)
            return b""
        block = data[:end]
        if self._held:
            self._held.append(block)
            block = b"".join(self._held)
            self._held = []
        rest = data[end:]
        if rest:
            self._held.append(rest)
        self.held = len(rest)
        return block

    def close(self) -> bytes:
        """What is left: a frame without its end."""
        tail = b"".join(self._held)
        self._held = []
        self.held = 0
        return tail

    def _end_of_frames(self, data: bytes) -> int:
        """The end of the last blank line in `data` (which may have begun in what is held), else 0."""
        if 13 not in data and not (self._held and self._held[-1].endswith(b"\r")):
            end = data.rfind(b"\n")
            while end > 0:
                if data.startswith(b"\n", end - 1):
                    return end + 1
                end = data.rfind(b"\n", 0, end)
            return int(data.startswith(b"\n") and bool(self._held) and self._held[-1].endswith(b"\n"))
        before = self._tail(3)
        text = before + data
        end = text.rfind(b"\r\n\r\n") + 4
        if end < 4:
            end = 0
        for match in _BLANK_LINE.finditer(text, end):
            end = match.end()
        return max(0, end - len(before))

    def _tail(self, length: int) -> bytes:
        """The last bytes held, enough to see a blank line begin there."""
        tail = b""
        for piece in reversed(self._held):
            tail = piece[-(length - len(tail)) :] + tail
            if len(tail) >= length:
                break
        return tail


def end_of_frame(block: bytes, start: int, returns: bool) -> tuple[int, int]:
    """Where the frame that begins at `start` ends, and where the next one begins; `returns` if the block has CRs."""
    if returns:
        match = _BLANK_LINE.search(block, start)
        return match.span() if match else (len(block), len(block))
    end = block.find(b"\n", start)  # one byte is found ten times as fast as two
    while end >= 0:
        if block.startswith(b"\n", end + 1):
            return end, end + 2
        end = block.find(b"\n", end + 1)
    return len(block), len(block)


def offsets(block: bytes) -> list[int]:
    """Where each frame of a block begins."""
    starts: list[int] = []
    position = 0
    returns = 13 in block
    while position < len(block):
        end, after = end_of_frame(block, position, returns)
        length = len(block[position:end].lstrip(b"\r\n"))
        if length:
            starts.append(end - length)
        position = after
    return starts


def _lines(raw: bytes) -> Iterator[bytes]:
    if 13 in raw:
        yield from _LINE_END.split(raw)
        return
    start = 0
    while (end := raw.find(b"\n", start)) >= 0:  # on long lines much faster than split
        yield raw[start:end]
        start = end + 1
    yield raw[start:]


def parse(raw: bytes) -> Frame:
    """One frame; there may be line ends around it."""
    if 13 not in raw:  # most frames are a line of data, with or without a name before it
        start = raw.find(b"\n") + 1 if raw.startswith(b"event: ") else 0
        if raw.startswith(b"data: ", start) and raw.find(b"\n", start) < 0:
            return Frame(raw[7 : start - 1] if start else b"", raw[start + 6 :], b"", False)
    event = b""
    data: list[bytes] = []
    strays: list[bytes] = []
    comment = False
    for line in _lines(raw):
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
        elif line.startswith(b"event:"):
            event = line[7:] if line.startswith(b" ", 6) else line[6:]
        elif line.startswith(b":"):
            comment = True
        elif line == b"data":
            data.append(b"")
        elif line and not _RECONNECTION.match(line):
            strays.append(line)
    joined = data[0] if len(data) == 1 else b"\n".join(data) if data else None
    return Frame(event, joined, b"\n".join(strays), comment)


class Run:
    """Recognises frames of one shape that follow each other without a gap: a head, something on one line, a tail."""

    __slots__ = ("_data", "_frames", "head", "size", "tail")

    def __init__(self, head: bytes, tail: bytes = b"") -> None:
        self.head = head
        self.tail = tail + b"\n\n"
        self.size = len(self.head) + len(self.tail)
        frame = re.escape(head) + b"(.*)" + re.escape(self.tail)
        self._data = re.compile(frame)
        self._frames = re.compile(b"(?:%b){1,256}" % frame.replace(b"(.*)", b".*"))

    def lines(self, block: bytes, start: int) -> tuple[bytes, int, int]:
        """What is between heads and tails from `start` on, a line each; how many they are, and where the run ends.

        No carriage return may be in the block.
        """
        if start == 0:  # most reads are nothing but such frames
            data = self._data.findall(block)
            lines = b"\n".join(data)
            if len(lines) + len(data) * (self.size - 1) + 1 == len(block):
                return lines, len(data), len(block)
        match = self._frames.match(block, start)
        if match is None:
            return b"", 0, start
        data = self._data.findall(block, start, match.end())
        return b"\n".join(data), len(data), match.end()


@lru_cache(maxsize=64)
def run_after(head: bytes) -> Run:
    """The frames of one head, whose shape most streams of a dialect share."""
    return Run(head)


def encode(payload: bytes, event: str = "") -> bytes:
    """One frame."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode("utf-8", "replace"), payload)
    return b"data: %b\n\n" % payload
