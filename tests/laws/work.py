"""How much a piece of code does, counted and not timed: the same number however busy the machine is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_WHOLE = {"rfind", "count", "index", "split", "rsplit", "splitlines", "strip", "rstrip", "lstrip", "replace"}
_WHOLE |= {"decode", "encode"}
"""Methods that look at all of a text, unlike `find`, which is told where to begin."""


def work(run: Callable[[], object]) -> int:
    """Calls, and characters that methods of texts and bytes were to look at.

    What is quadratic in Python code shows as calls; what searches the same bytes again at every read, or has joined
    them anew, shows as characters.
    """
    done = 0

    def count(frame: FrameType, event: str, called: Any) -> None:
        nonlocal done
        if event == "call":
            done += 1
        elif event == "c_call":
            done += 1
            subject = getattr(called, "__self__", None)
            if isinstance(subject, bytes | bytearray | str) and called.__name__ in _WHOLE:
                done += len(subject)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return done
