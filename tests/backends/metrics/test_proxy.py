"""The proxy's metrics: scraped over a real socket while it works, they are what it did."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from windtunnel.backends.metrics.exposition import PATH
from windtunnel.backends.metrics.lag import LoopLag
from windtunnel.backends.metrics.registry_calls import RegistryCalls
from windtunnel.backends.proxy.admin import start_admin
from windtunnel.backends.proxy.metrics import CountedEvents, ProxyMetrics
from windtunnel.core.admission import EVICT, REFUSE
from windtunnel.core.model import Memory, ProxySpec

from ..proxy.fleet import GET, Fleet, Request, fleet, hello, play, until
from .scraping import Values, labelled, one, quantile, scrape

MS = 1_000_000


async def late(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.03)
    writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


async def telling(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the path says it says of itself."""
    header = request.line.split()[1].removeprefix("/?").replace("%20", " ").encode()
    writer.write(b"HTTP/1.1 200 OK\r\nWindtunnel-Metric: %b\r\nContent-Length: 2\r\n\r\nhi" % header)


async def silent(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


class Watched:
    """A fleet whose proxy can be scraped."""

    def __init__(self, made: Fleet, url: str, lag: LoopLag) -> None:
        self.fleet = made
        self.url = url
        self.lag = lag

    async def scrape(self) -> Values:
        return await asyncio.to_thread(scrape, self.url)


@asynccontextmanager
async def watched(*handlers: Any, **options: Any) -> AsyncIterator[Watched]:
    async with fleet(*handlers, **options) as made:
        lag, events = LoopLag(made.proxy.delays.call_later), CountedEvents(made.proxy.emit)
        made.proxy.servers.emit = events.emit
        metrics = ProxyMetrics(made.proxy, made.listener.queued, lag, RegistryCalls(), events)
        admin = await start_admin(made.proxy, 0, metrics=metrics.registry())
        try:
            yield Watched(made, admin.url + PATH, lag)
        finally:
            await admin.close()


def test_what_it_counts_is_what_happened() -> None:
    async def story() -> None:
        async with watched(hello, late) as there:
            made = there.fleet
            client = await made.client()
            for _ in range(10):
                await client.ask(GET)
            gone = await made.client()
            made.apps[0].handler = made.apps[1].handler = silent
            await gone.send(GET)
            await until(lambda: made.proxy.active == 1)
            before = await there.scrape()
            assert one(before, "windtunnel_proxy_requests_in_flight") == 1
            gone.writer.transport.abort()
            await until(lambda: made.proxy.active == 0)
            broken = await made.client()
            assert (await broken.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 400
            found = await there.scrape()
        classes = labelled(found, "windtunnel_proxy_responses_total", "status_class")
        assert classes == {"1xx": 0, "2xx": 5, "3xx": 0, "4xx": 0, "5xx": 5}
        assert one(found, "windtunnel_proxy_requests_total") == 11
        assert one(found, "windtunnel_proxy_requests_unanswered_total") == 1
        assert one(found, "windtunnel_proxy_malformed_messages_total") == 1
        assert one(found, "windtunnel_proxy_request_duration_seconds_count") == 10
        assert 0.03 * 5 <= one(found, "windtunnel_proxy_request_duration_seconds_sum") < 5
        assert 0.02 < quantile(found, "windtunnel_proxy_request_duration_seconds", 0.95) < 1
        assert quantile(found, "windtunnel_proxy_request_duration_seconds", 0.25) < 0.03
        # The one that nobody waited for counts as a failure, as for canaries.
        assert one(found, "windtunnel_proxy_tries_total", role="serving") == 11
        assert one(found, "windtunnel_proxy_tries_failed_total", role="serving") == 6
        assert one(found, "windtunnel_proxy_try_duration_seconds_count", role="serving") == 11
        sent = labelled(found, "windtunnel_proxy_server_requests_total", "server")
        assert sent == {f"127.0.0.1:{app.port}": count for app, count in zip(made.apps, (6, 5), strict=True)}
        for (name, labels), value in before.items():
            if name.endswith("_total"):
                assert found[name, labels] >= value, f"{name} fell"

    play(story())


def test_what_it_does_by_itself() -> None:
    async def story() -> None:
        async with watched(hello, spec=ProxySpec(retry_attempts=1)) as there:
            made = there.fleet
            await made.apps[0].kill()
            assert (await made.get()).status == 502
            made.list()
            assert (await made.get()).cause == "no_server"
            found = await there.scrape()
        assert labelled(found, "windtunnel_proxy_own_responses_total", "outcome") == {
            "connect_failed": 1, "no_server": 1
        }  # fmt: skip
        assert one(found, "windtunnel_proxy_responses_total", status_class="5xx") == 2

    play(story())


def memory(exhaustion: int) -> ProxySpec:
    return ProxySpec(memory=Memory(20, 0, 10), on_exhaustion=exhaustion)


@pytest.mark.parametrize(
    ("spec", "evicted", "refused", "waiting"),
    [
        (ProxySpec(max_connections=4, overload=EVICT), 2, 0, 0),
        (ProxySpec(max_connections=2, overload=REFUSE), 0, 0, 2),
        (memory(EVICT), 2, 0, 0),
        (memory(REFUSE), 0, 2, 0),
    ],
)
def test_its_connections(spec: ProxySpec, evicted: int, refused: int, waiting: int) -> None:
    """Four come, and there is room for two."""

    async def story() -> None:
        async with watched(hello, spec=spec) as there:
            made, counts = there.fleet, there.fleet.proxy.counts
            for _ in range(4):
                # Who is refused may hear of it at once.
                with suppress(ConnectionError):
                    await made.client()
            await until(lambda: counts.accepted + counts.refused + made.listener.queued() == 4)
            await until(lambda: made.proxy.connections == 2)
            found = await there.scrape()
            assert one(found, "windtunnel_proxy_connections_evicted_total") == evicted
            assert one(found, "windtunnel_proxy_connections_refused_total") == refused
            assert one(found, "windtunnel_proxy_connections_accepted_total") == 4 - refused - waiting
            assert one(found, "windtunnel_proxy_accept_queue_length") == waiting
            states = labelled(found, "windtunnel_proxy_client_connections", "state")
            assert states == {"active": 0, "idle": 2, "stalled": 0}
            assert one(found, "windtunnel_proxy_descriptors") == 2

    play(story())


def test_lag_is_how_long_the_loop_was_kept() -> None:
    async def story() -> None:
        async with watched(hello) as there:
            there.lag.start()
            await until(lambda: there.lag.durations.count >= 3)
            there.lag.worst()
            time.sleep(0.3)
            await until(lambda: there.lag.worst() > 200 * MS)
            found = await there.scrape()
        buckets = labelled(found, "windtunnel_proxy_event_loop_lag_seconds_bucket", "le")
        assert buckets["+Inf"] > buckets["0.2"], "one tick came after more than 200 ms"

    play(story())


def test_metrics_in_answers_are_kept_and_taken_out() -> None:
    async def story() -> None:
        async with watched(telling) as there:
            made = there.fleet
            for said in ("depth=3", "depth=4,%20hits=0.5", "depth=7", "requests=1", "depth"):
                reply = await made.get(f"/?{said}")
                assert reply.status == 200
                assert reply.content == b"hi"
                assert "windtunnel-metric" not in reply.fields
            (server,) = made.proxy.servers.describe().values()
            assert server["metrics"] == {"depth": 7.0, "hits": 0.5}, "the last value of each, no name of ours"
            found = await there.scrape()
            name = f"127.0.0.1:{made.apps[0].port}"
            assert one(found, "windtunnel_proxy_server_metric", server=name, metric="depth") == 7
            for number in range(100):
                await made.get(f"/?n{number}=1")
            assert len(made.proxy.servers.describe().popitem()[1]["metrics"]) == 64, "no more names than that"

    play(story())
