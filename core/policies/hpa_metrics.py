"""From one metric to a number of servers, as Kubernetes' HorizontalPodAutoscaler does it.

Source: kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go (GetResourceReplicas,
calcPlainMetricReplicas, GetExternalPerPodMetricReplicas, groupPods) as of Kubernetes 1.33 and later. The arithmetic is its own:
whole units first (percent of shares, thousandths of everything else; averages are truncated to them), then a ratio in double precision.

Servers fall into four groups. *Counted* ones bear a usable sample. *Missing* ones serve without: in a scale-in they count as wholly
busy (a share: 100%, or the target if that is more; else: exactly on target), in a scale-out as idle. *Unready* ones boot, or, for CPU alone,
became ready within the initialisation period and have no sample yet whose whole window lies after that; they do not count in a scale-in, and are
added back as idle in a scale-out. If what was filled in turns the direction, nothing changes. What is draining or dead is not seen at all. The size
counts every server of these groups, so that upstream's last check, for a size on the wrong side of the replicas, has nothing to find here.
"""

import math
from dataclasses import dataclass

from .view import LONG_AGO, FleetView, ServerView

SHARES = frozenset({"cpu", "memory"})
"""Metrics that are utilisations: Kubernetes' Resource metrics. All others are its Pods metrics."""

_PERCENT, _MILLI = 100, 1000


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Nothing changes while 1 - *down* <= usage / target <= 1 + *up*: the boundary is within, on both sides."""

    up: float = 0.1
    down: float = 0.1

    def within(self, ratio: float) -> bool:
        """Whether *ratio* is too close to 1 to act."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Youth:
    """When the CPU sample of a young server counts: within *period* ns after it became ready only if *window* ns of measurement lie after that."""

    period: int
    window: int

    def too_young(self, now: int, server: ServerView) -> bool:
        """Whether the sample still tells of the start. A sample of unknown time does while the period lasts."""
        if server.since == LONG_AGO or now >= server.since + self.period:
            return False
        return server.sampled < server.since + self.window


@dataclass(frozen=True, slots=True)
class HpaMetric:
    """*target*: the wanted average of *metric* over the servers, as the metric is measured (per second, a share, a number).

    *total*: the sum over the servers divided by what each should have (Kubernetes: an External metric with an AverageValue): no
    server is missing or unready then, and none are needed, so that it can scale to zero.
    """

    target: float
    metric: str = "requests"
    total: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What one metric wants: *size* servers; *usage* and *target* as it measured them (whole percent as a share, or thousandths)."""

    size: int
    usage: float
    target: float
    missing: int = 0
    unready: int = 0


@dataclass(frozen=True, slots=True)
class _Groups:
    counted: tuple[float, ...]
    missing: int
    unready: int


def recommend(
    metric: HpaMetric, view: FleetView, tolerances: Tolerances, youth: Youth
) -> Recommendation | None:
    """What *metric* asks for; None if it is broken: no server that could count has a sample of it (of a total: any server has none)."""
    return (
        _of_total(metric, view, tolerances) if metric.total else _of_average(metric, view, tolerances, youth)
    )


def _of_average(
    metric: HpaMetric, view: FleetView, tolerances: Tolerances, youth: Youth
) -> Recommendation | None:
    groups = _grouped(metric.metric, view, youth)
    if not groups.counted:
        return None
    unit = _PERCENT if metric.metric in SHARES else _MILLI
    target = max(round(metric.target * unit), 1)
    total = unit * math.fsum(groups.counted)
    usage = _whole(total / len(groups.counted))
    size = _size(groups, total, usage, target, view.size, tolerances, metric.metric in SHARES)
    return Recommendation(size, usage / unit, target / unit, groups.missing, groups.unready)


def _size(
    groups: _Groups, total: float, usage: int, target: int, current: int, tolerances: Tolerances, share: bool
) -> int:
    counted = len(groups.counted)
    ratio = usage / target
    unready = groups.unready if ratio > 1.0 else 0
    if not unready and not groups.missing:
        return current if tolerances.within(ratio) else math.ceil(ratio * counted)
    if ratio < 1.0:
        total += groups.missing * (max(_PERCENT, target) if share else target)
    if ratio != 1.0:
        counted += groups.missing
    counted += unready
    filled = _whole(total / counted) / target
    if tolerances.within(filled) or (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return current
    return math.ceil(filled * counted)


def _grouped(name: str, view: FleetView, youth: Youth) -> _Groups:
    counted: list[float] = []
    missing, unready = 0, len(view.booting)
    for server in view.servers:
        if server.metrics is None or name not in server.metrics:
            missing += 1
        elif name == "cpu" and youth.too_young(view.now, server):
            unready += 1
        else:
            counted.append(server.metrics[name])
    return _Groups(tuple(counted), missing, unready)


def _of_total(metric: HpaMetric, view: FleetView, tolerances: Tolerances) -> Recommendation | None:
    values = [metrics[metric.metric] for metrics in view.known if metric.metric in metrics]
    if len(values) < len(view.servers) or (view.booting and not view.servers):
        return None
    return recommend_for_total(math.fsum(values), metric.target, view.size, tolerances)


def recommend_for_total(total: float, target: float, current: int, tolerances: Tolerances) -> Recommendation:
    """What a *total* asks for of which each server is to have *target*, when there are *current* servers."""
    usage, each, size = _whole(_MILLI * total), max(round(target * _MILLI), 1), current
    if not size or not tolerances.within(usage / (each * size)):
        size = math.ceil(usage / each)
    return Recommendation(size, usage / _MILLI, each / _MILLI)


def _whole(units: float) -> int:
    """Truncated, but 28.999999999999996 is 29: what was measured as 0.29 is 29 percent."""
    return math.floor(round(units, 6))
