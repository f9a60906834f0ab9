"""The driver of deploys over a registry that fails at any call: whom it takes in hand is named first, no event is lost or told twice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.lifecycle import READY, State
from windtunnel.core.model import AppSpec, FleetSpec, ProxySpec, VersionSpec
from windtunnel.core.ports import RegistryError
from windtunnel.core.rollout.commands import Command, Component
from windtunnel.core.rollout.driver import DeployDriver, Present
from windtunnel.core.rollout.spec import SECOND, Bound, DeploySpec
from windtunnel.sim.memory_redis import MemoryRedis

ROLES = {"serving": State.SERVING, "canary": State.CANARY}


class Failing:
    """A registry of which call number *at* fails (-1: none), before or after it had its effect."""

    def __init__(self, registry: RedisRegistry, at: int, late: bool) -> None:
        self.calls = 0
        self._registry, self._at, self._late = registry, at, late

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            fails = self.calls == self._at
            if fails and not self._late:
                raise RegistryError("away")
            found = getattr(self._registry, name)(*arguments)
            if fails:
                raise RegistryError("away")
            return found

        return call


class World:
    """Servers that are exchanged in a turn."""

    def __init__(self, registry: Any, own: RedisRegistry, servers: int) -> None:
        self.events: list[str] = []
        self.servers: dict[int, list[Any]] = {}
        self.released: dict[str, int] = {}
        self.now = 0
        self._registry, self._own = registry, own
        for number in range(1, servers + 1):
            self.servers[number] = [State.SERVING, 0, 0]
            own.register(f"http://10.0.0.{number}", "serving")

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        self.events.append(name)

    def present(self) -> Sequence[Present]:
        return [
            Present(number, f"http://10.0.0.{number}", "serving", state, version, 1, up, up >= 0)
            for number, (state, version, up) in self.servers.items()
        ]

    def release(self, home: str, version: int) -> None:
        self.released[home] = version

    def reach(self) -> None:
        pass

    def proxy(self, now: int) -> Component:
        return Component("v1", 0)

    def registry(self, now: int) -> Component:
        return Component("v1", 0)

    def failed(self) -> frozenset[Command]:
        return frozenset()

    def drain(self, number: int) -> None:
        self._registry.deregister(f"http://10.0.0.{number}")
        if self.servers[number][0] in READY:
            self.servers[number][0] = State.DRAINING

    def install(self, number: int, version: int, length: int, boot: int) -> None:
        assert f"http://10.0.0.{number}" in self._own.updating()
        self.servers[number] = [State.UPDATING, version, self.now]

    def register(self, number: int, role: str) -> None:
        self._registry.register(f"http://10.0.0.{number}", role)
        self.servers[number][0] = ROLES[role]

    def launch(self, role: str, version: int) -> int:
        raise AssertionError(f"{role} of version {version} is launched: a rolling deploy exchanges in place")

    def terminate(self, number: int) -> None:
        raise AssertionError(f"{number} is terminated: a rolling deploy exchanges in place")

    def restart_proxy(self, command: Any, spec: DeploySpec) -> None:
        raise AssertionError(f"{command}: a deploy of app servers leaves the proxy alone")

    def restart_registry(self, command: Any, spec: DeploySpec) -> None:
        raise AssertionError(f"{command}: a deploy of app servers leaves the registry alone")


def drive(at: int, late: bool = False) -> tuple[World, RedisRegistry, int]:
    """A rolling deploy of two servers, in which call *at* of the registry fails."""
    own = RedisRegistry(MemoryRedis(lambda: 0), "")
    failing = Failing(own, at, late)
    world = World(failing, own, 2)
    deploy = DeploySpec(
        "d", SECOND, "master", "v2", max_surge=Bound(0), max_unavailable=Bound(1), drain=0, min_ready=SECOND
    )
    versions = (VersionSpec("v1"), VersionSpec("v2"))
    fleet = FleetSpec("f", 1, 0, 0, AppSpec(), ProxySpec(), versions=versions, deploys=(deploy,))
    driver = DeployDriver(fleet, failing, world, zero=100 * SECOND)
    for second in range(30):
        world.now = (100 + second) * SECOND
        try:
            driver.turn(world.now)
        except RegistryError:
            continue
    return world, own, failing.calls


def test_it_begins_at_its_time_of_the_scenario_and_leaves_nothing() -> None:
    world, registry, _ = drive(-1)
    assert world.events == ["deploy_started", "deploy_promoted"]
    assert [version for _, version, _ in world.servers.values()] == [1, 1]
    assert min(up for _, _, up in world.servers.values()) == 101 * SECOND
    assert world.released == {"serving": 1, "standby": 1}
    assert registry.updating() == ()


@pytest.mark.parametrize("late", [False, True])
def test_whatever_call_of_the_registry_fails_the_end_is_the_same(late: bool) -> None:
    calls = drive(-1)[2]
    assert calls > 20
    for at in range(1, calls + 1):
        world, registry, _ = drive(at, late)
        assert world.events == ["deploy_started", "deploy_promoted"], at
        assert len(registry.servers().serving) == 2, at
        assert registry.updating() == (), at
