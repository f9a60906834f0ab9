"""The face that every engine shows to the control plane."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Emit = Callable[[int, str, Mapping[str, Any]], None]
"""Log a control event: time in ns, name, fields."""


class ServerSample(NamedTuple):
    """What a server's monitors see: requests and CPU time since the last sample, and the state now."""

    server: int
    requests: int
    in_flight: int
    queued: int
    memory: int
    cpu_ns: int


class ProxySample(NamedTuple):
    """The proxy's own figures; since the last sample: requests, and how many it answered itself for want of a server (no_server, shed).

    *counters*: those of core.tallies, if the fleet needs tallies.
    """

    requests: int
    unserved: int
    in_flight: int
    queued: int
    memory: int
    connections: int
    descriptors: int
    counters: Sequence[int] = ()


class Plane(Protocol):
    """Clients, proxy, app servers and dependencies.

    The control plane drives it through this alone, and hears of it through *lost* (an instance died by itself), *proxy_down*, and
    the events that it was given a place for.
    """

    lost: Callable[[int], None]
    proxy_down: Callable[[], None]

    def begin(self) -> None:
        """Let the clients begin."""
        ...

    def advance(self, time: int, key: int) -> bool:
        """Let everything happen that is due before *time* and, at that time, before *key* (core.order.priority).

        False if it stopped earlier, after a call of *lost* or *proxy_down*. An engine whose events are on the timeline itself has nothing to do.
        """
        ...

    def boot(self, number: int, version: int) -> None:
        """The application on instance *number* is up, of *version* (an index): for the first time, or after its process ended. What :meth:`disturb_server` said still holds."""
        ...

    def stop(self, number: int) -> int:
        """The application on instance *number* ends at once, if it ever began; how many requests it had in flight."""
        ...

    def refresh(self, listed: Mapping[int, int], share: tuple[int, int]) -> None:
        """The proxy takes over the registry's lists (server number -> role), and the canaries' share of the requests (core.routing.wanted_role)."""
        ...

    def kill_proxy(self, cause: str) -> None:
        """The proxy's process dies, if it is up."""
        ...

    def restart_proxy(self) -> None:
        """A new proxy process takes over."""
        ...

    @property
    def down(self) -> bool:
        """Whether the proxy is down."""
        ...

    def pause(self, number: int) -> None:
        """The application on instance *number* hangs; pauses count, each is ended by a :meth:`resume`. They end with the process."""
        ...

    def resume(self, number: int) -> None:
        """It goes on where it was."""
        ...

    def disturb_server(self, number: int, factor: float, share: float, status: int) -> None:
        """CPU work that begins from now on takes *factor* times as long (1: none); *share* of the requests fail at once with *status*. Both beside what the version does."""
        ...

    def leak(self, number: int, size: int) -> None:
        """The application on instance *number* loses so many bytes, and perhaps dies of it."""
        ...

    def press(self, number: int, size: int) -> None:
        """Something else on the machine of instance *number* holds so many bytes of its memory from now on, whichever process is up there; which perhaps dies of it."""
        ...

    def free(self, number: int, share: float) -> int:
        """The application on instance *number*, which is up, gives back this share of what it has leaked; in bytes."""
        ...

    def disturb_link(self, number: int, toxic: Sequence[Mapping[str, float]]) -> None:
        """What is wrong with a link from now on, towards the server and back: fields of core.toxics.TOXIC; 0 is the clients' link."""
        ...

    def limit_descriptors(self, limit: int) -> None:
        """The proxy may have so many descriptors from now on, -1: any number. What is open stays open."""
        ...

    def disturb_proxy(self, factor: float) -> None:
        """Requests that the proxy reads from now on take it *factor* times as long."""
        ...

    def disturb_dependency(self, number: int, factor: float, down: bool) -> None:
        """Calls that begin from now on take *factor* times as long; or they fail, and those under way do too."""
        ...

    def flush_cache(self, number: int) -> None:
        """The cache in front of dependency *number* is empty."""
        ...

    def sample(self) -> tuple[ProxySample, Sequence[ServerSample]]:
        """What the monitors see; counters start anew."""
        ...

    @property
    def idle(self) -> bool:
        """Whether every planned request has its outcome."""
        ...

    def end(self) -> None:
        """The run is over: whatever has no outcome is unfinished, and all rows go to the sink."""
        ...
