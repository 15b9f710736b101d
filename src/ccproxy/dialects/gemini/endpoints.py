"""The Gemini API over HTTP: https://ai.google.dev/api/generate-content"""

import re
from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.spi import Endpoint, Endpoints, Model

_PATH: Final = re.compile(r"/v1(?:beta)?/models(?:/(?P<model>[^:]+?)(?::(?P<method>\w+))?)?")
_METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")


def owns(path: str, headers: Mapping[str, str]) -> bool:
    match = _PATH.fullmatch(path)
    return (
        path.startswith("/v1beta/")
        or (match is not None and match["method"] is not None)
        or "x-goog-api-key" in headers
        or "x-goog-api-client" in headers
    )


def find(method: str, path: str, query: Mapping[str, str]) -> Endpoint | None:
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    model = match["model"] or ""
    match method, match["method"]:
        case "POST", "generateContent":
            return Endpoint("generate", model, stream=False)
        case "POST", "streamGenerateContent":
            return Endpoint("generate", model, stream=True, array=query.get("alt") != "sse")
        case "POST", "countTokens":
            return Endpoint("count_tokens", model)
        case "GET", None:
            return Endpoint("model", model) if model else Endpoint("models")
        case _:
            return None


def path(endpoint: Endpoint) -> str:
    model = f"/models/{endpoint.model.removeprefix('models/')}"
    match endpoint.kind:
        case "generate" if endpoint.stream:
            return f"{model}:streamGenerateContent" + ("" if endpoint.array else "?alt=sse")
        case "generate":
            return f"{model}:generateContent"
        case "count_tokens":
            return f"{model}:countTokens"
        case "models":
            return "/models?pageSize=1000"
        case "model":
            return model


def read_models(payload: Mapping[str, Any]) -> list[Model]:
    return [
        Model(id=model.text("name").removeprefix("models/"), title=model.word("displayName"), owner="google")
        for model in Fields(payload).each("models")
    ]


def write_model(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "displayName": model.title or model.id,
        "supportedGenerationMethods": list(_METHODS),
    }


def write_models(models: list[Model]) -> dict[str, Any]:
    return {"models": [write_model(model) for model in models]}


ENDPOINTS: Final = Endpoints(
    version="/v1beta",
    base_has_version=False,
    environment={"GOOGLE_GEMINI_BASE_URL": "{root}", "GEMINI_API_KEY": "{key}"},
    owns=owns,
    find=find,
    path=path,
    key_headers=("x-goog-api-key", "authorization"),
    key_query="key",
    bearer=False,
    returning=("x-request-id", "x-goog-"),
    read_models=read_models,
    write_models=write_models,
    write_model=write_model,
)
