"""Which faults can be flown, and where; what cannot is refused before anything starts."""

from ....core.errors import UsageError
from ....core.faults import FAULTS, SERVERS
from ....core.model import SECOND, FaultSpec
from ....scenarios.plan import Plan
from .links import is_from_registry
from .parts import Parts
from .schedule import FAMILIES

INSIDE = frozenset({"slow", "memory_leak", "error", "cpu_hog", "memory_pressure", "crash_loop", "disk_full"})
"""Servers' faults that are carried out inside our own app server, and not in a program of the user's."""

NEAR = frozenset(
    {"registry_down", "registry_slow", "boot_failure", "slow_boot", "dependency_down", "dependency_slow", "cache_flush",
     "stuck_launch", "stuck_termination", "stale_listing", "second_autoscaler"}
)  # fmt: skip
"""Faults that need every role, the registry's users and boots on this machine."""

OWN_REGISTRY = frozenset({"registry_restart", "disk_full", "stale_registry"})
"""Faults of the registry's server itself."""


def check_faults(plan: Plan, elsewhere: bool = False, given_registry: bool = False) -> None:
    """Raises UsageError for a fault of *plan* that cannot be flown. *elsewhere*: app servers are no processes of this machine; *given_registry*: the registry is the user's."""
    for fault in (*plan.fleet.faults, *(waiting.fault for waiting in plan.fleet.triggered)):
        reason = _refusal_here(fault, given_registry or elsewhere) or refusal(
            fault, plan.program is not None, elsewhere
        )
        if reason:
            raise UsageError(f"fault {fault.name}: {reason}")


def check_prepared(fault: FaultSpec, parts: Parts) -> None:
    """Raises UsageError for a *fault* that was not of the plan and that a flight under way is not prepared for. Blocks."""
    lags = parts.replicas.lags()
    if fault.type == "stale_registry" and int(fault.number("lag")) not in lags:
        there = ", ".join(f"{lag / SECOND:g} s" for lag in lags) or "none"
        raise UsageError(
            f"stale_registry: expected the lag of a replica that the flight began with ({there}), got {fault.number('lag') / SECOND:g} s"
        )
    parts.places.check_faults([fault])


def _refusal_here(fault: FaultSpec, given_registry: bool) -> str:
    """Why *fault*, as it is meant, cannot be flown on this machine, or nothing."""
    if given_registry and (
        (fault.type in OWN_REGISTRY and fault.role == "registry")
        or (fault.type == "second_autoscaler" and fault.word("lease") == "none")
    ):
        return f"{fault.type} needs a registry that the flight has started itself; expected no --redis-url"
    return ""


def refusal(fault: FaultSpec, program: bool, elsewhere: bool) -> str:
    """Why *fault* cannot be flown, or nothing. *program*: app servers run a program of the user's."""
    if not any(fault.type in family.types for family in FAMILIES.values()):
        flying = sorted(name for family in FAMILIES.values() for name in family.types)
        return f"{fault.type} cannot be flown yet; expected one of {', '.join(flying)}"
    if program and fault.type in INSIDE and fault.role in SERVERS:
        return (
            f"{fault.type} cannot strike a program of your own; expected kill, pause, or a fault of its links"
        )
    if not elsewhere:
        return ""
    on_the_line = FAULTS[fault.type].family == "links" and not is_from_registry(fault)
    if fault.type in NEAR or (fault.role in SERVERS and not on_the_line):
        return (
            f"{fault.type} of {fault.role} cannot be flown with app servers on EC2; expected a fault of proxy, autoscaler, of the "
            "links between proxy and servers, or of the cloud's API"
        )
    return ""
