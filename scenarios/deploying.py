"""From a scenario's versions and deploys to the engine's, and what may be wrong with them."""

from collections.abc import Iterator
from fractions import Fraction

from ..core import analysis as core
from ..core.distributions import constant
from ..core.model import NONE, Memory, VersionSpec
from ..core.rollout.spec import (
    ALL_AT_ONCE,
    SECOND,
    Analyse,
    DeploySpec,
    Pause,
    SetWeight,
)
from ..core.rollout.spec import (
    Step as CoreStep,
)
from .problems import Path, nearest
from .schema import Document
from .schema_deploys import Analysis, Deploy, Step, Version, bound

Found = tuple[Path, str]

DRAIN = 10 * SECOND
"""Longest wait for a server's requests where a deploy does not say."""

FINEST = 1_000_000
"""The finest part of the requests that the canaries can get."""

APP_BRANCHES = ("master", "canary")


def version_specs(document: Document) -> tuple[VersionSpec, ...]:
    """Every version by its index, that of the start first; none without deploys."""
    if not document.deploys:
        return ()
    names = dict.fromkeys([document.initial_version, *document.versions])
    return tuple(_version(document, name, document.versions.get(name) or Version()) for name in names)


def _version(document: Document, name: str, version: Version) -> VersionSpec:
    memory = None
    if version.memory is not None:
        given, fleet = version.memory, document.fleet.app.memory
        memory = Memory(
            NONE if fleet.total is None else fleet.total,
            fleet.base if given.base is None else given.base,
            fleet.per_request if given.per_request is None else given.per_request,
            fleet.leak if given.leak is None else given.leak,
        )
    return VersionSpec(
        name,
        version.service_time,
        version.error_share,
        version.error_status,
        memory,
        None if version.boot_time is None else constant(version.boot_time),
        NONE if version.crash_after is None else version.crash_after,
    )


def deploy_specs(document: Document) -> tuple[DeploySpec, ...]:
    """The deploys of a valid *document*, by time."""
    return tuple(sorted(map(_deploy, document.deploys), key=lambda deploy: deploy.at))


def _deploy(deploy: Deploy) -> DeploySpec:
    drain = deploy.drain
    if drain is None:
        drain = 0 if deploy.strategy == ALL_AT_ONCE else DRAIN
    return DeploySpec(
        name=deploy.called,
        at=deploy.at,
        branch=deploy.branch,
        version=deploy.version,
        strategy=deploy.strategy,
        max_surge=bound(deploy.max_surge),
        max_unavailable=bound(deploy.max_unavailable),
        drain=drain,
        install=deploy.install,
        min_ready=deploy.min_ready,
        deadline=deploy.deadline,
        timeout=deploy.timeout,
        verify=deploy.verify,
        keep=deploy.keep,
        canaries=deploy.canaries,
        steps=tuple(map(_step, deploy.steps)),
        on_failure=deploy.on_failure,
        handover=deploy.connections == "handed_over",
        expect=deploy.expect or "",
    )


def _step(step: Step) -> CoreStep:
    if step.set_weight is not None:
        share = Fraction(step.set_weight).limit_denominator(FINEST)
        return SetWeight((share.numerator, share.denominator))
    if step.pause is not None:
        return Pause(step.pause)
    assert step.analysis is not None, "a step that is none"
    return Analyse(_analysis(step.analysis))


def _analysis(given: Analysis) -> core.AnalysisSpec:
    return core.AnalysisSpec(
        length=given.for_,
        every=given.every,
        alpha=given.alpha,
        power=given.power,
        least=given.min_requests,
        timeout=5 * given.for_ if given.timeout is None else given.timeout,
        errors=core.ErrorShare(given.error_margin) if "error_share" in given.metrics else None,
        latency=core.Latency(given.latency_margin) if "latency" in given.metrics else None,
        memory=core.MemoryUse(given.memory_margin, given.growth_margin)
        if "memory" in given.metrics
        else None,
    )


def check(document: Document) -> Iterator[Found]:
    """What deploys say of the rest of the scenario, and is not so."""
    known = dict.fromkeys([*document.versions, document.initial_version])
    names = [deploy.called for deploy in document.deploys]
    for index, deploy in enumerate(document.deploys):
        where: Path = ("deploys", index)
        if deploy.called in names[:index]:
            yield (*where, "name"), f"expected a unique name, got {deploy.called!r} a second time"
        if deploy.branch in APP_BRANCHES and deploy.version not in known:
            hint = nearest(deploy.version, list(known)) or f"; known are {', '.join(known)}"
            yield (*where, "version"), f"no version {deploy.version!r}{hint}"
        if deploy.branch == "canary" and deploy.strategy != "canary" and document.fleet.app.canaries == 0:
            yield (
                (*where, "strategy"),
                f"expected fleet.app.canaries above 0 for {deploy.strategy} of the branch canary: the fleet has none (with the strategy canary some are launched)",
            )
        if deploy.expect is not None and deploy.at >= document.duration:
            yield (*where, "at"), "expected a time before the end of the run: the deploy is expected to end"
        for position, step in enumerate(deploy.steps):
            if (
                step.analysis is not None
                and "memory" in step.analysis.metrics
                and document.fleet.app.memory.total is None
            ):
                yield (
                    (*where, "steps", position, "analysis", "metrics"),
                    "expected fleet.app.memory.total for an analysis of memory: without it memory has no share",
                )
