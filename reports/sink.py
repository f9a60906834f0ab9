"""Where a run goes while it runs: into memory, or into a directory that a kill leaves readable.

Columns go into numbered Arrow IPC stream parts (a Parquet file without its footer cannot be read), each written whole under
another name first; only a run that ended turns them into Parquet. On a full disk a table ends with its last whole part: what
comes after a part that could not be written is not written either, or the table would have a hole.
"""

import time as wall
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from ..core.columns import Rows
from ..core.events import RollingDigest, encode, run_digest
from ..core.records import RECORDS
from .record_table import RecordTable, in_groups
from .storage import StorageError, writing
from .tables import Names, Table, combined_digest, in_order, table_digests

PART_ROWS = 65_536
PART_SECONDS = 2.0


class MemorySink:
    """Implements core.ports.Sink; keeps everything."""

    def __init__(self, names: Names) -> None:
        self.tables = {name: Table(name, names) for name in ("requests", "attempts", "metrics")}
        self.records = {name: RecordTable(name) for name in RECORDS}
        self.lines: list[str] = []
        self._names = names
        self._log = RollingDigest()
        self._finished: dict[str, pa.Table] = {}

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """See core.ports.Sink."""
        self._write(encode(time, name, fields))

    def _write(self, line: str) -> None:
        self._log.add(line)
        self.lines.append(line)

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """See core.ports.Sink."""
        self.tables["requests"].add(requests)
        self.tables["attempts"].add(attempts)

    def due(self) -> bool:
        """See core.ports.Sink."""
        return False

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        """See core.ports.Sink."""
        self.tables["metrics"].add(rows)

    def decided(self, decision: Sequence[Any], observations: Sequence[Sequence[Any]]) -> None:
        """See core.ports.Sink."""
        self.records["decisions"].add([decision])
        self.records["observations"].add(observations)

    def measured(self, rows: Sequence[Sequence[Any]]) -> None:
        """See core.ports.Sink."""
        self.records["measurements"].add(rows)

    def finish(self, end: int) -> str:
        """Close the log at *end* ns with the digests of log and columns; the run's digest."""
        digests = {name: self._finish_table(table) for name, table in self.tables.items()}
        for record in self.records.values():
            self._finish_record(record)
        log, columns = self._log.hex(), combined_digest(digests)
        self._write(encode(end, "end", {"log": log, "columns": columns}))
        return run_digest(log, columns)

    def _finish_table(self, table: Table) -> dict[str, str]:
        whole = in_order(table.name, table.take())
        self._finished[table.name] = whole
        return table.digests() if table.ordered else table_digests(table.name, whole, self._names)

    def _finish_record(self, record: RecordTable) -> None:
        self._finished[record.name] = record.take()

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A finished table, or some columns of it."""
        whole = self._finished[name]
        return whole if columns is None else whole.select(columns)


class DirectorySink(MemorySink):
    """Implements core.ports.Sink; writes *directory*, which must be new or empty. Raises StorageError for what cannot be written."""

    def __init__(self, directory: Path, names: Names, texts: Mapping[str, str]) -> None:
        super().__init__(names)
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise FileExistsError(f"{directory}: expected a new or empty directory for the run")
        self._log_path = directory / "events.jsonl"
        self._parts = directory / "parts"
        self._counts = dict.fromkeys((*self.tables, *self.records), 0)
        self._cut_short: set[str] = set()
        self._log_file: TextIO = self._log_path.open("w", encoding="ascii", newline="\n")
        self._parts.mkdir()
        for name, text in texts.items():
            with writing(directory / name, remove=directory / name):
                (directory / name).write_text(text, encoding="utf-8")
        self._flushed = wall.monotonic()

    def _write(self, line: str) -> None:
        self._log.add(line)
        with writing(self._log_path):
            self._log_file.write(line + "\n")

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """See core.ports.Sink."""
        super().rows(requests, attempts)
        if max(len(self.tables["requests"]), len(self.tables["attempts"])) >= PART_ROWS:
            self.flush()

    def due(self) -> bool:
        """See core.ports.Sink."""
        return wall.monotonic() - self._flushed >= PART_SECONDS

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        """See core.ports.Sink."""
        super().metrics(rows)
        if self.due():
            self.flush()

    def flush(self) -> None:
        """Write what is kept as parts, so that a kill loses nothing before this moment."""
        with writing(self._log_path):
            self._log_file.flush()
        kept: dict[str, Table | RecordTable] = {**self.tables, **self.records}
        for name, table in kept.items():
            if len(table) and name not in self._cut_short:
                self._write_part(name, table.take())
        self._flushed = wall.monotonic()

    def _write_part(self, name: str, table: pa.Table) -> None:
        path = self._parts / f"{name}-{self._counts[name]:06}.arrow"
        draft = path.with_suffix(".draft")
        self._cut_short.add(name)
        with writing(path, remove=draft):
            with pa.OSFile(str(draft), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table)
            draft.rename(path)
        self._cut_short.remove(name)
        self._counts[name] += 1

    def finish(self, end: int) -> str:
        """As in memory; and the parts become Parquet files, one part after another unless stragglers came late."""
        digest = super().finish(end)
        with writing(self._log_path):
            self._log_file.close()
        for part in sorted(self._parts.iterdir()):
            part.unlink()
        self._parts.rmdir()
        return digest

    def _finish_record(self, record: RecordTable) -> None:
        last = record.take()
        if not len(last) and not self._counts[record.name]:
            return
        try:
            parts = chain(read_parts(self._parts, record.name), [last])
            self._write_parquet(record.name, in_groups(parts), record.schema)
        except StorageError:
            with suppress(StorageError):
                self._write_part(record.name, last)
            raise

    def _finish_table(self, table: Table) -> dict[str, str]:
        last = table.take()
        try:
            return self._whole_table(table, last)
        except StorageError:
            # Without the draft there may be room for what was not yet in a part.
            with suppress(StorageError):
                self._write_part(table.name, last)
            raise

    def _whole_table(self, table: Table, last: pa.Table) -> dict[str, str]:
        parts = chain(read_parts(self._parts, table.name), [last])
        if table.ordered:
            self._write_parquet(table.name, parts, last.schema)
            return table.digests()
        whole = in_order(table.name, pa.concat_tables(parts))
        self._write_parquet(table.name, [whole], last.schema)
        return table_digests(table.name, whole, self._names)

    def _write_parquet(self, name: str, parts: Iterable[pa.Table], schema: pa.Schema) -> None:
        """Whole numbers as differences, which are small; text by its codes; other numbers byte by byte, the first ones of which are alike."""
        path, draft = self.directory / f"{name}.parquet", self.directory / f"{name}.draft"
        coded = [f.name for f in schema if pa.types.is_dictionary(f.type) or f.type == pa.string()]
        packed = {pa.int64(): "DELTA_BINARY_PACKED", pa.float64(): "BYTE_STREAM_SPLIT"}
        wide = {f.name: packed[f.type] for f in schema if f.type in packed}
        with writing(path, remove=draft):
            with pq.ParquetWriter(
                draft, schema, compression="zstd", use_dictionary=coded, column_encoding=wide
            ) as writer:
                for part in parts:
                    writer.write_table(part)
            draft.rename(path)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A finished table, or some columns of it, from its file."""
        return read_parquet(self.directory, name, columns)

    def close(self) -> None:
        """Keep what there is of a run that did not end. Raises StorageError, unless a table is cut short, which was told."""
        if self._log_file.closed:
            return
        told = bool(self._cut_short)
        try:
            self.flush()
        except StorageError:
            if not told:
                raise
        finally:
            # What the buffer holds may still not fit; the file is closed all the same.
            with suppress(OSError):
                self._log_file.close()


def read_parquet(folder: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A finished table of a run's directory, or some columns of it."""
    with pq.ParquetFile(folder / f"{name}.parquet") as file:
        return file.read(columns=None if columns is None else list(columns))


def read_parts(folder: Path, name: str) -> Iterator[pa.Table]:
    """The parts of table *name*, in order."""
    for path in sorted(folder.glob(f"{name}-*.arrow")):
        with pa.memory_map(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
            yield reader.read_all()
