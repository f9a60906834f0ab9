"""The autoscaler's guards: the cap on cost, the wait after refusals, whom a scale-in takes, what happens to orphans."""

from dataclasses import replace
from typing import Any

import pytest
from windtunnel.core.autoscaler import ORPHAN_GRACE, Autoscaler
from windtunnel.core.limits import limited
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies import TargetTracking, Threshold
from windtunnel.core.policies.view import FleetView, Proposal, ServerView
from windtunnel.core.ports import CloudInstance, Sample, Servers
from windtunnel.core.refusals import LONGEST, Backoff, stream, wait
from windtunnel.core.scaling_decision import Drain, Launch, Promote, Terminate
from windtunnel.core.victims import in_order

TRACK = TargetTracking(100.0, "requests")


def view(size: int, **more: Any) -> FleetView:
    return FleetView(100 * SECOND, tuple(ServerView(f"s{n}", None) for n in range(size)), **more)


def instance(number: int, role: str = "serving") -> CloudInstance:
    return CloudInstance(number, f"i-{number}", f"s{number}", role, "running", 0)


def said(now: int, requests: int, *numbers: int, in_flight: tuple[int, ...] = ()) -> dict[str, Sample]:
    held = dict(zip(numbers, in_flight, strict=False))
    return {f"s{n}": Sample(f"s{n}", now, requests, 0.1, in_flight=held.get(n, 0)) for n in numbers}


@pytest.mark.parametrize(
    ("affordable", "maximum", "size", "others", "draining", "standby", "asked", "desired", "reason", "limits"),
    [
        (5, -1, 3, 0, 0, 0, 9, 5, "load", ("cost",)),
        (5, 9, 5, 0, 0, 0, 9, 5, "at cost cap", ("cost",)),
        (5, 5, 5, 0, 0, 0, 9, 5, "at maximum", ("maximum",)),
        (5, 4, 4, 0, 0, 0, 9, 4, "at maximum", ("maximum",)),
        # What drains is paid for until it is gone; it makes the fleet no smaller.
        (5, -1, 4, 1, 1, 0, 6, 4, "at cost cap", ("cost",)),
        (5, -1, 4, 2, 2, 0, 4, 4, "load", ()),
        # A canary and a silent standby server are paid for; a standby server that speaks too, and it can serve.
        (5, -1, 2, 2, 0, 0, 9, 3, "load", ("cost",)),
        (5, -1, 3, 2, 0, 2, 9, 5, "load", ("cost",)),
        # Somebody else's instances, adopted: what is too much goes.
        (3, -1, 5, 0, 0, 0, 5, 3, "above cost cap", ("cost",)),
        (3, -1, 5, 0, 0, 0, 2, 3, "above cost cap", ("cost",)),
        # A scale-in is never held.
        (3, -1, 3, 3, 3, 0, 1, 1, "load", ()),
        # The minimum is not bought beyond the cap either.
        (3, -1, 1, 2, 2, 0, 0, 1, "at cost cap", ("cost",)),
        (4, -1, 1, 2, 2, 0, 0, 2, "below minimum", ("minimum",)),
    ],
)  # fmt: skip
def test_the_tighter_cap_holds(
    affordable: int, maximum: int, size: int, others: int, draining: int, standby: int, asked: int, desired: int,
    reason: str, limits: tuple[str, ...],
) -> None:  # fmt: skip
    minimum = 2 if asked == 0 else 0
    spec = AutoscalerSpec(TRACK, minimum=minimum, maximum=maximum, affordable=affordable)
    seen = view(size, others=others, draining=draining, standby=standby)
    assert limited(spec, seen, Proposal(asked, "load")) == (desired, reason, limits)


def test_the_cap_counts_what_drains_stands_by_and_boots() -> None:
    books = Autoscaler(AutoscalerSpec(TRACK, affordable=5))
    books.adopt(0, (instance(1), instance(2), instance(3, "canary"), instance(4, "standby")))
    servers = Servers(("s1", "s2"), ("s3",), ("s4",))
    first = books.tick(SECOND, servers, said(SECOND, 500, 1, 2, 3, 4))
    assert first.actions == (Promote("s4"), Launch()), "five are paid for"
    assert (first.view and first.view.others, first.limits) == (2, ("cost",))
    books.launched(SECOND, instance(5))
    servers = Servers(("s1", "s2", "s4"), ("s3",))
    second = books.tick(2 * SECOND, servers, said(2 * SECOND, 500, 1, 2, 3, 4))
    assert (second.actions, second.reason) == ((), "at cost cap")


