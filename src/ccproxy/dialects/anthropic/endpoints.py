"""The Messages API over HTTP: https://docs.claude.com/en/api/overview"""

from collections.abc import Mapping
from typing import Any, Final

from ccproxy.core.fields import Fields
from ccproxy.core.spi import Endpoint, Endpoints, Model

_MODELS: Final = "/v1/models"


def owns(path: str, headers: Mapping[str, str]) -> bool:
    return path.startswith("/v1/messages") or "anthropic-version" in headers


def find(method: str, path: str, _query: Mapping[str, str]) -> Endpoint | None:
    match method, path:
        case "POST", "/v1/messages":
            return Endpoint("generate")
        case "POST", "/v1/messages/count_tokens":
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
            return "/messages"
        case "count_tokens":
            return "/messages/count_tokens"
        case "models":
            return "/models?limit=1000"
        case "model":
            return f"/models/{endpoint.model}"


def read_models(payload: Mapping[str, Any]) -> list[Model]:
    return [
        Model(id=model.text("id"), title=model.word("display_name"), owner="anthropic")
        for model in Fields(payload).each("data")
    ]


def write_model(model: Model) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.title or model.id,
        "created_at": _rfc3339(model.created),
    }


def write_models(models: list[Model]) -> dict[str, Any]:
    ids = [model.id for model in models]
    ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return {"data": [write_model(model) for model in models], "has_more": False, **ends}


def _rfc3339(seconds: int) -> str:
    """The time in UTC, by the civil calendar (https://howardhinnant.github.io/date_algorithms.html)."""
    days, rest = divmod(seconds, 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = era * 400 + year_of_era + (month <= 2)
    hour, rest = divmod(rest, 3600)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{rest // 60:02}:{rest % 60:02}Z"


ENDPOINTS: Final = Endpoints(
    version="/v1",
    base_has_version=False,
    environment={"ANTHROPIC_BASE_URL": "{root}", "ANTHROPIC_AUTH_TOKEN": "{key}", "ANTHROPIC_API_KEY": ""},
    owns=owns,
    find=find,
    path=path,
    key_headers=("x-api-key", "authorization"),
    bearer=False,
    headers={"anthropic-version": "2023-06-01"},
    crossing=("anthropic-version", "anthropic-beta"),
    returning=("request-id", "anthropic-"),
    read_models=read_models,
    write_models=write_models,
    write_model=write_model,
)
