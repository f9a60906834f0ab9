"""Experiments: the registry of plain objects is the adapter over Redis, and an experiment is the replay of what would be written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel import Scenario, replay
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.invariants import ENGINE, INVARIANTS, judge_invariant
from windtunnel.core.model import SECOND, InvariantSpec
from windtunnel.core.ports import ProxyLoad, Registry, Sample
from windtunnel.core.search.space import Dice, drawn
from windtunnel.core.slo import judge
from windtunnel.core.tallies import count_try, no_counters, tallies_of
from windtunnel.reports.sink import MemorySink
from windtunnel.reports.tables import names_of
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.plan import Plan
from windtunnel.scenarios.search_space import SearchSpace
from windtunnel.sim.direct_registry import DirectRegistry
from windtunnel.sim.kernel.compiled import prepare
from windtunnel.sim.memory_redis import MemoryRedis
from windtunnel.sim.trial import rehearse, tried
from windtunnel.tests.scenarios.test_search import SEARCH, SHOP

GOLDEN = json.loads((Path(__file__).parents[1] / "golden.json").read_text())
ADDRESSES = [f"http://10.0.0.{n}" for n in range(1, 5)]
ROLES = ("serving", "canary", "standby")


def step(registry: Registry, dice: Dice) -> Any:
    """One call, drawn, and what it answers."""
    address, role, n = ADDRESSES[dice.below(4)], ROLES[dice.below(3)], dice.below(100)
    sample = Sample(address, n, n, n / 3, n / 7, n, f"v{n}", "serving", {"depth": n / 9, "age": float(n)})
    counters = no_counters()
    count_try(counters, 0, n * 1_000_000, n % 2 == 0)
    calls: list[Callable[[], Any]] = [
        lambda: registry.register(address, role), lambda: registry.register(address, role), lambda: registry.deregister(address),
        lambda: registry.forget(address), lambda: registry.servers(), lambda: registry.write_samples([sample]),
        lambda: registry.write_samples([sample._replace(custom={})]), lambda: registry.read_samples(ADDRESSES),
        lambda: registry.write_proxy_load(ProxyLoad(n, n, 1, 2, 3)), lambda: registry.read_proxy_load(),
        lambda: registry.updating(), lambda: registry.set_updating([address, role][: n % 3]), lambda: registry.canary_share(),
        lambda: registry.set_canary_share((n, 100) if n % 2 else None), lambda: registry.write_tallies(tallies_of(n, counters.tolist())),
        lambda: registry.read_tallies(),
        lambda: registry.next_number(n % 20), lambda: registry.add_instance(f"i-{n}"), lambda: registry.remove_instance(f"i-{n}"),
        lambda: registry.instances(), lambda: registry.acquire_lease(f"owner {n % 2}", (n % 4) * SECOND),
        lambda: registry.save_state("a", {"n": n, "text": f"{n}" if n % 3 else "words"}, n % 5), lambda: registry.load_state("a"),
    ]  # fmt: skip
    return calls[dice.below(len(calls))]()


@pytest.mark.parametrize("seed", range(2))
def test_the_registry_of_objects_is_the_adapter_over_redis(seed: int) -> None:
    time = [0]
    redis = MemoryRedis(lambda: time[0])
    theirs, ours = RedisRegistry(redis), DirectRegistry(lambda: time[0])
    for number in range(3000):
        time[0] += Dice(seed, number).below(3) * SECOND // 2
        if number % 500 == 499:
            redis.flushall()
            ours.flush()
        assert step(ours, Dice(seed, number)) == step(theirs, Dice(seed, number)), number


def digest_of(plan: Plan) -> str:
    sink = MemorySink(names_of([s.name for s in plan.fleet.sources], [e.path for e in plan.fleet.endpoints]))
    return sink.finish(rehearse(plan, sink).end)


@pytest.mark.parametrize(
    "name", ["ejection-cascade", "canary-errors", "registry-outage", "deploy-registry-while-scaling"]
)
def test_an_experiment_has_the_digest_of_a_replay(name: str) -> None:
    prepare()
    assert digest_of(compile_plan(Scenario.load(name))) == GOLDEN[name]


@pytest.mark.parametrize("number", range(3))
def test_a_candidate_has_the_digest_of_the_scenario_that_would_be_written(number: int) -> None:
    """Through text, validation, Redis' words and Arrow, as `windtunnel replay` does it; judged alike."""
    prepare()
    scenario = Scenario.parse(SHOP + SEARCH + "invariants: {no_orphans: 5s, recovers_within: 2s}\n")
    space = SearchSpace(scenario)
    candidate = drawn(space.space, Dice(3, number))
    variant = space.variant(candidate)
    assert variant is not None
    text = yaml.safe_dump(space.written(candidate), sort_keys=False)
    run = replay(Scenario.parse(text), registry="memory", cloud="memory")
    assert digest_of(compile_plan(variant)) == run.digest
    trace = tried(compile_plan(variant, "search"))
    columns = [trace.requests[column] for column in ("time_ns", "source", "latency_ns", "outcome")]
    rows = {row["name"]: (row["value"], row["held"]) for row in run.summary["slo"]}
    (slo,) = (judge(one, *columns) for one in trace.fleet.slos)
    assert rows["p99"] == (slo.value, slo.held)
    for spec in trace.fleet.invariants:
        verdict = judge_invariant(spec, trace)
        assert rows[spec.name] == (verdict.value, verdict.held)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(GOLDEN) - {"real-day", "thousand-servers"}))
def test_every_scenario_of_the_library_keeps_what_the_engine_promises(name: str) -> None:
    prepare()
    words = name.split(" ")
    trace = tried(compile_plan(Scenario.load(words[0], words[1:])))
    assert set(ENGINE) < set(INVARIANTS)
    for promised in ENGINE:
        verdict = judge_invariant(InvariantSpec(promised), trace)
        assert verdict.held, verdict.what


def test_invariants_are_judged_in_a_replay() -> None:
    text = SHOP.replace("duration: 60s", "duration: 20s")
    run = replay(
        Scenario.parse(text + "invariants: {no_orphans: 5s, capacity: true}\n"),
        registry="memory",
        cloud="memory",
    )
    plain = replay(Scenario.parse(text), registry="memory", cloud="memory")
    assert run.digest == plain.digest
    capacity, orphans = run.summary["slo"][-2:]
    assert (capacity["name"], capacity["held"], capacity["value"]) == ("capacity", True, 0.0)
    assert (orphans["objective"], orphans["held"], orphans["since_ns"]) == (
        "no orphans 5 s",
        False,
        8 * SECOND,
    )
    assert orphans["what"] == "server 5, that was killed, is still paid for"
    assert not run.passed
    assert plain.passed == all_else_held(run)


def all_else_held(run: Any) -> bool:
    """Whether all but the invariants held."""
    return all(row["held"] for row in run.summary["slo"] if row["indicator"] != "invariant")
