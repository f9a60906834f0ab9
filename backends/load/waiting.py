"""Waiting for sockets and for a moment, whichever comes first, to the microsecond.

epoll's own timeout counts milliseconds, as uvloop's timers do; on Linux a timerfd among the descriptors wakes us at the very moment.
Elsewhere the last millisecond is spent asking again and again.
"""

import ctypes
import os
import select
import selectors
import sys
import time

FOREVER = 1 << 62
_BATCH = 32
_MILLISECOND = 1_000_000
_SHORTEST_SLEEP = 15_000
"""Sleeping and waking up takes about so long (ns)."""

READ, WRITE, EDGE = 1, 4, 1 << 31
"""Interest in a descriptor, as epoll's bits: what can be read (and every end of the connection), what can be written, and changes only."""
_RDHUP = 0x2000

Ready = list[tuple[int, int]]


class EpollWaiter:
    """Linux."""

    edges = True

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._timer = _Timer()
        self._armed = FOREVER
        self._epoll.register(self._timer.descriptor, READ)

    def add(self, descriptor: int, interest: int) -> None:
        """Watch *descriptor*."""
        self._epoll.register(descriptor, interest | _RDHUP)

    def change(self, descriptor: int, interest: int) -> None:
        """Watch it for something else."""
        self._epoll.modify(descriptor, interest | _RDHUP)

    def remove(self, descriptor: int) -> None:
        """Watch it no longer."""
        self._epoll.unregister(descriptor)

    def wait(self, moment: int) -> Ready:
        """What is ready, at the latest at *moment* (ns, CLOCK_MONOTONIC)."""
        if moment - time.monotonic_ns() < _SHORTEST_SLEEP:
            return self._epoll.poll(0, _BATCH)
        if moment != self._armed:
            self._timer.arm(moment)
            self._armed = moment
        return self._epoll.poll(-1, _BATCH)

    def close(self) -> None:
        """Give back the descriptors."""
        self._epoll.close()
        self._timer.close()


class _Timer:
    """A timerfd. Python has them from 3.13 on; before that the C library is asked."""

    class _Spec(ctypes.Structure):
        _fields_ = (
            ("interval_s", ctypes.c_long), ("interval_ns", ctypes.c_long),
            ("s", ctypes.c_long), ("ns", ctypes.c_long),
        )  # fmt: skip

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = int(library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"no timer: {os.strerror(code)}")
        self._spec = self._Spec()
        self._set = library.timerfd_settime
        self._set.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._place = ctypes.addressof(self._spec)

    def arm(self, moment: int) -> None:
        """Become readable at *moment* and not before, whatever was armed or has expired."""
        spec = self._spec
        spec.s, spec.ns = divmod(moment, 1_000_000_000)
        self._set(self.descriptor, 1, self._place, None)  # 1: TFD_TIMER_ABSTIME

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self.descriptor)


class SelectorWaiter:
    """Where there is no epoll. It knows no edges: whoever asks for them is not watched and has to look from time to time."""

    edges = False

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, descriptor: int, interest: int) -> None:
        """Watch *descriptor*."""
        self._selector.register(descriptor, _events(interest))

    def change(self, descriptor: int, interest: int) -> None:
        """Watch it for something else."""
        self._selector.modify(descriptor, _events(interest))

    def remove(self, descriptor: int) -> None:
        """Watch it no longer."""
        self._selector.unregister(descriptor)

    def wait(self, moment: int) -> Ready:
        """What is ready, at the latest at *moment* (ns, CLOCK_MONOTONIC)."""
        left = moment - time.monotonic_ns() - _MILLISECOND
        found = self._selector.select(max(left, 0) / 1e9)
        return [(key.fd, (READ if mask & 1 else 0) | (WRITE if mask & 2 else 0)) for key, mask in found]

    def close(self) -> None:
        """Give back the descriptors."""
        self._selector.close()


def _events(interest: int) -> int:
    return (1 if interest & READ else 0) | (2 if interest & WRITE else 0)


Waiter = EpollWaiter | SelectorWaiter


def waiter() -> Waiter:
    """The best that this machine has."""
    return EpollWaiter() if sys.platform == "linux" else SelectorWaiter()
