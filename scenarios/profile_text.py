"""A measured profile as a file that a person reads: a comment for each figure says how it was measured and how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

from .units import format_duration

_STEP = 1_000
_COARSE = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A duration of the profile: its field, its value (ns), how it was measured, the smallest and largest of so many *parts* (ns)."""

    field: str
    value: int
    how: str
    low: int
    high: int
    parts: int


def profile_text(
    description: str, lines: Sequence[Line], host_cores: int, demand: str, warnings: Sequence[str]
) -> str:
    """The YAML file. Values are rounded to 1 us, from 10 ms on to 1 ms."""
    text = [
        "# What a flight on this machine takes beside what its scenario says: windtunnel replay SCENARIO --profile FILE"
    ]
    text += [f"# not to be trusted: {warning}" for warning in warnings]
    text.append(f'description: "{description}"')
    for line in lines:
        text.append(f"# {line.how}; {spread(line)}")
        text.append(f"{line.field}: {readable(line.value)}")
    text += ["# cores that this process may use", f"host_cores: {host_cores}"]
    text += ["# how the flights spend CPU demands", f"demand: {demand}"]
    return "\n".join(text) + "\n"


def spread(line: Line) -> str:
    """In words, how far the parts of a measurement lie apart."""
    if line.parts == 1:
        return "measured once"
    return f"{readable(line.low)} to {readable(line.high)} over {line.parts} parts"


def readable(ns: int) -> str:
    """A duration, rounded."""
    step = _STEP if ns < 10 * _COARSE else _COARSE
    return format_duration((ns + step // 2) // step * step)
