"""windtunnel: a wind tunnel for a web fleet.

>>> from windtunnel import Scenario, replay
>>> run = replay(Scenario.load("steady"), seed=7)
"""

from .api import Difference, compare_runs, replay, report, verify
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
    "replay",
    "report",
    "verify",
]
