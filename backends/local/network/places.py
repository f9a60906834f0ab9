"""Where everybody of a flight listens, and how a process gets there: here on loopback, without links of its own."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from ....core.model import FaultSpec
from ...live.addresses import LOOPBACK, NETWORK
from ..guardian import Guardian
from .shaping import Wrong


class Places:
    """Loopback."""

    host = LOOPBACK
    """This machine, as everybody else finds it: registry, dependencies, control."""
    proxy = LOOPBACK
    proxy_admin = LOOPBACK
    network = NETWORK
    """What the addresses of app servers begin with."""
    allowed: tuple[str, ...] = ()
    """Hosts besides loopback that are this machine's own."""
    carried: frozenset[str] = frozenset()
    """Faults of links that are carried out here, and not by the roles at their ends."""

    def command(self, role: str, label: str) -> tuple[str, ...]:
        """What stands before the command of a process of *role*, so that it runs where it belongs."""
        return ()

    async def begin(self, cleanup: AsyncExitStack, guardian: Guardian) -> None:
        """Before anything is started; what is to be undone is told both. Raises BackendFailure."""

    async def add_server(self, number: int) -> None:
        """Before a process of server *number* is started; it may have had one. Raises BackendFailure."""

    def disturb(self, link: int, wrong: Sequence[Wrong]) -> None:
        """From now on this is *wrong* with both directions of a link (0: the clients')."""

    def cut(self, who: int | str, ports: Sequence[int]) -> None:
        """From now on *who* does not reach these ports of this machine, nor they it."""

    def check_faults(self, faults: Sequence[FaultSpec]) -> None:
        """Raises UsageError for one that cannot be carried out here. Blocks."""

    def check(self) -> None:
        """Raises BackendFailure if a link could not be made what it was to be."""
