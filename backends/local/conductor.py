"""The conductor: starts a fleet, flies the plan against it, records what happens, and leaves nothing behind.

Theory of operation
-------------------
Registry, control API, dependencies, first instances, proxy, load generators come up in this order, each waited for; then the scenario's zero is set
on a whole second of the live clock, and the autoscaler begins. From then on everything happens in other processes; the conductor takes
samples each second, strikes with faults, carries out the scenario's deploys, and writes down what roles say. However it ends, what it started is ended in reverse order.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ...core.errors import BackendFailure
from ...core.events import FORMAT
from ...core.lifecycle import State
from ...core.model import SECOND, FleetSpec
from ...core.ports import Sink
from ...core.troubles import TroubledCloud
from ...scenarios.plan import Plan
from ..connection import registry_at
from ..live.addresses import Addresses
from ..live.clock import EPOCH, LiveClock
from ..reach import Reach
from .control_api import ControlApi
from .deploys import BUILDER, FlightDeploys, Parts
from .faults.parts import Parts as FaultParts
from .faults.schedule import FlightFaults
from .faults.standing import Standing
from .flight_registry import FlightRegistry
from .guardian import Guardian
from .instances import Emit, Instance, Instances, Start
from .loading import LoadGenerators
from .local_cloud import CloudFace, LocalInstances
from .network.choosing import addresses_of, places_of
from .observed import measurements, metric_rows
from .options import Figures, FlightOptions
from .process import Line, RoleProcess
from .recording import Recording
from .redis_server import free_port
from .roles import END_SECONDS, Lasting, RoleFactory
from .stopping import Condition, Watch
from .trace_news import TraceNews

_SETTLE_NS = SECOND
_AUTOSCALER_NS = 2 * SECOND
_ANSWER_SECONDS = 0.25
_OVERTIME = 15 * SECOND

Provide = Callable[[FleetSpec, LiveClock, Addresses, Start, Emit], Instances]
"""Makes what provides a flight's instances."""


