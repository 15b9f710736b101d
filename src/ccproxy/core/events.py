"""The neutral vocabulary: what any stream says, in the order it says it.

Parts are numbered from 0 in order of first appearance; several may be open. `StreamStart` comes first, at most one
`Finish` for each choice, `StreamError` or `StreamEnd` last. `grammar` holds the whole order. `meta` is keyed by
dialect; a writer reads its own dialect's entry only.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .vocab import ErrorKind, FinishReason, PartKind, Signs, Usage

Meta = Mapping[str, Mapping[str, Any]]


class StreamStart(msgspec.Struct, frozen=True, gc=False):
    id: str
    """The upstream's id of the response, else a hash of the first data frame."""
    model: str = ""
    created: int | None = None
    """Unix time in seconds."""
    usage: Usage | None = None
    meta: Meta = {}


class PartStart(msgspec.Struct, frozen=True, gc=False):
    part: int
    kind: PartKind
    choice: int = 0
    id: str = ""
    """The call id of a tool call or of a result."""
    name: str = ""
    """The tool's name."""
    namespace: str = ""
    """The tool's namespace, where the dialect has any."""
    channel: Literal["full", "summary"] = "full"
    """Whether reasoning is the model's own or a summary of it."""
    group: int | None = None
    """Parts of one Responses item share their group."""
    meta: Meta = {}


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A run of neighbouring deltas of one part in one read, usually one. What the text is, the part's kind says."""

    part: int
    texts: list[str]
    logprobs: list[Any] | None = None


class Signature(msgspec.Struct, frozen=True, gc=False):
    """Proof that only its provider understands. Replaces an earlier one; legal on a part that has ended.

    Gemini signs calls and text too. No other dialect has a place for that, so such a signature comes on a reasoning
    part without text, next to what it signs: any dialect can carry it there and give it back.
    """

    part: int
    scheme: str
    """Whose signature it is: anthropic, openai, gemini, xai; openai-chat/ and a format if a Chat server sent it."""
    value: str
    model: str = ""
    signs: Signs = "part"


class Citation(msgspec.Struct, frozen=True, gc=False):
    """A source of a text part. Legal on a part that has ended."""

    part: int
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    """Character range within the joined text of the choice; None: the whole part."""
    end: int | None = None
    raw: Meta = {}


class PartEnd(msgspec.Struct, frozen=True, gc=False):
    part: int
    meta: Meta = {}
    """What the provider only says at the end of the part."""


class UsageUpdate(msgspec.Struct, frozen=True, gc=False):
    """Cumulative: replaces what was known."""

    usage: Usage


class Finish(msgspec.Struct, frozen=True, gc=False):
    choice: int
    reason: FinishReason
    stop_sequence: str | None = None
    details: Mapping[str, Any] | None = None
    meta: Meta = {}


class StreamError(msgspec.Struct, frozen=True, gc=False):
    """The stream failed: the provider says so (`raw` holds its words), or it was cut or unintelligible."""

    kind: ErrorKind
    message: str
    code: str | None = None
    """The provider's own code, as a string."""
    offset: int = 0
    """Bytes from the beginning of the stream to the frame at fault."""
    frame: int = 0
    """Number of the frame at fault, counted from 0."""
    raw: Meta = {}
    param: str | None = None
    """The field of the request that is at fault, if the error is about one."""
    request_id: str | None = None
    """What the provider calls the request."""
    retry_after: float | None = None
    """Seconds to wait before the next try."""


class StreamEnd(msgspec.Struct, frozen=True, gc=False):
    pass


class Ping(msgspec.Struct, frozen=True, gc=False):
    pass


class Opaque(msgspec.Struct, frozen=True, gc=False):
    """What the reader does not understand, kept whole."""

    source: str
    """The dialect that sent it."""
    payload: Mapping[str, Any]
    part: int | None = None


Event = (
    StreamStart
    | PartStart
    | Delta
    | Signature
    | Citation
    | PartEnd
    | UsageUpdate
    | Finish
    | StreamError
    | StreamEnd
    | Ping
    | Opaque
)
