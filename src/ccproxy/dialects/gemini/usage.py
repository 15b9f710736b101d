"""Usage of Gemini: the prompt includes what was read from the cache; the candidates leave the thoughts out."""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.vocab import Usage

_COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)
_DETAILS: Final = (
    "promptTokensDetails",
    "candidatesTokensDetails",
    "cacheTokensDetails",
    "toolUsePromptTokensDetails",
)


def read(raw: Mapping[str, Any]) -> Usage | None:
    """Usage from a chunk's object; None if it counts nothing."""
    usage = Fields(raw, "usageMetadata")
    prompt, candidates, thoughts, tools, cached, total = map(usage.number, _COUNTS)
    if prompt is None and candidates is None and thoughts is None and total is None:
        return None
    if tools:
        prompt = (prompt or 0) + tools
    output = candidates
    if thoughts:
        output = (candidates or 0) + thoughts
    return Usage(
        input=None if prompt is None else max(0, prompt - (cached or 0)),
        cache_read=cached,
        output=output,
        reasoning=thoughts,
        extra=tuple(key for key, value in raw.items() if value and not _is_said(key, value)),
        raw={"gemini": dict(raw)},
    )


def _is_said(key: str, value: Any) -> bool:
    """Whether the neutral counts say it: the split by modality says nothing more if all is text."""
    if key not in _DETAILS:
        return key in _COUNTS
    return isinstance(value, list) and all(Fields(one).word("modality") == "TEXT" for one in value if type(one) is dict)


def report(usage: Usage, losses: Losses) -> None:
    """Report what the usage object has no place for."""
    if usage.has_raw("gemini"):
        return
    if usage.cache_write:
        losses.add("usage", None, "cache writes, counted as other input")
    if usage.cache_write_ttl and any(usage.cache_write_ttl.values()):
        losses.add("usage", None, "cache writes by lifetime")
    if usage.reasoning and usage.reasoning > (usage.output or 0):
        losses.add("usage", None, "reasoning beyond the output")
    if usage.extra:
        losses.add("usage", None, ", ".join(usage.extra))


def write(usage: Usage) -> dict[str, Any]:
    """The usage object, with what is known."""
    if usage.raw and "gemini" in usage.raw:
        return usage.raw["gemini"]
    thoughts = None if usage.reasoning is None else min(usage.reasoning, usage.output or 0)
    counts = {
        "promptTokenCount": usage.total_input,
        "candidatesTokenCount": None if usage.output is None else usage.output - (thoughts or 0),
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": usage.cache_read,
        "totalTokenCount": (usage.total_input or 0) + (usage.output or 0),
    }
    return {name: count for name, count in counts.items() if count is not None}
