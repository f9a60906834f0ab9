"""A fleet that is known by its registry alone."""

import asyncio
import json
from typing import Any

import fakeredis
from windtunnel.backends.dashboard.news import News
from windtunnel.backends.dashboard.registry_watch import RegistryWatch
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.lifecycle import State
from windtunnel.core.ports import ProxyLoad, Sample
from windtunnel.dashboards import RegistryShow

from .serving import wait_for

FIRST, SECOND_ONE = "http://10.0.0.1", "http://10.0.0.2:8080"


def test_loads_are_those_of_the_registry() -> None:
    async def course() -> None:
        server = fakeredis.FakeServer()
        registry, clock = (
            RedisRegistry(fakeredis.FakeRedis(server=server, decode_responses=True), ""),
            LiveClock.begin(),
        )
        registry.register(FIRST, "serving")
        registry.register(SECOND_ONE, "canary")
        registry.write_samples([Sample(FIRST, clock.now(), 17, 0.25, 0.5, 3), Sample(SECOND_ONE, 1, 99, 0.9)])
        registry.write_proxy_load(ProxyLoad(clock.now(), 40, 0, 5, 2))
        news = News()
        watch = RegistryWatch(registry, RegistryShow("here"), news)
        task = asyncio.create_task(watch.run())
        try:
            await wait_for(lambda: len(news.frames_from(0)) >= 3)
            frames: list[Any] = [json.loads(text) for text in news.frames_from(0)]
            assert [one["text"] for frame in frames[:2] for one in frame["marks"]] == [
                f"server 1: ready: {FIRST}", f"server 2: ready: {SECOND_ONE}",
            ]  # fmt: skip
            told = frames[2]
            assert told["servers"]["1"] == {
                "state": [int(State.SERVING)], "requests": [17], "in_flight": [3], "queued": [0], "memory": [250], "cpu": [500],
            }  # fmt: skip
            # What a server said long ago it does not say now.
            assert (told["servers"]["2"]["state"], told["servers"]["2"]["requests"]) == (
                [int(State.CANARY)],
                [0],
            )
            assert (told["fleet"]["arrived"], told["fleet"]["in_flight"], told["fleet"]["queued"]) == (
                [40],
                [5],
                [2],
            )
            # Nobody sees requests: none failed, and none did not.
            assert "errors" not in told["fleet"]
            registry.deregister(SECOND_ONE)
            await wait_for(lambda: "unlisted" in " ".join(news.frames_from(0)))
            server.connected = False
            await wait_for(lambda: "unreachable" in " ".join(news.frames_from(0)))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(course(), 40))


def test_the_page_of_it_has_no_seed_and_no_objectives() -> None:
    show = RegistryShow("127.0.0.1:6379/0")
    page = show.page(True)
    assert "<h1>fleet at 127.0.0.1:6379/0</h1>" in page
    assert "seed" not in page.partition("<main>")[2].partition("<script>")[0]
    assert show.document(True, 0).seconds == 0
    assert show.marks([{"t": 0, "event": "run"}]) == []
