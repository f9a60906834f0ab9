"""Rollouts on a fleet in memory: bounds, gates, ways back, and drivers that die."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core.rollout.rollout import Rollout
from windtunnel.core.rollout.spec import (
    ALL_AT_ONCE,
    BLUE_GREEN,
    CANARY_STEPS,
    MINUTE,
    ROLLING,
    SECOND,
    Bound,
    DeploySpec,
    Pause,
    SetWeight,
)
from windtunnel.core.rollout.states import ENDED, TRANSITIONS, IllegalTransition, State, move

from .fleet import Build, Driver, Fleet, deploy

GOOD = {"v1": Build(), "v2": Build()}
BAD = {
    "fails": Build(fails=True),
    "sick": Build(healthy=False),
    "crashes": Build(crashes=6),
}


def spec(strategy: str = ROLLING, branch: str = "master", **more: object) -> DeploySpec:
    settings_: dict[str, object] = {
        "deadline": 30 * SECOND,
        "timeout": 10 * MINUTE,
        "verify": 10 * SECOND,
        "keep": 8 * SECOND,
    }
    return DeploySpec("d", 0, branch, "v2", strategy, **{**settings_, **more})  # type: ignore[arg-type]


def test_every_state_can_be_left_but_the_last_ones() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {"promoted", "rolled_back", "aborted", "superseded", "failed"} == ENDED
    for state in set(State) - ENDED:
        seen = {state}
        while new := {after for one in seen for after in TRANSITIONS[one]} - seen:
            seen |= new
        assert seen & ENDED, state
    with pytest.raises(
        IllegalTransition, match="deploy d cannot become queued while promoted; possible: nothing"
    ):
        move("d", State.PROMOTED, State.QUEUED)


def test_a_share_is_rounded_as_in_kubernetes() -> None:
    quarter = Bound(share=0.25)
    assert [quarter.of(n, up=True) for n in (1, 4, 5, 10)] == [1, 1, 2, 3]
    assert [quarter.of(n, up=False) for n in (1, 4, 5, 10)] == [0, 1, 1, 2]
    assert Bound(share=0.1).of(30, up=True) == 3
    assert Bound(3).of(2, up=False) == 3


@pytest.mark.parametrize("strategy", [ALL_AT_ONCE, ROLLING, BLUE_GREEN, CANARY_STEPS])
def test_a_good_version_is_promoted_everywhere(strategy: str) -> None:
    fleet = Fleet.of(4, GOOD, standby=1)
    driver = deploy(fleet, spec(strategy, steps=(SetWeight((1, 10)), Pause(5 * SECOND))))
    assert driver.run() == "promoted"
    assert fleet.versions() == ["v2"] * 4
    assert fleet.versions("standby") == ["v2"]
    assert len(fleet.boxes) == 5
    assert fleet.share is None
    assert (driver.least == 0) == (strategy == ALL_AT_ONCE)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("strategy", [ALL_AT_ONCE, ROLLING, BLUE_GREEN, CANARY_STEPS])
def test_a_bad_version_is_taken_back(strategy: str, bad: str) -> None:
    fleet = Fleet.of(4, {"v1": Build(), "v2": BAD[bad]})
    driver = deploy(fleet, spec(strategy))
    assert driver.run() == "rolled_back"
    assert fleet.versions() == ["v1"] * 4
    assert len(fleet.boxes) == 4
    assert fleet.share is None


@pytest.mark.parametrize("surge", [0, 1])
def test_a_deploy_that_stops_touches_no_further_server(surge: int) -> None:
    fleet = Fleet.of(4, {"v1": Build(), "v2": BAD["sick"]})
    driver = deploy(fleet, spec(on_failure="stop", max_surge=Bound(surge), max_unavailable=Bound(1 - surge)))
    assert driver.run() == "failed"
    assert fleet.versions() == ["v1"] * (4 if surge else 3)
    assert driver.least == 4 - (1 - surge)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("strategy", [ALL_AT_ONCE, ROLLING, BLUE_GREEN, CANARY_STEPS])
def test_whatever_stops_ends(strategy: str, bad: str) -> None:
    fleet = Fleet.of(4, {"v1": Build(), "v2": BAD[bad]})
    assert deploy(fleet, spec(strategy, on_failure="stop")).run() in ("failed", "rolled_back")
    assert fleet.share is None
    assert all(fleet.healthy(box) or box.phase == "failed" for box in fleet.standing())


def test_canaries_that_the_fleet_has_get_the_version_in_place_and_back() -> None:
    fleet = Fleet.of(3, {"v1": Build(), "v2": Build(crashes=20)}, canaries=2)
    driver = deploy(
        fleet, spec(CANARY_STEPS, branch="canary", steps=(SetWeight((1, 10)), Pause(60 * SECOND)))
    )
    while driver.rollout.state != "paused":
        driver.step(-1)
        fleet.tick()
    assert fleet.versions("canary") == ["v2", "v2"]
    assert fleet.share == (1, 10)
    assert driver.run() == "rolled_back"
    assert fleet.versions("canary") == ["v1", "v1"]
    assert fleet.versions() == ["v1"] * 3
    assert fleet.share is None


@pytest.mark.parametrize(
    ("branch", "healthy"), [("proxy", True), ("proxy", False), ("redis", True), ("redis", False)]
)
def test_the_proxy_and_the_registry(branch: str, healthy: bool) -> None:
    fleet = Fleet.of(1, {"v1": Build(), "v2": Build(healthy=healthy)})
    assert deploy(fleet, spec(branch=branch)).run() == ("promoted" if healthy else "rolled_back")
    component = fleet.proxy if branch == "proxy" else fleet.registry
    assert component.version == ("v2" if healthy else "v1")


def test_people_may_promote_and_abort() -> None:
    steps = (SetWeight((1, 4)), Pause(MINUTE), Pause(MINUTE))
    for what, end in (("promote", "promoted"), ("abort", "aborted")):
        fleet = Fleet.of(2, GOOD)
        driver = deploy(fleet, spec(CANARY_STEPS, steps=steps))
        while driver.rollout.state != "paused":
            driver.step(-1)
            fleet.tick()
        driver.rollout.ask(what)
        assert driver.run() == end
        assert fleet.versions() == ["v2" if end == "promoted" else "v1"] * 2
        assert len(fleet.boxes) == 2


def test_a_fleet_that_is_scaled_meanwhile_keeps_its_size() -> None:
    for surge in (0, 1):
        fleet = Fleet.of(4, GOOD)
        driver = deploy(fleet, spec(max_surge=Bound(surge), max_unavailable=Bound(1 - surge)))
        for turn in range(2000):
            driver.step(turn)
            if driver.rollout.ended:
                break
            fleet.tick()
            if turn == 10:
                fleet.add("serving", "v1", listed="serving")
                fleet.add("serving", "v2", listed="serving")
            if turn == 25:
                gone = next(box for box in fleet.standing() if box.version == "v1")
                del fleet.boxes[gone.address]
        assert driver.rollout.state == "promoted"
        assert fleet.versions() == ["v2"] * 5, surge
        assert len(fleet.boxes) == 5


BOUNDS = st.one_of(
    st.integers(0, 3).map(Bound), st.sampled_from([0.1, 0.25, 0.5, 1.0]).map(lambda share: Bound(share=share))
)
BUILDS = st.one_of(
    st.just(Build()),
    st.just(Build(fails=True)),
    st.just(Build(healthy=False)),
    st.builds(lambda after: Build(crashes=after), st.integers(0, 40)),
)
DEATHS = st.dictionaries(st.integers(0, 120), st.tuples(st.integers(0, 6), st.booleans()), max_size=12)
STEPS = st.lists(
    st.one_of(
        st.sampled_from([(1, 10), (1, 4), (1, 1)]).map(SetWeight),
        st.integers(0, 20).map(lambda s: Pause(s * SECOND)),
    ),
    max_size=3,
).map(tuple)


@st.composite
def deploys(draw: st.DrawFn) -> DeploySpec:
    surge, unavailable = draw(BOUNDS), draw(BOUNDS)
    if surge == unavailable == Bound(0):
        surge = Bound(1)
    strategy = draw(st.sampled_from([ALL_AT_ONCE, ROLLING, ROLLING, BLUE_GREEN, CANARY_STEPS]))
    return spec(
        strategy, draw(st.sampled_from(["master", "master", "canary"])) if strategy != BLUE_GREEN else "master",
        max_surge=surge, max_unavailable=unavailable, drain=draw(st.sampled_from([0, SECOND, 10 * SECOND])),
        min_ready=draw(st.sampled_from([0, 2 * SECOND])), steps=draw(STEPS), verify=draw(st.sampled_from([0, 45 * SECOND])),
    )  # fmt: skip


@given(deploys(), st.integers(1, 7), st.integers(0, 2), BUILDS, DEATHS)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_a_deploy_ends_well(
    wanted: DeploySpec, serving: int, canaries: int, build: Build, deaths: dict[int, tuple[int, bool]]
) -> None:
    """Bounds hold at any moment; a driver that dies changes nothing of the end; what goes wrong ends with the old version everywhere."""
    fleet = Fleet.of(serving, {"v1": Build(), "v2": build}, canaries=canaries)
    driver = deploy(fleet, wanted, dies=dict(deaths))
    end = driver.run()
    assert end in ("promoted", "rolled_back")
    if build == Build():
        assert end == "promoted"
    homes = ["serving"] if wanted.branch == "master" else []
    homes += ["canary"] if wanted.branch == "canary" else []
    for home in homes if wanted.strategy != CANARY_STEPS else ["serving", "canary"]:
        assert set(fleet.versions(home)) <= {"v2" if end == "promoted" else "v1"}
    assert (len(fleet.standing()), len(fleet.standing("canary"))) == (serving, canaries)
    assert len(fleet.boxes) == serving + canaries
    assert fleet.share is None
    # Servers that nobody broke: bounds of the role's own lists.
    if wanted.branch == "master" and wanted.strategy == ROLLING:
        surge, unavailable = (
            wanted.max_surge.of(serving, up=True),
            wanted.max_unavailable.of(serving, up=False),
        )
        assert driver.most <= serving + surge
        if build.crashes < 0:
            assert driver.least >= serving - max(unavailable, 1 if surge == 0 else 0)


@given(deploys(), st.integers(1, 5), DEATHS)
@settings(max_examples=60, deadline=None)
def test_a_death_changes_nothing_of_the_fleet_in_the_end(
    wanted: DeploySpec, serving: int, deaths: dict[int, tuple[int, bool]]
) -> None:
    ends = []
    for dies in ({}, deaths):
        fleet = Fleet.of(serving, GOOD, canaries=1)
        end = deploy(fleet, wanted, dies=dict(dies)).run()
        ends.append(
            (end, sorted((box.home, box.listed, box.version, box.phase) for box in fleet.boxes.values()))
        )
    assert ends[0] == ends[1]


@given(deploys(), deploys(), st.integers(0, 60), BUILDS, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_the_newer_push_repairs_what_the_older_left(
    older: DeploySpec, newer: DeploySpec, after: int, build: Build, serving: int
) -> None:
    """v3 supersedes v2 at any moment: in the end all that either touched runs v3."""
    fleet = Fleet.of(serving, {"v1": Build(), "v2": build, "v3": Build()}, canaries=1)
    first = deploy(fleet, older)
    for turn in range(after):
        first.step(turn)
        fleet.tick()
        if first.rollout.ended:
            break
    first.rollout.supersede(fleet.second * SECOND)
    canary = older.branch == "canary" and older.strategy != CANARY_STEPS
    strategy = ROLLING if canary and newer.strategy == BLUE_GREEN else newer.strategy
    push = DeploySpec(
        "e",
        0,
        "canary" if canary else "master",
        "v3",
        strategy,
        newer.max_surge,
        newer.max_unavailable,
        deadline=30 * SECOND,
    )
    stable = "v2" if first.rollout.state == "promoted" else "v1"
    second = Driver(fleet, push, Rollout.begin(push, stable, first.rollout.books))
    assert second.run() == "promoted"
    assert push.claims & older.claims
    assert fleet.versions() == ["v3" if not canary or strategy == CANARY_STEPS else "v1"] * serving
    assert len(fleet.boxes) == serving + 1
    if first.rollout.state == "superseded":
        assert set(fleet.versions("canary")) <= {"v1", "v3"}
    assert fleet.share is None


def test_canaries_that_a_deploy_launched_in_the_place_of_others_are_the_next_ones() -> None:
    fleet = Fleet.of(2, {"v1": Build(), "v2": Build(), "v3": Build()}, canaries=1)
    rolling = DeploySpec("one", 0, "canary", "v2", ROLLING, drain=0)
    assert deploy(fleet, rolling).run() == "promoted"
    assert fleet.versions("canary") == ["v2"]
    steps = DeploySpec("two", 0, "canary", "v3", CANARY_STEPS, drain=0)
    driver = deploy(fleet, steps)
    assert driver.run() == "promoted"
    assert (fleet.versions(), fleet.versions("canary")) == (["v3"] * 2, ["v3"])
    assert len(fleet.boxes) == 3
