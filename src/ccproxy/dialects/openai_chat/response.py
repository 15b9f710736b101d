"""The messages and the response body of Chat Completions, and the pieces that its chunks share with them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ccproxy.core.assemble import Message, Part
from ccproxy.core.events import Citation, Finish, PartStart, Signature, StreamStart
from ccproxy.core.fields import FieldError, Fields
from ccproxy.core.losses import Losses
from ccproxy.core.parts import flat_name, with_prefix
from ccproxy.core.signatures import seal
from ccproxy.core.spi import Context
from ccproxy.wire.json import dumps

from . import usage
from .maps import (
    CONTENT,
    FINISH_READ,
    FINISH_WRITE,
    FORMAT_WRITE,
    GOOGLE,
    NAMED,
    REASONING_OPAQUE,
    SCHEME,
    THINKING_BLOCKS,
)

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


def signed(start: PartStart, signature: Signature, text: str, index: int) -> dict[str, Any]:
    """What carries a signature or redacted reasoning with this text: a field of the message.

    What a Chat server sent goes back in its form. Anything else is the next entry, number `index`, of
    `reasoning_details` (OpenRouter's convention): bare if its scheme has a format there, with the model that it is for,
    else in an envelope.
    """
    redacted = start.kind == "redacted"
    value = signature.value
    if signature.signs == "text" and signature.scheme.removesuffix(NAMED) == GOOGLE:
        return on_call(signature)
    if signature.scheme == THINKING_BLOCKS and signature.signs == "part":
        data = {"type": "redacted_thinking", "data": value}
        return {"thinking_blocks": [data if redacted else {"type": "thinking", "thinking": text, "signature": value}]}
    if signature.scheme == REASONING_OPAQUE and signature.signs == "part":
        return {"reasoning_opaque": value}
    entry: dict[str, Any] = {"type": "reasoning.encrypted" if redacted else "reasoning.text", "index": index}
    bare = bool(signature.model) if signature.scheme in FORMAT_WRITE else is_detail(signature.scheme)
    if signature.signs != "part" or not bare:
        entry["format"] = "unknown"
        value = seal(signature, redacted)
    else:
        entry |= detail(signature.scheme, signature.model)
    return {"reasoning_details": [entry | {"data" if redacted else "signature": value}]}


def is_detail(scheme: str) -> bool:
    """Whether a Chat server sent it in `reasoning_details`."""
    others = (GOOGLE, THINKING_BLOCKS, REASONING_OPAQUE, CONTENT)
    return scheme.startswith(SCHEME) and scheme.removesuffix(NAMED) not in others


def detail(scheme: str, model: str) -> dict[str, str]:
    """What a bare entry of `reasoning_details` says of its signature."""
    format = FORMAT_WRITE.get(scheme) or scheme.removeprefix(SCHEME).removesuffix(NAMED)
    named = scheme in FORMAT_WRITE or scheme.endswith(NAMED)
    return ({"format": format} if format else {}) | ({"model": model} if named else {})


def signs_call(signature: Signature) -> bool:
    """Whether it goes on the call that follows."""
    return signature.signs == "call" and has_place(signature)


def has_place(signature: Signature) -> bool:
    """Whether a call has a field for it."""
    return signature.scheme.removesuffix(NAMED) in ("gemini", GOOGLE)


def on_call(signature: Signature) -> dict[str, Any]:
    """The field of a call, or of a text, that has its signature."""
    return {"extra_content": {"google": google(signature.scheme, signature.model, signature.value)}}


def google(scheme: str, model: str, value: str) -> dict[str, str]:
    """Gemini's own signature with its model, that of a Chat server as it came."""
    if scheme == "gemini" and not model:
        return {"thought_signature": seal(Signature(0, scheme, value, signs="call"), redacted=False)}
    return {"thought_signature": value} | ({"model": model} if scheme != GOOGLE else {})


class Signatures:
    """The fields of one choice that carry signatures. One that signs a call waits for the call."""

    def __init__(self, context: Context, losses: Losses) -> None:
        self._context = context
        self._losses = losses
        self._details = 0  # entries of reasoning_details so far
        self._texts = 0  # how many of them sign text
        self._held: tuple[PartStart, Signature] | None = None

    def of_reasoning(self, start: PartStart, signature: Signature, text: str) -> dict[str, Any]:
        """The fields for the signature of a reasoning part; none yet if it waits."""
        if not signs_call(signature):
            return self._write(start, signature, text)
        fields = self.left()
        self._held = (start, signature)
        return fields

    def of_call(self) -> dict[str, Any]:
        """The fields of the call that begins."""
        held, self._held = self._held, None
        return on_call(held[1]) if held is not None else {}

    def left(self) -> dict[str, Any]:
        """The fields for a signature whose call did not come."""
        held, self._held = self._held, None
        return self._write(*held, "") if held is not None else {}

    def _write(self, start: PartStart, signature: Signature, text: str) -> dict[str, Any]:
        fields = signed(start, signature, text, self._details)
        if "reasoning_details" in fields:
            if self._context.reasoning == "thinking-xml" or not self._context.reasoning_details:
                self._losses.add("signature", start.part, f"{signature.scheme} signature on {start.kind}")
                return {}
            self._details += 1
            if text and signature.signs == "part":
                self._texts += 1
                if self._texts > 1:  # else nobody knows which words are whose
                    fields["reasoning_details"][0]["text"] = text
        return fields


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


def name(start: PartStart) -> str:
    """The name of a called tool; there are no namespaces here."""
    return flat_name(start.namespace, start.name)


def report(part: Part | PartStart, losses: Losses) -> None:
    """Report what a part loses here."""
    start = part if isinstance(part, PartStart) else part.start
    if not places(start):
        losses.add("part", start.part, f"{start.kind} {start.name}".strip())
    elif start.kind == "custom_tool":
        losses.add("custom_tool", start.part, f"{start.name}: the input text is the argument `input`")


def report_late(signature: Signature, losses: Losses) -> None:
    """Report a signature of the text that comes after calls. A message has one text, so it comes back next to that."""
    if signature.signs == "text":
        losses.add("order", signature.part, f"{signature.scheme} signature after calls")


class Order:
    """A message has one text, one reasoning and then its calls: what comes in another order loses it.

    Reasoning without text only carries a signature, and has no place in the order.
    """

    _RANK: Final = {"reasoning": 0, "redacted": 0, "text": 1, "refusal": 1, "tool": 2, "custom_tool": 2}

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._highest: dict[int, int] = {}

    def late(self, start: PartStart) -> bool:
        """Whether other parts of the message came before that should come after it."""
        return self._RANK.get(start.kind, 0) < self._highest.get(start.choice, 0)

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


def frames(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A response body as a stream: one chunk, whose choices have a whole `message` in the place of a `delta`.

    The body is whole by itself, so a choice that does not say why it finished (Snowflake) was not cut.
    """
    fields = Fields(body)
    if body.get("choices") is None:
        raise fields.wrong("choices", "an array")
    if body["choices"] == []:
        raise FieldError("choices", "must hold an answer")
    choices = [
        {"index": position, **choice.raw, "message": _numbered(choice.fields("message"))}
        for position, choice in enumerate(fields.each("choices"))
    ]
    for choice in choices:
        choice.pop("delta", None)  # Perplexity sends an empty one
        choice["finish_reason"] = choice.get("finish_reason") or "unknown"
    yield "", {**body, "choices": choices}


def _numbered(message: Fields) -> dict[str, Any]:
    """The message with numbers for what a stream tells apart by them: calls may share an id, or have none."""
    out = dict(message.raw)
    for field in ("tool_calls", "reasoning_details"):
        if out.get(field):
            out[field] = [{**entry.raw, "index": number} for number, entry in enumerate(message.each(field))]
    return out


def _choice(number: int, message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    parts = [part for part in message.parts if part.start.choice == number]
    for part in parts:
        report(part.start, losses)
    parts = [part for part in parts if places(part.start)]
    order = Order(losses)
    for part in parts:
        if part.text or part.start.kind != "reasoning":
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
    signatures = Signatures(context, losses)
    xml = context.reasoning == "thinking-xml"
    group: int | None = None
    for part in parts:
        kind = part.start.kind
        thinks = kind == "reasoning" and xml and (part.signature is None or part.signature.signs == "part")
        if kind in TEXT_FIELDS:
            field = TEXT_FIELDS[kind]
            out[field] = (out[field] or "") + part.text
        elif thinks:
            out["content"] = (out["content"] or "") + thinking_element(part)
        elif kind == "reasoning":
            joint = "\n\n" if group is not None and group == part.start.group else ""
            group = part.start.group
            _reason(out, part, joint, context, losses)
        elif kind in ("tool", "custom_tool"):
            function = {"name": name(part.start), "arguments": arguments(part, no_arguments(finish))}
            call = {"id": part.start.id, "type": "function", "function": function}
            calls.append(call | signatures.of_call())
        elif kind in ("audio", "image"):
            own = part.start.meta["openai-chat"]
            if "audio" in own:
                out["audio"] = own["audio"]
            else:
                out.setdefault("images", []).append(own["image"])
        if part.signature is None or thinks:
            continue
        if kind == "tool" and has_place(part.signature):
            calls[-1] |= on_call(part.signature)
        elif kind in ("reasoning", "redacted"):
            if calls:
                report_late(part.signature, losses)
            _put(out, signatures.of_reasoning(part.start, part.signature, part.text))
        else:
            losses.add("signature", part.start.part, f"{part.signature.scheme} signature on {kind}")
    _put(out, signatures.left())
    texts = [part.start.part for part in parts if part.start.kind == "text"]
    cited = annotations([c for part in parts for c in part.citations], texts, whole.parts.__getitem__, losses)
    lists = {"tool_calls": calls, "annotations": cited}
    return out | {field: entries for field, entries in lists.items() if entries}


def _put(out: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Add fields to a message; lists go on."""
    for field, value in fields.items():
        out[field] = [*out.get(field, ()), *value] if isinstance(value, list) else value


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
