"""The autoscaler's record on its way from rows to Arrow: two tables that no digest covers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..core.records import COUNT, FLAG, NUMBER, RECORDS, TEXT, TIME

_TYPES = {TIME: pa.int64(), COUNT: pa.int32(), NUMBER: pa.float64(), TEXT: pa.string(), FLAG: pa.bool_()}

GROUP_ROWS = 65_536
"""So many rows at least, but for the last, go into the file at once: parts of a flight hold a few."""


class RecordTable:
    """The rows of one table (core.records), kept until :meth:`take`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.schema = pa.schema([(column, _TYPES[kind]) for column, kind in RECORDS[name]])
        self._rows: list[Sequence[Any]] = []

    def __len__(self) -> int:
        """Rows kept."""
        return len(self._rows)

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows."""
        self._rows.extend(rows)

    def take(self) -> pa.Table:
        """The rows kept since the last time."""
        rows, self._rows = self._rows, []
        columns = zip(*rows, strict=True) if rows else [()] * len(self.schema)
        arrays = [
            pa.array(list(column), type=field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
        return pa.table(arrays, schema=self.schema)


def in_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """*parts* joined to tables of GROUP_ROWS rows or more."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= GROUP_ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
