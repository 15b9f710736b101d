"""`ccproxy dialects`: everything that is registered, for people and for programs."""

import json

import pytest

from ccproxy import dialects
from ccproxy.cli import main


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dialects"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "TITLE", "PARTS", "QUIRKS"]
    for line, name in zip(lines[1:], dialects.names(), strict=False):
        dialect = dialects.get(name)
        assert line.startswith(f"{name} ") and dialect.title in line
        for quirk, factory in dialect.quirks.items():
            assert quirk in line
            assert any(
                row.startswith(name) and quirk in row and str(factory.__doc__).split()[0] in row for row in lines
            )


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dialects", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(dialects.names())
    for row in rows:
        dialect = dialects.get(row["name"])
        assert (row["title"], row["serial"]) == (dialect.title, dialect.serial)
        assert [quirk["name"] for quirk in row["quirks"]] == list(dialect.quirks)
        assert all(quirk["repairs"] for quirk in row["quirks"])
