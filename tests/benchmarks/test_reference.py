"""Speed and memory of the reference engine on chaos-monkey, against a bare SimPy model on the same machine in the same run.

The peer is the least that SimPy can do for a request: a process that asks for a Resource, holds it and releases it (FIFO, one station). The ratio
says what the whole path (sockets, routing, retries, memory, columns) costs over that.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import simpy

PEER_REQUESTS = 50_000

CHILD = """
import resource, time, windtunnel
run = windtunnel.replay(windtunnel.Scenario.load("steady"), engine="simpy", registry="memory", cloud="memory")
scenario = windtunnel.Scenario.load("chaos-monkey")
start = time.perf_counter()
run = windtunnel.replay(scenario, engine="simpy", registry="memory", cloud="memory")
print(time.perf_counter() - start, run.attempts.num_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bare_simpy() -> float:
    """Requests per second of the peer."""
    env = simpy.Environment()
    station = simpy.Resource(env, capacity=4)

    def request() -> Iterator[simpy.Event]:
        with station.request() as turn:
            yield turn
            yield env.timeout(4)

    def source() -> Iterator[simpy.Event]:
        for _ in range(PEER_REQUESTS):
            yield env.timeout(2)
            env.process(request())  # type: ignore[arg-type]

    env.process(source())  # type: ignore[arg-type]
    start = time.perf_counter()
    env.run()
    return PEER_REQUESTS / (time.perf_counter() - start)


@pytest.mark.benchmark
def test_chaos_monkey_on_the_reference() -> None:
    ours, peers, memory = [], [], 0
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
        seconds, attempts, kib = done.stdout.split()
        ours.append(int(attempts) / float(seconds))
        memory = max(memory, int(kib))
        peers.append(bare_simpy())
    mine, peer = statistics.median(ours), statistics.median(peers)
    print(
        f"\nreference {mine:,.0f} attempts/s, bare SimPy {peer:,.0f} requests/s: {mine / peer:.3f}; {memory / 1024:.0f} MiB"
    )
    assert mine / peer > 0.04
    assert memory < 1.5 * 2**20
