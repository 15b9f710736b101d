"""Strict validation of single events against the official pydantic types."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from anthropic import Stream
from pydantic import BaseModel, ValidationError

from .judge import event_stream

Variants = Mapping[str, Sequence[type[BaseModel]]]


class Frame(NamedTuple):
    """One event: its number, its `event:` name, its data."""

    number: int
    event: str | None
    data: str


def frames(data: bytes) -> list[Frame]:
    """The events of a stream that carry data, as an official decoder cuts them."""
    found = (sse for sse in Stream.raw_events(event_stream(data)) if sse.data)
    return [Frame(number, sse.event, sse.data) for number, sse in enumerate(found)]


def variants(*unions: object) -> dict[str, list[type[BaseModel]]]:
    """The classes of annotated unions by the values of their field `type`."""
    found: dict[str, list[type[BaseModel]]] = {}
    for union in unions:
        for model in get_args(get_args(union)[0]):
            for name in get_args(model.model_fields["type"].annotation):
                found.setdefault(name, []).append(model)
    return found


def json_object(data: str) -> dict[str, Any] | str:
    """The object, or what is wrong."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        return f"no JSON: {exc}"
    return value if isinstance(value, dict) else f"no JSON object: {type(value).__name__}"


def check(data: str, models: Sequence[type[BaseModel]]) -> list[str]:
    """Problems under the last of the types, none if any of them takes the event."""
    problems: list[str] = []
    for model in models:
        try:
            model.model_validate_json(data, strict=True)
        except ValidationError as exc:
            problems = list(telling(exc))
        else:
            return []
    return problems


def check_type(event: Mapping[str, Any], data: str, types: Variants) -> list[str]:
    """Problems of an event whose class its field `type` names."""
    models = types.get(str(event.get("type")))
    return check(data, models) if models else [f"unknown event type {event.get('type')!r}"]


def telling(exc: ValidationError) -> Iterator[str]:
    """The errors, less those of union members that the value is not meant for (their `type` differs)."""
    errors = exc.errors(include_url=False, include_input=False, include_context=False)
    other = {error["loc"][:-1] for error in errors if error["type"] == "literal_error" and error["loc"][-1] == "type"}
    told = [error for error in errors if not any(error["loc"][: len(prefix)] == prefix for prefix in other)]
    for error in told or errors[:1]:
        yield f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
