"""The build server of a flight: core.rollout's driver, which takes a turn each second over the flight's registry and its processes.

Theory of operation
-------------------
A turn runs in a thread, for the registry may take its time to answer; what belongs to the conductor's loop (instances, processes) is done there, one
call at a time. It takes place when the samples of its second are in, and counts as of that second. Of what takes long (a handover of the proxy, a
restart of the registry) the result is seen at a later turn.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...core.appserver import slowed
from ...core.errors import BackendFailure
from ...core.lifecycle import READY
from ...core.model import SECOND, FleetSpec
from ...core.ports import Registry, RegistryError
from ...core.rollout.commands import Command, Component, RestartProxy, RestartRegistry
from ...core.rollout.driver import DeployDriver, Present
from ...core.rollout.spec import DeploySpec
from ...core.troubles import TroubledCloud
from ..autoscaler.pace import SETTLE, Pace
from ..live.clock import LiveClock
from .instances import Instance
from .local_cloud import LocalInstances
from .redis_server import RedisServer
from .roles import Lasting

STALE = 5 * SECOND // 2
"""A process that has not spoken for so long does not answer (ns): it speaks each second."""

BUILDER = "build server"
"""Who reaches for the registry."""

T = TypeVar("T")
Emit = Callable[[str, Mapping[str, Any]], None]


class _Over(Exception):
    """The flight ends."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What deploys act upon. *cloud*: what its calls meet. *redis*: None for a registry of the user's. *launches*: what tokens of launches begin with; *grace*: seconds that a server's process has to end."""

    registry: Registry
    instances: LocalInstances
    cloud: TroubledCloud
    proxy: Lasting
    scaler: Lasting | None
    redis: RedisServer | None
    strike_proxy: Callable[[str, int], None]
    emit: Emit
    launches: str
    grace: float


