"""`ccproxy dialects`: what can be translated."""

from collections.abc import Sequence
from typing import Any

from ccproxy import dialects
from ccproxy.core.spi import Dialect

from . import _io
from ._options import Parser

_EXAMPLES = """\
examples:
  ccproxy dialects
  ccproxy dialects --json
"""


def run(argv: Sequence[str]) -> int:
    parser = Parser(
        "ccproxy dialects",
        "Lists the dialects: what --from and --to take, and the vendor repairs that --quirk takes for each.",
        _EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    as_json = parser.parse_args(argv).json
    known = [dialects.get(name) for name in dialects.names()]
    _io.Output().write(_io.json([_as_object(d) for d in known]) if as_json else _as_table(known).encode())
    return _io.OK


def _quirks(dialect: Dialect) -> dict[str, str]:
    """What each quirk repairs: the first line of its description."""
    return {name: (quirk.__doc__ or "").strip().partition("\n")[0] for name, quirk in dialect.quirks.items()}


def _as_table(known: list[Dialect]) -> str:
    rows = [("NAME", "TITLE", "PARTS", "QUIRKS")]
    for dialect in known:
        parts = "in turn" if dialect.serial else "interleaved"
        rows.append((dialect.name, dialect.title, parts, ", ".join(dialect.quirks) or "none"))
    text = _columns(rows)
    quirks = [(dialect.name, name, words) for dialect in known for name, words in _quirks(dialect).items()]
    return f"{text}\nquirks, off unless asked for with --quirk:\n{_columns(quirks)}" if quirks else text


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _as_object(dialect: Dialect) -> dict[str, Any]:
    return {
        "name": dialect.name,
        "title": dialect.title,
        "serial": dialect.serial,
        "quirks": [{"name": name, "repairs": words} for name, words in _quirks(dialect).items()],
    }
