"""Whole response bodies: read, translated, replayed as a stream. The way of a stream whose frames the body gives."""

from collections.abc import Mapping
from typing import Any, Final, Unpack

import msgspec

from ccproxy import dialects
from ccproxy.core.assemble import Message
from ccproxy.core.errors import StreamFailed
from ccproxy.core.events import Event, Opaque, StreamError
from ccproxy.core.fields import FieldError
from ccproxy.core.losses import Loss, Losses, Translated
from ccproxy.core.reports import is_error
from ccproxy.translator import Options, Translator
from ccproxy.wire.json import JSONError, loads
from ccproxy.wire.sse import BOM

Body = bytes | str | Mapping[str, Any]
"""A response body, decoded or not."""

_EXCERPT: Final = 120  # characters of unintelligible input that an error message shows


def read_response(body: Body, source: str, **options: Unpack[Options]) -> Message:
    """The message in a response body of the source dialect. The options are those of `Translator`.

    A body is whole by itself: one that does not say why the model stopped was not cut, if its dialect lets that pass.

    Raises `StreamFailed` for a body that reports an error, is no answer, or has a field of the wrong type, which the
    reason names (`content[0].text`); `partial` is what was understood. Raises `MisuseError` for wrong options.
    """
    silent: Options = {**options, "normalize": False}
    translator = Translator(source, source, **silent)
    _read(_decoded(body), translator)
    return translator.message


def translate_response(body: Body, source: str, target: str, **options: Unpack[Options]) -> Translated:
    """A response body of one dialect as that of another, and what it could not say.

    Same dialect in and out: the body as it came, unless `normalize` has it written anew. `created` is the time to name
    where the source has none; 0 by default. Raises as `read_response` does.
    """
    payload = _decoded(body)
    unknown = _Unknown(kept=source == target)
    listeners = (unknown, *options.get("listeners", ()))
    silent: Options = {**options, "normalize": False, "listeners": listeners}
    translator = Translator(source, source, **silent)
    dialects.get(target)
    _read(payload, translator)
    if source == target and not options.get("normalize"):
        return Translated(dict(payload))
    translated = translator.body(target)
    for loss in translator.losses:
        unknown.losses.add(loss.kind, loss.part, loss.detail)
    return Translated(translated, unknown.losses.ordered)


class Replayed(bytes):
    """A body as a stream."""

    losses: tuple[Loss, ...] = ()
    """What the stream could not say."""


def replay(body: Body, source: str, target: str | None = None, **options: Unpack[Options]) -> Replayed:
    """A response body as a stream of the target dialect, its own by default: for a client that asked for one.

    What is given are the stream's bytes, with what the target could not say as their `losses`.

    Raises as `read_response` does, so nothing has been sent by then.
    """
    anew: Options = {**options, "normalize": True}
    translator = Translator(source, source if target is None else target, **anew)
    stream = Replayed(_read(_decoded(body), translator))
    stream.losses = translator.losses
    return stream


def _decoded(body: Body) -> Mapping[str, Any]:
    """The body as an object. Errors of Gemini come as a list of one."""
    if isinstance(body, Mapping):
        return body
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body).removeprefix(BOM)
    if not data.strip():
        raise StreamFailed(StreamError("truncated", "the body is empty"))
    try:
        value = loads(data)
    except JSONError as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise StreamFailed(StreamError("protocol", f"the body is not JSON ({why}): {_shown(data)}")) from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise StreamFailed(StreamError("protocol", f"the body must be a JSON object, not {_shown(data)}"))
    return value


def _shown(data: bytes) -> str:
    text = data[: 4 * _EXCERPT].decode("utf-8", "replace").strip()
    return repr(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…")


def _read(body: Mapping[str, Any], translator: Translator) -> bytes:
    """Read the body to its end; gives what the translator writes."""
    out: list[bytes] = []
    wrapper = event = ""
    try:
        for event, payload in translator.source.frames(body):
            wrapper = next((f"{key}." for key, value in payload.items() if value is body), "")
            out.append(translator.feed_payload(event, payload))
            if translator.error is not None:
                break
    except FieldError as error:
        failed = translator.source.read_error(body) if is_error(body) else StreamError("protocol", str(error))
        raise StreamFailed(failed, translator.message) from None
    out.append(translator.close())
    if translator.error is not None:
        raise StreamFailed(_of_body(translator.error.event, wrapper, event), translator.message)
    return b"".join(out)


def _of_body(error: StreamError, wrapper: str, event: str) -> StreamError:
    """The error of a frame in terms of the body that the frame was made from."""
    if error.raw:
        return error
    reason = error.message.removeprefix(wrapper).removesuffix(f" (in {event})")
    if error.kind == "truncated":
        reason = "the response does not say why the model stopped"
    return msgspec.structs.replace(error, message=reason, frame=0, offset=0)


class _Unknown:
    """A listener: what the reader did not understand is not in the message, so a body can't say it."""

    def __init__(self, kept: bool) -> None:
        self.losses = Losses()
        self._kept = kept
        """Whether the target keeps what belongs to one part."""

    def on_events(self, events: list[Event], /) -> None:
        for event in events:
            if type(event) is Opaque and not (self._kept and event.part is not None):
                what = event.payload.get("type") or ", ".join(event.payload)
                self.losses.add("opaque", event.part, f"{event.source}: {what}")
