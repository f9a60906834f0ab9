"""A run's requests and their attempts, read a row group at a time: a run of millions of them needs the memory of some ten thousand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.columns import ATTEMPTS, REQUESTS
from ...core.outcomes import NAMES
from ..run import Run
from ..tables import codes, numbers

Columns = dict[str, Any]
"""Arrays of one length by column; outcome, source and endpoint as numbers."""

CHUNK = 65_536
"""Rows that are looked at together."""

_ALL = {"requests": tuple(n for n, _ in REQUESTS), "attempts": tuple(n for n, _ in ATTEMPTS)}


@dataclass(frozen=True, slots=True)
class Block:
    """Some requests, in order, and all their attempts; those of the k-th request are at ``first[k]`` to ``last[k]``, the latter excluded."""

    requests: Columns
    attempts: Columns
    first: Any
    last: Any


class Rows:
    """The rows of *run*, of which *sources* and *endpoints* are the names that its columns have numbers for."""

    def __init__(self, run: Run, sources: Sequence[str], endpoints: Sequence[str]) -> None:
        self._run = run
        self._names = {"source": tuple(sources), "endpoint": tuple(endpoints), "outcome": NAMES}

    def requests(self, *names: str) -> Iterator[Columns]:
        """These columns of all requests, in order, a part at a time."""
        for table in self._parts("requests", names, None):
            yield self._columns(table, names)

    def blocks(self, wanted: Any) -> Iterator[Block]:
        """The requests whose numbers are in *wanted* (sorted), with their attempts, in order."""
        if not len(wanted):
            return
        attempts = self._chosen("attempts", wanted)
        held = next(attempts, None)
        for requests in self._chosen("requests", wanted):
            last = requests["request"][-1]
            parts: list[Columns] = []
            while held is not None:
                cut = int(np.searchsorted(held["request"], last, "right"))
                parts.append({name: column[:cut] for name, column in held.items()})
                if cut < len(held["request"]):
                    held = {name: column[cut:] for name, column in held.items()}
                    break
                held = next(attempts, None)
            yield _block(requests, parts)

    def _chosen(self, name: str, wanted: Any) -> Iterator[Columns]:
        """The rows of *wanted* requests, without the parts that have none of them."""
        for table in self._parts(name, _ALL[name], wanted):
            number = numbers(table, "request")
            place = np.searchsorted(wanted, number).clip(max=len(wanted) - 1)
            hit = wanted[place] == number
            if hit.any():
                yield self._columns(table.filter(pa.array(hit)), _ALL[name])

    def _parts(self, name: str, columns: Sequence[str], wanted: Any) -> Iterator[pa.Table]:
        path = None if self._run.directory is None else self._run.directory / f"{name}.parquet"
        if path is None or not path.is_file():
            # In memory, or the parts of a run that was cut off.
            yield from _slices(self._run.table(name, tuple(columns)))
            return
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                if wanted is None or _may_hold(file.metadata.row_group(group).column(0), wanted):
                    yield from _slices(file.read_row_group(group, columns=list(columns)))

    def _columns(self, table: pa.Table, names: Sequence[str]) -> Columns:
        return {
            name: codes(table, name, self._names[name]) if name in self._names else numbers(table, name)
            for name in names
        }


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), CHUNK):
        yield table.slice(start, CHUNK)


def _may_hold(column: Any, wanted: Any) -> bool:
    """Whether a row group, whose first column is the request's number, may hold one of *wanted*."""
    known = column.statistics
    if known is None or not known.has_min_max:
        return True
    place = int(np.searchsorted(wanted, known.min))
    return place < len(wanted) and bool(wanted[place] <= known.max)


def _block(requests: Columns, parts: Sequence[Columns]) -> Block:
    attempts = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, np.int64)
        for name in _ALL["attempts"]
    }
    places = (np.searchsorted(attempts["request"], requests["request"], side) for side in ("left", "right"))
    return Block(requests, attempts, *places)
