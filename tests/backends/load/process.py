"""A generator as a process of its own, the way a conductor runs it."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import LoadSettings
from windtunnel.backends.load.frames import FrameReader
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW, Rows
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.scenario import Scenario


@dataclass
class Flown:
    """What a generator left: rows, status lines, and its standard error."""

    requests: Rows
    attempts: Rows
    said: list[dict[str, Any]]
    errors: str
    code: int
    start: int = 0
    up: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in self.said:
            if line.get("status") in ("up", "done"):
                setattr(self, line["status"], line)


def fly(path: Path, port: int, ahead: int = 300_000_000, part: int = 0, parts: int = 1) -> Flown:
    """Let a process fire the scenario at *path* at a local port; *ahead*: ns from ``up`` to the scenario's zero."""
    clock = LiveClock.begin()
    reads, writes = os.pipe()
    settings = LoadSettings(
        origin=clock.origin, fleet=compile_plan(Scenario.load(path)).fleet, redis_url="", scenario=path,
        host="127.0.0.1", port=port, rows=writes, part=part, parts=parts,
    )  # fmt: skip
    command = [sys.executable, "-m", "windtunnel.backends.live.role", "load"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[writes], text=True
    )  # fmt: skip
    os.close(writes)
    frames: list[tuple[Rows, Rows]] = []
    collector = threading.Thread(target=_collect, args=(reads, frames))
    collector.start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings.model_dump_json() + "\n")
        process.stdin.flush()
        said = []
        start = 0
        for line in process.stdout:
            said.append(json.loads(line))
            if said[-1].get("status") == "up":
                start = clock.now() + ahead
                process.stdin.write(json.dumps({"command": "start", "start": start}) + "\n")
                process.stdin.flush()
        code = process.wait(timeout=60)
        errors = process.stderr.read() if process.stderr else ""
    finally:
        process.kill()
        process.wait()
        collector.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    requests = np.concatenate([np.zeros(0, REQUEST_ROW), *(frame[0] for frame in frames)])
    attempts = np.concatenate([np.zeros(0, ATTEMPT_ROW), *(frame[1] for frame in frames)])
    return Flown(requests, attempts, said, errors, code, start)


def _collect(reads: int, frames: list[tuple[Rows, Rows]]) -> None:
    reader = FrameReader()
    while data := os.read(reads, 1 << 20):
        frames += reader.feed(data)
    os.close(reads)
    assert not reader.pending
