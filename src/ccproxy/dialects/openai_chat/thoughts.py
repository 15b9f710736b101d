"""Reasoning in the messages of a client's history, as read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ccproxy.core.fields import Fields
from ccproxy.core.model import Foreign, Thought
from ccproxy.core.request import objects, same_model
from ccproxy.core.signatures import Sealed, unseal
from ccproxy.core.spi import RequestOptions

from .maps import CONTENT, FORMAT_READ, REASONING_FIELDS, REASONING_OPAQUE, SCHEME, THINKING_BLOCKS

FIELDS: Final = ("reasoning_details", "thinking_blocks", "reasoning_opaque", *REASONING_FIELDS)
"""The fields of a message that `read` reads."""
_FIELDS: Final = frozenset(FIELDS)
_SIGNED: Final = frozenset({"reasoning_details", "extra_content", "tool_calls"})
VENDORS: Final = ("google", "vertex")
"""Objects in `extra_content` that may have a signature of Gemini."""
SIGNATURE: Final = ("thought_signature", "model")
"""What such an object has of the signature."""
_ENTRY: Final = ("type", "id", "index", "format", "model", "text", "summary", "data", "signature")


def has_foreign(body: Mapping[str, Any], options: RequestOptions) -> bool:
    """Whether a signature in the history is named as that of another model than is asked for."""
    model = options.model or Fields(body).word("model")
    signed = (message for message in objects(body.get("messages")) if not _SIGNED.isdisjoint(message))
    return any(not same_model(name, model) for message in signed for name in _named(message))


def _named(message: Mapping[str, Any]) -> Iterator[str]:
    """The models whose signatures a message has, as far as it names them."""
    for entry in map(Fields, objects(message.get("reasoning_details"))):
        if entry.word("signature") or entry.word("data"):
            yield entry.word("model")
    for signed in (message, *objects(message.get("tool_calls"))):
        found = google(signed)
        if found is not None:
            yield found.model


class Google(NamedTuple):
    vendor: str
    value: str
    model: str


def google(source: Mapping[str, Any]) -> Google | None:
    """The signature of Gemini that a call or a message has."""
    if source.get("extra_content") is None:
        return None
    field = Fields(source).noise("extra_content")
    for vendor in VENDORS:
        signed = field.noise(vendor)
        value = signed.word("thought_signature")
        if value:
            return Google(vendor, value, signed.word("model"))
    return None


def read(message: Fields, extra: dict[str, Any]) -> list[Thought | Foreign]:
    """The reasoning of an assistant message. What repeats it in other words goes to `extra`.

    `noise` of each has the fields to write back for the same dialect; a signature that came in an envelope has none.
    """
    if _FIELDS.isdisjoint(message.raw):
        return []
    found = list(_details(message))
    if not found:
        found = list(_blocks(message))
    elif message.raw.get("thinking_blocks"):
        extra["thinking_blocks"] = message.raw["thinking_blocks"]
    opaque = message.text("reasoning_opaque")
    if opaque:
        thought = _thought(message, "", opaque, Sealed(REASONING_OPAQUE, "", opaque), {"reasoning_opaque": opaque})
        thought.path = message.at("reasoning_opaque")
        found.append(thought)
    _pair(message, found, extra)
    for part in found:
        sealed = part.signature if isinstance(part, Thought) else None
        if isinstance(part, Thought) and sealed and sealed.scheme == REASONING_OPAQUE and not part.text:
            part.signature = sealed._replace(redacted=True)
    return found


def read_block(block: Fields) -> list[Thought] | None:
    """A block of content that is reasoning, of Mistral (`thinking`) or Databricks (`reasoning`); else None."""
    kind = block.word("type")
    noise = {"content": [block.raw]}
    if kind == "thinking":
        signature = block.text("signature")
        inner = block.raw.get("thinking")
        texts = [inner] if isinstance(inner, str) else _texts(block, "thinking", "text", "")
        if texts is None:
            return None
        thought = _thought(block, "".join(texts), signature, Sealed(CONTENT, "", signature), noise)
        thought.extra = block.rest("type", "thinking", "signature", "closed")
        return [thought]
    if kind == "reasoning" and _texts(block, "summary", "summary_text", "text") is not None:
        thoughts = [
            _thought(one, one.text("text"), value, Sealed(CONTENT, "", value), {}, "summary")
            for one in block.each("summary")
            for value in [one.text("signature")]
        ]
        if thoughts and unseal(thoughts[0].signature.value if thoughts[0].signature else "") is None:
            thoughts[0].noise = noise
        for thought in thoughts:
            thought.group = block.path
        return thoughts
    return None


def _texts(block: Fields, key: str, *kinds: str) -> list[str] | None:
    """The texts of an array of nothing else."""
    inner = list(block.each(key))
    return [one.text("text") for one in inner] if all(one.word("type") in kinds for one in inner) else None


def _details(message: Fields) -> Iterator[Thought | Foreign]:
    """`reasoning_details` (OpenRouter). Clients may keep the fragments of one entry apart: they share its index."""
    formats: dict[int | None, str] = {}
    last: Thought | None = None
    last_key: tuple[str, int | None] | None = None
    for entry in message.each("reasoning_details"):
        kind, index = entry.word("type"), entry.number("index")
        noise = {"reasoning_details": [entry.raw]}
        if kind not in ("reasoning.text", "reasoning.summary", "reasoning.encrypted"):
            if last is not None:
                yield last
            last = None
            yield Foreign(kind=kind, payload=dict(entry.raw), path=entry.path, noise=noise)
            continue
        format = entry.word("format") or (formats.get(index, "") if index is not None else "")
        formats[index] = format
        redacted = kind == "reasoning.encrypted"
        value = entry.text("data" if redacted else "signature")
        model = entry.word("model")  # we say whose it is, servers don't: without it, it is that of a Chat server
        scheme = FORMAT_READ.get(format) if model else None
        sealed = Sealed(scheme or SCHEME + format, model, value, redacted)
        channel = "summary" if kind == "reasoning.summary" else "full"
        thought = _thought(entry, entry.text("text") or entry.text("summary"), value, sealed, noise, channel)
        thought.extra = entry.rest(*_ENTRY)
        if last is not None and last.signature is None and last_key == (kind, index) and index is not None:
            thought = _merged(last, thought)
        elif last is not None:
            yield last
        last, last_key = thought, (kind, index)
    if last is not None:
        yield last


def _merged(one: Thought, other: Thought) -> Thought:
    """Two fragments of an entry; in an envelope if the second is."""
    other.text = one.text + other.text
    other.path = one.path
    other.extra = one.extra | other.extra
    if other.noise:
        other.noise = {"reasoning_details": one.noise["reasoning_details"] + other.noise["reasoning_details"]}
    return other


def _blocks(message: Fields) -> Iterator[Thought | Foreign]:
    """`thinking_blocks` (LiteLLM), which go back to where they came from."""
    for block in message.each("thinking_blocks"):
        kind = block.word("type")
        noise = {"thinking_blocks": [block.raw]}
        if kind not in ("thinking", "redacted_thinking"):
            yield Foreign(kind=kind, payload=dict(block.raw), path=block.path, noise=noise)
            continue
        redacted = kind == "redacted_thinking"
        value = block.text("data" if redacted else "signature")
        thought = _thought(block, block.text("thinking"), value, Sealed(THINKING_BLOCKS, "", value, redacted), noise)
        thought.extra = block.rest("type", "thinking", "signature", "data")
        yield thought


def _thought(
    source: Fields, text: str, value: str, bare: Sealed, noise: dict[str, Any], channel: str = "full"
) -> Thought:
    """Reasoning with the signature `value`, if there is any: that of its envelope, else `bare`."""
    enveloped = unseal(value)
    return Thought(
        text=text,
        signature=enveloped or (bare if value else None),
        channel="summary" if channel == "summary" else "full",
        path=source.path,
        noise={} if enveloped else noise,
    )


def _pair(message: Fields, found: list[Thought | Foreign], extra: dict[str, Any]) -> None:
    """Give the text in plain fields to the entry that only signs it; where entries have text, it is the same again."""
    said = [(name, text) for name in REASONING_FIELDS if (text := message.text(name))]
    if not said:
        return
    name, text = said[0]
    thoughts = [part for part in found if isinstance(part, Thought)]
    texts = [thought for thought in thoughts if thought.text]
    signing = [one for one in thoughts if one.signature and not one.redacted and one.signature.signs == "part"]
    told = "".join(thought.text for thought in texts)
    untold = [one for one in signing if not one.text]
    if texts and len(untold) == 1 and text.endswith(told) and text != told:  # as the response writer has them
        carrier = untold[0]
        carrier.text = text.removesuffix(told)
    elif texts:
        carrier = texts[0]
        text = told
    elif len(signing) == 1:  # with several nobody knows which words are whose
        carrier = signing[0]
        carrier.text = text
    else:
        carrier = Thought(text=text, path=message.at(name))
        found.insert(0, carrier)
    in_envelope = carrier.signature is not None and not carrier.noise
    for name, words in said:
        if words != text:
            extra[name] = words
        elif not in_envelope:
            carrier.noise[name] = words
