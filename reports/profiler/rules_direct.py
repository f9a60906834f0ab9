"""Rules for failures whose cause the record shows at the place where they failed. Each is a function over a case, named in docs/profiler.md; the first that claims a failure has it."""

import numpy as np

from ...core.model import NONE, SECOND
from ...core.outcomes import Outcome
from ..stations import ANSWER, CONNECTION, CPU, PROXY, QUEUE, UPSTREAM, WAITS
from ..wording import moment, servers
from .absences import DISMISSED, STALE_TABLES, Absence, latest
from .case import Case
from .failed import CPU_DONE, WAITED, failed
from .origins import CERTAIN, LIKELY
from .suspects import CLIENT_SIDE, REACTION, SERVER_SIDE, Suspect
from .weights import can_be_felt

UNBOUNDED = 1 << 62
REFILL = 10 * SECOND
CLOSERS = ("reset", "timeout", "limit_data")


def server_was_gone(case: Case) -> None:
    """A reset or a failed connection at a server that died, or was ended or replaced, just then or before: what it died of."""
    rows = case.failed
    hit = np.isin(rows.outcome, (Outcome.UPSTREAM_RESET, Outcome.CONNECT_FAILED)) | (
        np.isin(rows.outcome, WAITED) & ~rows.reached[CPU_DONE]
    )
    slack = case.fleet.refresh_interval + REACTION
    for absence in case.absences:
        if not absence.server or not absence.dead:
            continue
        here = case.open & hit & (rows.server == absence.server)
        here &= (rows.end >= absence.start) & (rows.begin <= absence.end)
        if not here.any():
            continue
        stale = _stale(case, absence)
        if stale is not None:
            # Without it the proxy had heard of the drain, by which the server left the lists, one refresh later.
            late = here & (rows.begin > case.chronicle.drained_at(absence.server, absence.start) + slack)
            case.claim(late, stale.origin, "stale table", CERTAIN, f"{absence.told}, and the proxy went on sending to it while {stale.origin.text}")  # fmt: skip
        if absence.root is not None:
            case.claim(here, absence.root, "server was gone", CERTAIN, absence.told)


def _stale(case: Case, absence: Absence) -> Suspect | None:
    """What kept the proxy from hearing that a server that was drained had left."""
    if absence.how not in DISMISSED:
        return None
    found = [one for one in case.suspects if one.word("reader", "both") != "autoscaler"]
    found = [one for one in found if one.type != "partition" or one.role == "proxy"]
    return latest(found, STALE_TABLES, absence.start - 3 * SECOND, absence.start + 3 * SECOND)


def proxy_was_down(case: Case) -> None:
    """A refused connection, or one that waited, while the proxy was down: what ended it."""
    rows = case.failed
    hit = np.isin(rows.outcome, (Outcome.REFUSED, Outcome.UPSTREAM_RESET)) | (
        np.isin(rows.outcome, WAITED) & (rows.station == CONNECTION)
    )
    for absence in case.absences:
        if absence.server == 0 and absence.root is not None:
            here = hit & (rows.end >= absence.start) & (rows.begin <= absence.end)
            case.claim(here, absence.root, "proxy was down", CERTAIN, absence.told)


