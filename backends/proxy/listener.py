"""The listening socket. Connections are accepted only when the books say so; until then they wait in the kernel's accept queue, as in the model."""

import asyncio
import contextlib
import errno
import socket
import struct
import sys

from ...core import admission
from .client import ClientConnection
from .proxy import Proxy
from .traced import TracedClient

BACKLOG = 128
"""The accept queue unless the scenario gives one."""
_BATCH = 32
"""Connections accepted before others have their turn. What they displace is closed in the loop's next turn."""
_RESET = struct.pack("ii", 1, 0)
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE = 0.1
_TCP_INFO_UNACKED = slice(24, 28)


class Listener:
    """Accepts connections for *proxy*; at the socket *inherited*, if there is one, which listens already."""

    def __init__(self, proxy: Proxy, host: str, port: int, inherited: socket.socket | None = None) -> None:
        self._proxy = proxy
        self._loop = proxy.loop
        self._open = True
        self._accepting = False
        self._client = ClientConnection if proxy.tracing is None else TracedClient
        if inherited is not None:
            self._socket = inherited
            self._socket.setblocking(False)
        else:
            self._socket = self._listen(proxy, host, port)
        proxy.has_room = self.resume
        self.resume()

    @staticmethod
    def _listen(proxy: Proxy, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        buffer = proxy.fleet.socket_buffer
        if buffer >= 0:
            # Accepted sockets inherit it; the kernel doubles what it is told.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(2048, buffer // 2))
        made.setblocking(False)
        try:
            made.bind((host, port))
            made.listen(proxy.spec.backlog if proxy.spec.backlog >= 0 else BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    @property
    def listening(self) -> socket.socket:
        """The listening socket itself, for whoever comes after us."""
        return self._socket

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def queued(self) -> int:
        """Connections in the accept queue; 0 where the kernel does not tell."""
        if not sys.platform.startswith("linux") or not self._open:
            return 0
        # For a listening socket the kernel puts its accept queue into tcpi_unacked (struct tcp_info, linux/tcp.h).
        facts = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int.from_bytes(facts[_TCP_INFO_UNACKED], sys.byteorder)

    def resume(self) -> None:
        """There may be room again."""
        if self._open and not self._accepting:
            self._accepting = True
            self._loop.add_reader(self._socket.fileno(), self._ready)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        """Accept nothing more."""
        if self._open:
            self._pause()
            self._open = False
            self._socket.close()

    def _ready(self) -> None:
        proxy = self._proxy
        for _ in range(_BATCH):
            verdict = proxy.verdict()
            if verdict == admission.WAIT:
                self._pause()
                return
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_DESCRIPTOR:
                    raise
                # The machine has fewer than the books say: make room as if they were full, and try again soon.
                proxy.evict()
                self._pause()
                self._loop.call_later(_PAUSE, self.resume)
                return
            self._place(accepted, address[0], verdict)
            if not self._accepting:
                return

    def _place(self, accepted: socket.socket, address: str, verdict: int) -> None:
        """Carry out *verdict*, and those that follow once there is more room."""
        proxy = self._proxy
        while verdict == admission.MAKE_ROOM:
            proxy.evict()
            verdict = proxy.verdict()
        if verdict == admission.ACCEPT:
            accepted.setblocking(False)
            connection = self._client(proxy, address)
            proxy.spawn(self._connect(accepted, connection))
            return
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        accepted.close()
        if verdict == admission.GO_DOWN:
            proxy.crash("memory")
            self._pause()

    async def _connect(self, accepted: socket.socket, connection: ClientConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except (OSError, asyncio.CancelledError):
            accepted.close()
            connection.abort()
