"""The command ``dashboard``."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from .backends.connection import registry_at
from .backends.dashboard.dashboard_server import DashboardServer, Followed, serve
from .backends.dashboard.following import Following
from .backends.dashboard.news import News
from .backends.dashboard.registry_watch import RegistryWatch
from .backends.dashboard.showing import Show
from .backends.deploy.registry_url import registry_url
from .backends.live.addresses import LOOPBACK
from .backends.live.hosts import is_loopback_name
from .backends.local.options import REDIS_SCHEMES
from .backends.registry import RedisRegistry
from .core.errors import UsageError
from .dashboards import RegistryShow, RunShow
from .terminal import err, out


def dashboard(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="the directory of a run: of a flight that flies, or of one that has ended; or a fleet's registry, redis://HOST:PORT/DATABASE",
        ),
    ],
    host: Annotated[
        str, typer.Option(help="where it listens; others than loopback let everybody there see the run")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="port; 0: a free one")] = 8090,
    prefix: Annotated[str, typer.Option(help="of a registry: what its keys begin with")] = "",
) -> None:
    """Show a run in a browser, while it flies and afterwards: the page of report.html, fed as things happen. Until Ctrl-C."""
    of_registry = what.startswith(REDIS_SCHEMES)
    if prefix and not of_registry:
        raise UsageError("--prefix: expected a fleet's registry, redis://HOST:PORT/DATABASE")
    news = News()
    show = RegistryShow(_without_password(what)) if of_registry else RunShow(Path(what))
    followed: Followed = (
        RegistryWatch(_registry(what, prefix), show, news)
        if of_registry
        else Following(Path(what), show, news)
    )
    if not is_loopback_name(host):
        err.print(
            f"{host} is not loopback: whoever reaches this port sees the run, and a token for faults crosses the network unencrypted", markup=False
        )  # fmt: skip
    try:
        asyncio.run(_serve(followed, show, news, host, port))
    except KeyboardInterrupt:
        err.print("the dashboard has ended; what it shows has not", markup=False)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: expected an address to listen on: {error.strerror or error}"
        ) from None


async def _serve(followed: Followed, show: Show, news: News, host: str, port: int) -> None:
    server = DashboardServer(followed, show, news, host)
    await serve(server, followed, port, lambda url: out.print(f"dashboard  {url}/", markup=False))


def _registry(url: str, prefix: str) -> RedisRegistry:
    """Raises UsageError, RegistryError."""
    try:
        registry = registry_at(registry_url(url, os.environ), prefix)
    except ValueError as error:
        raise UsageError(f"expected a fleet's registry, redis://HOST:PORT/DATABASE: {error}") from None
    registry.servers()
    return registry


def _without_password(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[2]


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel dashboard runs/monkey-1")(dashboard)
