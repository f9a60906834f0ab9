"""What the engine is told: plain frozen values, with every unit resolved.

Times are integer nanoseconds, sizes bytes, rates per second, shares 0 to 1. -1 stands for "none" or "unlimited" in
integers (the numba subset has no None), an absent part is None. Nothing here validates: ``scenarios/`` has done it.
"""

from dataclasses import dataclass, field, replace

from .alerts import AlertSpec, ExpectSpec
from .custom import CustomMetric
from .distributions import Distribution, constant
from .policies import AnyPolicy
from .remedy import RemedySpec
from .rollout.spec import DeploySpec

NONE = -1
SECOND = 1_000_000_000
INSTANT = constant(0)

# Client modes.
PER_REQUEST = 0
POOL = 1
FLOOD = 2
WIRE = 3


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of an app server or proxy; ``each`` is per request or per connection."""

    total: int = NONE
    base: int = 0
    each: int = 0
    leak: int = 0


@dataclass(frozen=True, slots=True)
class AppSpec:
    """The app servers; all alike but for their weights. *timer_slack*: how much longer each wait for io lasts than was asked for; *cpu_overhead*: how much longer
    CPU work holds its worker than its core. *remedy*: what a server runs when its memory is nearly used up. *metrics*: custom ones that a modelled
    server writes, of those that are *declared*; *metrics_path*: where a program of the user's tells its own.
    """

    initial: int = 1
    canaries: int = 0
    standby: int = 0
    workers: int = 1
    cores: int = 1
    queue: int = NONE
    memory: Memory = Memory()
    boot_time: Distribution = INSTANT
    boot_failure: float = 0.0
    weights: tuple[int, ...] = (1,)
    timer_slack: int = 0
    cpu_overhead: int = 0
    remedy: RemedySpec | None = None
    metrics: tuple[CustomMetric, ...] = ()
    declared: tuple[str, ...] = ()
    metrics_path: str = ""

    def weight(self, number: int) -> int:
        """The routing weight of instance *number* (from 1)."""
        return self.weights[(number - 1) % len(self.weights)]


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """A build of the app servers, and what is different with it: CPU work takes *cpu_factor* times as long, *error_share* of the requests are answered with *error_status*
    without any work. *memory* (but for its total) and *boot_time* stand for the fleet's. *crash_after*: so long after its start the process dies (ns, NONE: never).
    """

    name: str
    cpu_factor: float = 1.0
    error_share: float = 0.0
    error_status: int = 500
    memory: Memory | None = None
    boot_time: Distribution | None = None
    crash_after: int = NONE


FIRST = VersionSpec("1")
"""What runs where nobody speaks of versions."""


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """Active health checks by the proxy; in flight they ask for *path*."""

    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    path: str = "/health"


@dataclass(frozen=True, slots=True)
class OutlierSpec:
    """Passive outlier ejection by the proxy; ``max_ejection_percent`` is 0 to 100."""

    consecutive_5xx: int
    base_ejection_time: int
    max_ejection_percent: int


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """The proxy: its limits, its routing and its patience."""

    max_connections: int = NONE
    backlog: int = NONE
    overload: int = 0
    cpu_per_request: int = 0
    memory: Memory = Memory()
    on_exhaustion: int = 0
    restart_after: int = NONE
    routing: int = 0
    canary_every: int = 0
    upstream_timeout: int = NONE
    keepalive_timeout: int = NONE
    write_timeout: int = NONE
    retry_attempts: int = 0
    retry_budget: float = -1.0
    health: HealthSpec | None = None
    outlier: OutlierSpec | None = None
    max_in_flight: int = NONE
    slow_start: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A link's one-way latency, uniform within latency +/- jitter."""

    latency: int = 0
    jitter: int = 0


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache before a dependency: *keys* equally popular entries that live *ttl* ns; *hit_share* of the calls ask for one."""

    ttl: int
    hit_share: float
    keys: int

    def warm(self) -> list[int]:
        """When each entry expires (ns): filled at the start, with expiries spread evenly over the time to live."""
        return [self.ttl * (entry + 1) // self.keys for entry in range(self.keys)]


@dataclass(frozen=True, slots=True)
class DependencySpec:
    """Something the app servers call: a database, another service. *timer_slack*: how much longer the service of a call lasts than was drawn;
    *round_trip*: what the way there and back takes, which holds the caller's worker and nothing of the dependency.
    """

    name: str
    concurrency: int
    queue: int
    service: Distribution
    cache: Cache | None = None
    timer_slack: int = 0
    round_trip: int = 0


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a request for *path* costs; ``calls`` are indices of dependencies, ``size`` is the answer's in bytes."""

    path: str
    cpu: Distribution
    io: Distribution | None = None
    calls: tuple[int, ...] = ()
    size: int = 0
    status: int = 200


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """How the clients of a source behave; ``connections`` is the pool's size, or the flood's number of connections."""

    mode: int
    connections: int = NONE
    timeout: int = NONE
    retries: int = 0
    backoff: int = 0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class WireMessage:
    """What the proxy makes of one of the messages on each connection of a source of exact bytes; decided by ``core.http.intake``, when the plan is made.

    *upload*: so long after its connection's beginning it has been sent whole (ns, NONE: never). *status*: that of the proxy's own answer, 0: it is passed on to an app
    server. *expected*: the status that its author expects, 0: any. *outcome*: of its row in place of ok, 0: none. *closes*: nothing follows on its connection.
    """

    upload: int = 0
    status: int = 0
    expected: int = 0
    outcome: int = 0
    closes: bool = False


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source of requests, by number; ``stream`` keys its draws; *concurrency* clients if it is closed; ``body``: bytes.

    *wire*: the messages that go over each of its connections, for a source of exact bytes: request *index* is message *index* modulo their number, and all of a connection
    begin at the same time.
    """

    name: str
    stream: int
    client: ClientSpec
    concurrency: int = NONE
    think: Distribution | None = None
    start: int = 0
    end: int = 0
    maximum: int = NONE
    body: Distribution | None = None
    wire: tuple[WireMessage, ...] = ()

    @property
    def ordinary(self) -> bool:
        """Whether its requests are what users send: neither a flood's, which are never read, nor exact bytes."""
        return self.client.mode in (PER_REQUEST, POOL)

    def message(self, index: int) -> WireMessage | None:
        """What request *index* is on the wire; None for a source of requests."""
        return self.wire[index % len(self.wire)] if self.wire else None

    @property
    def method(self) -> str:
        """The method of its requests: with a body they are POSTs."""
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True)
class AutoscalerSpec:
    """The autoscaler around the policy; see docs/scenarios.md for each field. *delay*: how much later than its turn it looks and acts. *affordable*: how
    many instances the cap on cost pays for at a time. *adopts_orphans*: an instance of ours in nobody's books is taken over, not ended; *leaves_orphans*: it is
    neither, for launches are noted afterwards only. *missing_is_zero*: a server without a usable sample counts as idle.
    """

    policy: AnyPolicy
    interval: int = SECOND
    minimum: int = 0
    maximum: int = NONE
    cooldown: int = 0
    max_sample_age: int = 5 * SECOND
    dead_after: int = 30 * SECOND
    boot_timeout: int = 300 * SECOND
    drain_grace: int = 2 * SECOND
    drain_timeout: int = 30 * SECOND
    reconcile_interval: int = 60 * SECOND
    trust_foreign: bool = True
    delay: int = 0
    affordable: int = NONE
    victims: str = "youngest"
    adopts_orphans: bool = True
    dry_run: bool = False
    leaves_orphans: bool = False
    missing_is_zero: bool = False


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One occurrence of a fault. *count* servers are drawn at the time (-1: all, later ones too) unless *address* names one.

    *until*: when it is over, -1: never, or at once. *upstream* and *downstream*: which messages of a link. *attributes* are those of its
    type (core.faults), in ns, bytes, per second and shares.
    """

    name: str
    type: str
    at: int
    role: str
    until: int = NONE
    count: int = 1
    address: str = ""
    dependency: int = NONE
    stream: int = 0
    upstream: bool = True
    downstream: bool = True
    toxicity: float = 1.0
    attributes: tuple[tuple[str, int | float | str], ...] = ()

    def number(self, name: str) -> float:
        """The attribute called so, a number."""
        return float(dict(self.attributes)[name])

    def word(self, name: str) -> str:
        """The attribute called so, a word."""
        return str(dict(self.attributes)[name])


@dataclass(frozen=True, slots=True)
class TriggeredFault:
    """A fault that begins when something happens, perhaps again and again: its occurrences are *fault* with other names, times and streams.

    Either while a condition holds (*condition*, one of core.faults.CONDITIONS, of the fault *of* if it is about one), not before ``fault.at``; or *delay* ns after each
    occurrence of the fault *after*. *length*: how long it lasts at most, -1: as long as the condition holds, or to the end.
    """

    fault: FaultSpec
    condition: str = ""
    of: str = ""
    after: str = ""
    delay: int = 0
    length: int = NONE


@dataclass(frozen=True, slots=True)
class SloSpec:
    """An objective: *indicator* strictly below (or above) *bound* among requests planned in [start, end)."""

    name: str
    indicator: str
    below: bool
    bound: float
    start: int
    end: int
    sources: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class InvariantSpec:
    """Something of core.invariants that must hold, and its bound (ns or a number; 0: it has none)."""

    name: str
    bound: int = 0


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """The whole fleet and what will happen to it: all that a world needs besides the planned requests. *host_cores*: what all servers' cores and the
    proxy share, -1: each has its own."""

    name: str
    seed: int
    duration: int
    drain: int
    app: AppSpec
    proxy: ProxySpec
    client_link: Link = Link()
    upstream_link: Link = Link()
    socket_buffer: int = NONE
    refresh_interval: int = SECOND
    reregister: int = NONE
    key_prefix: str = ""
    pending: int = 0
    host_cores: int = NONE
    dependencies: tuple[DependencySpec, ...] = ()
    endpoints: tuple[EndpointSpec, ...] = ()
    sources: tuple[SourceSpec, ...] = ()
    autoscaler: AutoscalerSpec | None = None
    faults: tuple[FaultSpec, ...] = ()
    triggered: tuple[TriggeredFault, ...] = ()
    slos: tuple[SloSpec, ...] = ()
    alerts: tuple[AlertSpec, ...] = ()
    expects: tuple[ExpectSpec, ...] = ()
    invariants: tuple[InvariantSpec, ...] = ()
    versions: tuple[VersionSpec, ...] = ()
    """By index; 0 runs at the start. None: there are no deploys."""
    deploys: tuple[DeploySpec, ...] = ()
    header_sets: tuple[tuple[tuple[str, str], ...], ...] = field(default=((),))

    @property
    def needs_tallies(self) -> bool:
        """Whether versions can be compared: the proxy keeps tallies, and the share of the canaries can change."""
        return bool(self.versions)

    def version(self, index: int) -> VersionSpec:
        """What is called version *index*."""
        return (self.versions or (FIRST,))[index]

    def app_of(self, index: int) -> AppSpec:
        """An app server of version *index*, but for its CPU time and its errors."""
        version, app = self.version(index), self.app
        memory, boot_time = version.memory or app.memory, version.boot_time or app.boot_time
        return replace(app, memory=replace(memory, total=app.memory.total), boot_time=boot_time)

    @property
    def needs_proxy(self) -> bool:
        """Whether anybody reads the proxy's own sample: the policy, or an alert."""
        if self.autoscaler is None:
            return False
        return self.autoscaler.policy.needs_proxy or any(alert.when.needs_proxy for alert in self.alerts)
