"""Explaining and backtesting runs by their directories: what the API and the command line share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException

from .core.backtest import Backtest, Turn
from .core.backtest import backtest as judge
from .core.errors import UsageError
from .core.model import AutoscalerSpec, FleetSpec
from .core.records import view_of
from .reports.decision_log import DecisionLog
from .reports.explanation import Sentence, Situation, situation, story
from .reports.run import Run, RunError
from .scenarios.build import compile_plan
from .scenarios.differences import differences
from .scenarios.problems import ScenarioError
from .scenarios.scenario import Scenario

MAY_DIFFER = (
    "autoscaler.policy", "autoscaler.cooldown", "autoscaler.max_cost", "autoscaler.victims", "fleet.app.min", "fleet.app.max",
    "fleet.cloud.instance_cost",
)  # fmt: skip
"""What a backtest may change: the rest is in what was recorded already."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A run's decisions in sentences, and the autoscaler that took them."""

    run: Run
    spec: AutoscalerSpec
    log: DecisionLog

    def story(self) -> list[Sentence]:
        """See reports.explanation.story."""
        return story(self.log, self.spec)

    def at(self, time: int) -> Situation:
        """The last turn at or before *time* (ns). Raises UsageError if there was none."""
        found = situation(self.log, self.spec, time)
        if found is None:
            first = int(self.log.times[0]) / 1e9
            raise UsageError(f"expected a time from {first:g} s on, when the autoscaler had its first turn")
        return found


def explain(directory: str | Path) -> Explanation:
    """Read what the autoscaler of the run in *directory* recorded. Raises RunError for a directory without a run, or a run without such a record."""
    folder = Path(directory)
    run = Run.open(folder)
    log = _log(run, folder)
    _, spec = _spec(Scenario.load(folder / "scenario.yaml"), folder)
    return Explanation(run, spec, log)


def backtest(directory: str | Path, overrides: Sequence[str]) -> Backtest:
    """Ask the policy that the run's scenario has with *overrides* (``path=value``) what it would have decided.

    Raises RunError as :func:`explain`, ScenarioError for bad overrides, UsageError for ones that change what was recorded already.
    """
    folder = Path(directory)
    run = Run.open(folder)
    log = _log(run, folder)
    recorded = Scenario.load(folder / "scenario.yaml")
    other = _changed(folder, overrides)
    for field in differences(recorded, other):
        if not field.startswith(MAY_DIFFER):
            raise UsageError(
                f"--set {field.partition(':')[0]}: expected one of {', '.join(MAY_DIFFER)}; "
                f"a backtest can change nothing else, for the rest is in what was recorded"
            )
    fleet, spec = _spec(other, folder)
    if fleet.needs_proxy and not _spec(recorded, folder)[0].needs_proxy:
        raise UsageError(
            "expected a policy that looks at servers: the proxy's own samples are recorded only where the run's policy or alerts read them"
        )
    try:
        return judge(_Turns(log), spec, round(fleet.app.boot_time.mean))
    except (ArrowException, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise RunError(f"{folder}: damaged run: {error}") from None


def _changed(folder: Path, overrides: Sequence[str]) -> Scenario:
    if not overrides:
        raise UsageError("expected --set with another policy, such as --set autoscaler.cooldown=60s")
    return Scenario.load(folder / "scenario.yaml", overrides)


def _log(run: Run, folder: Path) -> DecisionLog:
    try:
        return DecisionLog(run)
    except (ArrowException, OSError) as error:
        # What pyarrow cannot decode is an OSError without a number; one with a number is the disk's.
        if getattr(error, "errno", None) is not None:
            raise
        raise RunError(f"{folder}: damaged run: {error}") from None


def _spec(scenario: Scenario, folder: Path) -> tuple[FleetSpec, AutoscalerSpec]:
    fleet = compile_plan(scenario).fleet
    if fleet.autoscaler is None:
        raise RunError(f"{folder}: expected a scenario with an autoscaler")
    return fleet, fleet.autoscaler


@dataclass(frozen=True, slots=True)
class _Turns:
    """The turns that decided something, each time anew from the files."""

    log: DecisionLog

    def __iter__(self) -> Iterator[Turn]:
        shares = self.log.failed()
        for number, seen in self.log.turns():
            row = self.log.rows[number]
            view = view_of(row, seen)
            if view is not None:
                yield Turn(view, row["desired"], row["reason"], row["dry_run"], shares[number])
