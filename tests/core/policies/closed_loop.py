"""A fleet that answers a policy: load split evenly over the ready servers, a boot delay, a sample of each server at each turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.model import NONE, SECOND, AutoscalerSpec
from windtunnel.core.ports import CloudInstance, ProxyLoad, Sample, Servers
from windtunnel.core.scaling_decision import Decision, Drain, Launch, Promote, Terminate

CAPACITY = 100.0
"""Requests per second that fill a server of these fleets: its CPU, and most of its memory."""


def metrics(requests: float) -> dict[str, float]:
    """What a server says of itself that gets *requests* a second."""
    full = min(requests / CAPACITY, 1.0)
    return {
        "requests": requests,
        "memory": 0.1 + 0.6 * full,
        "cpu": full,
        "in_flight": requests / 10,
        "queue": requests / 5,
    }


def proxy_load(now: int, load: float) -> ProxyLoad:
    """What the proxy says at *now* (ns) of *load* requests a second."""
    return ProxyLoad(
        time=now, requests=round(load), unserved=0, in_flight=round(load / 10), waiting=round(load / 5)
    )


@dataclass(slots=True)
class ClosedLoop:
    """The registry, the cloud and the load of a small fleet, on a clock that only :meth:`turn` moves."""

    spec: AutoscalerSpec
    initial: int = 1
    standby: int = 0
    boot: int = 20 * SECOND
    now: int = 0
    engine: Autoscaler = field(init=False)
    sizes: list[int] = field(default_factory=list)
    """Serving and booting servers after each turn."""
    launches: int = 0
    _serving: set[int] = field(default_factory=set)
    _standby: set[int] = field(default_factory=set)
    _booting: dict[int, int] = field(default_factory=dict)
    _draining: set[int] = field(default_factory=set)
    _last: int = 0

    def __post_init__(self) -> None:
        self.engine = Autoscaler(self.spec)
        numbers = range(1, self.initial + self.standby + 1)
        self._serving, self._standby = set(numbers[: self.initial]), set(numbers[self.initial :])
        self._last = len(numbers)
        self.engine.adopt(0, tuple(map(self._instance, numbers)))

    @property
    def serving(self) -> int:
        """How many servers get requests."""
        return len(self._serving)

    @property
    def size(self) -> int:
        """How many servers serve or boot."""
        return len(self._serving) + len(self._booting)

    def run(self, load: float, minutes: float) -> list[Decision]:
        """Turns under a constant *load*, requests per second of the whole fleet."""
        return [self.turn(load) for _ in range(int(minutes * 60 * SECOND) // self.spec.interval)]

    def turn(self, load: float, silent: frozenset[int] = frozenset()) -> Decision:
        """One turn, an interval later; what the engine asks for is done at once. Servers numbered in *silent* have no sample."""
        self.now += self.spec.interval
        for number in [n for n, ready in self._booting.items() if ready <= self.now]:
            del self._booting[number]
            self._serving.add(number)
        each = load / len(self._serving) if self._serving else 0.0
        samples = {
            _address(n): self._sample(n, each if n in self._serving else 0.0)
            for n in (*self._serving, *self._standby, *self._draining)
            if n not in silent
        }
        lists = Servers(
            tuple(sorted(map(_address, self._serving))), (), tuple(sorted(map(_address, self._standby)))
        )
        decision = self.engine.tick(self.now, lists, samples, proxy_load(self.now, load))
        for action in decision.actions:
            self._do(action)
        self.sizes.append(self.size)
        return decision

    def _do(self, action: Launch | Promote | Drain | Terminate) -> None:
        match action:
            case Launch():
                self._last += 1
                self.launches += 1
                self._booting[self._last] = self.now + self.boot
                self.engine.launched(self.now, self._instance(self._last))
            case Promote(address):
                number = self.engine.number_at(address)
                self._standby.remove(number)
                self._serving.add(number)
            case Drain(number, _):
                self._serving.remove(number)
                self._draining.add(number)
                self.engine.drained(self.now, number)
            case Terminate(number):
                self._booting.pop(number, None)
                for numbers in (self._serving, self._standby, self._draining):
                    numbers.discard(number)
                self.engine.terminated(number)

    def _instance(self, number: int) -> CloudInstance:
        role = "standby" if number in self._standby else "serving"
        return CloudInstance(number, f"i-{number}", _address(number), role, "running", self.now)

    def _sample(self, number: int, requests: float) -> Sample:
        said = metrics(requests)
        custom: Mapping[str, float] = {"queue": said["queue"]}
        return Sample(
            _address(number), self.now, round(said["requests"]), said["memory"], said["cpu"],
            round(said["in_flight"]), "", "", custom,
        )  # fmt: skip


def _address(number: int) -> str:
    return f"http://10.0.0.{number}"


def spec(
    policy: object, minimum: int = 1, maximum: int = NONE, interval: int = 5 * SECOND, cooldown: int = 0
) -> AutoscalerSpec:
    """An autoscaler around *policy* that lets no server of the closed loop die of silence."""
    return AutoscalerSpec(policy, interval, minimum, maximum, cooldown, dead_after=NONE)  # type: ignore[arg-type]
