"""Instances of a flight on EC2, as the conductor knows them: by the provider's list, the registry and the autoscaler's events."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.aws.instances import Ec2Instances
from windtunnel.backends.aws.settings import AwsSettings
from windtunnel.backends.live.addresses import Addresses
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.distributions import constant
from windtunnel.core.errors import BackendFailure
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, AppSpec, FleetSpec, Memory, ProxySpec
from windtunnel.core.ports import CloudError, Sample
from windtunnel.tests.backends.aws.conftest import SettingsOf
from windtunnel.tests.backends.local.test_instances import Pretended
from windtunnel.tests.backends.redis_fixture import RedisServer

MS = 1_000_000


class World:
    """Instances of a fleet on the moto server; *told* is what one must know."""

    def __init__(self, settings: AwsSettings, registry: RedisServer) -> None:
        fleet = FleetSpec(
            settings.fleet, 1, 10, 10, AppSpec(boot_time=constant(MS), memory=Memory(total=1000)), ProxySpec()
        )
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.told: list[str] = []
        self.clock = LiveClock.begin()
        self.settings = settings.model_copy(update={"epoch": time.time_ns() - self.clock.now()})
        self.registry = RedisRegistry(registry.client)
        self.url = registry.url
        self.processes: dict[int, Pretended] = {}
        self.cloud = cloud_of(self.settings, self.clock.now)
        self.instances = Ec2Instances(
            fleet, self.clock, Addresses(9000), self.start,
            lambda time, name, fields: self.events.append((name, dict(fields))),
            lambda redis_url: self.settings, settings.bridged, self.told.append,
        )  # fmt: skip

    async def start(self, number: int, role: str, ready_at: int) -> Any:
        self.processes[number] = Pretended()
        return self.processes[number]

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [fields for event, fields in self.events if event == name]

    def has_address(self, number: int) -> bool:
        return number in self.instances.by_number and bool(self.instances.by_number[number].address)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def begun(self) -> AsyncIterator["World"]:
        try:
            await self.instances.begin(self.url)
            yield self
        finally:
            await self.instances.end()

    async def first(self, *roles: str) -> None:
        """The first fleet; each registers when it has an address."""

        async def register() -> None:
            for number, role in enumerate(roles, 1):
                await self.until(partial(self.has_address, number))
                self.registry.register(self.instances.by_number[number].address, role)

        await asyncio.gather(self.instances.begin_first(roles), register())


def flying(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_servers_elsewhere_are_known_by_registry_and_list(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        world = World(settings(), redis_server)
        async with world.begun():
            await world.first("serving", "canary")
            one, two = world.instances.present()
            assert (one.state, two.state) == (State.SERVING, State.CANARY)
            assert one.address.startswith("http://10.")
            assert world.instances.numbers == {one.address: 1, two.address: 2}
            assert {fields["server"] for fields in world.named("ready")} == {1, 2}
            world.registry.write_samples([Sample(one.address, 1, 7, 0.5, 0.25, 3)])
            await world.until(lambda: one.second)
            assert one.second == {
                "requests": 7,
                "in_flight": 3,
                "queued": 0,
                "custom": {},
                "memory": 500,
                "cpu_ns": SECOND // 4,
            }
            assert await asyncio.to_thread(world.cloud.list)
        assert await asyncio.to_thread(world.cloud.list) == ()
        assert world.told[-1].startswith("ended 2 instances of run run-1: i-")

    flying(run())


def test_the_autoscalers_words_and_what_it_did_not_tell(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        world = World(settings(), redis_server)
        async with world.begun():
            await world.first("serving")
            follow, clock = world.instances.follow, world.clock
            two = await asyncio.to_thread(world.cloud.launch, 2, "serving", "t2")
            said = {"server": 2, "role": "serving"}
            assert follow(two.launched, "launched", said) == (None if world.named("launched")[1:] else said)
            await world.until(lambda: world.instances.by_number[2].provider_id)
            assert follow(two.launched, "launched", said) is None, "it is told once"
            await asyncio.to_thread(world.cloud.launch, 3, "serving", "t3")
            await world.until(lambda: {"server": 3, "role": "serving"} in world.named("launched"))
            await asyncio.to_thread(world.cloud.terminate, two.provider_id)
            ended = {"server": 2, "reason": "drained"}
            assert follow(clock.now(), "terminated", ended) == {**ended, "lost": 0}
            assert follow(clock.now(), "terminated", ended) is None
            three = world.instances.by_number[3].provider_id
            await asyncio.to_thread(world.cloud.terminate, three)
            await world.until(lambda: world.named("terminated"))
            assert world.named("terminated") == [{"server": 3, "reason": "ended elsewhere", "lost": 0}]
            assert [one.number for one in world.instances.present()] == [1]
            for call in (
                lambda: world.instances.launch(4, "serving", "t"),
                lambda: world.instances.terminate(three, ""),
            ):
                with pytest.raises(CloudError, match="UnsupportedOperation"):
                    call()

    flying(run())


def test_a_process_that_ends_leaves_its_instance_and_is_not_begun_anew(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        world = World(settings(bridged=True, port=9000), redis_server)
        async with world.begun():
            up = asyncio.create_task(world.instances.begin_first(["serving"]))
            await world.until(lambda: 1 in world.processes)
            one = world.instances.by_number[1]
            world.instances.said(one, {"status": "up", "t": world.clock.now()})
            await up
            world.processes[1].over.set()
            await world.until(lambda: one.state == State.FAILED)
            assert world.named("killed") == [{"server": 1, "lost": 0}]
            process = world.processes[1]
            await asyncio.sleep(1.5)
            assert world.processes == {1: process}
            assert [item.provider_id for item in await asyncio.to_thread(world.cloud.list)] == [
                one.provider_id
            ]

    flying(run())


def test_a_server_that_never_registers_fails_the_start_and_is_ended(
    settings: SettingsOf, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windtunnel.backends.aws.instances.BOOT_TIMEOUT", SECOND // 2)

    async def run() -> None:
        world = World(settings(), redis_server)
        with pytest.raises(
            BackendFailure,
            match=r"instance 1 \(i-\w+, http://10\.[\d.]+\): expected it in the registry within 0\.5 s",
        ):
            async with world.begun():
                await world.instances.begin_first(["serving"])
        assert await asyncio.to_thread(world.cloud.list) == ()

    flying(run())


def test_a_launch_under_way_when_the_flight_is_cancelled_is_ended(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        world = World(settings(), redis_server)
        async with world.begun():
            task = asyncio.create_task(world.instances.begin_first(["serving"]))
            await world.until(lambda: 1 in world.instances.by_number)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(world.cloud.list) == ()
        assert world.told[-1].startswith("ended 1 instance of run run-1: i-")

    flying(run())


def test_what_an_earlier_run_left_is_neither_taken_nor_ended(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        other = cloud_of(settings(run="earlier"), time.monotonic_ns)
        left = await asyncio.to_thread(other.launch, 1, "serving", "t")
        world = World(settings(), redis_server)
        with pytest.raises(
            BackendFailure,
            match=f"found 1 .{left.provider_id}., such as of run earlier; end them by: windtunnel janitor ",
        ):
            async with world.begun():
                raise AssertionError("it began")
        assert [one.provider_id for one in await asyncio.to_thread(other.list)] == [left.provider_id]

    flying(run())


def test_when_the_instance_time_is_used_up_the_flight_fails(
    settings: SettingsOf, redis_server: RedisServer
) -> None:
    async def run() -> None:
        world = World(settings(max_hours=11.5 / 3600), redis_server)

        async def used_up() -> None:
            """It may be so before the first fleet is up."""
            await world.first("serving")
            await world.until(lambda: world.instances.over)
            world.instances.check()

        async with world.begun():
            with pytest.raises(BackendFailure, match="--max-hours"):
                await used_up()
            assert await asyncio.to_thread(world.cloud.list) == ()

    flying(run())
