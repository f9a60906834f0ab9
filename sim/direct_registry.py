"""The registry's port kept as plain objects: for experiments by the thousand, where even an in-memory Redis is most of the time.

It gives what the adapter over Redis gives, after what that writes as text and reads back: a test runs both against each other. Foreign programs, which
write to Redis beside us, cannot exist here.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..core.ports import ProxyLoad, Registry, Sample, Servers, State
from ..core.tallies import Tallies

_NANOS_PER_MS = 1_000_000
_ROLES = ("serving", "canary", "standby")
_WHOLE = re.compile(r"-?[0-9]+")


class DirectRegistry:
    """Implements core.ports.Registry. *now* gives ns."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._apart: dict[str, DirectRegistry] = {}
        self.flush()

    def flush(self) -> None:
        """Forget everything."""
        for own in self._apart.values():
            own.flush()
        self._listed: dict[str, str] = {}
        self._servers: Servers | None = None
        self._samples: dict[str, Sample] = {}
        self._proxy: ProxyLoad | None = None
        self._updating: tuple[str, ...] = ()
        self._share: tuple[int, int] | None = None
        self._tallies: Tallies | None = None
        self._number = 0
        self._instances: set[str] = set()
        self._lease: tuple[str, int] | None = None
        self._fence = 0
        self._states: dict[str, dict[str, int | str]] = {}

    def apart(self, name: str) -> Registry:
        """A way to this registry with a lease, a fence and roles' states of its own, the same for the same *name*."""
        return cast(Registry, Apart(self, self._apart.setdefault(name, DirectRegistry(self._now))))

    def register(self, address: str, role: str) -> None:
        """See core.ports.Registry."""
        self._listed[address] = role
        self._servers = None

    def deregister(self, address: str) -> None:
        """See core.ports.Registry."""
        self._listed.pop(address, None)
        self._servers = None

    def forget(self, address: str) -> None:
        """See core.ports.Registry."""
        self.deregister(address)
        self._samples.pop(address, None)

    def servers(self) -> Servers:
        """See core.ports.Registry."""
        if self._servers is None:
            listed = self._listed.items()
            self._servers = Servers(
                *(tuple(sorted(a for a, its in listed if its == role)) for role in _ROLES)
            )
        return self._servers

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """See core.ports.Registry."""
        for sample in samples:
            before = self._samples.get(sample.address)
            if before is not None and not before.custom.keys() <= sample.custom.keys():
                # What a server no longer says stays in its hash.
                sample = sample._replace(custom={**before.custom, **sample.custom})
            self._samples[sample.address] = sample

    def read_samples(self, addresses: Sequence[str]) -> dict[str, Sample]:
        """See core.ports.Registry."""
        held = self._samples
        return {address: _as_read(held[address]) for address in addresses if address in held}

    def write_proxy_load(self, load: ProxyLoad) -> None:
        """See core.ports.Registry."""
        self._proxy = load

    def read_proxy_load(self) -> ProxyLoad | None:
        """See core.ports.Registry."""
        return self._proxy

    def updating(self) -> tuple[str, ...]:
        """See core.ports.Registry."""
        return self._updating

    def set_updating(self, addresses: Sequence[str]) -> None:
        """See core.ports.Registry."""
        self._updating = tuple(sorted(set(addresses)))

    def canary_share(self) -> tuple[int, int] | None:
        """See core.ports.Registry."""
        return self._share

    def set_canary_share(self, share: tuple[int, int] | None) -> None:
        """See core.ports.Registry."""
        self._share = share

    def write_tallies(self, tallies: Tallies) -> None:
        """See core.ports.Registry."""
        self._tallies = tallies

    def read_tallies(self) -> Tallies | None:
        """See core.ports.Registry."""
        return self._tallies

    def next_number(self, above: int = 0) -> int:
        """See core.ports.Registry."""
        self._number = max(self._number, above) + 1
        return self._number

    def add_instance(self, provider_id: str) -> None:
        """See core.ports.Registry."""
        self._instances.add(provider_id)

    def remove_instance(self, provider_id: str) -> None:
        """See core.ports.Registry."""
        self._instances.discard(provider_id)

    def instances(self) -> tuple[str, ...]:
        """See core.ports.Registry."""
        return tuple(sorted(self._instances))

    def acquire_lease(self, owner: str, ttl: int) -> int | None:
        """See core.ports.Registry; in whole milliseconds, as Redis counts."""
        now = self._now()
        holder = None if self._lease is None or self._lease[1] < now else self._lease[0]
        if holder is not None and holder != owner:
            return None
        self._lease = (owner, now + max(1, ttl // _NANOS_PER_MS) * _NANOS_PER_MS)
        if holder is None:
            self._fence += 1
        return self._fence

    def save_state(self, name: str, state: State, token: int) -> bool:
        """See core.ports.Registry."""
        if self._fence != token:
            return False
        self._states[name] = dict(state)
        return True

    def load_state(self, name: str) -> dict[str, int | str]:
        """See core.ports.Registry; text that is a whole number comes back as one."""
        held = self._states.get(name, {})
        return {field: _number_or_text(value) for field, value in sorted(held.items())}


class DirectStore:
    """Implements sim.registry_store.Store for a fleet whose store no fault befalls, but for what empties it."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._registry = DirectRegistry(now)

    def primary(self) -> DirectRegistry:
        """See Store."""
        return self._registry

    def registry(self, reader: str, apart: str = "") -> Registry:
        """See Store."""
        return self._registry.apart(apart) if apart else self._registry

    def flush(self) -> None:
        """See Store."""
        self._registry.flush()


class Apart:
    """What is *shared*, but for the lease, its fence and roles' states, which are those of *own*."""

    def __init__(self, shared: DirectRegistry, own: DirectRegistry) -> None:
        self._shared = shared
        self.acquire_lease = own.acquire_lease
        self.save_state = own.save_state
        self.load_state = own.load_state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared, name)


def _number_or_text(value: int | str) -> int | str:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


def _as_read(sample: Sample) -> Sample:
    """*sample* as the adapter reads it back: custom metrics by name, as finite numbers."""
    return sample._replace(custom=_finite(sample.custom)) if sample.custom else sample


def _finite(custom: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) if math.isfinite(value) else 0.0 for name, value in sorted(custom.items())}
