"""From the words of a command line to the deploy that core.rollout drives."""

from collections.abc import Mapping
from dataclasses import replace

from ...core.analysis import AnalysisSpec
from ...core.errors import UsageError
from ...core.model import SECOND
from ...core.rollout import Analyse, Bound, DeploySpec
from ...core.rollout.spec import ALL_AT_ONCE, CANARY, CANARY_STEPS, PROXY, ROLLING, SetWeight, Step
from ...scenarios.build import compile_plan
from ...scenarios.scenario import Scenario

_STRATEGIES = (ROLLING, ALL_AT_ONCE, CANARY_STEPS)


def spec_of(
    branch: str,
    version: str,
    strategy: str,
    unavailable: str,
    weight: tuple[int, int],
    durations: Mapping[str, int],
) -> DeploySpec:
    """A deploy of hosts that are there: nothing is launched for it, so that servers are exchanged in place. *durations* (ns): min_ready, drain, deadline, analysis. Raises UsageError."""
    strategy = strategy or (CANARY_STEPS if branch == CANARY else ROLLING)
    if strategy not in _STRATEGIES:
        raise UsageError(
            f"--strategy {strategy}: expected one of {', '.join(_STRATEGIES)}; hosts of an inventory cannot be doubled"
        )
    if strategy == CANARY_STEPS and branch != CANARY:
        raise UsageError(f"--strategy {strategy}: expected --branch {CANARY}, got {branch}")
    steps: tuple[Step, ...] = ()
    if strategy == CANARY_STEPS:
        length = durations["analysis"]
        steps = (
            SetWeight(weight),
            Analyse(AnalysisSpec(length=length, every=max(SECOND, min(5 * SECOND, length // 4)))),
        )
    known = branch if branch != "build" else "redis"
    return DeploySpec(
        name=f"{branch}-{version}", at=0, branch=known, version=version, strategy=strategy, max_surge=Bound(0),
        max_unavailable=_bound(unavailable), drain=durations["drain"], min_ready=durations["min_ready"],
        deadline=durations["deadline"], verify=durations["min_ready"], steps=steps, handover=branch == PROXY,
    )  # fmt: skip


def spec_as_in(scenario: str, branch: str, version: str) -> DeploySpec:
    """The deploy of *branch* that *scenario* rehearses, for *version*. Nothing is launched for it: servers are exchanged in place where the rehearsal surges. Raises UsageError, ScenarioError."""
    found = [one for one in compile_plan(Scenario.load(scenario)).fleet.deploys if one.branch == branch]
    if not found:
        raise UsageError(f"--as-in {scenario}: expected a deploy of the branch {branch}, found none")
    spec = found[0]
    if spec.strategy not in _STRATEGIES:
        raise UsageError(
            f"--as-in {scenario}: the strategy {spec.strategy} needs a second set of hosts, which an inventory has not"
        )
    stays = spec.max_unavailable == Bound(0)
    return replace(
        spec, name=f"{branch}-{version}", at=0, version=version, max_surge=Bound(0), expect="",
        max_unavailable=Bound(1) if stays else spec.max_unavailable,
    )  # fmt: skip


def _bound(text: str) -> Bound:
    try:
        if text.endswith("%"):
            share = float(text.removesuffix("%")) / 100
            if 0 < share <= 1:
                return Bound(share=share)
        elif int(text) > 0:
            return Bound(int(text))
    except ValueError:
        pass  # No number: told below, as are those out of range.
    raise UsageError(f"--max-unavailable {text}: expected a number above 0, or a share such as 25%")
