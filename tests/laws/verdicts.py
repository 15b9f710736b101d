"""Our answer beside an official SDK's, for the laws that ask one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jiter import from_json

from tests.oracles import Normal, Part

from .frames import joined

CIPHERTEXTS = frozenset({"encrypted_content", "fingerprint"})
"""Providers encrypt anew each time they repeat themselves. (That ciphertexts are kept is the law of the round trip.)"""
OTHER_AT_THE_END = frozenset({"no-created", "arguments-done-authoritative", "terminal-only"})
"""Features of streams whose end says more, or something else, than their pieces."""
EXTENSIONS = frozenset({"reasoning", "redacted"})


def unlike(ours: Normal, theirs: Normal) -> Iterator[str]:
    """Where they differ. Ids and vendors' ways of reasoning that the SDK does not see are ours alone. Usage is compared where the SDK has any that adds up: vendors' deviations it does not repair."""
    one, other = (comparable(normal["parts"]) for normal in (ours, theirs))
    kinds = {part.kind for part in other}
    one = [part for part in one if part.kind in kinds or part.kind not in EXTENSIONS]
    nameless = {position for position, part in enumerate(other) if part.call_id is None}
    one = [part._replace(call_id=None) if position in nameless else part for position, part in enumerate(one)]
    other = (
        [  # the Python SDK joins an id that every fragment repeats
            theirs._replace(call_id=mine.call_id)
            if mine.call_id and theirs.call_id and theirs.call_id.replace(mine.call_id, "") == ""
            else theirs
            for mine, theirs in zip(one, other, strict=False)
        ]
        + other[len(one) :]
    )
    if one != other:
        yield f"parts {other!r:.600}, ours {one!r:.600}"
    if ours["stop_sequence"] != theirs["stop_sequence"]:
        yield f"stop_sequence {theirs['stop_sequence']!r}, ours {ours['stop_sequence']!r}"
    mine, their = known(ours["usage"]), known(theirs["usage"])
    mine = {key: value for key, value in mine.items() if key in their} if mine and their else mine
    if their and mine != their and _adds_up(their):
        yield f"usage {their}, ours {mine}"


def intelligible(part: Any) -> bool:
    """Whether the SDKs can read the arguments of a call (cut or not), which we pass on as they are."""
    if part.start.kind not in ("tool", "server_tool"):
        return True
    try:
        from_json(part.text.encode("utf-8", "surrogatepass") or b"{}", partial_mode=True)
    except ValueError:
        return False
    return True


def comparable(parts: list[Part]) -> list[Part]:
    """Surrogate pairs whole, arguments as the SDKs read them: JSON values, cut JSON as far as it goes, else text."""
    return [part._replace(text=_value(part.kind, part.text)) for part in parts]


def _value(kind: str, text: Any) -> Any:
    if isinstance(text, dict) and text.keys() == {"_raw"}:  # what our bodies do with arguments that are cut
        text = text["_raw"]
    if isinstance(text, dict):  # null is nothing
        return {key: value for key, value in text.items() if value is not None and key not in CIPHERTEXTS}
    if kind == "redacted":
        return None
    if not isinstance(text, str):
        return text
    text = joined(text)
    if kind not in ("tool", "server_tool"):
        return text
    try:
        return from_json(text.encode("utf-8", "surrogatepass"), partial_mode=True)
    except ValueError:
        return text


def known(usage: Any) -> Any:
    """Null and zero are nothing."""
    if not isinstance(usage, dict):
        return usage
    return {key: value for key, source in usage.items() if (value := known(source))}


def _adds_up(usage: dict[str, Any]) -> bool:
    total = usage.get("total_tokens")
    parts = [usage.get(key, 0) for key in ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")]
    return total is None or total == sum(parts)
