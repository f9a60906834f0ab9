"""What the tests of faults share."""

from typing import Any

from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
from windtunnel.tests.support import happened, steady

MS = 1_000_000


def fault(kind: str, at: str = "1s", **more: Any) -> dict[str, Any]:
    """A fault; *length* stands for ``for``."""
    if "length" in more:
        more["for"] = more.pop("length")
    return {"name": kind, "type": kind, "at": at, **more}


def even(rate: str, length: str, *faults: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document with evenly spaced requests of 5 ms, and *faults*."""
    made = steady(rate, length, faults=list(faults), **more)
    made["traffic"][0]["arrivals"] = "constant"
    return made


def latencies(run: Run) -> list[int]:
    """Latency (ns) of each request, in order."""
    found: list[int] = run.requests.column("latency_ns").to_pylist()
    return found


def starts(run: Run) -> list[int]:
    """Planned time (ns) of each request, in order."""
    found: list[int] = run.requests.column("time_ns").to_pylist()
    return found


SCALER = {"policy": {"threshold": {"requests_high": "100/s", "requests_low": "10/s"}}, "cooldown": "2s"}


def growing(*faults: dict[str, Any], **scaler: Any) -> dict[str, Any]:
    """150 requests/s from the start, on one server that should be joined by others."""
    document = even(
        "150/s",
        "20s",
        *faults,
        fleet={"app": {"min": 1, "max": 4, "workers": 4, "boot_time": {"constant": "2s"}}},
    )
    document["autoscaler"] = {**SCALER, **scaler}
    return document


def times(found: Any, name: str) -> list[float]:
    return [event["t"] / SECOND for event in happened(found, name)]
