"""Policies, the autoscaler's books, lifecycle, order, events, objectives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core import autoscaler as engine
from windtunnel.core.events import RollingDigest, encode
from windtunnel.core.lifecycle import TRANSITIONS, IllegalTransition, State, move
from windtunnel.core.model import SECOND, AutoscalerSpec, SloSpec
from windtunnel.core.order import Kind, lane, priority, request_number
from windtunnel.core.outcomes import Outcome
from windtunnel.core.policies import TargetTracking, Threshold
from windtunnel.core.policies.view import NOTHING, FleetView
from windtunnel.core.ports import CloudInstance, Sample, Servers
from windtunnel.core.scaling_decision import Action, Drain, Launch, Promote, Terminate
from windtunnel.core.slo import judge, percentile, percentile_of
from windtunnel.tests.core.policies.views import view

RULE = Threshold(requests_high=300, requests_low=100, memory_high=0.9, memory_low=0.3)
TRACK = TargetTracking(metric="requests", target=100.0, tolerance=0.1)


@pytest.mark.parametrize(
    ("fleet", "desired", "reason"),
    [
        (view((300, 0.1), (10, 0.1)), 3, "requests_high"),
        (view((10, 0.9)), 2, "memory_high"),
        (view((299, 0.1)), 1, "within"),
        (view((100, 0.3), (100, 0.3)), 1, "idle"),
        (view((100, 0.31), (100, 0.3)), 2, "within"),
        (view((101, 0.1), (0, 0.1)), 2, "within"),
        (view((0, 0), None), 2, "unknown"),
        (view((300, 0), None), 3, "requests_high"),
        (view((900, 0), booting=1), 2, "booting"),
        (view(), 1, "no servers"),
        (view((0, 0)), 1, "within"),
    ],
)
def test_threshold(fleet: FleetView, desired: int, reason: str) -> None:
    proposal = RULE.propose(fleet, NOTHING)
    assert (proposal.desired, proposal.reason) == (desired, reason)


@pytest.mark.parametrize(
    ("fleet", "desired"),
    [
        (view((150, 0), (150, 0)), 3),
        (view((110, 0), (110, 0)), 2),
        (view((111, 0), (111, 0)), 3),
        (view((90, 0), (90, 0)), 2),
        (view((50, 0), (50, 0)), 1),
        (view((200, 0), None), 2),
        (view((20, 0), None), 2),
        (view((20, 0), (20, 0), (20, 0), None), 2),
        (view((150, 0), (150, 0), booting=2), 4),
        (view((500, 0)), 5),
        (view(None, None), 2),
        (view(booting=1), 1),
        (view((0, 0), (0, 0)), 1),
        (view(), 1),
    ],
)
def test_target_tracking(fleet: FleetView, desired: int) -> None:
    assert TRACK.propose(fleet, NOTHING).desired == desired


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=8), st.permutations(range(8)), st.floats(1, 3))
def test_policies_ignore_order_and_never_shrink_for_more_load(
    loads: list[float], order: list[int], factor: float
) -> None:
    shuffled = [loads[i] for i in order if i < len(loads)]
    for policy in (RULE, TRACK):
        one = policy.propose(view(*[(load, 0.5) for load in loads]), NOTHING).desired
        assert policy.propose(view(*[(load, 0.5) for load in shuffled]), NOTHING).desired == one
        assert policy.propose(view(*[(load * factor, 0.5) for load in loads]), NOTHING).desired >= one


def instance(number: int, role: str = "serving") -> CloudInstance:
    return CloudInstance(number, f"i-{number}", f"a{number}", role, "running", 0)


def sample(number: int, now: int, requests: int, in_flight: int = 0) -> dict[str, Sample]:
    return {f"a{number}": Sample(f"a{number}", now, requests, 0.1, in_flight=in_flight)}


def scaler(**changes: Any) -> engine.Autoscaler:
    return engine.Autoscaler(AutoscalerSpec(RULE, **{"cooldown": 10 * SECOND, **changes}))


def test_out_then_in_with_a_cooldown_between() -> None:
    books = scaler()
    books.adopt(0, (instance(1),))
    lone = Servers(("a1",))
    assert books.tick(SECOND, lone, sample(1, SECOND, 400)).actions == (Launch(),)
    books.launched(SECOND, instance(2))
    assert books.tick(2 * SECOND, lone, sample(1, 2 * SECOND, 400)).reason == "booting"
    both = Servers(("a1", "a2"))
    quiet = {**sample(1, 5 * SECOND, 5), **sample(2, 5 * SECOND, 5)}
    assert books.tick(5 * SECOND, both, quiet).reason == "cooldown"
    later = {**sample(1, 11 * SECOND, 5), **sample(2, 11 * SECOND, 5)}
    assert books.tick(11 * SECOND, both, later).actions == (Drain(2, "a2"),), "the youngest goes"
    books.drained(11 * SECOND, 2)
    assert books.watched() == ("a1", "a2"), "samples count whether or not the registry lists the server"


def test_a_draining_server_ends_its_requests_first() -> None:
    books = scaler()
    books.adopt(0, (instance(1), instance(2)))
    books.tick(0, Servers(("a1", "a2")), {})
    books.drained(0, 2)
    lone = Servers(("a1",))

    def endings(now: int, in_flight: int) -> tuple[Action, ...]:
        return books.tick(now, lone, {**sample(1, now, 150), **sample(2, now, 0, in_flight)}).actions

    assert endings(SECOND, 0) == (), "not before the proxy can know"
    assert endings(3 * SECOND, 4) == ()
    assert endings(4 * SECOND, 0) == (Terminate(2, "i-2", "a2", "drained"),)
    assert endings(31 * SECOND, 4) == (Terminate(2, "i-2", "a2", "drain timeout"),)


def test_silent_and_unbooted_instances_are_replaced() -> None:
    books = scaler(dead_after=15 * SECOND, boot_timeout=60 * SECOND, minimum=2)
    books.adopt(0, (instance(1), instance(2)))
    both = Servers(("a1", "a2"))
    books.tick(0, both, {**sample(1, 0, 150), **sample(2, 0, 150)})
    held = books.tick(14 * SECOND, both, {**sample(1, 14 * SECOND, 150), **sample(2, 0, 150)})
    assert held.actions == ()
    decision = books.tick(15 * SECOND, both, {**sample(1, 15 * SECOND, 150), **sample(2, 0, 150)})
    assert decision.actions == (Terminate(2, "i-2", "a2", "silent"), Launch())
    books.terminated(2)
    books.launched(15 * SECOND, instance(3))
    lone = Servers(("a1",))
    decision = books.tick(75 * SECOND, lone, sample(1, 75 * SECOND, 150))
    assert decision.actions[0] == Terminate(3, "i-3", "a3", "boot timeout")


def test_standby_first_and_bounds_at_once() -> None:
    books = scaler(maximum=3, minimum=1)
    books.adopt(0, (instance(1), instance(2, "standby")))
    servers = Servers(("a1",), (), ("a2",))
    both = {**sample(1, SECOND, 400), **sample(2, SECOND, 0)}
    assert books.tick(SECOND, servers, both).actions == (Promote("a2"),)
    assert scaler(minimum=2).tick(0, Servers(), {}).actions == (Launch(), Launch())
    capped = scaler(maximum=1)
    capped.adopt(0, (instance(1),))
    assert capped.tick(SECOND, Servers(("a1",)), sample(1, SECOND, 400)).reason == "at maximum"


def test_a_scale_in_cancels_what_boots_before_it_drains() -> None:
    books = engine.Autoscaler(AutoscalerSpec(TRACK, minimum=1))
    books.adopt(0, (instance(1), instance(2)))
    both = Servers(("a1", "a2"))
    busy = {**sample(1, SECOND, 250), **sample(2, SECOND, 250)}
    assert books.tick(SECOND, both, busy).actions == (Launch(),) * 3
    for number in (3, 4, 5):
        books.launched(SECOND, instance(number))
    calm = {**sample(1, 2 * SECOND, 88), **sample(2, 2 * SECOND, 88)}
    cancelled = books.tick(2 * SECOND, both, calm).actions
    assert [(a.number, a.reason) for a in cancelled if isinstance(a, Terminate)] == [
        (5, "not needed"), (4, "not needed"), (3, "not needed"),
    ]  # fmt: skip
    assert len(cancelled) == 3


@given(
    st.lists(st.sampled_from(["ready", "booting"]), min_size=1, max_size=8),
    st.floats(0, 400),
    st.integers(0, 3),
)
def test_draining_leaves_as_many_serving_as_were_wanted(phases: list[str], load: float, minimum: int) -> None:
    books = engine.Autoscaler(AutoscalerSpec(TRACK, minimum=minimum))
    books.adopt(0, tuple(instance(number) for number in range(1, len(phases) + 1)))
    ready = [number for number, phase in enumerate(phases, 1) if phase == "ready"]
    servers = Servers(tuple(f"a{number}" for number in ready))
    samples = {k: v for number in ready for k, v in sample(number, SECOND, int(load)).items()}
    decision = books.tick(SECOND, servers, samples)
    drained = sum(isinstance(action, Drain) for action in decision.actions)
    assert len(ready) - drained >= min(max(decision.desired, minimum), len(ready))


def test_a_dead_standby_is_not_promoted() -> None:
    books = scaler()
    books.adopt(0, (instance(1), instance(2, "standby")))
    servers = Servers(("a1",), (), ("a2",))
    now = 9 * SECOND
    stale = {**sample(1, now, 400), **sample(2, 0, 0)}
    assert books.tick(now, servers, stale).actions == (Launch(),)


def test_foreign_servers_are_counted_and_never_touched() -> None:
    books = scaler()
    books.adopt(0, (instance(1),))
    servers = Servers(("a1", "foreign"))
    samples = {**sample(1, SECOND, 5), "foreign": Sample("foreign", None, 5, 0.1)}
    assert books.tick(SECOND, servers, samples).actions == (Drain(1, "a1"),)
    alone = scaler()
    decision = alone.tick(SECOND, Servers(("foreign", "other")), {"foreign": Sample("foreign", None, 5, 0.1)})
    assert decision.actions == ()


def test_lifecycle_is_the_table() -> None:
    for old in State:
        for new in State:
            if new in TRANSITIONS[old]:
                assert move(1, old, new) is new
            else:
                with pytest.raises(IllegalTransition, match=f"instance 1 cannot become {new.word}"):
                    move(1, old, new)


def test_order_is_kind_entity_request_attempt_try() -> None:
    keys = [
        (kind, entity, request_number(source, index), lane(attempt, tries))
        for kind in (Kind.END, Kind.AUTOSCALER, Kind.ANSWER, Kind.START)
        for entity in (0, 2**32 - 1)
        for source in (0, 2**11 - 1)
        for index in (0, 2**36 - 1)
        for attempt in (1, 2**12 - 1)
        for tries in (0, 15)
    ]
    assert [priority(*key) for key in keys] == sorted(priority(*key) for key in keys)
    assert len({priority(*key) for key in keys}) == len(keys)
    assert priority(Kind.END) > 1, "above SimPy's own priorities"


def test_events_are_canonical_and_hold_no_floats() -> None:
    assert encode(5, "ready", {"server": 2, "role": "serving"}) == (
        '{"event":"ready","role":"serving","server":2,"t":5}'
    )
    with pytest.raises(TypeError, match=r"ready\.share is 0\.5"):
        encode(5, "ready", {"share": 0.5})
    digests = []
    for lines in (["a", "b"], ["ab"], ["b", "a"]):
        rolling = RollingDigest()
        for line in lines:
            rolling.add(line)
        digests.append(rolling.hex())
    assert len(set(digests)) == 3


def test_percentiles_by_nearest_rank() -> None:
    values = np.arange(1, 101)
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 0.999)] == [50, 95, 99, 100]
    assert percentile(np.array([7]), 0.5) == 7
    assert [percentile_of(name) for name in ("latency_p50", "latency_p999", "latency_p9999", "x")] == [
        0.5, 0.999, 0.9999, None,
    ]  # fmt: skip


def test_objectives_look_at_their_window_and_sources() -> None:
    time = np.array([0, 1, 2, 3]) * SECOND
    source = np.array([0, 0, 1, 0], dtype=np.int32)
    latency = np.array([10, 20, 999, 40]) * 1_000_000
    outcome = np.array([Outcome.OK, Outcome.SHED, Outcome.OK, Outcome.OK], dtype=np.int8)

    def verdict(indicator: str, bound: float, start: int = 0, end: int = 4, below: bool = True) -> object:
        slo = SloSpec("x", indicator, below, bound, start * SECOND, end * SECOND, (0,), "")
        found = judge(slo, time, source, latency, outcome)
        return found.value, found.held

    assert verdict("latency_max", 40e6) == (40e6, False)
    assert verdict("latency_p50", 11e6, 0, 3) == (10e6, True)
    assert verdict("error_rate", 0.5) == (pytest.approx(1 / 3), True)
    assert verdict("availability", 0.9, below=False) == (pytest.approx(2 / 3), False)
    assert verdict("throughput", 0.4, below=False) == (0.5, True)
    assert verdict("error_rate", 0.1, 2, 3) == (None, True)


def test_the_books_follow_the_clouds_list() -> None:
    """Who is listed no more is gone, but for one just launched: a cloud's list may lag."""
    books = engine.Autoscaler(AutoscalerSpec(RULE))
    old, young = (CloudInstance(n, f"i-{n}", f"http://10.0.0.{n}", "serving", "running", 0) for n in (1, 2))
    assert books.adopt(0, (old,)) == ()
    books.launched(engine.LIST_LAG, young)
    assert books.adopt(2 * engine.LIST_LAG - 1, ()) == (old,)
    assert books.watched() == (young.address,)
    assert books.adopt(2 * engine.LIST_LAG, ()) == (young,)
    assert (books.watched(), books.highest, books.number_at(young.address)) == ((), 2, 0)


def test_what_drains_and_is_listed_is_drained_again() -> None:
    books = engine.Autoscaler(AutoscalerSpec(RULE, minimum=1))
    books.adopt(0, tuple(CloudInstance(n, f"i-{n}", f"s{n}", "serving", "running", 0) for n in (1, 2)))
    both = Servers(("s1", "s2"))
    books.tick(0, both, {})
    books.drained(SECOND, 2)
    decision = books.tick(2 * SECOND, both, {"s1": Sample("s1", 2 * SECOND, 400, 0.1)})
    assert decision.actual == 1, "it counts no more"
    assert decision.actions == (Drain(2, "s2"), Launch())
    books.drained(2 * SECOND, 2)
    assert books.draining() == {2: SECOND}, "its time goes on"
