"""An app server's place in the registry: it registers, writes its samples, looks whether it is still listed, and deregisters.

Redis is tried at most once a second, on the monitors' beat. While it is away the server serves on; that is said once, as is its return.
A server that a deploy is about (``updating``), or that a deploy has started, leaves it to the deploy to put it into the lists: until it is there no longer it writes its samples, by which
it is seen to be healthy, and nothing else.
"""

from collections.abc import Callable

from ...core.lifecycle import READY, State
from ...core.model import NONE, SECOND, FleetSpec
from ...core.ports import Registry, RegistryError, Sample
from ..live.role import Command, RoleLink
from ..live.settings import AppSettings
from .observation import Observation

ROLE_STATES = {"serving": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}
_ROLES = {state: role for role, state in ROLE_STATES.items()}


class Membership:
    """One server's. All but :meth:`obey` from one thread at a time. ValueError for an unknown role."""

    def __init__(self, settings: AppSettings, address: str, link: RoleLink, registry: Registry) -> None:
        if settings.role not in ROLE_STATES:
            raise ValueError(f"expected one of the roles {', '.join(ROLE_STATES)}, got {settings.role!r}")
        self.address = address
        self.state = ROLE_STATES[settings.role]
        self._fleet: FleetSpec = settings.fleet
        self._version = settings.release or settings.fleet.version(settings.version).name
        self._link = link
        self._registry = registry
        self._registered = False
        self._held = False
        self._out = False
        self._waits = not settings.joins
        self._reachable = True
        self._look_at = NONE

    def join(self) -> None:
        """Register, if Redis is there and no deploy has us in hand; else it is tried again on each beat."""

        if self._out:
            return

        def join() -> None:
            self._held = self._waits or self.address in self._registry.updating()
            if not self._held:
                self._registry.register(self.address, _ROLES[self.state])

        if self._try(join) and not self._held:
            self._registered = True
            self._plan_look()

    def _plan_look(self) -> None:
        if self._fleet.reregister >= 0:
            self._look_at = self._link.clock.now() + max(self._fleet.reregister, SECOND)

    def beat(self, seen: Observation, time: int) -> None:
        """A second has passed in which *seen* was observed."""
        if self._out and self._registered:
            self.leave()
        if self.state in READY and not self._registered:
            self.join()
            if not (self._registered or self._held or self._out):
                return
        if not self._try(lambda: self._registry.write_samples([self._sample(seen, time)])):
            return
        if not self._out and 0 <= self._look_at <= self._link.clock.now() and self.state in READY:
            self._look()

    def _look(self) -> None:
        """Register again if the registry has forgotten us. First who is listed: who leaves the lists for a deploy is named before."""

        def look() -> None:
            servers = self._registry.servers()
            listed = {*servers.serving, *servers.canary, *servers.standby}
            held = self.address in self._registry.updating()
            if self.address not in listed and not held and self.state in READY:
                self._registry.register(self.address, _ROLES[self.state])

        if self._try(look):
            self._plan_look()

    def _sample(self, seen: Observation, time: int) -> Sample:
        cpu = seen.cpu_ns / (SECOND * self._fleet.app.cores)
        return Sample(
            self.address, time, seen.requests, seen.share, cpu, seen.in_flight, self._version,
            self.state.word, seen.custom,
        )  # fmt: skip

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except RegistryError as error:
            if self._reachable:
                self._reachable = False
                self._link.log("warning", "Redis is away; serving on", {"error": str(error)})
            return False
        if not self._reachable:
            self._reachable = True
            self._link.log("info", "Redis is back")
        return True

    def obey(self, command: Command) -> bool:
        """Whether *command* is about our place: ``promote``, ``drain`` or ``register`` (role): whoever sends it has edited the lists. ``unlisted`` (out): we leave them at the
        next beat, and stay out as long as it holds.
        """
        match command.get("command"):
            case "promote":
                self.promote()
            case "drain":
                self.drain()
            case "register":
                self.registered(str(command["role"]))
            case "unlisted":
                self._out = bool(command["out"])
            case _:
                return False
        return True

    def promote(self) -> None:
        """A standby server serves from now on."""
        if self.state is State.STANDBY:
            self.state = State.SERVING

    def drain(self) -> None:
        """It gets no new requests."""
        self.state = State.DRAINING

    def registered(self, role: str) -> None:
        """It is in the list of *role* from now on."""
        self.state = ROLE_STATES[role]
        self._registered, self._held, self._waits = True, False, False
        self._plan_look()

    def leave(self) -> None:
        """Deregister, if Redis is there."""
        self._registered = False
        self._try(lambda: self._registry.deregister(self.address))
