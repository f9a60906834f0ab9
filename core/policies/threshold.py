"""The simple rule: any server too busy adds one, all servers idle enough remove one, one action at a time.

A server is too busy at or above either high mark, idle enough at or below both low marks. A server without a usable
sample is unknown: it neither adds nor lets one be removed. While a server boots nothing is added or removed. One server always
stays, and none at all makes one: without a server there is no sample that could ever ask for one.

Standby servers are promoted before any is launched, unless ``standby_above`` keeps them in reserve: then a standby server is promoted when
any server is above that mark, also while another boots (it boots itself in no time), and what is merely too busy launches.

The rule settles on some size under every constant load if each low mark that counts is below half of its high mark: else there is a load at which one
server is too busy and two are idle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from .view import NOTHING, FleetView, Limit, Memory, Proposal

OFF = -1.0
"""A mark that is not looked at."""


@dataclass(frozen=True, slots=True)
class ThresholdFaults:
    """Well-known faults of this rule, to demonstrate what each does.

    *in_on_either*: a server is idle when either signal is at or below its low mark. *last_server_decides*: the last server of the list alone decides on
    scale-in. *counters_never_reset*: nobody resets a server's request counter, so that it stands at the most there ever was, and the last sample of a server that
    has fallen silent is read again and again. *no_cooldown*: neither the cooldown nor a server that boots delays the next action. *no_maximum*: the maximum
    is not looked at. *two_launches*: two loops see the busy server, and each adds one.
    """

    in_on_either: bool = False
    last_server_decides: bool = False
    counters_never_reset: bool = False
    no_cooldown: bool = False
    no_maximum: bool = False
    two_launches: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """Marks per server: requests per second, and memory as a share; OFF: not looked at."""

    requests_high: float = OFF
    requests_low: float = OFF
    memory_high: float = OFF
    memory_low: float = OFF
    standby_above: float = OFF
    faults: ThresholdFaults = ThresholdFaults()
    kind: Literal["threshold"] = "threshold"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose one more, one fewer, or the same."""
        held = _hold_counters(view, memory) if self.faults.counters_never_reset else NOTHING
        seen = tuple(_counters(held[s.address]) if s.address in held else s.metrics for s in view.servers)
        known = tuple(metrics for metrics in seen if metrics is not None)
        desired, reason = self._decide(view, seen, known)
        return Proposal(
            desired,
            reason,
            memory=held,
            figures=self._figures(known),
            blind=len(known) < len(seen),
            promotes=self.standby_above < 0 or reason in ("standby_above", "no servers"),
            waives=self._waived(),
        )

    def _figures(self, known: tuple[Mapping[str, float], ...]) -> Mapping[str, float]:
        looked_at = [name for name in ("requests", "memory") if known and self.marks(name)]
        return {f"most {name}": max(metrics[name] for metrics in known) for name in looked_at}

    def _decide(
        self,
        view: FleetView,
        seen: tuple[Mapping[str, float] | None, ...],
        known: tuple[Mapping[str, float], ...],
    ) -> tuple[int, str]:
        if view.standby and any(0 <= self.standby_above < metrics["requests"] for metrics in known):
            return view.size + 1, "standby_above"
        if view.booting and not self.faults.no_cooldown:
            return view.size, "booting"
        if not view.servers:
            return max(view.size, 1), "no servers"
        reason = self._busy(known)
        if reason:
            return view.size + (2 if self.faults.two_launches else 1), reason
        judges = seen[-1:] if self.faults.last_server_decides else seen
        if view.size > 1 and all(metrics is not None and self._idle(metrics) for metrics in judges):
            return view.size - 1, "idle"
        return view.size, "within" if len(known) == len(seen) else "unknown"

    def _busy(self, known: tuple[Mapping[str, float], ...]) -> str:
        for name, mark in (("requests", self.requests_high), ("memory", self.memory_high)):
            if mark >= 0 and any(metrics[name] >= mark for metrics in known):
                return f"{name}_high"
        return ""

    def _idle(self, metrics: Mapping[str, float]) -> bool:
        marks = (("requests", self.requests_low), ("memory", self.memory_low))
        quiet = [metrics[name] <= mark for name, mark in marks if mark >= 0]
        return any(quiet) if self.faults.in_on_either else bool(quiet) and all(quiet)

    def _waived(self) -> tuple[Limit, ...]:
        waived: list[Limit] = []
        if self.faults.no_cooldown:
            waived.append("cooldown")
        if self.faults.no_maximum:
            waived.append("maximum")
        return tuple(waived)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        found = {
            "requests": (
                (self.requests_high, "high"),
                (self.requests_low, "low"),
                (self.standby_above, "standby"),
            ),
            "memory": ((self.memory_high, "high"), (self.memory_low, "low")),
        }.get(metric, ())
        return tuple((value, name) for value, name in found if value >= 0)


def _hold_counters(view: FleetView, memory: Memory) -> Memory:
    """By address, the most requests and the last memory that a listed server ever had."""
    held: dict[str, tuple[float, ...]] = {}
    for server in view.servers:
        before = memory.get(server.address)
        if server.metrics is not None:
            most = max(server.metrics.get("requests", 0.0), before[0] if before else 0.0)
            held[server.address] = (most, server.metrics.get("memory", 0.0))
        elif before:
            held[server.address] = before
    return held


def _counters(series: tuple[float, ...]) -> Mapping[str, float]:
    return dict(zip(("requests", "memory"), series, strict=True))
