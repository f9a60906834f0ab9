"""`windtunnel fit`: a log made from a known scenario gives that scenario back, within the errors that the draft states."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from windtunnel import Scenario, replay
from windtunnel.core.distributions import Distribution, samples
from windtunnel.core.errors import UsageError
from windtunnel.core.rates import expected_requests
from windtunnel.scenarios import fit_paths, fit_rates
from windtunnel.scenarios.arrivals import staged_profile
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.fit import draft
from windtunnel.scenarios.fit_durations import Samples
from windtunnel.scenarios.fit_metrics import read_metrics
from windtunnel.scenarios.fit_paths import PathCounts, template_of
from windtunnel.scenarios.fit_rates import SecondCounts, dispersion, stages_of
from windtunnel.scenarios.plan import Plan
from windtunnel.scenarios.schema_base import Distribution as Written
from windtunnel.tests.scenarios.test_traffic import rows
from windtunnel.tests.support import ACCESS_LOG, TWINS, needs_access_log, plan

SECOND = 10**9
T0 = datetime(2026, 5, 17, 10, 5, 0, tzinfo=UTC).timestamp()


def write_log(made: Plan, path: Path, durations: bool = True) -> int:
    """The planned requests as a log: JSON lines with durations, or in Common log format; how many there are."""
    planned = rows(made)
    with path.open("w") as stream:
        for time, endpoint, cpu in zip(
            planned["time_ns"].tolist(), planned["endpoint"].tolist(), planned["cpu_ns"].tolist(), strict=True
        ):
            target = made.fleet.endpoints[endpoint].path.replace(":id", str(time % 1000))
            if durations:
                record = {
                    "ts": T0 + time / 1e9,
                    "uri": target,
                    "request_time": cpu / 1e9,
                    "size": 100 * endpoint,
                }
                stream.write(json.dumps(record) + "\n")
            else:
                stamp = datetime.fromtimestamp(T0 + time // SECOND, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
                stream.write(f'10.0.0.1 - - [{stamp}] "GET {target} HTTP/1.1" 200 512\n')
    return len(planned["time_ns"])


KNOWN: dict[str, Any] = {
    "duration": "10m",
    "endpoints": [
        {"path": "/", "weight": 6, "cpu": {"exponential": {"mean": "8ms"}}},
        {"path": "/users/:id", "weight": 3, "cpu": {"lognormal": {"mean": "30ms", "cv": 1.5}}},
        {"path": "/static", "weight": 1, "cpu": {"constant": "500us"}},
    ],
    "traffic": [{"name": "users", "stages": [{"for": "5m", "rate": "40/s"}, {"for": "5m", "rate": "90/s"}]}],
}


def test_a_known_scenario_is_recovered(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    total = write_log(plan(KNOWN), path)
    text = draft(path)
    assert "GUESS: the log" not in text
    document = Scenario.parse(text, folder=tmp_path).document
    found = {endpoint.path: endpoint for endpoint in document.endpoints}
    assert list(found) == ["/", "/users/:id", "/static"]
    for path_, share in (("/", 0.6), ("/users/:id", 0.3), ("/static", 0.1)):
        error = math.sqrt(share * (1 - share) / total)
        assert found[path_].weight / 10_000 == pytest.approx(share, abs=4 * error + 1e-4)
    exponential, lognormal = found["/"].cpu.exponential, found["/users/:id"].cpu.lognormal
    assert exponential is not None
    assert exponential.mean == pytest.approx(8e6, rel=4 / math.sqrt(0.6 * total))
    assert lognormal is not None
    assert lognormal.mean == pytest.approx(30e6, rel=4 * 1.5 / math.sqrt(0.3 * total))
    assert lognormal.cv == pytest.approx(1.5, rel=0.06)
    assert found["/static"].cpu.constant == 500_000
    assert [found[path_].response_size for path_ in found] == [0, 100, 200]
    (users,) = document.traffic
    assert users.stages is not None
    rates = [stage.rate.constant for stage in users.stages if stage.rate and stage.rate.constant]
    before, after = np.array(rates[:50]), np.array(rates[-50:])
    assert before.mean() == pytest.approx(40, rel=0.03)
    assert after.mean() == pytest.approx(90, rel=0.03)


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60), st.booleans())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_log_of_a_plan_fitted_and_replayed_has_its_rate(
    tmp_path_factory: pytest.TempPathFactory, seed: int, first: int, then: int, durations: bool
) -> None:
    folder = tmp_path_factory.mktemp("fit")
    stages = [{"for": "40s", "rate": f"{first}/s"}, {"for": "30s", "to": f"{then}/s"}]
    made = plan({**KNOWN, "duration": "70s", "traffic": [{"name": "users", "stages": stages}]}, seed)
    total = write_log(made, folder / "access.log", durations)
    scenario = Scenario.parse(draft(folder / "access.log"), folder=folder)
    users = scenario.document.traffic[0]
    assert users.stages is not None
    expected = expected_requests(staged_profile(users.stages, 0, 0))
    assert expected == pytest.approx(total, rel=0.001), "the stages hold as many requests as the log"
    again = rows(compile_plan(scenario))["time_ns"]
    assert len(again) == pytest.approx(total, abs=5 * math.sqrt(total) + 1)
    recorded = rows(made)["time_ns"]
    halves = [np.histogram(times, [0, 35 * SECOND, 70 * SECOND])[0] for times in (recorded, again)]
    assert halves[1].tolist() == pytest.approx(halves[0].tolist(), abs=5 * math.sqrt(2 * total) + 10)


DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant": "3ms"},
    "exponential": {"exponential": {"mean": "12ms"}},
    "lognormal": {"lognormal": {"mean": "12ms", "cv": 0.8}},
    "pareto": {"pareto": {"mean": "12ms", "shape": 2.5}},
    "uniform": {"uniform": {"min": "2ms", "max": "9ms"}},
}


def drawn(distribution: Distribution, count: int, stream: int = 3) -> np.ndarray:
    return samples(distribution, stream, np.arange(count, dtype=np.int64), 1, 3)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("count", [300, 20_000])
def test_the_right_distribution_is_chosen(name: str, count: int) -> None:
    true = Written.model_validate(DISTRIBUTIONS[name])
    taken = Samples()
    for part in np.array_split(drawn(true.resolve(), count), 7):
        taken.add(part)
    best, *others = taken.fits()
    assert best.name == name
    assert best.distance < 1.7 / math.sqrt(count) + 0.002, "beyond the Kolmogorov-Smirnov bound of 1%"
    assert all(other.aic > best.aic for other in others)
    found = Written.model_validate(yaml.safe_load(best.text)).resolve()
    spread = max(taken.cv, 0.001)
    assert found.mean == pytest.approx(true.resolve().mean, rel=6 * spread / math.sqrt(count) + 0.001)
    assert (found.a, found.b) == pytest.approx(
        (true.resolve().a, true.resolve().b), rel=0.25 if count < 1000 else 0.03
    )


@given(st.lists(st.integers(0, 10**12), min_size=100, max_size=150), st.integers(1, 99))
@settings(max_examples=30)
def test_sums_do_not_depend_on_parts_and_distances_are_those_of_scipy(values: list[int], cut: int) -> None:
    array = np.array(values, dtype=np.int64)
    whole, one, other = Samples(), Samples(), Samples()
    whole.add(array)
    one.add(array[:cut])
    other.add(array[cut:])
    one.merge(other)
    if not array.any():
        return
    whole, one = whole.settled(), one.settled()
    assert one.count == whole.count == len(values)
    assert (one.mean, one.cv) == pytest.approx((whole.mean, whole.cv), abs=1e-6)
    for fit, again in zip(whole.fits(), one.fits(), strict=True):
        assert fit.name == again.name
        assert fit.distance == pytest.approx(again.distance, abs=1e-6)
        if fit.name == "exponential" and array.all():
            exact = stats.kstest(array, stats.expon(scale=array.mean()).cdf).statistic
            assert fit.distance <= exact + 1e-9
            assert fit.distance == pytest.approx(exact, abs=0.03)


def test_durations_of_nothing_count_as_half_of_the_shortest() -> None:
    taken = Samples()
    taken.add(np.array([0, 0, 4_000_000, 4_000_000, -1], dtype=np.int64))
    assert taken.settled().mean == 3_000_000
    assert taken.settled().count == 4


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/users/12?x=1", "/users/:id"), ("/users/me", "/users/me"), ("/", "/"),
        ("/f/6fa459ea-ee8a-3ca4-894e-db77e160355e/x", "/f/:id/x"), ("/c/deadbeef01", "/c/:id"), ("/c/deadbeef", "/c/deadbeef"),
        ("/blog/2015/05/post.html", "/blog/:id/:id/post.html"), ("/v2/a", "/v2/a"),
    ],
)  # fmt: skip
def test_templates(path: str, template: str) -> None:
    assert template_of(path) == template


def test_rare_paths_are_folded_even_where_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_paths, "KEPT", 100)
    counts = PathCounts()
    for batch in range(50):
        counts.add([f"/rare{batch}-{n}" for n in range(60)] + ["/a"] * 30 + ["/b"] * 10)
    assert counts.endpoints() == ["/a", "/b"]
    assert counts.total == 5000


@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=30), min_size=1, max_size=10))
def test_counts_per_second(parts: list[list[int]]) -> None:
    counts = SecondCounts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_rates, "_PENDING", 20)
        for part in parts:
            counts.add(np.array(part, dtype=np.int64))
    every = np.array([second for part in parts for second in part])
    assert counts.dense().tolist() == np.bincount(every - every.min()).tolist()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=3000))
@settings(max_examples=50, deadline=None)
def test_stages_hold_every_request_and_follow_their_rule(counts: list[int]) -> None:
    dense = np.array([max(counts[0], 1), *counts[1:]], dtype=np.int64)
    stages = stages_of(dense)
    assert sum(stages.lengths()) == len(dense)
    held = sum(rate * length for rate, length in zip(stages.rates, stages.lengths(), strict=True))
    assert held == pytest.approx(dense.sum(), rel=0.001)
    assert len(stages.rates) <= fit_rates.STAGES_LIMIT
    if len(stages.rates) > 1:
        assert dense.sum() / len(stages.rates) >= fit_rates.STAGE_REQUESTS


def test_burstiness_is_one_for_poisson_and_greater_for_bursts() -> None:
    stages = [{"for": "2000s", "rate": "20/s"}]
    bursts = {"rate": "2/s", "to": "200/s", "every": {"exponential": {"mean": "9s"}}, "for": {"exponential": {"mean": "1s"}}}  # fmt: skip
    found = {}
    for name, kind in (("poisson", {"stages": stages}), ("bursts", {"bursts": bursts})):
        document = {**KNOWN, "duration": "2000s", "traffic": [{"name": "users", **kind}]}
        times = rows(plan(document))["time_ns"]
        dense = np.bincount(times // SECOND)
        found[name] = dispersion(dense, stages_of(dense), 1)
    poisson, bursty = found["poisson"], found["bursts"]
    assert poisson is not None
    assert poisson.within is not None
    assert abs(poisson.whole - 1) < 4 * poisson.noise
    assert abs(poisson.within - 1) < 4 * poisson.noise
    assert bursty is not None
    assert bursty.whole > 20
    assert dispersion(np.array([1, 2]), stages_of(np.array([1, 2])), 60) is None


def metrics(path: Path, noise: float, boots: int) -> Path:
    lines = ["time,server,memory_bytes,in_flight,boot_seconds"]
    luck = drawn(Distribution(2, 0, 1e6), 2000) / 1e6 - 0.5
    for n in range(1000):
        used = 200e6 + 1.5e6 * (n % 40) + noise * luck[n]
        lines.append(f"{n},app{n % 3},{used:.0f},{n % 40},")
    times = drawn(Written.model_validate({"lognormal": {"mean": "40s", "cv": 0.3}}).resolve(), boots)
    lines += [f"{n},app,,,{time / 1e9:.3f}" for n, time in enumerate(times.tolist())]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("noise", "boots"), [(0.0, 0), (40e6, 3), (40e6, 500)])
def test_memory_and_boot_times_from_metrics(tmp_path: Path, noise: float, boots: int) -> None:
    path = metrics(tmp_path / "metrics.csv", noise, boots)
    line = read_metrics(path).memory.line()
    assert line is not None
    error = noise / math.sqrt(12) / math.sqrt(1000)
    assert line.slope == pytest.approx(1.5e6, abs=5 * error / 11.5 + 1)
    assert line.base == pytest.approx(200e6, abs=5 * 2 * error + 1)
    assert line.determined == (pytest.approx(1.0) if not noise else pytest.approx(0.7, abs=0.1))
    write_log(plan(KNOWN), tmp_path / "access.log", durations=False)
    text = draft(tmp_path / "access.log", path)
    assert f"R^2 = {line.determined:.3f}" in text
    app = Scenario.parse(text).document.fleet.app
    assert app.memory.per_request == round(line.slope)
    if boots == 500:
        assert app.boot_time.lognormal is not None
        assert app.boot_time.lognormal.mean == pytest.approx(40e9, rel=0.06)
    elif boots:
        assert "the mean of 3" in text
        assert app.boot_time.constant == pytest.approx(40e9, rel=0.6)
    else:
        assert app.boot_time.constant == 0


def test_memory_that_makes_no_sense_is_not_modelled(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("in_flight,memory_bytes\n0,100\n10,50\n")
    write_log(plan(KNOWN), tmp_path / "access.log", durations=False)
    text = draft(tmp_path / "access.log", tmp_path / "m.csv")
    assert "memory is not modelled: least squares say memory = 100 B + -5 B per request in flight" in text
    assert Scenario.parse(text).document.fleet.app.memory.base == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "m.csv:1: expected memory_bytes and in_flight, or boot_seconds, among the columns, got an empty file"),
        ("time,memory\n1,2\n", "m.csv:1: expected memory_bytes and in_flight, or boot_seconds, among the columns, got time, memory"),
        ("memory_bytes,in_flight\n1,2\n3,x\n", "m.csv:3: in_flight: expected a number of at least 0, got 'x'"),
        ("memory_bytes,in_flight\n1,2\n-3,1\n", "m.csv:3: memory_bytes: expected a number of at least 0, got '-3'"),
        ("boot_seconds\nnan\n", "m.csv:2: boot_seconds: expected a number of at least 0, got 'nan'"),
        ("boot_seconds\n\n", "m.csv: expected a line with memory_bytes and in_flight, or boot_seconds, got none"),
    ],
)  # fmt: skip
def test_metrics_that_cannot_be_used_are_an_error(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(UsageError) as caught:
        draft(tmp_path / "none.log", tmp_path / "m.csv")
    assert str(caught.value) == f"{tmp_path}/{expected}"


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    write_log(plan(KNOWN), path, durations=False)
    path.write_text("nonsense\n" + path.read_text())
    text = draft(path)
    assert text == draft(path), "the same file gives the same draft"
    for sentence in (
        "GUESS: the log has no durations above 0; service times are set to {exponential: {mean: 20ms}}",
        "GUESS: 4 workers a server", "No metrics were given", "lines cannot be read and are left out: line 1.",
        "Index of dispersion of counts in 60 s (Poisson: 1): ", "standard error",
    ):  # fmt: skip
        assert sentence in text


def test_a_single_request_is_enough(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text('x - - [17/May/2026:10:05:03 +0000] "GET /a HTTP/1.1" 200 -\n')
    scenario = Scenario.parse(draft(tmp_path / "one.log"))
    assert scenario.document.duration == SECOND
    (tmp_path / "none.log").write_text("nonsense\n")
    with pytest.raises(UsageError, match="expected lines in Common"):
        draft(tmp_path / "none.log")


def test_a_draft_replays(tmp_path: Path) -> None:
    total = write_log(plan({**KNOWN, "duration": "20s"}), tmp_path / "access.log")
    run = replay(Scenario.parse(draft(tmp_path / "access.log")), **TWINS)
    assert run.requests.num_rows == pytest.approx(total, abs=5 * math.sqrt(total))
    assert set(run.requests.column("outcome").to_pylist()) == {"ok"}


@needs_access_log
def test_a_real_log_is_fitted() -> None:
    text = draft(ACCESS_LOG)
    assert text.count("burstier than these stages") == 2
    scenario = Scenario.parse(text)
    assert len(rows(compile_plan(scenario))["time_ns"]) == pytest.approx(10_000, abs=5 * 100)
    weights = {endpoint.path: endpoint.weight for endpoint in scenario.document.endpoints}
    assert weights["/favicon.ico"] == 807
    assert "/images/web/:id/banner.png" in weights
