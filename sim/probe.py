"""A rerun with a probe: the reference engine over the same plan, watched where a run records nothing.

The probe looks before a decision is made and after it, and decides nothing itself; so what happens is what was recorded, which whoever asks compares row by row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..core import routing, table
from ..core.columns import Rows
from ..core.model import DependencySpec
from ..core.outcomes import NAMES
from ..core.ports import Registry, RegistryError, Sample, Servers, Sink
from ..core.probed import ABANDONED, Call, Candidate, Choice, Probed, Read, Request, Try, Write
from ..core.troubles import Troubles
from ..scenarios.plan import Plan
from . import entities
from .dataplane import DataPlane
from .dependency import Caller, Dependency
from .embedded_cloud import MemoryCloud, Overlay
from .entities import Attempt, Job
from .forwarding import Forwarding
from .memory_redis import MemoryRedis
from .proxy import Proxy
from .recorder import Recorder, rows_of
from .registry_store import PROXY, RegistryStore
from .timeline import Timeline
from .world import Progress, conduct

_ALGORITHMS = {number: name for name, number in routing.ALGORITHMS.items()}
_ROLES = {table.SERVING: "serving", table.CANARY: "canary"}


@dataclass(slots=True)
class Rerun:
    """What a rerun has told: the *probed* requests, and their rows."""

    probed: Probed
    requests: dict[int, tuple[int, ...]] = field(default_factory=dict)
    attempts: dict[int, list[tuple[int, ...]]] = field(default_factory=dict)


class _Enough(Exception):
    """All that was asked for has happened."""


def rerun(plan: Plan, wanted: Iterable[int], progress: Progress | None = None) -> Rerun:
    """What a probe sees of the requests of these numbers in a rehearsal of *plan*, which ends when they have."""
    found = Rerun(Probed({number: Request() for number in wanted}))
    timeline, troubles = Timeline(), Troubles()
    now = timeline.now
    sink = _Nothing()
    plane = _ProbedPlane(found, plan, timeline, sink)
    store = _ProbedStore(found.probed, MemoryRedis(now), plan, now, troubles)
    cloud = Overlay(MemoryCloud(now), now, plan.fleet.pending)
    with suppress(_Enough):
        conduct(plan, timeline, plane, store, cloud, sink, troubles, progress=progress)
    return found


class _ProbedPlane(DataPlane):
    """The data plane, which tells of the requests that *found* is about."""

    def __init__(self, found: Rerun, plan: Plan, timeline: Timeline, sink: Sink) -> None:
        self._found = found
        super().__init__(plan, timeline, sink, sink.event)

    def new_recorder(self, sink: Sink) -> Recorder:
        """See DataPlane."""
        return _ProbedRecorder(self._found, sink)

    def new_forwarding(self, proxy: Proxy) -> Forwarding:
        """See DataPlane."""
        return _ProbedForwarding(self._found.probed, self.fleet, self.timeline, proxy, self)

    def new_dependency(self, number: int, spec: DependencySpec, timeline: Timeline) -> Dependency:
        """See DataPlane."""
        return _ProbedDependency(self._found.probed, number, spec, timeline)


class _ProbedRecorder(Recorder):
    """Keeps the rows of those that were asked for."""

    def __init__(self, found: Rerun, sink: Sink) -> None:
        super().__init__(sink)
        self._found = found

    def finish(self, request: entities.Request, outcome: int, now: int) -> None:
        """See Recorder. Raises _Enough after the last one that was asked for."""
        found = self._found
        if request.row in found.probed.requests:
            found.requests[request.row], found.attempts[request.row] = rows_of(request, outcome, now)
            if len(found.requests) == len(found.probed.requests):
                raise _Enough
        super().finish(request, outcome, now)


class _Nothing:
    """Implements core.ports.Sink: keeps nothing."""

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """See core.ports.Sink."""

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """See core.ports.Sink."""

    def due(self) -> bool:
        """See core.ports.Sink."""
        return False

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        """See core.ports.Sink."""

    def decided(self, decision: Sequence[Any], observations: Sequence[Sequence[Any]]) -> None:
        """See core.ports.Sink."""


class _ProbedForwarding(Forwarding):
    def __init__(self, probed: Probed, *parts: Any) -> None:
        super().__init__(*parts)
        self._probed = probed
        self._open: dict[Attempt, Try] = {}

    def _forward(self, attempt: Attempt, role: int, exclude: int) -> int:
        known = self._probed.requests.get(attempt.request.row)
        if known is None:
            return super()._forward(attempt, role, exclude)
        now, number, candidates = (
            self.timeline.now(),
            attempt.tries + 1,
            self._candidates(attempt, role, exclude),
        )
        failure = super()._forward(attempt, role, exclude)
        server = 0 if failure else attempt.server
        known.choices.append(
            Choice(attempt.number, number, now, _ALGORITHMS[self.spec.routing], _ROLES[role], candidates, server,
                   NAMES[failure] if failure else "")
        )  # fmt: skip
        if not failure:
            self._open[attempt] = Try(attempt.number, number, server, now)
            known.tries.append(self._open[attempt])
        return failure

    def _candidates(self, attempt: Attempt, role: int, exclude: int) -> tuple[Candidate, ...]:
        servers, now = self.servers, self.timeline.now()
        weighs = self.spec.routing == routing.PEAK_EWMA
        seen = []
        for slot in range(len(servers)):
            cost = routing.peak_cost(servers, slot, now) if weighs else 0.0
            row = servers[slot]
            barred = self._barred(attempt, slot, role, exclude)
            seen.append(
                Candidate(int(row["id"]), _ROLES[int(row["role"])], int(row["in_flight"]), cost, barred)
            )
        return tuple(seen)

    def _barred(self, attempt: Attempt, slot: int, role: int, exclude: int) -> str:
        """Why the server in *slot* is no candidate, in the order in which core.routing.eligible asks."""
        row, now, cap = self.servers[slot], self.timeline.now(), self.spec.max_in_flight
        arguments = (role, cap, self.spec.slow_start, now, self._bits(attempt), exclude)
        if routing.eligible(self.servers, slot, *arguments):
            return ""
        for holds, reason in (
            (not row["listed"], "no longer listed"),
            (not row["healthy"], "unhealthy"),
            (row["ejected_until"], "ejected"),
            (row["role"] != role, "of the other role"),
            (row["id"] == exclude, "has just failed this request"),
            (cap >= 0 and row["in_flight"] >= cap, "has as many in flight as it may"),
        ):
            if holds:
                return reason
        return "in slow start"

    def _settle(self, attempt: Attempt, outcome: int, status: int) -> None:
        self._close(attempt, NAMES[outcome], status)
        super()._settle(attempt, outcome, status)

    def disown(self, attempt: Attempt) -> bool:
        """See Forwarding."""
        self._close(attempt, ABANDONED, 0)
        return super().disown(attempt)

    def _close(self, attempt: Attempt, outcome: str, status: int) -> None:
        found = self._open.pop(attempt, None)
        if found is not None:
            found.end, found.outcome, found.status = self.timeline.now(), outcome, status


class _ProbedDependency(Dependency):
    def __init__(self, probed: Probed, *parts: Any) -> None:
        super().__init__(*parts)
        self._probed = probed
        self._calls: dict[tuple[Job, int], Call] = {}

    def call(self, job: Job, caller: Caller) -> None:
        """See Dependency."""
        known = self._probed.requests.get(job.attempt.request.row)
        if known is None:
            super().call(job, caller)
            return
        call = Call(job.attempt.number, job.tries, job.call, self.spec.name, self.timeline.now())
        known.calls.append(call)
        self._calls[job, job.call] = call
        entry = self._entry(job)
        super().call(job, _Listening(caller, call, self.timeline.now))
        call.cached = entry >= 0 and call.succeeded and call.served < 0

    def _serve(self, job: Job, entry: int, caller: Caller) -> None:
        call = self._calls.pop((job, job.call), None)
        if call is not None:
            call.served = self.timeline.now()
        super()._serve(job, entry, caller)


class _Listening:
    """Who called; hears the answer first. Implements dependency.Caller."""

    def __init__(self, caller: Caller, call: Call, now: Callable[[], int]) -> None:
        self._caller = caller
        self._call = call
        self._now = now

    @property
    def alive(self) -> bool:
        """See Caller."""
        return self._caller.alive

    def called(self, job: Job, succeeded: bool) -> None:
        """See Caller."""
        self._call.end, self._call.succeeded = self._now(), succeeded
        self._caller.called(job, succeeded)


class _ProbedStore(RegistryStore):
    """The registry's store: what the monitors write to it and the proxy reads is noted."""

    def __init__(
        self, probed: Probed, redis: Any, plan: Plan, now: Callable[[], int], troubles: Troubles
    ) -> None:
        super().__init__(redis, plan.fleet, now, troubles)
        self._probed = probed
        self._now = now

    def primary(self) -> Any:
        """See Store."""
        return _Written(super().primary(), self._probed.writes, self._now)

    def registry(self, reader: str, apart: str = "") -> Any:
        """See Store."""
        made = super().registry(reader, apart)
        return _Read(made, self._probed.reads, self._now) if reader == PROXY else made


class _Passed:
    """A registry that is watched: whatever is not passes."""

    def __init__(self, registry: Registry, now: Callable[[], int]) -> None:
        self._registry = registry
        self._now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


class _Written(_Passed):
    """Samples that are written are noted."""

    def __init__(self, registry: Registry, writes: list[Write], now: Callable[[], int]) -> None:
        super().__init__(registry, now)
        self._writes = writes

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """See core.ports.Registry."""
        servers = tuple(sample.address for sample in samples)
        try:
            self._registry.write_samples(samples)
        except RegistryError as error:
            self._writes.append(Write(self._now(), servers, str(error)))
            raise
        self._writes.append(Write(self._now(), servers))


class _Read(_Passed):
    """Reading the lists is noted."""

    def __init__(self, registry: Registry, reads: list[Read], now: Callable[[], int]) -> None:
        super().__init__(registry, now)
        self._reads = reads

    def servers(self) -> Servers:
        """See core.ports.Registry."""
        servers = self._registry.servers()
        roles = (len(servers.serving), len(servers.canary), len(servers.standby))
        self._reads.append(Read(self._now(), *roles))
        return servers
