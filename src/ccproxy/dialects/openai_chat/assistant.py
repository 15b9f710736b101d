"""A message of the assistant's history, as written, and the shape of messages."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from ccproxy.core.model import Call, Foreign, Part, Result, Text, Thought, Turn
from ccproxy.core.parts import digest
from ccproxy.core.request import RequestWriter, same_model
from ccproxy.core.signatures import Sealed
from ccproxy.wire.json import dumps

from . import response, thoughts
from .maps import CONTENT, GOOGLE, NAMED, REASONING_OPAQUE, SCHEME, THINKING_BLOCKS

NESTED: Final = ("stream_options", "thinking", "function", "custom", "json_schema", "image_url", "input_audio", "file")
"""Objects whose unknown fields are known as `object.field`."""

_TEXT: Final = frozenset({"type", "text"})
"""What a block has that is plain text and nothing else."""
_LONGEST_ID: Final = 40  # of a call


class Assistant:
    """One message of the assistant: its text, then its calls. What comes in another order loses it."""

    def __init__(
        self, writer: RequestWriter, turn: Turn, blocks_of: Callable[[Iterable[Part], str], list[dict[str, Any]]]
    ) -> None:
        self._writer = writer
        self._blocks_of = blocks_of
        self._own = writer.own
        self._turn = turn
        self._out: dict[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._parts: list[Part] = []
        """What the blocks are of."""
        self._calls: list[dict[str, Any]] = []
        self._on_call: dict[str, Any] = {}
        """Fields of the call that follows."""
        self._reasoning: Thought | None = None
        """The last whose text went into a plain field."""
        self._foreign = False
        """Whether there was reasoning of another provider or model."""

    @cached_property
    def _groups(self) -> dict[str, Sealed]:
        """The signature of each group of reasoning."""
        return {
            part.group: part.signature
            for part in self._turn.parts
            if type(part) is Thought and part.group and part.signature is not None
        }

    @cached_property
    def _in_full(self) -> set[str]:
        """The groups of which there is more than a summary."""
        return {
            part.group for part in self._turn.parts if type(part) is Thought and part.channel == "full" and part.text
        }

    def message(self) -> dict[str, Any] | None:
        """None if nothing of it is left."""
        for part in self._turn.parts:
            self._add(part)
        if self._on_call:
            self._put(self._on_call)
        own = self._own
        if not (own or self._blocks or self._calls or self._out):
            return None
        out: dict[str, Any] = {"role": "assistant", "content": None}
        if self._turn.name:
            out["name"] = self._turn.name
        if own:
            out |= self._turn.noise
        if self._blocks:
            out["content"] = whole(self._blocks, self._parts, own)
        out |= self._out
        if self._calls:
            out["tool_calls"] = self._calls
        return spread(out, _beside(self._extra(), out)) if own else out

    def _extra(self) -> dict[str, Any]:
        """The message's own fields, without those that only say again what was left out."""
        extra = self._turn.extra
        if not self._foreign:
            return extra
        again = [name for name in extra if name in thoughts.FIELDS]
        for name in again:
            self._writer.lose(f"{self._turn.path}.{name}", f"{name}: says again what is left out", "part")
        return {name: value for name, value in extra.items() if name not in again}

    def _add(self, part: Part) -> None:
        if type(part) is Thought:
            self._think(part)
        elif type(part) is Call:
            self._call(part)
        elif type(part) is Text and part.refusal and (not self._own or part.noise):
            self._follows(part, bool(self._calls))
            self._out["refusal"] = self._out.get("refusal", "") + part.text
        elif type(part) is Foreign and self._own and part.noise:
            self._put(part.noise)
        else:
            blocks = self._blocks_of([part], "assistant")
            if blocks:
                self._follows(part, bool(self._calls))
                self._blocks += blocks
                self._parts.append(part)

    def _follows(self, part: Part, late: bool) -> None:
        if late and not self._own:
            self._writer.lose(part, "it comes before what it followed", "order")

    def _call(self, call: Call) -> None:
        writer, own = self._writer, self._own
        if own and "function_call" in call.noise:
            self._out |= call.noise
            return
        name = writer.names.flat(call.namespace, call.name) if not own else call.name
        if call.custom and (own or writer.options.custom_tools):
            out: dict[str, Any] = {"type": "custom", "custom": {"name": name, "input": call.arguments}}
        else:
            arguments = call.arguments if own else call.arguments or "{}"
            if call.custom:
                arguments = dumps({"input": call.arguments}).decode("utf-8", "surrogatepass")
                writer.lose(call, "custom: the input is an argument", "custom_tool")
            out = {"type": "function", "function": {"name": name, "arguments": arguments}}
        if call.id:
            out["id"] = call_id(writer, call)
        out |= self._on_call
        if own:
            out = said(spread(out, _beside(call.extra, self._on_call) | call.noise))
        self._on_call = {}
        self._calls.append(out)

    # Reasoning

    def _think(self, thought: Thought) -> None:
        writer = self._writer
        model = thought.signature.model if thought.signature is not None else ""
        as_it_was = thought.noise or (thought.group and not thought.signature)
        if self._own and as_it_was and same_model(model, writer.target_model):
            if _on_call(thought):
                self._on_call = thought.noise
                return
            blocks = thought.noise.get("content", [])
            self._blocks += blocks
            self._parts += [thought] * len(blocks)
            self._put({name: value for name, value in thought.noise.items() if name != "content"})
            return
        signature = thought.signature or self._groups.get(thought.group)
        if signature is None:
            self._say(thought)
            return
        readable = writer.readable(
            thought if thought.signature else Thought(signature=signature, path=thought.path), SCHEME
        )
        if readable is None:
            self._foreign = True
            writer.drop(thought, "reasoning that another provider or model has signed")
        else:
            self._sign(thought, readable)

    def _say(self, thought: Thought) -> None:
        """Text that nobody signed."""
        field = self._writer.options.reasoning
        if field == "none" or not thought.text:
            self._writer.drop(thought, "reasoning is left out" if thought.text else "reasoning that says nothing")
            return
        if thought.channel == "summary" and thought.group and thought.group in self._in_full:
            self._writer.drop(thought, "a summary of reasoning that is there in full")
            return
        self._follows(thought, bool(self._blocks or self._calls))
        if thought.channel == "summary":
            self._writer.lose(thought, "channel: a summary is told as reasoning")
        if self._reasoning is not None:
            self._writer.lose(thought, "text: joined to the reasoning before it", "boundary")
            self._out[field] += "\n\n"
        self._reasoning = thought
        self._out[field] = self._out.get(field, "") + thought.text

    def _sign(self, thought: Thought, signature: Sealed) -> None:
        """What a Chat server has signed, in the form that it came in."""
        scheme, value = signature.scheme, signature.value if thought.signature else ""
        if signature.signs != "part" and scheme.removesuffix(NAMED) == GOOGLE:
            google = {"extra_content": {"google": response.google(scheme, signature.model, value)}}
            if signature.signs == "call":
                self._on_call = google
            else:
                self._out |= google
            return
        self._follows(thought, bool(self._calls or (self._blocks and thought.text)))
        if scheme == THINKING_BLOCKS:
            block = {"type": "thinking", "thinking": thought.text, "signature": value}
            data = {"type": "redacted_thinking", "data": value}
            self._put({"thinking_blocks": [data if signature.redacted else block]})
        elif scheme == REASONING_OPAQUE:
            self._put(({"reasoning_text": thought.text} if thought.text else {}) | {"reasoning_opaque": value})
        elif scheme == CONTENT:
            text = [{"type": "text", "text": thought.text}]
            self._blocks.append({"type": "thinking", "thinking": text, "signature": value})
            self._parts.append(thought)
        elif self._writer.options.reasoning_details:
            entry = _entry(thought, signature.redacted, value) | response.detail(scheme, signature.model)
            entry["index"] = len(self._out.get("reasoning_details", ()))
            self._put({"reasoning_details": [entry]})
        elif thought.text:
            self._writer.lose(thought, "signature: the option reasoning_details is off", "signature")
            self._say(thought)
        else:
            self._writer.drop(thought, "the option reasoning_details is off")

    def _put(self, fields: Mapping[str, Any]) -> None:
        """Fields of the message; arrays go on."""
        for name, value in fields.items():
            if isinstance(value, list):
                self._out.setdefault(name, []).extend(value)
            else:
                self._out[name] = value


