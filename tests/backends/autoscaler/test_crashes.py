"""The autoscaler dies, or a call fails, at any call of a port, before or after its effect: nothing is lost, leaked or launched twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from windtunnel.core.autoscaler import Launch
from windtunnel.core.model import SECOND
from windtunnel.core.ports import CloudError, CloudInstance, RegistryError
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


def fly(trouble: Trouble) -> Fleet:
    """The script, with a new process after each death."""
    fleet = Fleet()
    deaths = 0
    driver = fleet.driver("process-0", trouble)
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
            driver = fleet.driver(f"process-{deaths}", trouble)
        sizes = [one.number for one in fleet.cloud.list()]
        assert len(sizes) == len(set(sizes)), f"a number was launched twice: {sizes}"
        assert len(sizes) <= 5, f"more than the maximum and one that drains: {sizes}"
    books = fleet.books()
    assert books["noted"] == books["cloud"], trouble.struck
    assert books["listed"] == books["alive"], trouble.struck
    assert sorted(driver.engine.watched()) == books["alive"], trouble.struck
    assert set(fleet.redis.hgetall("request_load")) == set(books["alive"]), trouble.struck
    kept = fleet.registry.load_state("autoscaler")
    assert set(kept) - {"launching"} == {"run", "last_action", "last_number"}, trouble.struck
    assert kept.get("launching", 0) not in {one.number for one in fleet.cloud.list()}, trouble.struck
    return fleet


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
