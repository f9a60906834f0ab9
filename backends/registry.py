"""The registry on Redis, through a strict subset of redis-py's synchronous API.

Keys are those of the classic fleet (an optional prefix before each), so that foreign programs interoperate:

- lists ``serving_servers``, ``canary_servers``, ``active_servers`` (standby) of ``http://IP[:port]``: LPUSH and LREM only; their
  order means nothing (a classic proxy rotates them by RPOPLPUSH), readers deduplicate;
- hashes ``request_load`` (requests in the last second) and ``memory_load`` (0 to 1), fields ``http://IP[:port]``;
- a hash per server named by its bare address ``IP[:port]``; a plain string there is a foreign server's request count;
- list ``aws_instanceid``; and, ours alone, ``windtunnel:*``: instance numbers, lease, fence, roles' state; the hash ``windtunnel:proxy`` (the
  proxy's own sample, without which nothing could ask for the first server); and for deploys the list ``windtunnel:updating`` of ``http://IP[:port]``, the string
  ``windtunnel:canary_share`` (``1/4``) and the hash ``windtunnel:tallies`` (per role: answers, failures, and the buckets that are not empty as ``BUCKET:COUNT ...``). Deploys on real hosts keep their
  books under ``windtunnel:deploy:ROLE:`` (see ``deploy/deploy_books``).

No blocking command, no Lua, no set: nothing whose order or timing a fake could not keep.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis

from ..core.ports import ProxyLoad, RegistryError, Sample, Servers, State
from ..core.tallies import Tallies
from .registry_text import read_share, read_tallies, write_tallies

LISTS = {"serving": "serving_servers", "canary": "canary_servers", "standby": "active_servers"}
REQUEST_LOAD = "request_load"
MEMORY_LOAD = "memory_load"
INSTANCES = "aws_instanceid"
NUMBERS = "windtunnel:instances"
LEASE = "windtunnel:lease"
FENCE = "windtunnel:fence"
STATE = "windtunnel:state:"
PROXY = "windtunnel:proxy"
UPDATING = "windtunnel:updating"
CANARY_SHARE = "windtunnel:canary_share"
TALLIES = "windtunnel:tallies"

_OWN_FIELDS = {"requests", "memory", "cpu", "in_flight", "version", "state", "time"}
_NANOS_PER_MS = 1_000_000
_WRONG_TYPE = "WRONGTYPE"

T = TypeVar("T")


def bare(address: str) -> str:
    """``IP[:port]`` of ``http://IP[:port]``."""
    return address.removeprefix("http://")


def _number(text: str | None, default: float = 0.0) -> float:
    """A foreign program's number; whatever is no finite number counts as *default*."""
    try:
        number = float(text) if text is not None else default
    except ValueError:
        return default
    return number if math.isfinite(number) else default


