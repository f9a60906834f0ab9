"""The proxy's control API, on the loopback address, or that of its machine: figures and servers as JSON."""

from aiohttp import web

from ..live.addresses import LOOPBACK
from .proxy import Proxy


class Admin:
    """A running control API at *url*."""

    def __init__(self, runner: web.AppRunner, url: str) -> None:
        self.url = url
        self._runner = runner

    async def close(self) -> None:
        """Stop it."""
        await self._runner.cleanup()


async def start_admin(proxy: Proxy, port: int, host: str = LOOPBACK) -> Admin:
    """Serve the control API of *proxy* on *port* (0: a free one) of *host*."""

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": proxy.requests,
                "unserved": proxy.unserved,
                "in_flight": proxy.active,
                "retrying": proxy.retrying,
                "connections": proxy.connections,
                "descriptors": proxy.descriptors,
                "memory": proxy.memory(),
                "servers": proxy.servers.count,
            }
        )

    async def servers(request: web.Request) -> web.Response:
        return web.json_response(proxy.servers.describe())

    async def healthy(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_get("/stats", stats)
    app.router.add_get("/servers", servers)
    app.router.add_get("/health", healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    where, port = runner.addresses[0][:2]
    return Admin(runner, f"http://{where}:{port}")
