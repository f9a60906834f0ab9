"""Memory that the model says is in use, really held: private pages that are touched, and given back.

The process has memory of its own (interpreter, connections, bodies that it received); the ballast is what is missing to the model's figure. It follows
within SETTLE, so that a burst of requests costs no system call each, in a thread and without the GIL. It never takes the host's last RESERVE.
"""

import asyncio
import ctypes
import mmap
import threading
from collections.abc import Callable

import psutil

SETTLE = 0.02
"""Seconds after a change until the pages follow."""

RESERVE = 256 << 20
"""Bytes of the host that stay free whatever the model says."""

PAGE = mmap.PAGESIZE


class Ballast:
    """So many bytes held beside what the process has anyway. *limit* is the most that the model may ask for, -1: the host's memory; *short* is called
    once if the host has not enough."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, short: Callable[[int], None]) -> None:
        self._loop = loop
        self._short = short
        room = psutil.virtual_memory().total if limit < 0 else limit
        self._size = -(-room // PAGE) * PAGE
        self._model = 0
        self._own = 0
        self._pending = False
        self._changed = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.level = 0

    def aim(self, model: int) -> None:
        """The model's figure is *model* bytes now. On the loop's thread."""
        if model == self._model:
            return
        self._model = model
        if not self._pending and (self.level or self._wanted()):
            self._pending = True
            self._loop.call_later(SETTLE, self._follow)

    def measured(self, own: int) -> None:
        """The process has *own* bytes without the ballast. From any thread."""
        self._own = own
        if abs(self._wanted() - self.level) >= PAGE:
            self._loop.call_soon_threadsafe(self._follow)

    def _wanted(self) -> int:
        return min(self._size, max(0, self._model - self._own) // PAGE * PAGE)

    def _follow(self) -> None:
        self._pending = False
        if self._closing:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ballast", daemon=True)
            self._thread.start()
        self._changed.set()

    def _work(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        with mmap.mmap(-1, self._size, flags=flags) as pages:
            # Huge pages would be held whole for the sake of one small one.
            if hasattr(mmap, "MADV_NOHUGEPAGE"):
                pages.madvise(mmap.MADV_NOHUGEPAGE)
            view = ctypes.c_char.from_buffer(pages)
            start = ctypes.addressof(view)
            while self._changed.wait() and not self._closing:
                self._changed.clear()
                self._adjust(pages, start, self._wanted())
            del view

    def _adjust(self, pages: mmap.mmap, start: int, wanted: int) -> None:
        level = self.level
        if wanted > level:
            wanted = min(wanted, level + self._affordable(wanted - level))
            ctypes.memset(start + level, 1, wanted - level)
        elif wanted < level:
            pages.madvise(mmap.MADV_DONTNEED, wanted, level - wanted)
        self.level = wanted

    def _affordable(self, more: int) -> int:
        free: int = psutil.virtual_memory().available - RESERVE
        if more <= free:
            return more
        self._short(more - max(0, free))
        return max(0, free) // PAGE * PAGE

    def close(self) -> None:
        """Give everything back."""
        self._closing = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join()
