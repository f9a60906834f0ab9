"""The backend ``attach``: the plan's load on a fleet that is there already. It observes and decides, and changes nothing.

Answers are recorded as in any flight; the registry, when there is one, is read once a second; the autoscaler runs dry: its decisions are in the
log, as what it would have done. A scenario's deploys are somebody else's to do meanwhile: they are followed in the registry.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ...core.errors import BackendFailure, UsageError
from ...core.events import FORMAT
from ...core.lifecycle import State
from ...core.model import SECOND
from ...core.ports import RegistryError, Sample, Servers, Sink
from ...scenarios.plan import Plan
from ..connection import redis_client
from ..deploy.registry_url import registry_url
from ..live.addresses import split
from ..live.clock import EPOCH, LiveClock
from ..registry import RedisRegistry
from .faults.schedule import FlightFaults
from .followed_deploys import FollowedDeploys, Look
from .instances import STATES
from .loading import LoadGenerators
from .observed import custom_rows, second_of
from .options import Figures, FlightOptions
from .process import Line, RoleProcess
from .recording import Recording
from .roles import Lasting, RoleFactory
from .trace_news import TraceNews

_SETTLE_NS = 2 * SECOND
_OVERTIME = 15 * SECOND
_OLD = 3 * SECOND
_KNOCK_SECONDS = 5.0


class Attached:
    """One flight of *plan* against the proxy at ``options.proxy``."""

    def __init__(self, plan: Plan, sink: Sink, options: FlightOptions, logs: Path | None) -> None:
        self.clock = LiveClock.begin()
        self.start = -1
        self.faults: FlightFaults | None = None
        self._fleet = plan.fleet
        self._plan = plan
        self._sink = sink
        self._options = options
        self._redis_url = _with_password(options.redis_url)
        self._logs = logs
        self.recording = Recording(sink)
        self._load = LoadGenerators(self.recording)
        self._numbers: dict[str, int] = {}
        self._seen: dict[str, tuple[State, Sample | None]] = {}
        self._decision = ""
        self._deploys: FollowedDeploys | None = None
        self._reachable = True
        self._completed = 0
        self._instance_ns = 0
        self._traces = TraceNews(options.notice)

    async def fly(self, scenario: Path, fds: tuple[int, ...]) -> tuple[int, int, Mapping[str, float]]:
        """Fly the plan of the *scenario* file; its end, the instance time seen (ns) and the generator's lateness. Raises BackendFailure, RegistryError."""
        options = self._options
        registry = self._registry()
        if registry is not None:
            await asyncio.to_thread(registry.servers)
        target = split(options.proxy)
        await _knock(options.proxy, target)
        async with AsyncExitStack() as cleanup:
            factory = RoleFactory(
                self._fleet, self.clock.origin, self._redis_url, self._hear, self._logs, None, self._plan.fingerprint, options.traced,
                profile_code=options.profile_code,
            )  # fmt: skip
            cleanup.push_async_callback(factory.end)
            await self._load.start(
                factory, cleanup, scenario, fds, target, options.allowed, options.load_processes
            )
            self.start = ((self.clock.now() + _SETTLE_NS) // SECOND + 1) * SECOND
            self.recording.begin(self.start)
            fleet = self._fleet
            self._sink.event(0, "run", {"scenario": fleet.name, "scenario_hash": self._plan.fingerprint, "seed": fleet.seed,
                                        "duration": fleet.duration, "format": FORMAT})  # fmt: skip
            self._load.begin(self.start)
            if registry is not None and fleet.autoscaler is not None:
                scaler = Lasting(
                    lambda: factory.process("autoscaler"),
                    lambda: factory.autoscaler(self.start, "", options.allowed, dry_run=True),
                )
                cleanup.push_async_callback(scaler.end)
                await scaler.start()
                scaler.keep(SECOND, lambda status: None, lambda: None)
            if options.announce is not None:
                options.announce({"proxy": options.proxy, "redis": options.redis_url})
            end = await self._cruise(registry)
            self.recording.close(end)
            await self._load.read_all()
        self.recording.end(end)
        self._traces.end()
        return end, self._instance_ns, self._load.lateness(EPOCH + self.start)

    def _registry(self) -> RedisRegistry | None:
        """That of the fleet, if one was named; the scenario's deploys are followed in it."""
        if not self._redis_url:
            return None
        client, fleet = redis_client(self._redis_url), self._fleet
        if fleet.deploys:
            self._deploys = FollowedDeploys(fleet.deploys, client, fleet.key_prefix, self.recording.event)
        return RedisRegistry(client, fleet.key_prefix)

    async def _cruise(self, registry: RedisRegistry | None) -> int:
        fleet, second = self._fleet, 0
        while True:
            second += 1
            await asyncio.sleep((self.start + second * SECOND - self.clock.now()) / 1e9)
            if registry is not None:
                await self._observe(registry)
            self._sample(second * SECOND)
            self._load.check()
            now = self.clock.now() - self.start
            if now >= fleet.duration and self._load.done:
                return second * SECOND
            if now >= fleet.duration + fleet.drain + _OVERTIME:
                raise BackendFailure("the load generator did not end with the plan")

    async def _observe(self, registry: RedisRegistry) -> None:
        """Read lists and samples; what cannot be read is as it was, and said once."""

        deploys = self._deploys

        def read() -> tuple[Servers, Mapping[str, Sample], Look | None]:
            """In a thread: Redis may take its time."""
            servers = registry.servers()
            samples = registry.read_samples([*servers.serving, *servers.canary, *servers.standby])
            return servers, samples, None if deploys is None else deploys.look()

        try:
            servers, samples, look = await asyncio.to_thread(read)
        except RegistryError as error:
            if deploys is not None:
                deploys.lost(self.clock.now())
            if self._reachable:
                self._reachable = False
                self._emit("registry_unreachable", {"error": str(error)})
            return
        if not self._reachable:
            self._reachable = True
            self._emit("registry_reachable", {})
        if deploys is not None and look is not None:
            deploys.note(look, self.clock.now())
        self._compare(servers, samples)

    def _compare(self, servers: Servers, samples: Mapping[str, Sample]) -> None:
        """Servers that came and went since the last look are events."""
        listed = {
            address: STATES[role]
            for role in ("standby", "canary", "serving")
            for address in getattr(servers, role)
        }
        for address in sorted(set(listed) - set(self._seen)):
            number = self._numbers.setdefault(address, len(self._numbers) + 1)
            self._emit("ready", {"server": number, "role": listed[address].word, "address": address})
        for address in sorted(set(self._seen) - set(listed)):
            self._emit("unlisted", {"server": self._numbers[address], "address": address})
        self._seen = {address: (state, samples.get(address)) for address, state in listed.items()}

    def _emit(self, name: str, fields: Mapping[str, Any]) -> None:
        self.recording.event(self.clock.now(), name, fields)

    def _sample(self, time: int) -> None:
        completed = self._load.figures()["completed"]
        rows: list[tuple[int, ...]] = [
            (time, 0, int(State.SERVING), completed - self._completed, 0, 0, 0, 0, 0, 0)
        ]
        self._completed = completed
        measured: list[tuple[Any, ...]] = []
        for address, (state, sample) in sorted(self._seen.items(), key=lambda one: self._numbers[one[0]]):
            said = second_of(sample, self._fleet.app) if sample is not None and self._fresh(sample) else {}
            rows.append(
                (time, self._numbers[address], int(state), said.get("requests", 0), said.get("in_flight", 0), 0,
                 said.get("memory", 0), said.get("cpu_ns", 0), 0, 0)
            )  # fmt: skip
            measured += custom_rows(time, self._numbers[address], said)
        self._instance_ns += len(self._seen) * SECOND
        self.recording.metrics(rows, measured)
        self.recording.flush(self.clock.now())
        if self._options.watch is not None:
            self._options.watch(
                Figures(
                    time, self._fleet.duration, **self._load.figures(), servers=len(self._seen),
                    decision=self._decision,
                )
            )  # fmt: skip

    def _fresh(self, sample: Sample) -> bool:
        """What a server said long ago it does not say of this second; one that gives no times is taken at its word."""
        return sample.time is None or self.clock.now() - sample.time < _OLD

    def _hear(self, process: RoleProcess, line: Line) -> None:
        self._traces.heard(line)
        if process.role == "load":
            self._load.heard(process, line)
        elif process.role == "autoscaler" and line.get("status") == "decided":
            self.recording.decided(line["decision"], line["observations"])
        if "event" not in line:
            return
        fields = {name: value for name, value in line.items() if name not in ("t", "event")}
        if line["event"] == "decision":
            self._decision = str(fields.get("reason", ""))
        self.recording.event(line["t"], line["event"], fields)


def _with_password(url: str) -> str:
    """The registry's URL with the password of the environment. Raises UsageError."""
    try:
        return registry_url(url, os.environ) if url else ""
    except ValueError as error:
        raise UsageError(f"--redis-url: {error}") from None


async def _knock(url: str, target: tuple[str, int]) -> None:
    """Raises BackendFailure if nobody accepts connections at *target*: a plan's worth of failures would say no more."""
    try:
        async with asyncio.timeout(_KNOCK_SECONDS):
            _, writer = await asyncio.open_connection(*target)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BackendFailure(f"{url}: expected a proxy that accepts connections, got {reason}") from None
    writer.close()
