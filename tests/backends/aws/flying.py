"""The command line with the backends of this tree's pyproject.toml, whatever is installed: run as a program."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import windtunnel.api
from windtunnel.cli import main

ROOT = Path(__file__).parents[3]


def backends() -> dict[str, EntryPoint]:
    """The backends by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = project["entry-points"]["windtunnel.backends"]
    return {name: EntryPoint(name, value, "windtunnel.backends") for name, value in found.items()}


if __name__ == "__main__":
    windtunnel.api.backends = backends
    main()
