"""A small server that does as it is told and remembers what it saw, and a generator in this process."""

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.headers import PlannedRequest, read_request
from windtunnel.backends.live.role import RoleLink
from windtunnel.backends.live.settings import LoadSettings
from windtunnel.backends.load.frames import FrameReader
from windtunnel.backends.load.main import run
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW, Rows
from windtunnel.core.outcomes import NAMES
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.plan import Plan
from windtunnel.scenarios.scenario import Scenario

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
END = "end"
"""Close the connection in order, without an answer."""
RESET = "reset"
"""Reset it."""
SILENCE = "silence"
"""Never answer."""


@dataclass
class Seen:
    """A request as the server saw it; *time* on CLOCK_MONOTONIC (ns), *nth* on its connection from 1."""

    connection: int
    nth: int
    method: str
    path: str
    headers: dict[str, str]
    body: int
    time: int

    @property
    def planned(self) -> PlannedRequest:
        """Which row of the plan it is."""
        found = read_request(self.headers["windtunnel-request"])
        assert found is not None
        return found


Answer = bytes | str | tuple[float, bytes | str]
"""What to do about a request: bytes, one of the words above, or either after so many seconds."""


@dataclass
class Server:
    """What a server saw: requests in order, and how many connections are and were open."""

    answer: Callable[[Seen], Answer]
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    accepted: int = 0
    most_open: int = 0
    transports: dict[int, asyncio.Transport] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def stall(self, seconds: float) -> None:
        """Do nothing at all for so long."""
        self.loop.call_soon_threadsafe(time.sleep, seconds)


class _Protocol(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.held = b""
        self.nth = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.accepted += 1
        self.number = self.server.accepted
        self.server.transports[self.number] = transport
        self.server.most_open = max(self.server.most_open, len(self.server.transports))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.transports.pop(self.number, None)

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.held[:end].decode().split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            assert len(headers) == len(lines), "a header came twice"
            body = int(headers.get("content-length", 0))
            if len(self.held) < end + 4 + body:
                return
            self.held = self.held[end + 4 + body :]
            self.nth += 1
            request = Seen(self.number, self.nth, method, path, headers, body, time.monotonic_ns())
            self.server.seen.append(request)
            answer = self.server.answer(request)
            if isinstance(answer, tuple):
                self.server.loop.call_later(answer[0], self.act, answer[1])
            else:
                self.act(answer)

    def act(self, answer: bytes | str) -> None:
        if self.transport.is_closing():
            return
        if isinstance(answer, bytes):
            self.transport.write(answer)
        elif answer == END:
            self.transport.close()
        elif answer == RESET:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


@contextmanager
def serving(answer: Callable[[Seen], Answer] = lambda seen: OK) -> Iterator[Server]:
    """A server on loopback that does what *answer* says of each request."""
    server = Server(answer)
    listening = server.loop.run_until_complete(
        server.loop.create_server(lambda: _Protocol(server), "127.0.0.1", 0, backlog=1024)
    )
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=server.loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.loop.stop)
        thread.join()
        listening.close()
        for transport in list(server.transports.values()):
            transport.abort()
        server.loop.run_until_complete(asyncio.sleep(0.01))
        server.loop.close()


class Link(RoleLink):
    """A link without a conductor: it starts the load when the role is up, and keeps what the role says."""

    def __init__(
        self, ahead: int = 50_000_000, at_start: Callable[["Link"], None] = lambda link: None
    ) -> None:
        super().__init__("load", LiveClock.begin())
        self.said: list[dict[str, Any]] = []
        self.start = 0
        self.ahead = ahead
        self.at_start = at_start

    def _write(self, line: Any) -> None:
        self.said.append(dict(line))
        if line.get("status") == "up":
            self.start = self.clock.now() + self.ahead
            self.receive({"command": "start", "start": self.start})
            self.at_start(self)

    def status_line(self, name: str) -> dict[str, Any]:
        """The last status line called so."""
        return [line for line in self.said if line.get("status") == name][-1]


@dataclass
class Load:
    """What one generator left."""

    requests: Rows
    attempts: Rows
    link: Link
    plan: Plan

    def outcomes(self) -> list[str]:
        """Of the requests, in order of their numbers."""
        return [NAMES[number] for number in np.sort(self.requests, order="request")["outcome"]]

    @property
    def zero(self) -> int:
        """The scenario's zero on CLOCK_MONOTONIC."""
        return self.link.clock.origin + self.link.start


def document(*traffic: dict[str, Any], length: str = "1s", **more: Any) -> dict[str, Any]:
    """A scenario with these sources."""
    base = {
        "scenario": "test", "seed": 7, "duration": length,
        "endpoints": [{"path": "/", "cpu": {"constant": "1ms"}}], "traffic": list(traffic),
    }  # fmt: skip
    return {**base, **more}


def steady(rate: str = "50/s", name: str = "users", length: str = "1s", **more: Any) -> dict[str, Any]:
    """An open source."""
    return {"name": name, "stages": [{"for": length, "rate": rate}], "arrivals": "constant", **more}


def load(
    folder: Path, described: dict[str, Any], port: int, link: Link | None = None, part: int = 0, parts: int = 1,
    host: str = "127.0.0.1", allowed: tuple[str, ...] = (),
) -> Load:  # fmt: skip
    """Run the generator here until it is done."""
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(described, sort_keys=False))
    plan = compile_plan(Scenario.load(path))
    link = link or Link()
    reads, writes = os.pipe()
    frames: list[tuple[Rows, Rows]] = []
    reader = FrameReader()

    def collect() -> None:
        while data := os.read(reads, 1 << 16):
            frames.extend(reader.feed(data))

    thread = threading.Thread(target=collect)
    thread.start()
    settings = LoadSettings(
        origin=link.clock.origin, fleet=plan.fleet, redis_url="", scenario=path, host=host, port=port,
        rows=writes, part=part, parts=parts, allowed=allowed,
    )  # fmt: skip
    try:
        run(settings, link)
    finally:
        os.close(writes)
        thread.join()
        os.close(reads)
    assert not reader.pending
    requests = np.concatenate([np.zeros(0, REQUEST_ROW), *(frame[0] for frame in frames)])
    attempts = np.concatenate([np.zeros(0, ATTEMPT_ROW), *(frame[1] for frame in frames)])
    return Load(requests, attempts, link, plan)
