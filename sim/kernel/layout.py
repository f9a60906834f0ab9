"""The kernel's memory: the row types of everything, and the world that holds the arrays.

-1 stands for "none" in slots and for "never" in times; flags are 0 or 1. Times are ns. Lists run through the rows
(``..._head``, ``..._tail`` and the fields that link them).
"""

from typing import Any, NamedTuple

import numpy as np

from ...core.columns import Rows


def _row(integers: str, floats: str = "") -> np.dtype[Any]:
    return np.dtype(
        [(name, np.int64) for name in integers.split()] + [(name, np.float64) for name in floats.split()]
    )


STATE = _row(
    # The agenda: the next event if it is known (front), the heap's size.
    "now front_time front_major front_minor front_ref heap_size budget handled "
    # Free slots: the first one, and how many.
    "request_free request_left attempt_free attempt_left connection_free connection_left "
    "job_free job_left timers_full "
    # Clients.
    "rows connections_made unfinished block_next block_rows block_more window_from late_requests late_attempts "
    # Proxy.
    "down descriptors connections requests unserved cpu_free loop_head loop_tail queue_head queue_tail queue_length "
    "active retrying sequence share_numerator share_denominator last_serving last_canary table_rows toxics "
    "lingering lingering_connections process "
    # What the control plane must hear.
    "log_rows signal capacity"
)

CONFIG = _row(
    "client_latency client_jitter upstream_latency upstream_jitter socket_buffer "
    "max_connections backlog overload cpu_per_request memory_total memory_base memory_each on_exhaustion "
    "routing tallies upstream_timeout keepalive_timeout write_timeout retry_attempts max_in_flight slow_start "
    "health_interval health_timeout healthy_threshold unhealthy_threshold "
    "consecutive_5xx base_ejection_time max_ejection_percent "
    "workers cores queue app_total timer_slack cpu_overhead host_cores",
    "retry_budget cpu_factor",
)

SOURCE = _row(
    "stream mode connections timeout retries backoff concurrency end maximum think think_kind body body_kind idempotent mix_from mix_to "
    "flood_from wire_from wire issued open idle waiting_head waiting_tail",
    "jitter think_a think_b body_a body_b",
)
ENDPOINT = _row("cpu_kind io io_kind calls_from calls size status", "cpu_a cpu_b io_a io_b")
WIRE_MESSAGE = _row("upload status outcome closes")
DEPENDENCY = _row(
    "concurrency queue service_kind timer_slack round_trip cached ttl keys filled_from busy queue_head queue_tail queue_length down",
    "service_a service_b hit_share slow",
)

EVENT = _row("time major minor ref")
TIMER = _row("time ref ident")
RING = _row("start size head length last")

REQUEST = _row("row source index endpoint time attempts status server live next")
# In attempts and connections what begins as -1 stands together, and so does what begins as 0.
ATTEMPT = _row(
    "request source stream index number minor endpoint cpu io start proxy routed arrived started cpu_done served connection "
    "outcome server tries upstream retrying refs sent_upstream answer answer_status next older newer head_cpu"
)
CONNECTION = _row(
    "id stream index number minor source mode syn_sent refs outbox_head pending_head pending_tail slot busy inbox_head idle_since "
    "syn_tries established client_closed accepted unread stalled proxy_closed gone inbound_until outbound_until idle "
    "outbox_tail inbox_tail queued next older newer "
    # Over bad links: these hold for the connection whose id is ``counted``, ``opened`` for one that was established then.
    "opened counted full carried_up carried_down limited_up limited_down"
)
JOB = _row(
    "attempt tries stream index number minor endpoint cpu io call server start outcome status entry refs next older newer error frozen parked left body"
)
APP = _row(
    # ``starts`` counts its processes; a job knows by ``start`` which one it was with.
    "alive starts version base each leak slot busy queue_head queue_tail queue_length cores_busy run_head run_tail jobs_head jobs served requests "
    "cpu_used cpu_since bodies leaked error_status fault_status pauses paused_at frozen parked_head",
    # Of version and faults together; and of faults alone.
    "slow error_share fault_slow fault_share",
)
SAMPLE = _row("server requests in_flight queued memory cpu_ns")
LOG = _row("time what server value lost")


class World(NamedTuple):
    """Everything that the kernel reads and writes. One row: ``state``, ``config``; the rest as long as it must be."""

    state: Rows
    config: Rows
    sources: Rows
    endpoints: Rows
    calls: Rows
    mixes: Rows
    dependencies: Rows
    filled: Rows
    flood: Rows
    wires: Rows
    heap: Rows
    timers: Rows
    rings: Rows
    requests: Rows
    attempts: Rows
    connections: Rows
    idle: Rows
    jobs: Rows
    apps: Rows
    host: Rows
    bursts: Rows
    samples: Rows
    servers: Rows
    load: Rows
    toxics: Rows
    tallies: Rows
    block_time: Rows
    block_source: Rows
    block_index: Rows
    block_endpoint: Rows
    block_cpu: Rows
    block_io: Rows
    window_requests: Rows
    window_attempts: Rows
    late_requests: Rows
    late_attempts: Rows
    log: Rows


# Signals: why the kernel stopped before its time.
REACHED = 0
ROOM = 1
BLOCK = 2
LOST = 3
PROXY_DOWN = 4

# What the log says.
EJECTED = 1
UNEJECTED = 2
BREAKER_OPENED = 3
BREAKER_CLOSED = 4
HEALTHY = 5
UNHEALTHY = 6
OUT_OF_MEMORY = 7
CRASHED = 8
KILLED = 9
