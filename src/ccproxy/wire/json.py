"""The one JSON seam: msgspec, with a way out for lone surrogates, and envelopes compiled from payloads.

Providers cut text between the two halves of a surrogate pair, so that one delta ends in ``\\ud83d`` and the next
begins with ``\\ude00``. Each half is legal JSON syntax but no legal Unicode string: strict decoders refuse it and
strict encoders refuse to write it. Both directions fall back to the standard library, which keeps the halves.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

JSONError: Final = (ValueError, RecursionError)
"""What `loads` and typed decoders raise: syntax, types, bad UTF-8 (all ValueError), nesting too deep."""

_decode = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_encode_lines = _encoder.encode_lines


def loads(data: bytes) -> Any:
    """Decode one JSON value. Raises one of `JSONError`."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        if b"\\ud" not in data and b"\\uD" not in data:
            raise
    import json  # only needed for lone surrogates

    return json.loads(data, parse_constant=_finite, parse_float=_finite)


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(f"{number} is out of range")
    return value


loads_text: Callable[[bytes], str] = msgspec.json.Decoder(str).decode
"""Decode one JSON string."""
loads_texts: Callable[[bytes], list[str]] = msgspec.json.Decoder(str).decode_lines
"""Decode lines that are a JSON string each."""


def dumps(value: object) -> bytes:
    """Encode compactly; lone surrogates come out as ``\\u`` escapes."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        import json  # only needed for lone surrogates

        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=msgspec.to_builtins).encode("ascii")


_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_DEEP: Final = 200
_SHOWN: Final = 8  # steps of a path that are worth while to show
_INFINITE: Final = (float("inf"), float("-inf"))


def deep_path(data: bytes) -> str:
    """The beginning of the path to where JSON is nested deeper than anybody means it to be; "" if it is not."""
    steps: list[str | int] = []
    expects_key = False
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in (b"{", b"["):
            steps.append("" if token == b"{" else 0)
            expects_key = token == b"{"
            if len(steps) > _DEEP:
                shown = (f".{step}" if isinstance(step, str) else f"[{step}]" for step in steps[:_SHOWN])
                return "".join(shown).removeprefix(".")
        elif token in (b"}", b"]"):
            steps = steps[:-1]
            expects_key = False
        elif token == b",":
            expects_key = bool(steps) and isinstance(steps[-1], str)
            if steps and isinstance(steps[-1], int):
                steps[-1] += 1
        elif expects_key and steps:
            steps[-1] = token[1:-1].decode("utf-8", "replace")
            expects_key = False
    return ""


def misfit(body: object) -> str:
    """The path of the first value that JSON has no form for, or the beginning of that of one nested too deep."""
    waiting: list[tuple[str, object, int]] = [("", body, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        inner: list[tuple[str, object]] = []
        if isinstance(value, Mapping):
            inner = [(f".{key}", entry) for key, entry in value.items()]
        elif isinstance(value, list | tuple):
            inner = [(f"[{position}]", entry) for position, entry in enumerate(value)]
        elif not (value is None or isinstance(value, str | int | float)) or value in _INFINITE or value != value:
            return path.removeprefix(".")
        if depth == _DEEP:
            return path.removeprefix(".")
        shown = depth < _SHOWN
        waiting += [(path + step if shown else path, entry, depth + 1) for step, entry in reversed(inner)]
    return ""


def out_of_range(data: bytes) -> str:
    """The path of a number that is too large; "" if there is none."""
    import json  # only needed for what can't be read

    try:
        return misfit(json.loads(data))
    except JSONError:
        return ""


def is_object(text: str) -> bool:
    """Whether the text is one complete JSON object (what tool arguments must be before a call may run)."""
    try:
        return isinstance(loads(text.encode("utf-8", "surrogatepass")), dict)
    except JSONError:
        return False


_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def join(texts: Sequence[str]) -> str:
    """Join pieces of text; a surrogate pair that was cut between two pieces becomes one character again."""
    text = "".join(texts)
    if len(texts) == 1:
        return text
    try:
        text.encode("utf-8")  # much faster than to look for halves, of which there are hardly ever any
    except UnicodeEncodeError:
        pass
    else:
        return text
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


class ObjectScanner:
    """Tells whether text that comes in pieces is one complete JSON object by now. Linear in the text.

    Only brackets and strings are followed; the text is parsed once, when its first bracket has closed.
    """

    __slots__ = ("_complete", "_depth", "_escaped", "_in_string", "_scanned", "_texts")

    _OUTSIDE: Final = re.compile(r'["{}\[\]]')
    _INSIDE: Final = re.compile(r'["\\]')

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._scanned = 0  # how many of the texts
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._complete: bool | None = None  # None: the first bracket has not closed

    def extend(self, texts: list[str]) -> None:
        self._texts += texts

    @property
    def complete(self) -> bool:
        new = self._texts[self._scanned :]
        self._scanned = len(self._texts)
        if self._complete is None:
            for text in new:
                self._scan(text)
            if self._depth == 0 and not self._in_string and any("}" in text for text in new):
                self._complete = is_object(join(self._texts))
        elif any(text.strip() for text in new):
            self._complete = False
        return bool(self._complete)

    def _scan(self, text: str) -> None:
        position = 0
        if self._escaped and text:
            self._escaped = False
            position = 1
        while match := (self._INSIDE if self._in_string else self._OUTSIDE).search(text, position):
            position = match.end()
            mark = match[0]
            if mark == '"':
                self._in_string = not self._in_string
            elif mark == "\\":
                self._escaped = position == len(text)
                position += 1
            elif mark in "{[":
                self._depth += 1
            else:
                self._depth -= 1


class Hole:
    """Marks the place of a value in a payload that an `Envelope` is compiled from."""

    TEXT: Final = "\0text\0"
    COUNT: Final = "\0count\0"


class Envelope:
    """Everything of a frame but the delta's text, encoded once.

    Compiled from the payload as a dict, with `Hole.TEXT` where the text goes, so that the wire shape is spelled in one
    place only. `head` and `tail` are the bytes of the frame around the payload.
    """

    __slots__ = ("_between", "_prefix", "_suffix")

    def __init__(self, payload: dict[str, Any], head: bytes, tail: bytes) -> None:
        before, after = _around(_TEXT, dumps(payload).rpartition(_TEXT))
        self._prefix = head + before
        self._suffix = after + tail
        self._between = self._suffix + self._prefix

    def one(self, text: str) -> bytes:
        """The frame for one delta."""
        try:
            return b"".join((self._prefix, _encode(text), self._suffix))
        except UnicodeEncodeError:
            return b"".join((self._prefix, dumps(text), self._suffix))

    def many(self, texts: list[str]) -> bytes:
        """One frame for each text."""
        try:
            lines = _encode_lines(texts)
        except UnicodeEncodeError:
            return b"".join(map(self.one, texts))
        return b"".join((self._prefix, lines[:-1].replace(b"\n", self._between), self._suffix))


class Counter:
    """The running number that a stream's frames carry."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def take(self, count: int = 1) -> int:
        """The next number; so many are used up."""
        value = self.value
        self.value = value + count
        return value


