"""Custom metrics and the proxy's own delays in figures."""

import numpy as np
import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.figure import draw
from windtunnel.reports.panels_measured import MOST, by_bin, custom_names
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.support import run, scenario, steady


def evidence(metrics: dict[str, dict[str, float]]) -> Evidence:
    document = steady()
    document.setdefault("fleet", {}).setdefault("app", {})["metrics"] = metrics
    return Evidence.of(run(document), compile_plan(scenario(document)).fleet)


def labels(found: Evidence, name: str) -> list[str]:
    return [axis.get_ylabel() for axis in draw(found, name).axes]


def test_each_custom_metric_has_a_panel() -> None:
    plain = evidence({})
    found = evidence({"files": {"base": 40, "per_in_flight": 3}, "jobs": {}, "$x$": {"base": 1}})
    assert custom_names(found) == ["$x$", "files"], "what nobody writes has none"
    assert labels(found, "servers") == [*labels(plain, "servers"), r"\$x\$", "files"]
    assert labels(found, "proxy") == labels(plain, "proxy"), "a rehearsal measures no delay of its own"


def test_there_are_so_many_panels_at_most() -> None:
    many = evidence({f"m{number}": {"base": number} for number in range(9)})
    axes = draw(many, "servers").axes
    assert len(axes) == len(labels(evidence({}), "servers")) + MOST
    assert any("3 more" in text.get_text() for text in axes[-1].texts)


def test_a_bin_has_mean_least_and_greatest() -> None:
    time = np.array([1, 1, 2, 4]) * SECOND
    mean, low, high = by_bin(time, np.array([1.0, 3.0, 8.0, 5.0]), 4, 1)
    assert mean[[0, 1, 3]] == pytest.approx([2, 8, 5])
    assert low[[0, 1, 3]] == pytest.approx([1, 8, 5])
    assert high[[0, 1, 3]] == pytest.approx([3, 8, 5])
    assert np.isnan([mean[2], low[2], high[2]]).all()
