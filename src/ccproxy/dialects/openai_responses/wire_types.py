"""The regular delta frames, typed. `sub` tells the parts of an item apart: content_index or summary_index."""

from typing import Annotated, Any

import msgspec

Nothing = Annotated[list[Any], msgspec.Meta(max_length=0)]


class TextDelta(msgspec.Struct, tag="response.output_text.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="content_index")
    logprobs: Nothing | None = None


class RefusalDelta(msgspec.Struct, tag="response.refusal.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="content_index")


class ReasoningTextDelta(msgspec.Struct, tag="response.reasoning_text.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="content_index")


class SummaryTextDelta(msgspec.Struct, tag="response.reasoning_summary_text.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="summary_index")


class ArgumentsDelta(msgspec.Struct, tag="response.function_call_arguments.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="no_index")


class CustomInputDelta(msgspec.Struct, tag="response.custom_tool_call_input.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="no_index")


class McpArgumentsDelta(msgspec.Struct, tag="response.mcp_call_arguments.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="no_index")


class CodeDelta(msgspec.Struct, tag="response.code_interpreter_call_code.delta", gc=False):
    output_index: int
    delta: str
    sub: int = msgspec.field(default=0, name="no_index")


DeltaFrame = (
    TextDelta
    | RefusalDelta
    | ReasoningTextDelta
    | SummaryTextDelta
    | ArgumentsDelta
    | CustomInputDelta
    | McpArgumentsDelta
    | CodeDelta
)
