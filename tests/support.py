"""What tests share: running a scenario from a mapping, in memory, on the twins."""

from collections import Counter
from typing import Any

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


def run(document: dict[str, Any], seed: int = 1, **options: Any) -> Run:
    """Replay plain data on the twins."""
    return replay(scenario(document, seed), **{"registry": "memory", "cloud": "memory", **options})


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