def link_closed(case: Case) -> None:
    """A connection that broke although both ends were up, while a fault that closes connections was on that link."""
    rows = case.failed
    for one in case.suspects:
        if one.type not in CLOSERS or not one.link:
            continue
        outcome = Outcome.REFUSED if one.link == CLIENT_SIDE else Outcome.UPSTREAM_RESET
        here = case.open & (rows.outcome == outcome)
        for place in np.flatnonzero(here).tolist() if not one.everywhere and one.link == SERVER_SIDE else ():
            here[place] = one.on(int(rows.server[place])) or rows.tries[place] > 1
        here &= (rows.end >= one.start) & (rows.begin <= one.end + REACTION // 10)
        case.claim(here, one.origin, "link closed", CERTAIN, f"connections broke while both ends were up; {one.origin.text}")  # fmt: skip


def server_answered_wrong(case: Case) -> None:
    """An error of the application: from a server with a fault that makes errors, from a version that makes more of them than others do, or after a call that failed."""
    rows = case.failed
    hit = rows.outcome == Outcome.APP_ERROR
    for one in case.suspects:
        if one.type == "error":
            status = one.number("status", 0)
            here = hit & case.open & ~rows.worked & (not status or rows.status == int(status))
            case.claim(_here(case, here, one), one.origin, "server answered wrong", CERTAIN, f"answered without any work; {one.origin.text}")  # fmt: skip
        elif one.type == "deploy":
            here = _here(case, hit & case.open & ~rows.worked, one)
            if here.any() and (told := _worse(case, one, here)):
                case.claim(here, one.origin, "version answered wrong", LIKELY, told)
    called = np.array([bool(endpoint.calls) for endpoint in case.fleet.endpoints] or [False])[rows.endpoint]
    for one in case.suspects:
        if one.type not in ("dependency_down", "dependency_slow", "cache_flush") or not can_be_felt(
            case, one
        ):
            continue
        here = hit & case.open & called & rows.reached[CPU_DONE] & _calls(case, one)
        # An emptied cache fills again with what is asked.
        here &= (rows.since <= one.end + (REFILL if one.type == "cache_flush" else 0)) & (
            rows.until >= one.start
        )
        if one.type != "dependency_down":
            second = (rows.begin // SECOND).clip(0, case.capacity.seconds - 1)
            here &= case.capacity.asked_of_dependencies[second] < 1
        first = np.flatnonzero(here)[:1]
        if len(first) and not case.came_before(one, int(first[0])):
            sure = CERTAIN if one.type == "dependency_down" else LIKELY
            case.claim(here, one.origin, "call failed", sure, f"a call failed; {one.origin.text}")


def _calls(case: Case, one: Suspect) -> np.ndarray:
    """Which failures' endpoints call the dependency that the fault hits."""
    number = one.spec.dependency if one.spec else NONE
    calls = np.array([not endpoint.calls or number < 0 or number in endpoint.calls for endpoint in case.fleet.endpoints] or [True])  # fmt: skip
    found: np.ndarray = calls[case.failed.endpoint]
    return found


def _here(case: Case, rows: np.ndarray, one: Suspect, slack: int = 0) -> np.ndarray:
    """Of *rows* (a mask) those at a server on which the suspect was in force meanwhile."""
    found = np.zeros_like(rows)
    failed = case.failed
    for server in np.unique(failed.server[rows]).tolist():
        for start, end in one.spans(server):
            found |= rows & (failed.server == server) & (failed.end >= start) & (failed.begin <= end + slack)
    return found


def _worse(case: Case, one: Suspect, here: np.ndarray) -> str:
    """How much more often servers of the deploy's version failed than the others did meanwhile; empty if they did not."""
    first, last = int(case.failed.begin[here].min()), int(case.failed.end[here].max())
    outcome = case.evidence.requests["outcome"]
    time, server = case.evidence.requests["time_ns"], case.evidence.requests["server"]
    meanwhile = (time >= first) & (time <= last) & (server > 0)
    its = meanwhile & np.isin(server, sorted({number for number, _, _ in one.hits}))
    others = meanwhile & ~np.isin(server, sorted({number for number, _, _ in one.hits}))
    bad = outcome == Outcome.APP_ERROR
    rate = bad[its].mean() if its.any() else 0.0
    if others.any() and bad[others].mean() * 2 > rate:
        return ""
    beside = f"{bad[others].mean():.2%} on the others" if others.any() else "with no other version beside it"
    return f"{rate:.2%} of the requests failed on servers with its version, {beside}; {one.origin.text}"


def station_was_slow(case: Case) -> None:
    """A request that took too long where a fault makes things take long, on that server or link, at that time; the fault must be able to cost a quarter of that time."""
    rows = case.failed
    waiting = np.isin(rows.outcome, WAITED)
    able = [(one, _reach(one)) for one in case.suspects]
    strong = sorted(((one, reach) for one, reach in able if reach), key=lambda pair: (-_potential(case, pair[0]), -pair[0].start))  # fmt: skip
    for one, stations in strong:
        here = waiting & case.open & np.isin(rows.station, stations)
        here &= (rows.until >= one.start) & (rows.since <= one.end)
        if one.role in ("app", "canary", "standby") or one.type == "deploy":
            retried = (rows.station == UPSTREAM) & (rows.tries > 1)
            here = (here & retried) | _here(case, here, one)
        if one.type.startswith(("dependency", "cache")):
            here &= _calls(case, one)
        here &= _potential(case, one) >= (rows.until - rows.since) // 4
        first = np.flatnonzero(here)[:1]
        if len(first) and not case.came_before(one, int(first[0])):
            where = servers([target for target in one.origin.targets if isinstance(target, int)]) if one.hits else one.role  # fmt: skip
            case.claim(here, one.origin, "station was slow", LIKELY, f"time was lost at {where or 'what it hits'} from {moment(one.start)} on; {one.origin.text}")  # fmt: skip


def came_in_a_burst(case: Case) -> None:
    """A request for which there was no room when it came, after it had been held up on its way for a quarter of a second or longer by a fault at that place, with many others."""
    rows = case.failed
    held = rows.longest_until - rows.longest_since
    turned = np.isin(rows.outcome, (Outcome.QUEUE_FULL, Outcome.SHED)) & (held >= SECOND // 4)
    # What is held up may wait behind what was held up before it, also when the fault is over.
    since = case.held_since() if turned.any() else rows.longest_since
    for one in case.suspects:
        stations = [station for station in _reach(one) if station in (CONNECTION, PROXY, UPSTREAM)]
        here = turned & case.open & np.isin(rows.longest, stations)
        here &= (rows.longest_until >= one.start) & (since <= one.end + REACTION)
        here &= _potential(case, one) >= held // 4
        if here.any() and can_be_felt(case, one):
            case.claim(here, one.origin, "came in a burst", LIKELY, f"it was held up on its way, and came with all the others; {one.origin.text}")  # fmt: skip


def _reach(one: Suspect) -> tuple[int, ...]:
    """The stations that a suspect makes slow."""
    if one.link == SERVER_SIDE:
        return (UPSTREAM, ANSWER)
    if one.link == CLIENT_SIDE:
        return (CONNECTION, PROXY, ANSWER)
    match one.type:
        case "pause":
            return (UPSTREAM, QUEUE, CPU, WAITS, ANSWER)
        case "slow" | "cpu_hog":
            return (CONNECTION, PROXY) if one.role == "proxy" else (QUEUE, CPU)
        case "deploy":
            return (QUEUE, CPU) if one.slowdown > 1 else ()
        case "dependency_slow" | "dependency_down" | "cache_flush":
            return (WAITS,)
        case _:
            return ()


def _potential(case: Case, one: Suspect) -> int:
    """ns that it can cost one request at most, as far as its settings say."""
    largest = max((endpoint.size for endpoint in case.fleet.endpoints), default=0)
    match one.type:
        case "latency":
            return int(4 * (one.number("latency", SECOND) + one.number("jitter", 0)))
        case "slicer":
            return int(largest / max(one.number("average_size", 1), 1) * one.number("delay", SECOND))
        case "slow" | "cpu_hog" | "deploy":
            return UNBOUNDED if one.slowdown >= 1.2 else 0
        case "dependency_slow":
            return UNBOUNDED if one.number("factor", 2.0) >= 1.2 else 0
        case _:
            return UNBOUNDED


def first_attempt_tells(case: Case) -> None:
    """A request that was tried again, and whose last attempt none of the rules so far explains: the same questions about its first one."""
    if not (case.open & (case.failed.attempts > 1)).any():
        return
    last = case.failed
    case.failed = failed(case.evidence, first=True)
    for rule in RULES:
        rule(case)
    case.failed = last


RULES = (
    server_was_gone,
    proxy_was_down,
    link_closed,
    server_answered_wrong,
    station_was_slow,
    came_in_a_burst,
)
