"""The driver of rollouts on a real registry, with servers that are made up: what Ansible would do to them is told in a function."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from windtunnel.backends.connection import redis_client
from windtunnel.backends.deploy.deploy_books import DeployBooks, ask
from windtunnel.backends.deploy.deploy_words import spec_of
from windtunnel.backends.deploy.playbooks import Played
from windtunnel.backends.deploy.rollout_driver import RolloutDriver
from windtunnel.backends.deploy.watching import Host, Watch
from windtunnel.backends.fleet_operations import FleetOperations
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.model import SECOND
from windtunnel.core.ports import RegistryError, Sample
from windtunnel.core.rollout import State
from windtunnel.core.rollout.books import ABORT, PROMOTE
from windtunnel.core.table import CANARY, SERVING
from windtunnel.core.tallies import count_try, no_counters, tallies_of

from ..redis_fixture import RedisServer

MS = 1_000_000
BEAT = 0.02


class World:
    """Servers by name: what runs on them, and a thread that speaks for them. *bad* versions never become healthy; *slow*, *faulty*: what canaries of such a version do."""

    def __init__(self, redis: RedisServer, apps: int = 3, canaries: int = 0) -> None:
        self.client = redis_client(redis.url)
        self.registry = RedisRegistry(self.client)
        self.clock = LiveClock.begin()
        self.hosts = [Host(f"app{n}", f"http://10.0.0.{n}", "serving") for n in range(1, apps + 1)]
        self.hosts += [Host(f"canary{n}", f"http://10.0.1.{n}", "canary") for n in range(1, canaries + 1)]
        self.runs: dict[str, str] = {}
        self.bad: set[str] = set()
        self.cut_off: set[str] = set()
        self.faulty: set[str] = set()
        self.played: list[tuple[str, tuple[str, ...]]] = []
        self.told: list[str] = []
        self.most_out = 0
        self.counters = no_counters()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def _speak(self) -> None:
        while not self._ending.wait(BEAT):
            try:
                self._say()
            except RegistryError:
                continue  # A machine that was busy elsewhere.

    def _say(self) -> None:
        now, listed = self.clock.now(), self.registry.servers()
        samples = []
        for host in self.hosts:
            if self.runs.get(host.name) and self.runs[host.name] not in self.bad:
                samples.append(Sample(host.address, now, 10, 0.5, 0.1, 0, self.runs[host.name], host.home))
        self.registry.write_samples(samples)
        for host in self.hosts:
            fails = self.runs.get(host.name) in self.faulty
            if host.address in listed.serving:
                for _ in range(20):
                    count_try(self.counters, SERVING, 5 * MS, False)
            elif host.address in listed.canary:
                for _ in range(10):
                    count_try(self.counters, CANARY, 5 * MS, fails)
        self.registry.write_tallies(tallies_of(now, self.counters))
        out = sum(1 for host in self.hosts if host.home == "serving" and host.address not in listed.serving)
        self.most_out = max(self.most_out, out) if listed.serving else self.most_out

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self.client.close()

    def start(self, version: str) -> None:
        """All run it, and are listed."""
        for host in self.hosts:
            self.runs[host.name] = version
            self.registry.register(host.address, host.home)

    def ask(self, address: str, path: str) -> bool:
        name = next(host.name for host in self.hosts if host.address == address)
        return bool(self.runs.get(name)) and self.runs[name] not in self.bad

    def play(self, version: str, names: Sequence[str], **more: Any) -> Played:
        """As the role does: what does not become healthy gets the version before back."""
        self.played.append((version, tuple(names)))
        played = Played("successful")
        for name in names:
            if name in self.cut_off:
                played.unreachable[name] = "timed out"
                continue
            played.done.add(name)
            if version in self.bad:
                played.failed[name] = "not healthy"
            else:
                self.runs[name] = version
        played.status = "failed" if played.failed or played.unreachable else "successful"
        return played

    def driver(
        self, version: str, branch: str = "master", unavailable: str = "1", play: Callable[..., Played] | None = None,
        owner: str = "", analysis: int = SECOND,
    ) -> RolloutDriver:  # fmt: skip
        durations = {"min_ready": 100 * MS, "drain": SECOND, "deadline": 20 * SECOND, "analysis": analysis}
        spec = spec_of(branch, version, "", unavailable, (1, 10), durations)
        roles = [spec.role, *sorted(spec.claims - {spec.role})]
        hosts = [host for host in self.hosts if branch == "canary" or host.home == "serving"]
        return RolloutDriver(
            spec, hosts, self.registry, DeployBooks(self.client, "", roles, owner or f"{branch}-{version}"),
            Watch(hosts, self.registry, self.clock.now, self.ask), play or self.play, self.told.append,
            self.clock.now, pause=lambda seconds: time.sleep(min(seconds, 0.05)),
        )  # fmt: skip

    def listed(self) -> dict[str, str]:
        """What the listed ones run, by name."""
        servers = self.registry.servers()
        return {
            host.name: self.runs[host.name]
            for host in self.hosts
            if host.address in (*servers.serving, *servers.canary)
        }


@pytest.fixture
def world(redis_server: RedisServer) -> Any:
    made = World(redis_server)
    yield made
    made.end()


@pytest.fixture
def canaries(redis_server: RedisServer) -> Any:
    made = World(redis_server, apps=2, canaries=1)
    yield made
    made.end()


ALL = ("app1", "app2", "app3")


def test_the_first_deploy_brings_hosts_that_nobody_knows_into_rotation(world: World) -> None:
    assert world.driver("v1").run()[0] is State.PROMOTED
    assert world.listed() == dict.fromkeys(ALL, "v1")
    assert world.registry.updating() == ()


def test_rolling_takes_one_after_another(world: World) -> None:
    world.start("v1")
    assert world.driver("v2").run()[0] is State.PROMOTED
    assert world.listed() == dict.fromkeys(ALL, "v2")
    assert [names for _, names in world.played] == [("app1",), ("app2",), ("app3",)]
    assert world.most_out == 1
    # A second run has nothing to do.
    world.played.clear()
    assert world.driver("v2").run()[0] is State.PROMOTED
    assert world.played == []


def test_a_version_that_does_not_come_up_touches_one_server_and_goes_back(world: World) -> None:
    world.start("v1")
    world.bad.add("v2")
    state, reason = world.driver("v2").run()
    assert state is State.ROLLED_BACK
    assert "10.0.0.1" in reason
    assert world.listed() == dict.fromkeys(ALL, "v1")
    assert world.most_out == 1
    assert world.registry.updating() == ()


def test_a_host_that_is_cut_off_and_dead_stays_out_and_the_next_run_repairs_it(world: World) -> None:
    world.start("v1")
    world.cut_off.add("app2")
    world.runs["app2"] = ""
    state, _ = world.driver("v2").run()
    assert state is not State.PROMOTED
    # What serves is of one version; the dead one is out, and marked so that nobody puts it back.
    assert set(world.listed().values()) == {"v1"}
    assert "app2" not in world.listed()
    assert "http://10.0.0.2" in world.registry.updating()
    world.cut_off.clear()
    assert world.driver("v3").run()[0] is State.PROMOTED
    assert world.listed() == dict.fromkeys(ALL, "v3")
    assert world.registry.updating() == ()


class Killed(BaseException):
    """The process is gone."""


def test_a_driver_that_dies_in_the_middle_is_repaired_by_the_next_run(world: World) -> None:
    world.start("v1")
    turns = 0

    def dies(version: str, names: Sequence[str]) -> Played:
        nonlocal turns
        turns += 1
        if turns == 2:
            raise Killed
        return world.play(version, names)

    with pytest.raises(Killed):
        world.driver("v2", play=dies).run()
    # One is done, the second was in hand: it is out of rotation, and marked.
    assert world.listed() == {"app1": "v2", "app3": "v1"}
    assert world.registry.updating() == ("http://10.0.0.2",)
    assert world.driver("v2", owner="next").run()[0] is State.PROMOTED
    assert world.listed() == dict.fromkeys(ALL, "v2")
    assert world.registry.updating() == ()


def test_the_way_back_after_a_death_is_the_version_before_both(world: World) -> None:
    world.start("v1")

    def dies(version: str, names: Sequence[str]) -> Played:
        raise Killed

    with pytest.raises(Killed):
        world.driver("v2", play=dies).run()
    world.bad.add("v3")
    assert world.driver("v3").run()[0] in (State.ROLLED_BACK, State.FAILED)
    assert set(world.listed().values()) == {"v1"}


def test_the_newer_push_wins(world: World) -> None:
    world.start("v1")
    began, ended = threading.Event(), []

    def slow(version: str, names: Sequence[str]) -> Played:
        began.set()
        time.sleep(0.3)
        return world.play(version, names)

    older = threading.Thread(target=lambda: ended.append(world.driver("v2", play=slow).run()[0]))
    older.start()
    assert began.wait(20)
    assert world.driver("v3").run()[0] is State.PROMOTED
    older.join(20)
    assert ended == [State.SUPERSEDED]
    assert world.listed() == dict.fromkeys(ALL, "v3")
    assert world.registry.updating() == ()


def test_what_others_have_taken_out_stays_marked(world: World) -> None:
    world.start("v1")
    world.registry.set_updating(["http://10.9.9.9"])
    assert world.driver("v2").run()[0] is State.PROMOTED
    assert world.registry.updating() == ("http://10.9.9.9",)


def test_a_good_canary_is_promoted(canaries: World) -> None:
    canaries.start("v1")
    state, reason = canaries.driver("v2", "canary").run()
    assert state is State.PROMOTED, reason
    assert canaries.listed() == dict.fromkeys(("app1", "app2", "canary1"), "v2")
    assert canaries.registry.canary_share() is None


def test_a_bad_canary_is_taken_back_and_no_other_server_is_touched(canaries: World) -> None:
    canaries.start("v1")
    canaries.faulty.add("v2")
    state, reason = canaries.driver("v2", "canary", analysis=20 * SECOND).run()
    assert (state, reason.split(":")[0]) == (State.ROLLED_BACK, "analysis")
    assert canaries.listed() == dict.fromkeys(("app1", "app2", "canary1"), "v1")
    assert {names for _, names in canaries.played} == {("canary1",)}


def running(world: World, version: str, what: str) -> tuple[State, str]:
    """How a canary's deploy with an hour of analysis ends that is asked to *what* when its canary gets requests."""
    ends: list[tuple[State, str]] = []
    assert not ask(world.client, "", "canary", what)
    thread = threading.Thread(
        target=lambda: ends.append(world.driver(version, "canary", analysis=3600 * SECOND).run())
    )
    thread.start()
    due = time.monotonic() + 30
    while world.registry.servers().canary == () and time.monotonic() < due:
        time.sleep(0.02)
    assert ask(world.client, "", "canary", what)
    thread.join(60)
    return ends[0]


