"""Rate profiles: times are where the integral of the rate reaches a position."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.model import SECOND
from windtunnel.core.rates import Profile, expected_requests, profile_of, times_at

SECTIONS = st.lists(
    st.tuples(st.integers(1, 50), st.sampled_from([0.0, 1.0, 20.0]), st.sampled_from([0.0, 3.0, 20.0])),
    min_size=1, max_size=6,
)  # fmt: skip


def built(sections: list[tuple[int, float, float]]) -> Profile:
    segments, time = [], 5 * SECOND
    for seconds, first, last in sections:
        segments.append((time, time + seconds * SECOND, first, last))
        time += seconds * SECOND
    return profile_of(segments)


def integral(profile: Profile, time: int) -> float:
    """Requests expected until *time* (ns), by the area of trapezoids."""
    area = 0.0
    for start, length, first, last, _ in profile.tolist():
        inside = min(max((time - start) / SECOND, 0.0), length)
        area += inside * (first + (last - first) * inside / length / 2)
    return area


@given(SECTIONS, st.lists(st.floats(0, 0.999), min_size=1, max_size=30))
def test_times_are_the_inverse_of_the_integral(
    sections: list[tuple[int, float, float]], shares: list[float]
) -> None:
    profile = built(sections)
    positions = np.sort(np.array(shares)) * expected_requests(profile)
    times = times_at(profile, positions, 0)
    assert (np.diff(times) >= 0).all()
    for position, time in zip(positions.tolist(), times.tolist(), strict=True):
        assert abs(integral(profile, time) - position) <= 1e-5 * max(position, 1.0)


@given(SECTIONS, st.integers(1, 29))
def test_a_cut_changes_no_time(sections: list[tuple[int, float, float]], cut: int) -> None:
    profile = built(sections)
    positions = np.linspace(0, 0.99, 30) * expected_requests(profile)
    whole = times_at(profile, positions, 0)
    first = times_at(profile, positions[:cut], 0)
    assert whole.tolist() == [*first, *times_at(profile, positions[cut:], int(first[-1]))]
