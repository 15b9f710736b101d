"""The view for people: exchanges under way, in a terminal. The only module that knows rich."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .exchange import Exchange, as_text

_INTERVAL: Final = 0.25
_ROWS: Final = 15
"""Exchanges shown at once; of the others there is the number."""
_WIDTH: Final = 40
_COLUMNS: Final = ("client", "upstream", "model", "state", "age", "sent")


class View:
    """Shows the exchanges that `active` gives, and leaves a line for each that is over."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    @asynccontextmanager
    async def shown(self, active: Callable[[], Iterable[Exchange]]) -> AsyncGenerator[None, None]:
        """Keep the view on the screen while the context is open."""
        with self._live:
            task = asyncio.create_task(self._refresh(active))
            try:
                yield
            finally:
                task.cancel()

    def stop(self) -> None:
        """Give the terminal back as it was."""
        self._live.stop()

    def over(self, exchange: Exchange) -> None:
        """The observer of the application: an exchange has ended."""
        style = "red" if exchange.error is not None or exchange.status >= 400 else ""
        line = as_text(exchange.record(time.perf_counter()))
        self._console.print(Text(_printable(line), style=style))

    async def _refresh(self, active: Callable[[], Iterable[Exchange]]) -> None:
        shown = False
        while True:
            exchanges = list(active())
            if exchanges or shown:  # an idle view stays as it is
                self._live.update(table(exchanges, time.perf_counter()) if exchanges else "", refresh=True)
            shown = bool(exchanges)
            await asyncio.sleep(_INTERVAL)


def table(exchanges: Iterable[Exchange], now: float) -> Table:
    """The exchanges under way, the oldest first."""
    ordered = sorted(exchanges, key=lambda exchange: exchange.began)
    out = Table(*_COLUMNS, box=None, header_style="dim", pad_edge=False)
    for exchange in ordered[:_ROWS]:
        upstream = f"{exchange.upstream} ({exchange.upstream_dialect})"
        model = exchange.upstream_model or exchange.model
        state = exchange.phase if exchange.attempts < 2 else f"{exchange.phase}, attempt {exchange.attempts}"
        cells = (exchange.client, upstream, model, state, f"{now - exchange.began:.1f} s", _bytes(exchange.sent))
        out.add_row(*(Text(_printable(cell)[:_WIDTH]) for cell in cells))
    if len(ordered) > _ROWS:
        out.add_row(Text(f"and {len(ordered) - _ROWS} more", style="dim"))
    return out


def _bytes(count: int) -> str:
    return f"{count} B" if count < 1024 else f"{count / 1024:.1f} KiB"


def _printable(text: str) -> str:
    """The text without anything that a terminal would act upon: names come from clients."""
    return "".join(c if c.isprintable() else "?" for c in text)
