"""A process that burns CPU: run as a script, it reads orders from one pipe and reports on another, until the first one ends.

An order is (number, ns), a report the number; both are whole in the pipe, so that several spinners share the same two: the one that is free
first takes the next order. Each piece of work is measured by the process's own CPU clock from the end of the one before, so that
taking the order counts too. It ends with its parent, in the midst of a piece of work as well.
"""

import os
import signal
import struct
import sys
import time

ORDER = struct.Struct("<qq")
REPORT = struct.Struct("<q")

_TURNS = 2_000


def spin(orders: int, reports: int) -> None:
    """Work off orders until the pipe or the parent has ended."""
    parent = os.getppid()
    clock = time.process_time_ns
    begun = clock()
    while True:
        order = os.read(orders, ORDER.size)
        if not order:
            return
        number, length = ORDER.unpack(order)
        end = begun + length
        turns = 0
        while clock() < end:
            turns += 1
            if turns == _TURNS:
                turns = 0
                if os.getppid() != parent:
                    return
        try:
            os.write(reports, REPORT.pack(number))
        except BrokenPipeError:
            return
        begun = clock()


if __name__ == "__main__":
    # The terminal's interrupt is meant for whoever runs the fleet.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spin(int(sys.argv[1]), int(sys.argv[2]))
