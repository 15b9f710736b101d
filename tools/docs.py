"""Writes the generated parts of the documentation from the code that they describe.

    python tools/docs.py            write them
    python tools/docs.py --check    change nothing; exit 1 and say which file is stale, if one is

Generated are docs/tables.md as a whole, and in ARCHITECTURE.md what stands between ``<!-- generated: NAME -->`` and
``<!-- /generated -->``. Dialects are discovered. What a table of a dialect's `maps` means, its annotation says:
``NAME_READ: Mapping[str, FinishKind]`` reads finish reasons, ``NAME_WRITE: Mapping[ErrorKind, ...]`` writes errors,
``NAME_KIND: Mapping[str, PartKind]`` tells parts apart, ``NAME_STATUS: Mapping[ErrorKind, int]`` has HTTP statuses that
differ from the usual. The string below a table is printed as its note.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, get_args

from ccproxy import dialects
from ccproxy.cli._options import LOSS_WORDS
from ccproxy.core.grammar import STATES, Row
from ccproxy.core.model import SETTINGS
from ccproxy.core.vocab import ERROR_OF_STATUS, HTTP_STATUS, ErrorKind, FinishKind, LossKind, PartKind, Usage

ROOT: Final = Path(__file__).resolve().parent.parent
ARCHITECTURE: Final = ROOT / "ARCHITECTURE.md"
TABLES: Final = ROOT / "docs" / "tables.md"
SOURCES: Final = ROOT / "src" / "ccproxy"


# The state diagram


def states() -> str:
    """The grammar's rows as a Mermaid diagram: a machine for the stream, one for each part, one for each choice."""
    lines = ["```mermaid", "stateDiagram-v2"]
    names = [name for rows in STATES.values() for name in rows]
    if len(set(names)) != len(names):
        raise ValueError("two states of the grammar share a name; the diagram can't tell them apart")
    for machine, rows in STATES.items():
        name_of = {id(row): name for name, row in rows.items()}
        lines.append(f"    state {machine} {{")
        for name, row in rows.items():
            if not any(id(row) in _edges(other) for other in rows.values() if other is not row):
                lines.append(f"        [*] --> {name}")
            for target, events in _edges(row).items():
                lines.append(f"        {name} --> {name_of[target]}: {', '.join(events)}")
            if not row:
                lines.append(f"        {name} --> [*]")
        lines.append("    }")
    return "\n".join([*lines, "```"])


def _edges(row: Row) -> dict[int, list[str]]:
    """The events that lead from a state to each of the next ones, by the next row's id (rows hold themselves)."""
    edges: dict[int, list[str]] = {}
    for event, target in row.items():
        edges.setdefault(id(target), []).append(event.__name__)
    return edges


# The tables


class Table(NamedTuple):
    """One mapping of a dialect's `maps`."""

    name: str
    entries: Mapping[Any, Any]
    note: str


class Maps:
    """The mappings of one dialect."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.folder = dialect.replace("-", "_")
        module = import_module(f"ccproxy.dialects.{self.folder}.maps")
        self._module = module
        self._notes = _notes(module)

    def reading(self, kinds: Any, suffix: str = "_READ") -> list[Table]:
        """The tables from the dialect's words to neutral kinds."""
        return [table for table, (key, value) in self._typed(suffix) if key is str and value == kinds]

    def writing(self, kinds: Any) -> list[Table]:
        """The tables from neutral kinds to the dialect's words."""
        return [table for table, (key, _) in self._typed("_WRITE") if key == kinds]

    def statuses(self) -> Mapping[ErrorKind, int]:
        """The HTTP statuses that differ from the usual."""
        return {kind: status for table, _ in self._typed("_STATUS") for kind, status in table.entries.items()}

    def _typed(self, suffix: str) -> Iterator[tuple[Table, tuple[Any, Any]]]:
        for name, annotation in self._module.__annotations__.items():
            arguments = [get_args(inner) for inner in get_args(annotation)]  # of the Mapping inside Final
            if name.endswith(suffix) and arguments and len(arguments[0]) == 2:
                yield Table(name, getattr(self._module, name), self._notes.get(name, "")), arguments[0]


def _notes(module: ModuleType) -> dict[str, str]:
    """The string that stands below each assignment of a module."""
    body = ast.parse(Path(module.__file__ or "").read_text("utf-8")).body
    notes: dict[str, str] = {}
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            notes[statement.target.id] = " ".join(str(following.value.value).split())
    return notes


