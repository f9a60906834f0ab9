"""All failures of a run by signature, with their origins."""

from typing import Any

import numpy as np

from ...core.outcomes import NAMES
from ..evidence import Evidence
from ..stations import STATIONS
from ..trace.traces import Versions
from . import rules_direct, rules_fleet
from .case import Case
from .causes import causes
from .grouping import grouped, members
from .origins import Attribution, Span
from .signatures import Diagnosis, Failures, OriginTotal, Signature

RULES = (*rules_direct.RULES, *rules_fleet.RULES)
"""In the order in which they speak."""

EXAMPLES, MOST_EVIDENCE = 5, 3


def diagnose(evidence: Evidence) -> Diagnosis:
    """What failed in a run, and where that comes from."""
    case = Case(evidence)
    if len(case.failed):
        for rule in RULES:
            rule(case)
    requests = len(evidence.requests["request"])
    return Diagnosis(requests, tuple(_groups(case, requests)), *_totals(case, requests))


def _totals(case: Case, requests: int) -> tuple[tuple[OriginTotal, ...], Any, Any]:
    counts = np.bincount(case.origin_of, minlength=len(case.origins))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    totals = []
    for place in order.tolist():
        times = case.failed.end[case.origin_of == place]
        totals.append(OriginTotal(case.origins[place], len(times), len(times) / max(requests, 1), int(times.min()), int(times.max())))  # fmt: skip
    return tuple(totals), case.failed.request, rank[case.origin_of] if len(order) else case.origin_of


def _groups(case: Case, requests: int) -> list[Failures]:
    rows = case.failed
    if not len(rows):
        return []
    cause, where, words = causes(case)
    version, versions = _versions(case)
    unique, group_of = grouped(rows.outcome.astype(np.int64), cause, where, rows.endpoint.astype(np.int64), version)  # fmt: skip
    found = []
    for (outcome, why, place, endpoint, built), here in zip(unique, members(group_of, len(unique)), strict=True):  # fmt: skip
        endpoints = case.fleet.endpoints
        route = endpoints[endpoint].path if 0 <= endpoint < len(endpoints) else ""
        signature = Signature(NAMES[outcome], words[why], words[place], route, versions[built])
        servers, counts = np.unique(rows.server[here], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        found.append(
            Failures(
                signature, len(here), len(here) / max(requests, 1), int(rows.end[here].min()), int(rows.end[here].max()),
                tuple((int(servers[one]), int(counts[one])) for one in order),
                tuple(_attributions(case, here, words, where)),
                tuple(rows.request[here[:EXAMPLES]].tolist()),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (-one.count, one.first, str(one.signature)))


def _versions(case: Case) -> tuple[Any, list[str]]:
    """A number for each failure's server version, and what the numbers stand for."""
    known = [""]
    found = np.zeros(len(case.failed), dtype=np.int64)
    if not case.fleet.versions:
        return found, known
    of = Versions(case.evidence.events)
    for row, (server, time) in enumerate(zip(case.failed.server.tolist(), case.failed.begin.tolist(), strict=True)):  # fmt: skip
        name = of(server, time) if server else ""
        if name not in known:
            known.append(name)
        found[row] = known.index(name)
    return found, known


def _attributions(case: Case, here: Any, words: list[str], where: Any) -> list[Attribution]:
    unique, group_of = grouped(case.origin_of[here], case.rule_of[here])
    found = []
    for (origin, rule), inside in zip(unique, members(group_of, len(unique)), strict=True):
        rows, count = here[inside], len(inside)
        first = int(rows[np.argmin(case.failed.begin[rows])])
        name, confidence = case.rules[rule]
        times = case.failed.end[rows]
        span = Span(
            int(case.failed.request[first]), int(case.failed.attempts[first]), STATIONS[int(case.failed.station[first])], words[int(where[first])],
            int(case.failed.since[first]), int(case.failed.until[first]),
        )  # fmt: skip
        found.append(
            Attribution(case.origins[origin], name, confidence, _evidence(case, rows), count, int(times.min()), int(times.max()), span)
        )  # fmt: skip
    return sorted(found, key=lambda one: (-one.count, one.first))


def _evidence(case: Case, rows: Any) -> tuple[str, ...]:
    """What most of these failures rest on, most first."""
    told, counts = np.unique(case.told_of[rows], return_counts=True)
    return tuple(
        case.told[place] for place in told[np.argsort(-counts, kind="stable")][:MOST_EVIDENCE].tolist()
    )
