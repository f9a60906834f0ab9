"""Virtual time: SimPy's heap with our own order of simultaneous events."""

from collections.abc import Callable
from typing import Any

import simpy

from ..core.order import priority


class _Happening(simpy.Event):
    """An event that calls a handler when its time has come."""

    def __init__(self, env: simpy.Environment, handler: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.env = env
        self.callbacks = [_call]
        self._ok = True
        self._value = None
        self.handler = handler
        self.args = args


def _call(event: Any) -> None:
    event.handler(*event.args)


class _Moment(simpy.Event):
    """An event that a process waits for."""

    def __init__(self, env: simpy.Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None


class Timeline:
    """The clock of a rehearsal, in integer nanoseconds, and what is due on it."""

    def __init__(self) -> None:
        self.env = simpy.Environment(initial_time=0)

    def now(self) -> int:
        """Nanoseconds since the scenario's start."""
        return self.env._now  # type: ignore[return-value]

    def at(
        self, time: int, kind: int, entity: int, request: int, lane: int, handler: Callable[..., None],
        *args: Any,
    ) -> None:  # fmt: skip
        """Call *handler* at *time*; simultaneous calls happen in the order of (kind, entity, request, lane)."""
        env = self.env
        delay = time - env._now
        assert delay >= 0, f"event of kind {kind} at {time} ns is {-delay} ns in the past"
        env.schedule(_Happening(env, handler, args), priority(kind, entity, request, lane), delay)  # type: ignore[arg-type]

    def until(self, time: int, kind: int, entity: int = 0) -> simpy.Event:
        """An event at *time* for a process to wait for, in the same order."""
        event = _Moment(self.env)
        delay = time - self.env._now
        assert delay >= 0, f"a wait of kind {kind} until {time} ns is {-delay} ns in the past"
        self.env.schedule(event, priority(kind, entity), delay)  # type: ignore[arg-type]
        return event

    def set_now(self, time: int) -> None:
        """Something outside SimPy's heap happens at *time*, not after what is due next in it."""
        assert self.env._now <= time <= self.env.peek(), f"{time} ns is not between now and the next event"
        self.env._now = time

    def run(self, finished: simpy.Event, advance: Callable[[int, int], bool]) -> None:
        """Let everything happen until *finished*. Before each event *advance* (time, priority) brings along what is not in the heap;
        when it returns False it stopped earlier, and what is due next may have changed."""
        queue = self.env._queue
        while not finished.triggered:
            time, priority = queue[0][:2]
            if advance(time, priority):  # type: ignore[arg-type]
                self.env.step()
