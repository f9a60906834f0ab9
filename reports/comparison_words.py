"""A comparison in words and as plain data: what the terminal, the page and JSON show of it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from ..core.confidence import Interval
from ..core.tolerance import NO_TOLERANCE, OUTSIDE, WITHIN, Tolerance
from .comparison import Comparison, Figure
from .deploy_pairs import Course
from .pairing import Decision
from .wording import moment, plural

HEADER = ("figure", "A", "B", "B - A, 95% interval", "tolerance", "verdict")

_SCALES = {
    "1/s": (1.0, "/s", 2),
    "ns": (1e6, " ms", 2),
    "1": (0.01, "%", 3),
    "servers": (1.0, "", 3),
    "h": (1.0, " h", 4),
    "s": (1.0, " s", 1),
}
_BY_DIFFERENCE = ("1", "servers", "s")
"""Units whose differences are told as they are; of the others they are told in parts of the first run's value."""

_KINDS = {"launch": "launches", "promote": "promotions", "drain": "drains", "terminate": "terminations"}


def value(unit: str, number: float | None, sign: str = "") -> str:
    """A figure, or a difference of two (*sign* is then ``+``)."""
    if number is None:
        return "no data"
    scale, word, digits = _SCALES[unit]
    return f"{number / scale:{sign},.{digits}f}{word}"


def difference(figure: Figure) -> str:
    """``+1.20% +/- 0.50%``: in parts of the first run's value, in points of a share, in servers."""
    if figure.difference is None:
        return "no data"
    if figure.relative is None or figure.unit in _BY_DIFFERENCE:
        if figure.unit == "1":
            return _interval(figure.difference, lambda n, sign: f"{n * 100:{sign},.2f}") + " points"
        return _interval(figure.difference, lambda n, sign: value(figure.unit, n, sign))
    return _interval(figure.relative, lambda n, sign: f"{n * 100:{sign},.2f}%")


def _interval(interval: Interval, spell: Any) -> str:
    half = f" +/- {spell(interval.half, '')}" if math.isfinite(interval.half) else ""
    # No difference has no sign.
    return str(spell(interval.mean + 0.0, "+" if interval.mean else "")) + half


def tolerance(figure: Figure) -> str:
    """``15%``, ``1 point``, ``0.5``, or nothing."""
    allowed: Tolerance | None = figure.tolerance
    if allowed is None:
        return ""
    if allowed.relative:
        return f"{allowed.limit * 100:g}%"
    scale, word, _ = _SCALES[figure.unit]
    number = f"{allowed.limit / scale:g}"
    if figure.unit == "1":
        return f"{number} {'point' if number == '1' else 'points'}"
    return number + word


