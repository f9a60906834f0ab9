"""A machine whose cores are shared: one clock, a heap, alarms."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core import host as rules


class Machine:
    """Bursts on a host, each known by a number; alarms are looked for as an engine does."""

    def __init__(self, cores: int) -> None:
        self.host = rules.idle_host(cores)
        self.bursts = rules.empty_bursts(64)
        self.ends: dict[int, int] = {}

    def join(self, now: int, ref: int, demand: int) -> None:
        self.run(now)
        rules.join(self.host, self.bursts, demand, 7, ref, ref)

    def leave(self, now: int, ref: int) -> int:
        """What it still lacked."""
        self.run(now)
        count = int(self.host["bursts"][0])
        place = self.bursts["ref"][:count].tolist().index(ref)
        lacking = rules.left(self.host, self.bursts, place)
        rules.leave(self.host, self.bursts, place)
        return lacking

    def run(self, until: int) -> None:
        """Everything that is done by *until* leaves at its time."""
        while 0 <= (time := rules.first_end(self.host, self.bursts)) <= until:
            rules.bring_up(self.host, time)
            assert rules.is_done(self.host, self.bursts), "an alarm that comes too early"
            while rules.is_done(self.host, self.bursts):
                self.ends[int(self.bursts["ref"][0])] = time
                rules.leave(self.host, self.bursts, 0)
        rules.bring_up(self.host, until)

    @property
    def clock(self) -> int:
        return int(self.host["attained"][0])


@pytest.mark.parametrize(
    ("cores", "jobs", "ends"),
    [
        (1, [(0, 100), (0, 100)], [200, 200]),
        (2, [(0, 100), (0, 100)], [100, 100]),
        (2, [(0, 100), (0, 100), (0, 100)], [150, 150, 150]),
        (1, [(0, 100), (50, 100)], [150, 200]),
        (1, [(0, 100), (50, 10)], [110, 70]),
        (2, [(0, 90), (0, 90), (30, 30)], [105, 105, 75]),
        (1, [(0, 10), (10, 10)], [10, 20]),
        # Thirds of a nanosecond: a clock of whole ones rounds down, so that nothing is done before its time.
        (1, [(0, 1), (0, 1), (0, 2)], [3, 3, 4]),
    ],
)
def test_by_hand(cores: int, jobs: list[tuple[int, int]], ends: list[int]) -> None:
    machine = Machine(cores)
    for ref, (start, demand) in enumerate(jobs):
        machine.join(start, ref, demand)
    machine.run(10_000)
    assert [machine.ends[ref] for ref in range(len(jobs))] == ends


def test_what_leaves_early_is_told_what_it_lacks_and_makes_room() -> None:
    machine = Machine(1)
    machine.join(0, 0, 100)
    machine.join(0, 1, 100)
    assert machine.leave(50, 1) == 75
    machine.join(60, 2, 10)
    machine.run(1000)
    assert machine.ends == {0: 135, 2: 80}


JOBS = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 500)), min_size=1, max_size=30)


def exact(cores: int, jobs: list[tuple[int, int]]) -> list[Fraction]:
    """When each job ends under processor sharing, in rational numbers, by following what each still lacks."""
    lacking: dict[int, Fraction] = {}
    ends = [Fraction(0)] * len(jobs)
    arrivals = sorted(range(len(jobs)), key=lambda job: jobs[job][0])
    now = Fraction(0)
    while lacking or arrivals:
        rate = min(Fraction(1), Fraction(cores, max(len(lacking), 1)))
        arrival = Fraction(jobs[arrivals[0]][0]) if arrivals else None
        end = now + min(lacking.values()) / rate if lacking else None
        following = min(time for time in (arrival, end) if time is not None)
        for job in list(lacking):
            lacking[job] -= (following - now) * rate
            if lacking[job] == 0:
                del lacking[job]
                ends[job] = following
        now = following
        while arrivals and jobs[arrivals[0]][0] == now:
            first = arrivals.pop(0)
            lacking[first] = Fraction(jobs[first][1])
    return ends


@given(st.integers(1, 6), JOBS)
@settings(deadline=None, derandomize=True)
def test_bursts_end_when_exact_arithmetic_says(cores: int, jobs: list[tuple[int, int]]) -> None:
    """Within what rounding the clock down, at most once a change, can cost: a nanosecond of each of the others' time."""
    machine = Machine(cores)
    for ref in sorted(range(len(jobs)), key=lambda job: jobs[job][0]):
        machine.join(jobs[ref][0], ref, jobs[ref][1])
    machine.run(10**6)
    for ref, expected in enumerate(exact(cores, jobs)):
        assert abs(machine.ends[ref] - expected) <= 2 * len(jobs)


@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 10**6), min_size=1, max_size=9),
    st.lists(st.integers(0, 10**6)),
)
def test_the_clock_does_not_depend_on_who_looks(cores: int, demands: list[int], looks: list[int]) -> None:
    seen, unseen = Machine(cores), Machine(cores)
    for machine in (seen, unseen):
        for ref, demand in enumerate(demands):
            machine.join(0, ref, demand + 10**6)
    for time in sorted(looks):
        rules.bring_up(seen.host, time)
    for machine in (seen, unseen):
        rules.bring_up(machine.host, 10**6)
        assert machine.clock == 10**6 * min(cores, len(demands)) // len(demands)
    assert seen.host.tobytes() == unseen.host.tobytes()


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 63)), max_size=60))
def test_whatever_leaves_the_first_to_end_is_on_top(steps: list[tuple[int, int]]) -> None:
    machine = Machine(1)
    there: dict[int, int] = {}
    for ref, (demand, which) in enumerate(steps):
        if len(there) > 3 and which % 3 == 0:
            place = which % len(there)
            del there[int(machine.bursts["ref"][place])]
            rules.leave(machine.host, machine.bursts, place)
        rules.join(machine.host, machine.bursts, demand, 7, ref, ref)
        there[ref] = demand
        assert machine.bursts["finish"][0] == min(there.values())
        count = int(machine.host["bursts"][0])
        assert sorted(machine.bursts["ref"][:count].tolist()) == sorted(there)


def test_only_the_alarm_that_counts_rings() -> None:
    machine = Machine(1)
    assert rules.next_alarm(machine.host, machine.bursts) == -1
    rules.join(machine.host, machine.bursts, 100, 7, 0, 0)
    assert rules.next_alarm(machine.host, machine.bursts) == 100
    first = int(machine.host["alarm"][0])
    rules.join(machine.host, machine.bursts, 200, 7, 1, 1)
    # The first end is at 200 now: the alarm at 100 comes in time to find that out.
    assert rules.next_alarm(machine.host, machine.bursts) == -1
    rules.join(machine.host, machine.bursts, 10, 7, 2, 2)
    assert rules.next_alarm(machine.host, machine.bursts) == 30
    assert not rules.rings(machine.host, first)
    assert rules.rings(machine.host, first + 1)
    assert not rules.rings(machine.host, first + 1)


def test_the_longest_demand_of_many_stays_within_an_int64() -> None:
    machine = Machine(1)
    machine.bursts = rules.empty_bursts(20_000)
    for ref in range(20_000):
        rules.join(machine.host, machine.bursts, 10**15, 7, ref, ref)
    with np.errstate(all="raise"):
        assert 0 < rules.first_end(machine.host, machine.bursts) <= rules.FARTHEST
