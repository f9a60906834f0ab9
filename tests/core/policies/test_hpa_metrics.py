"""One metric to a number of servers: the cases of Kubernetes' own tests, as data.

Source of the tables: kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator_test.go; each row names its test.
There a pod requests 1000 millicores and reports some; here a server reports the share. Cases with containers of their own, or with more pods than
replicas (rolling updates), have no counterpart: the size is the number of servers.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel.core.policies.hpa_metrics import HpaMetric, Tolerances, Youth, recommend
from windtunnel.core.policies.view import LONG_AGO, FleetView, ServerView

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOW = 1000 * MINUTE
YOUTH = Youth(period=2 * MINUTE, window=MINUTE)
TENTH = Tolerances()
MISSING, UNREADY = "missing", "unready"


def server(
    number: int, metrics: dict[str, float] | None, ready: int = LONG_AGO, sampled: int = NOW
) -> ServerView:
    return ServerView(f"s{number}", metrics, ready, sampled)


def fleet(metric: str, levels: list[float | str], booting: int = 0) -> FleetView:
    """Servers by what they report; UNREADY ones are hot: they report much, and became ready a moment ago."""
    servers = []
    for number, level in enumerate(levels):
        if level == MISSING:
            servers.append(server(number, None))
        elif level == UNREADY:
            servers.append(server(number, {metric: 0.7}, ready=NOW - 10 * SECOND))
        else:
            servers.append(server(number, {metric: float(level)}))
    return FleetView(NOW, tuple(servers), (NOW - 30 * SECOND,) * booting)


def size(view: FleetView, metric: HpaMetric, tolerances: Tolerances = TENTH) -> int | None:
    found = recommend(metric, view, tolerances, YOUTH)
    return None if found is None else found.size


def milli(*levels: float | str) -> list[float | str]:
    return [level / 1000 if isinstance(level, int) else level for level in levels]


CPU = [
    ("TestReplicaCalcResourceScale/scale up", milli(300, 500, 700), 30, 5, 50),
    ("TestReplicaCalcResourceScale/scale up: unready pod scales less", milli(UNREADY, 500, 700), 30, 4, 60),
    ("TestReplicaCalcResourceScale/no scale: unready pods ignored", milli(400, UNREADY, UNREADY), 30, 3, 40),
    ("TestReplicaCalcResourceScale/scale up: failed pods ignored", milli(500, 700), 30, 4, 60),
    ("TestReplicaCalcResourceScale/scale down", milli(100, 300, 500, 250, 250), 50, 3, 28),
    ("TestReplicaCalcResourceScale/scale down: exclude unready pods", milli(100, 300, 500, UNREADY, UNREADY), 50, 2, 30),
    ("TestReplicaCalcTolerance", milli(1010, 1030, 1020), 100, 3, 102),
    ("TestReplicaCalcMissingMetrics", milli(400, 95, MISSING, MISSING), 100, 3, 24),
    ("TestReplicaCalcMissingMetricsNoChangeEq", milli(1000, MISSING), 100, 2, 100),
    ("TestReplicaCalcMissingMetricsNoChangeGt", milli(1900, MISSING), 100, 2, 190),
    ("TestReplicaCalcMissingMetricsNoChangeLt", milli(600, MISSING), 100, 2, 60),
    ("TestReplicaCalcMissingMetricsUnreadyChange", milli(UNREADY, 450, MISSING), 50, 3, 45),
    ("TestReplicaCalcMissingMetricsUnreadyScaleUp", milli(UNREADY, 2000, MISSING), 50, 4, 200),
    ("TestReplicaCalcMissingMetricsUnreadyScaleDown", milli(UNREADY, 100, 100, MISSING), 50, 3, 10),
    ("own: a target above 100% is what a missing server counts in a scale-in", milli(100, 100, MISSING, MISSING), 300, 3, 10),
]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "target", "expected", "percent"), [row[1:] for row in CPU], ids=[row[0] for row in CPU]
)
def test_cpu(levels: list[float | str], target: int, expected: int, percent: int) -> None:
    found = recommend(HpaMetric(target / 100, "cpu"), fleet("cpu", levels), TENTH, YOUTH)
    assert found is not None
    assert (found.size, round(found.usage * 100)) == (expected, percent)


def test_what_boots_is_pending() -> None:
    """TestReplicaCalcResourceScale/scale down: exclude unscheduled pods; and added back as idle in a scale-out."""
    assert size(fleet("cpu", milli(100), booting=4), HpaMetric(0.5, "cpu")) == 1
    assert size(fleet("cpu", milli(290, 290), booting=2), HpaMetric(0.3, "cpu")) == 4, "within, without them"
    assert size(fleet("cpu", milli(500, 700), booting=1), HpaMetric(0.3, "cpu")) == 4
    assert size(fleet("cpu", milli(500, 700)), HpaMetric(0.3, "cpu")) == 4
    assert size(fleet("cpu", milli(500, 700), booting=4), HpaMetric(0.3, "cpu")) == 6, "the direction turned"
    assert size(fleet("requests", [90, 90], booting=2), HpaMetric(30, "requests")) == 6
    assert size(fleet("requests", [90, 90], booting=3), HpaMetric(30, "requests")) == 6, (
        "what is coming is counted on"
    )


PODS = [
    ("TestReplicaCalcScaleUpCM", [20, 10, 30], 15, 4),
    ("TestReplicaCalcScaleDownCM", [12, 12, 12, 12, 12], 20, 3),
    ("TestReplicaCalcToleranceCM", [20, 21, 21], 20, 3),
    ("TestPlainMetricReplicaCalcMissingMetricsNoChangeEq", [20, 19, 21, MISSING, MISSING], 20, 5),
    ("own: a missing server is on target in a scale-in", [10, 10, MISSING, MISSING], 20, 3),
    ("own: and idle in a scale-out", [100, 100, MISSING, MISSING], 20, 10),
    ("own: which may turn the direction", [30, 30, MISSING, MISSING], 20, 4),
    ("own: or come within the tolerance", [38, 38, MISSING, MISSING], 20, 4),
]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "target", "expected"), [row[1:] for row in PODS], ids=[row[0] for row in PODS]
)
def test_other_metrics(levels: list[float | str], target: float, expected: int) -> None:
    assert size(fleet("in_flight", levels), HpaMetric(target, "in_flight")) == expected


@pytest.mark.parametrize(
    ("levels", "tolerances", "expected"),
    [
        ((909, 1010, 1111), Tolerances(up=0, down=0), 4),
        ((1890, 1910, 1900), Tolerances(up=2, down=0.1), 3),
        ((1100, 1080, 1090), Tolerances(up=0.08, down=2), 4),
        ((660, 640, 650), Tolerances(up=0.1, down=0.36), 3),
        ((660, 640, 650), Tolerances(up=0.1, down=0.34), 2),
    ],
)
def test_a_tolerance_of_its_own_for_each_direction(
    levels: tuple[int, ...], tolerances: Tolerances, expected: int
) -> None:
    """TestReplicaCalcConfigurableTolerance."""
    assert size(fleet("cpu", milli(*levels)), HpaMetric(1.0, "cpu"), tolerances) == expected


@pytest.mark.parametrize(("levels", "expected"), [((50, 10, 30), 6), ((50, 15, 30), 7)])
def test_a_young_server_counts_for_metrics_other_than_cpu(levels: tuple[int, ...], expected: int) -> None:
    """TestReplicaCalcScaleUpCMUnreadyHotCpuNoLessScale and ...ScaleWouldScaleDown."""
    hot = [server(number, {"in_flight": level}, NOW - SECOND) for number, level in enumerate(levels)]
    assert size(FleetView(NOW, tuple(hot)), HpaMetric(15, "in_flight")) == expected


def test_percentages_are_truncated_to_whole_ones_and_other_averages_to_thousandths() -> None:
    within = HpaMetric(0.5, "cpu")
    assert size(fleet("cpu", [0.5599] * 10), within) == 10, "55% of 50% is within a tenth"
    assert size(fleet("cpu", [0.56] * 10), within) == 12
    assert size(fleet("cpu", [0.29] * 10), HpaMetric(0.29, "cpu"), Tolerances(0, 0)) == 10, (
        "not 28.999999999999996"
    )
    assert size(fleet("requests", [1.1009] * 10), HpaMetric(1, "requests")) == 10
    assert size(fleet("requests", [1.101] * 10), HpaMetric(1, "requests")) == 12


@pytest.mark.parametrize(
    ("usage", "tolerances", "expected"),
    [
        (45, TENTH, 10),
        (44, TENTH, 9),
        (55, TENTH, 10),
        (56, TENTH, 12),
        (55, Tolerances(up=0.05, down=0.1), 11),
        (45, Tolerances(up=0.1, down=0.05), 9),
        (45, Tolerances(up=0.0, down=0.1), 10),
        (51, Tolerances(up=0.0, down=0.5), 11),
        (50, Tolerances(up=0.0, down=0.0), 10),
        (25, Tolerances(up=0.0, down=0.5), 10),
        (24, Tolerances(up=0.0, down=0.5), 5),
    ],
)  # fmt: skip
def test_exactly_on_the_tolerance_is_within_in_each_direction(
    usage: int, tolerances: Tolerances, expected: int
) -> None:
    """replica_calculator.go, Tolerances.isWithin: inclusive on both sides (before 1.33, 1.1 was beyond a tolerance of 0.1)."""
    assert size(fleet("cpu", [usage / 100] * 10), HpaMetric(0.5, "cpu"), tolerances) == expected


GROUPS = [
    ("count in a ready pod with fresh metrics during initialization period", 30, 0, 30, True),
    ("unready a ready pod without fresh metrics during initialization period", 30, 0, 60, False),
    ("own: the sample's window begins exactly when it became ready", 60, 0, 60, True),
    ("count in a ready pod without fresh metrics after initialization period", 180, 120, 60, True),
    ("own: the period ends exactly now", 120, 120, 60, True),
    ("own: one second before", 119, 119, 60, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ready", "sampled", "window", "counted"), [row[1:] for row in GROUPS], ids=[row[0] for row in GROUPS]
)
def test_young_servers(ready: int, sampled: int, window: int, counted: bool) -> None:
    """TestGroupPods: seconds since it became ready and since its sample; the sample's window."""
    one = server(1, {"cpu": 1.0, "memory": 1.0}, NOW - ready * SECOND, NOW - sampled * SECOND)
    view = FleetView(NOW, (one, server(2, {"cpu": 0.2, "memory": 0.2})))
    youth = Youth(2 * MINUTE, window * SECOND)
    cpu, memory = (recommend(HpaMetric(0.5, name), view, TENTH, youth) for name in ("cpu", "memory"))
    assert cpu is not None
    assert cpu.unready == (0 if counted else 1)
    assert memory is not None
    assert memory.unready == 0, "for CPU alone"


