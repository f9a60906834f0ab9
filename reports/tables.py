"""Columns on their way from rows to Arrow: buffered, hashed, named."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.columns import ATTEMPTS, METRICS, REQUESTS
from ..core.events import DIGEST_BYTES
from ..core.lifecycle import State
from ..core.outcomes import NAMES

TABLES = {"requests": REQUESTS, "attempts": ATTEMPTS, "metrics": METRICS}

Names = Mapping[str, Sequence[str]]
"""What the numbers of a coded column stand for, by column."""

STATES = tuple(state.word for state in State)


def names_of(sources: Sequence[str], endpoints: Sequence[str]) -> Names:
    """The coded columns of a run: source, endpoint, outcome, state."""
    return {"source": sources, "endpoint": endpoints, "outcome": NAMES, "state": STATES}


class Table:
    """One table under construction. Rows are kept until :meth:`take` turns them into an Arrow table."""

    def __init__(self, name: str, names: Names) -> None:
        self.name = name
        self._columns = TABLES[name]
        self._names = names
        self._rows: list[tuple[int, ...]] = []
        self._dtype = np.dtype(list(self._columns))

    def __len__(self) -> int:
        """Rows kept."""
        return len(self._rows)

    def add(self, row: tuple[int, ...]) -> None:
        """Append a row."""
        self._rows.append(row)

    def extend(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Append rows."""
        self._rows.extend(rows)

    def take(self) -> pa.Table:
        """The rows kept since the last time."""
        rows = np.array(self._rows, dtype=self._dtype)
        self._rows = []
        arrays = [self._coded(name, np.ascontiguousarray(rows[name])) for name, _ in self._columns]
        return pa.table(arrays, names=[name for name, _ in self._columns])

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
    whole = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for table, columns in TABLES.items():
        for column, kind in columns:
            coded = column in names
            data = tables[table]
            values = codes(data, column, names[column]) if coded else numbers(data, column)
            digest = hashlib.blake2b(values.astype(kind).tobytes(), digest_size=DIGEST_BYTES)
            whole.update(f"{table}.{column}:{kind}={digest.hexdigest()};".encode())
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
