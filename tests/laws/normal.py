"""The form in which two readings of an answer are compared, and what each declared loss explains.

`normal_form(message, losses)` is what another reading of the answer must amount to if exactly these losses happened: each
loss changes what is expected in its own way (`EFFECTS`) and excuses nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from ccproxy import Loss
from ccproxy.core.assemble import Message, Part
from ccproxy.core.parts import flat_name
from ccproxy.core.signatures import belongs
from ccproxy.core.vocab import FinishKind, LossKind, PartKind, Usage

from .frames import joined

TEXTS: Final = frozenset({"text", "reasoning", "refusal"})  # kinds of which neighbours are one
NOTHING_WITHOUT: Final = TEXTS | {"redacted"}
JSON_TEXT: Final = frozenset({"tool", "server_tool"})

NEAREST: Final[Mapping[str, frozenset[str]]] = {
    "end": frozenset({"tool"}),
    "tool": frozenset({"end"}),
    "stop_sequence": frozenset({"end", "tool"}),
    "context_full": frozenset({"length"}),
    "pause": frozenset({"length"}),
    "compaction": frozenset({"length", "end"}),
    "malformed": frozenset({"end", "tool", "unknown"}),
    "cancelled": frozenset({"end", "tool", "unknown", "length"}),
    "unknown": frozenset({"end", "tool"}),
}
"""What a declared loss of the finish may turn it into. Nothing hides `length` and `filtered`."""


@dataclass(frozen=True)
class Said:
    """One part, or neighbours of one kind."""

    choice: int
    kind: PartKind
    id: str
    name: str
    text: str
    signatures: tuple[tuple[str, str], ...] = ()


@dataclass
class Normal:
    """What is compared."""

    parts: list[Said] = field(default_factory=list)
    finish: dict[int, frozenset[str]] = field(default_factory=dict)
    """The reasons that each choice may have finished for; one, unless a loss was declared."""
    stop_sequence: dict[int, str] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    usage_lost: bool = False
    citations: list[tuple[int, str, str]] = field(default_factory=list)
    logprobs: dict[int, int] = field(default_factory=dict)
    ordered: bool = True
    end: str = "open"


@dataclass
class _Draft:
    """A message while losses are applied: parts by number, not merged yet."""

    said: dict[int, Said]
    citations: dict[int, list[tuple[int, str, str]]]
    logprobs: dict[int, int]
    ended: frozenset[int]  # parts
    normal: Normal

    def change(self, loss: Loss, change: Callable[[Said], Said]) -> None:
        if loss.part in self.said:
            self.said[loss.part] = change(self.said[loss.part])


def _choice(draft: _Draft, loss: Loss) -> None:
    """The target has one choice."""
    draft.said = {number: said for number, said in draft.said.items() if said.choice == 0}
    draft.normal.finish = {c: f for c, f in draft.normal.finish.items() if c == 0}
    draft.normal.stop_sequence = {c: s for c, s in draft.normal.stop_sequence.items() if c == 0}


def _part(draft: _Draft, loss: Loss) -> None:
    draft.said.pop(loss.part if loss.part is not None else -1, None)


def _signature(draft: _Draft, loss: Loss) -> None:
    """Of redacted reasoning nothing is left without it."""
    draft.change(loss, lambda said: replace(said, signatures=()))


def _citation(draft: _Draft, loss: Loss) -> None:
    """Those of the part that the detail names; else all."""
    part = loss.part if loss.part is not None else -1
    cited = draft.citations.pop(part, [])
    kept = [(choice, url, title) for choice, url, title in cited if (url or title) not in (loss.detail, "")]
    if 0 < len(kept) < len(cited):
        draft.citations[part] = kept


def _refusal(draft: _Draft, loss: Loss) -> None:
    """Refusal text is text, and the refusal is the finish."""
    draft.change(loss, lambda said: replace(said, kind="text"))
    end = frozenset({"end"})
    draft.normal.finish = {c: frozenset({"filtered"}) if f == end else f for c, f in draft.normal.finish.items()}


def _custom_tool(draft: _Draft, loss: Loss) -> None:
    """A function call whose argument `input` is the text. One whose arguments are no object has them in `_raw`, from
    where a reader takes them back if they began like an object; or as they are, though nobody can read them."""

    def wrapped(said: Said) -> Said:
        if said.kind == "tool":
            if said.text.lstrip().startswith("{") or "`_raw`" not in loss.detail:
                return said
            return replace(said, text=json.dumps({"_raw": said.text}, ensure_ascii=False))
        text = json.dumps({"input": said.text}, ensure_ascii=False, separators=(",", ":"))
        return replace(said, kind="tool", text=text if loss.part in draft.ended else text.removesuffix('"}'))

    draft.change(loss, wrapped)


def _stop_sequence(draft: _Draft, loss: Loss) -> None:
    draft.normal.stop_sequence.clear()


def _finish(draft: _Draft, loss: Loss) -> None:
    draft.normal.finish = {
        choice: reasons.union(*(NEAREST.get(reason, frozenset()) for reason in reasons))
        for choice, reasons in draft.normal.finish.items()
    }


def _boundary(draft: _Draft, loss: Loss) -> None:
    """A blank line joins it to the part before."""
    draft.change(loss, lambda said: replace(said, text="\n\n" + said.text))


def _order(draft: _Draft, loss: Loss) -> None:
    draft.normal.ordered = False


def _logprobs(draft: _Draft, loss: Loss) -> None:
    draft.logprobs.pop(loss.part if loss.part is not None else -1, None)


def _usage(draft: _Draft, loss: Loss) -> None:
    usage = draft.normal.usage
    draft.normal.usage_lost = True
    if "counted as other input" in loss.detail:
        usage["input"] = usage.get("input", 0) + usage.pop("cache_write", 0)
    if "beyond the output" in loss.detail:
        usage["reasoning"] = usage.get("output", 0)


def _opaque(draft: _Draft, loss: Loss) -> None:
    """Compared apart: opaque events are not in the message."""


EFFECTS: Final[Mapping[LossKind, Callable[[_Draft, Loss], None]]] = {
    "choice": _choice,
    "part": _part,
    "signature": _signature,
    "citation": _citation,
    "refusal": _refusal,
    "custom_tool": _custom_tool,
    "stop_sequence": _stop_sequence,
    "finish": _finish,
    "boundary": _boundary,
    "order": _order,
    "logprobs": _logprobs,
    "usage": _usage,
    "opaque": _opaque,
}
"""What each kind of loss changes. A difference that none of the declared losses makes is a broken law."""


def normal_form(message: Message, losses: Iterable[Loss] = (), whole: frozenset[str] = frozenset()) -> Normal:
    """The message in the form that is compared, less what was declared lost; parts of the kinds `whole` as values.

    The order of the parts is that within their choice.
    """
    numbered = {part.start.part: part for part in message.parts}
    draft = _Draft(
        said={number: _said(part) for number, part in numbered.items()},
        citations={n: [(p.start.choice, c.url or "", c.title or "") for c in p.citations] for n, p in numbered.items()},
        logprobs={number: len(part.logprobs) for number, part in numbered.items()},
        ended=frozenset(number for number, part in numbered.items() if part.end is not None),
        normal=Normal(
            finish={choice: frozenset({finish.reason.unified}) for choice, finish in message.finishes.items()},
            stop_sequence={c: f.stop_sequence for c, f in message.finishes.items() if f.stop_sequence is not None},
            usage=counts(message.usage),
            end="error" if message.error is not None else "end" if message.ended else "open",
        ),
    )
    for loss in losses:
        EFFECTS[loss.kind](draft, loss)
    out = draft.normal
    out.parts = [
        replace(said, text=_value(said.text)) if said.kind in whole else said
        for said in merged(_signed_apart(sorted(draft.said.values(), key=lambda said: said.choice)))
    ]
    _without_calls(out, message)
    kept = draft.said.keys()
    out.citations = sorted(c for number, cited in draft.citations.items() if number in kept for c in cited)
    for number, count in draft.logprobs.items():
        if number in kept and count:
            choice = draft.said[number].choice
            out.logprobs[choice] = out.logprobs.get(choice, 0) + count
    return out


def _value(text: str) -> str:
    """JSON without what is no part of the value: white space, escapes, ways to write a number."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _without_calls(out: Normal, message: Message) -> None:
    """Where all calls of a choice were lost, nothing is left to wait for a result."""
    for choice in out.finish:
        had, has = (
            any(said.choice == choice and said.kind in ("tool", "custom_tool") for said in parts)
            for parts in (map(_said, message.parts), out.parts)
        )
        if had and not has and "tool" in out.finish[choice]:
            out.finish[choice] |= {"end"}


