"""A request in an app server, and what it asks: exactly what the plan drew for it."""

import asyncio

from ...core import draws
from ...core.demand import body_size, cpu_demand, io_demand
from ...core.model import EndpointSpec, FleetSpec
from ...core.outcomes import Outcome
from ...scenarios.paths import PathMatcher
from ..live.headers import PlannedRequest, read_request

FIRST_FINAL = 200
_TRIES = 1 << 4


class Job:
    """Implements the reference's job (sim.entities) for a live server: whose draws, which demand (ns, bytes), and the times it reached
    each station (ns on the live clock, -1: not). *error*: the status it will fail with, 0 if it does not."""

    __slots__ = ("arrived", "attempt", "body", "call", "cpu", "cpu_done", "endpoint", "error", "index", "io", "name", "outcome",
                 "served", "started", "status", "stream", "tries", "waiter")  # fmt: skip

    def __init__(self, endpoint: EndpointSpec, stream: int, index: int, attempt: int, tries: int) -> None:
        self.endpoint = endpoint
        self.stream = stream
        self.index = index
        self.attempt = attempt
        self.tries = tries
        self.name = ""
        self.cpu = self.io = self.body = self.call = self.error = 0
        self.arrived = self.started = self.cpu_done = self.served = -1
        self.outcome = int(Outcome.PENDING)
        self.status = 0
        self.waiter: asyncio.Future[None] | None = None

    def finish(self, outcome: int, status: int) -> None:
        """It has its answer."""
        self.outcome, self.status = outcome, status
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Demands:
    """Makes jobs of requests. Foreign ones (without a planned request's header) are drawn for under a stream of server *number*'s own, counting.

    Raises ValueError for an endpoint whose status is no final one.
    """

    def __init__(self, fleet: FleetSpec, number: int) -> None:
        self.endpoints = fleet.endpoints
        self._sources = fleet.sources
        self._matcher = PathMatcher([endpoint.path for endpoint in fleet.endpoints])
        self._foreign_stream = draws.key(fleet.seed, f"foreign-{number}")
        self._foreign = 0
        for endpoint in fleet.endpoints:
            if endpoint.status < FIRST_FINAL:
                raise ValueError(f"expected a final status (200 to 599) of endpoint {endpoint.path!r} in a flight, got {endpoint.status}")  # fmt: skip

    def planned(self, header: str) -> PlannedRequest | None:
        """The planned attempt that a request's header names, if the fleet has such a source."""
        found = read_request(header)
        if found is None or found.source >= len(self._sources):
            return None
        fits = found.index < draws.REQUEST_LIMIT and found.attempt < draws.ATTEMPT_LIMIT
        return found if fits else None

    def job(self, target: str, request: PlannedRequest | None, tries: int, received: int) -> Job:
        """The job of a request for *target* that came with *received* bytes of body."""
        endpoint = self.endpoints[self._matcher.number(target)]
        if request is None:
            job = Job(endpoint, self._foreign_stream, self._foreign, 1, 1)
            self._foreign += 1
        else:
            source = self._sources[request.source]
            job = Job(endpoint, source.stream, request.index, request.attempt, tries)
            job.name = str(request)
            body = source.body
            if body is not None:
                job.body = body_size(body.kind, body.a, body.b, job.stream, job.index)
        job.body = max(job.body, received)
        cpu, io = endpoint.cpu, endpoint.io
        job.cpu = cpu_demand(cpu.kind, cpu.a, cpu.b, job.stream, job.index, job.attempt)
        if io is not None:
            job.io = io_demand(io.kind, io.a, io.b, job.stream, job.index, job.attempt)
        return job


def read_try(text: str) -> int:
    """Which upstream try a request's header names; 1 for anything that is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 1
    return number if 0 < number < _TRIES else 1
