"""What a request says, in neutral terms.

A request is a list of turns, the tools, and settings. Every piece knows the `path` in the body that it was read from
(`messages[3].content[0]`), so that an error or a loss can name it, and keeps under `extra` the fields that have no
neutral name: the same dialect writes them back, for another they are losses.
"""

from typing import Any, Final, Literal, NamedTuple, final

import msgspec

from .signatures import Sealed

Role = Literal["system", "developer", "user", "assistant"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class Piece(msgspec.Struct):
    """What every piece of a request has."""

    path: str = ""
    """Where it stands in the source's body."""
    extra: dict[str, Any] = {}
    """The source's own fields that have no neutral name, as they came."""
    noise: dict[str, Any] = {}
    """Fields that say nothing to another dialect (an item's id, an empty list): the same one writes them back."""


class Cache(msgspec.Struct, frozen=True):
    """A hint that the prompt may be cached up to here."""

    ttl: str | None = None
    """How long, in the source's words (5m, 1h); None is the provider's default."""


@final
class Text(Piece, kw_only=True):
    text: str
    cache: Cache | None = None
    refusal: bool = False
    """Whether the assistant refused with these words."""


@final
class Media(Piece, kw_only=True):
    """An image, a document, a recording: its content in base64, or where it is."""

    kind: Literal["image", "document", "audio", "video", "file"]
    media_type: str = ""
    data: str = ""
    """Base64. One of `data`, `text`, `url` and `file_id` is set."""
    text: str = ""
    """The content of a plain text document."""
    url: str = ""
    file_id: str = ""
    """The name of a file that the source's provider holds: nobody else can read it."""
    name: str = ""
    """The file's name, or the document's title."""
    detail: str = ""
    """How closely an image is to be looked at: low, high, auto."""
    cache: Cache | None = None


@final
class Thought(Piece, kw_only=True):
    """Reasoning of an earlier turn."""

    text: str = ""
    signature: Sealed | None = None
    channel: Literal["full", "summary"] = "full"
    group: str = ""
    """Thoughts of one Responses item share their group."""
    goes_on: bool = False
    """Whether it is a piece of the thought before, kept as it was streamed."""
    cache: Cache | None = None

    @property
    def redacted(self) -> bool:
        """Whether it is reasoning that only its provider can read."""
        return self.signature is not None and self.signature.redacted


@final
class Call(Piece, kw_only=True):
    """A tool call of an earlier turn."""

    id: str
    name: str
    namespace: str = ""
    arguments: str = ""
    """JSON as text, to the byte; free text if it is a custom tool's."""
    custom: bool = False
    cache: Cache | None = None


@final
class Foreign(Piece, kw_only=True):
    """A part that only its own dialect understands: a server tool's call or result, a compaction."""

    kind: str
    """Its name on the wire."""
    payload: dict[str, Any]
    words: Text | None = None
    """What it says as text, where it is more or less that."""


@final
class Result(Piece, kw_only=True):
    """What a tool call gave."""

    id: str
    """The id of the call."""
    name: str = ""
    """The tool's name; `link` fills it in from the call."""
    id_path: str = ""
    """Where its id stands, or the name that stands for it."""
    parts: list[Text | Media | Foreign] = []
    value: dict[str, Any] | None = None
    """The result as a JSON object, where the source has one (Gemini); `parts` then says the same as text."""
    is_error: bool | None = None
    custom: bool = False
    cache: Cache | None = None


Part = Text | Media | Thought | Call | Result | Foreign


class Turn(Piece, kw_only=True):
    """Neighbouring turns of one role are the same as one."""

    role: Role
    parts: list[Part] = []
    name: str = ""
    """Who of several participants speaks."""


class InputGrammar(msgspec.Struct, frozen=True):
    """What the input of a custom tool keeps to."""

    syntax: str
    """The language of the grammar: lark, regex."""
    definition: str


class Tool(Piece, kw_only=True):
    kind: Literal["function", "custom", "hosted"]
    """A hosted tool is run by the provider."""
    name: str
    """Of a hosted tool: its type on the wire."""
    description: str = ""
    schema: dict[str, Any] | None = None
    """JSON Schema of the arguments; None: no arguments are described."""
    grammar: InputGrammar | None = None
    """Of a custom tool; None: any text."""
    strict: bool | None = None
    namespace: str = ""
    hosted: Literal["", "web_search", "web_fetch", "code_execution"] = ""
    """What a hosted tool does, if other dialects have the like."""
    cache: Cache | None = None


class ToolChoice(Piece, kw_only=True):
    mode: Literal["auto", "any", "none"]
    names: list[tuple[str, str]] = []
    """(namespace, name) of the tools that may be called; empty: all."""


class Thinking(Piece, kw_only=True):
    """How much the model is to reason. What is None is the provider's choice."""

    mode: Literal["on", "off", "auto"] | None = None
    effort: Effort | None = None
    budget: int | None = None
    """Tokens."""
    show: Literal["none", "auto", "concise", "detailed", "full"] | None = None
    """Whether the answer shows the reasoning, or which summary of it."""


class Format(Piece, kw_only=True):
    """The form of the answer's text."""

    kind: Literal["text", "json", "schema"]
    name: str = ""
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ToolName(NamedTuple):
    """What a tool is called by the client."""

    namespace: str
    name: str
    custom: bool
    """Whether its input is free text."""


class Request(Piece, kw_only=True):
    """Settings that are None were not said. `paths` tells where each that was said stands in the source's body."""

    source: str
    """The dialect it was read from."""
    paths: dict[str, str] = {}
    turns: list[Turn] = []
    tools: list[Tool] = []
    held: list[tuple[str, str]] = []
    """(path, what) of content that the source's provider holds: without it nobody else can answer."""
    renamed: dict[str, ToolName] | None = None
    """What a writer's names of tools stand for, where they are not the client's or the tool is a custom one."""

    model: str = ""
    stream: bool | None = None
    include_usage: bool | None = None
    """Whether a stream is to end with its usage, where that is asked for."""
    max_output: int | None = None
    """Tokens, reasoning included."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] | None = None
    seed: int | None = None
    choices: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    thinking: Thinking | None = None
    format: Format | None = None
    verbosity: str | None = None
    tool_choice: ToolChoice | None = None
    parallel: bool | None = None
    """Whether several tools may be called at once."""
    user: str | None = None
    """Who the end user is, as the source names them."""
    metadata: dict[str, Any] | None = None
    tier: str | None = None
    cache: Cache | None = None
    cache_key: str | None = None
    store: bool | None = None
    prefill: bool | None = None
    """Whether the answer goes on from the last turn, which is the assistant's."""


SETTINGS: Final = tuple(
    name
    for name in Request.__struct_fields__
    if name not in ("path", "extra", "noise", "source", "paths", "turns", "tools", "held", "renamed")
)
"""The names of the settings, in the order of the tables in the documentation."""
