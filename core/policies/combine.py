"""Combine: several policies, of whose proposals the greatest, the least or the mean counts.

Each part sees the same fleet and has a memory of its own. Parts that only bound (``scheduled`` with a minimum or a maximum) have no say in which
proposal counts; the result is held within their bounds, the greatest minimum and the least maximum, and of a minimum above a maximum the minimum holds.
While any part is blind nothing is scaled in, whoever wishes it, as Kubernetes refuses it while one of several metrics is broken
("Scaling on multiple metrics" in the HorizontalPodAutoscaler's documentation); what is scaled out is what the other rules say.
The greatest is that of the parts which ask for something: EC2 Auto Scaling's ``step`` and ``simple`` abstain while no alarm of theirs asks for a change, so does a
``target_tracking_aws`` that never scales in. If all abstain, so does the whole.
The mean is rounded up, to the side of more capacity. Of equal proposals the first part's reason is given.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .single import SinglePolicy
from .view import UNLIMITED, FleetView, Limit, Memory, Proposal

_EPSILON = 1e-9
"""Keeps ceil(3.0000000000000004) at 3."""


@dataclass(frozen=True, slots=True)
class Combine:
    """The parts, at least one, and how one number is made of theirs."""

    of: "tuple[SinglePolicy | Combine, ...]"
    by: Literal["max", "min", "mean"] = "max"
    kind: Literal["combine"] = "combine"

    @property
    def needs_proxy(self) -> bool:
        """See Policy: if a part does."""
        return any(part.needs_proxy for part in self.of)

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose what the parts do, combined; reason and figures name the part."""
        names = self._names()
        parts = [
            (name, part.propose(view, _inside(memory, number)))
            for number, (name, part) in enumerate(zip(names, self.of, strict=True), start=1)
        ]
        desired, reason = self._chosen([(name, one) for name, one in parts if one.bounds is None])
        bounding = [(name, one.bounds) for name, one in parts if one.bounds is not None]
        bounds = None
        if len(bounding) == len(parts):
            desired, reason, bounds = view.size, f"{names[0]}: {parts[0][1].reason}", _common(bounding)
        desired, reason = _bounded(desired, reason, bounding)
        blind = [name for name, one in parts if one.blind]
        if blind and desired < view.size:
            desired, reason = view.size, f"{blind[0]}: unknown"
        kept = {
            f"{number}.{key}": series
            for number, (_, one) in enumerate(parts, start=1)
            for key, series in one.memory.items()
        }
        figures = {f"{name}.{key}": value for name, one in parts for key, value in _figures(one).items()}
        promotes, waives = _liberties([one for _, one in parts if one.bounds is None])
        silent = all(one.abstains for _, one in parts)
        return Proposal(desired, reason, kept, figures, bool(blind), bounds, promotes, waives, silent)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy: those of all parts."""
        return tuple(dict.fromkeys(mark for part in self.of for mark in part.marks(metric)))

    def _names(self) -> list[str]:
        """Each part's kind, numbered if it has its like."""
        kinds = [part.kind for part in self.of]
        return [
            f"{kind} {kinds[: number + 1].count(kind)}" if kinds.count(kind) > 1 else kind
            for number, kind in enumerate(kinds)
        ]

    def _chosen(self, wishes: list[tuple[str, Proposal]]) -> tuple[int, str]:
        if not wishes:
            return 0, ""
        if self.by == "mean":
            mean = sum(one.desired for _, one in wishes) / len(wishes)
            return math.ceil(mean - _EPSILON), "mean of " + ", ".join(name for name, _ in wishes)
        pick = max if self.by == "max" else min
        if self.by == "max":
            wishes = [wish for wish in wishes if not wish[1].abstains] or wishes
        name, one = pick(wishes, key=lambda wish: wish[1].desired)
        return one.desired, f"{name}: {one.reason}"


def _inside(memory: Memory, number: int) -> Memory:
    """What is a part's own, as the part called it."""
    own = f"{number}."
    return {name.removeprefix(own): series for name, series in memory.items() if name.startswith(own)}


def _figures(proposal: Proposal) -> Mapping[str, float]:
    return {"desired": float(proposal.desired), **proposal.figures}


def _liberties(wishes: list[Proposal]) -> tuple[bool, tuple[Limit, ...]]:
    """Standby servers may be promoted if any part that wishes something lets them be; a limit is waived if all of them do."""
    if not wishes:
        return True, ()
    waives = tuple(limit for limit in wishes[0].waives if all(limit in one.waives for one in wishes))
    return any(one.promotes for one in wishes), waives


def _common(bounding: list[tuple[str, tuple[int, int]]]) -> tuple[int, int]:
    least = max((low for _, (low, _) in bounding), default=0)
    most = min((high for _, (_, high) in bounding if high != UNLIMITED), default=UNLIMITED)
    return least, most if most == UNLIMITED else max(most, least)


def _bounded(desired: int, reason: str, bounding: list[tuple[str, tuple[int, int]]]) -> tuple[int, str]:
    """Within the bounds of all; the reason names the first part whose bound it is."""
    least, most = _common(bounding)
    if desired < least:
        return least, next(f"{name}: minimum" for name, bounds in bounding if bounds[0] == least)
    if 0 <= most < desired:
        # Where a minimum has lifted the maximum, it is nobody's maximum.
        owner = next((f"{name}: maximum" for name, bounds in bounding if bounds[1] == most), "")
        return most, owner or next(f"{name}: minimum" for name, bounds in bounding if bounds[0] == least)
    return desired, reason
