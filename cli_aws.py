"""The commands about AWS. Exit codes of ``janitor``: 0 nothing is left, 2 bad usage, 3 something is left, 4 AWS failed."""

import json
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from .api import replay
from .backends.local.options import FlightOptions
from .cli_shared import prepare
from .core.model import SECOND
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario
from .terminal import err, out

if TYPE_CHECKING:
    from .backends.aws.janitor import Leftover

LEFT = 3


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(epilog="Example: windtunnel janitor --fleet shop --older-than 2h --yes")(janitor)


def janitor(
    fleet: Annotated[str, typer.Option(metavar="NAME", help="whose instances: the scenario's name")],
    region: Annotated[str | None, typer.Option(help="AWS region; default: what boto3 finds")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(metavar="URL", help="instead of AWS: a moto server, say")
    ] = None,
    older_than: Annotated[
        str, typer.Option(metavar="DURATION", help="only instances launched so long ago, such as 2h")
    ] = "0",
    yes: Annotated[bool, typer.Option("--yes", help="terminate what is listed")] = False,
    json_: Annotated[bool, typer.Option("--json", help="print the instances alone, as JSON")] = False,
) -> None:
    """List the EC2 instances that runs of a fleet left behind, by our tags, and terminate them with --yes; exit code 3 if any is left."""
    # Not with every command: boto3 takes a third of a second to import.
    from .backends.aws.client import ec2_client
    from .backends.aws.janitor import Janitor, seconds_of

    client, redact = ec2_client(region, endpoint_url)
    keeper = Janitor(client, fleet, redact)
    left = keeper.find(seconds_of(older_than))
    ended = set(keeper.end(left)) if yes else set()
    if json_:
        rows = [{**one.row(), "terminated": one.provider_id in ended} for one in left]
        out.print(json.dumps(rows, indent=2), markup=False)
    elif left:
        out.print(_table(left))
        said = "terminated" if yes else "left; --yes terminates them"
        out.print(
            f"{len(left)} instances of fleet {escape(fleet)}, {sum(one.hours for one in left):.2f} instance-hours: {said}"
        )
    else:
        err.print(f"nothing is left of fleet {escape(fleet)}")
    raise typer.Exit(LEFT if left and not yes else 0)


def tell_dry_run(scenario: Scenario, options: FlightOptions) -> NoReturn:
    """Print every call that a flight of *scenario* would make on EC2, by what its rehearsal decides; exit code 0. Raises UsageError, ScenarioError."""
    from .backends.aws.rehearsed import tell_calls
    from .backends.aws.world import check_flight

    plan = compile_plan(scenario)
    check_flight(plan, scenario, options)
    prepare()
    rehearsed = replay(scenario, registry="memory", cloud="memory")

    def tell(moment: int, text: str) -> None:
        print(f"{moment / SECOND:10.3f} s  {text}")

    tell_calls(plan, scenario, options, rehearsed.events, tell)
    raise typer.Exit(0)


def _table(left: "tuple[Leftover, ...]") -> Table:
    table = Table("id", "number", "role", "state", "age", "run", "hours", box=None, padding=(0, 2, 0, 0))
    for one in left:
        minutes = int(one.age) // 60
        age = f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m"
        table.add_row(
            one.provider_id,
            str(one.number or "-"),
            escape(one.role),
            one.state,
            age,
            escape(one.run),
            f"{one.hours:.2f}",
        )
    return table
