"""What the oracles share: the verdict, the normal form, and a transport that answers every request with given bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, TypedDict

import httpx2
from jiter import from_json
from pydantic import BaseModel

JsonObject: TypeAlias = dict[str, Any]

MERGED = frozenset({"text", "reasoning"})
JSON_TEXT = frozenset({"tool", "server_tool"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an SDK made of a stream.

    `ok`: taken without an exception and without a fault, or ended by an in-stream error that the SDK raised as its
    own API error (`api_error` is then the error's body). `error`: why not (or the API error's text). `faults`: what
    the SDK took in silence but lost or garbled; with faults alone `final` is still whole. `final`: the accumulated
    object; after an exception, what had been accumulated; None where there is nothing. `snapshot`: what the helper
    joined from the deltas, where `final` is only the payload of the last event (Responses); else None. `complete`: the
    stream's own end was seen (the SDKs take a cut stream without complaint). `events`: events the SDK delivered, pings
    and derived events not counted.
    """

    ok: bool
    error: str | None = None
    final: JsonObject | None = None
    events: int = 0
    api_error: JsonObject | None = None
    complete: bool = False
    snapshot: JsonObject | None = None
    faults: tuple[str, ...] = ()

    def unless(self, *faults: str | None) -> Verdict:
        """This verdict, or a rejection if there is a fault; one that is a rejection already keeps its reason."""
        found = tuple(fault for fault in faults if fault)
        if not found:
            return self
        return replace(self, ok=False, error=self.error or "; ".join(found), faults=(*self.faults, *found))

    def but(self, error: str | None) -> Verdict:
        """This verdict with an error of another way of reading added; an error makes it a rejection."""
        return replace(self, ok=False, error="; ".join(filter(None, (self.error, error)))) if error else self


class Part(NamedTuple):
    """One part of an answer. `text` is a string, but for what an SDK keeps as an object (see `Normal`)."""

    choice: int
    kind: str
    call_id: str | None
    name: str | None
    text: Any


class Normal(TypedDict):
    """The form that two accumulations are compared in.

    `parts`: text, reasoning, redacted, tool, custom_tool, refusal, server_tool, server_result, opaque; folded by
    `fold`. `text` is a string except: tool and server_tool of Anthropic are the *parsed* input (the SDK keeps no
    text), so compare `parsed(ours)` with `parsed(theirs)`; server_tool, server_result and opaque parts of the other
    kinds carry the JSON value of the block or item. `finish`: choice -> raw reason. `usage`: as the SDK has it.
    """

    parts: list[Part]
    finish: dict[int, str | None]
    stop_sequence: str | None
    usage: JsonObject


def fold(parts: Iterable[Part]) -> list[Part]:
    """Empty text parts dropped, neighbouring texts (and reasonings) of a choice joined, arguments "" read as {}."""
    out: list[Part] = []
    for part in parts:
        if part.kind == "text" and not part.text:
            continue
        if part.kind in JSON_TEXT and part.text == "":
            part = part._replace(text="{}")
        if out and part.kind in MERGED and out[-1][:2] == part[:2]:
            out[-1] = out[-1]._replace(text=out[-1].text + part.text)
        else:
            out.append(part)
    return out


def parsed(parts: Iterable[Part]) -> list[Part]:
    """Tool arguments as the Anthropic SDK reads them: a JSON value, cut JSON as far as it goes."""
    return [
        part._replace(text=from_json(part.text.encode(), partial_mode=True))
        if part.kind in JSON_TEXT and isinstance(part.text, str)
        else part
        for part in parts
    ]


class Replay(httpx2.BaseTransport):
    """Answers every request with `body` as an event stream. One for a process: not for threads."""

    def __init__(self) -> None:
        self.body = b""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return event_stream(self.body)

    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=self, trust_env=False)


def event_stream(data: bytes) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings pydantic gives for values of another type: for an SDK's user they are no errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plain(model: BaseModel) -> JsonObject:
    """An SDK object as JSON-like values, with the wire's names and only the fields that were set."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


def reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}".removesuffix(": ")


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; nothing for another value."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
