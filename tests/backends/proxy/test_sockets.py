"""Connections: too many of them, too large for memory, unread; servers that come and go under load."""

import asyncio

import pytest
from windtunnel.core import admission, routing
from windtunnel.core.model import SECOND, Memory, ProxySpec

from .fleet import GET, App, Client, Request, fleet, hello, play, until

MS = SECOND // 1000


async def open_many(world, count: int) -> list[Client]:  # type: ignore[no-untyped-def]
    """Connections that send a request and never read."""
    clients = []
    for _ in range(count):
        client = await world.client()
        client.writer.transport.pause_reading()
        client.writer.write(GET)
        clients.append(client)
    return clients


@pytest.mark.parametrize("given", [True, False])
def test_a_flood_that_never_reads_leaves_room_for_others(given: bool) -> None:
    async def story() -> None:
        spec = ProxySpec(max_connections=60 if given else -1, overload=admission.EVICT)
        async with fleet(hello, spec=spec, descriptors=160) as world:
            await open_many(world, 300)
            for _ in range(30):
                assert (await world.get()).status == 200
            assert world.proxy.connections <= 30
            assert world.proxy.requests >= 300

    play(story())


def test_without_eviction_connections_wait_for_room() -> None:
    async def story() -> None:
        async with fleet(hello, spec=ProxySpec(max_connections=2, backlog=16)) as world:
            first = await world.client()
            await first.ask(GET)
            second = await world.client()
            await until(lambda: world.proxy.connections == 2)
            third = await world.client()
            third.writer.write(GET)
            await until(lambda: world.listener.queued() == 1)
            assert world.proxy.connections == 2
            # The classic proxy has taken the last descriptor and has none for the app server.
            assert (await second.ask(GET)).cause == "connect_failed"
            second.close()
            assert (await third.reply()).cause == "connect_failed"
            first.close()
            await until(lambda: world.proxy.connections == 1)
            assert (await third.ask(GET)).status == 200

    play(story())


@pytest.mark.parametrize("exhaustion", ["refuse", "evict", "crash"])
def test_memory(exhaustion: str) -> None:
    async def story() -> None:
        spec = ProxySpec(memory=Memory(1000, 100, 300), on_exhaustion=admission.EXHAUSTION[exhaustion])
        async with fleet(hello, spec=spec) as world:
            crashed = []
            world.proxy.went_down = lambda: crashed.append(True)
            clients = [await world.client() for _ in range(3)]
            for client in clients:
                assert (await client.ask(GET)).status == 200
            assert world.proxy.memory() == 1000
            if exhaustion == "evict":
                fourth = await world.client()
                assert (await fourth.ask(GET)).status == 200
                assert await clients[0].closed() == b""
            else:
                with pytest.raises(ConnectionError):
                    await (await world.client()).ask(GET)
                assert world.names() == (["proxy_down"] if exhaustion == "crash" else [])
                assert bool(crashed) == (exhaustion == "crash")

    play(story())


def test_stalled_answers_time_out() -> None:
    answered: list[int] = []

    async def large_or_small(
        request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        size = 5 if len(answered) else 30 << 20
        answered.append(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async def story() -> None:
        spec = ProxySpec(write_timeout=300 * MS, max_connections=4, overload=admission.EVICT)
        async with fleet(large_or_small, spec=spec) as world:
            (stalled,) = await open_many(world, 1)
            await until(lambda: any(c.paused for c in world.proxy.open_connections()))
            await until(lambda: world.proxy.connections == 0)
            assert (await world.get()).status == 200
            stalled.close()

    play(story())


def test_servers_come_drain_and_die_without_lost_requests() -> None:
    async def story() -> None:
        spec = ProxySpec(retry_attempts=2, routing=routing.LEAST_CONNECTIONS)
        async with fleet(hello, hello, spec=spec) as world:
            statuses: list[int] = []
            running = True

            async def load() -> None:
                client = await world.client()
                while running:
                    statuses.append((await client.ask(GET)).status)

            async def more(count: int) -> None:
                goal = len(statuses) + count
                await until(lambda: len(statuses) >= goal)

            tasks = [asyncio.create_task(load()) for _ in range(16)]
            extra = App()
            await extra.start()
            world.apps.append(extra)
            first, second, _ = world.apps
            for listed in ((first, second, extra), (second, extra)):
                world.list(*listed)
                await more(200)
            await second.kill()
            await more(200)
            running = False
            await asyncio.gather(*tasks)
            assert set(statuses) == {200}
            assert len(extra.requests) > 100
            drained = len(first.requests)
            assert (await world.get()).status == 200
            assert len(first.requests) == drained

    play(story())
