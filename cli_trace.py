"""The command ``trace``."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated

import typer

from .cli_explain import parse_time
from .cli_shared import RunDirectory
from .core.errors import UsageError
from .reports.trace.listing import find
from .reports.trace.sampling import SLOWEST
from .reports.trace.traces import Traces
from .reports.trace.waterfall import waterfall
from .reports.wording import plural
from .terminal import progress
from .terminal_trace import note_partial, print_list, print_trace, print_written
from .tracing import (
    FILES,
    OTLP,
    PERFETTO,
    Window,
    Written,
    open_traces,
    probe,
    sound,
    write_requests,
    write_sample,
)

_HEX = re.compile(r"[0-9a-f]{8,32}\Z")
_SLOWEST, _ERRORS = 10, 20
"""How many a list has."""


def trace(
    directory: RunDirectory,
    id_: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="a request by its number, or by its trace id (8 digits of it or more)"),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="failed requests only")] = False,
    slowest: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="the N slowest requests")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="FROM..TO", help="requests in flight in this time only, such as 1m..1m30s or 3:10"),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="otlp: a file for Jaeger and collectors; perfetto: one for ui.perfetto.dev"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="the file to write; default RUN/trace.otlp.jsonl or RUN/trace.perfetto.json"),
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="the share of requests, besides all failed and the slowest, in a file; default as many as make 2,000"
        ),
    ] = None,
    probe_: Annotated[
        bool,
        typer.Option("--probe", help="with an ID: rerun the rehearsal up to there, and show what routing saw, each try and call, and the registry's traffic"),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="print the list, or the request's spans, as JSON")] = False,
) -> None:  # fmt: skip
    """Show where the time of a request went, and what happened meanwhile; list failed or slow ones; write traces for other programs."""
    window = None if at is None else _window(at)
    _check(id_, errors, slowest, at, format_, out, sample, json_)
    if probe_ and (id_ is None or format_ is not None):
        raise UsageError("expected the ID of a request with --probe, and no --format")
    traces = open_traces(directory)
    note_partial(traces)
    if format_ is not None:
        written = _write(traces, directory, id_, errors, slowest, window, format_, out, sample)
        print_written([_told(written, format_, sampled=id_ is None and not errors and slowest is None)])
    elif id_ is not None:
        _show(traces, directory if probe_ else None, id_, json_)
    else:
        _list(traces, errors, slowest, window, json_)


def _check(
    id_: str | None, errors: bool, slowest: int | None, at: str | None, format_: str | None, out: Path | None, sample: float | None, json_: bool
) -> None:  # fmt: skip
    """Options that belong together. Raises UsageError."""
    if format_ is not None and format_ not in FILES:
        raise UsageError(f"--format: expected one of {', '.join(FILES)}, got {format_!r}")
    for name, value in (("--out", out), ("--sample", sample)):
        if value is not None and format_ is None:
            raise UsageError(f"expected --format otlp or --format perfetto with {name}")
    chosen = {"--errors": errors, "--slowest": slowest is not None, "--at": at is not None}
    given = [name for name, is_given in chosen.items() if is_given]
    if id_ is not None and given:
        raise UsageError(f"expected no {given[0]} with the ID of a request")
    if sample is not None and (id_ is not None or errors or slowest is not None):
        raise UsageError("expected no --sample with an ID, --errors or --slowest: those are written whole")
    if json_ and format_ is not None:
        raise UsageError("expected no --json with --format")


def _window(text: str) -> Window:
    first, dots, last = text.partition("..")
    start = parse_time(first)
    end = parse_time(last) if dots else start
    if end < start:
        raise UsageError(f"--at: expected a time that ends after it begins, got {text!r}")
    return start, end


def _number(traces: Traces, text: str) -> int:
    """The number of the request called *text*."""
    if text.isdecimal() and len(text) < 32:
        return int(text)
    if not _HEX.match(text.lower()):
        raise UsageError(f"expected the number of a request or 8 to 32 hexadecimal digits of a trace id, got {text!r}")  # fmt: skip
    with sound(traces):
        found = traces.named(text.lower())
    if found < 0:
        raise UsageError(f"expected a request of this run: none has a trace id that begins with {text}")
    return found


def _known(traces: Traces, text: str) -> int:
    """As :func:`_number`, of a request that there is. Raises UsageError."""
    number = _number(traces, text)
    if number > 2**62 or traces.request(number) is None:
        raise UsageError(f"expected a request of this run: there is none with the number {text}")
    return number


def _show(traces: Traces, again: Path | None, id_: str, json_: bool) -> None:
    """A request; *again*: the directory of the rehearsal that is run again for it."""
    with sound(traces):
        number = _known(traces, id_)
        found = traces.request(number)
        control = traces.control
        if again is not None:
            with progress(True) as on_second:
                seen = probe(again, traces, number, on_second)
            found, exchanges = traces.probed(number, seen)
            control = (*control, *exchanges)
    assert found is not None, "a known request has a trace"
    if json_:
        print(json.dumps([dataclasses.asdict(span) for span in found.spans], indent=2))
        return
    print_trace(found, waterfall(found, control))


def _list(traces: Traces, errors: bool, slowest: int | None, window: Window | None, json_: bool) -> None:
    if not errors and slowest is None:
        slowest = _SLOWEST
    with sound(traces):
        found = find(traces, errors, slowest, window, _ERRORS)
    if json_:
        print(json.dumps([dataclasses.asdict(one) for one in found.requests], indent=2))
        return
    print_list(found, "failed request" if errors else "request")


def _write(
    traces: Traces, directory: Path, id_: str | None, errors: bool, slowest: int | None, window: Window | None, format_: str,
    out: Path | None, sample: float | None,
) -> Written:  # fmt: skip
    """The file that was asked for."""
    name = FILES[format_]
    if id_ is not None:
        number = _known(traces, id_)
        path = out or directory / name.replace("trace", f"trace-{number}")
        whole = traces.request(number)
        assert whole is not None, "a known request has a trace"
        span = (whole.root.start, whole.root.end)
        return write_requests(traces, format_, path, [number], window=span)
    path = out or directory / name
    if errors or slowest is not None:
        with sound(traces):
            found = find(traces, errors, slowest, window, None)
        return write_requests(traces, format_, path, found.numbers, window=window)
    return write_sample(traces, format_, path, sample, SLOWEST, window)


def _told(written: Written, format_: str, sampled: bool) -> str:
    of = f" of {written.total:,}" if sampled else ""
    units = {OTLP: "span", PERFETTO: "event"}[format_]
    requests = (
        f"{written.requests:,}{of} {'request' if max(written.requests, written.total) == 1 else 'requests'}"
    )
    return f"{written.path}: {requests}, {plural(written.spans, units)}"


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel trace runs/monkey --slowest 5")(trace)
