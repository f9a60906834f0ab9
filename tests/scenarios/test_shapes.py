"""Shapes of traffic: their rates are what they say, wherever they are cut."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel import ScenarioError
from windtunnel.core.model import SECOND
from windtunnel.core.rates import Profile, expected_requests
from windtunnel.scenarios.schema_traffic import Bursts, Diurnal
from windtunnel.scenarios.shapes import bursts_profile, diurnal_profile
from windtunnel.tests.scenarios.test_traffic import rows, source
from windtunnel.tests.support import plan, scenario

HOUR = 3600 * SECOND


def rate_at(profile: Profile, time: int) -> float:
    row = int(np.searchsorted(profile["start"], time, side="right")) - 1
    part = profile[row]
    share = (time - part["start"]) / SECOND / part["length"]
    return float(part["first"] + (part["last"] - part["first"]) * share)


@given(
    st.floats(1, 1000), st.floats(0, 1), st.integers(0, 48), st.integers(1, 30),
    st.integers(0, 40 * 3600), st.integers(1, 60 * 3600),
)  # fmt: skip
def test_a_diurnal_rate_is_a_cosine(
    mean: float, swing: float, at: int, period: int, start: int, length: int
) -> None:
    shape = Diurnal.model_construct(
        mean=mean, peak=mean * (1 + swing), at=at * HOUR, period=period * HOUR + 7
    )
    begin, end = start * SECOND, (start + length) * SECOND
    profile = diurnal_profile(shape, begin, end)
    assert profile[0]["start"] == begin
    assert (profile["length"] > 0).all()
    assert profile["length"].sum() == pytest.approx(length)
    for time in range(begin, end, max(1, (end - begin) // 50)):
        exact = mean * (1 + swing * math.cos(2 * math.pi * (time - shape.at) / shape.period))
        assert rate_at(profile, time) == pytest.approx(exact, abs=0.0022 * mean * swing + 1e-6 * mean)
    whole = diurnal_profile(shape, begin, begin + 3 * shape.period)
    assert expected_requests(whole) == pytest.approx(3 * mean * shape.period / SECOND, rel=1e-6)


def test_a_day_has_its_peak_where_it_should() -> None:
    document = source(diurnal={"mean": "20/s", "peak": "35/s", "at": "14h"}, arrivals="constant")
    times = rows(plan({**document, "duration": "48h"}))["time_ns"]
    hours = np.bincount(times // HOUR)
    assert hours[13] + hours[14] == (hours[37] + hours[38]) == pytest.approx(2 * 35 * 3600, rel=0.01)
    assert hours[1] + hours[2] == pytest.approx(2 * 5 * 3600, rel=0.04)
    assert len(times) == 2 * 86_400 * 20


BURSTS: dict[str, Any] = {
    "rate": "50/s", "to": "500/s", "every": {"exponential": {"mean": "60s"}}, "for": {"lognormal": {"mean": "20s", "cv": 1}},
}  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6))
@settings(max_examples=30)
def test_bursts_alternate_and_are_a_function_of_the_stream(stream: int, start: int) -> None:
    shape = Bursts.model_validate(BURSTS)
    profile = bursts_profile(shape, start, start + HOUR, stream)
    assert profile["first"].tolist() == [50.0, 500.0] * (len(profile) // 2) + [50.0] * (len(profile) % 2)
    assert profile["length"].sum() == pytest.approx(3600)
    longer = bursts_profile(shape, start, start + 2 * HOUR, stream)
    assert longer[: len(profile) - 1].tolist() == profile[:-1].tolist()
    assert longer.tolist() == bursts_profile(shape, start, start + 2 * HOUR, stream).tolist()


def test_bursts_have_their_mean_lengths() -> None:
    profile = bursts_profile(Bursts.model_validate(BURSTS), 0, 2000 * HOUR, 5)
    bursting = profile["first"] == 500.0
    assert profile["length"][~bursting].mean() == pytest.approx(60, rel=0.02)
    assert profile["length"][bursting].mean() == pytest.approx(20, rel=0.02)
    assert expected_requests(profile) / (2000 * 3600) == pytest.approx((50 * 60 + 500 * 20) / 80, rel=0.02)


def test_periodic_bursts() -> None:
    shape = {"rate": 0, "to": "100/s", "every": {"constant": "9s"}, "for": {"constant": "1s"}}
    times = rows(plan(source(bursts=shape, arrivals="constant", start="5s")))["time_ns"]
    seconds = np.unique(times // SECOND)
    assert seconds.tolist() == list(range(14, 100, 10))
    assert len(times) == 900


@pytest.mark.parametrize(
    "shape",
    [{"diurnal": {"mean": "9/s", "peak": "9/s", "at": 0}}, {"bursts": BURSTS}],
)
def test_a_shape_that_begins_after_the_end_plans_nothing(shape: dict[str, Any]) -> None:
    assert len(rows(plan(source(start="200s", **shape)))["time_ns"]) == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"diurnal": {"mean": "10/s", "peak": "25/s", "at": 0}}, "traffic[0].diurnal: expected peak from mean to 2 x mean (10/s to 20/s), got 25/s"),
        ({"diurnal": {"mean": "10/s", "peak": "12/s", "at": 0, "period": "1ms"}}, "traffic[0].diurnal: expected a longer period, or a shorter run: the rate would change about 4.8e+06 times"),
        ({"bursts": {**BURSTS, "every": {"constant": 0}, "for": {"constant": 0}}, "start": 0}, "traffic[0].bursts: expected longer times, or a shorter run: the rate would change about 3.6e+06 times"),
        ({"bursts": {**BURSTS, "for": "20s"}}, "traffic[0].bursts.for: expected a distribution such as {constant: 5ms} or {exponential: {mean: 5ms}}, got '20s'"),
        ({"closed": {"concurrency": 1}, "headers": "mixed"}, "expected headers only beside stages or diurnal or bursts or rate_csv or access_log, got it beside closed"),
    ],
)  # fmt: skip
def test_bad_shapes(more: dict[str, Any], expected: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(expected)):
        scenario({**source(**more), "duration": "1h" if "bursts" in more else "100s"})


def test_users_may_send_mixed_headers() -> None:
    stages = [{"for": "10s", "rate": "50/s"}]
    plain, mixed = plan(source(stages=stages)), plan(source(stages=stages, headers="mixed"))
    assert set(rows(plain)["headers"].tolist()) == {0}
    assert len(set(rows(mixed)["headers"].tolist())) == len(mixed.fleet.header_sets) == 8
    assert rows(plain)["time_ns"].tolist() == rows(mixed)["time_ns"].tolist()
