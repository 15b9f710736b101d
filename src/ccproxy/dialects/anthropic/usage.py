"""Usage of the Messages API: `input_tokens` leaves out what was read from or written to the cache."""

from collections.abc import Mapping
from typing import Any

from ccproxy.core.fields import Fields
from ccproxy.core.vocab import Usage


def read(raw: Mapping[str, Any]) -> Usage:
    """Usage from the merged object of message_start and message_delta."""
    usage = Fields(raw, "usage")
    creation = usage.noise("cache_creation")
    ttl = {
        name: count
        for name, key in (("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens"))
        if (count := creation.number(key)) is not None
    }
    return Usage(
        input=usage.number("input_tokens"),
        cache_read=usage.number("cache_read_input_tokens"),
        cache_write=usage.number("cache_creation_input_tokens"),
        cache_write_ttl=ttl or None,
        output=usage.number("output_tokens"),
        reasoning=usage.noise("output_tokens_details").number("thinking_tokens"),
        raw={"anthropic": dict(raw)},
    )


def write(usage: Usage | None) -> dict[str, Any]:
    """The usage object. The two counts that the SDKs require are 0 where nothing is known."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    if usage.raw and "anthropic" in usage.raw:
        return {"input_tokens": 0, "output_tokens": 0} | usage.raw["anthropic"]
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