def test_waits_double_up_to_a_minute_and_jitter_takes_up_to_a_half() -> None:
    draws = stream(7, "launch")
    for refusals in range(1, 40):
        full = min(SECOND << (refusals - 1), LONGEST)
        waits = [wait(SECOND, refusals, number, draws) for number in range(50)]
        assert all(full / 2 <= one <= full for one in waits)
        assert len(set(waits)) > 40, "they differ"
    assert (
        wait(SECOND, 3, 9, draws)
        == wait(SECOND, 3, 9, stream(7, "launch"))
        != wait(SECOND, 3, 9, stream(8, "launch"))
    )
    assert wait(90 * SECOND, 9, 1, draws) > 44 * SECOND, "an interval is never too long"
    assert wait(SECOND, 10**9, 1, draws) <= LONGEST


def test_refusals_delay_launches_and_nothing_else() -> None:
    books = Autoscaler(AutoscalerSpec(TRACK, cooldown=10 * SECOND))
    books.adopt(0, (instance(1), instance(2)))
    both, waits = Servers(("s1", "s2")), Backoff(SECOND, stream(1, "launch"))
    for number in range(3, 7):
        books.last_action = -1
        books.launch_after = -1
        assert Launch() in books.tick(SECOND, both, said(SECOND, 200, 1, 2)).actions
        books.launch_failed(waits.refused(SECOND, number))
    assert books.launch_after > 5 * SECOND
    assert books.last_action == -1, "nothing was done"
    held = books.tick(2 * SECOND, both, said(2 * SECOND, 200, 1, 2))
    assert (held.desired, held.reason, held.limits, held.actions) == (2, "backing off", ("backoff",), ())
    ready = Servers(("s1", "s2"), (), ("s9",))
    promoted = books.tick(2 * SECOND, ready, {**said(2 * SECOND, 200, 1, 2), **said(2 * SECOND, 0, 9)})
    assert (promoted.actions, promoted.limits) == ((Promote("s9"),), ("backoff",))
    books.last_action = -1
    assert books.tick(3 * SECOND, both, said(3 * SECOND, 20, 1, 2)).actions == (Drain(2, "s2"),)
    again = books.launch_after
    books.last_action = -1
    assert Launch() in books.tick(again, both, said(again, 200, 1, 2)).actions
    books.launched(again, instance(7))
    assert (books.launch_after, books.last_action) == (-1, again)
    books.launch_failed(waits.refused(again, 8))
    assert books.last_action == again, "one of two came: the cooldown runs"


@pytest.mark.parametrize(
    ("rule", "order"),
    [("youngest", [5, 4, 3, 2, 1]), ("oldest", [1, 2, 3, 4, 5]), ("least_busy", [4, 3, 2, 1, 5])],
)
def test_victims_in_order(rule: str, order: list[int]) -> None:
    """Requests in flight: 7, 2, 2, 0, and nobody knows."""
    servers = [(n, f"s{n}") for n in range(1, 6)]
    samples = said(0, 1, 1, 2, 3, 4, in_flight=(7, 2, 2, 0))
    for listed in (servers, servers[::-1], servers[2:] + servers[:2]):
        assert [number for number, _ in in_order(rule, listed, samples)] == order


@pytest.mark.parametrize(("rule", "victim"), [("youngest", 3), ("oldest", 1), ("least_busy", 2)])
def test_a_scale_in_takes_the_stated_victim(rule: str, victim: int) -> None:
    books = Autoscaler(AutoscalerSpec(Threshold(requests_low=50), victims=rule))
    books.adopt(0, tuple(instance(n) for n in (1, 2, 3)))
    servers = Servers(("s1", "s2", "s3"))
    now = 60 * SECOND
    samples = said(now, 5, 1, 2, 3, in_flight=(4, 1, 3))
    assert books.tick(now, servers, samples).actions == (Drain(victim, f"s{victim}"),)


