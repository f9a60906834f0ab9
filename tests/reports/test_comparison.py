"""Two runs beside one another: hand-made ones with known differences, and rehearsals."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windtunnel import Run, RunError, compare, replay
from windtunnel.core.columns import METRIC_ROW, REQUEST_ROW
from windtunnel.core.distributions import constant
from windtunnel.core.events import encode
from windtunnel.core.lifecycle import State
from windtunnel.core.model import (
    PER_REQUEST,
    SECOND,
    AppSpec,
    AutoscalerSpec,
    ClientSpec,
    EndpointSpec,
    FleetSpec,
    ProxySpec,
    SourceSpec,
)
from windtunnel.core.outcomes import Outcome
from windtunnel.core.policies import Threshold
from windtunnel.core.tolerance import OUTSIDE, WITHIN, Tolerance
from windtunnel.reports.comparison import Comparison, compare_evidence
from windtunnel.reports.comparison_words import as_data, decision_lines, paired_lines, rows, sizes_line
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.tables import Table, names_of
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.command_line import windtunnel
from windtunnel.tests.support import run as run_document
from windtunnel.tests.support import scenario, steady

MS = 10**6
LENGTH = 40
FLEET = FleetSpec(
    name="made", seed=1, duration=LENGTH * SECOND, drain=0, app=AppSpec(), proxy=ProxySpec(),
    endpoints=(EndpointSpec("/", constant(0)),),
    sources=(SourceSpec("users", 7, ClientSpec(PER_REQUEST)),),
    autoscaler=AutoscalerSpec(Threshold(), interval=SECOND),
)  # fmt: skip
NAMES = names_of(["users"], ["/"])

Request = tuple[int, int, Outcome]
"""Time (ns), latency (ns), outcome."""


def made(
    requests: Sequence[Request],
    sizes: Sequence[int] = (2,) * LENGTH,
    events: Sequence[tuple[int, str, int]] = (),
) -> Evidence:
    """A run of one source with these requests, serving servers in each second, and events (s, name, server)."""
    table = np.zeros(len(requests), REQUEST_ROW)
    for n, (time, latency, outcome) in enumerate(requests):
        table[n] = (n, 0, n, 0, time, latency, int(outcome), 200, 1, 1)
    seconds = [
        ((second + 1) * SECOND, server, int(State.SERVING))
        for second, size in enumerate(sizes)
        for server in range(size + 1)
    ]
    metrics = np.zeros(len(seconds), METRIC_ROW)
    for n, row in enumerate(seconds):
        metrics[n]["time_ns"], metrics[n]["server"], metrics[n]["state"] = row
    tables = {}
    for name, block in (("requests", table), ("metrics", metrics)):
        builder = Table(name, NAMES)
        builder.add(block)
        tables[name] = builder.take()

    def read(name: str, columns: Sequence[str] | None = None) -> Any:
        return tables[name] if columns is None else tables[name].select(columns)

    lines = [encode(time * SECOND, name, {"server": server}) for time, name, server in events]
    return Evidence(Run(read, tuple(lines), {"end_ns": FLEET.duration}), FLEET)


def steadily(
    latency: Callable[[int], int], outcome: Callable[[int], Outcome] = lambda n: Outcome.OK
) -> list[Request]:
    """Ten requests a second."""
    return [(n * SECOND // 10, latency(n), outcome(n)) for n in range(LENGTH * 10)]


PLAIN = steadily(lambda n: (10 + n % 10) * MS)


def evidence_of(document: dict[str, Any], seed: int = 1) -> Evidence:
    return Evidence.of(run_document(document, seed), compile_plan(scenario(document, seed)).fleet)


def test_known_differences_of_requests() -> None:
    slower = steadily(
        lambda n: (10 + n % 10) * MS * 2, lambda n: Outcome.QUEUE_FULL if n % 20 == 0 else Outcome.OK
    )
    found = compare_evidence(made(PLAIN), made(slower))
    throughput = found.figure("throughput")
    assert (throughput.first, throughput.second) == (10.0, 9.5)
    assert throughput.relative is not None
    assert throughput.relative.mean == pytest.approx(-0.05)
    assert throughput.relative.half == pytest.approx(0, abs=1e-9)
    assert throughput.verdict == OUTSIDE
    assert throughput.sure
    assert found.figure("offered").difference is not None
    assert found.figure("p50").first == 14 * MS
    assert found.figure("p99").first == 19 * MS
    assert found.figure("p99").second == 38 * MS
    share = found.figure("queue_full")
    assert (share.first, share.second) == (0, 0.05)
    assert share.relative is None
    assert share.verdict == OUTSIDE
    assert found.figure("ok").difference is not None
    assert found.paired is not None
    assert (found.paired.count, found.paired.answered, found.paired.changed) == (400, 380, 20)
    assert found.paired.changes == (("ok", "queue_full", 20),)
    assert found.paired.latency is not None
    both = [PLAIN[n][1] for n in range(400) if n % 20]
    assert found.paired.latency.mean == pytest.approx(sum(both) / 380)
    assert not found.within


def test_the_interval_grows_with_the_spread_between_batches() -> None:
    """Every fourth batch (of two seconds) loses one request of twenty in the second run: batch means by hand."""
    lost = steadily(lambda n: 10 * MS, lambda n: Outcome.APP_ERROR if n % 80 == 0 else Outcome.OK)
    found = compare_evidence(made(steadily(lambda n: 10 * MS)), made(lost)).figure("throughput")
    assert found.difference is not None
    batches = [-0.5 if n % 4 == 0 else 0.0 for n in range(20)]
    deviation = np.std(batches, ddof=1) / math.sqrt(20)
    assert found.difference.mean == pytest.approx(-0.125)
    assert found.difference.half == pytest.approx(2.093024 * deviation, rel=1e-5)
    assert found.verdict == WITHIN
    assert not found.sure


def test_a_run_beside_itself_has_no_difference_at_all() -> None:
    document = steady(
        fleet={"app": {"queue": 1}}, endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "30ms"}}}]
    )
    evidence = evidence_of(document)
    found = compare_evidence(evidence, evidence)
    assert found.within
    for figure in found.figures:
        assert figure.difference is not None
        assert (figure.difference.mean, figure.difference.half) == (0, 0), figure.name
        assert figure.verdict != OUTSIDE
    assert found.sizes.furthest == (0, 1)
    assert found.paired is not None
    assert found.paired.changed == 0
    assert found.paired.latency is not None
    assert (found.paired.latency.mean, found.paired.latency.half) == (0, 0)
    assert found.notes == ()


def test_swapped_arguments_give_the_mirror_image() -> None:
    document = steady(
        fleet={"app": {"queue": 1}}, endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "30ms"}}}]
    )
    first, second = evidence_of(document, 1), evidence_of(document, 2)
    one, two = compare_evidence(first, second), compare_evidence(second, first)
    for left, right in zip(one.figures, two.figures, strict=True):
        assert (left.name, left.first, left.second) == (right.name, right.second, right.first)
        assert left.difference is not None
        assert right.difference is not None
        assert left.difference.mean == -right.difference.mean
        assert left.difference.half == pytest.approx(right.difference.half)
    assert one.paired is None


def test_known_differences_of_the_fleet() -> None:
    first = made(PLAIN, [2] * 40, [(0, "launched", 1), (0, "launched", 2)])
    second = made(
        PLAIN, [2] * 20 + [3] * 20,
        [(0, "launched", 1), (0, "launched", 2), (15, "launched", 3), (20, "ready", 3)],
    )  # fmt: skip
    found = compare_evidence(first, second)
    size = found.figure("fleet_size")
    assert (size.first, size.second, size.verdict) == (2, 2.5, WITHIN)
    assert not size.sure
    assert found.sizes.mean_apart == 0.5
    assert found.sizes.furthest == (1, 21)
    hours = found.figure("instance_hours")
    assert hours.first == pytest.approx(80 / 3600)
    assert hours.second == pytest.approx(105 / 3600)
    assert len(found.decisions.surplus) == 1
    assert found.decisions_verdict == OUTSIDE
    assert decision_lines(found) == ["0:15: 1 launch only in B"]
    assert sizes_line(found) == "0.500 servers apart on average over time, at most 1 more in B, first at 0:21"


def test_a_flight_samples_a_little_late_and_each_server_by_itself() -> None:
    rehearsal, flight = made(PLAIN), made(PLAIN)
    late = dict(flight.metrics)
    late["time_ns"] = late["time_ns"] + 3 * MS + late["server"] * MS
    late["time_ns"][late["time_ns"] > LENGTH * SECOND] = LENGTH * SECOND
    flight.__dict__["metrics"] = late
    found = compare_evidence(rehearsal, flight)
    assert len(found.sizes.seconds) == LENGTH
    assert found.figure("fleet_size").second == 2


def test_a_tolerance_of_ones_own() -> None:
    lost = steadily(lambda n: (10 + n % 10) * MS, lambda n: Outcome.APP_ERROR if n % 100 == 0 else Outcome.OK)
    strict = {"app_error": Tolerance(0.005), "outcomes": Tolerance(0.05), "p99": Tolerance(MS)}
    found = compare_evidence(made(PLAIN), made(lost), strict)
    assert found.figure("app_error").verdict == OUTSIDE
    assert found.figure("ok").verdict == WITHIN
    assert found.figure("p99").verdict == WITHIN
    assert found.figure("throughput").verdict == "no tolerance"
    assert found.decisions_verdict == "no tolerance"


def test_nothing_answered_in_one_run_is_outside_and_in_both_no_data() -> None:
    none = steadily(lambda n: MS, lambda n: Outcome.NO_SERVER)
    assert compare_evidence(made(PLAIN), made(none)).figure("p50").verdict == OUTSIDE
    both = compare_evidence(made(none), made(none))
    assert both.figure("p50").verdict == "no data"
    assert both.within
    assert ("p50", "no data", "no data", "no data", "15%", "no data") in rows(both)


def test_other_planned_requests_are_not_paired() -> None:
    later = [(time + 1, latency, outcome) for time, latency, outcome in PLAIN]
    found = compare_evidence(made(PLAIN), made(later))
    assert found.paired is None
    assert paired_lines(found) == []


def test_variants_of_one_seed_are_paired_request_by_request() -> None:
    few = steady(endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "15ms"}}}])
    many = {**few, "fleet": {"app": {"initial": 2}}}
    found = compare_evidence(evidence_of(few), evidence_of(many))
    assert found.paired is not None
    assert found.paired.latency is not None
    assert found.paired.latency.high < 0
    mean = found.paired.latency
    unpaired = compare_evidence(evidence_of(few), evidence_of(many, 2))
    assert unpaired.paired is None
    assert mean.half < abs(mean.mean)


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs ``a``, ``b`` (another policy, hence another fleet) and ``cut`` (a, cut off)."""
    folder = tmp_path_factory.mktemp("runs")
    document = steady(
        "100/s", "60s",
        fleet={"app": {"initial": 1, "min": 1, "max": 4, "workers": 1, "queue": 50, "boot_time": {"constant": "5s"}}},
        endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "9ms"}}}],
        autoscaler={"policy": {"threshold": {"requests_high": "80/s", "requests_low": "10/s"}}, "cooldown": "20s"},
    )  # fmt: skip
    policy = {"threshold": {"requests_high": "200/s", "requests_low": "10/s"}}
    other = {**document, "autoscaler": {**document["autoscaler"], "policy": policy}}
    for name, one in (("a", document), ("b", other)):
        replay(scenario(one), out=folder / name, registry="memory", cloud="memory", figure=False)
    shutil.copytree(folder / "a", folder / "cut")
    cut_off(folder / "cut", folder / "a", 30.5)
    return folder