def verdict(figure: Figure) -> str:
    """``within``, ``outside``, with a word if the interval says that it may be otherwise."""
    if figure.verdict not in (WITHIN, OUTSIDE):
        return "" if figure.verdict == NO_TOLERANCE else figure.verdict
    return figure.verdict if figure.sure else f"{figure.verdict}, uncertain"


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row per figure under HEADER, the ends of deploys and the decisions last."""
    found: list[tuple[str, ...]] = [
        (
            figure.name.replace("_", " "), value(figure.unit, figure.first), value(figure.unit, figure.second),
            difference(figure), tolerance(figure), verdict(figure),
        )
        for figure in comparison.figures
    ]  # fmt: skip
    if comparison.deploys:
        alike = sum(pair.agrees for pair in comparison.deploys)
        ends = (
            _ends([pair.first for pair in comparison.deploys]),
            _ends([pair.second for pair in comparison.deploys]),
        )
        found.append(
            (
                "deploys",
                *ends,
                f"{alike:,} of {len(comparison.deploys):,} alike",
                "all",
                comparison.deploys_verdict,
            )
        )
    decisions = comparison.decisions
    here, there = (len(decisions.pairs) + len(one) for one in (decisions.missing, decisions.surplus))
    apart = f"{len(decisions.missing):,} missing, {len(decisions.surplus):,} surplus"
    allowed = "" if comparison.ticks is None else plural(int(comparison.ticks), "tick")
    told = "" if comparison.decisions_verdict == NO_TOLERANCE else comparison.decisions_verdict
    found.append(("decisions", f"{here:,}", f"{there:,}", apart, allowed, told))
    return found


def _ends(courses: Sequence[Course]) -> str:
    """``1 promoted, 1 rolled back``."""
    counts = Counter(course.end.replace("_", " ") for course in courses)
    return ", ".join(f"{count:,} {end}" for end, count in sorted(counts.items()))


def deploy_lines(comparison: Comparison) -> list[str]:
    """Deploys that did not end alike, one sentence each."""
    return [
        f"{pair.name}: {pair.first.end.replace('_', ' ')} in A, {pair.second.end.replace('_', ' ')} in B"
        for pair in comparison.deploys
        if not pair.agrees
    ]


def decision_lines(comparison: Comparison) -> list[str]:
    """What is not alike in the two sequences of decisions, one sentence per moment and kind."""
    allowed = comparison.ticks if comparison.ticks is not None else 0
    found = [
        (time, f"{moment(time)}: {_some(kind, count)} only in {name}")
        for name, alone in (("A", comparison.decisions.missing), ("B", comparison.decisions.surplus))
        for (time, kind), count in _counted(alone)
    ]
    off = [pair for pair in comparison.decisions.pairs if abs(pair.ticks) > allowed]
    for (time, kind, ticks), same in groupby(
        off, lambda pair: (pair.first.time, pair.first.kind, pair.ticks)
    ):
        when = f"{plural(abs(ticks), 'tick')} {'later' if ticks > 0 else 'earlier'} in B"
        found.append((time, f"{moment(time)}: {_some(kind, len(list(same)))} {when}"))
    lines = [line for _, line in sorted(found)]
    if comparison.decisions.reordered:
        lines.append(f"{plural(comparison.decisions.reordered, 'decision')} in another order in B than in A")
    return lines


def _counted(alone: Sequence[Decision]) -> list[tuple[tuple[int, str], int]]:
    ordered = sorted((one.time, one.kind) for one in alone)
    return [(key, len(list(same))) for key, same in groupby(ordered)]


def _some(kind: str, count: int) -> str:
    return plural(count, kind, _KINDS[kind])


def sizes_line(comparison: Comparison) -> str:
    """How far the fleets lay apart over time."""
    sizes = comparison.sizes
    apart, when = sizes.furthest
    if not apart:
        return "the same number of servers serving in every second" if len(sizes.seconds) else ""
    return (
        f"{sizes.mean_apart:.3f} servers apart on average over time, at most {abs(apart):,} "
        f"{'more' if apart > 0 else 'fewer'} in B, first at {moment(when * 10**9)}"
    )


def paired_lines(comparison: Comparison) -> list[str]:
    """What became of the same planned requests; nothing if the runs do not have the same."""
    paired = comparison.paired
    if paired is None:
        return []
    lines = [f"{paired.count:,} planned requests are in both runs, {paired.changed:,} with another outcome"]
    lines += [f"{was} in A, {now} in B: {count:,}" for was, now, count in paired.changes]
    if paired.latency is not None and paired.typical is not None:
        lines.append(
            f"latency of the {paired.answered:,} answered in both: "
            f"{_interval(paired.latency, lambda n, sign: value('ns', n, sign))} on average, "
            f"{value('ns', paired.typical + 0.0, '+' if paired.typical else '')} in the median"
        )
    return lines


def as_data(comparison: Comparison) -> dict[str, Any]:
    """Everything as plain data; intervals as [low, high], null where they have no end."""
    data = {
        "within": comparison.within,
        "runs": [
            {"run": run, "scenario": scenario, "seed": seed}
            for run, scenario, seed in zip(
                comparison.runs, comparison.scenarios, comparison.seeds, strict=True
            )
        ],
        "window_ns": comparison.window,
        "batches": comparison.batches,
        "notes": list(comparison.notes),
        "figures": [_figure_data(figure) for figure in comparison.figures],
        "decisions": {
            "verdict": comparison.decisions_verdict,
            "tolerance_ticks": comparison.ticks,
            "tick_ns": comparison.decisions.tick,
            "reordered": comparison.decisions.reordered,
            "pairs": [
                {
                    "kind": pair.first.kind,
                    "a_ns": pair.first.time,
                    "b_ns": pair.second.time,
                    "ticks": pair.ticks,
                }
                for pair in comparison.decisions.pairs
            ],
            "missing": [asdict(one) for one in comparison.decisions.missing],
            "surplus": [asdict(one) for one in comparison.decisions.surplus],
        },
        "deploys": {
            "verdict": comparison.deploys_verdict,
            "pairs": [
                {"name": pair.name, "a": _course(pair.first), "b": _course(pair.second)}
                for pair in comparison.deploys
            ],
        },
        "fleet_over_time": {
            "mean_apart": comparison.sizes.mean_apart,
            "furthest": comparison.sizes.furthest[0],
            "furthest_at_ns": comparison.sizes.furthest[1] * 10**9,
        },
    }
    paired = comparison.paired
    data["paired"] = None if paired is None else {
        "requests": paired.count, "answered_in_both": paired.answered, "changed": paired.changed,
        "latency_ns": _interval_data(paired.latency), "latency_median_ns": paired.typical,
        "changes": [{"a": was, "b": now, "requests": count} for was, now, count in paired.changes],
    }  # fmt: skip
    return data


def _course(course: Course) -> dict[str, Any]:
    return {
        "end": course.end,
        "took_ns": course.took,
        "noticed_ns": course.noticed,
        "way_back_ns": course.back,
    }


def _figure_data(figure: Figure) -> dict[str, Any]:
    allowed = figure.tolerance
    return {
        "name": figure.name, "unit": figure.unit, "a": figure.first, "b": figure.second,
        "difference": _interval_data(figure.difference), "relative": _interval_data(figure.relative),
        "tolerance": None if allowed is None else {"limit": allowed.limit, "relative": allowed.relative},
        "verdict": figure.verdict, "sure": figure.sure,
    }  # fmt: skip


def _interval_data(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    known = math.isfinite(interval.half)
    return {"value": interval.mean, "interval": [interval.low, interval.high] if known else None}
