"""Recovery time and blast radius: of faults that are felt, that linger, that do not end, and that nobody feels."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.recovery import WINDOW, Recovery, recoveries
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.support import run as run_document
from windtunnel.tests.support import scenario


def found(faults: list[dict[str, Any]], **more: Any) -> list[Recovery]:
    document: dict[str, Any] = {
        "duration": "60s",
        "fleet": {"app": {"initial": 4, "workers": 8}},
        "endpoints": [{"path": "/", "cpu": {"constant": "5ms"}}, {"path": "/other", "cpu": {"constant": "5ms"}}],
        "traffic": [{"name": "users", "stages": [{"for": "60s", "rate": "100/s"}], "client": {"timeout": "2s"}}],
        "slo": [{"name": "answered", "indicator": "error_rate", "below": "1%"}, {"name": "fast", "indicator": "latency_p95", "below": "50ms"}],
        "faults": faults, **more,
    }  # fmt: skip
    return list(recoveries(Evidence.of(run_document(document), compile_plan(scenario(document)).fleet)))


def test_errors_of_one_server_while_it_lasts() -> None:
    (one,) = found([{"name": "wrong", "type": "error", "at": "20s", "for": "10s", "toxicity": "100%"}])
    assert one.violated == ("answered",)
    assert one.before == one.others == ()
    assert (one.start, one.end) == (20 * SECOND, 30 * SECOND)
    assert one.took is not None
    assert one.took <= SECOND
    # A quarter of the requests of these ten seconds, and of the ten after them none.
    assert 0.08 < one.blast.share < 0.17
    assert len(one.blast.servers) == 1
    assert one.blast.servers_there == 4
    assert one.blast.endpoints == ("/", "/other")


def test_what_lingers_after_the_end() -> None:
    (one,) = found(
        [{"name": "slow", "type": "slow", "at": "10s", "for": "5s", "target": {"role": "app", "count": 4}, "attributes": {"factor": 12}}],
        fleet={"app": {"initial": 4, "workers": 1, "cores": 1}},
        traffic=[{"name": "users", "stages": [{"for": "60s", "rate": "500/s"}], "client": {"timeout": "20s"}}],
    )  # fmt: skip
    assert one.violated == ("fast",)
    assert one.took is not None
    # A backlog of 2,000 requests is worked off at 300 a second.
    assert 4 * SECOND < one.took < 12 * SECOND
    assert one.blast.stop >= one.recovered
    assert one.blast.late > one.blast.late_expected
    assert len(one.blast.servers) == 4


def test_what_does_not_end_has_not_recovered() -> None:
    (one,) = found(
        [
            {
                "name": "wrong",
                "type": "error",
                "at": "20s",
                "toxicity": "100%",
                "target": {"role": "app", "count": 4},
            }
        ]
    )
    assert one.violated == ("answered",)
    assert one.end > 59 * SECOND
    assert one.recovered == -1
    assert one.took is None
    assert one.blast.share > 0.9


def test_what_nobody_feels_violates_nothing() -> None:
    (one,) = found(
        [{"name": "mild", "type": "slow", "at": "20s", "for": "5s", "attributes": {"factor": 1.5}}]
    )
    assert one.violated == ()
    assert one.took is None
    assert one.blast.share == 0
    assert one.blast.servers == ()
    assert one.blast.stop == (25 + WINDOW) * SECOND


def test_without_objectives_about_failures_a_bound_is_given() -> None:
    (one,) = found([{"name": "wrong", "type": "error", "at": "20s", "for": "2s", "toxicity": "100%"}], slo=[])
    assert one.violated == ("errors",)


def test_a_second_fault_is_named_and_what_was_broken_before_is_not_its_own() -> None:
    first, second = found([
        {"name": "first", "type": "error", "at": "15s", "for": "25s", "toxicity": "100%"},
        {"name": "second", "type": "error", "at": "30s", "for": "5s", "toxicity": "100%"},
    ])  # fmt: skip
    assert first.others == ("second",)
    assert second.others == ("first",)
    assert second.violated == ()
    assert second.before == ("answered",)


@pytest.mark.parametrize("indicator", ["latency_mean", "latency_max", "throughput", "availability"])
def test_each_kind_of_indicator(indicator: str) -> None:
    bound = {"latency_mean": {"below": "20ms"}, "latency_max": {"below": "30ms"}, "throughput": {"above": "90/s"}, "availability": {"above": "99%"}}[indicator]  # fmt: skip
    (one,) = found(
        [{"name": "stop", "type": "pause", "at": "20s", "for": "5s", "target": {"role": "app", "count": 4}}],
        slo=[{"name": "one", "indicator": indicator, **bound}],
    )
    assert "one" in one.violated
    assert one.took is not None
