"""What is out of order in the control plane: faults write it down here, and whoever is concerned looks here."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .draws import CAPACITY, TOXIC_BOOT, draw, uniform
from .fault_family import slowness
from .model import NONE, SECOND, FaultSpec
from .ports import Cloud, CloudError, CloudInstance, RegistryError
from .throttle import TokenBucket

REGISTRY_TIMEOUT = SECOND
"""Whoever waits longer for the registry gives up."""


class Hogs:
    """What else computes on the servers' machines, as shares of their cores, and how much of them it has had (ns of all cores) since it was looked at."""

    def __init__(self) -> None:
        self._shares: dict[int | str, float] = {}
        self._had: dict[int | str, tuple[int, float]] = {}

    def hold(self, who: int | str, share: float, now: int) -> None:
        """From *now* on this share of the cores of *who* is held."""
        self._had[who] = (now, self._until(who, now))
        self._shares[who] = share

    def _until(self, who: int | str, now: int) -> float:
        since, had = self._had.get(who, (now, 0.0))
        return had + self._shares.get(who, 0.0) * (now - since)

    def seen(self, who: int, used: int, cores: int, now: int) -> int:
        """CPU time (ns) that the monitor of *who* sees of the last second, when its own work, which is slowed down by what else computes there, was under way for *used*."""
        if who not in self._had:
            return used
        held = self._until(who, now) / SECOND
        self._had[who] = (now, 0.0)
        return int(used * (1.0 - held) + cores * SECOND * held)


@dataclass(slots=True)
class Troubles:
    """Counters of faults in force.

    *paused*: servers that hang. *silent*, *stuck*: servers whose monitors write nothing, or the same again and again. *cut*: who cannot reach the registry (servers by
    number, proxy, autoscaler). *unlisted*: servers that must stay out of the lists. *full*: servers whose disks are full. *clocks*: how far ahead whose clock is (ns,
    below 0: behind). *registry_latency*: added to each exchange with the registry (ns). *registry_full*: the registry's disk is full. *stale*: whoever these faults are about
    reads from a replica that lags.
    """

    paused: Counter[int | str] = field(default_factory=Counter)
    silent: Counter[int | str] = field(default_factory=Counter)
    stuck: Counter[int | str] = field(default_factory=Counter)
    cut: Counter[int | str] = field(default_factory=Counter)
    unlisted: Counter[int | str] = field(default_factory=Counter)
    full: Counter[int | str] = field(default_factory=Counter)
    clocks: Counter[int | str] = field(default_factory=Counter)
    hogs: Hogs = field(default_factory=Hogs)
    registry_down: int = 0
    registry_latency: int = 0
    registry_full: int = 0
    stale: list[FaultSpec] = field(default_factory=list)
    of_cloud: list[FaultSpec] = field(default_factory=list)

    def reach_registry(self, who: int | str) -> None:
        """Raise RegistryError if *who* cannot reach the registry now."""
        if self.registry_down:
            raise RegistryError("ConnectionError: connection refused")
        if self.cut.get(who) or self.registry_latency >= REGISTRY_TIMEOUT:
            raise RegistryError("TimeoutError: no answer within 1s")

    def replica_lag(self, reader: str) -> int:
        """How far behind (ns) what *reader* (``proxy``, ``autoscaler``) reads from the registry is: the most that any fault says; NONE: it reads the registry itself."""
        lags = (int(one.number("lag")) for one in self.stale if one.word("reader") in (reader, "both"))
        return max(lags, default=NONE)

    def writes_samples(self, server: int) -> bool:
        """Whether the monitors of *server* write anything, and reach the registry if it is there."""
        return not self.silent.get(server) and self.registers(server)

    def registers(self, server: int) -> bool:
        """Whether *server* would reach the registry if it is there."""
        return not (self.paused.get(server) or self.cut.get(server))

    def joins(self, server: int) -> bool:
        """Whether *server* would put itself into the lists."""
        return self.registers(server) and not self.unlisted.get(server)

    def clock(self, who: int | str, now: int) -> int:
        """What the clock of *who* shows at *now* (ns), never a time before the start."""
        return max(now + self.clocks[who], 0) if self.clocks else now

    @property
    def boot_factor(self) -> float:
        """A boot that begins now takes so many times as long."""
        return slowness(fault for fault in self.of_cloud if fault.type == "slow_boot")

    def boot_fails(self, number: int) -> bool:
        """Whether the boot of instance *number*, which would end now, fails."""
        return any(
            fault.type == "boot_failure"
            and uniform(draw(fault.stream, number, 0, TOXIC_BOOT)) < fault.toxicity
            for fault in self.of_cloud
        )

    def launch_refused(self, number: int) -> bool:
        """Whether the cloud has no capacity for instance *number*."""
        return self._hits("capacity_error", number)

    def launch_sticks(self, number: int) -> bool:
        """Whether instance *number*, which has been granted, will never boot."""
        return self._hits("stuck_launch", number)

    def termination_sticks(self, number: int) -> bool:
        """Whether nothing comes of it when instance *number* is to be ended."""
        return self._hits("stuck_termination", number)

    def _hits(self, kind: str, number: int) -> bool:
        return any(
            fault.type == kind and uniform(draw(fault.stream, number, 0, CAPACITY)) < fault.toxicity
            for fault in self.of_cloud
        )

    @property
    def list_lag(self) -> int:
        """How old the cloud's list is (ns)."""
        lags = (int(fault.number("lag")) for fault in self.of_cloud if fault.type == "stale_listing")
        return max(lags, default=0)


