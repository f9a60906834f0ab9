"""What a flight of the calibration scenario says of the machine: pure statistics over its columns.

Theory of operation
-------------------
The figures are those that make the model's request take what the flight's took, for the median at low load. A rehearsed request takes

    send_delay + 4 hop_latency + proxy_cpu + app_overhead + cpu_overhead + its demand

(two hops each way; half of send_delay and of app_overhead is on either way). Sending and the first hop are stations of their own, the proxy's CPU time is
counted by the proxy, and what then remains of the request is the app server's. So it is for calls: two hops, and what remains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.model import SECOND

Columns = Mapping[str, Any]
"""Arrays of the attempts: ``time`` (intended send time), ``start``, ``routed``, ``arrived``, ``started``, ``cpu_done``, ``served``, ``answered`` (ns; -1: never) and ``endpoint`` (number)."""

CPU, IO, CALL = range(3)
"""Endpoints of the calibration scenario: CPU time only, io only, a call of a dependency only."""

BATCH = SECOND // 2
"""Length (ns) of the batches between which medians are compared."""

UNSTEADY = 1.5
"""A batch whose median is so many times the median of all was disturbed."""
LATE = 2_000_000
BUSY = 0.3
"""Load average per core from which a machine is not quiet."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of the profile: *value* (ns), the smallest and the largest of the *parts* it was also computed from, and *how* it was measured."""

    value: int
    low: int
    high: int
    parts: int
    how: str

    @property
    def steady(self) -> bool:
        """Whether no part is far above the figure. What is below 20 us is never called unsteady: clocks and caches make that much."""
        return self.high <= max(UNSTEADY * self.value, self.value + 20_000)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the calibration scenario asks of each request (ns): of its CPU endpoint, its io endpoint, its dependency."""

    cpu: int
    io: int
    service: int


@dataclass(frozen=True, slots=True)
class ProxySeconds:
    """Seconds of the proxy: *requests* and *cpu* time (ns) of each, and which are of the *slow* stage and of the *fast* one (masks)."""

    requests: Any
    cpu: Any
    slow: Any
    fast: Any


def latencies(columns: Columns, demand: Demand, proxy_cpu: int) -> dict[str, Measured]:
    """The profile's latencies from answered requests at a moderate rate, *proxy_cpu* (ns) being known. Raises ValueError if an endpoint has none."""
    endpoint = columns["endpoint"]
    plain, waits, calls = (_chosen(columns, endpoint == number) for number in (CPU, IO, CALL))
    for name, part in (("CPU time", plain), ("io", waits), ("a call", calls)):
        if not len(part["time"]):
            raise ValueError(f"expected answered requests with {name}, got none")
    delay = _median(columns["time"], columns["start"] - columns["time"], "median from planned to sent")
    hop = _median(
        columns["time"], columns["routed"] - columns["start"], "median from sent to read by the proxy"
    )
    total = _median(plain["time"], plain["answered"] - plain["start"] - demand.cpu, "")
    work = _median(
        plain["time"],
        plain["cpu_done"] - plain["started"] - demand.cpu,
        "median of what CPU time takes longer than planned",
    )
    left = total.value - proxy_cpu - work.value - 4 * hop.value
    if left < 0:
        # The proxy's CPU time is in part spent after it has answered, so that it may be more than a request waits for it.
        hop = _shifted(
            hop, left // 4, "a quarter of what a request takes beside its demand and the proxy's CPU time"
        )
    away = 4 * hop.value + proxy_cpu + work.value
    app = _shifted(
        total,
        -away,
        "median of what a request takes beside its demand, less proxy_cpu, cpu_overhead and four hops",
    )
    slack = _median(
        waits["time"],
        waits["served"] - waits["cpu_done"] - demand.io,
        "median of what an io takes longer than planned",
    )
    call = _median(calls["time"], calls["served"] - calls["cpu_done"] - demand.service, "")
    beside = slack.value + 2 * hop.value
    call = _shifted(
        call, -beside, "median of what a call takes beside its service, less timer slack and two hops"
    )
    return {
        "send_delay": delay, "hop_latency": hop, "app_overhead": app, "call_overhead": call, "timer_slack": slack,
        "cpu_overhead": work,
    }  # fmt: skip


