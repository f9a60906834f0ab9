"""The role "proxy" as a process: settings in, status and events out, the registry coming and going, its end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakeredis import TcpFakeServer
from pydantic import TypeAdapter
from windtunnel.backends.connection import registry_at
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.backends.proxy.refresh import Refresher
from windtunnel.core.admission import CRASH
from windtunnel.core.model import AppSpec, FleetSpec, Memory, ProxySpec
from windtunnel.core.ports import RegistryError, Servers

from .fleet import GET, App, Client, play, until

MS = 1_000_000


class Role:
    """The running process and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def status(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("status") == name]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines if "event" in line]

    def command(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    async def address(self) -> tuple[str, int]:
        await until(lambda: self.status("up") or self.process.poll() is not None)
        host, _, port = self.status("up")[0]["address"].removeprefix("http://").partition(":")
        return host, int(port)

    async def client(self) -> Client:
        host, port = await self.address()
        return Client(*await asyncio.open_connection(host, port))


@contextmanager
def role(redis_url: str, spec: ProxySpec | None = None, **more: Any) -> Iterator[Role]:
    """A proxy as the conductor starts one."""
    fleet = FleetSpec(
        "test", 1, 10**9, 0, AppSpec(), spec or ProxySpec(), refresh_interval=50 * MS, key_prefix="test:"
    )
    settings = ProxySettings(
        origin=LiveClock.begin().origin, fleet=fleet, redis_url=redis_url, admin_port=0, **more
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "windtunnel.backends.live.role", "proxy"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )  # fmt: skip
    made = Role(process)
    try:
        assert process.stdin is not None
        process.stdin.write(settings.model_dump_json() + "\n")
        process.stdin.flush()
        yield made
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        made._reader.join(20)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def redis_server(port: int = 0) -> Iterator[str]:
    """A server that speaks Redis."""
    server = TcpFakeServer(("127.0.0.1", port), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


def test_the_settings_survive_their_journey() -> None:
    fleet = FleetSpec("test", 1, 10**9, 0, AppSpec(), ProxySpec(memory=Memory(5, 1, 1)))
    text = TypeAdapter(FleetSpec).dump_json(fleet)
    assert TypeAdapter(FleetSpec).validate_json(text) == fleet


def test_the_role_from_beginning_to_end() -> None:
    async def story() -> None:
        app = App()
        await app.start()
        with redis_server() as url, role(url) as proxy:
            client = await proxy.client()
            registry = registry_at(url, "test:")
            end = time.monotonic() + 20

            async def told() -> bool:
                """Whether the registry has heard of requests without a server."""
                assert (await client.ask(GET)).cause == "no_server"
                load = registry.read_proxy_load()
                return load is not None and load.requests >= load.unserved >= 1

            while not await told():
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
            registry.register(app.address, "serving")

            async def served() -> bool:
                return (await client.ask(GET)).status == 200

            end = time.monotonic() + 20
            while not await served():
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
            await until(lambda: (told := registry.read_tallies()) and told.serving.answers == 1)
            registry.set_canary_share((1, 1))
            admin = proxy.status("up")[0]["admin"]
            read = asyncio.to_thread

            def fetch(path: str) -> Any:
                with urllib.request.urlopen(admin + path, timeout=20) as answer:
                    return json.loads(answer.read())

            servers = await read(fetch, "/servers")
            assert servers[app.address]["requests"] == 1
            assert servers[app.address]["available"] is True
            assert (await read(fetch, "/stats"))["connections"] == 1
            assert (await read(fetch, "/health")) == {"status": "ok"}
            proxy.command(command="sample")
            await until(lambda: proxy.status("second"))
            sample = proxy.status("second")[0]
            assert sample["requests"] >= 2
            assert sample["connections"] == 1
            assert sample["cpu_ns"] > 0
            assert sample["rss"] > 1 << 20
            os.kill(proxy.process.pid, signal.SIGTERM)
            assert await client.closed() == b""
            assert await asyncio.to_thread(proxy.process.wait, 20) == 0
            client.close()
        await app.kill()

    play(story())


def test_it_is_told_the_numbers_of_instances_whose_addresses_do_not_tell_them() -> None:
    """Those that it is started with, and those that are launched later."""

    async def story() -> None:
        first, later = "http://10.0.0.1", "http://10.0.0.2:8080"
        with redis_server() as url, role(url, numbers={first: 7}) as proxy:
            await proxy.address()
            for address in (first, later):
                registry_at(url, "test:").register(address, "serving")

            def numbers() -> dict[str, int]:
                with urllib.request.urlopen(
                    proxy.status("up")[0]["admin"] + "/servers", timeout=20
                ) as answer:
                    return {address: one["number"] for address, one in json.load(answer).items()}

            async def known(unlike: int) -> dict[str, int]:
                end = time.monotonic() + 20
                while len(found := await asyncio.to_thread(numbers)) < 2 or found[later] == unlike:
                    assert time.monotonic() < end
                    await asyncio.sleep(0.02)
                return found

            before = await known(0)
            assert before[first] == 7
            assert before[later] >= 1 << 20, "a number of the proxy's own"
            proxy.command(command="numbers", numbers={first: 7, later: 8})
            assert await known(before[later]) == {first: 7, later: 8}

    play(story())


def test_what_is_under_way_ends_before_the_role_does() -> None:
    async def story() -> None:
        from .fleet import GET, Request

        release = asyncio.Event()

        async def held(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        app = App(held)
        await app.start()
        with redis_server() as url:
            registry_at(url, "test:").register(app.address, "serving")
            with role(url) as proxy:
                client = await proxy.client()
                while not app.requests:
                    await client.send(GET)
                    await asyncio.sleep(0.2)
                    if not app.requests:
                        await client.reply()
                assert proxy.process.stdin is not None
                proxy.command(command="stop")
                await asyncio.sleep(0.2)
                release.set()
                reply = await client.reply()
                assert (reply.content, reply.fields["connection"]) == (b"ok", "close")
                assert await asyncio.to_thread(proxy.process.wait, 20) == 0
                client.close()
        await app.kill()

    play(story())


def test_a_registry_that_goes_away_and_returns() -> None:
    async def story() -> None:
        app = App()
        await app.start()
        with redis_server() as url:
            port = int(url.split(":")[2].split("/")[0])
            registry_at(url, "test:").register(app.address, "serving")
            process = role(url)
            proxy = process.__enter__()
        try:
            client = await proxy.client()
            await until(lambda: "registry_unreachable" in proxy.events())
            status = (await client.ask(GET)).status
            with redis_server(port) as url:
                registry_at(url, "test:").register(app.address, "serving")
                await until(lambda: "registry_reachable" in proxy.events())
                while status != 200:
                    status = (await client.ask(GET)).status
            await until(lambda: proxy.events().count("registry_unreachable") == 2)
            # The last table stays in force.
            assert (await client.ask(GET)).status == 200
            client.close()
        finally:
            process.__exit__(None, None, None)
        await app.kill()

    play(story())


def test_memory_exhausted_ends_the_process() -> None:
    async def story() -> None:
        spec = ProxySpec(memory=Memory(100, 0, 40), on_exhaustion=CRASH)
        with redis_server() as url, role(url, spec) as proxy:
            clients = [await proxy.client(), await proxy.client()]
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await (await proxy.client()).ask(GET)
            assert await asyncio.to_thread(proxy.process.wait, 20) == 70
            await until(lambda: proxy.events() == ["proxy_down"])
            (down,) = [line for line in proxy.lines if line.get("event") == "proxy_down"]
            assert (down["cause"], down["connections"]) == ("memory", 2)
            for client in clients:
                client.close()

    play(story())


def test_the_refresher_keeps_the_last_table_and_backs_off() -> None:
    class Registry:
        """Answers, fails ten times, and answers again."""

        def __init__(self) -> None:
            self.calls: list[float] = []

        def servers(self) -> Servers:
            self.calls.append(time.monotonic())
            if 2 <= len(self.calls) <= 7:
                raise RegistryError("away")
            return Servers((f"http://10.0.0.{len(self.calls)}",))

        def canary_share(self) -> tuple[int, int] | None:
            return (1, len(self.calls))

    registry = Registry()
    told: list[str] = []
    seen: list[tuple[Servers, tuple[int, int] | None]] = []
    refresher = Refresher(
        registry, MS, lambda call: call(), lambda *read: seen.append(read), told.append, lambda: told.append("back")  # type: ignore[arg-type]
    )  # fmt: skip
    refresher.start()
    end = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    refresher.stop()
    assert told == ["away", "back"]
    assert [servers.serving[0] for servers, _ in seen[:2]] == ["http://10.0.0.1", "http://10.0.0.8"]
    assert [share for _, share in seen[:2]] == [(1, 1), (1, 8)]
    waits = [late - early for early, late in zip(registry.calls[1:7], registry.calls[2:8], strict=True)]
    assert waits[4] > 0.7