class CountedEnvelope:
    """An envelope with a running number (`Hole.COUNT`) before the text."""

    __slots__ = ("_between", "_counter", "_middle", "_prefix", "_suffix", "_template")

    def __init__(self, payload: dict[str, Any], head: bytes, tail: bytes, counter: Counter) -> None:
        before, rest = _around(_COUNT, dumps(payload).partition(_COUNT))
        middle, after = _around(_TEXT, rest.rpartition(_TEXT))
        self._counter = counter
        self._prefix = head + before
        self._middle = middle
        self._suffix = after + tail
        self._between = self._suffix + self._prefix
        template = b"\0".join((self._prefix, middle, self._suffix)).replace(b"%", b"%%")
        self._template = template.replace(b"\0", b"%d", 1).replace(b"\0", b"%b", 1)

    def one(self, text: str) -> bytes:
        """The frame for one delta."""
        counter = self._counter
        count = counter.value
        counter.value = count + 1
        try:
            return self._template % (count, _encode(text))
        except UnicodeEncodeError:
            return self._template % (count, dumps(text))

    def many(self, texts: list[str]) -> bytes:
        """One frame for each text."""
        try:
            lines = _encode_lines(texts)
        except UnicodeEncodeError:
            return b"".join(map(self.one, texts))
        length = len(texts)
        count = self._counter.take(length)
        pieces = [self._middle] * (4 * length)
        pieces[0::4] = [self._between] * length
        pieces[1::4] = _encode_lines(range(count, count + length)).split()
        pieces[3::4] = lines[:-1].split(b"\n")
        pieces[0] = self._prefix
        pieces.append(self._suffix)
        return b"".join(pieces)


_COUNT: Final = dumps(Hole.COUNT)
"""Of several values that look like it the first is meant, for the text the last."""
_TEXT: Final = dumps(Hole.TEXT)


def _around(hole: bytes, parts: tuple[bytes, bytes, bytes]) -> tuple[bytes, bytes]:
    """What is before a hole and behind it."""
    before, found, after = parts
    if not found:
        raise ValueError(f"the payload of an envelope needs the hole {hole.decode()}")
    return before, after
