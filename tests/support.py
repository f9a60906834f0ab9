"""What tests share: running a scenario from a mapping, in memory, on the twins."""

from collections import Counter
from collections.abc import Iterator
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
