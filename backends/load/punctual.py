"""Asking the kernel to run us soon after we wake up, on a machine whose cores are busy with the fleet itself.

Linux's EEVDF scheduler lets an ordinary process ask for short time slices (6.12 on): it then runs sooner when it wakes up, and is interrupted sooner. Measured on two
cores with five busy processes: a wake-up for a moment 1 ms ahead was late by 1.7 to 2.8 ms in one case of ten, by 65 us with slices of 0.1 ms.
"""

import ctypes
import platform
import sys

_SYSCALLS = {"x86_64": 314, "aarch64": 274}
_SLICE = 100_000


class _Attributes(ctypes.Structure):
    """``struct sched_attr`` (sched_setattr(2)), its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64), ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64), ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )  # fmt: skip


def ask_for_short_slices() -> bool:
    """Whether the kernel has taken the calling thread's request. Nothing else about its scheduling changes."""
    number = _SYSCALLS.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    attributes = _Attributes(size=ctypes.sizeof(_Attributes))
    if library.syscall(315 if number == 314 else 275, 0, ctypes.byref(attributes), attributes.size, 0) != 0:
        return False
    attributes.runtime = _SLICE
    return bool(library.syscall(number, 0, ctypes.byref(attributes), 0) == 0)
