"""What the sections of the page are told: a run's evidence, and what was concluded from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..comparison import Comparison
from ..evidence import Evidence
from ..facts import Facts, gather
from ..messages import Message, messages
from ..profiler.diagnosis import diagnose
from ..profiler.hints.hint import Hint
from ..profiler.hints.rules import hints
from ..profiler.recovery import Recovery, recoveries
from ..profiler.signatures import Diagnosis
from ..stations import Wait, dependency_waits
from ..violations import Finding, findings


@dataclass(frozen=True)
class ReportData:
    """The evidence, and what it is laid *beside*; conclusions are drawn when they are asked for."""

    evidence: Evidence
    beside: Comparison | None = None

    @cached_property
    def findings(self) -> list[Finding]:
        """The objectives."""
        return findings(self.evidence)

    @cached_property
    def facts(self) -> Facts:
        """The figures that hints are drawn from."""
        return gather(self.evidence)

    @cached_property
    def messages(self) -> list[Message]:
        """Errors, warnings and hints."""
        return list(messages(self.evidence, self.findings, self.facts, self.hints))

    @cached_property
    def hints(self) -> tuple[Hint, ...]:
        """Where to look."""
        return hints(self.evidence, self.facts)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Failures by signature, with their origins."""
        return diagnose(self.evidence)

    @cached_property
    def recoveries(self) -> Sequence[Recovery]:
        """What each fault did, and how long it was felt."""
        return recoveries(self.evidence)

    @cached_property
    def waits(self) -> Sequence[Wait]:
        """Time spent in io and calls, by endpoint."""
        return dependency_waits(self.evidence)
