"""The role ``app`` for a program of the user's own: started, registered, and monitored from outside.

The program gets its address by ``{host}`` and ``{port}`` in its command, and in HOST and PORT of its environment. What it writes is logged. It is measured by its
process tree (psutil) and by what the proxy counted for its address. See backends.app.keeper for how it is ended.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ...core.model import SECOND
from ..connection import registry_at
from ..live.addresses import url
from ..live.role import Command, RoleLink
from ..live.settings import AppSettings
from ..live.watched import watched_registry
from ..reach import Reach
from . import keeper
from .custom import ProgramMetrics
from .membership import Membership
from .monitors import Monitors
from .observation import Beat, Observation, Rates, memory_share
from .program_log import read_line
from .remedy import Remedy

GRACE = 4.0
"""Seconds that the program is given to end by itself after SIGTERM."""

PATIENCE = 0.5
"""Seconds for the proxy's count."""

LONGEST_LINE = 4096

_LOOK = 0.05


class Exited(RuntimeError):
    """The program has ended by itself."""


def run(settings: AppSettings, link: RoleLink) -> None:
    """Run the program until the role is to end. If it ends before: the status ``exited``, and the role ends with status 1."""
    program = Program(settings, link)
    try:
        if _wait_until_ready(settings, link, program):
            _serve(settings, link, program)
    except Exited:
        # It has been said, and where in this module it was found is nobody's concern.
        raise SystemExit(1) from None
    finally:
        program.end()


def _wait_until_ready(settings: AppSettings, link: RoleLink, program: "Program") -> bool:
    """Wait for the boot's end and until the program accepts connections; False if the role ended before."""
    while not link.stopping.is_set():
        program.check()
        if link.clock.now() >= settings.ready_at and _accepts(settings.host, settings.port):
            return True
        link.stopping.wait(_LOOK)
    return False


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), PATIENCE):
            return True
    except OSError:
        return False


def _serve(settings: AppSettings, link: RoleLink, program: "Program") -> None:
    reach, monitors = Reach(settings.number), Monitors()
    registry = registry_at(settings.redis_url, settings.fleet.key_prefix, reach)
    registry = watched_registry(registry, settings.redis_url, link.tracing)
    membership = Membership(settings, url(settings.host, settings.port), link, registry)

    def obey(command: Command) -> None:
        if not (membership.obey(command) or reach.obey(command) or monitors.obey(command)):
            link.log("warning", "unknown command", {"command": dict(command)})

    link.subscribe(obey)
    link.at_stop(reach.end)
    membership.join()
    link.status("up", {"number": settings.number, "address": membership.address})
    counts = ProxyCounts(settings.proxy_admin, membership.address, link)
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        link.stop()

    spec = settings.fleet.app.remedy
    remedy = None if spec is None else Remedy(spec, settings, link, program.pid)

    def seen(observed: Observation, time: int) -> None:
        observed = monitors.shown(observed)
        if monitors.silent:
            return
        if remedy is not None:
            remedy.look(observed, time)
        membership.beat(observed, time)

    beat = Beat(link, lambda: program.observe(*counts.read()), seen, failed)
    beat.start()
    try:
        while not link.stopping.wait(_LOOK * 2):
            program.check()
    finally:
        beat.end()
        if remedy is not None:
            remedy.end()
        membership.leave()
    if failures:
        raise failures[0]


class Program:
    """The user's program, and the keeper that stands before it."""

    def __init__(self, settings: AppSettings, link: RoleLink) -> None:
        self._link = link
        app = settings.fleet.app
        self._memory_total = app.memory.total
        self._metrics: ProgramMetrics | None = None
        if app.metrics_path:
            self._metrics = ProgramMetrics(settings.host, settings.port, app.metrics_path, app.declared, link)
        words = {"{host}": settings.host, "{port}": str(settings.port)}
        command = [_filled(word, words) for word in settings.command]
        environment = {**os.environ, "HOST": settings.host, "PORT": str(settings.port)}
        script = str(Path(keeper.__file__))
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", script, str(os.getpid()), str(GRACE), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=settings.directory or None,
            start_new_session=True,
        )
        self._process = psutil.Process(self._keeper.pid)
        self._rates = Rates()
        self._output = threading.Thread(target=self._log_output, name="output", daemon=True)
        self._output.start()

    def _log_output(self) -> None:
        assert self._keeper.stdout is not None
        while line := self._keeper.stdout.readline(LONGEST_LINE):
            level, message, fields = read_line(line.decode(errors="replace").rstrip())
            self._link.log(level, message, {"from": "application", **fields})

    def check(self) -> None:
        """Raises Exited, and says so to the conductor, if the program has ended."""
        status = self._keeper.poll()
        if status is not None:
            self._link.status("exited", {"code": status})
            self._link.log("error", f"the program ended by itself with status {status}")
            raise Exited(f"the program ended by itself with status {status}")

    def observe(self, requests: int, in_flight: int) -> Observation:
        """What the monitors see; *requests* counts from the proxy's start."""
        rss, seconds = 0, 0.0
        for process in self._tree():
            try:
                with process.oneshot():
                    memory, times = process.memory_info(), process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            rss += memory.rss
            # Children that have ended count among their parent's.
            ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            seconds += times.user + times.system + ended
        added, cpu = self._rates.since(requests, int(seconds * SECOND))
        custom = self._metrics.read() if self._metrics is not None else {}
        return Observation(added, in_flight, 0, rss, rss, cpu, memory_share(rss, self._memory_total), custom)

    def pid(self) -> int:
        """The program's process; the keeper's, if it is gone."""
        try:
            return min(int(one.pid) for one in self._process.children())
        except (psutil.NoSuchProcess, ValueError):
            return self._keeper.pid

    def _tree(self) -> list[psutil.Process]:
        try:
            return list(self._process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def end(self) -> None:
        """End the program and all that it started: SIGTERM, and SIGKILL after GRACE."""
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(b"end\n")
            self._keeper.stdin.flush()
            self._keeper.wait(GRACE + 1.0)
        except BrokenPipeError:
            pass  # The keeper ended before it was told to.
        except subprocess.TimeoutExpired:
            self._link.log("warning", "the program did not end in time")
        with suppress(BrokenPipeError):
            self._keeper.stdin.close()
        self._keeper.wait(keeper.PATIENCE + 1.0)
        # What it wrote last.
        self._output.join(PATIENCE)


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


class ProxyCounts:
    """Requests as the proxy's control API at *admin* counted them; nothing without one."""

    def __init__(self, admin: str, address: str, link: RoleLink) -> None:
        self._url = admin.rstrip("/") + "/servers" if admin else ""
        self._address = address
        self._link = link
        self._answers = True
        self._last = (0, 0)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def read(self) -> tuple[int, int]:
        """Requests since the proxy's start and those in flight; as they were last known while the proxy does not answer."""
        if not self._url:
            return self._last
        try:
            with self._opener.open(self._url, timeout=PATIENCE) as answer:
                found = self._counts(json.load(answer))
        except (OSError, ValueError) as error:
            if self._answers:
                self._link.log("warning", "the proxy does not say how many requests there are", {"error": str(error)})  # fmt: skip
            self._answers = False
            return self._last
        self._answers = True
        self._last = found
        return found

    def _counts(self, servers: Any) -> tuple[int, int]:
        if not isinstance(servers, dict):
            raise ValueError(f"expected an object of servers by address, got {type(servers).__name__}")
        own = servers.get(self._address, {})
        return int(own.get("requests", 0)), int(own.get("in_flight", 0))
