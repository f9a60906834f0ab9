"""Alerts: conditions on what an autoscaler's turn sees, when they fire and end, and whether they fired as expected.

Theory of operation
-------------------
:meth:`Alerts.judge` is handed each turn's view. A condition says who fulfils it, or that it cannot tell (a sample is missing or too old). An alert
fires when somebody, or the fleet, has fulfilled it for ``hold`` without a break, and is over when nobody has for ``clear_after`` without a
break. What cannot be told is neither: both clocks begin anew. Servers that fulfil a condition are one alert, whoever joins or leaves them meanwhile.

It reads no clock and talks to nobody. Specifications are plain values; :mod:`core.model` has them in the fleet's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from .policies.view import FleetView

FLEET = ""
"""In place of a server's address: the fleet as a whole."""


class Seen(NamedTuple):
    """What a condition says of one turn: who fulfils it (addresses, or FLEET), the figure furthest beyond its bound, whether some of what it needs is not known."""

    by: tuple[str, ...] = ()
    value: float | None = None
    unknown: bool = False


class Moment(NamedTuple):
    """What conditions look at: the turn's view, numbers of the orphans that this turn has found, and the proxy's (time, requests, unserved) of turns so far."""

    view: FleetView
    orphans: tuple[int, ...]
    past: Sequence[tuple[int, float, float]]


def _beyond(value: float, above: bool, bound: float) -> bool:
    return value > bound if above else value < bound


@dataclass(frozen=True, slots=True)
class ServerMetric:
    """A *metric* of ``any`` serving server (each on its own), of ``all`` of them, or their ``mean``, strictly beyond *bound*."""

    metric: str
    bound: float
    above: bool = True
    servers: Literal["any", "all", "mean"] = "any"
    kind: Literal["metric"] = "metric"
    needs_proxy: ClassVar[bool] = False

    def look(self, moment: Moment) -> Seen:
        """A server without a usable sample, or without this metric, is unknown."""
        known = {
            server.address: server.metrics[self.metric]
            for server in moment.view.servers
            if server.metrics is not None and self.metric in server.metrics
        }
        missing = len(known) < len(moment.view.servers) or not known
        beyond = {a: v for a, v in known.items() if _beyond(v, self.above, self.bound)}
        if self.servers == "any":
            worst = max if self.above else min
            value = worst(beyond.values()) if beyond else None
            return Seen(tuple(sorted(beyond)), value, missing and not beyond)
        if self.servers == "all":
            if len(beyond) < len(known):
                return Seen()
            # The one that is the least beyond it.
            value = (min if self.above else max)(known.values(), default=None)
            return Seen(unknown=True) if missing else Seen((FLEET,), value)
        if missing:
            return Seen(unknown=True)
        mean = math.fsum(known.values()) / len(known)
        return Seen((FLEET,), mean) if _beyond(mean, self.above, self.bound) else Seen()


@dataclass(frozen=True, slots=True)
class ServerCount:
    """How many servers serve, or how many usable ones stand by, strictly beyond *bound*."""

    of: Literal["serving", "standby"]
    bound: int
    above: bool = False
    kind: Literal["count"] = "count"
    needs_proxy: ClassVar[bool] = False

    def look(self, moment: Moment) -> Seen:
        """Always known."""
        count = moment.view.standby if self.of == "standby" else len(moment.view.servers)
        return Seen((FLEET,), count) if _beyond(count, self.above, self.bound) else Seen()


@dataclass(frozen=True, slots=True)
class AtMaximum:
    """Serving and booting servers are as many as there may be."""

    kind: Literal["at_maximum"] = "at_maximum"
    needs_proxy: ClassVar[bool] = False

    def look(self, moment: Moment) -> Seen:
        """Always known."""
        view = moment.view
        return Seen((FLEET,), view.size) if 0 <= view.maximum <= view.size else Seen()


