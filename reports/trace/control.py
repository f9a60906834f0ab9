"""Spans of what is no request: instances' lives, turns of the autoscaler, deploys, faults, outages; linked to what they follow from.

Only what the log says is linked: a launch to the turn whose books say that it launches, a death to the fault that hit that server at that very time.
What the run does not record has no span: single refreshes of the registry, and what each monitor writes.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.model import SECOND
from ...core.rollout.outcome import ENDS
from ...core.trace.ids import Ids
from ...core.trace.turns import NAME as TURN_NAME
from ..lifelines import DEATHS, Lifeline
from .pairs import PAIRS, POINTS, Pair
from .spans import (
    APP,
    AUTOSCALER,
    DEPLOYS,
    INTERNAL,
    Link,
    Note,
    Service,
    Span,
    Trace,
    Value,
    value_of,
)
from .turns import Turn

Event = Mapping[str, Any]

INSTANCE, TURN, DEPLOY = "instance", "turn", "deploy"
_PHASE = 1
_OF_DEPLOYS = {"deploy_paused", "weight_set", "analysis", "rollback_started", "proxy_handed_over", "registry_restarted"}  # fmt: skip


class Control:
    """The traces of a run's control plane: from its *events*, the *lives* of its instances and the *turns* of its autoscaler; *end*: of the run (ns)."""

    def __init__(
        self, ids: Ids, events: Sequence[Event], lives: Sequence[Lifeline], turns: Sequence[Turn], end: int
    ) -> None:
        self._ids = ids
        self._events = events
        self._lives = lives
        self._turns = turns
        self._end = end
        self._times = [turn.time for turn in turns]
        self._hits: dict[tuple[int, int], Link] = {}

    def traces(self) -> Iterator[Trace]:
        """All of them: faults and outages, deploys, turns, instances; each kind in order of time."""
        yield from self._paired()
        yield from self._deploys()
        yield from self._points()
        for number, turn in enumerate(self._turns):
            yield Trace((self._turn(number, turn),))
        yield from self._instances()

    def _span(
        self, kind: str, number: int, name: str, service: Service, start: int, end: int, fields: Mapping[str, Any], place: int = 0
    ) -> Span:  # fmt: skip
        made = self._ids.control(kind, number)
        parent = made.span(0, 0) if place else ""
        attributes: dict[str, Value] = {}
        for field, item in fields.items():
            value = value_of(item)
            if value is not None:
                attributes[f"windtunnel.{field}"] = value
        return Span(made.trace, made.span(0, place), parent, name, INTERNAL, service, start, end, attributes)

    # Faults and whatever else begins and ends.

    def _paired(self) -> Iterator[Trace]:
        for number, (pair, event, stop, closing) in enumerate(opened(self._events, self._end)):
            fields = {name: item for name, item in {**event, **(closing or {})}.items() if name not in ("t", "event")}  # fmt: skip
            span = self._span("pair", number, pair.named(event), pair.service, event["t"], stop, fields)
            span.error = pair.wrong
            if pair.wrong:
                span.attributes["error.type"] = event["event"]
            if event["event"] == "fault":
                for target in event.get("targets") or ():
                    if isinstance(target, int):
                        self._hits[event["t"], target] = Link(span.trace, span.id, "hit by the fault")
            yield Trace((span,))

    def _points(self) -> Iterator[Trace]:
        found = (event for event in self._events if event["event"] in POINTS)
        for number, event in enumerate(found):
            service, wrong = POINTS[event["event"]]
            fields = {name: item for name, item in event.items() if name not in ("t", "event")}
            name = str(event["event"]).replace("_", " ")
            span = self._span("point", number, name, service, event["t"], event["t"], fields)
            if wrong:
                span.error, span.attributes["error.type"] = wrong, str(event.get("code", event["event"]))
            yield Trace((span,))

    # The autoscaler.

    def _turn(self, number: int, turn: Turn) -> Span:
        span = self._span(TURN, number, TURN_NAME, AUTOSCALER, turn.time, turn.time, turn.fields)  # fmt: skip
        span.notes = turn.notes
        if turn.wrong:
            span.error, span.attributes["error.type"] = turn.wrong, turn.wrong
        return span

    def _turn_link(self, number: int, what: str) -> tuple[Link, ...]:
        made = self._ids.control(TURN, number)
        return (Link(made.trace, made.span(0, 0), what),)

    def _decided(self, time: int, action: str) -> int:
        """The number of the last turn up to *time* if it decided on *action*, else -1. A flight carries it out a little later."""
        number = bisect_right(self._times, time) - 1
        if number < 0 or time - self._times[number] > SECOND:
            return -1
        decided = self._turns[number].actions
        return number if any(f"{one} ".startswith(f"{action} ") for one in decided) else -1

    # Deploys.

    def _deploys(self) -> Iterator[Trace]:
        said: dict[str, list[Event]] = {}
        for event in self._events:
            if "deploy" in event:
                said.setdefault(str(event["deploy"]), []).append(event)
        for number, (name, events) in enumerate(said.items()):
            yield Trace(tuple(self._deploy(number, name, events)))

    def _deploy(self, number: int, name: str, events: Sequence[Event]) -> Iterator[Span]:
        last = events[-1]
        over = last["event"] in ENDS
        stop = int(last["t"]) if over else self._end
        began = {key: value for key, value in events[0].items() if key not in ("t", "event", "deploy")}
        ended = ENDS.get(last["event"], "unfinished")
        fields = {**began, "ended": ended, "reason": last.get("reason") or None}
        root = self._span(DEPLOY, number, f"deploy {name}", DEPLOYS, events[0]["t"], stop, fields)
        root.notes = tuple(_note(event) for event in events if event["event"] in _OF_DEPLOYS)
        if ended in ("rolled_back", "failed"):
            root.error, root.attributes["error.type"] = ended, ended
        yield root
        steps = [event for event in events if event["event"] == "deploy_step"]
        for place, step in enumerate(steps, 1):
            until = int(steps[place]["t"]) if place < len(steps) else stop
            does = f"step {step['step']}: {step['does']}"
            yield self._span(DEPLOY, number, does, DEPLOYS, step["t"], until, {"step": step["step"]}, place)

    # Instances.

    def _instances(self) -> Iterator[Trace]:
        versions = {e["server"]: str(e["version"]) for e in self._events if e["event"] == "launched" and "version" in e}  # fmt: skip
        deaths = [event for event in self._events if event["event"] in DEATHS]
        for life in self._lives:
            service = Service(APP, str(life.server), versions.get(life.server, ""))
            dead = tuple(_note(event) for event in deaths if event["server"] == life.server)
            yield Trace(tuple(self._life(life, service, dead)))

    def _life(self, life: Lifeline, service: Service, deaths: tuple[Note, ...]) -> Iterator[Span]:
        stop = life.gone if life.gone >= 0 else self._end
        fields = {"server": life.server, "reason": life.reason or None}
        name = f"server {life.server}"
        root = self._span(INSTANCE, life.server, name, service, life.launched, max(stop, life.launched), fields)  # fmt: skip
        root.notes = deaths
        links = list(self._launched(life))
        if deaths:
            root.error, root.attributes["error.type"] = deaths[0].name, deaths[0].name
            hit = self._hits.get((deaths[0].time, life.server))
            links += [hit] if hit else []
        if life.gone >= 0:
            links += self._caused(life.gone, f"terminate {life.server}", "ended by")
        root.links = tuple(links)
        yield root
        for place, (phase, start, end) in enumerate(life.phases, _PHASE):
            span = self._span(INSTANCE, life.server, phase, service, start, end, {}, place)
            if phase == "draining":
                span.links = tuple(self._caused(start, f"drain {life.server}", "drained by"))
            yield span

    def _launched(self, life: Lifeline) -> Sequence[Link]:
        return self._caused(life.launched, "launch", "launched by") if life.launched > 0 else ()

    def _caused(self, time: int, action: str, what: str) -> Sequence[Link]:
        turn = self._decided(time, action)
        return self._turn_link(turn, what) if turn >= 0 else ()


