"""Words of the Gemini API and their neutral meaning. Tables of the documentation are generated from here."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from ccproxy.core.model import Effort, Role
from ccproxy.core.vocab import ErrorKind, FinishKind, PartKind

FINISH_READ: Final[Mapping[str, FinishKind]] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "LANGUAGE": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
    "IMAGE_SAFETY": "filtered",
    "IMAGE_PROHIBITED_CONTENT": "filtered",
    "IMAGE_RECITATION": "filtered",
    "IMAGE_OTHER": "filtered",
    "ESCALATION": "filtered",
    "PUP_LIMITED_DISABLED": "filtered",
    "MODEL_ARMOR": "filtered",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "MALFORMED_RESPONSE": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "malformed",
    "MISSING_THOUGHT_SIGNATURE": "malformed",
    "OTHER": "unknown",
    "NO_IMAGE": "unknown",
}
"""A STOP after a function call is `tool`. A blockReason of the prompt is `filtered`, whatever it is."""

FINISH_WRITE: Final[Mapping[FinishKind, str]] = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "tool": "STOP",
    "length": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "pause": "MAX_TOKENS",
    "compaction": "MAX_TOKENS",
    "filtered": "SAFETY",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "cancelled": "OTHER",
    "unknown": "OTHER",
}
"""Never CONTINUATION: the official SDK would send the request again by itself."""

UNSAID: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})
"""Reasons that are none."""

NO_EXPLANATION: Final = frozenset({"Model generated function call(s).", "Finished successfully"})
"""What a finishMessage says of an ordinary end: nothing that the finishReason and the parts don't."""

FINISH_RANK: Final[Mapping[FinishKind, int]] = {"end": 0, "unknown": 1}
"""A later finishReason replaces one of lower rank; those that are not here rank highest, the first of them stays."""

FINISH_NUMBER: Final[Mapping[int, str]] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT",
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
    10: "MODEL_ARMOR",
    11: "IMAGE_SAFETY",
    12: "IMAGE_PROHIBITED_CONTENT",
    13: "IMAGE_RECITATION",
    14: "IMAGE_OTHER",
    15: "UNEXPECTED_TOOL_CALL",
    16: "NO_IMAGE",
}
"""finishReason as Vertex numbers it, for gateways that write enums as numbers."""

BLOCK_NUMBER: Final[Mapping[int, str]] = {1: "SAFETY", 2: "OTHER", 3: "BLOCKLIST", 4: "PROHIBITED_CONTENT"}
"""blockReason, likewise."""

ERROR_READ: Final[Mapping[str, ErrorKind]] = {
    "API_KEY_INVALID": "auth",
    "BILLING_DISABLED": "billing",
    "CONTEXT_LENGTH_EXCEEDED": "context",
    "REQUEST_TOO_LARGE": "too_large",
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ABORTED": "conflict",
    "ALREADY_EXISTS": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "CANCELLED": "cancelled",
    "INVALID_ARGUMENT": "bad_request",
    "FAILED_PRECONDITION": "bad_request",
    "OUT_OF_RANGE": "bad_request",
    "UNIMPLEMENTED": "bad_request",
    "INTERNAL": "internal",
    "UNKNOWN": "internal",
    "DATA_LOSS": "internal",
}
"""`status` of the error, or the `reason` in its details."""

