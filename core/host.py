"""One machine whose cores are shared by all that computes on it: processor sharing.

Theory of operation
-------------------
A burst is CPU time that one thread asks for. While no more bursts than cores are under way each has a core of its own; else all of them
progress alike, at cores / bursts of a core, as Linux's fair scheduler has it over more than some milliseconds. So one clock is enough
(Kleinrock 1967, egalitarian processor sharing): ``attained`` is the CPU time (ns) that a burst which is there all the time has had by now. One that
joins is done when the clock shows what it shows now plus its demand; the next one to be done is at the top of a heap. The clock advances in whole ns; what is left
over by the division is ``carried``, in units of 1 / bursts ns, so that the clock does not depend on how often it is looked at.

Whoever owns the host calls :func:`bring_up` before anything else, and :func:`next_alarm` after each change: it tells when to look again. Alarms that
come too early or too late cost nothing: only the one whose number is ``alarm`` counts (:func:`rings`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision

HOST = np.dtype(
    [(name, np.int64) for name in ("cores", "bursts", "attained", "carried", "since", "due", "alarm")],
    align=True,
)
"""A machine: cores, bursts under way, the clock, its remainder, the time up to which it counts, when the alarm is due (-1: none is) and its number."""

BURST = np.dtype([(name, np.int64) for name in ("finish", "major", "minor", "ref")], align=True)
"""A burst: what the clock shows when it is done, and what is its owner's: the key of the event that its end is, and what it is about."""

FARTHEST = 1 << 60
"""No alarm is set farther ahead (ns): it would be looked at again, so that products stay within int64."""

Host = npt.NDArray[Any]
Bursts = npt.NDArray[Any]


def idle_host(cores: int) -> Host:
    """A machine on which nothing computes yet, at time 0."""
    host = np.zeros(1, HOST)
    host["cores"] = cores
    host["due"] = -1
    return host


def empty_bursts(length: int) -> Bursts:
    """Room for so many bursts."""
    return np.zeros(length, BURST)


@decision
def bring_up(host: Host, now: int) -> None:
    """Let the clock show what it shows at *now* (ns)."""
    elapsed = now - host["since"][0]
    host["since"][0] = now
    bursts, cores = host["bursts"][0], host["cores"][0]
    if bursts <= cores:
        host["attained"][0] += elapsed
    else:
        had = elapsed * cores + host["carried"][0]
        host["attained"][0] += had // bursts
        host["carried"][0] = had % bursts


@decision
def set_bursts(host: Host, count: int) -> None:
    """From now on *count* bursts are under way; the clock's remainder is rounded down to its new unit."""
    before, cores = host["bursts"][0], host["cores"][0]
    carried = 0
    if before > cores and count > cores:
        carried = host["carried"][0] * count // before
    host["carried"][0] = carried
    host["bursts"][0] = count


@decision
def join(host: Host, bursts: Bursts, demand: int, major: int, minor: int, ref: int) -> None:
    """A burst of *demand* ns begins; there must be room for one more."""
    finish = host["attained"][0] + demand
    place = host["bursts"][0]
    set_bursts(host, place + 1)
    rise(bursts, place, finish, major, minor, ref)


@decision
def put(bursts: Bursts, place: int, finish: int, major: int, minor: int, ref: int) -> None:
    """Write one burst of the heap."""
    bursts["finish"][place] = finish
    bursts["major"][place] = major
    bursts["minor"][place] = minor
    bursts["ref"][place] = ref


@decision
def move(bursts: Bursts, source: int, target: int) -> None:
    """The burst at *source* takes the place *target*."""
    put(
        bursts, target, bursts["finish"][source], bursts["major"][source], bursts["minor"][source], bursts["ref"][source],
    )  # fmt: skip


@decision
def rise(bursts: Bursts, place: int, finish: int, major: int, minor: int, ref: int) -> None:
    """Put a burst at *place* of the heap, or above."""
    while place > 0 and finish < bursts["finish"][(place - 1) // 2]:
        move(bursts, (place - 1) // 2, place)
        place = (place - 1) // 2
    put(bursts, place, finish, major, minor, ref)


@decision
def leave(host: Host, bursts: Bursts, place: int) -> None:
    """The burst at *place* of the heap is under way no more, done or not."""
    last = host["bursts"][0] - 1
    set_bursts(host, last)
    if place == last:
        return
    finish, major, minor, ref = (
        bursts["finish"][last], bursts["major"][last], bursts["minor"][last], bursts["ref"][last],
    )  # fmt: skip
    child = 2 * place + 1
    while child < last:
        if child + 1 < last and bursts["finish"][child + 1] < bursts["finish"][child]:
            child += 1
        if finish <= bursts["finish"][child]:
            break
        move(bursts, child, place)
        place = child
        child = 2 * place + 1
    rise(bursts, place, finish, major, minor, ref)


@decision
def is_done(host: Host, bursts: Bursts) -> bool:
    """Whether the burst at the top of the heap has had all that it asked for."""
    return bool(host["bursts"][0] > 0 and bursts["finish"][0] <= host["attained"][0])


@decision
def find(host: Host, bursts: Bursts, major: int) -> int:
    """The place of a burst with this key, or -1."""
    for place in range(host["bursts"][0]):
        if bursts["major"][place] == major:
            return place
    return -1


@decision
def left(host: Host, bursts: Bursts, place: int) -> int:
    """CPU time (ns) that the burst at *place* still asks for."""
    return max(int(bursts["finish"][place] - host["attained"][0]), 0)


@decision
def first_end(host: Host, bursts: Bursts) -> int:
    """When the first of the bursts will be done if nothing changes (ns), -1: there are none."""
    count, cores = host["bursts"][0], host["cores"][0]
    if count == 0:
        return -1
    lacking = left(host, bursts, 0)
    if count > cores:
        lacking = min(lacking, FARTHEST // count) * count - host["carried"][0]
        lacking = max((lacking + cores - 1) // cores, 0)
    return int(host["since"][0] + lacking)


@decision
def next_alarm(host: Host, bursts: Bursts) -> int:
    """When a new alarm, numbered ``alarm``, is to be set (ns); -1: none, the one that is set comes in time."""
    time = first_end(host, bursts)
    if time < 0 or 0 <= host["due"][0] <= time:
        return -1
    host["due"][0] = time
    host["alarm"][0] += 1
    return time


@decision
def rings(host: Host, alarm: int) -> bool:
    """Whether the alarm of this number is the one that counts; if so, none is set any more."""
    if host["due"][0] < 0 or host["alarm"][0] != alarm:
        return False
    host["due"][0] = -1
    return True
