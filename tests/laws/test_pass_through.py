"""Same dialect in and out: the frames' bytes go through untouched, but for the error that ends a stream that was cut."""

from __future__ import annotations

from tests.corpus import Stream, each_stream

from .frames import BLANK
from .harness import every_event, run, shorten


@each_stream(include_suspect=True)
def test_untouched(stream: Stream) -> None:
    data = stream.data
    for cuts in ((), every_event(data)):
        result = run(data, stream.dialect, stream.dialect, cuts)
        error = result.error
        if error is None:
            assert result.out == data, shorten(result.out)
        elif error.fault == "provider":
            assert _frames(result.out) == _frames(data), shorten(result.out)
        else:
            kept = data[: error.offset]
            assert _frames(result.out)[: len(_frames(kept))] == _frames(kept), shorten(result.out)
            assert len(result.out) > len(kept.rstrip()), "no error was written"
            assert not result.losses


def _frames(data: bytes) -> list[bytes]:
    return [frame.strip(b"\r\n") for frame in BLANK.split(data) if frame.strip(b"\r\n")]
