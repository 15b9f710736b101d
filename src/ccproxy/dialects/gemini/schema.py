"""Google's older schemas, a subset of OpenAPI 3.0, as JSON Schema: https://ai.google.dev/api/caching#Schema"""

from operator import is_
from typing import Any, Final

from ccproxy.core.fields import FieldError

from .keys import camel
from .maps import SCHEMA_TYPES

_NAMES: Final = {"defs": "$defs", "ref": "$ref"}
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "not"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "defs", "$defs", "definitions"})
_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_CHANGED: Final = frozenset({"type", *_SCHEMAS, *_LISTS, *_MAPS})
"""The fields whose value may be written in another way here."""
_LEFT_OUT: Final = frozenset({"nullable", "propertyOrdering", "example"})


def ordered(schema: dict[str, Any] | None, path: str) -> dict[str, Any] | None:
    """A JSON schema whose properties have the order that `propertyOrdering` says, without that field of Google's.

    Types in capitals, as in the older schemas, become those of JSON Schema. It is the same object if it has neither.
    Raises `FieldError` if it is nested too deep.
    """
    try:
        whole: dict[str, Any] | None = _ordered(schema)
    except RecursionError:
        raise FieldError(path, "is nested too deep") from None
    return whole


def _ordered(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = schema
    for key, value in schema.items():
        new = _within(key, value) if key in _CHANGED else value
        if new is not value:
            out = {**out, key: new}
    if "propertyOrdering" in out:
        out = {key: value for key, value in out.items() if key != "propertyOrdering"}
        _sort(out, schema["propertyOrdering"])
    return out


def _within(key: str, value: Any) -> Any:
    """The value of a field of a JSON schema; the same object if no schema in it has changed."""
    if key == "type" and isinstance(value, str) and value in _TYPES:
        return _type(value)
    if key in _SCHEMAS:
        return _ordered(value)
    if key in _LISTS and isinstance(value, list):
        several = [_ordered(one) for one in value]
        return value if all(map(is_, several, value)) else several
    if key in _MAPS and isinstance(value, dict):
        named = {name: _ordered(one) for name, one in value.items()}
        return value if all(map(is_, named.values(), value.values())) else named
    return value


def _sort(schema: dict[str, Any], order: Any) -> None:
    properties = schema.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        schema["properties"] = first | properties


def json_schema(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema with the names and types of JSON Schema. Raises `FieldError` if it is nested too deep."""
    try:
        whole: dict[str, Any] = _schema(schema)
    except RecursionError:
        raise FieldError(path, "is nested too deep") from None
    return whole


def _schema(schema: Any) -> Any:
    """What is none (true, false) stays as it is."""
    if not isinstance(schema, dict):
        return schema
    source = {camel(key): value for key, value in schema.items() if value is not None}
    out: dict[str, Any] = {}
    for key, value in source.items():
        if key not in _LEFT_OUT:
            out[_NAMES.get(key, key)] = _value(key, value)
    _sort(out, source.get("propertyOrdering"))
    if "example" in source:
        out["examples"] = [source["example"]]
    if out.get("type") == "type_unspecified":
        del out["type"]
    if source.get("nullable") is True:
        out = _nullable(out)
    return out


def _value(key: str, value: Any) -> Any:
    if key == "type":
        return [_type(one) for one in value] if isinstance(value, list) else _type(value)
    if key in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)  # 64-bit numbers are strings in Google's JSON
    if key in _SCHEMAS:
        return _schema(value)
    if key in _LISTS and isinstance(value, list):
        return [_schema(one) for one in value]
    if key in _MAPS and isinstance(value, dict):
        return {name: _schema(one) for name, one in value.items()}
    return value


def _type(said: Any) -> Any:
    if isinstance(said, str):
        return said.lower()
    return SCHEMA_TYPES.get(said, said) if type(said) is int else said


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema
