"""Faults of links: latency, loss, partition."""

from ...core.model import FaultSpec
from ...core.toxics import FOREVER
from ..control import ControlPlane
from .family import Active, Targets

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
            active = self._active.on(target)
            towards = _together([fault for fault in active if fault.upstream])
            back = _together([fault for fault in active if fault.downstream])
            self._plane.disturb_link(CLIENTS if target == "proxy" else int(target), (towards, back))


def _from_registry(fault: FaultSpec) -> bool:
    return fault.type == "partition" and fault.word("from") == "registry"


def _together(faults: list[FaultSpec]) -> dict[str, float]:
    """The fields of core.toxics.TOXIC: of several latencies the latest counts, losses are independent, partitions last as long as any."""
    fields: dict[str, float] = {}
    kept = 1.0
    for fault in faults:
        if fault.type == "latency":
            fields["latency"] = int(fault.number("latency"))
            fields["jitter"] = int(fault.number("jitter"))
            fields["latency_stream"] = fault.stream
            fields["latency_share"] = fault.toxicity
        elif fault.type == "loss":
            kept *= 1.0 - fault.toxicity
            fields["loss"] = 1.0 - kept
            fields["loss_stream"] = fault.stream
        else:
            until = FOREVER if fault.until < 0 else fault.until
            fields["until"] = max(fields.get("until", 0), until)
    return fields
