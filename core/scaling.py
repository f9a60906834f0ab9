"""The autoscaler's driver, which both worlds share: it observes, asks the engine, and carries out what it answers.

Theory of operation
-------------------
:meth:`ScalingDriver.turn` is called once an interval with the time. It holds the lease (renewed after a third of its time), reconciles the books with what the cloud
lists, reads the registry, asks :class:`core.autoscaler.Autoscaler`, and acts through the ports. What differs between the worlds is a :class:`World`.

It may die between any two calls, and a call that failed may have had its effect all the same. Therefore:

- What it is about to do is in the registry before it does it, written under the lease's fencing token: the time of the last action, the number of
  the launch under way, drains, terminations. Whoever has lost the lease fails there, before it has done anything.
- A launch that may or may not have succeeded is repeated with its number and token, which gives the same instance.
- A drain is in the books before the lists are edited; the engine takes out again whatever is listed and draining.
- A terminated instance may live on for a moment and write: it is forgotten at once, and again when that moment has passed.
- What the policy remembers is written with every action, and else whenever the lease is renewed: a successor may lack a third of a lease.
- What was refused (a launch, a termination, the list) is not asked for again for a while (core.refusals); how many launches were in a row is in the registry too.
- After any failure, and when somebody else has held the lease, the books are first compared with the cloud's list.
"""

import zlib
from collections.abc import Iterator

from .alerts import FIRED, Alerts, AlertSpec
from .autoscaler import Autoscaler
from .decision_log import DecisionLog
from .model import NONE, SECOND, AutoscalerSpec
from .policies.memory import read_memory, write_memory
from .policies.view import NOTHING
from .ports import Cloud, CloudError, CloudInstance, Registry, RegistryError, Servers, State
from .refusals import UNCERTAIN, Waits
from .scaling_decision import NO_LEASE, REFUSED, UNREACHABLE, Decision, Drain, Launch, Promote, Terminate
from .scaling_world import World

STATE = "autoscaler"
"""The name under which the registry keeps its state."""

LEASE_TTL = 10 * SECOND
"""How long the lease lasts unless renewed; three intervals if that is longer."""

AFTERLIFE = 10 * SECOND
"""So long a terminated instance may still write to the registry."""

_RUN, _LAST_ACTION, _LAST_NUMBER, _LAUNCHING = "run", "last_action", "last_number", "launching"
_POLICY, _REFUSALS, _LAUNCH_AFTER, _NOTED = "policy", "refusals", "launch_after", "noted"
_DRAINING, _ENDING = "draining ", "ending "


class _Fenced(Exception):
    """Somebody else has the lease by now."""


