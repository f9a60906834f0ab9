"""The scenario file's schema: autoscaler, faults, objectives, and the whole document."""

from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..core.slo import SIMPLE_INDICATORS, is_indicator, unit_of
from .problems import nearest
from .profile import Profile
from .schema_alerts import Alert, Expectation
from .schema_base import Model, Name
from .schema_deploys import Deploy, Version
from .schema_faults import Fault
from .schema_fleet import Endpoint, Fleet
from .schema_invariants import Invariants
from .schema_policies import Policy
from .schema_search import Search
from .schema_traffic import Traffic
from .units import (
    Duration,
    DurationOrNever,
    parse_duration,
    parse_rate,
    parse_share,
    show,
)


class AutoscalerModel(Model):
    """The autoscaler: an interval, a policy with its settings, and limits around it."""

    interval: Duration = Field(1_000_000_000, gt=0, description="time between decisions")
    policy: Policy = Field(description="scaling policy")
    cooldown: Duration = Field(0, description="time after an action without another")
    max_sample_age: Duration = Field(
        5_000_000_000, gt=0, description="older samples make their server unknown, never idle"
    )
    foreign: Literal["trust", "unknown"] = Field(
        "trust",
        description="samples without a time, as app servers of the classic design write them (in flight only): `trust` takes them as they are, `unknown` makes their server unknown",
    )
    dead_after: DurationOrNever = Field(
        30_000_000_000,
        description="a server silent for so long is terminated (the policy and `min` decide whether another comes), or `never`",
    )
    boot_timeout: Duration = Field(
        300_000_000_000,
        gt=0,
        description="an instance not up by then is terminated; until then it counts as booting, even if its boot failed",
    )
    drain_grace: Duration = Field(
        2_000_000_000,
        description="shortest time from draining to termination; more than the proxy's refresh_interval",
    )
    drain_timeout: Duration = Field(30_000_000_000, description="longest time from draining to termination")
    victims: Literal["youngest", "oldest", "least_busy"] = Field(
        "youngest",
        description="whom a scale-in takes among the serving servers, after those that still boot: `least_busy` is the one with the fewest requests in flight, of equal ones the youngest",
    )
    max_cost: float | None = Field(
        None,
        gt=0,
        description="cap on cost per hour, in the currency of `fleet.cloud.instance_cost`: nothing is launched that would exceed it, counting what boots, drains, stands by or serves as a canary; omitted: none",
    )
    orphans: Literal["adopt", "terminate", "leave"] = Field(
        "adopt",
        description="instances with our tag that nobody noted: `adopt` counts one as booting and ends it after `boot_timeout` unless it registers, `terminate` ends it after 30s unless it registers, `leave` does nothing with it, and notes launches only afterwards, as the classic fleet",
    )
    missing_samples: Literal["unknown", "zero"] = Field(
        "unknown",
        description="a server without a usable sample: `unknown` (never idle), or `zero`, as for who reads a missing key as 0: idle",
    )
    dry_run: bool = Field(False, description="decide and record it, but launch, drain and terminate nothing")
    reconcile_interval: Duration = Field(
        60_000_000_000, gt=0, description="how often the cloud's list is compared with the autoscaler's books"
    )


class Slo(Model):
    """An objective: an indicator below or above a bound."""

    name: Name = Field(description="name, unique")
    indicator: str = Field(
        description="latency_p50 (any percentile: p95, p99, p999), latency_mean, latency_max, error_rate, availability, throughput"
    )
    below: str | None = Field(
        None,
        description="holds while strictly below this: a duration, percentage or rate, as the indicator has it",
    )
    above: str | None = Field(None, description="holds while strictly above this")
    from_: Duration = Field(0, alias="from", description="requests planned from this time")
    to: Duration | None = Field(None, description="to this time; omitted: to the end")
    traffic: list[Name] | None = Field(
        None,
        min_length=1,
        description="of these sources; omitted: of all but floods that read no answers, and wires",
    )

    @field_validator("indicator")
    @classmethod
    def _known(cls, value: str) -> str:
        if not is_indicator(value):
            known = ", ".join(("latency_p99 (or another percentile)", *SIMPLE_INDICATORS))
            near = value.replace(".", "")
            guess = nearest(near, [near]) if is_indicator(near) else nearest(value, _LIKELY)
            raise ValueError(f"expected one of {known}, got {show(value)}{guess}")
        return value

    @field_validator("below", "above", mode="before")
    @classmethod
    def _bound(cls, value: Any, info: ValidationInfo) -> Any:
        indicator = info.data.get("indicator")
        if value is None or indicator is None:
            return value
        parse_bound(indicator, value)
        return value if isinstance(value, str) else ZERO[unit_of(indicator)]

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError("expected either below or above, got " + ("both" if self.below else "neither"))
        if self.to is not None and self.to <= self.from_:
            raise ValueError("expected to after from")
        return self


ZERO = {"time": "0s", "share": "0%", "rate": "0/s"}
"""How a bare 0 is spelled as the bound of an SLO."""

_LIKELY = ("latency_p99", *SIMPLE_INDICATORS)
"""What a misspelt indicator may have meant."""


def parse_bound(indicator: str, text: Any) -> float:
    """The bound of an SLO in the unit of its indicator (ns, share, per second)."""
    parse = {"time": parse_duration, "share": parse_share, "rate": parse_rate}[unit_of(indicator)]
    return float(parse(text))


class Document(Model):
    """A scenario: a fleet, its traffic, what will hit it, and what must hold."""

    scenario: Name = Field(description="name")
    description: str = Field("", description="what it teaches")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of every draw")
    duration: Duration = Field(
        gt=0,
        le=400 * 86_400_000_000_000,
        description="arrivals stop after this; the run drains for at most the longest client timeout (30s if a client has none)",
    )
    fleet: Fleet = Field(default_factory=Fleet, description="the fleet")
    endpoints: list[Endpoint] = Field([], description="endpoints")
    traffic: list[Traffic] = Field([], description="sources of requests")
    autoscaler: AutoscalerModel | None = Field(None, description="the autoscaler; omitted: none")
    profile: Profile | None = Field(
        None, description="the machine that the rehearsal stands for; omitted: none in particular"
    )
    faults: list[Fault] = Field([], description="faults")
    versions: dict[Name, Version] = Field(
        {}, description="versions of the app servers, by name, for `deploys`"
    )
    initial_version: Name = Field(
        "v1", description="the version that runs at the start; one of `versions`, or just as the fleet says"
    )
    deploys: list[Deploy] = Field([], max_length=100, description="deploys")
    slo: list[Slo] = Field([], description="objectives; one that is violated makes the exit code 3")
    alerts: list[Alert] = Field(
        [], max_length=100, description="alerts, judged at the autoscaler's turns; they need an autoscaler"
    )
    expect: list[Expectation] = Field(
        [], description="what is expected of alerts; what does not come true makes the exit code 3"
    )
    invariants: Invariants | None = Field(
        None, description="what must hold besides the objectives; omitted: nothing"
    )
    search: Search | None = Field(
        None, description="what `windtunnel search` may vary and is to break; it changes no replay"
    )
