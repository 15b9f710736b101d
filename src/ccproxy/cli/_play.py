"""`ccproxy demo --print`: one stream, played into every dialect in the terminal."""

import os
from itertools import islice, pairwise
from time import sleep
from typing import Final

from ccproxy import dialects
from ccproxy.shells.sync import with_clock
from ccproxy.translator import Translator

from . import _io, _sniff
from ._options import AUTO, failure_line, loss_line

_PACE: Final = 0.03  # seconds between two events, about what a model takes
_PATIENCE: Final = 4.0  # seconds for one dialect, however long the stream
_MANY: Final = 12  # losses shown for one dialect

_TITLE: Final = "1;36"
_NOTE: Final = "33"
_ERROR: Final = "31"

_CONTROLS: Final = bytes(i for i in [*range(32), 127] if i not in b"\t\n\r")


class _Screen:
    """Standard output, with colours and a pace if it is a terminal."""

    def __init__(self) -> None:
        self._output = _io.Output()
        self._live = self._output.is_terminal
        self._colours = self._live and not os.environ.get("NO_COLOR")

    def line(self, text: str, colour: str = "") -> None:
        text = _io.printable(text)
        self._output.write((f"\x1b[{colour}m{text}\x1b[0m\n" if colour and self._colours else f"{text}\n").encode())

    def heading(self, text: str) -> None:
        self._output.write(b"\n")
        self.line(f"=== {text} ===", _TITLE)
        self._output.write(b"\n")

    def show(self, data: bytes) -> None:
        """What a stream holds; a terminal does not get to act on it."""
        self._output.write(data.translate(None, _CONTROLS) if self._live else data)

    def wait(self, seconds: float) -> None:
        if self._live:
            sleep(seconds)


def play(name: str, data: bytes, source: str) -> int:
    """Show the stream in every dialect, and the whole response. Gives the exit code."""
    screen = _Screen()
    if source == AUTO:
        try:
            source, _ = _sniff.find_source(iter([data]))
        except _sniff.Unrecognised as unrecognised:
            _sniff.give_up(unrecognised)
            return _io.FAILED

    events = _cut(data)
    screen.line(f"{name}: {len(events)} events of {source} ({dialects.get(source).title}), {len(data)} bytes", _TITLE)
    for target in dialects.names():
        _play(screen, events, source, target)
    return _rebuild(screen, data, source)


def _cut(data: bytes) -> list[bytes]:
    """The stream event by event, to the byte."""
    ends = [0, *(match.end() for match in _sniff.EVENT_END.finditer(data)), len(data)]
    return [data[start:end] for start, end in pairwise(ends) if start < end]


def _play(screen: _Screen, events: list[bytes], source: str, target: str) -> None:
    stream = Translator(source, target, **with_clock({}))
    how = "the bytes as they came" if source == target else dialects.get(target).title
    screen.heading(f"{source} -> {target}: {how}")
    pace = min(_PACE, _PATIENCE / max(1, len(events)))
    for event in events:
        out = stream.feed(event)
        if out:
            screen.show(out)
            screen.wait(pace)
    screen.show(stream.close())
    if stream.error is not None:
        screen.line(failure_line(stream.error), _ERROR)
    losses = stream.losses
    for loss in islice(losses, _MANY):
        screen.line(loss_line(loss), _NOTE)
    if len(losses) > _MANY:
        screen.line(f"lost: {len(losses) - _MANY} more", _NOTE)
    if not losses:
        screen.line("nothing was lost", _NOTE)


def _rebuild(screen: _Screen, data: bytes, source: str) -> int:
    screen.heading(f"the whole response, rebuilt from the {source} stream")
    stream = Translator(source, source, **with_clock({}))
    stream.feed(data)
    stream.close()
    if stream.error is not None:
        screen.line(f"none: {failure_line(stream.error)}", _ERROR)
        _io.say(failure_line(stream.error))
        return _io.FAILED
    screen.show(_io.json(stream.body()))
    return _io.OK
