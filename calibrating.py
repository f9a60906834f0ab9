"""Calibration: one flight of a built-in scenario on this machine, and the profile that its columns give."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .api import replay
from .backends.local.calibration import (
    Demand,
    Measured,
    ProxySeconds,
    autoscaler_delay,
    latencies,
    proxy_time,
    start_up,
    warnings,
)
from .backends.local.options import Figures, FlightOptions
from .core.errors import BackendFailure
from .core.model import SECOND
from .reports.run import Run
from .scenarios.profile_text import Line, profile_text
from .scenarios.scenario import Scenario

ENDPOINTS = ("/cpu", "/io", "/call")
DEMAND = Demand(cpu=1_000_000, io=2_000_000, service=2_000_000)
INTERVAL = SECOND
"""Of the calibration scenario's autoscaler (ns)."""

_SCENARIO = """
scenario: calibration
duration: {duration}s
fleet:
  app: {{initial: 1, max: {servers}, workers: 64, cores: {cores}}}
  proxy: {{routing: round_robin}}
  dependencies: [{{name: db, concurrency: 64, service: {{constant: 2ms}}}}]
endpoints:
  - {{path: /cpu, weight: 2, cpu: {{constant: 1ms}}}}
  - {{path: /io, cpu: {{constant: 0}}, io: {{constant: 2ms}}}}
  - {{path: /call, cpu: {{constant: 0}}, calls: [db]}}
traffic:
  - name: all
    stages: [{{for: {start}s, rate: 40/s}}, {{for: {slow}s, rate: 150/s}}, {{for: {fast}s, rate: 1000/s}}]
    client: {{timeout: 5s, connections: {{pool: 64}}}}
autoscaler: {{policy: {{threshold: {{requests_high: 10/s}}}}, interval: 1s, cooldown: 1s}}
"""

_MOMENTS = ("start", "routed", "arrived", "started", "cpu_done", "served", "answered")
_ORDER = (
    "proxy_cpu",
    "send_delay",
    "hop_latency",
    "app_overhead",
    "call_overhead",
    "cpu_overhead",
    "timer_slack",
    "start_up",
    "autoscaler_delay",
)


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of each stage of the flight, in order: app servers are launched, latencies are measured, the proxy is busy. *servers*: at the end of the first."""

    start: int
    slow: int
    fast: int
    servers: int


FULL, QUICK = Stages(6, 5, 4, 3), Stages(4, 2, 2, 2)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured: the profile's *figures* by field, *host_cores*, *warnings* if the machine was not quiet, and the profile as a file's *text*."""

    figures: Mapping[str, Measured]
    host_cores: int
    warnings: tuple[str, ...]
    text: str


def calibrate(
    *, demand: str = "sleep", quick: bool = False, watch: Callable[[Figures], None] | None = None
) -> Calibration:
    """Fly the calibration scenario here and give the machine's profile, for flights with that *demand* (``sleep`` or ``burn``).

    *quick* takes half the time. *watch* gets the flight's figures each second. Raises BackendFailure if the flight fails or not every request is answered.
    """
    stages, cores = QUICK if quick else FULL, len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    scenario = Scenario.parse(calibration_scenario(stages, demand))
    run = replay(scenario, backend="local", flight=FlightOptions(demand=demand, watch=watch))
    try:
        figures = measure(run, stages)
    except ValueError as error:
        raise BackendFailure(f"the calibration flight says too little: {error}") from None
    found = tuple(warnings(figures, load, cores, run.summary["generator"]))
    words = "burnt" if demand == "burn" else "slept for"
    description = f"{cores} cores, {platform.system()} {platform.machine()}, CPU demand {words}, load average {load:.2f} before"
    lines = [
        Line(name, one.value, one.how, one.low, one.high, one.parts)
        for name, one in ((name, figures[name]) for name in _ORDER)
    ]
    return Calibration(figures, cores, found, profile_text(description, lines, cores, demand, found))


def calibration_scenario(stages: Stages, demand: str) -> str:
    """The scenario's text. Servers are launched first, so that their starts disturb nothing; slept demand has cores enough that nothing queues for them."""
    return _SCENARIO.format(
        duration=stages.start + stages.slow + stages.fast, start=stages.start, slow=stages.slow,
        fast=stages.fast, servers=stages.servers, cores=64 if demand == "sleep" else 1,
    )  # fmt: skip


def measure(run: Run, stages: Stages) -> dict[str, Measured]:
    """The figures of a flight of the calibration scenario. Raises ValueError if it lacks what they need."""
    failed = {name: count for name, count in run.summary["outcomes"].items() if name != "ok" and count}
    if failed:
        raise ValueError(f"expected every request to be answered, got {failed}")
    begun, decided = start_up(run.events), autoscaler_delay(run.events, INTERVAL)
    proxy = proxy_time(proxy_seconds(run, stages))
    first, last = stages.start * SECOND + SECOND // 2, (stages.start + stages.slow) * SECOND
    return {
        **latencies(columns_of(run, first, last), DEMAND, proxy.value), "proxy_cpu": proxy, "start_up": begun,
        "autoscaler_delay": decided,
    }  # fmt: skip


def columns_of(run: Run, first: int, last: int) -> dict[str, Any]:
    """Columns of the attempts of requests planned from *first* to before *last* (ns)."""
    requests, attempts = run.requests, run.attempts
    planned = requests.column("time_ns").to_numpy()
    endpoint = np.array([ENDPOINTS.index(path) for path in requests.column("endpoint").to_pylist()])
    number = np.searchsorted(requests.column("request").to_numpy(), attempts.column("request").to_numpy())
    columns = {name: attempts.column(f"{name}_ns").to_numpy() for name in _MOMENTS}
    columns["time"] = planned[number]
    columns["endpoint"] = endpoint[number]
    chosen = (columns["time"] >= first) & (columns["time"] < last)
    return {name: values[chosen] for name, values in columns.items()}


def proxy_seconds(run: Run, stages: Stages) -> ProxySeconds:
    """The proxy's whole seconds in the slow and the fast stage; the first of each is left out, for it holds the change."""
    metrics = run.metrics
    server = metrics.column("server").to_numpy()
    second = metrics.column("time_ns").to_numpy()[server == 0] // SECOND
    slow = (second > stages.start + 1) & (second <= stages.start + stages.slow)
    end = stages.start + stages.slow + stages.fast
    fast = (second > stages.start + stages.slow + 1) & (second <= end)
    requests, cpu = (metrics.column(name).to_numpy()[server == 0] for name in ("requests", "cpu_ns"))
    return ProxySeconds(requests, cpu, slow, fast)
