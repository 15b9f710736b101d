"""The Responses API over HTTP: https://platform.openai.com/docs/api-reference/responses"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.spi import Endpoint, Endpoints, Model

_GENERATE: Final = "/responses"
_COUNT: Final = "/responses/input_tokens"
_MODELS: Final = "/v1/models"


def owns(path: str, _headers: Mapping[str, str]) -> bool:
    return path.startswith(f"/v1{_GENERATE}")


def find(method: str, path: str, _query: Mapping[str, str]) -> Endpoint | None:
    match method, path:
        case "POST", _ if path == f"/v1{_GENERATE}":
            return Endpoint("generate")
        case "POST", _ if path == f"/v1{_COUNT}":
            return Endpoint("count_tokens")
        case "GET", "/v1/models":
            return Endpoint("models")
        case "GET", _ if path.startswith(f"{_MODELS}/"):
            return Endpoint("model", path.removeprefix(f"{_MODELS}/"))
        case _:
            return None


def path(endpoint: Endpoint) -> str:
    match endpoint.kind:
        case "generate":
            return _GENERATE
        case "count_tokens":
            return _COUNT
        case "models":
            return "/models"
        case _:
            return f"/models/{endpoint.model}"


def read_models(payload: Mapping[str, Any]) -> list[Model]:
    return [
        Model(id=model.text("id"), created=model.number("created") or 0, owner=model.word("owned_by"))
        for model in Fields(payload).each("data")
    ]


def write_model(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner or "ccproxy"}


def write_models(models: list[Model]) -> dict[str, Any]:
    return {"object": "list", "data": [write_model(model) for model in models]}


ENDPOINTS: Final = Endpoints(
    version="/v1",
    base_has_version=True,
    environment={"OPENAI_BASE_URL": "{base}", "OPENAI_API_KEY": "{key}"},
    owns=owns,
    find=find,
    path=path,
    key_headers=("authorization",),
    bearer=True,
    crossing=("openai-organization", "openai-project", "openai-beta"),
    returning=("x-request-id", "openai-", "x-ratelimit-"),
    read_models=read_models,
    write_models=write_models,
    write_model=write_model,
)
