"""The command line, run in this process: a start of Python with all that the command imports would be most of a test's time."""

import os
import subprocess
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from windtunnel import terminal
from windtunnel.cli import main

WIDTH = 200


class Done(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def windtunnel(*arguments: str, folder: Path | None = None) -> Done:
    """Run ``windtunnel ARGUMENTS`` in *folder*, on a terminal of 200 columns that is none."""
    with ExitStack() as stack:
        stdout = stack.enter_context(redirect_stdout(StringIO()))
        stderr = stack.enter_context(redirect_stderr(StringIO()))
        stack.enter_context(patch.object(sys, "argv", ["windtunnel", *arguments]))
        for console in (terminal.out, terminal.err):
            stack.enter_context(patch.object(console, "_width", WIDTH))
        stack.enter_context(patch.dict(os.environ, COLUMNS=str(WIDTH)))
        if folder is not None:
            stack.enter_context(chdir(folder))
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    return Done(code, stdout.getvalue(), stderr.getvalue())


def windtunnel_process(*arguments: str, folder: Path | None = None) -> Done:
    """The same as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", *arguments],
        capture_output=True, text=True, cwd=folder, timeout=120, env={**os.environ, "COLUMNS": str(WIDTH)},
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)
