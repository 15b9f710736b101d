"""The reverse proxy: any client on any upstream. `create_app` gives an ASGI application; `ccproxy serve` runs it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config, load
    from .server import create_app

__all__ = ["Config", "create_app", "load"]

_HOMES = {"Config": "config", "create_app": "server", "load": "config"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