def opened(events: Sequence[Event], end: int) -> Iterator[tuple[Pair, Event, int, Event | None]]:
    """(kind, opening event, when it was over, closing event if there is one) of all that begins and ends, in order of beginning."""
    found: list[tuple[Pair, Event, int, Event | None]] = []
    open_: dict[tuple[str, Any], int] = {}
    for event in events:
        name = event["event"]
        for pair in PAIRS:
            place = open_.get((pair.opens, event.get(pair.by)))
            if name in pair.closes and place is not None:
                kind, opening, _, _ = found[place]
                found[place] = (kind, opening, int(event["t"]), event)
                del open_[pair.opens, event.get(pair.by)]
            elif name == pair.opens and (place is None or pair.opens == "fault"):
                open_[pair.opens, event.get(pair.by)] = len(found)
                found.append((pair, event, _until(pair, event, end), None))
    yield from found


def _until(pair: Pair, event: Event, end: int) -> int:
    """When it is over if nothing says so: at its own ``until``, at once, or with the run."""
    until = event.get("until")
    if isinstance(until, int):
        return max(min(until, end), event["t"]) if until >= 0 else end
    return int(event["t"]) if pair.opens == "fault" and "until" not in event else end


def _note(event: Event) -> Note:
    fields = {
        f"windtunnel.{name}": value
        for name, item in event.items()
        if name not in ("t", "event") and (value := value_of(item)) is not None
    }
    return Note(int(event["t"]), str(event["event"]), fields)
