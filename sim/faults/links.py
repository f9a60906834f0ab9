"""Faults of links: what they do to messages (core.toxics) and to connections (core.closing)."""

from collections.abc import Callable
from typing import Final

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
