"""The role ``app``: one app server, or the sidecar of the user's own program.

Commands: ``drain``, ``promote`` and ``register`` (role; whoever sends them has edited the registry's lists), and what faults do to it, as sim.plane has it: ``disturb`` (factor,
share, status), ``leak`` and ``press`` (bytes), ``crash_loop`` (on, lives, restart in ns), ``registry`` and ``cut`` (backends.reach), ``monitors``, ``hog`` and ``clock``
(backends.app.monitors), ``disk`` (backends.app.disk). Status: ``up``, and ``second`` each second.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

import psutil

from ...core.custom import said
from ...core.remedy import Free, Restart
from ..connection import registry_at
from ..live.addresses import url
from ..live.role import Command, RoleLink
from ..live.settings import AppSettings
from ..live.watched import watched_registry
from ..reach import Reach
from . import sidecar
from .ballast import Ballast
from .burning import BurnExecutor
from .calls import DependencyCalls
from .disk import Disk
from .executors import Executor, SleepExecutor
from .face import AppFace
from .job import Demands
from .membership import Membership
from .monitors import Monitors
from .observation import Beat, Observation, Rates, memory_share
from .remedy import Remedy
from .server import AppServer
from .timers import Timers
from .traced import ServerSpans
from .web import Listener, allow_descriptors, fail_on_errors, new_loop, run_on


def run(settings: AppSettings, link: RoleLink) -> None:
    """Serve until the role is to end. Raises ValueError for settings that cannot be, OSError if the address is taken."""
    if settings.command:
        sidecar.run(settings, link)
        return
    allow_descriptors()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_AppRole(settings, link, runner.get_loop()).serve())


def make_executor(
    demand: str, cores: int, loop: asyncio.AbstractEventLoop, timers: Timers, link: RoleLink
) -> Executor:
    """What CPU demand runs on; ValueError for an unknown *demand*."""
    if demand == "burn":
        return BurnExecutor(cores, loop)
    if demand == "sleep":
        return SleepExecutor(cores, timers, link.clock)
    raise ValueError(f"expected the demand burn or sleep, got {demand!r}")


class _AppRole:
    """Puts the parts of an app server together."""

    def __init__(self, settings: AppSettings, link: RoleLink, loop: asyncio.AbstractEventLoop) -> None:
        fleet = settings.fleet
        self._settings = settings
        self._link = link
        self._loop = loop
        self._timers = Timers(loop, link.clock)
        self._calls = DependencyCalls(loop, fleet, settings.dependencies)
        self._executor = make_executor(settings.demand, fleet.app.cores, loop, self._timers, link)
        self._ballast = Ballast(loop, fleet.app.memory.total, self._short_of_memory)
        self._version = fleet.version(settings.version)
        self._reach = Reach(settings.number)
        self._monitors = Monitors()
        self._disk = Disk(link)
        self._membership: Membership | None = None
        self._waiting: list[Command] = []
        self._server = AppServer(
            fleet.app_of(settings.version), link.clock, self._executor, self._timers, self._calls,
            self._ballast.aim, self._out_of_memory, self._version,
        )  # fmt: skip
        spans = ServerSpans(link.tracing, settings.number) if link.tracing is not None else None
        face = AppFace(self._server, Demands(fleet, settings.number), spans)
        self._listener = Listener(loop, face.handle)
        self._processes = [psutil.Process(), *(psutil.Process(pid) for pid in self._executor.pids)]
        self._rates = Rates(0, self._executor.used())
        self._port = settings.port
        self._remedy: Remedy | None = None
        if fleet.app.remedy is not None:
            self._remedy = Remedy(
                fleet.app.remedy, settings, link, os.getpid, lambda: run_on(loop, self._helped)
            )
        self._restarting: asyncio.Task[None] | None = None
        self._loop_of_crashes: asyncio.Task[None] | None = None
        self._loops = False
        self._stopped = asyncio.Event()
        self._failure: BaseException | None = None

    async def serve(self) -> None:
        """The life of the role."""
        link, settings = self._link, self._settings
        fail_on_errors(self._loop, link, self._failed)
        link.at_stop(lambda: run_on(self._loop, self._stopped.set))
        link.subscribe(lambda command: run_on(self._loop, self._hear, command))
        if not await self._ready():
            return
        port = self._port = await self._listener.open(settings.host, settings.port)
        registry = registry_at(settings.redis_url, settings.fleet.key_prefix, self._reach)
        registry = watched_registry(registry, settings.redis_url, link.tracing)
        membership = Membership(settings, url(settings.host, port), link, registry)
        self._ballast.measured(self._rss())
        self._ballast.aim(self._server.memory)
        if self._version.crash_after >= 0:
            self._timers.at(link.clock.now() + self._version.crash_after, self._crash, None)
        link.at_stop(self._reach.end)
        self._membership = membership
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self._obey(membership, command)
        await self._loop.run_in_executor(None, membership.join)
        link.status("up", {"number": settings.number, "address": membership.address})
        beat = Beat(link, self._observe, partial(self._seen, membership), self._failed)
        beat.start()
        await self._stopped.wait()
        await self._loop.run_in_executor(None, beat.end)
        if self._remedy is not None:
            await self._loop.run_in_executor(None, self._remedy.end)
        for task in (self._restarting, self._loop_of_crashes):
            if task is not None:
                task.cancel()
        await self._loop.run_in_executor(None, membership.leave)
        await self._listener.close()
        self._close()
        if self._failure is not None:
            raise self._failure

    async def _ready(self) -> bool:
        """Wait until the machine has booted; False if the role ended before."""
        waiting = self._settings.ready_at - self._link.clock.now()
        if waiting > 0:
            reached = asyncio.Event()
            self._timers.at(self._settings.ready_at, lambda _: reached.set(), None)
            await self._unless_stopped(reached.wait())
        await self._unless_stopped(self._disk.until_writable())
        return not self._stopped.is_set()

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, Any]) -> None:
        """Wait for *waiting*, or for the end of the role."""
        tasks = [asyncio.create_task(waiting), asyncio.create_task(self._stopped.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    def _close(self) -> None:
        self._calls.close()
        self._executor.close()
        self._timers.close()
        self._ballast.close()

    def _hear(self, command: Command) -> None:
        """A command; most of them wait until there is somebody to obey."""
        if self._disk.obey(command):
            return
        if self._membership is None:
            self._waiting.append(command)
        else:
            self._obey(self._membership, command)

    def _obey(self, membership: Membership, command: Command) -> None:
        if membership.obey(command) or self._reach.obey(command) or self._monitors.obey(command):
            return
        match command.get("command"):
            case "disturb":
                self._server.disturb(
                    float(command["factor"]), float(command["share"]), int(command["status"])
                )
            case "leak":
                self._server.leak(int(command["bytes"]))
            case "press":
                self._server.press(int(command["bytes"]))
            case "crash_loop":
                self._loops = bool(command["on"])
                if self._loops and (self._loop_of_crashes is None or self._loop_of_crashes.done()):
                    self._loop_of_crashes = asyncio.create_task(
                        self._crash_again(int(command["lives"]), int(command["restart"]))
                    )
            case _:
                self._link.log("warning", "unknown command", {"command": dict(command)})

    # The remedy has succeeded, and this server's memory is a model: the scenario says what it does to that.

    def _helped(self) -> None:
        assert self._settings.fleet.app.remedy is not None
        match self._settings.fleet.app.remedy.effect:
            case Free(share):
                self._server.free(share)
            case Restart(away):
                self._restarting = asyncio.create_task(self._restart(away))

    async def _crash_again(self, lives: int, restart: int) -> None:
        """A supervisor and a process that dies whenever it has lived for *lives* ns, to anybody but the monitors; *restart* ns later it is up again."""
        while self._loops:
            await self._restart(restart)
            await asyncio.sleep(lives / 1e9)

    async def _restart(self, away: int) -> None:
        number = self._settings.number
        self._listener.drop()
        lost = self._server.stop()
        self._link.emit("restarting", {"server": number, "lost": lost})
        await asyncio.sleep(away / 1e9)
        await self._disk.until_writable()
        self._server.start()
        try:
            await self._listener.open(self._settings.host, self._port)
        except OSError as error:
            self._failed(error)
            return
        self._link.emit("restarted", {"server": number})

    # What the monitors see, in a thread of their own.

    def _seen(self, membership: Membership, seen: Observation, time: int) -> None:
        seen = self._monitors.shown(seen)
        if self._monitors.silent:
            return
        if self._remedy is not None:
            self._remedy.look(seen, time)
        membership.beat(seen, self._monitors.clock(time))

    def _observe(self) -> Observation:
        server = self._server
        requests, cpu = self._rates.since(server.requests, self._executor.used())
        cpu = self._monitors.cpu(cpu, server.spec.cores, self._link.clock.now())
        level, rss = self._ballast.level, self._rss()
        self._ballast.measured(rss - level)
        share = memory_share(rss, server.spec.memory.total)
        in_flight, queued = server.in_flight, server.queued
        custom = said(server.spec.metrics, requests, in_flight, queued)
        return Observation(requests, in_flight, queued, server.memory, rss, cpu, share, custom)

    def _rss(self) -> int:
        return sum(int(process.memory_info().rss) for process in self._processes)

    def _failed(self, error: BaseException) -> None:
        """The monitors or the loop met an error of ours; the role ends with it."""
        self._failure = self._failure or error
        self._link.stop()

    def _short_of_memory(self, missing: int) -> None:
        fields: dict[str, Any] = {"missing": missing}
        self._link.log("warning", "the host has not the memory that the model asks for", fields)

    def _crash(self, _: None) -> None:
        """What its version does sooner or later: it is gone, and tells nobody but the log."""
        fields = {"server": self._settings.number, "lost": self._server.in_flight}
        self._link.emit("crashed", fields)
        os.kill(os.getpid(), signal.SIGKILL)

    def _out_of_memory(self, used: int, lost: int) -> None:
        """What the kernel does to a process that has used up its memory: it is gone at once, and tells nobody."""
        fields = {"server": self._settings.number, "memory": used, "lost": lost}
        self._link.emit("out_of_memory", fields)
        os.kill(os.getpid(), signal.SIGKILL)