def test_people_promote_a_canary_before_its_analysis_is_over(canaries: World) -> None:
    canaries.start("v1")
    canaries.registry.deregister("http://10.0.1.1")
    assert running(canaries, "v2", PROMOTE)[0] is State.PROMOTED
    assert set(canaries.listed().values()) == {"v2"}


def test_people_abort_a_deploy(canaries: World) -> None:
    canaries.start("v1")
    canaries.registry.deregister("http://10.0.1.1")
    state, reason = running(canaries, "v2", ABORT)
    assert (state, reason) == (State.ABORTED, "asked for")
    assert {name: v for name, v in canaries.listed().items() if name.startswith("app")} == dict.fromkeys(
        ALL[:2], "v1"
    )
    # The next one has heard nothing of it.
    assert canaries.driver("v3", "canary").run()[0] is State.PROMOTED


def test_canaries_that_were_never_there_are_brought_up_for_it(canaries: World) -> None:
    for host in canaries.hosts[:2]:
        canaries.runs[host.name] = "v1"
        canaries.registry.register(host.address, "serving")
    state, reason = canaries.driver("v2", "canary").run()
    assert state is State.PROMOTED, reason
    assert canaries.listed() == dict.fromkeys(("app1", "app2", "canary1"), "v2")


def test_operations(world: World) -> None:
    world.start("v1")
    fleet = FleetOperations(world.registry)
    one = world.hosts[0].address
    assert fleet.leave(one)
    assert fleet.drained(one, 5.0, settle=0.1)
    assert not fleet.leave(one)
    assert [server.role for server in fleet.status().servers] == ["updating", "serving", "serving"]
    assert fleet.role_of(one) == "serving"
    assert fleet.restore(one, "canary")
    assert not fleet.restore(one, "canary")
    assert world.registry.servers().canary == (one,)
    assert fleet.promote() == (one,)
    assert world.registry.servers().serving == tuple(host.address for host in world.hosts)
    fleet.restore(one, "canary")
    fleet.canary_on(1, 10)
    assert fleet.status().share == (1, 10)
    assert fleet.roll_back() == (one,)
    assert (fleet.status().share, world.registry.updating()) == ((0, 1), (one,))
    assert fleet.clear(one)
    assert one not in {server.address for server in fleet.status().servers}
