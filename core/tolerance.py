"""How far two runs may lie apart: tolerances, and what they say of a difference."""

from collections.abc import Mapping
from dataclasses import dataclass

from .outcomes import NAMES

WITHIN, OUTSIDE, NO_TOLERANCE, NO_DATA = "within", "outside", "no tolerance", "no data"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A greatest difference, as a share of the first run's value if *relative*, else in the figure's own unit."""

    limit: float
    relative: bool = False

    def covers(self, first: float, second: float) -> bool:
        """Whether *second* lies within the tolerance around *first*; binary fractions at its very edge count as within."""
        room = self.limit * abs(first) if self.relative else self.limit
        return abs(second - first) <= room + 1e-9 * max(room, abs(first), abs(second))


Tolerances = Mapping[str, Tolerance]
"""By figure: one of FIGURES, or the name of an outcome, which then has a tolerance of its own."""

FIGURES = (
    "offered", "throughput", "p50", "p90", "p95", "p99", "outcomes", "fleet_size", "instance_hours", "decisions",
)  # fmt: skip
"""Figures that may have a tolerance."""

DEFAULTS: Tolerances = {
    "throughput": Tolerance(0.02, relative=True),
    "p50": Tolerance(0.15, relative=True),
    "p95": Tolerance(0.20, relative=True),
    "outcomes": Tolerance(0.01),
    "fleet_size": Tolerance(0.5),
    "decisions": Tolerance(1),
}
"""What a rehearsal may be off by: latencies in parts, shares of outcomes in points, fleet size in servers, decisions in ticks."""


def tolerance_of(name: str, tolerances: Tolerances) -> Tolerance | None:
    """The tolerance of the figure *name*; an outcome without one of its own has that of ``outcomes``."""
    return tolerances.get(name, tolerances.get("outcomes") if name in NAMES else None)
