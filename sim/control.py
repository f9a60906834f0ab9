"""The control plane of a rehearsal: SimPy processes around the engine, over the real adapters.

Each process waits for its moment on the timeline and then does what its live counterpart does: instances boot and register, monitors
write samples, the proxy reads the lists, health is checked, the autoscaler decides, faults strike.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any

import simpy

from ..core.appserver import slowed
from ..core.custom import said
from ..core.draws import BOOT_FAILURE, BOOT_TIME, draw, key, uniform
from ..core.lifecycle import READY, State
from ..core.model import NONE, SECOND, FleetSpec
from ..core.order import Kind
from ..core.ports import Cloud, CloudInstance, ProxyLoad, Registry, RegistryError, Sample, Sink
from ..core.routing import each
from ..core.table import CANARY, SERVING
from ..core.tallies import tallies_of
from ..core.troubles import REGISTRY_TIMEOUT, TroubledCloud, Troubles
from .embedded_cloud import number_of
from .instances import Instance, Instances
from .plane import Plane, ServerSample
from .remedies import Remedies
from .timeline import Timeline

Process = Generator[simpy.Event, Any, None]

WORDS = {state: state.word for state in State}
LATER = 1 << 24
"""Above every instance number: the entity of what is not about one."""
ROLE_STATES = {"serving": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}
_ROLES = {state: role for role, state in ROLE_STATES.items()}


class ControlPlane:
    """Everything but the requests, and but the autoscaler (sim.scaling)."""

    def __init__(
        self, fleet: FleetSpec, timeline: Timeline, plane: Plane, registry: Registry, cloud: Cloud,
        sink: Sink, troubles: Troubles,
    ) -> None:  # fmt: skip
        self.fleet = fleet
        self.launches = f"{fleet.name}-{fleet.seed}"
        self.timeline = timeline
        self.plane = plane
        self.registry = registry
        self.lists = registry
        """Where the proxy reads."""
        self.troubles = troubles
        self.cloud = TroubledCloud(cloud, self.troubles, timeline.now)
        self.sink = sink
        self.instances = Instances()
        self.finished = timeline.env.event()
        self.each_second: Callable[[int], None] = lambda now: None
        self.joined: Callable[[Instance], None] = lambda instance: None
        self.deploying: Callable[[], bool] = lambda: False
        """Whether a deploy is under way."""
        self.releases: dict[str, int] = dict.fromkeys(ROLE_STATES, 0)
        """The version (index) of instances that are launched in a role from now on."""
        self._frozen: dict[int, ServerSample] = {}
        self._restart_after = fleet.proxy.restart_after
        self._boot_stream = key(fleet.seed, "boot")
        self._remedies = None if fleet.app.remedy is None else Remedies(fleet.app.remedy, self)
        self._reachable = True
        # Nobody else would read it.
        self._proxy_writes = fleet.needs_proxy
        self._samples_read = fleet.autoscaler is not None or bool(fleet.deploys)
        self._share = each(fleet.proxy.canary_every)
        plane.lost = self._lost
        plane.proxy_down = self._proxy_down

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """Log a control event now."""
        self.sink.event(self.timeline.now(), name, fields)

    def begin(self) -> None:
        """Launch the initial fleet, which is up at once, and start every process."""
        app = self.fleet.app
        roles = ["serving"] * app.initial + ["canary"] * app.canaries + ["standby"] * app.standby
        for role in roles:
            instance = self.launch(role)
            instance.become(State.BOOTING)
            self._up(instance)
        env = self.timeline.env
        env.process(self._end())
        env.process(self._monitors())
        env.process(self._refreshes())
        if self.fleet.reregister >= 0:
            env.process(self._heartbeats())

    # Instances.

    def launch(self, role: str, version: int = NONE) -> Instance:
        """Ask the cloud for an instance of *role*. Raises CloudError."""
        number = self.registry.next_number(max(self.instances.by_number, default=0))
        cloud = self.cloud.launch(number, role, f"{self.launches}-{number}")
        self.registry.add_instance(cloud.provider_id)
        return self.granted(cloud, version)

    def granted(self, cloud: CloudInstance, version: int = NONE) -> Instance:
        """The cloud has granted an instance; without *version* it runs what its role's instances do."""
        instance = self.instances.add(cloud, self.timeline.now())
        instance.version = self.releases[cloud.role] if version < 0 else version
        build = {"version": self.fleet.version(instance.version).name} if self.fleet.versions else {}
        self.emit("launched", {"server": cloud.number, "role": cloud.role, **build})
        return instance

    def boot(self, instance: Instance) -> None:
        """Let an instance boot, if it ever does."""
        if self.troubles.launch_sticks(instance.number):
            self.emit("launch_stuck", {"server": instance.number})
            return
        self.timeline.env.process(self._boot(instance))

    def _boot(self, instance: Instance) -> Process:
        yield self.timeline.until(self.timeline.now() + self.fleet.pending, Kind.READY, instance.number)
        if not instance.is_in(State.PENDING):
            return
        instance.become(State.BOOTING)
        self.emit("booting", {"server": instance.number})
        bits = draw(self._boot_stream, instance.number, 0, BOOT_TIME)
        boot_time = self.fleet.app_of(instance.version).boot_time
        length = slowed(boot_time.sample(bits), self.troubles.boot_factor)
        time = self.timeline.now() + length
        yield self.timeline.until(time, Kind.READY, instance.number)
        if not instance.is_in(State.BOOTING):
            return
        luck = uniform(draw(self._boot_stream, instance.number, 0, BOOT_FAILURE))
        if luck < self.fleet.app.boot_failure or self.troubles.boot_fails(instance.number):
            instance.become(State.FAILED)
            self.emit("boot_failed", {"server": instance.number})
        elif instance.joins:
            self._up(instance)
        else:
            self.start(instance)

    def _up(self, instance: Instance) -> None:
        """The application is up: it registers itself."""
        instance.become(ROLE_STATES[instance.cloud.role])
        instance.ready = self.timeline.now()
        self.start(instance)
        if not self.register(instance):
            self.timeline.env.process(self._register_later(instance))
        self.emit("ready", {"server": instance.number, "role": instance.cloud.role})
        self.joined(instance)

    def start(self, instance: Instance) -> None:
        """A process of the instance's version is up, whether or not the registry lists it."""
        instance.up = self.timeline.now()
        instance.life += 1
        instance.restarts += 1
        self.plane.boot(instance.number, instance.version)
        after = self.fleet.version(instance.version).crash_after
        if after >= 0:
            self.timeline.env.process(self._crash(instance, instance.up + after))

    def _crash(self, instance: Instance, time: int) -> Process:
        """The process dies by itself, unless it was ended before. Nobody tells the registry."""
        life = instance.life
        yield self.timeline.until(time, Kind.READY, 3 * LATER + instance.number)
        if instance.life == life and instance.up >= 0:
            lost = self.plane.stop(instance.number)
            instance.become(State.FAILED)
            self.emit("crashed", {"server": instance.number, "lost": lost})

    def register(self, instance: Instance) -> bool:
        """The instance puts itself into its role's list; False if it cannot."""
        try:
            self.troubles.reach_registry(instance.number)
            self.registry.register(instance.address, _ROLES[instance.state])
        except RegistryError:
            return False
        return True

    def _register_later(self, instance: Instance) -> Process:
        """It tries again each second."""
        while instance.is_in(*READY):
            yield self.timeline.until(self.timeline.now() + SECOND, Kind.READY, LATER + instance.number)
            if not instance.is_in(*READY):
                return
            if self.troubles.joins(instance.number) and self.register(instance):
                return

    def _heartbeats(self) -> Process:
        """Servers that the registry has forgotten register again."""
        turn = 0
        while True:
            turn += 1
            yield self.timeline.until(turn * self.fleet.reregister, Kind.READY, 2 * LATER)
            try:
                self.troubles.reach_registry("heartbeats")
                servers = self.registry.servers()
            except RegistryError:
                continue
            listed = {*servers.serving, *servers.canary, *servers.standby}
            for instance in self.instances.in_state(*sorted(READY)):
                if instance.address not in listed and self.troubles.joins(instance.number):
                    self.register(instance)

    def terminate(self, number: int, provider_id: str, reason: str) -> None:
        """End an instance, whatever it is doing; the registry is the autoscaler's to tidy. Raises CloudError."""
        sticks = self.troubles.termination_sticks(number)
        self.cloud.terminate(provider_id, sticks)
        if sticks:
            self.emit("termination_stuck", {"server": number, "reason": reason})
        else:
            self._gone(number, reason)

    def reclaim(self, number: int, reason: str) -> None:
        """The cloud ends an instance of its own accord."""
        self.cloud.reclaim(self.instances.by_number[number].cloud.provider_id)
        self._gone(number, reason)

    def _gone(self, number: int, reason: str) -> None:
        instance = self.instances.by_number[number]
        if instance.is_in(State.GONE):
            return
        lost = self.plane.stop(number)
        instance.become(State.GONE)
        instance.gone = self.timeline.now()
        self.emit("terminated", {"server": number, "reason": reason, "lost": lost})

    def reboot(self, instance: Instance) -> None:
        """A process has come in place of one that ended on an instance that went on; what hung there hangs."""
        self.plane.boot(instance.number, instance.version)
        for _ in range(self.troubles.paused.get(instance.number, 0)):
            self.plane.pause(instance.number)
        self.emit("restarted", {"server": instance.number})

    def until_writable(self, number: int, kind: Kind, entity: int) -> Process:
        """Wait until a process can begin on an instance whose disk may be full; it is tried each second."""
        while self.troubles.full.get(number):
            yield self.timeline.until(self.timeline.now() + SECOND, kind, entity)

    def _lost(self, number: int) -> None:
        """An instance died by itself. Nobody tells the registry."""
        self.instances.by_number[number].become(State.FAILED)

    # Processes.

    def _end(self) -> Process:
        yield self.timeline.until(self.fleet.duration + self.fleet.drain, Kind.END)
        if not self.finished.triggered:
            self.finished.succeed()

    def _monitors(self) -> Process:
        second = 0
        while True:
            second += 1
            yield self.timeline.until(second * SECOND, Kind.MONITOR)
            now = self.timeline.now()
            self._sample(now)
            self.each_second(now)
            if now >= self.fleet.duration and self.plane.idle and not self.finished.triggered:
                self.finished.succeed()

    def _sample(self, now: int) -> None:
        proxy, servers = self.plane.sample()
        samples = {sample.server: sample for sample in servers}
        rows: list[tuple[int, ...]] = [
            (now, 0, int(State.GONE if self.plane.down else State.SERVING), proxy.requests,
             proxy.in_flight, proxy.queued, proxy.memory, 0, proxy.connections, proxy.descriptors)
        ]  # fmt: skip
        written = []
        for instance in self.instances.present():
            number = instance.number
            sample = samples.get(number) or ServerSample(number, 0, 0, 0, 0, 0)
            cpu = self.troubles.hogs.seen(number, sample.cpu_ns, self.fleet.app.cores, now)
            sample = sample if cpu == sample.cpu_ns else sample._replace(cpu_ns=cpu)
            rows.append(
                (now, number, int(instance.state), sample.requests, sample.in_flight, sample.queued,
                 sample.memory, sample.cpu_ns, 0, 0)
            )  # fmt: skip
            if self._remedies is not None and number in samples:
                self._remedies.look(instance, self._shown(sample).memory)
            if self._samples_read and instance.up >= 0 and self.troubles.writes_samples(number):
                written.append(self._registry_sample(now, instance, self._shown(sample)))
        self.sink.metrics(rows)
        own: list[Callable[[], None]] = []
        if self._proxy_writes and not self.plane.down:
            load = ProxyLoad(now, proxy.requests, proxy.unserved, proxy.in_flight, proxy.queued)
            own.append(lambda: self.registry.write_proxy_load(load))
        if self.fleet.needs_tallies and not self.plane.down:
            tallies = tallies_of(now, proxy.counters)
            own.append(lambda: self.registry.write_tallies(tallies))
        late = self.troubles.registry_latency
        if 0 < late < REGISTRY_TIMEOUT:
            self.timeline.env.process(self._write_later(now + late, written, own))
        else:
            self._write(written, own)

    def _shown(self, sample: ServerSample) -> ServerSample:
        """What the server's monitor writes: what it sees, unless it is stuck."""
        if not self.troubles.stuck.get(sample.server):
            self._frozen[sample.server] = sample
        return self._frozen.setdefault(sample.server, sample)

    def _write_later(self, time: int, samples: list[Sample], own: list[Callable[[], None]]) -> Process:
        yield self.timeline.until(time, Kind.MONITOR, LATER)
        self._write(samples, own)

    def _write(self, samples: list[Sample], own: list[Callable[[], None]]) -> None:
        """The monitors write *samples*, the proxy what it has of its *own*."""
        try:
            self.troubles.reach_registry("monitors")
            self.registry.write_samples(samples)
        except RegistryError as error:
            self._unreachable(error)
        try:
            for write in own:
                self.troubles.reach_registry("proxy")
                write()
        except RegistryError as error:
            self._unreachable(error)

    def _registry_sample(self, now: int, instance: Instance, sample: ServerSample) -> Sample:
        app = self.fleet.app
        memory = sample.memory / app.memory.total if app.memory.total > 0 else 0.0
        cpu = sample.cpu_ns / (SECOND * app.cores)
        return Sample(
            instance.cloud.address,
            self.troubles.clock(instance.number, now),
            sample.requests,
            memory,
            cpu,
            sample.in_flight,
            self.fleet.version(instance.version).name,
            WORDS[instance.state],
            said(app.metrics, sample.requests, sample.in_flight, sample.queued),
        )

    def _refreshes(self) -> Process:
        turn = 0
        while True:
            yield self.timeline.until(turn * self.fleet.refresh_interval, Kind.REFRESH)
            late = self.troubles.registry_latency
            if 0 < late < REGISTRY_TIMEOUT:
                yield self.timeline.until(self.timeline.now() + late, Kind.REFRESH)
            self._refresh()
            turn = self.timeline.now() // self.fleet.refresh_interval + 1

    def _refresh(self) -> None:
        """The proxy reads the lists; when it cannot, it keeps the table that it has."""
        try:
            self.troubles.reach_registry("proxy")
            servers = self.lists.servers()
            # Without versions nobody would set another.
            share = self.lists.canary_share() if self.fleet.needs_tallies else None
        except RegistryError as error:
            self._unreachable(error)
            return
        if not self._reachable:
            self._reachable = True
            self.emit("registry_reachable", {})
        listed = {number_of(address): SERVING for address in servers.serving}
        listed.update((number_of(address), CANARY) for address in servers.canary)
        listed.pop(0, None)
        self.plane.refresh(listed, share or self._share)

    def _unreachable(self, error: RegistryError) -> None:
        if self._reachable:
            self._reachable = False
            self.emit("registry_unreachable", {"error": str(error)})

    # The proxy's death and return.

    def restart_proxy(self, cause: str, after: int) -> None:
        """The proxy's process ends; a new one takes over *after* so many ns."""
        self._restart_after = after
        self.plane.kill_proxy(cause)
        self._restart_after = self.fleet.proxy.restart_after

    def replace_proxy(self, cause: str, after: int) -> None:
        """Likewise, if it is up; one that is down comes back *after* so many ns at the latest."""
        if not self.plane.down:
            self.restart_proxy(cause, after)
        else:
            self.timeline.env.process(self._return_of_proxy(self.timeline.now() + after))

    def _proxy_down(self) -> None:
        if self._restart_after >= 0:
            self.timeline.env.process(self._return_of_proxy(self.timeline.now() + self._restart_after))

    def _return_of_proxy(self, time: int) -> Process:
        yield self.timeline.until(time, Kind.PROXY_RESTART)
        if not self.plane.down:
            return
        self.plane.restart_proxy()
        self._refresh()
