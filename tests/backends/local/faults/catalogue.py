"""The signature of every fault that flies: a scenario in which it strikes, a figure that it changes, and how near rehearsal and flight must lie.

To add a type: put it into a scenario of a group, at a time of its own with two quiet seconds behind it, and add a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from windtunnel import Run
from windtunnel.core.model import SECOND

DATA = """
scenario: data-plane-faults
seed: 5
duration: 48s
fleet:
  app: {initial: 3, workers: 8, cores: 2, queue: 64}
  proxy: {upstream_timeout: 1s, health_check: {interval: 500ms, timeout: 300ms}, cpu_per_request: 1ms, retries: {attempts: 1}}
  dependencies: [{name: db, service: {constant: 10ms}, concurrency: 50, cache: {hit_share: 80%, ttl: 10m, keys: 50}}]
endpoints:
  - {path: /, cpu: {constant: 5ms}, calls: [db]}
traffic:
  - {name: users, stages: [{for: 48s, rate: 60/s}], client: {timeout: 3s, connections: {pool: 50}}}
faults:
  - {name: slow, type: slow, at: 2s, for: 2s, target: {count: all}, attributes: {factor: 12}}
  - {name: errors, type: error, at: 6s, for: 2s, target: {count: all}, toxicity: 50%}
  - {name: far, type: latency, at: 10s, for: 2s, target: {count: all}, attributes: {latency: 80ms, jitter: 10ms}}
  - {name: lossy, type: loss, at: 14s, for: 2s, target: {count: all}, toxicity: 20%}
  - {name: cut-off, type: partition, at: 18s, for: 2s, target: {count: 1}}
  - {name: clients-far, type: latency, at: 22s, for: 2s, target: {role: proxy}, attributes: {latency: 80ms}}
  - {name: clients-lossy, type: loss, at: 26s, for: 2s, target: {role: proxy}, toxicity: 20%}
  - {name: clients-cut-off, type: partition, at: 30s, for: 1s, target: {role: proxy}}
  - {name: slow-proxy, type: slow, at: 34s, for: 2s, target: {role: proxy}, attributes: {factor: 14}}
  - {name: db-down, type: dependency_down, at: 38s, for: 2s}
  - {name: db-slow, type: dependency_slow, at: 42s, for: 2s, attributes: {factor: 20}}
  - {name: flushed, type: cache_flush, at: 46s}
"""

PROCESSES = """
scenario: process-faults
seed: 5
duration: 44s
fleet:
  app: {initial: 4, min: 4, max: 4, workers: 8, cores: 2, queue: 64, memory: {base: 40MiB, per_request: 1MiB, total: 300MiB}}
  proxy: {upstream_timeout: 800ms, restart_after: 1s, routing: round_robin}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 44s, rate: 60/s}], client: {timeout: 3s, connections: {pool: 50}}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 1000/s}}, interval: 1s, cooldown: 60s}
faults:
  - {name: hangs, type: pause, at: 2s, for: 2s, target: {count: 1}}
  - {name: crashed, type: autoscaler_crash, at: 7500ms, for: 4s}
  - {name: killed-proxy, type: kill, at: 14s, target: {role: proxy}}
  - {name: new-proxy, type: proxy_restart, at: 24s}
  - {name: leaks, type: memory_leak, at: 33s, for: 8s, target: {count: 1}, attributes: {rate: 60MiB}}
  - {name: killed, type: kill, at: 42s, target: {count: 1}}
"""

CONTROL = """
scenario: control-plane-faults
seed: 5
duration: 58s
fleet:
  app: {initial: 3, min: 3, max: 8, workers: 8, cores: 2, queue: 64, boot_time: {constant: 2s}}
  proxy: {upstream_timeout: 1s, health_check: {interval: 500ms, timeout: 300ms}}
  registry: {reregister: 3s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 58s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 50}}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 30/s}}, interval: 1s, cooldown: 2s, dead_after: 4s}
faults:
  - {name: away, type: registry_down, at: 2500ms, for: 4s}
  - {name: too-late, type: registry_slow, at: 10500ms, for: 4s, attributes: {latency: 2s}}
  - {name: proxy-cut-off, type: partition, at: 18500ms, for: 4s, target: {role: proxy}, attributes: {from: registry}}
  - {name: scaler-cut-off, type: partition, at: 25500ms, for: 4s, target: {role: autoscaler}}
  - {name: stuck, type: monitor_stuck, at: 32500ms, for: 5s, target: {count: 1}}
  - {name: silent, type: monitor_silent, at: 40500ms, for: 5s, target: {count: 1}}
  - {name: server-cut-off, type: partition, at: 48500ms, for: 5s, target: {count: 1}, attributes: {from: registry}}
