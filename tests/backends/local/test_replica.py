"""Replicas that lag: real servers, fed late."""

import asyncio
import time

import pytest
import redis
from windtunnel.backends.connection import registry_at
from windtunnel.backends.local.redis_server import RedisServer
from windtunnel.backends.local.replica import Replicas
from windtunnel.backends.reach import Reach
from windtunnel.core.model import SECOND

LAG = SECOND


async def until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_replica_has_at_once_what_was_before_the_start_and_later_what_came_since() -> None:
    async def course() -> None:
        primary, replicas = RedisServer(), Replicas(time.monotonic_ns)
        try:
            await primary.start()
            await replicas.start(primary, {LAG})
            ours, copy = (redis.Redis.from_url(url) for url in (primary.url, replicas.url(LAG)))
            ours.set("before", "1")
            await until(lambda: copy.get("before") == b"1")
            replicas.begin(time.monotonic_ns())
            written = time.monotonic_ns()
            ours.set("after", "1")
            await until(lambda: copy.get("after") == b"1")
            assert time.monotonic_ns() - written >= LAG
            # Whoever is told to reads there; what it writes goes to the registry.
            reach = Reach("proxy")
            registry = registry_at(primary.url, "", reach)
            assert reach.obey({"command": "stale", "url": replicas.url(LAG)})
            registered = time.monotonic_ns()
            registry.register("http://127.1.0.1", "serving")
            seen = await asyncio.to_thread(registry.servers)
            if time.monotonic_ns() - registered < LAG:
                assert seen.serving == ()
            assert reach.obey({"command": "stale", "url": ""})
            assert registry.servers().serving == ("http://127.1.0.1",)
            # One that refuses what writes does so however many follow it.
            await asyncio.to_thread(primary.refuse_writes, True)
            with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
                ours.set("refused", "1")
            await asyncio.to_thread(primary.refuse_writes, False)
            # A registry that comes back empty is copied when it has been away for the lag, and is answered for until then.
            ended = time.monotonic_ns()
            await primary.end()
            assert copy.get("after") == b"1"
            await primary.come_back()
            await until(lambda: copy.get("after") is None)
            assert time.monotonic_ns() - ended >= LAG
        finally:
            await replicas.end()
            await primary.end()

    asyncio.run(course())
