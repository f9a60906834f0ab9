"""The fleet's part of the scenario schema: app servers, proxy, network, registry, dependencies, endpoints."""

import re
from typing import Literal

from pydantic import Field, model_validator

from ..core.admission import EXHAUSTION
from ..core.routing import ALGORITHMS
from .schema_base import Count, Distribution, FieldError, Model, Name, Positive, Word
from .schema_custom import CustomMetricModel, CustomName
from .schema_remedy import OnLowMemory
from .units import Duration, Share, Size

Routing = Literal[
    "round_robin", "least_connections", "power_of_two", "weighted", "random", "consistent_hash",
    "peak_ewma",
]  # fmt: skip
Exhaustion = Literal["refuse", "evict", "crash"]
assert set(Routing.__args__) == set(ALGORITHMS)  # type: ignore[attr-defined]
assert set(Exhaustion.__args__) == set(EXHAUSTION)  # type: ignore[attr-defined]

_ENDPOINT = re.compile(r"https?://[^/@?#\s]+/?")

NO_BOOT = Distribution(constant=0)


class AppMemory(Model):
    """Memory of an app server; beyond `total` the instance is killed with everything in flight."""

    total: Size | None = Field(None, description="limit; omitted: unlimited")
    base: Size = Field(0, description="in use when idle")
    per_request: Size = Field(0, description="held by each request in flight (queued ones too)")
    leak: Size = Field(0, description="never given back, per request served")


class App(Model):
    """The app servers, all alike but for their weights."""

    initial: Count = Field(1, description="serving servers at the start")
    min: Count = Field(0, description="the autoscaler keeps at least so many")
    max: Count | None = Field(None, description="the autoscaler keeps at most so many; omitted: unlimited")
    workers: Positive = Field(1, description="requests served at once; a worker is held until the answer")
    cores: Positive | None = Field(
        None, description="CPUs that serve cpu demand, first come first served; omitted: as many as workers"
    )
    queue: Count | None = Field(None, description="requests that may wait for a worker; omitted: unlimited")
    memory: AppMemory = Field(default_factory=AppMemory, description="memory")
    boot_time: Distribution = Field(
        NO_BOOT, description="from when the instance runs until the server registers itself"
    )
    boot_failure: Share = Field(0.0, description="share of launches that never come up")
    canaries: Count = Field(0, description="canary servers at the start")
    standby: Count = Field(
        0, description="standby servers at the start: running, without traffic until promoted"
    )
    weights: list[Positive] = Field(
        [1],
        min_length=1,
        description="routing weights, dealt to instances 1, 2, ... in turn (routing: weighted)",
    )
    command: list[Word] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="a program of your own that a local flight runs in place of each app server, word by word: `{host}` and `{port}` in it say where it is to listen; a rehearsal models it by the rest of the scenario",
    )
    directory: Word | None = Field(
        None,
        description="where `command` runs, relative to the scenario's file; omitted: where that file is",
    )
    metrics: dict[CustomName, CustomMetricModel] | None = Field(
        None,
        max_length=100,
        description="custom metrics that servers write besides requests, memory, cpu and in_flight, by name, each with what a modelled server says; policies and alerts name them as `custom`",
    )
    metrics_path: Word | None = Field(
        None,
        description="where in flight a program of your own tells its custom metrics, such as `/metrics`: JSON (an object of numbers) or Prometheus' text format",
    )
    on_low_memory: OnLowMemory | None = Field(
        None, description="a remedy that a server runs when its memory is nearly used up; omitted: none"
    )

    @model_validator(mode="after")
    def _bounds(self) -> "App":
        if self.max is not None and self.min > self.max:
            raise ValueError(f"expected min not above max, got min {self.min} and max {self.max}")
        if self.max is not None and self.initial > self.max:
            raise ValueError(f"expected initial not above max, got initial {self.initial} and max {self.max}")
        if self.directory is not None and self.command is None:
            raise ValueError(f"expected a command to run in the directory {self.directory!r}, got none")
        if self.metrics_path is not None and (self.command is None or not self.metrics):
            missing = "command" if self.command is None else "metrics"
            raise FieldError(
                f"expected {missing} with metrics_path, got none", ("metrics_path",), ((missing,),)
            )
        if self.on_low_memory is not None and self.memory.total is None:
            raise FieldError(
                "expected memory.total: without a limit there is no share of it",
                ("on_low_memory",),
                (("memory",),),
            )
        return self


class ProxyMemory(Model):
    """Memory of the proxy; what happens beyond `total` is `on_exhaustion`."""

    total: Size | None = Field(None, description="limit; omitted: unlimited")
    base: Size = Field(0, description="in use without connections")
    per_connection: Size = Field(0, description="held by each client connection")


