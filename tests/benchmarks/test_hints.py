"""The hints of three million requests beside one sort of their latencies, in one run.

The work: 30 servers for 20 minutes at 2,500 requests/s, two endpoints, one of which calls a dependency. CPU time of one process counts.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
from windtunnel.reports.facts import gather
from windtunnel.reports.profiler.hints.rules import hints
from windtunnel.tests.reports.hints.fleets import evidence_of, fleet, parts

DATABASE = {"dependencies": [{"name": "db", "concurrency": 200, "service": {"exponential": {"mean": "5ms"}}}]}


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call, the least of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.benchmark
def test_hints_of_three_million_requests() -> None:
    document = fleet(
        "2500/s", "1200s", fleet=parts({"initial": 30, "cores": 2}, more=DATABASE),
        endpoints=[
            {"path": "/", "weight": 5, "cpu": {"exponential": {"mean": "10ms"}}},
            {"path": "/item", "weight": 2, "cpu": {"exponential": {"mean": "8ms"}}, "calls": ["db"]},
        ],
    )  # fmt: skip
    evidence = evidence_of(document)
    latency = evidence.requests["latency_ns"]
    assert len(latency) > 2_900_000
    facts = gather(evidence)
    figures, rules = cpu(lambda: gather(evidence)), cpu(lambda: hints(evidence, facts))
    sort = cpu(lambda: np.sort(latency, kind="stable"))
    print(
        f"\n{len(latency):,} requests: figures {figures:.2f} s, hints {rules:.2f} s, one sort of the latencies {sort:.2f} s"
    )
    assert figures + rules < 30 * sort
