"""The documentation is true: its examples run, its names and paths exist, its tables are those of the code."""

import ast
import inspect
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ccproxy
from ccproxy import Translator, cli, dialects
from ccproxy.cli import _io
from ccproxy.core.grammar import STATES
from ccproxy.core.spi import RequestOptions
from ccproxy.llms import streaming
from tests.corpus import FIXTURES, ROOT
from tools import docs

README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/NOTES.md"), FIXTURES / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
DEMO = files("ccproxy.cli").joinpath("demo.sse").read_bytes()


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text("utf-8"))


def rows(text: str, columns: int) -> Iterator[list[str]]:
    """The rows of all tables that have so many columns, without their heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == columns:
            yield cells


# What is generated


def test_generated_text_is_fresh() -> None:
    assert docs.main(["--check"]) == 0, "run make docs"


def test_stale_text_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "TABLES", tmp_path / "tables.md")
    monkeypatch.setattr(docs, "ARCHITECTURE", tmp_path / "ARCHITECTURE.md")
    docs.ARCHITECTURE.write_text("<!-- generated: states -->\nold\n<!-- /generated -->\n")
    assert docs.main(["--check"]) == 1
    assert docs.ARCHITECTURE.read_text() == "<!-- generated: states -->\nold\n<!-- /generated -->\n"
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


def test_the_diagram_has_every_state_and_event() -> None:
    diagram = docs.states()
    for machine, states in STATES.items():
        assert f"state {machine} {{" in diagram
        for name, row in states.items():
            assert re.search(rf"\b{name}\b", diagram)
            assert all(event.__name__ in diagram for event in row)


def test_every_dialect_has_its_column() -> None:
    heads = [line for line in docs.tables().splitlines() if line.startswith("| neutral |")]
    assert len(heads) == 5
    for head in heads[:4]:
        assert all(f"`{name}`" in head for name in dialects.names())


# Examples


def examples() -> list[Any]:
    blocks = [(match[1], match[2]) for match in FENCE.finditer(README)]
    found = [
        (code, blocks[number + 1][1] if blocks[number + 1][0] == "text" else "")
        for number, (kind, code) in enumerate(blocks)
        if kind == "python"
    ]
    return [pytest.param(*example, id=str(number)) for number, example in enumerate(found)]


@pytest.mark.parametrize(("code", "output"), examples())
def test_python_examples_run(code: str, output: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(code, "<README.md>", "exec"), {"__name__": "__main__"})
    assert out.getvalue() == output


def test_every_function_has_an_example() -> None:
    code = "\n".join(match[2] for match in FENCE.finditer(README) if match[1] == "python")
    for name in ("Translator(", "translate(", "atranslate(", "collect(", ".losses", ".error", "StreamFailed"):
        assert name in code


def commands() -> list[str]:
    """The lines of the shell blocks that call the command, but for those that need a network."""
    lines = [line for match in FENCE.finditer(README) if match[1] == "sh" for line in match[2].splitlines()]
    return [line for line in lines if re.search(r"(^|\| )ccproxy ", line) and not line.startswith("curl")]


@pytest.mark.parametrize("line", commands())
def test_shell_examples_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Each gives the exit code that its comment names, and says what that says, or else does its work."""
    pipeline, _, comment = line.partition("#")
    source, _, command = pipeline.rpartition("|")
    monkeypatch.chdir(tmp_path)
    Path("answer.sse").write_bytes(DEMO)
    fed = subprocess.run(["sh", "-c", source], stdout=subprocess.PIPE, check=True).stdout if source else b""
    Path("stdin").write_bytes(fed)
    promised = re.match(r" exits (\d+): (.+)", comment)
    with open("stdin") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code = cli.main(shlex.split(command)[1:])
    captured = capsys.readouterr()
    if promised:
        assert code == int(promised[1])
        assert promised[2] in captured.err
    else:
        assert code == 0, captured.err
        assert captured.out or Path("strict.sse").read_bytes()


def test_the_benchmark_has_its_place() -> None:
    assert re.search(r"<!-- bench -->\n.+<!-- /bench -->", README, re.DOTALL)


def test_the_test_command_is_named() -> None:
    assert re.search(r"^make test\b", README, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text("utf-8"), re.MULTILINE)) <= make_targets()


def test_every_test_and_benchmark_is_named() -> None:
    """In the README or in what a contributor reads."""
    text = README + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for target in make_targets() - {"help", "clean", "lint", "types", "contracts"}:
        assert f"make {target}" in text, target


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


# Names


def test_documented_names_exist() -> None:
    names = set(re.findall(r"`(ccproxy(?:\.\w+)+)`", README))
    for name in names:
        assert resolve(name) is not None
    public = {f"ccproxy.{name}" for name in ccproxy.__all__} - {"ccproxy.__version__"}
    assert public | {f"ccproxy.llms.streaming.{name}" for name in streaming.__all__} <= names


