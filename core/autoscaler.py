"""The autoscaler: observe -> policy -> clamp and cool down -> reconcile -> actions.

Theory of operation
-------------------
:meth:`Autoscaler.tick` is handed the time and what registry and cloud said, and answers with actions; the driver
carries them out and reports back (:meth:`launched`, :meth:`launch_failed`, :meth:`drained`, :meth:`terminated`). The autoscaler reads no clock
and talks to nobody. What it knows of an instance can be rebuilt from cloud and registry at any time (:meth:`adopt`).

Each instance that it launched is, in its books, *booting* until the registry lists it, *ready* while listed, *draining* after it
took it out of the lists (should one register itself again, it is taken out again), and forgotten when the cloud has terminated it. One that never
comes up within the boot timeout, or whose monitor has been silent for ``dead_after``, is terminated and forgotten; policy and minimum decide
whether another takes its place.
Servers that it did not launch are counted and never touched.

A scale-in first cancels what is still booting, then drains serving instances by the stated rule (core.victims). Standby servers
whose monitors speak are promoted before any is launched, if the proposal lets them be. While the cloud refuses launches they are asked for ever more rarely
(core.refusals); nothing else waits for that, nor does the cooldown run after an action that never was.

What a deploy is about (``updating`` in the registry) is the deploy's: nobody drains, cancels or ends it, whether it boots, is silent or has left the lists. A serving
server that is out of the lists for it will come back and counts as booting. What a deploy launched counts once it is listed.

An *orphan* is an instance that the cloud lists and nobody has noted. It is adopted like any other, or, if the spec says so, ended unless it registers soon.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .limits import limited
from .model import SECOND, AutoscalerSpec
from .policies.view import LONG_AGO, FleetView, Memory, ServerView
from .ports import CloudInstance, ProxyLoad, Sample, Servers
from .readings import load_of, metrics_of, metrics_of_silence
from .scaling_decision import Action, Decision, Drain, Launch, Promote, Terminate
from .victims import in_order

BOOTING = "booting"
READY = "ready"
DRAINING = "draining"

LIST_LAG = 30 * SECOND
"""So long an instance just launched may be missing in the cloud's list: EC2's is only eventually consistent."""

ORPHAN_GRACE = 30 * SECOND
"""So long after it was found an orphan may still register, where orphans are not adopted."""


@dataclass(slots=True)
class _Known:
    instance: CloudInstance
    phase: str
    since: int
    heard: int = -1
    watched: bool = False
    """Whether it was seen before it was ready."""
    ready: int = LONG_AGO
    orphan: bool = False
    """Nobody noted it, and it has not registered; only where orphans are not adopted."""
    updating: bool = False
    """A deploy is about it."""


@dataclass(slots=True)
class Autoscaler:
    """The engine's books; see the module's theory of operation. *zero*: when the scenario began on the clock that we are told (ns): what the policy sees is in the scenario's time."""

    spec: AutoscalerSpec
    zero: int = 0
    last_action: int = -1
    memory: Memory = field(default_factory=dict)
    """What the policy remembers."""
    highest: int = 0
    """The greatest instance number that was ever in the books."""
    launch_after: int = -1
    """Until then (ns) nothing is launched."""
    end_after: int = -1
    """Until then (ns) nothing is terminated; what is to end counts no more all the same."""
    _before: int = -1
    _blind: int = -1
    _returning: frozenset[str] = frozenset()
    """Addresses of serving servers that are out of the lists while a deploy is about them."""
    _serving: frozenset[str] = frozenset()
    _known: dict[int, _Known] = field(default_factory=dict)

    def adopt(
        self, now: int, instances: tuple[CloudInstance, ...], orphans: frozenset[int] = frozenset()
    ) -> tuple[CloudInstance, ...]:
        """Take over what the cloud lists: on start, and on reconciliation. What it no longer lists is forgotten, and returned. *orphans*: numbers."""
        listed = {instance.number: instance for instance in instances}
        vanished = [
            number
            for number, known in sorted(self._known.items())
            if number not in listed and not (known.phase == BOOTING and now - known.since < LIST_LAG)
        ]
        gone = tuple(self._known.pop(number).instance for number in vanished)
        for number, instance in sorted(listed.items()):
            if number not in self._known:
                spared = self.spec.adopts_orphans or number not in orphans
                self._enter(instance, max(instance.launched, 0) if spared else now)
                self._known[number].orphan = not spared
            elif instance.address != self._known[number].instance.address:
                # A public address comes after the launch.
                self._known[number].instance = instance
        return gone

    def launched(self, now: int, instance: CloudInstance) -> None:
        """A launch succeeded."""
        self.launch_after, self._before = -1, now
        self._enter(instance, now)
        self._known[instance.number].watched = True

    def _enter(self, instance: CloudInstance, since: int) -> None:
        self._known[instance.number] = _Known(instance, BOOTING, since)
        self.highest = max(self.highest, instance.number)

    def launch_failed(self, until: int) -> None:
        """A launch was refused: the next one waits *until* then (ns). If no action of this turn succeeded, no cooldown runs."""
        self.launch_after = until
        self.last_action = self._before

    def drained(self, now: int, number: int) -> None:
        """A server is taken out of the lists since *now* (also from an autoscaler's books before this one); unknown ones are not ours."""
        known = self._known.get(number)
        if known is not None and known.phase != DRAINING:
            known.phase, known.since = DRAINING, now

    def terminated(self, number: int) -> None:
        """A termination succeeded."""
        self.end_after = -1
        self._known.pop(number, None)

    def tick(
        self, now: int, servers: Servers, samples: Mapping[str, Sample], proxy: ProxyLoad | None = None,
        updating: Collection[str] = (),
    ) -> Decision:  # fmt: skip
        """Decide at *now* (ns) from the registry's lists, the samples of all listed or draining servers, the proxy's if the policy needs it, and what a deploy is about."""
        self._follow_deploy(now, servers, samples, updating)
        self._follow_registry(now, servers, samples)
        endings = self._endings(now, samples)
        ended = {ending.address for ending in endings}
        again = self._drained_again(servers, ended)
        ended |= {drain.address for drain in again}
        view = self._view(now, servers, samples, ended, proxy)
        proposal = self.spec.policy.propose(view.counted_from(self.zero) if self.zero else view, self.memory)
        self.memory = proposal.memory
        desired, reason, limits = limited(self.spec, view, proposal)
        standby = self._standby(now, servers, samples, ended) if proposal.promotes else []
        changes = self._possible(
            now, self._reconcile(now, desired - view.size, servers, samples, standby, ended)
        )
        self._before = self.last_action
        if changes:
            self.last_action = now
            if not isinstance(changes[0], Launch):
                self._before = now
        actions = (*self._possible(now, endings), *again, *changes)
        return Decision(desired, view.size, reason, actions, view, proposal, limits)

    def _possible(self, now: int, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        """*actions*, without terminations while the cloud refuses those."""
        if now >= self.end_after:
            return actions
        return tuple(action for action in actions if not isinstance(action, Terminate))

    def blind(self, now: int) -> None:
        """The registry could not be read at *now*: until then nobody's silence meant anything."""
        self._blind = now

    def watched(self) -> tuple[str, ...]:
        """Addresses of all instances in the books: their samples count whether or not the registry lists them."""
        return tuple(known.instance.address for known in self._known.values() if known.instance.address)

    def provider_ids(self) -> tuple[str, ...]:
        """Of all instances in the books that are no orphans, by number."""
        return tuple(
            known.instance.provider_id for _, known in sorted(self._known.items()) if not known.orphan
        )

    def knows(self, number: int) -> bool:
        """Whether instance *number* is in the books."""
        return number in self._known

    def draining(self) -> dict[int, int]:
        """The draining instances, by number, and since when."""
        return {number: known.since for number, known in self._known.items() if known.phase == DRAINING}

    def number_at(self, address: str) -> int:
        """The number of the instance at *address*, or 0 if it is none of ours."""
        return next((n for n, known in self._known.items() if known.instance.address == address), 0)

    def _follow_deploy(
        self, now: int, servers: Servers, samples: Mapping[str, Sample], updating: Collection[str]
    ) -> None:
        """Who is out of the lists because of a deploy, and will be back. Of an instance that was adopted meanwhile a sample tells that it had served."""
        for known in self._known.values():
            known.updating = known.instance.address in updating
            if known.updating:
                known.heard = now
                if known.phase == BOOTING:
                    known.since = now
        books = self._known.values()
        adopted = {
            one.instance.address for one in books if one.phase == BOOTING and one.instance.role == "serving"
        }
        served = {
            address
            for address in adopted
            if address in samples and samples[address].state in ("serving", DRAINING)
        }
        leaving = {one.instance.address for one in books if one.phase == DRAINING}
        away = frozenset(updating) - {*servers.serving, *servers.canary, *servers.standby} - leaving
        self._returning = (self._serving | served) & away
        self._serving = self._returning | frozenset(servers.serving)

    def _follow_registry(self, now: int, servers: Servers, samples: Mapping[str, Sample]) -> None:
        listed = {*servers.serving, *servers.canary, *servers.standby}
        for known in self._known.values():
            sample = samples.get(known.instance.address)
            if sample is not None and sample.time is not None:
                known.heard = max(known.heard, sample.time)
            if known.phase != BOOTING:
                continue
            if known.instance.address in listed:
                known.phase, known.since, known.orphan = READY, now, False
                known.ready = now if known.watched else LONG_AGO
            elif sample is not None and sample.state == DRAINING and not known.updating:
                known.phase, known.since = DRAINING, now
            else:
                known.watched = True

    def _endings(self, now: int, samples: Mapping[str, Sample]) -> tuple[Terminate, ...]:
        """Instances to terminate: drained, never booted, silent for too long."""
        endings = []
        for number, known in sorted(self._known.items()):
            if known.updating:
                continue
            age = now - known.since
            sample = samples.get(known.instance.address)
            reason = ""
            if known.phase == DRAINING:
                quiet = sample is not None and sample.in_flight == 0 and self._fresh(now, sample)
                if age >= self.spec.drain_grace and quiet:
                    reason = "drained"
                elif age >= self.spec.drain_timeout:
                    reason = "drain timeout"
            elif known.orphan:
                if age >= ORPHAN_GRACE:
                    reason = "orphan"
            elif known.phase == BOOTING:
                if age >= self.spec.boot_timeout:
                    reason = "boot timeout"
            elif self.spec.dead_after >= 0 and self._silent(now, known):
                reason = "silent"
            if reason:
                known_as = known.instance
                endings.append(Terminate(number, known_as.provider_id, known_as.address, reason))
        return tuple(endings)

    def _drained_again(self, servers: Servers, ended: set[str]) -> tuple[Drain, ...]:
        """Draining servers that are listed: they have registered anew, or their drain was decided and never carried out."""
        listed = {*servers.serving, *servers.canary, *servers.standby} - ended
        return tuple(
            Drain(number, known.instance.address)
            for number, known in sorted(self._known.items())
            if known.phase == DRAINING and known.instance.address in listed and not known.updating
        )

    def _silent(self, now: int, known: _Known) -> bool:
        return now - max(known.heard, known.since, self._blind) >= self.spec.dead_after

    def _fresh(self, now: int, sample: Sample) -> bool:
        if sample.time is None:
            return self.spec.trust_foreign
        return self._recent(now, sample.time)

    def _recent(self, now: int, time: int) -> bool:
        return now - time <= self.spec.max_sample_age

    def _view(
        self, now: int, servers: Servers, samples: Mapping[str, Sample], ended: set[str],
        proxy: ProxyLoad | None,
    ) -> FleetView:  # fmt: skip
        ready = {
            known.instance.address: (known.ready, number)
            for number, known in self._known.items()
            if known.phase == READY
        }
        views = []
        for address in servers.serving:
            if address in ended:
                continue
            sample = samples.get(address)
            usable = sample is not None and self._fresh(now, sample)
            sampled = -1 if sample is None or sample.time is None else sample.time
            metrics = metrics_of(sample) if usable and sample else self._of_silence()
            since, number = ready.get(address, (LONG_AGO, 0))
            views.append(ServerView(address, metrics, since, sampled, number))
        boots = [self._known[one.number].since for one in self._booting(ended)]
        back = [self.number_at(address) for address in sorted(self._returning)]
        booting = tuple(sorted(boots + [self._known[number].since if number else now for number in back]))
        ours = sum(view.number > 0 for view in views) + len(boots) + sum(number > 0 for number in back)
        others = len(self._known) - ours
        standby = len(self._standby(now, servers, samples, ended))
        load = load_of(proxy) if proxy is not None and self._recent(now, proxy.time) else None
        return FleetView(
            now, tuple(views), booting, standby, self.last_action, self.spec.minimum, self.spec.maximum,
            draining=len(self.draining()), proxy=load, others=others, launch_after=self.launch_after,
        )  # fmt: skip

    def _of_silence(self) -> dict[str, float] | None:
        return metrics_of_silence() if self.spec.missing_is_zero else None

    def _standby(
        self, now: int, servers: Servers, samples: Mapping[str, Sample], ended: set[str]
    ) -> list[str]:
        """Standby servers whose monitors speak."""
        return [
            address
            for address in servers.standby
            if address not in ended and address in samples and self._fresh(now, samples[address])
        ]

    def orphans(self) -> frozenset[int]:
        """Numbers of the instances that nobody noted and that have not registered, where those are not adopted."""
        return frozenset(number for number, known in self._known.items() if known.orphan)

    def _reconcile(
        self, now: int, missing: int, servers: Servers, samples: Mapping[str, Sample], standby: list[str],
        ended: set[str],
    ) -> tuple[Action, ...]:  # fmt: skip
        """Promote, then launch; or cancel what still boots, then drain: never a serving server while one boots in vain."""
        if missing >= 0:
            promoted = [Promote(address) for address in standby[:missing]]
            return (*promoted, *(Launch() for _ in range(missing - len(promoted))))
        cancelled = self._booting(ended)[:-missing]
        usable = {key: sample for key, sample in samples.items() if self._fresh(now, sample)}
        drained = in_order(self.spec.victims, self._drainable(servers, ended), usable)[
            : -missing - len(cancelled)
        ]
        return (
            *(Terminate(i.number, i.provider_id, i.address, "not needed") for i in cancelled),
            *(Drain(number, address) for number, address in drained),
        )

    def _booting(self, ended: set[str]) -> list[CloudInstance]:
        """Serving instances to be, the youngest first."""
        return [
            known.instance
            for _, known in sorted(self._known.items(), reverse=True)
            if known.phase == BOOTING
            and known.instance.role == "serving"
            and known.instance.address not in ended
            and not (known.orphan or known.updating)
        ]

    def _drainable(self, servers: Servers, ended: set[str]) -> list[tuple[int, str]]:
        serving = set(servers.serving) - ended
        return [
            (number, known.instance.address)
            for number, known in self._known.items()
            if known.phase == READY and known.instance.address in serving and not known.updating
        ]
