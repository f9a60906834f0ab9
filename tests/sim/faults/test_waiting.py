"""Faults that wait: while something holds, and one after another."""

from typing import Any

import pytest
from windtunnel import Scenario
from windtunnel.core.model import SECOND
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.sim.faults.support import MS, even, growing, times
from windtunnel.tests.support import both_engines, happened, run, scenario

__all__ = ["both_engines"]


def waiting(name: str, kind: str = "slow", **more: Any) -> dict[str, Any]:
    """A fault that waits; *length* stands for ``for``, *holds* for ``while``."""
    for word, field in (("length", "for"), ("holds", "while")):
        if word in more:
            more[field] = more.pop(word)
    if kind == "slow":
        more.setdefault("attributes", {"factor": 2})
    return {"name": name, "type": kind, **more}


def told(found: Any) -> list[tuple[float, str, str]]:
    """Beginnings and ends of faults."""
    return [
        (event["t"] / 1e9, event["name"], event["event"])
        for event in found.events
        if event["event"] in ("fault", "fault_over")
    ]


@pytest.mark.usefixtures("both_engines")
def test_while_the_fleet_is_at_its_maximum() -> None:
    document = growing(waiting("crowded", "capacity_error", holds="at_maximum"))
    document["fleet"]["app"]["max"] = 2
    document["traffic"][0]["stages"] = [
        {"for": "8s", "rate": "150/s"},
        {"for": "8s", "rate": "5/s"},
        {"for": "4s", "rate": "150/s"},
    ]
    found = run(document)
    launches = times(found, "launched")
    drains = times(found, "draining")
    begun = [(time, name, what) for time, name, what in told(found)]
    assert begun[0] == (launches[1] + 1, "crowded#1", "fault"), (
        "looked at each second, before the autoscaler's turn"
    )
    assert begun[1] == (drains[0] + 1, "crowded#1", "fault_over")
    assert begun[2][1:] == ("crowded#2", "fault")


@pytest.mark.usefixtures("both_engines")
def test_while_another_fault_is_in_force_and_not_before_its_time() -> None:
    hiccup = waiting("hiccup", "pause", every="15s", length="2s")
    during = waiting("during", holds="fault hiccup", at="10s", length="1s")
    found = run(even("10/s", "90s", hiccup, during))
    hiccups = [event["t"] for event in happened(found, "fault") if event["name"].startswith("hiccup")]
    slows = [event["t"] for event in happened(found, "fault") if event["name"].startswith("during")]
    holds = {
        second * SECOND
        for second in range(10, 90)
        if any(time <= second * SECOND < time + 2 * SECOND for time in hiccups)
    }
    assert slows == sorted(time for time in holds if time - SECOND not in holds)
    ends = [event["t"] for event in happened(found, "fault_over") if event["name"].startswith("during")]
    assert ends == [time + SECOND for time in slows][: len(ends)]


@pytest.mark.usefixtures("both_engines")
def test_while_instances_boot_what_strikes_at_once_strikes_once_each_time() -> None:
    found = run(growing(waiting("ambush", "registry_flush", holds="booting"), cooldown="5s"))
    boots = len(happened(found, "booting"))
    assert 1 <= len(happened(found, "fault")) <= boots
    assert [event["name"] for event in happened(found, "fault")] == [
        f"ambush#{number + 1}" for number in range(len(happened(found, "fault")))
    ]


@pytest.mark.usefixtures("both_engines")
def test_while_a_deploy_is_under_way() -> None:
    document = even("20/s", "20s", waiting("meanwhile", holds="deploying", target={"count": "all"}))
    document["fleet"] = {"app": {"initial": 2, "workers": 4, "boot_time": {"constant": "1s"}}}
    document["versions"] = {"v2": {}}
    document["deploys"] = [{"name": "next", "at": "4s", "version": "v2", "install": "1s"}]
    found = run(document)
    (begun, _, _), (over, _, _) = told(found)
    assert begun == happened(found, "deploy_started")[0]["t"] / 1e9 + 1
    assert over == happened(found, "deploy_promoted")[0]["t"] / 1e9 + 1


@pytest.mark.usefixtures("both_engines")
def test_one_after_another() -> None:
    first = waiting("first", at="1s", length="2s")
    second = waiting("second", "error", after="first", delay="500ms", length="1s")
    third = waiting("third", "kill", after="second")
    found = run(even("10/s", "8s", third, second, first))
    assert told(found) == [
        (1.0, "first", "fault"),
        (3.0, "first", "fault_over"),
        (3.5, "second", "fault"),
        (4.5, "second", "fault_over"),
        (4.5, "third", "fault"),
    ]


