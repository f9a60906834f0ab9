"""The backend ``aws``: app servers on EC2; proxy, autoscaler, load generator on this machine. At home: on a moto server, with processes for its instances."""

import ipaddress
import os
import time
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from ...core.errors import UsageError
from ...core.model import FleetSpec
from ...scenarios.plan import Plan
from ...scenarios.scenario import Scenario
from ..autoscaler.receivers import check_receivers
from ..live.addresses import Addresses
from ..live.clock import LiveClock
from ..local.conductor import Conductor
from ..local.deploy_checks import refuse_deploys
from ..local.faults.flying import check_faults
from ..local.instances import Emit, Start
from ..local.options import FlightOptions
from ..local.preflight import check_machine
from ..local.world import Flight, Maker
from .factory import client_of, settings_of
from .instances import Ec2Instances
from .settings import AwsSettings


def is_loopback(url: str) -> bool:
    """Whether the host of *url* is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_bridged(scenario: Scenario) -> bool:
    """Whether "EC2" is a server on this machine, whose instances are processes here."""
    aws = scenario.document.fleet.cloud.aws
    return aws is not None and is_loopback(aws.endpoint_url or "")


def run_name(scenario: Scenario) -> str:
    """A name for a run's tag that no other run of the fleet has."""
    return f"{scenario.document.seed}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"


def flight_settings(
    scenario: Scenario, options: FlightOptions, *, run: str, epoch: int, registry: str, port: int | None = None,
    dry_run: bool = False,
) -> AwsSettings:  # fmt: skip
    """The settings of a flight of *scenario*. Raises ScenarioError."""
    return settings_of(
        scenario, run=run, epoch=epoch, registry=registry, max_instances=options.max_instances,
        max_hours=options.max_hours, bridged=is_bridged(scenario), port=port, dry_run=dry_run,
    )  # fmt: skip


def check_flight(plan: Plan, scenario: Scenario, options: FlightOptions) -> AwsSettings:
    """What can be said before anything starts. Raises UsageError, ScenarioError; the settings as far as they are known by then."""
    refuse_deploys("aws", plan.fleet)
    settings = flight_settings(scenario, options, run=run_name(scenario), epoch=0, registry=options.redis_url)
    if options.proxy:
        raise UsageError("--proxy: expected --backend attach; a flight on EC2 starts a proxy of its own")
    if options.network != "loopback":
        raise UsageError("--network: expected --backend local; instances on EC2 have links of their own")
    check_receivers(plan.fleet.alerts, options.allowed)
    check_faults(plan, elsewhere=not settings.bridged, given_registry=bool(options.redis_url))
    first = plan.fleet.app.initial + plan.fleet.app.canaries + plan.fleet.app.standby
    if settings.max_instances is not None and first > settings.max_instances:
        raise UsageError(
            f"--max-instances: expected at least {first}, the first fleet, got {settings.max_instances}"
        )
    if settings.bridged:
        check_machine(plan, options.demand)
        return settings
    if options.demand == "burn":
        raise UsageError("--demand burn: on EC2 the user data says how app servers run")
    if not options.redis_url or is_loopback(options.redis_url):
        raise UsageError(
            f"--redis-url: expected a registry that instances on EC2 can reach, got {options.redis_url or 'nothing'}"
        )
    return settings


class AwsFlight(Flight):
    """The backend ``aws``."""

    def check(self, plan: Plan, scenario: Scenario) -> None:
        """See Flight: also without credentials."""
        client_of(check_flight(plan, scenario, self._options))

    def flying(self, scenario: Scenario) -> Maker:
        """See Flight."""
        return partial(Conductor, provide=partial(self._provide, scenario))

    def _provide(
        self,
        scenario: Scenario,
        fleet: FleetSpec,
        clock: LiveClock,
        addresses: Addresses,
        start: Start,
        emit: Emit,
    ) -> Ec2Instances:
        bridged = is_bridged(scenario)

        def settings(redis_url: str) -> AwsSettings:
            return flight_settings(
                scenario, self._options, run=run_name(scenario), epoch=time.time_ns() - clock.now(),
                registry=redis_url, port=addresses.port if bridged else None,
            )  # fmt: skip

        return Ec2Instances(fleet, clock, addresses, start, emit, settings, bridged, self._options.notice)
