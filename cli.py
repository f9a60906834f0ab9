"""The command line. Exit codes: 0 passed, 1 internal error, 2 bad usage or scenario, 3 an SLO violated, a tolerance missed, or a build or deploy that did not pass,
4 a backend failed, 5 verify differs, 130 interrupted."""

import atexit
import gc
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from . import __doc__ as package_doc
from .api import replay as replay_scenario
from .api import report as report_run
from .api import verify as verify_run
from .cli_aws import register as register_aws
from .cli_aws import tell_dry_run
from .cli_backtest import register as register_backtest
from .cli_builds import register as register_builds
from .cli_calibrate import register as register_calibrate
from .cli_campaign import check_plain, replay_seeds
from .cli_campaign import register as register_campaigns
from .cli_compare import register as register_compare
from .cli_dashboard import register as register_dashboard
from .cli_deploys import register as register_deploys
from .cli_explain import register as register_explain
from .cli_fleet import register as register_fleet
from .cli_flight import (
    AllowFaultsOption,
    AllowOption,
    BackendOption,
    DemandOption,
    DryRunOption,
    FlightWords,
    HoldOption,
    LoadProcessesOption,
    MaxHoursOption,
    MaxInstancesOption,
    NetworkOption,
    ProxyOption,
    RedisOption,
    StopWhenOption,
    flight,
)
from .cli_flight import register as register_roles
from .cli_fuzz import register as register_fuzz
from .cli_import import register as register_import
from .cli_policies import register as register_policies
from .cli_profile import register as register_profile
from .cli_search import register as register_search
from .cli_shared import (
    BACKEND,
    DIFFERS,
    INTERNAL,
    INTERRUPTED,
    PASSED,
    USAGE,
    VIOLATED,
    EngineOption,
    JobsOption,
    JunitOption,
    ProfileCodeOption,
    ProfileOption,
    ScenarioArgument,
    SeedsOption,
    SetOption,
    TraceOption,
    free_directory,
    interruptible,
    prepare,
    warn,
)
from .cli_trace import register as register_trace
from .core.errors import BackendFailure, UsageError
from .core.ports import CloudError, RegistryError
from .reports.junit import cases_of_run, write_junit
from .reports.run import Run, RunError
from .reports.storage import StorageError, writing
from .reports.wording import plural
from .scenarios.first import first_scenario
from .scenarios.fit import draft
from .scenarios.problems import Problem, ScenarioError
from .scenarios.profile import read_profile
from .scenarios.reference import reference_markdown
from .scenarios.scenario import Scenario, gallery
from .scenarios.scenario import library as library_scenarios
from .scenarios.schema import Document
from .terminal import err, out, print_verdict, progress

