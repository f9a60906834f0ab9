"""timeout, reset, slow_close and partitions of one direction: what a bad link does to connections."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

APP = {"role": "app"}
PROXY = {"role": "proxy"}
FREE: dict[str, Any] = {"fleet": {"app": {"workers": 999}}}
BOTH = pytest.mark.parametrize(("target", "outcome"), [(APP, "upstream_reset"), (PROXY, "refused")])


def slow_work(document: dict[str, Any], time: str) -> dict[str, Any]:
    document["endpoints"][0]["cpu"] = {"constant": time}
    return document


@pytest.mark.parametrize("target", [APP, PROXY])
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_data_that_stops_never_arrives(target: dict[str, Any], stream: str) -> None:
    """What leaves meanwhile is gone, also afterwards; upstream the server has not even heard of it."""
    stopped = fault("timeout", "1s", length="1s", target=target, stream=stream)
    document = even("10/s", "4s", stopped, **FREE)
    document["traffic"][0]["client"] = {"timeout": "500ms"}
    found = run(document)
    assert outcomes(found) == {"ok": 30, "client_timeout": 10}
    lost = [row for row in found.attempts.to_pylist() if row["outcome"] == "client_timeout"]
    assert all(SECOND <= row["start_ns"] < 2 * SECOND for row in lost)
    assert all((row["served_ns"] >= 0) == (stream == "downstream") for row in lost)
    assert {row["descriptors"] for row in found.metrics.to_pylist() if row["server"] == 0} <= {0, 5, 10}


def test_data_that_stops_fails_the_checks_and_ends_by_the_proxys_patience() -> None:
    stopped = fault("timeout", "1s", length="1s")
    document = even("10/s", "3s", stopped)
    document["fleet"] = {
        "app": {"workers": 99},
        "proxy": {"health_check": {"interval": "100ms", "timeout": "50ms"}, "upstream_timeout": "300ms"},
    }
    found = run(document)
    assert [event["t"] // MS for event in happened(found, "unhealthy")] == [1200]
    assert [event["t"] // MS for event in happened(found, "healthy")] == [2100]
    assert outcomes(found) == {"ok": 19, "upstream_timeout": 2, "no_server": 9}


@BOTH
def test_a_connection_without_data_is_closed_after_the_timeout(target: dict[str, Any], outcome: str) -> None:
    stopped = fault("timeout", "1s", target=target, attributes={"timeout": "300ms"})
    found = run(even("10/s", "3s", stopped, **FREE))
    assert outcomes(found) == {"ok": 10, outcome: 20}
    assert [value // MS for value in latencies(found)] == [5] * 10 + [300] * 20


@BOTH
def test_what_is_open_is_reset_so_long_after_the_beginning(target: dict[str, Any], outcome: str) -> None:
    """Requests of 400 ms: those in flight at 1 s are reset at 1.2 s unless they end before, those after it 200 ms after they began."""
    resets = fault("reset", "1s", length="1s", target=target, attributes={"timeout": "200ms"})
    found = run(slow_work(even("10/s", "3s", resets, **FREE), "400ms"))
    expected = []
    for start in starts(found):
        closes = max(start, SECOND) + 200 * MS
        hit = start + 400 * MS > closes and closes < 2 * SECOND
        expected.append(closes - start if hit else 400 * MS)
    assert latencies(found) == expected
    # From 0.85 s (the one before has its answer at 1.15 s) to 1.75 s (the next ones would be reset after 2 s).
    assert outcomes(found) == {"ok": 20, outcome: 10}


def test_a_reset_at_once_reaches_nobody_and_a_retry_goes_elsewhere() -> None:
    resets = fault("reset", target=APP)
    document = even("20/s", "2s", resets)
    document["fleet"] = {
        "app": {"initial": 2, "max": 2},
        "proxy": {"routing": "round_robin", "retries": {"attempts": 1}},
    }
    found = run(document)
    assert outcomes(found) == {"ok": 40}
    rows = found.attempts.to_pylist()
    assert {row["tries"] for row in rows[:20]} == {1}
    assert {row["tries"] for row in rows[21:]} == {2}
    assert len({row["server"] for row in rows[20:]}) == 1


def test_a_share_of_the_connections_is_reset_and_a_kept_one_is_one() -> None:
    resets = fault("reset", "0s", target=PROXY, toxicity="40%")
    found = outcomes(run(even("200/s", "10s", resets, **FREE)))
    assert found["refused"] / 2000 == pytest.approx(0.4, abs=0.03)
    document = even("20/s", "4s", fault("reset", target=PROXY, attributes={"timeout": "3ms"}))
    document["traffic"][0]["client"] = {"connections": {"pool": 4}}
    kept = run(document)
    # The idle one is reset, and each of the next ones under way, 3 ms after it was opened.
    assert outcomes(kept) == {"ok": 20, "refused": 60}
    assert [row["connection"] for row in kept.attempts.to_pylist()] == [1] * 20 + list(range(2, 62))


def test_a_closed_connection_keeps_its_descriptor() -> None:
    """Little's law: 50 ends a second, each for another second."""
    for target, connections in ((APP, 0), (PROXY, 50)):
        found = run(
            even("50/s", "5s", fault("slow_close", target=target, attributes={"delay": "1s"}), **FREE)
        )
        assert outcomes(found) == {"ok": 250}
        rows = {row["time_ns"] // SECOND: row for row in found.metrics.to_pylist() if row["server"] == 0}
        assert rows[1]["descriptors"] <= 2
        assert 50 <= rows[3]["descriptors"] <= 52
        assert connections <= rows[3]["connections"] <= connections + 1
        share = run(
            even(
                "50/s",
                "5s",
                fault("slow_close", "0s", toxicity="50%", target=target, attributes={"delay": "1s"}),
                **FREE,
            )
        )
        some = [row["descriptors"] for row in share.metrics.to_pylist() if row["server"] == 0]
        assert 15 <= some[3] <= 35


def test_slow_closes_use_up_the_descriptors() -> None:
    """20 descriptors for 50 requests a second of 5 ms are plenty, until each of both sides is kept for a second."""
    document = even(
        "50/s", "6s", fault("slow_close", "1s", length="2s", target=PROXY, attributes={"delay": "1s"})
    )
    document["fleet"] = {"app": {"workers": 99}, "proxy": {"max_connections": 20, "backlog": 5}}
    document["traffic"][0]["client"] = {"timeout": "500ms"}
    found = run(document)
    rows = found.requests.to_pylist()
    bad = [row for row in rows if row["outcome"] != "ok"]
    assert all(SECOND <= row["time_ns"] < 4 * SECOND for row in bad)
    assert 60 < len(bad) < 150
    assert {row["outcome"] for row in bad} <= {"client_timeout", "connect_failed"}


def test_a_killed_proxy_keeps_no_descriptor() -> None:
    document = even(
        "50/s",
        "4s",
        fault("slow_close", "0s", target=PROXY, attributes={"delay": "3s"}),
        fault("proxy_restart", "2s"),
        **FREE,
    )
    found = run(document)
    rows = {row["time_ns"] // SECOND: row for row in found.metrics.to_pylist() if row["server"] == 0}
    assert [rows[second]["descriptors"] // 10 for second in (1, 2, 3)] == [5, 0, 5]


def test_a_partition_of_one_direction() -> None:
    """Downstream the request arrives and the work is done, for nobody; upstream the server never hears of it."""
    for stream, done in (("downstream", 10), ("upstream", 0)):
        cut = fault("partition", "1s", length="1s", stream=stream)
        document = even(
            "10/s", "3s", cut, fleet={"app": {"workers": 99}, "proxy": {"upstream_timeout": "50ms"}}
        )
        found = run(document)
        assert outcomes(found) == {"ok": 20, "upstream_timeout": 10}
        lost = [row for row in found.attempts.to_pylist() if row["outcome"] == "upstream_timeout"]
        assert sum(row["served_ns"] >= 0 for row in lost) == done


def test_a_partition_of_one_direction_to_the_clients() -> None:
    """Without SYN-ACK nobody is connected; over a kept connection requests still arrive."""
    cut = fault("partition", "1s", target=PROXY, stream="downstream")
    document = even("10/s", "3s", cut, **FREE)
    document["traffic"][0]["client"] = {"timeout": "500ms"}
    found = run(document)
    assert outcomes(found) == {"ok": 10, "client_timeout": 20}
    assert all(row["proxy_ns"] < 0 for row in found.attempts.to_pylist()[10:])
    document["traffic"][0]["client"]["connections"] = {"pool": 1}
    rows = run(document).attempts.to_pylist()
    assert sum(row["served_ns"] >= 0 for row in rows[10:]) == 1
    assert rows[10]["served_ns"] >= 0
