"""How long a role's calls of the registry take, and how many fail: whatever the role asks for, as it waits for it, what faults do to the way included."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric

from .families import SharedDurations, counter, histogram


class RegistryCalls:
    """Of one role, whose threads share it."""

    def __init__(self) -> None:
        self.durations = SharedDurations()
        self.failed = 0
        self._worst = 0

    def add(self, duration: int, failed: bool) -> None:
        """A call took *duration* (ns)."""
        self.durations.add(duration)
        self.failed += failed
        self._worst = max(self._worst, duration)

    def watch(self, registry: Any) -> Any:
        """*registry*, each call of which is told here."""
        return _Timed(registry, self)

    def worst(self) -> int:
        """The longest one since this was last asked (ns); 0: none."""
        worst, self._worst = self._worst, 0
        return worst

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        yield histogram("windtunnel_registry_call_duration_seconds", "Time of each call of the registry, failed ones included.", self.durations)  # fmt: skip
        yield counter("windtunnel_registry_calls_failed", "Calls of the registry that failed.", self.failed)  # fmt: skip


class _Timed:
    def __init__(self, target: Any, calls: RegistryCalls) -> None:
        self._target = target
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            began, failed = time.monotonic_ns(), True
            try:
                answer = found(*arguments, **named)
                failed = False
                return answer
            finally:
                self._calls.add(time.monotonic_ns() - began, failed)

        return call
