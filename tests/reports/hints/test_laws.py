"""What holds of the hints of any run."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.hints.hint import PARTS, SEVERITIES
from windtunnel.reports.profiler.hints.rules import RULES, hints
from windtunnel.tests.strategies.documents import (
    busy_documents,
    documents,
    hostile_documents,
    large_documents,
    linked_documents,
)
from windtunnel.tests.support import plan, run

RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
ANY = st.one_of(documents(), hostile_documents(), busy_documents(), large_documents(), linked_documents())


def assert_lawful(document: dict[str, Any], seed: int) -> None:
    """Every hint is about a known part, lies within the run, states finite evidence, and can be shown and written as JSON; the same run gives the same ones."""
    evidence = Evidence.of(run(document, seed), plan(document, seed).fleet)
    found = hints(evidence)
    assert hints(Evidence(evidence.run, evidence.fleet)) == found
    names = {rule.__name__ for rule in RULES}
    for hint in found:
        assert hint.kind in names
        assert hint.severity in SEVERITIES
        assert hint.part in PARTS
        assert 0 <= hint.since <= hint.until <= -(-evidence.end // 10**9) * 10**9, hint
        assert hint.evidence
        assert all(math.isfinite(one.value) for one in hint.evidence), hint
        assert (
            hint.text[0].isupper()
            or hint.text[0] == "/"
            or not hint.text[0].isalpha()
            or hint.part in ("source", "dependency")
        ), hint.text
        assert hint.text.endswith(".")
        assert json.loads(json.dumps(hint.as_data(), allow_nan=False))["text"] == hint.text
        assert hint.told


@given(ANY, st.integers(0, 1000))
@settings(RANDOM, max_examples=8)
def test_hints_of_any_run(document: dict[str, Any], seed: int) -> None:
    assert_lawful(document, seed)


@pytest.mark.long
@given(ANY, st.integers(0, 2**62))
@settings(RANDOM, max_examples=300)
def test_hints_of_any_run_at_length(document: dict[str, Any], seed: int) -> None:
    assert_lawful(document, seed)
