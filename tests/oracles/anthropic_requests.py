"""The Anthropic SDK's types as judges of a request: what they don't list is a problem, at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Required, Union, get_args, get_origin

from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from typing_extensions import get_type_hints, is_typeddict

PARAMS: Final[Any] = message_create_params.MessageCreateParams
BETA_PARAMS: Final[Any] = beta_create_params.MessageCreateParams
UNTYPED: Final[Mapping[str, Any]] = {"temperature": float, "top_p": float, "top_k": int}
"""Fields that older models still take: the SDK has dropped them, and its users send them as `extra_body`."""


def validate_request(body: Mapping[str, Any]) -> list[str]:
    """The body under the SDK's types of a request, stable or beta; what they don't list is a problem."""
    typed = {name: value for name, value in body.items() if name not in UNTYPED}
    told = [problem for name, kind in UNTYPED.items() if name in body for problem in _mismatch(body[name], kind, name)]
    stable, beta = _mismatch(typed, PARAMS, ""), _mismatch(typed, BETA_PARAMS, "")
    return told + min(stable, beta, key=len)


def _mismatch(value: Any, kind: Any, path: str) -> list[str]:
    """What of a value is not of the annotated type."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in (object, Any):
        return []
    if origin in (Annotated, Required):
        return _mismatch(value, args[0], path)
    if origin in (Union, UnionType):
        return _none_of(value, args, path)
    if origin is Literal:
        known = any(value == word and type(value) is type(word) for word in args)
        return [] if known else [f"{path}: {value!r} is none of {args}"]
    if is_typeddict(kind):
        return _unlike(value, kind, path)
    if origin is dict or kind is dict:
        if not isinstance(value, dict):
            return [f"{path}: {type(value).__name__} for an object"]
        return [problem for name, inner in value.items() for problem in _mismatch(inner, args[1], f"{path}.{name}")]
    if origin is not None:  # Iterable, List and their kin
        if not isinstance(value, list):
            return [f"{path}: {type(value).__name__} for an array"]
        return [
            problem for number, inner in enumerate(value) for problem in _mismatch(inner, args[0], f"{path}[{number}]")
        ]
    fits = type(value) is kind or (kind is float and type(value) is int)
    return [] if fits else [f"{path}: {type(value).__name__} for {kind.__name__}"]


def _none_of(value: Any, kinds: tuple[Any, ...], path: str) -> list[str]:
    """The least problems under one of several types, none if one fits; those it names by its `type` or `role` count."""
    found: list[tuple[bool, list[str]]] = []
    for kind in kinds:
        problems = _mismatch(value, kind, path)
        if not problems:
            return []
        meant = not any(problem.startswith((f"{path}.type:", f"{path}.role:")) for problem in problems)
        found.append((not meant, problems))
    return min(found, key=lambda entry: (entry[0], len(entry[1])))[1]


def _unlike(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {type(value).__name__} for {kind.__name__}"]
    hints, open_ended = _hints(kind), getattr(kind, "__pydantic_config__", {}).get("extra") == "allow"
    required = {name for name, inner in hints.items() if get_origin(inner) is Required} | kind.__required_keys__
    problems = [f"{path}.{name}: missing" for name in sorted(required) if name not in value]
    for name, inner in value.items():
        if name in hints:
            problems += _mismatch(inner, hints[name], f"{path}.{name}")
        elif not open_ended:
            problems.append(f"{path}.{name}: unknown")
    return problems


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)
