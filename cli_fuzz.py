"""The commands ``fuzz ...``: generated tests as a file, and fired at a fleet."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, Progress, TextColumn

from .backends.fuzz.hunt import Hunt, Hunted, Hunting
from .backends.fuzz.judge import Explained
from .backends.load.targets import Target, check_target
from .cli_shared import INTERRUPTED, PASSED, VIOLATED
from .core.errors import UsageError
from .reports.wording import plural
from .scenarios.fuzz.cases import Generator, Load, Range, parse_weights
from .scenarios.fuzz.formats import FORMATS, written
from .scenarios.fuzz.openapi import from_openapi
from .scenarios.fuzz.requests import HOSTILE, WEIGHTS, Request
from .scenarios.fuzz.surface import Surface, from_log, from_paths, from_scenario, joined
from .scenarios.paths import PathMatcher
from .scenarios.scenario import Scenario
from .terminal import err, out

_HOSTILE_WEIGHT = 9

BaseOption = Annotated[
    str, typer.Option(metavar="URL", help="where the service is: http://HOST:PORT, the fleet's proxy")
]
OpenApiOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="known: an OpenAPI 3 document, YAML or JSON; may be repeated"
    ),
]
LogOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="known: an access log, as in traffic.access_log; may be repeated"
    ),
]
PathsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="known: paths, one a line, such as POST /users/{id}?page=2; may be repeated",
    ),
]
ScenarioOption = Annotated[
    str | None,
    typer.Option(metavar="SCENARIO", help="known: the endpoints of a file, or of a scenario of the library"),
]
SeedOption = Annotated[int, typer.Option(min=0, help="of every draw: the same seed writes the same file")]
CountOption = Annotated[int, typer.Option(min=1, max=1_000_000, help="requests to generate")]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS=N,...",
        help="chances of the classes: known, values, unknown, odd, methods, headers, bodies, hostile",
    ),
]
HostileOption = Annotated[
    bool,
    typer.Option(
        "--hostile", help="with --run or --format scenario: malformed and hostile bytes on the wire, too"
    ),
]
RequestsOption = Annotated[
    str,
    typer.Option(
        metavar="LOW-HIGH", help="so often an entry's request is sent (maxRequests); none: not said"
    ),
]
RateOption = Annotated[
    str,
    typer.Option(metavar="LOW-HIGH", help="per second (requestsPerSecond); none: clients wait for answers"),
]
ConcurrencyOption = Annotated[str, typer.Option(metavar="LOW-HIGH", help="clients of an entry")]
SecondsOption = Annotated[
    str, typer.Option(metavar="LOW-HIGH", help="an entry takes at most so long (maxSeconds)")
]
TimeoutOption = Annotated[str, typer.Option(metavar="LOW-HIGH", help="ms that a request may take (timeout)")]
FormatOption = Annotated[str, typer.Option("--format", help="loadtest, vegeta, k6, locust or scenario")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="where to; omitted: generatedTests.json, targets.jsonl, fuzz.js, locustfile.py, fuzz.yaml",
    ),
]
RunOption = Annotated[
    bool, typer.Option("--run", help="fire each request once, shrink what goes wrong, and keep it")
]
ReplayOption = Annotated[
    Path | None, typer.Option(metavar="DIR", file_okay=False, help="fire the findings in DIR again")
]
CorpusOption = Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="where findings are kept")]
DirectOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="an app server behind the proxy: its answers are compared with the proxy's"
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="requests may go there, besides loopback; may be repeated"),
]
ExpectOption = Annotated[
    list[int] | None, typer.Option(metavar="STATUS", help="this status from 500 on is right; may be repeated")
]
PatienceOption = Annotated[
    float, typer.Option(min=0.1, max=300.0, help="seconds after which an answer that has not come is a hang")
]
RunSecondsOption = Annotated[
    float, typer.Option(min=0.1, max=86_400.0, help="--run fires nothing new after so long")
]
ShrinkOption = Annotated[
    float, typer.Option(min=0.0, max=3600.0, help="seconds at most for shrinking a finding")
]


def urls(
    base: BaseOption = "http://127.0.0.1:8080",
    openapi: OpenApiOption = None,
    log: LogOption = None,
    paths: PathsOption = None,
    scenario: ScenarioOption = None,
    seed: SeedOption = 0,
    count: CountOption = 20,
    weights: WeightsOption = None,
    hostile: HostileOption = False,
    requests: RequestsOption = "1000-10000",
    rate: RateOption = "100-500",
    concurrency: ConcurrencyOption = "1-10",
    seconds: SecondsOption = "none",
    timeout: TimeoutOption = "none",
    format_: FormatOption = "loadtest",
    output: OutputOption = None,
    run: RunOption = False,
    replay: ReplayOption = None,
    corpus: CorpusOption = Path("fuzz-findings"),
    direct: DirectOption = None,
    allow_target: AllowOption = None,
    expect: ExpectOption = None,
    patience: PatienceOption = 5.0,
    run_seconds: RunSecondsOption = 300.0,
    shrink_seconds: ShrinkOption = 20.0,
) -> None:
    """Write load tests of requests that nobody thought of; with --run fire them at a fleet, and keep the simplest ones that it answers wrongly."""
    loaded = None if scenario is None else Scenario.load(scenario)
    surface = _surface(openapi or [], log or [], paths or [], loaded)
    for note in surface.notes:
        err.print(f"note: {note}", markup=False)
    chosen = _weights(weights, hostile, run or replay is not None or format_ == "scenario")
    if not (run or replay is not None):
        load = Load(
            _range(requests, "--requests"), _range(rate, "--rate"), Range.parse(concurrency, "--concurrency"),
            _range(seconds, "--seconds"), _range(timeout, "--timeout"),
        )  # fmt: skip
        _write(Generator(surface, seed, chosen), count, load, base, format_, output, loaded)
        return
    hunting = Hunting(
        _target(base, "--base", allow_target or []),
        None if direct is None else _target(direct, "--direct", allow_target or []),
        _explained(loaded, expect or []), corpus, _bystander(surface), patience, run_seconds, shrink_seconds,
        scenario=loaded,
    )  # fmt: skip
    if replay is not None:
        _replay(hunting, replay)
    else:
        _run(hunting, Generator(surface, seed, chosen), count)


def _surface(openapi: list[Path], logs: list[Path], paths: list[Path], scenario: Scenario | None) -> Surface:
    parts = [*map(from_openapi, openapi), *map(from_log, logs), *map(from_paths, paths)]
    return joined([*parts, *([] if scenario is None else [from_scenario(scenario)])])


def _weights(text: str | None, hostile: bool, fired: bool) -> dict[str, int]:
    chosen = dict(WEIGHTS) if text is None else parse_weights(text)
    if chosen[HOSTILE] and not hostile:
        raise UsageError("--weights: expected --hostile beside a weight for the class hostile")
    if hostile and not fired:
        raise UsageError("--hostile: expected --run or --format scenario; load tools cannot send such bytes")
    if hostile and not chosen[HOSTILE]:
        chosen[HOSTILE] = _HOSTILE_WEIGHT
    return chosen


def _range(text: str, option: str) -> Range | None:
    return None if text == "none" else Range.parse(text, option)


def _write(
    generator: Generator, count: int, load: Load, base: str, format_: str, output: Path | None, scenario: Scenario | None
) -> None:  # fmt: skip
    known = FORMATS.get(format_)
    if known is None:
        raise UsageError(f"--format: expected one of {', '.join(FORMATS)}, got {format_!r:.40}")
    parts = _split(base, "--base")
    path = output or Path(known.file)
    made = Generator(generator.surface, generator.seed, generator.weights, known.methods)
    entries, wires = made.mixed(count, load)
    for name, text in written(format_, entries, f"http://{parts[2]}", path.name, scenario, wires).items():
        place = path.with_name(name)
        place.write_text(text, encoding="ascii", newline="\n")
        out.print(str(place), markup=False, soft_wrap=True)


def _split(url: str, option: str) -> tuple[str, int, str]:
    """Host, port and authority of *url*."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if (
        not host
        or parts.scheme != "http"
        or parts.path not in ("", "/")
        or parts.query
        or "@" in parts.netloc
    ):
        raise UsageError(f"{option}: expected http://HOST:PORT, got {url!r:.80}")
    return host, port, parts.netloc