def _said(part: Part) -> Said:
    start = part.start
    text = "{}" if start.kind in JSON_TEXT and not part.text else part.text
    signatures = ((part.signature.scheme, part.signature.value),) if part.signature else ()
    kind = start.kind
    if kind == "reasoning" and not text:
        kind = _kind_without_text(signatures)
    return Said(start.choice, kind, start.id, flat_name(start.namespace, start.name), text, signatures)


def _kind_without_text(signatures: tuple[tuple[str, str], ...]) -> PartKind:
    """What reasoning without text is: an OpenAI item without a summary may be redacted, nobody can tell."""
    return "redacted" if signatures and signatures[0][0] == "openai" else "reasoning"


def _signed_apart(parts: Iterable[Said]) -> Iterator[Said]:
    """Signatures of calls and texts on a reasoning part without text, before the call and after the text.

    Some dialects have a place for them on the part itself, the others there alone.
    """
    for said in parts:
        bare = replace(said, signatures=())
        carrier = Said(said.choice, _kind_without_text(said.signatures), "", "", "", said.signatures)
        if said.signatures and said.kind in ("tool", "custom_tool"):
            yield from (carrier, bare)
        elif said.signatures and said.kind == "text":
            yield from (bare, carrier)
        else:
            yield said


def as_signed(found: Message, sent: Message, own: str) -> Message:
    """What was read again, its signatures under the schemes that they had before.

    A dialect that carries another's signature bare gives it back to whoever answers to it: a stream that says so is
    its own server's. So a scheme that belongs to `own`, that of the dialect at hand, stands for any.
    """
    schemes: dict[str, list[str]] = {}
    for part in sent.parts:
        if part.signature is not None:
            schemes.setdefault(part.signature.value, []).append(part.signature.scheme)
    for part in found.parts:
        signature = part.signature
        if signature is not None and own:
            was = schemes.get(signature.value, [])
            if belongs(signature.scheme, own) and was:
                part.signature = msgspec.structs.replace(signature, scheme=was.pop(0))
            elif signature.scheme in was:
                was.remove(signature.scheme)
    return found


