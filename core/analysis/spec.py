"""What an analysis compares, and by how much a canary may be worse. Plain frozen values."""

from dataclasses import dataclass

SECOND = 1_000_000_000

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
"""Verdicts, of a metric and of an analysis."""


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """The canary's share of failures may be higher by less than *margin* (a difference of shares)."""

    margin: float = 0.01


@dataclass(frozen=True, slots=True)
class Latency:
    """The canary's latencies may be longer by less than the factor 1 + *margin*."""

    margin: float = 0.25


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The canary's memory (share of the total) may be higher by less than *level*, and may grow faster by less than *growth* in a minute."""

    level: float = 0.10
    growth: float = 0.05


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """Canary against baseline over the same window.

    *length*: of the window at least, in ns; *every*: between looks. *alpha*: the probability of a false alarm over all looks, and of a false pass; *power*: the probability
    that a canary like the baseline passes with the requests that are waited for. *least*: requests each side must have had at least. *timeout*: an analysis that has
    not come to a verdict by then has failed.
    """

    length: int = 60 * SECOND
    every: int = 5 * SECOND
    alpha: float = 0.05
    power: float = 0.8
    least: int = 30
    timeout: int = 300 * SECOND
    errors: ErrorShare | None = ErrorShare()
    latency: Latency | None = Latency()
    memory: MemoryUse | None = None