def tables() -> str:
    """docs/tables.md."""
    maps = [Maps(name) for name in dialects.names()]
    sections = [
        "# Words of the dialects",
        "Written by `make docs` from `src/ccproxy/dialects/*/maps.py` and `src/ccproxy/core/vocab.py`; do not edit.",
        _dialects(),
        "## Finish reasons, as read",
        "A word that is in no column is `unknown`; its own spelling is kept in `FinishReason.raw`.",
        *_read(maps, FinishKind),
        "## Finish reasons, as written",
        "`error` has no row: a stream that finished so ends in the target's error form.",
        *_written(maps, FinishKind),
        "## Errors, as read",
        "A number is an HTTP status that stands in the error object.",
        *_read(maps, ErrorKind, numbers=True),
        "## Errors, as written",
        "`HTTP` is the status before the first byte (`StreamFailed.http_status`); a number in a cell is its own.",
        *_written(maps, ErrorKind, status=True),
        "## Parts, as read",
        "Types of blocks and items; what is in no column is `opaque`.",
        *_read([m for m in maps if m.reading(PartKind, "_KIND")], PartKind, "_KIND"),
        "## Usage, as written",
        "Which neutral counts (`Usage`) each field of the dialect's object adds up.",
        _usage(),
        "## Requests: settings",
        "Settings of a request (`core/model.py`) by their names on the wire.",
        _settings(),
        "## Requests: what is kept of a piece",
        "Beyond what every dialect keeps. What a source has and a target's column lacks is a loss of kind `field`.",
        _pieces(),
        "## Requests: settings that are lost, by pair",
        "From the dialect of the row to that of the column. Fields that only the source has are lost, too.",
        _lost_settings(),
        "## Losses",
        "`losses` of a `Translator` or a translated body holds them. The last column names the targets that report it.",
        _losses(),
    ]
    return "\n\n".join(sections) + "\n"


def _dialects() -> str:
    rows = []
    for name in dialects.names():
        dialect = dialects.get(name)
        notes = f"[notes](../src/ccproxy/dialects/{name.replace('-', '_')}/NOTES.md)"
        parts = "one after the other" if dialect.serial else "may interleave"
        rows.append([f"`{name}`", dialect.title, parts, _words(dialect.quirks) or "none", notes])
    return _table(["dialect", "title", "parts when written", "quirks", "oddities"], rows)


def _read(maps: list[Maps], kinds: Any, suffix: str = "_READ", *, numbers: bool = False) -> Iterator[str]:
    heads = ["neutral", *(f"`{m.dialect}`" for m in maps)]
    rows = []
    for kind in get_args(kinds):
        cells = []
        for m in maps:
            tables = m.reading(kinds, suffix)
            cells.append(_words(word for table in tables for word, value in table.entries.items() if value == kind))
        if numbers:
            cells.append(", ".join(str(status) for status, value in ERROR_OF_STATUS.items() if value == kind))
        if any(cells):
            rows.append([f"`{kind}`", *cells])
    yield _table([*heads, "number"] if numbers else heads, rows)
    yield from _footnotes((m, table) for m in maps for table in m.reading(kinds, suffix))


def _written(maps: list[Maps], kinds: Any, *, status: bool = False) -> Iterator[str]:
    heads = ["neutral", *(f"`{m.dialect}`" for m in maps)]
    rows = []
    for kind in get_args(kinds):
        cells = []
        for m in maps:
            entries = [table.entries[kind] for table in m.writing(kinds) if kind in table.entries]
            cell = "; ".join(_spelled(entry) for entry in entries)
            cells.append(f"{cell} ({m.statuses()[kind]})" if status and kind in m.statuses() else cell)
        if any(cells):
            rows.append([f"`{kind}`", *([str(HTTP_STATUS[kind])] if status else []), *cells])
    yield _table([heads[0], "HTTP", *heads[1:]] if status else heads, rows)
    yield from _footnotes((m, table) for m in maps for table in m.writing(kinds))


def _spelled(entry: Any) -> str:
    if isinstance(entry, tuple):
        return ", ".join(_spelled(item) for item in entry)
    return "none" if entry is None else f"`{entry}`"


def _footnotes(tables: Iterator[tuple[Maps, Table]]) -> Iterator[str]:
    lines = [f"- `{m.dialect}`, `{table.name}`: {table.note.rstrip('.')}." for m, table in tables if table.note]
    if lines:
        yield "\n".join(lines)


_COUNTS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")


