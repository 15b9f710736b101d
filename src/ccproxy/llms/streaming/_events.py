"""An event as a caller has it: a dict, or an object of an official SDK."""

from typing import Any, Protocol, cast, runtime_checkable

Json = dict[str, Any]


@runtime_checkable
class _Dumps(Protocol):
    """The SDKs' events, and anything else that knows itself as a dict."""

    def model_dump(self) -> Json: ...


def as_dict(event: object) -> Json | None:
    """The event as a dict; None if it is no event at all."""
    if not isinstance(event, dict) and isinstance(event, _Dumps):
        event = event.model_dump()
    return cast("Json", event) if isinstance(event, dict) else None
