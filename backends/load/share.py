"""What a generator process sends: its share of the plan, so that the shares of all parts add up to exactly the plan."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...core.model import FLOOD, PER_REQUEST, SourceSpec
from ...scenarios.plan import Block, Plan

_ROW = np.dtype(
    [("time_ns", "<i8"), ("index", "<i8"), ("source", "<i4"), ("endpoint", "<i4"), ("headers", "<i4")]
)
_CHUNK = 1024

OpenRow = tuple[int, int, int, int, int]
"""Time, index, source, endpoint and number of the header set of a row of the plan."""


@dataclass(frozen=True, slots=True)
class Share:
    """Part *part* of *parts*.

    Open rows go by index (those of exact bytes by their connection), closed clients by number, a flood's rows by the slot of their connection. A source of few connections is
    shared by no more parts than it has connections, so that every part that has a row has a connection for it.
    """

    part: int = 0
    parts: int = 1

    def sharers(self, spec: SourceSpec) -> int:
        """How many parts share the source."""
        apart = spec.client.mode == PER_REQUEST or spec.wire
        return self.parts if apart else min(self.parts, spec.client.connections)

    def has(self, spec: SourceSpec, key: int) -> bool:
        """Whether the row, client or slot numbered *key* is ours."""
        return key % self.sharers(spec) == self.part

    def connections(self, spec: SourceSpec) -> int:
        """How many of a pool's connections are ours."""
        return _part_of(spec.client.connections, self.part, self.sharers(spec))

    def clients(self, spec: SourceSpec) -> range:
        """The closed clients that are ours."""
        return range(self.part, max(spec.concurrency, 0), self.sharers(spec)) if self._in(spec) else range(0)

    def maximum(self, spec: SourceSpec) -> int:
        """How many requests our closed clients may make in all, -1: any number. Parts get as many as their share of the clients."""
        if spec.maximum < 0:
            return -1
        sharers, clients = self.sharers(spec), spec.concurrency
        if not self._in(spec):
            return 0
        before = sum(_part_of(clients, part, sharers) for part in range(self.part))
        after = before + _part_of(clients, self.part, sharers)
        return spec.maximum * after // clients - spec.maximum * before // clients

    def _in(self, spec: SourceSpec) -> bool:
        return self.part < self.sharers(spec)

    def rows(self, plan: Plan, block: Block) -> np.ndarray:
        """Which rows of *block* are ours, as a mask."""
        sources = plan.fleet.sources
        flood = [spec.client.mode == FLOOD and not spec.wire for spec in sources]
        slots = np.array(
            [spec.client.connections if one else 1 << 62 for spec, one in zip(sources, flood, strict=True)]
        )
        messages = np.array([max(len(spec.wire), 1) for spec in sources])
        sharers = np.array([self.sharers(spec) for spec in sources])
        key = block["index"] // messages[block["source"]] % slots[block["source"]]
        mine: np.ndarray = key % sharers[block["source"]] == self.part
        return mine


def _part_of(number: int, part: int, parts: int) -> int:
    return number // parts + (part < number % parts) if part < parts else 0


class OpenRows:
    """Our open rows, drawn before the flight: drawing takes time that sending must not wait for. They lie in an unnamed file."""

    def __init__(self, plan: Plan, share: Share) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self.count = 0
        for block in plan.blocks():
            rows = np.zeros(len(block["time_ns"]), _ROW)
            for name in _ROW.names or ():
                rows[name] = block[name]
            rows = rows[share.rows(plan, block)]
            self._file.write(rows.tobytes())
            self.count += len(rows)
        self._file.flush()

    def __iter__(self) -> Iterator[OpenRow]:
        """The rows in order."""
        self._file.seek(0)
        while data := self._file.read(_CHUNK * _ROW.itemsize):
            yield from np.frombuffer(data, _ROW).tolist()

    def close(self) -> None:
        """Give back the file."""
        self._file.close()