def call_id(writer: RequestWriter, piece: Call | Result) -> str:
    """The id of a call, or of the call of a result, which OpenAI wants short."""
    if writer.own or len(piece.id) <= _LONGEST_ID:
        return piece.id
    short = f"call_{digest(piece.id)}"
    writer.lose(piece, f"id: longer than {_LONGEST_ID} characters, became {short}", "repair")
    return short


def _entry(thought: Thought, redacted: bool, value: str) -> dict[str, Any]:
    if redacted:
        return {"type": "reasoning.encrypted", "data": value}
    if value:  # a summary has none: one that came back as a summary was the reasoning itself
        return {"type": "reasoning.text", "text": thought.text, "signature": value}
    field = "summary" if thought.channel == "summary" else "text"
    return {"type": f"reasoning.{field}", field: thought.text}


def _beside(extra: Mapping[str, Any], signed: Mapping[str, Any]) -> dict[str, Any]:
    """Extra fields for what has the fields `signed`: in `extra_content` both have their place."""
    rest, content = extra.get("extra_content"), signed.get("extra_content")
    if rest is None or content is None:
        return dict(extra)
    vendors = {name: {**rest.get(name, {}), **value} for name, value in content.items() if isinstance(value, dict)}
    return {**extra, "extra_content": {**rest, **content, **vendors}}


def _on_call(thought: Thought) -> bool:
    return "extra_content" in thought.noise and ".tool_calls[" in thought.path


def whole(blocks: list[dict[str, Any]], parts: Iterable[Part], own: bool) -> str | list[dict[str, Any]]:
    """A content: one plain text is a string, but where it came as an array."""
    if not blocks:
        return [] if own else ""
    plain = len(blocks) == 1 and blocks[0].keys() == _TEXT and blocks[0]["type"] == "text"
    if plain and (not own or any("form" in part.noise for part in parts)):
        text: str = blocks[0]["text"]
        return text
    return blocks


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def spread(out: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """With more fields, of which `key.name` goes into the object `key`, if that is one of `NESTED`."""
    merged = dict(out)
    for name, value in fields.items():
        key, dot, inner = name.partition(".")
        if dot and key in NESTED:
            merged[key] = said({**merged.get(key, {}), inner: value})
        else:
            merged[name] = value
    return merged
