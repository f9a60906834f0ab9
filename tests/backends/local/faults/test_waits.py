"""Faults that wait, in flight: the same events in the same order as in the rehearsal."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.backends.local.faults.schedule import FlightFaults
from windtunnel.core.errors import UsageError
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, FaultSpec
from windtunnel.tests.sim.faults.support import even
from windtunnel.tests.support import plan, run

from .virtual import START, Still, Told

TWO = {1: State.SERVING, 2: State.SERVING}
FLEET = {"app": {"initial": 2, "workers": 4}}
KINDS: dict[str, dict[str, Any]] = {
    "slow": {"attributes": {"factor": 2}, "target": {"count": "all"}},
    "error": {"toxicity": "50%", "target": {"count": 1}},
    "latency": {"attributes": {"latency": "10ms"}, "target": {"role": "proxy"}},
    "memory_leak": {"attributes": {"rate": "1MiB"}, "target": {"count": 1}},
    "clock_jump": {"attributes": {"by": "1s"}, "target": {"count": 1}},
}


def told(found: Any) -> list[Told]:
    """Beginnings and ends of faults in a rehearsal."""
    events = (one for one in found.events if one["event"] in ("fault", "fault_over"))
    return [(round(one["t"] / SECOND, 6), one["name"], one["event"]) for one in events]


@st.composite
def schedules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Faults with times of their own, at random, and some that wait for those before them, in any order."""
    times = st.sampled_from(["500ms", "1s", "2s", "2500ms", "3s", "5s"])
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        fault: dict[str, Any] = {"name": f"f{number}", "type": kind, **KINDS[kind]}
        lasts = kind != "clock_jump"
        how = draw(st.sampled_from(["at", "every", "while", "after"])) if found else "at"
        before = draw(st.sampled_from(found)) if found else None
        if how == "while" and (before is None or before["type"] == "clock_jump"):
            how = "at"
        if lasts and (how != "while" or draw(st.booleans())):
            fault["for"] = draw(times)
        if how == "every":
            fault |= {"every": "4s", "for": "1s"} if lasts else {"every": "4s"}
        elif how == "while":
            assert before is not None
            fault["while"] = f"fault {before['name']}"
            if draw(st.booleans()):
                fault["at"] = draw(times)
        elif how == "after":
            assert before is not None
            fault |= {"after": before["name"], "delay": draw(times)}
        else:
            fault["at"] = draw(times)
        found.append(fault)
    return draw(st.permutations(found))


def check_alike(faults: list[dict[str, Any]]) -> None:
    document = even("1/s", "15s", *faults, fleet=FLEET)
    found = run(document)
    flight = Still(replace(plan(document).fleet, drain=0), dict(TWO))
    flight.fly()
    last = 15.0
    assert [one for one in flight.told if one[0] < last] == [one for one in told(found) if one[0] < last]
    shown = [event for event in found.events if event["event"] == "fault" and event["t"] < last * SECOND]
    ours = [event for event in flight.events if event["event"] == "fault"][: len(shown)]
    assert [event["targets"] for event in ours] == [event["targets"] for event in shown]
    assert [event.get("until", START - 1) - START for event in ours] == [
        event.get("until", -1) for event in shown
    ]


@settings(max_examples=12, deadline=None)
@given(schedules())
def test_the_timeline_is_the_rehearsals(faults: list[dict[str, Any]]) -> None:
    check_alike(faults)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(schedules())
def test_the_timeline_is_the_rehearsals_hundreds_of_times(faults: list[dict[str, Any]]) -> None:
    check_alike(faults)


def waiting(holds: str, **more: Any) -> Any:
    fault = {"name": "waits", "type": "slow", "while": holds, **KINDS["slow"], **more}
    then = {"name": "then", "type": "error", "after": "waits", "for": "1s", **KINDS["error"]}
    document = even("1/s", "12s", fault, then, fleet={"app": {"initial": 2, "min": 1, "max": 3}})
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "9/s", "requests_low": "1/s"}}}
    document["versions"] = {"v2": {}}
    document["deploys"] = [{"name": "next", "at": "4s", "version": "v2"}]
    return Still(replace(plan(document).fleet, drain=0), dict(TWO))


