"""What a rollout is shown of servers on real hosts: by the registry's lists and samples, and by asking each for its health."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ...core.model import SECOND
from ...core.ports import Registry, Sample
from ...core.rollout import Observed, Server
from ...core.rollout.commands import FAILED, UP, UPDATING, Command, Component
from ..fleet_operations import answers, role_in

STALE = 5 * SECOND
"""A server that has not said anything for so long has not said what it runs."""
MISSES = 3
"""A server that has not answered so many looks in a row has failed; before that it is not healthy."""
_ASKING = 16


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the inventory: its name there, its server's address (empty: of a proxy or a registry), the list it belongs to, and where its health is asked for."""

    name: str
    address: str
    home: str
    health: str = "/health"


class Watch:
    """Looks at *hosts* each turn. *ask* says whether a server answers; *now* is the live clock."""

    def __init__(
        self, hosts: Sequence[Host], registry: Registry, now: Callable[[], int],
        ask: Callable[[str, str], bool] = answers,
    ) -> None:  # fmt: skip
        self._hosts = tuple(host for host in hosts if host.address)
        self._registry = registry
        self._now = now
        self._ask = ask
        self._healthy: dict[str, tuple[str, int]] = {}
        self._seen: dict[str, str] = {}
        self._missed: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(_ASKING, thread_name_prefix="health")

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(
        self, installing: Mapping[str, str], failed: Iterable[Command], proxy: Component | None = None
    ) -> Observed:
        """What there is now. *installing*: addresses whose version is being exchanged, and for what. Raises RegistryError."""
        addresses = [host.address for host in self._hosts]
        asked = self._pool.map(lambda host: self._ask(host.address, host.health), self._hosts)
        listed, samples = self._registry.servers(), self._registry.read_samples(addresses)
        now = self._now()
        servers, memory = [], {}
        for host, good in zip(self._hosts, asked, strict=True):
            sample = samples.get(host.address)
            servers.append(
                self._server(
                    host, role_in(listed, host.address), sample, good, installing.get(host.address), now
                )
            )
            if sample is not None and sample.time is not None:
                memory[host.address] = (sample.time, sample.memory)
        return Observed(
            servers=tuple(servers), share=self._registry.canary_share(), tallies=self._registry.read_tallies(),
            memory=memory, proxy=proxy, failed=frozenset(failed),
        )  # fmt: skip

    def _server(
        self, host: Host, listed: str, sample: Sample | None, good: bool, installing: str | None, now: int
    ) -> Server:
        address = host.address
        fresh = sample is not None and (sample.time is None or now - sample.time < STALE)
        if installing is not None:
            self._healthy.pop(address, None)
            return Server(address, host.home, listed, installing, UPDATING, -1)
        version = sample.version if sample is not None else self._seen.get(address, "")
        self._seen[address] = version
        self._missed[address] = 0 if good else self._missed.get(address, 0) + 1
        before = self._healthy.pop(address, None)
        if good:
            same = before is not None and before[0] == version
            self._healthy[address] = before if before is not None and same else (version, now)
        since = self._healthy[address][1] if good else -1
        phase = FAILED if self._missed[address] >= MISSES else UP
        in_flight = sample.in_flight if sample is not None and fresh else -1
        return Server(address, host.home, listed, version, phase, in_flight, since)


def common_version(observed: Observed, home: str = "") -> str:
    """What most of the listed servers run (those of the list *home*, if one is named); empty if nothing is listed."""
    counts = Counter(
        one.version for one in observed.servers if one.listed and one.version and home in ("", one.home)
    )
    return max(sorted(counts), key=lambda version: counts[version]) if counts else ""
