"""What families of faults have in common, in every world: their face, and what several faults in force make together."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import prod
from typing import ClassVar, Final, Protocol

from .draws import key
from .model import NONE, FaultSpec, TriggeredFault
from .toxics import FOREVER

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

    def of(self, kind: str, target: int | str) -> list[FaultSpec]:
        """Those of type *kind* that hit *target*."""
        return [fault for fault in self.on(target) if fault.type == kind]


class Combining(ABC):
    """Implements Family where what hits a target acts together: whenever a fault begins or is over, what is in force now is applied.

    *momentary*: types that are over as soon as they have struck.
    """

    momentary: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type not in self.momentary:
            self._active.add(fault, targets)
        self._apply(fault, targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        self._apply(fault, targets)

    @abstractmethod
    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        """Let *targets* feel what is in force, now that *fault* has begun or is over; or has struck, if it is momentary."""


def dependency_state(faults: Iterable[FaultSpec]) -> tuple[float, bool]:
    """How many times as long a dependency takes under *faults*, and whether it is down."""
    known = list(faults)
    return slowness(one for one in known if one.type == "dependency_slow"), any(
        one.type == "dependency_down" for one in known
    )


class Clocks:
    """How far ahead whose clock is (ns; below 0: behind): what jumps have left, and the skews in force."""

    def __init__(self, active: Active) -> None:
        self._active = active
        self._jumped: Counter[int | str] = Counter()

    def jump(self, who: int | str, by: int) -> None:
        """The clock of *who* is turned by so much, for good."""
        self._jumped[who] += by

    def ahead(self, who: int | str) -> int:
        """How far the clock of *who* is ahead."""
        skews = (int(one.number("by")) for one in self._active.of("clock_skew", who))
        return self._jumped[who] + sum(skews)


def occurrence(waiting: TriggeredFault, number: int, time: int, seed: int) -> FaultSpec:
    """Occurrence *number* (from 1) of a fault that waited, which begins at *time*."""
    name = f"{waiting.fault.name}#{number}"
    until = NONE if waiting.length < 0 else time + waiting.length
    return replace(waiting.fault, name=name, at=time, until=until, stream=key(seed, f"fault/{name}"))


def is_occurrence(name: str, of: str) -> bool:
    """Whether a fault called *name* is an occurrence of the one called *of*."""
    stem, _, number = name.rpartition("#")
    return stem == of and number.isdigit()


def worst_error(faults: Iterable[FaultSpec]) -> tuple[float, int]:
    """Of several faults that make errors the worst counts: its share and status; (0, 0) without any."""
    worst = max((one for one in faults if one.type == "error"), key=lambda one: one.toxicity, default=None)
    return (worst.toxicity, int(worst.number("status"))) if worst else (0.0, 0)


def link_toxic(faults: Iterable[FaultSpec]) -> tuple[dict[str, float], dict[str, float]]:
    """What several faults of one link make of its two directions, upstream and downstream: fields of core.toxics.TOXIC."""
    known = list(faults)
    return _together([one for one in known if one.upstream]), _together(
        [one for one in known if one.downstream]
    )


def _together(faults: list[FaultSpec]) -> dict[str, float]:
    """The fields of core.toxics.TOXIC: of several of a type the latest counts; but losses are independent, partitions last as long as any, and the least bandwidth counts."""
    fields: dict[str, float] = {}
    kept = 1.0
    for fault in faults:
        if fault.type == "loss":
            kept *= 1.0 - fault.toxicity
            fields["loss"] = 1.0 - kept
            fields["loss_stream"] = fault.stream
        elif fault.type == "partition":
            until = FOREVER if fault.until < 0 else fault.until
            fields["until"] = max(fields.get("until", 0), until)
        elif fault.type == "bandwidth":
            fields["rate"] = min(fields.get("rate", fault.number("rate")), fault.number("rate"))
        else:
            fields |= _FIELDS[fault.type](fault)
    return fields


def _striking(name: str, fault: FaultSpec) -> dict[str, float]:
    """Whom it strikes."""
    return {f"{name}_stream": fault.stream, f"{name}_share": fault.toxicity}


_FIELDS: Final[dict[str, Callable[[FaultSpec], dict[str, float]]]] = {
    "latency": lambda fault: {
        "latency": int(fault.number("latency")), "jitter": int(fault.number("jitter")), **_striking("latency", fault),
    },
    "slicer": lambda fault: {
        "slice_size": int(fault.number("average_size")), "slice_delay": int(fault.number("delay")), **_striking("slice", fault),
    },
    "timeout": lambda fault: {
        "hold_after": int(fault.number("timeout")), "hold_since": fault.at, **_striking("hold", fault),
    },
    "reset": lambda fault: {
        "reset_after": int(fault.number("timeout")), "reset_since": fault.at, **_striking("reset", fault),
    },
    "slow_close": lambda fault: {"linger": int(fault.number("delay")), **_striking("linger", fault)},
    "limit_data": lambda fault: {
        "limit": int(fault.number("bytes")), "limit_since": fault.at, **_striking("limit", fault),
    },
}  # fmt: skip