def test_a_young_sample_of_unknown_time_does_not_count() -> None:
    young = server(1, {"cpu": 1.0}, NOW - SECOND, -1)
    assert size(FleetView(NOW, (young,)), HpaMetric(0.5, "cpu")) is None
    assert size(FleetView(NOW, (server(1, {"cpu": 1.0}, LONG_AGO, -1),)), HpaMetric(0.5, "cpu")) == 2


def test_a_metric_is_broken_when_no_sample_that_could_count_carries_it() -> None:
    """TestReplicaCalcEmptyMetrics; and where all pods are unready."""
    cpu = HpaMetric(1.0, "cpu")
    for view in (
        fleet("cpu", [MISSING] * 4),
        fleet("cpu", [UNREADY] * 2),
        fleet("memory", [0.5]),
        fleet("cpu", [], booting=2),
    ):
        assert size(view, cpu) is None


TOTALS = [
    ("TestReplicaCalcScaleUpPerPodCMExternal", [8.6, 0, 0], 2.15, 4),
    ("TestReplicaCalcScaleDownPerPodCMExternal", [8.6, 0, 0, 0, 0], 2.867, 3),
    ("TestReplicaCalcTolerancePerPodCMExternal", [8.6, 0, 0], 2.9, 3),
    ("TestReplicaCalcScaleUpCMPerPodObject", [20, 0, 0], 5, 4),
    ("TestReplicaCalcScaleDownPerPodCMObject", [6, 0, 0, 0, 0], 2, 3),
    ("TestReplicaCalcTolerancePerPodCMObject", [20.166, 0, 0, 0], 5, 4),
    ("own: within the tolerance", [22, 22], 20, 2),
    ("own: beyond", [23, 22], 20, 3),
    ("own: to zero", [0, 0], 20, 0),
    ("own: a sum that lacks a server is none", [50, MISSING], 20, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "target", "expected"), [row[1:] for row in TOTALS], ids=[row[0] for row in TOTALS]
)
def test_totals(levels: list[float | str], target: float, expected: int | None) -> None:
    assert size(fleet("requests", levels), HpaMetric(target, "requests", total=True)) == expected


