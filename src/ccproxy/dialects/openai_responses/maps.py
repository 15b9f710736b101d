"""Words of the Responses API and their neutral meaning. Tables of the documentation are generated from here."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from ccproxy.core.model import Role
from ccproxy.core.vocab import ErrorKind, FinishKind, PartKind

INCOMPLETE_READ: Final[Mapping[str, FinishKind]] = {
    "max_output_tokens": "length",
    "content_filter": "filtered",
    "max_messages": "cancelled",
    "steered": "cancelled",
}
"""incomplete_details.reason"""

FINISH_WRITE: Final[Mapping[FinishKind, str | None]] = {
    "end": None,
    "stop_sequence": None,
    "tool": None,
    "compaction": None,
    "unknown": None,
    "malformed": None,
    "length": "max_output_tokens",
    "context_full": "max_output_tokens",
    "pause": "max_output_tokens",
    "filtered": "content_filter",
    "cancelled": "steered",
}
"""The reason of response.incomplete; None is response.completed."""

ERROR_READ: Final[Mapping[str, ErrorKind]] = {
    "context_length_exceeded": "context",
    "invalid_prompt": "bad_request",
    "invalid_request_error": "bad_request",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "insufficient_quota": "billing",
    "permission_denied": "permission",
    "model_not_found": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "timeout_error": "timeout",
    "content_filter": "filtered",
    "bio_policy": "filtered",
    "misalignment_policy_violation": "filtered",
    "cancelled": "cancelled",
    "server_error": "internal",
}
"""Codes and types; the first that is neither `bad_request` nor `internal` counts, the code before the type."""

ERROR_WRITE: Final[Mapping[ErrorKind, tuple[str, str]]] = {
    "bad_request": ("invalid_request_error", "invalid_prompt"),
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
    "internal": ("server_error", "server_error"),
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

ITEM_KIND: Final[Mapping[str, PartKind]] = {
    "function_call": "tool",
    "custom_tool_call": "custom_tool",
    "web_search_call": "server_tool",
    "file_search_call": "server_tool",
    "code_interpreter_call": "server_tool",
    "image_generation_call": "server_tool",
    "computer_call": "server_tool",
    "local_shell_call": "server_tool",
    "shell_call": "server_tool",
    "apply_patch_call": "server_tool",
    "mcp_call": "server_tool",
    "tool_search_call": "server_tool",
    "program": "server_tool",
    "function_call_output": "server_result",
    "custom_tool_call_output": "server_result",
    "computer_call_output": "server_result",
    "local_shell_call_output": "server_result",
    "shell_call_output": "server_result",
    "apply_patch_call_output": "server_result",
    "tool_search_output": "server_result",
    "program_output": "server_result",
}
"""Items that are one part. `message` and `reasoning` hold parts of their own; any other item is opaque."""


class TextEvents(NamedTuple):
    """The events that stream one kind of text."""

    kind: PartKind
    stem: str
    """Event names are the stem and `.delta` or `.done`."""
    field: str
    """Where `.done`, the part or the item has the whole text."""
    place: str = ""
    """Which of the item's parts it is; "" if the item is one part."""
    item: str = ""
    """The type of such an item."""


TEXT_EVENTS: Final = (
    TextEvents("text", "response.output_text", "text", "content_index"),
    TextEvents("refusal", "response.refusal", "refusal", "content_index"),
    TextEvents("reasoning", "response.reasoning_text", "text", "content_index"),
    TextEvents("reasoning", "response.reasoning_summary_text", "text", "summary_index"),
    TextEvents("tool", "response.function_call_arguments", "arguments", item="function_call"),
    TextEvents("custom_tool", "response.custom_tool_call_input", "input", item="custom_tool_call"),
    TextEvents("server_tool", "response.mcp_call_arguments", "arguments", item="mcp_call"),
    TextEvents("server_tool", "response.code_interpreter_call_code", "code", item="code_interpreter_call"),
)

