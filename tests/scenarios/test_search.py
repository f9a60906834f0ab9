"""The section ``search:``: ranges as grids, mistakes told once and clearly, no change of any replay, and points of the space as scenarios."""

import re
from pathlib import Path

import pytest
from windtunnel import Scenario, ScenarioError
from windtunnel.core.invariants import INVARIANTS
from windtunnel.core.search.space import BASE, Candidate, Dice, FaultGene, drawn, plain
from windtunnel.scenarios.grids import grid_of
from windtunnel.scenarios.search_space import SearchSpace

SHOP = """
scenario: shop
seed: 7
duration: 60s
fleet: {app: {initial: 5, min: 5, max: 10, workers: 2}}
endpoints: [{path: /, cpu: {exponential: {mean: 20ms}}}]
traffic: [{name: users, stages: [{for: 60s, rate: 100/s}]}]
autoscaler: {interval: 5s, policy: {threshold: {requests_high: 40/s, requests_low: 10/s}}}
faults: [{name: kill, type: kill, at: 3s}]
slo: [{name: p99, indicator: latency_p99, below: 1s}]
"""
SEARCH = """
search:
  seeds: 3
  vary:
    traffic.users.stages[0].rate: {min: 50/s, max: 200/s, step: 10/s}
    fleet.app.boot_time.constant: {min: 5s, max: 60s}
    fleet.proxy.routing: {values: [round_robin, random]}
  faults:
    most: 2
    window: {from: 5s, to: 45s}
    for: {min: 1s, max: 20s}
    kinds:
      - {type: kill, target: {role: app, count: {min: 1, max: 3}}}
      - {type: latency, at: 10s, attributes: {latency: {min: 50ms, max: 2s}}}
"""


def problems(text: str) -> str:
    with pytest.raises(ScenarioError) as error:
        Scenario.parse(text, "shop.yaml")
    (problem,) = error.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ({"min": "5s", "max": "60s", "step": "20s"}, ("5s", "20s", "40s", "1m")),
        ({"min": "50/s", "max": "75/s", "step": "10/s"}, ("50/s", "60/s", "70/s", "75/s")),
        ({"min": 1, "max": 4}, (1, 2, 3, 4)),
        ({"min": 0, "max": "20%", "step": "10%"}, ("0%", "10%", "20%")),
        ({"min": 1.5, "max": 2, "step": 0.25}, (1.5, 1.75, 2)),
        ({"min": "1KiB", "max": "3KiB", "step": "1KiB"}, ("1KiB", "2KiB", "3KiB")),
        ({"values": ["a", "b"]}, ("a", "b")),
        ("5s", ("5s",)),
    ],
)
def test_a_range_is_a_grid_of_round_values(written: object, values: tuple[object, ...]) -> None:
    assert grid_of(written).values == values


