"""Output items and the response object of the Responses API, and the pieces that its events share with them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ccproxy.core.assemble import Message, Part
from ccproxy.core.events import Citation, Finish, PartStart, StreamStart
from ccproxy.core.fields import FieldError, Fields
from ccproxy.core.losses import Losses
from ccproxy.core.parts import digest, with_prefix
from ccproxy.core.signatures import seal
from ccproxy.core.spi import Context
from ccproxy.wire.json import is_object

from . import usage
from .maps import FINISH_WRITE, INCOMPLETE_READ

SCHEME: Final = "openai"
_DIALECT: Final = "openai-responses"
_ITEM: Final = {
    "text": "message",
    "refusal": "message",
    "reasoning": "reasoning",
    "redacted": "reasoning",
    "tool": "function_call",
    "custom_tool": "custom_tool_call",
}
_ID_PREFIX: Final = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_"}
_MADE_UP: Final = re.compile(r"rs_[0-9a-f]{24}")
"""OpenAI's own are longer: `rs_` and 48 or 50 digits."""
_BUILT: Final = frozenset(
    {"id", "type", "status", "role", "content", "summary", "encrypted_content", "arguments", "input"}
)
"""Fields of an item that are built from its parts; the others are its own dialect's extras."""

_OF_THE_END: Final = frozenset({"id", "status", "output", "usage", "error", "incomplete_details"})
"""Fields of the response that begin as ours, whatever its own provider says."""

Annotations = Callable[[Part], list[dict[str, Any]]]
"""The annotations of a text part."""


