"""A conductor that is killed while something waits, or hangs in the middle of a turn, leaves neither a process nor a key behind."""

import signal
from pathlib import Path

import psutil
import pytest

from ...app.running import until
from ...redis_fixture import RedisServer
from ..test_flight import PATIENCE, started
from .test_lost_conductor import FLEET

HANGS = {
    "a server hangs while another fault is in force": """
faults:
  - {name: other, type: registry_slow, at: 1s, attributes: {latency: 50ms}}
  - {name: struck, type: pause, while: fault other, target: {count: 1}}
  - {name: later, type: kill, after: struck, delay: 1s}
""",
    "the autoscaler hangs when it has decided": """
faults: [{name: struck, type: autoscaler_pause, at: 1s, attributes: {caught: deciding}}]
""",
}


def status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)


@pytest.mark.long
@pytest.mark.parametrize("faults", HANGS.values(), ids=HANGS)
def test_nothing_is_left(tmp_path: Path, redis_server: RedisServer, faults: str) -> None:
    redis_server.client.set("theirs", "1")
    with started(tmp_path, "--redis-url", redis_server.url, text=FLEET + faults) as conductor:

        def hangs() -> bool:
            assert conductor.poll() is None, conductor.communicate()
            return psutil.STATUS_STOPPED in map(
                status, psutil.Process(conductor.pid).children(recursive=True)
            )

        until(hangs, "somebody hangs", PATIENCE)
        family = psutil.Process(conductor.pid).children(recursive=True)
        assert len(family) >= 5
        conductor.send_signal(signal.SIGKILL)
        conductor.wait(PATIENCE)
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    assert redis_server.client.keys("*") == ["theirs"]
