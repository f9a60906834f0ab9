"""latency, loss, partition."""

from collections import Counter
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

PROXY = {"role": "proxy"}


def test_latency_is_added_to_each_message_of_its_direction() -> None:
    """A request over a new connection is two messages there (SYN, request) and two back (SYN-ACK, answer)."""
    slow: dict[str, Any] = {"attributes": {"latency": "30ms"}}
    both = run(even("5/s", "2s", fault("latency", target=PROXY, **slow)))
    assert [value // MS for value in latencies(both)] == [5] * 5 + [125] * 5
    there = run(even("5/s", "2s", fault("latency", target=PROXY, stream="upstream", **slow)))
    assert [value // MS for value in latencies(there)] == [5] * 5 + [65] * 5
    behind = run(even("5/s", "2s", fault("latency", stream="downstream", **slow)))
    assert [value // MS for value in latencies(behind)] == [5] * 5 + [35] * 5


def test_toxicity_is_the_share_of_messages() -> None:
    toxic = fault("latency", "0s", toxicity="25%", stream="downstream", attributes={"latency": "50ms"})
    found = Counter(latencies(run(even("200/s", "20s", toxic, fleet={"app": {"workers": 9}}))))
    assert set(found) == {5 * MS, 55 * MS}
    assert found[55 * MS] / 4000 == pytest.approx(0.25, abs=0.03)


def test_jitter_spreads_evenly() -> None:
    toxic = fault("latency", "0s", stream="upstream", attributes={"latency": "50ms", "jitter": "20ms"})
    found = latencies(run(even("200/s", "20s", toxic, fleet={"app": {"workers": 99}})))
    assert 35 * MS <= min(found) < 36 * MS
    assert 74 * MS < max(found) <= 75 * MS
    assert sum(found) / len(found) == pytest.approx(55 * MS, rel=0.01)


def test_the_latest_of_two_counts_and_the_first_comes_back() -> None:
    first = fault("latency", "1s", length="4s", stream="upstream", attributes={"latency": "10ms"})
    second = {
        **fault("latency", "2s", length="1s", stream="upstream", attributes={"latency": "70ms"}),
        "name": "second",
    }
    found = run(even("1/s", "6s", first, second))
    assert [value // MS for value in latencies(found)] == [5, 15, 75, 15, 15, 5]


def test_what_is_lost_comes_late() -> None:
    """Half of the messages towards the servers are lost, again and again: 200, 600, 1400 ms ... late."""
    found = Counter(
        latencies(
            run(
                even(
                    "500/s",
                    "20s",
                    fault("loss", "0s", toxicity="50%", stream="upstream"),
                    fleet={"app": {"workers": 99}},
                )
            )
        )
    )
    late = [5, 205, 605, 1405, 3005]
    shares = [found[value * MS] / 10_000 for value in late]
    assert shares == [pytest.approx(0.5**place, rel=0.15) for place in range(1, 6)]


def test_a_lost_syn_waits_a_second() -> None:
    lossy = fault("loss", "0s", toxicity="40%", stream="upstream", target=PROXY)
    found = run(even("200/s", "20s", lossy, fleet={"app": {"workers": 99}}))
    rows = found.attempts.to_pylist()
    # SYN and request are two messages: a first loss of one costs 1 s, of the other 0.2 s.
    waits = Counter((row["proxy_ns"] - row["start_ns"]) // MS for row in rows)
    share = {wait: count / len(rows) for wait, count in waits.items()}
    assert share[0] == pytest.approx(0.36, abs=0.03)
    assert share[1000] == pytest.approx(0.4 * 0.6 * 0.6, abs=0.03)
    assert share[200] == pytest.approx(0.6 * 0.4 * 0.6, abs=0.03)


def test_a_partition_delivers_late_and_fails_the_checks() -> None:
    """Nothing reaches the server from 1 s to 2 s; what was sent at t comes at the first of t + 0.2, 0.6, 1.4 s after the end."""
    cut = fault("partition", "1s", length="1s")
    document = even("10/s", "4s", cut, fleet={"app": {"workers": 99}})
    found = run(document)
    assert outcomes(found) == {"ok": 40}
    expected = []
    for planned in starts(found):
        delay = 0
        if SECOND <= planned < 2 * SECOND:
            delay = next(wait for wait in (200 * MS, 600 * MS, 1400 * MS) if planned + wait >= 2 * SECOND)
        # What is answered during the partition waits too.
        expected.append(delay + 5 * MS)
    assert latencies(found) == expected
    document["fleet"]["proxy"] = {"health_check": {"interval": "100ms", "timeout": "50ms"}}
    checked = run(document)
    assert [event["t"] // MS for event in happened(checked, "unhealthy")] == [1200]
    assert [event["t"] // MS for event in happened(checked, "healthy")] == [2100]


def test_a_partition_without_an_end() -> None:
    document = even("10/s", "3s", fault("partition", "1s", target=PROXY))
    document["traffic"][0]["client"] = {"timeout": "500ms"}
    assert outcomes(run(document)) == {"ok": 10, "client_timeout": 20}
    del document["traffic"][0]["client"]
    found = run(document)
    assert outcomes(found) == {"ok": 10, "unfinished": 20}
    assert found.summary["end_ns"] == 33 * SECOND


def test_a_server_cut_off_from_the_registry_serves_on() -> None:
    cut = fault("partition", "1s", attributes={"from": "registry"})
    document = even("20/s", "8s", cut, fleet={"app": {"min": 1, "max": 2}})
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "1000/s", "requests_low": "1/s"}}, "max_sample_age": "2s"}  # fmt: skip
    found = run(document)
    assert outcomes(found) == {"ok": 160}
    assert "unknown" in [event["reason"] for event in happened(found, "decision")]


def test_a_shorter_partition_does_not_open_a_longer_one() -> None:
    long, short = (
        fault("partition", "1s", length="4s"),
        {**fault("partition", "2s", length="500ms"), "name": "short"},
    )
    found = run(even("4/s", "7s", long, short, fleet={"app": {"workers": 99}}))
    rows = found.attempts.to_pylist()
    assert all(row["arrived_ns"] >= 5 * SECOND for row in rows if SECOND <= row["start_ns"] < 5 * SECOND)


def test_extreme_faults_stay_in_order() -> None:
    wild = [
        fault(
            "latency",
            "1s",
            length="2s",
            target={"count": "all"},
            attributes={"latency": "10s", "jitter": "8s"},
        ),
        *({**fault("slow", "1s", attributes={"factor": 1_000_000}), "name": f"slow{n}"} for n in range(3)),
    ]
    document = even("20/s", "4s", *wild)
    document["traffic"][0]["client"] = {"timeout": "30s"}
    kinds = outcomes(run(document))
    assert sum(kinds.values()) == 80
    assert set(kinds) <= {"ok", "client_timeout", "unfinished"}
