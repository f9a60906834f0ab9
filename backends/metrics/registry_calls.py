"""How long a role's exchanges with the registry take, and how many fail: whatever the role asks for, as it waits for it, what faults do to the way included."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from prometheus_client.core import Metric

from ...core.ports import RegistryError
from ..registry import RedisRegistry
from .families import SharedDurations, counter, histogram

T = TypeVar("T")


class RegistryCalls:
    """Of one role, whose threads share it."""

    def __init__(self) -> None:
        self.durations = SharedDurations()
        self.failed = 0
        self._worst = 0

    def add(self, duration: int, failed: bool) -> None:
        """An exchange took *duration* (ns)."""
        self.durations.add(duration)
        self.failed += failed
        self._worst = max(self._worst, duration)

    def worst(self) -> int:
        """The longest one since this was last asked (ns); 0: none."""
        worst, self._worst = self._worst, 0
        return worst

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        yield histogram("windtunnel_registry_call_duration_seconds", "Time of each exchange with the registry, failed ones included.", self.durations)  # fmt: skip
        yield counter("windtunnel_registry_calls_failed", "Exchanges with the registry that failed.", self.failed)  # fmt: skip


class TimedRegistry(RedisRegistry):
    """A registry that tells *calls* of each exchange."""

    def __init__(
        self, client: Any, prefix: str = "", before: Callable[[], None] = lambda: None, apart: str = "",
        calls: RegistryCalls | None = None,
    ) -> None:  # fmt: skip
        super().__init__(client, prefix, before, apart)
        self.calls = calls or RegistryCalls()

    def _guard(self, call: Callable[[], T]) -> T:
        began = time.monotonic_ns()
        try:
            found = super()._guard(call)
        except RegistryError:
            self.calls.add(time.monotonic_ns() - began, True)
            raise
        self.calls.add(time.monotonic_ns() - began, False)
        return found
