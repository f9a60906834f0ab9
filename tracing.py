"""Traces of runs by their directories: what the API and the command line share."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from pyarrow import ArrowException

from .core.columns import ATTEMPTS, REQUESTS
from .core.errors import UsageError
from .core.model import FleetSpec
from .core.probed import Probed
from .reports.run import Run, RunError
from .reports.storage import writing
from .reports.trace.otlp import write_otlp
from .reports.trace.perfetto import write_perfetto
from .reports.trace.sampling import SLOWEST, Sample
from .reports.trace.spans import PROXY
from .reports.trace.traces import FLIGHT, REHEARSAL, Traces, overlapping
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario

OTLP, PERFETTO = "otlp", "perfetto"
FILES = {OTLP: "trace.otlp.jsonl", PERFETTO: "trace.perfetto.json"}
"""The formats, and what their files are called in a run's directory."""

Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """A file of traces: how many requests it has, of how many, and how many spans (of Perfetto: events)."""

    path: Path | None
    requests: int
    total: int
    spans: int


def open_traces(directory: str | Path) -> Traces:
    """The traces of the run in *directory*. Raises RunError for a directory without a run, or with a damaged one."""
    folder = Path(directory)
    run = Run.open(folder)
    return traces_of(run, compile_plan(Scenario.load(folder / "scenario.yaml")).fleet)


def traces_of(run: Run, fleet: FleetSpec) -> Traces:
    """The traces of a run."""
    try:
        own = version("windtunnel")
    except PackageNotFoundError:
        own = ""
    return Traces(run, fleet, FLIGHT if _flown(run) else REHEARSAL, own)


def probe(
    directory: str | Path, traces: Traces, number: int, progress: Callable[[int, int], None] | None = None
) -> Probed:
    """What a probe sees of request *number* in a rerun of the rehearsal in *directory*, up to its end. Raises RunError if the rerun is not what was recorded; UsageError for flights."""
    from .sim.probe import rerun

    if traces.origin.world != REHEARSAL:
        raise UsageError("expected a rehearsal with --probe: what a flight did cannot be done again")
    plan = compile_plan(Scenario.load(Path(directory) / "scenario.yaml"))
    found = rerun(plan, [number], progress)
    block = next(traces.rows.blocks(np.array([number])))
    recorded = (_tuples(block.requests, REQUESTS), _tuples(block.attempts, ATTEMPTS))
    if recorded != ([found.requests.get(number)], found.attempts.get(number)):
        raise RunError(
            f"{directory}: request {number} went another way in the rerun: was it recorded by another version? windtunnel verify tells"
        )
    return found.probed


def _tuples(columns: Any, names: Sequence[tuple[str, str]]) -> list[tuple[int, ...]]:
    return [*zip(*(columns[name].tolist() for name, _ in names), strict=True)]


def _flown(run: Run) -> bool:
    if not run.partial:
        return "generator" in run.summary
    host = None if run.directory is None else run.directory / "host.json"
    if host is None or not host.is_file():
        return False
    try:
        return bool(json.loads(host.read_text(encoding="utf-8")).get("backend", "sim") != "sim")
    except (ValueError, AttributeError) as error:
        raise RunError(f"{host}: damaged run: {error}") from None


def write_both(run: Run, fleet: FleetSpec, directory: Path) -> None:
    """What ``replay --trace`` leaves: a sample of the run's traces in both formats. Raises StorageError."""
    traces = traces_of(run, fleet)
    for format, name in FILES.items():
        write_sample(traces, format, directory / name)


def write_sample(
    traces: Traces, format: str, path: Path, share: float | None = None, slowest: float = SLOWEST, window: Window | None = None
) -> Written:  # fmt: skip
    """Write a sample of the run's requests, and all that is no request, to *path*, as ``otlp`` or ``perfetto``. Raises StorageError, RunError."""
    with sound(traces):
        sample = traces.sample(share, slowest, window)
    return write_requests(traces, format, path, sample.wanted, sample, window)


def write_requests(
    traces: Traces, format: str, path: Path, wanted: Any, sample: Sample | None = None, window: Window | None = None
) -> Written:  # fmt: skip
    """Write the traces of the requests in *wanted* (numbers, sorted), and what is no request and under way in *window*, to *path*. Raises StorageError, RunError."""
    draft = path.with_name(path.name + ".draft")
    with writing(path, remove=draft), sound(traces):
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            spans = _writer(format)(traces, file, wanted, sample, window)
        draft.rename(path)
    return Written(path, len(wanted), sample.total if sample else len(wanted), spans)


def _writer(format: str) -> Callable[..., int]:
    return {OTLP: _otlp, PERFETTO: _perfetto}[format]


def _otlp(traces: Traces, file: TextIO, wanted: Any, sample: Sample | None, window: Window | None) -> int:
    def every() -> Iterator[Any]:
        yield from _control(traces, window)
        yield from traces.requests(wanted, sample)

    return write_otlp(file, traces.origin, every())


def _perfetto(traces: Traces, file: TextIO, wanted: Any, sample: Sample | None, window: Window | None) -> int:
    requests = traces.requests(wanted, sample)
    return write_perfetto(file, traces.origin, requests, _control(traces, window), traces.run.metrics, PROXY)


def _control(traces: Traces, window: Window | None) -> Iterator[Any]:
    yield from traces.control if window is None else overlapping(traces.control, window)


@contextmanager
def sound(traces: Traces) -> Iterator[None]:
    """What pyarrow cannot decode is a damaged run: an OSError without a number; one with a number is the disk's."""
    try:
        yield
    except (ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise RunError(f"{traces.run.directory or 'the run'}: damaged run: {error}") from None
