"""Quantities with units: durations, rates, shares, sizes. Exact (no binary fractions on the way), both directions."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

DURATION_UNITS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
RATE_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SIZE_UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip

LIMIT = 2**62
"""Durations and sizes stay below this, so that sums stay within int64."""

RATE_LIMIT = 10**9
"""Rates stay below one in each nanosecond, the unit of time."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ns|us|µs|ms|s|m|h|d))+\Z")
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|s|m|h|d)")
_RATE = re.compile(rf"({_NUMBER})/([smhd])\Z")
_SHARE = re.compile(rf"({_NUMBER})%\Z")
_SIZE = re.compile(rf"({_NUMBER}) ?([KMGT]?i?B)\Z")


def show(value: Any) -> str:
    """A value as an error message shows it: short, in YAML's words, and quoted if it is text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        kind = "list" if isinstance(value, list) else "mapping"
        return f"a {kind}" if value else f"an empty {kind}"
    try:
        text = repr(value)
    except ValueError:  # An integer of thousands of digits.
        return "a very large number"
    return text if len(text) <= 60 else text[:57] + "..."


def _is_zero(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value == 0


def _whole(amount: Decimal, what: str, value: Any) -> int:
    if amount >= LIMIT:
        raise ValueError(f"expected a smaller {what}, got {show(value)}")
    return int(amount.to_integral_value())


def parse_duration(value: Any) -> int:
    """Nanoseconds of ``30s``, ``1h30m``, ``0.5ms``; a bare 0 is 0."""
    if _is_zero(value):
        return 0
    if not isinstance(value, str) or not _DURATION.match(value):
        raise ValueError(f"expected a duration such as 30s, 500ms or 1h30m, got {show(value)}")
    total = Decimal(0)
    for number, unit in _DURATION_PART.findall(value):
        total += Decimal(number) * DURATION_UNITS["us" if unit == "µs" else unit]
    return _whole(total, "duration", value)


def parse_offset(value: Any) -> int:
    """Nanoseconds of a duration with a sign before it, ``-30s`` or ``+1m``; without one it is positive."""
    if isinstance(value, str) and value[:1] in ("-", "+") and value[1:2] not in ("-", "+"):
        length = parse_duration(value[1:])
        return -length if value[0] == "-" else length
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f"expected a duration such as 30s or -1m, got {show(value)}") from None


def parse_rate(value: Any) -> float:
    """Events per second of ``20/s``, ``300/m``; a bare 0 is 0."""
    if _is_zero(value):
        return 0.0
    match = _RATE.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"expected a rate such as 20/s or 300/m, got {show(value)}")
    rate = Decimal(match[1]) / RATE_UNITS[match[2]]
    if rate >= RATE_LIMIT:
        raise ValueError(f"expected a rate below {RATE_LIMIT}/s, got {show(value)}")
    return float(rate)


def parse_share(value: Any) -> float:
    """The share (5% is 0.05), from 0% to 100%; a bare 0 is 0."""
    if _is_zero(value):
        return 0.0
    match = _SHARE.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"expected a percentage such as 5%, got {show(value)}")
    share = Decimal(match[1]) / 100
    if share > 1:
        raise ValueError(f"expected a percentage from 0% to 100%, got {show(value)}")
    return float(share)


def parse_size(value: Any) -> int:
    """Bytes of ``512MiB``, ``12KiB``, ``300B``; a bare 0 is 0."""
    if _is_zero(value):
        return 0
    match = _SIZE.match(value) if isinstance(value, str) else None
    if not match or match[2] not in SIZE_UNITS:
        raise ValueError(f"expected a size such as 512MiB or 12KiB, got {show(value)}")
    return _whole(Decimal(match[1]) * SIZE_UNITS[match[2]], "size", value)


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def format_duration(ns: int) -> str:
    """The shortest exact spelling in one unit (``90s``, ``1.5ms``)."""
    if ns == 0:
        return "0s"
    for unit in ("h", "m", "s", "ms", "us"):
        if ns % DURATION_UNITS[unit] == 0:
            return f"{ns // DURATION_UNITS[unit]}{unit}"
    for unit in ("s", "ms", "us"):
        if ns >= DURATION_UNITS[unit]:
            return f"{_plain(Decimal(ns) / DURATION_UNITS[unit])}{unit}"
    return f"{ns}ns"


def format_rate(rate: float) -> str:
    """Per second, unless only another unit is exact."""
    for unit, seconds in RATE_UNITS.items():
        text = f"{_plain(Decimal(repr(rate * seconds)))}/{unit}"
        if len(text) <= 12 and parse_rate(text) == rate:
            return text
    return f"{_plain(Decimal(repr(rate)))}/s"


def format_share(share: float) -> str:
    """Per cent."""
    return f"{_plain(Decimal(repr(share)) * 100)}%"


def format_size(size: int) -> str:
    """The largest binary unit that is exact."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def _schema(what: str, pattern: str, examples: list[str]) -> WithJsonSchema:
    quantity = {"type": "string", "pattern": pattern, "examples": examples}
    return WithJsonSchema({"anyOf": [quantity, {"const": 0}], "title": what})


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _schema("duration", r"^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$", ["30s", "500ms"]),
]
NEVER = -1


def parse_duration_or_never(value: Any) -> int:
    """As :func:`parse_duration`, above 0; ``never`` is -1."""
    if value == "never":
        return NEVER
    duration = parse_duration(value)
    if duration == 0:
        raise ValueError("expected a positive duration or never, got 0")
    return duration


DurationOrNever = Annotated[
    int,
    BeforeValidator(parse_duration_or_never),
    PlainSerializer(lambda ns: "never" if ns == NEVER else format_duration(ns)),
    WithJsonSchema({"type": "string", "examples": ["30s", "never"], "title": "duration"}),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate),
    _schema("rate", r"^\d+(\.\d+)?/[smhd]$", ["20/s"]),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share),
    _schema("percentage", r"^\d+(\.\d+)?%$", ["5%"]),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size),
    _schema("size", r"^\d+(\.\d+)? ?([KMGT]i?)?B$", ["512MiB"]),
]