def resolve(name: str) -> Any:
    value: Any = ccproxy
    path = "ccproxy"
    for word in name.split(".")[1:]:
        path = f"{path}.{word}"
        value = getattr(value, word) if hasattr(value, word) else import_module(path)
    return value


def test_documented_members_exist() -> None:
    translator = Translator("anthropic", "anthropic")
    members = set(re.findall(r"`translator\.(\w+)", README))
    assert members == {name for name in (*vars(translator), *dir(translator)) if not name.startswith("_")}


def test_documented_methods_exist() -> None:
    for name, text in rows(README, 2):
        if name.startswith("`ccproxy.llms.streaming."):
            for method in re.findall(r"`(\w+)(?:\(.*?\))?`", text):
                assert hasattr(resolve(name.strip("`")), method), (name, method)


def options_in(title: str) -> dict[str, Any]:
    """The options that a section of the README lists, and their defaults."""
    return {
        name.strip("`"): ast.literal_eval(default.strip("`"))
        for name, default, _ in rows(section(README, title), 3)
        if re.fullmatch(r"`\w+`", name)
    }


def test_options_are_documented() -> None:
    parameters = inspect.signature(Translator).parameters.values()
    assert options_in("Options") == {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_options_of_requests_are_documented() -> None:
    options = msgspec.structs.asdict(RequestOptions())
    assert options_in("Requests, whole answers, errors") == {**options, "store": None, "normalize": False}


def test_exit_codes_are_documented() -> None:
    documented = {int(code) for code, _ in rows(README, 2) if code.isdecimal()}
    assert documented == {int(code) for code in re.findall(r"^  (\d+) ", _io.EXIT_CODES, re.MULTILINE)}


def test_exceptions_are_drawn() -> None:
    drawn = set(re.findall(r"^[├└ ─]*(\w+)(?:\(\w+\))?(?:  |$)", section(ARCHITECTURE, "Failure"), re.MULTILINE))
    assert {"CCProxyError", "MisuseError", "StreamFailed"} <= drawn


def section(text: str, title: str) -> str:
    """What stands under a heading of the second or third level, up to the next one of its level or above."""
    for end, level in ((r"\n## ", "##"), (r"\n##?#? ", "###")):
        _, found, rest = text.partition(f"\n{level} {title}\n")
        if found:
            return re.split(end, rest, maxsplit=1)[0]
    raise AssertionError(f"there is no section {title!r}")


def test_events_are_listed() -> None:
    from ccproxy.core import events

    listed = {name.strip("`") for name, _ in rows(section(ARCHITECTURE, "Vocabulary"), 2)} - {"event", "---"}
    assert listed == {event.__name__ for event in events.Event.__args__}


def test_modules_are_in_the_tree() -> None:
    tree = section(ARCHITECTURE, "Tree")
    for folder in ("", "wire", "core", "shells"):
        for module in (ROOT / "src" / "ccproxy" / folder).glob("[!_]*.py"):
            assert module.name in tree, module


def test_laws_are_listed() -> None:
    listed = set(re.findall(r"`(tests/laws/test_\w+\.py)`", ARCHITECTURE))
    assert listed == {f"tests/laws/{path.name}" for path in ROOT.glob("tests/laws/test_*.py")}


# Links and paths


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.is_file(), target
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.*)", prose(linked), re.MULTILINE)}, target


def slug(title: str) -> str:
    """The anchor that a heading gets where the pages are shown."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    for path in re.findall(r"`((?:src|tests|docs|tools|bench)/[\w./*-]+)`", prose(page)):
        assert list(ROOT.glob(path.rstrip("/"))), path


def test_pages_are_of_no_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(?:work|home|root|tmp|Users)/", page.read_text("utf-8"))


# Oddities


@pytest.mark.parametrize("dialect", dialects.names())
def test_oddities_have_their_case(dialect: str) -> None:
    """Every line of NOTES.md names what shows it; every deviant fixture has a line."""
    page = ROOT / "src" / "ccproxy" / "dialects" / dialect.replace("-", "_") / "NOTES.md"
    text = page.read_text("utf-8")
    shown: set[str] = set()
    for oddity, source, cases in rows(text, 3):
        if oddity not in ("oddity", "---"):
            named = re.findall(r"`([\w-]+\.sse)`", cases)
            assert oddity and source and named, oddity
            shown.update(named)
    streams = {path.name for path in (FIXTURES / dialect).glob("*.sse")}
    assert shown <= streams
    manifest = map(json.loads, (FIXTURES / "manifest.jsonl").read_text("utf-8").splitlines())
    deviant = {Path(row["file"]).name for row in manifest if row["dialect"] == dialect and row["deviant"]}
    assert deviant <= shown
