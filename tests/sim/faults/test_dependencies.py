"""dependency_down, dependency_slow, cache_flush."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


CALLS: dict[str, Any] = {
    "endpoints": [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db"]}],
    "fleet": {
        "app": {"workers": 99},
        "dependencies": [{"name": "db", "concurrency": 4, "service": {"constant": "10ms"}}],
    },
}


def test_a_dependency_that_is_down_fails_its_callers_fast() -> None:
    found = run(even("100/s", "3s", fault("dependency_down", length="1s"), **CALLS))
    rows = found.requests.to_pylist()
    failed = [row for row in rows if row["outcome"] == "app_error"]
    # A hundred that call, and one that is being served when it goes down.
    assert len(failed) == 101
    assert {row["latency_ns"] for row in failed} == {1 * MS, 11 * MS}


def test_a_slow_dependency() -> None:
    slow = fault("dependency_slow", length="1s", attributes={"factor": 3}, target={"name": "db"})
    found = run(even("20/s", "3s", slow, **CALLS))
    inside = [
        v for time, v in zip(starts(found), latencies(found), strict=True) if SECOND <= time < 2 * SECOND
    ]
    assert set(inside) == {31 * MS}
    assert outcomes(found) == {"ok": 60}


def test_a_flushed_cache_sends_everybody_to_the_dependency() -> None:
    cache = {"ttl": "1h", "hit_share": "100%", "keys": 5}
    document = even("20/s", "2s", fault("cache_flush"), **CALLS)
    document["fleet"] = {
        **CALLS["fleet"],
        "dependencies": [{**CALLS["fleet"]["dependencies"][0], "cache": cache}],
    }
    found = run(document)
    assert latencies(found)[:20] == [1 * MS] * 20
    assert latencies(found)[20:].count(11 * MS) == 5, "each of the five keys is fetched once"
