"""Runs a shell step: its time, its log, its end with all that it started."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import supervisor
from .leftovers import end_leftovers
from .masking import MaskedLog

GRACE_SECONDS = 10.0
"""What a step has between SIGTERM and SIGKILL."""

_LAST_WORDS_SECONDS = 1.0
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended: by itself with *status*, or *stopped* because of ``timed out`` or ``cancelled``."""

    status: int
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where and with what the steps of a build run. *cancelled* is set from outside; *mark* is the cookie of the build."""

    folder: Path
    environment: Mapping[str, str]
    mark: str
    cancelled: asyncio.Event
    grace: float = GRACE_SECONDS


async def run_step(script: str, around: Surroundings, log: MaskedLog, seconds: float) -> StepEnd:
    """Run *script* and wait until it and everything that it started has ended."""
    # A pipe of our own: asyncio's takes a process for running while anybody holds its output.
    output, theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", supervisor.__file__, str(around.grace), script,
            cwd=around.folder, env={**around.environment, supervisor.COOKIE: around.mark}, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=theirs, stderr=theirs,
        )  # fmt: skip
    except OSError:
        os.close(output)
        raise
    finally:
        os.close(theirs)
    reader = asyncio.create_task(_copy(output, log))
    ended = asyncio.create_task(process.wait())
    cancelled = asyncio.create_task(around.cancelled.wait())
    stopped = ""
    try:
        await asyncio.wait({ended, cancelled}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            stopped = "cancelled" if around.cancelled.is_set() else "timed out"
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        status = await ended
    finally:
        # Also when the server itself is told to end: the supervisor ends all when its input does.
        cancelled.cancel()
        assert process.stdin is not None
        process.stdin.close()
    if status < 0:
        await asyncio.to_thread(end_leftovers, around.mark)
    # What the step has released may hold its output open for ever.
    await asyncio.wait({reader}, timeout=_LAST_WORDS_SECONDS)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    return StepEnd(status if status >= 0 else 128 - status, stopped)


async def _copy(output: int, log: MaskedLog) -> None:
    """Write what comes from the descriptor *output* to the *log* until its end, and close it."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(output, "rb", 0)
    )
    try:
        while data := await stream.read(_CHUNK):
            log.write(data)
    finally:
        transport.close()
