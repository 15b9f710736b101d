"""Words of the Messages API and their neutral meaning. Tables of the documentation are generated from here."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from ccproxy.core.model import Effort
from ccproxy.core.vocab import ErrorKind, FinishKind, PartKind

FINISH_READ: Final[Mapping[str, FinishKind]] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_full",
    "pause_turn": "pause",
    "refusal": "filtered",
    "compaction": "compaction",
}

FINISH_WRITE: Final[Mapping[FinishKind, str]] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool": "tool_use",
    "length": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "pause": "pause_turn",
    "filtered": "refusal",
    "compaction": "compaction",
    "malformed": "end_turn",
    "cancelled": "end_turn",
    "unknown": "end_turn",
}

ERROR_READ: Final[Mapping[str, ErrorKind]] = {
    "invalid_request_error": "bad_request",
    "authentication_error": "auth",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "internal",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}

ERROR_WRITE: Final[Mapping[ErrorKind, str]] = {
    "bad_request": "invalid_request_error",
    "context": "invalid_request_error",
    "auth": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "conflict": "conflict_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "internal": "api_error",
    "filtered": "invalid_request_error",
    "cancelled": "api_error",
    "truncated": "api_error",
    "protocol": "api_error",
}

ERROR_STATUS: Final[Mapping[ErrorKind, int]] = {
    "overloaded": 529,
}
"""HTTP statuses that differ from what is usual."""

BLOCK_KIND: Final[Mapping[str, PartKind]] = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "redacted",
    "tool_use": "tool",
    "server_tool_use": "server_tool",
    "mcp_tool_use": "server_tool",
    "web_search_tool_result": "server_result",
    "web_fetch_tool_result": "server_result",
    "code_execution_tool_result": "server_result",
    "bash_code_execution_tool_result": "server_result",
    "text_editor_code_execution_tool_result": "server_result",
    "tool_search_tool_result": "server_result",
    "advisor_tool_result": "server_result",
    "mcp_tool_result": "server_result",
}
"""Blocks that are not here are opaque."""

DELTA_KIND: Final[Mapping[str, tuple[PartKind, str]]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("reasoning", "thinking"),
    "input_json_delta": ("tool", "partial_json"),
}
"""The kind of part that a delta extends, and the field with its text."""

# Requests

SETTINGS: Final[Mapping[str, str]] = {
    "model": "model",
    "stream": "stream",
    "max_output": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop_sequences",
    "thinking": "thinking, output_config.effort",
    "format": "output_config.format",
    "tool_choice": "tool_choice",
    "parallel": "tool_choice.disable_parallel_tool_use",
    "user": "metadata.user_id",
    "tier": "service_tier",
    "cache": "cache_control",
    "prefill": "the last of `messages`",
}
"""Newer models take no temperature, top_p and top_k."""

KEEPS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"cache"}),
    "media": frozenset({"cache", "name"}),
    "call": frozenset({"cache"}),
    "result": frozenset({"cache"}),
    "tool": frozenset({"cache"}),
}

THINKING_READ: Final[Mapping[str, Literal["on", "off", "auto"]]] = {
    "enabled": "on",
    "adaptive": "auto",
    "disabled": "off",
}
THINKING_WRITE: Final[Mapping[str, str]] = {
    "on": "enabled",
    "auto": "adaptive",
    "off": "disabled",
}

DISPLAY_READ: Final[Mapping[str, Literal["none", "auto"]]] = {
    "summarized": "auto",
    "omitted": "none",
}
DISPLAY_WRITE: Final[Mapping[str, str]] = {
    "none": "omitted",
    "auto": "summarized",
    "concise": "summarized",
    "detailed": "summarized",
    "full": "summarized",
}

EFFORT_READ: Final[Mapping[str, Effort]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
EFFORT_WRITE: Final[Mapping[Effort, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}

TIER_READ: Final[Mapping[str, str]] = {
    "auto": "auto",
    "standard_only": "default",
}
TIER_WRITE: Final[Mapping[str, str]] = {
    "auto": "auto",
    "priority": "auto",
    "scale": "auto",
    "fast": "auto",
    "default": "standard_only",
    "standard": "standard_only",
    "flex": "standard_only",
}
"""`auto` uses priority capacity where there is any."""

TTL_WRITE: Final[Mapping[str, str]] = {
    "5m": "5m",
    "30m": "1h",
    "1h": "1h",
    "12h": "1h",
    "24h": "1h",
}

CHOICE_READ: Final[Mapping[str, Literal["auto", "any", "none"]]] = {
    "auto": "auto",
    "any": "any",
    "tool": "any",
    "none": "none",
}

HOSTED_READ: Final[Mapping[str, Literal["web_search", "web_fetch", "code_execution"]]] = {
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "code_execution": "code_execution",
}
"""By the tool's type without its date."""
TOOL_DATE: Final = re.compile(r"_\d{8}$")
"""The date at the end of a hosted tool's type; what is before it is usually the tool's name."""
HOSTED_WRITE: Final[Mapping[str, str]] = {
    "web_search": "web_search_20250305",
    "web_fetch": "web_fetch_20250910",
    "code_execution": "code_execution_20250825",
}

SOURCE_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "base64": frozenset({"type", "media_type", "data"}),
    "text": frozenset({"type", "media_type", "data"}),
    "url": frozenset({"type", "url"}),
    "file": frozenset({"type", "file_id"}),
    "content": frozenset({"type", "content"}),
}
"""The kinds of sources of images and documents, and their fields."""

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

BREAKPOINTS: Final = 4
"""How many `cache_control` a request may have."""

MIN_BUDGET: Final = 1024
"""The least `thinking.budget_tokens`."""

OUTPUT_LIMITS: Final[tuple[tuple[re.Pattern[str], int], ...]] = (
    (re.compile(r"claude-(?:opus-4|4-opus)(?![-.][5-9]|[-.]\d\d(?!\d))"), 32_000),
    (re.compile(r"claude"), 64_000),
    (re.compile(r""), 32_000),
)
"""The most `max_tokens` that is asked for unasked, by the model: Opus 4 and 4.1 give no more than 32,000."""

# A model of another maker, behind an endpoint that speaks this dialect, counts as an old one: such servers have copied
# the older form of the API, and take its temperature.
_MODELS: Final = r"^(?!.*claude)|claude-(?:instant|v?[123](?!\d)|(?:[a-z]+-)?4(?!\d|[-.](?:%s|\d\d)(?!\d)))"

BUDGET_MODELS: Final = re.compile(_MODELS % "[6-9]")
"""Models that are told a budget; those after 4.5 refuse it or advise against it, and are told to adapt."""
PREFILL_MODELS: Final = re.compile(_MODELS % "[6-9]")
"""Models that go on from a last message of the assistant; those after 4.5 refuse it."""
SAMPLING_MODELS: Final = re.compile(_MODELS % "[7-9]")
"""Models that take temperature, top_p and top_k."""
UNSIGNED_MODELS: Final = re.compile(r"^(?!.*claude).", re.IGNORECASE)
"""Models whose reasoning may be without a signature, and goes back so: those that are not Claude."""
NO_XHIGH_MODELS: Final = re.compile(r"claude-(?:[a-z]+-)?4[-.]6(?!\d)")
"""Models that know an effort, but not `xhigh`."""
EITHER_MODELS: Final = re.compile(r"claude-(?:[a-z]+-)?4[-.][1-6](?!\d)")
"""Models that refuse temperature and top_p together."""
NO_SYSTEM_MODELS: Final = re.compile(_MODELS % "[89]")
"""Models that refuse messages of the role `system`, which came with Opus 4.8."""
