"""The proxy's own sample and its tallies, written to the registry each second by a thread of its own: without a server there is nobody else who could ask for one."""

import threading

from ...core.model import SECOND
from ...core.ports import ProxyLoad, Registry, RegistryError
from ...core.tallies import tallies_of
from ..live.role import RoleLink
from .listener import Listener
from .proxy import Proxy


class LoadReport:
    """Counts are those of the proxy, which lives in another thread: each is one whole number, read once. A registry that is away gets none; the refresher says that it is."""

    def __init__(self, proxy: Proxy, listener: Listener, registry: Registry, link: RoleLink) -> None:
        self._proxy = proxy
        self._listener = listener
        self._registry = registry
        self._link = link
        self._before = (0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load report", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a write that is under way is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        clock = self._link.clock
        # The scenario's zero is on a whole second of the live clock: what is read here are the seconds of the rehearsal.
        while not self._ended.wait((SECOND - clock.now() % SECOND) / SECOND):
            load = self._observe(clock.now())
            try:
                self._registry.write_proxy_load(load)
                self._registry.write_tallies(tallies_of(load.time, list(self._proxy.servers.counters)))
            except RegistryError:
                continue

    def _observe(self, now: int) -> ProxyLoad:
        proxy = self._proxy
        requests, unserved = self._before
        self._before = (proxy.requests, proxy.unserved)
        return ProxyLoad(
            now, self._before[0] - requests, self._before[1] - unserved, proxy.active, self._listener.queued()
        )
