"""The condition that ends the faults of a flight before their time: ``error_rate > 20% for 10s``, ``p99 > 2s for 5s``."""

import re
from dataclasses import dataclass
from typing import Final

from ...core.errors import UsageError
from ...core.model import SECOND
from ...scenarios.units import parse_duration, parse_share

_FORM = re.compile(r"\s*(error_rate|p99)\s*>\s*(\S+)(?:\s+for\s+(\S+))?\s*")
EXPECTED: Final = "expected error_rate > SHARE or p99 > DURATION, and perhaps for DURATION, such as 'error_rate > 20% for 10s'"


@dataclass(frozen=True, slots=True)
class Condition:
    """*metric* strictly above *bound* (a share, or ns) for *length* (ns) without a break."""

    text: str
    metric: str
    bound: float
    length: int

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Raises UsageError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise UsageError(f"--stop-when: {EXPECTED}, got {text!r}")
        metric, bound, length = found.groups()
        try:
            value = parse_share(bound) if metric == "error_rate" else float(parse_duration(bound))
            return cls(text.strip(), metric, value, parse_duration(length) if length else SECOND)
        except ValueError as error:
            raise UsageError(f"--stop-when: {error}") from None


class Watch:
    """Looks once a second whether *condition* is fulfilled. A second without an answer tells nothing, and the time begins anew."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._before = (0, 0)
        self._seconds = 0

    def look(self, completed: int, failed: int, p99: int) -> bool:
        """A second more has passed: requests *completed* and *failed* since the begin, the p99 (ns) of the last second."""
        answered, wrong = completed - self._before[0], failed - self._before[1]
        self._before = (completed, failed)
        value = float(p99) if self.condition.metric == "p99" else wrong / max(answered, 1)
        self._seconds = self._seconds + 1 if answered > 0 and value > self.condition.bound else 0
        return self._seconds > 0 and self._seconds * SECOND >= self.condition.length
