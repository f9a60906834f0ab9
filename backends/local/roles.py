"""The singular roles of a flight: proxy, autoscaler, load generators, dependencies. Proxy and autoscaler come back when they die."""

import asyncio
import math
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...core.model import FleetSpec
from ...scenarios.plan import Program
from ..aws.settings import AwsSettings
from ..live.addresses import Addresses
from ..live.settings import (
    AppSettings,
    AutoscalerSettings,
    DependencySettings,
    LoadSettings,
    ProxySettings,
    Settings,
)
from .network.places import Places
from .process import Line, RoleProcess

OnLine = Callable[[RoleProcess, Line], None]

UP_SECONDS = 60.0
END_SECONDS = 5.0


class Lasting:
    """A role that is started again when it is gone. *settings* are asked for anew each time; *down* is told of an end that was not asked for."""

    def __init__(self, start: Callable[[], RoleProcess], settings: Callable[[], Settings]) -> None:
        self.process = start()
        self._start = start
        self._settings = settings
        self._keeper: asyncio.Task[None] | None = None
        self._delay = 0
        self._hurry: asyncio.Future[int] | None = None
        self._struck = False
        self._leaving: list[asyncio.Task[None]] = []

    async def start(self) -> Line:
        """Start it, and wait until it is up."""
        await self.process.start(self._settings())
        return await self.process.wait_up(UP_SECONDS)

    @property
    def is_up(self) -> bool:
        """Whether it serves. One that was struck does not, whether or not its end has been heard of."""
        return bool(self.process.up) and self.process.returncode is None and not self._struck

    def keep(self, delay: int, ended: Callable[[int], None], back: Callable[[], None]) -> None:
        """From now on: when it ends, tell *ended* its status, and start it again *delay* ns later (-1: never), and tell *back*."""
        self._delay = delay
        self._kept = (delay, ended, back)
        self._keeper = asyncio.create_task(self._keep(*self._kept))

    def strike(self, delay: int) -> None:
        """SIGKILL; it comes back *delay* ns later (-1: never)."""
        self._delay = delay
        self._struck = True
        self.process.signal(signal.SIGKILL)

    def replace(self, delay: int) -> None:
        """Likewise; one that is away already comes back *delay* ns from now at the latest."""
        if self._hurry is None:
            self.strike(delay)
        elif not self._hurry.done():
            self._hurry.set_result(delay)

    def recall(self) -> None:
        """One that was struck and is away comes back now."""
        if not self._struck:
            return
        self._delay = 0
        if self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(0)

    async def succeed(self) -> None:
        """Have another process take over from it, which then ends by itself. Raises BackendFailure, and goes on with the old one, if the other does not come up."""
        assert self._keeper is not None, "it is not kept yet"
        new = self._start()
        try:
            await new.start(self._settings())
            await new.wait_up(UP_SECONDS)
        except BaseException:
            await new.end(0)
            raise
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        old, self.process = self.process, new
        self._leaving.append(asyncio.create_task(_leave(old)))
        self._keeper = asyncio.create_task(self._keep(*self._kept))

    async def _keep(self, usual: int, ended: Callable[[int], None], back: Callable[[], None]) -> None:
        while True:
            status = await self.process.wait()
            ended(status)
            await self.process.end(0)
            await self._away()
            self._delay, self._struck = usual, False
            self.process = self._start()
            await self.start()
            back()

    async def _away(self) -> None:
        """Wait until it is to come back."""
        loop = asyncio.get_running_loop()
        back = math.inf if self._delay < 0 else loop.time() + self._delay / 1e9
        try:
            while (left := back - loop.time()) > 0:
                self._hurry = loop.create_future()
                if (await asyncio.wait({self._hurry}, timeout=None if math.isinf(left) else left))[0]:
                    back = min(back, loop.time() + self._hurry.result() / 1e9)
        finally:
            self._hurry = None

    async def end(self) -> None:
        """End it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(self.process.end(END_SECONDS), *self._leaving, return_exceptions=True)


async def _leave(process: RoleProcess) -> None:
    """Wait for the end of a process that goes by itself; cancelled, end it."""
    try:
        await process.wait()
    finally:
        await process.end(0)


class RoleFactory:
    """Makes the roles of one flight with what they have in common. *program* runs in place of app servers. *greet* is called with each process that has been started. *places*: where they run."""

    def __init__(
        self, fleet: FleetSpec, origin: int, redis_url: str, on_line: OnLine, logs: Path | None,
        program: Program | None = None, fingerprint: str = "", traced: bool = False, greet: Callable[[RoleProcess], None] = lambda process: None,
        places: Places | None = None,
    ) -> None:  # fmt: skip
        self._greet = greet
        self._places = places or Places()
        self._common = {
            "fleet": fleet,
            "origin": origin,
            "redis_url": redis_url,
            "fingerprint": fingerprint,
            "traced": traced,
        }
        self._on_line = on_line
        self._logs = logs
        self._program: dict[str, Any] = {}
        if program is not None:
            self._program = {"command": program.command, "directory": str(program.directory)}

    def process(self, role: str, label: str = "") -> RoleProcess:
        """A process for *role*, not started."""
        label = label or role
        log = None if self._logs is None else self._logs / f"{label}.jsonl"
        return RoleProcess(role, label, self._on_line, log, self._greet, self._places.command(role, label))

    def proxy(
        self, host: str, port: int, admin_port: int, instances: Addresses, numbers: dict[str, int],
        handover: str,
    ) -> ProxySettings:  # fmt: skip
        """Settings of the proxy."""
        return ProxySettings(
            host=host, port=port, admin_port=admin_port, admin_host=self._places.proxy_admin,
            instance_port=instances.port, own_addresses=instances.own, instance_network=instances.network,
            numbers=numbers, handover=handover, **self._common,
        )  # fmt: skip

    def app(self, number: int, role: str, where: tuple[str, int], ready_at: int, demand: str,
            dependencies: dict[str, str], proxy_admin: str, version: int = 0, joins: bool = True) -> AppSettings:  # fmt: skip
        """Settings of an app server of *version* (an index). *joins*: whether it registers itself."""
        return AppSettings(
            number=number, role=role, host=where[0], port=where[1], ready_at=ready_at, demand=demand,
            dependencies=dependencies, proxy_admin=proxy_admin, version=version, joins=joins,
            **self._program, **self._common,
        )  # fmt: skip

    def autoscaler(
        self, start: int, cloud_url: str, allowed: tuple[str, ...], dry_run: bool = False,
        aws: AwsSettings | None = None, by: str = "", apart: str = "", offset: int = 0,
    ) -> AutoscalerSettings:  # fmt: skip
        """Settings of the autoscaler, which may tell *allowed* hosts of alerts. *aws*: it launches on EC2, and not by the control API at *cloud_url*. *by*, *apart* and *offset* are
        of one beside it.
        """
        return AutoscalerSettings(
            start=start, cloud="local" if aws is None else "aws", cloud_url=cloud_url, aws=aws, dry_run=dry_run,
            allowed=allowed, by=by, apart=apart, offset=offset, **self._common,
        )  # fmt: skip

    async def dependencies(self, demand: str) -> tuple[RoleProcess, dict[str, str]]:
        """The dependencies, started, and where each listens."""
        process = self.process("dependencies")
        await process.start(DependencySettings(demand=demand, host=self._places.host, **self._common))
        up = await process.wait_up(UP_SECONDS)
        return process, dict(up["addresses"])

    async def load(
        self,
        scenario: Path,
        fds: tuple[int, ...],
        target: tuple[str, int],
        allowed: tuple[str, ...],
        parts: int,
    ) -> tuple[list[RoleProcess], list[int]]:
        """Load generators, started but not up, and the pipes from which their rows are read."""
        processes, pipes = [], []
        for part in range(parts):
            reader, writer = os.pipe()
            pipes.append(reader)
            process = self.process("load", "load" if parts == 1 else f"load-{part}")
            processes.append(process)
            settings = LoadSettings(
                scenario=scenario, host=target[0], port=target[1], rows=writer, part=part, parts=parts,
                allowed=allowed, **self._common,
            )  # fmt: skip
            try:
                await process.start(settings, (writer, *fds))
            finally:
                os.close(writer)
        return processes, pipes
