"""The registry: every folder here is a dialect; others may come from packages with entry points `ccproxy.dialects`."""

from functools import cache
from importlib import import_module

from ccproxy.core.errors import MisuseError
from ccproxy.core.spi import Dialect


@cache
def names() -> tuple[str, ...]:
    """The names of the built-in dialects, sorted."""
    from pkgutil import iter_modules  # slow to import, and a known name needs no list

    return tuple(sorted(module.name.replace("_", "-") for module in iter_modules(__path__) if module.ispkg))


@cache
def get(name: str) -> Dialect:
    """The dialect of that name. Raises `MisuseError` with the known names."""
    if not isinstance(name, str):
        raise MisuseError(f"a dialect is named by a string, not {name!r}")
    module = f"{__name__}.{name.replace('-', '_')}"
    if name.replace("-", "").isalnum():
        try:
            built_in: Dialect = import_module(module).DIALECT
            return built_in
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    from importlib.metadata import entry_points  # slow to import, and only asked for names not found here

    for entry_point in entry_points(group="ccproxy.dialects"):
        if entry_point.name == name:
            found: Dialect = entry_point.load()
            return found
    raise MisuseError(f"unknown dialect {name!r}; known are {', '.join(names())}")
