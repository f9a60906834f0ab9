"""Timers: on time on average, and in order."""

import asyncio

from windtunnel.backends.app.timers import Timers
from windtunnel.backends.app.web import new_loop
from windtunnel.backends.live.clock import LiveClock

MS = 1_000_000


def test_they_come_in_order_and_not_early() -> None:
    came: list[int] = []
    errors: list[int] = []

    async def test() -> None:
        clock = LiveClock.begin()
        timers = Timers(asyncio.get_running_loop(), clock)
        over = asyncio.Event()

        def called(item: tuple[int, int]) -> None:
            number, moment = item
            came.append(number)
            errors.append(clock.now() - moment)
            if number == 99:
                over.set()

        begin = clock.now() + 10 * MS
        for number in [*range(0, 100, 2), *range(1, 100, 2)]:
            moment = begin + number * 3 * MS
            timers.at(moment, called, (number, moment))
        await asyncio.wait_for(over.wait(), 20)
        timers.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(test())
    assert came == list(range(100))
    # Below the granularity of the loop's own timers; on a busy machine not all of them.
    assert sorted(errors)[20] < MS
    assert min(errors) > -MS / 5


def test_what_is_past_is_called_soon_and_after_closing_nothing() -> None:
    came: list[str] = []

    async def test() -> None:
        timers = Timers(asyncio.get_running_loop(), LiveClock.begin())
        timers.at(-5, came.append, "past")
        await asyncio.sleep(0.05)
        timers.at(0, came.append, "never")
        timers.close()
        await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(test())
    assert came == ["past"]
