"""What an operator measures, for Prometheus.

Labels are names from the configuration and the vocabulary, never a client's.
"""

from typing import TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .exchange import Exchange

Metric = TypeVar("Metric", Counter, Histogram)

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_GAPS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


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
        self.disconnects = Counter(
            "ccproxy_disconnects", "Clients that left before the end.", (*pair, "phase"), registry=registry
        )
        self._children: dict[tuple[Counter | Histogram, tuple[str, ...]], Counter | Histogram] = {}

    def of(self, metric: Metric, *labels: str) -> Metric:
        """The child of a metric with these labels. Kept, since finding it takes its time."""
        key = (metric, labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return cast(Metric, child)

    def over(self, exchange: Exchange, now: float) -> None:
        """Count an exchange that has ended."""
        pair = (exchange.client, exchange.upstream)
        self.active.dec()
        self.of(self.requests, *pair, str(exchange.status)).inc()
        self.of(self.duration, *pair).observe(now - exchange.began)
        if exchange.first_byte is not None:
            self.of(self.first_byte, *pair).observe(exchange.first_byte - exchange.began)
        usage = exchange.usage
        if usage is not None:
            for kind in ("input", "cache_read", "cache_write", "output", "reasoning"):
                count = getattr(usage, kind)
                if count:
                    self.of(self.tokens, *pair, kind).inc(count)
        for kind, count in exchange.losses.items():
            self.of(self.losses, *pair, kind).inc(count)
        if exchange.left:
            self.of(self.disconnects, *pair, exchange.phase).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