def _target(url: str, option: str, allowed: list[str]) -> Target:
    host, port, _ = _split(url, option)
    return check_target(host, port, allowed, "hostile bytes and other requests are")


def _explained(scenario: Scenario | None, expected: list[int]) -> Explained:
    """The statuses that the endpoints of *scenario* have, and those that were named."""
    named = frozenset(expected)
    if scenario is None:
        return lambda request: named
    endpoints = scenario.document.endpoints
    matcher = PathMatcher([endpoint.path for endpoint in endpoints])

    def explained(request: Request | None) -> Collection[int]:
        number = matcher.number(request.target) if request is not None else matcher.default
        return named | {endpoints[number].status} if number < len(endpoints) else named

    return explained


def _bystander(surface: Surface) -> str:
    """The target of plain requests: the first operation that needs nothing."""
    for operation in surface.operations:
        if operation.method == "GET" and not any(parameter.required for parameter in operation.parameters):
            return operation.path
    return "/"


def _run(hunting: Hunting, generator: Generator, count: int) -> None:
    columns = (TextColumn("firing"), BarColumn(bar_width=20), TextColumn("{task.fields[at]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=count, at="")
        hunt = Hunt(hunting)
        try:
            done = hunt.run(
                generator,
                count,
                lambda fired, found: bar.update(
                    task, completed=fired, at=f"{fired:,} fired, {plural(found, 'finding')}"
                ),
            )
        except KeyboardInterrupt:
            done = hunt.keep()
            _tell(done)
            raise typer.Exit(INTERRUPTED) from None
    _tell(done)
    raise typer.Exit(VIOLATED if done.findings else PASSED)


def _tell(done: Hunted) -> None:
    for note in dict.fromkeys(done.notes):
        err.print(f"note: {note}", markup=False)
    for finding, path in done.findings:
        times = f", {finding.times} times" if finding.times > 1 else ""
        out.print(
            f"{finding.verdict.text}{times} ({finding.wire.kind})\n  {path}\n  {path.with_suffix('.yaml')}",
            markup=False,
            soft_wrap=True,
        )
    out.print(f"{done.fired:,} fired, {plural(len(done.findings), 'finding')}")


def _replay(hunting: Hunting, directory: Path) -> None:
    hunt = Hunt(hunting)
    still = 0
    for name, kind, verdict in hunt.again(directory):
        still += verdict is not None
        now = "right now" if verdict is None else verdict.text
        out.print(f"{name} ({kind}): {now}", markup=False, soft_wrap=True)
    for note in dict.fromkeys(hunt.outcome.notes):
        err.print(f"note: {note}", markup=False)
    out.print(f"{hunt.outcome.fired:,} fired again, {still} still wrong")
    raise typer.Exit(VIOLATED if still or hunt.gone else PASSED)


fuzz = typer.Typer(
    help="Generated requests, well-formed and hostile.", no_args_is_help=True, rich_markup_mode=None
)
fuzz.command("urls", epilog="Example: windtunnel fuzz urls --openapi api.yaml --seed 7 --count 4")(urls)


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.add_typer(fuzz, name="fuzz")
