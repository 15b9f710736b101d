"""`ccproxy translate`: bytes of one dialect in, bytes of another out, as they arrive."""

from collections.abc import Sequence

from . import _io, _sniff
from ._options import (
    Parser,
    add_file,
    add_options,
    add_output,
    add_source,
    check_dialect,
    check_source,
    failure_line,
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
    pieces = _io.read(arguments.file)
    try:
        source, pieces = _sniff.find_source(arguments.source, pieces)
    except _sniff.Unrecognised as unrecognised:
        output = _io.Output(arguments.output, arguments.file)
        output.write(_sniff.give_up(unrecognised, arguments.target))
        output.close()
        return _io.FAILED

    stream = translator(
        source,
        arguments.target,
        {**options(arguments), "normalize": arguments.normalize, "include_usage": not arguments.no_usage},
    )
    untouched = source == arguments.target and not arguments.normalize
    if untouched and (arguments.model or arguments.quirk or arguments.no_usage):
        _io.say(f"{source} to {source} leaves the bytes as they are: add --normalize for the other options to act")
    output = _io.Output(arguments.output, arguments.file)
    for piece in pieces:
        output.write(stream.feed(piece))
        if stream.error is not None and not untouched:
            break  # nothing more will come out, however long the input goes on
    output.write(stream.close())
    output.close()
    if arguments.losses:
        report_losses(stream.losses)
    if stream.error is None:
        return _io.OK
    _io.say(failure_line(stream.error))
    return _io.FAILED