"""

CLOUD = """
scenario: cloud-faults
seed: 5
duration: 44s
fleet:
  app: {initial: 2, min: 2, max: 12, workers: 8, cores: 2, queue: 64, boot_time: {constant: 3s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    arrivals: constant
    stages: [{for: 4s, rate: 16/s}, {for: 10s, rate: 36/s}, {for: 10s, rate: 56/s}, {for: 10s, rate: 76/s}, {for: 10s, rate: 96/s}]
    client: {timeout: 3s, connections: {pool: 50}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 10/s}}, interval: 1s, cooldown: 2s, boot_timeout: 10s}
faults:
  - {name: no-capacity, type: capacity_error, at: 3500ms, for: 4s}
  - {name: throttled, type: api_throttling, at: 13500ms, for: 7s, attributes: {rate: 40/m}}
  - {name: slow-boots, type: slow_boot, at: 23500ms, for: 4s, attributes: {factor: 2}}
  - {name: boots-fail, type: boot_failure, at: 33500ms, for: 6s}
"""

LINKS = """
scenario: link-faults
seed: 5
duration: 30s
fleet:
  app: {initial: 2, workers: 50}
  proxy: {upstream_timeout: 400ms}
endpoints:
  - {path: /, cpu: {constant: 5ms}, response_size: 20KB}
traffic:
  - {name: users, stages: [{for: 30s, rate: 40/s}], client: {timeout: 2s}}
faults:
  - {name: narrow, type: bandwidth, at: 2s, for: 2s, target: {count: all}, attributes: {rate: 1MB}}
  - {name: sliced, type: slicer, at: 6s, for: 2s, target: {role: proxy}, attributes: {average_size: 5KB, delay: 20ms}}
  - {name: stopped, type: timeout, at: 10s, for: 2s, target: {count: all}, attributes: {timeout: 200ms}}
  - {name: resets, type: reset, at: 14s, for: 2s, target: {role: proxy}}
  - {name: lingering, type: slow_close, at: 18s, for: 2s, target: {count: all}, attributes: {delay: 500ms}}
  - {name: short, type: limit_data, at: 22s, for: 2s, target: {role: proxy}, toxicity: 50%, attributes: {bytes: 10KB}}
  - {name: deaf, type: partition, at: 26s, for: 2s, target: {count: all}, stream: downstream}
"""

MACHINES = """
scenario: machine-faults
seed: 5
duration: 53s
fleet:
  app: {initial: 4, min: 4, max: 4, workers: 8, cores: 2, queue: 64, boot_time: {constant: 1s}, memory: {base: 40MiB, per_request: 1MiB, total: 400MiB}}
  proxy: {upstream_timeout: 800ms, max_connections: 400}
  registry: {reregister: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 53s, rate: 60/s}], client: {timeout: 3s, connections: {pool: 50}}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 1000/s}}, interval: 1s, cooldown: 1s, dead_after: 4s, reconcile_interval: 1s}
faults:
  - {name: hogged, type: cpu_hog, at: 5s, for: 2s, target: {count: all}, attributes: {share: 92%}}
  - {name: pressed, type: memory_pressure, at: 9500ms, for: 3s, target: {count: 1}, attributes: {size: 100MiB}}
  - {name: few, type: descriptor_limit, at: 15s, for: 2s, attributes: {limit: 1}}
  - {name: loops, type: crash_loop, at: 19s, for: 4s, target: {count: 1}}
  - {name: undead, type: zombie, at: 26500ms, for: 3s, target: {count: 1}}
  - {name: taken, type: spot_interruption, at: 34s, target: {count: 1}, attributes: {notice: 2s}}
  - {name: behind, type: clock_skew, at: 39500ms, for: 6s, target: {count: 1}, attributes: {by: -1m}}
  - {name: jumped, type: clock_jump, at: 46500ms, target: {count: 1}, attributes: {by: -1m}}
"""

SCALERS = """
scenario: autoscaler-faults
seed: 5
duration: 45s
fleet:
  app: {initial: 3, min: 3, max: 8, workers: 8, cores: 2, queue: 64, boot_time: {constant: 2s}}
  proxy: {upstream_timeout: 1s}
  registry: {reregister: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 45s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 50}}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 30/s}}, interval: 1s, cooldown: 2s}
faults:
  - {name: hangs, type: autoscaler_pause, at: 6500ms, for: 4s}
  - {name: second, type: second_autoscaler, at: 14500ms, for: 8s, attributes: {lease: none}}
  - {name: restarts, type: registry_restart, at: 26500ms, for: 2s}
  - {name: full, type: disk_full, at: 34500ms, for: 6s}
