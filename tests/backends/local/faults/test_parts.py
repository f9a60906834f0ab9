"""The parts of faults in flight, each by itself: standing commands, ways to the registry, what is refused."""

import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from windtunnel import Scenario
from windtunnel.backends.app.monitors import Monitors
from windtunnel.backends.app.observation import Observation
from windtunnel.backends.autoscaler.cloud_faults import CloudFaults
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.local.faults.flying import OWN_REGISTRY, check_faults, check_prepared
from windtunnel.backends.local.faults.registry import RegistryFaults
from windtunnel.backends.local.faults.standing import Standing
from windtunnel.backends.local.network.places import Places
from windtunnel.backends.proxy.disturbed import Disturbed
from windtunnel.backends.reach import GIVES_UP, Reach
from windtunnel.core.draws import ANSWER_LATENCY, UPSTREAM_LATENCY
from windtunnel.core.errors import UsageError
from windtunnel.core.fault_family import link_toxic
from windtunnel.core.model import SECOND, FaultSpec
from windtunnel.core.ports import CloudError, CloudInstance, RegistryError
from windtunnel.core.toxics import FOREVER, disturbance, healthy, with_link
from windtunnel.core.troubles import Troubles
from windtunnel.scenarios.build import compile_plan

from .test_lost_conductor import FLEET, TYPES, fault


class FakeProcess:
    """As much of a RoleProcess as Standing sees."""

    def __init__(self, role: str, label: str) -> None:
        self.role, self.label = role, label
        self.returncode: int | None = None
        self.heard: list[Any] = []
        self.told: dict[str, Any] = {}

    def send(self, command: Any) -> None:
        self.heard.append(command.get("what"))
        self.told = command


def test_a_standing_command_is_told_to_whoever_takes_the_place() -> None:
    standing = Standing()
    first, second, proxy = (
        FakeProcess("app", "app-1"),
        FakeProcess("app", "app-2"),
        FakeProcess("proxy", "proxy"),
    )
    for one in (first, second, proxy):
        standing.greet(one)  # type: ignore[arg-type]
    standing.put("app", "registry", {"what": "all"})
    standing.put(2, "cut", {"what": "one"})
    standing.say("proxy", {"what": "once"})
    assert (first.heard, second.heard, proxy.heard) == (["all"], ["all", "one"], ["once"])
    second.returncode = -9
    instead = FakeProcess("app", "app-2")
    standing.greet(instead)  # type: ignore[arg-type]
    assert instead.heard == ["all", "one"]
    standing.lift("app", "registry", {"what": "well"})
    standing.put(2, "cut", {"what": "two"})
    assert instead.heard == ["all", "one", "well", "two"]
    third = FakeProcess("app", "app-2")
    standing.greet(third)  # type: ignore[arg-type]
    assert third.heard == ["two"]


def test_a_registry_that_is_down_refuses_and_one_that_is_cut_off_keeps_waiting() -> None:
    reach = Reach("proxy")
    reach.exchange()
    assert reach.obey({"command": "registry", "down": True, "latency": 0})
    with pytest.raises(RegistryError, match="refused"):
        reach.exchange()
    assert reach.obey({"command": "registry", "down": False, "latency": 0})
    assert reach.obey({"command": "cut", "cut": True})
    begun = time.monotonic()
    with pytest.raises(RegistryError, match="no answer within 1s"):
        reach.exchange()
    assert time.monotonic() - begun >= GIVES_UP
    threading.Timer(0.05, reach.end).start()
    with pytest.raises(RegistryError):
        reach.exchange()
    assert reach.obey({"command": "cut", "cut": False})
    reach.exchange()
    assert not reach.obey({"command": "sample"})


