"""The gallery: the search finds each planted weakness within its budget, and nothing in the sound setting within ten times that."""

import pytest
from windtunnel.core.search.space import Candidate, Dice, drawn, plain
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.gallery import GALLERY, Planted
from windtunnel.scenarios.scenario import Scenario, gallery
from windtunnel.scenarios.search_space import SearchSpace
from windtunnel.searching import ratio_of, search_scenario
from windtunnel.sim.kernel.compiled import prepare
from windtunnel.sim.trial import tried

QUICK = ("scale-in-kills", "ejection-cascade")
"""Members whose search takes seconds."""

SEED = 1
DRAWS = 150

each = pytest.mark.parametrize(
    "planted",
    [pytest.param(one, id=one.name, marks=() if one.name in QUICK else pytest.mark.long) for one in GALLERY],
)


def space_of(planted: Planted, sound: bool = False) -> SearchSpace:
    return SearchSpace(Scenario.load(f"gallery/{planted.name}", planted.sound if sound else ()))


def violates(space: SearchSpace, candidate: Candidate) -> bool:
    prepare()
    variant = space.variant(candidate)
    assert variant is not None
    trace = tried(compile_plan(variant, "search"))
    return any(ratio_of(goal, trace) >= 1.0 for goal in space.goals)


def test_every_file_is_a_member_that_tells_how_it_becomes_sound() -> None:
    assert sorted(gallery()) == sorted(f"gallery/{one.name}" for one in GALLERY)
    for one in GALLERY:
        weak, sound = space_of(one), space_of(one, sound=True)
        told = " ".join((weak.scenario.document.description or "").split())
        assert all(text in told for text in one.sound), one.name
        assert weak.space == sound.space, f"{one.name}: the same variations are looked through in both"


@each
def test_the_search_finds_the_weakness_within_its_budget(planted: Planted) -> None:
    weak, sound = space_of(planted), space_of(planted, sound=True)
    assert not violates(weak, plain(weak.space)), "as it stands nothing is broken"
    found = search_scenario(weak.scenario, seed=SEED)
    assert found.findings, f"nothing within {weak.search.budget} experiments; nearest {found.nearest}"
    smallest = found.findings[0].candidate
    assert violates(weak, smallest)
    assert not violates(sound, smallest), "what breaks the weak fleet leaves the sound one as it is"


@pytest.mark.long
@pytest.mark.parametrize("planted", GALLERY, ids=lambda one: one.name)
def test_the_search_finds_nothing_in_the_sound_setting_in_ten_times_that(planted: Planted) -> None:
    sound = space_of(planted, sound=True)
    found = search_scenario(sound.scenario, budget=10 * sound.search.budget, seed=SEED)
    assert [finding.goal.name for finding in found.findings] == []


@pytest.mark.long
@pytest.mark.parametrize("planted", GALLERY, ids=lambda one: one.name)
def test_few_random_variations_show_the_weakness(planted: Planted) -> None:
    weak = space_of(planted)
    hits = sum(violates(weak, drawn(weak.space, Dice(SEED, number))) for number in range(DRAWS))
    assert hits < DRAWS // 5, f"{hits} of {DRAWS}: a search for that would mean nothing"
