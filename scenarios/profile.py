"""A profile: what was measured of a machine, so that a rehearsal stands for a flight on it.

What it changes is the compiled fleet, before the run: both engines see only the changed values.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ..core.model import NONE, FleetSpec
from .schema_base import FieldError, Model, Positive
from .settings_file import read_settings
from .units import Duration


class Profile(Model):
    """What a machine takes beside what the scenario says; `windtunnel replay --profile FILE` reads it from a file. Omitted: the rehearsal is of no machine in particular."""

    description: str = Field("", description="which machine, and when it was measured")
    proxy_cpu: Duration | None = Field(
        None,
        description="CPU time of the proxy per request, instead of fleet.proxy.cpu_per_request; omitted: the scenario's",
    )
    send_delay: Duration = Field(
        0,
        description="how much later than planned a load generator sends; on the clients' link, half of it each way",
    )
    hop_latency: Duration = Field(
        0,
        description="one-way latency of loopback, added to each message of both links, and twice to each call of a dependency",
    )
    app_overhead: Duration = Field(
        0,
        description="what an app server adds to each request; a latency without a worker, half of it before and half after, for its event loop does not hold a worker",
    )
    call_overhead: Duration = Field(
        0,
        description="what a call of a dependency takes beside its service and two hops; it holds the caller's worker and nothing of the dependency",
    )
    cpu_overhead: Duration = Field(
        0,
        description="how much longer a request's CPU time holds its worker than its core, until the app server has heard that it is served",
    )
    timer_slack: Duration = Field(
        0,
        description="how much later than asked for a sleep ends: added to each io and to each service of a dependency",
    )
    start_up: Duration = Field(
        0,
        description="from the launch of an app server's process until it is registered: no instance is ready sooner, for the process starts while its machine is pending and boots",
    )
    autoscaler_delay: Duration = Field(
        0,
        description="how much later than its turn the autoscaler looks and acts, for it lets the monitors' samples come in; cooldowns and graces count from the turn",
    )
    host_cores: Positive | None = Field(
        None,
        description="cores of the machine, which everything shares when the demand is burnt; omitted: not known",
    )
    demand: Literal["sleep", "burn"] = Field(
        "sleep",
        description="how the flight spends CPU demands (its --demand). `sleep`: every core of a server is its own; `burn`: all cores of all servers and the proxy share host_cores evenly",
    )

    @model_validator(mode="after")
    def _check_demand(self) -> Self:
        if self.demand == "burn" and self.host_cores is None:
            raise FieldError("expected host_cores beside demand: burn", ("demand",), (("host_cores",),))
        return self

    @property
    def shared_cores(self) -> int | None:
        """The cores that everything shares; None: each server has its own."""
        return self.host_cores if self.demand == "burn" else None

    def told(self) -> tuple[str, ...]:
        """The fields that cannot change a result."""
        return ("description", *(() if self.demand == "burn" else ("demand", "host_cores")))


def read_profile(path: str | Path) -> Profile:
    """The profile in a YAML or JSON file. Raises ScenarioError with every mistake."""
    return read_settings(Path(path), Profile, "a profile")


def on_machine(fleet: FleetSpec, profile: Profile | None) -> FleetSpec:
    """*fleet* as it would be on the machine of *profile*."""
    if profile is None:
        return fleet
    hop, slack = profile.hop_latency, profile.timer_slack
    upstream = fleet.upstream_link.latency + hop + profile.app_overhead // 2
    client = fleet.client_link.latency + hop + profile.send_delay // 2
    cpu = fleet.proxy.cpu_per_request if profile.proxy_cpu is None else profile.proxy_cpu
    away = 2 * hop + profile.call_overhead
    # Boot times are drawn in the run; with the mean this is exact for constant ones and for those that are far longer than a process starts.
    scaler = fleet.autoscaler
    if scaler is not None:
        scaler = replace(scaler, delay=profile.autoscaler_delay)
    short = profile.start_up - fleet.pending - round(fleet.app.boot_time.mean)
    return replace(
        fleet,
        proxy=replace(fleet.proxy, cpu_per_request=cpu),
        client_link=replace(fleet.client_link, latency=client),
        upstream_link=replace(fleet.upstream_link, latency=upstream),
        app=replace(fleet.app, timer_slack=slack, cpu_overhead=profile.cpu_overhead),
        pending=fleet.pending + max(0, short),
        dependencies=tuple(replace(one, timer_slack=slack, round_trip=away) for one in fleet.dependencies),
        host_cores=profile.shared_cores or NONE,
        autoscaler=scaler,
    )
