"""A hint: one conclusion, about one part of the fleet and one stretch of time, with the figures that it rests on."""

from dataclasses import dataclass
from typing import Any

from ...wording import duration, moment, plural, share, times

SEVERITIES = ("critical", "warning", "notice")
"""In order: requests fail or will soon; the fleet does worse than it could; something to know."""

PARTS = (
    "clients", "proxy", "fleet", "server", "registry", "autoscaler", "cloud", "dependency", "endpoint", "source",
)  # fmt: skip
"""What a hint may be about. Of the parts from ``server`` on that there may be several of, ``Hint.which`` names the one."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A named number of a hint's evidence. *unit*: ``ns`` (a length of time), ``at`` (ns since the start), ``1`` (a share), ``times``, ``1/s``, ``bytes``,
    ``bytes/s``, ``p`` (a probability), ``servers`` (a need, with its fraction), or what is counted, in the singular (``request``, ``server``, ``attempt``).
    """

    name: str
    value: float
    unit: str

    @property
    def words(self) -> str:
        """The value in words, such as ``62 s``, ``0:40``, ``93.0%``, ``2.31 times``, ``12 requests``."""
        value = self.value
        if self.unit == "ns":
            return duration(value) if value >= 0 else f"-{duration(-value)}"
        if self.unit == "at":
            return moment(int(value))
        if self.unit in ("bytes", "bytes/s"):
            return f"{value / 2**20:,.3g} MiB{self.unit[5:]}"
        if self.unit == "1":
            return share(value)
        if self.unit == "times":
            return times(value)
        if self.unit == "1/s":
            return f"{value:,.4g}/s"
        if self.unit == "p":
            return f"{value:.2g}"
        if self.unit == "servers":
            return f"{value:.3g} servers"
        return plural(round(value), self.unit, "tries" if self.unit == "try" else "")


@dataclass(frozen=True, slots=True)
class Hint:
    """*kind*: the rule that gave it. *part* (one of PARTS) and *which* (an instance's number, the name or path of a dependency, endpoint or source; empty
    where there is only one, or where several are meant) say what it is about. *since* and *until*: the stretch of the run that it is drawn from (ns since the
    start; *until* is the run's end where it did not end before). *text*: one sentence, with figures and times.
    """

    kind: str
    severity: str
    part: str
    which: str
    since: int
    until: int
    text: str
    evidence: tuple[Figure, ...] = ()

    @property
    def subject(self) -> str:
        """What it is about, in words: ``proxy``, ``server 4``, ``endpoint /cart``."""
        return f"{self.part} {self.which}" if self.which else self.part

    @property
    def told(self) -> str:
        """The evidence in a line: ``Evidence: delay 70 s; boot 62 s``."""
        return f"Evidence: {'; '.join(f'{one.name} {one.words}' for one in self.evidence)}."

    def value(self, name: str) -> float:
        """The figure called *name*. Raises KeyError if the evidence has none."""
        return {figure.name: figure.value for figure in self.evidence}[name]

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "part": self.part,
            "which": self.which,
            "since_ns": self.since,
            "until_ns": self.until,
            "text": self.text,
            "evidence": [{"name": one.name, "value": one.value, "unit": one.unit} for one in self.evidence],
        }


def in_order(found: list[Hint]) -> tuple[Hint, ...]:
    """The most severe first, then by time."""
    return tuple(
        sorted(found, key=lambda hint: (SEVERITIES.index(hint.severity), hint.since, hint.kind, hint.which))
    )
