"""The proxy's metrics: made at a scrape of its books, its table of servers and its tallies. What is counted for their sake alone is in :mod:`.counts`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ...core.model import SECOND
from ...core.outcomes import NAMES
from ...core.table import CANARY
from ...core.tallies import BUCKETS, OCTAVES, PER_OCTAVE, Tally, bucket_start, tallies_of
from ..metrics.families import (
    REQUEST_BOUNDS,
    STATUS_CLASSES,
    counter,
    counters,
    cumulative,
    facts,
    gauge,
    gauges,
    histogram,
    registry_of,
)
from ..metrics.lag import LoopLag
from ..metrics.registry_calls import RegistryCalls
from .proxy import Proxy
from .servers import FOREIGN, Server

EVENTS = (
    "ejected", "unejected", "healthy", "unhealthy", "breaker_opened", "breaker_closed", "registry_unreachable",
    "registry_reachable", "proxy_down",
)  # fmt: skip
"""Events that are counted."""


class CountedEvents:
    """Passes events on to *emit*, and counts those of EVENTS."""

    def __init__(self, emit: Callable[..., None]) -> None:
        self.counts = dict.fromkeys(EVENTS, 0)
        self._emit = emit

    def emit(self, name: str, fields: Mapping[str, Any] | None = None) -> None:
        """See live.role."""
        if name in self.counts:
            self.counts[name] += 1
        self._emit(name, fields)


class ProxyMetrics:
    """Reads the books of *proxy*, in its loop's thread. *queued* tells its accept queue."""

    def __init__(
        self, proxy: Proxy, queued: Callable[[], int], lag: LoopLag, calls: RegistryCalls, events: CountedEvents
    ) -> None:  # fmt: skip
        self._proxy = proxy
        self._queued = queued
        self._lag = lag
        self._calls = calls
        self._events = events

    def registry(self) -> CollectorRegistry:
        """All of it, with the process."""
        return registry_of(
            self._requests, self._tries, self._connections, self._servers, self._own, self._calls.collect
        )

    def _requests(self) -> Iterator[Metric]:
        proxy, counts = self._proxy, self._proxy.counts
        answered = sum(counts.answers)
        classes = dict(zip(STATUS_CLASSES, counts.answers[1:], strict=True))
        own = {NAMES[outcome]: count for outcome, count in enumerate(counts.own) if count}
        yield counter("windtunnel_proxy_requests", "Requests whose head has come.", proxy.requests)
        yield counters("windtunnel_proxy_responses", "Answers to requests, by class of the status.", "status_class", classes)  # fmt: skip
        yield counters("windtunnel_proxy_own_responses", "Of these, answers of the proxy itself, by outcome.", "outcome", own)  # fmt: skip
        yield counter(
            "windtunnel_proxy_requests_unanswered",
            "Requests that ended without an answer: the client went, the answer or the request's content broke off, or a tunnel ended.",
            proxy.requests - proxy.active - answered,
        )
        yield counter("windtunnel_proxy_malformed_messages", "What clients sent that was refused as no request, or as broken content.", counts.malformed)  # fmt: skip
        buckets = cumulative(REQUEST_BOUNDS, counts.buckets)
        yield HistogramMetricFamily("windtunnel_proxy_request_duration_seconds", "From a request's head to the end of its answer.", buckets=buckets, sum_value=counts.nanoseconds / SECOND)  # fmt: skip
        yield gauge("windtunnel_proxy_requests_in_flight", "Requests under way.", proxy.active)
        yield gauge("windtunnel_proxy_requests_retrying", "Of these, such as have been sent again.", proxy.retrying)  # fmt: skip
        yield counter("windtunnel_proxy_retries", "Tries beyond the first of a request.", counts.retries)

    def _tries(self) -> Iterator[Metric]:
        tallies = tallies_of(0, self._proxy.servers.counters)
        roles = {"serving": tallies.serving, "canary": tallies.canary}
        yield counters("windtunnel_proxy_tries", "Tries at app servers that have ended, by the server's role.", "role", {role: tally.answers for role, tally in roles.items()})  # fmt: skip
        yield counters("windtunnel_proxy_tries_failed", "Of these, such as ended with a status of 500 or more or without an answer.", "role", {role: tally.failures for role, tally in roles.items()})  # fmt: skip
        family = HistogramMetricFamily("windtunnel_proxy_try_duration_seconds", "Time of each try at an app server, by the server's role; the sum is made of the middles of buckets.", labels=["role"])  # fmt: skip
        for role, tally in roles.items():
            family.add_metric([role], try_buckets(tally), try_seconds(tally))
        yield family

    def _connections(self) -> Iterator[Metric]:
        proxy, counts = self._proxy, self._proxy.counts
        open_now = proxy.open_connections()
        stalled = sum(one.is_stalled() for one in open_now)
        idle = sum(one.is_idle() and not one.is_stalled() for one in open_now)
        states = {"active": len(open_now) - idle - stalled, "idle": idle, "stalled": stalled}
        yield gauges("windtunnel_proxy_client_connections", "Connections of clients: with a request under way, idle, or with an answer that is not read.", "state", states)  # fmt: skip
        servers = list(proxy.servers.by_number.values())
        kept = sum(len(server.idle) for server in servers)
        upstream = {"active": sum(proxy.servers.rows["in_flight"]), "idle": kept}
        yield gauges("windtunnel_proxy_upstream_connections", "Connections to app servers: with a try under way, or kept.", "state", upstream)  # fmt: skip
        yield counter("windtunnel_proxy_connections_accepted", "Connections of clients that were accepted.", counts.accepted)  # fmt: skip
        yield counter("windtunnel_proxy_connections_evicted", "Connections of clients that were closed to make room.", counts.evicted)  # fmt: skip
        yield counter("windtunnel_proxy_connections_refused", "Connections of clients that were reset for want of room.", counts.refused)  # fmt: skip
        yield gauge("windtunnel_proxy_accept_queue_length", "Connections that wait to be accepted.", self._queued())  # fmt: skip
        yield gauge("windtunnel_proxy_descriptors", "Descriptors in use, by the proxy's books.", proxy.descriptors)  # fmt: skip
        yield gauge("windtunnel_proxy_descriptors_limit", "Descriptors that it may have; +Inf: no limit.", proxy.limit if proxy.limit >= 0 else float("inf"))  # fmt: skip
        memory = proxy.spec.memory.total
        yield gauge("windtunnel_proxy_modelled_memory_bytes", "Memory in use, as the scenario accounts for it.", proxy.memory())  # fmt: skip
        yield gauge("windtunnel_proxy_modelled_memory_limit_bytes", "What it may use; +Inf: no limit.", memory if memory >= 0 else float("inf"))  # fmt: skip

    def _servers(self) -> Iterator[Metric]:
        servers, rows = self._proxy.servers, self._proxy.servers.rows
        slots = {number: slot for slot, number in enumerate(rows["id"])}
        known = [(one, slots[one.number]) for one in servers.by_number.values() if one.number in slots]

        def by_server(values: Iterable[float]) -> dict[str, float]:
            return {name_of(one): value for (one, _), value in zip(known, values, strict=True)}

        yield facts(
            "windtunnel_proxy_server_info", "The app servers that the proxy knows.",
            [{"server": name_of(one), "address": one.address, "role": "canary" if rows["role"][slot] == CANARY else "serving"} for one, slot in known],
        )  # fmt: skip
        yield counters("windtunnel_proxy_server_requests", "Tries that were sent to a server.", "server", by_server(one.sent for one, _ in known))  # fmt: skip
        yield gauges("windtunnel_proxy_server_requests_in_flight", "Tries under way at a server.", "server", by_server(rows["in_flight"][slot] for _, slot in known))  # fmt: skip
        yield gauges("windtunnel_proxy_server_available", "Whether new requests may go to a server (1), or it is unhealthy, ejected or gone from the lists (0).", "server", by_server(float(bool(rows["available"][slot])) for _, slot in known))  # fmt: skip
        told = GaugeMetricFamily("windtunnel_proxy_server_metric", "What an application said of itself in its answers, by the name that it gave.", labels=["server", "metric"])  # fmt: skip
        for one, _ in known:
            for name, value in one.told.items():
                told.add_metric([name_of(one), name], value)
        yield told

    def _own(self) -> Iterator[Metric]:
        events = CounterMetricFamily("windtunnel_proxy_events", "What happened, by name.", labels=["event"])
        for name, count in self._events.counts.items():
            events.add_metric([name], count)
        yield events
        yield histogram("windtunnel_proxy_event_loop_lag_seconds", "How late a timer of the event loop comes that is due every 50 ms.", self._lag.durations)  # fmt: skip


def name_of(server: Server) -> str:
    """A server as a label says it: our instance by its number, any other by its address."""
    return str(server.number) if server.number < FOREIGN else server.address.removeprefix("http://")


def try_buckets(tally: Tally) -> list[tuple[str, float]]:
    """The buckets of *tally* at the ends of its octaves: 0.1 ms, 0.2 ms, and so on. (Those are exclusive bounds; by a nanosecond.)"""
    ends = [1 + PER_OCTAVE * octave for octave in range(OCTAVES + 1)]
    starts = [0, *ends[:-1]]
    counts = [sum(tally.latency[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert ends[-1] == BUCKETS - 1, "the last bucket has no end"
    return cumulative([bucket_start(end) for end in ends], [*counts, tally.latency[-1]])


def try_seconds(tally: Tally) -> float:
    """About the sum of the tries of *tally*, as if each were in the middle of its bucket, which is at most an eighth of its beginning wide."""
    ends = [bucket_start(bucket) for bucket in range(BUCKETS)]
    middles = [(start + end) / 2 for start, end in zip(ends, [*ends[1:], ends[-1]], strict=True)]
    return sum(count * middle for count, middle in zip(tally.latency, middles, strict=True)) / SECOND
