"""Which states of the engine an experiment went through, as words: what coverage is for a program."""

import numpy as np

from ..invariants import Trace, sizes
from ..lifecycle import State
from ..outcomes import NAMES


def bucket(count: int) -> int:
    """1, 2, 3, 4 to 7, 8 to 15, ...: the number of a power of two, small counts apart."""
    return count if count < 4 else count.bit_length() + 1


def states_of(trace: Trace) -> frozenset[str]:
    """Outcomes, events with their causes, states of instances, sizes and loads that occurred, each with about how often."""
    found = set()
    outcomes = np.bincount(trace.requests["outcome"], minlength=1)
    for number in np.flatnonzero(outcomes):
        found.add(f"outcome {NAMES[number]} {bucket(int(outcomes[number]))}")
    counts: dict[str, int] = {}
    for event in trace.events:
        name = " ".join(
            [
                event["event"],
                *(str(event[key]) for key in ("reason", "code", "cause", "type") if key in event),
            ]
        )
        counts[name] = counts.get(name, 0) + 1
    found |= {f"event {name} {bucket(count)}" for name, count in counts.items()}
    reached = [size for _, size in sizes(trace)]
    found |= {f"size {size}" for size in (max(reached, default=0), min(reached, default=0))}
    for state, count in enumerate(np.bincount(trace.metrics["state"], minlength=1).tolist()):
        if count:
            found.add(f"state {State(state).word} {bucket(count)}")
    tries = trace.attempts["tries"]
    if len(tries):
        found.add(f"tries {int(tries.max())}")
        found.add(f"attempts {int(trace.requests['attempts'].max())}")
    for name in ("in_flight", "queued", "connections"):
        column = trace.metrics[name]
        found.add(f"{name} {bucket(int(column.max())) if len(column) else 0}")
    return frozenset(found)
