"""The role ``load``: fires its share of the plan at the target, and hands over a row for every request.

Status lines: ``up`` (rows: open rows of our share, clients: closed ones), each second ``load``, at the end ``done``. It begins at the command
``start`` and ends as the rehearsal does: at the first whole second after the scenario's duration at which every request has its outcome, or after
the drain time.
"""

import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.errors import UsageError
from ...core.model import SECOND
from ...scenarios.build import compile_plan
from ...scenarios.plan import Plan
from ...scenarios.scenario import Scenario
from ..live.role import Command, RoleLink
from ..live.settings import LoadSettings
from .clients import Clients
from .frames import FrameWriter
from .punctual import ask_for_short_slices
from .share import OpenRows, Share
from .targets import check_target
from .waiting import WRITE

_TICKS = 4
"""Rows are handed over so many times a second."""


def run(settings: LoadSettings, link: RoleLink) -> None:
    """Serve until the load is done or the role is told to stop. Raises UsageError before anything is sent; ScenarioError."""
    target = check_target(settings.host, settings.port, settings.allowed)
    if not 0 <= settings.part < settings.parts:
        raise UsageError(f"expected a part from 0 to {settings.parts - 1}, got {settings.part}")
    plan = compile_plan(Scenario.load(settings.scenario))
    if plan.fleet.sources != settings.fleet.sources:
        raise UsageError(f"expected the fleet that {settings.scenario} describes, got one with other sources")
    share = Share(settings.part, settings.parts)
    open_rows = OpenRows(plan, share)
    _raise_descriptor_limit()
    clients = Clients(
        plan, share, iter(open_rows), target, FrameWriter(settings.rows), link.log, link.tracing
    )
    flight = _Flight(plan, clients, link)
    link.subscribe(flight.command)
    link.at_stop(flight.stop)
    ask_for_short_slices()
    spent = time.process_time_ns()
    try:
        # The first collection is a long one: it is over before anybody says when to start.
        with _few_collections():
            link.status("up", {
                "rows": open_rows.count,
                "clients": sum(len(share.clients(spec)) for spec in plan.fleet.sources),
                "target": f"{target.address[0]}:{target.address[1]}",
            })  # fmt: skip
            clients.reactor.run()
        clients.end()
        clients.rows.finish()
        link.status(
            "done",
            clients.figures.all()
            | {
                "shortages": clients.shortages,
                "bad_answers": clients.bad_answers,
                "cpu_ns": time.process_time_ns() - spent,
            },
        )
    finally:
        clients.reactor.close()
        open_rows.close()


class _Flight:
    """The course of one flight."""

    def __init__(self, plan: Plan, clients: Clients, link: RoleLink) -> None:
        self._fleet = plan.fleet
        self._clients = clients
        self._reactor = clients.reactor
        self._link = link
        self._outlet = _Outlet(clients)
        self._started = False

    def command(self, command: Command) -> None:
        """From the conductor, in a thread of the link's."""
        if command.get("command") == "start":
            self._reactor.call(lambda: self._start(int(command["start"])))
        elif command.get("command") == "link":
            self._reactor.call(lambda: self._clients.disturb(command["wrong"]))
        else:
            self._link.log("warning", f"expected the command start, link or stop, got {command!r:.100}")

    def stop(self) -> None:
        """End at once; from any thread."""
        self._reactor.call(self._reactor.stop)

    def _start(self, start: int) -> None:
        if self._started:
            self._link.log("warning", "expected one start, got another")
            return
        self._started = True
        self._clients.begin(start, self._link.clock.origin + start)
        self._reactor.at(SECOND // _TICKS, self._tick, 1)

    def _tick(self, number: int) -> None:
        if number % _TICKS == 0:
            self._link.status("load", self._clients.figures.second())
            now = number // _TICKS * SECOND
            over = now >= self._fleet.duration + self._fleet.drain
            if over or (now >= self._fleet.duration and self._clients.idle):
                self._reactor.stop()
                return
        self._clients.rows.hand_over()
        self._outlet.open()
        self._reactor.at((number + 1) * SECOND // _TICKS, self._tick, number + 1)


class _Outlet:
    """Writes rows whenever their reader takes some."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._open = False

    def open(self) -> None:
        """Begin, if there is something to write."""
        if self._open or not self._clients.rows.waiting:
            return
        try:
            self._clients.reactor.watch(self._clients.rows.target, self, WRITE)
            self._open = True
        except PermissionError:  # An ordinary file, which is always ready.
            while self._clients.rows.waiting:
                self._clients.rows.write()

    def ready(self, events: int) -> None:
        """The reader takes some, or has gone, which writing tells."""
        self._clients.rows.write()
        if not self._clients.rows.waiting:
            self._clients.reactor.forget(self._clients.rows.target)
            self._open = False


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage rarely, and not what was there before: a full collection takes longer than a send may be late."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
