"""What stands between the registry's adapters and its store in a rehearsal with faults of the store: a disk that is full, replicas that lag.

A replica is fed as Redis feeds one: with each command that wrote something, in order; it has carried out those that are as old as it lags behind. Where no fault of a
scenario needs this, the adapters speak to the store itself.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import redis

from ..backends.registry import RedisRegistry
from ..backends.stale_reads import StaleReads
from ..core.model import NONE, FleetSpec
from ..core.ports import Registry
from ..core.troubles import Troubles
from .memory_redis import MemoryRedis

WRITES = frozenset({"set", "incr", "delete", "lpush", "lrem", "rpoplpush", "hset", "hdel"})
FULL = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk"

Written = Callable[[str, tuple[Any, ...], dict[str, Any]], None]
PROXY, AUTOSCALER = "proxy", "autoscaler"


class Store(Protocol):
    """What the world and its faults need of a registry's store."""

    def primary(self) -> Registry:
        """The registry for whoever never reads from a replica."""
        ...

    def registry(self, reader: str, apart: str = "") -> Registry:
        """The registry for *reader*, who may have to read from a replica; *apart*: before the names of a lease and states of its own."""
        ...

    def flush(self) -> None:
        """Everything is forgotten."""
        ...


class Replica:
    """Is *lag* ns behind."""

    def __init__(self, lag: int, now: Callable[[], int], prefix: str) -> None:
        self._lag = lag
        self._now = now
        self._store = MemoryRedis(now)
        self._coming: deque[tuple[int, str, tuple[Any, ...], dict[str, Any]]] = deque()
        self._registry = RedisRegistry(self._store, prefix)

    def hear(self, command: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """This was written to the registry now."""
        self._catch_up()
        self._coming.append((self._now(), command, args, options))

    def registry(self) -> RedisRegistry:
        """The replica as it is now."""
        self._catch_up()
        return self._registry

    def _catch_up(self) -> None:
        # What the fleet began with it has from the start.
        then = max(self._now() - self._lag, 0)
        while self._coming and self._coming[0][0] <= then:
            _, command, args, options = self._coming.popleft()
            getattr(self._store, command)(*args, **options)


def troubled(fleet: FleetSpec) -> bool:
    """Whether some fault of *fleet* may befall the store itself."""
    faults = [*fleet.faults, *(one.fault for one in fleet.triggered)]
    return any(fault.type in ("stale_registry", "disk_full") for fault in faults)


class RegistryStore:
    """The store of a fleet's registry. *client*: what the adapters speak to. *troubles* say whether its disk is full, and who reads from which replica."""

    def __init__(self, store: Any, fleet: FleetSpec, now: Callable[[], int], troubles: Troubles) -> None:
        faults = [*fleet.faults, *(one.fault for one in fleet.triggered)]
        lags = {int(fault.number("lag")) for fault in faults if fault.type == "stale_registry"}
        self._store = store
        self._prefix = fleet.key_prefix
        self._replicas = {lag: Replica(lag, now, fleet.key_prefix) for lag in sorted(lags)}
        self._troubles = troubles
        self.client: Any = _Client(store, self) if troubled(fleet) else store

    def primary(self) -> RedisRegistry:
        """See Store."""
        return RedisRegistry(self.client, self._prefix)

    def registry(self, reader: str, apart: str = "") -> RedisRegistry:
        """The registry for *reader*, who may have to read from a replica; *apart* as in RedisRegistry."""
        if not self._replicas:
            return RedisRegistry(self.client, self._prefix, apart=apart)
        return StaleReads(self.client, self._prefix, lambda: self._replica(reader), apart=apart)

    def _replica(self, reader: str) -> RedisRegistry | None:
        lag = self._troubles.replica_lag(reader)
        return None if lag == NONE else self._replicas[lag].registry()

    def flush(self) -> None:
        """Everything is forgotten, which needs no room on a disk; the replicas hear of it."""
        self._store.flushall()
        self.hear("flushall", (), {})

    def check(self) -> None:
        """Raises what Redis answers to whoever writes while its disk is full."""
        if self._troubles.registry_full:
            raise redis.ResponseError(FULL)

    def hear(self, command: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """This was written."""
        for replica in self._replicas.values():
            replica.hear(command, args, options)


class _Client:
    """A Redis client that looks at what is written."""

    def __init__(self, store: Any, registry: RegistryStore) -> None:
        self._client = store
        self._registry = registry

    def __getattr__(self, command: str) -> Any:
        call = getattr(self._client, command)
        return self._writing(command, call) if command in WRITES else call

    def _writing(self, command: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **options: Any) -> Any:
            self._registry.check()
            answer = call(*args, **options)
            self._registry.hear(command, args, options)
            return answer

        return write

    def pipeline(self, transaction: bool = True) -> "_Pipeline":
        """See redis-py."""
        return _Pipeline(self._client.pipeline(transaction=transaction), self._registry)


class _Pipeline:
    """Likewise; what is gathered counts when it is executed."""

    def __init__(self, pipeline: Any, registry: RegistryStore) -> None:
        self._pipeline = pipeline
        self._registry = registry
        self._gathered: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __enter__(self) -> "_Pipeline":
        self._pipeline.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._gathered.clear()
        self._pipeline.__exit__(*error)

    def __getattr__(self, command: str) -> Any:
        call = getattr(self._pipeline, command)
        return self._writing(command, call) if command in WRITES else call

    def _writing(self, command: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **options: Any) -> Any:
            self._gathered.append((command, args, options))
            return call(*args, **options)

        return write

    def execute(self, raise_on_error: bool = True) -> Any:
        """See redis-py. Whatever is gathered with something that writes is refused with it."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._registry.check()
        answer = self._pipeline.execute(raise_on_error=raise_on_error)
        for command in gathered:
            self._registry.hear(*command)
        return answer
