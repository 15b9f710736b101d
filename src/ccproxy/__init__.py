"""Any program that speaks one LLM streaming dialect, any model that speaks another.

The names here are imported when they are first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import CCProxyError, MisuseError, RequestRefused, StreamFailed
    from .core.losses import Loss, Translated
    from .failures import TranslatedError, error_response, translate_error
    from .requests import (
        TranslatedRequest,
        translate_count_request,
        translate_count_response,
        translate_request,
    )
    from .responses import Replayed, read_response, replay, translate_response
    from .shells.aio import atranslate
    from .shells.sync import collect, translate
    from .translator import Translator

    __version__: str

__all__ = [
    "CCProxyError",
    "Loss",
    "MisuseError",
    "Replayed",
    "RequestRefused",
    "StreamFailed",
    "Translated",
    "TranslatedError",
    "TranslatedRequest",
    "Translator",
    "__version__",
    "atranslate",
    "collect",
    "error_response",
    "read_response",
    "replay",
    "translate",
    "translate_count_request",
    "translate_count_response",
    "translate_error",
    "translate_request",
    "translate_response",
]

_HOMES = {
    "CCProxyError": "core.errors",
    "Loss": "core.losses",
    "MisuseError": "core.errors",
    "Replayed": "responses",
    "RequestRefused": "core.errors",
    "StreamFailed": "core.errors",
    "Translated": "core.losses",
    "TranslatedError": "failures",
    "TranslatedRequest": "requests",
    "Translator": "translator",
    "atranslate": "shells.aio",
    "collect": "shells.sync",
    "error_response": "failures",
    "read_response": "responses",
    "replay": "responses",
    "translate": "shells.sync",
    "translate_count_request": "requests",
    "translate_count_response": "requests",
    "translate_error": "failures",
    "translate_request": "requests",
    "translate_response": "responses",
}


if not TYPE_CHECKING:  # so that type checkers know the names above and no others

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("ccproxy-streaming")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
