"""What a family of faults is in a flight."""

from abc import ABC, abstractmethod
from typing import ClassVar

from ....core.fault_family import Targets
from ....core.model import FaultSpec
from .parts import Parts


class FlightFamily(ABC):
    """Implements core.fault_family.Family for *types*, those of its types that can be flown."""

    types: ClassVar[frozenset[str]]

    @abstractmethod
    def __init__(self, parts: Parts) -> None: ...

    @abstractmethod
    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See core.fault_family.Family."""

    @abstractmethod
    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See core.fault_family.Family."""
