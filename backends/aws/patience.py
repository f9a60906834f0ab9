"""Trying again when a provider throttles or cannot be reached: bounded, with exponential backoff and jitter from core.

botocore's own retries are off wherever this is used: they really sleep, and nobody would hear of them.
"""

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from ...core.draws import BACKOFF, draw, key
from ...core.model import SECOND
from ...core.ports import CloudError
from ...core.retries import backoff

AGAIN = frozenset(
    {
        "RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "EC2ThrottledException",
        "Unavailable", "ServiceUnavailable", "InternalError", "InternalFailure", "IdempotentParameterMismatch",
    }
)  # fmt: skip
"""Codes of refusals that pass (EC2 API Reference, "Error codes"). A mismatch means that an earlier launch by the same token is
not listed yet. A lack of capacity is no such case: what to do about it is the autoscaler's decision."""

T = TypeVar("T")


class Patience:
    """Calls again, up to *tries* times in all, as long as a try begins within *longest* seconds: whoever calls may hold a lease.

    *pause* waits so many seconds, *clock* tells them, *notice* is told of each wait.
    """

    def __init__(
        self,
        name: str,
        seed: int = 0,
        tries: int = 5,
        base: int = SECOND // 4,
        longest: float = 8.0,
        pause: Callable[[float], object] = time.sleep,
        notice: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = key(seed, f"cloud/{name}")
        self._tries = tries
        self._base = base
        self._longest = longest
        self._pause = pause
        self._clock = clock
        self._notice = notice
        self._calls = itertools.count()

    def __call__(self, call: Callable[[], T]) -> T:
        """What *call* returns. Raises its last CloudError; one that does not pass is raised at once."""
        number, began = next(self._calls), self._clock()
        for attempt in itertools.count(1):
            try:
                return call()
            except CloudError as error:
                if error.code not in AGAIN or attempt >= self._tries:
                    raise
                wait = (
                    backoff(self._base, 0.5, attempt, draw(self._stream, number, attempt, BACKOFF)) / SECOND
                )
                if self._clock() - began + wait > self._longest:
                    raise
                if self._notice:
                    self._notice(
                        f"{error.code}: asked again in {wait:.2f} s ({attempt} of {self._tries - 1})"
                    )
                self._pause(wait)
        raise AssertionError("unreachable")
