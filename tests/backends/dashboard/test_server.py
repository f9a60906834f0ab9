"""The dashboard over HTTP, against a flight that only talks: what pages get, who may ask, and what is lost when somebody is slow or away."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from windtunnel.backends.dashboard.following import ENDED, GROWING, LIVE
from windtunnel.backends.live.whereabouts import NAME
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW

from .serving import PATIENCE, SECOND, PlainShow, dashboard, events, flight, second, wait_for

TOKEN = "0123456789abcdef"


def run(course: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(course, 2 * PATIENCE))


def test_a_flight_is_told_second_by_second_and_the_page_is_loaded_anew_when_it_has_ended(
    tmp_path: Path,
) -> None:
    async def course() -> None:
        show = PlainShow()
        async with aiohttp.ClientSession() as session, dashboard(tmp_path, show) as (url, news, following):
            assert following.state == GROWING
            async with flight(tmp_path, TOKEN) as (broadcast, _):
                assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
                await wait_for(lambda: following.state == LIVE)
                broadcast.rows(np.zeros(3, REQUEST_ROW), np.zeros(3, ATTEMPT_ROW))
                broadcast.metrics(second(0))
                await wait_for(lambda: news.frames_from(0))
                async with session.get(f"{url}/document") as answer:
                    first = await answer.json()
                assert first["state"] == LIVE
                assert first["allowed"] is True
                assert first["document"] == "packed"
                assert [frame["requests"] for frame in first["frames"]] == [3]
                async with session.get(f"{url}/events", params={"after": first["after"]}) as stream:
                    told = events(stream)
                    assert (await anext(told))[1:] == ("state", {"state": LIVE, "allowed": True})
                    broadcast.event(1_500_000_000, "fault", {"name": "lag"})
                    _, kind, data = await anext(told)
                    assert (kind, data["points"], data["marks"][0]["name"]) == ("frame", 0, "lag")
                    broadcast.metrics(second(1))
                    last, kind, data = await anext(told)
                    assert (kind, data["first"]) == ("frame", 1)
                    broadcast.metrics(second(2))
                    await wait_for(lambda: len(news.frames_from(2)) > 1)
                # The browser comes back: it goes on after the last event that it has had.
                async with session.get(f"{url}/events", headers={"Last-Event-ID": last}) as stream:
                    told = events(stream)
                    assert (await anext(told))[1] == "state"
                    assert (await anext(told))[2]["first"] == 2
            assert not (tmp_path / NAME).exists()
            (tmp_path / "summary.json").write_text("{}")
            await wait_for(lambda: following.state == ENDED)
            async with session.get(url) as answer:
                assert "<title>ended</title>" in await answer.text()

    run(course())


def test_a_document_is_made_anew_only_if_the_ring_does_not_reach_back_to_it(tmp_path: Path) -> None:
    async def course() -> None:
        show = PlainShow()
        async with (
            aiohttp.ClientSession() as session, flight(tmp_path) as (broadcast, _), dashboard(tmp_path, show) as (url, news, following),
        ):  # fmt: skip

            async def begin() -> dict[str, Any]:
                async with session.get(f"{url}/document") as answer:
                    found: dict[str, Any] = await answer.json()
                    return found

            await wait_for(lambda: following.state == LIVE)
            for number in range(5):
                broadcast.metrics(second(number))
            await wait_for(lambda: len(news.frames_from(0)) == 5)
            assert len((await begin())["frames"]) == len((await begin())["frames"]) == 5
            assert show.documents == 1
            for number in range(5, 405):
                broadcast.metrics(second(number))
                if number % 50 == 0:
                    await asyncio.sleep(0.05)
            await wait_for(lambda: news.frames_from(404))
            show.known = 400
            assert [frame["first"] for frame in (await begin())["frames"]] == [400, 401, 402, 403, 404]
            assert show.documents == 2

    run(course())


def test_what_a_page_of_another_site_asks_for_is_refused(tmp_path: Path) -> None:
    async def course() -> None:
        async with (
            aiohttp.ClientSession() as session, flight(tmp_path, TOKEN) as (_, faults), dashboard(tmp_path, PlainShow()) as (url, _, following),
        ):  # fmt: skip
            await wait_for(lambda: following.state == LIVE)
            port = url.rpartition(":")[2]
            for host in ("evil.example", f"127.0.0.1.evil.example:{port}", "127.evil.example", ""):
                async with session.get(f"{url}/document", headers={"Host": host}) as answer:
                    assert answer.status in (400, 403), host
            for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
                async with session.get(f"{url}/document", headers={"Host": host}) as answer:
                    assert answer.status == 200, host
            async with session.get(url) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "connect-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
                assert "'sha256-" in policy
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            wanted = json.dumps({"type": "kill"})
            ours = {"Content-Type": "application/json", "windtunnel-token": TOKEN}
            for headers, status in (
                ({**ours, "Origin": "http://evil.example"}, 403),
                ({**ours, "Origin": "null"}, 403),
                ({**ours, "Content-Type": "text/plain"}, 415),
                ({"Content-Type": "application/json"}, 401),
                ({**ours, "windtunnel-token": TOKEN[:-1]}, 401),
                ({**ours, "windtunnel-token": "\xe9"}, 401),
            ):
                async with session.post(f"{url}/faults", data=wanted, headers=headers) as answer:
                    assert answer.status == status, headers
                    assert (await answer.json())["message"].startswith("expected")
            async with session.post(
                f"{url}/faults?token={TOKEN}", data=wanted, headers={"Content-Type": "application/json"}
            ) as answer:
                assert answer.status == 401
            assert faults.asked == []
            async with session.post(f"{url}/faults", data=wanted, headers={**ours, "Origin": url}) as answer:
                assert (answer.status, (await answer.json())["name"]) == (201, "one")
            async with session.post(f"{url}/faults/stop", data='{"name": "one"}', headers=ours) as answer:
                assert answer.status == 200
            assert faults.asked == [{"type": "kill"}, "one"]

    run(course())


def test_no_fault_without_leave(tmp_path: Path) -> None:
    async def course() -> None:
        async with (
            aiohttp.ClientSession() as session,
            dashboard(tmp_path, PlainShow()) as (url, _, following),
        ):
            async with session.post(f"{url}/faults", json={"type": "kill"}) as answer:
                assert (answer.status, (await answer.json())["message"]) == (
                    409,
                    "expected a flight that flies: this run does not, or not any more",
                )
            async with flight(tmp_path) as (_, faults):
                await wait_for(lambda: following.state == LIVE)
                async with session.post(
                    f"{url}/faults", json={"type": "kill"}, headers={"windtunnel-token": ""}
                ) as answer:
                    assert answer.status == 403
                    assert "--allow-faults" in (await answer.json())["message"]
                async with session.get(f"{url}/faults") as answer:
                    assert await answer.json() == {"allowed": False, "in_force": [], "types": {}}
                assert faults.asked == []

    run(course())


def test_a_word_that_a_killed_flight_left_misleads_nobody(tmp_path: Path) -> None:
    async def course() -> None:
        (tmp_path / NAME).write_text('{"url": "http://127.0.0.1:1", "token": ""}')
        async with (
            aiohttp.ClientSession() as session,
            dashboard(tmp_path, PlainShow()) as (url, news, following),
        ):
            async with session.get(f"{url}/events", params={"after": news.last}) as stream:
                told = events(stream)
                assert (await anext(told))[1:] == ("state", {"state": GROWING, "allowed": False})
                # A run that grows without a flight is shown by its files.
                (tmp_path / "events.jsonl").write_text("{}\n")
                assert (await anext(told))[1] == "document"
            assert following.state == GROWING

    run(course())


def test_a_listener_of_a_flight_that_does_not_read_costs_a_bounded_queue(tmp_path: Path) -> None:
    async def course() -> None:
        from windtunnel.backends.live.telling import unpack

        async with flight(tmp_path) as (broadcast, _):
            listener = broadcast.listen()
            for number in range(2000):
                broadcast.rows(np.zeros(10, REQUEST_ROW), np.zeros(10, ATTEMPT_ROW))
                broadcast.metrics(second(number))
            assert len(listener) < 400
            reader = asyncio.StreamReader()
            while len(listener):
                reader.feed_data(await listener.next() or b"")
            reader.feed_eof()
            kinds = []
            times = []
            while (told := await unpack(reader.readexactly)) is not None:
                kinds.append(told.kind)
                times.append(told.fields.get("t", -1))
            assert kinds[0] == "lost"
            assert times[1:] == [number * SECOND for number in range(times[1] // SECOND, 2001)]

    run(course())
