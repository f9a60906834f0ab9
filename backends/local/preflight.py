"""What a machine must have for a flight: with burnt demand, the CPU time that the plan asks for; the user's own program, if one is named."""

import os
import shutil
from pathlib import Path

import numpy as np

from ...core.errors import UsageError
from ...core.model import SECOND
from ...scenarios.plan import Plan

PROXY_NS = 60_000
LOAD_NS = 60_000
"""CPU time that proxy and load generator take for a request, roughly, on the machine in docs/benchmarks.md."""


def busiest_second(plan: Plan) -> tuple[int, float]:
    """The second in which open rows ask for the most CPU, app servers, proxy and load generator together: (second, cores)."""
    busy = np.zeros(plan.fleet.duration // SECOND + 2, dtype=np.float64)
    for block in plan.blocks():
        seconds = np.minimum(block["time_ns"] // SECOND, len(busy) - 1)
        busy += np.bincount(seconds, weights=block["cpu_ns"] + PROXY_NS + LOAD_NS, minlength=len(busy))
    second = int(busy.argmax())
    return second, float(busy[second]) / SECOND


def check_machine(plan: Plan, demand: str) -> None:
    """Refuse what would measure this machine instead of the fleet. Raises UsageError.

    Burnt demand needs the cores that app servers would use, limited by what they have; slept demand is not checked, the generator's lateness tells.
    """
    if demand != "burn":
        return
    second, cores = busiest_second(plan)
    closed = sum(source.concurrency for source in plan.fleet.sources if source.concurrency > 0)
    app = plan.fleet.app
    if closed:
        cores += min(closed, app.cores * max(app.initial, 1))
    there = os.cpu_count() or 1
    if cores > there:
        raise UsageError(
            f"--demand burn: the plan needs {cores:.1f} cores in second {second}, and this machine has {there}; "
            "expected a smaller load, or --demand sleep"
        )


def check_program(plan: Plan, demand: str) -> None:
    """Refuse a flight of a program that is not there. Raises UsageError."""
    program = plan.program
    if program is None:
        return
    if demand == "burn":
        raise UsageError(
            "--demand burn: expected no fleet.app.command; a program of your own has its own demand"
        )
    if not program.directory.is_dir():
        raise UsageError(f"fleet.app.directory: expected a directory, got {str(program.directory)!r}")
    _find("fleet.app.command", program.command[0], program.directory)


def check_remedy(plan: Plan) -> None:
    """Refuse a flight whose remedy against low memory is not there. Raises UsageError."""
    remedy = plan.fleet.app.remedy
    if remedy is not None:
        directory = Path.cwd() if plan.program is None else plan.program.directory
        _find("fleet.app.on_low_memory.command", remedy.command[0], directory)


def _find(what: str, name: str, directory: Path) -> None:
    """A name with a slash is looked up where the program is to run, any other on PATH."""
    where = str(directory / name) if os.sep in name else name
    if shutil.which(where) is None:
        place = f"in {directory}" if os.sep in name else "on PATH"
        raise UsageError(f"{what}: expected a program, found no {name!r} {place}")
