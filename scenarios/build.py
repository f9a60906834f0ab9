"""From a validated scenario to what the engine is told: a plan."""

from ..core.admission import EXHAUSTION, OVERLOAD
from ..core.model import (
    FLOOD,
    NONE,
    SECOND,
    AppSpec,
    AutoscalerSpec,
    Cache,
    DependencySpec,
    FleetSpec,
    HealthSpec,
    Link,
    Memory,
    OutlierSpec,
    ProxySpec,
    SloSpec,
)
from ..core.routing import ALGORITHMS
from .alerting import alert_specs, expect_specs
from .cost import affordable
from .deploying import deploy_specs, version_specs
from .fault_timeline import fault_timeline, triggered_faults
from .plan import Plan, Program
from .profile import on_machine
from .scenario import Scenario
from .schema import Document, Slo, parse_bound
from .sources import Sources, or_none

DEFAULT_DRAIN = 30 * SECOND
"""How long a run drains when some client has no timeout."""


def compile_plan(scenario: Scenario, fingerprint: str | None = None) -> Plan:
    """The plan of *scenario* under its seed; *fingerprint*: its hash, or something in its place where nobody looks at it."""
    document = scenario.document
    traffic = Sources(scenario)
    for number, entry in enumerate(document.traffic):
        traffic.add(entry, number)
    fleet = on_machine(_fleet(document, traffic), document.profile)
    program = None
    if document.fleet.app.command is not None:
        directory = (scenario.folder / (document.fleet.app.directory or "")).resolve()
        program = Program(tuple(document.fleet.app.command), directory)
    return Plan(
        fleet,
        tuple(traffic.open),
        tuple(traffic.mixes),
        fingerprint or scenario.fingerprint(),
        program,
        traffic.exact,
    )


def _fleet(document: Document, traffic: Sources) -> FleetSpec:
    fleet = document.fleet
    timeouts = [source.client.timeout for source in traffic.sources if source.client.mode != FLOOD]
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
        socket_buffer=or_none(fleet.network.socket_buffer),
        refresh_interval=fleet.registry.refresh_interval,
        reregister=or_none(fleet.registry.reregister),
        key_prefix=fleet.registry.key_prefix,
        pending=fleet.cloud.pending,
        dependencies=_dependencies(document),
        endpoints=traffic.endpoints,
        sources=tuple(traffic.sources),
        autoscaler=_autoscaler(document),
        faults=fault_timeline(document),
        triggered=triggered_faults(document),
        slos=tuple(_slo(slo, document, traffic) for slo in document.slo),
        alerts=alert_specs(document),
        expects=expect_specs(document),
        invariants=() if document.invariants is None else document.invariants.specs(),
        versions=version_specs(document),
        deploys=deploy_specs(document),
        header_sets=tuple(traffic.header_sets),
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
        queue=or_none(app.queue),
        memory=Memory(or_none(memory.total), memory.base, memory.per_request, memory.leak),
        boot_time=app.boot_time.resolve(),
        boot_failure=app.boot_failure,
        weights=tuple(app.weights),
        metrics=tuple(
            metric.resolve(name) for name, metric in (app.metrics or {}).items() if metric.modelled
        ),
        declared=tuple(app.metrics or {}),
        metrics_path=app.metrics_path or "",
        remedy=app.on_low_memory.resolve() if app.on_low_memory else None,
    )


def _proxy(document: Document) -> ProxySpec:
    proxy = document.fleet.proxy
    check, outlier = proxy.health_check, proxy.outlier_detection
    return ProxySpec(
        max_connections=or_none(proxy.max_connections),
        backlog=or_none(proxy.backlog),
        overload=OVERLOAD[proxy.overload],
        cpu_per_request=proxy.cpu_per_request,
        memory=Memory(or_none(proxy.memory.total), proxy.memory.base, proxy.memory.per_connection),
        on_exhaustion=EXHAUSTION[proxy.on_exhaustion],
        restart_after=or_none(proxy.restart_after),
        routing=ALGORITHMS[proxy.routing],
        canary_every=proxy.canary_every,
        upstream_timeout=or_none(proxy.upstream_timeout),
        keepalive_timeout=or_none(proxy.keepalive_timeout),
        write_timeout=or_none(proxy.write_timeout),
        retry_attempts=proxy.retries.attempts,
        retry_budget=-1.0 if proxy.retries.budget is None else proxy.retries.budget,
        health=HealthSpec(
            check.interval, check.timeout, check.healthy_threshold, check.unhealthy_threshold, check.path
        )
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
            queue=or_none(dependency.queue),
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
    return AutoscalerSpec(
        policy=scaler.policy.resolve(document.duration),
        interval=scaler.interval,
        minimum=document.fleet.app.min,
        maximum=or_none(document.fleet.app.max),
        cooldown=scaler.cooldown,
        max_sample_age=scaler.max_sample_age,
        dead_after=scaler.dead_after,
        boot_timeout=scaler.boot_timeout,
        drain_grace=scaler.drain_grace,
        drain_timeout=scaler.drain_timeout,
        reconcile_interval=scaler.reconcile_interval,
        trust_foreign=scaler.foreign == "trust",
        affordable=or_none(affordable(document)),
        victims=scaler.victims,
        adopts_orphans=scaler.orphans != "terminate",
        leaves_orphans=scaler.orphans == "leave",
        missing_is_zero=scaler.missing_samples == "zero",
        dry_run=scaler.dry_run,
    )


def _slo(slo: Slo, document: Document, traffic: Sources) -> SloSpec:
    bound = slo.below if slo.below is not None else slo.above
    assert bound is not None
    if slo.traffic:
        sources = [number for name in slo.traffic for number in traffic.of_traffic[name]]
    else:
        sources = [n for n, source in enumerate(traffic.sources) if source.ordinary]
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
