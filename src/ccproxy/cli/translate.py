"""`ccproxy translate`: bytes of one dialect in, bytes of another out, as they arrive."""

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
  ccproxy translate --from anthropic --to openai-chat answer.sse
  cat answer.sse | ccproxy translate --from auto --to openai-chat --losses
  ccproxy translate --from anthropic --to anthropic --normalize answer.sse -o strict.sse
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy translate",
        "Translates a stream while it arrives: a line in, a line out. If the stream fails, the output ends in the\n"
        "target's error form, and stderr says why. The same dialect in and out leaves the bytes as they are.",
        _EXAMPLES,
    )
    add_source(parser)
    parser.add_argument("--to", dest="target", metavar="D", required=True, help="the dialect of the output")
    add_file(parser)
    add_output(parser)
    add_options(parser)
    parser.add_argument(
        "--normalize", action="store_true", help="same dialect in and out: write it anew, in the strict form"
    )
    parser.add_argument("--no-usage", action="store_true", help="OpenAI Chat: no usage chunk at the end")
    arguments = parser.parse_args(argv)

    check_source(arguments.source)
    check_dialect(arguments.target)
    with _io.Input(arguments.file) as file:
        return _translate(arguments, file)


def _translate(arguments: argparse.Namespace, file: _io.Input) -> int:
    source, target, pieces = arguments.source, arguments.target, iter(file)
    if source == AUTO:
        from . import _sniff

        try:
            source, pieces = _sniff.find_source(pieces)
        except _sniff.Unrecognised as unrecognised:
            with _io.Output(arguments.output, file) as output:
                output.write(_sniff.give_up(unrecognised, target))
            return _io.FAILED

    stream = translator(
        source,
        target,
        {**options(arguments), "normalize": arguments.normalize, "include_usage": not arguments.no_usage},
    )
    untouched = source == target and not arguments.normalize
    if untouched and (arguments.model or arguments.no_usage):
        _io.say(f"{source} to {source} leaves the bytes as they are; --model and --no-usage need --normalize")
    with _io.Output(arguments.output, file) as output:
        for piece in pieces:
            output.write(stream.feed(piece))
            if stream.error is not None and not untouched:
                break  # nothing more will come out, however long the input goes on
        output.write(stream.close())
    if arguments.losses:
        report_losses(stream.losses)
    return finish(stream)
