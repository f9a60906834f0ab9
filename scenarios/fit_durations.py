"""Which distribution durations have: maximum likelihood in closed form, the least AIC wins, the Kolmogorov-Smirnov distance says how good it is.

Samples are kept as sums and a histogram whose bins are a 64th of their value wide at most (in whole numbers, so that every machine fills
them alike): a few kilobytes, whatever the number of samples. The distance is taken at the bins' ends.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .log_lines import Column
from .units import format_duration

ENOUGH = 100
"""With fewer samples no distribution is chosen."""
ALIKE = 0.01
"""Durations whose coefficient of variation is below this are constant."""

_FINE = 7
_BINS = 64 * (64 - _FINE) + 128
_LARGEST = 1 << 52
_SHAPE_LIMIT, _CV_LIMIT = 1000.0, 100.0
_Floats = npt.NDArray[np.float64]
_Cdf = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A distribution as a scenario has it; its mean (ns), Akaike's criterion, and the greatest distance to the samples' distribution function."""

    name: str
    text: str
    mean: float
    aic: float
    distance: float


class Samples:
    """Durations (ns), summed up. Zeros count as half of the smallest duration above 0, below which a log does not see."""

    def __init__(self) -> None:
        self.zeros = 0
        self.count = 0
        self._sum = self._square = self._log = self._log_square = 0.0
        self._least, self._greatest = _LARGEST, 0
        self._bins: Column = np.zeros(_BINS, dtype=np.int64)

    def add(self, durations: Column) -> None:
        """Add durations; negative ones are unknown and left out."""
        known = durations[durations >= 0]
        positive = np.minimum(known[known > 0], _LARGEST - 1)
        self.zeros += len(known) - len(positive)
        self._add_positive(positive, np.ones(len(positive), dtype=np.int64))

    def merge(self, other: "Samples") -> None:
        """Add the samples of *other*."""
        self.zeros += other.zeros
        self.count += other.count
        self._sum += other._sum
        self._square += other._square
        self._log += other._log
        self._log_square += other._log_square
        self._least = min(self._least, other._least)
        self._greatest = max(self._greatest, other._greatest)
        self._bins += other._bins

    def settled(self) -> "Samples":
        """The same with the zeros counted in."""
        if not self.zeros or not self.count:
            return self
        whole = Samples()
        whole.merge(self)
        whole.zeros = 0
        half = max(1, self._least // 2)
        whole._add_positive(np.array([half], dtype=np.int64), np.array([self.zeros], dtype=np.int64))
        return whole

    def _add_positive(self, values: Column, times: Column) -> None:
        if not len(values):
            return
        wide = values.astype(np.float64)
        logs = np.log(wide)
        self.count += int(times.sum())
        self._sum += float((wide * times).sum())
        self._square += float((wide * wide * times).sum())
        self._log += float((logs * times).sum())
        self._log_square += float((logs * logs * times).sum())
        self._least = min(self._least, int(values.min()))
        self._greatest = max(self._greatest, int(values.max()))
        shift = np.maximum(np.frexp(wide)[1].astype(np.int64) - _FINE, 0)
        np.add.at(self._bins, shift * 64 + (values >> shift), times)

    @property
    def mean(self) -> float:
        """The mean (ns)."""
        return self._sum / self.count

    @property
    def cv(self) -> float:
        """The coefficient of variation."""
        return math.sqrt(max(self._square / self.count / self.mean**2 - 1.0, 0.0))

    def fits(self) -> list[Fitted]:
        """Every distribution that these samples may have, the best one first; needs one sample."""
        if self.cv < ALIKE:
            return [Fitted("constant", f"{{constant: {_spell(self.mean)}}}", self.mean, 0.0, 0.0)]
        made = [self._exponential(), self._lognormal(), self._pareto(), self._uniform()]
        return sorted((fit for fit in made if fit is not None), key=lambda fit: (fit.aic, fit.name))

    def _exponential(self) -> Fitted:
        mean, n = self.mean, self.count
        text = f"{{exponential: {{mean: {_spell(mean)}}}}}"
        aic = 2 * 1 + 2 * n * (math.log(mean) + 1)
        return Fitted("exponential", text, mean, aic, self._distance(lambda x: -math.expm1(-x / mean)))

    def _lognormal(self) -> Fitted | None:
        n = self.count
        mu = self._log / n
        variance = self._log_square / n - mu * mu
        if variance <= 0 or variance > math.log1p(_CV_LIMIT**2):
            return None
        mean, cv = math.exp(mu + variance / 2), math.sqrt(math.expm1(variance))
        aic = 2 * 2 + 2 * self._log + n * (math.log(2 * math.pi * variance) + 1)
        width = math.sqrt(2 * variance)
        distance = self._distance(lambda x: 0.5 * math.erfc((mu - math.log(x)) / width))
        text = f"{{lognormal: {{mean: {_spell(mean)}, cv: {max(cv, 0.001):.3g}}}}}"
        return Fitted("lognormal", text, mean, aic, distance)

    def _pareto(self) -> Fitted | None:
        n, scale = self.count, float(self._least)
        excess = self._log - n * math.log(scale)
        shape = n / excess if excess > 0 else math.inf
        if not 1.0 < round(shape, 3) <= _SHAPE_LIMIT:
            return None  # Without a mean, or a constant.
        mean = shape * scale / (shape - 1)
        aic = 2 * 2 - 2 * (n * math.log(shape) + n * shape * math.log(scale) - (shape + 1) * self._log)
        distance = self._distance(lambda x: 1 - (scale / x) ** shape if x > scale else 0.0)
        text = f"{{pareto: {{mean: {_spell(mean)}, shape: {round(shape, 3)}}}}}"
        return Fitted("pareto", text, mean, aic, distance)

    def _uniform(self) -> Fitted:
        low, high = float(self._least), float(self._greatest)
        aic = 2 * 2 + 2 * self.count * math.log(high - low)
        distance = self._distance(lambda x: min(max((x - low) / (high - low), 0.0), 1.0))
        text = f"{{uniform: {{min: {_spell(low)}, max: {_spell(high)}}}}}"
        return Fitted("uniform", text, (low + high) / 2, aic, distance)

    def _distance(self, cdf: _Cdf) -> float:
        filled = np.flatnonzero(self._bins)
        reached = np.cumsum(self._bins[filled]) / self.count
        greatest, before = 0.0, 0.0
        for number, share in zip(filled.tolist(), reached.tolist(), strict=True):
            low, high = _ends(number)
            greatest = max(greatest, abs(cdf(low) - before), abs(cdf(high) - share))
            before = share
        return greatest


def _ends(number: int) -> tuple[float, float]:
    """Where bin *number* begins and ends (ns); a duration in whole ns stands for half a ns around it."""
    shift = max(number // 64 - 1, 0)
    first = (number - shift * 64) << shift
    return max(first - 0.5, 0.25), first + (1 << shift) - 0.5


def _spell(ns: float) -> str:
    """Four digits are more than any fit is worth."""
    return format_duration(round(float(f"{ns:.4g}")))
