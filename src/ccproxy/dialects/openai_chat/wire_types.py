"""The regular delta frame, typed. What must be absent or null is None, so that anything else goes the dict way."""

from typing import Literal

import msgspec


class FunctionFragment(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    arguments: str
    name: Literal[""] | None = None


class CallFragment(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int
    function: FunctionFragment
    id: Literal[""] | None = None
    type: str | None = None


class ChoiceDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    refusal: Literal[""] | None = None
    function_call: None = None
    tool_calls: tuple[CallFragment] | None = None


class Choice(msgspec.Struct, gc=False):
    delta: ChoiceDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    usage: None = None


class Chunk(msgspec.Struct, gc=False):
    choices: tuple[Choice]
    usage: None = None
    error: None = None
    citations: None = None
    x_groq: None = None
