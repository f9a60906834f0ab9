"""Metric families as Prometheus names them, made when they are asked for: nothing is counted twice for their sake.

Names, units and the ending ``_total`` follow Prometheus' own advice (https://prometheus.io/docs/practices/naming/). A label's values are bounded by the fleet or by a
table of ours; what a client or an application writes is never one, but for names of custom metrics, which :mod:`.limits` bounds.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

SECOND = 1_000_000_000

REQUEST_BOUNDS = tuple(
    ms * 1_000_000 for ms in (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)
)  # fmt: skip
"""Upper bounds (ns) of the buckets of requests: near enough to each other that p95 and p99, interpolated, are within half of a bucket."""

SHORT_BOUNDS = tuple(
    us * 1_000 for us in (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000)
)  # fmt: skip
"""Likewise of what should be over in milliseconds: calls of the registry, lateness of a timer."""

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

Labelled = Mapping[str, float]
"""Values by what one label says."""


class Durations:
    """A histogram of durations (ns) in fixed buckets, for one thread; *bounds* are inclusive upper ones."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[int] = REQUEST_BOUNDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0

    def add(self, duration: int) -> None:
        """Count one of so many ns."""
        self._counts[bisect_left(self._bounds, duration)] += 1
        self._sum += duration

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self._counts)

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Buckets as Prometheus has them (upper bound in seconds as text, so many at or below it), and the sum in seconds."""
        return cumulative(self._bounds, self._counts), self._sum / SECOND


class SharedDurations(Durations):
    """The same for several threads."""

    __slots__ = ("_lock",)

    def __init__(self, bounds: Sequence[int] = SHORT_BOUNDS) -> None:
        super().__init__(bounds)
        self._lock = Lock()

    def add(self, duration: int) -> None:
        """See Durations."""
        with self._lock:
            super().add(duration)


def cumulative(bounds: Sequence[int], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets with their upper *bounds* (ns) and *counts*, one more for what is beyond the last, as Prometheus has them."""
    found, passed = [], 0
    for bound, count in zip(bounds, counts, strict=False):
        passed += count
        found.append((f"{bound / SECOND:.9f}".rstrip("0").rstrip("."), float(passed)))
    return [*found, ("+Inf", float(passed + sum(counts[len(bounds) :])))]


def counter(name: str, says: str, value: float) -> Metric:
    """A counter; *name* without ``_total``."""
    return CounterMetricFamily(name, says, value=value)


def counters(name: str, says: str, label: str, values: Labelled) -> Metric:
    """Counters by one label; *name* without ``_total``."""
    family = CounterMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def gauge(name: str, says: str, value: float) -> Metric:
    """A value that goes up and down."""
    return GaugeMetricFamily(name, says, value=value)


def gauges(name: str, says: str, label: str, values: Labelled) -> Metric:
    """The same by one label."""
    family = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def facts(name: str, says: str, rows: Iterable[Mapping[str, str]]) -> Metric:
    """What is known of something and is no number, as labels of a gauge that is 1; every row has the same labels. *name* ends in ``_info``."""
    rows = list(rows)
    family = GaugeMetricFamily(name, says, labels=list(rows[0]) if rows else [])
    for row in rows:
        family.add_metric(list(row.values()), 1.0)
    return family


def histogram(name: str, says: str, durations: Durations) -> Metric:
    """A histogram; *name* ends in ``_seconds``."""
    buckets, total = durations.cumulative()
    return HistogramMetricFamily(name, says, buckets=buckets, sum_value=total)


class Collected:
    """What Prometheus' client asks at each scrape: *collect*."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        """The families, made now."""
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """Nothing before it is asked for: the books may not be there yet."""
        return ()


def registry_of(*collects: Callable[[], Iterable[Metric]]) -> CollectorRegistry:
    """A registry of a role's own: what *collects* make, and the process (CPU time, memory, descriptors) as every exporter tells it."""
    registry = CollectorRegistry()
    for collect in collects:
        registry.register(Collected(collect))
    ProcessCollector(registry=registry)
    return registry
