"""Spans of requests, from the moments that their attempts record.

request (client) > each attempt (client) > proxy > upstream > app server, and in them a span for each stretch of time (``stations``), which together
are the latency to the nanosecond. A moment that was not reached counts as the end: the time is that of the station where the attempt was last.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...core.model import EndpointSpec, FleetSpec, SourceSpec
from ...core.outcomes import Outcome
from ...core.trace import schema
from ...core.trace.ids import Ids, TraceKey, trace_key
from ...core.trace.schema import (
    AFTER,
    ANSWER,
    AT_ATTEMPT,
    AT_PROXY,
    AT_SERVER,
    CONNECTION,
    CPU,
    EARLIER,
    IN_PROXY,
    LEAF,
    QUEUE,
    ROOT,
    STRETCHES,
    TO_SERVER,
    UPSTREAM,
    WAITS,
    Asked,
    Said,
    try_place,
)  # fmt: skip
from ..stations import fill
from ..wording import plural
from .rows import Block
from .spans import APP, CLIENTS, INTERNAL, PROXY, Link, Service, Span, Trace

_MOMENTS = (
    "start_ns",
    "proxy_ns",
    "routed_ns",
    "arrived_ns",
    "started_ns",
    "cpu_done_ns",
    "served_ns",
    "end_ns",
)
_START, _PROXY, _ROUTED, _ARRIVED, _STARTED, _CPU, _SERVED, _END = range(len(_MOMENTS))
_STATIONS = (CONNECTION, IN_PROXY, UPSTREAM, QUEUE, CPU, WAITS, ANSWER)
"""Between each moment and the next."""

_SERVED_OUTCOMES = {Outcome.OK, Outcome.UNREAD, Outcome.APP_ERROR}

Versions = Callable[[int, int], str]
"""The version that a server (by number) had at a time; empty where there are none."""


class Rebuilder:
    """Makes traces of requests' rows."""

    def __init__(self, fleet: FleetSpec, ids: Ids, versions: Versions) -> None:
        self._fleet = fleet
        self._ids = ids
        self._versions = versions
        self._services: dict[tuple[int, str], Service] = {}
        self._lives: dict[int, Link] = {}
        self._clients = [Service(CLIENTS.name, source.name) for source in fleet.sources]

    def traces(self, block: Block) -> Iterator[tuple[int, Trace]]:
        """(row in the block, trace) of each of its requests."""
        keys = self.keys(block.requests).tolist()
        moments, reached = _moments(block)
        times, hits = moments.T.tolist(), reached.T.tolist()
        requests = {name: column.tolist() for name, column in block.requests.items()}
        attempts = {
            name: block.attempts[name].tolist()
            for name in ("attempt", "outcome", "status", "server", "tries", "connection")
        }
        for row, (first, last) in enumerate(zip(block.first.tolist(), block.last.tolist(), strict=True)):
            request = {name: column[row] for name, column in requests.items()}
            made = _Made(self._fleet, request, trace_key(*keys[row]))
            made.begin(self._clients[request["source"]])
            for place in range(first, last):
                attempt = {name: column[place] for name, column in attempts.items()}
                server = attempt["server"]
                where = self._server(server, times[place][_ARRIVED]) if hits[place][_ARRIVED] else None
                life = self._life(server) if where is not None else None
                made.attempt(attempt, times[place], hits[place], where, life)
            made.finish()
            yield row, Trace(tuple(made.spans))

    def keys(self, requests: dict[str, Any]) -> Any:
        """What the ids of these requests are made of: an array with rows of three (see Ids.requests)."""
        keys = np.zeros((len(requests["source"]), 3), dtype=np.int64)
        for number, source in enumerate(self._fleet.sources):
            chosen = np.flatnonzero(requests["source"] == number)
            if len(chosen):
                keys[chosen] = np.stack(self._ids.requests(source.name, requests["index"][chosen]), axis=1)
        return keys

    def _server(self, server: int, time: int) -> Service:
        version = self._versions(server, time)
        if (server, version) not in self._services:
            self._services[server, version] = Service(APP, str(server), version)
        return self._services[server, version]

    def _life(self, server: int) -> Link:
        if server not in self._lives:
            life = self._ids.control("instance", server)
            self._lives[server] = Link(life.trace, life.span(0, 0), "life of the server")
        return self._lives[server]


def _moments(block: Block) -> tuple[Any, Any]:
    """The moments of each attempt (rows of the array), none before the one before it, and which were reached."""
    attempts, requests = block.attempts, block.requests
    moments = np.stack([attempts[name].astype(np.int64) for name in _MOMENTS])
    reached = moments >= 0
    # What was answered without being served, by the proxy or a full queue, was on its way back from then on.
    for chosen, since in (
        (reached[_ROUTED] & (attempts["tries"] == 0), _ROUTED),
        (reached[_ARRIVED] & (attempts["outcome"] == Outcome.QUEUE_FULL), _ARRIVED),
    ):
        moments[since + 1 : _END, chosen] = moments[since, chosen]
    fill(moments)
    owner = np.searchsorted(requests["request"], attempts["request"]).clip(
        max=max(len(requests["request"]) - 1, 0)
    )
    begin, latency = requests["time_ns"][owner], requests["latency_ns"][owner]
    return np.clip(moments, begin, begin + latency), reached


