"""Words of Chat Completions and their neutral meaning. Tables of the documentation are generated from here."""

from collections.abc import Mapping
from typing import Final, Literal

from ccproxy.core.model import Effort, Role
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
"""Codes and types; the first that is neither `bad_request` nor `internal` counts, the code before the type."""

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

ERROR_STATUS: Final[Mapping[ErrorKind, int]] = {
    "billing": 429,
}
"""HTTP statuses that differ from what is usual."""

SCHEME: Final = "openai-chat/"
"""What the schemes of signatures begin with that a Chat server sends; the rest tells their form.

Reasoning details have their format there, to the letter: what is written back must be what was sent, and the same
format does not make it the signature of the provider that the format is named after.
"""

NAMED: Final = "#model"
"""What the scheme ends with if the server told the model that a signature is for, and wants it told again.

That is how this library tells a Chat client whose signature it holds: another's Chat server has no such field.
"""

THINKING_BLOCKS: Final = f"{SCHEME}thinking_blocks"
REASONING_OPAQUE: Final = f"{SCHEME}reasoning_opaque"
GOOGLE: Final = f"{SCHEME}google"
CONTENT: Final = f"{SCHEME}content"
"""Signatures of content blocks (Mistral, Databricks)."""

FORMAT_READ: Final[Mapping[str, str]] = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "azure-openai-responses-v1": "openai",
    "google-gemini-v1": "gemini",
    "xai-responses-v1": "xai",
}
"""`format` of a reasoning_details entry (OpenRouter) in a client's history: whose signature it holds."""

FORMAT_WRITE: Final[Mapping[str, str]] = {
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "xai": "xai-responses-v1",
}
"""`format` of the entry that carries another provider's signature to a Chat client."""

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

SETTINGS: Final[Mapping[str, str]] = {
    "model": "model",
    "stream": "stream",
    "include_usage": "stream_options.include_usage",
    "max_output": "max_completion_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop",
    "seed": "seed",
    "choices": "n",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logit_bias": "logit_bias",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "thinking": "reasoning_effort",
    "format": "response_format",
    "verbosity": "verbosity",
    "tool_choice": "tool_choice",
    "parallel": "parallel_tool_calls",
    "user": "user",
    "metadata": "metadata",
    "tier": "service_tier",
    "cache_key": "prompt_cache_key",
    "store": "store",
}
"""The settings of a request. `max_tokens`, `safety_identifier` and vendors' `top_k` are read too."""

KEEPS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"cache"}),
    "media": frozenset({"cache"}),
    "turn": frozenset({"name"}),
    "tool": frozenset({"grammar"}),
}
"""Caching hints go out as `prompt_cache_breakpoint` if the option `cache_breakpoints` is on, grammars with the option
`custom_tools`."""

ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
    "function": "user",
}

EFFORTS: Final[Mapping[str, Effort]] = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}

THINKING_TYPES: Final[Mapping[str, Literal["on", "off", "auto"]]] = {
    "enabled": "on",
    "disabled": "off",
    "adaptive": "auto",
    "auto": "auto",
}
"""`type` of the object `thinking` (DeepSeek, GLM, Doubao, LiteLLM)."""

CHOICE_MODES: Final[Mapping[str, Literal["auto", "any", "none"]]] = {
    "auto": "auto",
    "required": "any",
    "any": "any",  # Mistral
    "none": "none",
}

CHOICE_WORDS: Final[Mapping[str, str]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
}

TIERS: Final[Mapping[str, str]] = {
    "auto": "auto",
    "default": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
    "ultrafast": "fast",
    "standard": "default",
    "standard_only": "default",
}
"""Other dialects' words for a service tier, and the nearest here."""

HOSTED: Final[Mapping[str, Literal["", "web_search", "web_fetch", "code_execution"]]] = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "openrouter:web_search": "web_search",
    "browser_search": "web_search",  # Groq
    "code_interpreter": "code_execution",
}
"""Types of vendors' tools that other dialects have the like of."""

AUDIO_TYPES: Final[Mapping[str, str]] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
"""Media types of recordings and their `format`."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}

DETAILS: Final = ("auto", "low", "high", "original")
"""How closely an image is looked at."""

CACHE_TTL: Final[Mapping[str, str]] = {
    "30m": "30m",
    "12h": "12h",
    "5m": "30m",
    "1h": "12h",
}
"""How long a cached prompt lives, in other dialects' words, and what is no less here."""

STOPS: Final = 4
"""How many stop sequences are taken."""
