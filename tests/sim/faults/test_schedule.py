"""Faults at random."""

from itertools import pairwise

import pytest
from windtunnel.tests.sim.faults.support import MS, even
from windtunnel.tests.support import both_engines, happened, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_faults_at_random_come_from_the_seed() -> None:
    random = {"name": "hiccup", "type": "pause", "every": "10s", "for": "100ms"}
    document = even("5/s", "10m", random)
    found = run(document)
    begun = happened(found, "fault")
    assert [event["name"] for event in begun] == [f"hiccup#{n + 1}" for n in range(len(begun))]
    gaps = [later["t"] - earlier["t"] for earlier, later in pairwise(begun)]
    assert 40 <= len(begun) <= 80
    assert min(gaps) > 100 * MS
    assert happened(run(document), "fault") == begun
    assert happened(run(document, 2), "fault") != begun
