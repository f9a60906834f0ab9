"""Bad links between the proxy and app servers, on real sockets (see also tests/backends/local/faults)."""

import asyncio
import time
from collections.abc import Mapping

from windtunnel.backends.proxy.over_link import watch_all
from windtunnel.core.model import SECOND, ProxySpec

from .fleet import Fleet, Reply, Request, echo, fleet, hello, play, until

MS = SECOND // 1000


def strike(
    world: Fleet, upstream: Mapping[str, float], downstream: Mapping[str, float] | None = None
) -> None:
    """What is wrong with the link to the first server, as the conductor's command says it."""
    proxy = world.proxy
    (server,) = proxy.servers.by_number
    proxy.disturbed.link(server, (upstream, upstream if downstream is None else downstream), 0)
    proxy.links_changed()
    watch_all(proxy, server)


def fields(name: str, **more: float) -> dict[str, float]:
    return {f"{name}_share": 1.0, f"{name}_stream": 3, **more}


async def late(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.5)
    await hello(request, reader, writer)


async def post(world: Fleet, size: int) -> tuple[Reply, float]:
    """A request with so much content, and the seconds that it took."""
    client = await world.client()
    start = time.monotonic()
    reply = await client.ask(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size)
    )
    client.close()
    return reply, time.monotonic() - start


def test_content_waits_for_the_bandwidth_and_for_what_went_before() -> None:
    async def story() -> None:
        async with fleet(echo) as world:
            strike(world, {"rate": 1e5}, {})
            assert (await post(world, 0))[0].status == 200
            replies = await asyncio.gather(*(post(world, 10_000) for _ in range(3)))
            assert [len(reply.content) for reply, _ in replies] == [10_000] * 3
            for expected, took in zip((0.1, 0.2, 0.3), sorted(took for _, took in replies), strict=True):
                assert took >= 0.99 * expected

    play(story())


def test_a_link_resets_what_is_under_way() -> None:
    """A request that is at its server when the fault begins fails at once; one that would begin later as late as it says."""
    reset = fields("reset", reset_after=0, reset_since=0)

    async def story() -> None:
        async with fleet(late, spec=ProxySpec()) as world:
            client = await world.client()
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: world.apps[0].requests)
            strike(world, reset)
            reply = await client.reply()
            assert (reply.status, reply.cause) == (502, "upstream_reset")
            strike(world, fields("hold", hold_after=200 * MS, hold_since=0))
            start = time.monotonic()
            assert (await world.get()).cause == "upstream_reset"
            assert time.monotonic() - start >= 0.19
            assert len(world.apps[0].requests) == 1
            strike(world, {})
            assert (await world.get()).status == 200

    play(story())


def test_a_link_that_carries_so_much_does_not_carry_more() -> None:
    async def story() -> None:
        async with fleet(echo) as world:
            strike(world, {}, fields("limit", limit=1000, limit_since=0))
            assert (await post(world, 1000))[0].status == 200
            assert (await post(world, 1001))[0].cause == "upstream_reset"
            assert len(world.apps[0].requests) == 2
            strike(world, fields("limit", limit=1000, limit_since=0), {})
            assert (await post(world, 1001))[0].cause == "upstream_reset"
            assert len(world.apps[0].requests) == 2

    play(story())


def test_what_has_ended_keeps_its_descriptor() -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            strike(world, fields("linger", linger=SECOND))
            assert (await world.get()).status == 200
            assert world.proxy.descriptors >= 1
            await until(lambda: not world.proxy.open_connections())
            assert world.proxy.descriptors == 1
            await until(lambda: world.proxy.descriptors == 0)
            world.proxy.disturbed.link(0, (fields("linger", linger=SECOND), {}), 0)
            await world.get()
            await until(lambda: not world.proxy.open_connections())
            assert world.proxy.connections == 1
            await until(lambda: world.proxy.connections == 0)

    play(story())
