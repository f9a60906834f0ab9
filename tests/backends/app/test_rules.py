"""An app server's rules in real time, without HTTP: latencies by hand, with sleeps long enough for a loaded machine."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from windtunnel.backends.app.executors import SleepExecutor
from windtunnel.backends.app.job import Demands, Job
from windtunnel.backends.app.main import make_executor
from windtunnel.backends.app.server import AppServer
from windtunnel.backends.app.timers import Timers
from windtunnel.backends.app.web import new_loop
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.headers import PlannedRequest
from windtunnel.core.model import FleetSpec, Memory, VersionSpec
from windtunnel.core.outcomes import Outcome

from ...support import plan
from .running import fleet_of

MS = 1_000_000
SLACK = 60 * MS
"""What a loaded machine may take longer."""
ATTEMPTS = 5


class Bench:
    """An app server on the running loop, and what it told of its memory."""

    def __init__(self, fleet: FleetSpec, version: int = 0) -> None:
        self.clock = LiveClock.begin()
        self.timers = Timers(asyncio.get_running_loop(), self.clock)
        self.held: list[int] = []
        self.deaths: list[tuple[int, int]] = []
        self.refused: list[Job] = []
        self.demands = Demands(fleet, 1)
        self.server = AppServer(
            fleet.app_of(version), self.clock, SleepExecutor(fleet.app.cores, self.timers, self.clock), self.timers,
            self, self.held.append, lambda used, lost: self.deaths.append((used, lost)), fleet.version(version),
        )  # fmt: skip

    def call(self, job: Job, called: Callable[[Job, bool], None]) -> None:
        """A dependency that refuses everything."""
        self.refused.append(job)
        called(job, False)

    def arrive(self, index: int, target: str = "/", size: int = 0) -> Job:
        job = self.demands.job(target, PlannedRequest(0, index, 1), 1, size)
        job.waiter = asyncio.get_running_loop().create_future()
        self.server.arrive(job)
        if job.outcome != Outcome.PENDING and not job.waiter.done():
            job.waiter.set_result(None)
        return job

    async def ended(self, *jobs: Job) -> None:
        for job in jobs:
            assert job.waiter is not None
            await asyncio.wait_for(job.waiter, 20)


def live(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on the loop that the roles use. Of a few attempts one must be right: a machine that pauses is no server's fault."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(test())
        except AssertionError:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def near(measured: int, expected: int) -> bool:
    return expected - MS <= measured <= expected + SLACK


def test_workers_cores_and_the_queue_by_hand() -> None:
    async def test() -> None:
        bench = Bench(fleet_of({"cpu": {"constant": "100ms"}}, workers=2, cores=1, queue=1))
        jobs = [bench.arrive(index) for index in range(4)]
        assert (bench.server.in_flight, bench.server.queued) == (3, 1)
        assert (jobs[3].outcome, jobs[3].status) == (Outcome.QUEUE_FULL, 503)
        await bench.ended(*jobs)
        for job, started, cpu_done in zip(jobs, (0, 0, 100), (100, 200, 300), strict=False):
            assert near(job.started - job.arrived, started * MS)
            assert near(job.cpu_done - job.arrived, cpu_done * MS)
            assert (job.outcome, job.status) == (Outcome.OK, 200)
        assert jobs[3].started == -1
        assert bench.server.requests == 4

    live(test)


def test_io_holds_the_worker_and_no_core() -> None:
    async def test() -> None:
        fleet = fleet_of({"cpu": {"constant": "60ms"}, "io": {"constant": "200ms"}}, workers=2, cores=1)
        bench = Bench(fleet)
        jobs = [bench.arrive(index) for index in range(3)]
        await bench.ended(*jobs)
        # The third waits for the first one's worker, which is held until 260 ms.
        for job, started, served in zip(jobs, (0, 0, 260), (260, 320, 520), strict=True):
            assert near(job.started - jobs[0].arrived, started * MS)
            assert near(job.served - jobs[0].arrived, served * MS)

    live(test)


def test_late_timers_do_not_add_up() -> None:
    async def test() -> None:
        bench = Bench(fleet_of({"cpu": {"constant": "5ms"}}, workers=100, cores=1))
        jobs = [bench.arrive(index) for index in range(60)]
        for _ in range(30):
            # Every other piece of work ends while the loop is busy with something else.
            time.sleep(0.007)
            await asyncio.sleep(0.003)
        await bench.ended(*jobs)
        assert near(jobs[-1].cpu_done - jobs[0].arrived, 300 * MS)

    live(test)


def test_many_requests_without_demand_end_at_once() -> None:
    async def test() -> None:
        bench = Bench(fleet_of({"cpu": {"constant": "50ms"}}, workers=1))
        first = bench.arrive(0)
        others = [bench.arrive(index, "/unknown") for index in range(1, 5000)]
        assert bench.server.queued == 4999
        await bench.ended(first, *others)
        assert {job.status for job in others} == {404}
        assert bench.server.in_flight == 0

    live(test)


def test_memory_is_the_models_and_death_is_too() -> None:
    async def test() -> None:
        memory = {"total": "100MiB", "base": "50MiB", "per_request": "10MiB", "leak": "1MiB"}
        fleet = fleet_of({"cpu": {"constant": "50ms"}}, workers=1, memory=memory)
        bench = Bench(fleet)
        mib = 1 << 20
        jobs = [bench.arrive(0, size=5 * mib), bench.arrive(1)]
        assert bench.server.memory == (50 + 20 + 5) * mib
        await bench.ended(*jobs)
        assert bench.server.memory == bench.held[-1] == 52 * mib
        assert bench.deaths == []
        bench.server.leak(30 * mib)
        bench.arrive(2)
        assert bench.deaths == []
        bench.arrive(3)
        assert bench.deaths == [(102 * mib, 2)]

    live(test)


def test_a_refused_call_is_an_error_and_ends_the_request() -> None:
    async def test() -> None:
        spec = {"dependencies": [{"name": "db", "service": {"constant": "1ms"}}], "app": {"workers": 1}}
        bench = Bench(_with_dependencies(spec))
        job = bench.arrive(0)
        await bench.ended(job)
        assert (job.outcome, job.status) == (Outcome.APP_ERROR, 500)
        assert bench.refused == [job]

    live(test)


def _with_dependencies(fleet: dict[str, Any]) -> FleetSpec:
    endpoints = [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db", "db"]}]
    traffic = [{"name": "users", "stages": [{"for": "1s", "rate": "1/s"}]}]
    return plan({"duration": "1s", "fleet": fleet, "endpoints": endpoints, "traffic": traffic}).fleet


def test_a_faulty_server_answers_early_and_a_slow_one_late() -> None:
    async def test() -> None:
        bench = Bench(fleet_of({"cpu": {"constant": "50ms"}}, workers=9, cores=9))
        bench.server.disturb(1.0, 1.0, 503)
        job = bench.arrive(0)
        assert (job.outcome, job.status) == (Outcome.APP_ERROR, 503)
        bench.server.disturb(3.0, 0.0, 0)
        slow = bench.arrive(1)
        await bench.ended(slow)
        assert near(slow.cpu_done - slow.arrived, 150 * MS)

    live(test)


def test_a_version_composes_with_faults() -> None:
    async def test() -> None:
        memory = {"total": "400MiB", "base": "50MiB", "per_request": "10MiB"}
        made = fleet_of({"cpu": {"constant": "20ms"}}, workers=9, cores=9, memory=memory)
        mib = 1 << 20
        heavy = VersionSpec("2", cpu_factor=2.0, memory=Memory(base=70 * mib, leak=5 * mib))
        failing = VersionSpec("3", error_share=1.0, error_status=503)
        made = replace(made, versions=(VersionSpec("1"), heavy, failing))
        bench = Bench(made, 1)
        assert bench.server.memory == 70 * mib
        first = bench.arrive(0)
        bench.server.disturb(3.0, 0.0, 0)
        second = bench.arrive(1)
        await bench.ended(first, second)
        assert near(first.cpu_done - first.arrived, 40 * MS)
        assert near(second.cpu_done - second.arrived, 120 * MS)
        assert bench.server.memory == 80 * mib
        faulty = Bench(made, 2)
        faulty.server.disturb(1.0, 0.5, 500)
        job = faulty.arrive(0)
        assert (job.outcome, job.status) == (Outcome.APP_ERROR, 503)
        faulty.server.disturb(1.0, 0.0, 0)
        assert faulty.arrive(1).status == 503

    live(test)


def test_an_unknown_word_for_demand_is_named() -> None:
    async def test() -> None:
        with pytest.raises(ValueError, match="expected the demand burn or sleep, got 'x'"):
            make_executor("x", 1, asyncio.get_running_loop(), None, None)  # type: ignore[arg-type]

    live(test)
