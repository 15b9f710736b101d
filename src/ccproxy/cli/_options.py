"""Arguments that several subcommands take, and what people read: help, suggestions, losses, failures."""

import argparse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from . import _io

if TYPE_CHECKING:  # `ccproxy --help` shall not import the library
    from ccproxy.core.errors import MisuseError, StreamFailed
    from ccproxy.core.losses import Loss
    from ccproxy.core.vocab import LossKind
    from ccproxy.translator import Options, Translator

AUTO: Final = "auto"

LOSS_WORDS: Final["Mapping[LossKind, str]"] = {
    "choice": "a further answer",
    "part": "a part of the message",
    "signature": "a signature",
    "citation": "a citation",
    "refusal": "the mark that this is a refusal",
    "custom_tool": "the free form of a call's input",
    "stop_sequence": "which stop sequence was met",
    "finish": "the exact reason to finish",
    "boundary": "a boundary between parts",
    "order": "the order of the parts",
    "logprobs": "log probabilities",
    "usage": "usage",
    "opaque": "something that only its own dialect knows",
    "field": "a field",
    "default": "that a field was left open",
    "repair": "what would have been refused",
}
"""What is lost, by kind of loss, in words."""


class Parser(argparse.ArgumentParser):
    """A parser whose help shows examples and exit codes."""

    def __init__(self, prog: str, description: str, examples: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=f"{examples}\n{_io.EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )


def add_source(parser: Parser, default: str | None = None, but: str = "") -> None:
    """`but`: where it can't be found out."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="D",
        required=default is None,
        default=default,
        help=f"the dialect of the input; `auto` finds out{but}",
    )


def add_file(parser: Parser) -> None:
    parser.add_argument(
        "file", nargs="?", default=_io.STDIO, metavar="FILE", help="the stream; - or nothing is standard input"
    )


def add_output(parser: Parser) -> None:
    parser.add_argument(
        "-o", "--output", default=_io.STDIO, metavar="OUT", help="write there instead of to standard output"
    )


def add_options(parser: Parser) -> None:
    """What both `translate` and `collect` may be told about the translation."""
    from typing import get_args

    from ccproxy.core.spi import Context, ReasoningStyle

    parser.add_argument("--losses", action="store_true", help="say on stderr what the target could not express")
    parser.add_argument("--model", metavar="M", help="the model to name in the output instead of the upstream's")
    parser.add_argument(
        "--reasoning",
        choices=get_args(ReasoningStyle),
        metavar="STYLE",
        default=Context().reasoning,
        help="where OpenAI Chat puts reasoning: %(choices)s (default: %(default)s)",
    )
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        metavar="NAME",
        help="repair what a vendor gets wrong; may be given again (`ccproxy dialects` lists the names)",
    )


def options(arguments: argparse.Namespace) -> "Options":
    """The options of `add_options` as those of a `Translator`."""
    from ccproxy.shells.sync import with_clock

    return with_clock({"model": arguments.model, "reasoning": arguments.reasoning, "quirks": arguments.quirk})


def check_dialect(name: str) -> None:
    """Raises `Exit` with the nearest names if there is no such dialect."""
    from ccproxy import dialects
    from ccproxy.core.errors import MisuseError

    try:
        dialects.get(name)
    except MisuseError as error:
        raise _io.Exit(_io.MISUSE, f"{error}{suggestion(name, dialects.names())}") from None


def check_source(name: str) -> None:
    """The same for the dialect of the input, which may be found out."""
    if name != AUTO:
        check_dialect(name)


def translator(source: str, target: str, options: "Options") -> "Translator":
    """A translator; raises `Exit` for what it refuses."""
    from ccproxy.core.errors import MisuseError
    from ccproxy.translator import Translator

    try:
        return Translator(source, target, **options)
    except MisuseError as error:
        raise misuse(error, source, options.get("quirks", ())) from None


def misuse(error: "MisuseError", source: str, quirks: Iterable[str]) -> _io.Exit:
    """The exit for options that were refused, with the nearest names if it is about a quirk."""
    from ccproxy import dialects

    known = dialects.get(source).quirks
    wrong = [name for name in quirks if name not in known]
    return _io.Exit(_io.MISUSE, f"{error}{suggestion(wrong[0], known) if wrong else ''}")


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known words nearest to an unknown one, as the end of a sentence."""
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), list(known), cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def loss_line(loss: "Loss") -> str:
    """One loss in words."""
    where = "" if loss.part is None else f" (part {loss.part})"
    what = LOSS_WORDS[loss.kind]
    detail = f": {loss.detail}" if loss.detail not in ("", what) else ""
    return f"lost: {what}{where}{detail}"


def report_losses(losses: "Iterable[Loss]") -> None:
    lines = [loss_line(loss) for loss in losses]
    for line in lines or ["nothing was lost"]:
        _io.say(line, prefix="")


def failure_line(error: "StreamFailed") -> str:
    """What happened to the stream, and where."""
    who = "the provider reported an error" if error.fault == "provider" else "the stream failed"
    return f"{who} at event {error.frame} (counted from 0), byte {error.offset}: {error.kind}: {error.reason}"


def response_failure_line(error: "StreamFailed") -> str:
    """What is wrong with a response body."""
    who = "the provider reported an error" if error.fault == "provider" else "the response can't be translated"
    return f"{who}: {error.kind}: {error.reason}"


def finish(stream: "Translator") -> int:
    """The exit code of a stream that was closed; says what happened to it."""
    if stream.error is None:
        return _io.OK
    _io.say(failure_line(stream.error))
    return _io.FAILED