def test_a_slow_registry_is_late_once_for_what_follows_at_once() -> None:
    reach = Reach("autoscaler")
    reach.obey({"command": "registry", "down": False, "latency": SECOND // 5})
    begun = time.monotonic_ns()
    reach.exchange()
    late = time.monotonic_ns()
    reach.exchange()
    assert late - begun >= SECOND // 5 > time.monotonic_ns() - late
    time.sleep(0.1)
    reach.exchange()
    assert time.monotonic_ns() - begun >= 2 * SECOND // 5


class Copies:
    """As much of Replicas as faults see."""

    def url(self, lag: int) -> str:
        return f"redis://{lag}"

    def lags(self) -> list[int]:
        return [2 * SECOND]


def test_readers_go_to_the_replica_that_lags_most_as_long_as_any_fault_says_so() -> None:
    standing = Standing()
    proxy, scaler, second = (
        FakeProcess("proxy", "proxy"), FakeProcess("autoscaler", "autoscaler"), FakeProcess("autoscaler", "second"),
    )  # fmt: skip
    for one in (proxy, scaler, second):
        standing.greet(one)  # type: ignore[arg-type]
        one.heard.clear()
    parts = SimpleNamespace(troubles=Troubles(), standing=standing, replicas=Copies(), redis=None)
    faults = RegistryFaults(parts)  # type: ignore[arg-type]
    old, older = (
        FaultSpec(f"lag{lag}", "stale_registry", 0, "registry", attributes=(("lag", lag), ("reader", reader)))
        for lag, reader in ((1, "both"), (2, "proxy"))
    )
    for begin, struck, expected in (
        (True, old, ("redis://1", "redis://1")),
        (True, older, ("redis://2", "redis://1")),
        (False, old, ("redis://2", "")),
        (False, older, ("", "")),
    ):
        (faults.begin if begin else faults.end)(struck, ["registry"])
        assert (proxy.told["url"], scaler.told["url"]) == expected
        assert second.told == scaler.told


def test_a_fault_by_hand_reads_from_a_replica_that_is_there() -> None:
    parts: Any = SimpleNamespace(replicas=Copies(), places=Places())
    for lag, said in ((2 * SECOND, ""), (3 * SECOND, r"\(2 s\), got 3 s")):
        old = FaultSpec("old", "stale_registry", 0, "registry", attributes=(("lag", lag), ("reader", "both")))
        with pytest.raises(UsageError, match=said) if said else nullcontext():
            check_prepared(old, parts)


def test_links_are_late_by_the_draws_of_the_rehearsal() -> None:
    plan = compile_plan(Scenario.parse(FLEET))
    clock = LiveClock.begin()
    disturbed = Disturbed(plan.fleet, clock)
    attributes = (("latency", 80_000_000), ("jitter", 20_000_000))
    wrong = link_toxic(
        [FaultSpec("far", "latency", 0, "app", stream=7, downstream=False, attributes=attributes)]
    )
    start = clock.now()
    disturbed.link(3, wrong, start)
    assert disturbed.on
    expected = disturbance(with_link(healthy(1), 3, wrong), 3, 0, 11, 5, 1, UPSTREAM_LATENCY)
    assert 60_000_000 <= expected <= 100_000_000
    assert disturbed.extra(3, 11, 5, 1, UPSTREAM_LATENCY) == expected
    assert disturbed.extra(3, 11, 5, 1, ANSWER_LATENCY) == disturbed.extra(2, 11, 5, 1, UPSTREAM_LATENCY) == 0
    cut = link_toxic([FaultSpec("cut", "partition", 0, "app", attributes=(("from", "proxy"),))])
    disturbed.link(3, cut, start)
    assert disturbed.check_extra(3) >= FOREVER
    disturbed.link(3, ({}, {}), start)
    assert not disturbed.on


def test_monitors_show_nothing_or_the_same_again() -> None:
    monitors = Monitors()
    seen = [Observation(n, 0, 0, 0, 0, 0, 0.0) for n in range(4)]
    assert monitors.shown(seen[0]) is seen[0]
    assert monitors.obey({"command": "monitors", "silent": False, "stuck": True})
    assert monitors.shown(seen[1]) is monitors.shown(seen[2]) is seen[0]
    assert monitors.obey({"command": "monitors", "silent": True, "stuck": False})
    assert monitors.silent
    assert monitors.shown(seen[3]) is seen[3]


class Roomy:
    """A cloud that launches what it is asked for."""

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        return CloudInstance(number, f"i-{number}", f"http://127.1.0.{number}", role, "running", 0)

    def terminate(self, provider_id: str) -> None:
        pass

    def list(self) -> tuple[CloudInstance, ...]:
        return ()


def test_an_autoscaler_that_launches_itself_meets_the_faults_of_the_cloud() -> None:
    text = (
        FLEET
        + fault("capacity_error")
        + "  - {name: few, type: api_throttling, at: 1s, attributes: {rate: 1/m}}\n"
    )
    text = text.replace("faults: [", "faults:\n  - ", 1).replace("}]\n  - {name: few", "}\n  - {name: few")
    faults = CloudFaults(Roomy(), compile_plan(Scenario.parse(text)).fleet, LiveClock.begin())
    assert faults.obey({"command": "cloud", "faults": ["struck", "few"]})
    assert faults.face.launch(1, "serving", "a").number == 1
    faults.take_over()
    with pytest.raises(CloudError, match="InsufficientInstanceCapacity"):
        faults.face.launch(2, "serving", "b")
    with pytest.raises(CloudError, match="RequestLimitExceeded"):
        faults.face.list()
    faults.obey({"command": "cloud", "faults": []})
    faults.take_over()
    assert faults.face.launch(2, "serving", "b").number == 2


def test_it_knows_the_occurrences_of_faults_that_wait() -> None:
    text = FLEET + fault("capacity_error").replace("at: 1s", "while: at_minimum")
    faults = CloudFaults(Roomy(), compile_plan(Scenario.parse(text)).fleet, LiveClock.begin())
    faults.obey({"command": "cloud", "faults": ["struck#2"]})
    faults.take_over()
    with pytest.raises(CloudError, match="InsufficientInstanceCapacity"):
        faults.face.launch(2, "serving", "b")
    faults.obey({"command": "cloud", "faults": []})
    faults.take_over()
    assert faults.face.launch(2, "serving", "b").number == 2


@pytest.mark.parametrize("name", ["pause", "autoscaler_crash", *sorted(OWN_REGISTRY)])
def test_what_waits_is_refused_where_what_it_waits_to_do_is(name: str) -> None:
    plan = compile_plan(Scenario.parse(FLEET + fault(name).replace("at: 1s", "while: at_minimum")))
    check_faults(plan)
    if name in OWN_REGISTRY:
        with pytest.raises(UsageError, match=f"fault struck: {name} needs a registry"):
            check_faults(plan, given_registry=True)


@pytest.mark.parametrize("name", TYPES)
def test_on_ec2_what_needs_processes_of_this_machine_is_refused(name: str) -> None:
    plan = compile_plan(Scenario.parse(FLEET + fault(name)))
    check_faults(plan)
    near = {"kill", "pause", "slow", "memory_leak", "error", "registry_down", "registry_slow", "boot_failure", "slow_boot",
            "monitor_silent", "monitor_stuck", "dependency_down", "dependency_slow", "cache_flush", "crash_loop", "zombie",
            "spot_interruption", "cpu_hog", "memory_pressure", "clock_skew", "clock_jump", "stuck_launch", "stuck_termination",
            "stale_listing", "second_autoscaler"}  # fmt: skip
    if name in near:
        with pytest.raises(
            UsageError, match=f"fault struck: {name} of .* cannot be flown with app servers on EC2; expected"
        ):
            check_faults(plan, elsewhere=True)
    elif name in OWN_REGISTRY:
        with pytest.raises(UsageError, match=f"{name} needs a registry that the flight has started itself"):
            check_faults(plan, elsewhere=True)
    else:
        check_faults(plan, elsewhere=True)


def test_a_program_of_the_users_can_be_killed_but_not_be_slow(tmp_path: Path) -> None:
    own = FLEET.replace("app: {initial", "app: {command: [./serve], initial")
    for name in ("kill", "pause", "latency"):
        check_faults(compile_plan(Scenario.parse(own + fault(name))))
    with pytest.raises(UsageError, match="fault struck: slow cannot strike a program of your own"):
        check_faults(compile_plan(Scenario.parse(own + fault("slow"))))
