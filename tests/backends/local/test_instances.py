"""The cloud of a local fleet: lives of instances, from launch to gone, with processes that only pretend."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from windtunnel.backends.live.addresses import Addresses
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.local.instances import Instance, LocalInstances
from windtunnel.core.distributions import constant
from windtunnel.core.lifecycle import State
from windtunnel.core.model import AppSpec, FleetSpec, ProxySpec
from windtunnel.core.ports import CloudError

MS = 1_000_000


class Pretended:
    """Stands for a process: it is told things, and ends when it is ended."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.over = asyncio.Event()

    async def wait(self) -> int:
        await self.over.wait()
        return 0

    def send(self, command: Mapping[str, Any]) -> None:
        self.sent.append(command["command"])

    async def end(self, grace: float) -> None:
        self.over.set()


class World:
    """Instances over pretended processes; *events* are what was recorded."""

    def __init__(self, **app: Any) -> None:
        fleet = FleetSpec("test", 1, 10, 10, AppSpec(**app), ProxySpec(), pending=20 * MS)
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.clock = LiveClock.begin()
        self.ready_at: dict[int, int] = {}
        self.instances = LocalInstances(
            fleet, self.clock, Addresses(9000), self.start,
            lambda time, name, fields: self.events.append((name, dict(fields))),
        )  # fmt: skip

    async def start(self, number: int, role: str, ready_at: int) -> Any:
        self.ready_at[number] = ready_at
        return Pretended()

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def until(self, instance: Instance, state: State) -> None:
        async with asyncio.timeout(10):
            while instance.state != state:
                await asyncio.sleep(0.005)

    async def started(self, instance: Instance) -> Any:
        async with asyncio.timeout(10):
            while instance.process is None:
                await asyncio.sleep(0.001)
        return instance.process

    def up(self, instance: Instance) -> None:
        self.instances.said(instance, {"status": "up", "t": self.clock.now()})


def test_an_instance_boots_serves_drains_and_goes() -> None:
    async def run() -> None:
        world = World(boot_time=constant(30 * MS))
        one = world.instances.launch(1, "serving", "token")
        assert one.address.endswith(":9000")
        process = await world.started(one)
        assert world.ready_at[1] == one.launched + 50 * MS
        await world.until(one, State.BOOTING)
        world.up(one)
        world.instances.said(one, {"status": "second", "t": 1, "in_flight": 3})
        world.instances.drained(1)
        assert (one.state, process.sent) == (State.DRAINING, ["drain"])
        world.instances.terminate(one.provider_id, "drained")
        world.instances.terminate(one.provider_id, "drained")
        await asyncio.wait_for(process.wait(), 10)
        assert world.names() == ["launched", "booting", "ready", "terminated"]
        assert world.events[-1][1] == {"server": 1, "reason": "drained", "lost": 3}
        assert world.instances.present() == []
        await world.instances.end()

    asyncio.run(run())


def test_a_token_gives_the_same_instance_again() -> None:
    async def run() -> None:
        world = World()
        one = world.instances.launch(1, "serving", "token")
        assert world.instances.launch(1, "serving", "token") is one
        with pytest.raises(CloudError, match="another token"):
            world.instances.launch(1, "serving", "other")
        with pytest.raises(CloudError, match="expected a role"):
            world.instances.launch(2, "king", "third")
        await world.instances.end()

    asyncio.run(run())


def test_a_process_that_ends_by_itself_has_failed() -> None:
    async def run() -> None:
        world = World()
        one = world.instances.launch(1, "serving", "token", first=True)
        process = await world.started(one)
        world.up(one)
        process.over.set()
        await world.until(one, State.FAILED)
        assert world.events[-1] == ("killed", {"server": 1, "lost": 0})
        assert [found.state for found in world.instances.present()] == [State.FAILED]
        world.instances.terminate(one.provider_id, "silent")
        assert one.state == State.GONE
        await world.instances.end()

    asyncio.run(run())


def test_a_boot_that_fails_starts_no_process() -> None:
    async def run() -> None:
        world = World(boot_failure=1.0, boot_time=constant(10 * MS))
        one = world.instances.launch(1, "serving", "token")
        await world.until(one, State.FAILED)
        assert one.process is None
        assert world.names() == ["launched", "booting", "boot_failed"]
        await world.instances.end()

    asyncio.run(run())


def test_a_first_instance_does_not_boot_and_a_standby_is_promoted() -> None:
    async def run() -> None:
        world = World(boot_failure=1.0, boot_time=constant(10**12))
        one = world.instances.launch(1, "standby", "token", first=True)
        process = await world.started(one)
        world.up(one)
        assert one.state == State.STANDBY
        world.instances.promoted(1)
        assert (one.state, process.sent) == (State.SERVING, ["promote"])
        await world.instances.end()

    asyncio.run(run())


def test_only_time_after_the_start_is_paid() -> None:
    async def run() -> None:
        world = World()
        one = world.instances.launch(1, "serving", "token", first=True)
        start = one.launched + 1000
        assert world.instances.paid_ns(start, start + 500) == 500
        await world.instances.end()

    asyncio.run(run())
