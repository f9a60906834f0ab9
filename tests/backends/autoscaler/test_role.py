"""The autoscaler as a process, over a real Redis and a small control API."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from windtunnel.backends.live import role
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import AutoscalerSettings
from windtunnel.cli_flight import autoscaler
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.autoscaler.processes import INTERVAL, SPEC, Flight, eventually


@pytest.fixture
def flight() -> Iterator[Flight]:
    with Flight() as begun:
        yield begun


def test_it_scales_out_and_in(flight: Flight) -> None:
    scaler = flight.autoscaler()
    flight.load = 150
    eventually(lambda: flight.serving() == [1, 2, 3], "as many as allowed")
    eventually(lambda: scaler.ticks[-1]["reason"] == "at maximum", "it says what hinders it")
    assert flight.api.launches == [2, 3]
    assert flight.registry.instances() == ("local-1", "local-2", "local-3")
    flight.load = 10
    eventually(lambda: flight.numbers() == [1], "only one is left")
    eventually(lambda: flight.registry.instances() == ("local-1",), "and only one is noted")
    assert flight.api.terminated == [(3, "drained"), (2, "drained")]
    assert [event["server"] for event in scaler.named("draining")] == [3, 2]
    assert [(d["desired"], d["actual"], d["reason"], d["actions"]) for d in scaler.named("decision")
            if d["reason"] in ("requests_high", "idle")] == [
        (2, 1, "requests_high", 1), (3, 2, "requests_high", 1), (2, 3, "idle", 1), (1, 2, "idle", 1)
    ]  # fmt: skip
    assert {event["event"] for event in scaler.events} == {"decision", "draining"}
    assert {tick["status"] for tick in scaler.ticks} == {"tick"}
    assert scaler.end() == 0
    assert not flight.registry._redis.get("windtunnel:lease"), "the lease is given back"


def test_turns_are_in_phase(flight: Flight) -> None:
    start = flight.clock.now() + SECOND // 2
    scaler = flight.autoscaler(start=start)
    eventually(lambda: len(scaler.ticks) >= 8, "some turns")
    turns = [(tick["t"] - start) // INTERVAL for tick in scaler.ticks]
    assert turns == sorted(turns)
    # One that is late may be said when the next is due; but each comes after its turn, and no turn comes twice.
    assert all(turn >= number for number, turn in enumerate(turns, 1)), turns


def test_a_stall_passes_turns_over_and_says_so(flight: Flight) -> None:
    scaler = flight.autoscaler()
    eventually(lambda: len(scaler.ticks) >= 2, "some turns")
    scaler.signal(signal.SIGSTOP)
    time.sleep(8 * INTERVAL / SECOND)
    before = len(scaler.ticks)
    scaler.signal(signal.SIGCONT)
    eventually(lambda: any("missed" in line for line in scaler.logs), "it says so")
    eventually(lambda: len(scaler.ticks) >= before + 3, "and goes on")
    gaps = [later["t"] - earlier["t"] for earlier, later in zip(scaler.ticks, scaler.ticks[1:], strict=False)]
    assert max(gaps) >= 6 * INTERVAL, "nothing was made up for"


def test_without_the_registry_it_holds_and_says_so_once(flight: Flight) -> None:
    scaler = flight.autoscaler(replace(SPEC, dead_after=2 * SECOND))
    flight.load = 150
    eventually(lambda: flight.serving() == [1, 2, 3], "it scales")
    flight.redis.stop()
    eventually(lambda: scaler.ticks[-1]["reason"] == "unreachable", "it notices")
    before = len(scaler.ticks)
    eventually(lambda: len(scaler.ticks) >= before + 15, "it holds for three seconds")
    assert {tick["reason"] for tick in scaler.ticks[before:]} == {"unreachable"}
    assert flight.numbers() == [1, 2, 3]
    said = [event for event in scaler.named("decision") if event["reason"] == "unreachable"]
    assert len(said) == 1
    assert "ConnectionError" in said[0]["error"]
    flight.load = 50
    flight.redis.start()
    flight.register_again()
    eventually(lambda: flight.serving() == [1, 2, 3], "the servers are back")
    eventually(lambda: scaler.ticks[-1]["reason"] == "within", "it decides again")
    assert scaler.named("decision")[-1]["reason"] != "silent"
    assert not flight.api.terminated, "nobody's silence meant anything"


def test_one_of_two_acts(flight: Flight) -> None:
    first = flight.autoscaler()
    eventually(lambda: first.ticks, "the first has the lease")
    second = flight.autoscaler()
    eventually(lambda: second.ticks and second.ticks[-1]["reason"] == "no lease", "the second waits")
    eventually(lambda: any("holds the lease" in line for line in second.logs), "and says so")
    flight.load = 150
    eventually(lambda: flight.serving() == [1, 2, 3], "one scales")
    assert flight.api.launches == [2, 3]
    assert not second.events
    assert first.end() == 0
    flight.load = 10
    eventually(lambda: flight.numbers() == [1], "the other takes over when the lease is given back")
    assert [event["server"] for event in second.named("draining")] == [3, 2]


@pytest.mark.long
def test_killed_while_it_drains_and_started_again(flight: Flight) -> None:
    first = flight.autoscaler(replace(SPEC, drain_grace=SECOND))
    flight.load = 150
    eventually(lambda: flight.serving() == [1, 2, 3], "it scales out")
    flight.load = 10
    eventually(lambda: first.named("draining"), "it drains one")
    first.kill()
    assert flight.numbers() == [1, 2, 3]
    second = flight.autoscaler()
    eventually(lambda: flight.numbers() == [1], "the next one ends what the first began")
    assert flight.api.terminated == [(3, "drained"), (2, "drained")]
    assert [event["server"] for event in second.named("draining")] == [2]
    assert flight.api.launches == [2, 3]


def test_a_dry_run_only_says_what_it_would_do(flight: Flight) -> None:
    scaler = flight.autoscaler(dry_run=True)
    flight.load = 150
    eventually(lambda: len(scaler.named("decision")) >= 2, "it decides, again after the cooldown")
    assert {(d["desired"], d["actual"], d["actions"]) for d in scaler.named("decision")} == {(2, 1, 1)}
    assert {event["event"] for event in scaler.events} == {"decision"}
    assert not flight.api.launches
    raw = flight.registry._redis
    assert raw.keys("windtunnel:*") == []
    assert flight.registry.instances() == ()


def test_a_dry_run_needs_no_cloud(flight: Flight) -> None:
    scaler = flight.autoscaler(dry_run=True, cloud_url="")
    flight.load = 150
    eventually(lambda: scaler.named("decision"), "it decides")
    assert scaler.named("decision")[0]["reason"] == "requests_high"


def test_a_cloud_that_refuses_is_asked_ever_more_rarely(flight: Flight) -> None:
    flight.api.refusing = (400, b'{"code": "InsufficientInstanceCapacity", "message": "none"}')
    scaler = flight.autoscaler()
    flight.load = 150
    eventually(lambda: len(scaler.named("launch_refused")) >= 4, "it asks again")
    refused = scaler.named("launch_refused")
    assert refused[0]["code"] == "InsufficientInstanceCapacity"
    # After one turn, two, and three or four.
    assert refused[3]["t"] - refused[0]["t"] > 5 * INTERVAL
    eventually(lambda: scaler.ticks[-1]["reason"] == "backing off", "it says what hinders it")
    flight.api.refusing = None
    eventually(lambda: flight.serving() == [1, *flight.api.launches[:1]], "and is heard")


def test_started_alone_it_begins_at_second_0_of_its_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[AutoscalerSettings] = []
    monkeypatch.setattr(role, "run_role", lambda name, settings, owned: told.append(settings))
    before = LiveClock.begin().now()
    autoscaler("flash-crowd-small", dry_run=True)
    (settings,) = told
    assert settings.start % SECOND == 0
    assert before - SECOND <= settings.start <= LiveClock.begin().now()
