"""Deploys that somebody else does on a fleet while a flight is attached to it, as events of the flight: from the books that ``windtunnel deploy apply`` keeps in the fleet's registry.

Books are read once a second. Their times are on the live clock, which is the same for all processes of a machine, so that an event has the time of the turn in which it
happened. Two changes between two looks are one: what is left out are steps, looks of an analysis, and single servers. A deploy of the registry has no books; it shows by
the number that each run of a Redis has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from ...core.ports import RegistryError
from ...core.rollout import DeploySpec
from ...core.rollout.books import Books
from ...core.rollout.spec import REDIS
from ...core.rollout.states import ENDED, State
from ..deploy.deploy_books import DeployBooks

Emit = Callable[[int, str, Mapping[str, Any]], None]
"""Time (ns, live clock), name and fields of an event."""

_ENDS = {
    State.PROMOTED: "deploy_promoted",
    State.ROLLED_BACK: "deploy_rolled_back",
    State.ABORTED: "deploy_rolled_back",
    State.FAILED: "deploy_failed",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What the registry said at one time: the books of each role, and the run of its server."""

    books: Mapping[str, Books]
    run: str


@dataclass(slots=True)
class _Followed:
    """A deploy under way: which of the scenario's it is, and how it was at the last look."""

    spec: DeploySpec
    mark: tuple[str, int]
    state: State
    share: tuple[int, int] | None
    turned: bool = False


class FollowedDeploys:
    """Those of the scenario (*specs*), of each branch the first that begins, the second, and so on. *client* reaches the registry, *prefix* is put before its keys."""

    def __init__(self, specs: Sequence[DeploySpec], client: Any, prefix: str, emit: Emit) -> None:
        self._waiting = list(specs)
        self._client = client
        self._emit = emit
        roles = dict.fromkeys(spec.role for spec in specs if spec.branch != REDIS)
        self._books = {role: DeployBooks(client, prefix, [role], "") for role in roles}
        self._follows_registry = any(spec.branch == REDIS for spec in specs)
        self._old: dict[str, tuple[str, int]] | None = None
        self._run = ""
        self._lost = -1
        self._now: dict[str, _Followed] = {}
        self._looked = self._before = -1

    def look(self) -> Look:
        """Ask the registry. Raises RegistryError."""
        found = {role: books.load() for role, books in self._books.items()}
        run = ""
        if self._follows_registry:
            try:
                run = str(self._client.info("server")["run_id"])
            except redis.RedisError as error:
                raise RegistryError(f"{type(error).__name__}: {error}") from None
        return Look({role: books for role, books in found.items() if books is not None}, run)

    def lost(self, now: int) -> None:
        """The registry could not be asked at *now* (ns)."""
        self._before, self._looked = self._looked, now
        self._lost = now if self._lost < 0 else self._lost

    def note(self, seen: Look, now: int) -> None:
        """Make events of what was seen at *now* (ns)."""
        self._before, self._looked = self._looked, now
        if self._old is None:
            # What has ended before is none of this flight's; what is under way is.
            self._old = {role: _mark(books) for role, books in seen.books.items() if books.state in ENDED}
        for role, books in seen.books.items():
            if books.began >= 0 and self._old.get(role) != _mark(books):
                self._follow(role, books)
        self._restarted(seen.run, now)

    def _next(self, role: str, branch: str) -> DeploySpec | None:
        """The scenario's deploy that this is."""
        for spec in self._waiting:
            if spec.role == role and spec.branch == branch:
                self._waiting.remove(spec)
                return spec
        return None

    def _follow(self, role: str, books: Books) -> None:
        followed = self._now.get(role)
        if followed is None or followed.mark != _mark(books):
            followed = self._begun(role, books)
        if followed is None:
            return
        if books.shares and books.share != followed.share:
            share = books.share
            since = books.since if books.state is not followed.state else self._looked
            self._tell(
                followed, since, "weight_set", share="default" if share is None else f"{share[0]}/{share[1]}"
            )
            followed.share = share
        if books.state is followed.state:
            return
        followed.state = books.state
        reason, back = books.reason, books.state in (State.ROLLING_BACK, State.ROLLED_BACK, State.ABORTED)
        if back and not followed.turned:
            followed.turned = True
            self._tell(followed, books.since, "rollback_started", reason=reason, version=books.previous)
        if books.state is State.SUPERSEDED:
            self._tell(followed, books.since, "deploy_superseded", by=reason)
        if books.state in _ENDS:
            self._tell(followed, books.since, _ENDS[books.state], reason=reason, version=books.target)

    def _begun(self, role: str, books: Books) -> _Followed | None:
        """A deploy that was not there before; None: the scenario has none such."""
        before = self._now.pop(role, None)
        # A canary's books stand with those of the app servers, too; the name says whose they are.
        spec = self._next(role, books.deploy.partition("-")[0])
        if before is not None and before.state not in ENDED:
            self._tell(before, books.began, "deploy_superseded", by=books.deploy)
        if spec is None:
            assert self._old is not None
            self._old[role] = _mark(books)
            return None
        followed = self._now[role] = _Followed(spec, _mark(books), State.QUEUED, None)
        self._tell(
            followed, books.began, "deploy_started", branch=spec.branch, version=books.target, previous=books.previous,
            strategy=spec.strategy,
        )  # fmt: skip
        return followed

    def _restarted(self, run: str, now: int) -> None:
        """A registry that is another process than before was deployed, if a deploy of it is waited for."""
        before, self._run = self._run, run
        gone, self._lost = self._lost, -1
        if not before or before == run:
            return
        spec = self._next("redis", REDIS)
        if spec is None:
            return
        # It may have been away for less than a second, between two looks.
        began = gone if gone >= 0 else now
        followed = _Followed(spec, ("", 0), State.QUEUED, None)
        self._tell(
            followed, began, "deploy_started", branch=spec.branch, version=spec.version, previous="", strategy=spec.strategy
        )  # fmt: skip
        self._tell(followed, now, "registry_restarted", version=spec.version, away=now - began)
        self._tell(followed, now, "deploy_promoted", reason="", version=spec.version)

    def _tell(self, followed: _Followed, time: int, name: str, **fields: Any) -> None:
        # The log is in order of time: nothing new is from before the look before this one.
        self._emit(max(time, self._before), name, {"deploy": followed.spec.name, **fields})


def _mark(books: Books) -> tuple[str, int]:
    """By which two deploys are told apart."""
    return books.deploy, books.began
