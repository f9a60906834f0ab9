"""Frames with fewer points: several seconds in one, with the least and the greatest of them kept."""

from typing import Any

import numpy as np

from .model import CLASSES, HIGH, LOW, NONE, Columns, Frame

MOST_POINTS = 3660
"""An hour, and its drain, is told second by second."""

MOST_VALUES = 8_000_000
"""A frame on a page has at most so many numbers, which is some 10 MB."""

COUNTS = frozenset({"arrived", *(f"status_{name}" for name in CLASSES), "errors", "ended", "requests"})
"""Columns of which a point holds the sum, so that nothing is lost; of others the mean, rounded."""

LAST = frozenset({"state"})
"""Columns that have no mean: a point is what the last second was."""


def width_for(seconds: int, columns: int) -> int:
    """Seconds that a point has to stand for, in a frame with so many columns."""
    if seconds <= MOST_POINTS and seconds * columns <= MOST_VALUES:
        return 1
    points = min(MOST_POINTS, MOST_VALUES // (3 * columns))
    return max(-(-seconds // max(points, 1)), 2)


def columns_of(one: Frame) -> int:
    """How many columns a frame has."""
    groups = [one["fleet"], *one["servers"].values(), *one["edges"].values()]
    return sum(len(group) for group in groups)


def merged(one: Frame, width: int) -> Frame:
    """*one*, whose points are seconds, with points of *width* seconds; the last point may be of fewer."""
    points = -(-one["points"] // width)
    return Frame(
        first=one["first"], width=width, points=points, fleet=_merge(one["fleet"], points, width),
        servers={key: _merge(columns, points, width) for key, columns in one["servers"].items()},
        edges={key: _merge(columns, points, width) for key, columns in one["edges"].items()}, marks=one["marks"],
    )  # fmt: skip


def _merge(columns: Columns, points: int, width: int) -> Columns:
    found = {}
    for name, values in columns.items():
        padded = np.full(points * width, NONE, dtype=np.int64)
        padded[: len(values)] = values
        blocks = padded.reshape(points, width)
        if name in LAST:
            found[name] = _last(blocks)
        else:
            total, mean, found[name + LOW], found[name + HIGH] = _spread(blocks)
            found[name] = total if name in COUNTS else mean
    return found


def _last(blocks: Any) -> Any:
    there = blocks != NONE
    place = blocks.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), blocks[np.arange(len(blocks)), place], NONE)


def _spread(blocks: Any) -> tuple[Any, Any, Any, Any]:
    """Sum, mean (rounded), least and greatest of each row, without what is not there."""
    there = blocks != NONE
    many = there.sum(axis=1)
    total = np.where(there, blocks, 0).sum(axis=1)
    mean = np.where(many > 0, (2 * total + many) // np.maximum(2 * many, 1), NONE)
    low = np.where(many > 0, np.where(there, blocks, np.iinfo(np.int64).max).min(axis=1), NONE)
    return np.where(many > 0, total, NONE), mean, low, blocks.max(axis=1)
