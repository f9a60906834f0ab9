"""What a metric of somebody else's monitoring means here, and its values in a scenario's units."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import get_args

from ..core.errors import UsageError
from .schema_metrics import Metric
from .units import RATE_UNITS, format_rate

METRICS = get_args(Metric)
_WORDS = (*METRICS, "requests/m")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A metric of a server here, and, of requests, in how many seconds they are counted."""

    metric: Metric
    seconds: int = 1


Meanings = Mapping[str, Meaning]
"""By the name that the other side has for it."""


def parse_meanings(words: Iterable[str]) -> dict[str, Meaning]:
    """``NAME=requests`` (per second), ``NAME=requests/m``, ``NAME=in_flight``, ``memory`` or ``cpu`` (in per cent). Raises UsageError."""
    found: dict[str, Meaning] = {}
    for word in words:
        name, given, what = word.rpartition("=")
        if not given or not name or what not in _WORDS:
            raise UsageError(f"--metric: expected NAME= and one of {', '.join(_WORDS)}, got {word!r}")
        metric, _, unit = what.partition("/")
        meaning = Meaning(metric, RATE_UNITS[unit or "s"])  # type: ignore[arg-type]
        if found.setdefault(name, meaning) != meaning:
            raise UsageError(f"--metric: expected one meaning of {name!r}, got two")
    return found


def spell(meaning: Meaning, value: Decimal) -> tuple[str | int, str]:
    """*value* as the scenario has it, and what had to be changed for that ("": nothing). Negative values are bounds relative to a threshold.

    Raises ValueError, with what was expected and came, for a share above 100%.
    """
    sign, size = ("-", -value) if value < 0 else ("", value)
    if meaning.metric == "requests":
        return sign + _rate(size, meaning.seconds), ""
    if meaning.metric == "in_flight":
        rounded = int(value.to_integral_value(ROUND_HALF_UP))
        return rounded, "" if rounded == value else f"in_flight is a whole number: {rounded} in place of {_plain(value)}"  # fmt: skip
    if size > 100:
        raise ValueError(f"expected at most 100%, got {_plain(value)}")
    return f"{sign}{_plain(size)}%", ""


def _rate(value: Decimal, seconds: int) -> str:
    for unit, length in RATE_UNITS.items():
        if length == seconds:
            return f"{_plain(value)}/{unit}"
    return format_rate(float(value / seconds))


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


_IN_FLIGHT = re.compile(r"in_?flight|concurren|active_?(requests|connections)|pending|busy", re.IGNORECASE)
_REQUESTS = re.compile(r"req(uest)?s?|rps|qps|queries|hits|throughput", re.IGNORECASE)


def advice(name: str) -> str:
    """Which ``--metric`` may be meant by the look of *name*; it is for the user to know."""
    word = name if name.isprintable() and "=" not in name else "NAME"
    if _IN_FLIGHT.search(word):
        return f"if it counts requests under way, say --metric {word}=in_flight"
    if _REQUESTS.search(word):
        return f"if it is a server's requests per second, say --metric {word}=requests"
    return f"if it is one of {', '.join(METRICS)} here, say so by --metric {word}=..."
