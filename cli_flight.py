"""The command line's part for flights: their options, what is shown while they fly, and roles started one by one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from .api import REHEARSAL
from .backends.autoscaler.receivers import check_receivers
from .backends.live.addresses import LOOPBACK
from .backends.live.clock import LiveClock
from .backends.local.options import Figures, FlightOptions
from .backends.local.preflight import check_program, check_remedy
from .backends.local.redis_server import find_server
from .core.errors import UsageError
from .core.model import SECOND, FleetSpec
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario
from .terminal import err

BackendOption = Annotated[
    str,
    typer.Option(
        help="world to run in: sim rehearses, local flies on processes of this machine, aws on EC2, attach on a fleet that is there"
    ),
]
DemandOption = Annotated[
    str | None, typer.Option(help="of a flight: sleep for a request's CPU time (default), or burn it")
]
RedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url", help="of a flight: a registry that is there already, instead of one of its own"
    ),
]
ProxyOption = Annotated[
    str | None,
    typer.Option("--proxy", metavar="URL", help="of --backend attach: where the fleet's proxy listens"),
]
LoadProcessesOption = Annotated[
    int | None, typer.Option(min=1, help="of a flight: so many load generators; default 1")
]
HoldOption = Annotated[
    bool, typer.Option("--hold", help="of a flight: keep the fleet up after the plan until Ctrl-C")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-target",
        metavar="HOST",
        help="of a flight: load, and news of alerts (mail, webhooks), may go there, besides loopback; may be repeated",
    ),
]


MaxInstancesOption = Annotated[
    int | None,
    typer.Option(min=1, help="of --backend aws: so many instances at a time; default fleet.app.max"),
]
MaxHoursOption = Annotated[
    float | None,
    typer.Option(help="of --backend aws: so many instance-hours in all, then everything is ended"),
]
StopWhenOption = Annotated[
    str | None,
    typer.Option(
        "--stop-when",
        metavar="CONDITION",
        help="of a flight: end every fault when this holds, such as 'error_rate > 20% for 10s' or 'p99 > 2s'",
    ),
]
AllowFaultsOption = Annotated[
    bool,
    typer.Option(
        "--allow-faults",
        help="of a flight: faults may be started and stopped meanwhile, as by `windtunnel dashboard`, with the token that is printed",
    ),
]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="WHERE",
        help="of a flight: loopback (default), or namespaces: app servers and proxy in network namespaces of this machine, whose links tc disturbs (root)",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="of --backend aws: print every call that it would make, and start nothing"
    ),
]


@dataclass(frozen=True, slots=True)
class FlightWords:
    """What the command line says of a flight; None, False or nothing where it says nothing."""

    proxy: str | None
    demand: str | None
    redis_url: str | None
    load_processes: int | None
    hold: bool
    allow_target: list[str] | None
    max_instances: int | None
    max_hours: float | None
    stop_when: str | None
    allow_faults: bool
    network: str | None
    dry_run: bool

    def check(self, backend: str) -> None:
        """Raises UsageError for options that *backend* has not."""
        named = [f"--{field.name.replace('_', '-')}" for field in fields(self) if getattr(self, field.name)]
        if backend == REHEARSAL and named:
            raise UsageError(f"{named[0]}: expected a flight (--backend local), this is a rehearsal")
        if self.dry_run and backend != "aws":
            raise UsageError("--dry-run: expected --backend aws; nothing else is launched on EC2")

    def options(self) -> FlightOptions:
        """As options, without a display. Raises UsageError."""
        return FlightOptions(
            demand=self.demand or "sleep", proxy=self.proxy or "", redis_url=self.redis_url or "",
            load_processes=self.load_processes or 1, hold=self.hold, allowed=tuple(self.allow_target or ()),
            max_instances=self.max_instances, max_hours=self.max_hours, stop_when=self.stop_when or "",
            allow_faults=self.allow_faults, network=self.network or "loopback", notice=_notice,
        )  # fmt: skip


def _notice(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)


@contextmanager
def flight(backend: str, words: FlightWords, quiet: bool) -> Iterator[FlightOptions | None]:
    """The options of a flight with its display, None for a rehearsal. Raises UsageError for options that the backend has not."""
    words.check(backend)
    if backend == REHEARSAL:
        yield None
        return
    columns = (TextColumn("flying"), BarColumn(bar_width=20), TextColumn("{task.fields[at]}"))
    bar = Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal)
    task = bar.add_task("", total=1.0, at="starting the fleet")

    def watch(figures: Figures) -> None:
        bar.update(task, completed=min(figures.now / figures.end, 1.0), at=in_words(figures))

    def announce(addresses: Mapping[str, Any]) -> None:
        if not quiet:
            err.print(_addresses(addresses), markup=False)

    try:
        bar.start()
        yield replace(words.options(), announce=announce, watch=watch)
    finally:
        bar.stop()


def in_words(figures: Figures) -> str:
    """A line of figures."""
    text = (
        f"{min(figures.now, figures.end) // SECOND} of {figures.end // SECOND} s, {figures.offered:,} offered, "
        f"{figures.completed:,} completed, {figures.failed:,} failed, p99 {figures.p99 / 1e6:,.1f} ms, "
        f"{figures.servers} server{'' if figures.servers == 1 else 's'}"
    )
    return f"{text}, last decision: {figures.decision}" if figures.decision else text


def _addresses(addresses: Mapping[str, Any]) -> str:
    lines = [f"proxy    {addresses['proxy']}"]
    if "servers" in addresses:
        lines += [
            f"         {addresses['proxy_admin']}/stats",
            f"servers  {' '.join(addresses['servers'].values())}",
        ]
    lines += [f"{name:8} {where}" for name, where in addresses.get("dependencies", {}).items()]
    if addresses["redis"]:
        lines.append(f"redis    {addresses['redis']}")
    if "control" in addresses:
        lines += [f"control  {addresses['control']}/v1/fleet", f"metrics  {addresses['control']}/v1/targets"]
    return "\n".join(lines)


# Roles, one by one. What they are told (all of a fleet, as a pydantic model) takes longer to load than most commands run: it is loaded when one is started.

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="a file, or a scenario of the library by name: its fleet")
]
UrlOption = Annotated[str, typer.Option("--redis-url", envvar="WINDTUNNEL_REDIS_URL", help="the registry")]
MetricsPortOption = Annotated[
    int,
    typer.Option(
        help="port where it tells its metrics to Prometheus; 0: a free one, which the status up names; -1: none"
    ),
]
_REDIS = "redis://127.0.0.1:6379/0"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: windtunnel proxy chaos-monkey --port 8080")(proxy)
    app.command("app", epilog="Example: windtunnel app steady --number 1 --host 127.1.0.1 --port 8000")(
        app_server
    )
    app.command(
        epilog="Example: windtunnel autoscaler chaos-monkey --control http://127.0.0.1:9000 --dry-run"
    )(autoscaler)
    app.command(epilog="Example: windtunnel redis --port 6379")(redis)


def _fleet(scenario: str) -> FleetSpec:
    return compile_plan(Scenario.load(scenario)).fleet


def proxy(
    scenario: ScenarioArgument,
    host: Annotated[str, typer.Option(help="where it listens")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="0: a free one")] = 8080,
    admin_port: Annotated[
        int, typer.Option(help="port for /stats, /servers and /metrics; 0: a free one, -1: none")
    ] = 0,
    redis_url: UrlOption = _REDIS,
    handover: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="a Unix socket by which it takes over from a proxy that runs, and the next one from it; no connection is lost",
        ),
    ] = "",
) -> None:
    """Run the proxy of a scenario's fleet alone, until SIGTERM; events and status are JSON lines."""
    clock = LiveClock.begin()
    from .backends.live.role import run_role
    from .backends.live.settings import ProxySettings

    run_role(
        "proxy",
        ProxySettings(
            origin=clock.origin,
            fleet=_fleet(scenario),
            redis_url=redis_url,
            host=host,
            port=port,
            admin_port=admin_port,
            handover=handover,
        ),
        owned=False,
    )


