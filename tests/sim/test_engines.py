"""Two engines, one result: the kernel and the reference agree on every row and every event."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel import Scenario, library
from windtunnel.api import compare_runs, replay
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.strategies import documents
from windtunnel.tests.support import scenario

RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

TWINS: dict[str, Any] = {"registry": "memory", "cloud": "memory"}


def assert_same(made: Scenario, **options: Any) -> None:
    """Both engines give the same run of *made*."""
    reference = replay(made, engine="simpy", **TWINS)
    kernel = replay(made, engine="kernel", **TWINS, **options)
    if reference.lines != kernel.lines:
        difference = compare_runs(reference, kernel, compile_plan(made).fleet)
        pytest.fail(str(difference))


@given(documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=100)
def test_engines_agree(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


@pytest.mark.long
@given(documents(), st.integers(0, 2**62))
@settings(RANDOM, max_examples=2000)
def test_engines_agree_at_length(document: dict[str, Any], seed: int) -> None:
    assert_same(scenario(document, seed))


SHORT = {"chaos-monkey": ["duration=215s"]}


@pytest.mark.parametrize("name", sorted(library()))
def test_engines_agree_on_the_library(name: str) -> None:
    assert_same(Scenario.load(name, SHORT.get(name, [])))
