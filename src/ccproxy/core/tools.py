"""Gives tools their names back, and custom tools their free text.

A request may have been sent with other names for its tools, and with functions in the place of custom tools, whose
argument `input` is the text. `ToolRestorer` stands between reader and grammar: all else hears the client's names.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from .events import Delta, Event, PartEnd, PartStart
from .losses import Losses
from .model import ToolName

Locate = Callable[[int, int], tuple[int, int]]
"""(frame number, byte offset) of the n-th event of the read under way, and of the m-th text in it."""


class ToolRestorer:
    """What it gives may have more or fewer events and texts than came; `locate` finds those that caused them."""

    def __init__(self, tools: Mapping[str, ToolName], losses: Losses, locate: Locate) -> None:
        self._tools = tools
        self._losses = losses
        self._locate = locate
        self._inputs: dict[int, InputText] = {}
        self._origins: list[tuple[int, list[int]]] = []  # of each event: what caused it, and each of its texts

    def restores(self, part: int) -> bool:
        """Whether the part's deltas must go through here."""
        return part in self._inputs

    def push(self, events: list[Event]) -> list[Event]:
        """The events with the client's names."""
        out: list[Event] = []
        self._origins = []
        for position, event in enumerate(events):
            if type(event) is PartStart:
                event = self._named(event)
            elif type(event) is Delta and event.part in self._inputs:
                texts = [self._inputs[event.part].feed(text) for text in event.texts]
                kept = [number for number, text in enumerate(texts) if text]
                if kept:
                    out.append(Delta(event.part, [texts[number] for number in kept]))
                    self._origins.append((position, kept))
                continue
            elif type(event) is PartEnd and event.part in self._inputs:
                rest = self._end(event.part)
                if rest:
                    out.append(Delta(event.part, [rest]))
                    self._origins.append((position, [0]))
            out.append(event)
            self._origins.append((position, []))
        self._origins.append((len(events), []))
        return out

    def locate(self, position: int, text: int = 0) -> tuple[int, int]:
        """The place of what caused the n-th event of the last `push`, and the m-th text in it."""
        origin, texts = self._origins[position]
        return self._locate(origin, texts[text] if texts else text)

    def _named(self, event: PartStart) -> PartStart:
        tool = self._tools.get(event.name)
        if tool is None or event.kind not in ("tool", "custom_tool"):
            return event
        if tool.custom and event.kind == "tool":
            self._inputs[event.part] = InputText()
            event = msgspec.structs.replace(event, kind="custom_tool")
        return msgspec.structs.replace(event, name=tool.name, namespace=tool.namespace)

    def _end(self, part: int) -> str:
        """What is left of an input when its part ends, after what could not be said was reported."""
        input = self._inputs.pop(part)
        rest = input.end()
        if input.lost:
            self._losses.add("custom_tool", part, input.lost)
        return rest


_SPACE: Final = " \t\r\n"
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PLAIN: Final = re.compile(r'[^"\\]*')
_SCALAR: Final = re.compile(r"[^,}\]\s]*")
_NESTED: Final = re.compile(r'[^"{}\[\]]*')


