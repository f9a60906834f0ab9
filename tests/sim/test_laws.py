"""Laws that every rehearsal obeys, over random scenarios."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel.core import admission
from windtunnel.core.outcomes import NAMES
from windtunnel.reports.run import Run
from windtunnel.sim.appserver import AppServer
from windtunnel.sim.forwarding import Forwarding
from windtunnel.tests.sim.watch import BrokenLaw, watched
from windtunnel.tests.strategies.documents import documents, linked_documents
from windtunnel.tests.support import plan, scenario
from windtunnel.tests.support import run as run_on_any

RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def run(document: dict[str, Any], seed: int = 1, **options: Any) -> Run:
    """On the reference, which can be watched; test_engines holds the kernel to it."""
    return run_on_any(document, seed, engine="simpy", **options)


FIRST = ("start_ns", "proxy_ns", "routed_ns", "arrived_ns", "started_ns", "cpu_done_ns", "served_ns")


def check_conservation(document: dict[str, Any], seed: int, found: Run) -> None:
    """Each planned request and each attempt has exactly one outcome, and the plan's rows are all there."""
    requests, attempts = found.requests.to_pylist(), found.attempts.to_pylist()
    made = plan(document, seed)
    planned = [
        row
        for block in made.blocks()
        for row in zip(*(block[c].tolist() for c in ("time_ns", "source", "index", "endpoint")), strict=True)
    ]
    names = [source.name for source in made.fleet.sources]
    paths = [endpoint.path for endpoint in made.fleet.endpoints]
    opened = [row for row in requests if made.fleet.sources[names.index(row["source"])].concurrency < 0]
    assert [(r["time_ns"], r["source"], r["index"], r["endpoint"]) for r in opened] == [
        (time, names[source], index, paths[endpoint]) for time, source, index, endpoint in planned
    ]
    assert len({(row["source"], row["index"]) for row in requests}) == len(requests)
    assert [row["request"] for row in requests] == list(range(len(requests)))
    per_request = defaultdict(list)
    for attempt in attempts:
        per_request[attempt["request"]].append(attempt)
    for row in requests:
        own = per_request[row["request"]]
        assert [attempt["attempt"] for attempt in own] == list(range(1, row["attempts"] + 1))
        client = made.fleet.sources[names.index(row["source"])].client
        assert 1 <= row["attempts"] <= 1 + client.retries
        assert row["outcome"] in NAMES[1:]
        assert all(attempt["outcome"] in NAMES[1:] for attempt in own)
        assert row["outcome"] in (own[-1]["outcome"], "unfinished")
        assert (
            row["latency_ns"]
            == (own[-1]["end_ns"] if row["outcome"] == own[-1]["outcome"] else found.events[-1]["t"])
            - row["time_ns"]
        )
    for source in made.fleet.sources:
        if source.maximum >= 0:
            assert sum(row["source"] == source.name for row in requests) <= source.maximum


def check_times(found: Run) -> None:
    """Stations are reached in order."""
    for attempt in found.attempts.to_pylist():
        reached = [attempt[name] for name in FIRST if attempt[name] >= 0]
        assert reached == sorted(reached), attempt
        assert attempt["end_ns"] >= attempt["start_ns"]


def check_servers(document: dict[str, Any], found: Run) -> None:
    """No request is served by a server that is not up; no more at once than workers; within the queue's bound."""
    app = document["fleet"]["app"]
    up = {event["server"]: event["t"] for event in found.events if event["event"] == "ready"}
    down: dict[int, int] = {}
    for event in found.events:
        if event["event"] in ("killed", "out_of_memory", "terminated"):
            down.setdefault(event["server"], event["t"])
    by_server = defaultdict(list)
    for attempt in found.attempts.to_pylist():
        if attempt["started_ns"] >= 0:
            assert up[attempt["server"]] <= attempt["arrived_ns"]
            assert attempt["started_ns"] <= down.get(attempt["server"], 10**18)
        if attempt["served_ns"] >= 0:
            by_server[attempt["server"]].append((attempt["started_ns"], 1))
            by_server[attempt["server"]].append((attempt["served_ns"], -1))
    for changes in by_server.values():
        busy = 0
        for _, change in sorted(changes):
            busy += change
            assert busy <= app["workers"]


def check_limits(document: dict[str, Any], found: Run) -> None:
    """Descriptors, memory and queues stay within their limits, and nothing is left over."""
    proxy, app = document["fleet"]["proxy"], document["fleet"]["app"]
    for row in found.metrics.to_pylist():
        if row["server"] == 0:
            assert 0 <= row["connections"] <= row["descriptors"]
            assert row["descriptors"] <= proxy.get("max_connections", 10**9)
            if "memory" in proxy:
                assert row["memory"] <= 2 * 2**20
        else:
            assert row["queued"] <= app.get("queue", 10**9)
            assert row["in_flight"] <= app["workers"] + app.get("queue", 10**9)
            if "memory" in app:
                assert row["memory"] <= 100 * 2**20