ERROR_WRITE: Final[Mapping[ErrorKind, tuple[int, str]]] = {
    "bad_request": (400, "INVALID_ARGUMENT"),
    "context": (400, "INVALID_ARGUMENT"),
    "auth": (401, "UNAUTHENTICATED"),
    "billing": (429, "RESOURCE_EXHAUSTED"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "conflict": (409, "ABORTED"),
    "too_large": (400, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "overloaded": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "internal": (500, "INTERNAL"),
    "filtered": (400, "INVALID_ARGUMENT"),
    "cancelled": (499, "CANCELLED"),
    "truncated": (500, "INTERNAL"),
    "protocol": (500, "INTERNAL"),
}
"""(code, status)."""

ERROR_STATUS: Final[Mapping[ErrorKind, int]] = {
    "billing": 429,
    "too_large": 400,
    "truncated": 500,
    "protocol": 500,
}
"""HTTP statuses that differ from what is usual: the code in the body."""

ERROR_REASON: Final[Mapping[ErrorKind, str]] = {
    "billing": "BILLING_DISABLED",
    "context": "CONTEXT_LENGTH_EXCEEDED",
    "too_large": "REQUEST_TOO_LARGE",
}
"""The reason in the details, where the status can't tell. The first is one of google.api.ErrorReason."""

PART_KIND: Final[Mapping[str, PartKind]] = {
    "executableCode": "server_tool",
    "codeExecutionResult": "server_result",
    "toolCall": "server_tool",
    "toolResponse": "server_result",
}
"""Parts that are whole as they come, by the field that makes them what they are. inlineData is an image or audio by its
media type; text and functionCall are read on their own; other parts are opaque."""

# Requests

MediaKind = Literal["image", "document", "audio", "video", "file"]
ChoiceMode = Literal["auto", "any", "none"]
Hosted = Literal["", "web_search", "web_fetch", "code_execution"]

SETTINGS: Final[Mapping[str, str]] = {
    "model": "models/{model} in the URL",
    "stream": "streamGenerateContent in the URL",
    "include_usage": "always",
    "max_output": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "stop": "generationConfig.stopSequences",
    "seed": "generationConfig.seed",
    "choices": "generationConfig.candidateCount",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "presence_penalty": "generationConfig.presencePenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "thinking": "generationConfig.thinkingConfig",
    "format": "generationConfig.responseJsonSchema",
    "tool_choice": "toolConfig.functionCallingConfig",
    "metadata": "labels (Vertex AI)",
    "tier": "serviceTier",
    "store": "store (Gemini API)",
    "prefill": "the last of `contents`",
}

KEEPS: Final[Mapping[str, frozenset[str]]] = {"media": frozenset({"name"})}

ROLE_READ: Final[Mapping[str, Role]] = {"user": "user", "model": "assistant", "function": "user"}

MEDIA_KIND: Final[Mapping[str, MediaKind]] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "text": "document",
    "application/pdf": "document",
}
"""By the media type, or what stands before its slash."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
"""The media type of a URL that comes without one, by the end of its path: Vertex wants it."""

HELD_FILES: Final = re.compile(r"gs://|files/|https://generativelanguage\.googleapis\.com/")
"""How a fileUri begins that only Google can read."""

VIDEOS: Final = re.compile(r"https?://(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/")
"""How a fileUri begins that is a video, though it has no media type."""

ANSWER_FIELDS: Final = frozenset({"output", "result", "content", "return_value"})
"""What clients call the one field of a `functionResponse.response` that is the result and nothing else.

The API names `output`; `result` is the official SDK's, `content` the AI SDK's, `return_value` that of pydantic-ai."""

MODE_READ: Final[Mapping[str, ChoiceMode]] = {
    "": "auto",
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "any",
    "NONE": "none",
}
"""VALIDATED is AUTO with arguments that keep to the schema."""

MODE_WRITE: Final[Mapping[ChoiceMode, str]] = {"auto": "AUTO", "any": "ANY", "none": "NONE"}

HOSTED_READ: Final[Mapping[str, Hosted]] = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
}

HOSTED_WRITE: Final[Mapping[Hosted, str]] = {
    "web_search": "googleSearch",
    "web_fetch": "urlContext",
    "code_execution": "codeExecution",
}

TIER_READ: Final[Mapping[str, str]] = {"standard": "default"}

TIER_WRITE: Final[Mapping[str, str]] = {
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "scale": "priority",
}

LEVEL_READ: Final[Mapping[str, Effort]] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}

LEVEL_WRITE: Final[Mapping[Effort, str]] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""No model is documented to take XHIGH."""

MINIMAL_MODELS: Final = re.compile(r"gemini-3(?:\.[0-6])?-flash")
"""Models with the level MINIMAL: https://cloud.google.com/vertex-ai/generative-ai/docs/thinking"""

BUDGET_MODELS: Final = re.compile(r"gemini-[12]\b|gemini-robotics-er-1\b")
"""Models before Gemini 3.

They count reasoning in tokens, take no media in function responses, no provider's tool beside functions and no form of
the answer beside tools, and need no signatures back."""

UNTHINKING_MODELS: Final = re.compile(r"gemini-(?:1|2\.0)\b")

BUDGETS: Final[Mapping[str, tuple[int, int, int]]] = {
    "gemini-2.5-pro": (128, 128, 32768),
    "gemini-2.5-flash-lite": (0, 512, 24576),
    "gemini-": (0, 1, 24576),
}
"""By the beginning of the model's name: the budget that turns reasoning off, or nearly, the lowest and the highest."""

PLACEHOLDER: Final = "skip_thought_signature_validator"
"""Stands for a signature that is lost: https://ai.google.dev/gemini-api/docs/thought-signatures"""

PLACEHOLDERS: Final = frozenset(
    {
        PLACEHOLDER,
        "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",  # the same through an SDK, which encodes it
        "context_engineering_is_the_way_to_go",
        "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
    }
)

STOP_LIMIT: Final = 5
"""How many stop sequences there may be."""

LABEL: Final = re.compile(r"[a-z0-9_-]{0,63}")
"""What a label's name and value may be."""

SCHEMA_TYPES: Final[Mapping[int, str]] = {
    1: "string",
    2: "number",
    3: "integer",
    4: "boolean",
    5: "array",
    6: "object",
    7: "null",
}
"""Types of older schemas as Vertex numbers them, for clients that write enums as numbers."""
