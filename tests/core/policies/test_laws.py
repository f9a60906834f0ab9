"""Laws that every scaling policy obeys, over random fleets and loads; the policies are in examples.py."""

from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core.model import SECOND
from windtunnel.core.policies import AnyPolicy
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.view import NOTHING, FleetView, Memory, Proposal, ServerView
from windtunnel.tests.core.policies.closed_loop import CAPACITY, ClosedLoop, metrics, proxy_load, spec
from windtunnel.tests.core.policies.examples import EXAMPLES, Example


def each(examples: dict[str, Example]) -> pytest.MarkDecorator:
    """A test for each of *examples*."""
    return pytest.mark.parametrize("example", examples.values(), ids=examples.keys())


EACH = each(EXAMPLES)
MONOTONE = each({name: example for name, example in EXAMPLES.items() if example.monotone})
SETTLING = each({name: example for name, example in EXAMPLES.items() if example.settles})
QUICK = settings(deadline=None, derandomize=True, max_examples=60)
FEW = settings(deadline=None, derandomize=True, max_examples=8)

Load = tuple[int | None, ...]
"""Requests per second of each server, None: no sample."""


def test_every_policy_has_an_example() -> None:
    kinds = {
        member.default for policy in get_args(AnyPolicy) for member in fields(policy) if member.name == "kind"
    }
    assert {example.policy.kind for example in EXAMPLES.values()} == kinds, "add a line to examples.py"


# Proposals: the same views, one after another, each policy remembering what it wants to.


def _fleet(most: int) -> st.SearchStrategy[Load]:
    """Servers with up to *most* requests a second; one in a few is silent."""
    load = st.integers(0, most)
    return st.lists(st.one_of(load, load, load, st.none()), max_size=6).map(tuple)


VIEWS = st.lists(
    st.tuples(
        st.sampled_from([60, 90, 250]).flatmap(_fleet),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)
"""The servers' loads, how many boot, and how many stand by, turn after turn."""


def seen(
    turn: int, example: Example, load: Load, booting: int, standby: int, number: type = float
) -> FleetView:
    """What the autoscaler shows at the *turn*-th turn."""
    now = (turn + 1) * example.interval + 1000 * SECOND
    servers = tuple(
        ServerView(
            f"http://10.0.0.{n}",
            None if requests is None else {**metrics(requests), "requests": number(requests)},
            now - 600 * SECOND,
            -1 if requests is None else now,
        )
        for n, requests in enumerate(load, 1)
    )
    launched = tuple(now - (k + 1) * SECOND for k in reversed(range(booting)))
    said = proxy_load(now, sum(r for r in load if r is not None))
    proxy = {name: number(getattr(said, name)) for name in ("requests", "unserved", "in_flight", "waiting")}
    return FleetView(now, servers, launched, standby, 900 * SECOND, proxy=proxy)


def proposals(
    policy: AnyPolicy, views: list[FleetView], through_the_registry: bool = False
) -> list[Proposal]:
    """What *policy* proposes for one view after another."""
    memory: Memory = NOTHING
    found = []
    for view in views:
        found.append(policy.propose(view, memory))
        memory = found[-1].memory
        if through_the_registry:
            memory = read_memory(write_memory(memory))
    return found


History = list[tuple[Load, int, int]]


@EACH
@QUICK
@given(history=VIEWS, data=st.data())
def test_the_order_of_the_servers_does_not_matter(
    example: Example, history: History, data: st.DataObject
) -> None:
    views = [seen(turn, example, *shown) for turn, shown in enumerate(history)]
    shuffled = [replace(view, servers=tuple(data.draw(st.permutations(view.servers)))) for view in views]
    assert proposals(example.policy, shuffled) == proposals(example.policy, views)


@EACH
@QUICK
@given(history=VIEWS)
def test_integers_and_floats_give_the_same(example: Example, history: History) -> None:
    whole = [seen(turn, example, *shown, number=int) for turn, shown in enumerate(history)]
    floating = [seen(turn, example, *shown, number=float) for turn, shown in enumerate(history)]
    assert proposals(example.policy, whole) == proposals(example.policy, floating)


@EACH
@QUICK
@given(history=VIEWS)
def test_what_is_remembered_survives_the_registry(example: Example, history: History) -> None:
    views = [seen(turn, example, *shown) for turn, shown in enumerate(history)]
    assert proposals(example.policy, views, through_the_registry=True) == proposals(example.policy, views)


@MONOTONE
@QUICK
@given(history=VIEWS, factor=st.floats(1, 4))
def test_more_load_never_gives_fewer_servers(example: Example, history: History, factor: float) -> None:
    if example.stands:
        fewest = min(len(load) for load, _, _ in history)
        history = [(load[:fewest], booting, standby) for load, booting, standby in history]
    less = [seen(turn, example, *shown) for turn, shown in enumerate(history)]
    more = [
        seen(turn, example, tuple(None if r is None else r * factor for r in load), booting, standby)  # type: ignore[misc]
        for turn, (load, booting, standby) in enumerate(history)
    ]
    pairs = zip(proposals(example.policy, less), proposals(example.policy, more), strict=True)
    assert all(low.desired <= high.desired for low, high in pairs)


# The closed loop: the policy, the autoscaler around it, and a fleet that answers.


@EACH
@FEW
@given(
    bounds=st.tuples(st.integers(0, 3), st.integers(0, 5)),
    initial=st.integers(0, 9),
    standby=st.integers(0, 2),
    loads=st.lists(
        st.tuples(st.integers(0, 1500), st.frozensets(st.integers(1, 9))), min_size=1, max_size=40
    ),
)
def test_bounds_are_respected_always(
    example: Example,
    bounds: tuple[int, int],
    initial: int,
    standby: int,
    loads: list[tuple[int, frozenset[int]]],
) -> None:
    minimum, maximum = bounds[0], bounds[0] + bounds[1]
    scaler = spec(example.policy, minimum, maximum, example.interval, cooldown=10 * SECOND)
    loop = ClosedLoop(scaler, initial, standby)
    for load, silent in loads:
        decision = loop.turn(float(load), silent)
        assert minimum <= decision.desired <= maximum
        assert minimum <= loop.size <= maximum


@SETTLING
@FEW
@given(
    load=st.floats(0, 10 * CAPACITY),
    initial=st.integers(1, 14),
    boot=st.integers(0, 60),
    cooldown=st.integers(0, 30),
)
def test_under_constant_load_it_settles_and_stays(
    example: Example, load: float, initial: int, boot: int, cooldown: int
) -> None:
    scaler = spec(example.policy, interval=example.interval, cooldown=cooldown * SECOND)
    loop = ClosedLoop(scaler, initial, boot=boot * SECOND)
    loop.run(load, example.minutes - 10)
    settled = loop.size
    last = loop.run(load, 10)
    assert not [decision.actions for decision in last if decision.actions]
    assert set(loop.sizes[-len(last) :]) == {settled}
    assert loop.serving == settled
