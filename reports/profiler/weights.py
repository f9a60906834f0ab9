"""How much of a fleet's capacity suspects and absences take away, in servers. Times are ns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...core.model import SECOND
from .absences import DISMISSED, DRAINING, FOREVER, FORGETTERS, Absence, covering, latest
from .case import Case
from .origins import LOAD, SCALING, Origin
from .suspects import SERVER_SIDE, Suspect

UNLISTERS = ("zombie", "stale_listing", "registry_flush", "registry_restart", "registry_down", "disk_full", "registry_slow", "partition", "stale_registry", "spot_interruption", "second_autoscaler")  # fmt: skip
"""What keeps a server that works out of the proxy's table, or out of the lists."""
BREAKERS = (
    "kill", "crash_loop", "pause", "partition", "timeout", "reset", "limit_data", "error", "dependency_down", "latency", "loss", "bandwidth", "slicer", "slow", "cpu_hog",
    "dependency_slow", "cache_flush", "deploy", "memory_leak", "memory_pressure",
)  # fmt: skip
"""What makes a proxy take a server for unhealthy."""


@dataclass(frozen=True, slots=True)
class Loss:
    """*servers* (a number, not whole) less from *start* to *end*, because of *root*; *server*: whose capacity it is, 0: of all."""

    root: Origin
    server: int
    servers: float
    start: int
    end: int
    told: str


def judged_absences(case: Case) -> list[Absence]:
    """Absences that follow from what the proxy judged or did not hear: unhealthy and ejected servers, and those that got nothing although they should have."""
    return [*_judged(case), *_unasked(case), *_forgotten(case)]


def _judged(case: Case) -> Iterator[Absence]:
    open_: dict[int, tuple[int, int]] = {}
    for event in case.evidence.events:
        name, server, time = event["event"], event.get("server"), int(event["t"])
        if not isinstance(server, int):
            continue
        if name in ("unhealthy", "ejected"):
            open_[server] = (time, int(event.get("until", FOREVER)))
        elif name in ("healthy", "unejected", "terminated", "registered") and server in open_:
            start, _ = open_.pop(server)
            yield _judgement(case, server, start, time)
    for server, (start, until) in open_.items():
        yield _judgement(case, server, start, until)


def _judgement(case: Case, server: int, start: int, end: int) -> Absence:
    root: Origin | None = None
    dead = [
        one for one in covering(case.absences, start - 10 * SECOND, start, server) if one.root is not None
    ]
    if dead:
        root = dead[-1].root
    else:
        rows = case.failed
        near = (rows.server == server) & (rows.end <= start) & (rows.end >= start - 10 * SECOND) & ~case.open
        if near.any():
            places, counts = np.unique(case.origin_of[near], return_counts=True)
            root = case.origins[int(places[np.argmax(counts)])]
        else:
            able = [one for one in case.suspects if can_be_felt(case, one)]
            found = latest(able, BREAKERS, start - 5 * SECOND, start, server)
            root = found.origin if found else None
    told = f"the proxy took server {server} out at {start / SECOND:.1f} s"
    return Absence(server, start, end, "unhealthy", root, told, dead=False)


def _unasked(case: Case) -> Iterator[Absence]:
    for server, start, end in case.capacity.idle:
        if any(True for _ in covering(case.absences, start, end, server)):
            continue
        found = latest(case.suspects, UNLISTERS, start - 3 * SECOND, start + SECOND, 0)
        if found is not None and (found.type != "zombie" or found.on(server)):
            told = f"server {server} worked and got nothing from {start / SECOND:.0f} s on"
            yield Absence(server, start, end, "not asked", found.origin, told, dead=False)


def _forgotten(case: Case) -> Iterator[Absence]:
    """A registry that was emptied: servers of that time are gone from the proxy's table."""
    for one in case.suspects:
        if one.type not in FORGETTERS:
            continue
        emptied = one.end if one.type == "registry_restart" else one.start
        yield Absence(-1, emptied, FOREVER, "forgotten", one.origin, f"the registry was emptied at {emptied / SECOND:.1f} s", dead=False)  # fmt: skip


