"""What one part of a scenario says of another: names that must exist, be unique, or fit together."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path as FilePath

from ..core.model import SECOND
from ..core.order import INDEX_BITS
from . import alerting, custom_metrics, deploying, fault_order, search_checks
from .access_log import read_access_log
from .cost import cost_problems
from .effort import notes as effort_notes
from .loadtest_file import LoadtestError, read_loadtest
from .log_lines import AccessLogError
from .problems import Path, nearest
from .rate_file import RateFileError, read_rates
from .schema import Document
from .schema_base import StageRate
from .schema_faults import parse_attributes
from .schema_policy_simple import SimplePolicy
from .schema_policy_step import StepPolicy
from .schema_policy_target_tracking_aws import TargetTrackingAwsPolicy
from .schema_policy_threshold import ThresholdPolicy
from .schema_traffic import Traffic
from .shapes import CHANGES_LIMIT, expected_changes
from .units import format_duration

FILE_FIELDS = ("rate_csv", "access_log", "loadtest")

EXTRA = {"canary": "canaries", "standby": "standby"}
"""Roles of which a fleet need not have any, and the field that says how many it has."""

MOST_OCCURRENCES = 100_000
"""Of one fault in a run."""

Found = tuple[Path, str]


def check(document: Document, folder: FilePath) -> list[Found]:
    """Every reference that leads nowhere, as (path, message)."""
    return [
        *_duplicates("endpoints", [e.path for e in document.endpoints], "path"),
        *_duplicates("traffic", [t.name for t in document.traffic], "name"),
        *_duplicates("faults", [f.name for f in document.faults], "name"),
        *_duplicates("slo", [s.name for s in document.slo], "name"),
        *_duplicates(("fleet", "dependencies"), [d.name for d in document.fleet.dependencies], "name"),
        *_calls(document),
        *_traffic(document, folder),
        *_source_names(document, folder),
        *_slos(document),
        *_faults(document),
        *fault_order.check(document),
        *_autoscaler(document),
        *_duplicates("alerts", [a.name for a in document.alerts], "name"),
        *alerting.check(document),
        *custom_metrics.check(document),
        *deploying.check(document),
        *cost_problems(document),
        *search_checks.check(document, folder, check),
    ]


def _duplicates(where: str | tuple[str, ...], names: Sequence[str], field: str) -> Iterator[Found]:
    base = (where,) if isinstance(where, str) else where
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*base, index, field), f"expected a unique {field}, got {name!r} a second time"


def _calls(document: Document) -> Iterator[Found]:
    known = [d.name for d in document.fleet.dependencies]
    for index, endpoint in enumerate(document.endpoints):
        for position, name in enumerate(endpoint.calls):
            if name not in known:
                hint = nearest(name, known) or f"; known are {', '.join(known) or 'none'}"
                yield ("endpoints", index, "calls", position), f"no dependency {name!r}{hint}"


def _traffic(document: Document, folder: FilePath) -> Iterator[Found]:
    paths = [e.path for e in document.endpoints]
    weighted = any(e.weight > 0 for e in document.endpoints)
    for index, traffic in enumerate(document.traffic):
        for path in traffic.endpoints or {}:
            if path not in paths:
                hint = nearest(path, paths) or f"; known are {', '.join(paths) or 'none'}"
                yield ("traffic", index, "endpoints", path), f"no endpoint {path!r}{hint}"
        named = traffic.endpoints or traffic.loadtest or traffic.access_log or traffic.wire
        if document.endpoints and not weighted and not named:
            yield ("traffic", index), "expected an endpoint with a weight above 0, for this source names none"
        yield from _number_of_requests(traffic, index)
        changes = expected_changes(traffic, document.duration)
        if changes > CHANGES_LIMIT:
            field, what = ("diurnal", "a longer period") if traffic.diurnal else ("bursts", "longer times")
            yield (
                ("traffic", index, field),
                f"expected {what}, or a shorter run: the rate would change about {changes:.2g} times",
            )
        yield from _files(traffic, index, folder, tuple(paths))


def _number_of_requests(traffic: Traffic, index: int) -> Iterator[Found]:
    """Requests of a source are numbered in so many bits."""
    where = ("stages",) if traffic.stages else ("flood" if traffic.flood else "wire", "stages")
    inner = traffic.flood or traffic.wire
    stages = traffic.stages or (inner.stages if inner else None) or []
    before, planned = 0.0, 0.0
    for stage in stages:
        last = stage.to or 0.0
        if stage.rate is not None:
            before = last = _greatest(stage.rate)
        planned += (before + last) / 2 * stage.for_ / SECOND
        before = last
    if planned >= 1 << INDEX_BITS:
        yield (
            ("traffic", index, *where),
            f"expected fewer than {1 << INDEX_BITS} requests of one source, got about {planned:.2g}",
        )


def _greatest(rate: StageRate) -> float:
    return rate.uniform.max if rate.uniform else rate.constant or 0.0


def _files(traffic: Traffic, index: int, folder: FilePath, paths: tuple[str, ...]) -> Iterator[Found]:
    try:
        if traffic.rate_csv:
            read_rates(folder / traffic.rate_csv)
        if traffic.access_log:
            read_access_log(folder / traffic.access_log, paths)
        if traffic.loadtest:
            entries = read_loadtest(folder / traffic.loadtest)
            for position, entry in enumerate(entries[:-1]):
                if traffic.order == "sequence" and entry.rate is None and entry.seconds is None:
                    yield (
                        ("traffic", index, "loadtest"),
                        f"entry {position} ends nobody knows when, and others follow: "
                        "expected maxSeconds or requestsPerSecond in it, or order: parallel",
                    )
    except (RateFileError, AccessLogError, LoadtestError) as error:
        (field,) = (field for field in FILE_FIELDS if getattr(traffic, field))
        yield ("traffic", index, field), str(error)


def _source_names(document: Document, folder: FilePath) -> Iterator[Found]:
    """A loadtest makes a source per entry, called name[0], name[1], ...: nobody else may be called so."""
    names = {traffic.name: index for index, traffic in enumerate(document.traffic)}
    for traffic in document.traffic:
        if not traffic.loadtest:
            continue
        with suppress(LoadtestError):
            entries = read_loadtest(folder / traffic.loadtest)
            for position in range(len(entries)):
                index = names.get(f"{traffic.name}[{position}]")
                if index is not None:
                    yield (
                        ("traffic", index, "name"),
                        f"expected another name: entry {position} of {traffic.name!r} is called so",
                    )


def _slos(document: Document) -> Iterator[Found]:
    names = [t.name for t in document.traffic]
    for index, slo in enumerate(document.slo):
        for position, name in enumerate(slo.traffic or []):
            if name not in names:
                hint = nearest(name, names) or f"; known are {', '.join(names) or 'none'}"
                yield ("slo", index, "traffic", position), f"no traffic {name!r}{hint}"


def _faults(document: Document) -> Iterator[Found]:
    known = [d.name for d in document.fleet.dependencies]
    cached = [d.name for d in document.fleet.dependencies if d.cache]
    numbered = [f.name for f in document.faults if f.repeats or f.after is not None]
    for index, fault in enumerate(document.faults):
        where = ("faults", index)
        stem, _, tail = fault.name.rpartition("#")
        if stem in numbered and tail.isdigit():
            yield (*where, "name"), f"expected another name: an occurrence of {stem!r} is called so"
        if fault.every is not None and document.duration // fault.every > MOST_OCCURRENCES:
            yield (
                (*where, "every"),
                f"expected a longer time or a shorter run: the fault would occur about {document.duration // fault.every:,} times",
            )
        if fault.role == "dependency":
            name = fault.target.name
            if name is not None and name not in known:
                hint = nearest(name, known) or f"; known are {', '.join(known) or 'none'}"
                yield (*where, "target", "name"), f"no dependency {name!r}{hint}"
            elif not known:
                yield (*where, "type"), f"expected a dependency for {fault.type}: fleet.dependencies is empty"
            elif fault.type == "cache_flush" and (name or known[0]) not in cached:
                yield (*where, "type"), f"expected a cache to flush: dependency {name or known[0]!r} has none"
        if fault.role == "autoscaler" and document.autoscaler is None:
            yield (*where, "type"), f"expected an autoscaler for {fault.type}: the scenario has none"
        if fault.type == "second_autoscaler" and document.autoscaler is not None:
            offset = parse_attributes(fault.type, fault.attributes)["offset"]
            if float(offset) >= document.autoscaler.interval:
                yield (*where, "attributes", "offset"), "expected less than autoscaler.interval"
        peer = fault.attributes.get("from")
        peers = {"proxy": ("clients", "registry"), "autoscaler": ("registry",)}.get(
            fault.role, ("proxy", "registry")
        )
        if peer is not None and peer not in peers:
            yield (
                (*where, "attributes", "from"),
                f"expected role {fault.role} to be cut off from {' or '.join(peers)}, got {peer!r}",
            )


def _autoscaler(document: Document) -> Iterator[Found]:
    scaler = document.autoscaler
    if scaler and scaler.drain_grace <= document.fleet.registry.refresh_interval:
        yield (
            ("autoscaler", "drain_grace"),
            "expected more than fleet.registry.refresh_interval: until then the proxy still sends to a draining server",
        )
    if scaler and scaler.drain_timeout < scaler.drain_grace:
        yield ("autoscaler", "drain_timeout"), "expected no less than drain_grace"
    if scaler:
        try:
            scaler.policy.resolve(document.duration)
        except ValueError as error:
            yield ("autoscaler", "policy"), str(error)
    periods = (
        [
            one.shortest_period
            for one in scaler.policy.leaves()
            if isinstance(one, (StepPolicy, SimplePolicy, TargetTrackingAwsPolicy))
        ]
        if scaler
        else []
    )
    if scaler and periods and min(periods) < scaler.interval:
        yield (
            ("autoscaler", "interval"),
            f"expected at most the shortest period of the policy's alarms ({format_duration(min(periods))}): "
            "a period without a look has no datapoint",
        )


def warnings(document: Document) -> list[str]:
    """What is legal and yet never happens in a run of this length, or takes long to rehearse."""
    end = document.duration
    memory = document.fleet.app.memory
    threshold = document.autoscaler.policy.threshold if document.autoscaler else None
    marked = threshold is not None and threshold.memory_high is not None
    return [
        *(["no traffic is given: nothing is sent"] if not document.traffic else []),
        *(
            ["fleet.app.memory.base is above total: every server dies as soon as it serves"]
            if memory.total is not None and memory.base > memory.total
            else []
        ),
        *_limits_that_cross(threshold),
        *_more_cores_than_the_machine(document),
        *(
            ["memory_high is never reached: fleet.app.memory.total is not given"]
            if marked and document.fleet.app.memory.total is None
            else []
        ),
        *(f"fault {f.name!r} is due after the end" for f in document.faults if (f.at or 0) >= end),
        *(
            f"fault {f.name!r} hits nobody unless there are {f.role} servers by then: the fleet begins without"
            for f in document.faults
            if f.role in EXTRA and not f.target.address and getattr(document.fleet.app, EXTRA[f.role]) == 0
        ),
        *(f"deploy {d.called!r} is due after the end" for d in document.deploys if d.at >= end),
        *(f"traffic {t.name!r} begins after the end" for t in document.traffic if t.start >= end),
        *(f"objective {s.name!r} looks at a time after the end" for s in document.slo if s.from_ >= end),
        *effort_notes(document),
        *custom_metrics.warnings(document),
    ]


def _more_cores_than_the_machine(document: Document) -> Iterator[str]:
    """A rehearsal gives each server cores of its own unless its profile says that demands are burnt."""
    app, profile = document.fleet.app, document.profile
    most = max(app.initial + app.canaries + app.standby, app.max or 0)
    cores = min(app.cores or app.workers, app.workers) * most
    if profile is None or profile.host_cores is None or profile.shared_cores is not None:
        return
    if cores > profile.host_cores:
        yield (
            f"the fleet has up to {cores} cores and the profile's machine {profile.host_cores}: a flight that burns its CPU demand "
            "is slower than this rehearsal; `demand: burn` in the profile makes it a rehearsal of such a flight"
        )


def _limits_that_cross(threshold: ThresholdPolicy | None) -> Iterator[str]:
    for kind in ("requests", "memory"):
        low, high = getattr(threshold, f"{kind}_low", None), getattr(threshold, f"{kind}_high", None)
        if low is not None and high is not None and low > high:
            yield f"{kind}_low is above {kind}_high: what adds a server hides what would remove one"