PART_EVENTS: Final[Mapping[str, TextEvents]] = {
    "output_text": TEXT_EVENTS[0],
    "refusal": TEXT_EVENTS[1],
    "reasoning_text": TEXT_EVENTS[2],
    "summary_text": TEXT_EVENTS[3],
}
"""By type of content part."""

ITEM_EVENTS: Final[Mapping[str, TextEvents]] = {events.item: events for events in TEXT_EVENTS if events.item}
"""By type of item."""

PROGRESS: Final = frozenset(
    f"response.{call}.{state}"
    for call, states in {
        "file_search_call": ("in_progress", "searching", "completed"),
        "web_search_call": ("in_progress", "searching", "completed"),
        "code_interpreter_call": ("in_progress", "interpreting", "completed"),
        "image_generation_call": ("in_progress", "generating", "partial_image", "completed"),
        "mcp_call": ("in_progress", "completed", "failed"),
        "mcp_list_tools": ("in_progress", "completed", "failed"),
    }.items()
    for state in states
)
"""Events about an item that both official SDKs know and that say no more than the item itself."""

# Requests

SETTINGS: Final[Mapping[str, str]] = {
    "model": "model",
    "stream": "stream",
    "max_output": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "choices": "one answer only",
    "logprobs": "include",
    "top_logprobs": "top_logprobs",
    "thinking": "reasoning",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "tool_choice": "tool_choice",
    "parallel": "parallel_tool_calls",
    "user": "safety_identifier",
    "metadata": "metadata",
    "tier": "service_tier",
    "cache_key": "prompt_cache_key",
    "store": "store",
    "include_usage": "always",
}
"""Settings and where they stand."""

KEEPS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"cache"}),
    "media": frozenset({"cache", "detail", "name"}),
    "tool": frozenset({"grammar"}),
}
"""What is kept of the pieces of a request."""

HELD: Final[Mapping[str, str]] = {
    "previous_response_id": "an earlier response",
    "conversation": "a conversation",
    "prompt": "a stored prompt",
    "background": "an answer in the background",
    "item_reference": "an earlier item",
}
"""Fields and items whose content is with the provider, or that only it can answer, and what they stand for."""

ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"

ITEM_ROLE: Final[Mapping[str, Role]] = {
    "mcp_approval_response": "user",
    "compaction_trigger": "user",
    "configuration_update": "developer",
}
"""Who says an item that names no role; results are the user's, all else the assistant's."""

TOOLS_ITEM: Final = "additional_tools"
"""An item that gives tools, as `tools` beside the input does."""

HOSTED_READ: Final[Mapping[str, Literal["web_search", "code_execution"]]] = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "code_interpreter": "code_execution",
}
"""What hosted tools do, where other dialects have the like."""

HOSTED_WRITE: Final[Mapping[str, Mapping[str, Any]]] = {
    "web_search": {"type": "web_search"},
    "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
}

CHOSEN_ALONE: Final = frozenset({"function", "custom", "code_interpreter"})
"""What `tool_choice` may name by itself in the official types; `web_search` it may only list under `allowed_tools`."""

TOOL_CHOICE_READ: Final[Mapping[str, Literal["auto", "any", "none"]]] = {
    "auto": "auto",
    "required": "any",
    "none": "none",
}

TOOL_CHOICE_WRITE: Final[Mapping[str, str]] = {mode: word for word, mode in TOOL_CHOICE_READ.items()}

SHOW_READ: Final[Mapping[str | None, Literal["auto", "concise", "detailed"]]] = {
    "auto": "auto",
    "concise": "concise",
    "detailed": "detailed",
}
"""reasoning.summary"""

SHOW_WRITE: Final[Mapping[str, str]] = {
    "auto": "auto",
    "concise": "concise",
    "detailed": "detailed",
    "full": "detailed",
}
"""reasoning.summary; reasoning that is not to be shown has none."""

TIER_WRITE: Final[Mapping[str, str]] = {
    "auto": "auto",
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
    "ultrafast": "ultrafast",
}
"""service_tier; what is not here is lost."""

AUDIO_READ: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
"""input_audio.format"""