def test_an_orphan_is_adopted_and_ended_if_it_never_registers() -> None:
    books = Autoscaler(AutoscalerSpec(Threshold(), boot_timeout=100 * SECOND))
    books.adopt(0, (instance(1),))
    books.adopt(50 * SECOND, (instance(1), replace(instance(9), launched=40 * SECOND)), frozenset({9}))
    lone = Servers(("s1",))
    found = books.tick(60 * SECOND, lone, said(60 * SECOND, 5, 1))
    assert found.actual == 2, "it counts as booting"
    assert books.orphans() == frozenset()
    ended = books.tick(140 * SECOND, lone, said(140 * SECOND, 5, 1))
    assert ended.actions[0] == Terminate(9, "i-9", "s9", "boot timeout")


def test_an_orphan_is_ended_unless_it_registers_soon() -> None:
    spec = AutoscalerSpec(Threshold(requests_low=1), adopts_orphans=False, minimum=1)
    books = Autoscaler(spec)
    books.adopt(0, (instance(1), instance(2)))
    found = SECOND
    books.adopt(found, (instance(1), instance(2), instance(8), instance(9)), frozenset({8, 9}))
    assert books.orphans() == {8, 9}
    servers = Servers(("s1", "s2", "s8"))
    seen = books.tick(2 * SECOND, servers, said(2 * SECOND, 5, 1, 2, 8))
    assert (seen.actual, seen.actions) == (3, ()), "one has registered, the other is no server to be"
    assert books.orphans() == {9}
    now = found + ORPHAN_GRACE
    ended = books.tick(now, servers, said(now, 5, 1, 2, 8))
    assert ended.actions == (Terminate(9, "i-9", "s9", "orphan"),)


@pytest.mark.parametrize(("zero", "actions"), [(False, ()), (True, (Drain(2, "s2"),))])
def test_who_reads_a_missing_sample_as_zero_takes_its_server_for_idle(
    zero: bool, actions: tuple[Any, ...]
) -> None:
    books = Autoscaler(AutoscalerSpec(Threshold(requests_low=50), minimum=1, missing_is_zero=zero))
    books.adopt(0, (instance(1), instance(2)))
    servers = Servers(("s1", "s2"))
    silent = {**said(20 * SECOND, 10, 1), **said(10 * SECOND, 400, 2)}
    assert books.tick(20 * SECOND, servers, silent).actions == actions


def test_refused_terminations_wait_and_what_is_to_end_counts_no_more() -> None:
    books = Autoscaler(AutoscalerSpec(TRACK, minimum=1, dead_after=5 * SECOND))
    books.adopt(0, (instance(1), instance(2)))
    both, waits = Servers(("s1", "s2")), Backoff(SECOND, stream(3, "end"))
    books.tick(SECOND, both, said(SECOND, 100, 1, 2))
    dead = books.tick(7 * SECOND, both, said(7 * SECOND, 100, 1))
    assert dead.actions[0] == Terminate(2, "i-2", "s2", "silent")
    books.end_after = waits.refused(7 * SECOND, 2)
    assert 7.5 * SECOND <= books.end_after <= 8 * SECOND
    books.end_after = waits.refused(8 * SECOND, 2)
    assert 9 * SECOND <= books.end_after <= 10 * SECOND, "twice as long"
    held = books.tick(9 * SECOND - 1, both, said(9 * SECOND - 1, 100, 1))
    assert not [action for action in held.actions if isinstance(action, Terminate)]
    assert held.view is not None
    assert [server.address for server in held.view.servers] == ["s1"]
    now = books.end_after
    assert books.tick(now, both, said(now, 100, 1)).actions[0] == Terminate(2, "i-2", "s2", "silent")
    books.terminated(2)
    waits.granted()
    assert (books.end_after, waits.after, waits.refusals) == (-1, -1, 0)


def test_no_cooldown_runs_after_a_cancelled_boot_that_waits_for_its_end() -> None:
    books = Autoscaler(AutoscalerSpec(Threshold(requests_low=50), minimum=1, cooldown=60 * SECOND))
    books.adopt(0, (instance(1), instance(2)))
    books.end_after = 50 * SECOND
    lone = Servers(("s1",))
    for second in range(1, 50):
        decided = books.tick(second * SECOND, lone, said(second * SECOND, 5, 1))
        assert not decided.actions
    assert books.last_action == -1