class InputText:
    """The string under `input` of a JSON object that comes in pieces, each decoded as far as it goes.

    Other keys are left out, which is a loss. Arguments that are no object are the text themselves; an object without
    such a string is the text as a whole, when it ends. Both are losses too. What was cut within its string is the text
    up to there.
    """

    def __init__(self) -> None:
        self.lost = ""
        """What could not be said."""
        self._state: Callable[[str, int], int] = self._before
        self._raw: list[str] | None = []  # all that came, until it is known that there is an input
        self._out: list[str] = []
        self._string: list[str] = []  # the key at hand
        self._key = ""
        self._escape = ""  # an escape that has begun
        self._half = ""  # the first half of a character whose second half is to come
        self._depth = 0  # of the value that is left out
        self._found = False

    def feed(self, text: str) -> str:
        """What the next piece adds to the text."""
        if self._raw is not None:
            self._raw.append(text)
        position = 0
        while position < len(text):
            position = self._state(text, position)
        out = "".join(self._out)
        self._out = []
        return out

    def end(self) -> str:
        """What is left when the arguments have ended."""
        if self._raw is None:
            return self._half
        raw = "".join(self._raw)
        if raw.strip(_SPACE):
            self.lost = "the arguments have no text `input`; they are the input as they came"
            return raw
        return ""

    # States: each takes some of the text and gives the position after it

    def _before(self, text: str, at: int) -> int:
        """Before the object."""
        if text[at] in _SPACE:
            return at + 1
        if text[at] == "{":
            self._state = self._before_key
            return at + 1
        self.lost = "the arguments are no object; they are the input as they came"
        self._out += ["".join((self._raw or [])[:-1]), text[:at]]
        self._raw = None
        self._state = self._as_is
        return at

    def _as_is(self, text: str, at: int) -> int:
        self._out.append(text[at:])
        return len(text)

    def _before_key(self, text: str, at: int) -> int:
        if text[at] == '"':
            self._string = []
            self._state = self._in_key
        elif text[at] not in _SPACE and text[at] != ",":
            self._state = self._rest
            return at if text[at] != "}" else at + 1
        return at + 1

    def _in_key(self, text: str, at: int) -> int:
        at, ended = self._read_string(text, at, self._string)
        if ended:
            self._key = "".join(self._string)
            self._state = self._before_value
        return at

    def _before_value(self, text: str, at: int) -> int:
        if text[at] in _SPACE or text[at] == ":":
            return at + 1
        if self._key == "input" and text[at] == '"' and not self._found:
            self._found = True
            self._raw = None
            self._state = self._in_input
            return at + 1
        if self._key != "input" or self._found:
            self.lost = self.lost or f"the argument {self._key!r} has no place in an input that is text"
        self._state = self._in_other
        return at

    def _in_input(self, text: str, at: int) -> int:
        at, ended = self._read_string(text, at, self._out)
        if ended:
            self._state = self._after_value
        return at

    def _in_other(self, text: str, at: int) -> int:
        """A value that is left out."""
        char = text[at]
        if char == '"':
            self._state = self._in_other_string
            return at + 1
        if char in "{[":
            self._depth += 1
        elif char in "}]" and self._depth:
            self._depth -= 1
        elif self._depth:
            return max(at + 1, _match_end(_NESTED, text, at))
        else:
            end = _match_end(_SCALAR, text, at)
            if end < len(text):
                self._state = self._after_value
            return end
        if not self._depth:
            self._state = self._after_value
        return at + 1

    def _in_other_string(self, text: str, at: int) -> int:
        at, ended = self._read_string(text, at, [])
        if ended:
            self._state = self._in_other if self._depth else self._after_value
        return at

    def _after_value(self, text: str, at: int) -> int:
        if text[at] == ",":
            self._state = self._before_key
        elif text[at] not in _SPACE:
            self._state = self._rest
            return at if text[at] != "}" else at + 1
        return at + 1

    def _rest(self, text: str, at: int) -> int:
        """After the object."""
        if text[at:].strip(_SPACE):
            self.lost = self.lost or "something follows the arguments"
        return len(text)

    # Strings

    def _read_string(self, text: str, at: int, out: list[str]) -> tuple[int, bool]:
        """Read what there is of a string; the position after it and whether the string has ended."""
        if self._escape:
            return self._read_escape(text, at, out), False
        end = _match_end(_PLAIN, text, at)
        if end > at:
            self._flush_half(out)
            out.append(text[at:end])
        if end == len(text):
            return end, False
        if text[end] == '"':
            self._flush_half(out)
            return end + 1, True
        self._escape = "\\"
        return end + 1, False

    def _read_escape(self, text: str, at: int, out: list[str]) -> int:
        self._escape += text[at]
        escape = self._escape
        if len(escape) == 2 and escape[1] != "u":
            self._escape = ""
            self._flush_half(out)
            out.append(_ESCAPES.get(escape[1], escape))
        elif len(escape) > 2 and escape[-1] not in "0123456789abcdefABCDEF":
            self._escape = ""
            self._flush_half(out)
            out.append(escape[:-1])  # no escape after all; what ends it may be the string's end
            return at
        elif len(escape) == 6:
            self._escape = ""
            digits = escape[2:]
            self._character(chr(int(digits, 16)), out)
        return at + 1

    def _character(self, char: str, out: list[str]) -> None:
        if self._half and "\udc00" <= char <= "\udfff":
            pair, self._half = self._half + char, ""
            out.append(pair.encode("utf-16", "surrogatepass").decode("utf-16"))
            return
        self._flush_half(out)
        if "\ud800" <= char <= "\udbff":
            self._half = char
        else:
            out.append(char)

    def _flush_half(self, out: list[str]) -> None:
        if self._half:
            out.append(self._half)
            self._half = ""


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match is not None else at
