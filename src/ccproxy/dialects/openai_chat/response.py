"""The messages and the response body of Chat Completions, and the pieces that its chunks share with them."""

from collections.abc import Callable
from typing import Any, Final

from ccproxy.core.assemble import Message, Part
from ccproxy.core.events import Citation, Finish, PartStart, Signature, StreamStart
from ccproxy.core.losses import Losses
from ccproxy.core.parts import with_prefix
from ccproxy.core.signatures import seal
from ccproxy.core.spi import Context
from ccproxy.wire.json import dumps

from . import usage
from .maps import FINISH_READ, FINISH_WRITE, FORMAT_WRITE

TEXT_FIELDS = {"text": "content", "refusal": "refusal"}


def envelope(start: StreamStart, context: Context, object: str) -> dict[str, Any]:
    """What every chunk and the completion begin with."""
    created = start.created if start.created is not None else context.created
    return {
        "id": with_prefix("chatcmpl-", start.id),
        "object": object,
        "created": created or 0,
        "model": context.model or start.model,
        **start.meta.get("openai-chat", {}),
    }


def places(start: PartStart) -> bool:
    """Whether a part has a place here."""
    kinds = ("text", "reasoning", "redacted", "tool", "custom_tool", "refusal")
    return start.kind in kinds or "openai-chat" in start.meta


def reasoning_fields(context: Context) -> tuple[str, ...]:
    """Where reasoning text goes."""
    if context.reasoning == "both":
        return ("reasoning_content", "reasoning")
    return (context.reasoning,) if context.reasoning in ("reasoning_content", "reasoning") else ()


def thinking_element(part: Part) -> str:
    """One reasoning part as an XML element in the content."""
    signature = f' signature="{part.signature.value}"' if part.signature else ""
    return f"<thinking{signature}>{part.text}</thinking>"


def reasoning_detail(part: PartStart, signature: Signature, index: int) -> dict[str, Any]:
    """The entry of `reasoning_details` (OpenRouter's convention) that carries a signature or redacted reasoning."""
    known = FORMAT_WRITE.get(signature.scheme)
    value = signature.value if known else seal(signature, part.kind == "redacted")
    if part.kind == "redacted":
        return {"type": "reasoning.encrypted", "index": index, "format": known or "unknown", "data": value}
    return {"type": "reasoning.text", "index": index, "format": known or "unknown", "signature": value}


def annotations(
    citations: list[Citation], texts: list[int], part: Callable[[int], Part], losses: Losses
) -> list[dict[str, Any]]:
    """The citations of a content that is made of the parts `texts`. One without a range is about its whole part."""
    out: list[dict[str, Any]] = []
    ranges: dict[int, tuple[int, int]] = {}
    length = 0
    for number in texts if citations else ():
        ranges[number] = (length, length + len(part(number).text))
        length = ranges[number][1]
    for citation in citations:
        own = citation.raw.get("openai-chat")
        if own is not None:
            out.append(dict(own))
            continue
        start, end = ranges.get(citation.part, (0, 0))
        if citation.url is None or start == end:
            losses.add("citation", citation.part, citation.url or citation.title or "citation of a document")
            continue
        if citation.start is not None and citation.end is not None:
            start, end = citation.start, citation.end
        source = {"start_index": start, "end_index": end, "title": citation.title or "", "url": citation.url}
        out.append({"type": "url_citation", "url_citation": source})
    return out


def arguments(part: Part, empty: str = "{}") -> str:
    """The arguments string of a call; a custom tool's free text is its argument `input`."""
    if part.start.kind == "custom_tool":
        return dumps({"input": part.text}).decode("utf-8", "surrogatepass")
    return part.text or empty


def no_arguments(finish: Finish | None) -> str:
    """What a call without arguments has: an empty object, unless it may have been cut before them."""
    if finish is None or FINISH_WRITE[finish.reason.unified] in ("length", "content_filter"):
        return ""
    return "{}"


def finish_reason(event: Finish, called: bool, losses: Losses) -> str:
    """finish_reason, and the losses of what it can't tell; `called` if the choice has calls."""
    reason = FINISH_WRITE[event.reason.unified]
    if reason == "tool_calls" and not called:
        reason = "stop"  # the calls had no place here
    explanation = (event.details or {}).get("explanation")
    if explanation:
        losses.add("finish", None, str(explanation))
    if event.stop_sequence is not None:
        losses.add("stop_sequence", None, event.stop_sequence)
    if FINISH_READ[reason] != event.reason.unified:
        losses.add("finish", None, event.reason.raw or event.reason.unified)
    return reason


