"""A run, read back: from its directory, or from memory right after it ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.events import RollingDigest, run_digest
from ..core.records import RECORDS
from .record_table import RecordTable
from .sink import read_parquet, read_parts
from .tables import TABLES, Reader, Table, columns_digest, in_order, names_of


class RunError(Exception):
    """A directory that holds no run, or a damaged one."""


@dataclass(frozen=True)
class Run:
    """What happened. Tables are Arrow, read when they are asked for; pandas and Polars take them. *directory* is None for a run kept in memory."""

    table: Reader
    lines: tuple[str, ...]
    summary: dict[str, Any]
    directory: Path | None = None
    partial: bool = False

    @cached_property
    def requests(self) -> pa.Table:
        """A row per request."""
        return self.table("requests", None)

    @cached_property
    def attempts(self) -> pa.Table:
        """A row per attempt."""
        return self.table("attempts", None)

    @cached_property
    def metrics(self) -> pa.Table:
        """A row per second and server."""
        return self.table("metrics", None)

    @cached_property
    def decisions(self) -> pa.Table:
        """A row per turn of the autoscaler. Raises RunError if none was recorded."""
        return self._record("decisions")

    @cached_property
    def observations(self) -> pa.Table:
        """A row per turn of the autoscaler and server that it saw. Raises RunError if none was recorded."""
        return self._record("observations")

    @cached_property
    def measurements(self) -> pa.Table:
        """A row per second, server and custom metric; in flight, also what the proxy measures of itself. Empty where nothing was measured."""
        try:
            return self.table("measurements", None)
        except FileNotFoundError:
            return RecordTable("measurements").take()
        except (OSError, pa.ArrowInvalid) as error:
            raise RunError(f"{self.directory}: damaged run: {error}") from None

    def _record(self, name: str) -> pa.Table:
        try:
            found = self.table(name, None)
            if len(self.table("decisions", ("time_ns",))):
                return found
        except FileNotFoundError:
            pass  # Said below, with why it may be so.
        except (OSError, pa.ArrowInvalid) as error:
            raise RunError(f"{self.directory}: damaged run: {error}") from None
        raise RunError(
            f"{self.directory or 'the run'}: expected a run that recorded its autoscaler's decisions, got one without: "
            f"its scenario has no autoscaler, no turn took place, or an earlier version recorded it"
        )

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The event log; times are in ``t`` (ns)."""
        return [json.loads(line) for line in self.lines]

    @property
    def digest(self) -> str:
        """The run's digest; empty for a partial run."""
        if self.partial:
            return ""
        end = self.events[-1]
        return run_digest(end["log"], end["columns"])

    @property
    def passed(self) -> bool:
        """Whether every SLO held."""
        return bool(self.summary.get("passed", False))

    @classmethod
    def open(cls, directory: str | Path) -> "Run":
        """Read a run's directory, also one that was cut off: then *partial* is set and its tables end where the last part does."""
        folder = Path(directory)
        log = folder / "events.jsonl"
        if not log.is_file():
            raise RunError(f"{folder}: expected a run's directory with events.jsonl")
        try:
            lines = log.read_text(encoding="ascii").splitlines()
            if not (folder / "summary.json").is_file():
                return cls._open_partial(folder, lines)
            for name in TABLES:
                pq.read_schema(folder / f"{name}.parquet")
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        except (OSError, pa.ArrowInvalid, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{folder}: damaged run: {error}") from None
        for number, line in enumerate(lines, 1):
            if not _whole_line(line):
                raise RunError(f"{log}:{number}: damaged run: expected a JSON object, got {line[:40]!r}")
        if not isinstance(summary, dict):
            raise RunError(f"{folder / 'summary.json'}: damaged run: expected a JSON object")
        end = json.loads(lines[-1]) if lines else {}
        if not all(isinstance(end.get(field), str) for field in ("log", "columns")):
            raise RunError(f"{log}:{len(lines)}: damaged run: expected the event end in the last line")
        return cls(partial(read_parquet, folder), tuple(lines), summary, folder)

    @classmethod
    def _open_partial(cls, folder: Path, lines: list[str]) -> "Run":
        if lines and not _whole_line(lines[-1]):
            lines = lines[:-1]

        def table(name: str, columns: Sequence[str] | None = None) -> pa.Table:
            if (folder / f"{name}.parquet").is_file():
                return read_parquet(folder, name, columns)
            parts = list(read_parts(folder / "parts", name))
            empty = RecordTable(name) if name in RECORDS else Table(name, names_of([], []))
            whole = pa.concat_tables(parts) if parts else empty.take()
            ordered = whole if name in RECORDS else in_order(name, whole)
            return ordered if columns is None else ordered.select(columns)

        return cls(table, tuple(lines), {}, folder, partial=True)

    def recompute_digest(self, sources: list[str], endpoints: list[str]) -> str:
        """The digest from what the files hold now, to tell whether they were altered."""
        log = RollingDigest()
        for line in self.lines[:-1]:
            log.add(line)
        tables = {"requests": self.requests, "attempts": self.attempts, "metrics": self.metrics}
        return run_digest(log.hex(), columns_digest(tables, names_of(sources, endpoints)))


def _whole_line(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except json.JSONDecodeError:
        return False
