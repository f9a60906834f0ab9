"""An app server's metrics, and those of a program of the user's: made at a scrape of what the monitors see anyhow."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric

from ...core.model import SECOND
from ..live.settings import AppSettings
from ..metrics.exposition import MetricsServer
from ..metrics.families import (
    STATUS_CLASSES,
    Durations,
    counter,
    counters,
    facts,
    gauge,
    gauges,
    histogram,
    registry_of,
)
from ..metrics.registry_calls import RegistryCalls
from .membership import Membership
from .observation import Observation
from .server import AppServer


class Answered:
    """Answers of an app server by the first digit of their status, and how long each took from its arrival (ns)."""

    def __init__(self) -> None:
        self.answers = [0] * (len(STATUS_CLASSES) + 1)
        self.durations = Durations()


class Watched:
    """What the monitors of *membership*'s server saw last, and the totals of what they saw: for whoever scrapes, whatever faults make of what the registry is told."""

    def __init__(self, settings: AppSettings, membership: Membership, calls: RegistryCalls) -> None:
        self._settings = settings
        self._membership = membership
        self._calls = calls
        self._requests = self._cpu = 0
        self._last: Observation | None = None

    def saw(self, seen: Observation) -> None:
        """The monitors saw this of a second."""
        self._requests += seen.requests
        self._cpu += seen.cpu_ns
        self._last = seen

    def serve(self, *others: Callable[[], Iterable[Metric]]) -> MetricsServer | None:
        """A server of these and *others*, where the settings want one. Raises OSError."""
        settings = self._settings
        if settings.metrics_port < 0:
            return None
        return MetricsServer(registry_of(self._collect, *others), settings.host, settings.metrics_port)

    def _collect(self) -> Iterator[Metric]:
        settings, fleet = self._settings, self._settings.fleet
        yield facts(
            "windtunnel_app_info", "Which server this is.",
            [{"server": str(settings.number), "version": settings.release or fleet.version(settings.version).name, "state": self._membership.state.word}],
        )  # fmt: skip
        yield counter("windtunnel_app_requests", "Requests that have come, up to the monitors' last look.", self._requests)  # fmt: skip
        yield counter("windtunnel_app_cpu_seconds", "CPU time of the server's work: by its model, or of the program's processes.", self._cpu / SECOND)  # fmt: skip
        memory = fleet.app.memory.total
        yield gauge("windtunnel_app_memory_limit_bytes", "Memory that it may use; +Inf: no limit.", memory if memory > 0 else float("inf"))  # fmt: skip
        yield from self._calls.collect()
        seen = self._last
        if seen is None:
            return
        yield gauge("windtunnel_app_request_load", "Requests that came in the last second, as the registry is told.", seen.requests)  # fmt: skip
        yield gauge("windtunnel_app_memory_load_ratio", "Share of the memory in use, 0 to 1, as the registry is told.", seen.share)  # fmt: skip
        yield gauge("windtunnel_app_cpu_load_ratio", "Share of the cores in use in the last second, 0 to 1.", seen.cpu_ns / (SECOND * fleet.app.cores))  # fmt: skip
        yield gauge("windtunnel_app_memory_bytes", "Memory in use, by the model; of a program, what its processes have.", seen.memory)  # fmt: skip
        yield gauge("windtunnel_app_requests_in_flight", "Requests that were accepted and not answered, when the monitors looked last.", seen.in_flight)  # fmt: skip
        yield gauges("windtunnel_custom_metric", "Custom metrics of the last second, by name.", "metric", seen.custom)  # fmt: skip


def server_metrics(server: AppServer, answered: Answered) -> Callable[[], Iterator[Metric]]:
    """What there is of a modelled app server besides."""

    def collect() -> Iterator[Metric]:
        classes = dict(zip(STATUS_CLASSES, answered.answers[1:], strict=True))
        yield counters("windtunnel_app_responses", "Answers, by class of the status.", "status_class", classes)  # fmt: skip
        yield histogram("windtunnel_app_request_duration_seconds", "From a request's arrival to its answer, of those that had a worker.", answered.durations)  # fmt: skip
        yield gauge("windtunnel_app_queue_length", "Requests that wait for a worker.", server.queued)
        yield gauge("windtunnel_app_workers", "Workers.", server.spec.workers)
        yield gauge("windtunnel_app_workers_busy", "Workers that have a request.", server.busy)

    return collect
