"""Whom a fault hits, in every world."""

from collections.abc import Collection, Iterable
from typing import Protocol

from .draws import TARGET, draw
from .fault_family import Targets
from .faults import ALL, SERVERS
from .lifecycle import ALIVE, State
from .model import FaultSpec, FleetSpec

_STATES = {"app": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}


class Server(Protocol):
    """What a world knows of an instance."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def address(self) -> str:
        """Where it listens."""

    @property
    def state(self) -> State:
        """Its state now."""


def targets_of(fault: FaultSpec, fleet: FleetSpec, present: Iterable[Server]) -> Targets:
    """Whom *fault* hits when it begins: of the servers that are *present* the one at its address, or some of its role, drawn by its own stream; or who else it is about."""
    if fault.role == "dependency":
        return [fleet.dependencies[fault.dependency].name]
    if fault.role not in SERVERS:
        return [fault.role]
    if fault.address:
        return [one.number for one in present if one.address == fault.address and one.state in ALIVE]
    return [*_drawn(fault, (one.number for one in present if one.state == _STATES[fault.role]))]


def hits_later(fault: FaultSpec, server: Server, hit: Collection[int | str]) -> bool:
    """Whether *fault*, which lasts and has hit those, hits *server* too, which has just come up: one that hits all of a role does."""
    hits_all = fault.count == ALL and not fault.address
    return hits_all and _STATES.get(fault.role) == server.state and server.number not in hit


def _drawn(fault: FaultSpec, able: Iterable[int]) -> list[int]:
    """Of the servers that *fault* can hit, by number, those that it hits: all, or so many."""
    numbers = sorted(able)
    if fault.count == ALL:
        return numbers
    return sorted(sorted(numbers, key=lambda number: draw(fault.stream, number, 0, TARGET))[: fault.count])
