"""The autoscaler in the rehearsal: it reads the registry, asks the engine, and carries out what it answers."""

from ..backends.registry import LEASE_TTL
from ..core import autoscaler as engine
from ..core.lifecycle import READY, State
from ..core.model import AutoscalerSpec
from ..core.order import Kind
from ..core.ports import CloudError, RegistryError
from .control import ControlPlane, Process
from .troubles import REGISTRY_TIMEOUT

OWNER = "autoscaler"
HINDRANCES = frozenset({"at maximum", "unknown", "no servers"})


class Scaling:
    """Drives core.autoscaler over the adapters."""

    def __init__(self, spec: AutoscalerSpec, control: ControlPlane) -> None:
        self.spec = spec
        self.control = control
        self.registry = control.registry
        self.engine = engine.Autoscaler(spec)
        self._reconciled = -1
        self._token = 0
        self._lease = max(LEASE_TTL, 3 * spec.interval)
        self._renew = 0
        self._reason = ""
        self._crashes = 0
        self._down = 0

    def crash(self) -> None:
        """The process dies, with all that it knew."""
        self._down += 1

    def restart(self) -> None:
        """A new process takes over; it has to wait for the old one's lease to run out."""
        self._down -= 1
        if self._down:
            return
        self._crashes += 1
        self.engine = engine.Autoscaler(self.spec)
        self._reconciled = self._token = -1
        self._renew = 0
        self._reason = ""

    def process(self) -> Process:
        """Decide at every interval."""
        timeline = self.control.timeline
        turn = 0
        while True:
            turn += 1
            yield timeline.until(turn * self.spec.interval, Kind.AUTOSCALER)
            late = self.control.troubles.registry_latency
            if 0 < late < REGISTRY_TIMEOUT:
                yield timeline.until(timeline.now() + late, Kind.AUTOSCALER)
                turn = timeline.now() // self.spec.interval
            if self._down:
                continue
            try:
                self.control.troubles.reach_registry(OWNER)
                self._tick(timeline.now())
            except RegistryError as error:
                self.engine.blind(timeline.now())
                self._hold("unreachable", str(error))
            except CloudError as error:
                self._hold("cloud refused", str(error))

    def _hold(self, reason: str, error: str) -> None:
        """Without registry or cloud the autoscaler does nothing, and says so once."""
        if self._reason != reason:
            self._reason = reason
            self.control.emit("decision", {"reason": reason, "error": error})

    def _tick(self, now: int) -> None:
        if now >= self._renew and not self._acquire(now):
            return
        if self._reconciled < 0 or now - self._reconciled >= self.spec.reconcile_interval:
            self.engine.adopt(now, self.control.cloud.list())
            self._reconciled = now
        servers = self.registry.servers()
        addresses = {*servers.serving, *servers.canary, *servers.standby, *self.engine.watched()}
        samples = self.registry.read_samples(sorted(addresses))
        before = self.engine.last_action
        decision = self.engine.tick(now, servers, samples)
        self._log(decision)
        refused: set[type] = set()
        for action in decision.actions:
            if type(action) not in refused and not self._perform(now, action):
                refused.add(type(action))
        if self.engine.last_action != before:
            saved = self.registry.save_state(OWNER, {"last_action": self.engine.last_action}, self._token)
            if not saved:
                self._renew = now

    def _acquire(self, now: int) -> bool:
        """Take the lease, or renew it, which is due after a third of its time; False while somebody else has it."""
        token = self.registry.acquire_lease(f"{OWNER}-{self._crashes}", self._lease)
        if token is None:
            return False
        if token != self._token:
            self._token = token
            self.engine.last_action = self.registry.load_state(OWNER).get("last_action", -1)
        self._renew = now + self._lease // 3
        return True

    def _log(self, decision: engine.Decision) -> None:
        """A line for each decision that does something, or that something begins to prevent."""
        news = decision.reason in HINDRANCES and decision.reason != self._reason
        self._reason = decision.reason
        if decision.actions or news:
            self.control.emit(
                "decision",
                {
                    "desired": decision.desired,
                    "actual": decision.actual,
                    "reason": decision.reason,
                    "actions": len(decision.actions),
                },
            )

    def _perform(self, now: int, action: engine.Action) -> bool:
        """Carry it out; False if the cloud refuses, which is not asked again for the like in this tick."""
        match action:
            case engine.Launch():
                return self._launch(now)
            case engine.Terminate(number, provider_id, _, reason):
                return self._terminate(number, provider_id, reason)
            case engine.Promote(address):
                self.registry.register(address, "serving")
                instance = self.control.instances.at(address)
                if instance.state == State.STANDBY:
                    instance.become(State.SERVING)
                self.control.emit("promoted", {"server": instance.number})
                self.control.joined(instance)
            case engine.Drain(number, address):
                self.registry.deregister(address)
                instance = self.control.instances.by_number[number]
                if instance.state in READY:
                    instance.become(State.DRAINING)
                self.engine.drained(now, number)
                self.control.emit("draining", {"server": number})
        return True

    def _launch(self, now: int) -> bool:
        try:
            instance = self.control.launch("serving")
        except CloudError as error:
            self.engine.launch_failed(now)
            self.control.emit("launch_refused", {"code": error.code})
            return False
        self.engine.launched(now, instance.cloud)
        self.control.boot(instance)
        return True

    def _terminate(self, number: int, provider_id: str, reason: str) -> bool:
        """A refusal leaves the books as they are: the next tick asks again."""
        try:
            self.control.terminate(number, provider_id, reason)
        except CloudError as error:
            self.control.emit("terminate_refused", {"server": number, "code": error.code})
            return False
        self.engine.terminated(number)
        return True
