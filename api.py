"""The public API: load a scenario, replay it, verify a run, report on it. It wires scenario, world and sink; nothing imports it but the CLI."""

import json
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

import yaml
from pyarrow import ArrowException

from .backends.local.options import FlightOptions
from .comparing import compare
from .core.errors import UsageError
from .core.model import FleetSpec
from .reports.evidence import Evidence
from .reports.figure import OVERVIEW, PICTURES, save_picture
from .reports.page.html import write_page
from .reports.page.pages import recorded_page
from .reports.run import Run, RunError
from .reports.sink import DirectorySink, MemorySink
from .reports.storage import write_whole, writing
from .reports.summary import summarise
from .reports.tables import Names, names_of
from .scenarios.build import compile_plan
from .scenarios.plan import BLOCK, Plan
from .scenarios.profile import read_profile
from .scenarios.scenario import Scenario
from .tracing import write_both

Progress = Callable[[int, int], None]

REHEARSAL = "sim"
"""The backend that runs in virtual time."""

INPUT_LIMIT = 64 * 2**20
"""Input files up to this size are copied into the run's directory, so that it can be verified anywhere."""

PACKAGES = ("simpy", "fakeredis", "moto", "boto3", "redis", "numpy", "pyarrow", "pydantic", "matplotlib")


def backends() -> dict[str, Any]:
    """The backends that are installed, by name (entry-point group ``windtunnel.backends``)."""
    return {point.name: point for point in entry_points(group="windtunnel.backends")}


def replay(
    scenario: Scenario | str | Path,
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    backend: str = "sim",
    engine: str = "kernel",
    registry: str | None = None,
    cloud: str | None = None,
    block: int = BLOCK,
    progress: Progress | None = None,
    figure: bool = True,
    flight: FlightOptions | None = None,
    profile: str | Path | None = None,
    trace: bool = False,
) -> Run:
    """Replay *scenario* and return the run: rehearsed (``backend="sim"``) or flown (``"local"``, with the options of *flight*).

    *out* is a new or empty directory for it (none: kept in memory). *registry* and *cloud* override what stands for Redis and EC2 in a rehearsal.
    *profile*: a file with what was measured of the machine that the rehearsal is to stand for. *trace*: write a sample of its traces into *out* too, and have the roles of a flight name them in their logs (docs/traces.md).
    Raises ScenarioError for a bad scenario, FileExistsError for a directory that is in use, StorageError for a full disk, UsageError for what cannot be flown,
    BackendFailure if something that a flight needs fails.
    """
    if trace and out is None:
        raise UsageError("expected a directory for the run with trace: its files go there")
    scenario = _settled(scenario, seed, profile, backend)
    world = _world(scenario, backend, engine, registry, cloud, flight, trace)
    world.prepare()
    plan = compile_plan(scenario)
    world.check(plan, scenario)
    fleet = plan.fleet
    names = names_of([s.name for s in fleet.sources], [e.path for e in fleet.endpoints])
    directory = None if out is None else Path(out)
    sink = _sink(directory, names, scenario, plan, backend, engine)
    try:
        ended = world.run(plan, sink, scenario=scenario, directory=directory, block=block, progress=progress)
        digest = sink.finish(ended.end)
    finally:
        if isinstance(sink, DirectorySink):
            sink.close()
    lines = tuple(sink.lines)
    if directory is not None:
        lines = tuple((directory / "events.jsonl").read_text(encoding="ascii").splitlines())
    told = fleet.expects or fleet.deploys or fleet.invariants
    events = [json.loads(line) for line in lines] if told else []
    summary = summarise(fleet, sink.table, digest, ended.end, ended.instance_ns, plan.fingerprint, events)
    if ended.generator:
        summary["generator"] = dict(ended.generator)
    run = Run(sink.table, lines, summary, directory)
    if directory is not None:
        if figure:
            _draw(run, fleet, directory)
        write_whole(directory / "summary.json", json.dumps(summary, indent=2) + "\n")
        if trace:
            write_both(run, fleet, directory)
    return run


