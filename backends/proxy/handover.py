"""How a proxy takes over from one that runs: it gets the listening socket itself, so that no connection is refused, reset or forgotten in a queue.

Theory of operation
-------------------
Two listening sockets on one port (SO_REUSEPORT) have a queue each, and what waits in the queue of one that is closed is reset (tcp(7), and
tcp_migrate_req in the kernel's ip-sysctl). One socket in two processes has one queue: the old process stops taking from it, and the new one has it.

    new                                old, which listens at the Unix socket of *path*
    connects                      ──>
                                  <──  GIVEN, with the listening socket (SCM_RIGHTS)
    has read the registry, accepts
    UP                            ──>
                                       accepts no more, closes its control API and the Unix socket
                                  <──  GONE
    opens both itself                  answers what is under way, each with Connection: close, and ends

A new one that dies before UP has changed nothing: the old one serves on.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ...core.errors import UsageError

GIVEN, UP, GONE = b"g", b"u", b"e"
ABSTRACT = "@"
"""A path that begins so is no file but a name of Linux's abstract namespace (unix(7)), which is gone with its socket."""
_SECONDS = 15.0
"""For each step of the other side, and for the first reading of the registry."""
_BACKLOG = 4


class Handover:
    """One proxy's part in both: it comes after the one that runs at *path*, if there is one, and goes when the next one comes."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.socket: socket.socket | None = None
        self.gone = False
        self._file = not path.startswith(ABSTRACT)
        self._path = path if self._file else "\0" + path.removeprefix(ABSTRACT)
        self._loop = loop
        self._line: socket.socket | None = None
        self._door: socket.socket | None = None

    # Coming.

    async def ask(self, loaded: asyncio.Event) -> bool:
        """Get the listening socket of the proxy that runs, and wait until our own table has been read; False if none runs. Raises UsageError."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.setblocking(False)
        try:
            async with asyncio.timeout(_SECONDS):
                await self._loop.sock_connect(line, self._path)
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            return False
        except (OSError, TimeoutError) as error:
            line.close()
            raise UsageError(
                f"{self._path}: expected the Unix socket of a proxy, got {error or 'no answer'}"
            ) from None
        self._line = line
        try:
            async with asyncio.timeout(_SECONDS):
                while True:
                    with suppress(BlockingIOError):
                        said, fds, _, _ = socket.recv_fds(line, 1, 1)
                        break
                    await asyncio.sleep(0.005)
                if said != GIVEN or len(fds) != 1:
                    raise UsageError(f"{self._path}: expected a listening socket, got none")
                self.socket = socket.socket(fileno=fds[0])
                await loaded.wait()
        except TimeoutError:
            line.close()
            raise UsageError(
                f"{self._path}: expected the running proxy's socket and an answer of the registry within {_SECONDS:.0f} s; the running proxy serves on"
            ) from None
        return True

    async def complete(self) -> None:
        """We accept: have the other one stop, and wait until it has."""
        line = self._line
        assert line is not None
        try:
            async with asyncio.timeout(_SECONDS):
                await self._loop.sock_sendall(line, UP)
                await self._loop.sock_recv(line, 1)
        except (OSError, TimeoutError):
            pass  # It died in the meantime: then it does not accept either.
        finally:
            line.close()
            self._line = None

    # Going.

    def offer(self, listener: socket.socket, leave: Callable[[], Awaitable[None]]) -> None:
        """From now on *listener* is to be had at the path; *leave* is awaited when the next one accepts. Raises OSError."""
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.setblocking(False)
        if self._file:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        before = os.umask(0o177)
        try:
            door.bind(self._path)
        finally:
            os.umask(before)
        door.listen(_BACKLOG)
        self._door = door
        self._loop.add_reader(door.fileno(), self._knock, listener, leave)

    def _knock(self, listener: socket.socket, leave: Callable[[], Awaitable[None]]) -> None:
        assert self._door is not None
        try:
            line, _ = self._door.accept()
        except OSError:
            return
        line.setblocking(False)
        self._giving = self._loop.create_task(self._give(line, listener, leave))

    async def _give(
        self, line: socket.socket, listener: socket.socket, leave: Callable[[], Awaitable[None]]
    ) -> None:
        with line:
            try:
                socket.send_fds(line, [GIVEN], [listener.fileno()])
                said = await self._loop.sock_recv(line, 1)
            except OSError:
                return
            if said != UP or self.gone:
                return
            self.gone = True
            self.close()
            await leave()
            with suppress(OSError):
                await self._loop.sock_sendall(line, GONE)

    def close(self) -> None:
        """Offer nothing more. The path goes with it unless the next one will have it."""
        if self._door is not None:
            self._loop.remove_reader(self._door.fileno())
            self._door.close()
            self._door = None
            if self._file:
                with suppress(OSError):
                    os.unlink(self._path)
