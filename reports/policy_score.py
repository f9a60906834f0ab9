"""What a scaling policy achieved in a run: how long objectives were violated, what the fleet cost, how often it changed."""

import itertools
from dataclasses import dataclass

import numpy as np

from ..core.model import SECOND
from ..core.outcomes import Outcome
from .evidence import Evidence
from .lifelines import paid_ns
from .summary import percentiles_per_bin
from .violations import windows

BIN = 10 * SECOND
"""Objectives are judged for so long a stretch at a time: shorter ones have too few requests for a p99."""


@dataclass(frozen=True, slots=True)
class Score:
    """*violated*: per bin of BIN ns, whether any objective was; *instance_ns*: paid instance time.

    *actions*: turns at which the wanted size differed from the one there; *reversals*: how often one went the other way than the one before.
    *worst_p99*: of any bin, over answered requests (ns, -1: none).
    """

    violated: tuple[bool, ...]
    instance_ns: int
    actions: int
    reversals: int
    worst_p99: int

    @property
    def violated_ns(self) -> int:
        """Time in bins that violate."""
        return sum(self.violated) * BIN


def score(evidence: Evidence) -> Score:
    """The score of a whole run."""
    bins = -(-evidence.fleet.duration // BIN)
    requests = evidence.requests
    time, source, latency, outcome = (
        requests[name] for name in ("time_ns", "source", "latency_ns", "outcome")
    )
    violated = [False] * bins
    for slo in evidence.fleet.slos:
        for window in windows(slo, time, source, latency, outcome, BIN):
            for place in range(window.start // BIN, min(-(-window.stop // BIN), bins)):
                violated[place] = True
    turns = [
        1 if event["desired"] > event["actual"] else -1
        for event in evidence.happened("decision")
        if event.get("actions", 0) and event["desired"] != event["actual"]
    ]
    good = evidence.readers & (outcome == Outcome.OK)
    worst = percentiles_per_bin(time[good], latency[good], bins, BIN // SECOND, (0.99,))
    return Score(
        violated=tuple(violated),
        instance_ns=paid_ns(evidence.lives),
        actions=len(turns),
        reversals=sum(before != after for before, after in itertools.pairwise(turns)),
        worst_p99=-1 if np.isnan(worst).all() else int(np.nanmax(worst)),
    )
