"""Content blocks and the response body of the Messages API. A block that streams begins as its part without text."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ccproxy.core.assemble import Message, Part
from ccproxy.core.events import Finish, PartStart, Signature, StreamStart
from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.parts import carry_id, flat_name, with_prefix
from ccproxy.core.signatures import seal
from ccproxy.core.spi import Context
from ccproxy.core.vocab import Usage
from ccproxy.wire.json import JSONError, dumps, is_object, loads

from . import usage
from .maps import FINISH_READ, FINISH_WRITE

SCHEME = "anthropic"
_CUT = "_raw"


def envelope(start: StreamStart, context: Context) -> dict[str, Any]:
    """The message without content, as message_start has it."""
    known = start.usage or (Usage(input=context.input_tokens) if context.input_tokens is not None else None)
    return {
        "id": with_prefix("msg_", start.id),
        "type": "message",
        "role": "assistant",
        "model": context.model or start.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage.write(known),
        **start.meta.get("anthropic", {}),
    }


def places(start: PartStart) -> bool:
    """Whether a part has a place here; one that only another dialect understands has none."""
    return (
        start.kind in ("text", "reasoning", "redacted", "tool", "custom_tool", "refusal") or "anthropic" in start.meta
    )


def block(part: Part) -> dict[str, Any]:
    """The content block of a part that `places`."""
    start = part.start
    own = start.meta.get("anthropic", {})
    if start.kind in ("text", "refusal"):
        citations = [c.raw["anthropic"] for c in part.citations if "anthropic" in c.raw]
        return {"type": "text", "text": part.text} | ({"citations": citations} if citations else {})
    if start.kind == "reasoning":
        return {"type": "thinking", "thinking": part.text, "signature": signature(part.signature)}
    if start.kind == "redacted":
        return {"type": "redacted_thinking", "data": signature(part.signature, redacted=True)}
    if start.kind in ("tool", "custom_tool"):
        name = flat_name(start.namespace, start.name)
        return {"type": "tool_use", "id": carry_id(start.id), "name": name, "input": tool_input(part), **own}
    whole = dict(own["block"])
    if start.kind == "server_tool":
        whole["input"] = tool_input(part)
    for opaque in part.opaque:  # deltas that replace (compaction)
        delta = Fields(opaque.payload).noise("delta").raw
        whole.update({key: value for key, value in delta.items() if key != "type"})
    return whole


def tool_input(part: Part) -> Any:
    """Arguments as an object. What is none (a call cut by the token limit) is kept as it is, never repaired.

    `input_text` gives it back.
    """
    if part.start.kind == "custom_tool" and (part.text or part.end):
        return {"input": part.text}
    if not part.text:
        return {}
    try:
        value = loads(part.text.encode("utf-8", "surrogatepass"))
    except JSONError:
        value = None
    return value if isinstance(value, dict) else {_CUT: part.text}


def input_text(input: Any) -> str:
    """The arguments as text: JSON, or what `tool_input` could not give as an object."""
    text = input[_CUT] if isinstance(input, dict) and input.keys() == {_CUT} else None
    if isinstance(text, str) and text.lstrip().startswith("{") and not is_object(text):
        return text
    return dumps(input).decode("utf-8")


def signature(event: Signature | None, redacted: bool = False) -> str:
    """Anthropic's own signature bare, another's in an envelope, none as the empty string."""
    if event is None:
        return ""
    return event.value if event.scheme == SCHEME else seal(event, redacted)


def lose(part: Part | PartStart, losses: Losses) -> None:
    """Report a part that has no place here."""
    start = part if isinstance(part, PartStart) else part.start
    losses.add("part", start.part, f"{start.kind} {start.name}".strip())


def finish(event: Finish, kinds: Collection[str], losses: Losses) -> dict[str, Any]:
    """stop_reason and what belongs to it, after a message with parts of these kinds."""
    own = event.meta.get("anthropic", {})
    unified = event.reason.unified
    reason = own.get("stop_reason", "")
    if FINISH_READ.get(reason, "unknown") != unified or not reason:
        reason = FINISH_WRITE[unified]
    if unified == "end" and "refusal" in kinds:
        reason = "refusal"
    elif unified == "tool" and not {"tool", "custom_tool"} & set(kinds):
        reason = "end_turn"  # the calls had no place here
        losses.add("finish", None, "tool without a call")
    elif FINISH_READ.get(reason, "unknown") != unified:
        losses.add("finish", None, event.reason.raw or unified)
    out = {**own.get("delta", {}), "stop_reason": reason, "stop_sequence": event.stop_sequence}
    explanation = (event.details or {}).get("explanation")
    if explanation and "stop_details" not in out:
        if reason == "refusal":
            out["stop_details"] = {"type": "refusal", "category": None, "explanation": str(explanation)}
        else:
            losses.add("finish", None, str(explanation))
    return out


def body(message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    """The full response, as without streaming."""
    start = message.start or StreamStart("")
    out = envelope(start, context)
    kinds: set[str] = set()
    for part in message.parts:
        if part.start.choice != 0:
            losses.add("choice", None, f"choice {part.start.choice}")
        elif not places(part.start):
            lose(part, losses)
        elif part.text or part.signature or part.start.kind not in ("text", "reasoning", "refusal"):
            kinds.add(part.start.kind)
            out["content"].append(block(part))
            report(part, losses)
            report_arguments(part, losses, f", and stand in `{_CUT}`")
    if 0 in message.finishes:
        out.update(finish(message.finishes[0], kinds, losses))
        out.update(message.finishes[0].meta.get("anthropic", {}).get("top", {}))
    if message.usage is not None:
        usage.report(message.usage, losses)
    out["usage"] = usage.write(message.usage)
    return out


def frames(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A response body as a stream: a message that is complete when it starts."""
    if body.get("content") is None:
        raise Fields(body).wrong("content", "an array")
    yield "message_start", {"type": "message_start", "message": body}
    yield "message_stop", {"type": "message_stop"}


def report(part: Part, losses: Losses) -> None:
    """Report what a placed part loses here."""
    start = part.start
    if start.kind == "custom_tool":
        losses.add("custom_tool", start.part, f"{start.name}: the input text is the argument `input`")
    if start.kind == "refusal":
        losses.add("refusal", start.part, "written as text")
    if part.logprobs:
        losses.add("logprobs", start.part, "log probabilities")
    if part.signature and start.kind not in ("reasoning", "redacted"):
        losses.add("signature", start.part, f"{part.signature.scheme} signature on {start.kind}")
    for citation in part.citations:
        if "anthropic" not in citation.raw:
            losses.add("citation", start.part, citation.url or citation.title or "citation")


def report_arguments(part: Part, losses: Losses, where: str = "") -> None:
    """Report arguments of a call that has ended that are no object, cut or not. A stream passes them on."""
    if part.start.kind in ("tool", "server_tool") and part.end and part.text and not is_object(part.text):
        detail = f"{part.start.name}: the arguments are no JSON object{where}"
        losses.add("custom_tool", part.start.part, detail)


def escape(text: str) -> str:
    """Text as it stands inside a JSON string, without the quotes."""
    return dumps(text)[1:-1].decode("utf-8", "surrogatepass")