class Conductor:
    """One flight of *plan*. *logs*: a folder for what roles say besides (None: only their last words are kept). *provide*: where instances come from."""

    def __init__(
        self, plan: Plan, sink: Sink, options: FlightOptions, logs: Path | None,
        provide: Provide = LocalInstances,
    ) -> None:  # fmt: skip
        self.fleet = plan.fleet
        self.options = options
        self.clock = LiveClock.begin()
        self.recording = Recording(sink)
        self.start = -1
        self._plan = plan
        self._sink = sink
        self._logs = logs
        self._cleanup = AsyncExitStack()
        self._places = places_of(options.network)
        self._addresses = addresses_of(plan, self._places)
        self._instances = provide(
            self.fleet, self.clock, self._addresses, self._start_app, self.recording.event
        )
        self._standing = Standing()
        self._face = CloudFace(self._instances)
        self._cloud = TroubledCloud(self._face, self._instances.troubles, self.clock.now)
        self._guardian = Guardian()
        self._numbers: Mapping[str, int] = {}
        self._factory: RoleFactory
        self._proxy: Lasting
        self._scaler: Lasting | None = None
        self._registry = FlightRegistry(
            self.fleet,
            options.redis_url,
            self._guardian,
            self._instances.addresses,
            self.clock.now,
            self._places.host,
        )
        self._load = LoadGenerators(self.recording)
        self._caches: RoleProcess | None = None
        self._dependencies: dict[str, str] = {}
        self._proxy_admin = ""
        self._proxy_second: Line = {}
        self._decision = self._api_url = ""
        self._traces = TraceNews(options.notice)
        self._stop = Watch(Condition.parse(options.stop_when)) if options.stop_when else None
        self.faults: FlightFaults | None = None
        self._deploys: FlightDeploys | None = None
        self._striking: asyncio.Task[None]

    # The flight.

    async def fly(self, scenario: Path, fds: tuple[int, ...]) -> tuple[int, int, Mapping[str, float]]:
        """Fly the plan of the *scenario* file (load generators inherit *fds* for it); its end, the instance time paid (ns), the generator's lateness.

        Raises BackendFailure, RegistryError.
        """
        async with self._cleanup:
            self._cleanup.callback(self._guardian.end)
            await self._places.begin(self._cleanup, self._guardian)
            redis_url = await self._registry.start(self._cleanup)
            self._factory = RoleFactory(
                self.fleet, self.clock.origin, redis_url, self._hear, self._logs, self._plan.program,
                self._plan.fingerprint, self.options.traced, self._standing.greet, self._places, self.options.profile_code,
            )  # fmt: skip
            self._cleanup.push_async_callback(self._factory.end)
            api = await self._control()
            port = await self._first_fleet(redis_url)
            await self._load.start(
                self._factory, self._cleanup, scenario, fds, (self._places.proxy, port),
                (*self.options.allowed, *self._places.allowed),
                self.options.load_processes,
            )  # fmt: skip
            await self._take_off(api)
            if self.options.announce is not None:
                self.options.announce(self._told(redis_url, api))
            end = await self._cruise(redis_url)
            self.recording.close(end)
            await self._load.read_all()
            if self.options.hold:
                await self._hold()
        self.recording.end(end)
        self._traces.end()
        paid = self._instances.paid_ns(self.start, self.start + end)
        return end, paid, self._load.lateness(EPOCH + self.start)

    async def _hold(self) -> None:
        """Stay up until interrupted, which then is no interruption: the plan has been flown."""
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task.uncancel()

    async def _control(self) -> ControlApi:
        api = ControlApi(
            self._face, self._cloud, lambda: self._told("", api), self._status, self._factory.targets
        )
        self._cleanup.push_async_callback(api.end)
        await api.start()
        return api

    async def _first_fleet(self, redis_url: str) -> int:
        """Dependencies, first instances, proxy; the proxy's port."""
        if self.fleet.dependencies and not self._instances.elsewhere:
            self._caches, self._dependencies = await self._factory.dependencies(self.options.demand)
            self._cleanup.push_async_callback(self._caches.end, END_SECONDS)
        port, admin_port = free_port(), free_port()
        self._proxy_admin = f"http://{self._places.proxy_admin}:{admin_port}"
        hands_over = any(deploy.handover for deploy in self.fleet.deploys)
        handover = f"@windtunnel-{os.getpid()}-{self.clock.origin}" if hands_over else ""
        self._proxy = Lasting(
            lambda: self._factory.process("proxy"),
            lambda: self._factory.proxy(
                self._places.proxy, port, admin_port, self._addresses, dict(self._instances.numbers), handover
            ),
        )
        self._cleanup.push_async_callback(self._instances.end)
        app = self.fleet.app
        roles = ["serving"] * app.initial + ["canary"] * app.canaries + ["standby"] * app.standby
        await self._instances.begin(redis_url)
        await self._instances.begin_first(roles)
        self._cleanup.push_async_callback(self._proxy.end)
        await self._proxy.start()
        return port

    async def _take_off(self, api: ControlApi) -> None:
        """Set the scenario's zero, and begin."""
        wait = _SETTLE_NS if self.fleet.autoscaler is None else _AUTOSCALER_NS
        self.start = ((self.clock.now() + wait) // SECOND + 1) * SECOND
        self.recording.begin(self.start)
        self._registry.replicas.begin(self.start)
        fleet = self.fleet
        self._cloud.zero, self._api_url = self.start, api.url
        self._sink.event(0, "run", {"scenario": fleet.name, "scenario_hash": self._plan.fingerprint, "seed": fleet.seed,
                                    "duration": fleet.duration, "format": FORMAT})  # fmt: skip
        self._load.begin(self.start)
        if self._caches is not None:
            self._caches.send({"command": "start", "start": self.start})
        if fleet.autoscaler is not None:
            self._scaler = Lasting(
                lambda: self._factory.process("autoscaler"),
                lambda: self._factory.autoscaler(
                    self.start, api.url, self.options.allowed, aws=self._instances.aws
                ),
            )
            self._cleanup.push_async_callback(self._scaler.end)
        self._proxy.keep(fleet.proxy.restart_after, self._proxy_ended, self._proxy_back)
        # They do not wait for the autoscaler, which may be late on a busy machine.
        self.faults = self._faults = FlightFaults(self._fault_parts())
        self._striking = asyncio.create_task(self._faults.run(self._seconds_until, self.options.allow_faults))
        self._cleanup.callback(self._striking.cancel)
        if self._scaler is not None:
            await self._scaler.start()
            self._scaler.keep(SECOND, lambda status: None, lambda: None)

    async def _cruise(self, redis_url: str) -> int:
        """Until every request has its outcome: a sample each second. The end, in ns of the scenario."""
        fleet, working = self.fleet, [self._striking]
        if fleet.deploys:
            self._deploys = FlightDeploys(fleet, self.clock, self.start, self._parts(redis_url))
            working.append(asyncio.create_task(self._deploys.run()))
        try:
            second = 0
            while True:
                second += 1
                await asyncio.sleep(self._seconds_until(second * SECOND))
                self._tell_numbers()
                self._proxy.process.send({"command": "sample"})
                await asyncio.sleep(_ANSWER_SECONDS)
                self._sample(second * SECOND)
                self._look_whether_to_stop()
                self._load.check()
                self._instances.check()
                self._places.check()
                now = self.clock.now() - self.start
                if now >= fleet.duration and self._load.done:
                    return second * SECOND
                if now >= fleet.duration + fleet.drain + _OVERTIME:
                    raise BackendFailure("the load generator did not end with the plan")
                for task in working:
                    if task.done():
                        task.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def _look_whether_to_stop(self) -> None:
        """End the faults when the condition holds for which they are to be ended. The plan is flown to its end."""
        if self._stop is None:
            return
        figures = self._load.figures()
        if self._stop.look(figures["completed"], figures["failed"], figures["p99"]):
            self._emit("faults_stopped", {"condition": self._stop.condition.text})
            self.options.notice(f"faults are ended: {self._stop.condition.text}")
            self._stop = None
            self._faults.stop()

    def _fault_parts(self) -> FaultParts:
        """What faults act upon."""
        instances, registry = self._instances, self._registry
        return FaultParts(
            self.fleet, self.start, instances, self._standing, instances.troubles, self._cloud, self._proxy,
            self._strike_proxy, self._scaler, registry.flush, self._guardian, self._emit, registry.server, registry.replicas, self._places,
            self._face.reasons, self._second, lambda: self._deploys is not None and self._deploys.under_way,
        )  # fmt: skip

    def _second(self, by: str, apart: str, offset: int) -> Lasting:
        """Another autoscaler, not started; it ends with the flight at the latest."""
        made = Lasting(
            lambda: self._factory.process("autoscaler", by.replace(" ", "-")),
            lambda: self._factory.autoscaler(
                self.start, self._api_url, self.options.allowed, by=by, apart=apart, offset=offset
            ),
        )
        self._cleanup.push_async_callback(made.end)
        return made

    def _parts(self, redis_url: str) -> Parts:
        """What deploys act upon."""
        fleet, instances = self.fleet, self._instances
        assert isinstance(instances, LocalInstances), "deploys are of a local fleet"
        return Parts(
            registry_at(redis_url, fleet.key_prefix, Reach(BUILDER, instances.troubles)), instances, self._cloud, self._proxy, self._scaler, self._registry.server,
            self._replace_proxy, self._emit, f"{fleet.name}-{fleet.seed}-{self.clock.origin}-deploy",
            0 if self._plan.program is None else END_SECONDS,
        )  # fmt: skip

    def _tell_numbers(self) -> None:
        """The proxy must know instances whose addresses do not tell their numbers; one that starts is told those of then."""
        if self._numbers != self._instances.numbers:
            self._numbers = dict(self._instances.numbers)
            self._proxy.process.send({"command": "numbers", "numbers": self._numbers})

    def _seconds_until(self, time: int) -> float:
        return (self.start + time - self.clock.now()) / 1e9

    # What roles say.

    def _hear(self, process: RoleProcess, line: Line) -> None:
        instance = self._instance_of(process)
        if instance is not None:
            self._instances.said(instance, line)
        if "event" in line:
            fields = {name: value for name, value in line.items() if name not in ("t", "event")}
            if line["event"] == "decision":
                self._decision = str(fields.get("reason", ""))
            news = self._instances.follow(line["t"], line["event"], fields)
            if news is not None:
                self.recording.event(line["t"], line["event"], news)
            return
        self._traces.heard(line)
        if process.role == "load":
            self._load.heard(process, line)
        elif process is self._proxy.process and line.get("status") == "second":
            self._proxy_second = line
        elif process.role == "autoscaler" and line.get("status") == "decided":
            self.recording.decided(line["decision"], line["observations"])
        elif process.role == "autoscaler" and line.get("status") == "halted":
            self._faults.heard(process, line)

    def _instance_of(self, process: RoleProcess) -> Instance | None:
        if process.role != "app":
            return None
        return next((one for one in self._instances.by_number.values() if one.process is process), None)

    # What happens to roles.

    async def _start_app(self, number: int, role: str, ready_at: int) -> RoleProcess:
        process = self._factory.process("app", f"app-{number}")
        instance = self._instances.by_number[number]
        instance.process = process
        self._guardian.knows(instance.address)
        await self._places.add_server(number)
        await process.start(
            self._factory.app(
                number, role, self._addresses.endpoint(number), ready_at, self.options.demand,
                self._dependencies, self._proxy_admin, instance.version, instance.joins,
            )
        )  # fmt: skip
        return process

    def _emit(self, name: str, fields: Mapping[str, Any]) -> None:
        self.recording.event(self.clock.now(), name, fields)

    def _strike_proxy(self, cause: str, away: int) -> None:
        self._emit("proxy_down", {"cause": cause, "connections": self._proxy_second.get("connections", 0)})
        self._proxy.strike(away)

    def _replace_proxy(self, cause: str, away: int) -> None:
        if self._proxy.is_up:
            self._emit(
                "proxy_down", {"cause": cause, "connections": self._proxy_second.get("connections", 0)}
            )
        self._proxy.replace(away)

    def _proxy_ended(self, status: int) -> None:
        """The proxy says by itself when it goes down for want of memory, and a strike is ours; anything else is news."""
        if status not in (70, -9):
            self._emit("proxy_down", {"cause": f"exit status {status}", "connections": 0})
        self._proxy_second = {}

    def _proxy_back(self) -> None:
        # By its own word: it may have gone down again before we hear of it.
        self.recording.event(int(self._proxy.process.up["t"]), "proxy_up", {})

    # Samples and figures.

    def _sample(self, time: int) -> None:
        down = self._proxy.process.returncode is not None
        rows = metric_rows(time, self._proxy_second, down, self._instances.present())
        self.recording.metrics(rows, measurements(time, self._proxy_second, self._instances.present()))
        self.recording.flush(self.clock.now())
        if self.options.watch is not None:
            self.options.watch(self._figures(time))

    def _figures(self, now: int) -> Figures:
        serving = [one for one in self._instances.present() if one.state in (State.SERVING, State.CANARY)]
        return Figures(
            now, self.fleet.duration, **self._load.figures(), servers=len(serving), decision=self._decision
        )

    def _status(self) -> Mapping[str, Any]:
        figures = self._figures(self.clock.now() - self.start)
        return {name: getattr(figures, name) for name in Figures.__slots__}

    def _told(self, redis_url: str, api: ControlApi) -> Mapping[str, Any]:
        return {
            "proxy": str(self._proxy.process.up.get("address", "")),
            "proxy_admin": self._proxy_admin,
            "servers": {str(one.number): one.address for one in self._instances.present()},
            "dependencies": self._dependencies,
            "redis": redis_url,
            "control": api.url,
        }
