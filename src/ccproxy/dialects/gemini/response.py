"""The parts of a candidate and the response body of the Gemini API. Chunks of a stream are made of the same pieces."""

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ccproxy.core.assemble import Message, Part
from ccproxy.core.events import Finish, PartStart, Signature, StreamStart
from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.parts import flat_name
from ccproxy.core.signatures import seal
from ccproxy.core.spi import Context
from ccproxy.wire.json import JSONError, dumps, is_object, loads

from . import citations, logprobs, usage
from .maps import FINISH_READ, FINISH_WRITE, UNSAID

SCHEME: Final = "gemini"
CALLS: Final = ("tool", "custom_tool")
TEXTS: Final = ("text", "refusal")
_CUT: Final = "_raw"


def envelope(start: StreamStart, context: Context) -> dict[str, Any]:
    """What every chunk and the response have."""
    own = start.meta.get(SCHEME, {})
    return {"modelVersion": context.model or start.model, "responseId": start.id, **own}


def places(start: PartStart) -> bool:
    """Whether a part has a place here; one that only another dialect understands has none."""
    return start.kind in (*TEXTS, *CALLS, "reasoning", "redacted") or whole(start) is not None


def whole(start: PartStart) -> dict[str, Any] | None:
    """The part of Gemini's own that came whole."""
    own: dict[str, Any] | None = start.meta.get(SCHEME, {}).get("part")
    return own


def call(part: Part, signature: Signature | None, losses: Losses) -> dict[str, Any]:
    """The part of a function call that has ended."""
    start = part.start
    function = {"name": flat_name(start.namespace, start.name), "args": arguments(part, losses), "id": start.id}
    if start.meta.get(SCHEME, {}).get("without_id"):
        del function["id"]
    out: dict[str, Any] = {"functionCall": function}
    return out if signature is None else out | {"thoughtSignature": sealed(signature)}


def arguments(part: Part, losses: Losses) -> Any:
    """Arguments as an object. What is none (a call cut by the token limit) is kept as it is, never repaired."""
    if part.start.kind == "custom_tool":
        return {"input": part.text}
    if not part.text:
        return {}
    try:
        value = loads(part.text.encode("utf-8", "surrogatepass"))
    except JSONError:
        value = None
    if isinstance(value, dict):
        return value
    detail = f"{part.start.name}: the arguments are no JSON object, and stand in `{_CUT}`"
    losses.add("custom_tool", part.start.part, detail)
    return {_CUT: part.text}


def arguments_text(args: Mapping[str, Any]) -> str:
    """The arguments as text: JSON, or what `arguments` could not give as an object."""
    text = args.get(_CUT) if len(args) == 1 else None
    if isinstance(text, str) and text.lstrip().startswith("{") and not is_object(text):
        return text
    return dumps(args).decode("utf-8")


def sealed(signature: Signature, redacted: bool = False) -> str:
    """Gemini's own signature bare, another's in an envelope. The SDK takes nothing but base64."""
    if signature.scheme == SCHEME and not redacted and _is_base64(signature.value):
        return signature.value
    return seal(signature, redacted)


def _is_base64(text: str) -> bool:
    """In either alphabet, with or without padding."""
    altchars = b"-_" if "-" in text or "_" in text else b"+/"
    body = text.rstrip("=")
    padded = body + "=" * (-len(body) % 4)
    try:
        again = b64encode(b64decode(padded, altchars, validate=True), altchars).decode("ascii")
    except ValueError:
        return False
    return (
        again == padded and text in (body, padded) and not ("+" in text or "/" in text) | ("-" in text or "_" in text)
    )


def thought(text: str, signature: str = "") -> dict[str, Any]:
    return {"text": text, "thought": True} | ({"thoughtSignature": signature} if signature else {})


def signed(part: Part, signature: Signature) -> dict[str, Any] | None:
    """The part without text that has the signature of a part that is no call; None if the call that follows has it."""
    kind = part.start.kind
    if kind == "redacted":
        return thought("", sealed(signature, redacted=True))
    if kind == "reasoning" and (part.text or signature.signs == "part"):
        return thought("", sealed(signature))
    return None if kind == "reasoning" and signature.signs == "call" else signed_text(signature)


def signed_text(signature: Signature) -> dict[str, Any]:
    """An empty text with the signature of the text before, as Gemini itself sends it."""
    return {"text": "", "thoughtSignature": sealed(signature)}


def carries(start: PartStart) -> bool:
    """Whether a part of this kind can be signed."""
    return start.kind in ("reasoning", "redacted", *TEXTS, *CALLS)


def finish_reason(event: Finish, kinds: Collection[str], losses: Losses) -> str:
    """finishReason, and the losses of what it can't tell, after parts of these kinds."""
    unified = event.reason.unified
    called = not set(CALLS).isdisjoint(kinds)
    if unified == "end" and "refusal" in kinds:
        return FINISH_WRITE["filtered"]
    own = event.meta.get(SCHEME, {}).get("finishReason", "")
    reason: str = own if own != "CONTINUATION" and _reads(own, called) == unified else FINISH_WRITE[unified]
    if event.stop_sequence is not None:
        losses.add("stop_sequence", None, event.stop_sequence)
    if _reads(reason, called) != unified:
        losses.add("finish", None, event.reason.raw or unified)
    return reason