@dataclass(frozen=True, slots=True)
class OrphanFound:
    """This turn's reconciliation has found instances that bear our tag and that nobody has noted."""

    kind: Literal["orphan"] = "orphan"
    needs_proxy: ClassVar[bool] = False

    def look(self, moment: Moment) -> Seen:
        """Of a turn that did not reconcile: none."""
        return Seen((FLEET,), len(moment.orphans)) if moment.orphans else Seen()


@dataclass(frozen=True, slots=True)
class ProxyMetric:
    """A figure of the proxy's own sample (requests and unserved per second, in_flight, waiting) strictly beyond *bound*."""

    metric: str
    bound: float
    above: bool = True
    kind: Literal["proxy"] = "proxy"
    needs_proxy: ClassVar[bool] = True

    def look(self, moment: Moment) -> Seen:
        """Unknown without a usable sample."""
        load = moment.view.proxy
        if load is None:
            return Seen(unknown=True)
        value = load[self.metric]
        return Seen((FLEET,), value) if _beyond(value, self.above, self.bound) else Seen()


@dataclass(frozen=True, slots=True)
class BurnRate:
    """The error *budget* (a share of requests) of objective *objective* is used up more than *bound* times as fast as it may be, over the last *window* ns.

    The rate of the Site Reliability Workbook (chapter 5), over what the proxy says of itself at each turn: those that it did not serve among those that arrived.
    """

    objective: str
    budget: float
    bound: float
    window: int
    kind: Literal["burn_rate"] = "burn_rate"
    needs_proxy: ClassVar[bool] = True

    def look(self, moment: Moment) -> Seen:
        """Unknown without a usable sample of this turn; of the window counts what was seen of it, however little."""
        now = moment.view.now
        if moment.view.proxy is None:
            return Seen(unknown=True)
        chosen = [one for one in moment.past if now - one[0] < self.window]
        arrived = math.fsum(requests for _, requests, _ in chosen)
        unserved = math.fsum(unserved for _, _, unserved in chosen)
        rate = unserved / arrived / self.budget if arrived > 0 else 0.0
        return Seen((FLEET,), rate) if rate > self.bound else Seen()


Condition = ServerMetric | ServerCount | AtMaximum | OrphanFound | ProxyMetric | BurnRate
"""What can be asked; told apart by ``kind``, also in JSON."""


@dataclass(frozen=True, slots=True)
class Email:
    """A mail by the server at *host* and *port*. *user* logs in (empty: nobody does), by the password that the environment variable *password_env*
    or the file *password_file* holds. *ca_file*: certificates to trust, empty: the system's.
    """

    to: str
    host: str
    port: int
    sender: str
    security: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    ca_file: str = ""
    kind: Literal["email"] = "email"


