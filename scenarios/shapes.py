"""Shapes of traffic as rate profiles: a daily rhythm, and bursts."""

import math

import numpy as np

from ..core.draws import PHASE, draw
from ..core.model import SECOND
from ..core.rates import SEGMENT, Profile, profile_of
from .schema_traffic import Bursts, Diurnal, Traffic

STEPS = 48
"""Straight pieces of a period (half an hour of a day); they leave the cosine by at most 0.22% of its amplitude, and keep its mean."""
SHORTEST_PHASE = 1_000_000
"""A burst, or the calm between two, lasts at least so many ns."""
CHANGES_LIMIT = 1_000_000


def diurnal_profile(shape: Diurnal, start: int, end: int) -> Profile:
    """mean + (peak - mean) * cos(2 pi (t - at) / period) from *start* to *end* (ns), in straight pieces."""
    swing = [
        shape.mean + (shape.peak - shape.mean) * math.cos(2 * math.pi * step / STEPS) for step in range(STEPS)
    ]
    first = (start - shape.at) * STEPS // shape.period - 1
    last = (end - shape.at) * STEPS // shape.period + 2
    steps = range(first, last + 1)
    grid = np.array([shape.at + step * shape.period // STEPS for step in steps], dtype=np.int64)
    rates = np.array([swing[step % STEPS] for step in steps])
    points = np.concatenate(([start], grid[(grid > start) & (grid < end)], [end]))
    at_points = np.maximum(np.interp(points, grid, rates), 0.0)
    profile = np.zeros(len(points) - 1, SEGMENT)
    profile["start"] = points[:-1]
    profile["length"] = np.diff(points) / SECOND
    profile["first"], profile["last"] = at_points[:-1], at_points[1:]
    expected = np.cumsum(profile["length"] * (profile["first"] + profile["last"]) / 2)
    profile["before"][1:] = expected[:-1]
    return profile


def bursts_profile(shape: Bursts, start: int, end: int, stream: int) -> Profile:
    """Calm and burst in turn from *start* to *end* (ns), calm at first; their lengths are drawn from *stream*."""
    calm, burst = shape.every.resolve(), shape.for_.resolve()
    segments: list[tuple[int, int, float, float]] = []
    time, phase = start, 0
    while time < end:
        bursting = phase % 2
        length = (burst if bursting else calm).sample(draw(stream, phase // 2, bursting, PHASE))
        until = min(time + max(length, SHORTEST_PHASE), end)
        rate = shape.to if bursting else shape.rate
        segments.append((time, until, rate, rate))
        time, phase = until, phase + 1
    return profile_of(segments)


def expected_changes(traffic: Traffic, length: int) -> float:
    """How often the rate of a shape changes in *length* ns, about; 0 for other sources."""
    if traffic.diurnal:
        return length / traffic.diurnal.period * STEPS
    if traffic.bursts:
        cycle = (traffic.bursts.every.resolve().mean, traffic.bursts.for_.resolve().mean)
        return 2 * length / sum(max(mean, SHORTEST_PHASE) for mean in cycle)
    return 0.0
