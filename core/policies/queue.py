"""Queue: the size follows a total over the fleet, down to none and up from none, in the shape of KEDA.

Two loops, as in KEDA (pkg/scaling/executor/scale_scaledobjects.go, and its documentation, "Scaling Deployments, StatefulSets & Custom Resources"):

- Each ``polling``: the fleet is *active* while the total is above ``activation`` (not at it). An active fleet has ``least`` servers at once.
  One that has been inactive for longer than ``cooldown`` has ``idle``; one that was never active need not wait for longer than ``initial_cooldown``.
- Each ``sync``, between ``least`` and any number: ceil(total / target), unless the total is within the tolerance of what the servers there
  (booting ones too) are to have; then stabilized and limited in its rate (core.policies.hpa_behavior). KEDA leaves that to a
  HorizontalPodAutoscaler with an external metric and an AverageValue.

Activation comes before scaling: an inactive fleet becomes idle however many servers its total asks for.

The total is the proxy's: without any server nobody else can say that one is needed. It is averaged over the samples since the loop looked last, so that
a single request wakes the fleet. Requests that the proxy turned away for want of a server would have been in flight, or waiting: they count there too.

Decided where the sources leave it open, or contradict each other: the cooldown is over *after* its length, not at it (``Before(now)``); the fallback comes
with the failure after ``failure_threshold`` others (``>``), counted by polls in both loops; before it, and without a fallback, the size is held; woken, the
fleet is first scaled one ``sync`` later; ``idle`` omitted means 0, or, if the autoscaler's minimum is 1 or more, that the fleet is always active.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .hpa_behavior import Behavior
from .hpa_history import History
from .hpa_metrics import Tolerances, recommend_for_total
from .view import SECOND, FleetView, Memory, Proposal

AUTO = -1
"""Idle size: none at all if the autoscaler's minimum allows it; else never idle."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """What to do without the metric, after *failure_threshold* failed polls and one more.

    *behavior*: ``static`` (have *servers*), ``current`` (stay), ``current_if_higher``, ``current_if_lower`` (than *servers*).
    """

    servers: int
    failure_threshold: int
    behavior: Literal["static", "current", "current_if_higher", "current_if_lower"] = "static"

    def size(self, current: int) -> int:
        """How many servers there should be."""
        match self.behavior:
            case "static":
                return self.servers
            case "current":
                return current
            case "current_if_higher":
                return max(current, self.servers)
            case "current_if_lower":
                return min(current, self.servers)


@dataclass(frozen=True, slots=True)
class Queue:
    """*target*: of *metric*, per server; *activation*: of the whole. Times in ns. See the module.

    *behavior*: see TargetTrackingHpa.
    """

    target: float
    metric: Literal["requests", "in_flight", "waiting"] = "requests"
    activation: float = 0.0
    polling: int = 30 * SECOND
    sync: int = 15 * SECOND
    cooldown: int = 300 * SECOND
    initial_cooldown: int = 0
    idle: int = AUTO
    least: int = 1
    tolerances: Tolerances = field(default_factory=Tolerances)
    behavior: Behavior = field(default_factory=Behavior)
    fallback: Fallback | None = None
    kind: Literal["queue"] = "queue"

    needs_proxy: ClassVar[bool] = True

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose what the loops said last, when none is due."""
        return _Turn(self, view, memory).proposal()

    def total(self, view: FleetView) -> float | None:
        """The metric now, None without a usable sample."""
        if view.proxy is None:
            return None
        if self.metric == "requests":
            return view.proxy["requests"]
        return view.proxy[self.metric] + view.proxy["unserved"]

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return ((self.target, "target"),) if metric == self.metric else ()


class _Loop:
    """One loop's time of the last look, and the samples since then."""

    def __init__(self, series: tuple[float, ...], now: int, total: float | None, period: int) -> None:
        last, total_before, count = series or (-1.0, 0.0, 0.0)
        self._last, self._sum, self._count = int(last), total_before, int(count)
        if total is not None:
            self._sum += total
            self._count += 1
        self._now = now
        self.due = self._last < 0 or now - self._last >= period

    def mean(self) -> float | None:
        """The average since the last look."""
        return self._sum / self._count if self._count else None

    def look(self) -> None:
        """Begin anew."""
        self._last, self._sum, self._count = self._now, 0.0, 0

    def series(self) -> tuple[float, ...]:
        """For the memory."""
        return (self._last, self._sum, self._count)


