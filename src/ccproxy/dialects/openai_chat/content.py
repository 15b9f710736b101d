"""The content of a message, as read: text, media, and the caching hints on them; tools may have these too."""

import re
from binascii import a2b_base64, b2a_base64
from typing import Any, Final, Literal

from ccproxy.core.errors import RequestRefused
from ccproxy.core.fields import Fields
from ccproxy.core.model import Cache, Foreign, Media, Part, Text

from . import thoughts
from .maps import MEDIA_TYPES

_HEADER: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?;base64")
_TEXT: Final = "text/plain"


def read(source: Fields) -> list[Part]:
    """The content of a message: a string is one text."""
    content = source.raw.get("content")
    if isinstance(content, str):
        return [Text(text=content, path=source.at("content"), noise={"form": "string"})]
    if content is not None and not isinstance(content, list):
        raise source.wrong("content", "a string or an array")
    return [part for block in source.each("content") for part in _block(block)]


def _block(block: Fields) -> list[Part]:
    match block.text("type"):
        case "text":
            return [_text(block)]
        case "refusal":
            refusal = required(block, "refusal")
            return [Text(text=refusal, refusal=True, path=block.path, extra=block.rest("type", "refusal"))]
        case "image_url":
            return [_linked(block, "image", "detail")]
        case "video_url":
            return [_linked(block, "video")]
        case "audio_url":  # vLLM
            return [_linked(block, "audio")]
        case "document_url":  # Mistral
            return [_linked(block, "document")]
        case "input_audio":
            return [_recording(block)]
        case "file":
            return [_file(block)]
        case "thinking" | "reasoning":
            read = thoughts.read_block(block)
            if read is not None:
                return list(read)
        case "":
            raise RequestRefused(block.at("type"), "is missing")
        case _:
            pass
    return [Foreign(kind=block.word("type"), payload=dict(block.raw), path=block.path)]


def _text(block: Fields) -> Text:
    cache, noise = cache_of(block)
    text = block.string("text")
    if text is None:
        raise RequestRefused(block.at("text"), "is missing")
    return Text(text=text, cache=cache, path=block.path, extra=block.rest("type", "text", *noise), noise=noise)


def cache_of(block: Fields) -> tuple[Cache | None, dict[str, Any]]:
    """A caching hint, of OpenAI or as others took it over from Anthropic, and its field."""
    for field, mark, word in (("prompt_cache_breakpoint", "mode", "explicit"), ("cache_control", "type", "ephemeral")):
        if block.raw.get(field) is None:
            continue
        hint = block.noise(field)
        if hint.word(mark) == word and not hint.rest(mark, "ttl"):
            return Cache(hint.string("ttl")), {field: hint.raw}
    return None, {}


def _linked(block: Fields, kind: Literal["image", "document", "audio", "video"], *known: str) -> Media:
    """A part with a URL. Mistral takes the bare string, and has documents; video and audio are of other vendors."""
    cache, noise = cache_of(block)
    field = block.word("type")
    if isinstance(block.raw.get(field), str):
        media = _source(block.text(field), kind)
        media.name = block.text("document_name")
    else:
        linked = block.fields(field)
        media = _source(required(linked, "url"), kind)
        media.extra = inner(field, linked, "url", *known)
        if "detail" in known:
            media.detail = linked.text("detail")
    if field != "image_url" or isinstance(block.raw.get(field), str):
        noise = {"whole": block.raw}
    media.extra |= block.rest("type", field, "document_name", *noise)
    media.path, media.cache, media.noise = block.path, cache, noise
    return media


def _recording(block: Fields) -> Media:
    cache, noise = cache_of(block)
    whole = isinstance(block.raw.get("input_audio"), str)
    sound = Fields({"data": block.raw["input_audio"]}, block.path) if whole else block.fields("input_audio")
    media = _source(required(sound, "data"), "audio")
    if not media.url and not media.media_type:
        format = sound.text("format")
        media.media_type = MEDIA_TYPES.get(format, f"audio/{format}") if format else ""
        whole = whole or format not in MEDIA_TYPES
    else:
        whole = True
    media.extra = block.rest("type", "input_audio", *noise)
    media.extra |= {} if whole else inner("input_audio", sound, "data", "format")
    media.path, media.cache, media.noise = block.path, cache, {"whole": block.raw} if whole else noise
    return media


def _file(block: Fields) -> Media:
    cache, noise = cache_of(block)
    file = block.fields("file")
    data, file_id = file.text("file_data"), file.text("file_id")
    if not (data or file_id):
        raise RequestRefused(file.at("file_data"), "is missing")
    media = _source(data, "file") if data else Media(kind="file", file_id=file_id)
    family = media.media_type.partition("/")[0]
    match family:
        case "image" | "audio" | "video":
            media.kind = family
        case "":
            pass
        case _:
            media.kind = "document"
    media.name = file.text("filename")
    media.extra = block.rest("type", "file", *noise) | inner("file", file, "file_data", "file_id", "filename")
    media.path, media.cache, media.noise = block.path, cache, noise | {"form": "file"}
    if data and file_id:
        media.extra["file.file_id"] = file_id
    if media.media_type == _TEXT:
        _decode(media)
    return media


def _decode(media: Media) -> None:
    """A plain text document's content as text, if it can be written so again."""
    try:
        text = a2b_base64(media.data, strict_mode=True).decode("utf-8")
    except ValueError:
        return
    if text and b2a_base64(text.encode("utf-8"), newline=False).decode("ascii") == media.data:
        media.text, media.data = text, ""


def _source(url: str, kind: Literal["image", "document", "audio", "video", "file"]) -> Media:
    """Media at a URL, in a data URL, or in bare base64."""
    header, comma, data = url.partition(",") if url.startswith("data:") else ("", "", "")
    match = _HEADER.fullmatch(header)
    if match and comma:
        return Media(kind=kind, media_type=match[1] or "", data=data)
    if kind in ("audio", "file") and not url.startswith(("http://", "https://", "data:")):
        return Media(kind=kind, data=url)
    return Media(kind=kind, url=url)


def required(fields: Fields, key: str) -> str:
    value = fields.text(key)
    if not value:
        raise RequestRefused(fields.at(key), "is missing")
    return value


def inner(key: str, within: Fields, *known: str) -> dict[str, Any]:
    """The unknown fields of an object within, which has this key: `key.name`."""
    rest = within.rest(*known)
    return {f"{key}.{name}": value for name, value in rest.items()} if rest else rest
