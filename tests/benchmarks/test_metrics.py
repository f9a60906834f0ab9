"""What it costs the proxy to be scraped each second: rounds with and without, in turn, in one run.

Needs wrk and nginx (the app server), as the proxy's benchmark does.
"""

import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from windtunnel.backends.connection import registry_at
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.core.model import SECOND, AppSpec, FleetSpec, ProxySpec
from windtunnel.tests.backends.proxy.test_role import redis_server

from .test_proxy import free_port, nginx, running, wrk

pytestmark = pytest.mark.benchmark

ROUNDS = 7


@contextmanager
def scraped(url: str, each: float) -> Iterator[list[int]]:
    """Scrape *url* meanwhile; how long the texts were."""
    ended, sizes = threading.Event(), []

    def scrape() -> None:
        while not ended.wait(each):
            with urllib.request.urlopen(url, timeout=20) as answer:
                sizes.append(len(answer.read()))

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield sizes
    finally:
        ended.set()
        thread.join()


def test_a_scrape_each_second(tmp_path: Path) -> None:
    app, port, admin = free_port(), free_port(), free_port()
    fleet = FleetSpec(
        "bench", 1, SECOND, 0, AppSpec(), ProxySpec(upstream_timeout=5 * SECOND, retry_attempts=1)
    )
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        registry = registry_at(redis, "")
        registry.register(f"http://127.0.0.1:{app}", "serving")
        settings = ProxySettings(
            origin=LiveClock.begin().origin, fleet=fleet, redis_url=redis, port=port, admin_port=admin
        )
        stack.enter_context(running(*nginx(tmp_path, app, 'return 200 "hello, world\\n";'), port=app))
        role = (sys.executable, "-m", "windtunnel.backends.live.role", "proxy")
        process = stack.enter_context(running(*role, port=port, given=settings.model_dump_json() + "\n"))
        # It has read the registry by then.
        time.sleep(1)
        wrk(port, process)
        rates, costs = [], []
        for _ in range(ROUNDS):
            rate, cost = wrk(port, process)
            with scraped(f"http://127.0.0.1:{admin}/metrics", 1.0) as sizes:
                rate_scraped, cost_scraped = wrk(port, process)
            assert len(sizes) >= 2
            rates.append(rate_scraped / rate)
            costs.append(cost_scraped / cost)
            print(f"{rate:6.0f}/s {cost:5.1f} us; scraped {rate_scraped:6.0f}/s {cost_scraped:5.1f} us")
    print(f"of the requests/s: median {statistics.median(rates):.3f}; of the CPU a request: {statistics.median(costs):.3f}")  # fmt: skip
    # A machine that does other things disturbs the rate by more than a scrape does; the CPU of a request less.
    assert statistics.median(costs) < 1.1
