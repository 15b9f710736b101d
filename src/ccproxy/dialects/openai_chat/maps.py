"""Words of Chat Completions and their neutral meaning. Tables of the documentation are generated from here."""

from collections.abc import Mapping
from typing import Final

from ccproxy.core.vocab import ErrorKind, FinishKind

FINISH_READ: Final[Mapping[str, FinishKind]] = {
    "stop": "end",
    "eos": "end",
    "tool_calls": "tool",
    "function_call": "tool",
    "length": "length",
    "model_length": "length",
    "content_filter": "filtered",
    "sensitive": "filtered",
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}

FINISH_WRITE: Final[Mapping[FinishKind, str]] = {
    "end": "stop",
    "stop_sequence": "stop",
    "tool": "tool_calls",
    "length": "length",
    "context_full": "length",
    "pause": "length",
    "compaction": "length",
    "filtered": "content_filter",
    "malformed": "stop",
    "cancelled": "stop",
    "unknown": "stop",
}

FINISH_RANK: Final[Mapping[FinishKind, int]] = {"end": 0, "unknown": 0, "stop_sequence": 1, "tool": 2}
"""A later finish_reason replaces one of lower rank; those that are not here rank highest, the first of them stays."""

ERROR_READ: Final[Mapping[str, ErrorKind]] = {
    "context_length_exceeded": "context",
    "exceed_context_size_error": "context",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "insufficient_quota": "billing",
    "billing_error": "billing",
    "permission_error": "permission",
    "permission_denied": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    "content_filter": "filtered",
    "content_policy_violation": "filtered",
    "server_error": "internal",
    "api_error": "internal",
    "internal_server_error": "internal",
    "invalid_request_error": "bad_request",
}
"""Codes and types; the code is asked first."""

ERROR_WRITE: Final[Mapping[ErrorKind, tuple[str, str | None]]] = {
    "bad_request": ("invalid_request_error", None),
    "context": ("invalid_request_error", "context_length_exceeded"),
    "auth": ("invalid_request_error", "invalid_api_key"),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "permission": ("invalid_request_error", "permission_denied"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "conflict": ("invalid_request_error", "conflict_error"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("server_error", "server_is_overloaded"),
    "timeout": ("server_error", "timeout_error"),
    "internal": ("server_error", None),
    "filtered": ("invalid_request_error", "content_filter"),
    "cancelled": ("server_error", "cancelled"),
    "truncated": ("server_error", "stream_truncated"),
    "protocol": ("server_error", "invalid_stream"),
}
"""(type, code)."""

FORMAT_READ: Final[Mapping[str, str]] = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "azure-openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
    "xai-responses-v1": "xai",
}
"""`format` of a reasoning_details entry (OpenRouter): whose signature it holds."""

FORMAT_WRITE: Final[Mapping[str, str]] = {
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "xai": "xai-responses-v1",
}

REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")
"""The names vendors give to reasoning text; the first that is not empty counts, since some send two."""

DELTA_FIELDS: Final = frozenset(
    {
        "role",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "reasoning_details",
        "reasoning_opaque",
        "thinking_blocks",
        "extra_content",
        "annotations",
        "audio",
        "images",
        "obfuscation",
        "provider_specific_fields",
        *REASONING_FIELDS,
    }
)
"""Fields of a delta that are read or are known to repeat what is; what else has content is opaque."""
