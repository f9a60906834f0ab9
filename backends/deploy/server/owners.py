"""Who holds a lease: a process of a machine, so that its successor on the same machine knows at once that it is dead."""

import os
import socket

import psutil


def own_name() -> str:
    """``HOST:PID:START`` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def certainly_dead(owner: str) -> bool:
    """Whether *owner* was a process of this machine that is gone."""
    parts = owner.rsplit(":", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    try:
        process = psutil.Process(int(parts[1]))
        return f"{process.create_time():.2f}" != parts[2] or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
