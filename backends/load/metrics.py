"""The load generator's metrics: made at a scrape of the figures that it keeps anyhow, so that no send is late for their sake but by the scrape itself."""

from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric

from ..live.addresses import LOOPBACK
from ..live.settings import LoadSettings
from ..metrics.exposition import MetricsServer
from ..metrics.families import REQUEST_BOUNDS, SECOND, SHORT_BOUNDS, counter, cumulative, gauge, registry_of
from .figures import Figures, Histogram


class LoadMetrics:
    """Of *figures*. A second's latencies and lateness are in them when it is over."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def serve(self, settings: LoadSettings) -> MetricsServer | None:
        """A server of them, on loopback, where *settings* want one. Raises OSError."""
        if settings.metrics_port < 0:
            return None
        return MetricsServer(registry_of(self.collect), LOOPBACK, settings.metrics_port)

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        figures = self._figures
        # Read in the order in which they grow.
        failed, completed, offered = figures.failed, figures.completed, figures.offered
        yield counter("windtunnel_load_requests_offered", "Planned requests that have begun.", offered)
        yield counter(
            "windtunnel_load_requests_completed", "Of these, such as have their outcome.", completed
        )
        yield counter("windtunnel_load_requests_failed", "Of these, such as failed.", failed)
        yield gauge("windtunnel_load_requests_in_flight", "Begun and without an outcome.", offered - completed)  # fmt: skip
        yield _histogram("windtunnel_load_request_duration_seconds", "From a request's intended time to its outcome, of those that were answered.", figures.latencies, REQUEST_BOUNDS)  # fmt: skip
        yield _histogram("windtunnel_load_send_lateness_seconds", "How late the generator itself sent.", figures.lateness, SHORT_BOUNDS)  # fmt: skip


def _histogram(name: str, says: str, found: Histogram, bounds: tuple[int, ...]) -> Metric:
    """*found* in buckets of *bounds*; of a value it knows 7 binary digits."""
    counts, total = found.counted(bounds)
    return HistogramMetricFamily(name, says, buckets=cumulative(bounds, counts), sum_value=total / SECOND)
