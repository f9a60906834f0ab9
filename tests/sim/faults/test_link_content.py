"""bandwidth, slicer, limit_data: what a bad link does to content."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

PROXY = {"role": "proxy"}
POOL = {"connections": {"pool": 1}}


def carrying(
    rate: str, length: str, *faults: dict[str, Any], size: str = "10KB", **more: Any
) -> dict[str, Any]:
    """Answers of *size*, from servers that never wait for a worker."""
    document = even(rate, length, *faults, **{"fleet": {"app": {"workers": 999}}, **more})
    document["endpoints"][0]["response_size"] = size
    return document


def posting(document: dict[str, Any], body: str) -> dict[str, Any]:
    document["traffic"][0]["body"] = body
    return document


NARROW: dict[str, Any] = {"attributes": {"rate": "100KB"}}


def test_an_answer_takes_its_size_over_the_rate() -> None:
    for target, stream, body, extra in (
        ("proxy", None, 0, 100),
        ("app", None, 0, 100),
        ("app", "upstream", "5KB", 50),
        ("app", "downstream", "5KB", 100),
        ("proxy", None, "5KB", 150),
    ):
        narrow = fault(
            "bandwidth", target={"role": target}, **NARROW, **({"stream": stream} if stream else {})
        )
        document = carrying("5/s", "2s", narrow)
        if body:
            document["traffic"][0]["body"] = body
        assert [value // MS for value in latencies(run(document))] == [5] * 5 + [5 + extra] * 5


def test_no_more_goes_through_than_the_rate() -> None:
    """20 answers of 10 KB a second are twice what the link carries: they come one after another, 100 ms apart, later and later."""
    found = run(carrying("20/s", "4s", fault("bandwidth", "0s", target=PROXY, **NARROW)))
    ends = sorted(row["end_ns"] for row in found.attempts.to_pylist())
    assert {later - sooner for sooner, later in pairwise(ends)} == {100 * MS}
    assert ends[-1] == starts(found)[0] + 5 * MS + 80 * 100 * MS
    assert [value // MS for value in latencies(found)] == [105 + 50 * n for n in range(80)]


def test_each_server_has_its_own_rate_and_the_clients_share_one() -> None:
    """30 answers a second are too much for one link and not for three."""
    three: dict[str, Any] = {
        "fleet": {"app": {"initial": 3, "max": 3, "workers": 99}, "proxy": {"routing": "round_robin"}}
    }
    servers = run(
        carrying("30/s", "3s", fault("bandwidth", "0s", target={"count": "all"}, **NARROW), **three)
    )
    assert {value // MS for value in latencies(servers)} == {105}
    clients = latencies(
        run(carrying("30/s", "3s", fault("bandwidth", "0s", target=PROXY, **NARROW), **three))
    )
    assert clients[-1] // MS == pytest.approx(105 + 89 * (100 - 1000 / 30), abs=1)


def test_what_has_no_content_passes_a_narrow_link_at_once() -> None:
    """Nor do health checks find anything wrong."""
    document = carrying("20/s", "4s", fault("bandwidth", "0s", attributes={"rate": "1KB"}))
    document["fleet"]["proxy"] = {"health_check": {"interval": "100ms", "timeout": "50ms"}}
    document["endpoints"] = [
        {"path": "/", "cpu": {"constant": "5ms"}},
        {"path": "/large", "cpu": {"constant": "5ms"}, "response_size": "1MB", "weight": 1},
    ]
    document["traffic"][0]["client"] = {"timeout": "1s"}
    found = run(document)
    by_path = Counter((row["endpoint"], row["outcome"]) for row in found.requests.to_pylist())
    assert by_path.keys() == {("/", "ok"), ("/large", "client_timeout")}
    assert not [event for event in found.events if event["event"] == "unhealthy"]


def test_the_narrowest_counts_and_what_is_on_its_way_stays_on_it() -> None:
    wide = fault("bandwidth", "0s", target=PROXY, attributes={"rate": "200KB"})
    narrow = {
        **fault("bandwidth", "1s", length="1s", target=PROXY, attributes={"rate": "50KB"}),
        "name": "narrow",
    }
    found = latencies(run(carrying("10/s", "4s", wide, narrow)))
    assert [value // MS for value in found[:10]] == [55] * 10
    # Those of the second second take 200 ms each. The last one, 1.1 s behind, is through at 3 s; those after it catch up by 50 ms each.
    assert [value // MS for value in found[10:20]] == [205 + 100 * n for n in range(10)]
    behind = [max(1050 - 50 * n, 0) for n in range(20)]
    assert [value // MS for value in found[20:]] == [55 + late - 50 * (late > 0) for late in behind]


def test_slices_come_one_after_another() -> None:
    """10 KB are four slices of 3 KB: three times 20 ms. A small answer is one slice."""
    sliced = fault("slicer", attributes={"average_size": "3KB", "delay": "20ms"})
    assert [value // MS for value in latencies(run(carrying("5/s", "2s", sliced)))] == [5] * 5 + [65] * 5
    assert [value // MS for value in latencies(run(carrying("5/s", "2s", sliced, size="3KB")))] == [5] * 10
    upstream = run(posting(carrying("5/s", "2s", {**sliced, "stream": "upstream"}), "6001B"))
    assert [value // MS for value in latencies(upstream)] == [5] * 5 + [45] * 5


def test_a_share_of_the_messages_is_sliced() -> None:
    some = fault("slicer", "0s", toxicity="30%", attributes={"average_size": "5KB", "delay": "20ms"})
    found = Counter(value // MS for value in latencies(run(carrying("200/s", "10s", some))))
    assert found.keys() == {5, 25}
    assert found[25] / 2000 == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("target", "outcome"), [({"role": "app"}, "upstream_reset"), (PROXY, "refused")])
def test_a_link_that_carries_so_much_closes_what_asks_for_more(target: dict[str, Any], outcome: str) -> None:
    """The work is done all the same; exactly so much passes."""
    short = fault("limit_data", target=target, attributes={"bytes": "9999B"})
    found = run(carrying("10/s", "2s", short))
    assert outcomes(found) == {"ok": 10, outcome: 10}
    assert all(row["served_ns"] >= 0 for row in found.attempts.to_pylist())
    assert outcomes(run(carrying("10/s", "2s", {**short, "attributes": {"bytes": "10KB"}}))) == {"ok": 20}
    assert outcomes(run(carrying("10/s", "2s", {**short, "stream": "upstream"}))) == {"ok": 20}


def test_a_body_that_is_too_large_never_reaches_the_server() -> None:
    short = fault("limit_data", stream="upstream", attributes={"bytes": "4KB"})
    found = run(posting(carrying("10/s", "2s", short), "5KB"))
    assert outcomes(found) == {"ok": 10, "upstream_reset": 10}
    assert sum(row["arrived_ns"] < 0 for row in found.attempts.to_pylist()) == 10


def test_a_kept_connection_carries_so_much_in_all() -> None:
    """35 KB: three answers of 10 KB, and the fourth closes it; what it carried before the fault does not count."""
    short = fault("limit_data", target=PROXY, attributes={"bytes": "35KB"})
    document = carrying("10/s", "3s", short)
    document["traffic"][0]["client"] = POOL
    rows = run(document).attempts.to_pylist()
    bad = [row["start_ns"] * 10 // SECOND for row in rows if row["outcome"] == "refused"]
    assert bad == [13, 17, 21, 25, 29]
    assert [row["connection"] for row in rows[:22:4]] == [1, 1, 1, 1, 2, 3]