"""

PROMISES = """
scenario: broken-promises
seed: 5
duration: 52s
fleet:
  app: {initial: 2, min: 2, max: 12, workers: 8, cores: 2, queue: 64, boot_time: {constant: 2s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    arrivals: constant
    stages: [{for: 4s, rate: 16/s}, {for: 14s, rate: 26/s}, {for: 14s, rate: 46/s}, {for: 20s, rate: 16/s}]
    client: {timeout: 3s, connections: {pool: 50}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 10/s}}, interval: 1s, cooldown: 2s, boot_timeout: 6s, drain_grace: 2s, reconcile_interval: 2s}
faults:
  - {name: never-up, type: stuck_launch, at: 3500ms, for: 4s}
  - {name: old-list, type: stale_listing, at: 17500ms, for: 8s, attributes: {lag: 20s}}
  - {name: lives-on, type: stuck_termination, at: 31500ms, for: 9s}
"""

COPIES = """
scenario: stale-copies
seed: 5
duration: 47s
fleet:
  app: {initial: 3, workers: 8, cores: 2, queue: 64, boot_time: {constant: 1s}}
  proxy: {upstream_timeout: 1s, routing: round_robin}
  registry: {refresh_interval: 500ms, reregister: 20s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, stages: [{for: 47s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 50}}}
faults:
  - {name: old-copy, type: stale_registry, at: 5s, for: 8s, attributes: {lag: 4s, reader: proxy}}
  - {name: taken, type: spot_interruption, at: 6s, target: {count: 1}, attributes: {notice: 1s}}
  - {name: no-room, type: disk_full, at: 18s, for: 5s, target: {role: app, count: all}}
  - {name: loops, type: crash_loop, at: 18500ms, for: 1s, target: {count: 1}}
  - {name: forgotten, type: registry_flush, at: 24500ms}
