"""What an operator measures, for Prometheus.

Labels are names from the configuration and the vocabulary, never a client's. The numbers are plain until somebody asks
for them, since the library's own cost some thirty calls an exchange.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from time import time
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from .exchange import Exchange

MEDIA_TYPE = CONTENT_TYPE_LATEST
Labels = tuple[str | int, ...]
Number = TypeVar("Number")

_PAIR = ("client", "upstream")
_MOST_TOKENS = 2**53
"""In one exchange. Of what upstreams call a count, a greater one is none, and neither is one below 0."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_GAPS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class _Family(dict[Labels, Number], Generic[Number]):
    """Numbers by the values of their labels; one that is missing begins when it is asked for."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        super().__init__()
        self._name, self._documentation, self._labels = name, documentation, labels
        self._created: dict[Labels, float] = {}

    def __missing__(self, labels: Labels) -> Number:
        self._created[labels] = time()
        number = self[labels] = self._new()
        return number

    def metric(self) -> Metric:
        metric = Metric(f"ccproxy_{self._name}", self._documentation, self._type)
        for labels, number in self.items():
            named = dict(zip(self._labels, map(str, labels), strict=True))
            for suffix, more, value in self._samples(number):
                metric.add_sample(f"{metric.name}_{suffix}", named | more, value)
            metric.add_sample(f"{metric.name}_created", named, self._created[labels])
        return metric

    _type: str

    def _new(self) -> Number:
        raise NotImplementedError

    def _samples(self, number: Number) -> Iterator[tuple[str, dict[str, str], float]]:
        raise NotImplementedError


class Counter(_Family[float]):
    """Counts: `counter[labels] += 1`."""

    _type = "counter"

    def _new(self) -> float:
        return 0.0

    def _samples(self, number: float) -> Iterator[tuple[str, dict[str, str], float]]:
        yield "total", {}, number


class Distribution:
    """How often a value was within which bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Histogram(_Family[Distribution]):
    """Distributions: `histogram[labels].observe(value)`."""

    _type = "histogram"

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, documentation, labels)
        self._bounds = bounds

    def _new(self) -> Distribution:
        return Distribution(self._bounds)

    def _samples(self, number: Distribution) -> Iterator[tuple[str, dict[str, str], float]]:
        total = 0
        for bound, count in zip((*map(float, self._bounds), "+Inf"), number.counts, strict=True):
            total += count
            yield "bucket", {"le": str(bound)}, total
        yield "count", {}, total
        yield "sum", {}, number.sum


class Metrics(Collector):
    """One registry for each application, so that several can be mounted in one process."""

    def __init__(self) -> None:
        self.active = 0
        """Exchanges under way."""
        self.requests = Counter("requests", "Requests, by dialects and status.", (*_PAIR, "status"))
        self.first_byte = Histogram("first_byte_seconds", "From the request to the first byte.", _PAIR, _SECONDS)
        self.duration = Histogram("exchange_seconds", "From the request to the last byte.", _PAIR, _SECONDS)
        self.gap = Histogram("read_gap_seconds", "Between two reads of a stream.", _PAIR, _GAPS)
        self.tokens = Counter("tokens", "Tokens, by kind.", (*_PAIR, "kind"))
        self.losses = Counter("losses", "What a target could not say.", (*_PAIR, "kind"))
        self.upstream_errors = Counter("upstream_errors", "Errors of an upstream, by kind.", ("upstream", "kind"))
        self.retries = Counter("retries", "Attempts after the first.", ("upstream",))
        self.disconnects = Counter("disconnects", "Clients that left before the end.", (*_PAIR, "phase"))
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def over(self, exchange: Exchange, now: float) -> None:
        """Count an exchange that has ended."""
        client, upstream = pair = (exchange.client, exchange.upstream)
        self.active -= 1
        self.requests[client, upstream, exchange.status] += 1
        self.duration[pair].observe(now - exchange.began)
        if exchange.first_byte is not None:
            self.first_byte[pair].observe(exchange.first_byte - exchange.began)
        usage = exchange.usage
        if usage is not None:
            for kind in ("input", "cache_read", "cache_write", "output", "reasoning"):
                count = getattr(usage, kind)
                if count and 0 < count <= _MOST_TOKENS:
                    self.tokens[client, upstream, kind] += count
        for kind, times in exchange.losses.items():
            self.losses[client, upstream, kind] += times
        if exchange.left:
            self.disconnects[client, upstream, exchange.phase] += 1

    def collect(self) -> Iterator[Metric]:
        """All that is measured, for the registry."""
        active = Metric("ccproxy_active_exchanges", "Exchanges under way.", "gauge")
        active.add_sample(active.name, {}, self.active)
        yield self.requests.metric()
        yield active
        for histogram in (self.first_byte, self.duration, self.gap):
            yield histogram.metric()
        for counter in (self.tokens, self.losses, self.upstream_errors, self.retries, self.disconnects):
            yield counter.metric()

    def text(self) -> bytes:
        return generate_latest(self.registry)
