"""What the distribution promises to whoever installs it."""

import tomllib
from importlib import metadata
from importlib.resources import files

import pytest

import ccproxy
from tests.corpus import ROOT

DISTRIBUTION = "ccproxy-streaming"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_base_install_needs_msgspec_alone() -> None:
    base = [requirement for requirement in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in requirement]
    assert [requirement.partition(">")[0] for requirement in base] == ["msgspec"]


def test_extras() -> None:
    assert set(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ()) == {"all", "cli", "dev", "gateway"}


def test_types_are_shipped() -> None:
    assert (files("ccproxy") / "py.typed").is_file()


def test_one_version() -> None:
    assert ccproxy.__version__ == metadata.version(DISTRIBUTION)
    # Read from pyproject too: an installation that lags behind the checkout would hide a difference.
    assert ccproxy.__version__ == PYPROJECT["project"]["version"]


def test_oldest_python() -> None:
    assert metadata.metadata(DISTRIBUTION)["Requires-Python"] == ">=3.11"


def test_command_is_declared() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="ccproxy")
    assert command.value == "ccproxy.cli:main"
    assert callable(command.load())


@pytest.mark.parametrize("table", ["mypy", "basedpyright"])
def test_types_are_checked_for_the_oldest_python(table: str) -> None:
    tool = PYPROJECT["tool"][table]
    checked = tool.get("python_version", tool.get("pythonVersion"))
    assert PYPROJECT["project"]["requires-python"] == f">={checked}"
