"""Puts a build server together from its options and serves until it is told to end, or its lease is lost."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import UsageError
from ...connection import redis_client
from ...live.hosts import is_loopback_name
from ...local.options import REDIS_SCHEMES
from .access import Access
from .build_run import Means
from .build_server import BuildServer
from .build_store import PREFIX, BuildStore
from .build_web import BuildWeb
from .credentials import Credentials, read_private
from .owners import own_name
from .passing import environment_of_steps
from .steps import GRACE_SECONDS
from .worktrees import Repository

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `windtunnel deploy serve` is told. *grace*: seconds between SIGTERM and SIGKILL for what a step has started."""

    repository: Path
    redis_url: str
    folder: Path = Path("builds")
    listen: str = "127.0.0.1:8600"
    webhook_secret_file: Path | None = None
    token_file: Path | None = None
    secrets: Path | None = None
    env: tuple[str, ...] = ()
    remote: str = ""
    key_prefix: str = PREFIX
    grace: float = GRACE_SECONDS


def serve(options: ServeOptions, announce: Tell, notice: Tell) -> bool:
    """Serve; *announce* is told the URL, *notice* what one must know. Whether the lease was kept to the end. Raises UsageError, or RegistryError."""
    return asyncio.run(_serve(options, announce, notice))


async def _serve(options: ServeOptions, announce: Tell, notice: Tell) -> bool:
    host, port = _address(options.listen)
    if not options.redis_url.startswith(REDIS_SCHEMES):
        raise UsageError("--redis-url: expected redis://HOST:PORT/DATABASE")
    token = read_private(options.token_file, "a token") if options.token_file else ""
    if not token and not is_loopback_name(host):
        raise UsageError(f"--listen {options.listen}: expected a --token-file beyond loopback")
    file = options.webhook_secret_file
    secret = read_private(file, "the webhook's secret") if file else ""
    server = _server(options, notice)
    web = BuildWeb(server, Access(token), secret)
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        await server.start()
        announce(await web.start(host, port))
        waits = {asyncio.create_task(told.wait()), asyncio.create_task(server.lost.wait())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    finally:
        await web.end()
        await server.end()
    return not server.lost.is_set()


def _server(options: ServeOptions, notice: Tell) -> BuildServer:
    credentials = Credentials(options.secrets, os.environ)
    environment = environment_of_steps(os.environ, options.env)
    repository = Repository(options.repository, options.remote)
    means = Means(repository, credentials, environment, asyncio.Event(), options.grace)
    place = options.folder.resolve()
    name = hashlib.sha256(f"{place} {options.key_prefix}".encode()).hexdigest()[:12]
    store = BuildStore(redis_client(options.redis_url), own_name(), options.key_prefix)
    return BuildServer(store, place, means, name, notice)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"--listen: expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)
