"""The flight's timeline of faults on a clock of the test's own: an event loop whose time passes as fast as it is waited for, and a fleet that stands still."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

from windtunnel.backends.local.faults.parts import Parts
from windtunnel.backends.local.faults.schedule import FlightFaults
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, FleetSpec
from windtunnel.core.troubles import Troubles

START = 7_000_000_000
Told = tuple[float, str, str]


class _Hurrying(selectors.SelectSelector):
    """Waits for no time: the clock is put forward instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without real time. Nothing in it may wait for another thread or process."""

    def __init__(self) -> None:
        self.clock = _Hurrying()
        super().__init__(self.clock)

    def time(self) -> float:
        """Seconds."""
        return self.clock.now


@dataclass
class Still:
    """A flight in which nothing happens but faults. *servers*: their states by number, which a test may change; *told*: seconds, name, event."""

    fleet: FleetSpec
    servers: dict[int, State]
    told: list[Told] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    proxy_up: bool = True
    deploying: bool = False
    leaked: int = 0
    loop: VirtualLoop = field(default_factory=VirtualLoop)

    def fly(
        self, story: Callable[["Still", FlightFaults], None] = lambda still, faults: None, **more: Any
    ) -> None:
        """Carry out the timeline; *story* is called before it begins, and may plan calls on the loop."""
        try:
            self.loop.run_until_complete(self._fly(story, more))
        finally:
            self.loop.close()

    async def _fly(self, story: Callable[["Still", FlightFaults], None], more: Mapping[str, Any]) -> None:
        faults = FlightFaults(self._parts())
        story(self, faults)
        end = (self.fleet.duration + self.fleet.drain) / SECOND
        running = asyncio.ensure_future(faults.run(lambda time: time / SECOND - self.loop.time(), **more))
        await asyncio.wait({running}, timeout=end + 1)
        if running.done():
            running.result()
        # What is in force at the end of a flight goes with it.
        told = [*self.told]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.told = told

    def _present(self) -> list[Any]:
        return [
            SimpleNamespace(number=number, address=f"a{number}", state=state, role="serving")
            for number, state in self.servers.items()
        ]

    def _parts(self) -> Parts:
        flight = self

        class Proxy:
            @property
            def is_up(self) -> bool:
                return flight.proxy_up

            def recall(self) -> None:
                return

        processes = {number: SimpleNamespace(process=None) for number in self.servers}
        named: dict[str, Any] = {one.name: None for one in fields(Parts)}
        named |= {
            "fleet": self.fleet, "start": START, "troubles": Troubles(), "proxy": Proxy(), "emit": self._emit,
            "instances": SimpleNamespace(joined=None, aws=None, by_number=processes, present=self._present),
            "standing": SimpleNamespace(put=lambda *said: None, lift=lambda *said: None, say=self._say),
            "places": SimpleNamespace(carried=frozenset()), "deploying": lambda: self.deploying,
        }  # fmt: skip
        return Parts(**named)

    def _say(self, whom: object, command: Mapping[str, Any]) -> None:
        self.leaked += command["bytes"]

    def _emit(self, name: str, fields: Mapping[str, Any]) -> None:
        self.told.append((round(self.loop.time(), 6), str(fields["name"]), name))
        self.events.append({"event": name, **fields})
