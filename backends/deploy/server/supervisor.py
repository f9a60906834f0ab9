"""Runs one step's script and leaves nothing of it behind: a program of its own between the build server and the step, run by its path.

``python supervisor.py GRACE SCRIPT``. It becomes the subreaper of all that the step starts (Linux, prctl(2)), so that also what daemonizes stays its descendant. When the script ends, when
SIGTERM comes, or when its input ends (the build server is gone, also by kill -9), every descendant gets SIGTERM and after GRACE seconds SIGKILL. A process whose environment has
``JENKINS_NODE_COOKIE=dontKillMe`` is let go, as by Jenkins. Its status is the script's, or 143 if it was told to end.

It imports nothing of the project: it must start in a moment.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time

import psutil

COOKIE = "JENKINS_NODE_COOKIE"
LET_GO = "dontKillMe"
TOLD_TO_END = 143
_PR_SET_CHILD_SUBREAPER = 36
_UNKILLABLE_SECONDS = 10.0


def let_go(process: psutil.Process) -> bool:
    """Whether the step has released this process."""
    try:
        return bool(process.environ().get(COOKIE) == LET_GO)
    except (psutil.Error, OSError):
        return False


def _alive() -> tuple[list[psutil.Process], bool]:
    """The descendants to end (those of one that was released are its own), and whether none died meanwhile: the children of one that did are ours only in the next look."""
    found, look, settled = [], [psutil.Process()], True
    while look:
        try:
            children = look.pop().children()
        except psutil.NoSuchProcess:
            settled = False
            continue
        for child in children:
            try:
                if child.status() == psutil.STATUS_ZOMBIE:
                    settled = False
                elif not let_go(child):
                    found.append(child)
                    look.append(child)
            except psutil.NoSuchProcess:
                settled = False
    return found, settled


def _reap() -> None:
    """Take the statuses of adopted children that have ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def end_all(grace: float) -> bool:
    """End every descendant; whether all of them are gone."""
    began, told = time.monotonic(), set()
    while True:
        left, settled = _alive()
        if not left and settled:
            return True
        passed = time.monotonic() - began
        if passed > grace + _UNKILLABLE_SECONDS:
            return False
        for process in left:
            try:
                if passed >= grace:
                    process.kill()
                elif process not in told:
                    told.add(process)
                    process.terminate()
            except psutil.Error:
                continue
        _reap()
        time.sleep(0.01)


def main(arguments: list[str]) -> int:
    """The program."""
    grace, script = float(arguments[0]), arguments[1]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told = False

    def on_end(number: int, frame: object) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, on_end)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    selector = selectors.DefaultSelector()
    selector.register(awake, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    step = subprocess.Popen(["/bin/sh", "-xec", script], stdin=subprocess.DEVNULL, start_new_session=True)
    while not told and step.poll() is None:
        for key, _ in selector.select():
            if not os.read(int(key.fd), 4096) and key.fd == 0:
                told = True
    status = step.poll()
    if not end_all(grace):
        left = ", ".join(str(process.pid) for process in _alive()[0])
        sys.stderr.write(
            f"windtunnel: expected every process of the step to end, but these live on: {left}\n"
        )
    if told or status is None:
        return TOLD_TO_END
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
