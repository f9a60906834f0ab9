"""Columns on their way from rows to Arrow: buffered, hashed, named."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.columns import (
    ATTEMPT_ROW,
    ATTEMPTS,
    METRIC_ROW,
    METRICS,
    REQUEST_ROW,
    REQUESTS,
    Rows,
    opaque,
)
from ..core.events import DIGEST_BYTES
from ..core.lifecycle import State
from ..core.outcomes import NAMES

TABLES = {"requests": REQUESTS, "attempts": ATTEMPTS, "metrics": METRICS}
ROWS = {"requests": REQUEST_ROW, "attempts": ATTEMPT_ROW, "metrics": METRIC_ROW}

Names = Mapping[str, Sequence[str]]
"""What the numbers of a coded column stand for, by column."""

STATES = tuple(state.word for state in State)

Reader = Callable[[str, Sequence[str] | None], pa.Table]
"""Gives a finished table by name, or some of its columns."""


def names_of(sources: Sequence[str], endpoints: Sequence[str]) -> Names:
    """The coded columns of a run: source, endpoint, outcome, state."""
    return {"source": sources, "endpoint": endpoints, "outcome": NAMES, "state": STATES}


class Table:
    """One table under construction: blocks of rows, kept until :meth:`take` turns them into an Arrow table, and the digests of its columns.

    The digests are taken as rows pass, as long as they come in order; *ordered* says whether they still do.
    """

    def __init__(self, name: str, names: Names) -> None:
        self.name = name
        self.ordered = True
        self._columns = TABLES[name]
        self._names = names
        self._blocks: list[Rows] = []
        self._length = 0
        self._dtype = ROWS[name]
        self._digests = {column: hashlib.blake2b(digest_size=DIGEST_BYTES) for column, _ in self._columns}
        self._last = -1

    def __len__(self) -> int:
        """Rows kept."""
        return self._length

    def add(self, rows: Rows | Sequence[tuple[int, ...]]) -> None:
        """Append rows: an array of the table's type (which becomes the table's), or tuples."""
        if not len(rows):
            return
        block = rows if isinstance(rows, np.ndarray) else np.array(rows, dtype=self._dtype)
        first = block[ORDER[self.name][0]]
        # Rows of a flight come as their requests end.
        self.ordered = self.ordered and int(first[0]) >= self._last and bool((first[1:] >= first[:-1]).all())
        self._last = int(first[-1])
        self._blocks.append(block)
        self._length += len(block)

    def take(self) -> pa.Table:
        """The rows kept since the last time."""
        blocks = [np.zeros(0, self._dtype), *self._blocks]
        rows = np.concatenate([opaque(block) for block in blocks]).view(self._dtype)
        self._blocks, self._length = [], 0
        arrays = []
        for column, _ in self._columns:
            values = np.ascontiguousarray(rows[column])
            self._digests[column].update(values.data)
            arrays.append(self._coded(column, values))
        return pa.table(arrays, names=[column for column, _ in self._columns])

    def digests(self) -> dict[str, str]:
        """Of the contents of each column so far taken, in the order in which they came."""
        return {column: digest.hexdigest() for column, digest in self._digests.items()}

    def _coded(self, name: str, column: Any) -> Any:
        if name not in self._names:
            return pa.array(column)
        words = pa.array(list(self._names[name]), type=pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int32)), words)


ORDER = {"requests": ("request",), "attempts": ("request", "attempt"), "metrics": ("time_ns", "server")}


def in_order(name: str, table: pa.Table) -> pa.Table:
    """*table* by its key (docs/run-format.md); as it is, if no straggler came late."""
    first = numbers(table, ORDER[name][0])
    if len(first) < 2 or bool((first[1:] >= first[:-1]).all()):
        return table
    return table.sort_by([(column, "ascending") for column in ORDER[name]])


def columns_digest(tables: Mapping[str, pa.Table], names: Names) -> str:
    """blake2b over names, types and raw little-endian contents of all columns of a run, tables in order."""
    return combined_digest({name: table_digests(name, table, names) for name, table in tables.items()})


def table_digests(name: str, table: pa.Table, names: Names) -> dict[str, str]:
    """Of the contents of each column of a whole table."""
    found = {}
    for column, kind in TABLES[name]:
        coded = column in names
        values = codes(table, column, names[column]) if coded else numbers(table, column)
        found[column] = hashlib.blake2b(values.astype(kind).tobytes(), digest_size=DIGEST_BYTES).hexdigest()
    return found


def combined_digest(digests: Mapping[str, Mapping[str, str]]) -> str:
    """The digest of all columns from those of each, by table and column."""
    whole = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for table, columns in TABLES.items():
        for column, kind in columns:
            whole.update(f"{table}.{column}:{kind}={digests[table][column]};".encode())
    return whole.hexdigest()


def codes(table: pa.Table, column: str, words: Sequence[str]) -> Any:
    """The numbers of a coded column, as numpy: positions in *words*."""
    number = {word: position for position, word in enumerate(words)}
    chunks = [np.zeros(0, dtype=np.int32)]
    for chunk in table.column(column).chunks:
        lookup = np.array([number.get(word, -1) for word in chunk.dictionary.to_pylist()], dtype=np.int32)
        if len(chunk):
            chunks.append(lookup[chunk.indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(chunks)


def numbers(table: pa.Table, column: str) -> Any:
    """A plain column as numpy."""
    return table.column(column).to_numpy()
