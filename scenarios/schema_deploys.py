"""Versions and deploys in the scenario schema."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..core.rollout.spec import BRANCHES, STRATEGIES, Bound
from .schema_base import FieldError, Model, Name, Number, Positive
from .units import Duration, Share, Size, parse_share, show

Branch = Literal["master", "canary", "proxy", "redis"]
Strategy = Literal["all_at_once", "rolling", "canary", "blue_green"]
assert set(Branch.__args__) == set(BRANCHES)  # type: ignore[attr-defined]
assert set(Strategy.__args__) == set(STRATEGIES)  # type: ignore[attr-defined]

METRICS = ("error_share", "latency", "memory")

_PERCENTAGE = re.compile(r"[0-9.]+%\Z")


def _servers(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000:
        return value
    if isinstance(value, str) and _PERCENTAGE.match(value):
        parse_share(value)
        return value
    raise ValueError(
        f"expected a number of servers such as 1, or a percentage such as 25%, got {show(value)}"
    )


Servers = Annotated[int | str, BeforeValidator(_servers)]
"""So many, or a share of those that there are."""


def bound(value: int | str) -> Bound:
    """The engine's."""
    return Bound(value) if isinstance(value, int) else Bound(share=parse_share(value))


class VersionMemory(Model):
    """Memory of a version's servers; what is omitted is as `fleet.app.memory` says."""

    base: Size | None = Field(None, description="in use when idle")
    per_request: Size | None = Field(None, description="held by each request in flight")
    leak: Size | None = Field(None, description="never given back, per request served")


class Version(Model):
    """A build of the app servers: what is different with it. What is omitted is as the fleet says."""

    service_time: Number = Field(
        1.0, gt=0, le=1000, description="CPU work takes so many times as long (a plain number)"
    )
    error_share: Share = Field(
        0.0, description="share of the requests that are answered with an error at once"
    )
    error_status: int = Field(500, ge=500, le=599, description="status of those answers")
    memory: VersionMemory | None = Field(None, description="memory; omitted: the fleet's")
    boot_time: Duration | None = Field(
        None,
        description="from when the instance runs, or from its installation, until the server is up; omitted: the fleet's",
    )
    crash_after: Duration | None = Field(
        None, gt=0, description="the process dies so long after it was up; omitted: never"
    )


class Analysis(Model):
    """Canary against baseline (the serving servers) over the same time; see docs/deploys.md for the statistics."""

    for_: Duration = Field(60_000_000_000, alias="for", gt=0, description="at least so long")
    every: Duration = Field(5_000_000_000, ge=1_000_000_000, description="time between looks")
    timeout: Duration | None = Field(
        None, gt=0, description="without a verdict by then it has failed; omitted: five times `for`"
    )
    metrics: list[Literal["error_share", "latency", "memory"]] = Field(
        ["error_share", "latency"], min_length=1, description="what is compared; all must pass"
    )
    error_margin: Share = Field(
        0.01, gt=0, lt=1, description="the share of failures may be higher by less than this"
    )
    latency_margin: Share = Field(0.25, gt=0, description="latencies may be longer by less than this")
    memory_margin: Share = Field(
        0.1, gt=0, description="memory may be higher by less than this share of the total"
    )
    growth_margin: Share = Field(
        0.05, gt=0, description="memory may grow faster by less than this share of the total per minute"
    )
    alpha: Share = Field(0.05, gt=0, lt=0.5, description="probability of a false alarm, and of a false pass")
    power: Share = Field(
        0.8,
        ge=0.5,
        lt=1,
        description="probability that a canary like the baseline passes with the requests that are waited for",
    )
    min_requests: Positive = Field(30, description="each side must have had so many")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.timeout is not None and self.timeout < self.for_:
            raise FieldError("expected timeout not below for", ("timeout",))
        for index, name in enumerate(self.metrics):
            if name in self.metrics[:index]:
                raise FieldError(f"expected each metric once, got {name} a second time", ("metrics", index))
        return self


