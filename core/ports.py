"""The ports: what the engine's drivers need from the world, as protocols, and the values that pass through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from .tallies import Tallies

State = Mapping[str, int | str]
"""What a role keeps in the registry: whole numbers, and text that is none."""


class CloudError(Exception):
    """A cloud refused; *code* is the provider's (``InsufficientInstanceCapacity``, ``RequestLimitExceeded``, ...)."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class RegistryError(Exception):
    """The registry could not be reached or answered with something else than expected."""


class Sample(NamedTuple):
    """What a server said of itself. *time* is ns since the scenario's start, None from a foreign server."""

    address: str
    time: int | None
    requests: int
    memory: float
    cpu: float = 0.0
    in_flight: int = 0
    version: str = ""
    state: str = ""
    custom: Mapping[str, float] = MappingProxyType({})


class ProxyLoad(NamedTuple):
    """What the proxy said of itself. *requests*: arrived in the last second; *unserved*: of those answered in it, by the proxy itself for want of a server
    (no_server, shed); *in_flight*: requests under way; *waiting*: connections in the accept queue. *time* as in Sample.
    """

    time: int
    requests: int
    unserved: int = 0
    in_flight: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class CloudInstance:
    """An instance as the cloud lists it; *number* is ours, from a tag, *provider_id* theirs."""

    number: int
    provider_id: str
    address: str
    role: str
    state: str
    launched: int


@dataclass(frozen=True, slots=True)
class Servers:
    """The registry's three lists, each deduplicated and sorted."""

    serving: tuple[str, ...] = ()
    canary: tuple[str, ...] = ()
    standby: tuple[str, ...] = ()


class Clock(Protocol):
    """Time since the scenario's start."""

    def now(self) -> int:
        """Nanoseconds since the scenario's start."""
        ...


class Registry(Protocol):
    """The registry of servers and their metrics (DESIGN: keys of the classic fleet). Raises RegistryError."""

    def register(self, address: str, role: str) -> None:
        """Put *address* into the list of *role* (serving, canary, standby), once, and out of the others."""
        ...

    def deregister(self, address: str) -> None:
        """Take *address* out of every list."""
        ...

    def forget(self, address: str) -> None:
        """Deregister *address* and delete its metrics."""
        ...

    def servers(self) -> Servers:
        """The three lists."""
        ...

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """Write the monitors' samples."""
        ...

    def read_samples(self, addresses: Sequence[str]) -> dict[str, Sample]:
        """The latest sample of each address that has one; foreign servers' included."""
        ...

    def write_proxy_load(self, load: ProxyLoad) -> None:
        """Write the proxy's own sample."""
        ...

    def read_proxy_load(self) -> ProxyLoad | None:
        """The proxy's latest sample, if it has ever written one."""
        ...

    def updating(self) -> tuple[str, ...]:
        """Addresses of servers that a deploy is about: of a process that is exchanged, or that is not in the lists yet. Sorted."""
        ...

    def set_updating(self, addresses: Sequence[str]) -> None:
        """From now on these are."""
        ...

    def canary_share(self) -> tuple[int, int] | None:
        """The canaries' share of the requests, as numerator and denominator; None: nobody has set one, or what is there is none."""
        ...

    def set_canary_share(self, share: tuple[int, int] | None) -> None:
        """Set it, or (None) let the proxy's own setting count again. ValueError unless it is a fraction from 0 to 1 with a denominator up to a million."""
        ...

    def write_tallies(self, tallies: Tallies) -> None:
        """Write what the proxy has counted."""
        ...

    def read_tallies(self) -> Tallies | None:
        """What the proxy wrote last, if it has ever written any."""
        ...

    def next_number(self, above: int = 0) -> int:
        """A fresh instance number, from 1; *above* the last one known, should the registry have forgotten."""
        ...

    def add_instance(self, provider_id: str) -> None:
        """Note that the autoscaler launched *provider_id*."""
        ...

    def remove_instance(self, provider_id: str) -> None:
        """Note that *provider_id* is gone."""
        ...

    def instances(self) -> tuple[str, ...]:
        """What the autoscaler launched, sorted."""
        ...

    def acquire_lease(self, owner: str, ttl: int) -> int | None:
        """Take or renew the autoscaler's lease for *ttl* ns: the fencing token, or None if another holds it."""
        ...

    def save_state(self, name: str, state: State, token: int) -> bool:
        """Keep a role's state under fencing *token*; False, and nothing written, if a newer token was seen."""
        ...

    def load_state(self, name: str) -> dict[str, int | str]:
        """The state saved last, or an empty one."""
        ...


class Cloud(Protocol):
    """A provider of instances. Raises CloudError."""

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """Launch instance *number*; a second call with the same *token* gives the first one's instance."""
        ...

    def terminate(self, provider_id: str) -> None:
        """Terminate an instance of ours; terminating one that is gone is no error."""
        ...

    def list(self) -> tuple[CloudInstance, ...]:
        """All instances of ours that are not gone, by number."""
        ...


class Sink(Protocol):
    """Where a run leaves what happened."""

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """A control event at *time* ns."""
        ...

    def rows(self, requests: npt.NDArray[Any], attempts: npt.NDArray[Any]) -> None:
        """Finished requests (columns.REQUESTS) and attempts (columns.ATTEMPTS), in order but for stragglers. The arrays are the sink's."""
        ...

    def due(self) -> bool:
        """Whether the sink would like to have what is finished, because it is time to write."""
        ...

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        """One second's metrics (columns.METRICS)."""
        ...

    def decided(self, decision: Sequence[Any], observations: Sequence[Sequence[Any]]) -> None:
        """One turn of the autoscaler and what it saw (records.DECISIONS, records.OBSERVATIONS)."""
        ...

    def measured(self, rows: Sequence[Sequence[Any]]) -> None:
        """What was said in a second besides its metrics (records.MEASUREMENTS)."""
        ...
