"""The autoscaler dies, or a call fails, at any call of a port, before or after its effect: nothing is lost, leaked or launched twice."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies.hpa_behavior import Behavior
from windtunnel.core.policies.hpa_metrics import HpaMetric
from windtunnel.core.policies.target_tracking_hpa import TargetTrackingHpa
from windtunnel.core.ports import CloudError, CloudInstance, RegistryError
from windtunnel.core.scaling_decision import Launch
from windtunnel.tests.backends.autoscaler.fleet import SPEC, CrashNow, Fleet

BUSY, USUAL, IDLE = 150, 50, 10
END = 62
FAULTS_UNTIL = 40
"""From then on there is no trouble, and everything has to come right."""

CLOUD_CALLS = {"launch", "terminate", "list"}


def load_at(second: int) -> int:
    """Out by two, in by two, one server falls silent, out by one."""
    if 3 <= second < 9 or 32 <= second < 36:
        return BUSY
    return IDLE if 14 <= second < 21 else USUAL


class Trouble:
    """Raises what *error* makes at call number *at* (from 1), before its effect or after it. *calls*: how many there were."""

    def __init__(self, at: int, after: bool, error: Callable[[str], Exception]) -> None:
        self.at = at
        self.after = after
        self.error = error
        self.calls = 0
        self.struck = ""

    def __call__(self, name: str, after: bool) -> None:
        self.calls += not after
        if self.calls == self.at and after == self.after and not self.struck:
            self.struck = name
            raise self.error(name)


def fly(trouble: Trouble, spec: AutoscalerSpec = SPEC) -> Fleet:
    """The script, with a new process after each death."""
    fleet = Fleet()
    deaths = 0
    driver = fleet.driver("process-0", trouble, spec)
    for second in range(1, END + 1):
        fleet.now = second * SECOND
        fleet.load = load_at(second)
        fleet.live()
        if second == 24:
            fleet.silent.add(min(fleet.servers))
        if second == FAULTS_UNTIL:
            trouble.at = 0
        try:
            driver.turn(fleet.now)
        except CrashNow:
            deaths += 1
            driver = fleet.driver(f"process-{deaths}", trouble, spec)
        sizes = [one.number for one in fleet.cloud.list()]
        assert len(sizes) == len(set(sizes)), f"a number was launched twice: {sizes}"
        assert len(sizes) <= 5, f"more than the maximum and one that drains: {sizes}"
    books = fleet.books()
    assert books["noted"] == books["cloud"], trouble.struck
    assert books["listed"] == books["alive"], trouble.struck
    assert sorted(driver.engine.watched()) == books["alive"], trouble.struck
    assert set(fleet.redis.hgetall("request_load")) == set(books["alive"]), trouble.struck
    kept = fleet.registry.load_state("autoscaler")
    assert set(kept) - {"launching", "refusals", "launch_after", "policy", "noted"} == {
        "run",
        "last_action",
        "last_number",
    }, trouble.struck
    assert kept.get("launching", 0) not in {one.number for one in fleet.cloud.list()}, trouble.struck
    return fleet


HPA = replace(
    SPEC, policy=TargetTrackingHpa((HpaMetric(50.0, "requests"),), behavior=Behavior(downscale_stabilization=4 * SECOND)), affordable=5
)  # fmt: skip
"""A policy that remembers, and a cap on cost."""


def never(name: str) -> Exception:
    raise AssertionError(name)


def crash(name: str) -> Exception:
    return CrashNow(name)


def failure(name: str) -> Exception:
    if name in CLOUD_CALLS:
        return CloudError("Unavailable", "no answer")
    return RegistryError("TimeoutError: no answer")


def refusal(name: str) -> Exception:
    if name in CLOUD_CALLS:
        return CloudError("InsufficientInstanceCapacity", "none")
    return RegistryError("ConnectionError: refused")


def test_trouble_at_any_call_of_a_policy_that_remembers() -> None:
    quiet = Trouble(0, False, never)
    found = fly(quiet, HPA)
    reasons = {fields["reason"] for _, name, fields in found.events if name == "decision"}
    assert {"above target", "at cost cap"} & reasons
    assert [name for _, name, _ in found.events].count("draining") >= 3
    for after in (False, True):
        for number in range(1, quiet.calls * FAULTS_UNTIL // END, 2):
            trouble = Trouble(number + after, after, crash)
            try:
                fly(trouble, HPA)
            except AssertionError as wrong:
                raise AssertionError(f"{trouble.struck} at call {number}: {wrong}") from wrong


@pytest.mark.parametrize("dies_at", range(7, 14))
def test_a_stabilization_window_survives_a_crash(dies_at: int) -> None:
    """It asked for the most until 8 s, and for less from 9 s on: within the window, a successor that knew nothing would scale in at once."""
    window = 20
    policy = TargetTrackingHpa(
        (HpaMetric(50.0, "requests"),), behavior=Behavior(downscale_stabilization=window * SECOND)
    )
    spec = replace(SPEC, policy=policy)
    drains = {}
    for name, dies in (("crashed", dies_at), ("spared", 0)):
        fleet = Fleet()
        driver = fleet.driver("one", spec=spec)
        for second in range(1, 40):
            fleet.now = second * SECOND
            fleet.load = BUSY if second < 9 else IDLE
            fleet.live()
            if second == dies:
                driver = fleet.driver("two", spec=spec)
            driver.turn(fleet.now)
        drains[name] = [time // SECOND for time, event, _ in fleet.events if event == "draining"]
        assert len(fleet.launches) == 2
    assert min(drains["spared"]) == 8 + window + 1
    # What is written whenever the lease is renewed lacks a third of a lease at most.
    assert 8 + window + 1 - 4 <= min(drains["crashed"]) <= 8 + window + 1
    assert len(drains["crashed"]) == len(drains["spared"]) == 3


def held(fleet: Fleet) -> object:
    """All that cloud and registry hold."""
    return fleet.cloud.list(), deepcopy(fleet.redis._data)


READS = {"servers", "updating", "read_samples", "instances", "list", "load_state"}


def test_a_dry_run_touches_nothing_whatever_happens() -> None:
    """Through deaths before and after each call; and what it would have done is said."""
    for at in range(40):
        fleet = Fleet()
        fleet.live()
        trouble = Trouble(at, bool(at % 2), crash)
        called: set[str] = set()

        def watch(name: str, after: bool, trouble: Trouble = trouble, called: set[str] = called) -> None:
            called.add(name)
            trouble(name, after)

        driver = fleet.driver("one", watch, replace(SPEC, dry_run=True))
        for second in range(1, 20):
            fleet.now = second * SECOND
            fleet.load = load_at(second)
            fleet.live()
            before = held(fleet)
            try:
                driver.turn(fleet.now)
            except CrashNow:
                driver = fleet.driver(f"another {second}", watch, replace(SPEC, dry_run=True))
            assert held(fleet) == before
        assert called <= READS
        reasons = {fields["reason"] for _, name, fields in fleet.events if name == "decision"}
        assert {"requests_high", "idle"} <= reasons
        assert {name for _, name, _ in fleet.events} == {"decision"}


def refusing(fleet: Fleet, until: int) -> list[int]:
    """The cloud refuses launches until so many seconds; when it was asked, in s."""
    asked: list[int] = []
    launch = fleet.cloud.launch

    def refuse(number: int, role: str, token: str) -> CloudInstance:
        asked.append(fleet.now // SECOND)
        if fleet.now < until * SECOND:
            raise CloudError("RequestLimitExceeded", "too many")
        return launch(number, role, token)

    fleet.cloud.launch = refuse  # type: ignore[method-assign]
    return asked


def test_refusals_are_remembered_across_a_crash_and_forgotten_with_a_success() -> None:
    asked = {}
    for dies in (0, 12):
        fleet = Fleet(load=BUSY)
        asked[dies] = refusing(fleet, 20)
        driver = fleet.driver("one")
        for second in range(1, 40):
            fleet.now = second * SECOND
            fleet.live()
            driver.turn(fleet.now)
            if second == dies:
                driver.release()
                driver = fleet.driver("two")
            if second == 13:
                assert int(fleet.registry.load_state("autoscaler")["refusals"]) >= 3
        kept = fleet.registry.load_state("autoscaler")
        assert not {"refusals", "launch_after"} & set(kept)
        assert len(fleet.launches) == 2
    assert asked[0] == asked[12], "a rerun is identical, and so is a successor"
    gaps = [later - earlier for earlier, later in pairwise(asked[0]) if later < 20]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 4


def test_refusals_do_not_delay_a_scale_in() -> None:
    fleet = Fleet(load=BUSY)
    refusing(fleet, 100)
    driver = fleet.driver("one", spec=replace(SPEC, cooldown=20 * SECOND))
    for second in range(1, 14):
        fleet.now = second * SECOND
        fleet.load = BUSY if second < 12 else IDLE
        fleet.live()
        decision = driver.turn(fleet.now)
        if second == 11:
            assert (decision.reason, decision.limits) == ("backing off", ("backoff",))
    assert [(time // SECOND, event) for time, event, _ in fleet.events if event == "draining"] == [
        (12, "draining")
    ]


@pytest.mark.parametrize("adopts", [True, False])
def test_orphans(adopts: bool) -> None:
    """The cloud lists two more with our tag: one registers, one never does. What its own predecessor launched is no orphan."""
    fleet = Fleet(load=USUAL)
    spec = replace(
        SPEC, maximum=9, adopts_orphans=adopts, reconcile_interval=5 * SECOND, boot_timeout=45 * SECOND
    )
    driver = fleet.driver("one", spec=spec)
    ended: dict[int, int] = {}
    for second in range(1, 70):
        fleet.now = second * SECOND
        fleet.load = BUSY if second == 2 else USUAL
        fleet.live()
        if second == 8:
            for number in (20, 21):
                fleet.cloud.launch(number, "serving", f"by hand {number}")
            mute = next(one.provider_id for one in fleet.cloud.list() if one.number == 21)
            fleet.live()
            fleet.servers[mute].ready = 10**15
        driver.turn(fleet.now)
        if second == 19:
            driver.release()
            driver = fleet.driver("two", spec=spec)
        if second > 8 and 21 not in {one.number for one in fleet.cloud.list()}:
            ended.setdefault(21, second)
    assert {one.number for one in fleet.cloud.list()} == {1, 2, 3, 20}
    assert {fields["server"] for _, name, fields in fleet.events if name == "orphan_found"} == {20, 21}
    books = fleet.books()
    assert books["noted"] == books["cloud"]
    # Adopted: until its boot timeout. Else: half a minute after the last process found it.
    assert ended[21] == (8 + 45 if adopts else 20 + 30)


def test_a_fleet_that_the_registry_forgot_is_no_orphan() -> None:
    fleet = Fleet(load=USUAL)
    spec = replace(SPEC, adopts_orphans=False, dead_after=-1)
    driver = fleet.driver("one", spec=spec)
    for second in range(1, 60):
        fleet.now = second * SECOND
        fleet.live()
        if second == 6:
            fleet.redis.flushall()
        driver.turn(fleet.now)
        if second == 14:
            driver.release()
            driver = fleet.driver("two", spec=spec)
    assert {1, 2} <= {one.number for one in fleet.cloud.list()}
    assert not [name for _, name, _ in fleet.events if name == "orphan_found"]


@pytest.fixture(scope="module")
def calls() -> int:
    """How many calls the script makes until the trouble would be over."""
    trouble = Trouble(0, False, never)
    fleet = fly(trouble)
    names = [name for _, name, _ in fleet.events]
    assert names.count("draining") >= 2, "the script has drains in it"
    assert len(fleet.launches) >= 3, "and launches"
    reasons = {fields["reason"] for _, name, fields in fleet.events if name == "decision"}
    assert {"requests_high", "idle"} <= reasons
    return trouble.calls * FAULTS_UNTIL // END


@pytest.mark.parametrize(("error", "after"), [(crash, False), (crash, True), (failure, False), (failure, True), (refusal, False)],
                         ids=["dies before", "dies after", "fails before", "fails after", "refused"])  # fmt: skip
def test_trouble_at_any_call(calls: int, error: Callable[[str], Exception], after: bool) -> None:
    struck = set()
    for number in range(1, calls + 1):
        trouble = Trouble(number, after, error)
        try:
            fly(trouble)
        except AssertionError as wrong:
            raise AssertionError(f"{trouble.struck} at call {number}: {wrong}") from wrong
        struck.add(trouble.struck)
    assert {"acquire_lease", "save_state", "launch", "terminate", "add_instance", "forget", "deregister", "next_number"} <= struck  # fmt: skip


def test_a_launch_in_doubt_is_repeated_with_its_number() -> None:
    """The cloud has it, but does not list it yet: the next process asks for the very same instance."""
    fleet = Fleet(load=USUAL)
    asked: list[tuple[int, str]] = []
    launch = fleet.cloud.launch

    def slow(number: int, role: str, token: str) -> CloudInstance:
        asked.append((number, token))
        if len(asked) == 1:
            raise CrashNow
        return launch(number, role, token)

    fleet.cloud.launch = slow  # type: ignore[method-assign]
    driver = fleet.driver("one")
    for second in range(1, 30):
        fleet.now = second * SECOND
        fleet.load = BUSY if second >= 3 else USUAL
        fleet.live()
        try:
            driver.turn(fleet.now)
        except CrashNow:
            driver = fleet.driver("two")
    assert asked[:2] == [(3, "test-3")] * 2
    assert [number for number, _ in fleet.launches] == [3, 4]


def test_who_lost_the_lease_does_nothing_more() -> None:
    """It stalls after it has looked, another acts, it goes on: the fencing token stops it before it acts."""
    fleet = Fleet(load=USUAL)
    second = fleet.driver("second")
    stalled = False

    def stall(name: str, after: bool) -> None:
        nonlocal stalled
        if name == "read_samples" and after and fleet.load == BUSY and not stalled:
            stalled = True
            fleet.now += 30 * SECOND
            fleet.live()
            assert second.turn(fleet.now).desired == 3

    first = fleet.driver("first", stall)
    for load in (USUAL, BUSY):
        fleet.now += SECOND
        fleet.load = load
        fleet.live()
        decision = first.turn(fleet.now)
    assert decision.reason == "no lease"
    assert [number for number, _ in fleet.launches] == [3]
    assert [name for _, name, _ in fleet.events] == ["decision"]
    fleet.now += SECOND
    assert first.turn(fleet.now).reason == "no lease"


def test_a_server_that_registers_while_it_drains_is_taken_out_again() -> None:
    fleet = Fleet(load=IDLE)
    driver = fleet.driver("one")
    for second in range(1, 4):
        fleet.now = second * SECOND
        fleet.live()
        driver.turn(fleet.now)
        if second == 2:
            assert [fields["server"] for _, name, fields in fleet.events if name == "draining"] == [2]
            fleet.registry.register("http://10.0.0.2", "serving")
    assert fleet.registry.servers().serving == ("http://10.0.0.1",)
    assert [fields["server"] for _, name, fields in fleet.events if name == "draining"] == [2, 2]


def test_an_instance_that_vanished_is_forgotten() -> None:
    fleet = Fleet(load=USUAL)
    driver = fleet.driver("one", spec=replace(SPEC, reconcile_interval=3 * SECOND, minimum=0))
    fleet.now = SECOND
    fleet.live()
    driver.turn(fleet.now)
    fleet.cloud.terminate(next(one.provider_id for one in fleet.cloud.list() if one.number == 2))
    for second in range(2, 6):
        fleet.now = second * SECOND
        fleet.live()
        driver.turn(fleet.now)
    assert fleet.registry.servers().serving == ("http://10.0.0.1",)
    assert len(fleet.registry.instances()) == 1


def test_a_lost_registry_does_not_end_the_cooldown() -> None:
    fleet = Fleet(load=BUSY)
    driver = fleet.driver("one", spec=replace(SPEC, cooldown=8 * SECOND, boot_timeout=SECOND))
    times = []
    for second in range(1, 12):
        fleet.now = second * SECOND
        fleet.live()
        if second == 3:
            fleet.redis.flushall()
            for server in fleet.servers.values():
                fleet.registry.register(server.instance.address, "serving")
        if any(isinstance(action, Launch) for action in driver.turn(fleet.now).actions):
            times.append(second)
    assert times == [1, 9]


def test_an_earlier_run_in_the_same_registry_means_nothing() -> None:
    """Its times are of another clock, its numbers and tokens of another fleet."""
    fleet = Fleet(load=BUSY)
    token = fleet.registry.acquire_lease("somebody", 1)
    assert token is not None
    left = {"run": 1, "last_action": 10**15, "last_number": 50, "launching": 50, "draining 1": 5}
    assert fleet.registry.save_state("autoscaler", left, token)
    fleet.now = SECOND
    fleet.live()
    assert [type(action) for action in fleet.driver("one").turn(fleet.now).actions] == [Launch]
    assert [number for number, _ in fleet.launches] == [3]
    assert len(fleet.registry.servers().serving) == 2
