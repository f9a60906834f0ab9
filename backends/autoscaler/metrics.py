"""The autoscaler's metrics: what it decided, how old the samples were that it decided by, and what its cloud refused."""

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from ...core.limits import BACKOFF, COOLDOWN, COST, MAXIMUM, MINIMUM
from ...core.model import SECOND
from ...core.scaling_decision import NO_LEASE, REFUSED, UNREACHABLE, Action, Decision, Drain, Launch, Promote
from ..live.settings import AutoscalerSettings
from ..metrics.exposition import MetricsServer
from ..metrics.families import (
    SHORT_BOUNDS,
    Durations,
    counter,
    counters,
    gauge,
    gauges,
    histogram,
    registry_of,
)
from ..metrics.registry_calls import RegistryCalls

HOST = "127.0.0.1"

_UNDECIDED = {UNREACHABLE: "unreachable", REFUSED: "cloud_refused", NO_LEASE: "no_lease"}
_REFUSALS = {"launch_refused": "launch", "terminate_refused": "terminate", "list_refused": "list"}


class ScalerMetrics:
    """Told of turns and events by the role's thread, read by those of scrapes. *now* gives the time by which samples are stamped (ns)."""

    def __init__(self, now: Callable[[], int], calls: RegistryCalls) -> None:
        self._now = now
        self._calls = calls
        self._turns = dict.fromkeys(("decided", *_UNDECIDED.values()), 0)
        self._actions = dict.fromkeys(("launch", "promote", "drain", "terminate"), 0)
        self._limits = dict.fromkeys((MINIMUM, MAXIMUM, COST, COOLDOWN, BACKOFF), 0)
        self._refusals = dict.fromkeys(_REFUSALS.values(), 0)
        self._missed = 0
        self._durations = Durations(SHORT_BOUNDS)
        self._last: Decision | None = None

    def turn(self, decision: Decision, took: int, missed: int) -> None:
        """A turn ended with *decision* after *took* ns; *missed* turns before it were left out."""
        self._durations.add(took)
        self._missed += missed
        self._turns[_UNDECIDED.get(decision.reason, "decided")] += 1
        for action in decision.actions:
            self._actions[_verb(action)] += 1
        for limit in decision.limits:
            self._limits[limit] += 1
        if decision.view is not None:
            self._last = decision

    def happened(self, event: str) -> None:
        """An event was told."""
        if event in _REFUSALS:
            self._refusals[_REFUSALS[event]] += 1

    def serve(self, settings: AutoscalerSettings) -> MetricsServer | None:
        """A server of them, on loopback, where *settings* want one. Raises OSError."""
        if settings.metrics_port < 0:
            return None
        return MetricsServer(registry_of(self.collect, self._calls.collect), HOST, settings.metrics_port)

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        yield counters(
            "windtunnel_autoscaler_turns", "Turns, by what came of them.", "result", dict(self._turns)
        )
        yield counter("windtunnel_autoscaler_turns_missed", "Turns that were left out, for the one before took too long.", self._missed)  # fmt: skip
        yield histogram("windtunnel_autoscaler_turn_duration_seconds", "Time of each turn.", self._durations)
        yield counters("windtunnel_autoscaler_actions", "Actions that were decided.", "action", dict(self._actions))  # fmt: skip
        yield counters("windtunnel_autoscaler_limits", "Decisions that a limit changed, by the limit.", "limit", dict(self._limits))  # fmt: skip
        yield counters("windtunnel_autoscaler_refusals", "Calls that the cloud refused.", "operation", dict(self._refusals))  # fmt: skip
        last = self._last
        if last is None or last.view is None or last.proposal is None:
            return
        view = last.view
        yield gauge("windtunnel_autoscaler_servers_desired", "Servers wanted, by the last decision.", last.desired)  # fmt: skip
        yield gauge("windtunnel_autoscaler_servers_proposed", "Servers that the policy asked for, before any limit.", last.proposal.desired)  # fmt: skip
        actual = {"serving": len(view.servers), "booting": len(view.booting), "standby": view.standby, "draining": view.draining}  # fmt: skip
        yield gauges("windtunnel_autoscaler_servers_actual", "Servers that the last decision saw, by state.", "state", actual)  # fmt: skip
        now = self._now()
        ages = {_name(server.number, server.address): max(0, now - server.sampled) / SECOND for server in view.servers if server.sampled >= 0}  # fmt: skip
        yield gauges("windtunnel_autoscaler_sample_age_seconds", "Age of the sample of each serving server that the last decision had.", "server", ages)  # fmt: skip
        unknown = sum(server.metrics is None for server in view.servers)
        yield gauge("windtunnel_autoscaler_servers_unknown", "Serving servers without a usable sample at the last decision.", unknown)  # fmt: skip


def _name(number: int, address: str) -> str:
    return str(number) if number > 0 else address.removeprefix("http://")


def _verb(action: Action) -> str:
    match action:
        case Launch():
            return "launch"
        case Promote():
            return "promote"
        case Drain():
            return "drain"
    return "terminate"