def losses(case: Case) -> list[Loss]:
    """What took capacity away, over the whole run."""
    found = [loss for one in case.suspects for loss in _of_suspect(case, one)]
    for absence in case.absences:
        # One that was drained is missed since then, not since it ended.
        if (
            absence.server > 0
            and absence.root is not None
            and absence.root.kind != LOAD
            and absence.how not in DISMISSED
        ):
            end = _made_good(case, absence)
            if end > absence.start:
                found.append(Loss(absence.root, absence.server, 1.0, absence.start, end, absence.told))
    return found


def _made_good(case: Case, absence: Absence) -> int:
    """When an absence is no loss any more: the server is back, or another has come in its place; one that a decision ended is missed only while the demand is no greater than it was then."""
    first = min(max(absence.start // SECOND, 0), case.capacity.seconds - 1)
    asked, listed = case.capacity.asked, case.capacity.listed
    later = np.arange(first, case.capacity.seconds)
    if absence.root is not None and absence.root.kind == SCALING:
        ready = any(life.server == absence.server and life.ready >= 0 for life in case.evidence.lives)
        over = later[asked[first:] > 1.1 * max(float(asked[first]), 0.01)]
        if not ready:
            return absence.start
    elif absence.end >= FOREVER and (absence.dead or absence.how == DRAINING):
        over = later[1:][listed[first + 1 :] >= listed[max(first - 1, 0)]]
        over = over[over > first + 1]
    else:
        over = later[:0]
    return min(absence.end, int(over[0]) * SECOND if len(over) else FOREVER)


def _of_suspect(case: Case, one: Suspect) -> Iterator[Loss]:
    share = _lost_share(case, one) if can_be_felt(case, one) else 0.0
    if share <= 0:
        return
    if one.type.startswith(("dependency", "cache")):
        # An emptied cache fills again with what is asked.
        end = one.end if one.type != "cache_flush" else one.start + 10 * SECOND
        yield Loss(one.origin, 0, share * float(case.capacity.listed.max(initial=1)), one.start, end, one.origin.text)  # fmt: skip
    elif one.everywhere:
        for server in range(1, 1 + int(case.evidence.metrics["server"].max(initial=0))):
            yield Loss(one.origin, server, share, one.start, one.end, one.origin.text)
    else:
        for server, start, end in one.hits:
            yield Loss(one.origin, server, share, start, end, one.origin.text)


def _lost_share(case: Case, one: Suspect) -> float:
    """Of one server that it hits (of a dependency: of all of them)."""
    if one.slowdown > 1:
        return 1 - 1 / one.slowdown
    match one.type:
        case "pause":
            return 1.0
        case "partition" | "timeout" | "reset" | "loss" | "limit_data" | "bandwidth" | "slicer" | "latency":
            # As far as it keeps requests at the server from ending: what the server does for nobody.
            return _hurt(case, one) if one.link == SERVER_SIDE else 0.0
        case "error":
            return 0.0
        case "dependency_slow":
            longer = case.capacity.held_by_calls * (one.number("factor", 2.0) - 1)
            return longer / (1 + longer)
        case "cache_flush":
            longer = case.capacity.held_by_calls_uncached
            return longer / (1 + longer)
        case _:
            return 0.0


def _hurt(case: Case, one: Suspect) -> float:
    """How surely a bad link failed what was sent over it: by the failures that are its own for certain, twenty of which are enough."""
    if one.origin not in case.origins:
        return 0.0
    return min(1.0, int((case.origin_of == case.origins.index(one.origin)).sum()) / 20)


def can_be_felt(case: Case, one: Suspect) -> bool:
    """Whether a fault or deploy does enough to fail a request: a fraction of a millisecond of latency does not."""
    if one.type in ("slow", "cpu_hog", "deploy"):
        return one.slowdown >= 1.2
    if one.type == "dependency_slow":
        return one.number("factor", 2.0) >= 1.2
    if one.type == "latency":
        patience = [source.client.timeout for source in case.fleet.sources if source.client.timeout > 0]
        patience += [case.fleet.proxy.upstream_timeout] if case.fleet.proxy.upstream_timeout > 0 else []
        return 4 * (one.number("latency", SECOND) + one.number("jitter", 0)) >= min(patience, default=0) / 4
    return True
