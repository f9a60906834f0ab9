"""fakeredis under virtual time.

fakeredis asks ``time.time()`` on each command and has no clock hook, so its modules' ``time`` is exchanged for ours while a
rehearsal runs. Whatever would really wait raises instead.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import fakeredis

EPOCH_S = 1_000_000_000
"""Virtual time 0 as Unix time: a round number, long past, that no machine's clock influences."""


class _VirtualTime(ModuleType):
    """Looks like the time module to fakeredis."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__("time")
        self._now = now

    def time(self) -> float:
        """Unix time of the virtual now."""
        return EPOCH_S + self._now() / 1e9

    def monotonic(self) -> float:
        """Seconds since the scenario's start."""
        return self._now() / 1e9

    def sleep(self, seconds: float) -> None:
        """Never: virtual time does not pass by waiting."""
        raise AssertionError(f"fakeredis wants to sleep {seconds} s of real time in a rehearsal")


@contextmanager
def virtual_redis(now: Callable[[], int]) -> Iterator[Any]:
    """A fakeredis client of an empty server of its own, whose clock is *now* (ns)."""
    virtual = _VirtualTime(now)
    changed = [
        module
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] == "fakeredis" and getattr(module, "time", None) is time
    ]
    assert changed, "no module of fakeredis uses the time module: its clock can no longer be replaced"
    for module in changed:
        module.time = virtual  # type: ignore[attr-defined]
    try:
        yield fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    finally:
        for module in changed:
            module.time = time  # type: ignore[attr-defined]
