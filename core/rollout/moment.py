"""What a turn works with: the time, what was observed, the books, and the commands and events that come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .books import KEY, LOST, Books
from .commands import CANARIES, UP, Command, Observed, Server
from .spec import DeploySpec
from .states import State, move

GRACE = 2_000_000_000
"""So long after it was taken out of the lists a server may still be sent requests, by a proxy that has not looked since (ns)."""

NOBODY = (0, 1)
"""The canaries' share while none of them is to have requests."""

EVERYBODY = 1 << 30
"""A bound that bounds nothing."""

_ENDS = {
    State.PROMOTED: "deploy_promoted",
    State.ROLLED_BACK: "deploy_rolled_back",
    State.ABORTED: "deploy_rolled_back",
    State.FAILED: "deploy_failed",
}


@dataclass(slots=True)
class Moment:
    """A turn under way. *version*: the one that servers are brought to; *failures*: why the deploy has failed in this turn; *joining*: new servers that take their place in it."""

    spec: DeploySpec
    books: Books
    now: int
    observed: Observed
    commands: list[Command] = field(default_factory=list)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _by_address: dict[str, Server] = field(default_factory=dict)
    _by_key: dict[str, Server] = field(default_factory=dict)
    reverting: bool = False
    joining: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for server in self.observed.servers:
            self._by_address[server.address] = server
            if server.key:
                self._by_key[server.key] = server

    @property
    def version(self) -> str:
        """What servers are brought to."""
        return self.books.previous if self.reverting else self.books.target

    def find(self, reference: str) -> Server | None:
        """The server with this address, or launched with this key; None: there is none (any more, or yet)."""
        if reference.startswith(KEY):
            return self._by_key.get(reference)
        return self._by_address.get(reference)

    def ask(self, command: Command) -> None:
        """Have the driver do it; once a turn is enough."""
        if command not in self.commands:
            self.commands.append(command)

    def log(self, name: str, **fields: Any) -> None:
        """An event."""
        self.events.append((name, {"deploy": self.books.deploy, **fields}))

    def become(self, state: State, reason: str) -> None:
        """The deploy moves to *state* by the table."""
        books = self.books
        books.state = move(books.deploy, books.state, state)
        books.since, books.reason = self.now, reason

    def end(self, state: State, reason: str) -> None:
        """The deploy is over, and the log says so."""
        self.become(state, reason)
        self.log(_ENDS[state], version=self.books.target, reason=reason)

    def is_ours(self, home: str) -> bool:
        """Whether servers that belong to the list *home* are this deploy's."""
        return home in self.books.homes

    def is_busy(self) -> bool:
        """Whether a server is in hand."""
        return any(hand.phase != LOST for hand in self.books.hands.values())

    def gives_share_back(self) -> bool:
        """The canaries' share is to be the scenario's again; whether it is."""
        self.books.share = None
        return not self.books.shares or self.observed.share is None

    def is_held(self, server: Server) -> bool:
        """Whether it is in hand, one of a pair, or on its way out."""
        books = self.books
        held = {*books.hands, *books.retiring}
        held.update(reference for pair in books.pairs for reference in (pair.old, pair.new))
        return server.address in held or (server.key != "" and server.key in held)

    def fail(self, reason: str) -> None:
        """The deploy has failed."""
        self.failures.append(reason)

    def is_ready(self, server: Server) -> bool:
        """The health gate: whether it has been healthy for long enough to take part."""
        healthy = server.phase == UP and server.healthy_since >= 0
        return healthy and self.now - server.healthy_since >= self.spec.min_ready

    def is_drained(self, server: Server, since: int) -> bool:
        """Whether a server that is out of the lists *since* has ended what it had, or has had its time."""
        waited = self.now - since
        if waited >= self.spec.drain or server.phase != UP:
            return True
        return waited >= GRACE and server.in_flight == 0

    def is_wrong(self, server: Server) -> bool:
        """Whether its version is to be exchanged. A rollback leaves alone what the deploy did not touch."""
        if self.reverting:
            return server.version == self.books.target
        return server.version != self.books.target

    def group(self, homes: Callable[[str], bool]) -> list[Server]:
        """The servers that belong to lists of *homes*, in a fixed order."""
        found = [server for server in self.observed.servers if homes(server.home)]
        return sorted(found, key=lambda one: (one.number, one.address))


def name_of(server: Server | None, reference: str) -> int | str:
    """How the log calls a server."""
    return server.number if server is not None and server.number else reference


def is_healthy(server: Server) -> bool:
    """Whether it answers."""
    return server.phase == UP and server.healthy_since >= 0


def is_canary(home: str) -> bool:
    """Whether it is the canaries' list."""
    return home == CANARIES
