"""Server-sent events as the laws read them: a second, slow and simple reading, so that the library's own can be wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

END = rb"(?:\r\n|\n|\r(?!\n))"
BLANK = re.compile(END + END + b"+")
LINE = re.compile(rb"\r\n|\n|\r")


class Frame(NamedTuple):
    """One event, comment, or run of other lines."""

    event: str | None
    data: bytes | None
    comment: bool
    stray: bytes
    raw: bytes
    whole: bool
    """Whether its blank line was there."""

    @property
    def payload(self) -> Any:
        """The data as JSON; None if there is none or it is broken."""
        if self.data is None:
            return None
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None

    @property
    def object(self) -> dict[str, Any]:
        payload = self.payload
        return payload if isinstance(payload, dict) else {}

    @property
    def foreign(self) -> bool:
        """Whether it is a body of another kind, in the place of an event."""
        return self.stray.strip().removeprefix(b"error:").strip().startswith((b"{", b"[", b"<"))

    @property
    def done(self) -> bool:
        return self.data is not None and self.data.startswith(b"[DONE]")

    @property
    def usable(self) -> bool:
        """Whether it counts at the end of the input: whole, or its data complete JSON or `[DONE]`."""
        return self.whole or self.done or self.payload is not None


def joined(text: str) -> str:
    """With the halves of surrogate pairs that were apart put together."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def boundaries(data: bytes) -> list[int]:
    """The positions right after each blank line."""
    return [match.end() for match in BLANK.finditer(data)]


def frames(data: bytes) -> list[Frame]:
    return list(_frames(data.removeprefix(b"\xef\xbb\xbf")))


def _frames(data: bytes) -> Iterator[Frame]:
    start = 0
    for match in BLANK.finditer(data):
        if match.start() > start:
            yield _frame(data[start : match.start()], whole=True)
        start = match.end()
    if data[start:].strip(b"\r\n"):
        yield _frame(data[start:], whole=False)


def _frame(raw: bytes, whole: bool) -> Frame:
    event: str | None = None
    data: list[bytes] = []
    stray: list[bytes] = []
    comment = False
    for line in LINE.split(raw):
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line.startswith(b":"):
            comment = True
        elif name == b"data":
            data.append(value)
        elif name == b"event" and colon:
            event = value.decode("utf-8", "replace")
        elif line and name not in (b"id", b"retry", b"event"):
            stray.append(line)
    return Frame(event, b"\n".join(data) if data else None, comment, b"\n".join(stray), raw, whole)
