"""What the profiler says of runs, by their directories: what the API and the command line share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyarrow import ArrowException

from .reports.evidence import Evidence
from .reports.profiler.diagnosis import diagnose
from .reports.profiler.hints.hint import Hint
from .reports.profiler.hints.rules import hints
from .reports.profiler.map import Map
from .reports.profiler.mapping import Maps
from .reports.profiler.signatures import Diagnosis
from .reports.run import Run, RunError
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario


@dataclass(frozen=True)
class Profile:
    """A run's map at any time, its failures with their origins, its hints; each is worked out when it is asked for."""

    evidence: Evidence

    @property
    def run(self) -> Run:
        """The run."""
        return self.evidence.run

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Its failures by signature, with their origins."""
        return diagnose(self.evidence)

    @cached_property
    def _maps(self) -> Maps:
        return Maps(self.evidence)

    def map(self, start: int, end: int) -> Map:
        """The map of [start, end) ns."""
        return self._maps.at(start, end)

    @cached_property
    def hints(self) -> tuple[Hint, ...]:
        """Its hints, the most severe first."""
        return hints(self.evidence)


def profile(directory: str | Path) -> Profile:
    """The profile of the run in *directory*, also of one that was cut off. Raises RunError for a directory without a run, or with a damaged one."""
    folder = Path(directory)
    run = Run.open(folder)
    fleet = compile_plan(Scenario.load(folder / "scenario.yaml")).fleet
    try:
        return Profile(Evidence.of(run, fleet))
    except (ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise RunError(f"{folder}: damaged run: {error}") from None
