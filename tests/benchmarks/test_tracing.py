"""What traces cost the live proxy: off, and on with a share of a hundredth and with everything, in alternating runs of wrk against the same app server.

Needs wrk and nginx. The peer is the proxy itself without tracing.
"""

import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from windtunnel.backends.connection import registry_at
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.core.model import SECOND, AppSpec, FleetSpec, ProxySpec
from windtunnel.tests.backends.proxy.test_role import redis_server
from windtunnel.tests.backends.tracing.collector import collecting

from .test_proxy import free_port, nginx, running, wrk

pytestmark = pytest.mark.benchmark

ROUNDS = 3
RATIO = "parentbased_traceidratio"
HUNDREDTH = {"OTEL_TRACES_SAMPLER": RATIO, "OTEL_TRACES_SAMPLER_ARG": "0.01"}
UNSAMPLED = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

VARIANTS: dict[str, tuple[dict[str, str] | None, str]] = {
    "off": (None, ""),
    "a hundredth, traces begin here": (HUNDREDTH, ""),
    "none kept, traces go on": (HUNDREDTH, UNSAMPLED),
    "everything": ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, ""),
}
"""What the environment says besides the endpoint, None: nothing; and a header of each request."""


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """While it holds, what is started has these variables."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def test_what_it_costs(tmp_path: Path) -> None:
    if not (shutil.which("wrk") and shutil.which("nginx")):
        pytest.fail("expected wrk and nginx: apt install wrk nginx-light")
    app = free_port()
    fleet = FleetSpec(
        "bench", 1, SECOND, 0, AppSpec(),
        ProxySpec(upstream_timeout=5 * SECOND, keepalive_timeout=30 * SECOND, retry_attempts=1, max_in_flight=1000),
    )  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        url = stack.enter_context(redis_server())
        registry_at(url, "").register(f"http://127.0.0.1:{app}", "serving")
        stack.enter_context(running(*nginx(tmp_path, app, 'return 200 "hello, world\\n";'), port=app))
        proxies = {}
        for name, (values, _) in VARIANTS.items():
            port = free_port()
            settings = ProxySettings(origin=LiveClock.begin().origin, fleet=fleet, redis_url=url, port=port)
            endpoint = {} if values is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **values}
            with environment(endpoint):
                role = (sys.executable, "-m", "windtunnel.backends.live.role", "proxy")
                given = settings.model_dump_json() + "\n"
                proxies[name] = (port, stack.enter_context(running(*role, port=port, given=given)))
        time.sleep(1)
        for _ in range(ROUNDS):
            for name, (port, process) in proxies.items():
                header = VARIANTS[name][1]
                found[name].append(wrk(port, process, *(("-H", header) if header else ()))[1])
    cost = {name: statistics.median(values) for name, values in found.items()}
    ratio = {name: statistics.median(map(lambda a, b: a / b, found[name], found["off"])) for name in VARIANTS}
    report = ", ".join(f"{name} {cost[name]:.1f} us ({ratio[name]:.2f})" for name in VARIANTS)
    sys.stderr.write(f"\nCPU of the proxy a request: {report}\n")
    assert ratio["none kept, traces go on"] < 1.5
    assert ratio["a hundredth, traces begin here"] < 1.5
