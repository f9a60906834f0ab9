"""The scenario's rules on real sockets: retries, timeouts, ejection, breaker, eviction, memory, the plan's headers."""

import asyncio
import sys
import time
from itertools import pairwise

import pytest
from windtunnel.backends.proxy.delays import Delays
from windtunnel.backends.proxy.health_checks import check_forever
from windtunnel.backends.proxy.rows import as_array, as_lists
from windtunnel.core import draws, routing, table
from windtunnel.core.load_index import build_index
from windtunnel.core.model import SECOND, HealthSpec, Link, OutlierSpec, ProxySpec
from windtunnel.core.ports import Servers
from windtunnel.core.tallies import bucket_of, tallies_of

from .fleet import GET, PATIENCE, Request, fleet, hello, play, until

MS = SECOND // 1000


async def reset(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def full(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Full\r\nwindtunnel-cause: queue_full\r\nContent-Length: 4\r\n\r\nfull")


async def broken(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")


async def silent(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(PATIENCE)


def test_decisions_over_lists_are_those_over_arrays() -> None:
    array = table.empty_table(9)
    for slot in range(9):
        table.list_server(array, slot, slot * 2 + 1, slot % 2, slot + 1, slot * SECOND)
        array["in_flight"][slot] = draws.draw(1, slot, 1, 1) % 4
    lists = as_lists(array)
    assert as_array(lists, table.SERVER).tolist() == array.tolist()
    load = build_index(array)
    indexed = load.tolist()
    for turn in range(200):
        bits = draws.draw(2, turn, 1, draws.ROUTE)
        for algorithm in range(7):
            rest = (9, turn % 2, 5, SECOND * (turn % 3), 10 * SECOND + turn, bits, 0, turn % 19, 3, turn)
            expected = routing.route(algorithm, array, load, *rest)
            assert routing.route(algorithm, lists, indexed, *rest) == expected
    assert as_array(lists, table.SERVER).tolist() == array.tolist()


def test_round_robin_over_what_the_registry_lists() -> None:
    async def story() -> None:
        async with fleet(hello, hello, hello) as world:
            for _ in range(9):
                assert (await world.get()).status == 200
            assert [len(app.requests) for app in world.apps] == [3, 3, 3]
            world.list(*world.apps[:2])
            for _ in range(4):
                await world.get()
            assert len(world.apps[2].requests) == 3

    play(story())


def test_the_registry_says_the_canaries_share() -> None:
    async def story() -> None:
        async with fleet(hello, hello, spec=ProxySpec(canary_every=4)) as world:
            listed = Servers((world.apps[0].address,), (world.apps[1].address,))
            for share, canaries in ((None, 2), ((1, 2), 4), ((0, 1), 0), ((1, 1), 8), (None, 2)):
                world.proxy.refresh(listed, share)
                before = len(world.apps[1].requests)
                for _ in range(8):
                    assert (await world.get()).status == 200
                assert len(world.apps[1].requests) - before == canaries

    play(story())


def test_tries_are_counted_for_the_role_of_their_server() -> None:
    """A failure of the canary that another server made good, answers, and what a client no longer waited for."""

    async def story() -> None:
        spec = ProxySpec(canary_every=2, retry_attempts=1)
        async with fleet(hello, reset, silent, spec=spec) as world:
            good, bad, still = (app.address for app in world.apps)
            world.proxy.refresh(Servers((good,), (bad,)), None)
            for _ in range(6):
                assert (await world.get()).status == 200
            counted = tallies_of(1, world.proxy.servers.counters)
            assert (counted.serving[:2], counted.canary[:2]) == ((6, 0), (3, 3))
            assert sum(counted.serving.latency) == 6
            world.proxy.refresh(Servers((), (still,)), (1, 1))
            client = await world.client()
            client.writer.write(GET)
            await until(lambda: world.apps[2].requests)
            await asyncio.sleep(0.05)
            client.close()
            await until(lambda: tallies_of(2, world.proxy.servers.counters).canary.answers == 4)
            waited = tallies_of(2, world.proxy.servers.counters).canary.since(counted.canary)
            assert waited.failures == 1
            assert sum(waited.latency[bucket_of(50_000_000) :]) == 1

    play(story())


@pytest.mark.parametrize(
    ("first", "outcome"), [(reset, "upstream_reset"), (full, "queue_full"), (None, "connect_failed")]
)
@pytest.mark.parametrize("attempts", [0, 1])
def test_retries(first, outcome: str, attempts: int) -> None:  # type: ignore[no-untyped-def]
    async def story() -> None:
        spec = ProxySpec(retry_attempts=attempts)
        async with fleet(first or hello, hello, spec=spec) as world:
            bad, good = world.apps
            if first is None:
                await bad.kill()
            world.list(bad)
            reply = await world.get()
            assert (reply.status, reply.cause) == (503 if outcome == "queue_full" else 502, outcome)
            world.list(bad, good)
            replies = [await world.get() for _ in range(4)]
            assert sum(reply.status == 200 for reply in replies) == (4 if attempts else 2)
            assert {reply.cause for reply in replies} <= {"", outcome}

    play(story())


def test_what_is_not_safe_is_not_repeated() -> None:
    async def story() -> None:
        async with fleet(reset, hello, spec=ProxySpec(retry_attempts=3)) as world:
            statuses = []
            for _ in range(4):
                client = await world.client()
                reply = await client.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
                statuses.append(reply.status)
            assert sorted(statuses) == [200, 200, 502, 502]
            assert len(world.apps[1].requests) == 2

    play(story())


def test_a_full_queues_retry_carries_the_content() -> None:
    async def story() -> None:
        async with fleet(full, hello, spec=ProxySpec(retry_attempts=3)) as world:
            for _ in range(4):
                client = await world.client()
                reply = await client.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
                assert reply.status == 200
            assert {request.content for request in world.apps[1].requests} == {b"ab"}
            assert world.apps[0].connections == 1

    play(story())


def test_a_kept_connection_that_its_server_has_closed_costs_nothing() -> None:
    async def once(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hello(request, reader, writer)
        await writer.drain()
        # The next request on this connection meets a server that has just closed it.
        await reader.read(1)
        writer.transport.abort()

    async def story() -> None:
        async with fleet(once) as world:
            client = await world.client()
            for _ in range(5):
                assert (await client.ask(GET)).status == 200

    play(story())


def test_no_answer_in_time() -> None:
    async def story() -> None:
        async with fleet(silent, spec=ProxySpec(upstream_timeout=100 * MS)) as world:
            client = await world.client()
            for _ in range(2):
                reply = await client.ask(GET)
                assert (reply.status, reply.cause) == (504, "upstream_timeout")
            assert world.proxy.descriptors == 1

    play(story())


def test_servers_are_ejected_and_come_back() -> None:
    async def story() -> None:
        spec = ProxySpec(outlier=OutlierSpec(2, 1500 * MS, 50))
        async with fleet(broken, hello, spec=spec) as world:
            for _ in range(4):
                await world.get()
            (ejected,) = [fields for name, fields in world.events if name == "ejected"]
            assert ejected["until"] > world.proxy.clock.now()
            for _ in range(4):
                assert (await world.get()).status == 200
            assert len(world.apps[0].requests) == 2
            await until(lambda: ("unejected", {"server": ejected["server"]}) in world.events)
            assert {(await world.get()).status for _ in range(2)} == {200, 500}

    play(story())


def test_a_cap_of_requests_in_flight() -> None:
    async def story() -> None:
        release = asyncio.Event()

        async def held(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            await hello(request, reader, writer)

        async with fleet(held, spec=ProxySpec(max_in_flight=2)) as world:
            clients = [await world.client() for _ in range(2)]
            for client in clients:
                await client.send(GET)
            await until(lambda: len(world.apps[0].requests) == 2)
            reply = await world.get()
            assert (reply.status, reply.cause, reply.fields["retry-after"]) == (503, "shed", "1")
            release.set()
            assert [(await client.reply()).status for client in clients] == [200, 200]
            assert world.names() == ["breaker_opened", "breaker_closed"]

    play(story())


def test_active_health_checks() -> None:
    async def story() -> None:
        spec = ProxySpec(health=HealthSpec(20 * MS, 2 * SECOND, 2, 2, "/alive"))
        async with fleet(hello, hello, spec=spec) as world:
            world.proxy.spawn(check_forever(world.proxy))
            first, second = world.apps
            await until(lambda: first.requests)
            assert first.requests[0].line == "GET /alive HTTP/1.1"
            port = first.port
            await first.kill()
            await until(lambda: "unhealthy" in world.names())
            served = len(second.requests)
            for _ in range(4):
                assert (await world.get()).status == 200
            assert len(second.requests) >= served + 4
            await first.start(port)
            await until(lambda: "healthy" in world.names())

    play(story())


def test_a_planned_request_is_timed_and_routed_by_its_draws() -> None:
    async def planned(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nwindtunnel-app: 11-12-13-14\r\nContent-Length: 0\r\n\r\n")

    async def story() -> None:
        async with fleet(planned, planned, planned, spec=ProxySpec(routing=routing.RANDOM)) as world:
            before = world.proxy.clock.now()
            for index in range(20):
                reply = await world.get(extra=b"windtunnel-request: 0-%d-1\r\n" % index)
                numbers = [int(part) for part in reply.fields["windtunnel-times"].split("-")]
                assert before <= numbers[0] <= numbers[1] <= world.proxy.clock.now()
                assert numbers[2:6] == [11, 12, 13, 14]
                assert numbers[7] == 1
                assert "windtunnel-app" not in reply.fields
                count = world.proxy.servers.count
                bits = draws.draw(77, index, 1, draws.ROUTE)
                assert numbers[6] == world.proxy.servers.rows["id"][draws.below(bits, count)]
            for forged in (b"5-0-1", b"0-0-0", b"x", b"0-99999999999999-1", b"0-0-5000"):
                reply = await world.get(extra=b"windtunnel-request: " + forged + b"\r\n")
                assert reply.status == 200
                assert "windtunnel-times" not in reply.fields

    play(story())


def test_an_app_server_is_told_of_an_attempts_later_tries() -> None:
    async def story() -> None:
        async with fleet(full, hello, spec=ProxySpec(retry_attempts=1)) as world:
            for extra in (b"windtunnel-request: 0-%d-1\r\n", b"windtunnel-try: %d\r\n"):
                for index in range(2, 6):
                    assert (await world.get(extra=extra % index)).status == 200
            first, second = (app.requests for app in world.apps)
            # Each begins at the server that is full: the turn goes on from where the last try was.
            assert (len(first), len(second)) == (8, 8)
            planned, foreign = second[:4], second[4:]
            assert [request.one("windtunnel-try") for request in planned] == ["2"] * 4
            # What a client says of tries counts for nothing.
            assert not any(request.all("windtunnel-try") for request in [*first, *foreign])
            keys = [name for name, _ in planned[0].fields]
            assert len(keys) == len(set(keys))

    play(story())


def test_the_links_latency_is_added() -> None:
    async def story() -> None:
        async with fleet(hello, fleet_options={"upstream_link": Link(30 * MS, 5 * MS)}) as world:
            client = await world.client()
            for index in range(3):
                start = world.proxy.clock.now()
                reply = await client.ask(
                    b"GET / HTTP/1.1\r\nHost: x\r\nwindtunnel-request: 0-%d-1\r\n\r\n" % index
                )
                assert reply.content == b"hello"
                assert world.proxy.clock.now() - start >= 48 * MS

    play(story())


def test_foreign_lists() -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            (app,) = world.apps
            listed = (
                app.address,
                app.address + "/",
                "http://10.0.0.1",
                "http://10.0.0.1:80",
                "rubbish value",
                "http://:x",
            )
            world.proxy.servers.update(Servers(listed))
            described = world.proxy.servers.describe()
            assert set(described) == {app.address, "http://10.0.0.1"}
            numbers = {address: facts["number"] for address, facts in described.items()}
            assert min(numbers.values()) >= 1 << 20
            world.proxy.servers.update(Servers(tuple(reversed(listed))))
            assert {a: f["number"] for a, f in world.proxy.servers.describe().items()} == numbers

    play(story())


def test_pairs_of_requests_share_few_upstream_connections() -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            clients = [await world.client() for _ in range(10)]
            for _ in range(5):
                for one, two in pairwise(clients):
                    await asyncio.gather(one.ask(GET), two.ask(GET))
            assert world.apps[0].connections <= 4

    play(story())


def test_delays_below_a_millisecond() -> None:
    async def story() -> None:
        delays = Delays(asyncio.get_running_loop())
        called: list[int] = []
        begin = time.monotonic_ns()
        for number in (2, 1, 3, 1):
            delays.call_later(number * 300_000, lambda number=number: called.append(number))
        await until(lambda: len(called) == 4)
        assert called == [1, 1, 2, 3]
        early = tried = 0
        while early <= 20 and tried < 3000:
            tried += 1
            done = asyncio.Event()
            begin = time.monotonic_ns()
            delays.call_later(500_000, done.set)
            await done.wait()
            taken = time.monotonic_ns() - begin
            assert taken >= 500_000
            early += taken < 950_000
        # A millisecond timer would have none.
        assert early > 20 or sys.platform != "linux"
        delays.call_later(1, called.clear)
        delays.close()
        await asyncio.sleep(0.01)
        assert called

    play(story())