def _world(
    scenario: Scenario, backend: str, engine: str, registry: str | None, cloud: str | None, flight: FlightOptions | None, trace: bool,
) -> Any:  # fmt: skip
    """What the scenario is run by."""
    document = scenario.document.fleet
    return world_of(
        backend, engine, registry or document.registry.backend, cloud or document.cloud.backend,
        replace(flight or FlightOptions(), traced=True) if trace and backend != REHEARSAL else flight,
    )  # fmt: skip


def _sink(
    directory: Path | None, names: Names, scenario: Scenario, plan: Plan, backend: str, engine: str
) -> MemorySink:
    """Where the run goes; a directory is begun with its texts and the scenario's files."""
    if directory is None:
        return MemorySink(names)
    inputs = _inputs(scenario)
    sink = DirectorySink(directory, names, _texts(scenario, plan, inputs, backend, engine))
    for copy, path in inputs.items():
        with writing(directory / copy, remove=directory / copy):
            (directory / copy).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, directory / copy)
    return sink


def _settled(
    scenario: Scenario | str | Path, seed: int | None, profile: str | Path | None, backend: str
) -> Scenario:
    """What is to be replayed, loaded, under its seed and on its machine."""
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    if seed is not None:
        scenario = scenario.with_seed(seed)
    if profile is not None:
        scenario = scenario.with_profile(read_profile(profile))
    if scenario.document.profile is not None and backend != REHEARSAL:
        raise UsageError(
            f"expected no profile with the backend {backend}: only a rehearsal stands for a machine"
        )
    return scenario


def _draw(run: Run, fleet: FleetSpec, directory: Path) -> None:
    """The overview and a page with it: what a replay leaves, quickly drawn."""
    evidence = Evidence.of(run, fleet)
    save_picture(evidence, OVERVIEW, directory / "figures" / f"{OVERVIEW}.png")
    write_page(recorded_page(evidence), directory / "report.html")


FORMATS = ("html", "png", "svg", "pdf")


def report(directory: str | Path, format: str = "html", beside: str | Path | None = None) -> tuple[Path, ...]:
    """Draw the report of a run's directory anew from its files, also of a partial run; the files written.

    ``html`` is one page, ``report.html``, with a comparison if there is a run to lay *beside* it (a flight's rehearsal); the others are a file per figure in ``figures/``. Raises RunError for a directory without
    a run or with a damaged one, ScenarioError if its scenario cannot be read.
    """
    if format not in FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if beside is not None and format != "html":
        raise UsageError(f"--beside: expected the format html, got {format!r}: compare draws two runs")
    folder = Path(directory)
    run = Run.open(folder)
    fleet = compile_plan(Scenario.load(folder / "scenario.yaml")).fleet
    other = None if beside is None else compare(beside, folder)
    try:
        evidence = Evidence.of(run, fleet)
        if format == "html":
            write_page(recorded_page(evidence, other), folder / "report.html")
            return (folder / "report.html",)
        paths = tuple(folder / "figures" / f"{name}.{format}" for name in PICTURES)
        for name, path in zip(PICTURES, paths, strict=True):
            save_picture(evidence, name, path)
        return paths
    except (ArrowException, OSError) as error:
        # What pyarrow cannot decode is an OSError without a number; one with a number is the disk's.
        if getattr(error, "errno", None) is not None:
            raise
        raise RunError(f"{folder}: damaged run: {error}") from None


def world_of(
    backend: str,
    engine: str,
    registry: str = "memory",
    cloud: str = "memory",
    flight: FlightOptions | None = None,
) -> Any:
    """The world of *backend*, not yet prepared. Raises UsageError for an unknown name."""
    known = backends()
    if backend not in known:
        raise UsageError(f"expected a backend among {', '.join(sorted(known))}, got {backend!r}")
    return known[backend].load()(engine=engine, registry=registry, cloud=cloud, flight=flight)


