"""A conductor that is killed in the middle of a fault leaves neither a process nor a key behind."""

import json
import signal
from pathlib import Path

import psutil
import pytest
from windtunnel.backends.local.faults.flying import OWN_REGISTRY
from windtunnel.backends.local.faults.schedule import FAMILIES
from windtunnel.core.faults import FAULTS

from ...app.running import until
from ...redis_fixture import RedisServer
from ..test_flight import PATIENCE, started

FLEET = """
scenario: lost
seed: 3
duration: 120s
fleet:
  app: {initial: 2, max: 3, workers: 4, cores: 2, queue: 64, boot_time: {constant: 1s}}
  dependencies: [{name: db, service: {constant: 5ms}, concurrency: 50, cache: {hit_share: 80%, ttl: 10m, keys: 50}}]
endpoints: [{path: /, cpu: {constant: 2ms}, calls: [db]}]
traffic: [{name: users, stages: [{for: 120s, rate: 20/s}], client: {timeout: 3s, connections: {pool: 20}}}]
autoscaler: {policy: {target_tracking: {metric: requests, target: 100/s}}, cooldown: 1s}
"""

SETTINGS = {
    "factor": "5",
    "size": "1MiB",
    "bytes": "1KiB",
    "duration": "50ms",
    "rate": "30/m",
    "share": "50%",
    "count": "64",
    "offset": "2s",
}
"""Of whatever has no default, by unit."""
TYPES = sorted(set().union(*(family.types for family in FAMILIES.values())))


def fault(name: str, role: str = "") -> str:
    kind = FAULTS[name]
    role = role or kind.roles[0]
    needed = {
        key: SETTINGS[attribute.unit] for key, attribute in kind.attributes if attribute.default is None
    }
    settings = ", ".join(f"{key}: {value}" for key, value in needed.items())
    return f"faults: [{{name: struck, type: {name}, at: 1s, target: {{role: {role}}}, attributes: {{{settings}}}}}]\n"


def events(folder: Path) -> list[str]:
    file = folder / "run" / "events.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["event"] for line in lines if line.endswith("}")]


STRUCK = [(name, FAULTS[name].roles[0]) for name in TYPES] + [("disk_full", "app"), ("slow", "proxy")]
"""Each type, and what is another thing by its role."""


@pytest.mark.parametrize(
    ("name", "role"),
    [
        pytest.param(*one, marks=() if one[0] == "pause" else pytest.mark.long, id="-".join(one))
        for one in STRUCK
    ],
)
def test_nothing_is_left_of_a_fault(tmp_path: Path, redis_server: RedisServer, name: str, role: str) -> None:
    redis_server.client.set("theirs", "1")
    text = FLEET + fault(name, role)
    given = () if name in OWN_REGISTRY and role == "registry" else ("--redis-url", redis_server.url)
    with started(tmp_path, *given, text=text) as conductor:

        def struck() -> bool:
            assert conductor.poll() is None, conductor.communicate()
            return "fault" in events(tmp_path)

        until(struck, "the fault", PATIENCE)
        family = psutil.Process(conductor.pid).children(recursive=True)
        assert len(family) >= 5
        if name == "pause":
            assert psutil.STATUS_STOPPED in {process.status() for process in family}
        conductor.send_signal(signal.SIGKILL)
        conductor.wait(PATIENCE)
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    assert redis_server.client.keys("*") == ["theirs"]
