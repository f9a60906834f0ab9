"""Tolerances of a comparison as a user writes them: a small file, and ``name=value`` texts over it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from ..core.errors import UsageError
from ..core.outcomes import NAMES
from ..core.tolerance import DEFAULTS, FIGURES, Tolerance, Tolerances
from .problems import ScenarioError
from .schema_base import Model
from .settings_file import parse_settings, read_settings
from .units import parse_duration, parse_rate, parse_share, show
from .yaml_source import Source

ANY = "any"
"""No tolerance: the figure is shown and not judged."""


def _tolerance(expected: str, absolute: Callable[[Any], float], relative: bool = True) -> Any:
    """A field that takes *expected*: a percentage (of the first run's value) if *relative*, or what *absolute* understands."""

    def parse(value: Any) -> Tolerance | None:
        if value == ANY:
            return None
        try:
            if relative and isinstance(value, str) and value.endswith("%"):
                return Tolerance(_whole_share(value), relative=True)
            return Tolerance(absolute(value))
        except ValueError:
            raise ValueError(f"expected {expected}, or {ANY}, got {show(value)}") from None

    return Annotated[Any, BeforeValidator(parse)]


def _whole_share(value: Any) -> float:
    """A share that may be above 100%."""
    text = str(value)
    if text.endswith("%"):
        number = text[:-1]
        if number.replace(".", "", 1).isascii() and number.replace(".", "", 1).isdigit():
            return float(number) / 100
    raise ValueError


def _plain(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise ValueError
    return float(value)


def _whole(value: Any) -> float:
    if _plain(value) != int(value):
        raise ValueError
    return float(value)


_RATE = _tolerance("a percentage or a rate, such as 2% or 5/s", parse_rate)
_TIME = _tolerance(
    "a percentage or a duration, such as 20% or 5ms", lambda value: float(parse_duration(value))
)
_POINTS = _tolerance("points of a share, such as 1%", parse_share, relative=False)
_NUMBER = _tolerance("a percentage or a number, such as 10% or 0.5", _plain)
_TICKS = _tolerance("a whole number of ticks, such as 1", _whole, relative=False)
_SECONDS = _tolerance(
    "a percentage or a duration, such as 20% or 5s", lambda value: parse_duration(value) / 1_000_000_000
)
_KINDS = {
    "offered": _RATE, "throughput": _RATE, "outcomes": _POINTS, "fleet_size": _NUMBER, "instance_hours": _NUMBER,
    "decisions": _TICKS, "deploys": _SECONDS,
}  # fmt: skip
_NAMES = (*FIGURES, "deploys", *(name for name in NAMES if name != "pending"))

_FIELDS: Any = {
    name: (_KINDS.get(name, _TIME if name in FIGURES else _POINTS), Field(None)) for name in _NAMES
}
ToleranceFile: Any = create_model("ToleranceFile", __base__=Model, **_FIELDS)
"""The file: any of the figures by name, or outcomes by theirs."""


def tolerances(given: Sequence[str] = ()) -> Tolerances:
    """The default tolerances, changed by each of *given* in turn: a file's name, or ``name=value``.

    Raises ScenarioError for a file with mistakes, UsageError for a bad text.
    """
    found = dict(DEFAULTS)
    for text in given:
        name, separator, value = text.partition("=")
        if separator and not Path(text).is_file():
            changed = _of_text(text, name, value)
        else:
            changed = read_settings(Path(text), ToleranceFile, "tolerances")
        for figure in changed.model_fields_set:
            tolerance = getattr(changed, figure)
            if tolerance is None:
                found.pop(figure, None)
            else:
                found[figure] = tolerance
    return found


def _of_text(text: str, name: str, value: str) -> Any:
    written: Any = value
    for number in (float, int):
        with suppress(ValueError):
            written = number(value)
    source = Source(f"--tolerance {text}", {name: written})
    try:
        return parse_settings(source, ToleranceFile, "tolerances")
    except ScenarioError as error:
        raise UsageError(str(error)) from None
