"""A scripted fleet around core.scaling's driver: virtual time, the twins, servers that boot, register, speak and end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.alerts import AlertSpec
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies import Threshold
from windtunnel.core.ports import Cloud, CloudInstance, Registry, Sample
from windtunnel.core.scaling import ScalingDriver
from windtunnel.core.scaling_decision import Decision
from windtunnel.sim.embedded_cloud import MemoryCloud, Overlay
from windtunnel.sim.memory_redis import MemoryRedis

THRESHOLD = Threshold(requests_high=100, requests_low=30)
SPEC = AutoscalerSpec(
    THRESHOLD, minimum=1, maximum=4, cooldown=2 * SECOND, dead_after=4 * SECOND, boot_timeout=300 * SECOND,
    drain_timeout=6 * SECOND, reconcile_interval=300 * SECOND,
)  # fmt: skip
BOOT = 2 * SECOND


class CrashNow(Exception):
    """The process dies here."""


Meddle = Callable[[str, bool], None]
"""Called before (False) and after (True) each call of a port, with its name; may raise."""


class Meddled:
    """A port whose calls *meddle* may end, before they have their effect or after it."""

    def __init__(self, port: Any, meddle: Meddle) -> None:
        self._port = port
        self._meddle = meddle

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def meddled(*arguments: Any) -> Any:
            self._meddle(name, False)
            result = call(*arguments)
            self._meddle(name, True)
            return result

        return meddled


@dataclass
class Server:
    """One instance's inside."""

    instance: CloudInstance
    ready: int
    registered: bool = False


@dataclass
class Fleet:
    """Servers by provider id; *load* is what each serving one says that it does per second. *events* are what the autoscaler said."""

    load: int = 50
    now: int = 0
    servers: dict[str, Server] = field(default_factory=dict)
    events: list[tuple[int, str, Mapping[str, Any]]] = field(default_factory=list)
    launches: list[tuple[int, str]] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.redis = MemoryRedis(lambda: self.now)
        self.registry: Registry = RedisRegistry(self.redis)
        self.cloud = Overlay(MemoryCloud(lambda: self.now), lambda: self.now, 0)
        for number in (1, 2):
            self.cloud.launch(number, "serving", f"first-{number}")

    def live(self) -> None:
        """What servers do in this second: boot, register once, write samples; what the cloud ended writes once more, and ends."""
        listed = {one.provider_id: one for one in self.cloud.list()}
        for provider_id, instance in listed.items():
            boot = 0 if instance.number <= 2 else BOOT
            self.servers.setdefault(provider_id, Server(instance, instance.launched + boot))
        for provider_id, server in sorted(self.servers.items()):
            if server.ready <= self.now:
                if not server.registered:
                    self.registry.register(server.instance.address, server.instance.role)
                    server.registered = True
                if provider_id not in self.silent:
                    self.registry.write_samples([self._sample(server)])
            if provider_id not in listed:
                del self.servers[provider_id]

    def _sample(self, server: Server) -> Sample:
        serving = server.instance.address in self.registry.servers().serving
        return Sample(
            server.instance.address, self.now, self.load if serving else 0, 0.1, 0.1, 3 if serving else 0
        )

    def driver(
        self,
        name: str,
        meddle: Meddle | None = None,
        spec: AutoscalerSpec = SPEC,
        alerts: tuple[AlertSpec, ...] = (),
    ) -> ScalingDriver:
        """An autoscaler's process."""
        registry: Registry = self.registry
        cloud: Cloud = self.cloud
        if meddle is not None:
            registry, cloud = Meddled(registry, meddle), Meddled(cloud, meddle)
        return ScalingDriver(
            spec, registry, cloud, _World(self, cloud), owner=name, launches="test", alerts=alerts
        )

    def books(self) -> dict[str, Any]:
        """What cloud and registry hold, for comparison."""
        return {
            "cloud": sorted(one.provider_id for one in self.cloud.list()),
            "noted": sorted(self.registry.instances()),
            "listed": sorted(self.registry.servers().serving),
            "alive": sorted(s.instance.address for s in self.servers.values() if s.registered),
        }


class _World:
    """Implements core.scaling_world.World."""

    def __init__(self, fleet: Fleet, cloud: Cloud) -> None:
        self._fleet = fleet
        self._cloud = cloud

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        self._fleet.events.append((self._fleet.now, name, fields))

    def last_number(self) -> int:
        return 0

    def launched(self, instance: CloudInstance) -> None:
        self._fleet.launches.append((instance.number, instance.provider_id))

    def terminate(self, number: int, provider_id: str, reason: str) -> None:
        self._cloud.terminate(provider_id)

    def promoted(self, number: int) -> None: ...

    def draining(self, number: int) -> None: ...

    def decided(self, now: int, decision: Decision) -> None: ...
