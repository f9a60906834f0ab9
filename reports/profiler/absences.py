"""When servers were not there for the proxy's requests, why, and what that goes back to; likewise the proxy. Times are ns.

What kills a server is looked for among the suspects that were about that server then. A server that is ended for its silence was silenced by something; one that
is drained was drained by a decision, which may have been made on a wrong view of the fleet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.model import SECOND, FleetSpec
from ..wording import moment
from .origins import LOAD, SCALING, Origin
from .suspects import REACTION, Suspect

Event = Mapping[str, Any]

FOREVER = 1 << 62

KILLERS = ("kill", "crash_loop", "spot_interruption")
MEMORY = (
    "memory_pressure",
    "memory_leak",
    "deploy",
    "pause",
    "slow",
    "cpu_hog",
    "dependency_slow",
    "latency",
    "bandwidth",
    "slicer",
)
"""What fills a server's memory, the plainest first; the later ones by what waits on it."""
SILENCERS = (
    "monitor_silent", "pause", "partition", "clock_skew", "clock_jump", "registry_down", "registry_restart", "registry_flush", "disk_full",
    "registry_slow", "stale_registry", "second_autoscaler", "stale_listing",
)  # fmt: skip
MISLEADERS = (
    "second_autoscaler",
    "stale_registry",
    "stale_listing",
    "monitor_stuck",
    "clock_skew",
    "clock_jump",
    "registry_slow",
    "registry_flush",
    "registry_restart",
    "monitor_silent",
)
STALE_TABLES = ("stale_registry", "partition", "registry_down", "registry_restart", "registry_slow")
"""What keeps a proxy from hearing that a server has left."""
FORGETTERS = ("registry_flush", "registry_restart")
DRAINING = "draining"
DISMISSED = ("drained", "drain timeout")


@dataclass(frozen=True, slots=True)
class Absence:
    """Server *server* (0: the proxy) was not there from *start* to *end*. *how* is an event's name or a reason; *root* what it goes back to (None: nothing in the record);
    *told* says it in words; *dead*: nobody answers there (else it is only not asked)."""

    server: int
    start: int
    end: int
    how: str
    root: Origin | None
    told: str
    dead: bool = True


def misleads(one: Suspect) -> bool:
    """Whether a suspect is about what the autoscaler knows: a replica that only the proxy reads is not, nor a link that only requests take."""
    if one.type == "stale_registry":
        return one.word("reader", "both") != "proxy"
    return one.type != "partition" or (not one.link and one.role != "proxy")


def in_force(suspect: Suspect, start: int, end: int) -> bool:
    """Whether it was in force at some time of [start, end], or what it did then still held: a clock that jumped stays wrong, what was forgotten is."""
    lasting = suspect.type in ("clock_jump", "memory_leak", "registry_flush")
    return suspect.start <= end and (lasting or suspect.end >= start)


def latest(
    found: Sequence[Suspect], types: Sequence[str], start: int, end: int, server: int = 0
) -> Suspect | None:
    """Of the suspects of these types in force in [start, end], on *server* if one is named, the one of the first type, and of these the latest."""
    able = [
        one
        for one in found
        if one.type in types and in_force(one, start, end) and (not server or _about(one, server, start, end))
    ]
    return min(able, key=lambda one: (types.index(one.type), -one.start), default=None)


def _about(one: Suspect, server: int, start: int, end: int) -> bool:
    if one.type == "deploy":
        return any(begin <= end and stop >= start for begin, stop in one.spans(server))
    targeted = one.on(server) or one.role in ("autoscaler", "registry", "cloud", "dependency")
    return targeted