"""

GROUPS = {
    "copies": COPIES,
    "machines": MACHINES,
    "scalers": SCALERS,
    "promises": PROMISES,
    "data": DATA,
    "processes": PROCESSES,
    "control": CONTROL,
    "cloud": CLOUD,
    "links": LINKS,
}

Figure = Callable[[Run, int, int], float]
"""Of a run, between two times (ns)."""


def latency(share: float) -> Figure:
    """A quantile of the latency (ms) of requests that begin meanwhile."""

    def figure(run: Run, begin: int, end: int) -> float:
        found = [float(row["latency_ns"]) for row in _requests(run, begin, end)]
        return float(np.quantile(found, share)) / 1e6

    return figure


def outcome(*names: str) -> Figure:
    """The share of requests that begin meanwhile and end so (%)."""

    def figure(run: Run, begin: int, end: int) -> float:
        rows = _requests(run, begin, end)
        return 100.0 * sum(row["outcome"] in names for row in rows) / max(len(rows), 1)

    return figure


def events(name: str, **fields: str) -> Figure:
    """How many such events there are."""

    def figure(run: Run, begin: int, end: int) -> float:
        return float(len(_events(run, begin, end, name, fields)))

    return figure


def after(name: str) -> Figure:
    """How many seconds after the begin the first such event comes; -1 without one."""

    def figure(run: Run, begin: int, end: int) -> float:
        found = _events(run, begin, end, name, {})
        return (found[0]["t"] - begin) / SECOND if found else -1.0

    return figure


def between(first: str, then: str) -> Figure:
    """How many seconds lie between the first of one event and the next of another; -1 without them."""

    def figure(run: Run, begin: int, end: int) -> float:
        for event in _events(run, begin, end, first, {}):
            server = {"server": event["server"]} if "server" in event and first != then else {}
            following = _events(run, event["t"] + 1, 1 << 62, then, server)
            return (following[0]["t"] - event["t"]) / SECOND if following else -1.0
        return -1.0

    return figure


def turns(run: Run, begin: int, end: int) -> float:
    """Turns of the autoscaler."""
    return float(sum(begin <= row["time_ns"] < end for row in run.decisions.to_pylist()))


def turns_between(run: Run, begin: int, end: int) -> float:
    """Turns of an autoscaler whose turns do not come at whole seconds."""
    return float(
        sum(
            begin <= row["time_ns"] < end and row["time_ns"] % SECOND > 0 for row in run.decisions.to_pylist()
        )
    )


def memory(run: Run, begin: int, end: int) -> float:
    """The most memory (MiB) of a server."""
    rows = [row for row in run.metrics.to_pylist() if begin < row["time_ns"] <= end and row["server"] > 0]
    return max((row["memory"] for row in rows), default=0) / 2**20


def blind_turns(run: Run, begin: int, end: int) -> float:
    """Turns of the autoscaler that could not reach the registry."""
    rows = [row for row in run.decisions.to_pylist() if begin <= row["time_ns"] < end]
    return float(sum(row["reason"] == "unreachable" for row in rows))


def same_again(run: Run, begin: int, end: int) -> float:
    """The most turns meanwhile that saw one figure of requests of one server."""
    seen: dict[tuple[str, float], int] = {}
    for row in run.observations.to_pylist():
        if begin <= row["time_ns"] < end:
            key = row["server"], row["requests"]
            seen[key] = seen.get(key, 0) + 1
    return float(max(seen.values(), default=0))


def descriptors(run: Run, begin: int, end: int) -> float:
    """The most that a sample of the proxy shows."""
    rows = [row for row in run.metrics.to_pylist() if row["server"] == 0 and begin < row["time_ns"] <= end]
    return float(max((row["descriptors"] for row in rows), default=0))


def _requests(run: Run, begin: int, end: int) -> list[dict[str, Any]]:
    rows = run.requests.select(["time_ns", "latency_ns", "outcome"]).to_pylist()
    return [row for row in rows if begin <= row["time_ns"] < end]


def _events(run: Run, begin: int, end: int, name: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [one for one in run.events if one["event"] == name and begin <= one["t"] < end]
    return [one for one in found if all(one[key] == value for key, value in fields.items())]


@dataclass(frozen=True)
class Row:
    """*figure* over *length* seconds from the begin of *fault* in *group*: at least *rise* above (below, if negative) what it is over a second just before; in both worlds
    alike within *slack*, or *near* as a share. *settles*: it is so again *settles* seconds after that length; negative: it never is, or need not be.
    """

    type: str
    group: str
    fault: str
    what: str
    figure: Figure
    length: float
    rise: float
    slack: float
    near: float = 0.0
    settles: float = 1.0


_MS = 25.0
"""ms: what a busy machine adds."""

ROWS = (
    Row("slow", "data", "slow", "p50, ms", latency(0.5), 2, 25, _MS, 0.5),
    Row("error", "data", "errors", "app_error, %", outcome("app_error"), 2, 30, 8),
    Row("latency", "data", "far", "p50, ms", latency(0.5), 2, 120, _MS, 0.2),
    Row("loss", "data", "lossy", "p95, ms", latency(0.95), 2, 180, 150, 0.4),
    Row("partition", "data", "cut-off", "upstream_timeout, %", outcome("upstream_timeout"), 1, 8, 12, settles=2.5),
    Row("latency", "data", "clients-far", "p50, ms", latency(0.5), 2, 120, _MS, 0.2),
    Row("loss", "data", "clients-lossy", "p95, ms", latency(0.95), 2, 180, 150, 0.4),
    Row("partition", "data", "clients-cut-off", "p50, ms", latency(0.5), 1, 400, 100, 0.2),
    Row("slow", "data", "slow-proxy", "p50, ms", latency(0.5), 2, 10, 60, 0.6),
    Row("dependency_down", "data", "db-down", "app_error, %", outcome("app_error"), 2, 8, 8),
    Row("dependency_slow", "data", "db-slow", "p95, ms", latency(0.95), 2, 100, _MS, 0.2),
    Row("cache_flush", "data", "flushed", "p50, ms", latency(0.5), 0.4, 4, _MS, 0.5),
    Row("pause", "processes", "hangs", "upstream_timeout, %", outcome("upstream_timeout"), 1, 10, 10, settles=2),
    Row("autoscaler_crash", "processes", "crashed", "turns", turns, 4, -1, 0.5, settles=-1),
    Row("kill", "processes", "killed-proxy", "refused, %", outcome("refused"), 0.9, 60, 30, settles=6),
    Row("proxy_restart", "processes", "new-proxy", "proxy_down", events("proxy_down"), 1, 1, 0, settles=5),
    Row("memory_leak", "processes", "leaks", "seconds to out_of_memory", after("out_of_memory"), 8, 4, 0.5, settles=-1),
    Row("kill", "processes", "killed", "connect_failed, %", outcome("connect_failed", "upstream_reset"), 1, 15, 15, settles=-1),
    Row("registry_down", "control", "away", "blind turns", blind_turns, 4, 3, 1),
    Row("registry_slow", "control", "too-late", "blind turns", blind_turns, 4, 3, 1, settles=2),
    Row("partition", "control", "proxy-cut-off", "seconds unreachable", between("registry_unreachable", "registry_reachable"), 4, 2, 2.5, settles=-1),
    Row("partition", "control", "scaler-cut-off", "blind turns", blind_turns, 4, 3, 1, settles=2),
    Row("monitor_stuck", "control", "stuck", "turns with one figure", same_again, 5, 1, 2, settles=-1),
    Row("monitor_silent", "control", "silent", "servers ended", events("terminated", reason="silent"), 6, 1, 0, settles=1),
    Row("partition", "control", "server-cut-off", "servers ended", events("terminated", reason="silent"), 6, 1, 0, settles=1),
    Row("capacity_error", "cloud", "no-capacity", "launch_refused", events("launch_refused"), 4, 1, 2, settles=-1),
    Row("api_throttling", "cloud", "throttled", "seconds between launches", between("launched", "launched"), 7, 1, 1.1, settles=-1),
    Row("slow_boot", "cloud", "slow-boots", "seconds of a boot", between("booting", "ready"), 4, 4, 2.5, settles=-1),
    Row("cpu_hog", "machines", "hogged", "p50, ms", latency(0.5), 2, 25, _MS, 0.6),
    Row("memory_pressure", "machines", "pressed", "memory, MiB", memory, 3, 90, 30, settles=1),
    Row("descriptor_limit", "machines", "few", "connect_failed or refused, %", outcome("connect_failed", "refused"), 2, 40, 40),
    Row("crash_loop", "machines", "loops", "connect_failed, %", outcome("connect_failed", "upstream_reset"), 3, 6, 10, settles=2),
    Row("zombie", "machines", "undead", "launched", events("launched"), 4, 1, 0, settles=-1),
    Row("spot_interruption", "machines", "taken", "servers ended", events("terminated", reason="spot interruption"), 3, 1, 0, settles=1),
    Row("clock_skew", "machines", "behind", "servers ended", events("terminated", reason="silent"), 6, 1, 0, settles=-1),
    Row("clock_jump", "machines", "jumped", "servers ended", events("terminated", reason="silent"), 6, 1, 0, settles=-1),
    Row("autoscaler_pause", "scalers", "hangs", "turns", turns, 2.5, -1, 0.5, settles=-1),
    Row("second_autoscaler", "scalers", "second", "turns of the second", turns_between, 8, 3, 4, settles=1),
    Row("registry_restart", "scalers", "restarts", "seconds unreachable", between("registry_unreachable", "registry_reachable"), 3, 1, 1.5, settles=-1),
    Row("disk_full", "scalers", "full", "blind turns", blind_turns, 6, 2, 3),
    Row("stale_registry", "copies", "old-copy", "connect_failed, %", outcome("connect_failed", "upstream_reset"), 6, 8, 8),
    Row("disk_full", "copies", "no-room", "seconds down", between("restarting", "restarted"), 6, 3, 1.5, settles=-1),
    Row("registry_flush", "copies", "forgotten", "no_server, %", outcome("no_server"), 4, 60, 25, settles=17),
    Row("stuck_launch", "promises", "never-up", "launch_stuck", events("launch_stuck"), 4, 1, 1, settles=-1),
    Row("stale_listing", "promises", "old-list", "launched", events("launched"), 8, 2, 3, settles=-1),
    Row("stuck_termination", "promises", "lives-on", "termination_stuck", events("termination_stuck"), 9, 1, 4, settles=1),
    Row("bandwidth", "links", "narrow", "p50, ms", latency(0.5), 2, 15, _MS, 0.3),
    Row("slicer", "links", "sliced", "p50, ms", latency(0.5), 2, 50, _MS, 0.3),
    Row("timeout", "links", "stopped", "upstream_reset, %", outcome("upstream_reset"), 2, 75, 15),
    Row("reset", "links", "resets", "refused, %", outcome("refused"), 2, 90, 10),
    Row("slow_close", "links", "lingering", "descriptors", descriptors, 2, 10, 12, 0.3),
    Row("limit_data", "links", "short", "refused, %", outcome("refused"), 2, 30, 8),
    Row("partition", "links", "deaf", "upstream_timeout, %", outcome("upstream_timeout"), 2, 75, 20),
    Row("boot_failure", "cloud", "boots-fail", "boot_failed", events("boot_failed"), 6, 1, 1, settles=-1),
)  # fmt: skip
"""Every type that flies has a row."""


def window(run: Run, row: Row) -> tuple[int, int]:
    """Begin and end (ns) of the time over which the figure of *row* is taken."""
    begin = next(one["t"] for one in run.events if one["event"] == "fault" and one["name"] == row.fault)
    return begin, begin + round(row.length * SECOND)
