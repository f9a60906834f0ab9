"""The cloud of a local fleet: lives of instances, from launch to gone, with processes that only pretend."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from windtunnel.backends.live.addresses import Addresses
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.local.instances import Instance
from windtunnel.backends.local.local_cloud import LocalInstances
from windtunnel.core.distributions import constant
from windtunnel.core.lifecycle import State
from windtunnel.core.model import AppSpec, FleetSpec, ProxySpec, VersionSpec
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

    def __init__(self, versions: tuple[str, ...] = (), **app: Any) -> None:
        fleet = FleetSpec(
            "test", 1, 10, 10, AppSpec(**app), ProxySpec(), pending=20 * MS,
            versions=tuple(map(VersionSpec, versions)),
        )  # fmt: skip
        self.made: list[Pretended] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.clock = LiveClock.begin()
        self.ready_at: dict[int, int] = {}
        self.instances = LocalInstances(
            fleet, self.clock, Addresses(9000), self.start,
            lambda time, name, fields: self.events.append((name, dict(fields))),
        )  # fmt: skip

    async def start(self, number: int, role: str, ready_at: int) -> Any:
        self.ready_at[number] = ready_at
        self.made.append(Pretended())
        return self.made[-1]

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


def test_a_version_is_exchanged_and_the_server_takes_its_place_again() -> None:
    async def run() -> None:
        world = World(versions=("v1", "v2"))
        one = world.instances.launch(1, "serving", "token", first=True)
        process = await world.started(one)
        world.up(one)
        world.instances.said(one, {"status": "second", "t": 1, "in_flight": 2})
        world.instances.update(1, 1, ready_at := world.clock.now() + 5 * MS, 0)
        assert (one.state, one.up, one.in_flight) == (State.UPDATING, -1, 0)
        new = await world.started(one)
        assert new is not process
        assert process.over.is_set()
        assert world.ready_at[1] == ready_at
        world.up(one)
        assert one.up > 0
        assert not one.joins
        world.instances.registered(1, "serving")
        world.instances.registered(1, "serving")
        assert (one.state, new.sent[0]) == (State.SERVING, "register")
        assert world.events[-3:] == [
            ("updating", {"server": 1, "version": "v2", "lost": 2}),
            ("updated", {"server": 1, "version": "v2"}),
            ("registered", {"server": 1, "role": "serving"}),
        ]
        new.over.set()
        await world.until(one, State.FAILED)
        await world.instances.end()

    asyncio.run(run())


def test_of_two_exchanges_the_later_one_counts() -> None:
    async def run() -> None:
        world = World(versions=("v1", "v2", "v3"))
        one = world.instances.launch(1, "serving", "token", first=True)
        await world.started(one)
        world.up(one)
        world.instances.update(1, 1, world.clock.now(), 0)
        world.instances.update(1, 2, world.clock.now(), 0)
        process = await world.started(one)
        await asyncio.sleep(0.05)
        assert one.process is process
        assert [made.over.is_set() for made in world.made] == [True, False]
        world.up(one)
        assert world.events[-1] == ("updated", {"server": 1, "version": "v3"})
        await world.instances.end()

    asyncio.run(run())


def test_a_launched_one_waits_for_its_place_and_may_fail_before() -> None:
    async def run() -> None:
        world = World(versions=("v1", "v2"), boot_time=constant(10 * MS))
        world.instances.releases["serving"] = 1
        one = world.instances.launch(1, "serving", "token", joins=False)
        two = world.instances.launch(2, "serving", "other", version=0, joins=False)
        assert [event[1]["version"] for event in world.events] == ["v2", "v1"]
        for instance in (one, two):
            await world.started(instance)
            world.up(instance)
        assert (one.state, one.up > 0) == (State.BOOTING, True)
        world.instances.registered(1, "serving")
        assert world.events[-1] == ("ready", {"server": 1, "role": "serving"})
        assert two.process is not None
        two.process.over.set()  # type: ignore[attr-defined]
        await world.until(two, State.FAILED)
        assert world.names()[-1] == "killed"
        await world.instances.end()

    asyncio.run(run())
