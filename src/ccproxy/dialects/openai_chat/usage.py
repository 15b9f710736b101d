"""Usage of Chat Completions: `prompt_tokens` includes what was read from or written to the cache."""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.vocab import Usage

_KNOWN: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
        "cached_tokens",
        "reasoning_tokens",
    }
)


def read(raw: Mapping[str, Any]) -> Usage | None:
    """Usage from a chunk's object; None if it says nothing."""
    if not raw:
        return None
    usage = Fields(raw, "usage")
    prompt = usage.number("prompt_tokens")
    output = usage.number("completion_tokens")
    total = usage.number("total_tokens")
    if prompt is None and output is None and total is None:
        return None
    details = usage.noise("prompt_tokens_details")
    cache_read = _first(
        details.number("cached_tokens"),
        usage.number("prompt_cache_hit_tokens"),  # DeepSeek
        usage.number("cached_tokens"),  # Moonshot
    )
    cache_write = details.number("cache_write_tokens")
    reasoning = _first(
        usage.noise("completion_tokens_details").number("reasoning_tokens"),
        usage.number("reasoning_tokens"),  # SGLang
    )
    if output is None and total is not None and prompt is not None:
        output = max(0, total - prompt)  # Databricks sends null
    if prompt is not None and output is not None and reasoning and total == prompt + output + reasoning:
        output += reasoning  # xAI leaves reasoning out of completion_tokens
    return Usage(
        input=None if prompt is None else max(0, prompt - (cache_read or 0) - (cache_write or 0)),
        cache_read=cache_read,
        cache_write=cache_write,
        output=output,
        reasoning=reasoning,
        extra=() if _KNOWN.issuperset(raw) else tuple(key for key, value in raw.items() if key not in _KNOWN and value),
        raw={"openai-chat": dict(raw)},
    )


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def report(usage: Usage, losses: Losses) -> None:
    """Report what the usage object has no place for."""
    if usage.cache_write_ttl and any(usage.cache_write_ttl.values()):
        losses.add("usage", None, "cache writes by lifetime")
    if usage.extra and not usage.has_raw("openai-chat"):
        losses.add("usage", None, ", ".join(usage.extra))


def write(usage: Usage) -> dict[str, Any]:
    """The usage object; counts that it must have are 0 where nothing is known."""
    prompt = usage.total_input or 0
    output = usage.output or 0
    out: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    if usage.raw and "openai-chat" in usage.raw:
        return out | {name: count for name, count in usage.raw["openai-chat"].items() if count is not None}
    details = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    known = {name: count for name, count in details.items() if count is not None}
    if known:
        out["prompt_tokens_details"] = known
    if usage.reasoning is not None:
        out["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return out
