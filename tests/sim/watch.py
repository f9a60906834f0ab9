"""Watching a rehearsal from inside: after every event the invariants, at every start of service the order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from windtunnel.sim import timeline
from windtunnel.sim.appserver import AppServer
from windtunnel.sim.dataplane import DataPlane
from windtunnel.sim.entities import Job
from windtunnel.sim.forwarding import Forwarding


class BrokenLaw(AssertionError):
    """An invariant that did not hold."""


def check_now(plane: DataPlane) -> None:
    """Workers, queues, descriptors and memory at this moment."""
    for server in plane.servers.values():
        if server.alive:
            spec = server.spec
            if server.queue and server.busy < spec.workers:
                raise BrokenLaw(f"server {server.number}: a worker idles while {len(server.queue)} wait")
            if server.run_queue and server.cores_busy < spec.cores:
                raise BrokenLaw(f"server {server.number}: a core idles while {len(server.run_queue)} wait")
            if len(server.jobs) != server.busy + len(server.queue):
                raise BrokenLaw(f"server {server.number}: in flight is not busy and queued")
            if 0 <= spec.queue < len(server.queue) or server.busy > spec.workers:
                raise BrokenLaw(f"server {server.number}: beyond its limits")
            if 0 <= spec.memory.total < server.memory:
                raise BrokenLaw(f"server {server.number}: beyond its memory")
    proxy, spec_ = plane.proxy, plane.fleet.proxy
    if 0 <= spec_.max_connections < proxy.descriptors:
        raise BrokenLaw(f"proxy: {proxy.descriptors} descriptors")
    if not 0 <= proxy.connections <= proxy.descriptors:
        raise BrokenLaw(f"proxy: {proxy.connections} connections on {proxy.descriptors} descriptors")
    if 0 <= spec_.backlog < len(proxy.accept_queue):
        raise BrokenLaw(f"proxy: {len(proxy.accept_queue)} in the accept queue")
    total = spec_.memory.total
    if 0 <= total < spec_.memory.base + spec_.memory.each * proxy.connections:
        raise BrokenLaw("proxy: beyond its memory")
    in_flight = int(plane.forwarding.servers["in_flight"].sum())
    if not 0 <= in_flight <= proxy.descriptors:
        raise BrokenLaw(f"proxy: {in_flight} upstream requests on {proxy.descriptors} descriptors")


@contextmanager
def watched() -> Iterator[None]:
    """Check everything in every rehearsal inside."""
    patch = pytest.MonkeyPatch()
    planes: list[DataPlane] = []
    accepted: dict[AppServer, list[Job]] = {}

    def made(plane: DataPlane, *args: Any, **options: Any) -> None:
        original_made(plane, *args, **options)
        planes[:] = [plane]
        accepted.clear()

    def called(event: Any) -> None:
        original_called(event)
        check_now(planes[0])

    def arrived(server: AppServer, job: Job) -> None:
        accepted.setdefault(server, []).append(job)
        original_arrived(server, job)
        if server.alive and job not in server.jobs:
            accepted[server].remove(job)

    def started(server: AppServer, job: Job) -> None:
        if accepted[server].pop(0) is not job:
            raise BrokenLaw(f"server {server.number}: not first come first served")
        original_started(server, job)

    def forwarded(front: Forwarding, attempt: Any, role: int, exclude: int) -> int:
        failure = original_forwarded(front, attempt, role, exclude)
        if not failure:
            row = front.servers[front.slot(attempt.server)]
            usable = row["listed"] and row["healthy"] and not row["ejected_until"]
            if not usable or attempt.server == exclude or attempt.server not in listed[0]:
                raise BrokenLaw(f"a request to server {attempt.server}, which is not serving")
            cap = front.spec.max_in_flight
            if 0 <= cap < row["in_flight"]:
                raise BrokenLaw(f"server {attempt.server}: {row['in_flight']} in flight beyond the cap")
        return failure

    def updated(front: Forwarding, servers: dict[int, int]) -> None:
        listed[0] = set(servers)
        original_updated(front, servers)

    listed: list[set[int]] = [set()]
    original_made, original_called = DataPlane.__init__, timeline._call
    original_arrived, original_started = AppServer.arrive, AppServer._start
    original_forwarded, original_updated = Forwarding._forward, Forwarding.update
    patch.setattr(DataPlane, "__init__", made)
    patch.setattr(timeline, "_call", called)
    patch.setattr(AppServer, "arrive", arrived)
    patch.setattr(AppServer, "_start", started)
    patch.setattr(Forwarding, "_forward", forwarded)
    patch.setattr(Forwarding, "update", updated)
    try:
        yield
    finally:
        patch.undo()