class _Made:
    """The spans of one request while they are made."""

    def __init__(self, fleet: FleetSpec, request: dict[str, int], key: TraceKey) -> None:
        self.spans: list[Span] = []
        self._fleet = fleet
        self._request = request
        self._key = key
        self._source: SourceSpec = fleet.sources[request["source"]]
        self._endpoint: EndpointSpec = fleet.endpoints[request["endpoint"]]
        path = self._endpoint.path
        self._asked = Asked(self._source.method, path, path)
        self._start = self._reached = request["time_ns"]
        self._end = request["time_ns"] + request["latency_ns"]
        self._client = CLIENTS

    def _add(self, attempt: int, place: int, parent: str, said: Said, service: Service, start: int, end: int) -> Span:  # fmt: skip
        station = place - LEAF if LEAF <= place < AFTER else EARLIER if place == AFTER else -1
        span = Span(
            self._key.trace, self._key.span(attempt, place), parent, said.name, said.kind, service, start, end, said.attributes,
            said.error, station,
        )  # fmt: skip
        self.spans.append(span)
        return span

    def _wait(self, attempt: int, place: int, name: str, start: int, end: int) -> None:
        """A span of the client's waiting."""
        self._add(attempt, place, self._root.id, Said(name, INTERNAL, {}, ""), self._client, start, end)

    def begin(self, client: Service) -> None:
        """The span of the whole request."""
        request, outcome = self._request, Outcome(self._request["outcome"])
        self._client = client
        said = schema.whole_request(
            request["request"], self._source.name, request["index"], request["attempts"], self._endpoint.path, outcome, request["status"]
        )  # fmt: skip
        self._root = self._add(0, ROOT, "", said, client, self._start, self._end)

    def attempt(
        self, row: dict[str, int], times: list[int], reached: list[bool], server: Service | None, life: Link | None
    ) -> None:  # fmt: skip
        """The spans of one attempt; *server*: the app server that it reached."""
        number, outcome = row["attempt"], Outcome(row["outcome"])
        if times[_START] > self._reached:
            waited = schema.LATE if number == 1 else schema.BACKOFF
            self._wait(number, LEAF + EARLIER, waited, self._reached, times[_START])
        self._reached = times[_END]
        said = schema.client_attempt(
            self._asked, PROXY.name, number, row["connection"], outcome, row["status"]
        )
        client = self._add(number, AT_ATTEMPT, self._root.id, said, self._client, times[_START], times[_END])
        parents = {_START: client.id}
        services = {_START: self._client}
        if reached[_PROXY]:
            parents[_PROXY], services[_PROXY] = self._proxy(client.id, row, times), PROXY
        if reached[_PROXY] and reached[_ROUTED] and row["tries"]:
            parents[_ROUTED] = self._upstream(parents[_PROXY], row, times)
            if server is not None and life is not None:
                parents[_ARRIVED] = self._at_server(parents[_ROUTED], row, times, server, life)
                services[_ARRIVED] = server
        self._stretches(row, times, parents, services)

    def _proxy(self, parent: str, row: dict[str, int], times: list[int]) -> str:
        said = schema.in_proxy(self._asked, PROXY.name, row["tries"], Outcome(row["outcome"]), row["status"])
        return self._add(row["attempt"], AT_PROXY, parent, said, PROXY, times[_PROXY], times[_END]).id

    def _upstream(self, parent: str, row: dict[str, int], times: list[int]) -> str:
        address = f"server-{row['server']}"
        said = schema.proxy_try(
            self._asked, address, row["server"], row["tries"], Outcome(row["outcome"]), row["status"]
        )
        return self._add(
            row["attempt"],
            try_place(row["tries"], TO_SERVER),
            parent,
            said,
            PROXY,
            times[_ROUTED],
            times[_SERVED],
        ).id

    def _at_server(
        self, parent: str, row: dict[str, int], times: list[int], server: Service, life: Link
    ) -> str:
        address = f"server-{row['server']}"
        said = schema.at_server(self._asked, address, row["server"], Outcome(row["outcome"]), row["status"])
        span = self._add(
            row["attempt"],
            try_place(row["tries"], AT_SERVER),
            parent,
            said,
            server,
            times[_ARRIVED],
            times[_SERVED],
        )
        span.links = (life,)
        return span.id

    def _stretches(
        self, row: dict[str, int], times: list[int], parents: dict[int, str], services: dict[int, Service]
    ) -> None:
        """A span of each stretch of time that is not empty, under the innermost span that was open in it."""
        for moment, station in enumerate(_STATIONS):
            start, end = times[moment], times[moment + 1]
            if end <= start:
                continue
            # The answer's way is the proxy's and the link's; all else belongs to whatever was entered last.
            inner = _PROXY if station == ANSWER else moment
            owner = max(place for place in parents if place <= inner)
            service = services[max(place for place in services if place <= inner)]
            said = self._stretch(station, row, innermost=moment == max(parents))
            self._add(row["attempt"], LEAF + station, parents[owner], said, service, start, end)

    def _stretch(self, station: int, row: dict[str, int], innermost: bool) -> Said:
        """What a stretch says. One that is *innermost* of what was recorded holds all that foreign proxies and programs do not tell, if there was an answer."""
        answered = innermost and Outcome(row["outcome"]) in _SERVED_OUTCOMES
        name = STRETCHES[station]
        if station == CONNECTION and answered:
            name = "proxy and server, not recorded"
        elif station == UPSTREAM and answered:
            name = "server, not recorded"
        elif station == UPSTREAM and row["tries"] > 1:
            name = f"{plural(row['tries'] - 1, 'failed try', 'failed tries')}, then to the server"
        elif station == WAITS:
            calls = [self._fleet.dependencies[call].name for call in self._endpoint.calls]
            return schema.waiting(self._endpoint.io is not None, calls)
        return Said(name, INTERNAL, {}, "")

    def finish(self) -> None:
        """What is left after the last attempt: a retry that did not come before the end of the run."""
        if self._end > self._reached:
            self._wait(0, AFTER, schema.BACKOFF, self._reached, self._end)
