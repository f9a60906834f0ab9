"""Children that do not outlive their parent, and may be looked into by it."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61


def die_with_parent() -> None:
    """In a child, before it becomes another program: the kernel kills it when its parent is gone, also by kill -9 (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def may_be_read_by(pid: int) -> None:
    """Allow the process *pid*, and what it starts, to look into this one (Linux with Yama, ptrace_scope 1; elsewhere it changes nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PTRACER, pid, 0, 0, 0)