def app_server(
    scenario: ScenarioArgument,
    number: Annotated[int, typer.Option(min=1, help="number of the instance")] = 1,
    role: Annotated[str, typer.Option(help="serving, canary or standby")] = "serving",
    host: Annotated[str, typer.Option(help="where it listens, as the registry will list it")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="port")] = 8000,
    demand: Annotated[str, typer.Option(help="sleep for a request's CPU time, or burn it")] = "sleep",
    dependency: Annotated[
        list[str] | None, typer.Option(metavar="NAME=URL", help="where a dependency listens; may be repeated")
    ] = None,
    proxy_admin: Annotated[
        str, typer.Option(metavar="URL", help="of a program of your own: where the proxy counts its requests")
    ] = "",
    redis_url: UrlOption = _REDIS,
    epoch: Annotated[
        int | None,
        typer.Option(help="the zero of a flight's clock, ns since 1970, as user data is told; default: now"),
    ] = None,
    version: Annotated[
        str,
        typer.Option(
            envvar="WINDTUNNEL_VERSION",
            help="what the server says that it runs; of the scenario's versions: that one",
        ),
    ] = "",
    metrics_port: MetricsPortOption = -1,
) -> None:
    """Run one app server of a scenario's fleet, or the program of your own that it names, alone, until SIGTERM; events and status are JSON lines."""
    clock = LiveClock.begin() if epoch is None else LiveClock.by_wall(epoch)
    plan = compile_plan(Scenario.load(scenario))
    check_program(plan, demand)
    check_remedy(plan)
    program: dict[str, Any] = {}
    if plan.program is not None:
        program = {"command": plan.program.command, "directory": str(plan.program.directory)}
    named = [one.name for one in plan.fleet.versions]
    dependencies = {}
    for text in dependency or []:
        name, separator, where = text.partition("=")
        if not separator:
            raise UsageError(f"--dependency {text}: expected NAME=URL")
        dependencies[name] = where
    from .backends.live.role import run_role
    from .backends.live.settings import AppSettings

    run_role(
        "app",
        AppSettings(
            origin=clock.origin, fleet=plan.fleet, redis_url=redis_url, number=number, role=role, host=host,
            port=port, demand=demand, dependencies=dependencies, proxy_admin=proxy_admin,
            version=named.index(version) if version in named else 0, release=version, metrics_port=metrics_port,
            **program,
        ),
        owned=False,
    )  # fmt: skip


