"""What a rollout remembers: plain data that goes into the registry as JSON after each turn and is read back by whoever goes on.

A *hand* is a server whose version is exchanged in place. A *pair* is a server and the one that takes its place. They name servers by address, or, of those that
were launched and may not have one yet, by the launch's key (``key:...``).
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .states import State

KEY = "key:"

DRAINING, INSTALLING, REGISTERING, LOST = "draining", "installing", "registering", "lost"
"""Phases of a hand: it ends what it has; its version is exchanged and it is to become healthy; it goes back; it did not become healthy."""

PROMOTE, ABORT = "promote", "abort"
"""What people may ask of a deploy: go on to the promotion at once; go back."""


@dataclass(slots=True)
class Hand:
    """A server whose version is exchanged in place: the list it belongs to, its phase, and since when (ns)."""

    home: str
    phase: str
    since: int


@dataclass(slots=True)
class Pair:
    """*new* takes the place of *old* (empty: there is none any more) in the list *home*; opened at *since*.

    *seen*: the new one has been observed; *registered*: it has taken its place; *early*: the old one goes before that; *drained*: since when the old one is out of the
    lists (ns, -1: it is not). *extra*: a canary beyond those that the fleet had.
    """

    old: str
    new: str
    home: str
    since: int
    seen: bool = False
    registered: bool = False
    early: bool = False
    drained: int = -1
    extra: bool = False


@dataclass(slots=True)
class Window:
    """What an analysis has seen: since when, its next look, how many looks could have passed, and the sums that its statistics need (see core.analysis)."""

    since: int
    look: int
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Books:
    """All that must be known for the next turn. Times in ns, -1: not yet.

    *target* is rolled out, *previous* was there before. *began*: the first turn; *since*: when the state was entered; *step*: the next step; *surge* and *unavailable*: the
    bounds in servers. *share* is what the canaries are to get. *own*: servers that the fleet has as canaries. *switched*: the second set has taken over. *proven*: one of the new version has passed its gate. *stopping*: it has failed and
    ends what it has in hand; *lost*: the way back has failed for some server. *shares*: it has set the canaries' share. *asked*: by people (promote, abort).
    """

    deploy: str
    target: str
    previous: str
    state: State = State.QUEUED
    reason: str = ""
    began: int = -1
    since: int = -1
    step: int = 0
    until: int = -1
    surge: int = 0
    unavailable: int = 0
    launched: int = 0
    hands: dict[str, Hand] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    retiring: dict[str, int] = field(default_factory=dict)
    homes: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    share: tuple[int, int] | None = None
    shares: bool = False
    switched: bool = False
    proven: bool = False
    stopping: bool = False
    lost: bool = False
    asked: str = ""
    window: Window | None = None

    def write(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def key(self) -> str:
        """A fresh launch's reference."""
        self.launched += 1
        return f"{KEY}{self.deploy}/{self.launched}"


def read_books(text: str) -> Books:
    """The books that :meth:`Books.write` wrote. Raises ValueError (or TypeError) for anything else."""
    data = json.loads(text)
    data["state"] = State(data["state"])
    data["hands"] = {address: Hand(**hand) for address, hand in data["hands"].items()}
    data["pairs"] = [Pair(**pair) for pair in data["pairs"]]
    data["window"] = None if data["window"] is None else Window(**data["window"])
    data["share"] = None if data["share"] is None else tuple(data["share"])
    return Books(**data)
