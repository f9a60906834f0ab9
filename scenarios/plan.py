"""The plan: everything that is decided before the run. Planned requests in blocks of columns, faults as explicit events.

Open sources (floods too) are merged into one sequence ordered by (time, source, index). Closed sources have no times before the
run; their demands are drawn from (client, turn) when a client comes free. Draws are keyed, so neither the size of a block nor the
order in which sources are read changes a value.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.demand import Mix
from ..core.distributions import Distribution, samples
from ..core.draws import CPU, ENDPOINT, HEADERS, IO, draw_block
from ..core.model import EndpointSpec, FleetSpec
from ..core.rates import Times

BLOCK = 65_536

COLUMNS = ("time_ns", "source", "index", "endpoint", "cpu_ns", "io_ns", "headers")

Block = dict[str, npt.NDArray[np.int64]]

Arrivals = tuple[Times, npt.NDArray[np.int64] | None]
"""Arrival times (ns, ascending), and the endpoints that come with them; None: drawn from the source's mix."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """An open source: *arrivals* begins anew with each call; *headers* are numbers of header sets to draw from."""

    source: int
    stream: int
    mix: Mix
    arrivals: Callable[[int], Iterator[Arrivals]]
    headers: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class ExactBytes:
    """What a flight sends on each connection of a source of exact bytes: *pieces*, when (ns after the connection's beginning) and what; *end*: what the client does when it
    is *over* (ns); *methods*: of the requests in them, as far as they are known; *reads*: the answers."""

    pieces: tuple[tuple[int, bytes], ...]
    methods: tuple[str, ...]
    end: str
    over: int
    reads: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the user's own in place of an app server: its *command*, word by word, and the *directory* where it runs."""

    command: tuple[str, ...]
    directory: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled scenario; see the module's text. *mixes* holds each source's endpoint mix, closed ones included; *program*, and *exact* bytes by source, are for flights."""

    fleet: FleetSpec
    open_sources: tuple[OpenSource, ...]
    mixes: tuple[Mix, ...]
    fingerprint: str
    program: Program | None = None
    exact: Mapping[int, ExactBytes] = field(default_factory=dict)

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """The open rows in order, in blocks of *size* (the last one smaller)."""
        held: list[Block] = []
        rows = 0
        for part in _merged([self._parts(source) for source in self.open_sources]):
            held.append(part)
            rows += len(part["time_ns"])
            while rows >= size:
                whole = _concatenate(held)
                yield {name: column[:size] for name, column in whole.items()}
                rows -= size
                held = [{name: column[size:] for name, column in whole.items()}] if rows else []
        if rows:
            yield _concatenate(held)

    def _parts(self, source: OpenSource) -> Iterator[Block]:
        index = 0
        for times, endpoints in source.arrivals(BLOCK):
            if len(times):
                yield self._draw(source, times, index, endpoints)
                index += len(times)

    def _draw(
        self, source: OpenSource, times: Times, first: int, recorded: npt.NDArray[np.int64] | None
    ) -> Block:
        indices = np.arange(first, first + len(times), dtype=np.int64)
        if recorded is not None:
            endpoint = recorded
        elif len(source.mix) == 1:
            endpoint = np.full(len(times), source.mix["endpoint"][0], dtype=np.int64)
        else:
            endpoint = _choose(source.mix, draw_block(source.stream, indices, 0, ENDPOINT))
        endpoints = self.fleet.endpoints
        headers = np.full(len(times), source.headers[0], dtype=np.int64)
        if len(source.headers) > 1:
            bits = draw_block(source.stream, indices, 0, HEADERS)
            headers = np.array(source.headers, dtype=np.int64)[((bits >> 31) * len(source.headers)) >> 32]
        return {
            "time_ns": times,
            "source": np.full(len(times), source.source, dtype=np.int64),
            "index": indices,
            "endpoint": endpoint,
            "cpu_ns": _sample(endpoints, endpoint, source.stream, indices, CPU),
            "io_ns": _sample(endpoints, endpoint, source.stream, indices, IO),
            "headers": headers,
        }

    def summary(self) -> dict[str, Any]:
        """``plan.json``: timelines and counts, and a hash over every planned row."""
        hashers = {name: hashlib.blake2b(digest_size=16) for name in COLUMNS}
        counts = {self.fleet.sources[s.source].name: 0 for s in self.open_sources}
        names = [source.name for source in self.fleet.sources]
        for block in self.blocks():
            for name in COLUMNS:
                hashers[name].update(block[name].astype("<i8").tobytes())
            for source, rows in zip(*np.unique(block["source"], return_counts=True), strict=True):
                counts[names[source]] += int(rows)
        digest = hashlib.blake2b(digest_size=16)
        for name in COLUMNS:
            digest.update(hashers[name].digest())
        return {
            "scenario": self.fleet.name,
            "scenario_hash": self.fingerprint,
            "seed": self.fleet.seed,
            "duration_ns": self.fleet.duration,
            "drain_ns": self.fleet.drain,
            "open_requests": counts,
            "closed_sources": [s.name for s in self.fleet.sources if s.concurrency > 0],
            "faults": [
                {"name": f.name, "type": f.type, "at_ns": f.at, "role": f.role, "count": f.count,
                 "address": f.address}
                for f in self.fleet.faults
            ],
            **self._triggered(),
            "rows_hash": digest.hexdigest(),
        }  # fmt: skip

    def _triggered(self) -> dict[str, Any]:
        """Faults whose times nobody knows yet, if there are any."""
        found = [
            {"name": one.fault.name, "type": one.fault.type, "role": one.fault.role, "while": f"{one.condition} {one.of}".strip(),
             "after": one.after, "delay_ns": one.delay}
            for one in self.fleet.triggered
        ]  # fmt: skip
        return {"triggered_faults": found} if found else {}

    def summary_json(self) -> str:
        """:meth:`summary` as text."""
        return json.dumps(self.summary(), indent=2) + "\n"


def _merged(streams: list[Iterator[Block]]) -> Iterator[Block]:
    """Merge ordered streams of parts into ordered parts.

    A row may be emitted when no stream can still bring an earlier one, or one at the same time: when its time is
    below the last one read of every stream that has not ended.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    held: list[Block | None] = [None] * len(streams)
    open_streams = set(range(len(streams)))
    while True:
        for position in sorted(open_streams):
            _extend(held, streams, open_streams, position)
        last = [int(part["time_ns"][-1]) for i, part in enumerate(held) if part and i in open_streams]
        horizon = min(last) if last else None
        ready = []
        for position, part in enumerate(held):
            if part is None:
                continue
            times = part["time_ns"]
            cut = len(times) if horizon is None else int(np.searchsorted(times, horizon, side="left"))
            if cut:
                ready.append({name: column[:cut] for name, column in part.items()})
            rest = {name: column[cut:] for name, column in part.items()}
            held[position] = rest if cut < len(times) else None
        if ready:
            joined = _concatenate(ready)
            order = np.lexsort((joined["index"], joined["source"], joined["time_ns"]))
            yield {name: column[order] for name, column in joined.items()}
        if horizon is None:
            return


