"""The kernel's memory as a plan needs it at the start, and more of it later."""

from typing import Any

import numpy as np

from ...core import admission, host, table, toxics
from ...core.appserver import errors_of_both
from ...core.columns import ATTEMPT_ROW, REQUEST_ROW, Rows
from ...core.demand import MIX
from ...core.distributions import Distribution
from ...core.model import FleetSpec, VersionSpec
from ...core.order import Kind, major_key
from ...core.retries import IDEMPOTENT
from ...core.routing import each
from ...core.tallies import no_counters
from ...scenarios.plan import Plan
from . import layout
from .agenda import CLIENT_RINGS, SPARE
from .layout import World

WINDOW, WIDEST_WINDOW = 32_768, 524_288
"""Rows that may be between the first one that is not finished and the next one: at first, and at most."""

LATE = 8_192
"""Late rows that are kept before they are handed over."""

SMALLEST_RING = 1024

APP_LISTS = ("queue_head", "queue_tail", "run_head", "run_tail", "jobs_head", "parked_head")


def first_world(plan: Plan, capacity: int, window: int = WINDOW) -> World:
    """The world before anything has happened, with *capacity* slots of each kind, and a *window* of so many rows."""
    fleet = plan.fleet
    state = np.zeros(1, layout.STATE)
    for name in ("front_ref", "loop_head", "queue_head", "queue_tail"):
        state[name] = -1
    for name in ("request", "attempt", "connection", "job"):
        state[f"{name}_free"] = -1
    state["block_more"] = 1
    state["share_numerator"], state["share_denominator"] = each(fleet.proxy.canary_every)
    sources, mixes, flood, wires = _sources(plan)
    endpoints, calls = _endpoints(fleet)
    dependencies, filled = _dependencies(fleet)
    empty = World(
        state, _config(fleet), sources, endpoints, calls, mixes, dependencies, filled, flood, wires,
        heap=np.zeros(0, layout.EVENT),
        timers=np.zeros(0, layout.TIMER),
        rings=np.zeros(CLIENT_RINGS + len(fleet.sources), layout.RING),
        requests=np.zeros(0, layout.REQUEST),
        attempts=np.zeros(0, layout.ATTEMPT),
        connections=np.zeros(0, layout.CONNECTION),
        idle=admission.empty_connections(1),
        jobs=np.zeros(0, layout.JOB),
        apps=np.zeros(0, layout.APP),
        host=host.idle_host(fleet.host_cores),
        bursts=host.empty_bursts(0),
        samples=np.zeros(0, layout.SAMPLE),
        servers=table.empty_table(1),
        load=np.zeros(1, np.int64),
        toxics=toxics.healthy(1),
        tallies=no_counters(),
        block_time=np.zeros(1, np.int64),
        block_source=np.zeros(1, np.int64),
        block_index=np.zeros(1, np.int64),
        block_endpoint=np.zeros(1, np.int64),
        block_cpu=np.zeros(1, np.int64),
        block_io=np.zeros(1, np.int64),
        window_requests=np.zeros(window, REQUEST_ROW),
        window_attempts=np.zeros(window, ATTEMPT_ROW),
        late_requests=np.zeros(0, REQUEST_ROW),
        late_attempts=np.zeros(0, ATTEMPT_ROW),
        log=np.zeros(256, layout.LOG),
    )  # fmt: skip
    return with_apps(with_rings(with_capacity(empty, capacity)), 64)


def with_capacity(w: World, capacity: int) -> World:
    """The same world with *capacity* slots of each kind, and room for what they can cause."""
    state = w.state[0]
    state["capacity"] = capacity
    return w._replace(
        requests=_more_slots(state, "request", w.requests, capacity),
        attempts=_more_slots(state, "attempt", w.attempts, capacity),
        connections=_more_slots(state, "connection", w.connections, capacity),
        jobs=_more_slots(state, "job", w.jobs, capacity),
        idle=_longer(w.idle, capacity + 1),
        bursts=_longer(w.bursts, capacity + 1),
        heap=_longer(w.heap, 6 * capacity + 64),
        late_requests=_longer(w.late_requests, LATE + 2 * capacity),
        late_attempts=_longer(w.late_attempts, LATE + 2 * capacity),
    )


def with_room(w: World) -> World:
    """The same world, larger where it is full (loop.budget)."""
    state = w.state[0]
    capacity = int(state["capacity"])
    slots = ("request_left", "attempt_left", "connection_left", "job_left")
    if any(state[name] < 8 for name in slots):
        return with_capacity(w, 2 * capacity)
    if state["timers_full"]:
        return with_rings(w)
    if len(w.heap) - 2 * capacity - state["heap_size"] < 24:
        return w._replace(heap=_longer(w.heap, 2 * len(w.heap)))
    late = max(state["late_requests"], state["late_attempts"])
    if len(w.late_attempts) - capacity - late < 16:
        rows = 2 * len(w.late_attempts)
        return w._replace(
            late_requests=_longer(w.late_requests, rows), late_attempts=_longer(w.late_attempts, rows)
        )
    if len(w.log) - state["table_rows"] - state["log_rows"] < 16:
        return w._replace(log=_longer(w.log, 2 * len(w.log)))
    return w


