"""The regular delta frame, typed: https://docs.claude.com/en/api/messages-streaming"""

import msgspec


class TextDelta(msgspec.Struct, tag="text_delta", gc=False, forbid_unknown_fields=True):
    text: str


class ThinkingDelta(msgspec.Struct, tag="thinking_delta", gc=False, forbid_unknown_fields=True):
    text: str = msgspec.field(name="thinking")
    estimated_tokens: int | None = None


class InputJSONDelta(msgspec.Struct, tag="input_json_delta", gc=False, forbid_unknown_fields=True):
    text: str = msgspec.field(name="partial_json")


class ContentBlockDelta(msgspec.Struct, tag="content_block_delta", gc=False):
    index: int
    delta: TextDelta | ThinkingDelta | InputJSONDelta


DELTA_TYPES: dict[str, type[TextDelta | ThinkingDelta | InputJSONDelta]] = {
    "text": TextDelta,
    "reasoning": ThinkingDelta,
    "tool": InputJSONDelta,
    "server_tool": InputJSONDelta,
}
"""By kind of part: what extends it."""
