"""Distributions by inverse transform, rounded to whole nanoseconds at once.

Scalar ``math`` only: numpy's vectorised exp and log differ from the scalar ones in the last bit, and a
compiled engine must agree with the plain one in every bit. A distribution is (kind, a, b), so that it fits a
row of an array: constant(a), exponential(mean a), uniform(a, b), lognormal(mu a, sigma b),
pareto(scale a, shape b).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .decision import decision, fast
from .draws import draw, draw_block, open_uniform, uniform

Numbers = npt.NDArray[np.int64]

CONSTANT = 0
EXPONENTIAL = 1
UNIFORM = 2
LOGNORMAL = 3
PARETO = 4

CEILING = 1e18
"""No sample is greater (as ns: 31 years), so that sums stay within int64."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of non-negative values (nanoseconds for times, unit as stated elsewhere)."""

    kind: int
    a: float
    b: float = 0.0

    def sample(self, bits: int) -> int:
        """The value that *bits* (63 of them) select, rounded to an integer."""
        return sample(self.kind, self.a, self.b, bits)

    @property
    def mean(self) -> float:
        """The expected value."""
        match self.kind:
            case 0 | 1:
                return self.a
            case 2:
                return (self.a + self.b) / 2
            case 3:
                return math.exp(self.a + self.b * self.b / 2)
            case _:
                return self.a * self.b / (self.b - 1)


def constant(value: float) -> Distribution:
    """Always *value*."""
    return Distribution(CONSTANT, float(value))


def exponential(mean: float) -> Distribution:
    """Exponential with the given mean."""
    return Distribution(EXPONENTIAL, float(mean))


def uniform_between(low: float, high: float) -> Distribution:
    """Uniform on [low, high]."""
    return Distribution(UNIFORM, float(low), float(high))


def lognormal(mean: float, cv: float) -> Distribution:
    """Lognormal with the given mean and coefficient of variation (standard deviation / mean)."""
    if mean <= 0 or cv <= 0:
        return constant(mean)
    variance = math.log1p(cv * cv)
    return Distribution(LOGNORMAL, math.log(mean) - variance / 2, math.sqrt(variance))


def pareto(mean: float, shape: float) -> Distribution:
    """Pareto (type I) with the given mean and shape (above 1)."""
    return Distribution(PARETO, mean * (shape - 1) / shape, float(shape))


@decision
def normal_quantile(p: float) -> float:
    """The standard normal quantile of *p* in (0, 1).

    Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37
    (1988), PPND16: relative accuracy about 1e-16.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = (((((((2509.0809287301226727 * r + 33430.575583588128105) * r
                    + 67265.770927008700853) * r + 45921.953931549871457) * r
                  + 13731.693765509461125) * r + 1971.5909503065514427) * r
                + 133.14166789178437745) * r + 3.387132872796366608)  # fmt: skip
        bottom = (((((((5226.495278852545925 * r + 28729.085735721942674) * r
                       + 39307.89580009271061) * r + 21213.794301586595867) * r
                     + 5394.1960214247511077) * r + 687.1870074920579083) * r
                   + 42.313330701600911252) * r + 1.0)  # fmt: skip
        return q * top / bottom
    r = p if q < 0 else 1.0 - p
    r = math.sqrt(-math.log(r))
    if r <= 5.0:
        r -= 1.6
        top = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
                    + 0.24178072517745061177) * r + 1.27045825245236838258) * r
                  + 3.64784832476320460504) * r + 5.7694972214606914055) * r
                + 4.6303378461565452959) * r + 1.42343711074968357734)  # fmt: skip
        bottom = (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
                       + 0.0151986665636164571966) * r + 0.14810397642748007459) * r
                     + 0.68976733498510000455) * r + 1.6763848301838038494) * r
                   + 2.05319162663775882187) * r + 1.0)  # fmt: skip
    else:
        r -= 5.0
        top = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
                    + 0.0012426609473880784386) * r + 0.026532189526576123093) * r
                  + 0.29656057182850489123) * r + 1.7848265399172913358) * r
                + 5.4637849111641143699) * r + 6.6579046435011037772)  # fmt: skip
        bottom = (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
                       + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r
                     + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
                   + 0.59983220655588793769) * r + 1.0)  # fmt: skip
    value = top / bottom
    return -value if q < 0 else value


@decision
def sample(kind: int, a: float, b: float, bits: int) -> int:
    """The value of distribution (kind, a, b) that *bits* select, rounded to an integer, never negative."""
    u = uniform(bits)
    if kind == CONSTANT:
        value = a
    elif kind == EXPONENTIAL:
        value = -a * math.log(1.0 - u)
    elif kind == UNIFORM:
        value = a + (b - a) * u
    elif kind == LOGNORMAL:
        value = math.exp(a + b * normal_quantile(open_uniform(bits)))
    else:
        value = a * math.exp(-math.log(1.0 - u) / b)
    return math.floor(min(value, CEILING) + 0.5)


STEP_UNIT = float(1 << 32)
"""Unit exponentials are summed as integers in units of 2**-32, so that a sum does not depend on where a block ends."""


@decision
def exponential_step(bits: int) -> int:
    """A unit exponential in units of 2**-32."""
    return int(-math.log(1.0 - uniform(bits)) * STEP_UNIT)


@decision
def fill_samples(
    kind: int, a: float, b: float, stream: int, indices: Numbers, attempt: int, purpose: int, out: Numbers
) -> None:
    """:func:`sample` for the draw of each of *indices*."""
    for place in range(len(indices)):
        out[place] = sample(kind, a, b, draw(stream, indices[place], attempt, purpose))


@decision
def fill_steps(stream: int, indices: Numbers, attempt: int, purpose: int, out: Numbers) -> None:
    """:func:`exponential_step` for the draw of each of *indices*."""
    for place in range(len(indices)):
        out[place] = exponential_step(draw(stream, indices[place], attempt, purpose))


def samples(distribution: Distribution, stream: int, indices: Numbers, attempt: int, purpose: int) -> Numbers:
    """The values of *distribution* for the draws of *indices*; in a compiled loop, if this process compiles at all."""
    kind, a, b = distribution.kind, distribution.a, distribution.b
    compiled = fast(fill_samples)
    if compiled is None:
        bits = draw_block(stream, indices, attempt, purpose).tolist()
        return np.array([sample(kind, a, b, value) for value in bits], dtype=np.int64)
    out = np.empty(len(indices), dtype=np.int64)
    compiled(kind, a, b, stream, indices, attempt, purpose, out)
    return out


def exponential_steps(stream: int, indices: Numbers, attempt: int, purpose: int) -> Numbers:
    """:func:`exponential_step` for the draws of *indices*, likewise."""
    compiled = fast(fill_steps)
    if compiled is None:
        bits = draw_block(stream, indices, attempt, purpose).tolist()
        return np.array([exponential_step(value) for value in bits], dtype=np.int64)
    out = np.empty(len(indices), dtype=np.int64)
    compiled(stream, indices, attempt, purpose, out)
    return out
