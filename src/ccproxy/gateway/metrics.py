"""What an operator measures, for Prometheus.

Labels are names from the configuration and the vocabulary, never a client's.
"""

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ccproxy.core.losses import Loss
from ccproxy.core.vocab import Usage

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_GAPS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class Exchanges(NamedTuple):
    """What one kind of exchange is counted by."""

    requests: Counter
    duration: Histogram
    first_byte: Histogram


class Metrics:
    """One registry for each application, so that several can be mounted in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        pair = ("client", "upstream")
        self.requests = Counter(
            "ccproxy_requests", "Requests, by dialects and status.", (*pair, "status"), registry=registry
        )
        self.active = Gauge("ccproxy_active_exchanges", "Exchanges under way.", registry=registry)
        self.first_byte = Histogram(
            "ccproxy_first_byte_seconds",
            "From the request to the first byte.",
            pair,
            registry=registry,
            buckets=_SECONDS,
        )
        self.duration = Histogram(
            "ccproxy_exchange_seconds", "From the request to the last byte.", pair, registry=registry, buckets=_SECONDS
        )
        self.gap = Histogram(
            "ccproxy_read_gap_seconds", "Between two reads of a stream.", pair, registry=registry, buckets=_GAPS
        )
        self.tokens = Counter("ccproxy_tokens", "Tokens, by kind.", (*pair, "kind"), registry=registry)
        self.losses = Counter("ccproxy_losses", "What a target could not say.", (*pair, "kind"), registry=registry)
        self.upstream_errors = Counter(
            "ccproxy_upstream_errors", "Errors of an upstream, by kind.", ("upstream", "kind"), registry=registry
        )
        self.retries = Counter("ccproxy_retries", "Attempts after the first.", ("upstream",), registry=registry)
        self._exchanges: dict[tuple[str, str, int], Exchanges] = {}
        self.disconnects = Counter(
            "ccproxy_disconnects", "Clients that left before the end.", (*pair, "phase"), registry=registry
        )

    def exchanges(self, client: str, upstream: str, status: int) -> Exchanges:
        """What every exchange of a kind is entered in. Kept, since finding a child by its labels takes its time."""
        key = (client, upstream, status)
        found = self._exchanges.get(key)
        if found is None:
            found = self._exchanges[key] = Exchanges(
                self.requests.labels(client, upstream, str(status)),
                self.duration.labels(client, upstream),
                self.first_byte.labels(client, upstream),
            )
        return found

    def count_usage(self, client: str, upstream: str, usage: Usage) -> None:
        counts = {
            "input": usage.input,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
            "output": usage.output,
            "reasoning": usage.reasoning,
        }
        for kind, count in counts.items():
            if count:
                self.tokens.labels(client, upstream, kind).inc(count)

    def count_losses(self, client: str, upstream: str, losses: Iterable[Loss]) -> None:
        for loss in losses:
            self.losses.labels(client, upstream, loss.kind).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
