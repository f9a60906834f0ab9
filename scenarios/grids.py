"""Ranges of quantities as grids of round values: what ``search:`` may vary, and how round each value is."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator

from .units import (
    DURATION_UNITS,
    format_duration,
    format_rate,
    format_share,
    format_size,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    show,
)

_FINE = 100
"""A range without a step has at most so many steps."""
MOST_VALUES = 4096
_KEYS = {"min", "max", "step", "values"}
_TENS = [Decimal(digit) * Decimal(10) ** power for power in range(-9, 16) for digit in (1, 2, 5)]
_TIMES = [
    *(Decimal(digit * 10**power) for power in range(9) for digit in (1, 2, 5)),
    *(Decimal(count * DURATION_UNITS[unit]) for unit in ("s", "m", "h") for count in (1, 2, 5, 10, 15, 30)),
    *(Decimal(count * DURATION_UNITS["d"]) for count in (1, 2, 5, 10)),
]


@dataclass(frozen=True, slots=True)
class Grid:
    """Values, as they are written in a scenario, in order; *costs*: how far each is from round."""

    values: tuple[Any, ...]
    costs: tuple[int, ...]


def quantity(value: Any) -> tuple[str, Decimal]:
    """(kind, amount) of a quantity with its unit, or of a number: a duration in ns, a rate per second, a share, a size in bytes. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", Decimal(str(value))
    for kind, parse in (
        ("duration", parse_duration),
        ("rate", parse_rate),
        ("share", parse_share),
        ("size", parse_size),
    ):
        try:
            return kind, Decimal(repr(parse(value)))
        except ValueError:
            continue
    raise ValueError(f"expected a number, a duration, a rate, a percentage or a size, got {show(value)}")


def written(kind: str, amount: Decimal, whole: bool = True) -> Any:
    """A quantity as a scenario spells it; a number is an integer if *whole*."""
    match kind:
        case "duration":
            return format_duration(int(amount))
        case "rate":
            return format_rate(float(amount))
        case "share":
            return format_share(float(amount))
        case "size":
            return format_size(int(amount))
    return int(amount) if whole or amount == int(amount) else float(amount)


def is_range(value: Any) -> bool:
    """Whether *value* is meant as a range: a mapping with min, max, step or values."""
    return isinstance(value, dict) and bool(value) and value.keys() <= _KEYS


def grid_of(value: Any) -> Grid:
    """The grid of a range, or of a plain value, which is the only one of its grid. Raises ValueError."""
    if not is_range(value):
        return Grid((value,), (0,))
    if "values" in value:
        return _chosen(value)
    for bound in ("min", "max"):
        if bound not in value:
            raise ValueError(f"expected min and max, or values, got no {bound}")
    (kind, low), (other, high) = quantity(value["min"]), quantity(value["max"])
    if low == 0 and kind == "number" and isinstance(value["min"], int):
        kind = other
    if kind != other:
        raise ValueError(
            f"expected min and max of one kind, got {show(value['min'])} and {show(value['max'])}"
        )
    if low >= high:
        raise ValueError(f"expected min below max, got {show(value['min'])} and {show(value['max'])}")
    whole = all(isinstance(value[key], int) for key in ("min", "max", "step") if key in value)
    step = _step(kind, low, high, whole) if "step" not in value else _own_step(kind, value["step"])
    if (high - low) / step > MOST_VALUES:
        raise ValueError(
            f"expected a step that makes at most {MOST_VALUES} values, got {show(value['step'])}"
        )
    first = (low // step + 1) * step
    count = int((high - first) / step) + 1 if first < high else 0
    between = (first + number * step for number in range(count))
    amounts = [low, *(one for one in between if one < high), high]
    values = tuple(written(kind, one, whole) for one in amounts)
    return Grid(values, tuple(roundness(one) for one in values))


def _chosen(value: dict[str, Any]) -> Grid:
    values = value["values"]
    if len(value) > 1:
        raise ValueError("expected either values or min and max, got both")
    if not isinstance(values, list) or not values or any(isinstance(one, (dict, list)) for one in values):
        raise ValueError(f"expected a list of values, got {show(values)}")
    return Grid(tuple(values), tuple(range(len(values))))


def _own_step(kind: str, value: Any) -> Decimal:
    its, step = quantity(value)
    if its != kind or step <= 0:
        raise ValueError(f"expected a step above 0 of the kind of min and max, got {show(value)}")
    return step


def _step(kind: str, low: Decimal, high: Decimal, whole: bool) -> Decimal:
    """The smallest round step that makes the range at most so fine."""
    steps = _TIMES if kind == "duration" else _TENS
    least = Decimal(1) if kind in ("duration", "size") or (kind == "number" and whole) else Decimal(0)
    return next(step for step in steps if step >= least and (high - low) / step <= _FINE)


def roundness(value: Any) -> int:
    """How many digits it takes to write *value*, and then whether the last one is 1, 2 or 5: the less the rounder. 0 for nothing at all."""
    digits = "".join(letter for letter in str(value) if letter.isdigit() or letter == ".")
    plain = (digits.rstrip("0") if "." in digits else digits).replace(".", "").strip("0")
    if not plain:
        return 0
    return 10 * len(plain) + {"1": 0, "2": 1, "5": 1}.get(plain[-1], 2)


def _checked(value: Any) -> Any:
    grid_of(value)
    return value


Ranged = Annotated[Any, AfterValidator(_checked)]
"""A plain value, or a range: ``{min, max[, step]}`` or ``{values: [...]}``."""
