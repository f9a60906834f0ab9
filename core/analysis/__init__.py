"""Canary against baseline: what is compared, and the statistics that judge it.

Theory of operation
-------------------
Each metric asks one question: is the canary worse than the baseline by at least a margin? Two one-sided tests of it can answer. *Harm* is shown when "not worse
by more than the margin" is rejected; *non-inferiority* is shown when "worse by the margin or more" is rejected. An analysis fails as soon as harm is shown in any metric; it
passes when its window is over, non-inferiority is shown in every metric, and each has as many requests as the wanted power needs. Everything else is inconclusive,
and so is a metric without data: what is not measured never passes.

- Harm is looked for every few seconds. So that many looks do not raise many false alarms, each look may spend only a part of alpha (:mod:`spending`), and the
  metrics share alpha evenly.
- All metrics must pass, so that each may use its whole alpha (intersection-union test: Berger 1982, Technometrics 24, "Multiparameter hypothesis testing and
  acceptance sampling"). The first time that a pass is possible takes half of alpha, the next, with at least twice the data, a quarter, and so on.
"""

from .judging import Finding, Look, Seen, look
from .spec import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    AnalysisSpec,
    ErrorShare,
    Latency,
    MemoryUse,
)

__all__ = [
    "FAIL",
    "INCONCLUSIVE",
    "PASS",
    "AnalysisSpec",
    "ErrorShare",
    "Finding",
    "Latency",
    "Look",
    "MemoryUse",
    "Seen",
    "look",
]
