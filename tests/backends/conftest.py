"""What all tests of backends share: they run on the real clock, and leave no process behind."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .redis_fixture import redis_server

__all__ = ["redis_server"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They measure real time, so that they run after all others: see `make test`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.live)


def _children() -> dict[psutil.Process, str]:
    """The processes that this one has started, and theirs, with their command lines."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process] = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
    return {process: line for process, line in found.items() if "resource_tracker" not in line}


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """What a failed test leaves running is its own failure, and no other test's."""
    before = _children()
    yield
    started = {process: line for process, line in _children().items() if process not in before}
    left = psutil.wait_procs([*started], timeout=5)[1]
    for process in left:
        process.kill()
    assert not left, f"processes left running: {[started[process] for process in left]}"
