"""The autoscaler of a flight: core.scaling's driver in a plain process, with synchronous adapters.

It may be killed at any time; the next one rebuilds its books from cloud and registry, as soon as the lease has run out. Told to end, it gives the lease back.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...core.alerts import FIRED, OVER
from ...core.errors import UsageError
from ...core.model import AutoscalerSpec
from ...core.ports import Cloud, CloudInstance, Registry, RegistryError
from ...core.records import rows_of
from ...core.scaling import ScalingDriver
from ...core.scaling_decision import NO_LEASE, UNREACHABLE, Decision
from ...core.trace.turns import turn_said
from ..connection import redis_client, registry_by
from ..live.role import Command, RoleLink
from ..live.settings import AutoscalerSettings
from ..live.tracing import Work
from ..live.watched import watched_cloud, watched_registry
from ..local.cloud_client import LocalCloud
from ..reach import Reach
from .cloud_faults import CloudFaults
from .clouds import cloud_of
from .halts import DECIDED, LAUNCHED, Halts
from .notices import Notices
from .pace import Pace


def run(settings: AutoscalerSettings, link: RoleLink) -> None:
    """Decide at every interval until the role is to end. Raises UsageError."""
    if settings.fleet.autoscaler is None:
        raise UsageError("expected a scenario with an autoscaler, got one without")
    client, reach = redis_client(settings.redis_url), Reach("autoscaler")
    registry = watched_registry(
        registry_by(client, settings.fleet.key_prefix, reach, settings.apart), settings.redis_url, link.tracing
    )  # fmt: skip
    cloud = cloud_of(settings, link)
    faults, halts = CloudFaults(cloud, settings.fleet, link.clock), Halts(link)
    role = Role(settings, settings.fleet.autoscaler, registry, cloud, link, faults, halts)

    def obey(command: Command) -> None:
        if not (reach.obey(command) or faults.obey(command) or halts.obey(command) or role.obey(command)):
            link.log("warning", "unknown command", {"command": dict(command)})

    link.subscribe(obey)
    link.at_stop(reach.end)
    link.at_stop(halts.wake)
    link.status("up")
    try:
        role.serve()
    finally:
        client.close()


class Role:
    """Implements core.scaling_world.World, and calls the driver when it is due.

    The conductor's cloud logs launches and terminations itself; of what happens in another cloud, and of promotions and drains, the conductor hears
    from the events.
    """

    def __init__(
        self,
        settings: AutoscalerSettings,
        spec: AutoscalerSpec,
        registry: Registry,
        cloud: Cloud,
        link: RoleLink,
        faults: CloudFaults | None = None,
        halts: Halts | None = None,
    ) -> None:
        fleet = settings.fleet
        self._local = cloud if isinstance(cloud, LocalCloud) else None
        self._faults = faults or CloudFaults(cloud, fleet, link.clock)
        self._halts = halts or Halts(link)
        # The conductor's own cloud refuses by itself.
        self._cloud = watched_cloud(cloud if self._local is not None else self._faults.face, link.tracing)
        self._work: Work | None = None
        self._link = link
        self._dry_run = settings.dry_run or spec.dry_run
        self._pace = Pace(settings.start + settings.offset, spec.interval)
        self._by = {"by": settings.by} if settings.by else {}
        self._ahead = 0
        self._now = 0
        self._reason = ""
        self._start = settings.start
        # Two that both act would both say so.
        alerts = () if settings.apart else fleet.alerts
        self._notices = Notices(
            fleet.name, alerts, settings.allowed, lambda text, fields: link.log("warning", text, fields)
        )
        self._driver = ScalingDriver(
            spec, registry, self._cloud, self,
            owner=f"{socket.gethostname()}-{os.getpid()}-{link.clock.now()}",
            launches=f"{fleet.name}-{fleet.seed}-{settings.origin}",
            seed=fleet.seed, dry_run=self._dry_run, alerts=alerts, zero=settings.start,
        )  # fmt: skip

    def serve(self) -> None:
        """Take turns until the role is to end; then give back the lease."""
        clock, pace = self._link.clock, self._pace
        pace.begin(clock.now())
        while not self._link.stopping.is_set():
            now = clock.now()
            turn, missed = pace.next(now)
            if early := pace.wait(turn, now):
                # However long it slept, it looks at the clock again.
                self._link.stopping.wait(early / 1e9)
                continue
            if missed:
                self._link.log("warning", "turns were missed", {"missed": missed, "turn": turn})
            pace.done(turn)
            self._now = pace.time_of(turn, now)
            self._tell(self._take(turn, max(self._now + self._ahead, self._start)))
        # A registry that is away has no use for its lease.
        with suppress(RegistryError):
            self._driver.release()
        self._notices.close()

    def obey(self, command: Command) -> bool:
        """Whether *command* is about our clock: ``clock`` (by, in ns)."""
        match command:
            case {"command": "clock", "by": int(by)}:
                self._ahead = by
                return True
        return False

    def _take(self, turn: int, now: int) -> Decision:
        if self._link.tracing is None:
            return self._turn(turn, now)
        with self._link.tracing.work() as self._work:
            return self._turn(turn, now)

    def _turn(self, turn: int, now: int) -> Decision:
        self._faults.take_over()
        if self._pace.backs_off(turn):
            return self._driver.unreachable(now, "not asked again yet")
        steps = self._driver.steps(now)
        decision = next(steps)
        halted = self._halts.reach(DECIDED)
        if halted and self._link.stopping.is_set():
            return decision
        for became in steps:
            decision = became
        if halted:
            # As after any turn that took so long, those that were due meanwhile are nobody's.
            self._pace.begin(self._link.clock.now())
        if decision.reason == UNREACHABLE:
            self._pace.failed(turn)
        else:
            self._pace.succeeded()
        return decision

    def _tell(self, decision: Decision) -> None:
        """Each turn, for whoever watches; what keeps it from deciding, once, for people."""
        if self._by:
            return
        told = {"desired": decision.desired, "actual": decision.actual, "reason": decision.reason}
        self._link.status("tick", told)
        if decision.reason == NO_LEASE != self._reason:
            self._link.log("info", "another autoscaler holds the lease; waiting for it")
        self._reason = decision.reason

    # The driver's world.

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """See core.scaling_world.World."""
        self._link.emit(name, {**fields, **self._by})
        if name in (FIRED, OVER):
            self._notices.tell(max(0, self._link.clock.now() - self._start), name, fields)

    def last_number(self) -> int:
        """See core.scaling_world.World. The books and the registry know."""
        return 0

    def launched(self, instance: CloudInstance) -> None:
        """See core.scaling_world.World."""
        if self._local is None:
            self._link.emit(
                "launched", {"server": instance.number, "role": instance.role}, time=instance.launched
            )
        self._halts.reach(LAUNCHED)

    def terminate(self, number: int, provider_id: str, reason: str) -> None:
        """See core.scaling_world.World."""
        if self._local is not None:
            local = watched_cloud(self._local, self._link.tracing)
            local.terminate(provider_id, reason)
        else:
            self._cloud.terminate(provider_id)
            self._link.emit("terminated", {"server": number, "reason": reason})

    def promoted(self, number: int) -> None:
        """See core.scaling_world.World. The conductor hears the event."""

    def draining(self, number: int) -> None:
        """See core.scaling_world.World. The conductor hears the event."""

    def decided(self, now: int, decision: Decision) -> None:
        """See core.scaling_world.World. The conductor records it."""
        if self._by and decision.reason == NO_LEASE:
            # The holder's decisions are recorded.
            return
        # Whatever our clock shows, the record has the run's time.
        row, seen = rows_of(self._now, decision, self._dry_run)
        if self._work is not None:
            self._work.says(*turn_said(row, seen))
        self._link.status("decided", {"decision": row, "observations": seen})