class ScalingDriver:
    """Drives core.autoscaler over the ports.

    *owner* is this process's name for the lease, *launches* the beginning of its launch tokens, the same after a crash and for no other run, *seed* the run's.
    *zero*: see core.autoscaler. *dry_run* (or the spec's): observe, decide and say so, but take no lease, write nothing and touch no instance. *alerts* are judged on what each turn saw.
    """

    def __init__(
        self, spec: AutoscalerSpec, registry: Registry, cloud: Cloud, world: World, *,
        owner: str, launches: str, seed: int = 0, dry_run: bool = False, alerts: tuple[AlertSpec, ...] = (),
        zero: int = 0,
    ) -> None:  # fmt: skip
        self.spec = spec
        self._zero = zero
        self._alerts = Alerts(alerts)
        self._registry = registry
        self._cloud = cloud
        self._world = world
        self._owner = owner
        self._launches = launches
        self._run = zlib.crc32(launches.encode())
        self._seed = seed
        self._dry_run = dry_run or spec.dry_run
        self._lease = max(LEASE_TTL, 3 * spec.interval)
        self._needs_proxy = spec.policy.needs_proxy or any(alert.when.needs_proxy for alert in alerts)
        self._log = DecisionLog(world.emit)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Know nothing, as after a start."""
        self.engine = Autoscaler(self.spec, self._zero)
        self._waits = Waits.anew(self.spec.interval, self._seed)
        self._alerts = Alerts(self._alerts.specs)
        self._orphans: tuple[int, ...] = ()
        self._token, self._renew, self._reconciled = -1, 0, -1
        self._launching = self._last_number = 0
        self._recalled: dict[int, int] = {}
        self._endings: dict[tuple[str, str], int] = {}
        self._saved: State | None = None
        self._remembered, self._recognised = NOTHING, False
        self._noted: frozenset[str] = frozenset()
        self._left: frozenset[int] = frozenset()

    # What the world calls.

    def turn(self, now: int) -> Decision:
        """Observe, decide, act, at *now* (ns). Without lease, registry or cloud it decides nothing, and the reason says so."""
        return [*self.steps(now)][-1]

    def steps(self, now: int) -> Iterator[Decision]:
        """The turn in steps, for a process that may hang in its middle: what is decided comes before anything of it is carried out, what became of it comes last."""
        try:
            yield from self._turn(now)
        except _Fenced:
            self._begin_anew()
            yield self._nothing(now, NO_LEASE)
        except RegistryError as error:
            # Whatever was under way may have had its effect, and a registry that comes back may have lost everything.
            self._renew = now
            self._reconciled = -1
            self._saved = None
            yield self.unreachable(now, str(error))
        except CloudError as error:
            yield self._hold(now, REFUSED, str(error))

    def unreachable(self, now: int, error: str) -> Decision:
        """The registry cannot be reached at *now*: nobody's silence means anything."""
        self.engine.blind(now)
        return self._hold(now, UNREACHABLE, error)

    def release(self) -> None:
        """Give the lease back, so that a successor need not wait for its end. Raises RegistryError."""
        if self._token >= 0:
            self._registry.acquire_lease(self._owner, 1)

    # A turn.

    def _turn(self, now: int) -> Iterator[Decision]:
        if not self._dry_run and now >= self._renew and not self._acquire(now):
            # What fires by then is in the registry.
            self._alerts = Alerts(self._alerts.specs)
            yield self._nothing(now, NO_LEASE)
            return
        due = self._reconciled < 0 or now - self._reconciled >= self.spec.reconcile_interval
        if due and now >= self._waits.list.after:
            self._reconcile(now)
        if self._reconciled < 0:
            yield self._hold(now, REFUSED, "its list is not asked for again yet")
            return
        servers = self._without_the_ended(now, self._registry.servers())
        updating = self._registry.updating()
        addresses = {*servers.serving, *servers.canary, *servers.standby, *updating, *self.engine.watched()}
        samples = self._registry.read_samples(sorted(addresses))
        proxy = self._registry.read_proxy_load() if self._needs_proxy else None
        decision = self.engine.tick(now, servers, samples, proxy, updating)
        self._world.decided(now, decision)
        if decision.view is not None:
            for event, fields in self._alerts.judge(decision.view, self._orphans):
                self._world.emit("alert" if event == FIRED else "alert_over", fields)
            self._orphans = ()
        yield decision
        if self._dry_run:
            self._log.proposed(decision, self.engine.last_action)
        else:
            self._act(now, decision)
        yield decision

    def _hold(self, now: int, reason: str, error: str) -> Decision:
        """Without registry or cloud the autoscaler does nothing, and says so once."""
        self._alerts.blind()
        self._log.held(reason, error)
        return self._nothing(now, reason)

    def _nothing(self, now: int, reason: str) -> Decision:
        """A turn that decided nothing."""
        decision = Decision(NONE, NONE, reason, ())
        self._world.decided(now, decision)
        return decision

    def _acquire(self, now: int) -> bool:
        """Take the lease, or renew it; False while somebody else has it."""
        token = self._registry.acquire_lease(self._owner, self._lease)
        if token is None:
            return False
        if token != self._token:
            state = self._registry.load_state(STATE)
            self._recall(state)
            if state and token != self._token + 1:
                # Somebody else has held it and acted. (A registry without state has lost it, and what the fence was.)
                self._reconciled = -1
            self._token = token
            self._saved = None
        self._renew = now + self._lease // 3
        self._remembered = self.engine.memory
        return True

    def _reconcile(self, now: int) -> None:
        """Compare the books with what the cloud lists, and carry to the end what was not."""
        listed = self._list(now)
        if listed is None:
            return
        updating = self._registry.updating()
        # What a deploy has launched it has noted itself.
        noted = {*self._registry.instances()}
        own = [one for one in listed if one.address not in updating and one.provider_id not in noted]
        unknown = self._unknown(tuple(own))
        listed = tuple(one for one in listed if not (self.spec.leaves_orphans and one.number in unknown))
        vanished = self.engine.adopt(now, listed, unknown)
        self._last_number = max(self._last_number, self.engine.highest)
        if not self._dry_run:
            for number, since in self._recalled.items():
                self.engine.drained(since, number)
            self._recalled = {}
            if any(instance.number == self._launching for instance in listed):
                self._launching = 0
            self._endings.update({(gone.provider_id, gone.address): now for gone in vanished})
            self._drop_endings()
            for provider_id, address in sorted(self._endings):
                self._bury(provider_id, address)
            orphans = self.engine.orphans()
            ours = {one.provider_id for one in listed if one.number not in orphans}
            for provider_id in sorted(ours - noted):
                self._registry.add_instance(provider_id)
        self._reconciled = now

    def _list(self, now: int) -> tuple[CloudInstance, ...] | None:
        """What the cloud lists. Refused, it is not asked again for a while: None if the books will do until then. Raises CloudError."""
        try:
            listed = self._cloud.list()
        except CloudError as error:
            self._waits.list.refused(now)
            self._world.emit("list_refused", {"code": error.code})
            if self._reconciled < 0:
                raise
            return None
        self._waits.list.granted()
        return listed

    def _unknown(self, listed: tuple[CloudInstance, ...]) -> frozenset[int]:
        """Instances in nobody's books. Where the registry holds no state of this run, nobody can tell."""
        if not self._recognised:
            return frozenset()
        found = frozenset(
            one.number for one in listed
            if one.provider_id not in self._noted and one.number != self._launching and not self.engine.knows(one.number)
        )  # fmt: skip
        for number in sorted(found - self._left):
            self._world.emit("orphan_found", {"server": number})
        self._orphans += tuple(sorted(found - self._left))
        self._left = found
        return found

    # What is remembered.

    def _save(self, now: int) -> None:
        """Keep what a successor must know. Raises _Fenced if somebody else has acted since this one took the lease."""
        state: dict[str, int | str] = {_RUN: self._run, _LAST_ACTION: self.engine.last_action}
        state |= {_LAST_NUMBER: self._last_number, **self._alerts.state()}
        if self._launching:
            state[_LAUNCHING] = self._launching
        if books := self.engine.provider_ids():
            state[_NOTED] = " ".join(books)
        if self._waits.launch.refusals:
            state[_REFUSALS], state[_LAUNCH_AFTER] = self._waits.launch.refusals, self._waits.launch.after
        if self._remembered:
            state[_POLICY] = write_memory(self._remembered)
        for number, since in self.engine.draining().items():
            state[f"{_DRAINING}{number}"] = since
        for (provider_id, address), since in self._endings.items():
            state[f"{_ENDING}{provider_id} {address}"] = since
        if state == self._saved:
            return
        if not self._registry.save_state(STATE, state, self._token):
            before = self._reconciled
            alone = self._acquire(now) and self._reconciled == before
            if not (alone and self._registry.save_state(STATE, state, self._token)):
                raise _Fenced
        self._saved, self._recognised = state, True

    def _recall(self, state: State) -> None:
        """What the lease's holder before this one was about, if it was one of this run; what this one knows itself stays."""
        if state.get(_RUN) != self._run:
            return
        self._recognised = True
        self._noted = frozenset(str(state.get(_NOTED, "")).split())
        numbers = {name: value for name, value in state.items() if isinstance(value, int)}
        self.engine.last_action = max(self.engine.last_action, numbers.get(_LAST_ACTION, NONE))
        self._last_number = max(self._last_number, numbers.get(_LAST_NUMBER, 0))
        self._launching = self._launching or (0 if self.spec.leaves_orphans else numbers.get(_LAUNCHING, 0))
        self._waits.launch.recall(numbers.get(_REFUSALS, 0), numbers.get(_LAUNCH_AFTER, NONE))
        self.engine.launch_after = self._waits.launch.after
        self.engine.memory = self.engine.memory or read_memory(state.get(_POLICY, ""))
        self._alerts.recall(numbers)
        for name, value in numbers.items():
            if name.startswith(_DRAINING):
                self._recalled[int(name.removeprefix(_DRAINING))] = value
            elif name.startswith(_ENDING):
                provider_id, address = name.removeprefix(_ENDING).split(" ", 1)
                self._endings.setdefault((provider_id, address), value)

    # Terminated instances.

    def _bury(self, provider_id: str, address: str) -> None:
        self._registry.forget(address)
        self._registry.remove_instance(provider_id)

    def _drop_endings(self) -> None:
        """Terminations of what is in the books did not happen, or their address has another owner now."""
        self._endings = {key: t for key, t in self._endings.items() if not self.engine.number_at(key[1])}

    def _without_the_ended(self, now: int, servers: Servers) -> Servers:
        """*servers*, when terminated ones that registered while they ended are out of them again."""
        listed = {*servers.serving, *servers.canary, *servers.standby}
        late = [key for key in sorted(self._endings) if key[1] in listed]
        over = [key for key, since in sorted(self._endings.items()) if now - since >= AFTERLIFE]
        for provider_id, address in sorted({*late, *over}):
            self._bury(provider_id, address)
        self._endings = {key: since for key, since in self._endings.items() if key not in over}
        return self._registry.servers() if late else servers

    # Acting.

    def _act(self, now: int, decision: Decision) -> None:
        for action in decision.actions:
            if isinstance(action, Drain):
                self.engine.drained(now, action.number)
            elif isinstance(action, Terminate):
                self._endings[action.provider_id, action.address] = now
        if decision.actions:
            self._remembered = self.engine.memory
        self._save(now)
        self._log.decided(decision)
        refused: set[type] = set()
        for action in decision.actions:
            if type(action) in refused:
                continue
            match action:
                case Launch():
                    done = self._launch(now)
                case Terminate():
                    done = self._terminate(now, action)
                case Promote(address):
                    done = self._promote(address)
                case Drain(number, address):
                    done = self._drain(number, address)
            if not done:
                refused.add(type(action))
        self._drop_endings()
        self._save(now)

    def _launch(self, now: int) -> bool:
        """False if the cloud refuses, which is not asked again for the like in this turn."""
        if not self._launching:
            taken = max(self._world.last_number(), self._last_number)
            self._launching = self._last_number = self._registry.next_number(taken)
            self._save(now)
        number = self._launching
        try:
            instance = self._cloud.launch(number, "serving", f"{self._launches}-{number}")
        except CloudError as error:
            self.engine.launch_failed(self._waits.launch.refused(now, number))
            if error.code in UNCERTAIN:
                self._reconciled = -1
            else:
                self._launching = 0
            self._world.emit("launch_refused", {"code": error.code})
            return False
        self._launching = 0
        self._waits.launch.granted()
        self.engine.launched(now, instance)
        self._drop_endings()
        self._world.launched(instance)
        self._registry.add_instance(instance.provider_id)
        return True

    def _terminate(self, now: int, action: Terminate) -> bool:
        """A refusal leaves the books as they are: it is asked for again, after a while."""
        try:
            self._world.terminate(action.number, action.provider_id, action.reason)
        except CloudError as error:
            self.engine.end_after = self._waits.end.refused(now, action.number)
            self._world.emit("terminate_refused", {"server": action.number, "code": error.code})
            return False
        self._waits.end.granted()
        self.engine.terminated(action.number)
        self._bury(action.provider_id, action.address)
        return True

    def _promote(self, address: str) -> bool:
        self._registry.register(address, "serving")
        number = self.engine.number_at(address)
        self._world.emit("promoted", {"server": number})
        self._world.promoted(number)
        return True

    def _drain(self, number: int, address: str) -> bool:
        self._registry.deregister(address)
        self._world.emit("draining", {"server": number})
        self._world.draining(number)
        return True
