"""How metrics are told: as text in the format that the scraper asks for, by an HTTP server of a thread, or bit by bit from an event loop."""

import asyncio
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from ..live.addresses import url

PATH = "/metrics"
_END = b"# EOF\n"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As a plain TCP server does: HTTP's would ask the DNS for a name of the address, and wait for the answer."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no news."""


class MetricsServer:
    """Serves *registry* at *host* and *port* (0: a free one) from threads of its own. Raises OSError if the address is taken."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._server = make_server(host, port, make_wsgi_app(registry), _Server, _Handler)
        self.url = url(host, self._server.server_port) + PATH
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and close the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _One:
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        """It."""
        yield self._family


def encoder(accept: str) -> tuple[Callable[[Metric], bytes], bytes, str]:
    """For a request with this Accept header: what makes text of a family, what the whole ends with, and its content type."""
    encode, content_type = choose_encoder(accept)
    end = _END if content_type.startswith("application/openmetrics-text") else b""

    def text(family: Metric) -> bytes:
        return encode(_One(family)).removesuffix(end) if end else encode(_One(family))

    return text, end, content_type


async def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The text of *registry* as it is now, and its content type. Between the texts of families the loop has its turn, so that no request waits for the whole of it."""
    text, end, content_type = encoder(accept)
    parts = []
    for family in list(registry.collect()):
        parts.append(text(family))
        await asyncio.sleep(0)
    return b"".join((*parts, end)), content_type
