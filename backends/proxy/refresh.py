"""The registry's lists and the canaries' share, read again and again by a thread of its own, so that a slow registry never stops a request."""

import threading
from collections.abc import Callable

from ...core.model import SECOND
from ...core.ports import Registry, RegistryError, Servers

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
"""Seconds between attempts while the registry is away: doubled each time; never less than the interval itself."""

Hand = Callable[[Callable[[], None]], object]
Share = tuple[int, int] | None


class Refresher:
    """Reads the lists each *interval* ns. While that fails the last ones stay in force.

    *hand* runs a callable where the proxy lives (``loop.call_soon_threadsafe``); *update*, *unreachable* and *reachable* are called there.
    """

    def __init__(
        self, registry: Registry, interval: int, hand: Hand, update: Callable[[Servers, Share], None],
        unreachable: Callable[[str], None], reachable: Callable[[], None],
    ) -> None:  # fmt: skip
        self._registry = registry
        self._interval = interval / SECOND
        self._hand = hand
        self._update = update
        self._unreachable = unreachable
        self._reachable = reachable
        self._failures = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; an attempt that is under way is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._ended.wait(self._refresh())

    def _refresh(self) -> float:
        """One attempt; seconds until the next."""
        try:
            servers, share = self._registry.servers(), self._registry.canary_share()
        except RegistryError as error:
            text = str(error)
            if self._failures == 0:
                self._deliver(lambda: self._unreachable(text))
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(self._failures, 10)))
            self._failures += 1
            return max(self._interval, wait)
        if self._failures:
            self._failures = 0
            self._deliver(self._reachable)
        self._deliver(lambda: self._update(servers, share))
        return self._interval

    def _deliver(self, call: Callable[[], None]) -> None:
        if not self._ended.is_set():
            try:
                self._hand(call)
            except RuntimeError:
                # The loop has ended in the meantime.
                self._ended.set()
