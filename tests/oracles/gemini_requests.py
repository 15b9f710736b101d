"""The google-genai SDK's types as judges of a request, and the form in which two requests are the same."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.genai import types
from pydantic import TypeAdapter, ValidationError

FIELDS: Final[Mapping[str, Any]] = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": list[types.SafetySetting],
    "cachedContent": str,
    "labels": dict[str, str],
    "serviceTier": types.ServiceTier,
    "store": bool,
    "model": str,
    "modelArmorConfig": types.ModelArmorConfig,
}
"""The API's fields. The SDK has no type of the whole: it puts them together from `GenerateContentConfig`."""

CONFIG: Final[Mapping[str, Any]] = {"imageConfig": types.ImageConfig}
"""What the API takes in `generationConfig` and the SDK's type of it lacks."""

DATA: Final = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
FREE: Final = frozenset({"args", "response", "partMetadata", "labels", "properties", "parametersJsonSchema"})
FREE_TOO: Final = frozenset({"responseJsonSchema", "responseSchema", "parameters"})
LISTS: Final = frozenset({"tools", "parts", "functionDeclarations"})
SNAKE: Final = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")


def validate_request(body: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request. Objects that are Gemini's alone may have snake_case inside, as Google takes it too."""
    problems = [f"{key}: there is no such field" for key in body if key not in FIELDS]
    problems += [f"{path}: not in camelCase" for path in _snakes(body)]
    given = {key: body[key] for key in FIELDS if key in body}
    config = dict(given.get("generationConfig", {}))
    for key, annotation in CONFIG.items():
        if key in config:
            problems += _check(f"generationConfig.{key}", config.pop(key), annotation)
    if config:
        given["generationConfig"] = config
    for key, value in given.items():
        problems += _check(key, value, FIELDS[key])
    return problems or [*_contents(body), *_tools(body)]


def _snakes(body: Mapping[str, Any]) -> Iterator[str]:
    """The keys in snake_case of what every dialect has."""
    config = body.get("generationConfig", {})
    choice = body.get("toolConfig", {})
    objects = [config, config.get("thinkingConfig", {}), choice, choice.get("functionCallingConfig", {})]
    for part in (part for content in body.get("contents", []) for part in content.get("parts", [])):
        objects += [part, *(part[key] for key in DATA[1:5] if key in part)]
    for tool in body.get("tools", []):
        objects += [tool, *tool.get("functionDeclarations", [])]
    for found in objects:
        yield from (key for key in found if SNAKE.search(key))


def _check(path: str, value: object, annotation: Any) -> list[str]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    with warnings.catch_warnings(record=True) as unknown:  # what the SDK says of words that it does not know
        warnings.simplefilter("always")
        try:
            adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False, include_context=False)
            return [f"{path}.{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors]
        except AttributeError as exc:  # an enum that is a number, which Vertex takes and the SDK's enums stumble over
            return [f"{path}: {exc}"]
    return [f"{path}: {warning.message}" for warning in unknown]


def _contents(body: Mapping[str, Any]) -> Iterator[str]:
    """What the API refuses and the types do not."""
    if not body.get("contents"):
        yield "contents: empty"
    for number, content in enumerate(body.get("contents", [])):
        if content.get("role", "user") not in ("user", "model"):
            yield f"contents[{number}].role: {content['role']}"
        for position, part in enumerate(content.get("parts", [])):
            path = f"contents[{number}].parts[{position}]"
            if sum(key in part for key in DATA) != 1 and "thoughtSignature" not in part:
                yield f"{path}: {list(part)}"
            for key in ("functionCall", "functionResponse"):
                if key in part and not part[key].get("name"):
                    yield f"{path}.{key}.name: missing"


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    functions = [function for tool in body.get("tools", []) for function in tool.get("functionDeclarations", [])]
    names = [function["name"] for function in functions]
    if len(set(names)) < len(names):
        yield f"tools: a name twice: {names}"
    for function in functions:
        if "parameters" in function and "parametersJsonSchema" in function:
            yield f"tools: {function['name']} has two schemas"
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = calling.get("allowedFunctionNames", [])
    if allowed and (calling.get("mode") not in ("ANY", "VALIDATED") or not set(allowed) <= set(names)):
        yield f"toolConfig: {calling}"


def canonical_request(body: Any) -> Any:
    """The body as Google understands it: keys in camelCase, nothing that is null, an object as a list of one."""
    if isinstance(body, list):
        return [canonical_request(one) for one in body]
    if not isinstance(body, dict):
        return body
    out: dict[str, Any] = {}
    for came, value in body.items():
        key = SNAKE.sub(lambda found: found[1].upper(), came)
        if key in LISTS and isinstance(value, dict):
            value = [value]
        if value is not None:
            out[key] = value if key in FREE or key in FREE_TOO else canonical_request(value)
    return out
