"""What is known of one exchange while it runs, and the line that is logged when it is over."""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import msgspec

from ccproxy.core.assemble import Message
from ccproxy.core.losses import Loss
from ccproxy.core.vocab import ErrorKind, Usage
from ccproxy.wire.json import dumps

Phase = Literal["before", "waiting", "streaming", "done"]
"""Before the upstream was asked, before its first byte went out, after it, at the end."""


def _nothing() -> None:
    """There is nothing to cancel yet."""


class Exchange:
    """One request of a client, from its arrival to its last byte."""

    upstream = "none"
    upstream_dialect = "none"
    model = ""
    upstream_model = ""
    upstream_id = ""
    """The upstream's id of the request."""
    streams = False
    first_byte: float | None = None
    sent = 0
    """Bytes of the body that the client was given."""
    status = 0
    attempts = 0
    phase: Phase = "before"
    left = False
    """Whether the client is gone."""
    aborted: tuple[ErrorKind, str] | None = None
    """Why the gateway itself ends it."""
    error: ErrorKind | None = None
    finish: str | None = None
    usage: Usage | None = None
    losses: Mapping[str, int] = {}
    """How many of each kind."""

    def __init__(self, id: str, client: str, now: float) -> None:
        self.id = id
        self.client = client
        """The client's dialect."""
        self.began = now
        self.cancel: Callable[[], object] = _nothing

    def leave(self) -> None:
        """The client has gone."""
        self.left = True
        self.cancel()

    def abort(self, kind: ErrorKind, message: str) -> None:
        """End it with an error."""
        if self.aborted is None:
            self.aborted = (kind, message)
            self.cancel()

    def note(self, message: Message | None, losses: Collection[Loss]) -> None:
        """What the answer said in the end."""
        self.losses = Counter([loss.kind for loss in losses]) if losses else {}
        if message is not None:
            self.usage = message.usage
            finishes = message.finishes
            self.finish = finishes[min(finishes)].reason.unified if finishes else None

    def record(self, now: float) -> dict[str, Any]:
        """The line of the access log: no bodies, no keys, no addresses."""
        usage = self.usage
        out: dict[str, Any] = {
            "id": self.id,
            "client": self.client,
            "upstream": self.upstream,
            "upstream_dialect": self.upstream_dialect,
            "stream": self.streams,
            "status": self.status,
            "attempts": self.attempts,
            "duration_ms": round(1000 * (now - self.began), 1),
        }
        if self.model:
            out["model"] = self.model[:200]
        if self.upstream_model:
            out["upstream_model"] = self.upstream_model[:200]
        if self.upstream_id:
            out["upstream_id"] = self.upstream_id
        if usage is not None:
            total_input = usage.total_input
            if total_input is not None:
                out["input_tokens"] = total_input
            if usage.output is not None:
                out["output_tokens"] = usage.output
        if self.first_byte is not None:
            out["first_byte_ms"] = round(1000 * (self.first_byte - self.began), 1)
        if self.finish:
            out["finish"] = self.finish
        if self.error is not None:
            out["error"] = self.error
        if self.losses:
            out["losses"] = dict(self.losses)
        if self.left:
            out["left"] = self.phase
        return out


class AccessLog(msgspec.Struct, frozen=True):
    """One line for each exchange: JSON, or for people."""

    form: Literal["json", "text", "off"]

    def write(self, record: dict[str, Any]) -> None:
        """An exchange is over."""
        self._put(record, as_text)

    def say(self, level: str, message: str) -> None:
        """Something that is about no exchange."""
        self._put({"level": level, "message": message}, lambda _: f"{level}: {message}")

    def _put(self, record: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
        if self.form == "off" or sys.stderr is None:
            return
        line = dumps(record).decode("utf-8", "replace") if self.form == "json" else text(record)
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads it any more; the exchanges go on
            pass


def as_text(record: dict[str, Any]) -> str:
    """A record on one line for people."""
    tokens = f"{record.get('input_tokens', '?')} in, {record.get('output_tokens', '?')} out"
    end = record.get("error") or record.get("finish") or ""
    lost = ", ".join(f"{count} {kind}" for kind, count in record.get("losses", {}).items())
    left = f", client left {record['left']}" if "left" in record else ""
    pair = f"{record['client']} -> {record['upstream']} ({record['upstream_dialect']})"
    lines = f"{record['status']} {pair} {record.get('model', '')!r} {tokens}, {record['duration_ms']} ms {end}{left}"
    return lines.rstrip() + (f" [lost: {lost}]" if lost else "")
