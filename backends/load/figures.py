"""What a generator says of itself while it runs: how much, how fast, and how late it was itself."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

_LATE = 2_000_000
"""A send so much (ns) behind its time counts as late."""


class Histogram:
    """Counts of non-negative integers in buckets of 1/64 of their size, so that a quantile is right to 1.6%."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0
        self.greatest = 0

    def add(self, value: int) -> None:
        """Count *value*."""
        shift = value.bit_length() - 7
        bucket = value if shift <= 0 else (shift << 7) + (value >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.total += 1
        if value > self.greatest:
            self.greatest = value

    def merge(self, other: "Histogram") -> None:
        """Count all that *other* has counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += other.total
        self.greatest = max(self.greatest, other.greatest)

    def quantile(self, share: float) -> int:
        """The least value (of a bucket's lower end) that at least *share* of the values do not exceed; -1 without values."""
        wanted = share * self.total
        passed = 0
        for bucket in sorted(self._counts):
            passed += self._counts[bucket]
            if passed >= wanted:
                return _least(bucket)
        return -1

    def counted(self, bounds: Sequence[int]) -> tuple[list[int], int]:
        """How many values lie up to each of *bounds*, and beyond the last; and their sum. (By the lower ends of buckets; for any thread.)"""
        counts, total = [0] * (len(bounds) + 1), 0
        for bucket, count in self._counts.copy().items():
            value = _least(bucket)
            counts[bisect_left(bounds, value)] += count
            total += value * count
        return counts, total

    def above(self, bound: int) -> int:
        """How many values lie in buckets that begin above *bound*."""
        return sum(count for bucket, count in self._counts.items() if _least(bucket) > bound)


def _least(bucket: int) -> int:
    """The least value of a bucket: a value below 128 is its own bucket; above, 7 leading bits follow the shift."""
    shift = bucket >> 7
    return bucket if shift == 0 else (bucket & 127) << shift


class Figures:
    """Counts since the start, the distributions of the second that is under way, and those of all seconds before (*lateness*, *latencies*)."""

    def __init__(self) -> None:
        self.offered = 0
        self.completed = 0
        self.failed = 0
        self.late = Histogram()
        self.latency = Histogram()
        self.lateness = Histogram()
        self.latencies = Histogram()

    def second(self) -> dict[str, Any]:
        """The figures of the second that ends now (ns)."""
        said = {
            "offered": self.offered,
            "completed": self.completed,
            "failed": self.failed,
            "in_flight": self.offered - self.completed,
            "p99_ns": self.latency.quantile(0.99),
            "late_p99_ns": self.late.quantile(0.99),
            "late_max_ns": self.late.greatest,
        }
        self.lateness.merge(self.late)
        self.latencies.merge(self.latency)
        self.late, self.latency = Histogram(), Histogram()
        return said

    def all(self) -> dict[str, Any]:
        """The totals, with the lateness of every send."""
        self.second()
        late = self.lateness
        return {
            "offered": self.offered,
            "completed": self.completed,
            "failed": self.failed,
            "sends": late.total,
            "late_p50_ns": late.quantile(0.5),
            "late_p99_ns": late.quantile(0.99),
            "late_max_ns": late.greatest,
            "late_share": late.above(_LATE) / late.total if late.total else 0.0,
        }
