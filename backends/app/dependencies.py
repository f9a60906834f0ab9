"""The role ``dependencies``: every dependency of the fleet, each on a port of its own, in one process.

Service times are always slept for: they stand for other machines. A call is any request; which one of the plan's it is say its headers, and one without
them (by hand) is drawn for under a stream of the dependency's own. The answer is an empty 200, or 503.

Commands: ``start`` (the scenario's zero: caches are warm from then on), and what faults do: ``disturb`` (dependency, factor, down) and ``flush`` (dependency).
"""

import asyncio
from functools import partial

from aiohttp import web

from ...core import draws
from ...core.model import FleetSpec
from ..live.addresses import url
from ..live.headers import CALL, REQUEST, TRY, read_request
from ..live.role import Command, RoleLink
from ..live.settings import DependencySettings
from .answer import Answer
from .dependency import Call, Dependency
from .job import read_try
from .timers import Timers
from .web import Listener, allow_descriptors, fail_on_errors, new_loop, read_body, run_on

MOST_CALLS = 90
"""Calls that an endpoint may make (the scenario's limit)."""


def run(settings: DependencySettings, link: RoleLink) -> None:
    """Serve until the role is to end. Raises OSError if the host is none of this machine."""
    allow_descriptors()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(settings, link))


async def _serve(settings: DependencySettings, link: RoleLink) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    failures: list[BaseException] = []

    def _end(error: BaseException) -> None:
        failures.append(error)
        link.stop()

    fail_on_errors(loop, link, _end)
    on_loop = partial(run_on, loop)
    link.at_stop(lambda: on_loop(stopped.set))
    timers = Timers(loop, link.clock)
    fleet = settings.fleet
    dependencies = [Dependency(spec, link.clock, timers) for spec in fleet.dependencies]
    listeners, addresses = [], {}
    for dependency in dependencies:
        listener = Listener(loop, DependencyFace(dependency, fleet).handle, cancelling=True)
        port = await listener.open(settings.host, 0)
        listeners.append(listener)
        addresses[dependency.spec.name] = url(settings.host, port)
    link.subscribe(lambda command: on_loop(_obey, dependencies, command, link))
    link.status("up", {"addresses": addresses})
    await stopped.wait()
    await asyncio.gather(*(listener.close() for listener in listeners))
    timers.close()
    if failures:
        raise failures[0]


def _obey(dependencies: list[Dependency], command: Command, link: RoleLink) -> None:
    match command.get("command"):
        case "start":
            for dependency in dependencies:
                dependency.warm(int(command["start"]))
        case "disturb":
            dependencies[command["dependency"]].disturb(float(command["factor"]), bool(command["down"]))
        case "flush":
            dependencies[command["dependency"]].flush()
        case _:
            link.log("warning", "unknown command", {"command": dict(command)})


class DependencyFace:
    """Serves *dependency* over HTTP."""

    def __init__(self, dependency: Dependency, fleet: FleetSpec) -> None:
        self._dependency = dependency
        self._streams = [source.stream for source in fleet.sources]
        self._foreign_stream = draws.key(fleet.seed, f"foreign-{dependency.spec.name}")
        self._foreign = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one call. A caller that disconnects gives up what waits."""
        await read_body(request)
        call = self._call(request.headers.get(REQUEST, ""), request.headers.get(TRY, ""), request.headers.get(CALL, ""))  # fmt: skip
        self._dependency.arrive(call)
        if call.succeeded is None:
            call.waiter = asyncio.get_running_loop().create_future()
            try:
                await call.waiter
            except asyncio.CancelledError:
                self._dependency.abandon(call)
                raise
        return Answer(200 if call.succeeded else 503)

    def _call(self, planned: str, tries: str, position: str) -> Call:
        place = int(position) if position.isascii() and position.isdigit() and len(position) < 3 else 0
        place = min(place, MOST_CALLS - 1)
        found = read_request(planned)
        if found is None or found.source >= len(self._streams):
            self._foreign += 1
            return Call(self._foreign_stream, self._foreign - 1, 1, 1, place)
        stream = self._streams[found.source]
        return Call(stream, found.index, found.attempt, read_try(tries), place)
