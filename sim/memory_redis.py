"""An in-memory stand-in for a Redis client: the strict subset of redis-py that the registry uses, under a given clock.

For search, campaigns and very long runs, where fakeredis's 30 us a command would be most of the time. It passes the same
contract suite as fakeredis and Redis. Responses are decoded text; wrong types raise what Redis raises.
"""

from collections.abc import Callable, Mapping
from typing import Any

import redis

_NANOS_PER_MS = 1_000_000


class MemoryRedis:
    """One database. *now* gives ns."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._data: dict[str, Any] = {}
        self._expiry: dict[str, int] = {}

    def pipeline(self, transaction: bool = True) -> "_Pipeline":
        """A batch of commands; always atomic here."""
        return _Pipeline(self)

    def _value(self, key: str, kind: type) -> Any:
        if self._expiry:
            expiry = self._expiry.get(key)
            if expiry is not None and expiry < self._now():
                self._data.pop(key, None)
                del self._expiry[key]
        value = self._data.get(key)
        if value is not None and not isinstance(value, kind):
            raise redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def get(self, key: str) -> str | None:
        """GET."""
        value: str | None = self._value(key, str)
        return value

    def set(self, key: str, value: Any, px: int | None = None, nx: bool = False) -> bool | None:
        """SET with PX and NX."""
        if nx and self._value(key, object) is not None:
            return None
        self._data[key] = str(value)
        self._expiry.pop(key, None)
        if px is not None:
            self._expiry[key] = self._now() + px * _NANOS_PER_MS
        return True

    def incr(self, key: str) -> int:
        """INCR."""
        number = int(self._value(key, str) or 0) + 1
        self._data[key] = str(number)
        return number

    def delete(self, *keys: str) -> int:
        """DEL."""
        found = [key for key in keys if self._value(key, object) is not None]
        for key in found:
            del self._data[key]
            self._expiry.pop(key, None)
        return len(found)

    def lpush(self, key: str, *values: str) -> int:
        """LPUSH."""
        held: list[str] = self._value(key, list) or []
        self._data[key] = [*reversed(values), *held]
        return len(self._data[key])

    def lrem(self, key: str, count: int, value: str) -> int:
        """LREM with count 0: every occurrence."""
        if count != 0:
            raise ValueError(f"LREM with count {count} is outside the subset; only 0 is in it")
        held: list[str] = self._value(key, list) or []
        kept = [item for item in held if item != value]
        if kept:
            self._data[key] = kept
        else:
            self._data.pop(key, None)
        return len(held) - len(kept)

    def lrange(self, key: str, start: int, end: int) -> list[str]:
        """LRANGE of the whole list."""
        if (start, end) != (0, -1):
            raise ValueError(f"LRANGE {start} {end} is outside the subset; only 0 -1 is in it")
        return list(self._value(key, list) or [])

    def rpoplpush(self, source: str, destination: str) -> str | None:
        """RPOPLPUSH, which classic proxies use."""
        held = self._value(source, list)
        if not held:
            return None
        item: str = held.pop()
        if not held:
            del self._data[source]
        self.lpush(destination, item)
        return item

    def hset(
        self, key: str, field: str | None = None, value: Any = None, mapping: Mapping[str, Any] | None = None
    ) -> int:
        """HSET."""
        held: dict[str, str] | None = self._value(key, dict)
        if held is None:
            held = self._data[key] = {}
        before = len(held)
        if field is not None:
            held[field] = str(value)
        if mapping:
            for name, one in mapping.items():
                held[name] = one if one.__class__ is str else str(one)
        return len(held) - before

    def hgetall(self, key: str) -> dict[str, str]:
        """HGETALL."""
        return dict(self._value(key, dict) or {})

    def hdel(self, key: str, *fields: str) -> int:
        """HDEL."""
        held: dict[str, str] = self._value(key, dict) or {}
        gone = [field for field in fields if held.pop(field, None) is not None]
        if not held:
            self._data.pop(key, None)
        return len(gone)

    def flushall(self) -> bool:
        """FLUSHALL."""
        self._data.clear()
        self._expiry.clear()
        return True


class _Pipeline:
    """Commands gathered until execute; after watch they run at once until multi. Nobody else runs in between."""

    def __init__(self, store: MemoryRedis) -> None:
        self._store = store
        self._commands: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self._immediate = False

    def __enter__(self) -> "_Pipeline":
        return self

    def __exit__(self, *error: object) -> None:
        self._commands.clear()

    def watch(self, *keys: str) -> None:
        """WATCH: one thread, so that nothing can change in between."""
        self._immediate = True

    def multi(self) -> None:
        """MULTI."""
        self._immediate = False

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what was gathered."""
        store = self._store
        commands, self._commands = self._commands, []
        results: list[Any] = []
        for command, args, options in commands:
            try:
                results.append(command(store, *args, **options))
            except redis.ResponseError as error:
                if raise_on_error:
                    raise
                results.append(error)
        return results


def _gathered(name: str) -> Callable[..., Any]:
    command = getattr(MemoryRedis, name)

    def call(pipeline: _Pipeline, *args: Any, **options: Any) -> Any:
        if pipeline._immediate:
            return command(pipeline._store, *args, **options)
        pipeline._commands.append((command, args, options))
        return pipeline

    return call


for _name in (
    "get",
    "set",
    "incr",
    "delete",
    "lpush",
    "lrem",
    "lrange",
    "rpoplpush",
    "hset",
    "hgetall",
    "hdel",
):
    setattr(_Pipeline, _name, _gathered(_name))