class ProxyRetries(Model):
    """Requests that the proxy sends again, to another server: after a failed connection or a full queue; after a reset only what is idempotent (RFC 9110, section 9.2.2), which requests with a body (POSTs) are not. A body of more than 64 KiB of which a server has had some is not sent again."""

    attempts: int = Field(0, ge=0, le=14, description="retries per request")
    budget: Share | None = Field(
        None,
        description="retries under way, as a share of requests under way (at least 3); omitted: unlimited",
    )


class HealthCheck(Model):
    """Active checks of every listed server. They take no worker."""

    path: str = Field("/health", description="what is asked for (in flight)")
    interval: Duration = Field(1_000_000_000, gt=0, description="time between checks")
    timeout: Duration = Field(500_000_000, gt=0, description="a slower answer counts as failed")
    healthy_threshold: Positive = Field(2, description="passed checks in a row that make a server healthy")
    unhealthy_threshold: Positive = Field(3, description="failed checks in a row that make it unhealthy")


class OutlierDetection(Model):
    """Ejection of servers by their answers."""

    consecutive_5xx: Positive = Field(
        5, description="failures in a row (5xx, resets, failed connections, timeouts)"
    )
    base_ejection_time: Duration = Field(
        10_000_000_000, gt=0, description="length of the first ejection; grows with each further one"
    )
    max_ejection_percent: Share = Field(
        0.5, description="greatest share of the listed servers that is ejected at a time"
    )


class CircuitBreaker(Model):
    """A cap on requests in flight."""

    max_in_flight: Positive = Field(
        description="requests in flight per server; with all servers at the cap the proxy answers 503 (shed)"
    )


class Proxy(Model):
    """The proxy. Everything omitted is off or unlimited."""

    max_connections: Positive | None = Field(
        None, description="descriptors: a client connection takes one, its upstream connection another"
    )
    backlog: Count | None = Field(
        None,
        description="accept queue; when it is full the SYN is dropped and the client tries again after 1, 3, 7, ... s",
    )
    overload: Literal["refuse", "evict"] = Field(
        "refuse",
        description="without a free descriptor: `refuse` lets new connections wait in the backlog, `evict` admits half as many connections as descriptors and closes the one that was idle or unread for the longest time (a stalled one is neither: give a write_timeout)",
    )
    cpu_per_request: Duration = Field(
        0, description="CPU time on the proxy's one event loop, first come first served"
    )
    memory: ProxyMemory = Field(default_factory=ProxyMemory, description="memory")
    on_exhaustion: Exhaustion = Field(
        "refuse",
        description="without memory for a connection: `evict` an idle one, `refuse` (reset) it, or `crash`",
    )
    restart_after: Duration | None = Field(
        None, description="a crashed or killed proxy is back after this; omitted: never"
    )
    routing: Routing = Field("round_robin", description="algorithm")
    canary_every: Count = Field(
        0,
        description="each so-many-th request goes to a canary (to a serving server when there is none); 0: never",
    )
    upstream_timeout: Duration | None = Field(
        None, gt=0, description="longest wait for an app server's answer (504); omitted: none"
    )
    keepalive_timeout: Duration | None = Field(
        None, gt=0, description="an idle client connection is closed after this; omitted: never"
    )
    write_timeout: Duration | None = Field(
        None, gt=0, description="a connection whose answer is stalled is closed after this; omitted: never"
    )
    retries: ProxyRetries = Field(default_factory=ProxyRetries, description="retries")
    health_check: HealthCheck | None = Field(None, description="active health checks; omitted: none")
    outlier_detection: OutlierDetection | None = Field(
        None, description="passive outlier ejection; omitted: none"
    )
    circuit_breaker: CircuitBreaker | None = Field(None, description="circuit breaker; omitted: none")
    slow_start: Duration = Field(
        0, description="a new server's share of traffic grows from a tenth to all over this time"
    )


class LinkModel(Model):
    """A link: one-way latency, uniform within latency +/- jitter, drawn for each message."""

    latency: Duration = Field(0, description="one-way latency")
    jitter: Duration = Field(0, description="greatest deviation from it")

    @model_validator(mode="after")
    def _jitter(self) -> "LinkModel":
        if self.jitter > self.latency:
            raise ValueError("expected jitter not above latency")
        return self


class Network(Model):
    """Links and buffers."""

    client: LinkModel = Field(default_factory=LinkModel, description="between clients and proxy")
    upstream: LinkModel = Field(default_factory=LinkModel, description="between proxy and app servers")
    socket_buffer: Size | None = Field(
        None,
        description="unread bytes that the kernel takes from the proxy before a write stalls; omitted: unlimited",
    )


