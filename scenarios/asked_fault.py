"""A fault that is asked for while a scenario is flown: said in the scenario's own words, checked as its own faults are."""

from collections.abc import Mapping

import yaml

from ..core.errors import UsageError
from ..core.model import FaultSpec
from .fault_timeline import fault_timeline
from .problems import ScenarioError, spell
from .scenario import Scenario
from .units import format_duration

SAID = ("name", "type", "for", "target", "stream", "toxicity", "attributes")
"""What may be said of one: all that a scenario says of a fault, but not when."""


def asked_fault(scenario: Scenario, wanted: object, name: str, now: int) -> FaultSpec:
    """The fault that *wanted* says (plain data), in *scenario*, from *now* on (ns); it is called *name* unless it has one of its own. Raises UsageError."""
    if not isinstance(wanted, Mapping):
        raise UsageError('expected a fault such as {"type": "kill"}, got something else')
    for key in wanted:
        if key not in SAID:
            raise UsageError(f"expected of a fault {', '.join(SAID)}, got {str(key)[:40]!r}")
    data = scenario.resolved()
    said = {"name": name, **wanted, "at": format_duration(now)}
    data["faults"] = [*data.get("faults", []), said]
    place = len(data["faults"]) - 1
    try:
        document = Scenario.parse(yaml.safe_dump(data), folder=scenario.folder).document
    except ScenarioError as error:
        problem = error.problems[0]
        where = spell(problem.path[2:]) if problem.path[:2] == ("faults", place) and problem.path[2:] else ""
        raise UsageError(f"{where}: {problem.message}" if where else problem.message) from None
    except yaml.YAMLError:
        raise UsageError("expected a fault as plain data, got something that cannot be written") from None
    return next(one for one in fault_timeline(document) if one.name == said["name"])