class TroubledCloud:
    """A cloud that refuses what its troubles refuse. Implements core.ports.Cloud."""

    def __init__(self, cloud: Cloud, troubles: Troubles, now: Callable[[], int]) -> None:
        self._cloud = cloud
        self._troubles = troubles
        self._now = now
        self._buckets: dict[str, TokenBucket] = {}
        self._granted: dict[str, CloudInstance] = {}
        self._ended: dict[str, int] = {}
        self.zero = 0
        """The scenario's start on the clock of *now*: no list is older."""

    def begin(self, fault: FaultSpec) -> None:
        """*fault*, one of the cloud's, is in force; under a throttle calls take tokens."""
        self._troubles.of_cloud.append(fault)
        if fault.type == "api_throttling":
            self._buckets[fault.name] = TokenBucket.of(fault.number("rate"), int(fault.number("burst")))

    def end(self, fault: FaultSpec) -> None:
        """It is over."""
        self._troubles.of_cloud.remove(fault)
        self._buckets.pop(fault.name, None)

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        self.check_launch(number)
        made = self._cloud.launch(number, role, token)
        self._granted[made.provider_id] = made
        return made

    def check_launch(self, number: int) -> None:
        """What a launch of instance *number* meets before it is carried out. Raises CloudError."""
        self.take_token()
        if self._troubles.launch_refused(number):
            raise CloudError("InsufficientInstanceCapacity", "no capacity for the instance type")

    def terminate(self, provider_id: str, in_vain: bool = False) -> None:
        """See core.ports.Cloud. *in_vain*: it is accepted, and nothing comes of it."""
        self.take_token()
        if not in_vain:
            self.reclaim(provider_id)

    def reclaim(self, provider_id: str) -> None:
        """The cloud ends an instance, of its own accord or asked to."""
        self._cloud.terminate(provider_id)
        self._ended.setdefault(provider_id, self._now())

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        self.take_token()
        listed, lag = self._cloud.list(), self._troubles.list_lag
        self._granted.update((one.provider_id, one) for one in listed)
        if not lag:
            return listed
        then = max(self._now() - lag, self.zero)
        ended = [
            self._granted[one] for one, time in self._ended.items() if time > then and one in self._granted
        ]
        return tuple(
            sorted((one for one in (*listed, *ended) if one.launched <= then), key=lambda one: one.number)
        )

    def take_token(self) -> None:
        """What any call meets. Raises CloudError."""
        now, buckets = self._now(), self._buckets.values()
        if all(bucket.ready(now) for bucket in buckets):
            for bucket in buckets:
                bucket.take(now)
        else:
            raise CloudError("RequestLimitExceeded", "request limit exceeded")
