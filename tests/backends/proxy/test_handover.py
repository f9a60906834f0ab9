"""A proxy takes over from one that runs: under load, with kept connections, and when it cannot."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from windtunnel.backends.connection import registry_at

from .fleet import GET, App, Client, play, until
from .test_role import Role, redis_server, role


class Steady:
    """Requests at a steady pace, half of them over kept connections, half over a new one each."""

    def __init__(self, host: str, port: int) -> None:
        self.place = (host, port)
        self.good = 0
        self.bad: list[str] = []
        self._kept: Client | None = None
        self._going = True
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        turn = 0
        while self._going:
            turn += 1
            try:
                await (self._over_kept() if turn % 2 else self._over_new())
            except (OSError, asyncio.IncompleteReadError) as error:
                self.bad.append(repr(error))
            await asyncio.sleep(0.005)

    async def _over_new(self) -> None:
        client = Client(*await asyncio.open_connection(*self.place))
        self._count((await client.ask(GET)).status)
        client.close()

    async def _over_kept(self) -> None:
        if self._kept is None:
            self._kept = Client(*await asyncio.open_connection(*self.place))
        reply = await self._kept.ask(GET)
        self._count(reply.status)
        if reply.fields.get("connection") == "close":
            self._kept.close()
            self._kept = None

    def _count(self, status: int) -> None:
        if status == 200:
            self.good += 1
        else:
            self.bad.append(str(status))

    async def end(self) -> None:
        self._going = False
        await self._task
        if self._kept is not None:
            self._kept.close()


async def serves(proxy: Role, path: str) -> None:
    """Wait until it has read the registry, and could hand over."""
    await until(lambda: Path(path).exists())
    status = 0
    while status != 200:
        client = await proxy.client()
        status = (await client.ask(GET)).status
        client.close()


@dataclass(frozen=True)
class Running:
    """A proxy that serves one app server, and could hand over."""

    first: Role
    url: str
    path: str
    host: str
    port: int

    def next(self, url: str = "") -> AbstractContextManager[Role]:
        """One that is to take over."""
        return role(url or self.url, host=self.host, port=self.port, handover=self.path)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    app = App()
    await app.start()
    path = str(tmp_path / "proxy.sock")
    with redis_server() as url:
        registry_at(url, "test:").register(app.address, "serving")
        with role(url, handover=path) as first:
            host, port = await first.address()
            await serves(first, path)
            yield Running(first, url, path, host, port)
    await app.kill()


def test_no_request_is_lost_while_one_proxy_hands_over_to_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as now:
            load = Steady(now.host, now.port)
            await until(lambda: load.good > 20)
            with now.next() as second:
                assert await second.address() == (now.host, now.port)
                assert await asyncio.to_thread(now.first.process.wait, 40) == 0
                before = load.good
                await until(lambda: load.good > before + 20)
                # And again, from the one that has inherited to a third.
                with now.next() as third:
                    assert await third.address() == (now.host, now.port)
                    assert await asyncio.to_thread(second.process.wait, 40) == 0
                    before = load.good
                    await until(lambda: load.good > before + 20)
                    await load.end()
                    assert load.bad == []
                    third.process.send_signal(signal.SIGTERM)
                    assert await asyncio.to_thread(third.process.wait, 40) == 0
        assert not Path(now.path).exists()

    play(story())


def test_what_waits_in_the_accept_queue_is_not_forgotten(tmp_path: Path) -> None:
    """A proxy that is stopped accepts nothing; its queue is taken over with its socket."""

    async def story() -> None:
        async with running(tmp_path) as now:
            asked = [Client(*await asyncio.open_connection(now.host, now.port)) for _ in range(5)]
            with now.next() as second:
                await second.address()
                for client in asked:
                    assert (await client.ask(GET)).status == 200
                    client.close()

    play(story())


@pytest.mark.long
def test_one_that_cannot_read_the_registry_leaves_the_old_one_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as now:
            with socket.socket() as nobody:
                nobody.bind(("127.0.0.1", 0))
                away = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
                with now.next(away) as second:
                    assert await asyncio.to_thread(second.process.wait, 60) == 2
            client = await now.first.client()
            assert (await client.ask(GET)).status == 200
            client.close()
            assert now.first.process.poll() is None

    play(story())