def _usage() -> str:
    """Told from an example: each neutral count is a power of two, so a written number says what it is the sum of."""
    counts = dict(zip(_COUNTS, (1, 2, 4, 32, 8), strict=True))  # the reasoning is part of the output
    sums = {**counts, "output": counts["output"]}
    rows: dict[str, list[str]] = {}
    names = dialects.names()
    for position, name in enumerate(names):
        module = import_module(f"ccproxy.dialects.{name.replace('-', '_')}.usage")
        for field, number in _leaves(module.write(Usage(**counts))):
            rows.setdefault(_sum(number, sums), [""] * len(names))[position] += f"`{field}` "
    table = [[counted, *(", ".join(cell.split()) for cell in cells)] for counted, cells in rows.items()]
    return _table(["counts", *(f"`{name}`" for name in names)], table)


def _leaves(payload: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, int]]:
    for key, value in payload.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        elif isinstance(value, int):
            yield f"{path}{key}", value


def _sum(number: int, counts: Mapping[str, int]) -> str:
    if number == counts["output"] - counts["reasoning"]:
        return "`output` - `reasoning`"
    parts = [name for name, count in counts.items() if number & count]
    return " + ".join(f"`{name}`" for name in parts) if parts else "none"


def _request_maps() -> dict[str, ModuleType]:
    found = {name: import_module(f"ccproxy.dialects.{name.replace('-', '_')}.maps") for name in dialects.names()}
    return {name: maps for name, maps in found.items() if dialects.get(name).write_request is not None}


def _settings() -> str:
    maps = _request_maps()
    cells = {name: [module.SETTINGS.get(name, "") for module in maps.values()] for name in SETTINGS}
    rows = [[f"`{name}`", *(f"`{cell}`" if cell else "" for cell in row)] for name, row in cells.items() if any(row)]
    return _table(["setting", *(f"`{name}`" for name in maps)], rows)


def _pieces() -> str:
    maps = _request_maps()
    pieces = sorted(set().union(*(module.KEEPS for module in maps.values())))
    rows = [
        [f"`{piece}`", *(_words(sorted(module.KEEPS.get(piece, ()))) for module in maps.values())] for piece in pieces
    ]
    return _table(["piece", *(f"`{name}`" for name in maps)], rows)


_NOT_LOST: Final = ("include_usage", "choices")


def _lost_settings() -> str:
    maps = _request_maps()
    rows = [
        [
            f"`{source}`",
            *(
                ""
                if source == target
                else _words(n for n in SETTINGS if n in had.SETTINGS and n not in has.SETTINGS and n not in _NOT_LOST)
                for target, has in maps.items()
            ),
        ]
        for source, had in maps.items()
    ]
    return _table(["from \\ to", *(f"`{name}`" for name in maps)], rows)


def _losses() -> str:
    reporters: dict[str, list[str]] = {}
    serializer = _reported(SOURCES / "core" / "serialize.py")
    for name in dialects.names():
        found = set().union(*map(_reported, (SOURCES / "dialects" / name.replace("-", "_")).glob("*.py")))
        if dialects.get(name).serial:
            found |= serializer
        for kind in found:
            reporters.setdefault(kind, []).append(name)
    rows = [[f"`{kind}`", LOSS_WORDS[kind], _words(reporters.get(kind, ()))] for kind in get_args(LossKind)]
    return _table(["kind", "what is lost", "reported by"], rows)


def _reported(path: Path) -> set[str]:
    """The kinds of loss that a module adds."""
    kinds: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add":
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and len(node.args) >= 3 and first.value in get_args(LossKind):
                kinds.add(str(first.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lose":
            kind = node.args[2] if len(node.args) > 2 else None  # `RequestWriter.lose`
            kinds.add(str(kind.value) if isinstance(kind, ast.Constant) else "field")
    return kinds


def _words(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell or '-' for cell in line)} |" for line in lines)


# Files


BLOCKS: Final = {"states": states}
_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def generated() -> dict[Path, str]:
    """Every file with generated text, as it should be."""
    text = ARCHITECTURE.read_text("utf-8")
    return {ARCHITECTURE: _BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m[2]]()}\n{m[3]}", text), TABLES: tables()}


def stale() -> list[Path]:
    """The files that are not as they should be."""
    return [
        path for path, text in generated().items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    check: bool = parser.parse_args(argv).check
    wanted = generated()
    wrong = stale()
    for path in wrong:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is stale; run make docs", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {name}")
    return int(check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