class Registry(Model):
    """The Redis registry."""

    refresh_interval: Duration = Field(
        1_000_000_000, gt=0, description="how often the proxy reads the lists of servers"
    )
    reregister: Duration | None = Field(
        None,
        gt=0,
        description="how often a server looks whether it is still listed, and registers again if not; omitted: never, as in the classic fleet",
    )
    key_prefix: str = Field("", max_length=100, description="put before every key")
    backend: Literal["fakeredis", "memory"] = Field(
        "fakeredis",
        description="what stands for Redis in the rehearsal; results are identical, `memory` is faster",
    )


class Aws(Model):
    """EC2 for a flight (`--backend aws`): region, image, instance type, key and user data are needed then. Credentials never stand here: boto3 looks for them where it always does."""

    region: Name | None = Field(None, description="region, such as `eu-central-1`")
    image: Name | None = Field(None, description="image, such as `ami-0abcdef1234567890`")
    instance_type: Name | None = Field(None, description="instance type, such as `t3.small`")
    key_name: Name | None = Field(None, description="key pair")
    security_groups: list[Name] = Field([], max_length=16, description="security groups, by id or name")
    subnet: Name | None = Field(None, description="subnet; omitted: the region's default")
    profile: Name | None = Field(None, description="instance profile (IAM), by name or ARN; omitted: none")
    user_data: str | None = Field(
        None,
        max_length=16_384,
        description="user data: a text in which `{registry}`, `{port}`, `{role}`, `{number}`, `{fleet}`, `{run}` and `{epoch}` are filled in; put no secret into it",
    )
    user_data_file: Name | None = Field(None, description="a file with the user data, instead")
    endpoint_url: Name | None = Field(
        None, description="where EC2 is spoken to, such as a moto server's address; omitted: at AWS"
    )
    port: int = Field(80, ge=1, le=65_535, description="port on which the servers answer")
    public_address: bool = Field(
        False, description="reach servers by their public address, not the private one"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Aws":
        if self.user_data is not None and self.user_data_file is not None:
            raise ValueError("expected user_data or user_data_file, got both")
        if self.endpoint_url is not None and not _ENDPOINT.fullmatch(self.endpoint_url):
            raise ValueError(
                "expected an endpoint_url such as http://127.0.0.1:5000, without user and password"
            )
        return self


class Cloud(Model):
    """The provider of instances."""

    pending: Duration = Field(0, description="from a launch until the instance runs; `boot_time` begins then")

    backend: Literal["moto", "memory"] = Field(
        "moto", description="what stands for EC2 in the rehearsal; results are identical, `memory` is faster"
    )
    instance_cost: float | None = Field(
        None, gt=0, description="what an instance costs per hour, in any currency, for `autoscaler.max_cost`"
    )
    aws: Aws | None = Field(None, description="EC2, for a flight; omitted: none")


class CacheModel(Model):
    """A cache in front of a dependency. Warm at the start; entries expire one by one."""

    ttl: Duration = Field(gt=0, description="life of an entry")
    hit_share: Share = Field(
        description="share of calls that ask for one of the cached keys; the others always miss"
    )
    keys: Positive = Field(1000, description="how many keys are cached, all equally popular")


class Dependency(Model):
    """Something that app servers call while a worker waits."""

    name: Name = Field(description="name, as endpoints call it")
    concurrency: Positive = Field(1, description="calls served at once")
    queue: Count | None = Field(
        None, description="calls that may wait; beyond it they fail (the answer is a 500); omitted: unlimited"
    )
    service: Distribution = Field(description="service time of a call")
    cache: CacheModel | None = Field(None, description="a cache; omitted: none")


class Fleet(Model):
    """The fleet."""

    app: App = Field(default_factory=App, description="app servers")
    proxy: Proxy = Field(default_factory=Proxy, description="proxy")
    network: Network = Field(default_factory=Network, description="network")
    registry: Registry = Field(default_factory=Registry, description="registry")
    cloud: Cloud = Field(default_factory=Cloud, description="cloud")
    dependencies: list[Dependency] = Field([], description="dependencies")


class Endpoint(Model):
    """What a request for a path costs and how it is answered."""

    path: Name = Field(
        description="path; `default` stands for every path without an endpoint of its own (404 unless given)"
    )
    weight: Count = Field(
        1, description="share of the traffic that names no endpoint, relative to the others"
    )
    cpu: Distribution = Field(NO_BOOT, description="CPU time on one of the server's cores")
    io: Distribution | None = Field(None, description="time waited while only the worker is held")
    calls: list[Name] = Field([], max_length=90, description="dependencies called one after another")
    response_size: Size = Field(0, description="size of the answer")
    status: int = Field(
        200, ge=100, le=599, description="HTTP status of the answer; 500 and above count as errors"
    )
