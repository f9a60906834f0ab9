"""A rollout on real hosts: what core.rollout asks for is carried out by the registry and by Ansible, one host's run at a time or many at once.

Theory of operation
-------------------
A turn a second: the lease is renewed, the servers are looked at, the rollout is asked, its books are written into the registry, then whom it has in hand, and then its
commands are carried out. What takes long, the playbooks, runs in a thread; the servers it is about are shown as updating meanwhile. A driver that dies leaves the
servers that it had in hand out of the lists and named as being updated: nobody puts them back but the next run, which takes over the books.
A server that could not be brought back stays named so after the end, too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from ...core.ports import Registry, RegistryError
from ...core.rollout import (
    Command,
    Component,
    DeploySpec,
    Drain,
    Install,
    Observed,
    Register,
    RestartProxy,
    SetWeight,
    State,
)
from ...core.rollout.books import LOST, Books, Hand
from ...core.rollout.commands import CANARIES, STANDBY, UP
from ...core.rollout.rollout import Rollout
from ...core.rollout.spec import CANARY_STEPS
from .deploy_books import DeployBooks
from .playbooks import Played
from .watching import Host, Watch, common_version

BEAT = 1.0
FIRST_SECONDS = 5.0
PATIENCE = 60.0
"""Seconds that the registry may be away, or an older deploy may take to stop."""

Tell = Callable[[str], None]
T = TypeVar("T")
Install_ = Callable[[str, Sequence[str]], Played]
"""Bring hosts, by their names, to a version."""


class Busy(Exception):
    """Another deploy of the role has not stopped."""


class RolloutDriver:
    """Drives one deploy. *play* brings hosts to a version; *cancel* ends what it is doing; *pause* sleeps (seconds)."""

    def __init__(
        self, spec: DeploySpec, hosts: Sequence[Host], registry: Registry, books: DeployBooks, watch: Watch,
        play: Install_, tell: Tell, now: Callable[[], int], cancel: Callable[[], None] = lambda: None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._hosts = {host.address: host for host in hosts if host.address}
        self._others = [host.name for host in hosts if not host.address]
        self._registry = registry
        self._books = books
        self._watch = watch
        self._play = play
        self._tell = tell
        self._now = now
        self._cancel = cancel
        self._pause = pause
        self._wanted: dict[str, str] = {}
        self._running: tuple[str, tuple[str, ...], Future[Played]] | None = None
        self._failed: set[Command] = set()
        self._proxy: Component | None = None
        self._restart: RestartProxy | None = None
        self._said = ("", "")
        self._left: set[str] = set()

    def run(self) -> tuple[State, str]:
        """How the deploy ended, and why. Raises Busy, RegistryError."""
        self._books.announce()
        self._await_lease()
        pool = ThreadPoolExecutor(1, thread_name_prefix="playbook")
        try:
            rollout = self._begin()
            while not rollout.ended:
                self._turn(rollout, pool)
                if not rollout.ended:
                    self._pause(BEAT)
            self._end(rollout)
            return rollout.state, rollout.books.reason
        finally:
            self._cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            self._watch.close()
            self._patiently(self._books.release)

    def _await_lease(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self._books.hold():
            if time.monotonic() > end:
                raise Busy(f"another deploy of {self._spec.role} has not stopped within {PATIENCE:.0f} s")
            self._pause(BEAT)

    def _begin(self) -> Rollout:
        """The rollout, with what an earlier one left half done, and the hosts that are in no list, in its hands."""
        before = self._books.load()
        observed = self._first_look()
        previous = self._books.stable() or common_version(observed)
        if before is not None and before.target == self._spec.version and before.state is not State.PROMOTED:
            previous = before.previous or previous
        if previous == self._spec.version:
            previous = before.previous if before is not None else ""
        inherited = before if before is not None and before.state is not State.PROMOTED else None
        if inherited is None:
            inherited = Books(self._spec.name, "", "")
        hands = inherited.hands if self._spec.strategy != CANARY_STEPS else {}
        inherited.hands = {address: hand for address, hand in hands.items() if address in self._hosts}
        for server in observed.servers:
            name = self._hosts[server.address].name
            if server.listed:
                continue
            if self._spec.strategy != CANARY_STEPS:
                inherited.hands.setdefault(server.address, Hand(server.home, LOST, -1))
                self._tell(f"{name} is in no list; it is deployed to first")
            elif server.home != CANARIES:
                # What is not proven goes to nobody who is to serve at once.
                self._left.add(server.address)
                self._tell(f"{name} is in no list, and stays out until the next deploy of master")
        return Rollout.begin(self._spec, previous, inherited)

    def _first_look(self) -> Observed:
        """What there is; a listed server that has not said what it runs is given a moment to."""
        end = time.monotonic() + FIRST_SECONDS
        while True:
            observed = self._patiently(lambda: self._watch.look({}, ()))
            if time.monotonic() > end or all(one.version for one in observed.servers if one.listed):
                return observed
            self._pause(BEAT)

    # A turn.

    def _turn(self, rollout: Rollout, pool: ThreadPoolExecutor) -> None:
        held = self._patiently(self._books.hold)
        if not held or not self._patiently(self._books.is_newest):
            rollout.supersede(self._now())
            self._patiently(lambda: self._books.save(rollout.save()))
            return
        if wish := self._patiently(self._books.asked):
            self._tell(f"asked to {wish}")
            rollout.ask(wish)
        self._gather()
        observed = self._patiently(lambda: self._watch.look(self._installing(), self._failed, self._proxy))
        self._failed = set()
        turn = rollout.turn(self._now(), self._claimed(rollout, observed))
        if not self._patiently(lambda: self._books.save(rollout.save())):
            rollout.supersede(self._now())
            return
        self._patiently(lambda: self._mark(turn.updating))
        for name, fields in turn.events:
            self._tell(_sentence(name, fields))
        if (turn.state, turn.reason) != self._said:
            self._said = (turn.state, turn.reason)
            self._tell(f"{turn.state}{': ' + turn.reason if turn.reason else ''}")
        for command in turn.commands:
            self._obey(command)
        self._start(pool)

    def _claimed(self, rollout: Rollout, observed: Observed) -> Observed:
        """Canaries of the inventory that are in no list yet are shown as if they were until the rollout has taken them: they are what it would launch elsewhere."""
        books = rollout.books
        begins = books.state in (State.QUEUED, State.PREPARING) and not books.own and not books.pairs
        if self._spec.strategy != CANARY_STEPS or not begins:
            return observed
        return replace(
            observed,
            servers=tuple(
                replace(one, listed=CANARIES, phase=UP, healthy_since=-1)
                if one.home == CANARIES and not one.listed
                else one
                for one in observed.servers
            ),
        )

    def _patiently(self, call: Callable[[], T]) -> T:
        """Do it again for a while if the registry is away. Raises RegistryError."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except RegistryError as error:
                if time.monotonic() > end:
                    raise
                self._tell(f"the registry is away: {error}")
                self._pause(BEAT)

    def _mark(self, updating: Sequence[str]) -> None:
        """Name those in hand; what others have named stays."""
        before = set(self._registry.updating())
        after = (before - set(self._hosts)) | set(updating) | self._left
        if after != before:
            self._registry.set_updating(sorted(after))

    def _obey(self, command: Command) -> None:
        registry = self._registry
        match command:
            case Drain(address):
                self._tell(f"{self._name(address)}: drained")
                self._patiently(lambda: registry.deregister(address))
            case Register(address, role):
                home = self._hosts[address].home if address in self._hosts else role
                self._tell(f"{self._name(address)}: in rotation")
                self._patiently(lambda: registry.register(address, STANDBY if home == STANDBY else role))
            case SetWeight(share):
                self._patiently(lambda: registry.set_canary_share(share))
            case Install(address, version):
                self._wanted[address] = version
            case RestartProxy():
                self._restart = command
            case _:
                self._failed.add(command)
                self._tell(f"{command}: hosts of an inventory cannot be launched or ended")

    def _name(self, address: str) -> str:
        return self._hosts[address].name if address in self._hosts else address

    # Playbooks.

    def _installing(self) -> Mapping[str, str]:
        if self._running is None:
            return {}
        version, addresses, _ = self._running
        return dict.fromkeys(addresses, version)

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """The next run: all hosts that are to have the same version."""
        if self._running is not None:
            return
        wanted, self._wanted = self._wanted, {}
        addresses: tuple[str, ...] = ()
        if self._restart is not None:
            version, names = self._restart.version, self._others
        elif wanted:
            version = next(iter(wanted.values()))
            addresses = tuple(address for address in wanted if wanted[address] == version)
            names = [self._name(address) for address in addresses]
        else:
            return
        if not version:
            # There was nothing before.
            self._failed |= {Install(address, version) for address in addresses}
            if self._restart is not None:
                self._failed.add(self._restart)
                self._restart = None
            return
        self._tell(f"{', '.join(names)}: installing {version}")
        self._running = (version, addresses, pool.submit(self._play, version, names))

    def _gather(self) -> None:
        """What has become of the run."""
        if self._running is None or not self._running[2].done():
            return
        version, addresses, future = self._running
        self._running = None
        played = future.result()
        for address in addresses:
            name = self._name(address)
            if (
                name in played.failed
                or name in played.unreachable
                or name not in played.done
                or not _ended(played)
            ):
                self._failed.add(Install(address, version))
        if self._restart is not None:
            if played.succeeded:
                self._proxy = Component(version, self._now())
            else:
                self._failed.add(self._restart)
            self._restart = None
        if not played.succeeded:
            self._tell(played.sentence())

    def _end(self, rollout: Rollout) -> None:
        """Who could not be brought back stays out; a promoted version is the one to go back to."""
        if rollout.state is State.SUPERSEDED:
            return
        lost = [address for address, hand in rollout.books.hands.items() if hand.phase == LOST]
        self._patiently(lambda: self._mark(lost))
        if rollout.state is State.PROMOTED:
            self._patiently(lambda: self._books.promoted(self._spec.version))
        if lost:
            self._tell(f"out of rotation: {', '.join(self._name(address) for address in sorted(lost))}")


def _ended(played: Played) -> bool:
    """Whether the run came to its end, well or not: only then what it says of its hosts counts."""
    return played.status in ("successful", "failed")


def _sentence(name: str, fields: Mapping[str, Any]) -> str:
    """An event for people."""
    told = ", ".join(
        f"{key} {value}" for key, value in fields.items() if key not in ("deploy", "metrics") and value != ""
    )
    return f"{name.replace('_', ' ')}: {told}" if told else name.replace("_", " ")