class RedisRegistry:
    """Implements core.ports.Registry. *client* must decode responses. *before* is called before each exchange, and may raise RegistryError.

    *apart*: before the keys of lease, fence and roles' states alone, for an autoscaler that shares the fleet with another one but not its lease.
    """

    def __init__(
        self, client: Any, prefix: str = "", before: Callable[[], None] = lambda: None, apart: str = ""
    ) -> None:
        self._redis = client
        self._prefix = prefix
        self._before = before
        self._lease, self._fence, self._state = (prefix + apart + name for name in (LEASE, FENCE, STATE))

    def _guard(self, call: Callable[[], T]) -> T:
        self._before()
        try:
            return call()
        except redis.RedisError as error:
            raise RegistryError(f"{type(error).__name__}: {error}") from None

    def _key(self, name: str) -> str:
        return self._prefix + name

    def register(self, address: str, role: str) -> None:
        """See core.ports.Registry."""

        pipe = self._unlisting(address)
        pipe.lpush(self._key(LISTS[role]), address)
        self._guard(pipe.execute)

    def deregister(self, address: str) -> None:
        """See core.ports.Registry."""
        self._guard(lambda: self._unlisting(address).execute())

    def forget(self, address: str) -> None:
        """See core.ports.Registry."""
        pipe = self._unlisting(address)
        pipe.hdel(self._key(REQUEST_LOAD), address)
        pipe.hdel(self._key(MEMORY_LOAD), address)
        pipe.delete(self._key(bare(address)))
        self._guard(pipe.execute)

    def _unlisting(self, address: str) -> Any:
        """A transaction, begun, that takes *address* out of every list."""
        pipe = self._redis.pipeline(transaction=True)
        for name in LISTS.values():
            pipe.lrem(self._key(name), 0, address)
        return pipe

    def servers(self) -> Servers:
        """See core.ports.Registry."""

        def run() -> Servers:
            pipe = self._redis.pipeline(transaction=False)
            for name in LISTS.values():
                pipe.lrange(self._key(name), 0, -1)
            return Servers(*(tuple(sorted(set(found))) for found in pipe.execute()))

        return self._guard(run)

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """See core.ports.Registry."""
        if not samples:
            return

        def run() -> None:
            pipe = self._redis.pipeline(transaction=False)
            requests: dict[str, Any] = {}
            memory: dict[str, Any] = {}
            for sample in samples:
                address = sample.address
                requests[address] = sample.requests
                memory[address] = repr(sample.memory)
                fields = {
                    "requests": sample.requests,
                    "memory": memory[address],
                    "cpu": repr(sample.cpu),
                    "in_flight": sample.in_flight,
                    "version": sample.version,
                    "state": sample.state,
                }
                for name, value in sample.custom.items():
                    fields[name] = repr(float(value))
                if sample.time is not None:
                    fields["time"] = sample.time
                pipe.hset(self._key(bare(address)), mapping=fields)
            pipe.hset(self._key(REQUEST_LOAD), mapping=requests)
            pipe.hset(self._key(MEMORY_LOAD), mapping=memory)
            pipe.execute()

        self._guard(run)

    def read_samples(self, addresses: Sequence[str]) -> dict[str, Sample]:
        """See core.ports.Registry."""
        if not addresses:
            return {}

        def run() -> dict[str, Sample]:
            pipe = self._redis.pipeline(transaction=False)
            pipe.hgetall(self._key(REQUEST_LOAD))
            pipe.hgetall(self._key(MEMORY_LOAD))
            for address in addresses:
                pipe.hgetall(self._key(bare(address)))
            requests, memory, *own = pipe.execute(raise_on_error=False)
            for answer in (requests, memory, *own):
                if isinstance(answer, redis.RedisError) and _WRONG_TYPE not in str(answer):
                    raise answer
            counts = dict(requests) if isinstance(requests, dict) else {}
            loads = memory if isinstance(memory, dict) else {}
            foreign = [a for a, fields in zip(addresses, own, strict=True) if not isinstance(fields, dict)]
            for address, text in zip(foreign, self._plain_strings(foreign), strict=True):
                if isinstance(text, str):
                    counts.setdefault(address, text)
            samples = {}
            for address, fields in zip(addresses, own, strict=True):
                if isinstance(fields, dict) and "requests" in fields:
                    samples[address] = _own_sample(address, fields)
                elif address in counts:
                    load = _number(loads.get(address))
                    samples[address] = Sample(address, None, int(_number(counts[address])), load)
            return samples

        return self._guard(run)

    def _plain_strings(self, addresses: Sequence[str]) -> list[Any]:
        """What foreign servers keep under their bare addresses instead of a hash: a request count, as a string."""
        if not addresses:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for address in addresses:
            pipe.get(self._key(bare(address)))
        found: list[Any] = pipe.execute(raise_on_error=False)
        return found

    def write_proxy_load(self, load: ProxyLoad) -> None:
        """See core.ports.Registry."""
        self._guard(lambda: self._redis.hset(self._key(PROXY), mapping=load._asdict()))

    def read_proxy_load(self) -> ProxyLoad | None:
        """See core.ports.Registry."""

        def run() -> ProxyLoad | None:
            found = self._redis.hgetall(self._key(PROXY))
            if "time" not in found:
                return None
            return ProxyLoad(*(int(_number(found.get(name))) for name in ProxyLoad._fields))

        return self._guard(run)

    def updating(self) -> tuple[str, ...]:
        """See core.ports.Registry."""
        return self._guard(lambda: tuple(sorted(set(self._redis.lrange(self._key(UPDATING), 0, -1)))))

    def set_updating(self, addresses: Sequence[str]) -> None:
        """See core.ports.Registry."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.delete(self._key(UPDATING))
        if addresses:
            pipe.lpush(self._key(UPDATING), *addresses)
        self._guard(pipe.execute)

    def canary_share(self) -> tuple[int, int] | None:
        """See core.ports.Registry."""
        return read_share(self._guard(lambda: self._redis.get(self._key(CANARY_SHARE))))

    def set_canary_share(self, share: tuple[int, int] | None) -> None:
        """See core.ports.Registry."""
        key = self._key(CANARY_SHARE)
        if share is None:
            self._guard(lambda: self._redis.delete(key))
            return
        text = f"{share[0]}/{share[1]}"
        if read_share(text) is None:
            raise ValueError(f"expected a share from 0 to 1 in parts of up to a million, got {text}")
        self._guard(lambda: self._redis.set(key, text))

    def write_tallies(self, tallies: Tallies) -> None:
        """See core.ports.Registry."""
        fields = write_tallies(tallies)
        self._guard(lambda: self._redis.hset(self._key(TALLIES), mapping=fields))

    def read_tallies(self) -> Tallies | None:
        """See core.ports.Registry."""
        return read_tallies(self._guard(lambda: self._redis.hgetall(self._key(TALLIES))))

    def next_number(self, above: int = 0) -> int:
        """See core.ports.Registry."""

        def run() -> int:
            number = int(self._redis.incr(self._key(NUMBERS)))
            if number <= above:
                number = above + 1
                self._redis.set(self._key(NUMBERS), number)
            return number

        return self._guard(run)

    def add_instance(self, provider_id: str) -> None:
        """See core.ports.Registry."""

        def run() -> None:
            pipe = self._redis.pipeline(transaction=True)
            pipe.lrem(self._key(INSTANCES), 0, provider_id)
            pipe.lpush(self._key(INSTANCES), provider_id)
            pipe.execute()

        self._guard(run)

    def remove_instance(self, provider_id: str) -> None:
        """See core.ports.Registry."""
        self._guard(lambda: self._redis.lrem(self._key(INSTANCES), 0, provider_id))

    def instances(self) -> tuple[str, ...]:
        """See core.ports.Registry."""
        return self._guard(lambda: tuple(sorted(set(self._redis.lrange(self._key(INSTANCES), 0, -1)))))

    def acquire_lease(self, owner: str, ttl: int) -> int | None:
        """See core.ports.Registry. SET NX with expiry; the fence counts holders, so that a late writer is told apart."""
        milliseconds = max(1, ttl // _NANOS_PER_MS)

        def run() -> int | None:
            with self._redis.pipeline(transaction=True) as pipe:
                try:
                    pipe.watch(self._lease)
                    holder = pipe.get(self._lease)
                    if holder is not None and holder != owner:
                        return None
                    token = int(pipe.get(self._fence) or 0)
                    pipe.multi()
                    pipe.set(self._lease, owner, px=milliseconds)
                    if holder is None:
                        token += 1
                        pipe.set(self._fence, token)
                    pipe.execute()
                except redis.WatchError:
                    return None
            return token

        return self._guard(run)

    def save_state(self, name: str, state: State, token: int) -> bool:
        """See core.ports.Registry."""

        def run() -> bool:
            with self._redis.pipeline(transaction=True) as pipe:
                try:
                    pipe.watch(self._fence)
                    if int(pipe.get(self._fence) or 0) != token:
                        return False
                    pipe.multi()
                    pipe.delete(self._state + name)
                    if state:
                        pipe.hset(self._state + name, mapping=dict(state))
                    pipe.execute()
                except redis.WatchError:
                    return False
            return True

        return self._guard(run)

    def load_state(self, name: str) -> dict[str, int | str]:
        """See core.ports.Registry."""

        def run() -> dict[str, int | str]:
            found = self._redis.hgetall(self._state + name)
            return {
                field: int(value) if _WHOLE.fullmatch(value) else value
                for field, value in sorted(found.items())
            }

        return self._guard(run)


_WHOLE = re.compile(r"-?[0-9]+")


def _own_sample(address: str, fields: Mapping[str, str]) -> Sample:
    time = fields.get("time")
    return Sample(
        address=address,
        time=None if time is None else int(_number(time)),
        requests=int(_number(fields.get("requests"))),
        memory=_number(fields.get("memory")),
        cpu=_number(fields.get("cpu")),
        in_flight=int(_number(fields.get("in_flight"))),
        version=fields.get("version", ""),
        state=fields.get("state", ""),
        custom={name: _number(value) for name, value in sorted(fields.items()) if name not in _OWN_FIELDS},
    )
