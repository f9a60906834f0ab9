"""From traffic entries to the plan's sources: who sends, when, over which connections, and to which endpoints."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core import draws
from ..core.demand import Mix, mix_of
from ..core.distributions import Distribution, constant
from ..core.model import FLOOD, NONE, PER_REQUEST, POOL, SECOND, WIRE, ClientSpec, EndpointSpec, SourceSpec
from ..core.order import SOURCE_BITS
from ..core.rates import Profile, Times
from .access_log import read_access_log, recorded_rows, rows_until
from .arrivals import (
    constant_times,
    every,
    poisson_times,
    recorded_profile,
    staged_profile,
    take_until,
    timer_times,
    wire_times,
)
from .header_sets import MIXED
from .loadtest_file import Loadtest, read_loadtest
from .paths import DEFAULT_PATH, PathMatcher
from .plan import Arrivals, ExactBytes, OpenSource
from .problems import Problem, ScenarioError
from .rate_file import read_rates
from .scenario import Scenario
from .schema import Document
from .schema_traffic import Client, Traffic
from .schema_wire import WireTraffic
from .shapes import bursts_profile, diurnal_profile
from .wires import compile_wire

HeaderSet = tuple[tuple[str, str], ...]


class Sources:
    """Collects sources; each traffic entry makes one, a loadtest makes one per entry of its file."""

    def __init__(self, scenario: Scenario) -> None:
        self.document = scenario.document
        self.folder = scenario.folder
        self.origin = scenario.origin
        self.endpoints = _endpoints(scenario.document)
        self.paths = [endpoint.path for endpoint in self.endpoints]
        self.matcher = PathMatcher(self.paths)
        self.sources: list[SourceSpec] = []
        self.of_traffic: dict[str, list[int]] = {}
        self.open: list[OpenSource] = []
        self.mixes: list[Mix] = []
        self.header_sets: list[HeaderSet] = [()]
        self.body: Distribution | None = None
        self.exact: dict[int, ExactBytes] = {}

    def add(self, traffic: Traffic, number: int) -> None:
        """Add the sources of one traffic entry."""
        self.of_traffic[traffic.name] = []
        self.body = traffic.body.resolve() if traffic.body else None
        if traffic.wire:
            self._add_wire(traffic, traffic.wire)
        elif traffic.loadtest:
            self._add_loadtest(traffic, self._file(traffic.loadtest))
        elif traffic.closed:
            closed = traffic.closed
            end = self.document.duration
            if closed.for_ is not None:
                end = min(end, traffic.start + closed.for_)
            think = closed.think.resolve() if closed.think else None
            self._source(traffic.name, traffic.name, _client(traffic.client), self._mix(traffic), traffic.start,
                         end, concurrency=closed.concurrency, maximum=or_none(closed.maximum), think=think)  # fmt: skip
        elif traffic.access_log:
            self._add_recorded(traffic, self.folder / traffic.access_log)
        else:
            self._add_open(traffic)

    def _add_recorded(self, traffic: Traffic, path: Path) -> None:
        log = read_access_log(path, tuple(endpoint.path for endpoint in self.document.endpoints))
        end = self.document.duration
        source = self._source(
            traffic.name, traffic.name, _client(traffic.client), self._mix(traffic), traffic.start, end
        )
        stream, speed = self.sources[source].stream, traffic.speed or 1.0

        def arrivals(chunk: int) -> Iterator[Arrivals]:
            return rows_until(recorded_rows(log, speed, traffic.scale, traffic.start, stream, chunk), end)

        self._open(source, arrivals, self._mixed(traffic))

    def _file(self, name: str) -> list[Loadtest]:
        return read_loadtest(self.folder / name)

    def _add_open(self, traffic: Traffic) -> None:
        client = _client(traffic.client)
        if traffic.flood:
            mode = POOL if traffic.flood.reads_response else FLOOD
            client = replace(client, mode=mode, connections=traffic.flood.connections)
        source = self._source(
            traffic.name, traffic.name, client, self._mix(traffic), traffic.start, self.document.duration
        )
        spec = self.sources[source]
        profile = self._profile(traffic, spec)

        def times(chunk: int) -> Iterator[Times]:
            if traffic.arrivals == "poisson":
                return take_until(poisson_times(profile, spec.stream, chunk), spec.end)
            return take_until(constant_times(profile, chunk), spec.end)

        self._open(source, lambda chunk: ((part, None) for part in times(chunk)), self._mixed(traffic))

    def _profile(self, traffic: Traffic, spec: SourceSpec) -> Profile:
        # A source that begins after the end has a profile all the same.
        end = max(spec.end, spec.start + SECOND)
        if traffic.diurnal:
            return diurnal_profile(traffic.diurnal, spec.start, end)
        if traffic.bursts:
            return bursts_profile(traffic.bursts, spec.start, end, spec.stream)
        stages = traffic.flood.stages if traffic.flood else traffic.stages
        if stages is not None:
            return staged_profile(stages, spec.start, spec.stream)
        requests = read_rates(self.folder / str(traffic.rate_csv)).requests
        return recorded_profile(requests, traffic.scale, spec.start)

    def _add_wire(self, traffic: Traffic, wire: WireTraffic) -> None:
        """A source per connection of *wire*; its rows are the messages on it, all at the time at which the connection begins."""
        end, patience = self.document.duration, or_none(traffic.client.timeout)
        stream = draws.key(self.document.seed, f"traffic/{traffic.name}")
        count = len(wire.connections)
        for number, connection in enumerate(wire.connections):
            made = compile_wire(connection, patience, self.matcher, self.endpoints)
            mode = WIRE if connection.reads else FLOOD
            source = self._source(
                traffic.name, f"{traffic.name}[{number}]" if count > 1 else traffic.name,
                ClientSpec(mode, 1, made.timeout), mix_of([(self.matcher.default, 1)]), traffic.start, end,
                wire=made.messages, body=constant(made.content) if made.content else None,
            )  # fmt: skip
            self.exact[source] = made.exact

            def arrivals(
                chunk: int, number: int = number, asked: tuple[int, ...] = made.endpoints
            ) -> Iterator[Arrivals]:
                begins = wire_times(wire, traffic.arrivals, traffic.start, end, stream, chunk)
                for times in begins if wire.at else every(begins, number, count):
                    yield np.repeat(times, len(asked)), np.tile(np.array(asked, np.int64), len(times))

            self._open(source, arrivals, (0,))

    def _mixed(self, traffic: Traffic) -> tuple[int, ...]:
        """Numbers of the header sets that an open source draws from."""
        chosen = traffic.flood.headers if traffic.flood else traffic.headers
        return tuple(self._headers(entry) for entry in MIXED) if chosen == "mixed" else (0,)

    def _add_loadtest(self, traffic: Traffic, entries: list[Loadtest]) -> None:
        begin = traffic.start
        for position, entry in enumerate(entries):
            name = f"{traffic.name}[{position}]"
            length = None if entry.seconds is None else int(entry.seconds * SECOND)
            if entry.rate is not None and entry.requests is not None:
                whole = int(entry.requests / entry.rate * SECOND)
                length = whole if length is None else min(length, whole)
            self._add_entry(traffic, name, entry, begin)
            if traffic.order == "sequence" and length is not None:
                begin += length

    def _add_entry(self, traffic: Traffic, name: str, entry: Loadtest, begin: int) -> None:
        mix = mix_of([(self.matcher.number(entry.path), 1)])
        client = _client(traffic.client)
        if entry.timeout is not None:
            client = replace(client, timeout=int(entry.timeout * SECOND))
        if entry.keep_alive and client.mode == PER_REQUEST:
            client = replace(client, mode=POOL, connections=entry.concurrency)
        end = self.document.duration
        if entry.seconds is not None:
            end = min(end, begin + int(entry.seconds * SECOND))
        headers = (self._headers(entry.headers),)
        body = constant(entry.body) if entry.body else self.body
        if entry.rate is None:
            self._source(traffic.name, name, client, mix, begin, end, body=body,
                         concurrency=entry.concurrency, maximum=or_none(entry.requests))  # fmt: skip
            return
        source = self._source(traffic.name, name, client, mix, begin, end, body=body)
        stream, rate = self.sources[source].stream, entry.rate

        def times(chunk: int) -> Iterator[Times]:
            return timer_times(begin, end, entry.concurrency, rate, entry.requests, stream, chunk)

        self._open(source, lambda chunk: ((part, None) for part in times(chunk)), headers)

    def _source(
        self, traffic: str, name: str, client: ClientSpec, mix: Mix, start: int, end: int, **more: object
    ) -> int:
        number = len(self.sources)
        if number >= 1 << SOURCE_BITS:
            raise ScenarioError(
                [Problem(self.origin, 0, 0, ("traffic",), f"expected at most {1 << SOURCE_BITS} sources")]
            )
        stream = draws.key(self.document.seed, f"traffic/{name}")
        facts = {"body": self.body, **more}
        self.sources.append(SourceSpec(name, stream, client, start=start, end=end, **facts))  # type: ignore[arg-type]
        self.of_traffic[traffic].append(number)
        self.mixes.append(mix)
        return number

    def _open(
        self, source: int, arrivals: Callable[[int], Iterator[Arrivals]], headers: tuple[int, ...]
    ) -> None:
        stream = self.sources[source].stream
        self.open.append(OpenSource(source, stream, self.mixes[source], arrivals, headers))

    def _headers(self, headers: HeaderSet) -> int:
        if headers not in self.header_sets:
            self.header_sets.append(headers)
        return self.header_sets.index(headers)

    def _mix(self, traffic: Traffic) -> Mix:
        if traffic.endpoints:
            pairs = [(self.paths.index(path), weight) for path, weight in traffic.endpoints.items()]
        else:
            pairs = [(self.paths.index(e.path), e.weight) for e in self.document.endpoints if e.weight]
        return mix_of(pairs or [(self.paths.index(DEFAULT_PATH), 1)])


def or_none(value: int | None) -> int:
    """*value*, or NONE where it is omitted."""
    return NONE if value is None else value


def _endpoints(document: Document) -> tuple[EndpointSpec, ...]:
    names = [dependency.name for dependency in document.fleet.dependencies]
    made = [
        EndpointSpec(
            path=endpoint.path,
            cpu=endpoint.cpu.resolve(),
            io=endpoint.io.resolve() if endpoint.io else None,
            calls=tuple(names.index(name) for name in endpoint.calls),
            size=endpoint.response_size,
            status=404
            if endpoint.path == DEFAULT_PATH and "status" not in endpoint.model_fields_set
            else endpoint.status,
        )
        for endpoint in document.endpoints
    ]
    if DEFAULT_PATH not in [endpoint.path for endpoint in made]:
        made.append(EndpointSpec(DEFAULT_PATH, constant(0), status=404))
    return tuple(made)


def _client(client: Client) -> ClientSpec:
    pool = client.connections.pool
    return ClientSpec(
        mode=PER_REQUEST if pool is None else POOL,
        connections=or_none(pool),
        timeout=or_none(client.timeout),
        retries=client.retries.attempts,
        backoff=client.retries.backoff,
        jitter=client.retries.jitter,
    )