def _reads(reason: str, called: bool) -> str:
    unified = FINISH_READ.get(reason, "unknown") if reason else ""
    return "tool" if unified == "end" and called else unified


def last(
    finish: Finish, kinds: Collection[str], texts: list[citations.Text], cited: list[Any], losses: Losses
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a candidate ends with, but for its number and content, and what the last chunk says beside candidates."""
    own = finish.meta.get(SCHEME, {})
    out = {"finishReason": finish_reason(finish, kinds, losses), **own.get("candidate", {})}
    foreign = [citation for citation in cited if SCHEME not in citation.raw]
    grounding = citations.write(foreign, texts, losses)
    if grounding:
        out.setdefault("groundingMetadata", grounding)
    return out, dict(own.get("top", {}))


def blocked(finish: Finish) -> bool:
    """Whether the prompt was blocked, so that there is no candidate."""
    return bool(finish.meta.get(SCHEME, {}).get("blocked"))


def report(part: PartStart, losses: Losses) -> None:
    """Report what a part loses here."""
    if not places(part):
        losses.add("part", part.part, f"{part.kind} {part.name}".strip())
    elif part.kind == "custom_tool":
        losses.add("custom_tool", part.part, f"{part.name}: the input text is the argument `input`")
    elif part.kind == "refusal":
        losses.add("refusal", part.part, "written as text")


def body(message: Message, context: Context, losses: Losses) -> dict[str, Any]:
    """The full response, as without streaming."""
    numbers = sorted({part.start.choice for part in message.parts} | set(message.finishes)) or [0]
    candidates: list[dict[str, Any]] = []
    top: dict[str, Any] = {}
    for number in numbers:
        finish = message.finishes.get(number)
        parts = [part for part in message.parts if part.start.choice == number]
        content = _content(parts, losses)
        candidate: dict[str, Any] = {"content": {"parts": content, "role": "model"}, "index": number}
        entries = [entry for part in parts if part.start.kind == "text" for entry in part.logprobs]
        if entries:
            candidate["logprobsResult"] = logprobs.write(entries)
        if finish is not None:
            kinds = {part.start.kind for part in parts if places(part.start)}
            cited = [citation for part in parts for citation in part.citations]
            end, beside = last(finish, kinds, texts_of(parts), cited, losses)
            candidate |= end
            top |= beside
        if finish is None or content or not blocked(finish):
            candidates.append(candidate)
    out: dict[str, Any] = {"candidates": candidates} if candidates else {}
    out |= top
    if message.usage is not None:
        usage.report(message.usage, losses)
        out["usageMetadata"] = usage.write(message.usage)
    return out | envelope(message.start or StreamStart(""), context)


def texts_of(parts: list[Part]) -> list[citations.Text]:
    """What citations are about."""
    return [
        citations.Text(part.start.part, part.text, refusal=part.start.kind == "refusal")
        for part in parts
        if part.start.kind in TEXTS
    ]


def _content(parts: list[Part], losses: Losses) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    waiting: Signature | None = None  # of the call that follows
    for part in parts:
        start, signature = part.start, part.signature
        report(start, losses)
        if not places(start):
            continue
        if part.logprobs and start.kind != "text":
            losses.add("logprobs", start.part, f"log probabilities of {start.kind}")
        if signature is not None and not carries(start):
            losses.add("signature", start.part, f"{signature.scheme} signature on {start.kind}")
            signature = None
        if start.kind in CALLS:
            if signature is not None and waiting is not None:
                orphan(waiting, losses)
            out.append(call(part, signature or waiting, losses))
            waiting = None
            continue
        said = list(_said(part, signature))
        if waiting is not None and (said or signature is not None):
            orphan(waiting, losses)
            waiting = None
        out += said
        if signature is not None and not said:
            waiting = signature
    if waiting is not None:
        orphan(waiting, losses)
    return out


def _said(part: Part, signature: Signature | None) -> Iterator[dict[str, Any]]:
    """The parts of one that is no call."""
    kind = part.start.kind
    own = whole(part.start)
    if own is not None:
        yield own
        return
    tail = signed(part, signature) if signature is not None else None
    if part.text and tail is not None and tail.get("thought"):
        yield {**tail, "text": part.text}
        return
    if part.text:
        yield thought(part.text) if kind == "reasoning" else {"text": part.text}
    if tail is not None:
        yield tail


def orphan(signature: Signature, losses: Losses) -> None:
    """Report the signature of a call that did not follow."""
    losses.add("signature", signature.part, f"{signature.scheme} signature of a call that does not follow")


def frames(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A response body as a stream, of one chunk. It is whole: a candidate that does not say why it ends was not cut."""
    fields = Fields(body)
    if not body.get("candidates") and not body.get("promptFeedback"):
        raise fields.wrong("candidates", "an array that is not empty")
    candidates = [dict(candidate.raw) for candidate in fields.each("candidates")]
    for candidate in candidates:
        if candidate.get("finishReason") in (None, *UNSAID):
            candidate["finishReason"] = FINISH_WRITE["unknown"]
    yield "", {**body, **({"candidates": candidates} if candidates else {})}
