"""Rules for failures that are a matter of the fleet: no server left, no room, not enough servers for what was asked. Each is a function over a case, named in docs/profiler.md.

Their question is the counterfactual one: would the fleet have coped with this demand if what was away or slow had been there and well? Only then is it to blame.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.model import NONE, SECOND
from ...core.outcomes import Outcome
from ..stations import CONNECTION, PROXY
from ..wording import moment, share
from .absences import LOAD_ORIGIN, covering
from .capacity import greatest
from .case import Case
from .failed import WAITED
from .grouping import grouped, members
from .hindrances import hindered, unanswered
from .origins import LIKELY, LOAD, POSSIBLE, SCALING, UNKNOWN, Origin
from .rules_direct import first_attempt_tells
from .weights import Loss, judged_absences, losses

FULL = 0.97
"""From this utilisation on a fleet does not cope, whatever else happens."""
TIGHT = 0.7
"""Below this utilisation nobody has to wait."""
_MOST_OF_IT = 0.5
"""A server that lost this share of itself turns requests away for that, also in a fleet that does not cope."""
SLACK = SECOND
_ROUNDS = 4
"""A failure that ejects a server fails others, which eject servers: so often this is followed."""
SCALED_TO_NOTHING = Origin(SCALING, "no server kept", "", 0, -1, (), "the autoscaler kept no server while nothing was asked")  # fmt: skip
FLOOD = Origin(LOAD, "connections", "", 0, -1, (), "more connections were held than the proxy has room for")
NOBODY = Origin(UNKNOWN, UNKNOWN, "", 0, -1, (), "nothing that the run records")


def no_server_left(case: Case) -> None:
    """The proxy knew no server: whatever took the last one away."""
    case.judge(judged_absences(case))
    rows = np.flatnonzero(case.open & (case.failed.outcome == Outcome.NO_SERVER))
    if not len(rows):
        return
    routed = case.evidence.attempts("routed_ns")
    arrived = case.evidence.attempts("arrived_ns")
    served = np.sort(routed[(routed >= 0) & (arrived >= 0)])
    began = case.failed.begin[rows]
    place = np.searchsorted(served, began, "left") - 1
    since = np.where(place >= 0, served[place.clip(0)] if len(served) else 0, 0)
    slack = 2 * case.fleet.refresh_interval + SLACK
    for stretch in np.unique(since).tolist():
        here = rows[since == stretch]
        first = int(case.failed.begin[here].min())
        able = [
            one for one in case.absences if one.root is not None and _last_straw(one, stretch, first, slack)
        ]
        if not able and _kept_none(case, first):
            case.claim(here, SCALED_TO_NOTHING, "no server left", LIKELY, f"nothing served when the first request came at {moment(first)}")  # fmt: skip
        elif able:
            straw = max(able, key=lambda one: (min(one.start, first), one.server == 0))
            told = f"{straw.told}, and after {moment(first)} there was none"
            assert straw.root is not None
            case.claim(here, straw.root, "no server left", LIKELY, told)


def _kept_none(case: Case, time: int) -> bool:
    """Whether an autoscaler had no server at all then."""
    return case.fleet.autoscaler is not None and bool(case.capacity.listed[min(time // SECOND, case.capacity.seconds - 1)] == 0)  # fmt: skip


def _last_straw(one: Any, stretch: int, first: int, slack: int) -> bool:
    """Whether an absence may have left the proxy without servers from *first* on, after it had one at *stretch*. A proxy that has come back knows none."""
    if one.server == 0:
        return bool(one.start <= first and one.end >= stretch - SLACK)
    return bool(one.start <= first and one.end >= min(stretch + SLACK, first) - slack)


def connections_ran_out(case: Case) -> None:
    """Connections refused, closed, or kept waiting by a proxy that is up, or that found no descriptor: a fault that took descriptors, or made connections stay."""
    rows = case.failed
    hit = case.open & _without_room(case)
    for one in case.suspects:
        if one.type == "descriptor_limit" and _bites(case, one.number("limit", 0)):
            tail = SECOND
        elif one.type == "slow_close":
            tail = int(one.number("delay", SECOND)) + SECOND
        else:
            continue
        here = np.flatnonzero(hit & (rows.end >= one.start) & (rows.begin <= one.end + tail))
        if len(here) and not case.came_before(one, int(here[0])):
            case.claim(here, one.origin, "connections ran out", LIKELY, f"descriptors were short; {one.origin.text}")  # fmt: skip


def more_connections_were_held(case: Case) -> None:
    """As the rule before, without such a fault: in that second the proxy had used up nine tenths of its descriptors or of its memory."""
    proxy = case.fleet.proxy
    rows = np.flatnonzero(case.open & _without_room(case))
    if not len(rows):
        return
    metrics = case.evidence.metrics
    of_proxy = np.flatnonzero(metrics["server"] == 0)
    if not len(of_proxy):
        return
    full = np.zeros(case.capacity.seconds + 2, dtype=bool)
    second = (metrics["time_ns"][of_proxy] // SECOND).clip(0, case.capacity.seconds)
    for used, limit in ((metrics["descriptors"][of_proxy], proxy.max_connections), (metrics["memory"][of_proxy], proxy.memory.total)):  # fmt: skip
        if limit > 0:
            full[second[used >= 0.9 * limit]] = True
    at, since = ((times[rows] // SECOND).clip(0, case.capacity.seconds) for times in (case.failed.end, case.failed.since))  # fmt: skip
    held = sum(1 for source in case.fleet.sources if not source.ordinary)
    told = "the proxy had no room for another connection" + (f"; {held} of the sources hold theirs without reading" if held else "")  # fmt: skip
    # A row of the metrics tells of the end of its second.
    case.claim(rows[full[at] | full[at + 1] | full[since + 1]], FLOOD, "connections were held", LIKELY, told)


def _without_room(case: Case) -> Any:
    rows = case.failed
    return np.isin(rows.outcome, (Outcome.REFUSED, Outcome.EVICTED, Outcome.CONNECT_FAILED)) | (
        np.isin(rows.outcome, WAITED) & np.isin(rows.station, (CONNECTION, PROXY))
    )


def _bites(case: Case, limit: float) -> bool:
    usual = case.fleet.proxy.max_connections
    return usual == NONE or limit < usual


def capacity_was_lost(case: Case) -> None:
    """No room, or too long a wait for it, in a stretch without rest at that station in which capacity was lost: the fleet would have coped with the demand had nothing been lost. What took most of it."""
    rows = np.flatnonzero(case.open & _crowded(case))
    if not len(rows):
        return
    lost = losses(case)
    since = case.busy_since(rows)
    failed, capacity = case.failed, case.capacity
    until = failed.end[rows]
    unique, where = grouped(failed.server[rows].astype(np.int64), since // SECOND, until // SECOND)
    for (server, low, high), inside in zip(unique, members(where, len(unique)), strict=True):
        here = rows[inside]
        start, end = low * SECOND, (high + 1) * SECOND
        able = [one for one in lost if one.start <= end and one.end >= start - SLACK]
        if not able:
            continue
        best, amount = _most(able, server)
        asked = greatest(capacity.asked, max(start, end - 10 * SECOND), end)
        there = float(np.min(capacity.listed[min(low, len(capacity.listed) - 1) : high + 1], initial=1 << 30))
        away = sum(one.servers for one in {loss.server: loss for loss in able if not _listed(case, loss, end)}.values())  # fmt: skip
        whole = max(there + away, 1.0)
        own = sum(_during(one, start, end) for one in able if one.server == server and one.root == best.root)
        if asked / whole >= FULL and own < _MOST_OF_IT:
            continue
        told = f"the demand of {asked:.1f} servers would have kept {whole:.0f} busy to {share(asked / whole)}; {best.told}"
        if asked / max(whole - amount, 0.01) >= TIGHT or (
            own and asked / whole / max(1 - own, 0.01) >= TIGHT
        ):
            case.claim(here, best.root, "capacity was lost", LIKELY, told)


def _during(one: Loss, start: int, end: int) -> float:
    """What of its server a loss took on average from *start* to *end*."""
    return one.servers * max(min(one.end, end) - max(one.start, start), 0) / (end - start)


def _listed(case: Case, loss: Loss, end: int) -> bool:
    """Whether the server that the loss is of still counts among those that should get requests."""
    away = [one for one in covering(case.absences, loss.start, end, loss.server) if one.dead]
    return loss.server == 0 or not away


def _most(able: list[Loss], server: int) -> tuple[Loss, float]:
    """The loss whose root took most, on the failure's own server first; and how much that root took."""
    took: dict[Origin, dict[int, float]] = {}
    for one in able:
        mine = took.setdefault(one.root, {})
        mine[one.server] = max(mine.get(one.server, 0.0), one.servers)
    own = [one for one in able if one.server == server and one.servers >= 0.3]
    among = own or able
    best = max(among, key=lambda one: (sum(took[one.root].values()), one.start))
    return best, sum(took[best.root].values())


