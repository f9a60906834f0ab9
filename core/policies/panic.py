"""Panic: Knative's pod autoscaler (KPA), which follows the load over a long window, and over a short one when load jumps.

What follows is Scale in knative/serving, pkg/autoscaler/scaling/autoscaler.go. Two averages of the metric's sum over all servers are kept,
over the stable and over the panic window; each, divided by what one server should have (``target`` times ``utilization``) and rounded up, is a
size, held between floor(ready / max_scale_down_rate) and ceil(ready * max_scale_up_rate). Panic begins when the panic window's size (before
those limits) is ``panic_threshold`` times what is ready, is prolonged by every such turn, and ends when more than a stable window has
passed since the last one. In panic the greater of both sizes counts, and the size never falls. ``scale_down_delay`` makes each size the greatest of those of
the last so many seconds. A fleet of more than one server is met in panic, so that a new autoscaler, which has no history, holds it.

Decided here, where Knative has nothing to say or lives in another world:

- Samples are kept as one sum per second (the second's last turn counts), and averages go over the seconds that have one: Knative's pods report
  every second, a turn here may come less often.
- A server without a usable sample counts as the mean of those that have one, as pods that Knative's scraper did not ask. While there is any, nothing is scaled in.
  Without any sample nothing changes: neither size nor panic.
- One server always stays (Knative's ``min-scale: 1``): nobody holds requests back for a fleet of none, as its activator does. The activation scale
  therefore is the least size as long as there is any load, which is what Scale makes of it.
- Ceilings and floors are guarded against fractions below 1e-9: ceil(1.1 * 10) is 11, where Go's is 12.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from .view import SECOND, FleetView, Memory, Proposal

_EPSILON = 1e-9
"""Keeps ceil(3.0000000000000004) at 3."""

_PANIC, _TIMES, _SUMS, _DELAYED_AT, _DELAYED = "panic", "seconds", "sums", "delayed_at", "delayed"
"""Names in the memory: (begin or prolongation of panic or CALM, size held), and two pairs of parallel series."""

CALM = -1
"""The time of a panic that there is not."""


@dataclass(frozen=True, slots=True)
class Panic:
    """*target*: the most of *metric* that a server can have, of which *utilization* (a share) is wanted on average.

    Windows and delay in ns; the panic window is the share *panic_window* of the stable one, in whole seconds. *panic_threshold*: panic at
    so many times what is ready. Rates: at most so many times more, or fewer, servers than are ready. *activation_scale*: the least size under load.
    """

    target: float
    metric: str = "requests"
    utilization: float = 0.7
    stable_window: int = 60 * SECOND
    panic_window: float = 0.1
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay: int = 0
    activation_scale: int = 1
    kind: Literal["panic"] = "panic"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose what Scale would, or the same size without samples."""
        view = view.showing(self.metric)
        ready = len(view.servers)
        kept = dict(memory)
        if _PANIC not in kept:
            kept[_PANIC] = (view.now if ready > 1 else CALM, ready)
        if not ready:
            return Proposal(max(view.size, 1), "no servers", kept)
        if not view.known:
            return Proposal(view.size, "unknown", kept, blind=True)
        known = math.fsum(metrics[self.metric] for metrics in view.known)
        stable, panic = self._averages(view.now // SECOND, known / len(view.known) * ready, kept)
        proposed, reason = self.scale(view.now, ready, stable, panic, kept)
        desired = max(proposed, 1)
        figures = {
            "stable": stable, "panic": panic, "target": self.target * self.utilization,
            "ready": float(ready), "panicking": float(kept[_PANIC][0] >= 0),
        }  # fmt: skip
        if view.unknown and desired < view.size:
            return Proposal(view.size, "unknown", kept, figures, blind=True)
        return Proposal(desired, reason, kept, figures, blind=view.unknown > 0)

    def scale(
        self, now: int, ready: int, stable: float, panic: float, kept: dict[str, tuple[float, ...]]
    ) -> tuple[int, str]:
        """Scale of autoscaler.go: the size, 0 without load, for *ready* servers and the two averages of the sum; *kept* (the memory) changes."""
        counted = max(ready, 1)
        most = _ceil(self.max_scale_up_rate * counted)
        least = math.floor(counted / self.max_scale_down_rate + _EPSILON)
        wanted = self.target * self.utilization
        raw_stable, raw_panic = _ceil(stable / wanted), _ceil(panic / wanted)
        by_stable = self._activated(raw_stable, min(max(raw_stable, least), most))
        by_panic = self._activated(raw_panic, min(max(raw_panic, least), most))
        since, held = kept[_PANIC]
        if raw_panic / counted >= self.panic_threshold - _EPSILON:
            since = now
        elif since >= 0 and since + self.stable_window < now:
            since, held = CALM, 0
        desired, reason = by_stable, "stable window"
        if since >= 0:
            held = max(held, by_stable, by_panic)
            desired, reason = int(held), "panic"
        kept[_PANIC] = (since, held)
        if self.scale_down_delay > 0:
            delayed = self._delay(now // SECOND, desired, kept)
            if delayed != desired:
                desired, reason = delayed, "scale-down delay"
        return desired, reason

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        if metric != self.metric:
            return ()
        wanted = self.target * self.utilization
        return ((wanted * self.panic_threshold, "panic"), (wanted, "target"))

    def _activated(self, raw: int, limited: int) -> int:
        return max(limited, self.activation_scale) if raw > 0 and self.activation_scale > 1 else limited

    def _averages(self, second: int, total: float, kept: dict[str, tuple[float, ...]]) -> tuple[float, float]:
        """Over the stable and the panic window, when *total* is this second's; older seconds are forgotten."""
        length = max(self.stable_window // SECOND, 1)
        pairs = zip(kept.get(_TIMES, ()), kept.get(_SUMS, ()), strict=False)
        seconds = [(time, value) for time, value in pairs if second - length < time < second]
        seconds.append((second, total))
        kept[_TIMES] = tuple(time for time, _ in seconds)
        kept[_SUMS] = tuple(value for _, value in seconds)
        short = max(math.floor(self.stable_window * self.panic_window / SECOND + 0.5), 1)
        late = [value for time, value in seconds if time > second - short]
        return math.fsum(kept[_SUMS]) / len(seconds), math.fsum(late) / len(late)

    def _delay(self, second: int, desired: int, kept: dict[str, tuple[float, ...]]) -> int:
        """The greatest size of the last so many seconds, this one's among them; what can never be it again is forgotten.

        TimeWindow in knative/serving, pkg/autoscaler/aggregation/max, with buckets of one second.
        """
        length = -(-self.scale_down_delay // SECOND)
        pairs = zip(kept.get(_DELAYED_AT, ()), kept.get(_DELAYED, ()), strict=False)
        falling = [(time, size) for time, size in pairs if second - time < length and size > desired]
        if not falling or falling[-1][0] != second:
            falling.append((second, desired))
        kept[_DELAYED_AT] = tuple(time for time, _ in falling)
        kept[_DELAYED] = tuple(size for _, size in falling)
        return int(falling[0][1])


def _ceil(value: float) -> int:
    return math.ceil(value - _EPSILON)
