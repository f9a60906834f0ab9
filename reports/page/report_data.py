"""What the sections of the page are told: a run's evidence, what was concluded from it, and its pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..evidence import Evidence
from ..facts import Facts, gather
from ..messages import Message, messages
from ..stations import Wait, dependency_waits
from ..violations import Finding, findings

Pictures = Callable[[str], str]
"""Gives a picture as a piece of the page by the figure's name; empty for one that is not to be shown."""


@dataclass(frozen=True)
class ReportData:
    """The evidence, and *picture* to embed a figure by name; conclusions are drawn when they are asked for."""

    evidence: Evidence
    picture: Pictures

    @cached_property
    def findings(self) -> list[Finding]:
        """The objectives."""
        return findings(self.evidence)

    @cached_property
    def facts(self) -> Facts:
        """The figures that advice is drawn from."""
        return gather(self.evidence)

    @cached_property
    def messages(self) -> list[Message]:
        """Errors, warnings and advice."""
        return list(messages(self.evidence, self.findings, self.facts))

    @cached_property
    def waits(self) -> Sequence[Wait]:
        """Time spent in io and calls, by endpoint."""
        return dependency_waits(self.evidence)