app = typer.Typer(
    help=(package_doc or "").splitlines()[0],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """The entry point: every expected failure is one sentence and an exit code."""
    # The interpreter's last collections would look at everything that moto and matplotlib hold, for a second.
    atexit.register(gc.freeze)
    try:
        app(standalone_mode=True)
    except ScenarioError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        sys.exit(USAGE)
    except (RunError, FileExistsError, UsageError) as error:
        err.print(str(error), markup=False)
        sys.exit(USAGE)
    except (CloudError, RegistryError, BackendFailure) as error:
        err.print(f"a backend failed: {error}", markup=False)
        sys.exit(BACKEND)
    except StorageError as error:
        err.print(str(error), markup=False)
        sys.exit(INTERNAL)
    except OSError as error:
        err.print(f"{error.filename or 'input or output'}: {error.strerror or error}", markup=False)
        sys.exit(INTERNAL)
    except KeyboardInterrupt:
        err.print("interrupted; what was recorded is kept")
        sys.exit(INTERRUPTED)


@app.command(epilog="Example: windtunnel scenarios")
def scenarios() -> None:
    """List the scenarios of the library, and the planted weaknesses of the gallery."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, path in {**library_scenarios(), **gallery()}.items():
        text = yaml.safe_load(path.read_text(encoding="utf-8")).get("description", "")
        first = " ".join(text.split()).partition(". ")[0].removesuffix(".")
        table.add_row(escape(name), escape(f"{first}."))
    out.print(table)


@app.command(epilog="Example: windtunnel new my-fleet")
def new(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="name of the scenario and its file")
    ] = "first",
) -> None:
    """Write a first scenario, NAME.yaml, with a comment on each part; nothing is overwritten."""
    name = name.removesuffix(".yaml")
    text, path = first_scenario(name), Path(f"{name}.yaml")
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{path}: expected a new file, but it exists; give another name") from None
    with writing(path, remove=path), file:
        file.write(text)
    out.print(f"{path}: written; now: windtunnel check {path}, windtunnel replay {path}", markup=False)


@app.command(epilog="Example: windtunnel check my-fleet.yaml other.yaml --set fleet.app.max=20")
def check(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="SCENARIO", help="files, or scenarios of the library by name")
    ],
    set_: SetOption = None,
) -> None:
    """Validate scenarios: every problem with its line, or a sentence of what each holds."""
    problems: list[Problem] = []
    for scenario in scenarios:
        try:
            loaded = Scenario.load(scenario, set_ or [])
        except ScenarioError as error:
            problems.extend(error.problems)
            continue
        document = loaded.document
        warn(loaded)
        out.print(
            f"{scenario}: ok ({document.scenario}: {plural(len(document.traffic), 'source of traffic', 'sources of traffic')}, "
            f"{plural(len(document.faults), 'fault')}, {plural(len(document.slo), 'objective')})",
            markup=False,
        )
    if problems:
        raise ScenarioError(problems)


@app.command(epilog="Example: windtunnel schema > scenario.schema.json")
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="the reference of docs/scenarios.md instead")
    ] = False,
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    print(reference_markdown() if markdown else json.dumps(Document.model_json_schema(), indent=2))


@app.command(epilog="Example: windtunnel fit access.log metrics.csv > my-fleet.yaml")
def fit(
    access_log: Annotated[
        Path,
        typer.Argument(
            metavar="ACCESS_LOG", help="Common or Combined log format, or JSON lines; plain or gzipped"
        ),
    ],
    metrics_csv: Annotated[
        Path | None,
        typer.Argument(
            metavar="METRICS_CSV",
            help="with the columns memory_bytes and in_flight, or boot_seconds, or all of them",
        ),
    ] = None,
) -> None:
    """Draft a scenario from recorded requests: a commented file that states the error of each fit and marks each guess."""
    print(draft(access_log, metrics_csv), end="")


RegistryOption = Annotated[str | None, typer.Option(help="fakeredis or memory, instead of the scenario's")]


@app.command(epilog="Example: windtunnel replay chaos-monkey --seed 7 --out runs/monkey")
def replay(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(help="instead of the scenario's")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", help="new or empty directory for the run; default runs/NAME-SEED")
    ] = None,
    engine: EngineOption = "kernel",
    backend: BackendOption = "sim",
    registry: RegistryOption = None,
    cloud: Annotated[str | None, typer.Option(help="moto or memory, instead of the scenario's")] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the summary alone, as JSON")] = False,
    figure: Annotated[bool, typer.Option(help="draw figures/run.png and report.html")] = True,
    trace: TraceOption = False,
    junit: JunitOption = None,
    seeds: SeedsOption = 1,
    jobs: JobsOption = 1,
    profile: ProfileOption = None,
    proxy: ProxyOption = None,
    demand: DemandOption = None,
    redis_url: RedisOption = None,
    load_processes: LoadProcessesOption = None,
    hold: HoldOption = False,
    allow_target: AllowOption = None,
    max_instances: MaxInstancesOption = None,
    max_hours: MaxHoursOption = None,
    stop_when: StopWhenOption = None,
    allow_faults: AllowFaultsOption = False,
    network: NetworkOption = None,
    dry_run: DryRunOption = False,
    profile_code: ProfileCodeOption = False,
) -> None:
    """Replay a scenario: rehearse it in virtual time (also over many seeds, with intervals), or fly it. Run directory, verdict, report."""
    loaded = _load(scenario, set_ or [], seed, profile)
    if seeds > 1:
        given = {"--out": out_, "--registry": registry, "--cloud": cloud, "--trace": trace or None, "--profile-code": profile_code or None}  # fmt: skip
        check_plain(given, engine != "kernel" or backend != "sim")
        replay_seeds(loaded, seeds, jobs, json_, junit)
    words = FlightWords(
        proxy, demand, redis_url, load_processes, hold, allow_target, max_instances, max_hours, stop_when, allow_faults, network, dry_run,
    )  # fmt: skip
    words.check(backend)
    warn(loaded)
    if dry_run:
        tell_dry_run(loaded, words.options())
    directory = out_ or free_directory(f"{loaded.name}-{loaded.document.seed}")
    prepare(engine, backend)
    started = time.monotonic()
    with (
        _kept(directory),
        flight(backend, words, json_) as options,
        progress(not json_ and options is None) as on_second,
    ):
        run = replay_scenario(
            loaded, out=directory, engine=engine, backend=backend, registry=registry, cloud=cloud,
            progress=on_second, figure=figure, flight=options, trace=trace, profile_code=profile_code,
        )  # fmt: skip
    _show(run, loaded, directory, json_, junit, _command(scenario, set_ or [], run, backend, profile), started)  # fmt: skip
    raise typer.Exit(PASSED if run.passed else VIOLATED)


@contextmanager
def _kept(directory: Path) -> Iterator[None]:
    """Where what was recorded is, if a replay is interrupted or the disk is full."""
    try:
        yield
    except (KeyboardInterrupt, StorageError) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        why = "interrupted" if stopped else str(error)
        err.print(f"{why}; what was recorded until then is in {directory}", markup=False)
        raise typer.Exit(INTERRUPTED if stopped else INTERNAL) from None


def _show(
    run: Run, loaded: Scenario, directory: Path, json_: bool, junit: Path | None, again: str, started: float
) -> None:
    """The verdict, as it was asked for."""
    if junit:
        facts = {name: str(run.summary[name]) for name in ("seed", "scenario_hash", "digest")}
        write_junit(junit, loaded.name, cases_of_run(run.summary), facts)
    if json_:
        print(json.dumps(run.summary, indent=2))
    else:
        print_verdict(run.summary, directory, again, time.monotonic() - started)


def _command(scenario: str, sets: list[str], run: Run, backend: str, profile: Path | None) -> str:
    """The command that replays the same again."""
    seed = run.summary["seed"]
    words = [
        "windtunnel",
        "replay",
        scenario,
        *(part for text in sets for part in ("--set", text)),
        *(("--profile", str(profile)) if profile else ()),
        "--seed",
        str(seed),
    ]
    return shlex.join(words if backend == "sim" else [*words, "--backend", backend])


def _load(scenario: str, sets: list[str], seed: int | None, profile: Path | None) -> Scenario:
    loaded = Scenario.load(scenario, sets)
    if seed is not None:
        loaded = loaded.with_seed(seed)
    return loaded if profile is None else loaded.with_profile(read_profile(profile))


register_campaigns(app)
register_roles(app)
register_aws(app)
register_compare(app)
register_policies(app)
register_calibrate(app)
register_explain(app)
register_trace(app)
register_dashboard(app)
register_profile(app)
register_backtest(app)
register_import(app)
register_builds(app)
register_deploys(app)
register_fleet(app)
register_fuzz(app)
register_search(app)


@app.command(epilog="Example: windtunnel verify runs/monkey --engine simpy")
def verify(
    directory: Annotated[Path, typer.Argument(help="a run's directory")],
    engine: EngineOption = "kernel",
) -> None:
    """Replay a run's scenario again, on either engine, and compare every event and every row with what it recorded."""
    prepare(engine)
    with interruptible(), progress(True) as on_second:
        recorded, difference = verify_run(directory, on_second, engine)
    if difference is None:
        out.print(f"identical on {engine}: {len(recorded.lines)} events, {recorded.requests.num_rows} requests, "
                  f"{recorded.attempts.num_rows} attempts, digest {recorded.digest}")  # fmt: skip
        raise typer.Exit(PASSED)
    out.print(f"differs, first in {difference}", markup=False)
    raise typer.Exit(DIFFERS)


@app.command(epilog="Example: windtunnel report runs/monkey --format svg")
def report(
    directory: Annotated[Path, typer.Argument(help="a run's directory, also one that was cut off")],
    format_: Annotated[
        str, typer.Option("--format", help="html: one page with everything; png, svg, pdf: figures as files")
    ] = "html",
    beside: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="another run to lay beside it: a flight's rehearsal"),
    ] = None,
) -> None:
    """Draw a run's report anew: report.html, or each of its figures as a file."""
    for path in report_run(directory, format_, beside):
        out.print(str(path), markup=False)