def test_a_range_without_a_step_has_up_to_a_hundred_round_ones() -> None:
    grid = grid_of({"min": "1s", "max": "20s"})
    assert 90 <= len(grid.values) <= 102
    assert min(zip(grid.costs, grid.values, strict=True))[1] in ("1s", "10s")
    assert grid.costs[grid.values.index("10s")] < grid.costs[grid.values.index("10200ms")]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("search: {}", "search: expected something to vary: vary, seeds or faults"),
        ("search: {vary: {fleet.app.bot_time.constant: {min: 1s, max: 2s}}}", "search.vary.fleet.app.bot_time.constant: 1s does not fit: fleet.app.bot_time: unknown key; did you mean 'boot_time'?"),
        ("search: {vary: {'traffic.user.stages[0].rate': {min: 1/s, max: 2/s}}}", "no element 'user'; there are users"),
        ("search: {vary: {duration: {min: 0s, max: 2s}}}", "0s does not fit: duration: expected a value above 0"),
        ("search: {vary: {fleet.app.max: {min: 1, max: 20}}}", "1 does not fit: "),
        ("search: {vary: {duration: 5s}}", "expected a range {min, max} or {values: [...]}, got '5s'"),
        ("search: {vary: {duration: {min: 5s, max: 2s}}}", "expected min below max, got '5s' and '2s'"),
        ("search: {vary: {duration: {min: 5s, max: 2}}}", "expected min and max of one kind, got '5s' and 2"),
        ("search: {vary: {duration: {min: 5s}}}", "expected min and max, or values, got no max"),
        ("search: {vary: {duration: {min: 1ms, max: 1h, step: 1ms}}}", "expected a step that makes at most 4096 values"),
        ("search: {seeds: 2, goals: [p98]}", "search.goals[0]: no objective or invariant 'p98'; did you mean 'p99'?"),
        ("search: {faults: {kinds: [{type: kill, for: 5s}]}}", "expected no for: kill strikes at once"),
        ("search: {faults: {kinds: [{type: cache_flush}]}}", "search.faults.kinds[0]: does not fit: faults[1].type: expected a dependency"),
        ("search: {faults: {kinds: [{type: slow}]}}", "search.faults.kinds[0]: does not fit: "),
        ("search: {faults: {kinds: [{type: slow, attributes: {factor: {min: 0, max: 2}}}]}}", "expected a number above 0"),
        ("invariants: {conservation: false}", "expected an invariant among conservation, capacity"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_sentence(wrong: str, told: str) -> None:
    assert told in problems(SHOP + wrong)


def test_the_section_changes_no_replay() -> None:
    bare, searched = (
        Scenario.parse(SHOP),
        Scenario.parse(SHOP + SEARCH + "invariants: {recovers_within: 5s}\n"),
    )
    assert bare.fingerprint() == searched.fingerprint()
    assert Scenario.parse(searched.to_yaml()).document == searched.document


def test_a_point_of_the_space_is_a_scenario() -> None:
    space = SearchSpace(Scenario.parse(SHOP + SEARCH))
    assert space.written(plain(space.space)) == {k: v for k, v in space.data.items() if k != "search"}
    kill, latency = FaultGene(0, (2, 0)), FaultGene(1, (0, 0))
    written = space.written(Candidate((0, BASE, 1), 2, (kill, latency), 3))
    assert written["traffic"][0]["stages"][0]["rate"] == "50/s"
    assert written["fleet"]["proxy"] == {"routing": "random"}
    assert "boot_time" not in written["fleet"]["app"]
    assert (written["seed"], written["duration"]) == (9, "10s")
    assert written["faults"][1:] == [
        {"name": "kill-2", "type": "kill", "at": "5s", "target": {"role": "app", "count": 3}},
        {"name": "latency", "type": "latency", "at": "10s", "for": "1s", "attributes": {"latency": "50ms"}},
    ]
    assert space.data["traffic"][0]["stages"][0]["rate"] == "100/s"


def test_every_point_of_this_space_is_valid() -> None:
    space = SearchSpace(Scenario.parse(SHOP + SEARCH))
    for number in range(100):
        assert space.document(drawn(space.space, Dice(1, number))) is not None


def test_what_does_not_go_together_is_no_scenario() -> None:
    text = SHOP + "search: {vary: {fleet.app.min: {min: 1, max: 8}, fleet.app.max: {min: 6, max: 10}}}"
    space = SearchSpace(Scenario.parse(text))
    assert space.document(Candidate((0, 0))) is not None
    assert space.document(Candidate((7, 0))) is None


def test_goals() -> None:
    searched = SearchSpace(Scenario.parse(SHOP + SEARCH + "invariants: {recovers_within: 5s}\n"))
    names = [goal.name for goal in searched.goals]
    assert names == ["p99", "recovers_within", "conservation", "capacity", "one_autoscaler", "load_returns"]
    only = SearchSpace(Scenario.parse(SHOP + SEARCH + "  goals: [capacity]\n"))
    assert [goal.name for goal in only.goals] == ["capacity"]


def test_the_scenario_in_the_docs_is_valid() -> None:
    page = Path(__file__).parents[2] / "docs" / "search.md"
    (block,) = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    space = SearchSpace(Scenario.parse(block))
    assert len(space.space.fields) == len(space.space.kinds) == 3
    assert all(f"| `{name}` |" in page.read_text() for name in INVARIANTS)
