"""Consistent probability sampling (OpenTelemetry, "TraceState: Probability Sampling"): a trace is kept if the last 56 bits of its id are at least a threshold.

So a collector that samples further, or another run with the same ids, keeps a part of the same ones.
"""

RANDOM_BITS = 56
RANDOM_MASK = (1 << RANDOM_BITS) - 1
NEVER = 1 << RANDOM_BITS
"""The threshold that nothing reaches."""


def threshold_of(share: float) -> int:
    """The rejection threshold of a sampling probability, of 56 bits of which four hexadecimal digits say something."""
    reject = round((1 - share) * (1 << 16)) << (RANDOM_BITS - 16)
    if share > 0 and reject >= 1 << RANDOM_BITS:
        reject = (1 << RANDOM_BITS) - max(round(share * (1 << RANDOM_BITS)), 1)
    return min(reject, RANDOM_MASK)


def keeps(threshold: int, low: int) -> bool:
    """Whether a trace is kept, by the lower half of its id."""
    return low & RANDOM_MASK >= threshold


def state_of(threshold: int) -> str:
    """The W3C tracestate of a trace that was kept: ``ot=th:`` and the threshold without its last zeros."""
    return f"ot=th:{f'{threshold:014x}'.rstrip('0') or '0'}"
