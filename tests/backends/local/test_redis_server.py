"""The registry of a flight: a real redis-server that leaves nothing behind, however the flight ends."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis
from windtunnel.backends.connection import redis_client
from windtunnel.backends.local.redis_server import RedisServer, check_empty, find_server
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.errors import BackendFailure
from windtunnel.core.ports import RegistryError


def test_starts_answers_and_ends() -> None:
    async def run() -> None:
        server = RedisServer()
        await server.start()
        client = redis_client(server.url)
        client.set("a", "1")
        assert client.get("a") == "1"
        await server.end()
        with pytest.raises(RegistryError):
            check_empty(server.url, "")

    asyncio.run(run())


def test_is_restarted_with_its_data_and_nobody_finds_it_half_empty() -> None:
    async def run() -> None:
        server = RedisServer()
        await server.start()
        client = redis_client(server.url)
        client.lpush("list", "a", "b")
        client.set("lease", "owner", px=60_000)
        client.set("short", "gone", px=100)
        client.hset("hash", mapping={"field": "1"})
        found: list[object] = []
        restarting = asyncio.create_task(server.restart(0.3))
        while not restarting.done():
            with suppress(redis.RedisError):
                found.append(await asyncio.to_thread(client.lrange, "list", 0, -1))
            await asyncio.sleep(0.005)
        await restarting
        assert [*found, client.lrange("list", 0, -1)] == [["b", "a"]] * (len(found) + 1)
        assert 0 < client.pttl("lease") <= 59_700
        assert client.get("short") is None
        assert client.hgetall("hash") == {"field": "1"}
        await server.end()

    asyncio.run(run())


def test_without_one_on_path_the_installed_package_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert shutil.which("redis-server") is None
    found = find_server()
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10)
    assert "Redis server" in answer.stdout


def test_a_registry_that_holds_a_fleet_is_refused() -> None:
    async def run() -> None:
        server = RedisServer()
        await server.start()
        try:
            client = redis_client(server.url)
            check_empty(server.url, "")
            RedisRegistry(client, "").register("http://10.0.0.1", "serving")
            with pytest.raises(BackendFailure, match=r"1 servers, such as http://10\.0\.0\.1"):
                check_empty(server.url, "")
            check_empty(server.url, "other:")
        finally:
            await server.end()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux kills the children of the dead")
def test_dies_with_its_conductor() -> None:
    code = (
        "import asyncio\n"
        "from windtunnel.backends.local.redis_server import RedisServer\n"
        "async def run():\n"
        "    server = RedisServer()\n"
        "    await server.start()\n"
        "    print(server._process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    conductor = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path("/")
    )
    assert conductor.stdout is not None
    server = psutil.Process(int(conductor.stdout.readline()))
    os.kill(conductor.pid, signal.SIGKILL)
    conductor.wait()
    conductor.stdout.close()
    _, alive = psutil.wait_procs([server], timeout=10)
    assert not alive
