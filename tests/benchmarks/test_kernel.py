"""The kernel against the reference and other simulators, on the same work, in one run; what more servers cost; a day of real traffic.

The work: Poisson arrivals at 800/s, round robin over 4 servers of one worker, exponential 4 ms; ours with health checks, timeouts on both sides,
a handshake per request, and a row per request and attempt. Time counts from the plan to the rows in memory. Other simulators run in an environment
of their own (they need Python 3.12 or later): PEER_PYTHON names one, else python3.13 or python3.12 on the path.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from windtunnel.core.columns import Rows
from windtunnel.sim.world import Simulation
from windtunnel.tests.support import DAY, needs_traffic, plan, scenario

PEERS = {"asyncflow-sim": "0.1.1", "happysim": "0.2.5"}
MODELS = Path(__file__).with_name("peer_models.py")
ROUNDS = 5


class Keep:
    """A sink that keeps or drops rows, and counts them."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.count = 0
        self.kept: list[Rows] = []

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        pass

    def rows(self, requests: Rows, attempts: Rows) -> None:
        self.count += len(requests)
        if self.keep:
            self.kept += [requests, attempts]

    def decided(self, decision: Any, observations: Any) -> None:
        pass

    def measured(self, rows: Any) -> None:
        pass

    def due(self) -> bool:
        return False

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        pass


def workload(servers: int, seconds: int, routing: str = "round_robin") -> dict[str, Any]:
    rate = 200 * servers
    return {
        "duration": f"{seconds}s",
        "fleet": {
            "app": {"initial": servers, "workers": 1, "max": servers},
            "proxy": {
                "routing": routing, "upstream_timeout": "5s", "keepalive_timeout": "15s",
                "health_check": {"interval": "1s", "timeout": "500ms"},
            },
        },
        "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "4ms"}}}],
        "traffic": [
            {"name": "users", "stages": [{"for": f"{seconds}s", "rate": f"{rate}/s"}], "client": {"timeout": "10s"}}
        ],
    }  # fmt: skip


def measured(document: dict[str, Any], engine: str, keep: bool = True) -> tuple[int, float]:
    """Requests, and seconds that they took."""
    made, sink = plan(document), Keep(keep)
    world = Simulation(engine, "memory", "memory")
    world.prepare()
    start = time.perf_counter()
    world.run(made, sink)
    return sink.count, time.perf_counter() - start


@pytest.fixture(scope="module")
def peer_python(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """An interpreter with the peers installed, or None if there is no Python that they run on."""
    names = (os.environ.get("PEER_PYTHON", ""), "python3.13", "python3.12")
    base = next(filter(None, map(shutil.which, filter(None, names))), None)
    if base is None:
        return None
    folder = tmp_path_factory.mktemp("peers")
    subprocess.run([base, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pins = [f"{name}=={version}" for name, version in PEERS.items()]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True, capture_output=True)
    return python


@pytest.mark.benchmark
def test_requests_per_second(peer_python: str | None) -> None:
    speeds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, engine, seconds in (("kernel", "kernel", 300), ("reference", "simpy", 15)):
            count, elapsed = measured(workload(4, seconds), engine)
            speeds.setdefault(name, []).append(count / elapsed)
        for name in PEERS if peer_python else ():
            done = subprocess.run(
                [str(peer_python), str(MODELS), name], capture_output=True, text=True, check=True
            )
            _, count_, elapsed_ = done.stdout.split()[-3:]
            speeds.setdefault(name, []).append(int(count_) / float(elapsed_))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print()
    for name, speed in medians.items():
        print(
            f"{name:14} {speed:12,.0f} requests/s, kernel is {medians['kernel'] / speed:,.0f} times as fast"
        )
    if peer_python is None:
        print("asyncflow-sim and happysim need python3.12 or python3.13: name one in PEER_PYTHON")
    assert medians["kernel"] > 50 * medians["reference"]
    assert all(medians["kernel"] > 100 * medians[name] for name in PEERS if name in medians)


@pytest.mark.benchmark
def test_cost_of_more_servers() -> None:
    """Cost per request in a long run: that of a longer one minus that of a shorter one, so that starting the fleet is left out."""
    print()
    for routing, limit in (("round_robin", 2.0), ("power_of_two", 2.0), ("least_connections", 4.0)):
        costs = {}
        for servers, short, long in ((4, 100, 900), (100, 4, 36), (1000, 1, 5)):
            ratios = []
            for _ in range(3):
                (few, quick), (many, slow) = (
                    measured(workload(servers, seconds, routing), "kernel", keep=False)
                    for seconds in (short, long)
                )
                ratios.append((slow - quick) / (many - few) * 1e9)
            costs[servers] = statistics.median(ratios)
        growth = costs[1000] / costs[4]
        figures = ", ".join(f"{cost:.0f} ns with {servers}" for servers, cost in costs.items())
        print(f"{routing:18} {figures}: {growth:.2f} times")
        assert growth < limit


CHILD = """
import resource, sys, time, windtunnel
start = time.perf_counter()
run = windtunnel.replay(sys.argv[1], out=sys.argv[2])
seconds = time.perf_counter() - start
print(seconds, run.summary["planned"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, run.digest)
"""


@pytest.mark.benchmark
@needs_traffic
def test_a_day_of_real_traffic(tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text(scenario(DAY).to_yaml())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "day.yaml"), str(tmp_path / "run")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, requests, mib, digest = done.stdout.split()
    print(f"\na day, {int(requests):,} requests: {float(seconds):.1f} s, {mib} MiB, digest {digest}")
    assert int(mib) < 1536
