"""`ccproxy translate`: bytes of one dialect in, bytes of another out, as they arrive; or a whole body."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

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
    misuse,
    options,
    report_losses,
    response_failure_line,
    translator,
)

if TYPE_CHECKING:  # `ccproxy --help` shall not import the library
    from ccproxy.core.errors import RequestRefused
    from ccproxy.translator import Options

_EXAMPLES = """\
examples:
  ccproxy translate --from anthropic --to openai-chat answer.sse
  cat answer.sse | ccproxy translate --from auto --to openai-chat --losses
  ccproxy translate --from anthropic --to anthropic --normalize answer.sse -o strict.sse
  ccproxy translate --response --from auto --to openai-chat answer.json
  ccproxy translate --request --from anthropic --to gemini --model gemini-3-pro --losses request.json
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy translate",
        "Translates a stream while it arrives: a line in, a line out. If the stream fails, the output ends in the\n"
        "target's error form, and stderr says why. The same dialect in and out leaves the bytes as they are.\n"
        "With --response it translates the body of a response without streaming, with --request that of a request.",
        _EXAMPLES,
    )
    whole = parser.add_mutually_exclusive_group()
    whole.add_argument("--response", action="store_true", help="the input is a response body, no stream")
    whole.add_argument("--request", action="store_true", help="the input is a request body, no stream")
    add_source(parser, but=", but not for --request")
    parser.add_argument("--to", dest="target", metavar="D", required=True, help="the dialect of the output")
    add_file(parser)
    add_output(parser)
    add_options(parser)
    parser.add_argument(
        "--normalize", action="store_true", help="same dialect in and out: write it anew, in the strict form"
    )
    parser.add_argument("--no-usage", action="store_true", help="OpenAI Chat: no usage chunk at the end")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of `translate_request`, as max_tokens=4096; may be given again",
    )
    arguments = parser.parse_args(argv)
    if arguments.set and not arguments.request:
        parser.error("--set is for --request")
    if arguments.request and arguments.source == AUTO:
        parser.error("--request needs the dialect of the input: two of them can't be told apart")

    check_source(arguments.source)
    check_dialect(arguments.target)
    with _io.Input(arguments.file) as file:
        if arguments.request:
            return _translate_request(arguments, file)
        return _translate_response(arguments, file) if arguments.response else _translate(arguments, file)


def _translate_request(arguments: argparse.Namespace, file: _io.Input) -> int:
    from ccproxy.core.errors import MisuseError, RequestRefused
    from ccproxy.requests import RequestOptionsDict, translate_request

    given = {"model": arguments.model, **dict(_setting(text) for text in arguments.set)}
    chosen = cast("RequestOptionsDict", given)  # `translate_request` checks it
    try:
        translated = translate_request(
            b"".join(file), arguments.source, arguments.target, normalize=arguments.normalize, **chosen
        )
    except MisuseError as error:
        raise _io.Exit(_io.MISUSE, str(error)) from None
    except RequestRefused as error:
        _io.say(_refusal_line(error))
        return _io.FAILED
    with _io.Output(arguments.output, file) as output:
        output.write(_io.json(translated.body))
    if arguments.losses:
        report_losses(translated.losses)
    return _io.OK


def _setting(text: str) -> tuple[str, object]:
    """An option and its value, which is read as JSON where it is that."""
    from ccproxy.wire.json import JSONError, loads

    name, equals, value = text.partition("=")
    if not equals:
        raise _io.Exit(_io.MISUSE, f"--set takes NAME=VALUE, not {text!r}")
    try:
        return name, loads(value.encode("utf-8", "surrogateescape"))
    except JSONError:
        return name, value


def _refusal_line(error: "RequestRefused") -> str:
    return f"the request is refused: {error}"


def _translate_response(arguments: argparse.Namespace, file: _io.Input) -> int:
    from ccproxy.core.errors import MisuseError, StreamFailed
    from ccproxy.responses import translate_response

    body = b"".join(file)
    source = arguments.source
    try:
        if source == AUTO:
            from . import _sniff

            source = _sniff.find_source_of_body(body)
        chosen: Options = {**options(arguments), "normalize": arguments.normalize}
        translated = translate_response(body, source, arguments.target, **chosen)
    except MisuseError as error:
        raise misuse(error, source, arguments.quirk) from None
    except StreamFailed as error:
        _io.say(response_failure_line(error))
        return _io.FAILED
    with _io.Output(arguments.output, file) as output:
        output.write(_io.json(translated.body))
    if arguments.losses:
        report_losses(translated.losses)
    return _io.OK


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
