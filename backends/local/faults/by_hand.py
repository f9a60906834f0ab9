"""Faults that people ask for while a flight flies: checked as the scenario's own are, carried out by the same schedule, undone with the rest."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ....core.errors import UsageError
from ....core.faults import FAULTS, FaultType
from ....core.model import FaultSpec
from ....scenarios.asked_fault import asked_fault
from ....scenarios.plan import Plan
from ....scenarios.scenario import Scenario
from .flying import check_faults, check_prepared, refusal
from .schedule import FlightFaults


class FaultsByHand:
    """The faults of the flight of *plan*, which is *scenario*'s, for whoever may start and stop them. *faults* gives None until the flight has begun; *now* tells its time (ns of the scenario)."""

    def __init__(
        self, plan: Plan, scenario: Scenario, faults: Callable[[], FlightFaults | None], now: Callable[[], int]
    ) -> None:  # fmt: skip
        self._plan = plan
        self._scenario = scenario
        self._faults = faults
        self._now = now
        self._used: set[str] = set()

    async def start(self, wanted: object) -> dict[str, Any]:
        """Strike with what is *wanted* (scenarios.asked_fault) now; its name and targets. Raises UsageError."""
        faults = self._begun()
        kind = str(wanted.get("type", "")) if isinstance(wanted, Mapping) else ""
        name = next(
            name for number in range(1, len(self._used) + 2) if (name := f"{kind}-by-hand-{number}") not in self._used
        )  # fmt: skip
        # Validation takes longer than the conductor should be away.
        fault = await asyncio.to_thread(asked_fault, self._scenario, wanted, name, max(self._now(), 0))
        await asyncio.to_thread(check_prepared, fault, faults.parts)
        if fault.name in self._used:
            raise UsageError(f"name: expected another one than {fault.name!r}: a fault was called so already")
        only = replace(self._plan, fleet=replace(self._plan.fleet, faults=(fault,), triggered=()))
        check_faults(only, faults.parts.instances.elsewhere, faults.parts.redis is None)
        targets = faults.strike(fault)
        self._used.add(fault.name)
        return _shown(fault, targets, self._used)

    def stop(self, name: object) -> None:
        """The fault of this name, also one of the scenario's, is over now. Raises UsageError if it is not in force."""
        self._begun().lift(str(name))

    def in_force(self) -> list[dict[str, Any]]:
        """The faults that last now."""
        faults = self._faults()
        return [] if faults is None else [_shown(*one, self._used) for one in faults.in_force()]

    def types(self) -> dict[str, Any]:
        """The types that can be asked for here, with what may be said of them."""
        faults = self._faults()
        elsewhere = faults is not None and faults.parts.instances.elsewhere
        return {
            name: _words(kind)
            for name, kind in FAULTS.items()
            if any(self._flies(name, role, elsewhere) for role in kind.roles)
        }

    def _flies(self, kind: str, role: str, elsewhere: bool) -> bool:
        fleet = self._plan.fleet
        absent = (role == "autoscaler" and fleet.autoscaler is None) or (
            role == "dependency" and not fleet.dependencies
        )
        fault = FaultSpec(name=kind, type=kind, at=0, until=-1, role=role, count=1)
        return not absent and not refusal(fault, self._plan.program is not None, elsewhere)

    def _begun(self) -> FlightFaults:
        faults = self._faults()
        if faults is None:
            raise UsageError("expected a flight that has begun: its fleet is still starting")
        return faults


def _shown(fault: FaultSpec, targets: list[int | str], by_hand: set[str]) -> dict[str, Any]:
    return {
        "name": fault.name,
        "type": fault.type,
        "targets": [*targets],
        "at": fault.at,
        "until": fault.until,
        "by_hand": fault.name in by_hand,
    }


def _words(kind: FaultType) -> dict[str, Any]:
    return {
        "roles": list(kind.roles), "lasts": kind.lasts, "does": kind.does, "toxicity": kind.toxicity, "stream": kind.stream,
        "attributes": [
            {"name": name, "unit": one.unit, "meaning": one.meaning, "default": one.default, "words": list(one.words)}
            for name, one in kind.attributes
        ],
    }  # fmt: skip
