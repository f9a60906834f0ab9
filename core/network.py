"""How long a message takes over a link."""

from .decision import decision
from .draws import draw, uniform


@decision
def link_delay(latency: int, jitter: int, stream: int, index: int, attempt: int, purpose: int) -> int:
    """One-way delay in ns, uniform within latency +/- jitter, drawn for *purpose*; no draw without jitter."""
    if jitter == 0:
        return latency
    spread = uniform(draw(stream, index, attempt, purpose)) * (2 * jitter + 1)
    return latency - jitter + int(spread)
