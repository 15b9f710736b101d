"""Words of the Messages API and their neutral meaning. Tables of the documentation are generated from here."""

from collections.abc import Mapping
from typing import Final

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
