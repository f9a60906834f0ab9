"""What outlives a build: its artefacts, copied out of the checkout, and the sum of its JUnit files."""

import glob
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

from .builds import Build, Tests
from .pipeline import Publish

MOST_BYTES = 512 * 2**20
"""Artefacts of a build beyond that are left out."""

_MOST_XML = 64 * 2**20


def publish(build: Build, wanted: Publish, checkout: Path, folder: Path) -> None:
    """Copy what *wanted* names from *checkout* into *folder* and note it in *build*. Links, and what they lead to, are left out."""
    shutil.rmtree(folder, ignore_errors=True)
    build.tests = _tests(_files(wanted.junit, checkout))
    build.artifacts = []
    room = MOST_BYTES
    for path in _files(wanted.artifacts, checkout):
        room -= path.stat().st_size
        if room < 0:
            break
        name = path.relative_to(checkout)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
        build.artifacts.append(str(name))


def _files(patterns: Sequence[str], checkout: Path) -> Iterator[Path]:
    """The files, each once, in order of their names."""
    if not checkout.is_dir():
        return
    found = {
        name
        for pattern in patterns
        for name in glob.glob(pattern, root_dir=checkout, recursive=True, include_hidden=True)
    }
    base = checkout.resolve()
    for name in sorted(found):
        path = checkout / name
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(base):
            yield path


def _tests(files: Iterator[Path]) -> Tests | None:
    """The sum over the test suites of JUnit files; what is none counts as one failure, for its tests are not known."""
    total: Tests | None = None
    for path in files:
        total = total or Tests()
        try:
            if path.stat().st_size > _MOST_XML:
                raise ValueError("too large")
            suites = list(ET.parse(path).getroot().iter("testsuite"))
            for suite in suites:
                total.tests += int(suite.get("tests", 0))
                total.failures += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                total.skipped += int(suite.get("skipped", 0))
        except (ET.ParseError, ValueError, OSError):
            total.failures += 1
    return total
