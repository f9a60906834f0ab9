"""Whoever may have brought failures about: the faults and deploys of a run, when they were in force, and on whom. Times are ns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.fault_family import is_occurrence
from ...core.faults import ALL, FAULTS, SERVERS
from ...core.model import SECOND, FaultSpec, FleetSpec, VersionSpec
from ...core.rollout.outcome import ENDS
from ..violations import described
from ..wording import moment
from .origins import DEPLOY, FAULT, Origin

Event = Mapping[str, Any]
NOWHERE = ""
CLIENT_SIDE, SERVER_SIDE = "clients", "servers"
"""Links: between clients and proxy, between proxy and servers."""


@dataclass(frozen=True)
class Suspect:
    """A fault or a deploy. *type* is a fault's type, else ``deploy``. In force in [start, end] (equal if it strikes at once); *place* in the run's order.

    *hits*: (server, from, to) for each app server that it is about; *everywhere*: all of them. *spec*: what the scenario says of a fault (None for one that a person started),
    *version*: what a deploy brings.
    """

    place: int
    origin: Origin
    type: str
    start: int
    end: int
    hits: tuple[tuple[int, int, int], ...] = ()
    everywhere: bool = False
    link: str = NOWHERE
    role: str = ""
    spec: FaultSpec | None = None
    version: VersionSpec | None = None

    @property
    def name(self) -> str:
        """The fault's or deploy's name."""
        return self.origin.name

    def on(self, server: int) -> bool:
        """Whether it is about this app server at any time."""
        return self.everywhere or any(one == server for one, _, _ in self.hits)

    def spans(self, server: int) -> Iterator[tuple[int, int]]:
        """When it was in force on this server."""
        if self.everywhere:
            yield self.start, self.end
        yield from ((start, end) for one, start, end in self.hits if one == server)

    def number(self, attribute: str, default: float) -> float:
        """An attribute of the fault; *default* if the scenario does not tell."""
        known = {} if self.spec is None else dict(self.spec.attributes)
        value = known.get(attribute, default)
        return float(value) if not isinstance(value, str) else default

    def word(self, attribute: str, default: str = "") -> str:
        """Likewise, a word."""
        return str({} if self.spec is None else dict(self.spec.attributes).get(attribute, default) or default)

    @property
    def slowdown(self) -> float:
        """So many times as long CPU work takes on whom it hits; 1: it does not slow that down."""
        match self.type:
            case "slow":
                return self.number("factor", 2.0)
            case "cpu_hog":
                return 1 / max(1 - self.number("share", 0.5), 1e-3)
            case "deploy":
                return self.version.cpu_factor if self.version else 1.0
            case _:
                return 1.0

    @property
    def length(self) -> int:
        """How long it was in force."""
        return self.end - self.start


def suspects(fleet: FleetSpec, events: Sequence[Event], end: int) -> list[Suspect]:
    """All faults and deploys of a run, in the order in which they began."""
    found: list[Suspect] = []
    overs = {str(e["name"]): int(e["t"]) for e in events if e["event"] == "fault_over"}
    for event in events:
        if event["event"] == "fault":
            found.append(_fault(len(found), fleet, event, overs.get(str(event["name"]), -1), end))
        elif event["event"] == "deploy_started":
            found.append(_deploy(len(found), fleet, event, events, end))
    return found


def _fault(place: int, fleet: FleetSpec, event: Event, over: int, end: int) -> Suspect:
    spec = _spec(fleet, str(event["name"]))
    kind, start = str(event["type"]), int(event["t"])
    lasts = kind in FAULTS and FAULTS[kind].lasts
    stop = over if over >= start else min(int(event.get("until", end)), end) if lasts else start
    targets = tuple(event.get("targets") or ())
    numbers = [target for target in targets if isinstance(target, int)]
    role = spec.role if spec else "app" if numbers else str(targets[0]) if targets else ""
    family = FAULTS[kind].family if kind in FAULTS else ""
    link = NOWHERE
    if family == "links" and (spec is None or dict(spec.attributes).get("from") != "registry"):
        link = SERVER_SIDE if role in SERVERS else CLIENT_SIDE if role == "proxy" else NOWHERE
    text = f"{described(event)} at {moment(start)}" + (f", until {moment(stop)}" if stop > start else "")
    until = stop if stop < end or not lasts else -1
    origin = Origin(FAULT, str(event["name"]), kind, start, until, targets, text)
    everywhere = spec is not None and spec.count == ALL and role in SERVERS
    hits = tuple((number, start, stop) for number in numbers)
    return Suspect(place, origin, kind, start, stop, hits, everywhere, link, role, spec)


def _spec(fleet: FleetSpec, name: str) -> FaultSpec | None:
    """What the scenario says of the fault called so, or of whom it is an occurrence."""
    for fault in (*fleet.faults, *(waiting.fault for waiting in fleet.triggered)):
        if fault.name == name or is_occurrence(name, fault.name):
            return fault
    return None


def _deploy(place: int, fleet: FleetSpec, began: Event, events: Sequence[Event], end: int) -> Suspect:
    name, start = str(began["deploy"]), int(began["t"])
    version = str(began.get("version", ""))
    over = [e for e in events if e.get("deploy") == name and e["event"] in ENDS and e["t"] >= start]
    stop = int(over[0]["t"]) if over else end
    spec = next((one for one in fleet.versions if one.name == version), None)
    text = f"deploy {name} of version {version} ({began.get('strategy', '')}) at {moment(start)}" + (
        f", {ENDS[over[0]['event']].replace('_', ' ')} at {moment(stop)}" if over else ""
    )
    hits = tuple(_runs(version, start, events, end))
    servers = tuple(dict.fromkeys(server for server, _, _ in hits))
    origin = Origin(DEPLOY, name, str(began.get("branch", "")), start, stop if over else -1, servers, text)
    return Suspect(place, origin, "deploy", start, stop, hits, version=spec)


def _runs(version: str, since: int, events: Sequence[Event], end: int) -> Iterator[tuple[int, int, int]]:
    """(server, from, to) of the servers that got *version*, or were on their way to it, from *since* on."""
    open_: dict[int, int] = {}
    for event in events:
        server, time = event.get("server"), int(event["t"])
        if not isinstance(server, int) or time < since:
            continue
        name, named = event["event"], event.get("version")
        if name in ("launched", "updating") and named == version:
            open_.setdefault(server, time)
        elif server in open_ and (name == "terminated" or (name == "updating" and named != version)):
            yield server, open_.pop(server), time
    yield from ((server, time, end) for server, time in open_.items())


REACTION = SECOND
"""What still counts as the same moment where one thing follows another."""
