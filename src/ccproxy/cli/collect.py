"""`ccproxy collect`: the response body that a stream amounts to."""

import argparse
from collections.abc import Sequence

from . import _io
from ._options import (
    AUTO,
    Parser,
    add_file,
    add_options,
    add_output,
    add_source,
    check_dialect,
    check_source,
    finish,
    options,
    report_losses,
    translator,
)

_EXAMPLES = """\
examples:
  ccproxy collect --from anthropic answer.sse
  cat answer.sse | ccproxy collect --from auto --to openai-chat --indent 0
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy collect",
        "Prints the whole response as the API would have sent it without streaming. A stream that fails gives no\n"
        "response: stderr says why.",
        _EXAMPLES,
    )
    add_source(parser)
    parser.add_argument("--to", dest="target", metavar="D", help="the dialect of the response; the input's by default")
    add_file(parser)
    add_output(parser)
    add_options(parser)
    parser.add_argument(
        "--indent", type=_width, default=2, metavar="N", help="spaces for each level; 0 is one line (default: 2)"
    )
    arguments = parser.parse_args(argv)

    check_source(arguments.source)
    if arguments.target is not None:
        check_dialect(arguments.target)
    with _io.Input(arguments.file) as file:
        return _collect(arguments, file)


def _collect(arguments: argparse.Namespace, file: _io.Input) -> int:
    source, pieces = arguments.source, iter(file)
    if source == AUTO:
        from . import _sniff

        try:
            source, pieces = _sniff.find_source(pieces)
        except _sniff.Unrecognised as unrecognised:
            _sniff.give_up(unrecognised)
            return _io.FAILED

    stream = translator(source, source, options(arguments))
    for piece in pieces:
        stream.feed(piece)
        if stream.error is not None:
            break
    stream.close()
    if stream.error is None:
        body = stream.body(arguments.target)
        with _io.Output(arguments.output, file) as output:
            output.write(_io.json(body, arguments.indent))
        if arguments.losses:
            report_losses(stream.losses)
    return finish(stream)


def _width(text: str) -> int:
    width = int(text) if text.isdecimal() else -1
    if not 0 <= width <= 16:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 16, not {text!r}")
    return width
