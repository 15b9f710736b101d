"""Grounding: Gemini counts bytes in the text of the whole answer, the neutral ranges count its characters."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, NamedTuple

from ccproxy.core.events import Citation
from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses

_SOURCES: Final = ("web", "retrievedContext", "maps", "image")


class Text(NamedTuple):
    """One text part of an answer."""

    part: int
    text: str
    position: int = 0
    """Its place among all parts of the answer."""
    refusal: bool = False
    """Whether it is text here alone, and not counted in neutral ranges."""


class _Cited(NamedTuple):
    source: Fields
    range: tuple[int, int] | None
    """In bytes."""
    raw: Mapping[str, Any]


def read(candidate: Fields, texts: list[Text]) -> Iterator[Citation]:
    """The citations in what a candidate said of its sources; none if it has no text."""
    if not texts:
        return
    whole = "".join(text.text for text in texts)
    data = whole.encode("utf-8", "surrogatepass")
    starts: dict[int, int] = {}
    length = 0
    for text in texts:
        starts[text.position] = length
        length += len(text.text.encode("utf-8", "surrogatepass"))
    cited = [*_grounded(candidate.noise("groundingMetadata"), data, starts), *_recited(candidate, data)]
    chars = _characters(data, {end for one in cited for end in one.range or ()})
    ends = list(accumulate(len(text.text) for text in texts))
    for source, range, raw in cited:
        start, end = (chars[range[0]], chars[range[1]]) if range else (None, None)
        yield Citation(
            texts[-1 if start is None else min(bisect_right(ends, start), len(texts) - 1)].part,
            url=source.word("uri") or source.word("sourceUri") or None,
            title=source.word("title") or None,
            cited_text=source.word("text") or None,
            start=start,
            end=end,
            raw={"gemini": raw},
        )


def beside(candidate: Fields) -> dict[str, Any]:
    """What grounding says beside sources and what they support: the searches, and the suggestions to show with them."""
    grounding = candidate.noise("groundingMetadata")
    return {key: value for key, value in grounding.rest("groundingChunks", "groundingSupports").items() if value}


def _grounded(grounding: Fields, data: bytes, starts: Mapping[int, int]) -> Iterator[_Cited]:
    chunks = [Fields(chunk) if isinstance(chunk, dict) else Fields({}) for chunk in _list(grounding, "groundingChunks")]
    sources = [next((chunk.noise(kind) for kind in _SOURCES if chunk.noise(kind).raw), Fields({})) for chunk in chunks]
    supports = [Fields(support) for support in _list(grounding, "groundingSupports") if isinstance(support, dict)]
    for support in supports:
        range = _range(support.noise("segment"), data, starts)
        for number in _list(support, "groundingChunkIndices"):
            if type(number) is int and 0 <= number < len(sources):
                yield _Cited(sources[number], range, {"groundingChunk": chunks[number].raw, **support.raw})
    if not supports:
        for source, chunk in zip(sources, chunks, strict=True):
            yield _Cited(source, None, {"groundingChunk": chunk.raw})


def _recited(candidate: Fields, data: bytes) -> Iterator[_Cited]:
    for citation in _list(candidate.noise("citationMetadata"), "citations"):
        if isinstance(citation, dict):
            source = Fields(citation)
            yield _Cited(source, _bounds(source, 0, data), citation)


def _list(source: Fields, key: str) -> list[Any]:
    value = source.raw.get(key)
    return value if isinstance(value, list) else []


def _range(segment: Fields, data: bytes, starts: Mapping[int, int]) -> tuple[int, int] | None:
    """Where the segment is. What it quotes decides, since streams don't tell which part it counts from."""
    quoted = segment.word("text").encode("utf-8", "surrogatepass")
    for start in (starts.get(segment.number("partIndex") or 0, 0), 0):
        bounds = _bounds(segment, start, data)
        if bounds is not None and (not quoted or data[bounds[0] : bounds[1]] == quoted):
            return bounds
    found = data.find(quoted) if quoted else -1
    return (found, found + len(quoted)) if found >= 0 else None


def _bounds(segment: Fields, base: int, data: bytes) -> tuple[int, int] | None:
    start, end = segment.number("startIndex") or 0, segment.number("endIndex") or 0
    return (base + start, base + end) if 0 <= start < end and base + end <= len(data) else None


def _characters(data: bytes, offsets: set[int]) -> dict[int, int]:
    """How many characters are before each offset."""
    out: dict[int, int] = {}
    position = count = 0
    for offset in sorted(offsets):
        count += sum(byte & 0xC0 != 0x80 for byte in data[position:offset])
        position = offset
        out[offset] = count
    return out


def write(cited: Iterable[Citation], texts: list[Text], losses: Losses) -> dict[str, Any]:
    """The `groundingMetadata` for citations of these texts; empty if there are none."""
    whole = "".join(text.text for text in texts)
    places = _Places(texts)
    placed: list[tuple[Citation, int, int]] = []
    for citation in cited:
        start, end = places.span(citation)
        if start < end:
            placed.append((citation, start, end))
        else:
            losses.add("citation", citation.part, citation.url or citation.title or "citation of a document")
    sizes = _bytes(whole, {end for _, *span in placed for end in span})
    chunks: dict[tuple[str | None, ...], tuple[int, dict[str, Any]]] = {}
    supports: list[dict[str, Any]] = []
    for citation, start, end in placed:
        key = (citation.url, citation.title, None if citation.url else citation.cited_text)
        words = zip(("uri", "title", "text"), key, strict=True)
        source = {name: word for name, word in words if word is not None}
        number, _ = chunks.setdefault(key, (len(chunks), {"web" if citation.url else "retrievedContext": source}))
        segment = {"startIndex": sizes[start], "endIndex": sizes[end], "text": whole[start:end]}
        supports.append({"segment": segment, "groundingChunkIndices": [number]})
    return {"groundingChunks": [chunk for _, chunk in chunks.values()], "groundingSupports": supports} if placed else {}


class _Places:
    """Where the texts of an answer are in the whole of it."""

    def __init__(self, texts: list[Text]) -> None:
        self._parts: dict[int, tuple[int, int]] = {}
        # Of the texts that neutral ranges count: where each is, and the range that it has.
        self._positions: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        position = count = 0
        for text in texts:
            length = len(text.text)
            self._parts[text.part] = (position, position + length)
            if length and not text.refusal:
                self._positions.append(position)
                self._starts.append(count)
                count += length
                self._ends.append(count)
            position += length

    def span(self, citation: Citation) -> tuple[int, int]:
        """The characters that a citation is about; one without a range is about its whole part."""
        if citation.start is None or citation.end is None:
            return self._parts.get(citation.part, (0, 0))
        first, last = bisect_right(self._ends, citation.start), bisect_left(self._starts, citation.end) - 1
        if first > last:
            return 0, 0
        start = self._positions[first] + max(citation.start - self._starts[first], 0)
        return start, self._positions[last] + min(citation.end, self._ends[last]) - self._starts[last]


def _bytes(text: str, offsets: set[int]) -> dict[int, int]:
    """How many bytes are before each character."""
    out: dict[int, int] = {}
    position = size = 0
    for offset in sorted(offsets):
        size += len(text[position:offset].encode("utf-8", "surrogatepass"))
        position = offset
        out[offset] = size
    return out
