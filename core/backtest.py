"""What another policy would have decided, from what a recorded autoscaler saw.

Theory of operation
-------------------
The recorded views are of the fleet that was there. The other policy is asked twice, each time with a memory of its own and through the same
limits (core.limits.limited):

- *Asked* at every turn of the recorded fleet, as if it took over there and then.
- On its *own* fleet. Until the first turn at which that gets another size, it is the recorded one, and what the policy decides is
  certain. From there on the fleet is estimated: the sum of requests, and of CPU time, over the servers is the same, spread evenly; a server boots in the
  median time of the recorded boots.

The estimate ends, for good, with what the recording cannot tell (class _Lost): requests failed, so that their servers would have seen others; the policy looks at something that is not
conserved; a server would be busier than any that was recorded; the recorded fleet changed by itself, or samples lack.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median_low

from .limits import limited
from .model import AutoscalerSpec
from .policies.view import FleetView, Memory, ServerView
from .victims import OLDEST

NEGLIGIBLE = 0.01
"""The share of a turn's requests that may have failed while its samples still stand for all that was asked."""

CONSERVED = ("requests", "cpu")
"""Metrics whose sum over the servers is the same in another fleet that serves the same requests."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A recorded turn: what was seen, the size decided, why; *failed*: the share of the requests since the turn before that were not answered."""

    view: FleetView
    desired: int
    reason: str
    dry_run: bool = False
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A turn, judged: *size* of the recorded fleet, what was decided, what the other policy *asked* of that fleet would have.

    *own_size*, *own*: the size of its own fleet, and what it decides there (-1: nobody can tell).
    """

    time: int
    size: int
    desired: int
    reason: str
    asked: int
    asked_reason: str
    own_size: int = -1
    own: int = -1
    own_reason: str = ""


@dataclass(frozen=True, slots=True)
class Backtest:
    """All turns, judged. Times in ns, -1: never.

    *parts*: at this turn the other policy's fleet gets another size; *ends*: from this one on nobody can tell its size, and *why*. *boot*: the boot
    time that the estimate takes, *boots* the recorded ones behind it.
    """

    turns: tuple[Judged, ...]
    parts: int
    ends: int
    why: str
    boot: int
    boots: int

    @property
    def otherwise(self) -> int:
        """Turns at which the other policy, asked of the recorded fleet, decides another size."""
        return sum(turn.asked != turn.desired for turn in self.turns)


class _Lost(Exception):
    """What the recording cannot tell."""


class _Shared(Mapping[str, float]):
    """A server's part of what the whole fleet had. Raises _Lost when asked for what is no such part."""

    def __init__(self, parts: Mapping[str, float]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> float:
        if name not in self._parts:
            raise _Lost(
                f"the policy looks at {name}, which servers of another fleet would have had otherwise"
            )
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


@dataclass(slots=True)
class _Own:
    """The other policy's own fleet. Until it *parts* from the recorded one, that is it."""

    spec: AutoscalerSpec
    boot: int
    busiest: Mapping[str, float]
    parts: int = -1
    memory: Memory = field(default_factory=dict)
    last_action: int = -1
    serving: list[int] = field(default_factory=list)
    booting: list[int] = field(default_factory=list)
    draining: list[int] = field(default_factory=list)
    standby: int = 0
    _before: Turn | None = None

    def decide(self, turn: Turn) -> tuple[int, int, str]:
        """Its size at *turn*, the size that it decides on, and why. Raises _Lost."""
        view = self._view(turn)
        proposal = self.spec.policy.propose(view, self.memory)
        self.memory = proposal.memory
        desired, reason, _ = limited(self.spec, view, proposal)
        if self.parts < 0 and desired != (view.size if turn.dry_run else turn.desired):
            self.parts = turn.view.now
            self.serving = [server.since for server in view.servers]
            self.booting = list(view.booting)
            self.draining = [view.now] * view.draining
            self.standby, self.last_action = view.standby, view.last_action
        if self.parts >= 0:
            self._resize(desired - view.size, view.now, proposal.promotes)
        self._before = turn
        return view.size, desired, reason

    def _view(self, turn: Turn) -> FleetView:
        if self.parts < 0:
            # In a dry run the time of the last action is of one that never was.
            return _bounded(turn, self.spec, -1)
        before, now = self._before, turn.view.now
        assert before is not None
        if turn.failed > NEGLIGIBLE:
            raise _Lost("requests were not answered, so that the samples are not of all that was asked")
        if turn.view.size != (before.view.size if before.dry_run else before.desired):
            raise _Lost("the recorded fleet changed by itself: a server was lost, came, or could not be had")
        up = [launched for launched in self.booting if now - launched >= self.boot]
        self.booting = [launched for launched in self.booting if now - launched < self.boot]
        self.serving += [launched + self.boot for launched in up]
        if not self.serving:
            raise _Lost("its fleet would have no server")
        parts = self._spread(turn.view, before.view.now)
        sampled = max((server.sampled for server in turn.view.servers), default=-1)
        servers = tuple(
            ServerView(f"estimated {number}", _Shared(parts), since, sampled)
            for number, since in enumerate(self.serving, 1)
        )
        # As in core.autoscaler: a drained server is seen up to the turn that ends it.
        gone = self.spec.drain_grace + self.spec.interval
        self.draining = [drained for drained in self.draining if now - drained < gone]
        return FleetView(
            now, servers, tuple(self.booting), self.standby, self.last_action, self.spec.minimum, self.spec.maximum,
            len(self.draining), _arrivals(turn.view.proxy), self._others(turn.view),
        )  # fmt: skip

    def _others(self, view: FleetView) -> int:
        """The recorded other instances, with its own draining and standby ones."""
        return view.others - view.draining - view.standby + len(self.draining) + self.standby

    def _spread(self, view: FleetView, before: int) -> Mapping[str, float]:
        """The recorded sums, per own server. A server without a sample had nothing yet if it is new, else as much as the others."""
        if not view.known:
            raise _Lost("no server had a usable sample")
        alike = sum(s.metrics is not None or s.since <= before for s in view.servers)
        parts = {}
        for name in CONSERVED:
            total = sum(sorted(metrics[name] for metrics in view.known)) * alike / len(view.known)
            parts[name] = total / len(self.serving)
            if parts[name] > self.busiest[name]:
                raise _Lost(f"its servers would be busier ({name}) than any that was recorded")
        return parts

    def _resize(self, more: int, now: int, promotes: bool) -> None:
        """As core.autoscaler reconciles: promote, launch; cancel what boots, drain."""
        if more == 0:
            return
        self.last_action = now
        if more > 0:
            promoted = min(more, self.standby) if promotes else 0
            self.standby -= promoted
            self.serving += [now] * promoted
            self.booting += [now] * (more - promoted)
            return
        cancelled = min(-more, len(self.booting))
        self.booting = sorted(self.booting)[: len(self.booting) - cancelled]
        drained = min(-more - cancelled, len(self.serving))
        # Its servers are alike, so that the least busy is the youngest.
        first = drained if self.spec.victims == OLDEST else 0
        self.serving = sorted(self.serving)[first : first + len(self.serving) - drained]
        self.draining += [now] * drained


def _arrivals(proxy: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """What of the proxy's sample another fleet would not have changed."""
    return None if proxy is None else _Shared({"requests": proxy["requests"]})


def backtest(turns: Iterable[Turn], spec: AutoscalerSpec, boot: int) -> Backtest:
    """Judge the recorded *turns* (gone through twice) by the policy, bounds and cooldown of *spec*. *boot*: a boot time (ns), should none be recorded."""
    boots, busiest = _learn(turns)
    own = _Own(spec, median_low(boots) if boots else boot, busiest)
    asked = _Asked(spec)
    judged, ends, why = [], -1, ""
    for turn in turns:
        view = turn.view
        desired, reason = asked.decide(turn)
        mine: tuple[int, int, str] = (-1, -1, "")
        if ends < 0:
            try:
                mine = own.decide(turn)
            except _Lost as lost:
                ends, why = view.now, str(lost)
        judged.append(Judged(view.now, view.size, turn.desired, turn.reason, desired, reason, *mine))
    return Backtest(tuple(judged), own.parts, ends, why, own.boot, len(boots))


@dataclass(slots=True)
class _Asked:
    """The other policy, asked of the recorded fleet."""

    spec: AutoscalerSpec
    memory: Memory = field(default_factory=dict)
    last_action: int = -1

    def decide(self, turn: Turn) -> tuple[int, str]:
        """The size it decides on, and why."""
        view = _bounded(turn, self.spec, self.last_action)
        proposal = self.spec.policy.propose(view, self.memory)
        self.memory = proposal.memory
        desired, reason, _ = limited(self.spec, view, proposal)
        if desired != view.size:
            self.last_action = view.now
        return desired, reason


def _bounded(turn: Turn, spec: AutoscalerSpec, last_action: int) -> FleetView:
    """The recorded view under the bounds of *spec*; in a dry run the *last_action* is the other policy's own."""
    view = replace(turn.view, minimum=spec.minimum, maximum=spec.maximum)
    return replace(view, last_action=last_action) if turn.dry_run else view


def _learn(turns: Iterable[Turn]) -> tuple[list[int], Mapping[str, float]]:
    """The boot times that show in the views, and the most that a server had of each conserved metric."""
    boots: list[int] = []
    busiest = dict.fromkeys(CONSERVED, 0.0)
    before: FleetView | None = None
    for turn in turns:
        view = turn.view
        for metrics in view.known:
            for name in CONSERVED:
                busiest[name] = max(busiest[name], metrics[name])
        if before is not None:
            fresh = sorted(s.since for s in view.servers if s.since > before.now)
            gone = [launched for launched in before.booting if launched not in view.booting]
            boots += [ready - launched for launched, ready in zip(gone, fresh, strict=False)]
        before = view
    return boots, busiest