def envelope(start: StreamStart, context: Context) -> dict[str, Any]:
    """The response object at its beginning, with every field that strict clients require."""
    created = start.created if start.created is not None else context.created
    out: dict[str, Any] = {
        "id": with_prefix("resp_", start.id),
        "object": "response",
        "created_at": created or 0,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": start.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }
    if _DIALECT in start.meta:
        own = start.meta[_DIALECT].get("response", {})
        out |= {key: value for key, value in own.items() if key not in _OF_THE_END}
    if context.model:
        out["model"] = context.model
    return out


def places(start: PartStart) -> bool:
    """Whether a part has a place here."""
    return start.kind in _ITEM or _DIALECT in start.meta


def lose(start: PartStart, losses: Losses) -> None:
    losses.add("part", start.part, f"{start.kind} {start.name}".strip())


def item_type(start: PartStart) -> str:
    own = start.meta.get(_DIALECT, {}).get("item", {})
    return _ITEM.get(start.kind) or str(own.get("type", ""))


def continues(start: PartStart, before: PartStart) -> bool:
    """Whether a part belongs to the item of the part before it."""
    return start.group is not None and start.group == before.group and item_type(start) == item_type(before)


def item_id(start: PartStart, seed: str, index: int) -> str:
    """The item's own id, as it was first seen, else one made from the stream's seed and the item's place."""
    own = start.meta.get(_DIALECT, {}).get("item", {}).get("id")
    if isinstance(own, str) and own:
        return own
    return _ID_PREFIX.get(item_type(start), "item_") + digest(seed, index)


def is_made_up(id: str) -> bool:
    """Whether an item of reasoning has an id that `item_id` has made: no server knows it."""
    return _MADE_UP.fullmatch(id) is not None


def skeleton(start: PartStart, id: str) -> dict[str, Any]:
    """An item as output_item.added has it: nothing said yet."""
    kind = item_type(start)
    own: dict[str, Any] = start.meta.get(_DIALECT, {}).get("item", {})
    if kind not in _ID_PREFIX:
        return {**own, "id": id} if "id" in own else dict(own)
    out: dict[str, Any] = {"id": id, "type": kind}
    if kind == "message":
        out |= {"status": "in_progress", "role": "assistant", "content": []}
    elif kind == "reasoning":
        out |= {"summary": []}
    elif kind == "function_call":
        out |= {"status": "in_progress", "arguments": "", "call_id": start.id, "name": start.name}
    else:
        out |= {"status": "in_progress", "input": "", "call_id": start.id, "name": start.name}
    if start.namespace:
        out["namespace"] = start.namespace
    return _beside(own, out)


def item(parts: Sequence[Part], id: str, status: str, context: Context, cited: Annotations) -> dict[str, Any]:
    """An item as output_item.done has it."""
    start, end = parts[0].start, parts[-1].end
    out = skeleton(start, id)
    own: dict[str, Any] = end.meta.get(_DIALECT, {}).get("item", {}) if end else {}
    kind = item_type(start)
    if kind not in _ID_PREFIX:
        return {**out, **own} | ({"id": id} if "id" in out or "id" in own else {})
    if kind == "message":
        out |= {"status": status, "content": [content(part, context, cited) for part in parts]}
    elif kind == "reasoning":
        reasons = [part for part in parts if part.text]
        out["summary"] = [content(part, context, cited) for part in reasons if is_summary(part.start, context)]
        full = [content(part, context, cited) for part in reasons if not is_summary(part.start, context)]
        if full:
            out["content"] = full
        signature = next((part.signature for part in reversed(parts) if part.signature), None)
        if signature is not None:
            redacted = start.kind == "redacted"
            out["encrypted_content"] = signature.value if signature.scheme == SCHEME else seal(signature, redacted)
    elif kind == "function_call":
        out["arguments"] = parts[0].text or "{}"
        out["status"] = status if is_object(out["arguments"]) else "incomplete"
    else:
        out |= {"status": status, "input": parts[0].text}
    return _beside(own, out)


def _beside(own: Mapping[str, Any], out: dict[str, Any]) -> dict[str, Any]:
    """An item with the fields of its own dialect that are not built."""
    for key, value in own.items():
        if key not in _BUILT and key not in out:
            out[key] = value
    return out


def is_summary(start: PartStart, context: Context) -> bool:
    """Whether reasoning goes into the summary: as it came if it came from here, else as the option says."""
    return start.channel == "summary" or (_DIALECT not in start.meta and context.reasoning_item == "summary")


def content(part: Part, context: Context, cited: Annotations) -> dict[str, Any]:
    """A content part."""
    start = part.start
    if start.kind == "refusal":
        return {"type": "refusal", "refusal": part.text}
    if start.kind == "reasoning":
        return {"type": "summary_text" if is_summary(start, context) else "reasoning_text", "text": part.text}
    if start.kind == "opaque":
        return dict(start.meta[_DIALECT]["part"])
    return {"type": "output_text", "text": part.text, "annotations": cited(part), "logprobs": part.logprobs}


def no_citations(_: Part) -> list[dict[str, Any]]:
    """The annotations of a part that has said nothing yet."""
    return []


class Cited:
    """The annotations of text parts. Remembers how much text came before, since neutral ranges are of the whole."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._length = 0
        self._known: dict[int, list[dict[str, Any]]] = {}

    def __call__(self, part: Part) -> list[dict[str, Any]]:
        number = part.start.part
        if number not in self._known:
            written = [self._annotation(citation, part) for citation in part.citations]
            self._known[number] = [annotation for annotation in written if annotation is not None]
            self._length += len(part.text)
        return self._known[number]

    def _annotation(self, citation: Citation, part: Part) -> dict[str, Any] | None:
        own = citation.raw.get(_DIALECT)
        if own is not None:
            return dict(own)
        if citation.url is None:
            self._losses.add("citation", citation.part, citation.title or "citation of a document")
            return None
        start, end = citation.start, citation.end
        if start is None or end is None:
            start, end = self._length, self._length + len(part.text)
        return {
            "type": "url_citation",
            "start_index": max(0, start - self._length),
            "end_index": max(0, end - self._length),
            "url": citation.url,
            "title": citation.title or "",
        }


def terminal(event: Finish, called: bool, losses: Losses) -> tuple[str, str | None]:
    """The terminal status and the reason of incomplete; `called` if there are calls in the output."""
    own = event.meta.get(_DIALECT, {}).get("response", {})
    unified = event.reason.unified
    if unified == "cancelled" and not own.get("incomplete_details"):
        return "cancelled", None
    reason = FINISH_WRITE[unified]
    details = own.get("incomplete_details")
    if isinstance(details, dict) and isinstance(details.get("reason"), str):
        reason = details["reason"]
    elif (INCOMPLETE_READ[reason] if reason else "tool" if called else "end") != unified:
        losses.add("finish", None, event.reason.raw or unified)
    explanation = (event.details or {}).get("explanation")
    if explanation:
        losses.add("finish", None, str(explanation))
    if event.stop_sequence is not None:
        losses.add("stop_sequence", None, event.stop_sequence)
    return ("incomplete", reason) if reason else ("completed", None)


def items(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts of each item, in order."""
    out: list[list[Part]] = []
    for part in parts:
        if out and continues(part.start, out[-1][-1].start):
            out[-1].append(part)
        else:
            out.append([part])
    return out


def is_empty(part: Part) -> bool:
    """Whether a part says nothing, so that no item is made for it."""
    if part.start.kind == "reasoning":
        return not (part.text or part.signature or _DIALECT in part.start.meta)
    return part.start.kind in ("text", "refusal") and not part.text


def body(message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    """The full response, as without streaming: the one that ended the stream, if it was one of this API and whole."""
    start = message.start or StreamStart("")
    finish = message.finishes.get(0)
    out = envelope(start, context)
    own: dict[str, Any] = finish.meta.get(_DIALECT, {}).get("response", {}) if finish else {}
    out |= {key: value for key, value in own.items() if key != "output"}
    out["model"] = context.model or out["model"]
    if "status" not in own and finish is not None:
        called = any(p.start.kind in ("tool", "custom_tool") and p.start.choice == 0 for p in message.parts)
        status, reason = terminal(finish, called, losses)
        out["status"] = status
        out["incomplete_details"] = {"reason": reason} if reason else None
    out["output"] = own.get("output") or _output(message, context, losses, start.id if not context.ids else context.ids)
    if message.usage is not None:
        usage.report(message.usage, losses)
    out["usage"] = own.get("usage") or usage.write(message.usage)
    return out


def frames(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A response body as a stream: the event that ends it has everything."""
    fields = Fields(body)
    if body.get("output") is None:
        raise fields.wrong("output", "an array")
    status = fields.word("status")
    if status in ("queued", "in_progress"):
        raise FieldError("status", f"must be that of a response that has ended, not {status!r}")
    event = f"response.{status if status in ('incomplete', 'failed', 'cancelled') else 'completed'}"
    yield event, {"type": event, "response": body}


def _output(message: Message, context: Context, losses: Losses, seed: str) -> list[dict[str, Any]]:
    kept: list[Part] = []
    for part in message.parts:
        if part.start.choice != 0:
            losses.add("choice", None, f"choice {part.start.choice}")
        elif not places(part.start):
            lose(part.start, losses)
        elif not is_empty(part):
            kept.append(part)
            if part.logprobs and part.start.kind != "text":
                losses.add("logprobs", part.start.part, f"log probabilities of {part.start.kind}")
            if part.signature and part.start.kind not in ("reasoning", "redacted"):
                losses.add("signature", part.start.part, f"{part.signature.scheme} signature on {part.start.kind}")
    cited = Cited(losses)
    finish = message.finishes.get(0)
    cut = finish is None or FINISH_WRITE[finish.reason.unified] is not None
    groups = items(kept)
    return [
        item(
            group,
            item_id(group[0].start, seed, index),
            "incomplete" if cut and index == len(groups) - 1 else "completed",
            context,
            cited,
        )
        for index, group in enumerate(groups)
    ]
