"""Faults of links: what they do to messages (core.toxics) and to connections (core.closing)."""

from ...core.fault_family import Active, Targets, link_toxic
from ...core.model import FaultSpec
from ..control import ControlPlane

CLIENTS = 0
"""The number of the link between clients and proxy; a server's has the server's."""


class LinkFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane) -> None:
        self._plane = control.plane
        self._cut = control.troubles.cut
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if _from_registry(fault):
            self._cut.update(targets)
            return
        self._active.add(fault, targets)
        self._apply(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if _from_registry(fault):
            self._cut.subtract(targets)
            return
        self._active.remove(fault)
        self._apply(targets)

    def _apply(self, targets: Targets) -> None:
        for target in targets:
            toxic = link_toxic(self._active.on(target))
            self._plane.disturb_link(CLIENTS if target == "proxy" else int(target), toxic)


def _from_registry(fault: FaultSpec) -> bool:
    return fault.type == "partition" and fault.word("from") == "registry"
