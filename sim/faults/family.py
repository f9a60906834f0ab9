"""The face of a family of faults."""

from collections.abc import Callable, Iterable
from math import prod
from typing import Protocol

from ...core.model import FaultSpec

Targets = list[int | str]
"""Instances by number, everything else by name."""


class Family(Protocol):
    """Carries out the faults of a family."""

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """The fault strikes; for one that lasts also: it strikes targets that have come later."""
        ...

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """The fault is over."""
        ...


MOST_SLOWNESS = 1e6
"""Slowness multiplies up to this."""


def slowness(faults: Iterable[FaultSpec]) -> float:
    """The factor of several faults together."""
    return min(prod((fault.number("factor") for fault in faults), start=1.0), MOST_SLOWNESS)


class Slowness:
    """How slow targets are: by faults that say so, times by those that hold their cores. *apply* is called with the target when that changes."""

    def __init__(self, apply: Callable[[int | str], None]) -> None:
        self._apply = apply
        self._hogged: dict[int | str, float] = {}

    def hogged(self, target: int | str, factor: float) -> None:
        """What else computes there makes *target* so slow from now on."""
        self._hogged[target] = factor
        self._apply(target)

    def of(self, target: int | str, faults: Iterable[FaultSpec]) -> float:
        """The factor of *target*, which these *faults* slow down."""
        return min(slowness(faults) * self._hogged.get(target, 1.0), MOST_SLOWNESS)


class Active:
    """The faults of some kind that are in force, in the order in which they began, and whom they hit."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[FaultSpec, set[int | str]]] = {}

    def add(self, fault: FaultSpec, targets: Targets) -> None:
        """*fault* hits *targets* from now on."""
        self._faults.setdefault(fault.name, (fault, set()))[1].update(targets)

    def remove(self, fault: FaultSpec) -> None:
        """*fault* is over."""
        del self._faults[fault.name]

    def on(self, target: int | str) -> list[FaultSpec]:
        """Those that hit *target*."""
        return [fault for fault, targets in self._faults.values() if target in targets]