def autoscaler(
    scenario: ScenarioArgument,
    control: Annotated[str, typer.Option(help="control API of a conductor, as it prints it")] = "",
    redis_url: UrlOption = _REDIS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="decide and say so; launch and end nothing")
    ] = False,
    allow_target: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-target",
            metavar="HOST",
            help="news of alerts (mail, webhooks) may go there, besides loopback; may be repeated",
        ),
    ] = None,
    metrics_port: MetricsPortOption = -1,
) -> None:
    """Run the autoscaler of a scenario's fleet alone, until SIGTERM; decisions are JSON lines."""
    fleet = _fleet(scenario)
    if fleet.autoscaler is None:
        raise UsageError(f"{scenario}: expected a scenario with an autoscaler")
    if not control and not dry_run:
        raise UsageError("--control: expected the control API of a conductor, or --dry-run")
    allowed = tuple(allow_target or ())
    check_receivers(fleet.alerts, allowed)
    clock = LiveClock.begin()
    # Second 0 of its scenario is the whole second at which it begins.
    start = clock.now() // SECOND * SECOND
    from .backends.live.role import run_role
    from .backends.live.settings import AutoscalerSettings

    run_role(
        "autoscaler",
        AutoscalerSettings(
            origin=clock.origin, fleet=fleet, redis_url=redis_url, start=start, cloud_url=control, dry_run=dry_run,
            allowed=allowed, metrics_port=metrics_port,
        ),
        owned=False,
    )  # fmt: skip


def redis(
    port: Annotated[int, typer.Option(help="port")] = 6379,
    host: Annotated[str, typer.Option(help="where it listens")] = LOOPBACK,
) -> None:
    """Run the registry alone: the redis-server on PATH, or the one that was installed with windtunnel; nothing is kept on disk."""
    import os

    server = find_server()
    err.print(
        json.dumps({"status": "up", "redis": f"redis://{host}:{port}/0", "server": str(Path(server))}),
        markup=False,
    )
    os.execv(server, [server, "--bind", host, "--port", str(port), "--save", "", "--appendonly", "no"])
