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
        self._hashes = [hashlib.blake2b(digest_size=DIGEST_BYTES) for _ in self._columns]
        self._dtype = np.dtype(list(self._columns))
        self.length = 0

    def __len__(self) -> int:
        """Rows kept."""
        return len(self._rows)

    def add(self, row: tuple[int, ...]) -> None:
        """Append a row."""
        self._rows.append(row)

    def extend(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Append rows."""
        self._rows.extend(rows)

    def load(self, data: pa.Table) -> None:
        """Take in an Arrow table that was written before, hashing it."""
        for (name, kind), digest in zip(self._columns, self._hashes, strict=True):
            coded = name in self._names
            column = codes(data, name, self._names[name]) if coded else numbers(data, name)
            digest.update(np.ascontiguousarray(column.astype(kind)).tobytes())
        self.length += data.num_rows

    def take(self) -> pa.Table:
        """The rows kept since the last time, hashed on the way."""
        rows = np.array(self._rows, dtype=self._dtype)
        self._rows = []
        self.length += len(rows)
        arrays = []
        for (name, _), digest in zip(self._columns, self._hashes, strict=True):
            column = np.ascontiguousarray(rows[name])
            digest.update(column.tobytes())
            arrays.append(self._coded(name, column))
        return pa.table(arrays, names=[name for name, _ in self._columns])

    def _coded(self, name: str, column: Any) -> Any:
        if name not in self._names:
            return pa.array(column)
        words = pa.array(list(self._names[name]), type=pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int32)), words)

    def digest(self) -> str:
        """blake2b over names, types and raw little-endian columns of everything taken."""
        whole = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for (name, kind), digest in zip(self._columns, self._hashes, strict=True):
            whole.update(f"{self.name}.{name}:{kind}={digest.hexdigest()};".encode())
        return whole.hexdigest()


def columns_digest(tables: Sequence[Table]) -> str:
    """The digest of all columns of a run."""
    text = "/".join(table.digest() for table in tables)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


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