def merged(parts: Iterable[Said]) -> Iterator[Said]:
    """What says nothing dropped, neighbours of one choice and kind made one."""
    last: Said | None = None
    for said in parts:
        if said.kind in NOTHING_WITHOUT and not said.text and not said.signatures:
            continue
        if last is not None and last.kind in TEXTS and (last.choice, last.kind) == (said.choice, said.kind):
            last = replace(last, text=joined(last.text + said.text), signatures=last.signatures + said.signatures)
        else:
            if last is not None:
                yield last
            last = said
    if last is not None:
        yield last


def counts(usage: Usage | None) -> dict[str, int]:
    """What is known and not zero."""
    if usage is None:
        return {}
    ttl = usage.cache_write_ttl or {}
    known = {
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
        **{f"cache_write_{name}": count for name, count in ttl.items()},
    }
    return {name: count for name, count in known.items() if count}


def differences(expected: Normal, found: Normal) -> Iterator[str]:
    """How a reading differs from what is expected of it; what it says less of because it failed is not compared."""
    if expected.end != found.end:
        yield f"ends in {found.end}, not in {expected.end}"
    said, heard = (normal.parts if expected.ordered else _grouped(normal.parts) for normal in (expected, found))
    for position in range(max(len(said), len(heard))):
        left, right = (parts[position] if position < len(parts) else None for parts in (said, heard))
        if left != right:
            yield f"part {position} of {len(said)} is {_short(right)}, not {_short(left)}"
            break
    if expected.end != "end":
        return
    for choice in expected.finish.keys() | found.finish.keys():
        reason = found.finish.get(choice, frozenset())
        if not reason or not reason <= expected.finish.get(choice, frozenset()):
            yield f"choice {choice} finishes for {set(reason)}, not {set(expected.finish.get(choice, ()))}"
    for name in ("stop_sequence", "citations", "logprobs"):
        if getattr(expected, name) != getattr(found, name):
            yield f"{name} {getattr(found, name)!r:.300}, not {getattr(expected, name)!r:.300}"
    usage = found.usage
    if expected.usage_lost:
        usage = {name: usage.get(name, count) for name, count in expected.usage.items()} | usage
    if expected.usage != usage:
        yield f"usage {found.usage}, not {expected.usage}"


def _grouped(parts: Iterable[Said]) -> list[Said]:
    """Without the order between kinds."""
    return list(merged(sorted(parts, key=lambda said: (said.choice, _GROUPS.get(said.kind, said.kind)))))


_GROUPS: Final[Mapping[PartKind, str]] = {"custom_tool": "tool"}


def _short(said: Said | None) -> str:
    text = repr(said)
    return text if len(text) < 500 else f"{text[:240]} ... {text[-240:]}"


def finish_of(message: Message) -> list[FinishKind]:
    return [finish.reason.unified for _, finish in sorted(message.finishes.items())]
