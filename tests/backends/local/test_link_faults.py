"""What faults do to content and connections of links: the same, rehearsed and flown."""

from collections import Counter
from statistics import median
from typing import Any

import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.core.model import SECOND

MS = 1_000_000

DOCUMENT = """
scenario: links
seed: 5
duration: 15s
fleet:
  app: {initial: 1, workers: 100}
  proxy: {upstream_timeout: 400ms}
endpoints:
  - {path: /, cpu: {constant: 2ms}, response_size: 20KB}
traffic:
  - {name: users, stages: [{for: 15s, rate: 30/s}], arrivals: constant, client: {timeout: 800ms, connections: per_request}}
faults:
  - {name: narrow, type: bandwidth, at: 1s, for: 1s, target: TARGET, attributes: {rate: 1MB}}
  - {name: sliced, type: slicer, at: 3s, for: 1s, target: TARGET, attributes: {average_size: 5KB, delay: 20ms}}
  - {name: stopped, type: timeout, at: 5s, for: 1s, target: TARGET, attributes: {timeout: 200ms}}
  - {name: reset, type: reset, at: 7s, for: 1s, target: TARGET}
  - {name: short, type: limit_data, at: 9s, for: 1s, target: TARGET, attributes: {bytes: 10KB}}
  - {name: deaf, type: partition, at: 11s, for: 1s, target: TARGET, stream: downstream}
  - {name: lingering, type: slow_close, at: 13s, for: 1s, target: TARGET, attributes: {delay: 600ms}}
"""

LATER = {"narrow": 20, "sliced": 60}
"""What answers take longer (ms)."""

AT = {"narrow": 1, "sliced": 3, "stopped": 5, "reset": 7, "short": 9, "deaf": 11, "lingering": 13}


def during(run: Run, second: float, length: float = 0.75) -> list[dict[str, Any]]:
    """Attempts that began so long after *second*."""
    start = second * SECOND
    return [row for row in run.attempts.to_pylist() if start <= row["start_ns"] < start + length * SECOND]


def outcome(rows: list[dict[str, Any]]) -> str:
    """That of nearly all."""
    kind, count = Counter(row["outcome"] for row in rows).most_common(1)[0]
    assert count >= 0.8 * len(rows), Counter(row["outcome"] for row in rows)
    return str(kind)


def latency(rows: list[dict[str, Any]]) -> float:
    return float(median(row["end_ns"] - row["start_ns"] for row in rows)) / MS


def descriptors(run: Run, since: int, until: int) -> int:
    """The most that a sample of the proxy shows."""
    rows = [row for row in run.metrics.to_pylist() if row["server"] == 0]
    return max(int(row["descriptors"]) for row in rows if since * SECOND < row["time_ns"] <= until * SECOND)


def worked(run: Run, second: int) -> int:
    """Requests that reached the server in the second after *second*."""
    rows = [row for row in run.metrics.to_pylist() if row["server"] == 1]
    return sum(row["requests"] for row in rows if second * SECOND < row["time_ns"] <= (second + 1) * SECOND)


@pytest.mark.long
@pytest.mark.parametrize(
    ("target", "closed", "unheard"),
    [
        ("{role: app, count: all}", "upstream_reset", "upstream_timeout"),
        ("{role: proxy}", "refused", "client_timeout"),
    ],
)
def test_links_are_as_bad_in_a_flight_as_in_its_rehearsal(target: str, closed: str, unheard: str) -> None:
    scenario = Scenario.parse(DOCUMENT.replace("TARGET", target))
    rehearsed, flown = replay(scenario, engine="simpy"), replay(scenario, backend="local")
    expected = {"stopped": closed, "reset": closed, "short": closed, "deaf": unheard}
    for run in (rehearsed, flown):
        usual = latency(during(run, 0.1))
        found = {name: outcome(during(run, second)) for name, second in AT.items()}
        assert found == {name: expected.get(name, "ok") for name in AT}
        # After each of them all is well again.
        assert {outcome(during(run, second + 1.3, 0.5)) for second in AT.values()} == {"ok"}
        for name, later in LATER.items():
            took = latency(during(run, AT[name])) - usual
            assert 0.8 * later <= took < later + 100, name
        # Closed after 200 ms; at once; when the work is done, as is what nobody hears of.
        assert 190 <= latency(during(run, AT["stopped"])) < 400
        assert latency(during(run, AT["reset"])) < 100
        assert worked(run, AT["short"]) >= 20
        # Without SYN-ACK no client gets to send.
        assert (worked(run, AT["deaf"]) >= 20) == (closed == "upstream_reset")
        assert descriptors(run, 13, 14) >= 10 + descriptors(run, 2, 3)
