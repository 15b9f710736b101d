"""The view for people, drawn without a terminal."""

import io
import time

from rich.console import Console

from ccproxy.gateway.exchange import Exchange
from ccproxy.gateway.live import View, table


def exchange(number: int, model: str = "m") -> Exchange:
    out = Exchange(f"id-{number}", "anthropic", 100.0 - number)
    out.upstream, out.upstream_dialect, out.model, out.phase = "main", "gemini", model, "streaming"
    return out


def drawn(*exchanges: Exchange) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(table(exchanges, 101.5))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_rows() -> None:
    first, second = exchange(1), exchange(2, "asked")
    second.upstream_model, second.attempts, second.sent = "[red]got[/red]", 2, 2048
    header, *rows = drawn(first, second)
    assert header.split() == ["client", "upstream", "model", "state", "age", "sent"]
    assert rows[0].split() == [
        "anthropic",
        "main",
        "(gemini)",
        "[red]got[/red]",
        "streaming,",
        "attempt",
        "2",
        "3.5",
        "s",
        "2.0",
        "KiB",
    ]
    assert rows[1].split() == ["anthropic", "main", "(gemini)", "m", "streaming", "2.5", "s", "0", "B"]


def test_many() -> None:
    rows = drawn(*map(exchange, range(20)))
    assert len(rows) == 1 + 15 + 1
    assert rows[-1] == "and 5 more"


def test_names_of_clients_can_not_steer_the_terminal() -> None:
    assert "\x1b" not in "".join(drawn(exchange(1, "\x1b]0;x\x07\n")))


def test_a_line_for_each_that_is_over() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    view = View(console)
    good, bad = exchange(1, "[bold]\x1b]0;x"), exchange(2)
    good.began = bad.began = time.perf_counter()
    good.status, bad.status, bad.error = 200, 429, "rate_limit"
    view.over(good)
    view.over(bad)
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().splitlines()
    assert first.startswith("200 anthropic -> main (gemini) '[bold]\\x1b]0;x'")
    assert second.startswith("\x1b[31m429 anthropic -> main (gemini)") and "rate_limit" in second