class _Turn:
    """One proposal in the making."""

    def __init__(self, policy: Queue, view: FleetView, memory: Memory) -> None:
        self.policy = policy
        self.view = view
        total = policy.total(view)
        self.poll = _Loop(memory.get("poll", ()), view.now, total, policy.polling)
        self.sync = _Loop(memory.get("sync", ()), view.now, total, policy.sync)
        begun, active, failures, wanted, awake = memory.get("state", (view.now, -1, 0, view.size, -1))
        self.begun, self.active, self.failures = int(begun), int(active), int(failures)
        self.wanted = int(wanted)
        self.idles = policy.idle != AUTO or view.minimum == 0
        self.rest = max(policy.idle, 0)
        self.awake = bool(awake) if awake >= 0 else not (self.idles and view.size <= self.rest)
        self.history = History.read(memory).carried_out(view.last_action)
        self.blind = total is None
        self.reason = "unknown" if self.blind and self.failures else "between looks"
        self.figures: dict[str, float] = {"target": policy.target}

    def proposal(self) -> Proposal:
        """What is proposed, and remembered."""
        woken = self.poll.due and self._poll()
        if woken:
            # What the fleet is scaled by comes after it has woken.
            self.sync.look()
        elif self.sync.due:
            if self.awake:
                self._scale()
            self.sync.look()
        memory: Memory = {
            "poll": self.poll.series(),
            "sync": self.sync.series(),
            "state": (self.begun, self.active, self.failures, self.wanted, int(self.awake)),
            **self.history.write(),
        }
        return Proposal(self.wanted, self.reason, memory, self.figures, self.blind)

    def _poll(self) -> bool:
        """Look whether the fleet is active; whether that woke it."""
        policy, now = self.policy, self.view.now
        total = self.poll.mean()
        self.poll.look()
        if total is None:
            return self._missing()
        self.failures = 0
        self.figures |= {"total": total, "activation": policy.activation}
        if total > policy.activation or not self.idles:
            self.active = now
            if self.awake and self.view.size >= policy.least:
                return False
            self.awake = True
            self.wanted = max(self.wanted, policy.least)
            self.reason = "active"
            return True
        if self.awake and self._cooled_down():
            self.awake = False
            self.wanted = self.rest
        self.reason = "cooling down" if self.awake else "not active"
        return False

    def _missing(self) -> bool:
        self.failures += 1
        self.reason = "unknown"
        fallback = self.policy.fallback
        if self.awake or fallback is None or self.failures <= fallback.failure_threshold:
            return False
        size = fallback.size(self.view.size)
        if size <= self.view.size:
            return False
        self.awake = True
        self.wanted = size
        self.reason = "fallback"
        return True

    def _cooled_down(self) -> bool:
        now, policy = self.view.now, self.policy
        if self.active >= 0:
            return now - self.active > policy.cooldown
        return policy.initial_cooldown == 0 or now - self.begun > policy.initial_cooldown

    def _scale(self) -> None:
        """The size for the total: what the HorizontalPodAutoscaler does for KEDA."""
        policy, size = self.policy, self.view.size
        total, reason = self.sync.mean(), ""
        if total is None:
            fallback = policy.fallback
            if fallback is None or self.failures <= fallback.failure_threshold:
                self.reason = "unknown"
                return
            total, reason = policy.target * fallback.size(size), "fallback"
        self.figures["total"] = total
        desired = recommend_for_total(total, policy.target, size, policy.tolerances).size
        allowed = self._allowed(desired)
        self.wanted = max(allowed, policy.least)
        if allowed != desired:
            self.reason = "limited"
        else:
            self.reason = reason or _direction(desired, size)

    def _allowed(self, wanted: int) -> int:
        """*wanted*, after stabilization and limits."""
        policy, now, size = self.policy, self.view.now, self.view.size
        history = policy.behavior.begun(now, size, self.history)
        _, allowed = policy.behavior.allowed(now, size, wanted, history)
        history = policy.behavior.changed(now, max(allowed, policy.least) - size, history)
        self.history = history.recommend(now, wanted)
        return allowed


def _direction(desired: int, size: int) -> str:
    if desired == size:
        return "within"
    return "above target" if desired > size else "below target"
