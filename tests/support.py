"""What tests share: running a scenario from a mapping, in memory, on the twins."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.api import replay
from windtunnel.reports.run import Run
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.plan import Plan
from windtunnel.scenarios.scenario import Scenario


def scenario(document: dict[str, Any], seed: int = 1) -> Scenario:
    """A scenario from plain data."""
    return Scenario.parse(yaml.safe_dump({"scenario": "test", "seed": seed, **document}, sort_keys=False))


def plan(document: dict[str, Any], seed: int = 1) -> Plan:
    """The plan of plain data."""
    return compile_plan(scenario(document, seed))


TWINS: dict[str, Any] = {"registry": "memory", "cloud": "memory"}


def run(document: dict[str, Any], seed: int = 1, **options: Any) -> Run:
    """Replay plain data on the twins."""
    return replay(scenario(document, seed), **{"engine": engine[0], **TWINS, **options})


engine = ["kernel"]
"""What :func:`run` runs on."""


@pytest.fixture(params=["kernel", "simpy"])
def both_engines(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that uses this runs on the kernel and on the reference."""
    before, engine[0] = engine[0], request.param
    yield
    engine[0] = before


TRAFFIC = Path(__file__).parents[2] / "shared" / "data" / "twitter-2021-08.rate.csv.gz"
"""A day of real traffic, requests per second, if it lies beside the checkout."""

needs_traffic = pytest.mark.skipif(
    not TRAFFIC.exists(), reason="the day of real traffic is not beside this checkout"
)

ACCESS_LOG = TRAFFIC.with_name("access.log.gz")
"""10,000 requests of a public web server in Combined format, likewise."""

needs_access_log = pytest.mark.skipif(
    not ACCESS_LOG.exists(), reason="the access log is not beside this checkout"
)

DAY: dict[str, Any] = {
    "duration": "24h",
    "fleet": {
        "app": {
            "initial": 4, "min": 3, "max": 40, "workers": 4, "queue": 256,
            "boot_time": {"lognormal": {"mean": "40s", "cv": 0.3}},
        },
        "proxy": {
            "cpu_per_request": "50us", "upstream_timeout": "5s", "keepalive_timeout": "15s",
            "health_check": {"interval": "1s", "timeout": "500ms"},
        },
        "network": {"client": {"latency": "20ms", "jitter": "5ms"}, "upstream": {"latency": "0.5ms"}},
        "registry": {"backend": "memory"},
        "cloud": {"backend": "memory"},
    },
    "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "40ms"}}}],
    "traffic": [
        {"name": "users", "rate_csv": str(TRAFFIC), "client": {"timeout": "5s", "connections": {"pool": 400}}}
    ],
    "autoscaler": {"policy": {"threshold": {"requests_high": "50/s", "requests_low": "15/s"}}, "interval": "10s", "cooldown": "60s"},
}  # fmt: skip
"""That day on an autoscaled fleet."""


SHORT = {
    "chaos-monkey": ["duration=215s"],
    "retry-storm": ["duration=70s"],
    "thousand-servers": ["duration=2s"],
}
"""What is too long in the library for every commit, cut short; the long scope replays it whole."""


def outcomes(run: Run) -> Counter[str]:
    """How often each outcome occurred."""
    return Counter(run.requests.column("outcome").to_pylist())


def happened(run: Run, name: str) -> list[dict[str, Any]]:
    """The events called *name*."""
    return [event for event in run.events if event["event"] == name]


def steady(rate: str = "50/s", length: str = "10s", **more: Any) -> dict[str, Any]:
    """A document with one open source; *more* is merged into its top level."""
    base: dict[str, Any] = {
        "duration": length,
        "endpoints": [{"path": "/", "cpu": {"constant": "5ms"}}],
        "traffic": [{"name": "users", "stages": [{"for": length, "rate": rate}]}],
    }
    return {**base, **more}