class Chronicle:
    """Who was away when, by a run's event log, and the scaling decisions behind it."""

    def __init__(self, fleet: FleetSpec, events: Sequence[Event], found: Sequence[Suspect], wrong_views: Mapping[int, Origin]) -> None:  # fmt: skip
        self._fleet = fleet
        self._found = found
        self._wrong_views = wrong_views
        self._drained: dict[int, tuple[int, Origin | None]] = {}
        self.absences: list[Absence] = []
        self.decisions: dict[str, Origin] = {}
        self._open: dict[int, Absence] = {}
        self._decided: Event | None = None
        for event in events:
            self._take(event)
        self.absences += self._open.values()
        self.absences.sort(key=lambda one: (one.start, one.server))

    def _take(self, event: Event) -> None:
        name, time, server = event["event"], int(event["t"]), event.get("server")
        if name == "decision":
            self._decided = event
        elif name == "proxy_down":
            root = self._why_proxy(event)
            self._away(
                0, time, "proxy_down", root, f"the proxy was down ({event.get('cause')}) since {moment(time)}"
            )
        elif name == "proxy_up":
            self._back(0, time)
        elif isinstance(server, int):
            self._of_server(name, time, server, event)

    def _of_server(self, name: str, time: int, server: int, event: Event) -> None:
        if name == "draining":
            root = self._why_drained(server, time, event)
            self._drained[server] = (time, root)
            self.absences.append(Absence(server, time, FOREVER, DRAINING, root, f"server {server} was drained at {moment(time)}", dead=False))  # fmt: skip
        elif name in ("killed", "out_of_memory", "crashed", "restarting", "updating"):
            words = {"killed": "was killed", "out_of_memory": "ran out of memory", "crashed": "crashed", "restarting": "restarted"}  # fmt: skip
            told = f"server {server} {words.get(name, 'was being updated')} at {moment(time)}"
            self._away(server, time, name, self._why_dead(name, server, time), told)
        elif name in ("restarted", "updated"):
            self._back(server, time)
        elif name == "terminated":
            reason = str(event.get("reason", ""))
            root = self._why_ended(server, time, reason, str(event.get("by", "")))
            told = f"server {server} was ended ({reason}) at {moment(time)}"
            self._away(server, time, reason or "terminated", root, told)

    def drained_at(self, server: int, time: int) -> int:
        """When the server that was ended at *time* was drained; *time* if it was not."""
        return self._drained.get(server, (time, None))[0]

    def _away(self, server: int, time: int, how: str, root: Origin | None, told: str) -> None:
        before = self._open.pop(server, None)
        if before is not None:
            self.absences.append(Absence(server, before.start, time, before.how, before.root, before.told))
        self._open[server] = Absence(server, time, FOREVER, how, root, told)

    def _back(self, server: int, time: int) -> None:
        before = self._open.pop(server, None)
        if before is not None:
            self.absences.append(Absence(server, before.start, time, before.how, before.root, before.told))

    # What it goes back to.

    def _origin(self, types: Sequence[str], start: int, end: int, server: int = 0) -> Origin | None:
        found = latest(self._found, types, start, end, server)
        return found.origin if found else None

    def _why_proxy(self, event: Event) -> Origin | None:
        time = int(event["t"])
        types = ("kill", "proxy_restart", "descriptor_limit", "slow_close", "slow", "latency", "deploy")
        able = [one for one in self._found if one.type in types and one.start <= time + REACTION]
        struck = [one for one in able if one.role == "proxy" and one.type in ("kill", "proxy_restart") and time - one.start <= 2 * REACTION]  # fmt: skip
        if event.get("cause") == "memory":
            struck = [one for one in able if one.link or one.type in ("slow", "descriptor_limit")]
            struck = [one for one in struck if one.end >= time - 10 * SECOND]
            if not struck:
                return PROXY_MEMORY
        return struck[-1].origin if struck else None

    def _why_dead(self, name: str, server: int, time: int) -> Origin | None:
        near = time - 2 * REACTION
        match name:
            case "killed":
                return self._origin(KILLERS, near, time + REACTION, server)
            case "out_of_memory":
                found = self._origin(MEMORY, time - 10 * SECOND, time, server)
                return found or SERVER_MEMORY
            case "restarting":
                found = self._origin(("crash_loop",), near, time, server)
                return found or self._origin(MEMORY[:3], time - 10 * SECOND, time, server) or SERVER_MEMORY  # fmt: skip
            case _:
                return self._origin(("deploy",), near, time, server)

    def _why_ended(self, server: int, time: int, reason: str, by: str) -> Origin | None:
        before = self._open.get(server)
        if before is not None and before.root is not None:
            return before.root
        spec = self._fleet.autoscaler
        patience = (spec.dead_after if spec else 30 * SECOND) + 3 * SECOND
        if reason == "spot interruption":
            return self._origin(("spot_interruption",), 0, time, server) or self._last("spot_interruption", server, time)  # fmt: skip
        if reason == "silent":
            return self._origin(SILENCERS, time - patience, time, server) or self.decision(server, time, "terminate", reason)  # fmt: skip
        if reason in DISMISSED and server in self._drained:
            return self._drained[server][1]
        if reason in ("replaced", "deploy"):
            return self._origin(("deploy",), time - 60 * SECOND, time)
        return self._misled(time, by) or self.decision(server, time, "terminate", reason)

    def _last(self, kind: str, server: int, time: int) -> Origin | None:
        able = [one for one in self._found if one.type == kind and one.on(server) and one.start <= time]
        return able[-1].origin if able else None

    def _why_drained(self, server: int, time: int, event: Event) -> Origin | None:
        notice = [one for one in self._found if one.type == "spot_interruption" and one.on(server) and 0 <= time - one.start <= REACTION]  # fmt: skip
        decided = self._decided
        if decided is None or int(decided["t"]) < time - REACTION:
            if notice:
                return notice[-1].origin
            deploy = [one for one in self._found if one.type == "deploy" and one.start <= time <= one.end + 10 * SECOND]  # fmt: skip
            return deploy[-1].origin if deploy else self.decision(server, time, "drain", "")
        by = str(event.get("by") or decided.get("by") or "")
        return self._misled(time, by) or self.decision(server, time, "drain", str(decided["reason"]))

    def _misled(self, time: int, by: str) -> Origin | None:
        """The fault by which the autoscaler's turn at *time* decided on what was not so, if the log tells: another one decided, or its view was of another fleet."""
        second = [one for one in self._found if one.type == "second_autoscaler" and by == f"second {one.name}"]  # fmt: skip
        if second:
            return second[-1].origin
        return self._wrong_views.get(time)

    def decision(self, server: int, time: int, does: str, reason: str) -> Origin:
        """A scaling decision as an origin."""
        name = f"{does} {server}"
        text = f"the autoscaler's decision at {moment(time)} to {name}" + (f" ({reason.replace('_', ' ')})" if reason else "")  # fmt: skip
        return self.decisions.setdefault(f"{name}@{time}", Origin(SCALING, name, "", time, time, (server,), text))  # fmt: skip


SERVER_MEMORY = Origin(LOAD, "memory of servers", "", 0, -1, (), "requests filled the memory of servers")
PROXY_MEMORY = Origin(LOAD, "memory of the proxy", "", 0, -1, (), "connections filled the memory of the proxy")  # fmt: skip
LOAD_ORIGIN = Origin(LOAD, LOAD, "", 0, -1, (), "more was asked than the fleet could do")


def covering(absences: Sequence[Absence], start: int, end: int, server: int) -> Iterator[Absence]:
    """The absences of *server* at some time of [start, end]."""
    return (one for one in absences if one.server == server and one.start <= end and one.end >= start)
