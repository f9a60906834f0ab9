"""The data plane of the reference engine: clients, proxy, app servers and dependencies on one timeline.

The control plane knows it by its face (sim.plane) alone; sim.kernel has the same one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core import draws
from ..core.model import DependencySpec
from ..core.order import Kind
from ..core.outcomes import Outcome
from ..core.ports import Sink
from ..core.toxics import DOWNSTREAM
from ..scenarios.plan import BLOCK, Plan
from .appserver import AppServer
from .clients import Clients
from .dependency import Dependency
from .entities import Job
from .forwarding import Forwarding
from .host import Host
from .plane import Emit, ProxySample, ServerSample
from .proxy import Proxy
from .recorder import Recorder
from .timeline import Timeline

CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)


class DataPlane:
    """See the module's text."""

    def __init__(self, plan: Plan, timeline: Timeline, sink: Sink, emit: Emit, block: int = BLOCK) -> None:
        fleet = plan.fleet
        self.fleet = fleet
        self.timeline = timeline
        self.sink = sink
        self._emit = emit
        self.lost: Callable[[int], None] = lambda number: None
        self.proxy_down: Callable[[], None] = lambda: None
        self.host = Host(fleet.host_cores, timeline)
        self.recorder = self.new_recorder(sink)
        self.clients = Clients(plan, timeline, self.recorder, block)
        self.proxy = Proxy(fleet, timeline, self.clients, self)
        self.clients.proxy = self.proxy
        self.forwarding = self.proxy.forwarding
        self.servers: dict[int, AppServer] = {}
        self._disturbed: dict[int, tuple[float, float, int]] = {}
        self._pressed: dict[int, int] = {}
        self.links = self.clients.links = self.proxy.links
        self.dependencies = [
            self.new_dependency(number, spec, timeline) for number, spec in enumerate(fleet.dependencies)
        ]

    # Its stations that a probe watches.

    def new_recorder(self, sink: Sink) -> Recorder:
        """Whoever records requests."""
        return Recorder(sink)

    def new_forwarding(self, proxy: Proxy) -> Forwarding:
        """The proxy's back."""
        return Forwarding(self.fleet, self.timeline, proxy, self)

    def new_dependency(self, number: int, spec: DependencySpec, timeline: Timeline) -> Dependency:
        """A dependency."""
        return Dependency(number, spec, timeline)

    # What the control plane does to it.

    def begin(self) -> None:
        """See sim.plane.Plane."""
        self.clients.begin()
        if self.fleet.proxy.health is not None:
            self._schedule_health(1, self.fleet.proxy.health.interval)

    def advance(self, time: int, key: int) -> bool:
        """See sim.plane.Plane: everything is on the timeline."""
        return True

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """Log a control event now."""
        self._emit(self.timeline.now(), name, fields)

    def boot(self, number: int, version: int) -> None:
        """See sim.plane.Plane."""
        before = self.servers.get(number)
        assert before is None or not before.alive, f"instance {number} booted while it is up"
        spec, build = self.fleet.app_of(version), self.fleet.version(version)
        server = self.servers[number] = AppServer(number, spec, self.timeline, self, build)
        if number in self._disturbed:
            server.disturb(*self._disturbed[number])
        server.pressed = self._pressed.get(number, 0)

    def stop(self, number: int) -> int:
        """See sim.plane.Plane."""
        server = self.servers.get(number)
        if server is None or not server.alive:
            return 0
        lost = server.stop()
        for job in lost:
            self._fail(job, UPSTREAM_RESET)
        return len(lost)

    def refresh(self, listed: Mapping[int, int], share: tuple[int, int]) -> None:
        """See sim.plane.Plane."""
        if not self.proxy.down:
            self.forwarding.update(listed)
            self.forwarding.share = share

    def _schedule_health(self, turn: int, interval: int) -> None:
        self.timeline.at(turn * interval, Kind.HEALTH, 0, 0, 0, self._check_health, turn, interval)

    def _check_health(self, turn: int, interval: int) -> None:
        """The proxy makes one round of active health checks."""
        self._schedule_health(turn + 1, interval)
        if not self.proxy.down:
            self.forwarding.check_health()

    def kill_proxy(self, cause: str) -> None:
        """See sim.plane.Plane."""
        if not self.proxy.down:
            self.proxy.crash(cause)

    def restart_proxy(self) -> None:
        """See sim.plane.Plane."""
        self.proxy.restart()

    def pause(self, number: int) -> None:
        """See sim.plane.Plane."""
        if self.servers[number].alive:
            self.servers[number].pause()

    def resume(self, number: int) -> None:
        """See sim.plane.Plane."""
        server = self.servers[number]
        if server.alive:
            server.resume()

    def disturb_server(self, number: int, factor: float, share: float, status: int) -> None:
        """See sim.plane.Plane."""
        self._disturbed[number] = (factor, share, status)
        self.servers[number].disturb(factor, share, status)

    def leak(self, number: int, size: int) -> None:
        """See sim.plane.Plane."""
        if self.servers[number].alive:
            self.servers[number].leak(size)

    def press(self, number: int, size: int) -> None:
        """See sim.plane.Plane."""
        self._pressed[number] = size
        if self.servers[number].alive:
            self.servers[number].press(size)

    def free(self, number: int, share: float) -> int:
        """See sim.plane.Plane."""
        return self.servers[number].free(share)

    def disturb_link(self, number: int, toxic: Sequence[Mapping[str, float]]) -> None:
        """See sim.plane.Plane."""
        self.links.disturb(number, toxic)

    def limit_descriptors(self, limit: int) -> None:
        """See sim.plane.Plane."""
        self.proxy.limit = limit

    def disturb_proxy(self, factor: float) -> None:
        """See sim.plane.Plane."""
        self.proxy.slow = factor

    def disturb_dependency(self, number: int, factor: float, down: bool) -> None:
        """See sim.plane.Plane."""
        self.dependencies[number].disturb(factor, down)

    def flush_cache(self, number: int) -> None:
        """See sim.plane.Plane."""
        self.dependencies[number].flush()

    @property
    def down(self) -> bool:
        """See sim.plane.Plane."""
        return self.proxy.down

    def sample(self) -> tuple[ProxySample, Sequence[ServerSample]]:
        """See sim.plane.Plane."""
        proxy = self.proxy
        own = ProxySample(
            proxy.requests,
            proxy.unserved,
            self.forwarding.active,
            len(proxy.accept_queue),
            self.fleet.proxy.memory.base + self.fleet.proxy.memory.each * proxy.connections,
            proxy.connections,
            proxy.descriptors,
            self.forwarding.counters.tolist() if self.fleet.needs_tallies else (),
        )
        proxy.requests = proxy.unserved = 0
        rows = []
        for number, server in self.servers.items():
            if server.alive:
                requests, cpu = server.sample()
                rows.append(
                    ServerSample(number, requests, len(server.jobs), len(server.queue), server.memory, cpu)
                )
        if self.sink.due():
            self.recorder.hand_over()
        return own, rows

    @property
    def idle(self) -> bool:
        """See sim.plane.Plane."""
        return self.clients.unfinished == 0 and not self.clients.open_rows_left

    def end(self) -> None:
        """See sim.plane.Plane."""
        self.clients.end()
        self.recorder.hand_over()

    # What its parts tell each other.

    def answers(self, number: int) -> bool:
        """Whether the server answers."""
        server = self.servers.get(number)
        return server is not None and server.alive and not server.pauses

    def arrive(self, job: Job) -> None:
        """A request arrives at an instance, whether or not anybody listens there."""
        server = self.servers.get(job.server)
        if server is None or not server.alive:
            self._fail(job, CONNECT_FAILED)
        else:
            server.arrive(job)

    def answer(self, job: Job, outcome: int, status: int) -> None:
        """An app server's answer leaves for the proxy."""
        time = self.timeline.now() + self.forwarding.delay(job, draws.ANSWER_LATENCY)
        size = job.answer_size(outcome)
        time, cut = self.links.travel_try(job, DOWNSTREAM, draws.ANSWER_LATENCY, size, time)
        kind = Kind.ANSWER
        if cut:
            kind, outcome, status = Kind.UPSTREAM_FAILURE, UPSTREAM_RESET, 502
        if time >= 0:
            self.timeline.at(
                time, kind, job.server, job.number, job.lane, self.forwarding.answer, job, outcome, status
            )

    def _fail(self, job: Job, outcome: int) -> None:
        time = self.timeline.now() + self.forwarding.delay(job, draws.ANSWER_LATENCY)
        self.timeline.at(
            time, Kind.UPSTREAM_FAILURE, job.server, job.number, job.lane,
            self.forwarding.answer, job, outcome, 502,
        )  # fmt: skip

    def call(self, server: AppServer, job: Job) -> None:
        """An app server calls the job's next dependency. The way back is taken with the way there, for nothing is recorded between."""
        dependency = self.dependencies[job.endpoint.calls[job.call]]
        self.timeline.at(
            self.timeline.now() + dependency.spec.round_trip, Kind.DEPENDENCY_CALL, dependency.number,
            job.number, job.lane, dependency.call, job, server,
        )  # fmt: skip

    def out_of_memory(self, server: AppServer) -> None:
        """The kernel kills the process."""
        memory = server.memory
        lost = self.stop(server.number)
        self.emit("out_of_memory", {"server": server.number, "memory": memory, "lost": lost})
        self.lost(server.number)
