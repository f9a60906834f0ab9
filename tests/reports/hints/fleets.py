"""Fleets in which something is wrong, for the rules to find, and what they find."""

from typing import Any

from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.hints.hint import Hint
from windtunnel.reports.profiler.hints.rules import hints
from windtunnel.tests.support import plan, run

Document = dict[str, Any]


def fleet(rate: str = "200/s", length: str = "60s", **more: Any) -> Document:
    """Four servers of four workers and cores under an even load at half of what they can do; *more* is merged into its top level."""
    base: Document = {
        "duration": length,
        "fleet": {
            "app": {"initial": 4, "workers": 4, "cores": 4, "queue": 64},
            "proxy": {"upstream_timeout": "5s"},
        },
        "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "20ms"}}}],
        "traffic": [
            {"name": "users", "stages": [{"for": length, "rate": rate}], "client": {"timeout": "4s"}}
        ],
    }
    return {**base, **more}


def parts(
    app: Document | None = None, proxy: Document | None = None, more: Document | None = None
) -> Document:
    """The section ``fleet`` with other servers or another proxy."""
    return {
        "app": {"initial": 4, "workers": 4, "cores": 4, "queue": 64, **(app or {})},
        "proxy": {"upstream_timeout": "5s", **(proxy or {})},
        **(more or {}),
    }


def fault(type_: str, at: str, length: str = "", server: int = 0, name: str = "", **more: Any) -> Document:
    """A fault, of one server if it has a number."""
    found: Document = {"name": name or type_.replace("_", "-"), "type": type_, "at": at, **more}
    if length:
        found["for"] = length
    if server:
        found["target"] = {"role": "app", "address": f"http://10.0.0.{server}"}
    return found


def evidence_of(document: Document, seed: int = 1) -> Evidence:
    """A rehearsal on the twins."""
    return Evidence.of(run(document, seed), plan(document, seed).fleet)


def hints_of(document: Document, seed: int = 1) -> tuple[Hint, ...]:
    """What the rules say of it."""
    return hints(evidence_of(document, seed))


def the(kind: str, found: tuple[Hint, ...]) -> Hint:
    """The one hint of this kind."""
    mine = [hint for hint in found if hint.kind == kind]
    assert len(mine) == 1, [hint.text for hint in found]
    return mine[0]


def kinds(found: tuple[Hint, ...]) -> set[str]:
    """Which rules spoke."""
    return {hint.kind for hint in found}
