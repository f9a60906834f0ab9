"""A registry whose reader may have to read from a replica that lags: what a reader of ``stale_registry`` does, in rehearsal and flight."""

from collections.abc import Callable, Sequence
from typing import Any

from ..core.ports import ProxyLoad, Sample, Servers
from ..core.tallies import Tallies
from .registry import RedisRegistry


class StaleReads(RedisRegistry):
    """Lists and samples come from *replica* while there is one to be read; what is written, and the lease, goes to the registry itself. *before*, *apart*: see RedisRegistry."""

    def __init__(
        self, client: Any, prefix: str, replica: Callable[[], RedisRegistry | None],
        before: Callable[[], None] = lambda: None, apart: str = "",
    ) -> None:  # fmt: skip
        super().__init__(client, prefix, before, apart)
        self._replica = replica

    def servers(self) -> Servers:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().servers() if stale is None else stale.servers()

    def read_samples(self, addresses: Sequence[str]) -> dict[str, Sample]:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().read_samples(addresses) if stale is None else stale.read_samples(addresses)

    def read_proxy_load(self) -> ProxyLoad | None:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().read_proxy_load() if stale is None else stale.read_proxy_load()

    def updating(self) -> tuple[str, ...]:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().updating() if stale is None else stale.updating()

    def canary_share(self) -> tuple[int, int] | None:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().canary_share() if stale is None else stale.canary_share()

    def read_tallies(self) -> Tallies | None:
        """See core.ports.Registry."""
        stale = self._replica()
        return super().read_tallies() if stale is None else stale.read_tallies()
