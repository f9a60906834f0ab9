"""Rules that go by a run's figures: when each speaks, with which words, and when it is silent."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from windtunnel.core.model import (
    INSTANT,
    PER_REQUEST,
    POOL,
    SECOND,
    AppSpec,
    AutoscalerSpec,
    ClientSpec,
    DependencySpec,
    EndpointSpec,
    FleetSpec,
    HealthSpec,
    Link,
    Memory,
    ProxySpec,
    SourceSpec,
)  # fmt: skip
from windtunnel.core.policies import Threshold
from windtunnel.core.routing import LEAST_CONNECTIONS
from windtunnel.reports import stations
from windtunnel.reports.facts import Death, Facts, Peak
from windtunnel.reports.lifelines import Lifeline
from windtunnel.reports.profiler.hints.hint import Hint
from windtunnel.reports.profiler.hints.rules import RULES
from windtunnel.reports.profiler.hints.scene import Scene
from windtunnel.reports.stations import STATIONS, Breakdown

APP = AppSpec(queue=64, memory=Memory(total=2**30, leak=1024))
PROXY = ProxySpec(max_connections=1000, backlog=128, memory=Memory(total=2**29), max_in_flight=10)
FLEET = FleetSpec("x", 1, 60 * SECOND, 0, APP, PROXY)
SCALED = replace(FLEET, autoscaler=AutoscalerSpec(Threshold(), maximum=8, drain_timeout=3 * SECOND))
POOLED = replace(
    FLEET,
    client_link=Link(20_000_000, 5_000_000),
    sources=(SourceSpec("u", 1, ClientSpec(POOL, 50)), SourceSpec("v", 2, ClientSpec(PER_REQUEST))),
)
DB = replace(
    FLEET, dependencies=(DependencySpec("db", 4, -1, INSTANT),),
    endpoints=(EndpointSpec("/io", INSTANT, INSTANT), EndpointSpec("/db", INSTANT, INSTANT, (0, 0))),
)  # fmt: skip


def at(station: int, **more: Any) -> Facts:
    """The slowest 1% spent 3 of 4 parts of their time at *station*."""
    means = [SECOND / 4 / (len(STATIONS) - 1)] * len(STATIONS)
    means[station] = 3 * SECOND / 4
    slow = Breakdown(30, SECOND, tuple(means), np.zeros(0), np.zeros(0), np.array([0] * 10 + [1] * 20))
    return Facts(**{"fleet": FLEET, "slow": slow, "planned": 3000, **more})


def told(**more: Any) -> Facts:
    return Facts(**{"fleet": FLEET, "planned": 3000, "begun": 3000, "sent": 3000, **more})


def life(server: int, launched: int, ready: int) -> Lifeline:
    return Lifeline(server, launched * SECOND, ready=ready * SECOND)


SLOW = "The slowest 1% of requests (median 1 s) spent 75.0% of their time"

CASES: dict[str, tuple[Facts, tuple[str, ...], Facts]] = {
    # Rule: facts that make it speak, what it must say, nearly the same facts that leave it silent.
    "queue_and_busy": (
        at(stations.QUEUE, busy=0.93), (SLOW, "in the queue", "93.0% of all workers were busy", "lower scaling threshold"),
        at(stations.QUEUE, busy=0.79),
    ),
    "queue_though_idle": (
        at(stations.QUEUE, busy=0.4), (SLOW, "only 40.0% of all workers", "least_connections"),
        at(stations.QUEUE, busy=0.4, fleet=replace(FLEET, proxy=replace(PROXY, routing=LEAST_CONNECTIONS))),
    ),
    "cores_are_busy": (
        at(stations.CPU, cores=0.9), (SLOW, "90.0% of all cores"), at(stations.CPU, cores=0.5),
    ),
    "proxy_is_the_neck": (
        at(stations.PROXY, proxy_busy=Peak(0.99, 61 * SECOND)), (SLOW, "99.0% busy", "before 1:01"),
        at(stations.PROXY, proxy_busy=Peak(0.5, SECOND)),
    ),
    "dependencies_are_slow": (
        at(stations.WAITS, fleet=DB), (SLOW, "20 of these 30 are for /db, which has io of its own and calls to db:"), at(stations.CPU, fleet=DB),
    ),
    "pool_is_small": (
        at(stations.CONNECTION, fleet=POOLED), (SLOW, "at most 50 connections", "never full", "at most 75 ms with a handshake"),
        at(stations.CONNECTION, fleet=POOLED, accept_queue=Peak(128, SECOND)),
    ),
    "retries_take_the_time": (at(stations.EARLIER), (SLOW, "attempts that failed"), at(stations.QUEUE)),
    "retries_amplify": (
        told(sent=6000, storm=Peak(3.5, 20 * SECOND), bin=10 * SECOND),
        ("6,000 attempts of 3,000 requests", "2.00 times", "3.50 times in the 10 s before 0:20"), told(sent=3500),
    ),
    "scale_in_loses": (
        told(fleet=SCALED, lost=((9 * SECOND, 4, "drain timeout", 3), (12 * SECOND, 5, "drained", 1))),
        ("lost 4 requests in flight on servers 4 and 5", "at 0:09 (server 4, drain timeout)", "now 3 s"),
        told(fleet=SCALED, lost=((9 * SECOND, 4, "silent", 3),)),
    ),
    "short_lives": (
        told(lives=(life(3, 10, 40),), drains={3: 44 * SECOND}), ("1 server served", "took 30 s", "drained 4 s after", "at 0:44"),
        told(lives=(life(3, 10, 40),), drains={3: 90 * SECOND}),
    ),
    "syns_are_dropped": (
        told(late_syns=70, accept_queue=Peak(128, 30 * SECOND)), ("70 attempts waited at least 1 s", "128 of 128 at 0:30"),
        told(late_syns=70, accept_queue=Peak(127, SECOND)),
    ),
    "descriptors_run_out": (
        told(errors={"refused": 40, "connect_failed": 2}, descriptors=Peak(1000, 12 * SECOND)),
        ("40 of 3,000 requests ended as refused, 2 as connect_failed", "1,000 of 1,000 descriptors", "0:12"),
        told(errors={"refused": 40}, descriptors=Peak(900, 12 * SECOND)),
    ),
    "proxy_memory_runs_out": (
        told(errors={"evicted": 5}, proxy_memory=Peak(2**29, 7 * SECOND)), ("5 of 3,000 requests ended as evicted", "100% of its memory at 0:07"),
        told(errors={"no_server": 5}, proxy_memory=Peak(2**29, 7 * SECOND)),
    ),
    "proxy_was_down": (
        told(proxy_down=((20 * SECOND, 25 * SECOND), (40 * SECOND, -1)), errors={"refused": 7}),
        ("went down twice, first at 0:20, and came back 5 s later", "7 of 3,000 requests ended as refused"), told(errors={"refused": 7}),
    ),
    "fleet_is_capped": (
        told(fleet=SCALED, capped=(SECOND, 9 * SECOND, 12 * SECOND)), ("more than 8 servers 3 times, first at 0:01",), told(fleet=SCALED),
    ),
    "dead_stay_listed": (
        told(deaths=(Death(2, 30 * SECOND, 45 * SECOND, 12), Death(3, 31 * SECOND, -1, 0))),
        ("12 requests failed on server 2 after it had died", "at 0:30 and was terminated 15 s later", "health checks and outlier detection would"),
        told(deaths=(Death(2, 30 * SECOND, 45 * SECOND, 0),)),
    ),
    "nobody_served": (
        told(errors={"no_server": 9}, unserved=(4, 5 * SECOND, 8 * SECOND)), ("9 of 3,000", "4 seconds, from 0:05 to 0:08"),
        told(unserved=(4, 5 * SECOND, 8 * SECOND)),
    ),
    "queues_overflow": (
        told(errors={"queue_full": 30}), ("30 of 3,000 requests ended as queue_full", "hold 64 each"), told(errors={"queue_full": 29}),
    ),
    "cap_sheds": (
        told(errors={"shed": 31}), ("31 of 3,000 requests ended as shed", "cap of 10 requests"), told(errors={"shed": 2}),
    ),
    "servers_run_out_of_memory": (
        told(out_of_memory=((9 * SECOND, 4), (11 * SECOND, 5))), ("2 servers ran out of memory, first server 4 at 0:09", "1,024 MiB and leaks 1,024 bytes"),
        told(),
    ),
}  # fmt: skip


RULE = {rule.__name__: rule for rule in RULES}


def said(name: str, facts: Facts) -> list[Hint]:
    """What one rule says of a run of which only the figures are there."""
    nothing = {name: np.zeros(0, dtype=np.int64) for name in ("outcome", "time_ns", "latency_ns")}
    evidence: Any = SimpleNamespace(fleet=facts.fleet, end=facts.fleet.duration, requests=nothing)
    return list(RULE[name](Scene(evidence, facts)))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_rule_speaks_with_figures_and_is_silent_otherwise(name: str) -> None:
    speaks, words, silent = CASES[name]
    (hint,) = said(name, speaks)
    for word in words:
        assert word in hint.text
    assert hint.kind == name
    assert hint.text.endswith(".")
    assert hint.evidence
    assert 0 <= hint.since <= hint.until
    assert said(name, silent) == []


@pytest.mark.parametrize("name", sorted(CASES))
def test_nothing_is_said_of_a_run_without_trouble(name: str) -> None:
    assert said(name, told()) == []
    assert said(name, Facts(FLEET)) == []


def test_a_pool_is_not_blamed_for_a_long_link() -> None:
    far = replace(POOLED, client_link=Link(SECOND // 4))
    assert said("pool_is_small", at(stations.CONNECTION, fleet=far)) == []


def test_the_slowest_need_no_hint_when_nobody_finds_them_slow() -> None:
    for name, (facts, _, _) in CASES.items():
        if facts.slow is not None:
            assert said(name, replace(facts, too_slow=False)) == []


def test_the_proxys_own_retries_count() -> None:
    (hint,) = said("retries_amplify", told(sent=3300, tries=6600, storm=Peak(1.1, SECOND)))
    assert hint.value("amplification") == pytest.approx(2.2)
    assert hint.part == "proxy"
    assert "6,600 tries at servers, 2.20 times in all" in hint.text


def test_outlier_detection_that_is_there_is_not_asked_for() -> None:
    health = HealthSpec(SECOND, SECOND, 2, 2)
    fleet = replace(FLEET, proxy=replace(PROXY, health=health))
    deaths = (Death(2, SECOND, -1, 3), Death(4, SECOND, -1, 1))
    (hint,) = said("dead_stay_listed", told(fleet=fleet, deaths=deaths))
    assert (
        "servers 2 and 4 after they had died; server 2 died at 0:01 and was never terminated: outlier detection would"
        in hint.text
    )