class FlightDeploys:
    """The deploys of *fleet*, whose scenario began at *start* (ns, live clock). Implements core.rollout.driver.World, from the turn's thread."""

    def __init__(self, fleet: FleetSpec, clock: LiveClock, start: int, parts: Parts) -> None:
        self._clock = clock
        self._pace = Pace(start, SECOND)
        self._parts = parts
        self._turned = start
        self._ending = False
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        first = fleet.version(0).name
        self._proxy = _Watched(first)
        self._registry = _Watched(first)
        self._handing = False
        self._failed: set[Command] = set()
        self._driver = DeployDriver(fleet, parts.registry, self, start)

    async def run(self) -> None:
        """Take turns until cancelled. Raises BackendFailure, RegistryError if what was restarted does not come back."""
        try:
            while True:
                now = self._clock.now()
                turn, _ = self._pace.next(now)
                if early := self._pace.wait(turn, now):
                    await asyncio.sleep(early / 1e9)
                    continue
                self._pace.done(turn)
                self._turned = self._pace.time_of(turn, now)
                await self._in_thread(self._turn)
                for task in self._tasks:
                    if task.done():
                        task.result()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def under_way(self) -> bool:
        """Whether a deploy has begun and not ended."""
        return self._driver.under_way

    async def _in_thread(self, call: Callable[[], None]) -> None:
        """Do it in a thread, and wait for its end also when cancelled, so that it touches nothing that has been torn down."""
        work = asyncio.ensure_future(asyncio.to_thread(call))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._ending = True
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _turn(self) -> None:
        try:
            self._driver.turn(self._turned)
        except (RegistryError, _Over):
            # What was under way is observed, and asked for again, when it is back.
            return

    def _here(self, call: Callable[[], T]) -> T:
        """Do it on the conductor's loop."""

        async def run() -> T:
            if self._ending:
                raise _Over
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._loop.create_task(work))

    # The driver's world: looking.

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """See core.rollout.driver.World."""
        self._here(lambda: self._parts.emit(name, fields))

    def present(self) -> Sequence[Present]:
        """See core.rollout.driver.World."""
        return self._here(lambda: [self._present(one) for one in self._parts.instances.present()])

    def _present(self, one: Instance) -> Present:
        speaks = self._clock.now() - one.heard < STALE
        # What is up soon after a second counts as of that second, as a sample does.
        late = one.up % SECOND
        up = one.up - late if one.up >= 0 and late <= SETTLE else one.up
        return Present(
            one.number, one.address, one.role, one.state, one.version, one.life, up, one.up >= 0 and speaks
        )

    def release(self, home: str, version: int) -> None:
        """See core.rollout.driver.World."""
        self._here(lambda: self._parts.instances.releases.update({home: version}))

    def reach(self) -> None:
        """See core.rollout.driver.World. Whether it can be reached shows when it is asked."""

    def proxy(self, now: int) -> Component:
        """See core.rollout.driver.World."""
        return self._proxy.seen(now, not self._handing and self._here(lambda: self._parts.proxy.is_up))

    def registry(self, now: int) -> Component:
        """See core.rollout.driver.World. It has answered."""
        return self._registry.seen(now, True)

    def failed(self) -> frozenset[Command]:
        """See core.rollout.driver.World."""
        found, self._failed = frozenset(self._failed), set()
        return found

    # Carrying out.

    def drain(self, number: int) -> None:
        """See core.rollout.driver.World."""

        def drained() -> None:
            was_ready = instances.by_number[number].state in READY
            instances.drained(number)
            if was_ready:
                self._parts.emit("draining", {"server": number})

        instances = self._parts.instances
        self._parts.registry.deregister(self._address(number))
        self._here(drained)

    def install(self, number: int, version: int, length: int, boot: int) -> None:
        """See core.rollout.driver.World."""
        instances = self._parts.instances
        ready_at = self._turned + length + slowed(boot, instances.troubles.boot_factor)
        self._here(lambda: instances.update(number, version, ready_at, self._parts.grace))

    def register(self, number: int, role: str) -> None:
        """See core.rollout.driver.World."""
        self._parts.registry.register(self._address(number), role)
        self._here(lambda: self._parts.instances.registered(number, role))

    def launch(self, role: str, version: int) -> int:
        """See core.rollout.driver.World."""
        registry, instances = self._parts.registry, self._parts.instances
        number = registry.next_number(self._here(lambda: max(instances.by_number, default=0)))
        token = f"{self._parts.launches}-{number}"
        self._here(lambda: self._parts.cloud.check_launch(number))
        made = self._here(
            lambda: instances.launch(number, role, token, version=version, joins=False, at=self._turned)
        )
        registry.add_instance(made.provider_id)
        return number

    def terminate(self, number: int) -> None:
        """See core.rollout.driver.World."""
        registry, instances = self._parts.registry, self._parts.instances
        one = self._here(lambda: instances.by_number[number])
        self._here(self._parts.cloud.take_token)
        if not self._here(lambda: instances.stuck(one.provider_id, "deploy")):
            self._here(lambda: instances.terminate(one.provider_id, "deploy"))
        registry.forget(one.address)
        registry.remove_instance(one.provider_id)

    def _address(self, number: int) -> str:
        return self._here(lambda: self._parts.instances.by_number[number].address)

    def restart_proxy(self, command: RestartProxy, spec: DeploySpec) -> None:
        """See core.rollout.driver.World."""

        def restart() -> None:
            before = self._proxy.version
            self._proxy.becomes(command.version)
            if command.handover and self._parts.proxy.is_up:
                self._handing = True
                self._spawn(self._hand_over(command, spec, before))
            else:
                self._parts.strike_proxy(spec.name, spec.install)

        self._here(restart)

    async def _hand_over(self, command: RestartProxy, spec: DeploySpec, before: str) -> None:
        try:
            await self._parts.proxy.succeed()
        except BackendFailure:
            # The old one serves on, and the deploy has failed.
            self._failed.add(command)
            self._proxy.becomes(before)
        else:
            self._parts.emit("proxy_handed_over", {"deploy": spec.name, "version": command.version})
        finally:
            self._handing = False

    def restart_registry(self, command: RestartRegistry, spec: DeploySpec) -> None:
        """See core.rollout.driver.World."""

        def restart() -> None:
            assert self._parts.redis is not None, "a registry of the user's was to be restarted"
            self._registry.becomes(command.version)
            self._parts.emit(
                "registry_restarted", {"deploy": spec.name, "version": command.version, "away": spec.install}
            )
            if self._parts.scaler is not None:
                self._parts.scaler.strike(spec.install)
            self._spawn(self._parts.redis.restart(spec.install / 1e9))

        self._here(restart)


class _Watched:
    """A component: its version, and since when it has been seen to be healthy."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._since = 0

    def becomes(self, version: str) -> None:
        """It is being started in *version*."""
        self.version, self._since = version, -1

    def seen(self, now: int, healthy: bool) -> Component:
        """As it is at *now* (ns)."""
        self._since = (now if self._since < 0 else self._since) if healthy else -1
        return Component(self.version, self._since)
