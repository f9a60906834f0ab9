"""The command ``dashboard``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from .backends.dashboard.dashboard_server import DashboardServer, serve
from .backends.dashboard.following import Following
from .backends.dashboard.news import News
from .backends.live.addresses import LOOPBACK
from .backends.live.hosts import is_loopback_name
from .core.errors import UsageError
from .dashboards import RunShow
from .terminal import err, out


def dashboard(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="the directory of a run: of a flight that flies, or of one that has ended"
        ),
    ],
    host: Annotated[
        str, typer.Option(help="where it listens; others than loopback let everybody there see the run")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="port; 0: a free one")] = 8090,
) -> None:
    """Show a run in a browser, while it flies and afterwards: the page of report.html, fed as things happen. Until Ctrl-C."""
    show = RunShow(directory)
    if not is_loopback_name(host):
        err.print(
            f"{host} is not loopback: whoever reaches this port sees the run, and a token for faults crosses the network unencrypted", markup=False
        )  # fmt: skip
    try:
        asyncio.run(_serve(show, directory, host, port))
    except KeyboardInterrupt:
        err.print("the dashboard has ended; the run has not", markup=False)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: expected an address to listen on: {error.strerror or error}"
        ) from None


async def _serve(show: RunShow, directory: Path, host: str, port: int) -> None:
    news = News()
    following = Following(directory, show, news)
    server = DashboardServer(following, show, news, host)
    await serve(server, following, port, lambda url: out.print(f"dashboard  {url}/", markup=False))


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel dashboard runs/monkey-1")(dashboard)
