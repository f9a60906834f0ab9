"""What a rollout asks its driver for, and what the driver shows it.

Every command is idempotent: a driver may die after any of them, and its successor carries out again what the rollout, by what is observed then, still asks for.
A driver's turn is: observe, :meth:`Rollout.turn`, save :meth:`Rollout.save`, write ``Turn.updating`` into the registry, carry out ``Turn.commands`` in their order, up to the
first that fails: an old server is only drained after its successor was registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..tallies import Tallies

BOOTING, UP, UPDATING, FAILED = "booting", "up", "updating", "failed"
"""Phases of a server: launched and not up yet; its application runs; its version is being exchanged; it failed to boot, install or run."""

SERVING, CANARIES, STANDBY = "serving", "canary", "standby"
"""The registry's lists."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take *address* out of every list; it ends what it has in flight."""

    address: str


@dataclass(frozen=True, slots=True)
class Install:
    """Exchange the version of the server at *address* for *version*, in place, and start it. It stays out of the lists. Of one that runs it already: nothing."""

    address: str
    version: str


@dataclass(frozen=True, slots=True)
class Register:
    """Put *address* into the list *role* (serving, canary, standby)."""

    address: str
    role: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch an instance of *version* that belongs to the list *role*, which it must not enter by itself. *key* is its idempotency token: the same key, the same instance."""

    version: str
    role: str
    key: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """End the instance at *address* and delete what the registry holds of it."""

    address: str


@dataclass(frozen=True, slots=True)
class SetWeight:
    """The canaries get *share* (numerator, denominator) of the requests; None: what the scenario says (``canary_every``)."""

    share: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class RestartProxy:
    """Start the proxy in *version*. *handover*: the new process takes over without an interruption, the old one ends what it has."""

    version: str
    handover: bool


@dataclass(frozen=True, slots=True)
class RestartRegistry:
    """Start registry and autoscaler in *version*."""

    version: str


Command = Drain | Install | Register | Launch | Terminate | SetWeight | RestartProxy | RestartRegistry


@dataclass(frozen=True, slots=True)
class Server:
    """An instance as the driver sees it (those that are gone are not shown).

    *home*: the list that it belongs to, whether it stands in it or not; *listed*: the one that it stands in, empty: none. *version*: what runs on it, is being
    installed, or was launched. *in_flight*: requests that it works on, -1: not known. *healthy_since*: ns, -1: it is not healthy now. *key*: that of the
    :class:`Launch` it came from, empty: none of a deploy's. *number*: how the log calls it, 0: by its address.
    """

    address: str
    home: str
    listed: str
    version: str
    phase: str
    in_flight: int = 0
    healthy_since: int = -1
    key: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """The proxy or the registry: which version runs (or is being started), and since when it has been healthy (ns, -1: it is not)."""

    version: str
    healthy_since: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What a turn is shown.

    *share*: the canaries' share in the registry, None: none there. *tallies*: what the proxy has counted, None if nobody tells. *memory*: by address, (time of the sample in ns, share of memory).
    *failed*: commands that were tried and failed for good since the turn before (an Install that a playbook could not carry out); a Launch that
    the cloud refused is no failure, it is asked for again.
    """

    servers: tuple[Server, ...] = ()
    share: tuple[int, int] | None = None
    tallies: Tallies | None = None
    memory: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    proxy: Component | None = None
    registry: Component | None = None
    failed: frozenset[Command] = frozenset()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn answers.

    *updating*: the addresses to be in the registry's list of those that a deploy has in hand, before any command is carried out. *launches*: per list, the version that
    instances launched for it by others (the autoscaler) get from now on. *events*: for the log, (name, fields).
    """

    state: str
    reason: str
    commands: tuple[Command, ...] = ()
    updating: tuple[str, ...] = ()
    launches: Mapping[str, str] = field(default_factory=dict)
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
