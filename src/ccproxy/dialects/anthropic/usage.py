"""Usage of the Messages API: `input_tokens` leaves out what was read from or written to the cache."""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.vocab import Usage

_KNOWN: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
    }
)


def read(raw: Mapping[str, Any]) -> Usage:
    """Usage from the merged object of message_start and message_delta."""
    usage = Fields(raw, "usage")
    ttl: dict[str, int] = {}
    if "cache_creation" in raw:
        creation = usage.noise("cache_creation")
        for name, key in (("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens")):
            count = creation.number(key)
            if count is not None:
                ttl[name] = count
    return Usage(
        input=usage.number("input_tokens"),
        cache_read=usage.number("cache_read_input_tokens"),
        cache_write=usage.number("cache_creation_input_tokens"),
        cache_write_ttl=ttl or None,
        output=usage.number("output_tokens"),
        reasoning=usage.noise("output_tokens_details").number("thinking_tokens"),
        extra=() if _KNOWN.issuperset(raw) else tuple(key for key, value in raw.items() if key not in _KNOWN and value),
        raw={"anthropic": dict(raw)},
    )


def report(usage: Usage, losses: Losses) -> None:
    """Report what the usage object has no place for."""
    if usage.extra and not usage.has_raw("anthropic"):
        losses.add("usage", None, ", ".join(usage.extra))


def write(usage: Usage | None) -> dict[str, Any]:
    """The usage object. The two counts that the SDKs require are 0 where nothing is known."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    if usage.raw and "anthropic" in usage.raw:
        own = usage.raw["anthropic"]
        return {**own, "input_tokens": own.get("input_tokens") or 0, "output_tokens": own.get("output_tokens") or 0}
    out: dict[str, Any] = {"input_tokens": usage.input or 0}
    if usage.cache_write is not None:
        out["cache_creation_input_tokens"] = usage.cache_write
    if usage.cache_read is not None:
        out["cache_read_input_tokens"] = usage.cache_read
    if usage.cache_write_ttl:
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_ttl.get("5m", 0),
            "ephemeral_1h_input_tokens": usage.cache_write_ttl.get("1h", 0),
        }
    out["output_tokens"] = usage.output or 0
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return out