def cut_off(target: Path, source: Path, seconds: float) -> None:
    """Leave of a run what a kill would have left: no summary, and tables that end."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    (target / "summary.json").unlink()
    for name in ("requests", "metrics"):
        table = pq.read_table(source / f"{name}.parquet")
        pq.write_table(
            table.filter(pc.less(table["time_ns"], round(seconds * SECOND))), target / f"{name}.parquet"
        )
    lines = (source / "events.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["t"] < seconds * SECOND]
    (target / "events.jsonl").write_text("\n".join(kept) + "\n")


def test_a_run_that_was_cut_off_is_compared_as_far_as_it_goes(directories: Path) -> None:
    found = compare(directories / "a", directories / "cut")
    assert found.window == 30 * SECOND
    assert found.within
    assert all(figure.difference is None or figure.difference.mean == 0 for figure in found.figures)
    assert found.notes == (
        f"{directories / 'cut'} was cut off: it has data of the first 30 s", "compared are the first 30 s of 60 s"
    )  # fmt: skip


def test_a_change_of_policy(directories: Path, tmp_path: Path) -> None:
    page, picture = tmp_path / "deep" / "c.html", tmp_path / "c.png"
    found = compare(directories / "a", directories / "b", out=page)
    compare(directories / "a", directories / "b", out=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert found.notes == (
        "the scenarios differ in autoscaler.policy.threshold.requests_high: 80/s, then 200/s",
    )
    assert found.decisions.missing
    assert found.figure("fleet_size").verdict == OUTSIDE
    assert found.paired is not None
    text = page.read_text()
    for said in (
        "outside the tolerance",
        "autoscaler.policy.threshold.requests_high: 80/s, then 200/s",
        "only in A",
        "<svg",
        "fleet size",
    ):
        assert said in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    data = json.loads(json.dumps(as_data(found), allow_nan=False))
    assert data["within"] is False
    assert [figure["name"] for figure in data["figures"]] == [figure.name for figure in found.figures]
    assert len(data["decisions"]["missing"]) == len(found.decisions.missing)


def test_exit_codes(directories: Path, tmp_path: Path) -> None:
    same = windtunnel("compare", "a", "a", folder=directories)
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout.endswith("within tolerance\n")
    other = windtunnel("compare", "a", "b", "--json", folder=directories)
    assert other.returncode == 3
    assert json.loads(other.stdout)["within"] is False
    assert (
        other.stderr
        == "note: the scenarios differ in autoscaler.policy.threshold.requests_high: 80/s, then 200/s\n"
    )
    lax = [text for name in ("throughput", "p50", "p95", "outcomes", "fleet_size", "decisions")
           for text in ("--tolerance", f"{name}=any")]  # fmt: skip
    assert windtunnel("compare", "a", "b", *lax, folder=directories).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a", "nowhere"), "nowhere: expected a run's directory with events.jsonl\n"),
        (("a", "a", "--out", "c.doc"), "c.doc: expected a file name that ends in one of .html, .png, .svg, .pdf\n"),
        (("a", "a", "--tolerance", "p59=3%"), "--tolerance p59=3%: p59: unknown key; did you mean 'p99'?\n"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], said: str, directories: Path) -> None:
    done = windtunnel("compare", *arguments, folder=directories)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_runs_without_common_time_cannot_be_compared(directories: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    shutil.copytree(directories / "a", empty)
    cut_off(empty, directories / "a", 0.5)
    with pytest.raises(RunError, match="expected runs with some time in common, got none"):
        compare(directories / "a", empty)


@pytest.mark.long
@pytest.mark.parametrize("load", ["320/s", "380/s"])
def test_intervals_hold_nothing_where_there_is_nothing(load: str) -> None:
    """Independent seeds of one scenario: the 95% interval of each difference holds 0 in about 95% of 150 pairs.

    A fair coin of 95% gives 134 to 149 hits with probability 0.998; batches of three seconds are a little too narrow, hence from 130 on.
    """
    document = steady(
        load, "60s",
        fleet={"app": {"workers": 2, "initial": 2, "queue": 20}},
        endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "10ms"}}}],
    )  # fmt: skip
    found: list[Comparison] = [
        compare_evidence(evidence_of(document, seed), evidence_of(document, seed + 1))
        for seed in range(0, 300, 2)
    ]
    for name in ("offered", "throughput", "p50", "p90", "p95", "p99"):
        differences = [one.figure(name).difference for one in found]
        hits = sum(one is not None and one.low <= 0 <= one.high for one in differences)
        assert 130 <= hits <= 149, f"{name}: {hits}"


CANARY = """
scenario: canary
seed: 3
duration: 20s
fleet: {app: {initial: 2, workers: 4, cores: 2, boot_time: {constant: 1s}}}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 20s, rate: 40/s}], client: {timeout: 10s}}
versions: {v2: {error_share: SHARE}}
deploys:
  - at: 1s
    branch: canary
    version: v2
    strategy: canary
    min_ready: 1s
    drain: 1s
    steps: [{set_weight: 25%}, {analysis: {for: 4s, every: 1s, error_margin: 40%, latency_margin: 100%}}]