def check(document: dict[str, Any], seed: int) -> None:
    with watched():
        found = run(document, seed)
    check_conservation(document, seed, found)
    check_times(found)
    check_servers(document, found)
    check_limits(document, found)


@given(st.one_of(documents(), documents(), linked_documents()), st.integers(0, 1000))
@settings(RANDOM, max_examples=120)
def test_laws(document: dict[str, Any], seed: int) -> None:
    check(document, seed)


def everyone_is_available(front: Forwarding, servers: dict[int, int]) -> None:
    ORIGINAL_UPDATE(front, servers)
    front.servers["available"][:] = 1


def last_come_first_served(server: AppServer, job: Any, outcome: int, status: int) -> None:
    server.queue.reverse()
    ORIGINAL_FINISH(server, job, outcome, status)
    server.queue.reverse()


def lazy_worker(server: AppServer, job: Any, outcome: int, status: int) -> None:
    waiting, server.queue = server.queue, type(server.queue)()
    ORIGINAL_FINISH(server, job, outcome, status)
    server.queue = waiting


def generous_proxy(used: int, accepted: int, limit: int, overload: int) -> bool:
    return True


ORIGINAL_UPDATE, ORIGINAL_FINISH = Forwarding.update, AppServer._finish

BUSY = {
    "duration": "4s",
    "fleet": {
        "app": {"initial": 3, "workers": 1, "queue": 20},
        "proxy": {"max_connections": 30, "health_check": {"interval": "300ms"}, "backlog": 20},
        "registry": {"refresh_interval": "100ms"},
    },
    "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "30ms"}}}],
    "traffic": [{"name": "users", "stages": [{"for": "4s", "rate": "120/s"}], "client": {"timeout": "2s"}}],
    "faults": [{"name": "dies", "type": "kill", "at": "1s"}],
}


@pytest.mark.parametrize(
    ("where", "name", "mutant", "law"),
    [
        (Forwarding, "update", everyone_is_available, "which is not serving"),
        (AppServer, "_finish", last_come_first_served, "not first come first served"),
        (AppServer, "_finish", lazy_worker, "a worker idles"),
        (admission, "fits_connection", generous_proxy, "descriptors"),
    ],
)
def test_a_broken_model_breaks_a_law(
    where: Any, name: str, mutant: Any, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched():
        run(BUSY)
    monkeypatch.setattr(where, name, mutant)
    with watched(), pytest.raises(BrokenLaw, match=law):
        run(BUSY)


@pytest.mark.long
@given(documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=1000)
def test_laws_at_length(document: dict[str, Any], seed: int) -> None:
    check(document, seed)


@given(documents(), st.integers(0, 1000), st.integers(1, 50))
@settings(RANDOM, max_examples=12)
def test_block_size_changes_nothing(document: dict[str, Any], seed: int, block: int) -> None:
    assert run(document, seed, block=block).lines == run(document, seed).lines


@given(documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=8)
def test_twins_and_embedded_services_agree(document: dict[str, Any], seed: int) -> None:
    embedded = run(document, seed, registry="fakeredis", cloud="moto")
    assert embedded.lines == run(document, seed).lines


@given(documents())
@settings(RANDOM, max_examples=60)
def test_a_resolved_scenario_is_the_same_scenario(document: dict[str, Any]) -> None:
    one = scenario(document)
    again = type(one).parse(one.to_yaml())
    assert again.resolved() == one.resolved()
    assert again.fingerprint() == one.fingerprint()


def fifo_document(workers: int) -> dict[str, Any]:
    return {
        "duration": "20s",
        "fleet": {"app": {"workers": workers, "cores": 1}},
        "endpoints": [
            {"path": "/", "cpu": {"exponential": {"mean": "9ms"}}, "io": {"exponential": {"mean": "5ms"}}}
        ],
        "traffic": [{"name": "users", "stages": [{"for": "20s", "rate": "95/s"}]}],
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_service_is_first_come_first_served_and_no_worker_idles(workers: int) -> None:
    """Within a server requests start in the order in which they arrived; one waits only while all workers are busy."""
    rows = run(fifo_document(workers)).attempts.to_pylist()
    served = sorted(
        (row for row in rows if row["started_ns"] >= 0), key=lambda row: (row["arrived_ns"], row["request"])
    )
    starts = [row["started_ns"] for row in served]
    assert starts == sorted(starts)
    ends = sorted(row["served_ns"] for row in served if row["served_ns"] >= 0)
    waited = [row for row in served if row["started_ns"] > row["arrived_ns"]]
    assert len(waited) > 50
    assert all(row["started_ns"] in set(ends) for row in waited), "a worker idled while its queue waited"
