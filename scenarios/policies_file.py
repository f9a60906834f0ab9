"""What `windtunnel policies` compares: scenarios, and autoscalers by name, in one small file."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from .scenario import Scenario
from .schema import AutoscalerModel
from .schema_base import Model, Name
from .settings_file import read_settings


class PoliciesModel(Model):
    """Scenarios, and what each of them is rehearsed with in place of its own `autoscaler`."""

    scenarios: list[Name] = Field(
        min_length=1, description="names of the library, or files, relative to this one"
    )
    policies: dict[Name, AutoscalerModel] = Field(
        min_length=1, description="an `autoscaler` section for each name"
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario, and the same with each of the autoscalers, by name in the file's order."""

    scenario: Scenario
    rivals: dict[str, Scenario]


def read_policies(path: Path) -> list[Entry]:
    """The file at *path*, its scenarios loaded. Raises ScenarioError with every mistake found in it, or in the first scenario that has one."""
    found = read_settings(path, PoliciesModel, "scenarios and policies")
    entries = []
    for name in found.scenarios:
        local = path.parent / name
        place = local if local.is_file() else name
        rivals = {
            rival: Scenario.load(
                place, {"autoscaler": settings.model_dump(by_alias=True, exclude_none=True, mode="json")}
            )
            for rival, settings in found.policies.items()
        }
        entries.append(Entry(Scenario.load(place), rivals))
    return entries
