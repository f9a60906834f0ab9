"""The search for what breaks a fleet: experiments by the thousand on several processes, and the simplest scenario that still breaks the goal.

The search itself is in ``core.search`` (who is next, what is simpler), the space in ``scenarios.search_space``, an experiment in ``sim.trial``.
Here they are put together. Candidates are proposed and judged in batches of a fixed size, in order: the number of processes changes no result.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .core.errors import UsageError
from .core.invariants import Trace, judge_invariant, nearness
from .core.search.guide import Guide, Score
from .core.search.shrinking import shrink
from .core.search.space import Candidate
from .core.search.states import states_of
from .core.slo import judge
from .parallel import Workers
from .scenarios.build import compile_plan
from .scenarios.plan import Plan
from .scenarios.problems import ScenarioError
from .scenarios.scenario import Scenario
from .scenarios.search_parts import Goal
from .scenarios.search_space import SearchSpace

BATCH = 64
"""Candidates that are proposed before any of them is judged."""
_CHUNK = 4
"""Candidates that a process takes at once."""
_LASTING = ("recovers_within", "shrinks_within")
"""Goals that are about what does not end: their runs are not cut short."""
_COLLECT = 32
"""Experiments between two collections of garbage."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: *done* experiments of *budget*, engine states seen, the highest ratio, and what it is shrinking, if anything."""

    done: int
    budget: int
    states: int
    nearest: float
    shrinking: str = ""


Told = Callable[[Progress], None]


@dataclass(slots=True)
class Finding:
    """A goal that was broken: by the *candidate*, first in experiment *number*, shrunk in *steps* further experiments (*whole*: to the end)."""

    goal: Goal
    candidate: Candidate
    number: int
    steps: int = 0
    whole: bool = False


@dataclass(slots=True)
class Searched:
    """What a search came to. *exhausted*: there was nothing left to try."""

    space: SearchSpace
    findings: list[Finding] = field(default_factory=list)
    experiments: int = 0
    states: int = 0
    nearest: tuple[float, ...] = ()
    exhausted: bool = False
    interrupted: bool = False


def checked(scenario: Scenario) -> SearchSpace:
    """The space of *scenario*. Raises UsageError if it has none."""
    if scenario.document.search is None:
        raise UsageError(
            f"{scenario.origin}: expected a section search: that says what may vary (docs/search.md)"
        )
    return SearchSpace(scenario)


def search_scenario(
    scenario: Scenario, *, budget: int | None = None, seed: int = 0, jobs: int = 1, guided: bool = True,
    every: bool = False, first: Sequence[Candidate] = (), told: Told = lambda progress: None,
) -> Searched:  # fmt: skip
    """Look for candidates that break a goal of *scenario*, and shrink what was found; one per goal.

    It ends with the batch of the first finding, or (*every*) when each goal has one, or with the *budget* (the scenario's unless told). Not *guided* it is
    a random search. *first* is tried before anything else. Raises UsageError for a scenario without a section ``search``. Ctrl-C ends it with what was found.
    """
    space = checked(scenario)
    if jobs < 1:
        raise UsageError(f"expected at least 1 job, got {jobs}")
    result = Searched(space, nearest=(0.0,) * len(space.goals))
    limit = space.search.budget if budget is None else budget
    try:
        with _collections_as_before(), Workers(jobs, _prepare, scenario) as workers:
            run = _Search(result, workers, limit, Guide(space.space, seed, guided, first), every, told)
            run.explore()
            run.shrink()
    except KeyboardInterrupt:
        result.interrupted = True
    return result


