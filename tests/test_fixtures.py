"""Every fixture is understood as its manifest row says: what was told, how it ended, why it finished.

The rows were written with the streams, from what their author meant, not from what a reader made of them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ccproxy import Translator
from ccproxy.core.assemble import Message, Part

FIXTURES = Path(__file__).parent / "fixtures"
ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (FIXTURES / "manifest.jsonl").read_text("utf-8").splitlines()
]


def said(message: Message, choice: int) -> dict[str, Any]:
    def parts(*kinds: str) -> list[Part]:
        return [part for part in message.parts if part.start.choice == choice and part.start.kind in kinds]

    return {
        "text": "".join(part.text for part in parts("text")),
        "reasoning": "".join(part.text for part in parts("reasoning")),
        "refusal": "".join(part.text for part in parts("refusal")),
        "calls": [[part.start.name, part.text or "{}"] for part in parts("tool", "custom_tool")],
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["file"]))
def test_fixture_is_understood(row: dict[str, Any]) -> None:
    translator = Translator(row["dialect"], row["dialect"])
    translator.feed((FIXTURES / row["file"]).read_bytes())
    translator.close()
    message = translator.message
    if row["end"] == "clean":
        assert translator.error is None
        assert [message.finishes[choice].reason.unified for choice in sorted(message.finishes)] == row["finish"]
    else:
        assert translator.error is not None
        assert (translator.error.kind == "truncated") == (row["end"] == "truncated")
    for choice, expected in enumerate(row["expect"] or []):
        told = said(message, choice)
        for field, value in expected.items():
            if field == "calls":
                value = [[name, arguments or "{}"] for name, arguments in value]
            assert told[field] == value, field
