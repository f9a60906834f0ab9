"""What the tests of live roles share: fleets, roles as processes, requests by hand."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from windtunnel.backends.live.addresses import split
from windtunnel.backends.live.settings import AppSettings, DependencySettings, Settings
from windtunnel.core.model import FleetSpec

from ...support import plan
from ..redis_fixture import free_port

NOBODY = "redis://127.0.0.1:1"
DEADLINE = 30.0
SECOND = 1_000_000_000

Line = dict[str, Any]


def fleet_of(endpoint: dict[str, Any] | None = None, seed: int = 1, **app: Any) -> FleetSpec:
    """A fleet with one endpoint, `/`, and one source, `users`."""
    return plan(document(endpoint, **app), seed).fleet


def document(endpoint: dict[str, Any] | None = None, **app: Any) -> dict[str, Any]:
    """The scenario of :func:`fleet_of`."""
    return {
        "duration": "10s",
        "fleet": {"app": app},
        "endpoints": [{"path": "/", **(endpoint or {})}],
        "traffic": [{"name": "users", "stages": [{"for": "10s", "rate": "50/s"}]}],
    }


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait for *condition* to be true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)
    return value


class Role:
    """A live role as a process, as a conductor starts it."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.settings = settings
        self.lines: list[Line] = []
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windtunnel.backends.live.role", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_log)]
        for reader in self._readers:
            reader.start()
        self._write(settings.model_dump_json())

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def send(self, command: str, **fields: Any) -> None:
        """Send a command."""
        self._write(json.dumps({"command": command, **fields}))

    def now(self) -> int:
        """The live clock (ns)."""
        return time.monotonic_ns() - self.settings.origin

    def said(self, status: str) -> list[Line]:
        """All lines of one status."""
        return [line for line in self.lines if line.get("status") == status]

    def wait(self, status: str, count: int = 1) -> Line:
        """Wait for the *count*-th line of a status."""

        def there() -> bool:
            assert self.process.poll() is None or len(self.said(status)) >= count, "".join(self.log)
            return len(self.said(status)) >= count

        until(there, f"{status}: {self.lines} {self.log}")
        return self.said(status)[count - 1]

    def tree(self) -> list[psutil.Process]:
        """Its processes."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def end(self) -> int:
        """Tell it to stop; its exit code. Once it has ended it is only asked again."""
        assert self.process.stdin is not None
        try:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            code = self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.join()
        return code

    def join(self) -> None:
        """Wait for the last of its output."""
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@contextmanager
def running(name: str, settings: Settings) -> Iterator[Role]:
    """A role, and its end."""
    role = Role(name, settings)
    try:
        yield role
    finally:
        role.end()


def app_settings(fleet: FleetSpec, redis_url: str = NOBODY, **more: Any) -> AppSettings:
    """Settings of app server 7 on a free port of its own loopback address."""
    fields: dict[str, Any] = {
        "origin": time.monotonic_ns(), "fleet": fleet, "redis_url": redis_url, "number": 7, "role": "serving",
        "host": "127.0.0.1", "port": free_port(), **more,
    }  # fmt: skip
    return AppSettings(**fields)


def dependency_settings(fleet: FleetSpec) -> DependencySettings:
    """Settings of the dependencies."""
    return DependencySettings(origin=time.monotonic_ns(), fleet=fleet, redis_url=NOBODY)


class Answer:
    """An HTTP answer: status, headers, body, and how long it took (s)."""

    def __init__(
        self, address: str, path: str, method: str, body: bytes | None, headers: dict[str, str]
    ) -> None:
        begin = time.monotonic()
        connection = http.client.HTTPConnection(*split(address), timeout=DEADLINE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            self.body = response.read()
        finally:
            connection.close()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.seconds = time.monotonic() - begin


def ask(
    address: str,
    path: str = "/",
    method: str = "GET",
    body: bytes | None = None,
    planned: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; *planned* is the header of a planned one."""
    named = {"windtunnel-request": planned} if planned else {}
    return Answer(address, path, method, body, {**named, **(headers or {})})


def ask_together(address: str, count: int, gap: float = 0.01) -> list[Answer]:
    """Requests 0 to *count* of source 0, begun *gap* seconds apart; the answers in that order."""
    answers: list[Answer | None] = [None] * count

    def one(index: int) -> None:
        answers[index] = ask(address, planned=f"0-{index}-1")

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(gap)
    for thread in threads:
        thread.join()
    assert all(answers)
    return [answer for answer in answers if answer]
