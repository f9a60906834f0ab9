"""What an operator, or a playbook, does to a fleet by its registry alone: look, drain, put back, forget, and what becomes of the canaries.

A server that is drained is taken out of the lists and named among those that are being updated: so the proxy sends it nothing more, the autoscaler
leaves it alone, and it does not register itself again. It gets the mark before it leaves the lists, and loses it after it is back in them, so
that at no moment it is in neither.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.ports import Registry, RegistryError, Sample, Servers
from .live.addresses import split, url

ROLES = ("serving", "canary", "standby")
UPDATING = "updating"

SETTLE_SECONDS = 1.5
"""How long a proxy may still send requests to a server that has left the lists: it reads them each second unless the scenario says otherwise."""
_BEAT = 0.1
_SILENT_SECONDS = 5.0
_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server as the registry knows it. *role*: serving, canary, standby or updating; *sample*: what it said last of itself."""

    address: str
    role: str
    sample: Sample | None


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """*share* of the requests that go to canaries, as numerator and denominator; None: as the scenario says."""

    servers: tuple[ServerStatus, ...]
    share: tuple[int, int] | None


class Unhealthy(Exception):
    """A server was not healthy in time."""


def role_in(servers: Servers, address: str) -> str:
    """The list in which *address* is, or an empty text."""
    for role in ROLES:
        if address in getattr(servers, role):
            return role
    return ""


def known_address(text: str) -> str:
    """``http://HOST[:PORT]`` as the registry writes it. Raises ValueError."""
    return url(*split(text))


class FleetOperations:
    """On the fleet in *registry*. Waits by *pause* (seconds)."""

    def __init__(
        self,
        registry: Registry,
        pause: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._pause = pause
        self._now = now

    def status(self) -> FleetStatus:
        """Every server that is listed or being updated, and the canaries' share."""
        registry = self._registry
        listed, updating = registry.servers(), registry.updating()
        roles = {address: role for role in reversed(ROLES) for address in getattr(listed, role)}
        roles.update({address: UPDATING for address in updating if address not in roles})
        samples = registry.read_samples(sorted(roles))
        servers = tuple(
            ServerStatus(address, role, samples.get(address)) for address, role in sorted(roles.items())
        )
        return FleetStatus(servers, registry.canary_share())

    def role_of(self, address: str) -> str:
        """The role in which a server is listed, or in which it said it was before it left the lists; empty if nobody knows."""
        listed = role_in(self._registry.servers(), address)
        if listed:
            return listed
        sample = self._sample(address)
        return sample.state if sample is not None and sample.state in ROLES else ""

    def _sample(self, address: str) -> Sample | None:
        return self._registry.read_samples([address]).get(address)

    def _mark(self, address: str, updating: bool) -> bool:
        """Whether that changed anything."""
        before = set(self._registry.updating())
        after = before | {address} if updating else before - {address}
        if after != before:
            self._registry.set_updating(sorted(after))
        return after != before

    # One server.

    def leave(self, address: str) -> bool:
        """Take a server out of rotation; False if it was. Requests that are under way go on: see :meth:`drained`."""
        marked = self._mark(address, True)
        listed = role_in(self._registry.servers(), address)
        if listed:
            self._registry.deregister(address)
        return marked or bool(listed)

    def drained(self, address: str, timeout: float, settle: float = SETTLE_SECONDS) -> bool:
        """Wait until a server that has left has ended its requests, at most *timeout* seconds; whether it has, or is gone."""
        end = self._now() + timeout
        self._pause(min(settle, timeout))
        first = self._sample(address)
        if first is None or first.time is None:
            # It does not say how many it has.
            return True
        heard = self._now()
        while self._now() < end:
            sample = self._sample(address)
            if sample is not None and sample.time != first.time:
                if sample.in_flight == 0:
                    return True
                first, heard = sample, self._now()
            elif self._now() - heard > _SILENT_SECONDS and not answers(address):
                return True
            self._pause(_BEAT)
        return False

    def restore(self, address: str, role: str) -> bool:
        """Put a server into rotation; False if it was. Raises ValueError for what is no role."""
        if role not in ROLES:
            raise ValueError(f"expected one of the roles {', '.join(ROLES)}, got {role!r}")
        moved = role_in(self._registry.servers(), address) != role
        if moved:
            self._registry.register(address, role)
        return self._mark(address, False) or moved

    def clear(self, address: str) -> bool:
        """Forget a server: out of every list, and its figures gone. False if nothing was known of it."""
        known = self._sample(address) is not None or bool(role_in(self._registry.servers(), address))
        if known:
            self._registry.forget(address)
        return self._mark(address, False) or known

    def wait_healthy(self, address: str, version: str, path: str, min_ready: float, timeout: float) -> None:
        """Wait until a server has answered at *path*, and said in fresh samples that it runs *version* (empty: any), for *min_ready* seconds. Raises Unhealthy."""
        end = self._now() + timeout
        before = self._sample(address)
        since, reason = -1.0, "nothing was heard of it"
        while True:
            now = self._now()
            reason = self._ailment(address, version, path, before)
            if reason:
                since = -1.0
            elif since < 0:
                since = now
            if since >= 0 and now - since >= min_ready:
                return
            if now > end:
                raise Unhealthy(
                    f"{address} was not healthy for {min_ready:g} s within {timeout:g} s: {reason}"
                )
            self._pause(_BEAT * 2)

    def _ailment(self, address: str, version: str, path: str, before: Sample | None) -> str:
        """Why a server is not healthy now; empty if it is."""
        if not answers(address, path):
            return f"no good answer at {path}"
        if not version:
            return ""
        try:
            sample = self._sample(address)
        except RegistryError as error:
            return str(error)
        if sample is None or (before is not None and sample.time == before.time):
            return "it has not said yet what it runs"
        return "" if sample.version == version else f"it runs {sample.version!r}, expected {version!r}"

    # Canaries.

    def canary_on(self, numerator: int, denominator: int) -> None:
        """Canaries get such a share of the requests."""
        self._registry.set_canary_share((numerator, denominator))

    def canary_off(self) -> None:
        """Canaries get nothing, and stay where they are."""
        self._registry.set_canary_share((0, 1))

    def promote(self) -> Sequence[str]:
        """The canaries become serving servers, with the version that they run; which."""
        moved = self._registry.servers().canary
        for address in moved:
            self._registry.register(address, "serving")
        self._registry.set_canary_share(None)
        return moved

    def roll_back(self) -> Sequence[str]:
        """The canaries get nothing any more, at once, and leave rotation until somebody deploys to them or puts them back; which."""
        self.canary_off()
        moved = self._registry.servers().canary
        for address in moved:
            self.leave(address)
        return moved


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(address: str, path: str = "/health") -> bool:
    """Whether a server answers at *path* with less than 400."""
    try:
        with _opener.open(address + path, timeout=_ANSWER_SECONDS) as answer:
            return int(answer.status) < 400
    except (OSError, ValueError, urllib.error.HTTPError):
        return False