"""


def test_deploys_are_compared_by_their_ends_and_times(tmp_path: Path) -> None:
    for name, share in (("bad", "100%"), ("worse", "99%"), ("good", "0%")):
        (tmp_path / f"{name}.yaml").write_text(CANARY.replace("SHARE", share))
        replay(tmp_path / f"{name}.yaml", out=tmp_path / name, figure=False)
    alike = compare(tmp_path / "bad", tmp_path / "worse", tolerances=["deploys=2s", "p50=any", "p95=any"])
    (pair,) = alike.deploys
    assert (pair.first.end, pair.second.end, alike.deploys_verdict) == ("rolled_back", "rolled_back", WITHIN)
    took, noticed, back = (
        alike.figure(name) for name in ("deploy canary v2", "canary v2 noticed", "canary v2 way back")
    )
    assert {took.verdict, noticed.verdict, back.verdict} == {WITHIN}
    times = pair.first
    assert None not in (times.took, times.noticed, times.back)
    assert noticed.first == (times.noticed or 0) / SECOND >= 1
    # Before it was noticed, a canary had to boot and to be healthy for a while.
    assert (times.took or 0) >= (times.noticed or 0) + (times.back or 0) + 2 * SECOND
    tight = compare(tmp_path / "bad", tmp_path / "good", tolerances=["deploys=1ms", "outcomes=any"])
    assert (tight.deploys_verdict, tight.within) == (OUTSIDE, False)
    assert tight.figure("deploy canary v2").verdict == OUTSIDE
    told = {row[0]: row[1:] for row in rows(tight)}
    assert told["deploys"] == ("1 rolled back", "1 unfinished", "0 of 1 alike", "all", OUTSIDE)
    assert told["canary v2 way back"][1] == "no data"
    assert as_data(tight)["deploys"]["pairs"][0]["b"]["way_back_ns"] is None
    shown = windtunnel("compare", str(tmp_path / "bad"), str(tmp_path / "good"))
    assert "deploys: canary v2: rolled back in A, unfinished in B" in shown.stdout
    page = tmp_path / "page.html"
    compare(tmp_path / "bad", tmp_path / "good", out=page)
    assert "canary v2: rolled back in A, unfinished in B." in page.read_text()
