"""Streams for the laws of chance: events drawn from the grammar's tables, and bytes mutated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

from hypothesis import strategies as st

from ccproxy.core.assemble import Assembler
from ccproxy.core.events import (
    Citation,
    Delta,
    Event,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Ping,
    Signature,
    StreamEnd,
    StreamError,
    StreamStart,
    UsageUpdate,
)
from ccproxy.core.grammar import STATES, Grammar
from ccproxy.core.losses import Losses
from ccproxy.core.serialize import Serializer
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishReason, PartKind, Signs, Usage
from ccproxy.dialects import get

from .frames import frames


def written(dialect: str, events: Sequence[Event], losses: Losses | None = None) -> bytes:
    """A neutral stream as a dialect writes it."""
    return write(dialect, events, losses)[0]


def write(dialect: str, events: Sequence[Event], losses: Losses | None = None) -> tuple[bytes, Assembler]:
    losses = Losses() if losses is None else losses
    target = get(dialect)
    assembler = Assembler()
    writer = target.writer(Context(), losses, assembler.part)
    serializer = Serializer(1 << 23, losses, target.choices) if target.serial else None
    out: list[bytes] = []
    for event in events:
        legal = [event]
        assembler.on_events(legal)
        if serializer is not None:
            legal, _, refused = serializer.push(legal, lambda *_: (0, 0))
            assert refused is None or refused.kind == "protocol"
        out.append(writer.write(legal))
    return b"".join(out), assembler


# Events

KINDS: Sequence[PartKind] = ("text", "reasoning", "redacted", "tool", "custom_tool", "refusal")
"""The kinds that no dialect has to itself."""

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ['"', "\\", "\n", "\u2028", "\x00", "🙂", "}{"]
)
words = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
counts = st.none() | st.integers(0, 10**9)
_FIELDS = ("input", "cache_read", "cache_write", "output", "reasoning")
usages = st.builds(Usage, **dict.fromkeys(_FIELDS, counts))
full_usages = st.builds(Usage, **dict.fromkeys(_FIELDS, st.integers(0, 10**9)))
"""What replaces an earlier usage says no less: a target may have told that one already."""
FINISHES = ("end", "stop_sequence", "tool", "length", "context_full", "pause", "filtered", "unknown")


@st.composite
def event_streams(draw: st.DrawFn, most: int = 25) -> list[Event]:
    """A legal stream: each step is drawn from the row that the stream, a part or the choice is in."""
    events: list[Event] = [StreamStart(draw(words), draw(words), 1, draw(st.none() | usages))]
    grammar = Grammar(1000)
    assert grammar.check(events) == (1, "")
    kinds: dict[int, PartKind] = {}
    live: set[int] = set()
    signed: set[int] = set()
    steps = sorted(
        STATES["stream"]["open"].keys() - {StreamEnd, StreamError, Finish, StreamStart}, key=lambda cls: cls.__name__
    )
    for _ in range(draw(st.integers(0, most))):
        event = _draw_event(draw, draw(st.sampled_from(steps)), kinds, live)
        if event is None or grammar.check([event])[1]:
            continue
        if type(event) is Signature:
            if event.part in signed:
                continue  # one may replace another, but only while the first has not gone out
            signed.add(event.part)
        events.append(event)
        if type(event) is PartStart:
            kinds[event.part] = event.kind
            live.add(event.part)
            if event.kind == "redacted":  # is nothing but its data
                events.append(Signature(event.part, "anthropic", draw(words), "model"))
                signed.add(event.part)
                assert grammar.check(events[-1:]) == (1, "")
        elif type(event) is PartEnd:
            live.discard(event.part)
    if draw(st.integers(0, 9)) == 0:
        events.append(StreamError("overloaded", draw(texts) or "busy", raw={"nobody": {}}))
        return events
    events += [PartEnd(part) for part in sorted(live)]
    reason = draw(st.sampled_from(FINISHES))
    if "tool" in kinds.values() or "custom_tool" in kinds.values():
        reason = "tool" if reason in ("end", "unknown", "stop_sequence") else reason
    elif reason == "tool":
        reason = "end"
    stop = draw(words) if reason == "stop_sequence" else None
    events += [UsageUpdate(draw(full_usages)), Finish(0, FinishReason(reason), stop), StreamEnd()]  # type: ignore[arg-type]
    return events


def _draw_event(draw: st.DrawFn, cls: type[Event], kinds: dict[int, PartKind], live: set[int]) -> Event | None:
    if cls is PartStart:
        part = len(kinds)
        kind = draw(st.sampled_from(KINDS))
        called = kind in ("tool", "custom_tool")
        return PartStart(part, kind, id=f"call_{part}" if called else "", name=draw(words) if called else "")
    if cls is Ping:
        return Ping()
    if cls is UsageUpdate:
        return UsageUpdate(draw(full_usages))
    if cls is Opaque:
        return Opaque("nobody", {"what": draw(words)})
    if not kinds:
        return None
    part = draw(st.sampled_from(sorted(live or kinds)))
    if cls is Delta:
        return Delta(part, draw(st.lists(texts.filter(bool), min_size=1, max_size=3)))
    if cls is Signature:
        return Signature(part, draw(st.sampled_from(SCHEMES)), draw(words), "model", draw(st.sampled_from(SIGNS)))
    if cls is Citation:
        return Citation(part, f"https://example.invalid/{draw(words)}", draw(words))
    return PartEnd(part)


SCHEMES: Sequence[str] = (
    "anthropic",
    "openai",
    "gemini",
    "openai-chat/",
    "openai-chat/any-format",
    "openai-chat/thinking_blocks",
    "openai-chat/reasoning_opaque",
    "openai-chat/google",
    "openai-chat/content",
    "",
)
SIGNS: Sequence[Signs] = get_args(Signs)

# Bytes

VALUES: Sequence[Any] = (None, True, 0, -1, 1.5, 10**30, "", "x", "\ud83d", [], [0], [None], {}, {"a": 1}, [[{}]])


@st.composite
def mutations(draw: st.DrawFn, sources: Sequence[bytes]) -> bytes:
    """A stream with something wrong."""
    data = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from((_flip, _cut, _insert, _frames, _values)))(draw, data)
    return data


def _flip(draw: st.DrawFn, data: bytes) -> bytes:
    if not data:
        return data
    position = draw(st.integers(0, len(data) - 1))
    return data[:position] + bytes([draw(st.integers(0, 255))]) + data[position + 1 :]


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    return data[:start] + data[start + draw(st.integers(0, 200)) :]


def _insert(draw: st.DrawFn, data: bytes) -> bytes:
    position = draw(st.integers(0, len(data)))
    noise = st.binary(max_size=10) | st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\n\n",
            b"\r\n\r\n",
            b"\0",
            b"\xef\xbb\xbf",
            b"data: {}\n\n",
            b"data: [DONE]\n\n",
            b": x\n\n",
            b"<html>\n\n",
        ]
    )
    return data[:position] + draw(noise) + data[position:]


def _frames(draw: st.DrawFn, data: bytes) -> bytes:
    """Frames removed, repeated, in another order."""
    raws = [frame.raw + b"\n\n" for frame in frames(data)]
    if not raws:
        return data
    one, other = (draw(st.integers(0, len(raws) - 1)) for _ in range(2))
    match draw(st.sampled_from(("remove", "repeat", "swap"))):
        case "remove":
            del raws[one]
        case "repeat":
            raws.insert(other, raws[one])
        case _:
            raws[one], raws[other] = raws[other], raws[one]
    return b"".join(raws)


def _values(draw: st.DrawFn, data: bytes) -> bytes:
    """A value of another type somewhere in the JSON of a frame."""
    objects = [frame for frame in frames(data) if frame.object and frame.data in data]
    if not objects:
        return data
    frame = draw(st.sampled_from(objects))
    payload = json.loads(frame.data or b"")
    holder: Any = payload
    while True:
        keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
            holder = inner
            continue
        holder[key] = draw(st.sampled_from(VALUES))
        return data.replace(frame.data or b"", json.dumps(payload).encode(), 1)
