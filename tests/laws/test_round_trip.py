"""Read, write, read again: the same answer, less the declared losses. In one dialect, and from each to each.

What is read again is read strictly: it fails only if the source failed, as the provider's own error, and is legal under the
grammar (an illegal order is an error of kind protocol).
"""

from __future__ import annotations

from collections.abc import Iterator

from ccproxy.core.events import Event, Opaque
from tests.corpus import Stream, each_stream

from .harness import Result, targets, trace
from .normal import as_signed, differences, normal_form
from .strict import whole


def broken(data: bytes, source: str, target: str) -> Iterator[str]:
    """What another reading of the translation says that the source did not, or the other way round."""
    written = trace(data, source, target, normalize=True)
    again = trace(written.out, target, target)
    yield from unlike(written, again, whole(target))


def unlike(written: Result, again: Result, values: frozenset[str] = frozenset()) -> Iterator[str]:
    if again.error is not None and (written.error is None or again.error.fault != "provider"):
        yield f"what was written cannot be read: {again.error}"
    kinds = {loss.kind for loss in written.losses}
    own = again.translator.source.signature_scheme
    found = as_signed(again.message, written.message, own)
    yield from differences(normal_form(written.message, written.losses, values), normal_form(found, (), values))
    if "opaque" not in kinds and again.error is None:
        dropped = {loss.part for loss in written.losses if loss.kind == "part"}
        before, after = (sum(_opaque(event, dropped) for event in _all(result)) for result in (written, again))
        if before != after:
            yield f"{after} opaque events, not {before}"


def _opaque(event: Event, dropped: set[int | None]) -> bool:
    return type(event) is Opaque and (event.part is None or event.part not in dropped)


def _all(result: Result) -> list[Event]:
    return [event for read in result.events for event in read]


@each_stream(include_suspect=True)
def test_the_same_dialect(stream: Stream) -> None:
    problems = list(broken(stream.data, stream.dialect, stream.dialect))
    assert not problems, "\n".join(problems)


@each_stream(include_suspect=True)
def test_from_each_to_each(stream: Stream) -> None:
    others = [target for target in targets() if target != stream.dialect]
    problems = [
        f"to {target}: {problem}" for target in others for problem in broken(stream.data, stream.dialect, target)
    ]
    assert not problems, "\n".join(problems)