def with_window(w: World) -> World:
    """The same world with a window over twice as many rows."""
    rows = 2 * len(w.window_requests)
    return w._replace(
        window_requests=_longer(w.window_requests, rows), window_attempts=_longer(w.window_attempts, rows)
    )


def with_rings(w: World) -> World:
    """The same world with twice the places in each ring of timers that is nearly full."""
    rings = w.rings.copy()
    full = 2 * (rings["length"] + SPARE) >= rings["size"]
    rings["size"] = np.where(full, np.maximum(2 * rings["size"], SMALLEST_RING), rings["size"])
    rings["start"] = np.cumsum(rings["size"]) - rings["size"]
    rings["head"] = 0
    timers = np.zeros(int(rings["size"].sum()), layout.TIMER)
    for old, new in zip(w.rings, rings, strict=True):
        places = old["start"] + (old["head"] + np.arange(old["length"])) % max(int(old["size"]), 1)
        timers[new["start"] : new["start"] + new["length"]] = w.timers[places]
    w.state[0]["timers_full"] = 0
    return w._replace(timers=timers, rings=rings)


def with_apps(w: World, numbers: int) -> World:
    """The same world with rows for instances up to *numbers*."""
    if 0 < numbers < len(w.apps):
        return w
    fresh = np.zeros(max(numbers + 1 - len(w.apps), 0), layout.APP)
    for name in ("slot", *APP_LISTS):
        fresh[name] = -1
    fresh["slow"] = fresh["fault_slow"] = 1.0
    apps = np.concatenate((w.apps, fresh))
    return w._replace(apps=apps, samples=_longer(w.samples, len(apps)))


def start_app(w: World, number: int, fleet: FleetSpec, version: int) -> None:
    """A process of *version* begins on instance *number*; what was of the one before is gone, but for its place in the proxy's table."""
    app = w.apps[number]
    assert app["alive"] == 0, f"instance {number} booted while it is up"
    for name in ("served", "requests", "cpu_used", "leaked", "pauses", "paused_at", "frozen"):
        app[name] = 0
    for name in APP_LISTS:
        app[name] = -1
    memory = fleet.app_of(version).memory
    app["base"], app["each"], app["leak"] = memory.base, memory.each, memory.leak
    app["version"] = version
    app["alive"] = 1
    app["starts"] += 1
    app["cpu_since"] = w.state[0]["now"]
    disturb_app(app, fleet.version(version))


def disturb_app(app: Any, version: VersionSpec) -> None:
    """What *version* and faults together do to the app server whose row is *app*."""
    app["slow"] = version.cpu_factor * app["fault_slow"]
    app["error_share"], app["error_status"] = errors_of_both(
        version.error_share, version.error_status, float(app["fault_share"]), int(app["fault_status"])
    )


def _longer(rows: Rows, length: int) -> Rows:
    if not len(rows):
        return np.zeros(length, rows.dtype)
    more = np.zeros(max(length - len(rows), 0), rows.dtype)
    return np.concatenate((rows, more))


def _more_slots(state: Any, name: str, rows: Rows, length: int) -> Rows:
    """More rows, all of them free; low numbers are taken first."""
    before = len(rows)
    longer = _longer(rows, length)
    if len(longer) > before:
        longer["next"][before:] = np.arange(before + 1, len(longer) + 1)
        longer["next"][-1] = state[f"{name}_free"]
        state[f"{name}_free"] = before
        state[f"{name}_left"] += len(longer) - before
        for field in ("minor", "id"):
            if field in (longer.dtype.names or ()):
                longer[field][before:] = -1
    return longer


