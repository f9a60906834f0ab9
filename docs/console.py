"""Running the commands of a page: a page is right if it reads the same after its commands have been run."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGES = ("tutorial.md", "howto-ci.md", "compare.md", "explain.md", "traces.md")
TABLES = ("policies-compared.md",)
"""Pages whose commands take minutes, and are run in the project's folder."""
LONGEST = 1200
"""Seconds that a command may take."""
OTHERS = ("source ", "make ", "cat ", "pip ", "pre-commit ", "git ")
"""Commands that `sh` blocks may show and that are not run."""

_BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MASKS = ((re.compile(r"^(simulated +[\d,]+ s in )[\d.]+ s", re.MULTILINE), r"\g<1>... s"),)
"""Real time is the only thing in these outputs that another machine would print otherwise."""


def as_run(page: str, folder: Path) -> str:
    """*page* with what its `console` commands print when they are run in *folder*, one after another.

    Commands of `sh` blocks are run too. Raises ValueError for one that ends with anything but 0 or 3, or is not ours.
    """

    def block(match: "re.Match[str]") -> str:
        kind, text = match.groups()
        if kind == "sh":
            for line in text.splitlines():
                _run_plain(line.partition("  #")[0].strip(), folder)
            return match.group()
        shown = []
        for line in text.splitlines():
            if line.startswith("$ "):
                shown += [line, *run(line[2:], folder)[1]]
        return "```console\n" + "\n".join(shown) + "\n```"

    return _BLOCK.sub(block, page)


def _run_plain(command: str, folder: Path) -> None:
    if command.startswith("windtunnel "):
        code, output = run(command, folder)
        if code not in (0, 3):
            raise ValueError(f"{command}: exit code {code}: {output}")
    elif command and not command.startswith(("#", *OTHERS)):
        raise ValueError(f"{command}: not a command that is known to be one")


def run(command: str, folder: Path) -> tuple[int, list[str]]:
    """The exit code and the lines that *command* prints, what depends on the machine masked."""
    script = f'windtunnel() {{ "{sys.executable}" -m windtunnel "$@"; }}\n{command}'
    environment = {**os.environ, "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=folder, timeout=LONGEST, env=environment
    )
    errors = [line for line in done.stderr.splitlines() if not line.startswith("compiling the kernel")]
    lines = [line.rstrip() for line in (*errors, *done.stdout.splitlines())]
    text = "\n".join(lines)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return done.returncode, text.split("\n") if text else []
