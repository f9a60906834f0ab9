"""A role's line to whoever started it: settings and commands come in, events and status go out, and it ends when told.

Theory of operation
-------------------
A conductor starts ``python -m windtunnel.backends.live.role NAME`` and writes one line of JSON, the settings, to its input; further
lines are commands (``{"command": "start", "start": NS}``). Input that ends means that the conductor is gone, however it went, and ends the role.
Output is JSON lines: events (``{"t": NS, "event": NAME, ...}``, those of the run format) and status (``{"t": NS, "status": NAME, ...}``); the first is
``up``, when the role serves. Diagnostics go to the standard error, as JSON lines too. SIGTERM ends a role cleanly; SIGINT is the terminal's and meant
for the conductor. A role that the command line starts has no conductor: the same, without the input.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FrameType
from typing import Any

from ...core.errors import UsageError
from ...core.trace.spans import APP, AUTOSCALER, CLIENTS, PROXY, Service
from .clock import LiveClock
from .logs import log_by
from .settings import (
    AppSettings,
    AutoscalerSettings,
    DependencySettings,
    LoadSettings,
    ProxySettings,
    Settings,
)
from .tracing import Tracing, begin_tracing

ROLES: dict[str, tuple[str, type[Settings]]] = {
    "proxy": ("windtunnel.backends.proxy.main", ProxySettings),
    "app": ("windtunnel.backends.app.main", AppSettings),
    "dependencies": ("windtunnel.backends.app.dependencies", DependencySettings),
    "autoscaler": ("windtunnel.backends.autoscaler.main", AutoscalerSettings),
    "load": ("windtunnel.backends.load.main", LoadSettings),
}
"""Each role: the module whose ``run(settings, link)`` serves until ``link.stopping``, and its settings."""

Command = Mapping[str, Any]


class RoleLink:
    """What a role is handed beside its settings."""

    def __init__(self, name: str, clock: LiveClock) -> None:
        self.name = name
        self.clock = clock
        self.tracing: Tracing | None = None
        self.stopping = threading.Event()
        self.loses_log = False
        """Whether what is logged is lost, for want of room."""
        self._lock = threading.Lock()
        self._commands: list[Command] = []
        self._listener: Callable[[Command], None] | None = None
        self._at_stop: list[Callable[[], None]] = []
        self._log_to: Callable[[Mapping[str, Any]], None] = lambda line: None

    # Out.

    def emit(self, event: str, fields: Mapping[str, Any] | None = None, time: int | None = None) -> None:
        """An event of the run format, now or at *time* (ns, live clock)."""
        self._write({"t": self.clock.now() if time is None else time, "event": event, **(fields or {})})

    def status(self, name: str, fields: Mapping[str, Any] | None = None) -> None:
        """What the conductor wants to know and the run does not record."""
        self._write({"t": self.clock.now(), "status": name, **(fields or {})})

    def log(self, level: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """A line for people: *level* is debug, info, warning or error. *fields* ``trace_id`` and ``span_id`` say which span it belongs to."""
        if self.loses_log:
            return
        line = {
            "t": self.clock.now(),
            "role": self.name,
            "level": level,
            "message": message,
            **(fields or {}),
        }
        with self._lock:
            sys.stderr.write(json.dumps(line, default=str) + "\n")
            sys.stderr.flush()
        self._log_to(line)

    def log_to(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        """*listener* is told each line of the log from now on."""
        self._log_to = listener

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":")) + "\n"
        with self._lock:
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except BrokenPipeError:
                self.stop()

    # In.

    def subscribe(self, listener: Callable[[Command], None]) -> None:
        """Call *listener* with each command, those that came before included. It runs in a thread of its own."""
        with self._lock:
            waiting, self._commands = self._commands, []
            self._listener = listener
        for command in waiting:
            listener(command)

    def at_stop(self, callback: Callable[[], None]) -> None:
        """Call *callback* once, from any thread, when the role is to end (for event loops: ``call_soon_threadsafe``)."""
        self._at_stop.append(callback)
        if self.stopping.is_set():
            callback()

    def stop(self) -> None:
        """The role is to end."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        for callback in self._at_stop:
            callback()

    def receive(self, command: Command) -> None:
        """A command came in."""
        if command.get("command") == "stop":
            self.stop()
            return
        with self._lock:
            listener = self._listener
            if listener is None:
                self._commands.append(command)
        if listener is not None:
            listener(command)


def run_role(name: str, settings: Settings, owned: bool) -> None:
    """Run role *name* in this process until it is told to end. *owned*: a conductor holds our input."""
    link = RoleLink(name, LiveClock(settings.origin))

    def ended(signum: int, frame: FrameType | None) -> None:
        # The stop callbacks take locks that the interrupted code may hold.
        threading.Thread(target=link.stop, daemon=True).start()

    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGINT, signal.SIG_IGN if owned else ended)
    if owned:
        threading.Thread(target=_listen, args=(link,), daemon=True).start()
    log_by(link)
    if (service := service_of(name, settings)) is not None:
        link.tracing = begin_tracing(service, settings, link)
    try:
        import_module(ROLES[name][0]).run(settings, link)
    finally:
        if link.tracing is not None:
            link.tracing.end()


def service_of(name: str, settings: Settings) -> Service | None:
    """Who the role is in traces; None of one that records nothing."""
    match settings:
        case AppSettings(number=number, version=version, release=release):
            return Service(APP, str(number), release or settings.fleet.version(version).name)
        case AutoscalerSettings(by=by):
            return Service(AUTOSCALER.name, by)
    return {"proxy": PROXY, "load": CLIENTS}.get(name)


def _listen(link: RoleLink) -> None:
    for line in sys.stdin:
        link.receive(json.loads(line))
    link.stop()


def main() -> None:
    """The entry of a role that a conductor started."""
    name = sys.argv[1]
    status = 0
    try:
        run_role(name, ROLES[name][1].model_validate_json(sys.stdin.readline()), owned=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        status = 2
    except BaseException:  # noqa: BLE001 - it ends the process, as it would without the threads
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    # Threads that still wait for a peer must not keep a role alive that has ended; and the interpreter, ending by itself, would abort over
    # the one that reads our input.
    os._exit(status)


if __name__ == "__main__":
    main()
