"""Lives of instances, where the time of requests went, and figures that conclusions rest on."""

import json
from typing import Any

import numpy as np
import pytest
from windtunnel import Run, replay
from windtunnel.core.model import SECOND
from windtunnel.reports.drawing import inline_svg, look
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.facts import gather
from windtunnel.reports.figure import draw
from windtunnel.reports.lifelines import lifelines, paid_ns, populations
from windtunnel.reports.messages import messages
from windtunnel.reports.panels_traffic import exceedance, shortened
from windtunnel.reports.stations import STATIONS, WAITS, breakdown, dependency_waits, middling, slowest
from windtunnel.reports.violations import findings
from windtunnel.reports.wording import duration, moment, plural, share
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.support import run as run_document
from windtunnel.tests.support import scenario, steady

LIFE = [
    {"t": 0, "event": "launched", "server": 1, "role": "serving"},
    {"t": 0, "event": "ready", "server": 1, "role": "serving"},
    {"t": 10, "event": "launched", "server": 2, "role": "serving"},
    {"t": 12, "event": "booting", "server": 2},
    {"t": 20, "event": "ready", "server": 2, "role": "canary"},
    {"t": 30, "event": "killed", "server": 1, "lost": 1},
    {"t": 40, "event": "draining", "server": 2},
    {"t": 45, "event": "terminated", "server": 2, "reason": "drained", "lost": 0},
]


def evidence_of(document: dict[str, Any]) -> Evidence:
    return Evidence.of(run_document(document), compile_plan(scenario(document)).fleet)


def test_lives() -> None:
    first, second = lifelines(LIFE, 60)
    assert first.phases == [("serving", 0, 30), ("failed", 30, 60)]
    assert first.deaths == [(30, "killed")]
    assert first.gone == -1
    assert second.phases == [
        ("pending", 10, 12),
        ("booting", 12, 20),
        ("canary", 20, 40),
        ("draining", 40, 45),
    ]
    assert (second.ready, second.gone, second.reason) == (20, 45, "drained")
    assert paid_ns([first, second]) == 60 + 35


def test_a_life_through_an_update() -> None:
    events: list[dict[str, Any]] = [
        {"t": 0, "event": "launched", "server": 1, "role": "serving", "version": "1"},
        {"t": 5, "event": "ready", "server": 1, "role": "serving"},
        {"t": 20, "event": "draining", "server": 1},
        {"t": 30, "event": "updating", "server": 1, "version": "2", "lost": 0},
        {"t": 40, "event": "updated", "server": 1, "version": "2"},
        {"t": 44, "event": "registered", "server": 1, "role": "serving"},
        {"t": 50, "event": "crashed", "server": 1, "lost": 3},
    ]
    (life,) = lifelines(events, 60)
    assert life.phases == [
        ("pending", 0, 5), ("serving", 5, 20), ("draining", 20, 30), ("updating", 30, 44), ("serving", 44, 50), ("failed", 50, 60),
    ]  # fmt: skip
    assert (life.ready, life.deaths) == (5, [(50, "crashed")])


