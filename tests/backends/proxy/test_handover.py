"""A proxy takes over from one that runs: under load, with kept connections, and when it cannot."""

import asyncio
import signal
import socket
from pathlib import Path

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


def test_no_request_is_lost_while_one_proxy_hands_over_to_the_next(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        await app.start()
        path = str(tmp_path / "proxy.sock")
        with redis_server() as url:
            registry_at(url, "test:").register(app.address, "serving")
            with role(url, handover=path) as first:
                host, port = await first.address()
                await serves(first, path)
                load = Steady(host, port)
                await until(lambda: load.good > 20)
                with role(url, host=host, port=port, handover=path) as second:
                    assert await second.address() == (host, port)
                    assert await asyncio.to_thread(first.process.wait, 40) == 0
                    before = load.good
                    await until(lambda: load.good > before + 20)
                    # And again, from the one that has inherited to a third.
                    with role(url, host=host, port=port, handover=path) as third:
                        assert await third.address() == (host, port)
                        assert await asyncio.to_thread(second.process.wait, 40) == 0
                        before = load.good
                        await until(lambda: load.good > before + 20)
                        await load.end()
                        assert load.bad == []
                        third.process.send_signal(signal.SIGTERM)
                        assert await asyncio.to_thread(third.process.wait, 40) == 0
        assert not Path(path).exists()
        await app.kill()

    play(story())


def test_what_waits_in_the_accept_queue_is_not_forgotten(tmp_path: Path) -> None:
    """A proxy that is stopped accepts nothing; its queue is taken over with its socket."""

    async def story() -> None:
        app = App()
        await app.start()
        path = str(tmp_path / "proxy.sock")
        with redis_server() as url:
            registry_at(url, "test:").register(app.address, "serving")
            with role(url, handover=path) as first:
                host, port = await first.address()
                await serves(first, path)
                asked = [Client(*await asyncio.open_connection(host, port)) for _ in range(5)]
                with role(url, host=host, port=port, handover=path) as second:
                    await second.address()
                    for client in asked:
                        assert (await client.ask(GET)).status == 200
                        client.close()
        await app.kill()

    play(story())


def test_one_that_cannot_read_the_registry_leaves_the_old_one_alone(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        await app.start()
        path = str(tmp_path / "proxy.sock")
        with redis_server() as url:
            registry_at(url, "test:").register(app.address, "serving")
            with role(url, handover=path) as first:
                host, port = await first.address()
                await serves(first, path)
                with socket.socket() as nobody:
                    nobody.bind(("127.0.0.1", 0))
                    away = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
                    with role(away, host=host, port=port, handover=path) as second:
                        assert await asyncio.to_thread(second.process.wait, 60) == 2
                client = await first.client()
                assert (await client.ask(GET)).status == 200
                client.close()
                assert first.process.poll() is None
        await app.kill()

    play(story())
