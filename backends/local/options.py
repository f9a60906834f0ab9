"""How a flight is to be flown, and what it shows while it flies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import UsageError
from ..live.otel_environment import Environment
from .stopping import Condition

DEMANDS = ("sleep", "burn")
NETWORKS = ("loopback", "namespaces")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a flight looks like now: *now* and *end* in ns of the scenario, counts, p99 of the last second in ns, the last decision's words."""

    now: int
    end: int
    offered: int
    completed: int
    failed: int
    p99: int
    servers: int
    decision: str


@dataclass(frozen=True, slots=True)
class FlightOptions:
    """Options of a flight; none of them changes the plan. Raises UsageError.

    *demand*: ``sleep`` for the CPU time of a request or ``burn`` it. *proxy*: address of a fleet's proxy to attach to. *redis_url*: a registry that is there already, else one is started. *hold*: keep the
    fleet up after the plan until interrupted. *allowed*: hosts besides loopback that load, and news of alerts, may go to. *max_instances* and *max_hours* limit what a flight on EC2 may launch (at a time, and
    instance-hours in all). *stop_when*: a condition (backends.local.stopping) that ends the faults before their time. *allow_faults*: whoever knows the flight's token may start and stop faults. *network*: ``loopback``, or ``namespaces`` for links and addresses of
    their own (backends.local.network). *traced*: roles pass traces on and name them in their logs, also
    where the environment names no endpoint to export them to. *profile_code*: a flame graph of each role, in the run's directory. *announce* is told every address once the fleet is up, *watch* gets the figures of each second, *notice* what one must know.
    """

    demand: str = "sleep"
    proxy: str = ""
    redis_url: str = ""
    load_processes: int = 1
    hold: bool = False
    allowed: tuple[str, ...] = ()
    max_instances: int | None = None
    max_hours: float | None = None
    stop_when: str = ""
    allow_faults: bool = False
    network: str = "loopback"
    traced: bool = False
    profile_code: bool = False
    announce: Callable[[Mapping[str, Any]], None] | None = None
    watch: Callable[[Figures], None] | None = None
    notice: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        Environment.read()
        if self.stop_when:
            Condition.parse(self.stop_when)
        if self.demand not in DEMANDS:
            raise UsageError(f"expected --demand {' or '.join(DEMANDS)}, got {self.demand!r}")
        if self.network not in NETWORKS:
            raise UsageError(f"expected --network {' or '.join(NETWORKS)}, got {self.network!r}")
        if self.redis_url and not self.redis_url.startswith(REDIS_SCHEMES):
            # Not all of it is shown: there may be a password in it.
            start = self.redis_url.partition("@")[2] or self.redis_url
            raise UsageError(f"--redis-url: expected redis://HOST:PORT/DATABASE, got {start!r}")
        if self.load_processes < 1:
            raise UsageError(f"expected at least 1 load process, got {self.load_processes}")
        if self.max_instances is not None and self.max_instances < 1:
            raise UsageError(f"--max-instances: expected at least 1, got {self.max_instances}")
        if self.max_hours is not None and not self.max_hours > 0:
            raise UsageError(f"--max-hours: expected more than 0, got {self.max_hours:g}")
