"""The backends of flights: ``local``, a fleet of processes on this machine, and ``attach``, a fleet that is there already."""

import asyncio
import resource
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...core.errors import UsageError
from ...core.ports import Sink
from ...scenarios.plan import BLOCK, Plan
from ...scenarios.scenario import Scenario
from ..autoscaler.receivers import check_receivers
from ..live.addresses import split
from ..live.clock import LiveClock
from ..live.whereabouts import Whereabouts, written
from ..load.targets import check_target
from .attach import Attached
from .broadcast import Broadcast
from .conductor import Conductor
from .deploy_checks import check_deploys
from .faults.by_hand import FaultsByHand
from .faults.flying import check_faults
from .faults.schedule import FlightFaults
from .live_api import LiveApi, new_token
from .network.checks import check_network
from .options import FlightOptions
from .preflight import check_machine, check_program, check_remedy
from .recording import Recording

Result = tuple[int, int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a flight ended: its last moment (ns of the scenario), the instance time that it cost (ns), how late requests were sent (ns, and a share)."""

    end: int
    instance_ns: int
    generator: Mapping[str, float]


class Flight(ABC):
    """What the backends of flights share. *engine*, *registry* and *cloud* say what a rehearsal stands on; here everything is real."""

    def __init__(
        self, engine: str = "", registry: str = "", cloud: str = "", flight: FlightOptions | None = None
    ) -> None:
        self._options = flight or FlightOptions()
        self.prepared = True

    def prepare(self) -> None:
        """Nothing takes long here."""
        assert self.prepared

    @abstractmethod
    def check(self, plan: Plan, scenario: Scenario) -> None:
        """Raises UsageError (or ScenarioError) for what cannot be flown; nothing has been started or written by then."""

    @abstractmethod
    def flying(self, scenario: Scenario) -> "Maker":
        """What makes the flight of *scenario*."""

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
        """Fly *plan*, which is *scenario*'s. Raises BackendFailure, CloudError, RegistryError when something that the flight needs fails."""
        return fly(self.flying(scenario), plan, sink, self._options, scenario, directory)


class LocalFlight(Flight):
    """The backend ``local``: a fleet of its own, from nothing."""

    def check(self, plan: Plan, scenario: Scenario) -> None:
        """See Flight: also what this machine cannot do."""
        if self._options.proxy:
            raise UsageError("--proxy: expected --backend attach; a local flight starts a proxy of its own")
        for name, value in (
            ("--max-instances", self._options.max_instances),
            ("--max-hours", self._options.max_hours),
        ):
            if value is not None:
                raise UsageError(f"{name}: expected --backend aws; nothing else is launched on EC2")
        check_faults(plan, given_registry=bool(self._options.redis_url))
        check_deploys(plan.fleet, bool(self._options.redis_url))
        check_receivers(plan.fleet.alerts, self._options.allowed)
        check_program(plan, self._options.demand)
        check_remedy(plan)
        check_machine(plan, self._options.demand)
        if self._options.network == "namespaces":
            check_network(plan, bool(self._options.redis_url))

    def flying(self, scenario: Scenario) -> "Maker":
        """See Flight."""
        return Conductor


class AttachedFlight(Flight):
    """The backend ``attach``: the plan's load on a fleet that is there."""

    def check(self, plan: Plan, scenario: Scenario) -> None:
        """See Flight: also without a proxy to go to, and for a plan with faults, for this backend strikes nobody else's fleet."""
        if not self._options.proxy:
            raise UsageError("--backend attach: expected --proxy URL, where the fleet's proxy listens")
        try:
            host, port = split(self._options.proxy)
        except ValueError as error:
            raise UsageError(f"--proxy: {error}") from None
        check_target(host, port, self._options.allowed)
        check_receivers(plan.fleet.alerts, self._options.allowed)
        if plan.fleet.alerts and not self._options.redis_url:
            raise UsageError(
                "--backend attach: expected --redis-url for a scenario with alerts: they are judged on samples"
            )
        if self._options.network != "loopback":
            raise UsageError(
                "--network: expected --backend local; this fleet is where it is, and keeps its links"
            )
        if self._options.stop_when:
            raise UsageError("--stop-when: expected a flight with faults; --backend attach strikes nothing")
        if self._options.allow_faults:
            raise UsageError("--allow-faults: expected a fleet of our own; --backend attach strikes nothing")
        if plan.fleet.faults or plan.fleet.triggered:
            waiting = [one.fault for one in plan.fleet.triggered]
            names = ", ".join(fault.name for fault in (*plan.fleet.faults, *waiting))
            raise UsageError(f"--backend attach: expected a scenario without faults, got {names}")
        if plan.fleet.deploys and not self._options.redis_url:
            raise UsageError(
                "--backend attach: expected --redis-url for a scenario with deploys: whoever does them keeps their books there"
            )

    def flying(self, scenario: Scenario) -> "Maker":
        """See Flight."""
        return Attached


class Flying(Protocol):
    """A flight that is about to begin. *start*: the scenario's zero on its *clock*; *faults*: what strikes, from its take-off on; None: nothing can."""

    clock: LiveClock
    start: int
    recording: Recording
    faults: FlightFaults | None

    def fly(self, scenario: Path, fds: tuple[int, ...]) -> Coroutine[Any, Any, Result]:
        """See Conductor."""
        ...


Maker = Callable[[Plan, Sink, FlightOptions, Path | None], Flying]


def fly(
    flight: Maker,
    plan: Plan,
    sink: Sink,
    options: FlightOptions,
    scenario: Scenario,
    directory: Path | None,
) -> Ended:
    """Fly *plan*, which is *scenario*'s, by what *flight* makes; roles log into a folder of *directory*."""
    logs = None
    if directory is not None:
        logs = directory / "logs"
        logs.mkdir()
    # Load generators compile the plan from a file of their own; one without a name leaves nothing behind.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file, _many_descriptors():
        file.write(scenario.to_yaml())
        file.flush()
        flying = flight(plan, sink, options, logs)
        path = Path(f"/dev/fd/{file.fileno()}")
        course = _followed(flying, plan, scenario, options, directory, flying.fly(path, (file.fileno(),)))
        return Ended(*asyncio.run(_until_terminated(course)))


async def _followed(
    flying: "Flying", plan: Plan, scenario: Scenario, options: FlightOptions, directory: Path | None,
    course: Coroutine[Any, Any, Result],
) -> Result:  # fmt: skip
    """The *course* of a flight, which others may follow meanwhile: its run's *directory* says where."""
    fleet, token = plan.fleet, new_token() if options.allow_faults else ""
    broadcast = Broadcast(
        {"name": fleet.name, "seed": fleet.seed, "duration": fleet.duration, "allowed": options.allow_faults}
    )
    by_hand = FaultsByHand(plan, scenario, lambda: flying.faults, lambda: flying.clock.now() - flying.start)
    api = LiveApi(broadcast, by_hand, token)
    try:
        await api.start()
        with written(directory, Whereabouts(api.url, token)):
            flying.recording.follower = broadcast
            if token:
                options.notice(f"faults may be started and stopped by whoever has this token: {token}")
            return await course
    finally:
        course.close()
        await api.end()


async def _until_terminated(flight: Coroutine[Any, Any, Result]) -> Result:
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


@contextmanager
def _many_descriptors() -> Iterator[None]:
    """Children inherit the limit: proxy and load generator need many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
