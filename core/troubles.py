"""What is out of order in the control plane: faults write it down here, and whoever is concerned looks here."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .draws import CAPACITY, TOXIC_BOOT, draw, uniform
from .fault_family import slowness
from .model import SECOND, FaultSpec
from .ports import Cloud, CloudError, CloudInstance, RegistryError
from .throttle import TokenBucket

REGISTRY_TIMEOUT = SECOND
"""Whoever waits longer for the registry gives up."""


@dataclass(slots=True)
class Troubles:
    """Counters of faults in force.

    *paused*: servers that hang. *silent*, *stuck*: servers whose monitors write nothing, or the same again and again. *cut*: who cannot reach the registry (servers by
    number, proxy, autoscaler). *registry_latency*: added to each exchange with it (ns).
    """

    paused: Counter[int | str] = field(default_factory=Counter)
    silent: Counter[int | str] = field(default_factory=Counter)
    stuck: Counter[int | str] = field(default_factory=Counter)
    cut: Counter[int | str] = field(default_factory=Counter)
    registry_down: int = 0
    registry_latency: int = 0
    of_cloud: list[FaultSpec] = field(default_factory=list)

    def reach_registry(self, who: int | str) -> None:
        """Raise RegistryError if *who* cannot reach the registry now."""
        if self.registry_down:
            raise RegistryError("ConnectionError: connection refused")
        if self.cut.get(who) or self.registry_latency >= REGISTRY_TIMEOUT:
            raise RegistryError("TimeoutError: no answer within 1s")

    def writes_samples(self, server: int) -> bool:
        """Whether the monitors of *server* write anything, and reach the registry if it is there."""
        return not self.silent.get(server) and self.registers(server)

    def registers(self, server: int) -> bool:
        """Whether *server* would reach the registry if it is there."""
        return not (self.paused.get(server) or self.cut.get(server))

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
        return any(
            fault.type == "capacity_error"
            and uniform(draw(fault.stream, number, 0, CAPACITY)) < fault.toxicity
            for fault in self.of_cloud
        )


class TroubledCloud:
    """A cloud that refuses what its troubles refuse. Implements core.ports.Cloud."""

    def __init__(self, cloud: Cloud, troubles: Troubles, now: Callable[[], int]) -> None:
        self._cloud = cloud
        self._troubles = troubles
        self._now = now
        self._buckets: dict[str, TokenBucket] = {}

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
        return self._cloud.launch(number, role, token)

    def check_launch(self, number: int) -> None:
        """What a launch of instance *number* meets before it is carried out. Raises CloudError."""
        self.take_token()
        if self._troubles.launch_refused(number):
            raise CloudError("InsufficientInstanceCapacity", "no capacity for the instance type")

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        self.take_token()
        self._cloud.terminate(provider_id)

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        self.take_token()
        return self._cloud.list()

    def take_token(self) -> None:
        """What any call meets. Raises CloudError."""
        now, buckets = self._now(), self._buckets.values()
        if all(bucket.ready(now) for bucket in buckets):
            for bucket in buckets:
                bucket.take(now)
        else:
            raise CloudError("RequestLimitExceeded", "request limit exceeded")
