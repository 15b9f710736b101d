"""JSON schemas that the API binds an answer or a tool's arguments to.

It compiles a part of the language and refuses the rest:
https://docs.claude.com/en/docs/build-with-claude/structured-outputs
The official SDK's `transform_schema` does the like: what can't be kept is told in the description.
"""

from typing import Any, Final

from ccproxy.wire.json import dumps

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_COMBINED: Final = ("anyOf", "allOf")
_CHOICES: Final = ("anyOf", "oneOf", "allOf")
_DEFINITIONS: Final = ("$defs", "definitions")
_LIMITS: Final = (0, 1)
"""What `minItems` may be."""


class Unbound(Exception):
    """Why no answer can be bound to the schema."""


def bound(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The schema as the API takes it, and what that changed. Raises `Unbound`."""
    changes: list[str] = []
    try:
        _check_references(schema)
        return _Node(schema, "", changes).written(), changes
    except RecursionError:
        raise Unbound("it is nested too deep") from None


def without_choices(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A tool's schema with none of the choices at its top that the API refuses, and which it had.

    It has the properties of all of them, and requires what each of them does.
    """
    found: list[str] = [key for key in _CHOICES if key in schema]
    if not found:
        return schema, found
    whole = {key: value for key, value in schema.items() if key not in _CHOICES}
    properties = {name: [one] for name, one in _properties(whole).items()}
    required = _required(whole)
    for key in found:
        members = [_member(schema, one) for one in schema[key]] if isinstance(schema[key], list) else []
        for member in members:
            for name, one in _properties(member).items():
                known = properties.setdefault(name, [])
                known += [one] if one not in known else []
        each = [_required(member) for member in members]
        for name in dict.fromkeys(name for names in each for name in names):
            if name not in required and (key == "allOf" or all(name in names for names in each)):
                required.append(name)
    if properties:
        one_of = {name: ones[0] if len(ones) == 1 else {"anyOf": ones} for name, ones in properties.items()}
        whole["properties"] = one_of
    if required:
        whole["required"] = required
    return whole, found


class _Node:
    """One schema within another."""

    def __init__(self, schema: dict[str, Any], place: str, changes: list[str]) -> None:
        self.rest = dict(schema)  # what is not written yet
        self.out: dict[str, Any] = {}
        self.place = place
        self.changes = changes

    def written(self) -> dict[str, Any]:
        for key in _DEFINITIONS:
            definitions = self.rest.pop(key, None)
            if isinstance(definitions, dict):
                self.out[key] = {name: self._inner(one, key, name) for name, one in definitions.items()}
        if isinstance(self.rest.get("$ref"), str):
            self.out["$ref"] = self.rest.pop("$ref")
            for key in self.rest:
                self._change(key, "there is nothing beside $ref")
            return self.out
        types = self._types()
        self._choices()
        self._combined()
        if not (types or self.out.keys() & {"enum", "const", *_COMBINED}):
            raise Unbound(f"{self.place or 'it'} may be anything")
        for key in ("title", "description"):
            if isinstance(self.rest.get(key), str):
                self.out[key] = self.rest.pop(key)
        if not self.place and isinstance(self.rest.get("$schema"), str):
            self.out["$schema"] = self.rest.pop("$schema")
        if "object" in types:
            self._object()
        if "array" in types:
            self._array()
        if "string" in types and self.rest.get("format") in _FORMATS:
            self.out["format"] = self.rest.pop("format")
        self._describe()
        return self.out

    def _types(self) -> frozenset[str]:
        said = self.rest.pop("type", None)
        types = [one for one in (said if isinstance(said, list) else [said]) if one in _TYPES]
        if not types and not self.rest.keys() & {"enum", "const", "anyOf", "oneOf", "allOf"}:
            types = [name for name, key in (("object", "properties"), ("array", "items")) if key in self.rest][:1]
            if types:
                self._change("type", types[0])
        if types:
            self.out["type"] = types if isinstance(said, list) else types[0]
        return frozenset(types)

    def _choices(self) -> None:
        enum = self.rest.get("enum")
        if isinstance(enum, list) and enum and all(map(_is_plain, enum)):
            self.out["enum"] = self.rest.pop("enum")
        if "const" in self.rest and _is_plain(self.rest["const"]):
            self.out["const"] = self.rest.pop("const")

    def _combined(self) -> None:
        if isinstance(self.rest.get("oneOf"), list) and "anyOf" not in self.rest:
            self.rest["anyOf"] = self.rest.pop("oneOf")
            self._change("oneOf", "is anyOf")
        for key in _COMBINED:
            variants = self.rest.get(key)
            if isinstance(variants, list) and variants:
                del self.rest[key]
                self.out[key] = [self._inner(one, f"{key}[{position}]") for position, one in enumerate(variants)]

    def _object(self) -> None:
        properties = self.rest.pop("properties", None)
        known = properties if isinstance(properties, dict) else {}
        self.out["properties"] = {name: self._inner(one, "properties", name) for name, one in known.items()}
        if self.rest.pop("additionalProperties", None) is not False:
            self._change("additionalProperties", "false")
        self.out["additionalProperties"] = False
        required = self.rest.pop("required", None)
        if isinstance(required, list):
            self.out["required"] = required

    def _array(self) -> None:
        items = self.rest.pop("items", None)
        if items is not None:
            self.out["items"] = self._inner(items, "items")
        if self.rest.get("minItems") in _LIMITS:
            self.out["minItems"] = self.rest.pop("minItems")

    def _describe(self) -> None:
        """Tell in the description what the API does not know, so that the model may keep to it."""
        if not self.rest:
            return
        for key in self.rest:
            self._change(key, "told in the description")
        told = ", ".join(f"{key}: {_shown(value)}" for key, value in self.rest.items())
        self.out["description"] = "\n\n".join(filter(None, (self.out.get("description"), f"{{{told}}}")))

    def _inner(self, schema: Any, *keys: str) -> dict[str, Any]:
        place = ".".join(filter(None, (self.place, *keys)))
        if not isinstance(schema, dict):
            raise Unbound(f"{place} is no object" if schema is not True else f"{place} may be anything")
        return _Node(schema, place, self.changes).written()

    def _change(self, key: str, how: str) -> None:
        self.changes.append(f"{self._at(key)}: {how}")

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key


def _member(root: dict[str, Any], member: Any) -> dict[str, Any]:
    """A schema among others, or what it refers to; empty if that is not there."""
    reference = member.get("$ref") if isinstance(member, dict) else None
    try:
        found = _resolved(root, reference) if isinstance(reference, str) else member
    except Unbound:
        return {}
    return found if isinstance(found, dict) else {}


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _required(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _check_references(root: dict[str, Any]) -> None:
    """Refuse a schema that holds itself, or parts that are elsewhere."""
    within: dict[str, bool] = {}
    _follow(root, root, within)
    for key in _DEFINITIONS:
        _follow(list(root[key].values()) if isinstance(root.get(key), dict) else None, root, within)


def _follow(value: Any, root: dict[str, Any], within: dict[str, bool]) -> None:
    """Check the references in a value; `within` has those met, and whether the value is what one stands for."""
    if isinstance(value, list):
        for one in value:
            _follow(one, root, within)
    if not isinstance(value, dict):
        return
    reference = value.get("$ref")
    if isinstance(reference, str) and within.get(reference) is not False:
        if within.get(reference):
            raise Unbound(f"{reference} holds itself")
        within[reference] = True
        _follow(_resolved(root, reference), root, within)
        within[reference] = False
    for key, one in value.items():
        if key not in _DEFINITIONS:
            _follow(one, root, within)


def _resolved(root: dict[str, Any], reference: str) -> Any:
    head, *names = reference.split("/")
    value: Any = root
    for name in names:
        name = name.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    if head != "#" or value is None:
        raise Unbound(f"{reference} is not in it")
    return value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode("utf-8", "surrogatepass")