@pytest.mark.parametrize(
    "holds", ["at_maximum", "at_minimum", "booting", "draining", "deploying", "proxy_down"]
)
def test_a_condition_is_what_the_conductor_knows(holds: str) -> None:
    flight = waiting(holds)

    def become(now: bool) -> None:
        match holds:
            case "at_maximum" | "booting":
                flight.servers = {**TWO, 3: State.BOOTING} if now else dict(TWO)
            case "at_minimum" | "draining":
                flight.servers = {1: State.SERVING, 2: State.DRAINING} if now else dict(TWO)
            case "deploying":
                flight.deploying = now
            case _:
                flight.proxy_up = not now

    def story(still: Still, faults: FlightFaults) -> None:
        still.loop.call_at(2.3, become, True)
        still.loop.call_at(4.9, become, False)
        still.loop.call_at(9.5, become, True)

    flight.fly(story)
    assert flight.told == [
        (3.0, "waits#1", "fault"), (5.0, "waits#1", "fault_over"), (5.0, "then#1", "fault"), (6.0, "then#1", "fault_over"),
        (10.0, "waits#2", "fault"),
    ]  # fmt: skip


def test_who_ends_all_faults_ends_those_that_wait() -> None:
    flight = waiting("draining")
    flight.servers[2] = State.DRAINING

    def story(still: Still, faults: FlightFaults) -> None:
        still.loop.call_at(2.5, faults.stop)

    flight.fly(story)
    assert flight.told == [(0.0, "waits#1", "fault"), (2.5, "waits#1", "fault_over")]


def test_memory_is_lost_until_the_condition_ends_it() -> None:
    fault = {"name": "leaks", "type": "memory_leak", "while": "proxy_down", **KINDS["memory_leak"]}
    flight = Still(plan(even("1/s", "12s", fault, fleet=FLEET)).fleet, dict(TWO))

    def story(still: Still, faults: FlightFaults) -> None:
        still.proxy_up = False
        still.loop.call_at(3.5, setattr, still, "proxy_up", True)

    flight.fly(story)
    assert flight.told == [(0.0, "leaks#1", "fault"), (4.0, "leaks#1", "fault_over")]
    assert flight.leaked == 4 << 20


def test_what_is_asked_for_by_hand_is_over_at_its_end_or_when_it_is_lifted() -> None:
    slow = FaultSpec("by-hand", "slow", 2 * SECOND, "app", 4 * SECOND, -1, attributes=(("factor", 2),))
    endless = replace(slow, name="endless", until=-1)
    after = {"name": "then", "type": "error", "after": "own", "for": "1s", **KINDS["error"]}
    own = {"name": "own", "type": "slow", "while": "proxy_down", **KINDS["slow"]}
    flight = Still(plan(even("1/s", "9s", own, after, fleet=FLEET)).fleet, dict(TWO), proxy_up=False)

    def refused(call: Any, *arguments: Any) -> None:
        with pytest.raises(UsageError, match="expected"):
            call(*arguments)

    def story(still: Still, faults: FlightFaults) -> None:
        refused(faults.strike, slow)
        still.loop.call_at(2.0, faults.strike, slow)
        still.loop.call_at(2.5, faults.strike, endless)
        still.loop.call_at(3.0, refused, faults.lift, "nobody")
        still.loop.call_at(5.25, faults.lift, "endless")
        still.loop.call_at(5.5, faults.lift, "own#1")
        still.loop.call_at(8.0, faults.stop)
        still.loop.call_at(8.5, refused, faults.strike, endless)

    flight.fly(story, by_hand=True)
    assert flight.told == [
        (0.0, "own#1", "fault"), (2.0, "by-hand", "fault"), (2.5, "endless", "fault"), (4.0, "by-hand", "fault_over"),
        (5.25, "endless", "fault_over"), (5.5, "own#1", "fault_over"), (5.5, "then#1", "fault"), (6.5, "then#1", "fault_over"),
    ]  # fmt: skip
    assert [event.get("by") for event in flight.events if event["event"] == "fault"] == [
        None,
        "hand",
        "hand",
        None,
    ]
