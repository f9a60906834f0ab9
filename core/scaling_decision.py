"""What a turn of the autoscaler decides: sizes, reasons, limits, and actions for its driver."""

from dataclasses import dataclass

from .policies.view import FleetView, Proposal

UNREACHABLE = "unreachable"
REFUSED = "cloud refused"
NO_LEASE = "no lease"
"""Reasons of a turn that could decide nothing."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch one serving instance."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Move a standby server to the serving ones."""

    address: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Take a server out of the lists; it ends what it has in flight."""

    number: int
    address: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """End an instance and delete what the registry holds of it."""

    number: int
    provider_id: str
    address: str
    reason: str


Action = Launch | Promote | Drain | Terminate


@dataclass(frozen=True, slots=True)
class Decision:
    """What one tick decided: servers wanted, servers there (serving and booting), why, and what to do.

    Further what it came from: what the policy saw, what it proposed, which *limits* (core.limits) made something else of
    that. *view* and *proposal* are None of a tick that could decide nothing.
    """

    desired: int
    actual: int
    reason: str
    actions: tuple[Action, ...]
    view: FleetView | None = None
    proposal: Proposal | None = None
    limits: tuple[str, ...] = ()
