"""The kernel's one entry: every call from outside is a command to the world."""

from .agenda import schedule
from .appserver import pause, resume, take_samples
from .clients import schedule_turn
from .dependency import fail_waiting
from .layout import World
from .links import disturbed
from .loop import advance
from .process import leak, stop
from .proxy import crash
from .rows import end_requests

ADVANCE = 0
STOP = 1
CRASH = 2
END = 3
SAMPLE = 4
TURN = 5
SCHEDULE = 6
PAUSE = 7
RESUME = 8
LEAK = 9
FAIL_WAITING = 10
DISTURBED = 11


def command(w: World, what: int, one: int, two: int, three: int) -> int:
    """Do *what*: its operands are *one*, *two*, *three*, its result depends on it."""
    if what == ADVANCE:
        return advance(w, one, two)
    if what == STOP:
        return stop(w, one)
    if what == SAMPLE:
        return take_samples(w)
    if what == CRASH:
        crash(w, one)
    elif what == END:
        end_requests(w)
    elif what == TURN:
        schedule_turn(w, one, two, three)
    elif what == SCHEDULE:
        schedule(w, one, two, 0, three)
    elif what == PAUSE:
        pause(w, one)
    elif what == RESUME:
        resume(w, one)
    elif what == LEAK:
        leak(w, one, two)
    elif what == FAIL_WAITING:
        fail_waiting(w, one)
    elif what == DISTURBED:
        disturbed(w, one)
    return 0