def report(part: Part | PartStart, losses: Losses) -> None:
    """Report what a part loses here."""
    start = part if isinstance(part, PartStart) else part.start
    if not places(start):
        losses.add("part", start.part, f"{start.kind} {start.name}".strip())
    elif start.kind == "custom_tool":
        losses.add("custom_tool", start.part, f"{start.name}: the input text is the argument `input`")


class Order:
    """A message has one text, one reasoning and then its calls: what comes in another order loses it."""

    _RANK: Final = {"reasoning": 0, "redacted": 0, "text": 1, "refusal": 1, "tool": 2, "custom_tool": 2}

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._highest: dict[int, int] = {}

    def see(self, start: PartStart) -> None:
        rank = self._RANK.get(start.kind, 0)
        highest = self._highest.get(start.choice, 0)
        if rank < highest:
            self._losses.add("order", start.part, f"{start.kind} after other parts of the message")
        self._highest[start.choice] = max(rank, highest)


def body(message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    """The full response, as without streaming."""
    start = message.start or StreamStart("")
    out = envelope(start, context, "chat.completion")
    numbers = sorted({part.start.choice for part in message.parts} | set(message.finishes)) or [0]
    out["choices"] = [_choice(number, message, context, losses) for number in numbers]
    if message.usage is not None:
        usage.report(message.usage, losses)
        out["usage"] = usage.write(message.usage)
    return out


def _choice(number: int, message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    parts = [part for part in message.parts if part.start.choice == number]
    for part in parts:
        report(part.start, losses)
    parts = [part for part in parts if places(part.start)]
    order = Order(losses)
    for part in parts:
        order.see(part.start)
    finish = message.finishes.get(number)
    called = any(part.start.kind in ("tool", "custom_tool") for part in parts)
    logprobs = {
        field: [entry for part in parts if part.start.kind == kind for entry in part.logprobs]
        for kind, field in TEXT_FIELDS.items()
    }
    known = {field: entries for field, entries in logprobs.items() if entries}
    return {
        "index": number,
        "message": _message(parts, finish, message, context, losses),
        "logprobs": {"content": None, "refusal": None} | known if known else None,
        "finish_reason": finish_reason(finish, called, losses) if finish else None,
    }


def _message(
    parts: list[Part], finish: Finish | None, whole: Message, context: Context, losses: Losses
) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    xml = context.reasoning == "thinking-xml"
    group: int | None = None
    for part in parts:
        kind = part.start.kind
        if kind in TEXT_FIELDS:
            field = TEXT_FIELDS[kind]
            out[field] = (out[field] or "") + part.text
        elif kind == "reasoning" and xml:
            out["content"] = (out["content"] or "") + thinking_element(part)
        elif kind == "reasoning":
            joint = "\n\n" if group is not None and group == part.start.group else ""
            group = part.start.group
            _reason(out, part, joint, context, losses)
        elif kind in ("tool", "custom_tool"):
            function = {"name": part.start.name, "arguments": arguments(part, no_arguments(finish))}
            calls.append({"id": part.start.id, "type": "function", "function": function})
        elif kind in ("audio", "image"):
            own = part.start.meta["openai-chat"]
            if "audio" in own:
                out["audio"] = own["audio"]
            else:
                out.setdefault("images", []).append(own["image"])
        if part.signature is None or (kind == "reasoning" and xml):
            continue
        if kind == "tool" and part.signature.scheme == "gemini":
            calls[-1]["extra_content"] = {"google": {"thought_signature": part.signature.value}}
        elif kind in ("reasoning", "redacted") and context.reasoning_details:
            details.append(reasoning_detail(part.start, part.signature, len(details)))
        else:
            losses.add("signature", part.start.part, f"{part.signature.scheme} signature on {kind}")
    texts = [part.start.part for part in parts if part.start.kind in TEXT_FIELDS]
    cited = annotations([c for part in parts for c in part.citations], texts, whole.parts.__getitem__, losses)
    lists = {"tool_calls": calls, "reasoning_details": details, "annotations": cited}
    return out | {field: entries for field, entries in lists.items() if entries}


def _reason(out: dict[str, Any], part: Part, joint: str, context: Context, losses: Losses) -> None:
    fields = reasoning_fields(context)
    if not fields:
        losses.add("part", part.start.part, "reasoning")
    for field in fields:
        if joint and part.text and out.get(field):
            losses.add("boundary", part.start.part, "two reasoning parts of one item")
            out[field] += joint
        if part.text:
            out[field] = out.get(field, "") + part.text