def test_a_total_of_no_servers() -> None:
    total = HpaMetric(20, "requests", total=True)
    assert size(fleet("requests", []), total) == 0
    assert size(fleet("requests", [], booting=2), total) is None
    assert size(fleet("requests", [100], booting=2), total) == 5


LEVELS = st.lists(st.one_of(st.integers(0, 400), st.just(MISSING)), min_size=1, max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LEVELS, st.data(), st.integers(0, 4), st.booleans(), st.integers(0, 100))
def test_neither_order_nor_type_matters_and_more_load_never_gives_fewer(
    plain: list[float | str], data: st.DataObject, booting: int, total: bool, more: int
) -> None:
    metric = HpaMetric(37, "requests", total)
    one = size(fleet("requests", plain, booting), metric)
    assert size(fleet("requests", data.draw(st.permutations(plain)), booting), metric) == one
    whole = [
        server(number, {"requests": level}) for number, level in enumerate(plain) if isinstance(level, int)
    ]
    if len(whole) == len(plain):
        assert size(FleetView(NOW, tuple(whole), (NOW,) * booting), metric) == one
    busier: list[float | str] = [level if isinstance(level, str) else level + more for level in plain]
    found = size(fleet("requests", busier, booting), metric)
    assert (found is None) == (one is None)
    if found is not None and one is not None:
        assert found >= one
