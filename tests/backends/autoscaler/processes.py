"""Real processes for tests of the role: a redis-server, the autoscaler, and servers that speak through a thread."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import AutoscalerSettings
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.alerts import AlertSpec
from windtunnel.core.model import SECOND, AppSpec, AutoscalerSpec, FleetSpec, ProxySpec
from windtunnel.core.policies import Threshold
from windtunnel.core.ports import RegistryError, Sample
from windtunnel.tests.backends.autoscaler.control import ControlApi
from windtunnel.tests.backends.redis_fixture import RedisServer

PATIENCE = 30.0
INTERVAL = SECOND // 5
SPEC = AutoscalerSpec(
    Threshold(requests_high=100, requests_low=30), interval=INTERVAL, minimum=1, maximum=3,
    cooldown=2 * INTERVAL, drain_grace=INTERVAL, max_sample_age=3 * SECOND,
)  # fmt: skip


def eventually(condition: Callable[[], Any], what: str) -> None:
    """Wait for *condition*."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"expected within {PATIENCE:.0f} s: {what}"
        time.sleep(0.02)


class Autoscaler:
    """The role, as the conductor starts it. *events*, *ticks*, *halts*, *logs*: what it has said so far."""

    def __init__(self, settings: AutoscalerSettings) -> None:
        self.events: list[dict[str, Any]] = []
        self.ticks: list[dict[str, Any]] = []
        self.halts: list[dict[str, Any]] = []
        self.up = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "windtunnel.backends.live.role", "autoscaler"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(settings.model_dump_json() + "\n")
        self._process.stdin.flush()
        self.logs: list[str] = []
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_log)]
        for reader in self._readers:
            reader.start()
        if not self.up.wait(PATIENCE):
            self.kill()
            raise AssertionError(f"expected the autoscaler to be up: {self.logs}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            if "event" in line:
                self.events.append(line)
            elif line["status"] == "up":
                self.up.set()
            elif line["status"] == "tick":
                self.ticks.append(line)
            elif line["status"] == "halted":
                self.halts.append(line)

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        self.logs.extend(self._process.stderr)

    def named(self, name: str) -> list[dict[str, Any]]:
        """Its events called so."""
        return [event for event in self.events if event["event"] == name]

    def tell(self, **command: Any) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._finish()

    def end(self) -> int:
        """Its input ends, and so does it: the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            assert self._process.stdin is not None
            self._process.stdin.close()
        status = self._finish()
        return status

    def _finish(self) -> int:
        status = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        return status


class Flight:
    """A registry, a control API, and servers that boot in a moment, register, and write samples ten times a second."""

    def __init__(self, initial: int = 1) -> None:
        self.load = 50
        self.boot = 0.3
        self.alerts: tuple[AlertSpec, ...] = ()
        self.clock = LiveClock.begin()
        self.redis = RedisServer()
        self.api = ControlApi()
        self.initial = initial
        self.autoscalers: list[Autoscaler] = []
        self._stop = threading.Event()
        self._born: dict[str, float] = {}
        self._registered: set[str] = set()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self) -> "Flight":
        self.redis.start()
        for number in range(1, self.initial + 1):
            self.api.launch(number, "serving", f"first-{number}")
            self._born[f"local-{number}"] = 0.0
        self.api.launches.clear()
        self._thread.start()
        eventually(lambda: len(self._registered) == self.initial, "the first servers register")
        return self

    def __exit__(self, *error: object) -> None:
        for autoscaler in self.autoscalers:
            autoscaler.end()
        self._stop.set()
        self._thread.join()
        self.api.close()
        self.redis.__exit__()

    def autoscaler(self, spec: AutoscalerSpec = SPEC, **more: Any) -> Autoscaler:
        """Start one."""
        fleet = FleetSpec("test", 1, 0, 0, AppSpec(), ProxySpec(), autoscaler=spec, alerts=self.alerts)
        settings = AutoscalerSettings(
            origin=self.clock.origin, fleet=fleet, redis_url=self.redis.url,
            **{"start": self.clock.now(), "cloud_url": self.api.url, **more},
        )  # fmt: skip
        started = Autoscaler(settings)
        self.autoscalers.append(started)
        return started

    @property
    def registry(self) -> RedisRegistry:
        """The registry, through a client of our own."""
        return RedisRegistry(redis.Redis(port=self.redis.port, decode_responses=True))

    def numbers(self) -> list[int]:
        """The instances that are not gone."""
        with self.api.lock:
            return sorted(one["number"] for one in self.api.instances.values())

    def serving(self) -> list[int]:
        """The instances that the registry lists."""
        return sorted(int(a.split(":")[1].rsplit(".", 1)[1]) for a in self.registry.servers().serving)

    def register_again(self) -> None:
        """Every server registers anew, as after the registry was lost."""
        self._registered.clear()

    def _speak(self) -> None:
        client = redis.Redis(
            port=self.redis.port, decode_responses=True, socket_timeout=1, socket_connect_timeout=1
        )
        registry = RedisRegistry(client)
        while not self._stop.wait(0.1):
            with self.api.lock:
                present = sorted(self.api.instances.values(), key=lambda one: one["number"])
            now = time.monotonic()
            # While Redis is away, servers go on.
            with suppress(RegistryError):
                self._write(registry, present, now)
        client.close()

    def _write(self, registry: RedisRegistry, present: list[dict[str, Any]], now: float) -> None:
        up = [one for one in present if now - self._born.setdefault(one["provider_id"], now) >= self.boot]
        for one in up:
            if one["provider_id"] not in self._registered:
                registry.register(one["address"], one["role"])
                self._registered.add(one["provider_id"])
        registry.write_samples(
            [Sample(one["address"], self.clock.now(), self.load, 0.1, 0.1, 0, "1", "serving") for one in up]
        )
