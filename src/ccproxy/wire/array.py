"""A stream as one JSON array, without I/O: bytes are cut into blocks of complete elements, each of which is a frame.

Gemini streams like this where the client does not ask for server-sent events: ``[{…}\\n,\\r\\n{…}]``.
"""

import re
from collections.abc import Iterable
from typing import Final

from .sse import BOM, end_of_frame, parse

BLANK: Final = b" \t\r\n"

_GAP: Final = re.compile(rb"[ \t\r\n,]*")
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\[[ \t\r\n,]*")
_STRING: Final = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_AROUND: Final = re.compile(rb'"' + _STRING + rb'"|["\[\]{},]', re.DOTALL)
_WITHIN: Final = re.compile(rb'(?:[^"\[\]{}]++|"' + _STRING + rb'")*+(["\[\]{}]?)', re.DOTALL)
_REST_OF_STRING: Final = re.compile(_STRING + rb'("?)', re.DOTALL)


def begins_array(data: bytes) -> bool | None:
    """Whether a stream that begins like this is an array; None if that remains to be seen."""
    if BOM.startswith(data):
        return None
    text = data.removeprefix(BOM).lstrip(BLANK)
    return text.startswith(b"[") if text else None


class ArrayDecoder:
    """Collects bytes and gives back blocks that end with an element of the array. Linear however the bytes are cut.

    What is held back is at most the unfinished element; `overflow` tells that this one is longer than `limit` bytes.
    The end of the array, and what follows it, is held until `close`: another element may have to be put before it.
    """

    __slots__ = ("_depth", "_escaped", "_held", "_in_string", "_other", "_over", "begun", "ends", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        """Bytes held back until their element is complete."""
        self.ends: list[int] = []
        """Where each element of the last block ends."""
        self.begun = False
        """Whether there was a block."""
        self._held: list[bytes] = []
        self._depth = 0  # open brackets, the array's among them
        self._in_string = False  # whether a string goes on in the next bytes,
        self._escaped = False  # and whether the first of them is escaped
        self._other = False  # whether there is an element under way that is no object
        self._over = False  # whether the array has ended

    @property
    def overflow(self) -> bool:
        return self.held > self.limit + 4  # room for what is between elements

    def feed(self, data: bytes) -> bytes:
        """All elements completed by `data`, as they came: a prefix of the bytes not given back so far."""
        ends = self._scan(data) if data and not self._over else []
        if not ends:
            if data:
                self._held.append(data)
                self.held += len(data)
            return b""
        block = b"".join([*self._held, data[: ends[-1]]])
        self.ends = [self.held + end for end in ends]
        rest = data[ends[-1] :]
        self._held = [rest] if rest else []
        self.held = len(rest)
        self.begun = True
        return block

    def close(self) -> bytes:
        """What is left: the end of the array, or an element without its end."""
        tail = b"".join(self._held)
        self._held = []
        self.held = 0
        self.ends = []
        return tail

    def _scan(self, data: bytes) -> list[int]:
        """Where elements end in `data`."""
        ends: list[int] = []
        position = self._skip_string(data, 0) if self._in_string else 0
        while position < len(data) and not self._over:
            if self._depth > 1:
                position = self._leave(data, position)
                if self._depth == 1:
                    ends.append(position)
            else:
                position = self._enter(data, position, ends)
        return ends

    def _leave(self, data: bytes, position: int) -> int:
        """Go on within an element, to its end or to that of the data."""
        depth = self._depth
        match = _WITHIN.match
        while depth > 1 and (bracket := match(data, position)):
            mark = bracket[1]
            position = bracket.end()
            if mark in (b"{", b"["):
                depth += 1
            elif mark in (b"}", b"]"):
                depth -= 1
            else:  # the end of the data, or a string that ends in later bytes
                position = self._skip_string(data, position) if mark else len(data)
                break
        self._depth = depth
        if depth == 1:
            self._other = False
        return position

    def _enter(self, data: bytes, position: int, ends: list[int]) -> int:
        """Go on between elements, into the next one or to the end of the data. What is no object ends there."""
        token = _AROUND.search(data, position)
        start, end = token.span() if token else (len(data), len(data))
        mark = data[start : start + 1]
        if self._depth == 1 and (mark in (b'"', b"}") or data[position:start].strip(BLANK)):
            self._other = True
        if mark in (b"[", b"{"):
            self._depth += 1
        elif mark == b'"' and end == start + 1:  # the string ends in later bytes
            return self._skip_string(data, end)
        elif mark in (b",", b"]"):
            if self._other:
                ends.append(start)
                self._other = False
            self._over = mark == b"]"
        return end

    def _skip_string(self, data: bytes, start: int) -> int:
        """Where the string ends that goes on at `start`."""
        rest = _REST_OF_STRING.match(data, start + self._escaped)
        end = rest.end() if rest else len(data)
        self._in_string = not (rest and rest[1])
        self._escaped = self._in_string and end < len(data)  # the last byte is a backslash
        return len(data) if self._in_string else end


def starts(block: bytes, ends: Iterable[int], first: bool) -> list[int]:
    """Where each element of a block begins, and then what follows the last; `first` if the array begins here."""
    out: list[int] = []
    for start in (0, *ends):
        gap = (_OPENING if first and start == 0 else _GAP).match(block, start)
        out.append(gap.end() if gap else start)
    return out


def from_events(stream: bytes) -> bytes:
    """The data of server-sent events as elements."""
    found: list[bytes] = []
    position = 0
    while position < len(stream):
        end, after = end_of_frame(stream, position, False)
        data = parse(stream[position:end]).data
        if data is not None and data != b"[DONE]":
            found.append(data)
        position = after
    return b",\n".join(found)
