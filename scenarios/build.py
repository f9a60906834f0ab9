"""From a validated scenario to what the engine is told: a plan."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..core import draws
from ..core.admission import EXHAUSTION, OVERLOAD
from ..core.demand import Mix, mix_of
from ..core.distributions import constant
from ..core.model import (
    FLOOD,
    NONE,
    PER_REQUEST,
    POOL,
    SECOND,
    AppSpec,
    AutoscalerSpec,
    Cache,
    ClientSpec,
    DependencySpec,
    EndpointSpec,
    FleetSpec,
    HealthSpec,
    Link,
    Memory,
    OutlierSpec,
    PolicySpec,
    ProxySpec,
    SloSpec,
    SourceSpec,
)
from ..core.order import SOURCE_BITS
from ..core.rates import Times
from ..core.routing import ALGORITHMS
from .arrivals import (
    constant_times,
    poisson_times,
    recorded_profile,
    staged_profile,
    take_until,
    timer_times,
)
from .fault_timeline import fault_timeline
from .header_sets import MIXED
from .loadtest_file import Loadtest, read_loadtest
from .plan import OpenSource, Plan
from .problems import Problem, ScenarioError
from .rate_file import read_rates
from .references import DEFAULT_PATH
from .scenario import Scenario
from .schema import Client, Document, Slo, Traffic, parse_bound

DEFAULT_DRAIN = 30 * SECOND
"""How long a run drains when some client has no timeout."""

HeaderSet = tuple[tuple[str, str], ...]


def compile_plan(scenario: Scenario) -> Plan:
    """The plan of *scenario* under its seed."""
    document = scenario.document
    builder = _Builder(scenario)
    for number, traffic in enumerate(document.traffic):
        builder.add(traffic, number)
    fleet = _fleet(document, builder)
    return Plan(fleet, tuple(builder.open), tuple(builder.mixes), scenario.fingerprint())


def _none(value: int | None) -> int:
    return NONE if value is None else value


class _Builder:
    """Collects sources; each traffic entry makes one, a loadtest makes one per entry of its file."""

    def __init__(self, scenario: Scenario) -> None:
        self.document = scenario.document
        self.folder = scenario.folder
        self.origin = scenario.origin
        self.endpoints = _endpoints(scenario.document)
        self.paths = [endpoint.path for endpoint in self.endpoints]
        self.sources: list[SourceSpec] = []
        self.of_traffic: dict[str, list[int]] = {}
        self.open: list[OpenSource] = []
        self.mixes: list[Mix] = []
        self.header_sets: list[HeaderSet] = [()]

    def add(self, traffic: Traffic, number: int) -> None:
        """Add the sources of one traffic entry."""
        self.of_traffic[traffic.name] = []
        if traffic.loadtest:
            self._add_loadtest(traffic, self._file(traffic.loadtest))
        elif traffic.closed:
            closed = traffic.closed
            end = self.document.duration
            if closed.for_ is not None:
                end = min(end, traffic.start + closed.for_)
            think = closed.think.resolve() if closed.think else None
            self._source(traffic.name, traffic.name, _client(traffic.client), self._mix(traffic), traffic.start,
                         end, concurrency=closed.concurrency, maximum=_none(closed.maximum), think=think)  # fmt: skip
        else:
            self._add_open(traffic)

    def _file(self, name: str) -> list[Loadtest]:
        return read_loadtest(self.folder / name)

    def _add_open(self, traffic: Traffic) -> None:
        client = _client(traffic.client)
        headers: tuple[int, ...] = (0,)
        if traffic.flood:
            mode = POOL if traffic.flood.reads_response else FLOOD
            client = replace(client, mode=mode, connections=traffic.flood.connections)
            if traffic.flood.headers == "mixed":
                headers = tuple(self._headers(entry) for entry in MIXED)
        source = self._source(
            traffic.name, traffic.name, client, self._mix(traffic), traffic.start, self.document.duration
        )
        spec = self.sources[source]
        stages = traffic.flood.stages if traffic.flood else traffic.stages
        if stages is not None:
            profile = staged_profile(stages, traffic.start, spec.stream)
        else:
            requests = read_rates(self.folder / str(traffic.rate_csv)).requests
            profile = recorded_profile(requests, traffic.scale, traffic.start)

        def times(chunk: int) -> Iterator[Times]:
            if traffic.arrivals == "poisson":
                return take_until(poisson_times(profile, spec.stream, chunk), spec.end)
            return take_until(constant_times(profile, chunk), spec.end)

        self._open(source, times, headers)

    def _add_loadtest(self, traffic: Traffic, entries: list[Loadtest]) -> None:
        begin = traffic.start
        for position, entry in enumerate(entries):
            name = f"{traffic.name}[{position}]"
            length = None if entry.seconds is None else int(entry.seconds * SECOND)
            if entry.rate is not None and entry.requests is not None:
                whole = int(entry.requests / entry.rate * SECOND)
                length = whole if length is None else min(length, whole)
            self._add_entry(traffic, name, entry, begin)
            if traffic.order == "sequence" and length is not None:
                begin += length

    def _add_entry(self, traffic: Traffic, name: str, entry: Loadtest, begin: int) -> None:
        path = entry.path if entry.path in self.paths else DEFAULT_PATH
        mix = mix_of([(self.paths.index(path), 1)])
        client = _client(traffic.client)
        if entry.timeout is not None:
            client = replace(client, timeout=int(entry.timeout * SECOND))
        if entry.keep_alive and client.mode == PER_REQUEST:
            client = replace(client, mode=POOL, connections=entry.concurrency)
        end = self.document.duration
        if entry.seconds is not None:
            end = min(end, begin + int(entry.seconds * SECOND))
        headers = (self._headers(entry.headers),)
        if entry.rate is None:
            self._source(traffic.name, name, client, mix, begin, end,
                         concurrency=entry.concurrency, maximum=_none(entry.requests))  # fmt: skip
            return
        source = self._source(traffic.name, name, client, mix, begin, end)
        stream, rate = self.sources[source].stream, entry.rate

        def times(chunk: int) -> Iterator[Times]:
            return timer_times(begin, end, entry.concurrency, rate, entry.requests, stream, chunk)

        self._open(source, times, headers)

    def _source(
        self, traffic: str, name: str, client: ClientSpec, mix: Mix, start: int, end: int, **more: object
    ) -> int:
        number = len(self.sources)
        if number >= 1 << SOURCE_BITS:
            raise ScenarioError(
                [Problem(self.origin, 0, 0, ("traffic",), f"expected at most {1 << SOURCE_BITS} sources")]
            )
        stream = draws.key(self.document.seed, f"traffic/{name}")
        self.sources.append(
            SourceSpec(name, stream, client, start=start, end=end, **more)  # type: ignore[arg-type]
        )
        self.of_traffic[traffic].append(number)
        self.mixes.append(mix)
        return number

    def _open(self, source: int, times: Callable[[int], Iterator[Times]], headers: tuple[int, ...]) -> None:
        stream = self.sources[source].stream
        self.open.append(OpenSource(source, stream, self.mixes[source], times, headers))

    def _headers(self, headers: HeaderSet) -> int:
        if headers not in self.header_sets:
            self.header_sets.append(headers)
        return self.header_sets.index(headers)

    def _mix(self, traffic: Traffic) -> Mix:
        if traffic.endpoints:
            pairs = [(self.paths.index(path), weight) for path, weight in traffic.endpoints.items()]
        else:
            pairs = [(self.paths.index(e.path), e.weight) for e in self.document.endpoints if e.weight]
        return mix_of(pairs or [(self.paths.index(DEFAULT_PATH), 1)])


def _endpoints(document: Document) -> tuple[EndpointSpec, ...]:
    names = [dependency.name for dependency in document.fleet.dependencies]
    made = [
        EndpointSpec(
            path=endpoint.path,
            cpu=endpoint.cpu.resolve(),
            io=endpoint.io.resolve() if endpoint.io else None,
            calls=tuple(names.index(name) for name in endpoint.calls),
            size=endpoint.response_size,
            status=404
            if endpoint.path == DEFAULT_PATH and "status" not in endpoint.model_fields_set
            else endpoint.status,
        )
        for endpoint in document.endpoints
    ]
    if DEFAULT_PATH not in [endpoint.path for endpoint in made]:
        made.append(EndpointSpec(DEFAULT_PATH, constant(0), status=404))
    return tuple(made)


def _client(client: Client) -> ClientSpec:
    pool = client.connections.pool
    return ClientSpec(
        mode=PER_REQUEST if pool is None else POOL,
        connections=_none(pool),
        timeout=_none(client.timeout),
        retries=client.retries.attempts,
        backoff=client.retries.backoff,
        jitter=client.retries.jitter,
    )


def _fleet(document: Document, builder: _Builder) -> FleetSpec:
    fleet = document.fleet
    timeouts = [source.client.timeout for source in builder.sources if source.client.mode != FLOOD]
    drain = DEFAULT_DRAIN if NONE in timeouts or not timeouts else max(timeouts)
    return FleetSpec(
        name=document.scenario,
        seed=document.seed,
        duration=document.duration,
        drain=drain,
        app=_app(document),
        proxy=_proxy(document),
        client_link=Link(fleet.network.client.latency, fleet.network.client.jitter),
        upstream_link=Link(fleet.network.upstream.latency, fleet.network.upstream.jitter),
        socket_buffer=_none(fleet.network.socket_buffer),
        refresh_interval=fleet.registry.refresh_interval,
        reregister=_none(fleet.registry.reregister),
        key_prefix=fleet.registry.key_prefix,
        pending=fleet.cloud.pending,
        dependencies=_dependencies(document),
        endpoints=builder.endpoints,
        sources=tuple(builder.sources),
        autoscaler=_autoscaler(document),
        faults=fault_timeline(document),
        slos=tuple(_slo(slo, document, builder) for slo in document.slo),
        header_sets=tuple(builder.header_sets),
    )


def _app(document: Document) -> AppSpec:
    app = document.fleet.app
    memory = app.memory
    return AppSpec(
        initial=app.initial,
        canaries=app.canaries,
        standby=app.standby,
        workers=app.workers,
        cores=app.workers if app.cores is None else min(app.cores, app.workers),
        queue=_none(app.queue),
        memory=Memory(_none(memory.total), memory.base, memory.per_request, memory.leak),
        boot_time=app.boot_time.resolve(),
        boot_failure=app.boot_failure,
        weights=tuple(app.weights),
    )


def _proxy(document: Document) -> ProxySpec:
    proxy = document.fleet.proxy
    check, outlier = proxy.health_check, proxy.outlier_detection
    return ProxySpec(
        max_connections=_none(proxy.max_connections),
        backlog=_none(proxy.backlog),
        overload=OVERLOAD[proxy.overload],
        cpu_per_request=proxy.cpu_per_request,
        memory=Memory(_none(proxy.memory.total), proxy.memory.base, proxy.memory.per_connection),
        on_exhaustion=EXHAUSTION[proxy.on_exhaustion],
        restart_after=_none(proxy.restart_after),
        routing=ALGORITHMS[proxy.routing],
        canary_every=proxy.canary_every,
        upstream_timeout=_none(proxy.upstream_timeout),
        keepalive_timeout=_none(proxy.keepalive_timeout),
        write_timeout=_none(proxy.write_timeout),
        retry_attempts=proxy.retries.attempts,
        retry_budget=-1.0 if proxy.retries.budget is None else proxy.retries.budget,
        health=HealthSpec(check.interval, check.timeout, check.healthy_threshold, check.unhealthy_threshold)
        if check
        else None,
        outlier=OutlierSpec(
            outlier.consecutive_5xx,
            outlier.base_ejection_time,
            round(outlier.max_ejection_percent * 100),
        )
        if outlier
        else None,
        max_in_flight=proxy.circuit_breaker.max_in_flight if proxy.circuit_breaker else NONE,
        slow_start=proxy.slow_start,
    )


def _dependencies(document: Document) -> tuple[DependencySpec, ...]:
    return tuple(
        DependencySpec(
            name=dependency.name,
            concurrency=dependency.concurrency,
            queue=_none(dependency.queue),
            service=dependency.service.resolve(),
            cache=Cache(dependency.cache.ttl, dependency.cache.hit_share, dependency.cache.keys)
            if dependency.cache
            else None,
        )
        for dependency in document.fleet.dependencies
    )


def _autoscaler(document: Document) -> AutoscalerSpec | None:
    scaler = document.autoscaler
    if scaler is None:
        return None
    policy = PolicySpec(
        policy=scaler.policy,
        requests_high=_mark(scaler.requests_high),
        requests_low=_mark(scaler.requests_low),
        memory_high=_mark(scaler.memory_high),
        memory_low=_mark(scaler.memory_low),
        metric=scaler.metric or "requests",
        target=float(scaler.target or 0),
        tolerance=0.1 if scaler.tolerance is None else scaler.tolerance,
    )
    return AutoscalerSpec(
        policy=policy,
        interval=scaler.interval,
        minimum=document.fleet.app.min,
        maximum=_none(document.fleet.app.max),
        cooldown=scaler.cooldown,
        max_sample_age=scaler.max_sample_age,
        dead_after=scaler.dead_after,
        boot_timeout=scaler.boot_timeout,
        drain_grace=scaler.drain_grace,
        drain_timeout=scaler.drain_timeout,
        reconcile_interval=scaler.reconcile_interval,
    )


def _mark(value: float | None) -> float:
    return float(NONE) if value is None else value


def _slo(slo: Slo, document: Document, builder: _Builder) -> SloSpec:
    bound = slo.below if slo.below is not None else slo.above
    assert bound is not None
    if slo.traffic:
        sources = [number for name in slo.traffic for number in builder.of_traffic[name]]
    else:
        sources = [n for n, source in enumerate(builder.sources) if source.client.mode != FLOOD]
    word = "below" if slo.below is not None else "above"
    return SloSpec(
        name=slo.name,
        indicator=slo.indicator,
        below=slo.below is not None,
        bound=parse_bound(slo.indicator, bound),
        start=slo.from_,
        end=document.duration if slo.to is None else min(slo.to, document.duration),
        sources=tuple(sources),
        text=f"{slo.indicator} {word} {bound}",
    )
