"""Whether this machine can do what a flight in network namespaces asks for; tried, before anything of it starts."""

import os
import shutil
import sys
from collections.abc import Sequence

from ....core.errors import BackendFailure, UsageError
from ....core.model import FaultSpec
from ....scenarios.plan import Plan
from .clearing import remove
from .naming import Names, batch, run
from .shaping import CARRIED, arriving, leaving

_NEEDS = {
    "latency": ("tc netem", "CONFIG_NET_SCH_NETEM"),
    "bandwidth": ("tc tbf", "CONFIG_NET_SCH_TBF"),
    "loss": ("a tc filter with BPF", "CONFIG_NET_CLS_BPF"),
    "partition": ("a tc filter with BPF", "CONFIG_NET_CLS_BPF"),
}
"""By what a fault of a link is made, and the kernel's name for it."""


def check_network(plan: Plan, given_registry: bool) -> None:
    """Raises UsageError if *plan* cannot be flown in network namespaces of this machine. *given_registry*: the registry is the user's."""
    _check_programs()
    if given_registry:
        raise _refused(
            "expected no --redis-url; a registry of the flight's own is reached from its namespaces"
        )
    check_carried([*plan.fleet.faults, *(one.fault for one in plan.fleet.triggered)])


def check_carried(faults: Sequence[FaultSpec]) -> None:
    """Raises UsageError if this machine's kernel cannot carry out *faults* of links."""
    for fault in faults:
        if fault.type == "latency" and fault.toxicity < 1.0:
            raise _refused(
                f"fault {fault.name}: tc netem delays every packet; expected no toxicity, got {fault.toxicity:.0%}"
            )
    _try_kernel([fault for fault in faults if fault.type in CARRIED])


def _refused(why: str) -> UsageError:
    return UsageError(f"--network namespaces: {why}")


def _check_programs() -> None:
    if sys.platform != "linux":
        raise _refused(f"expected Linux, got {sys.platform}")
    if os.geteuid() != 0:
        raise _refused(f"expected root, who alone makes network namespaces; got user {os.geteuid()}")
    for program in ("ip", "tc"):
        if shutil.which(program) is None:
            raise _refused(f"expected iproute2, found no {program} on PATH")


def _try_kernel(faults: list[FaultSpec]) -> None:
    """Do once, in a namespace of its own, what is going to be done."""
    name = Names(os.getpid()).trial
    try:
        try:
            run("ip", "netns", "add", name)
            run("ip", "netns", "exec", name, "true")
            batch("ip", ["link add near type veth peer name far", "link add bridge type bridge"], name)
            batch("tc", ["qdisc add dev near clsact"], name)
        except BackendFailure as error:
            raise _refused(f"expected a kernel that lets us make namespaces, veth devices and bridges; {error}") from None  # fmt: skip
        for fault in faults:
            try:
                batch("tc", [leaving("near", _field(fault)), *arriving("near", _field(fault))], name)
            except BackendFailure as error:
                made_by, option = _NEEDS[fault.type]
                raise _refused(
                    f"fault {fault.name}: {fault.type} is made by {made_by}, which this kernel lacks ({option}); expected one that has it, or no --network. {error}"
                ) from None
    finally:
        remove(name)


def _field(fault: FaultSpec) -> dict[str, float]:
    """A fault of this type, whatever its attributes."""
    return {{"latency": "latency", "bandwidth": "rate", "loss": "loss", "partition": "until"}[fault.type]: 0.5 if fault.type == "loss" else 1e6}  # fmt: skip
