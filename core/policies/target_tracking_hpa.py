"""Kubernetes' HorizontalPodAutoscaler (autoscaling/v2, of Kubernetes 1.33 and later), so exactly that a rehearsal predicts it.

In this order: each metric recommends a size (`hpa_metrics`) and the greatest wins; the recommendation is stabilized, then limited in its
rate (`hpa_behavior`), then bounded. Sources: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ and
pkg/controller/podautoscaler of kubernetes/kubernetes (horizontal.go: reconcileAutoscaler, computeReplicasForMetrics).

How its terms map: the current replicas are ``view.size`` (what serves and what boots), as a Deployment's ``spec.replicas`` counts pods from the
moment they are asked for; pods that are pending or not ready are the booting servers; a pod's start and its readiness are ``ServerView.since``.
A server serves only when it is ready, and what boots has never been ready: the initial readiness delay (30 s in Kubernetes),
which tells a first readiness from a later one, has nothing to decide here and is no setting.

- A metric is broken if no server that could count has a sample of it. With a broken metric nothing is scaled in, and nothing is recorded;
  if all are broken, the size is held.
- A size beyond a bound is corrected at once, without metrics, windows or rates.
- Changes are remembered as proposed; one that was not carried out (a cooldown) is forgotten at the next turn.
- Zero servers: only if a metric is a total (Kubernetes asks for an Object or External metric) and the minimum is 0; else 1 is the least. A fleet of 0 whose
  minimum is more counts as switched off in Kubernetes; here it is a fleet that has died, and gets its minimum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .hpa_behavior import Behavior
from .hpa_history import History
from .hpa_metrics import HpaMetric, Recommendation, Tolerances, Youth, recommend
from .view import SECOND, FleetView, Memory, Proposal


@dataclass(frozen=True, slots=True)
class TargetTrackingHpa:
    """*metrics* and what may become of their recommendation.

    *cpu_initialization_period* and *metric_window* (ns): see :class:`hpa_metrics.Youth`.
    """

    metrics: tuple[HpaMetric, ...]
    tolerances: Tolerances = field(default_factory=Tolerances)
    behavior: Behavior = field(default_factory=Behavior)
    cpu_initialization_period: int = 300 * SECOND
    metric_window: int = 15 * SECOND
    kind: Literal["target_tracking_hpa"] = "target_tracking_hpa"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """One turn of the controller."""
        history = History.read(memory).carried_out(view.last_action)
        history = self.behavior.begun(view.now, view.size, history)
        least, most = self._bounds(view)
        if view.size < least:
            reason = "below minimum" if view.size else "no servers"
            return self._done(view, history, least, reason, {})
        if view.size > most:
            return self._done(view, history, most, "above maximum", {})
        found = self._recommendations(view)
        usable = [one for one in found.values() if one is not None]
        blind = len(usable) < len(found) or view.showing(*found).unknown > 0
        figures = _figures(found)
        wanted = max((one.size for one in usable), default=view.size)
        if not usable or (len(usable) < len(found) and wanted < view.size):
            return Proposal(view.size, "unknown", history.write(), figures, True)
        return self._normalized(view, history, wanted, (least, most), figures, blind)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return tuple((one.target, "target") for one in self.metrics if one.metric == metric and not one.total)

    def _normalized(
        self,
        view: FleetView,
        history: History,
        wanted: int,
        bounds: tuple[int, int],
        figures: dict[str, float],
        blind: bool,
    ) -> Proposal:
        """Stabilization, then rates, then bounds."""
        stable, allowed = self.behavior.allowed(view.now, view.size, wanted, history)
        desired = min(max(allowed, bounds[0]), bounds[1])
        figures.update({"recommended": wanted, "stabilized": stable, "allowed": allowed})
        if desired != allowed:
            reason = "at maximum" if desired < allowed else "at minimum"
        elif allowed != stable:
            reason = "scale-out limited" if stable > view.size else "scale-in limited"
        elif stable != wanted:
            reason = "scale-out stabilized" if wanted > stable else "scale-in stabilized"
        else:
            reason = (
                "within" if wanted == view.size else "above target" if wanted > view.size else "below target"
            )
        return self._done(view, history.recommend(view.now, wanted), desired, reason, figures, blind)

    def _done(
        self,
        view: FleetView,
        history: History,
        desired: int,
        reason: str,
        figures: Mapping[str, float],
        blind: bool = False,
    ) -> Proposal:
        history = self.behavior.changed(view.now, desired - view.size, history)
        return Proposal(desired, reason, history.write(), figures, blind or view.unknown > 0)

    def _recommendations(self, view: FleetView) -> dict[str, Recommendation | None]:
        youth = Youth(self.cpu_initialization_period, self.metric_window)
        return {one.metric: recommend(one, view, self.tolerances, youth) for one in self.metrics}

    def _bounds(self, view: FleetView) -> tuple[int, int]:
        to_zero = any(one.total for one in self.metrics)
        least = max(view.minimum, 0 if to_zero else 1)
        return least, view.maximum if view.maximum >= 0 else max(least, 2**31 - 1)


def _figures(found: Mapping[str, Recommendation | None]) -> dict[str, float]:
    """Of each metric what was measured, its target and the size it asks for; a broken one has none."""
    figures: dict[str, float] = {}
    for name, one in found.items():
        if one is not None:
            figures.update({name: one.usage, f"{name}_target": one.target, f"{name}_size": one.size})
            figures.update({f"{name}_missing": one.missing, f"{name}_unready": one.unready})
    return figures
