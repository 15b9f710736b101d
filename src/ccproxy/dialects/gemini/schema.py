"""Google's older schemas, a subset of OpenAPI 3.0, as JSON Schema: https://ai.google.dev/api/caching#Schema"""

from typing import Any, Final

from ccproxy.core.fields import FieldError

from .keys import camel
from .maps import SCHEMA_TYPES

_NAMES: Final = {"defs": "$defs", "ref": "$ref"}
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "not"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "defs", "$defs"})
_LEFT_OUT: Final = frozenset({"nullable", "propertyOrdering", "example"})


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
    order = source.get("propertyOrdering")
    properties = out.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        out["properties"] = first | properties
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
