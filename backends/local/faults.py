"""Faults of a flight: what strikes processes. The rest of the catalogue does not fly yet, and is refused before anything starts."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Any

from ...core.draws import TARGET, draw
from ...core.errors import UsageError
from ...core.faults import ALL
from ...core.lifecycle import State
from ...core.model import FaultSpec, FleetSpec
from .instances import Instance, Instances
from .process import RoleProcess

FLYING = frozenset({"kill", "pause", "proxy_restart", "autoscaler_crash"})
_STATES = {"app": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}


def check_faults(fleet: FleetSpec, elsewhere: bool = False) -> None:
    """Raises UsageError for a fault that cannot be flown. *elsewhere*: app servers are no processes of this machine."""
    for waiting in fleet.triggered:
        raise UsageError(
            f"fault {waiting.fault.name}: one that waits for something cannot be flown yet; expected a fault with a time of its own"
        )
    for fault in fleet.faults:
        if elsewhere and fault.role in _STATES:
            raise UsageError(
                f"fault {fault.name}: {fault.type} cannot strike app servers on EC2; expected a fault of proxy or autoscaler"
            )
        if fault.type not in FLYING:
            raise UsageError(
                f"fault {fault.name}: {fault.type} cannot be flown yet; expected one of {', '.join(sorted(FLYING))}"
            )
        if fault.type == "autoscaler_crash" and fault.word("during"):
            raise UsageError(
                f"fault {fault.name}: a crash during a launch cannot be flown; expected no attribute during"
            )


class FlightFaults:
    """Strikes at each fault's time. *proxy* takes a cause and how long it stays away, *autoscaler* when it comes back (ns; -1: never)."""

    def __init__(
        self,
        fleet: FleetSpec,
        instances: Instances,
        emit: Callable[[str, Mapping[str, Any]], None],
        proxy: Callable[[str, int], None],
        autoscaler: Callable[[int], None],
    ) -> None:
        self._fleet = fleet
        self._instances = instances
        self._emit = emit
        self._proxy = proxy
        self._autoscaler = autoscaler

    async def run(self, seconds_until: Callable[[int], float], start: int) -> None:
        """Carry out the whole timeline; *seconds_until* tells how long it is to a time of the scenario (ns), whose zero is at *start* (ns, live clock)."""
        await asyncio.gather(*(self._occur(fault, seconds_until, start) for fault in self._fleet.faults))

    async def _occur(self, fault: FaultSpec, seconds_until: Callable[[int], float], start: int) -> None:
        await asyncio.sleep(max(0.0, seconds_until(fault.at)))
        targets = self._targets(fault)
        length = {} if fault.until < 0 else {"until": start + fault.until}
        names: list[int | str] = [one.number for one in targets] if fault.role in _STATES else [fault.role]
        self._emit("fault", {"name": fault.name, "type": fault.type, "targets": names, **length})
        processes = [one.process for one in targets if one.process is not None]
        if fault.type == "proxy_restart":
            self._proxy(fault.name, int(fault.number("after")))
        elif fault.type == "autoscaler_crash":
            self._autoscaler(fault.until - fault.at if fault.until >= 0 else -1)
        elif fault.type == "pause":
            _signal_all(processes, signal.SIGSTOP)
        elif fault.role == "proxy":
            self._proxy(fault.name, self._fleet.proxy.restart_after)
        else:
            _signal_all(processes, signal.SIGKILL)
        if fault.until < 0:
            return
        await asyncio.sleep(max(0.0, seconds_until(fault.until)))
        if fault.type == "pause":
            _signal_all(processes, signal.SIGCONT)
        self._emit("fault_over", {"name": fault.name, "type": fault.type})

    def _targets(self, fault: FaultSpec) -> list[Instance]:
        """As the rehearsal draws them, by the fault's own stream."""
        if fault.role not in _STATES:
            return []
        present = self._instances.present()
        if fault.address:
            return [one for one in present if one.address == fault.address]
        able = [one for one in present if one.state == _STATES[fault.role]]
        if fault.count != ALL:
            able.sort(key=lambda one: draw(fault.stream, one.number, 0, TARGET))
            able = able[: fault.count]
        return able


def _signal_all(processes: list[RoleProcess], number: int) -> None:
    for process in processes:
        process.signal(number)