def proxy_time(seconds: ProxySeconds) -> Measured:
    """CPU time of the proxy for one more request (ns): between slow and fast seconds, so that what it does anyway is not counted.

    Raises ValueError if the fast seconds are not faster.
    """
    base_requests, base_cpu = seconds.requests[seconds.slow].mean(), seconds.cpu[seconds.slow].mean()
    requests, cpu = seconds.requests[seconds.fast], seconds.cpu[seconds.fast]
    if not len(requests) or not requests.min() > base_requests:
        raise ValueError(
            f"expected seconds with more than {base_requests:.0f} requests, got {[int(one) for one in requests]}"
        )
    each = (cpu - base_cpu) / (requests - base_requests)
    value = (cpu.mean() - base_cpu) / (requests.mean() - base_requests)
    how = f"CPU time of the proxy for one more request, between {base_requests:.0f}/s and {requests.mean():.0f}/s"
    return Measured(_whole(value), _whole(each.min()), _whole(each.max()), len(each), how)


def start_up(events: Sequence[Mapping[str, Any]]) -> Measured:
    """From the launch of a process to its registration (ns), of the instances that were launched in the run. Raises ValueError if none was ready."""
    launched = {
        event["server"]: event["t"] for event in events if event["event"] == "launched" and event["t"] > 0
    }
    times = [
        event["t"] - launched[event["server"]]
        for event in events
        if event["event"] == "ready" and event["server"] in launched
    ]
    if not times:
        raise ValueError(f"expected an app server that starts, got {len(launched)} launched and none ready")
    how = "median from the launch of an app server's process until it is registered"
    return Measured(round(float(np.median(times))), min(times), max(times), len(times), how)


def autoscaler_delay(events: Sequence[Mapping[str, Any]], interval: int) -> Measured:
    """From an autoscaler's turn, each *interval* (ns), to the launch that it decides on (ns). Raises ValueError if there was none."""
    times = [event["t"] % interval for event in events if event["event"] == "launched" and event["t"] > 0]
    if not times:
        raise ValueError("expected an app server that the autoscaler launches, got none")
    how = "median from the autoscaler's turn to the launch that it decides on"
    return Measured(round(float(np.median(times))), min(times), max(times), len(times), how)


def warnings(
    figures: Mapping[str, Measured], load: float, cores: int, lateness: Mapping[str, float]
) -> list[str]:
    """Why not to trust the *figures*: *load* average before the flight on *cores*, and how late requests were sent (ns)."""
    found = []
    if load > BUSY * cores:
        found.append(
            f"the load average was {load:.2f} on {cores} cores before the flight: something else was running"
        )
    late = lateness.get("late_p99_ns", 0)
    if late > LATE:
        found.append(f"1% of the requests were sent more than {late / 1e6:.1f} ms late")
    unsteady = [name for name, figure in figures.items() if not figure.steady]
    if unsteady:
        found.append(f"the machine was not steady: see the spread of {', '.join(unsteady)}")
    return found


def _chosen(columns: Columns, mask: Any) -> dict[str, Any]:
    return {name: values[mask] for name, values in columns.items()}


def _median(time: Any, values: Any, how: str) -> Measured:
    """The median of *values*, and the smallest and largest of those of batches by *time* that hold at least a few."""
    batches = np.unique(time // BATCH, return_inverse=True)[1]
    sizes = np.bincount(batches)
    full = np.flatnonzero(sizes >= max(1, sizes.max() // 2))
    medians = [float(np.median(values[batches == batch])) for batch in full]
    return Measured(
        _whole(float(np.median(values))), _whole(min(medians)), _whole(max(medians)), len(medians), how
    )


def _shifted(figure: Measured, by: int, how: str) -> Measured:
    low, value, high = (max(0, one + by) for one in (figure.low, figure.value, figure.high))
    return Measured(value, low, high, figure.parts, how)


def _whole(value: float) -> int:
    """Never negative: a timer that wakes early on average is one without slack."""
    return max(0, round(value))
