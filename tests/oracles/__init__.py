"""The official Python SDKs as judges of a stream, run in this process without a network.

Each module named `<dialect>_sdk.py` (underscores for hyphens) is one oracle and has four functions:

- `accept(data)` gives the bytes to the SDK as a response body and returns a `Verdict`;
- `normal(final)` puts a `Verdict.final` into the form that our own accumulation is compared in (see `judge.Normal`);
- `validate(data)` checks every event strictly against the SDK's types and returns the problems;
- `validate_body(body)` does the same for a response without streaming.

A new dialect is one more such module: nothing here names one.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from .judge import JsonObject, Normal, Part, Verdict, fold, parsed

__all__ = ["ORACLES", "JsonObject", "Normal", "Oracle", "Part", "Verdict", "fold", "parsed", "validate_events"]

SUFFIX = "_sdk"


class Oracle(Protocol):
    """What a module of this package offers."""

    def accept(self, data: bytes) -> Verdict: ...

    def normal(self, final: Mapping[str, Any]) -> Normal: ...

    def validate(self, data: bytes) -> list[str]: ...

    def validate_body(self, body: Mapping[str, Any]) -> list[str]: ...


def _scan() -> dict[str, Oracle]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.endswith(SUFFIX))
    return {
        name.removesuffix(SUFFIX).replace("_", "-"): cast("Oracle", import_module(f".{name}", __name__))
        for name in names
    }


ORACLES: dict[str, Oracle] = _scan()


def validate_events(dialect: str, data: bytes) -> list[str]:
    """Problems of a stream under the official types; for streams in strict form (providers' own often deviate)."""
    return ORACLES[dialect].validate(data)
