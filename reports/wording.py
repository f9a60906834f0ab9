"""Numbers in words: durations, shares, rates, moments. Times are ns."""

from collections.abc import Sequence
from typing import Any

from ..core.model import SECOND


def duration(ns: float) -> str:
    """``0.35 ms``, ``12 ms``, ``1.2 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if ns == 0:
        return "0 s"
    if ns < 100 * SECOND:
        for unit, name in ((SECOND, "s"), (10**6, "ms"), (10**3, "us")):
            if ns >= unit or name == "us":
                return f"{ns / unit:.3g} {name}"
    seconds = round(ns / SECOND)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s" if seconds % 60 else f"{seconds // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def moment(ns: int) -> str:
    """A time since the start: ``1:05``, ``1:05.25``, ``2:01:05``."""
    whole, rest = divmod(ns // 10**6, 1000)
    minutes, seconds = divmod(whole, 60)
    text = f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return text + (f".{rest:03}".rstrip("0") if rest else "")


def share(value: float) -> str:
    """A share (0 to 1) in per cent, with as many digits as it needs to differ from 0 and 100%."""
    percent = value * 100
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if percent < 0.001:
        return "under 0.001%"
    digits = 3 if percent < 1 or 99.9 <= percent < 100 else 2 if percent < 10 else 1
    return f"{percent:.{digits}f}%"


def times(value: float) -> str:
    """A factor."""
    return f"{value:.2f} times"


def measured(unit: str, value: float | None) -> str:
    """A value of an objective, by the unit in summary.json (``ns``, ``1``, ``1/s``; of alerts and invariants ``delay`` in ns, ``alerts``, ``times``)."""
    if unit == "delay":
        return "never" if value is None else duration(value)
    if value is None:
        return "no data"
    if unit == "ns":
        return f"{value / 1e6:,.2f} ms"
    if unit in ("alerts", "times"):
        return plural(round(value), "time")
    return share(value) if unit == "1" else f"{value:,.1f}/s"


def listed(values: Sequence[Any], most: int = 5) -> str:
    """``1, 2 and 3``, or the first ones and how many more."""
    words = [str(value) for value in values[:most]]
    more = len(values) - len(words)
    if more:
        return f"{', '.join(words)} and {more:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """``1 request``, ``2,000 requests``; *nouns* if the plural has not just an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def servers(numbers: Sequence[int]) -> str:
    """``server 3``, ``servers 1 and 2``, ``60 servers (1, 2, 3, 4, 5 and 55 more)``."""
    if len(numbers) == 1:
        return f"server {numbers[0]}"
    if len(numbers) > 5:
        return f"{len(numbers):,} servers ({listed(numbers)})"
    return f"servers {listed(numbers)}" if numbers else "no server"
