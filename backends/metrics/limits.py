"""What an application may call its metrics, and how many it may have: it must not flood the registry, nor a label."""

import math
import re
from collections.abc import Collection

from ...core.custom import OWN

MOST_NAMES = 64
"""Names of an application besides those that its scenario declares, which always have room."""

LONGEST_NAME = 100

_name = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*", re.ASCII).fullmatch
_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII).fullmatch
_LONGEST_NUMBER = 40


class BadMetric(ValueError):
    """A name or a value that is none, or one name too many."""


def checked_name(name: str) -> str:
    """*name*, if it can be a metric's. Raises BadMetric."""
    if len(name) > LONGEST_NAME or not _name(name):
        raise BadMetric(
            f"expected a name of letters, digits, '_', '.' and '-' (at most {LONGEST_NAME}, the first a letter or '_'), got {name[:LONGEST_NAME]!r}"
        )
    if name in OWN:
        raise BadMetric(f"expected another name than {', '.join(OWN)}, got {name!r}")
    return name


def number(text: str) -> float:
    """The finite decimal number that *text* is. Raises BadMetric."""
    if len(text) <= _LONGEST_NUMBER and _number(text):
        value = float(text)
        if math.isfinite(value):
            return value
    raise BadMetric(f"expected a finite number, got {text[:_LONGEST_NUMBER]!r}")


class Names:
    """The names that are in use; *declared* ones have room whatever the others take. *complained*: whether a mistake was told already."""

    def __init__(self, declared: Collection[str] = (), most: int = MOST_NAMES) -> None:
        self._declared = frozenset(declared)
        self._most = most
        self._others: set[str] = set()
        self.complained = False

    def admit(self, name: str) -> None:
        """Take *name*, which is a metric's, into use. Raises BadMetric if there are too many."""
        if name in self._declared or name in self._others:
            return
        if len(self._others) >= self._most:
            raise BadMetric(f"expected at most {self._most} names besides the declared ones, got another: {name!r}")  # fmt: skip
        self._others.add(name)
