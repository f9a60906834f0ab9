"""Faults of links: latency, loss, partition."""

from ...core.model import FaultSpec
from ...core.toxics import FOREVER
from ..control import ControlPlane
from .family import Active, Targets

CLIENTS = 0
"""The number of the link between clients and proxy; a server's has the server's."""


class LinkFaults:
    """Implements Family. Of several faults of one type on one link the latest counts."""

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
            towards: dict[str, float] = {}
            back: dict[str, float] = {}
            for fault in self._active.on(target):
                fields = _fields(fault)
                if fault.upstream:
                    towards |= fields
                if fault.downstream:
                    back |= fields
            self._plane.disturb_link(CLIENTS if target == "proxy" else int(target), (towards, back))


def _from_registry(fault: FaultSpec) -> bool:
    return fault.type == "partition" and fault.word("from") == "registry"


def _fields(fault: FaultSpec) -> dict[str, float]:
    """The fields of core.toxics.TOXIC that *fault* sets."""
    if fault.type == "latency":
        return {
            "latency": int(fault.number("latency")),
            "jitter": int(fault.number("jitter")),
            "latency_stream": fault.stream,
            "latency_share": fault.toxicity,
        }
    if fault.type == "loss":
        return {"loss": fault.toxicity, "loss_stream": fault.stream}
    return {"until": FOREVER if fault.until < 0 else fault.until}