def _extend(
    held: list[Block | None], streams: list[Iterator[Block]], open_streams: set[int], position: int
) -> None:
    """Read on in a stream of which only rows of one instant, or none, are held."""
    part = held[position]
    if part is not None and part["time_ns"][0] < part["time_ns"][-1]:
        return
    following = next(streams[position], None)
    if following is None:
        open_streams.discard(position)
    else:
        held[position] = following if part is None else _concatenate([part, following])


def _concatenate(parts: list[Block]) -> Block:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def _choose(mix: Mix, bits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """:func:`choose_endpoint` for many rows (a test holds the equality)."""
    ticket = ((bits >> 31) * int(mix["until"][-1])) >> 32
    rows = np.searchsorted(mix["until"], ticket, side="right")
    chosen: npt.NDArray[np.int64] = mix["endpoint"][rows]
    return chosen


def _sample(
    endpoints: tuple[EndpointSpec, ...],
    endpoint: npt.NDArray[np.int64],
    stream: int,
    indices: npt.NDArray[np.int64],
    purpose: int,
) -> npt.NDArray[np.int64]:
    """Demands of first attempts; 0 where the endpoint has none."""
    demand = np.zeros(len(indices), dtype=np.int64)
    for number, spec in enumerate(endpoints):
        distribution: Distribution | None = spec.cpu if purpose == CPU else spec.io
        if distribution is None:
            continue
        chosen = endpoint == number
        if chosen.all():
            return samples(distribution, stream, indices, 1, purpose)
        if not chosen.any():
            continue
        demand[chosen] = samples(distribution, stream, indices[chosen], 1, purpose)
    return demand
