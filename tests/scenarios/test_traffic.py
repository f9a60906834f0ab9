"""Arrivals and plans: the right rates, the right counts, independent of blocks."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from windtunnel.core.demand import choose_endpoint
from windtunnel.core.distributions import constant, sample
from windtunnel.core.draws import CPU, ENDPOINT, IO, draw
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.loadtest_file import LoadtestError, read_loadtest
from windtunnel.scenarios.plan import COLUMNS, Plan
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.strategies.documents import documents
from windtunnel.tests.support import TRAFFIC, needs_traffic, plan

SECOND = 10**9


def rows(made: Plan, size: int = 65536) -> dict[str, np.ndarray]:
    blocks = list(made.blocks(size))
    if not blocks:
        return {name: np.zeros(0, dtype=np.int64) for name in COLUMNS}
    return {name: np.concatenate([block[name] for block in blocks]) for name in COLUMNS}


def source(**more: Any) -> dict[str, Any]:
    return {"duration": "100s", "endpoints": [{"path": "/"}], "traffic": [{"name": "users", **more}]}


def test_poisson_gaps_are_exponential() -> None:
    times = rows(plan(source(stages=[{"for": "100s", "rate": "200/s"}])))["time_ns"]
    gaps = np.diff(times) / SECOND
    assert stats.kstest(gaps, stats.expon(scale=1 / 200).cdf).pvalue > 0.001
    assert abs(len(times) - 20_000) < 4 * np.sqrt(20_000)


def test_constant_arrivals_are_even() -> None:
    times = rows(plan(source(stages=[{"for": "10s", "rate": "50/s"}], arrivals="constant")))["time_ns"]
    assert len(times) == 500
    assert set(np.diff(times)) <= {20_000_000, 19_999_999, 20_000_001}


def test_a_ramp_begins_at_the_rate_before() -> None:
    stages = [{"for": "10s", "to": "100/s"}, {"for": "10s", "rate": "100/s"}, {"for": "20s", "to": 0}]
    times = rows(plan(source(stages=stages, arrivals="constant")))["time_ns"]
    counts = np.histogram(times / SECOND, [0, 5, 10, 20, 30, 40])[0]
    assert counts.tolist() == pytest.approx([125, 375, 1000, 750, 250], abs=1)


def test_random_rates_change_each_period_and_stay_in_range() -> None:
    stages = [{"for": "60s", "rate": {"uniform": {"min": "100/s", "max": "500/s"}, "every": "2s"}}]
    times = rows(plan(source(stages=stages, arrivals="constant")))["time_ns"]
    rates = np.histogram(times / SECOND, np.arange(0, 61, 2))[0] / 2
    assert rates.min() >= 99
    assert rates.max() <= 501
    assert len(set(rates.tolist())) > 25


def test_loadtest_clients_share_the_rate_and_keep_their_own_time(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps([
        {"url": "http://example.org/a?x=1", "maxRequests": 1000, "concurrency": 4, "requestsPerSecond": 200},
        {"url": "http://example.org/missing", "maxSeconds": 3, "requestsPerSecond": 10, "headers": {"Accept": "*/*"}},
        {"url": "/a", "maxRequests": 7, "concurrency": 2, "timeout": 1500},
    ]))  # fmt: skip
    text = (
        "{scenario: x, duration: 60s, endpoints: [{path: /a}], "
        "traffic: [{name: plan, start: 5s, loadtest: plan.json}]}"
    )
    made = compile_plan(Scenario.parse(text, folder=tmp_path))
    found = rows(made)
    first, second = found["time_ns"][found["source"] == 0], found["time_ns"][found["source"] == 1]
    assert len(first) == 1000
    assert 5 * SECOND <= first[0] < 6 * SECOND
    by_client = {int(time % 20_000_000): 0 for time in first}
    assert len(by_client) == 4, "each client ticks every 20 ms from its own moment on"
    assert abs((first[-1] - first[0]) / SECOND - 5) < 1.1
    assert second[0] >= 10 * SECOND, "entries follow one another"
    assert 20 <= len(second) <= 30
    assert made.fleet.endpoints[int(found["endpoint"][-1])].path == "default"
    assert made.fleet.endpoints[1].status == 404
    assert made.fleet.header_sets[int(found["headers"][found["source"] == 1][0])] == (("accept", "*/*"),)
    closed = made.fleet.sources[2]
    assert (closed.concurrency, closed.maximum, closed.client.timeout) == (2, 7, 1_500_000_000)
    together = compile_plan(
        Scenario.parse(text.replace("loadtest", "order: parallel, loadtest"), folder=tmp_path)
    )
    assert min(rows(together)["time_ns"][rows(together)["source"] == 1]) < 6 * SECOND


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("hello", 5),
        ("déjà", 6),
        ({"name": "é", "n": [1, 2.0, 0.5, None, True]}, len('{"name":"é","n":[1,2,0.5,null,true]}'.encode())),
        ([], 2),
        ({}, 2),
        ("", 0),
        (None, 0),
    ],
)
def test_the_body_of_a_loadtest_entry_has_the_size_of_its_text_or_json(
    body: Any, size: int, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text(json.dumps([{"url": "/a", "body": body}, {"url": "/a"}]))
    text = (
        "{scenario: x, duration: 60s, endpoints: [{path: /a}], traffic: [{name: plan, loadtest: plan.json}]}"
    )
    with_body, without = compile_plan(Scenario.parse(text, folder=tmp_path)).fleet.sources
    assert with_body.body == (constant(size) if size else None)
    assert without.body is None
    text = text.replace("loadtest:", "body: 1KiB, loadtest:")
    with_body, without = compile_plan(Scenario.parse(text, folder=tmp_path)).fleet.sources
    assert with_body.body == constant(size or 1024), "an entry's own body goes before the source's"
    assert without.body == constant(1024)


def test_the_body_of_a_loadtest_entry_is_text_or_json(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('[{"url": "/a", "body": 5}]')
    with pytest.raises(LoadtestError, match=r"\[0\]\.body: expected text, an object or an array, got 5"):
        read_loadtest(tmp_path / "plan.json")


def test_the_classic_plan_is_27000_requests() -> None:
    made = compile_plan(Scenario.load("classic-plan"))
    assert made.summary()["open_requests"] == {
        "plan[0]": 8000, "plan[1]": 4000, "plan[2]": 5000, "plan[3]": 10000,
    }  # fmt: skip


def csv_plan(path: Path, more: str = "") -> Plan:
    text = f"{{scenario: x, duration: 1d, traffic: [{{name: day, rate_csv: {path}{more}}}]}}"
    return compile_plan(Scenario.parse(text))


@pytest.mark.parametrize("packed", [False, True])
def test_recorded_rates(tmp_path: Path, packed: bool) -> None:
    text = "second,requests\n0,10\n1,0\n2,30\n9,5\n"
    path = tmp_path / ("rates.csv.gz" if packed else "rates.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    times = rows(csv_plan(path, ", arrivals: constant"))["time_ns"]
    assert np.bincount(times // SECOND).tolist() == [10, 0, 30, 0, 0, 0, 0, 0, 0, 5]
    assert len(rows(csv_plan(path, ", arrivals: constant, scale: 3"))["time_ns"]) == 135


@needs_traffic
def test_a_day_of_real_traffic_is_planned_in_blocks() -> None:
    made = csv_plan(TRAFFIC, ", scale: 0.02")
    counts = [len(block["time_ns"]) for block in made.blocks(1000)]
    assert set(counts[:-1]) == {1000}
    assert sum(counts) == pytest.approx(5_574_781 * 0.02, rel=0.02)


@given(documents(), st.integers(0, 99), st.integers(1, 40))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_blocks_are_cut_from_one_sequence(document: dict[str, Any], seed: int, size: int) -> None:
    made = plan(document, seed)
    whole, cut = rows(made), rows(made, size)
    for name in COLUMNS:
        assert whole[name].tolist() == cut[name].tolist()
    keys = list(
        zip(whole["time_ns"].tolist(), whole["source"].tolist(), whole["index"].tolist(), strict=True)
    )
    assert keys == sorted(set(keys))
    assert all(len(block["time_ns"]) == size for block in list(made.blocks(size))[:-1])


def test_planned_demands_are_the_keyed_draws() -> None:
    document = {
        "duration": "5s",
        "endpoints": [
            {"path": "/", "weight": 2, "cpu": {"lognormal": {"mean": "5ms", "cv": 1}}},
            {"path": "/io", "cpu": {"constant": "1ms"}, "io": {"exponential": {"mean": "9ms"}}},
        ],
        "traffic": [{"name": "users", "stages": [{"for": "5s", "rate": "50/s"}]}],
    }
    made = plan(document)
    found = rows(made)
    stream = made.fleet.sources[0].stream
    for index, endpoint, cpu, io in zip(*(found[name].tolist() for name in COLUMNS[2:6]), strict=True):
        assert endpoint == choose_endpoint(made.mixes[0], draw(stream, index, 0, ENDPOINT))
        spec = made.fleet.endpoints[endpoint]
        assert cpu == sample(spec.cpu.kind, spec.cpu.a, spec.cpu.b, draw(stream, index, 1, CPU))
        if spec.io:
            assert io == sample(spec.io.kind, spec.io.a, spec.io.b, draw(stream, index, 1, IO))
    shares = np.bincount(found["endpoint"]) / len(found["endpoint"])
    assert shares[0] == pytest.approx(2 / 3, abs=0.12)


def test_adding_a_source_does_not_change_another() -> None:
    one = source(stages=[{"for": "5s", "rate": "50/s"}])
    both = source(stages=[{"for": "5s", "rate": "50/s"}])
    both["traffic"].insert(0, {"name": "other", "stages": [{"for": "5s", "rate": "90/s"}]})
    alone, mixed = rows(plan(one)), rows(plan(both))
    assert alone["time_ns"].tolist() == mixed["time_ns"][mixed["source"] == 1].tolist()
