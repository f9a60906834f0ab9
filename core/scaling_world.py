"""What core.scaling's driver needs of its world besides the ports."""

from collections.abc import Mapping
from typing import Any, Protocol

from .ports import CloudInstance
from .scaling_decision import Decision


class World(Protocol):
    """What a world adds to the ports: its event log, and what it does itself when the autoscaler has acted."""

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """Log a control event now."""
        ...

    def last_number(self) -> int:
        """The greatest instance number that this world knows to be taken, 0: none."""
        ...

    def launched(self, instance: CloudInstance) -> None:
        """The cloud granted *instance*."""
        ...

    def terminate(self, number: int, provider_id: str, reason: str) -> None:
        """Have the cloud terminate an instance. Raises CloudError."""
        ...

    def promoted(self, number: int) -> None:
        """A standby server is a serving one now; 0: none of ours."""
        ...

    def draining(self, number: int) -> None:
        """A server is out of the lists."""
        ...

    def decided(self, now: int, decision: Decision) -> None:
        """Keep what was decided at *now*, for whoever asks why: before anything of it is carried out. A turn that then fails says so in another one."""
        ...