@pytest.mark.usefixtures("both_engines")
def test_after_each_occurrence_of_what_waits_itself() -> None:
    hiccup = waiting("hiccup", "pause", every="6s", length="1500ms")
    during = waiting("during", holds="fault hiccup")
    then = waiting(
        "then", "memory_leak", after="during", delay="250ms", length="500ms", attributes={"rate": "1MiB"}
    )
    found = run(even("10/s", "40s", hiccup, during, then))
    ends = [event for event in happened(found, "fault_over") if event["name"].startswith("during")]
    assert len(ends) >= 3
    begun = [event for event in happened(found, "fault") if event["name"].startswith("then")]
    assert [(event["name"], event["t"]) for event in begun] == [
        (f"then#{number}", event["t"] + 250 * MS) for number, event in enumerate(ends[: len(begun)], 1)
    ]
    assert len(begun) >= len(ends) - 1
    leaked = found.metrics.to_pylist()[-1]["memory"]
    assert leaked == len(begun) * (1 << 19)


@pytest.mark.usefixtures("both_engines")
def test_after_each_occurrence_of_what_comes_at_random() -> None:
    hiccup = waiting("hiccup", "pause", every="6s", length="1s")
    found = run(even("10/s", "40s", hiccup, waiting("then", after="hiccup", length="1s")))
    ends = [event["t"] for event in happened(found, "fault_over") if event["name"].startswith("hiccup")]
    begun = [
        (event["name"], event["t"]) for event in happened(found, "fault") if event["name"].startswith("then")
    ]
    assert begun == [(f"then#{number}", time) for number, time in enumerate(ends, 1)]


def problems(*faults: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        scenario(even("1/s", "10s", *faults, **more))
    return [f"{'.'.join(map(str, one.path))}: {one.message}" for one in raised.value.problems]


def test_mistakes_in_what_faults_wait_for() -> None:
    a, b = waiting("a", after="b", length="1s"), waiting("b", holds="fault a", length="1s")
    assert problems(a, b) == [
        "faults.0.after: expected faults that can begin: 'a' waits for 'b' waits for 'a'"
    ]
    assert problems(waiting("a", after="a", length="1s")) == [
        "faults.0.after: expected faults that can begin: 'a' waits for 'a'"
    ]
    assert problems(waiting("a", holds="fault b")) == ["faults.0.while: no fault 'b'; known are a"]
    (unknown,) = problems(waiting("a", holds="at_the_maximum"))
    assert unknown.startswith(
        "faults.0.while: expected one of at_maximum, at_minimum, booting, draining, deploying, proxy_down, or `fault NAME`"
    )
    forever = waiting("b", at="1s")
    assert problems(waiting("a", after="b"), forever) == [
        "faults.0.after: expected a fault that ends: 'b' lasts to the end of the run"
    ]
    kill = waiting("b", "kill", at="1s")
    assert problems(waiting("a", holds="fault b"), kill) == [
        "faults.0.while: expected a fault that lasts: 'b' (kill) strikes at once, and is never in force"
    ]
    assert problems(waiting("a", holds="at_maximum")) == [
        "faults.0.while: expected an autoscaler for at_maximum: the scenario has none"
    ]
    assert problems(waiting("a", holds="deploying")) == [
        "faults.0.while: expected a deploy for deploying: the scenario has none"
    ]
    assert problems(waiting("a")) == ["faults.0: expected at, every, while or after, got none"]
    assert problems(waiting("a", every="5s", length="1s", holds="booting")) == [
        "faults.0.while: expected one of every, while and after, got every and while"
    ]
    assert problems(waiting("a", at="1s", after="b", length="1s"), kill) == [
        "faults.0.at: expected no at beside after: it begins when the other is over"
    ]
    assert problems(waiting("a", at="1s", delay="1s", length="1s")) == [
        "faults.0.delay: expected after beside delay"
    ]
    named = waiting("a#1", at="1s")
    assert problems(waiting("a", holds="booting"), named) == [
        "faults.1.name: expected another name: an occurrence of 'a' is called so"
    ]


def test_what_waits_resolves_to_itself() -> None:
    made = scenario(even("1/s", "10s", waiting("a", holds="fault b"), waiting("b", at="1s", length="2s")))
    again = Scenario.parse(made.to_yaml())
    assert again.document.faults == made.document.faults