class _Search:
    """A search under way; what it has found so far is in *result* at any moment."""

    def __init__(
        self, result: Searched, workers: Workers, budget: int, guide: Guide, every: bool, told: Told
    ) -> None:
        self.result = result
        self._workers = workers
        self._budget = budget
        self._guide = guide
        self._every = every
        self._told = told

    def explore(self) -> None:
        """Try candidates until there is enough."""
        result, goals = self.result, self.result.space.goals
        done: set[int] = set()
        while result.experiments < self._budget and len(done) < len(goals):
            batch = self._guide.propose(min(BATCH, self._budget - result.experiments))
            if not batch:
                result.exhausted = True
                return
            for candidate, score in zip(batch, self._judged(batch), strict=True):
                result.experiments += 1
                for goal in score.violated():
                    if goal not in done:
                        done.add(goal)
                        result.findings.append(Finding(goals[goal], candidate, result.experiments))
                self._guide.note(candidate, score, done)
                if score.valid:
                    pairs = zip(result.nearest, score.ratios, strict=True)
                    result.nearest = tuple(max(pair) for pair in pairs)
            result.states = self._guide.states
            self._tell()
            if result.findings and not self._every:
                return

    def shrink(self) -> None:
        """Make what was found simpler; a finding is at any moment the simplest so far."""
        for finding in self.result.findings:
            goal = self.result.space.goals.index(finding.goal)

            def check(
                candidates: Sequence[Candidate], goal: int = goal, finding: Finding = finding
            ) -> list[bool]:
                finding.steps += len(candidates)
                self._tell(finding)
                return [goal in score.violated() for score in self._judged(candidates)]

            def simpler(candidate: Candidate, finding: Finding = finding) -> None:
                finding.candidate = candidate

            lasting = finding.goal.name in _LASTING
            finding.candidate = shrink(
                self.result.space.space, finding.candidate, check, simpler, not lasting
            )
            finding.whole = True

    def _judged(self, candidates: Sequence[Candidate]) -> Iterator[Score]:
        chunks = [candidates[at : at + _CHUNK] for at in range(0, len(candidates), _CHUNK)]
        for scores in self._workers.map(_judge_all, chunks):
            yield from scores

    def _tell(self, finding: Finding | None = None) -> None:
        result = self.result
        shrinking = "" if finding is None else f"{finding.goal.name}, {finding.steps} experiments"
        self._told(
            Progress(
                result.experiments, self._budget, result.states, max(result.nearest, default=0.0), shrinking
            )
        )


@contextmanager
def _collections_as_before() -> Iterator[None]:
    """One job works in this process: what it does to the collector of garbage is undone."""
    before = gc.get_threshold()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


# In each process.

_bench: "_Bench | None" = None


def _prepare(scenario: Scenario) -> None:
    global _bench
    from .sim import trial
    from .sim.kernel.compiled import prepare

    prepare()
    _bench = _Bench(SearchSpace(scenario), trial.tried)
    # What is there now stays; what experiments leave behind in cycles is collected now and then.
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)


def _judge_all(candidates: Sequence[Candidate]) -> list[Score]:
    assert _bench is not None, "a worker that was not prepared"
    return [_bench.judged(candidate) for candidate in candidates]


class _Bench:
    """Where candidates are tried."""

    def __init__(self, space: SearchSpace, rehearse: Callable[[Plan], Trace]) -> None:
        self._space = space
        self._rehearse = rehearse
        self._tried = 0

    def judged(self, candidate: Candidate) -> Score:
        """Rehearse *candidate* and judge it."""
        self._tried += 1
        if self._tried % _COLLECT == 0:
            gc.collect()
        variant = self._space.variant(candidate)
        if variant is None:
            return Score()
        try:
            plan = compile_plan(variant, "search")
        except ScenarioError:
            return Score()
        trace = self._rehearse(plan)
        return Score(tuple(ratio_of(goal, trace) for goal in self._space.goals), states_of(trace))


def ratio_of(goal: Goal, trace: Trace) -> float:
    """How near *trace* is to breaking *goal*: 1 and above is broken."""
    if goal.invariant is not None:
        return judge_invariant(goal.invariant, trace).ratio
    columns = (trace.requests[name] for name in ("time_ns", "source", "latency_ns", "outcome"))
    slo = next(slo for slo in trace.fleet.slos if slo.name == goal.name)
    return nearness(judge(slo, *columns))
