"""A dry run of a whole flight: the calls for the first fleet, for what the rehearsal's autoscaler decides, and for the end."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...core.model import SECOND
from ...core.ports import CloudError
from ...scenarios.plan import Plan
from ...scenarios.scenario import Scenario
from ..local.options import FlightOptions
from .dry_run import PlannedCall
from .factory import client_of, cloud_of
from .janitor import Janitor
from .world import check_flight, flight_settings, run_name

REGISTRY = "redis://REGISTRY"
"""Stands for the address of a registry that is not there yet."""


def tell_calls(
    plan: Plan,
    scenario: Scenario,
    options: FlightOptions,
    events: Iterable[Mapping[str, Any]],
    tell: Callable[[int, str], None],
) -> None:
    """*tell* what is called when (ns of the scenario), by the *events* of a rehearsal of *plan*. Raises UsageError, ScenarioError."""
    check_flight(plan, scenario, options)
    moment = 0

    def planned(call: PlannedCall) -> None:
        tell(moment, str(call))

    settings = flight_settings(
        scenario, options, run=run_name(scenario), epoch=time.time_ns(), registry=options.redis_url or REGISTRY,
        dry_run=True,
    )  # fmt: skip
    made = client_of(settings, planned)
    cloud = cloud_of(settings, lambda: moment, notice=lambda text: tell(moment, text), made=made)
    janitor = Janitor(made[0], settings.fleet, made[1])
    janitor.find()
    living: dict[int, str] = {}
    for event in events:
        moment = event["t"]
        try:
            if event["event"] == "launched":
                number = event["server"]
                token = f"first-{number}" if moment == 0 else f"{settings.fleet}-{settings.seed}-{number}"
                living[number] = cloud.launch(number, event["role"], token).provider_id
            elif event["event"] == "terminated" and event["server"] in living:
                cloud.terminate(living.pop(event["server"]))
        except CloudError as error:
            tell(moment, f"refused: {error}")
    tell(moment, f"each second besides: DescribeInstances; the end, {moment / SECOND:g} s after the start:")
    janitor.end(janitor.find())
    janitor.find()
