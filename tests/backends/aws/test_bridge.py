"""Scaling out on "EC2" adds a server that answers: a moto server whose instances are processes of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from windtunnel.backends.aws.bridge import Bridge, Program
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.live.addresses import Addresses, split
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.autoscaler import Autoscaler, Drain, Launch, Terminate
from windtunnel.core.model import SECOND
from windtunnel.core.ports import CloudInstance, Sample
from windtunnel.tests.backends.aws.conftest import SettingsOf
from windtunnel.tests.backends.test_contracts import redis_executable
from windtunnel.tests.support import plan

INSTANCE = Path(__file__).with_name("instance.py")
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="each instance has a loopback address of its own"
)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[redis.Redis]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        redis_executable(),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        client = redis.Redis(port=port, decode_responses=True)
        try:
            until(lambda: answers(client))
            yield client
        finally:
            client.close()
            server.terminate()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def free_port() -> int:
    """A port that is free on the addresses of the first instances."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.1.0.1", 0))
        port: int = one.getsockname()[1]
        two.bind(("127.1.0.2", port))
        return port


def program_on(redis_port: int) -> Callable[[CloudInstance], Program]:
    def program(instance: CloudInstance) -> Program:
        host, port = split(instance.address)
        command = (sys.executable, str(INSTANCE), host, str(port), instance.address, str(redis_port))
        return Program(command, f"I am {instance.number}\n")

    return program


def get(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


AUTOSCALED = {
    "duration": "60s",
    "fleet": {"app": {"initial": 0, "min": 1, "max": 2}},
    "endpoints": [{"path": "/", "cpu": {"constant": "5ms"}}],
    "traffic": [{"name": "users", "stages": [{"for": "60s", "rate": "1/s"}]}],
    "autoscaler": {
        "policy": "threshold", "interval": "1s", "requests_high": "100/s", "requests_low": "10/s", "cooldown": "0s",
    },
}  # fmt: skip


def test_scaling_out_on_ec2_adds_a_server_that_answers(settings: SettingsOf, store: redis.Redis) -> None:
    """The autoscaler's engine on the real adapters: EC2 over HTTP, a real Redis, servers that answer."""
    redis_port = store.connection_pool.connection_kwargs["port"]
    given = settings(bridged=True, port=free_port(), max_instances=2)
    cloud = cloud_of(given, time.monotonic_ns)
    registry = RedisRegistry(store)
    spec = plan(AUTOSCALED).fleet.autoscaler
    assert spec is not None
    engine = Autoscaler(spec)
    bridge = Bridge(cloud_of(given, time.monotonic_ns), program_on(redis_port), interval=0.05)
    second = [0]

    def tick(load: int) -> None:
        """A tick of the autoscaler, all servers having *load* requests/s."""
        second[0] += 1
        now = second[0] * SECOND
        engine.adopt(now, cloud.list())
        servers = registry.servers()
        registry.write_samples([Sample(address, now, load, 0.1) for address in servers.serving])
        for action in engine.tick(now, servers, registry.read_samples(servers.serving)).actions:
            match action:
                case Launch():
                    number = registry.next_number()
                    engine.launched(now, cloud.launch(number, "serving", f"token-{number}"))
                case Drain(number, address):
                    registry.deregister(address)
                    engine.drained(now, number)
                case Terminate(number, provider_id, address, _):
                    cloud.terminate(provider_id)
                    registry.forget(address)
                    engine.terminated(number)
        time.sleep(0.02)

    def ticks_until(count: int, load: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(registry.servers().serving) != count or len(cloud.list()) != count:
            assert time.monotonic() < deadline
            tick(load)

    bridge.start()
    try:
        ticks_until(1, 50)
        assert [get(address) for address in registry.servers().serving] == ["I am 1"]
        ticks_until(2, 150)
        assert sorted(get(address) for address in registry.servers().serving) == ["I am 1", "I am 2"]
        ticks_until(1, 1)
        (left,) = registry.servers().serving
        (gone,) = {Addresses(given.port).address(number) for number in (1, 2)} - {left}
        until(lambda: get(gone) == "")
        assert get(left).startswith("I am ")
        assert len(bridge.processes()) == 1
    finally:
        bridge.stop()
    until(lambda: get(left) == "")
    assert bridge.processes() == {}


def test_a_server_that_crashes_leaves_its_instance_and_is_not_begun_anew(
    settings: SettingsOf, store: redis.Redis
) -> None:
    given = settings(bridged=True, port=free_port())
    cloud = cloud_of(given, time.monotonic_ns)
    redis_port = store.connection_pool.connection_kwargs["port"]
    bridge = Bridge(cloud, program_on(redis_port), interval=0.02)
    bridge.start()
    try:
        made = cloud.launch(1, "serving", "token")
        until(lambda: get(made.address) == "I am 1")
        os.kill(bridge.processes()[made.provider_id], signal.SIGKILL)
        until(lambda: not bridge.processes())
        time.sleep(0.2)
        assert [one.provider_id for one in cloud.list()] == [made.provider_id]
        assert bridge.processes() == {}
        assert get(made.address) == ""
    finally:
        bridge.stop()


BRIDGED = """
import sys, time
from windtunnel.backends.aws.bridge import Bridge
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.aws.settings import AwsSettings
from windtunnel.tests.backends.aws.test_bridge import program_on
cloud = cloud_of(AwsSettings.model_validate_json(sys.argv[1]), time.monotonic_ns)
Bridge(cloud, program_on(int(sys.argv[2])), interval=0.02).start()
time.sleep(600)
"""


def test_processes_end_with_their_bridge_however_that_went(settings: SettingsOf, store: redis.Redis) -> None:
    given = settings(bridged=True, port=free_port())
    redis_port = store.connection_pool.connection_kwargs["port"]
    cloud = cloud_of(given, time.monotonic_ns)
    made = [cloud.launch(number, "serving", f"token-{number}") for number in (1, 2)]
    command = [sys.executable, "-c", BRIDGED, given.model_dump_json(), str(redis_port)]
    with subprocess.Popen(command) as parent:
        try:
            until(lambda: all(get(one.address) for one in made))
            children = psutil.Process(parent.pid).children()
            assert len(children) == 2
        finally:
            parent.kill()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
    assert [get(one.address) for one in made] == ["", ""]
