"""The form in which two readings of an answer are compared, and what each declared loss explains.

`normal_form(message, losses)` is what another reading of the answer must amount to if exactly these losses happened: each
loss changes what is expected in its own way (`EFFECTS`) and excuses nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ccproxy import Loss
from ccproxy.core.assemble import Message, Part
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
    draft.citations.pop(loss.part if loss.part is not None else -1, None)


def _refusal(draft: _Draft, loss: Loss) -> None:
    """Refusal text is text, and the refusal is the finish."""
    draft.change(loss, lambda said: replace(said, kind="text"))
    end = frozenset({"end"})
    draft.normal.finish = {c: frozenset({"filtered"}) if f == end else f for c, f in draft.normal.finish.items()}


def _custom_tool(draft: _Draft, loss: Loss) -> None:
    """A function call whose argument `input` is the text."""

    def wrapped(said: Said) -> Said:
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
    draft.normal.usage_lost = True


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


def normal_form(message: Message, losses: Iterable[Loss] = ()) -> Normal:
    """The message in the form that is compared, less what was declared lost."""
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
    out.parts = list(merged(draft.said.values()))
    _without_calls(out, message)
    kept = draft.said.keys()
    out.citations = sorted(c for number, cited in draft.citations.items() if number in kept for c in cited)
    for number, count in draft.logprobs.items():
        if number in kept and count:
            choice = draft.said[number].choice
            out.logprobs[choice] = out.logprobs.get(choice, 0) + count
    return out


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
    if kind == "reasoning" and not text and signatures and signatures[0][0] == "openai":
        kind = "redacted"  # an OpenAI item without a summary: nobody can tell
    return Said(start.choice, kind, start.id, start.name, text, signatures)


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
