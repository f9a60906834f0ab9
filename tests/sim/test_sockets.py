"""Connections: SYN retries, backlog, eviction, keep-alive, memory, stalls; and what clients make of it."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

MS = 1_000_000


def document(
    proxy: dict[str, Any], traffic: list[dict[str, Any]], cpu: str = "5ms", length: str = "20s", **fleet: Any
) -> dict[str, Any]:
    return {
        "duration": length,
        "fleet": {"app": {"initial": 1, "workers": 100}, "proxy": proxy, **fleet},
        "endpoints": [{"path": "/", "cpu": {"constant": cpu}, "response_size": "10KiB"}],
        "traffic": traffic,
    }


def open_source(count: int, name: str = "users", **client: Any) -> dict[str, Any]:
    """*count* requests within the first second."""
    return {
        "name": name,
        "stages": [{"for": "1s", "rate": f"{count}/s"}],
        "arrivals": "constant",
        "client": client,
    }


def flood(count: int, connections: int, name: str = "monkey", start: str = "0s") -> dict[str, Any]:
    return {"name": name, "start": start, "arrivals": "constant",
            "flood": {"stages": [{"for": "1s", "rate": f"{count}/s"}], "connections": connections}}  # fmt: skip


def latencies(found: Any) -> list[int]:
    return sorted(found.requests.column("latency_ns").to_pylist())


def test_a_new_connection_costs_a_round_trip() -> None:
    network = {"client": {"latency": "10ms"}, "upstream": {"latency": "1ms"}}
    fresh = run(document({}, [open_source(1)], network=network))
    assert latencies(fresh) == [20 * MS + 20 * MS + 2 * MS + 5 * MS]
    kept = run(document({}, [open_source(2, connections={"pool": 1})], network=network))
    assert latencies(kept) == [27 * MS, 47 * MS]


def test_a_pool_makes_requests_wait_and_latency_counts_from_the_intended_time() -> None:
    found = run(document({}, [open_source(4, connections={"pool": 1})], cpu="400ms"))
    assert latencies(found) == [400 * MS, 550 * MS, 700 * MS, 850 * MS]


def test_a_full_backlog_drops_the_syn_and_the_client_tries_again_after_1_and_3_s() -> None:
    # Descriptors for one request at a time, no backlog: of four clients at once, three are dropped.
    proxy = {"max_connections": 2, "backlog": 0}
    source = {"name": "users", "closed": {"concurrency": 3, "maximum": 3}}
    found = run(document(proxy, [source], cpu="1500ms"))
    assert latencies(found) == [1500 * MS, 4500 * MS, 8500 * MS]
    assert outcomes(found) == {"ok": 3}


def test_a_backlog_keeps_them_instead() -> None:
    proxy = {"max_connections": 2, "backlog": 2, "overload": "evict"}
    source = {"name": "users", "closed": {"concurrency": 3, "maximum": 3}}
    assert latencies(run(document(proxy, [source], cpu="500ms"))) == [500 * MS, 1000 * MS, 1500 * MS]


def test_a_client_without_patience_gives_up_on_dropped_syns() -> None:
    proxy = {"max_connections": 2, "backlog": 0}
    source = {"name": "users", "closed": {"concurrency": 2, "maximum": 2}, "client": {"timeout": "2s"}}
    assert outcomes(run(document(proxy, [source], cpu="1500ms"))) == {"ok": 1, "client_timeout": 1}


def test_without_a_timeout_the_kernel_gives_up_after_127_s() -> None:
    proxy = {"max_connections": 1, "backlog": 0}
    held = {
        "name": "holder",
        "flood": {"stages": [{"for": "1s", "rate": "1/s"}], "connections": 1},
        "arrivals": "constant",
    }
    found = run(document(proxy, [held, {**open_source(1), "start": "1s"}], length="130s"))
    row = next(r for r in found.requests.to_pylist() if r["source"] == "users")
    assert (row["outcome"], row["latency_ns"]) == ("client_timeout", 127 * SECOND)


def test_eviction_answers_every_user_while_refusal_starves_them() -> None:
    users = {
        "name": "users",
        "start": "2s",
        "stages": [{"for": "5s", "rate": "20/s"}],
        "client": {"timeout": "3s"},
    }
    for overload, answered in (("evict", True), ("refuse", False)):
        proxy = {"max_connections": 50, "backlog": 16, "overload": overload}
        found = run(document(proxy, [flood(200, 200), users]))
        own = [row["outcome"] for row in found.requests.to_pylist() if row["source"] == "users"]
        assert len(own) > 60
        assert (set(own) == {"ok"}) is answered
        if not answered:
            assert set(own) == {"client_timeout"}


def test_the_longest_idle_connection_is_evicted_first() -> None:
    # Three kept connections in turn, then a newcomer: the one idle for longest goes, the others stay usable.
    proxy = {"max_connections": 6, "overload": "evict"}
    pool = {"name": "pool", "closed": {"concurrency": 3, "think": {"constant": "3s"}, "maximum": 6},
            "client": {"connections": {"pool": 3}}}  # fmt: skip
    newcomer = {
        "name": "late",
        "start": "1s",
        "stages": [{"for": "1s", "rate": "1/s"}],
        "arrivals": "constant",
    }
    found = run(document(proxy, [pool, newcomer]))
    attempts = found.attempts.to_pylist()
    assert outcomes(found) == {"ok": 7}
    connections = [row["connection"] for row in attempts]
    assert len(set(connections)) == 5, "three, the newcomer's, and one opened again"


def test_an_idle_connection_is_closed_after_the_keepalive_timeout() -> None:
    for timeout, opened in (("3s", 1), ("1s", 3)):
        source = {"name": "users", "closed": {"concurrency": 1, "think": {"constant": "2s"}, "maximum": 3},
                  "client": {"connections": {"pool": 1}}}  # fmt: skip
        found = run(document({"keepalive_timeout": timeout}, [source]))
        assert len(set(found.attempts.column("connection").to_pylist())) == opened


def test_a_request_that_crosses_the_close_fails_as_evicted() -> None:
    network = {"client": {"latency": "100ms"}}
    source = {"name": "users", "closed": {"concurrency": 1, "think": {"constant": "850ms"}, "maximum": 2},
              "client": {"connections": {"pool": 1}, "retries": {"attempts": 1}}}  # fmt: skip
    found = run(document({"keepalive_timeout": "1s"}, [source], network=network))
    # Idle at the proxy from 0.305 s to 1.305 s; the client sends at 1.255 s, before it can know.
    assert found.attempts.column("outcome").to_pylist() == ["ok", "evicted", "ok"]
    assert outcomes(found) == {"ok": 2}


def test_unread_answers_stall_when_the_buffer_is_full() -> None:
    # 10 KiB answers over one connection: two fit into 25 KiB, the third stalls and the rest wait behind it.
    found = run(document({}, [flood(6, 1)], network={"socket_buffer": "25KiB"}))
    assert outcomes(found) == {"unread": 3, "unfinished": 3}
    last = [row for row in found.metrics.to_pylist() if row["server"] == 0][-1]
    assert last["descriptors"] == 2, "the stalled answer holds its upstream connection too"


def test_a_write_timeout_ends_a_stall() -> None:
    found = run(document({"write_timeout": "2s"}, [flood(6, 1)], network={"socket_buffer": "25KiB"}))
    assert outcomes(found) == {"unread": 3, "evicted": 3}
    last = [row for row in found.metrics.to_pylist() if row["server"] == 0][-1]
    assert last["descriptors"] == 0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("refuse", {"unread": 16, "refused": 4}), ("evict", {"unread": 20})],
)
def test_memory_for_sixteen_connections(rule: str, expected: dict[str, int]) -> None:
    memory = {"total": "1MiB", "base": "512KiB", "per_connection": "32KiB"}
    assert outcomes(run(document({"memory": memory, "on_exhaustion": rule}, [flood(20, 20)]))) == expected


def test_a_proxy_that_crashes_comes_back_or_does_not() -> None:
    memory = {"total": "1MiB", "base": "512KiB", "per_connection": "32KiB"}
    late = {**open_source(5), "start": "5s"}
    proxy = {"memory": memory, "on_exhaustion": "crash"}
    dead = run(document(proxy, [flood(20, 20), late]))
    assert len(happened(dead, "proxy_down")) == 1
    users = [row["outcome"] for row in dead.requests.to_pylist() if row["source"] == "users"]
    assert users == ["refused"] * 5
    back = run(document({**proxy, "restart_after": "2s"}, [flood(20, 20), late]))
    assert happened(back, "proxy_up")[0]["t"] - happened(back, "proxy_down")[0]["t"] == 2 * SECOND
    users = [row["outcome"] for row in back.requests.to_pylist() if row["source"] == "users"]
    assert users == ["ok"] * 5


def test_proxy_cpu_is_one_event_loop() -> None:
    source = {"name": "users", "closed": {"concurrency": 4, "maximum": 4}}
    found = run(document({"cpu_per_request": "10ms"}, [source]))
    assert latencies(found) == [15 * MS, 25 * MS, 35 * MS, 45 * MS]


def test_the_classic_proxy_takes_the_last_descriptor_and_has_none_for_the_upstream_connection() -> None:
    source = {"name": "users", "closed": {"concurrency": 3, "maximum": 3}}
    for overload, expected in (("refuse", {"ok": 2, "connect_failed": 1}), ("evict", {"ok": 3})):
        found = run(document({"max_connections": 2, "backlog": 2, "overload": overload}, [source]))
        assert outcomes(found) == expected
