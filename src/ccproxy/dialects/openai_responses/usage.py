"""Usage of the Responses API: `input_tokens` includes what was read from or written to the cache."""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.vocab import Usage

_KNOWN: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
    }
)


def read(raw: Mapping[str, Any]) -> Usage | None:
    """Usage from the terminal response; None if it says nothing."""
    usage = Fields(raw, "usage")
    whole = usage.number("input_tokens")
    output = usage.number("output_tokens")
    if whole is None and output is None:
        return None
    details = usage.noise("input_tokens_details")
    cache_read = details.number("cached_tokens")
    cache_write = details.number("cache_write_tokens")
    return Usage(
        input=None if whole is None else max(0, whole - (cache_read or 0) - (cache_write or 0)),
        cache_read=cache_read,
        cache_write=cache_write,
        output=output,
        reasoning=usage.noise("output_tokens_details").number("reasoning_tokens"),
        extra=() if _KNOWN.issuperset(raw) else tuple(key for key, value in raw.items() if key not in _KNOWN and value),
        raw={"openai-responses": dict(raw)},
    )


def report(usage: Usage, losses: Losses) -> None:
    """Report what the usage object has no place for."""
    if usage.cache_write_ttl and any(usage.cache_write_ttl.values()):
        losses.add("usage", None, "cache writes by lifetime")
    if usage.extra and not usage.has_raw("openai-responses"):
        losses.add("usage", None, ", ".join(usage.extra))


def write(usage: Usage | None) -> dict[str, Any] | None:
    """The usage object with the details that strict clients require; counts are 0 where nothing is known."""
    if usage is None:
        return None
    whole = usage.total_input or 0
    output = usage.output or 0
    read: dict[str, Any] = {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": usage.cache_write or 0}
    thought: dict[str, Any] = {"reasoning_tokens": usage.reasoning or 0}
    out: dict[str, Any] = {
        "input_tokens": whole,
        "input_tokens_details": read,
        "output_tokens": output,
        "output_tokens_details": thought,
        "total_tokens": whole + output,
    }
    if usage.raw is None or "openai-responses" not in usage.raw:
        return out
    own = Fields(usage.raw["openai-responses"])
    out["input_tokens_details"] = {**own.noise("input_tokens_details").raw, **read}
    out["output_tokens_details"] = {**own.noise("output_tokens_details").raw, **thought}
    out["total_tokens"] = own.number("total_tokens") or whole + output
    return {**own.raw, **out}
