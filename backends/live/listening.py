"""Listeners that may be slow: messages wait for each in a queue of bounded length, and whoever tells never waits."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

M = TypeVar("M")


class Listener(Generic[M]):
    """One who listens. *backlog* waits for it from the beginning. When more than *most* messages wait besides, all of them are dropped, and *lost* says what it is told instead."""

    def __init__(self, backlog: Sequence[M], most: int, lost: Callable[[], M]) -> None:
        self._most = len(backlog) + most
        self._lost = lost
        self._waiting = deque(backlog)
        self._news = asyncio.Event()
        self._over = False

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    def tell(self, message: M) -> None:
        """One more message."""
        if len(self._waiting) >= self._most:
            self._waiting.clear()
            message = self._lost()
        self._waiting.append(message)
        self._news.set()

    def end(self) -> None:
        """No more will come."""
        self._over = True
        self._news.set()

    async def next(self) -> M | None:
        """The next message; None when there is no more."""
        while not self._waiting:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
