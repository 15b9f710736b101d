"""Whole streams, asynchronously. The twin of `sync`."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Unpack

from ccproxy.shells.sync import with_clock
from ccproxy.translator import Options, Translator


def atranslate(
    chunks: AsyncIterable[bytes], source: str, target: str, **options: Unpack[Options]
) -> AsyncIterator[bytes]:
    """`translate` for an asynchronous iterable."""
    return _run(Translator(source, target, **with_clock(options)), chunks)


async def _run(translator: Translator, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            out = translator.feed(chunk)
            if out:
                yield out
        out = translator.close()
        if out:
            yield out
    finally:
        if isinstance(chunks, AsyncGenerator):  # whoever stops reading stops the upstream
            await chunks.aclose()
