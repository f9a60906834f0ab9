"""A run, read back: from its directory, or from memory right after it ended."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.events import RollingDigest, run_digest
from .sink import read_parts
from .tables import Table, columns_digest, in_order, names_of


class RunError(Exception):
    """A directory that holds no run, or a damaged one."""


@dataclass(frozen=True)
class Run:
    """What happened. Tables are Arrow; pandas and Polars read them. *directory* is None for a run kept in memory."""

    requests: pa.Table
    attempts: pa.Table
    metrics: pa.Table
    lines: tuple[str, ...]
    summary: dict[str, Any]
    directory: Path | None = None
    partial: bool = False

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
            tables = [
                pq.read_table(folder / f"{name}.parquet") for name in ("requests", "attempts", "metrics")
            ]
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
        return cls(tables[0], tables[1], tables[2], tuple(lines), summary, folder)

    @classmethod
    def _open_partial(cls, folder: Path, lines: list[str]) -> "Run":
        if lines and not _whole_line(lines[-1]):
            lines = lines[:-1]
        tables = []
        for name in ("requests", "attempts", "metrics"):
            finished = folder / f"{name}.parquet"
            if finished.is_file():
                tables.append(pq.read_table(finished))
                continue
            empty = Table(name, names_of([], [])).take()
            parts = read_parts(folder / "parts", name)
            tables.append(in_order(name, pa.concat_tables(parts)) if parts else empty)
        return cls(tables[0], tables[1], tables[2], tuple(lines), {}, folder, partial=True)

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