@dataclass(frozen=True, slots=True)
class Webhook:
    """JSON, posted to *url*."""

    url: str
    kind: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, given JSON as its input; ended after *timeout* (ns)."""

    words: tuple[str, ...]
    timeout: int
    kind: Literal["command"] = "command"


Receiver = Email | Webhook | Command


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """An alert: its condition, also in words; how long that holds before it fires, and does not before it is over (ns); who is told, in flight."""

    name: str
    when: Condition
    text: str
    hold: int = 0
    clear_after: int = 0
    notify: tuple[Receiver, ...] = ()


FIRED, OVER = "alert", "alert_over"
"""Names of the events."""

_STATE = "alert "


class Change(NamedTuple):
    """An alert fired or is over: the name of its event (FIRED, OVER) and the fields."""

    event: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class _Book:
    """Of one alert: since when who fulfils its condition, since when it fires (-1: it does not), since when nobody fulfils it (-1: somebody, or unknown)."""

    since: dict[str, int] = field(default_factory=dict)
    fired: int = -1
    clear: int = -1


class Alerts:
    """The alerts of a fleet over the turns of its autoscaler."""

    def __init__(self, specs: tuple[AlertSpec, ...]) -> None:
        self.specs = specs
        self._books = {spec.name: _Book() for spec in specs}
        windows = [spec.when.window for spec in specs if isinstance(spec.when, BurnRate)]
        self._window = max(windows, default=0)
        self._past: list[tuple[int, float, float]] = []

    def judge(self, view: FleetView, orphans: tuple[int, ...] = ()) -> tuple[Change, ...]:
        """What changes at the turn of *view*, in the order of the specifications."""
        self._remember(view)
        moment = Moment(view, orphans, self._past)
        changes = [
            self._judge(spec, self._books[spec.name], spec.when.look(moment), moment) for spec in self.specs
        ]
        return tuple(change for change in changes if change is not None)

    def blind(self) -> None:
        """A turn saw nothing: whatever was about to fire or to end has to be seen anew for its whole time."""
        for book in self._books.values():
            book.since, book.clear = {}, -1

    def state(self) -> dict[str, int]:
        """What a successor must know: which alerts fire, and since when."""
        return {f"{_STATE}{name}": book.fired for name, book in self._books.items() if book.fired >= 0}

    def recall(self, state: Mapping[str, int]) -> None:
        """Take over the alerts that fire by the *state* that another one has left."""
        for name, book in self._books.items():
            if book.fired < 0:
                book.fired = state.get(f"{_STATE}{name}", -1)

    def _remember(self, view: FleetView) -> None:
        if not self._window:
            return
        if view.proxy is not None:
            self._past.append((view.now, view.proxy["requests"], view.proxy["unserved"]))
        self._past = [one for one in self._past if view.now - one[0] < self._window]

    def _judge(self, spec: AlertSpec, book: _Book, seen: Seen, moment: Moment) -> Change | None:
        now = moment.view.now
        book.since = {one: book.since.get(one, now) for one in seen.by}
        if book.fired < 0:
            ripe = [one for one in seen.by if now - book.since[one] >= spec.hold]
            if not ripe:
                return None
            held = now - min(book.since[one] for one in ripe)
            book.fired, book.clear = now, -1
            numbers = (
                list(moment.orphans) if isinstance(spec.when, OrphanFound) else _named(ripe, moment.view)
            )
            value = "" if seen.value is None else f"{seen.value:.6g}"
            return Change(FIRED, {"name": spec.name, "servers": numbers, "value": value, "held": held})
        if seen.by or seen.unknown:
            book.clear = -1
            return None
        book.clear = now if book.clear < 0 else book.clear
        if now - book.clear < spec.clear_after:
            return None
        lasted, book.fired, book.clear = now - book.fired, -1, -1
        return Change(OVER, {"name": spec.name, "lasted": lasted})


def _named(addresses: Iterable[str], view: FleetView) -> list[int | str]:
    """Servers by number, those that are none of ours by address; the fleet as a whole is nobody."""
    numbers = {server.address: server.number for server in view.servers}
    ours = sorted(numbers[one] for one in addresses if numbers.get(one, 0) > 0)
    return [*ours, *sorted(one for one in addresses if one != FLEET and numbers.get(one, 0) <= 0)]


@dataclass(frozen=True, slots=True)
class ExpectSpec:
    """Alert *alert* begins to fire within *within* ns of *start* (or does not: *fires* False)."""

    alert: str
    fires: bool
    start: int
    within: int
    text: str


@dataclass(frozen=True, slots=True)
class ExpectVerdict:
    """An expectation and what came: how late the alert fired (ns, None: never), or how often (of one that must not)."""

    spec: ExpectSpec
    value: int | None
    held: bool


def judge_expectation(spec: ExpectSpec, fired: Sequence[int]) -> ExpectVerdict:
    """Judge *spec* by the times at which its alert began to fire. One that fired before ``start`` and still does has not begun after it."""
    late = sorted(time - spec.start for time in fired if time >= spec.start)
    if spec.fires:
        return ExpectVerdict(spec, late[0] if late else None, bool(late) and late[0] <= spec.within)
    count = sum(delay <= spec.within for delay in late)
    return ExpectVerdict(spec, count, count == 0)
