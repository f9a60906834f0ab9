"""The build server's state in Redis, so that a restart loses no build. Strings and a list, each change one transaction under the server's lease.

Keys, under a prefix: ``number`` (the last build's), ``build:N`` (a build as JSON), ``builds`` (numbers, newest first), ``delivery:ID`` (the build that a delivery
started, for a week), ``passed:BRANCH`` (the commit that succeeded last), ``lease`` (which server works here).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis

from ....core.errors import UsageError
from ....core.ports import RegistryError
from .builds import Build, supersede, superseded_by

PREFIX = "windtunnel:builds:"
LEASE_MS = 10_000
DELIVERY_SECONDS = 7 * 86_400

T = TypeVar("T")


class LeaseLost(RegistryError):
    """Another build server works under the same keys, or the lease ran out."""


class BuildStore:
    """Builds in Redis. *client* must decode responses; *owner* is this server's name in the lease. Raises RegistryError where Redis fails."""

    def __init__(self, client: Any, owner: str, prefix: str = PREFIX) -> None:
        self._redis = client
        self._owner = owner
        self._prefix = prefix

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _guard(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except redis.RedisError as error:
            raise RegistryError(f"{type(error).__name__}: {error}") from None

    def acquire(self, dead: Callable[[str], bool]) -> bool:
        """Take or prolong the lease. That of an owner who is certainly *dead* is taken over at once."""

        def run() -> bool:
            with self._redis.pipeline(transaction=True) as pipe:
                try:
                    pipe.watch(self._key("lease"))
                    holder = pipe.get(self._key("lease"))
                    if holder not in (None, self._owner) and not dead(holder):
                        return False
                    pipe.multi()
                    pipe.set(self._key("lease"), self._owner, px=LEASE_MS)
                    pipe.execute()
                except redis.WatchError:
                    return False
            return True

        return self._guard(run)

    def release(self) -> None:
        """Give the lease back."""
        self._change(lambda pipe: pipe.delete(self._key("lease")))

    def _change(self, write: Callable[[Any], object]) -> None:
        """Carry out *write* on a transaction, if the lease is ours until its end."""

        def run() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.watch(self._key("lease"))
                holder = pipe.get(self._key("lease"))
                if holder not in (None, self._owner):
                    raise LeaseLost(f"expected the lease of {self._owner}, found {holder}")
                pipe.multi()
                if holder is None:  # Redis came back without it
                    pipe.set(self._key("lease"), self._owner, px=LEASE_MS)
                write(pipe)
                try:
                    pipe.execute()
                except redis.WatchError:
                    raise LeaseLost(f"the lease of {self._owner} changed hands") from None

        self._guard(run)

    def add(self, build: Build, delivery: str = "") -> tuple[Build, list[Build]]:
        """Number *build* and put it into its role's queue; older ones that wait there are superseded. The *delivery* is remembered with it, so that it never starts another."""
        number = int(self._guard(lambda: self._redis.incr(self._key("number"))))
        build = build.model_copy(update={"number": number})
        older = superseded_by(build, self.latest()) if build.open else []
        for one in older:
            supersede(one, build, build.queued)

        def write(pipe: Any) -> None:
            pipe.set(self._key(f"build:{number}"), build.model_dump_json())
            pipe.lpush(self._key("builds"), number)
            for one in older:
                pipe.set(self._key(f"build:{one.number}"), one.model_dump_json())
            if delivery:
                pipe.set(self._key(f"delivery:{delivery}"), number, ex=DELIVERY_SECONDS)

        self._change(write)
        return build, older

    def save(self, build: Build) -> None:
        """Write a build; one that passed is what its branch can go back to."""

        def write(pipe: Any) -> None:
            pipe.set(self._key(f"build:{build.number}"), build.model_dump_json())
            if build.state == "passed":
                pipe.set(self._key(f"passed:{build.branch}"), build.commit)

        self._change(write)

    def delivered(self, delivery: str) -> int | None:
        """The build that this delivery has started."""
        found = self._guard(lambda: self._redis.get(self._key(f"delivery:{delivery}")))
        return None if found is None else int(found)

    def last_passed(self, branch: str) -> str:
        """The commit of *branch* that was built last with success, or nothing."""
        return self._guard(lambda: self._redis.get(self._key(f"passed:{branch}"))) or ""

    def get(self, number: int) -> Build | None:
        """A build by number."""
        found = self._guard(lambda: self._redis.get(self._key(f"build:{number}")))
        return None if found is None else _read(found)

    def latest(self, limit: int | None = None) -> list[Build]:
        """The newest builds first, all of them without a *limit*."""

        def run() -> list[Build]:
            numbers = self._redis.lrange(self._key("builds"), 0, -1 if limit is None else limit - 1)
            if not numbers:
                return []
            texts = self._redis.mget([self._key(f"build:{number}") for number in numbers])
            return [_read(text) for text in texts if text is not None]

        return self._guard(run)

    def forget(self, keep: int) -> list[int]:
        """Forget the oldest builds that are over, so that *keep* are left; their numbers."""
        old = [one.number for one in self.latest()[keep:] if not one.open]
        if old:

            def write(pipe: Any) -> None:
                for number in old:
                    pipe.lrem(self._key("builds"), 0, number)
                    pipe.delete(self._key(f"build:{number}"))

            self._change(write)
        return old

    def persists(self) -> bool:
        """Whether this Redis writes to its disk, so far as it tells; one that does not loses all builds when it restarts."""

        def run() -> bool:
            try:
                told: Mapping[str, str] = {
                    **self._redis.config_get("save"),
                    **self._redis.config_get("appendonly"),
                }
            except redis.ResponseError:  # a managed Redis does not tell
                return True
            return bool(told.get("save")) or told.get("appendonly") == "yes"

        return self._guard(run)


def _read(text: str) -> Build:
    try:
        return Build.model_validate_json(text)
    except ValueError:
        raise UsageError(
            f"expected builds under the key prefix, found something else; give another one: {text[:80]!r}"
        ) from None