def _crowded(case: Case) -> Any:
    rows = case.failed
    turned = np.isin(rows.outcome, (Outcome.QUEUE_FULL, Outcome.SHED, Outcome.EVICTED, Outcome.REFUSED, Outcome.APP_ERROR, Outcome.CONNECT_FAILED))  # fmt: skip
    waited = np.isin(rows.outcome, WAITED)
    return turned | waited


def scale_out_was_hindered(case: Case) -> None:
    """Too much was asked of the servers that were there, and more would have been but for a fault that kept the autoscaler or the cloud from it, since one boot ago or longer."""
    rows = np.flatnonzero(case.open & _crowded(case))
    if not len(rows) or case.fleet.autoscaler is None:
        return
    capacity = case.capacity
    begun, since = case.failed.begin[rows], case.busy_since(rows)
    for one in hindered(case):
        # What is still queueing when the fleet has caught up began before.
        here = rows[(begun >= one.relief) & (since <= one.until)]
        if len(here):
            case.claim(here, one.root, "scale-out was hindered", LIKELY, one.told)
    rows = rows[case.origin_of[rows] < 0]
    second = (case.failed.begin[rows] // SECOND).clip(0, capacity.seconds - 1)
    for one in unanswered(case):
        here = rows[(second * SECOND >= one.relief) & (second * SECOND <= one.until)]
        if len(here):
            case.claim(here, one.root, "scale-out came late", POSSIBLE, one.told)


def ejections_followed(case: Case) -> None:
    """As before, with the servers that the proxy took out because of failures that have their origin by now: these have it, too."""
    for _ in range(_ROUNDS):
        before = int(case.open.sum())
        case.judge(judged_absences(case))
        capacity_was_lost(case)
        if int(case.open.sum()) == before:
            return


def more_was_asked(case: Case) -> None:
    """Nothing was lost, and the demand alone was more than the servers, the dependency or the proxy could do, at the time or since their last rest."""
    rows = np.flatnonzero(case.open & _crowded(case))
    if not len(rows):
        return
    capacity = case.capacity
    load = np.maximum(capacity.asked / np.maximum(capacity.listed, 1), np.maximum(capacity.asked_of_dependencies, capacity.asked_of_proxy))  # fmt: skip
    since = case.busy_since(rows)
    unique, where = grouped(since // SECOND, case.failed.end[rows] // SECOND)
    for (low, high), inside in zip(unique, members(where, len(unique)), strict=True):
        most = greatest(load, max(low - 1, 0) * SECOND, high * SECOND)
        if most >= TIGHT:
            case.claim(rows[inside], LOAD_ORIGIN, "more was asked", LIKELY, f"the demand alone kept what was there busy to {share(min(most, 99.0))}")  # fmt: skip


def followed(case: Case) -> None:
    """Nothing above explains it, but such failures (outcome and station) came since a fault or deploy began that failed others for certain or took servers away, and hardly before; it outlasts the fault while the station finds no rest."""
    rows = np.flatnonzero(case.open & (case.failed.outcome != Outcome.BAD_REQUEST))
    if not len(rows):
        return
    since = case.busy_since(rows)
    known = {case.origins[place] for place in np.unique(case.origin_of[~case.open]).tolist()}
    known |= {one.root for one in case.absences if one.root is not None}
    for one in sorted(case.suspects, key=lambda one: (-one.start, one.place)):
        if one.origin not in known:
            continue
        over = max(one.end, _last_claim(case, one.origin)) + 2 * SECOND
        here = rows[(case.failed.end[rows] >= one.start) & (since <= over) & case.open[rows]]
        for row, group in _kinds(case, here):
            if not case.came_before(one, row):
                case.claim(group, one.origin, "followed", POSSIBLE, f"such failures came since then and hardly before; {one.origin.text}")  # fmt: skip


def _last_claim(case: Case, origin: Origin) -> int:
    """When the last request failed that goes back to *origin* for certain, or likely."""
    if origin not in case.origins:
        return -1
    place = case.origins.index(origin)
    strong = [number for number, (_, confidence) in enumerate(case.rules) if confidence != POSSIBLE]
    its = (case.origin_of == place) & np.isin(case.rule_of, strong)
    return int(case.failed.end[its].max(initial=-1))


def _kinds(case: Case, rows: Any) -> Iterator[tuple[int, Any]]:
    for kind in np.unique(case.kinds[rows]).tolist():
        group = rows[case.kinds[rows] == kind]
        yield int(group[0]), group


def the_rest(case: Case) -> None:
    """What nothing explains; a request that the proxy does not accept is its sender's own."""
    rows = case.open & (case.failed.outcome == Outcome.BAD_REQUEST)
    case.claim(rows, LOAD_ORIGIN, "more was asked", LIKELY, "the request itself was bad")
    case.claim(case.open, NOBODY, "nothing explains it", POSSIBLE, "no fault, deploy, scaling decision or demand in the record explains it")  # fmt: skip


RULES = (no_server_left, connections_ran_out, capacity_was_lost, scale_out_was_hindered, ejections_followed, first_attempt_tells, more_connections_were_held, more_was_asked, followed, the_rest)  # fmt: skip