def _put(row: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        row[name] = value


def _distribution(prefix: str, distribution: Distribution | None) -> dict[str, Any]:
    if distribution is None:
        return {}
    kind, a, b = distribution.kind, distribution.a, distribution.b
    return {f"{prefix}_kind": kind, f"{prefix}_a": a, f"{prefix}_b": b}


def _config(fleet: FleetSpec) -> Rows:
    proxy, app = fleet.proxy, fleet.app
    config = np.zeros(1, layout.CONFIG)
    _put(
        config[0],
        {
            "client_latency": fleet.client_link.latency, "client_jitter": fleet.client_link.jitter,
            "upstream_latency": fleet.upstream_link.latency, "upstream_jitter": fleet.upstream_link.jitter,
            "socket_buffer": fleet.socket_buffer, "max_connections": proxy.max_connections,
            "backlog": proxy.backlog, "overload": proxy.overload, "cpu_per_request": proxy.cpu_per_request,
            "memory_total": proxy.memory.total, "memory_base": proxy.memory.base,
            "memory_each": proxy.memory.each, "on_exhaustion": proxy.on_exhaustion,
            "routing": proxy.routing, "tallies": int(fleet.needs_tallies),
            "upstream_timeout": proxy.upstream_timeout, "keepalive_timeout": proxy.keepalive_timeout,
            "write_timeout": proxy.write_timeout, "retry_attempts": proxy.retry_attempts,
            "retry_budget": proxy.retry_budget, "max_in_flight": proxy.max_in_flight,
            "slow_start": proxy.slow_start, "workers": app.workers, "cores": app.cores, "queue": app.queue,
            "app_total": app.memory.total, "timer_slack": app.timer_slack, "cpu_overhead": app.cpu_overhead,
            "host_cores": fleet.host_cores, "consecutive_5xx": -1, "cpu_factor": 1.0,
        },
    )  # fmt: skip
    if proxy.health is not None:
        _put(
            config[0],
            {
                "health_interval": proxy.health.interval, "health_timeout": proxy.health.timeout,
                "healthy_threshold": proxy.health.healthy_threshold,
                "unhealthy_threshold": proxy.health.unhealthy_threshold,
            },
        )  # fmt: skip
    if proxy.outlier is not None:
        _put(
            config[0],
            {
                "consecutive_5xx": proxy.outlier.consecutive_5xx,
                "base_ejection_time": proxy.outlier.base_ejection_time,
                "max_ejection_percent": proxy.outlier.max_ejection_percent,
            },
        )
    return config


def _sources(plan: Plan) -> tuple[Rows, Rows, Rows, Rows]:
    specs = plan.fleet.sources
    sources = np.zeros(len(specs), layout.SOURCE)
    mix_from = flood_from = 0
    messages: list[tuple[int, int, int, int]] = []
    for row, spec, mix in zip(sources, specs, plan.mixes, strict=True):
        client = spec.client
        _put(
            row,
            {
                "stream": spec.stream, "mode": client.mode, "connections": client.connections,
                "timeout": client.timeout, "retries": client.retries, "backoff": client.backoff,
                "jitter": client.jitter, "concurrency": spec.concurrency, "end": spec.end,
                "maximum": spec.maximum, "think": int(spec.think is not None), "body": int(spec.body is not None), "idempotent": int(spec.method in IDEMPOTENT), "mix_from": mix_from,
                "mix_to": mix_from + len(mix), "flood_from": flood_from, "wire_from": len(messages), "wire": len(spec.wire), "idle": -1,
                "waiting_head": -1, "waiting_tail": -1, **_distribution("think", spec.think),
                **_distribution("body", spec.body),
            },
        )  # fmt: skip
        mix_from += len(mix)
        flood_from += max(client.connections, 0)
        messages += [(one.upload, one.status, one.outcome, int(one.closes)) for one in spec.wire]
    mixes = np.concatenate([np.zeros(0, MIX), *plan.mixes])
    return sources, mixes, np.full(flood_from, -1, np.int64), np.array(messages, layout.WIRE_MESSAGE)


def _endpoints(fleet: FleetSpec) -> tuple[Rows, Rows]:
    endpoints = np.zeros(len(fleet.endpoints), layout.ENDPOINT)
    calls: list[int] = []
    for row, spec in zip(endpoints, fleet.endpoints, strict=True):
        _put(
            row,
            {
                "io": int(spec.io is not None), "calls_from": len(calls), "calls": len(spec.calls),
                "size": spec.size, "status": spec.status, **_distribution("cpu", spec.cpu),
                **_distribution("io", spec.io),
            },
        )  # fmt: skip
        calls.extend(spec.calls)
    return endpoints, np.array(calls, dtype=np.int64)


def _dependencies(fleet: FleetSpec) -> tuple[Rows, Rows]:
    rows = np.zeros(len(fleet.dependencies), layout.DEPENDENCY)
    filled: list[int] = []
    for row, spec in zip(rows, fleet.dependencies, strict=True):
        _put(
            row,
            {
                "concurrency": spec.concurrency,
                "timer_slack": spec.timer_slack,
                "round_trip": spec.round_trip,
                "queue": spec.queue,
                "slow": 1.0,
                **_distribution("service", spec.service),
            },
        )
        if spec.cache is not None:
            _put(
                row,
                {"cached": 1, "ttl": spec.cache.ttl, "hit_share": spec.cache.hit_share,
                 "keys": spec.cache.keys, "filled_from": len(filled)},
            )  # fmt: skip
            filled.extend(spec.cache.warm())
    return rows, np.array(filled, dtype=np.int64)


def health_key() -> int:
    """The major key of health rounds."""
    return major_key(int(Kind.HEALTH), 0)
