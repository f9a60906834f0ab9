"""Two engines, one result: the kernel and the reference agree on every row and every event."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel import Scenario, library
from windtunnel.api import compare_runs, replay
from windtunnel.core.model import VersionSpec
from windtunnel.scenarios.build import compile_plan
from windtunnel.sim.kernel.plane import KernelPlane
from windtunnel.tests.sim.deploying import Step, carried_out, deploying
from windtunnel.tests.strategies.deploys import STEPS, VERSIONS
from windtunnel.tests.strategies.documents import (
    busy_documents,
    documents,
    hostile_documents,
    large_documents,
    linked_documents,
)
from windtunnel.tests.support import DAY, SHORT, TWINS, needs_traffic, scenario

RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def assert_same(made: Scenario, **options: Any) -> None:
    """Both engines give the same run of *made*."""
    reference = replay(made, engine="simpy", **TWINS)
    kernel = replay(made, engine="kernel", **TWINS, **options)
    if reference.lines != kernel.lines:
        difference = compare_runs(reference, kernel, compile_plan(made).fleet)
        pytest.fail(str(difference))


@given(documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=100)
def test_engines_agree(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@given(hostile_documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=40)
def test_engines_agree_on_exact_bytes(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@pytest.mark.long
@given(hostile_documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=1000)
def test_engines_agree_on_exact_bytes_at_length(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@given(large_documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=6)
def test_engines_agree_on_larger_scenarios(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


def assert_same_deploys(
    document: dict[str, Any], seed: int, versions: tuple[VersionSpec, ...], steps: Sequence[Step]
) -> None:
    """Both engines agree on a run with *versions* and *steps*, and on what the proxy has counted."""
    made = scenario(document, seed)
    with deploying(versions, carried_out(steps)) as written:
        reference = replay(made, engine="simpy", **TWINS)
        counted = written.copy()
        written.clear()
        kernel = replay(made, engine="kernel", **TWINS)
    assert written == counted
    if reference.lines != kernel.lines:
        pytest.fail(str(compare_runs(reference, kernel, compile_plan(made).fleet)))


@given(busy_documents(), st.integers(0, 1000), VERSIONS, STEPS)
@settings(RANDOM, max_examples=20)
def test_engines_agree_on_deploys(
    document: dict[str, Any], seed: int, versions: tuple[VersionSpec, ...], steps: list[Step]
) -> None:
    assert_same_deploys(document, seed, versions, steps)


@pytest.mark.long
@given(st.one_of(busy_documents(), documents(), large_documents()), st.integers(0, 2**62), VERSIONS, STEPS)
@settings(RANDOM, max_examples=1000)
def test_engines_agree_on_deploys_at_length(
    document: dict[str, Any], seed: int, versions: tuple[VersionSpec, ...], steps: list[Step]
) -> None:
    assert_same_deploys(document, seed, versions, steps)


@given(linked_documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=30)
def test_engines_agree_on_bad_links(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@pytest.mark.long
@given(linked_documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=250)
def test_engines_agree_on_bad_links_at_length(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@pytest.mark.long
@given(documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=2000)
def test_engines_agree_at_length(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@pytest.mark.long
@given(large_documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=100)
def test_engines_agree_on_larger_scenarios_at_length(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@given(documents(), st.integers(0, 1000), st.integers(1, 40))
@settings(RANDOM, max_examples=40)
def test_a_kernel_that_begins_tiny_grows_without_a_trace(
    document: dict[str, Any], seed: int, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("plane.CAPACITY", 8), ("begin.WINDOW", 32), ("begin.LATE", 16), ("window.LATE", 16),
                            ("begin.SMALLEST_RING", 16), ("window.WIDEST_WINDOW", 128)):  # fmt: skip
            patch.setattr(f"windtunnel.sim.kernel.{name}", value)
        assert_same(scenario(document, seed), block=block)


SLOW = {
    "boot-delay-oscillation",
    "boot-delay-tracking",
    "canary-errors",
    "canary-leak",
    "canary-slow",
    "chaos-monkey",
    "chaos-monkey-classic",
    "chaos-monkey-refused",
    "classic-plan",
    "cold-cache",
    "deploy-all-at-once",
    "deploy-registry-while-scaling",
    "deploy-rolling-flash-crowd",
    "flash-crowd",
    "kill-servers",
    "misleading-cpu",
    "real-day",
    "registry-outage",
    "retry-budget",
    "retry-storm",
    "server-dies",
    "spot-interruption",
    "stale-listing",
    "thousand-servers",
    "threshold-faults",
    "throttled-cloud",
    "two-autoscalers",
}
"""They take the reference more than five seconds each; `make test` has them on the kernel (golden digests), random scenarios on both, and deploys cut short (test_deploys)."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in sorted(library())],
)
def test_engines_agree_on_the_library(name: str) -> None:
    assert_same(Scenario.load(name, SHORT.get(name, [])))


