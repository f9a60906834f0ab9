"""What the dashboard's tests share: a flight that tells what it is told to tell, and a server of the dashboard over it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from windtunnel.backends.dashboard.dashboard_server import DashboardServer
from windtunnel.backends.dashboard.following import Following
from windtunnel.backends.dashboard.news import News
from windtunnel.backends.dashboard.showing import Document
from windtunnel.backends.live.telling import Told
from windtunnel.backends.live.whereabouts import Whereabouts, written
from windtunnel.backends.local.broadcast import Broadcast
from windtunnel.backends.local.live_api import LiveApi

SECOND = 1_000_000_000
PATIENCE = 20.0
PAGE = "<!DOCTYPE html><html><head><title>x</title></head><body><main></main><script>let a = 1;</script></body></html>"


class PlainShow:
    """Implements Show with as little as can be told apart."""

    def __init__(self) -> None:
        self.known = 0
        self.documents = 0

    def page(self, live: bool) -> str:
        """See Show."""
        return PAGE.replace("x", "live" if live else "ended")

    def document(self, live: bool, margin: int) -> Document:
        """See Show."""
        self.documents += 1
        return Document('"packed"', self.known)

    def frame(self, told: Told, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See Show."""
        return {
            "first": told.fields["t"] // SECOND - 1,
            "points": 1,
            "requests": len(told.requests),
            "marks": [],
        }

    def marks(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """See Show."""
        return [dict(event) for event in events]


class PlainFaults:
    """Faults by hand that strike nobody."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def start(self, wanted: object) -> dict[str, Any]:
        """See FaultsByHand."""
        self.asked.append(wanted)
        return {"name": "one", "targets": [1]}

    def stop(self, name: object) -> None:
        """See FaultsByHand."""
        self.asked.append(name)

    def in_force(self) -> list[dict[str, Any]]:
        """See FaultsByHand."""
        return []

    def types(self) -> dict[str, Any]:
        """See FaultsByHand."""
        return {"kill": {}}


@asynccontextmanager
async def flight(directory: Path, token: str = "") -> AsyncIterator[tuple[Broadcast, PlainFaults]]:
    """A flight that can be followed; it has no fleet."""
    broadcast, faults = Broadcast({"name": "x", "allowed": bool(token)}), PlainFaults()
    api = LiveApi(broadcast, faults, token)  # type: ignore[arg-type]
    await api.start()
    try:
        with written(directory, Whereabouts(api.url, token)):
            yield broadcast, faults
    finally:
        await api.end()


@asynccontextmanager
async def dashboard(
    directory: Path, show: Any, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[str, News, Following]]:
    """A dashboard of the run in *directory*: its URL, its news, whom it follows."""
    news = News()
    following = Following(directory, show, news)
    server = DashboardServer(following, show, news, host)
    await server.start(0)
    task = asyncio.create_task(following.run())
    try:
        yield server.url, news, following
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.end()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Any]]:
    """(id, kind, data) of server-sent events, as they come."""
    fields: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


async def wait_for(condition: Any) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def second(number: int) -> list[tuple[int, ...]]:
    """Metrics of a second: the proxy alone."""
    return [((number + 1) * SECOND, 0, 2, 0, 0, 0, 0, 0, 0, 0)]
