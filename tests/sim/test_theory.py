"""The rehearsal against queueing theory: with latencies and proxy time off, the path is exactly G/G/c.

Each figure is a mean over independent seeds with a confidence interval (Student's t), which must hold the theoretical value. Seeds are fixed,
so a test cannot flake.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from windtunnel.core.outcomes import NAMES
from windtunnel.reports.run import Run
from windtunnel.reports.tables import codes, numbers
from windtunnel.tests.support import run

MS = 1e6
LEVEL = 0.99

# Mean, p50, p95, p99 (ms) at 800/s over four servers of 4 ms: E4/M/1 by theory; least connections from a long independent run.
E4M1 = (13.07, 9.06, 39.15, 60.19)
LEAST = (7.84, 5.71, 22.5, 33.8)


def station(
    rate: float, service: dict[str, Any], seconds: float, servers: int = 1, workers: int = 1,
    routing: str = "round_robin", queue: int | None = None, arrivals: str = "poisson",
) -> dict[str, Any]:  # fmt: skip
    """Servers of so many workers, nothing else on the way."""
    app: dict[str, Any] = {"initial": servers, "workers": workers}
    if queue is not None:
        app["queue"] = queue
    return {
        "duration": f"{seconds:g}s",
        "fleet": {"app": app, "proxy": {"routing": routing}},
        "endpoints": [{"path": "/", "cpu": service}],
        "traffic": [
            {
                "name": "users",
                "stages": [{"for": f"{seconds:g}s", "rate": f"{rate:g}/s"}],
                "arrivals": arrivals,
            }
        ],
    }


def exponential(ms: float) -> dict[str, Any]:
    return {"exponential": {"mean": f"{ms}ms"}}


def sojourn(run: Run) -> Any:
    """Latencies (ms) of answered requests after the first tenth of the run."""
    time, latency = numbers(run.requests, "time_ns"), numbers(run.requests, "latency_ns")
    ok = codes(run.requests, "outcome", NAMES) == NAMES.index("ok")
    return latency[ok & (time > time.max() / 10)] / MS


def rejected(run: Run) -> float:
    time = numbers(run.requests, "time_ns")
    outcome = codes(run.requests, "outcome", NAMES)[time > time.max() / 10]
    return float((outcome == NAMES.index("queue_full")).mean())


def interval(measure: Callable[[Run], float], document: dict[str, Any], seeds: int) -> tuple[float, float]:
    """Mean and half width of the confidence interval over *seeds* runs."""
    values = [measure(run(document, seed)) for seed in range(1, seeds + 1)]
    half = stats.t.ppf((1 + LEVEL) / 2, seeds - 1) * np.std(values, ddof=1) / math.sqrt(seeds)
    return float(np.mean(values)), float(half)


def assert_theory(
    measure: Callable[[Run], float], document: dict[str, Any], theory: float, seeds: int, width: float
) -> None:
    """The interval holds *theory* and is no wider than *width* of it (or it would show nothing)."""
    mean, half = interval(measure, document, seeds)
    assert half <= width * theory, f"{mean:.4g} +/- {half:.2g} is too wide to say anything"
    assert abs(mean - theory) <= half, f"{mean:.4g} +/- {half:.2g} does not hold {theory:.4g}"


def mean_sojourn(run: Run) -> float:
    return float(sojourn(run).mean())


def erlang_b(offered: float, servers: int) -> float:
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked


def erlang_c(offered: float, servers: int) -> float:
    blocked = erlang_b(offered, servers)
    return blocked / (1 - offered / servers * (1 - blocked))


def test_mm1() -> None:
    # lambda 70/s, mu 100/s: mean sojourn 1 / (mu - lambda).
    assert_theory(mean_sojourn, station(70, exponential(10), 180), 1000 / 30, 12, 0.12)


def test_mm1_distribution() -> None:
    """The sojourn time itself is exponential with rate mu - lambda."""

    def share_above_median(run: Run) -> float:
        return float((sojourn(run) > math.log(2) * 1000 / 40).mean())

    assert_theory(share_above_median, station(60, exponential(10), 100), 0.5, 10, 0.12)


def test_mmc() -> None:
    # lambda 300/s, 4 workers of 100/s: Erlang C.
    wait = erlang_c(3.0, 4) / (400 - 300) * 1000
    assert_theory(mean_sojourn, station(300, exponential(10), 25, workers=4), 10 + wait, 12, 0.08)


def test_md1() -> None:
    # Pollaczek-Khinchine without variance: W = rho / (2 mu (1 - rho)).
    assert_theory(
        mean_sojourn, station(70, {"constant": "10ms"}, 100), 10 + 0.7 / (2 * 100 * 0.3) * 1000, 10, 0.1
    )


@pytest.mark.parametrize("cv", [0.5, 1.5])
def test_mg1(cv: float) -> None:
    # Pollaczek-Khinchine: W = rho (1 + cv^2) / (2 mu (1 - rho)).
    theory = 10 + 0.6 * (1 + cv * cv) / (2 * 100 * 0.4) * 1000
    service = {"lognormal": {"mean": "10ms", "cv": cv}}
    assert_theory(mean_sojourn, station(60, service, 200 if cv > 1 else 80), theory, 12, 0.25)


def test_mm1k() -> None:
    # K = 1 in service + 3 waiting, rho 0.9: P(block) = (1 - rho) rho^K / (1 - rho^(K + 1)).
    rho, k = 0.9, 4
    theory = (1 - rho) * rho**k / (1 - rho ** (k + 1))
    assert_theory(rejected, station(90, exponential(10), 80, queue=3), theory, 10, 0.12)


def test_mmcc() -> None:
    # Erlang B: 3 workers, no queue, 2.4 erlangs offered; it holds for any service time (insensitivity).
    for service in (exponential(10), {"constant": "10ms"}):
        assert_theory(rejected, station(240, service, 15, workers=3, queue=0), erlang_b(2.4, 3), 12, 0.1)


def assert_percentiles(
    routing: str, expected: tuple[float, ...], seconds: float, seeds: int, width: float
) -> None:
    """Mean, p50, p95 and p99 over seeds hold *expected*; their intervals are no wider than *width* (tails: three times that)."""
    document = station(800, exponential(4), seconds, servers=4, routing=routing)
    rows = []
    for seed in range(1, seeds + 1):
        found = sojourn(run(document, seed))
        rows.append([found.mean(), *np.percentile(found, (50, 95, 99))])
    half = stats.t.ppf((1 + LEVEL) / 2, seeds - 1) * np.std(rows, axis=0, ddof=1) / math.sqrt(seeds)
    widths = (width, width, 3 * width, 3 * width)
    for mean, error, theory, most in zip(np.mean(rows, axis=0), half, expected, widths, strict=True):
        assert error <= most * theory, f"{mean:.4g} +/- {error:.2g} is too wide to say anything"
        assert abs(mean - theory) <= error + 0.005 * theory, f"{mean:.4g} +/- {error:.2g}: not {theory}"


def test_round_robin_over_four_servers_is_e4m1() -> None:
    """Each server sees every fourth arrival of a Poisson stream: E4/M/1."""
    assert_percentiles("round_robin", E4M1, 15, 12, 0.2)


def test_least_connections() -> None:
    """Against a long independent run."""
    assert_percentiles("least_connections", LEAST, 15, 12, 0.2)


def test_power_of_two_lies_between_random_and_least_connections() -> None:
    """Two choices bring most of what all choices bring (Mitzenmacher): paired over the same seeds, with intervals."""
    seeds = 8
    means = {
        routing: [
            mean_sojourn(run(station(800, exponential(4), 8, servers=4, routing=routing), seed))
            for seed in range(1, seeds + 1)
        ]
        for routing in ("random", "power_of_two", "least_connections")
    }
    for better, worse, least in (("power_of_two", "random", 5), ("least_connections", "power_of_two", 0.5)):
        gain = np.subtract(means[worse], means[better])
        half = stats.t.ppf((1 + LEVEL) / 2, seeds - 1) * np.std(gain, ddof=1) / math.sqrt(seeds)
        assert gain.mean() - half > 0, f"{better} gains {gain.mean():.3g} +/- {half:.2g} ms over {worse}"
        assert gain.mean() > least


def test_random_routing_is_mm1() -> None:
    """A random share of a Poisson stream is one: each server is M/M/1 at 0.7."""
    assert_theory(
        mean_sojourn, station(280, exponential(10), 30, servers=4, routing="random"), 1000 / 30, 10, 0.12
    )


def test_closed_clients_are_machine_repairmen() -> None:
    """N clients think for 1/nu and share one worker of rate mu: throughput mu (1 - p0) of M/M/1//N."""
    clients, think, service = 6, 90.0, 20.0
    offered = service / think
    weights = [math.perm(clients, k) * offered**k for k in range(clients + 1)]
    throughput = (1 - weights[0] / sum(weights)) * 1000 / service
    document = {
        "duration": "120s",
        "fleet": {"app": {"workers": 1}},
        "endpoints": [{"path": "/", "cpu": exponential(service)}],
        "traffic": [{"name": "users", "closed": {"concurrency": clients, "think": exponential(think)}}],
    }
    assert_theory(lambda found: found.requests.num_rows / 120, document, throughput, 10, 0.03)


@pytest.mark.long
@pytest.mark.parametrize(("routing", "expected"), [("round_robin", E4M1), ("least_connections", LEAST)])
def test_long_runs_come_closer(routing: str, expected: tuple[float, ...]) -> None:
    assert_percentiles(routing, expected, 40, 40, 0.05)


@pytest.mark.long
@pytest.mark.parametrize("utilisation", [0.3, 0.5, 0.8])
def test_mm1_over_utilisations(utilisation: float) -> None:
    theory = 1000 / (100 * (1 - utilisation))
    assert_theory(mean_sojourn, station(100 * utilisation, exponential(10), 300), theory, 20, 0.2)
