"""The data plane of the reference engine: clients, proxy, app servers and dependencies on one timeline.

The control plane drives it through this class alone (boot, drain, stop, tables, samples), and hears of it through *emit* (events) and
*lost* (an instance that died by itself); another engine has the same face.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import draws
from ..core.order import Kind
from ..core.outcomes import Outcome
from ..core.ports import Sink
from ..scenarios.plan import BLOCK, Plan
from .appserver import AppServer
from .clients import Clients
from .dependency import Dependency
from .entities import Job
from .proxy import Proxy
from .recorder import Recorder
from .timeline import Timeline

CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)

Emit = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ServerSample:
    """What a server's monitors see: requests and CPU time since the last sample, and the state now."""

    server: int
    requests: int
    in_flight: int
    queued: int
    memory: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class ProxySample:
    """The proxy's own figures; requests since the last sample."""

    requests: int
    in_flight: int
    queued: int
    memory: int
    connections: int
    descriptors: int


class DataPlane:
    """See the module's text."""

    def __init__(self, plan: Plan, timeline: Timeline, sink: Sink, emit: Emit, block: int = BLOCK) -> None:
        fleet = plan.fleet
        self.fleet = fleet
        self.timeline = timeline
        self.emit = emit
        self.lost: Callable[[int], None] = lambda number: None
        self.proxy_down: Callable[[], None] = lambda: None
        self.recorder = Recorder(sink)
        self.clients = Clients(plan, timeline, self.recorder, block)
        self.proxy = Proxy(fleet, timeline, self.clients, self)
        self.clients.proxy = self.proxy
        self.forwarding = self.proxy.forwarding
        self.servers: dict[int, AppServer] = {}
        self.dependencies = [
            Dependency(number, spec, timeline) for number, spec in enumerate(fleet.dependencies)
        ]

    # What the control plane does to it.

    def begin(self) -> None:
        """Let the clients begin."""
        self.clients.begin()

    def boot(self, number: int) -> None:
        """The application on instance *number* is up."""
        assert number not in self.servers, f"instance {number} booted twice"
        self.servers[number] = AppServer(number, self.fleet.app, self.timeline, self)

    def stop(self, number: int) -> int:
        """The application on instance *number* ends at once; how many requests it had in flight."""
        server = self.servers[number]
        if not server.alive:
            return 0
        lost = server.stop()
        for job in lost:
            self._fail(job, UPSTREAM_RESET)
        return len(lost)

    def refresh(self, listed: dict[int, int]) -> None:
        """The proxy takes over the registry's lists: server number -> role."""
        if not self.proxy.down:
            self.forwarding.update(listed)

    def check_health(self) -> None:
        """The proxy makes one round of active health checks."""
        if not self.proxy.down:
            self.forwarding.check_health()

    def kill_proxy(self, cause: str) -> None:
        """The proxy's process dies, if it is up."""
        if not self.proxy.down:
            self.proxy.crash(cause)

    def sample(self) -> tuple[ProxySample, Sequence[ServerSample]]:
        """What the monitors see; counters start anew."""
        proxy = self.proxy
        own = ProxySample(
            proxy.requests,
            self.forwarding.active,
            len(proxy.accept_queue),
            self.fleet.proxy.memory.base + self.fleet.proxy.memory.each * proxy.connections,
            proxy.connections,
            proxy.descriptors,
        )
        proxy.requests = 0
        rows = []
        for number, server in self.servers.items():
            if server.alive:
                requests, cpu = server.sample()
                rows.append(
                    ServerSample(number, requests, len(server.jobs), len(server.queue), server.memory, cpu)
                )
        return own, rows

    @property
    def idle(self) -> bool:
        """Whether every planned request has its outcome."""
        return self.clients.unfinished == 0 and not self.clients.open_rows_left

    def end(self) -> None:
        """The run is over."""
        self.clients.end()

    # What its parts tell each other.

    def answers(self, number: int) -> bool:
        """Whether the server answers a health check."""
        server = self.servers.get(number)
        return server is not None and server.alive

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
        self.timeline.at(
            time, Kind.ANSWER, job.server, job.number, job.lane,
            self.forwarding.answer, job, outcome, status,
        )  # fmt: skip

    def _fail(self, job: Job, outcome: int) -> None:
        time = self.timeline.now() + self.forwarding.delay(job, draws.ANSWER_LATENCY)
        self.timeline.at(
            time, Kind.UPSTREAM_FAILURE, job.server, job.number, job.lane,
            self.forwarding.answer, job, outcome, 502,
        )  # fmt: skip

    def call(self, server: AppServer, job: Job) -> None:
        """An app server calls the job's next dependency."""
        dependency = self.dependencies[job.endpoint.calls[job.call]]
        self.timeline.at(
            self.timeline.now(), Kind.DEPENDENCY_CALL, dependency.number, job.number, job.lane,
            dependency.call, job, server,
        )  # fmt: skip

    def out_of_memory(self, server: AppServer) -> None:
        """The kernel kills the process."""
        memory = server.memory
        lost = self.stop(server.number)
        self.emit("out_of_memory", {"server": server.number, "memory": memory, "lost": lost})
        self.lost(server.number)
