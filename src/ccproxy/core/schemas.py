"""JSON schemas that OpenAI binds an answer or a tool's arguments to (`strict`); both of its dialects need it.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from collections.abc import Iterator
from typing import Any, Final

from .model import Format, Tool
from .request import RequestWriter

_UNKNOWN: Final = (
    *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "propertyNames"),
    *("patternProperties", "unevaluatedProperties", "minProperties", "maxProperties"),
    *("prefixItems", "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems"),
)
_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
_MAPS: Final = ("properties", "$defs", "definitions")
_TYPED: Final = frozenset({"type", "anyOf", "enum", "const", "$ref"})


class StrictWriter(RequestWriter):
    """Writes for a provider that has strict schemas."""

    def strict(self, piece: Tool | Format) -> bool | None:
        """Whether the schema binds. One that would be refused can't, which is a loss."""
        why = "" if self.own or not piece.strict else why_not_strict(piece.schema or {})
        if why:
            self.lose(piece, f"strict: false, as {why}", "repair")
        return False if why else piece.strict


def why_not_strict(schema: dict[str, Any]) -> str:
    """Why the schema can't be a strict one; empty if it can."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return "it is no object"
    try:
        return _fault(schema, "")
    except RecursionError:
        return "it is nested too deep"


def _fault(schema: Any, place: str) -> str:
    """The first thing in a schema, or one within it, that is refused."""
    where = place or "it"
    if not isinstance(schema, dict) or schema.keys().isdisjoint(_TYPED):
        return f"{where} has no type"
    for key in _UNKNOWN:
        if key in schema:
            return f"{where} has {key}"
    if "$ref" in schema and len(schema.keys() - {"$defs", "definitions"}) > 1:
        return f"{where} has more than its $ref"
    types = schema.get("type")
    if types == "string" and schema.get("format", "date") not in _FORMATS:
        return f"{where} has the format {schema['format']}"
    if types == "object" or (isinstance(types, list) and "object" in types):
        properties, required = schema.get("properties"), schema.get("required")
        if schema.get("additionalProperties") is not False:
            return f"{where} allows additionalProperties"
        known = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set[str]()
        for name in properties if isinstance(properties, dict) else ():
            if name not in known:
                return f"{where} does not require {name}"
    for key, inner in _inner(schema):
        fault = _fault(inner, f"{place}.{key}" if place else key)
        if fault:
            return fault
    return ""


def _inner(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas within a schema, and where they are."""
    if "items" in schema:
        yield "items", schema["items"]
    for key in _MAPS:
        named = schema.get(key)
        for name, one in named.items() if isinstance(named, dict) else ():
            yield f"{key}.{name}", one
    variants = schema.get("anyOf")
    for position, one in enumerate(variants if isinstance(variants, list) else ()):
        yield f"anyOf[{position}]", one