class Step(Model):
    """A step of a canary or of a second set: exactly one of set_weight, pause and analysis."""

    set_weight: Share | None = Field(
        None, description="share of the requests that the canaries get from now on"
    )
    pause: Duration | None = Field(None, description="nothing happens for so long")
    analysis: Analysis | None = Field(
        None, description="compare; fail: roll back, pass: go on, neither: pause"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = tuple(type(self).model_fields)
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(names)}, got {' and '.join(given) or 'none'}"
            )
        return self


class Deploy(Model):
    """A push to a branch, which deploys its role. docs/deploys.md explains the strategies."""

    name: Name | None = Field(None, description="name, unique; omitted: branch and version")
    at: Duration = Field(description="when")
    branch: Branch = Field(
        "master",
        description="`master`: app servers, `canary`: canaries, `proxy`, `redis`: registry and autoscaler",
    )
    version: Name = Field(description="which version; of app servers and canaries one of `versions`")
    strategy: Strategy = Field("rolling", description="how; proxy and redis are started anew in any case")
    max_surge: Servers = Field(
        1,
        description="so many instances more than before, or a percentage, rounded up; 0: versions are exchanged in place",
    )
    max_unavailable: Servers = Field(
        0, description="so many servers fewer that serve, or a percentage, rounded down"
    )
    drain: Duration | None = Field(
        None,
        description="longest wait for the requests in flight of a server; omitted: 10s, with all_at_once 0s (they are lost)",
    )
    install: Duration = Field(
        5_000_000_000,
        description="an exchange in place takes so long (and then the boot); a proxy or registry is away for so long",
    )
    min_ready: Duration = Field(
        2_000_000_000, description="a server must have been healthy for so long before it takes part"
    )
    deadline: Duration = Field(
        300_000_000_000, gt=0, description="a server that takes longer fails the deploy"
    )
    timeout: Duration = Field(3_600_000_000_000, gt=0, description="a deploy that takes longer has failed")
    verify: Duration = Field(0, description="all must stay healthy for so long at the end")
    keep: Duration = Field(30_000_000_000, description="blue_green: the old set is kept for so long")
    canaries: Positive = Field(1, description="canary: so many are launched if the fleet has none")
    steps: list[Step] = Field(
        [], max_length=100, description="canary, blue_green: the steps before the promotion"
    )
    on_failure: Literal["rollback", "stop"] = Field(
        "rollback",
        description="a promotion that fails is rolled back, or stops: no further server is touched",
    )
    connections: Literal["lost", "handed_over"] = Field(
        "lost",
        description="proxy: connections end with the old process, or the new one takes over without a gap",
    )
    expect: Literal["promoted", "rolled_back"] | None = Field(
        None, description="how it is to end; another end makes the exit code 3; omitted: no matter"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        steady = self.strategy in ("all_at_once", "rolling")
        if self.branch in ("proxy", "redis") and not steady:
            raise FieldError(
                f"expected rolling or all_at_once for the branch {self.branch}: there is one process of it",
                ("strategy",),
            )
        if self.strategy == "blue_green" and self.branch == "canary":
            raise FieldError("expected the branch master for blue_green, got canary", ("branch",))
        if self.steps and steady:
            raise FieldError(
                f"expected steps only with canary or blue_green, got them with {self.strategy}", ("steps",)
            )
        if self.connections != "lost" and self.branch != "proxy":
            raise FieldError(
                f"expected connections only for the branch proxy, got them for {self.branch}",
                ("connections",),
            )
        if self.strategy == "rolling" and not any(
            _is_something(one) for one in (self.max_surge, self.max_unavailable)
        ):
            raise FieldError(
                "expected max_surge or max_unavailable above 0, got 0 for both: no server could be exchanged",
                ("max_unavailable",),
            )
        weighted = False
        for index, step in enumerate(self.steps):
            weighted = weighted or step.set_weight is not None
            if step.analysis is not None and self.strategy == "blue_green" and not weighted:
                raise FieldError(
                    "expected set_weight before an analysis of a second set: it has no requests",
                    ("steps", index, "analysis"),
                )
        return self

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or f"{self.branch} {self.version}"


def _is_something(servers: int | str) -> bool:
    given = bound(servers)
    return given.number > 0 or bool(given.share)
