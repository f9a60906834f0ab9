"""Reading a mapping of somebody else's format: each value checked where it stands, and what nobody asked for told at the end."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from .problems import Path, Problem, ScenarioError
from .units import show
from .yaml_source import Source

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)\Z", re.ASCII)  # fmt: skip
_LONGEST = 31_536_000
"""Seconds: a year. Nothing that is imported lasts longer."""


def quantity(value: Any) -> Decimal | None:
    """The number in a Kubernetes quantity (``500m`` is 0.5, ``1k`` is 1000, ``2Ki`` is 2048), or a plain number; None if it is neither."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    match = _QUANTITY.match(value if isinstance(value, str) else repr(value))
    if not match:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


@dataclass(slots=True, eq=False)
class Part:
    """A mapping at *path* of *source*. Every method that reads a key raises ScenarioError for what it cannot be; null is as if it were left out."""

    source: Source
    path: Path
    data: dict[str, Any]
    notes: list[Problem]
    _read: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, source: Source, notes: list[Problem]) -> "Part":
        """The whole of a document."""
        if not isinstance(source.data, dict):
            raise ScenarioError([source.problem((), f"expected a mapping, got {show(source.data)}")])
        return cls(source, (), source.data, notes)

    def get(self, key: str) -> Any:
        """The value, unchecked; None if there is none."""
        self._read.add(key)
        return self.data.get(key)

    def has(self, key: str) -> bool:
        """Whether there is a value, which stays unread."""
        return self.data.get(key) is not None

    def text(self, key: str, among: Iterable[str] = ()) -> str | None:
        """Text, one of *among* if that is given."""
        value, known = self.get(key), tuple(among)
        if value is None:
            return None
        if known and value not in known:
            self.fail(key, f"expected one of {', '.join(known)}, got {show(value)}")
        if not isinstance(value, str) or not value.isprintable():
            self.fail(key, f"expected text, got {show(value)}")
        return value

    def whole(self, key: str, least: int = 0, most: int = 1_000_000) -> int | None:
        """A whole number, also written ``60.0``."""
        value = self.get(key)
        if value is None:
            return None
        number = quantity(value) if not isinstance(value, str) else None
        if number is None or number != number.to_integral_value() or not least <= number <= most:
            self.fail(key, f"expected a whole number from {least} to {most}, got {show(value)}")
        return int(number)

    def seconds(self, key: str, least: int = 0, most: int = _LONGEST) -> str | None:
        """A whole number of seconds, as the scenario spells it."""
        value = self.whole(key, least, most)
        return None if value is None else f"{value}s"

    def number(self, key: str) -> Decimal | None:
        """A number, or a quantity of Kubernetes."""
        value = self.get(key)
        if value is None:
            return None
        found = quantity(value)
        if found is None:
            self.fail(key, f"expected a number or a quantity such as 100, 0.5 or 500m, got {show(value)}")
        return found

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            self.fail(key, f"expected true or false, got {show(value)}")
        return default if value is None else value

    def part(self, key: str) -> "Part | None":
        """A mapping."""
        value = self.get(key)
        return None if value is None else self._inside((*self.path, key), value)

    def parts(self, key: str) -> list["Part"]:
        """A list of mappings; none if it is left out."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fail(key, f"expected a list, got {show(value)}")
        return [self._inside((*self.path, key, number), one) for number, one in enumerate(value)]

    def _inside(self, path: Path, value: Any) -> "Part":
        if not isinstance(value, dict):
            raise ScenarioError([self.source.problem(path, f"expected a mapping, got {show(value)}")])
        return Part(self.source, path, value, self.notes)

    def required(self, key: str) -> NoReturn:
        """The complaint that *key* is missing."""
        self.fail(key, "required, but missing")

    def fail(self, key: str, message: str) -> NoReturn:
        """Raise ScenarioError about *key*."""
        raise ScenarioError([self.source.problem((*self.path, key), message)])

    def note(self, key: str, message: str) -> None:
        """What became of *key* ("" for the whole), if it is not simply carried over."""
        if not message.isprintable():
            message = message.encode("unicode_escape").decode("ascii")
        self.notes.append(self.source.problem((*self.path, key) if key else self.path, message))

    def known(self, *keys: str) -> None:
        """*keys* say nothing about scaling: names, states, places."""
        self._read.update(keys)

    def rest(self) -> None:
        """Note each key that has a value and that nothing has read."""
        for key in self.data:
            if key not in self._read and self.data[key] not in (None, [], {}, ""):
                self.note(key, "not carried over: nothing here corresponds to it; left out")
