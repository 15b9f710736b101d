"""`ccproxy demo`: one answer, streamed live into every dialect in the terminal."""

import os
from collections.abc import Sequence
from itertools import islice, pairwise
from pkgutil import get_data  # importlib.resources takes 10 ms to import, this is loaded anyway
from time import sleep
from typing import Final

from ccproxy import dialects
from ccproxy.shells.sync import with_clock
from ccproxy.translator import Translator

from . import _io, _sniff
from ._options import AUTO, Parser, add_source, check_source, failure_line, loss_line

_EXAMPLES = """\
examples:
  ccproxy demo
  ccproxy demo --from anthropic answer.sse
"""

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


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy demo",
        "Streams one answer into every dialect, in this terminal and at the pace of a model; says what each can't\n"
        "express, and ends with the whole response. Without FILE it plays a bundled answer.",
        _EXAMPLES,
    )
    add_source(parser, default=AUTO)
    parser.add_argument("file", nargs="?", metavar="FILE", help="any recorded stream; - is standard input")
    arguments = parser.parse_args(argv)

    check_source(arguments.source)
    screen = _Screen()
    if arguments.file is None:
        name, data = "the bundled answer", get_data(__package__ or "", "demo.sse") or b""
    else:
        with _io.Input(arguments.file) as stream:
            name, data = arguments.file, b"".join(stream)
    source = arguments.source
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
