"""Which deploy a role has, in the registry: a lease of its own, the rollout's books after each turn, the version that was promoted last, the push that is newest, and
what people ask of it.

All of it is under ``windtunnel:deploy:ROLE:``, so that a deploy's lease and fence are not the autoscaler's. A deploy may have several roles: a canary that is promoted
goes on to the app servers.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis

from ...core.ports import RegistryError
from ...core.rollout.books import Books, read_books
from ..registry import LEASE, RedisRegistry

PREFIX = "windtunnel:deploy:"
LEASE_NS = 30_000_000_000
_ATTEMPTS = 3
_BOOKS, _STABLE, _NEWEST, _ASKED = "rollout", "stable", "newest", "asked"

T = TypeVar("T")


class DeployBooks:
    """Those of *roles* (the deploy's own first) in the registry that *client* reaches, under *prefix*. *owner* is this process. Everything raises RegistryError."""

    def __init__(self, client: Any, prefix: str, roles: Sequence[str], owner: str) -> None:
        self._client = client
        self._places = [f"{prefix}{PREFIX}{role}:" for role in roles]
        self._registries = [RedisRegistry(client, place) for place in self._places]
        self._owner = owner
        self._tokens = [0] * len(roles)

    def announce(self) -> None:
        """From now on this push is the newest of its roles: whoever deploys an older one stops."""
        for place in self._places:
            _told(lambda place=place: self._client.set(place + _NEWEST, self._owner))  # type: ignore[misc]
            # What was asked of another deploy is not meant for this one.
            _told(lambda place=place: self._client.delete(place + _ASKED))  # type: ignore[misc]

    def asked(self) -> str:
        """What people have asked of this deploy (see :func:`ask`) since this was called last; empty: nothing."""
        found = _told(lambda: [self._client.getdel(place + _ASKED) for place in self._places])
        return next((what for what in found if what), "")

    def is_newest(self) -> bool:
        """Whether no newer push has come."""
        found = _told(lambda: [self._client.get(place + _NEWEST) for place in self._places])
        return all(owner == self._owner for owner in found)

    def hold(self) -> bool:
        """Take or renew the leases; False while another has one."""
        for index, registry in enumerate(self._registries):
            for _ in range(_ATTEMPTS):
                token = registry.acquire_lease(self._owner, LEASE_NS)
                if token is not None or self._is_another_s(self._places[index]):
                    break
            if token is None:
                return False
            self._tokens[index] = token
        return True

    def _is_another_s(self, place: str) -> bool:
        """Whether the lease is another's, and not only contended by a call of our own that was late."""
        holder = _told(lambda: self._client.get(place + LEASE))
        return holder is not None and holder != self._owner

    def release(self) -> None:
        """Give the leases back, at once."""
        for registry in self._registries:
            registry.acquire_lease(self._owner, 1)

    def save(self, text: str) -> bool:
        """Keep the books; False if another has taken over."""
        held = True
        for registry, token in zip(self._registries, self._tokens, strict=True):
            kept = any(registry.save_state(_BOOKS, {"books": text}, token) for _ in range(_ATTEMPTS))
            held = kept and held
        return held

    def load(self) -> Books | None:
        """Those that were kept last; None: there are none, or nobody can read them any more."""
        text = str(self._registries[0].load_state(_BOOKS).get("books", ""))
        try:
            return read_books(text) if text else None
        except (ValueError, TypeError, KeyError, AttributeError):
            # Those of another release of this program: what they left is seen from the servers.
            return None

    def promoted(self, version: str) -> None:
        """*version* runs everywhere."""
        for registry, token in zip(self._registries, self._tokens, strict=True):
            # Marked, so that a version that is a number stays a text.
            registry.save_state(_STABLE, {"version": f"v:{version}"}, token)

    def stable(self) -> str:
        """The version that was promoted last, or an empty text."""
        return str(self._registries[0].load_state(_STABLE).get("version", "")).removeprefix("v:")


def ask(client: Any, prefix: str, role: str, what: str) -> bool:
    """Ask the deploy of *role* that is under way to *what* (core.rollout.books.PROMOTE or ABORT); False if there is none. Raises RegistryError."""
    place = f"{prefix}{PREFIX}{role}:"
    under_way = _told(lambda: client.exists(place + LEASE)) > 0
    if under_way:
        _told(lambda: client.set(place + _ASKED, what))
    return bool(under_way)


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except redis.RedisError as error:
        raise RegistryError(f"{type(error).__name__}: {error}") from None