def _inputs(scenario: Scenario) -> dict[str, Path]:
    """The files that the scenario reads, by where the run's directory keeps its copies; very large ones stay where they are."""
    small = [path for path in scenario.files().values() if path.stat().st_size <= INPUT_LIMIT]
    return {f"inputs/{number}-{path.name}": path for number, path in enumerate(dict.fromkeys(small))}


def _texts(
    scenario: Scenario, plan: Plan, inputs: dict[str, Path], backend: str, engine: str
) -> dict[str, str]:
    kept = {path: copy for copy, path in inputs.items()}
    names = {name: kept[path] for name, path in scenario.files().items() if path in kept}
    profile = scenario.resolved().get("profile")
    return {
        **({} if profile is None else {"profile.yaml": yaml.safe_dump(profile, sort_keys=False)}),
        "scenario.yaml": scenario.to_yaml(names),
        "plan.json": plan.summary_json(),
        "host.json": json.dumps(_host(backend, engine), indent=2) + "\n",
    }


def _host(backend: str, engine: str) -> dict[str, Any]:
    """Facts of this machine and its software; no part of any digest."""
    packages = {}
    for name in ("windtunnel", *PACKAGES):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "backend": backend,
        "engine": engine,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": packages,
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a rerun first differs from the run on record."""

    where: str
    recorded: str
    rerun: str

    def __str__(self) -> str:
        return f"{self.where}\n  recorded: {self.recorded}\n  rerun:    {self.rerun}"


def verify(
    directory: str | Path, progress: Progress | None = None, engine: str = "kernel"
) -> tuple[Run, Difference | None]:
    """Replay the scenario of a run's directory again, in memory, on *engine*, and compare every event and every row.

    Returns the run on record, and the first difference or None. Raises RunError for a partial or damaged run.
    """
    folder = Path(directory)
    recorded = Run.open(folder)
    if recorded.partial:
        raise RunError(f"{folder}: a partial run cannot be verified: it has no digest")
    if "generator" in recorded.summary:
        raise RunError(
            f"{folder}: a flight cannot be verified, for no two are alike; compare it with a rehearsal"
        )
    scenario = Scenario.load(folder / "scenario.yaml")
    rerun = replay(scenario, progress=progress, engine=engine)
    plan = compile_plan(scenario)
    return recorded, compare_runs(recorded, rerun, plan.fleet)


def compare_runs(recorded: Run, rerun: Run, fleet: FleetSpec) -> Difference | None:
    """The first event or row in which two runs differ; also a run whose files do not match its own digest."""
    for number, (old, new) in enumerate(zip(recorded.lines[:-1], rerun.lines[:-1], strict=False), 1):
        if old != new:
            return Difference(f"event {number}", old, new)
    if len(recorded.lines) != len(rerun.lines):
        return Difference("number of events", str(len(recorded.lines)), str(len(rerun.lines)))
    for name in ("requests", "attempts", "metrics"):
        found = _first_row(name, getattr(recorded, name), getattr(rerun, name))
        if found:
            return found
    for field in sorted({*recorded.summary, *rerun.summary}):
        was, is_now = recorded.summary.get(field), rerun.summary.get(field)
        if was != is_now:
            return Difference(f"summary, {field}", str(was), str(is_now))
    sources, endpoints = [s.name for s in fleet.sources], [e.path for e in fleet.endpoints]
    for digest in (recorded.digest, recorded.recompute_digest(sources, endpoints)):
        if digest != rerun.digest:
            return Difference("digest", digest, rerun.digest)
    return None


def _first_row(name: str, old: Any, new: Any) -> Difference | None:
    if old.num_rows != new.num_rows:
        return Difference(f"number of {name}", str(old.num_rows), str(new.num_rows))
    if old.column_names != new.column_names:
        return Difference(f"columns of {name}", str(old.column_names), str(new.column_names))
    step = BLOCK
    for start in range(0, old.num_rows, step):
        left, right = old.slice(start, step).to_pylist(), new.slice(start, step).to_pylist()
        if left != right:
            row = next(i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)
            return Difference(f"{name}, row {start + row}", str(left[row]), str(right[row]))
    return None
