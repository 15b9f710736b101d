"""The regular delta frame, typed. What must be absent or null is None, so that anything else goes the dict way."""

import msgspec


class TextPart(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str
    thought: bool | None = None


class Content(msgspec.Struct, gc=False):
    parts: tuple[TextPart]


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: Content
    index: int = 0
    finish_reason: None = None
    finish_message: None = None
    citation_metadata: None = None
    grounding_metadata: None = None
    url_context_metadata: None = None
    logprobs_result: None = None
    continuation_token: None = None


class Chunk(msgspec.Struct, gc=False, rename="camel"):
    candidates: tuple[Candidate]
    usage_metadata: msgspec.Raw = msgspec.Raw()
    """Read when somebody asks: it comes on every chunk, and the last one counts."""
    prompt_feedback: None = None
    error: None = None
