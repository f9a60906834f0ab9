"""The guide: the same from the same seed, and nearer to what is hidden than chance."""

import statistics

from windtunnel.core.search.guide import Guide, Score
from windtunnel.core.search.space import Candidate, Dimension, FaultKind, Space, plain

GRID = Dimension("x", (1,) * 100)
SPACE = Space((GRID, GRID, GRID), 3, (FaultKind("kill", (GRID, GRID)), FaultKind("slow", (GRID,))), 3)


def needle(one: Candidate) -> Score:
    """Broken only near (80, 20, 60) with a kill late in the run; the ratio says how near."""
    apart = sum(abs(max(value, 0) - wanted) for value, wanted in zip(one.values, (80, 20, 60), strict=True))
    kills = [fault.genes[0] for fault in one.faults if fault.kind == 0]
    late = max(kills, default=0)
    ratio = 0.6 * (1 - min(apart / 150, 1)) + 0.4 * late / 100
    return Score(
        (1.0 if apart <= 12 and late >= 85 else min(ratio, 0.99),), frozenset({f"kills {len(kills)}"})
    )


def experiments_until_found(guided: bool, seed: int, budget: int) -> int:
    guide, done = Guide(SPACE, seed, guided), 0
    while done < budget:
        for candidate in guide.propose(16):
            score = needle(candidate)
            done += 1
            if score.violated():
                return done
            guide.note(candidate, score)
    return budget


def test_guided_needs_fewer_experiments_than_random() -> None:
    guided = [experiments_until_found(True, seed, 4000) for seed in range(5)]
    chance = [experiments_until_found(False, seed, 4000) for seed in range(5)]
    assert statistics.median(guided) * 3 < statistics.median(chance), (guided, chance)


def test_the_same_seed_proposes_the_same() -> None:
    def proposed(seed: int) -> list[Candidate]:
        guide, found = Guide(SPACE, seed), []
        for _ in range(6):
            batch = guide.propose(16)
            found += batch
            for candidate in batch:
                guide.note(candidate, needle(candidate))
        return found

    assert proposed(4) == proposed(4)
    assert proposed(4) != proposed(5)
    assert len(set(proposed(4))) == len(proposed(4))


def test_it_begins_with_examples_and_the_scenario_as_it_is() -> None:
    known = Candidate((1, 2, 3))
    assert Guide(SPACE, 0, True, [known]).propose(2) == [known, plain(SPACE)]


def test_a_small_space_is_exhausted() -> None:
    guide = Guide(Space((Dimension("x", (1, 1, 1)),)), 0)
    assert sorted(one.values for one in guide.propose(64)) == [(-1,), (0,), (1,), (2,)]
    assert guide.propose(64) == []


def test_what_is_no_scenario_teaches_nothing() -> None:
    guide = Guide(SPACE, 0)
    (candidate,) = guide.propose(1)
    guide.note(candidate, Score())
    assert guide.states == 0
