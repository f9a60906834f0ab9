"""Faults that wait for something, in every world: whether a condition holds (core.faults.CONDITIONS), and which occurrence begins or is over by that.

A condition is about how the fleet is, not about what anybody has seen of it. A world looks at each whole second, when the faults that are due by then have struck or are
over, and before anything else of that second; it tells what came of it, and is told what begins.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .fault_family import is_occurrence, occurrence
from .lifecycle import State
from .model import AutoscalerSpec, FaultSpec, FleetSpec, TriggeredFault

COMING = frozenset({State.PENDING, State.BOOTING, State.SERVING})


@dataclass(frozen=True, slots=True)
class Seen:
    """How the fleet is: *states* of its instances, how many of them *serve* or come up to do so, whether a deploy is under way, whether the proxy is down."""

    states: Counter[State]
    serve: int
    deploying: bool
    proxy_down: bool

    @classmethod
    def of(cls, instances: Iterable[tuple[State, str]], deploying: bool, proxy_down: bool) -> "Seen":
        """*instances*: the state of each, and the role that it was launched for."""
        known = [*instances]
        serve = sum(
            state in COMING and (role == "serving" or state == State.SERVING) for state, role in known
        )
        return cls(Counter(state for state, _ in known), serve, deploying, proxy_down)


def holds(fault: TriggeredFault, spec: AutoscalerSpec | None, seen: Seen, in_force: Collection[str]) -> bool:
    """Whether the condition of *fault* holds; *in_force*: the faults that are, by name, occurrences too."""
    match fault.condition:
        case "at_maximum":
            return 0 <= _limits(spec).maximum <= seen.serve
        case "at_minimum":
            return seen.serve <= _limits(spec).minimum
        case "booting":
            return bool(seen.states[State.PENDING] or seen.states[State.BOOTING])
        case "draining":
            return bool(seen.states[State.DRAINING])
        case "deploying":
            return seen.deploying
        case "proxy_down":
            return seen.proxy_down
        case condition:
            assert condition == "fault", f"no condition {condition!r}"
            return any(name == fault.of or is_occurrence(name, fault.of) for name in in_force)


def _limits(spec: AutoscalerSpec | None) -> AutoscalerSpec:
    assert spec is not None, "a condition about the limits of an autoscaler that is not there"
    return spec


class Change(NamedTuple):
    """*fault*, an occurrence of the one called *family*, which is at *place* among those that wait, begins (at its own time), or is over now."""

    place: int
    family: str
    fault: FaultSpec
    begins: bool


class Waiting:
    """The faults of *fleet* that wait, and their occurrences so far."""

    def __init__(self, fleet: FleetSpec) -> None:
        self._fleet = fleet
        self._numbers = [0] * len(fleet.triggered)
        self._held: dict[int, FaultSpec] = {}
        self._after: dict[str, list[int]] = {}
        for place, one in enumerate(fleet.triggered):
            if one.after:
                self._after.setdefault(one.after, []).append(place)

    @property
    def looks(self) -> bool:
        """Whether any waits for a condition."""
        return any(one.condition for one in self._fleet.triggered)

    def look(self, now: int, seen: Callable[[], Seen], in_force: Collection[str]) -> Iterator[Change]:
        """What begins and what is over by the conditions at *now* (ns of the scenario). Each is carried out before the next is looked at: one may depend on the other."""
        for place, one in enumerate(self._fleet.triggered):
            if not one.condition or now < one.fault.at:
                continue
            held = holds(one, self._fleet.autoscaler, seen(), in_force)
            if held and place not in self._held:
                begun = self._begin(place, now)
                self._held[place] = begun.fault
                yield begun
            elif not held and place in self._held:
                yield Change(place, one.fault.name, self._held.pop(place), False)

    def follow(self, family: str, now: int) -> Iterator[Change]:
        """What comes after an occurrence of the fault *family*, which is over at *now*."""
        for place in self._after.get(family, ()):
            yield self._begin(place, now + self._fleet.triggered[place].delay)

    def _begin(self, place: int, time: int) -> Change:
        self._numbers[place] += 1
        one = self._fleet.triggered[place]
        made = occurrence(one, self._numbers[place], time, self._fleet.seed)
        return Change(place, one.fault.name, made, True)
