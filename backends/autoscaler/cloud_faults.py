"""Faults of the cloud for an autoscaler that launches by itself: the conductor names those that are in force, and the wrapper (core.troubles) refuses what they refuse.

The conductor's own cloud, on this machine, has such a wrapper of its own, before which this one stands idle.
"""

from ...core.fault_family import occurrence
from ...core.model import FaultSpec, FleetSpec
from ...core.ports import Cloud
from ...core.troubles import TroubledCloud, Troubles
from ..live.clock import LiveClock


class CloudFaults:
    """*face* is what the autoscaler calls. Commands come in a thread of their own; what they say is in force from :meth:`take_over` on, which is the autoscaler's to call."""

    def __init__(self, cloud: Cloud, fleet: FleetSpec, clock: LiveClock) -> None:
        self._troubles = Troubles()
        self.face = TroubledCloud(cloud, self._troubles, clock.now)
        self._seed = fleet.seed
        self._known = {fault.name: fault for fault in fleet.faults}
        self._triggered = {one.fault.name: one for one in fleet.triggered}
        self._named: tuple[str, ...] = ()

    def obey(self, command: object) -> bool:
        """Whether *command* is about them: ``cloud`` (faults: names of those in force)."""
        match command:
            case {"command": "cloud", "faults": [*names]}:
                self._named = tuple(names)
                return True
        return False

    def take_over(self) -> None:
        """What was named last, and nothing else, is in force."""
        wanted = [self._fault(name) for name in self._named]
        for fault in [*self._troubles.of_cloud]:
            if fault not in wanted:
                self.face.end(fault)
        for fault in wanted:
            if fault not in self._troubles.of_cloud:
                self.face.begin(fault)

    def _fault(self, name: str) -> FaultSpec:
        if name not in self._known:
            family, _, number = name.rpartition("#")
            # When it began is nothing that a fault of the cloud goes by.
            self._known[name] = occurrence(self._triggered[family], int(number), 0, self._seed)
        return self._known[name]
