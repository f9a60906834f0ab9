"""The backend ``local``: the plan flown against a fleet of processes on this machine."""

import asyncio
import resource
import signal
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.ports import Sink
from ...scenarios.plan import BLOCK, Plan
from ...scenarios.scenario import Scenario
from .conductor import Conductor
from .faults import check_faults
from .options import FlightOptions
from .preflight import check_machine


@dataclass(frozen=True, slots=True)
class Ended:
    """How a flight ended: its last moment (ns of the scenario) and the instance time that it cost (ns)."""

    end: int
    instance_ns: int


class LocalFlight:
    """The backend ``local``."""

    def __init__(
        self, engine: str = "", registry: str = "", cloud: str = "", flight: FlightOptions | None = None
    ) -> None:
        """*engine*, *registry* and *cloud* say what a rehearsal stands on; here everything is real."""
        self._options = flight or FlightOptions()
        self.prepared = True

    def prepare(self) -> None:
        """Nothing takes long here."""

    def check(self, plan: Plan) -> None:
        """Raises UsageError for a plan that cannot be flown on this machine; nothing has been started or written by then."""
        check_faults(plan.fleet)
        check_machine(plan, self._options.demand)

    def run(
        self,
        plan: Plan,
        sink: Sink,
        *,
        scenario: Scenario,
        directory: Path | None = None,
        block: int = BLOCK,
        progress: Callable[[int, int], None] | None = None,
    ) -> Ended:
        """Fly *plan*, which is *scenario*'s. Raises BackendFailure when something that the flight needs fails."""
        logs = None
        if directory is not None:
            logs = directory / "logs"
            logs.mkdir()
        # Load generators compile the plan from a file of their own; one without a name leaves nothing behind.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file, _many_descriptors():
            file.write(scenario.to_yaml())
            file.flush()
            conductor = Conductor(plan, sink, self._options, logs)
            path = Path(f"/dev/fd/{file.fileno()}")
            end, paid = asyncio.run(_until_terminated(conductor.fly(path, (file.fileno(),))))
        return Ended(end, paid)


async def _until_terminated(flight: Coroutine[Any, Any, tuple[int, int]]) -> tuple[int, int]:
    """SIGTERM ends a flight as Ctrl-C does, with everything torn down."""
    task = asyncio.ensure_future(flight)
    loop = asyncio.get_running_loop()
    with suppress(RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


class _many_descriptors:
    """Children inherit the limit: proxy and load generator need many."""

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._before[1], self._before[1]))

    def __exit__(self, *error: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