@needs_traffic
def test_an_hour_of_real_traffic_is_the_same_on_twins_and_embedded_services() -> None:
    hour = scenario({**DAY, "duration": "1h"})
    twins = replay(hour)
    assert twins.requests.num_rows > 150_000
    assert len(twins.lines) > 20
    assert replay(hour, registry="fakeredis", cloud="moto").lines == twins.lines


@needs_traffic
def test_engines_agree_on_real_traffic() -> None:
    assert_same(scenario({**DAY, "duration": "3m"}))


PLAIN = """
import windtunnel
run = windtunnel.replay(
    windtunnel.Scenario.load("server-dies", ["duration=32s"]), registry="memory", cloud="memory"
)
print(run.digest)
"""


@pytest.mark.long
def test_without_compilation_the_kernel_still_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True,
        text=True, check=True, timeout=200,
    )  # fmt: skip
    expected = replay(Scenario.load("server-dies", ["duration=32s"]), engine="simpy", **TWINS)
    assert done.stdout.strip() == expected.digest
    assert "Warning" not in done.stderr


SHARED = ["profile={host_cores: 1, demand: burn}", "fleet.proxy.cpu_per_request=2ms"]
"""Hardly enough for the load, so that there is always a queue for the proxy's event loop."""
DEATHS = "{name: k, type: kill, every: 7s, target: {role: app, count: 1}}"
RESTARTS = "{name: r, type: proxy_restart, every: 4s, attributes: {after: 200ms}}"
PAUSES = "{name: p, type: pause, every: 3s, for: 400ms, target: {role: app, count: 1}}"


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("chaos-monkey", ["duration=240s"]),
        ("chaos-monkey", ["duration=240s", "fleet.proxy.overload=refuse", "fleet.proxy.max_connections=300"]),
        ("server-dies", ["traffic.users.client.timeout=40ms", "traffic.users.client.retries.attempts=2"]),
        ("server-dies", ["fleet.proxy.upstream_timeout=30ms", "fleet.proxy.retries={attempts: 2}"]),
        ("server-dies", [*SHARED, "fleet.proxy.upstream_timeout=30ms"]),
        ("server-dies", [*SHARED, f"faults=[{DEATHS}, {RESTARTS}, {PAUSES}]"]),
    ],
)
def test_every_slot_is_given_back(name: str, overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still in use at the end is what is still in flight, and the free lists hold all the rest."""
    seen: dict[str, int] = {}
    end = KernelPlane.end

    def watched(plane: KernelPlane) -> None:
        w = plane._kernel.world
        state = w.state[0]
        for kind, rows in (("request", w.requests), ("attempt", w.attempts), ("connection", w.connections),
                           ("job", w.jobs)):  # fmt: skip
            free, slot = 0, int(state[f"{kind}_free"])
            while 0 <= slot < len(rows) and free <= len(rows):
                free, slot = free + 1, int(rows["next"][slot])
            assert free == state[f"{kind}_left"]
            seen[kind] = len(rows) - free
        seen["open"] = int(w.sources["open"].sum())
        seen["flooded"] = len(w.flood)
        end(plane)

    monkeypatch.setattr(KernelPlane, "end", watched)
    found = replay(Scenario.load(name, overrides), **TWINS)
    assert found.attempts.num_rows > 5000
    assert seen["request"] == found.summary["outcomes"].get("unfinished", 0)
    assert seen["attempt"] <= seen["request"] + 50
    assert seen["job"] <= 50
    assert seen["connection"] <= seen["open"] + seen["attempt"] + seen["flooded"] + 50
