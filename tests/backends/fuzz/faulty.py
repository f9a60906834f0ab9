"""A small server with a fault of choice: a function is shown each request's bytes and says what comes back, and how it ends."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from windtunnel.backends.load.targets import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESET, CLOSE, DIE = b"reset", b"close", b"die"
"""What a server does instead of answering."""

Behaviour = Callable[[bytes], bytes]


def read_message(peer: socket.socket, held: bytes) -> tuple[bytes, bytes]:
    """One request (head, and content by its length), and what follows it; empty at the end."""
    while b"\r\n\r\n" not in held:
        data = peer.recv(65536)
        if not data:
            return b"", b""
        held += data
    end = held.index(b"\r\n\r\n") + 4
    for line in held[:end].lower().split(b"\r\n"):
        if line.startswith(b"content-length:") and line[15:].strip().isdigit():
            end += int(line[15:])
    while len(held) < end:
        data = peer.recv(65536)
        if not data:
            return b"", b""
        held += data
    return held[:end], held[end:]


class Server:
    """Listens on a free port; *seen* are the requests."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.seen: list[bytes] = []
        self.port = 0
        self.start()

    @property
    def target(self) -> Target:
        return Target(socket.AF_INET, ("127.0.0.1", self.port), f"127.0.0.1:{self.port}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listening,), daemon=True).start()

    def stop(self) -> None:
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        held = b""
        with peer, suppress(OSError):
            while True:
                request, held = read_message(peer, held)
                if not request:
                    return
                self.seen.append(request)
                answer = self.behaviour(request)
                if answer == DIE:
                    self.stop()
                if answer in (RESET, DIE):
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer in (RESET, DIE, CLOSE):
                    return
                if request.startswith(b"HEAD"):
                    answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                peer.sendall(answer)


@contextmanager
def serving(behaviour: Behaviour = lambda request: OK) -> Iterator[Server]:
    server = Server(behaviour)
    try:
        yield server
    finally:
        server.stop()
