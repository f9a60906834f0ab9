"""From a scenario's ``fleet.cloud.aws`` to the cloud that a flight launches on."""

import threading
import time
from collections.abc import Callable
from typing import Any

from ...scenarios.problems import Problem, ScenarioError
from ...scenarios.scenario import Scenario
from ...scenarios.schema_fleet import Aws
from ..cloud import Ec2Cloud, Machine
from ..live.addresses import Addresses, url
from .client import ec2_client
from .dry_run import PlannedCall, PlannedEc2
from .flight import Flight, is_tag_value
from .limits import HOUR, InstanceTime, LimitedCloud, Limits
from .patience import Patience
from .redaction import Redaction
from .settings import AwsSettings

REQUIRED = {
    "region": "an AWS region such as eu-central-1",
    "image": "an image such as ami-0abcdef1234567890",
    "instance_type": "an instance type such as t3.small",
    "key_name": "the name of a key pair",
}


def settings_of(
    scenario: Scenario,
    *,
    run: str,
    epoch: int,
    registry: str,
    max_instances: int | None = None,
    max_hours: float | None = None,
    dry_run: bool = False,
    bridged: bool = False,
    port: int | None = None,
) -> AwsSettings:
    """The settings of a flight on AWS; see AwsSettings. *max_instances* None: as many as ``fleet.app`` allows. *port* overrides the scenario's.

    Raises ScenarioError, a problem for each thing that is missing.
    """
    aws = scenario.document.fleet.cloud.aws or Aws.model_validate({})
    problems = _problems(scenario, aws, run)
    user_data = aws.user_data or ""
    if aws.user_data_file:
        try:
            user_data = (scenario.folder / aws.user_data_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
            problems.append(_problem(scenario, "user_data_file", f"{aws.user_data_file}: {reason}"))
    app = scenario.document.fleet.app
    if max_instances is None and app.max is not None:
        max_instances = app.max + app.canaries + app.standby
    if max_instances is None:
        sentence = "expected a maximum for --backend aws (or --max-instances), got nothing"
        problems.append(Problem(scenario.origin, 0, 0, ("fleet", "app", "max"), sentence))
    if problems:
        raise ScenarioError(problems)
    return AwsSettings(
        fleet=scenario.name, run=run, seed=scenario.document.seed, epoch=epoch, registry=registry,
        region=aws.region or "", image=aws.image or "", instance_type=aws.instance_type or "", key_name=aws.key_name or "",
        security_groups=tuple(aws.security_groups), subnet=aws.subnet or "", profile=aws.profile or "",
        user_data=user_data, endpoint_url=aws.endpoint_url, port=aws.port if port is None else port, public=aws.public_address,
        bridged=bridged, max_instances=max_instances, max_hours=max_hours, dry_run=dry_run,
    )  # fmt: skip


def _problem(scenario: Scenario, field: str, message: str) -> Problem:
    return Problem(scenario.origin, 0, 0, ("fleet", "cloud", "aws", field), message)


def _problems(scenario: Scenario, aws: Aws, run: str) -> list[Problem]:
    found = [
        _problem(scenario, field, f"expected {what} for --backend aws, got nothing")
        for field, what in REQUIRED.items()
        if not getattr(aws, field)
    ]
    if not aws.user_data and not aws.user_data_file:
        sentence = "expected user_data or user_data_file for --backend aws, got neither"
        found.append(_problem(scenario, "user_data", sentence))
    for place, text in (("scenario", scenario.name), ("run", run)):
        if not is_tag_value(text):
            sentence = f"expected letters, digits, spaces and + - = . _ : / @ only, as it becomes a tag, got {text!r}"
            found.append(Problem(scenario.origin, 0, 0, (place,), sentence))
    return found


def cloud_of(
    settings: AwsSettings,
    now: Callable[[], int],
    *,
    notice: Callable[[str], None] = lambda text: None,
    planned: Callable[[PlannedCall], None] = lambda call: None,
    pause: Callable[[float], object] = time.sleep,
    stopping: threading.Event | None = None,
    made: tuple[Any, Redaction] | None = None,
) -> LimitedCloud:
    """The cloud that *settings* ask for, within their limits. *now*: the live clock.

    *notice* is told of waits and of what a limit ended; *planned* of each call of a dry run; *pause* waits so many seconds before a call
    is repeated. *stopping*: of the role; until then a thread watches over ``max_hours``. Without it, ``enforce`` is for whoever launches. *made*: the client, if there is one already. Raises UsageError without region or credentials (a dry run needs none).
    """
    client, redact = client_of(settings, planned) if made is None else made
    books = InstanceTime(now)
    flight = Flight(
        run=settings.run,
        epoch=settings.epoch,
        patience=Patience(settings.fleet, settings.seed, pause=pause, notice=notice),
        redact=redact,
        values={"registry": settings.registry, "port": str(settings.port), "epoch": str(settings.epoch)},
        spent=books.spent,
    )
    cloud = Ec2Cloud(client, settings.fleet, machine_of(settings), now, address_by(settings), flight)
    hours = settings.max_hours
    limits = Limits(settings.max_instances, None if hours is None else round(hours * HOUR))
    limited = LimitedCloud(cloud, limits, books, cloud.past, notice)
    if stopping is not None and limits.time is not None:
        limited.watch(stopping)
    return limited


def client_of(
    settings: AwsSettings, planned: Callable[[PlannedCall], None] = lambda call: None
) -> tuple[Any, Redaction]:
    """The client of EC2, and what cleans its texts; in a dry run one that tells *planned* each call. Raises UsageError."""
    if settings.dry_run:
        return PlannedEc2(planned), Redaction()
    return ec2_client(settings.region, settings.endpoint_url)


def machine_of(settings: AwsSettings) -> Machine:
    """What instances are made of."""
    return Machine(
        settings.image, settings.instance_type, settings.key_name, settings.security_groups, settings.subnet,
        settings.profile, settings.user_data,
    )  # fmt: skip


def address_by(settings: AwsSettings) -> Callable[[int, dict[str, Any]], str]:
    """``http://IP:PORT`` of an instance: by its private or public IP, or the loopback address of its number if there is a bridge."""
    if settings.bridged:
        addresses = Addresses(settings.port)
        return lambda number, item: addresses.address(number)
    field = "PublicIpAddress" if settings.public else "PrivateIpAddress"

    def address(number: int, item: dict[str, Any]) -> str:
        # A public address comes a moment after the launch; until then the instance has none, and nobody can reach it.
        return url(item[field], settings.port) if item.get(field) else ""

    return address
