"""Who is tried next: candidates near a violation, and candidates that brought the engine into a state that it had not been in.

Theory of operation
-------------------
Each experiment gives for each goal a ratio (1: violated) and the set of engine states that it went through. The guide keeps, per goal, the few
candidates with the highest ratio, and every candidate that was the first to show some state. New candidates are changed copies of
those; some are drawn anew, so that no corner is given up. All is decided from the seed and from results in the order of their numbers: how
many processes evaluate them changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .space import Candidate, Dice, Space, corners, drawn, mutated

BEST = 8
"""Candidates kept per goal."""
_TRIES = 16
"""A change that leads to what was tried before is made anew so many times."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an experiment showed: how near each goal was to its violation, and the engine's states. None of it if the candidate is no valid scenario."""

    ratios: tuple[float, ...] = ()
    states: frozenset[str] = frozenset()

    @property
    def valid(self) -> bool:
        """Whether it could be run."""
        return bool(self.ratios)

    def violated(self) -> list[int]:
        """The goals that were violated."""
        return [goal for goal, ratio in enumerate(self.ratios) if ratio >= 1.0]


class Guide:
    """Proposes candidates and hears what became of them. Not *guided* it is a random search, to compare with."""

    def __init__(self, space: Space, seed: int, guided: bool = True, first: Sequence[Candidate] = ()) -> None:
        self._space = space
        self._seed = seed
        self._guided = guided
        self._number = 0
        self._tried: set[Candidate] = set()
        self._waiting = [*first, *(corners(space) if guided else corners(space)[:1])]
        self._best: list[list[tuple[float, int, Candidate]]] = []
        self._seen: set[str] = set()
        self._novel: list[Candidate] = []

    @property
    def states(self) -> int:
        """Engine states seen so far."""
        return len(self._seen)

    def propose(self, count: int) -> list[Candidate]:
        """*count* candidates; fewer when hardly any are left that were not tried."""
        found = []
        for _ in range(count):
            candidate = self._next()
            if candidate is None:
                break
            self._tried.add(candidate)
            found.append(candidate)
        return found

    def _next(self) -> Candidate | None:
        while self._waiting:
            candidate = self._waiting.pop(0)
            if candidate not in self._tried:
                return candidate
        for _ in range(_TRIES):
            self._number += 1
            dice = Dice(self._seed, self._number)
            candidate = self._made(dice) if self._guided else drawn(self._space, dice)
            if candidate not in self._tried:
                return candidate
        return None

    def _made(self, dice: Dice) -> Candidate:
        if not self._novel or dice.chance(1, 6):
            return drawn(self._space, dice)
        return mutated(self._space, self._parent(dice), self._parent(dice), dice)

    def _parent(self, dice: Dice) -> Candidate:
        hopeful = [best for best in self._best if best]
        if hopeful and dice.chance(2, 3):
            best = hopeful[dice.below(len(hopeful))]
            # The smaller of two is more often near the front.
            return best[min(dice.below(len(best)), dice.below(len(best)))][2]
        last = len(self._novel)
        return self._novel[max(dice.below(last), dice.below(last))]

    def note(self, candidate: Candidate, score: Score, done: Collection[int] = ()) -> None:
        """Hear the result of *candidate*, in the order in which they were proposed. Goals that are *done* guide no more."""
        if not score.valid:
            return
        self._best = self._best or [[] for _ in score.ratios]
        for goal, ratio in enumerate(score.ratios):
            if goal in done:
                self._best[goal] = []
            elif ratio > 0.0:
                # Of equal ones the one with fewer changes.
                kept = [*self._best[goal], (ratio, candidate.changes, candidate)]
                self._best[goal] = sorted(kept, key=lambda one: (-one[0], one[1]))[:BEST]
        if not score.states <= self._seen:
            self._seen |= score.states
            self._novel.append(candidate)
