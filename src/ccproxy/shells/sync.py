"""Whole streams, synchronously."""

from collections.abc import Iterable, Iterator
from time import time
from typing import Any, Unpack

from ccproxy.core.errors import MisuseError, StreamFailed
from ccproxy.translator import Options, Translator

Buffer = bytes | bytearray | memoryview


def translate(
    chunks: Buffer | Iterable[bytes], source: str, target: str, **options: Unpack[Options]
) -> Iterator[bytes]:
    """Translate a stream while it arrives: what a chunk causes is given before the next one is asked for.

    `chunks` is the body as it was read, cut anywhere (or all of it as one bytes object). The options are those of
    `Translator`; `created` is the clock's where the stream does not say. Raises `MisuseError` for wrong options at
    once; errors of the stream are in the output, in the target's form.
    """
    return _run(Translator(source, target, **with_clock(options)), chunks)


def _run(translator: Translator, chunks: Buffer | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(chunks, str):
        raise MisuseError("a stream is bytes, not a string")
    for chunk in (chunks,) if isinstance(chunks, bytes | bytearray | memoryview) else chunks:
        out = translator.feed(bytes(chunk))
        if out:
            yield out
    out = translator.close()
    if out:
        yield out


def collect(
    data: Buffer | Iterable[bytes], source: str, target: str | None = None, **options: Unpack[Options]
) -> dict[str, Any]:
    """The full response body that a stream amounts to, as its own dialect sends it without streaming, or another's.

    Raises `StreamFailed` (with the message so far as `partial`) where the stream fails or was cut.
    """
    translator = Translator(source, source, **with_clock(options))
    for _ in _run(translator, data):
        pass
    if translator.error is not None:
        raise StreamFailed(translator.error.event, translator.message)
    return translator.body(target)


def with_clock(options: Options) -> Options:
    return {**options, "created": options.get("created", int(time()))}
