"""A full disk, as an app server has it."""

import asyncio
import tempfile

import pytest
from windtunnel.backends.app.disk import Disk
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.role import RoleLink


def test_nothing_is_written_while_it_is_full_and_who_would_begin_waits(
    capfd: pytest.CaptureFixture[str],
) -> None:
    link = RoleLink("app", LiveClock.begin())
    disk = Disk(link)
    assert not disk.obey({"command": "press", "bytes": 1})

    async def waits() -> tuple[bool, bool]:
        beginning = asyncio.ensure_future(disk.until_writable())
        await asyncio.sleep(0.1)
        waited = not beginning.done()
        disk.obey({"command": "disk", "full": False})
        await asyncio.wait_for(beginning, 20)
        return waited, beginning.done()

    with tempfile.TemporaryFile(buffering=0) as file:
        try:
            assert disk.obey({"command": "disk", "full": True})
            with pytest.raises(OSError, match="too large"):
                file.write(b"1")
            loses = link.loses_log
            link.log("info", "lost")
            waited, begun = asyncio.run(waits())
        finally:
            disk.obey({"command": "disk", "full": False})
        assert file.write(b"1") == 1
    assert (loses, waited, begun) == (True, True, True)
    link.log("info", "kept")
    assert "lost" not in (said := capfd.readouterr().err)
    assert "kept" in said
