"""windtunnel: a wind tunnel for a web fleet.

>>> from windtunnel import Scenario, replay
>>> run = replay(Scenario.load("steady"), seed=7)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Difference, compare_runs, replay, report, verify
    from .app_metrics import record_metric
    from .comparing import compare
    from .reports.comparison import Comparison
    from .reports.run import Run, RunError
    from .reports.storage import StorageError
    from .scenarios.problems import Problem, ScenarioError
    from .scenarios.scenario import Scenario, library

__all__ = [
    "Comparison",
    "Difference",
    "Problem",
    "Run",
    "RunError",
    "Scenario",
    "ScenarioError",
    "StorageError",
    "compare",
    "compare_runs",
    "library",
    "record_metric",
    "replay",
    "report",
    "verify",
]

_HOMES = {
    ".api": ("Difference", "compare_runs", "replay", "report", "verify"),
    ".app_metrics": ("record_metric",),
    ".comparing": ("compare",),
    ".reports.comparison": ("Comparison",),
    ".reports.run": ("Run", "RunError"),
    ".reports.storage": ("StorageError",),
    ".scenarios.problems": ("Problem", "ScenarioError"),
    ".scenarios.scenario": ("Scenario", "library"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a live role is a process of this package, and needs no figures."""
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(home, __name__), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