def thousand() -> list[dict[str, object]]:
    events: list[dict[str, object]] = []
    for server in range(1, 1001):
        events.append({"t": 0, "event": "launched", "server": server, "role": "serving"})
        events.append({"t": server * SECOND // 100, "event": "ready", "server": server, "role": "serving"})
    events += [{"t": 15 * SECOND, "event": "killed", "server": server, "lost": 0} for server in range(1, 101)]
    return sorted(events, key=lambda event: int(str(event["t"])))


def test_a_thousand_lives_are_areas() -> None:
    lives = lifelines(thousand(), 20 * SECOND)
    assert len(lives) == 1000
    found = populations(lives, 20, 1)
    assert found["serving"].tolist() == [*range(50, 1000, 100), *[1000] * 5, *[900] * 5]
    assert found["failed"].tolist() == [0] * 15 + [100] * 5
    every = sum(found.values())
    assert isinstance(every, np.ndarray)
    assert (every == 1000).all()


@pytest.mark.parametrize("servers", [3, 1000])
def test_the_figures_of_few_and_many_servers(servers: int) -> None:
    evidence = evidence_of(steady(length="4s", fleet={"app": {"initial": servers}}))
    with look():
        lives, load = (inline_svg(draw(evidence, name), name) for name in ("lives", "servers"))
    many = servers == 1000
    assert ("(1,000 in all)" in lives) == many
    assert ("server 2" in load) == (not many)
    assert ("data:image/png" in load) == many
    assert len(lives) < 200_000


def test_the_parts_of_the_time_sum_up_to_the_latency() -> None:
    document: dict[str, Any] = {
        "duration": "15s",
        "fleet": {
            "app": {"initial": 1, "workers": 2, "queue": 4}, "network": {"client": {"latency": "3ms", "jitter": "1ms"}},
            "proxy": {"cpu_per_request": "2ms", "max_connections": 20, "backlog": 4, "retries": {"attempts": 1}},
            "dependencies": [{"name": "db", "service": {"exponential": {"mean": "4ms"}}}],
        },
        "endpoints": [
            {"path": "/", "cpu": {"exponential": {"mean": "9ms"}}, "io": {"constant": "3ms"}, "calls": ["db"]},
            {"path": "/plain", "cpu": {"constant": "1ms"}},
        ],
        "traffic": [{"name": "u", "stages": [{"for": "15s", "rate": "150/s"}],
                     "client": {"timeout": "300ms", "retries": {"attempts": 2, "backoff": "50ms"}}}],
        "faults": [{"name": "k", "type": "kill", "at": "10s"}],
    }  # fmt: skip
    evidence = evidence_of(document)
    requests = evidence.requests
    assert len(np.unique(requests["outcome"])) >= 3
    times, _ = breakdown(evidence, np.arange(len(requests["request"])))
    assert (times >= 0).all()
    assert (times.sum(axis=0) == requests["latency_ns"]).all()
    slow, typical = slowest(evidence), middling(evidence)
    assert slow is not None
    assert typical is not None
    assert slow.count == -(-len(requests["request"]) // 100)
    assert slow.median > typical.median
    assert sum(slow.share(place) for place in range(len(STATIONS))) == pytest.approx(1.0)
    (wait,) = dependency_waits(evidence)
    assert (wait.path, wait.calls, wait.with_io) == ("/", ("db",), True)
    assert wait.waited.min() >= 3_000_000
    assert typical.means[WAITS] > 0


def test_the_worst_second_is_told_with_what_came_before() -> None:
    document = steady(
        length="20s", fleet={"app": {"initial": 2}},
        faults=[{"name": "both", "type": "kill", "at": "10.5s", "target": {"count": 2}}],
        slo=[{"name": "up", "indicator": "error_rate", "below": "1%"}],
    )  # fmt: skip
    evidence = evidence_of(document)
    first = next(messages(evidence, findings(evidence), gather(evidence)))
    assert first.level == "error"
    assert first.text.startswith("up (error_rate below 1%) is violated with ")
    assert first.lines == (
        "From 0:10 to 0:20: up to 100%. Before it: fault both (kill, servers 1 and 2) at 0:10.5.",
    )


def test_a_fault_that_lasts_is_told_though_something_came_after_it() -> None:
    document = steady(
        length="20s", fleet={"app": {"initial": 1}},
        faults=[{"name": "dies", "type": "kill", "at": "10s"}],
        slo=[{"name": "up", "indicator": "error_rate", "below": "1%"}],
    )  # fmt: skip
    run, fleet = run_document(document), compile_plan(scenario(document)).fleet

    def said(*more: dict[str, Any]) -> str:
        lines = sorted(
            [*run.lines[:-1], *(json.dumps(one) for one in more)], key=lambda line: json.loads(line)["t"]
        )
        evidence = Evidence.of(Run(run.table, (*lines, run.lines[-1]), run.summary), fleet)
        return next(messages(evidence, findings(evidence), gather(evidence))).lines[0]

    slow = {
        "t": SECOND,
        "event": "fault",
        "name": "slow-db",
        "type": "latency",
        "targets": ["db"],
        "until": -1,
    }
    over = {"t": 3 * SECOND, "event": "fault_over", "name": "slow-db", "type": "latency"}
    assert said(slow).endswith(
        "fault dies (kill, server 1) at 0:10. Still on then: fault slow-db since 0:01."
    )
    assert said(slow, over).endswith("fault dies (kill, server 1) at 0:10.")


def test_workers_are_counted_at_the_moments_of_arrival() -> None:
    busy = evidence_of(steady(rate="190/s", length="20s", fleet={"app": {"initial": 1}}))
    calm = evidence_of(steady(rate="20/s", length="20s", fleet={"app": {"initial": 2}}))
    loaded, idle = gather(busy).busy, gather(calm).busy
    assert loaded is not None
    assert idle is not None
    assert 0.9 < loaded <= 1.0
    assert 0.0 <= idle < 0.8


def test_the_curve_of_exceedance_keeps_the_tail() -> None:
    values = np.arange(1, 100_001)
    x, left = exceedance(values)
    assert len(x) <= 402
    assert x[-1] == 100_000
    assert (np.diff(left) <= 0).all()
    assert left[0] == 1.0
    place = np.searchsorted(x, 99_000)
    assert left[place] == pytest.approx((values >= x[place]).mean(), rel=1e-9)


def test_numbers_in_words() -> None:
    assert [duration(n) for n in (0, 350_000, 12_000_000, 1_234_000_000, 125 * SECOND, 7200 * SECOND)] == [
        "0 s", "350 us", "12 ms", "1.23 s", "2 min 5 s", "2 h"]  # fmt: skip
    assert [moment(n) for n in (0, 65_250_000_000, 7265 * SECOND)] == ["0:00", "1:05.25", "2:01:05"]
    assert [share(v) for v in (0.0, 1.0, 0.5, 0.0234, 0.00064, 0.000000001, 0.99999)] == [
        "0%", "100%", "50.0%", "2.34%", "0.064%", "under 0.001%", "99.999%"]  # fmt: skip
    assert [plural(1, "stretch", "stretches"), plural(2, "stretch", "stretches")] == [
        "1 stretch",
        "2 stretches",
    ]
    assert shortened("_hidden $x$ and more") == r" _hidden \$x\$ a…"


def test_library_runs_say_what_they_teach() -> None:
    loaded = Scenario.load("total-outage")
    run = replay(loaded, registry="memory", cloud="memory")
    evidence = Evidence.of(run, compile_plan(loaded).fleet)
    said = " ".join(message.text for message in messages(evidence, findings(evidence), gather(evidence)))
    assert "The slowest 1% (82 requests, median 45.2 ms) spent their time thus: " in said
    assert "no server was serving in 22 seconds, from 0:20 to 0:41" in said
