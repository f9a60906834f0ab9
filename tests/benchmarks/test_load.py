"""The load generator against nginx, in turn with wrk: how fast it can be, and how late its sends are at the rates that it should reach.

wrk sends as fast as answers come and keeps no rows; it is the upper bound that the machine has in that minute.
"""

import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.tests.backends.load.process import Flown, fly
from windtunnel.tests.backends.load.support import document, steady
from windtunnel.tests.backends.tracing.collector import collecting

SECONDS = 4
CONF = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 12000; }}
http {{
  access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "hello"; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[int]:
    if not (shutil.which("nginx") and shutil.which("wrk")):
        pytest.fail("expected nginx and wrk: apt install nginx-light wrk")
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF.format(folder=tmp_path, port=port))
    process = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def wrk(port: int) -> float:
    """Requests per second over 64 kept connections."""
    said = subprocess.run(
        ["wrk", "-t1", "-c64", "-d2s", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found
    return float(found[1])


def flight(folder: Path, port: int, source: dict[str, Any]) -> Flown:
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(document(source, length=f"{SECONDS}s")))
    flown = fly(path, port)
    assert flown.code == 0, flown.errors
    return flown


def described(flown: Flown) -> str:
    done = flown.done
    return (
        f"sends {done['sends']:,}, late p50 {done['late_p50_ns'] / 1e3:.0f} us, p99 {done['late_p99_ns'] / 1e6:.2f} ms, "
        f"worst {done['late_max_ns'] / 1e6:.1f} ms, over 2 ms {100 * done['late_share']:.2f}%, "
        f"CPU {done['cpu_ns'] / done['sends'] / 1e3:.1f} us a request, failed {done['failed']}"
    )


@pytest.mark.benchmark
def test_lateness_at_the_rates_aimed_at(tmp_path: Path, nginx: int) -> None:
    kept = {"connections": {"pool": 64}}
    shares = {}
    for rate, client in (("30000/s", kept), ("5000/s", {})):
        source = {**steady(rate, length=f"{SECONDS}s", client=client), "arrivals": "poisson"}
        runs = [flight(tmp_path, nginx, source) for _ in range(3)]
        for run in runs:
            print(f"\n{rate}, {'kept' if client is kept else 'new'} connections: {described(run)}", end="")
            assert run.done["failed"] == 0
        shares[rate] = statistics.median(run.done["late_share"] for run in runs)
    assert shares["5000/s"] < 0.05
    assert shares["30000/s"] < 0.2


@pytest.mark.benchmark
def test_speed_beside_wrk(tmp_path: Path, nginx: int) -> None:
    """Closed clients without think time: as fast as it goes."""
    callers = {"name": "callers", "closed": {"concurrency": 64}, "client": {"connections": {"pool": 64}}}
    peers, ours = [], []
    for _ in range(3):
        peers.append(wrk(nginx))
        flown = flight(tmp_path, nginx, callers)
        ours.append(len(flown.requests) / SECONDS)
    peer, own = statistics.median(peers), statistics.median(ours)
    print(f"\nwrk {peer:,.0f} requests/s; the generator, with a row for each, {own:,.0f}: {own / peer:.2f}")
    assert own > 0.1 * peer


@pytest.mark.benchmark
def test_what_traces_cost(nginx: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU a request without traces, and with a hundredth of them exported."""
    source = steady("8000/s", length=f"{SECONDS}s", client={"connections": {"pool": 64}})
    costs: dict[str, list[float]] = {"off": [], "on": []}
    with collecting() as collector:
        for turn in range(3):
            for name, endpoint in (("off", ""), ("on", collector.url)):
                monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
                monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.01")
                folder = tmp_path / f"{name}{turn}"
                folder.mkdir()
                flown = flight(folder, nginx, source)
                costs[name].append(flown.done["cpu_ns"] / flown.done["sends"] / 1e3)
                print(f"\n{name}: {described(flown)}", end="")
    assert collector.spans
    # What else runs on the machine makes a round dearer, never cheaper.
    ratio = min(costs["on"]) / min(costs["off"])
    print(f"\nCPU with traces over without: {ratio:.2f}")
    assert ratio < 1.6
