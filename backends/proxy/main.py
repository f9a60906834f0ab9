"""The role "proxy": runs the live proxy until it is told to stop."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psutil

from ...core.model import NONE
from ...core.ports import Registry
from ..connection import registry_at
from ..live.addresses import url
from ..live.role import RoleLink
from ..live.settings import ProxySettings
from .admin import start_admin
from .health_checks import check_forever
from .listener import Listener
from .load_report import LoadReport
from .proxy import SPARE_DESCRIPTORS, Proxy
from .refresh import Refresher

CRASHED = 70
"""Exit status after a crash that the scenario asks for (memory exhausted)."""
GRACE = 5.0
"""Seconds in which requests under way may end when the proxy is told to stop."""
_CLEANING = 1.0


def raise_descriptor_limit(wanted: int) -> int:
    """Let this process have *wanted* descriptors (-1: as many as it may); how many it has then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 20
    target = most if wanted < 0 else min(most, max(soft, wanted))
    if target > soft:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def run(settings: ProxySettings, link: RoleLink, registry: Registry | None = None) -> None:
    """Serve until ``link.stopping``. *registry*: the one at ``settings.redis_url`` unless given. Exits with CRASHED when the proxy crashes."""
    if registry is None:
        registry = registry_at(settings.redis_url, settings.fleet.key_prefix)
    # A new connection may find its descriptor before those of the connections that it displaced are closed, and idle upstream ones are not counted.
    most = settings.fleet.proxy.max_connections
    descriptors = raise_descriptor_limit(NONE if most < 0 else 2 * most + 2 * SPARE_DESCRIPTORS)
    crashed = _run_loop(_serve(settings, link, registry, descriptors))
    if crashed:
        raise SystemExit(CRASHED)


def _run_loop(work: Coroutine[Any, Any, bool]) -> bool:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _serve(settings: ProxySettings, link: RoleLink, registry: Registry, descriptors: int) -> bool:
    """Whether the proxy has crashed."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    proxy = Proxy(
        settings.fleet, loop, link.clock, link.emit, lambda text: link.log("warning", text),
        settings.instance_port, descriptors, settings.own_addresses,
    )  # fmt: skip
    crashes: list[bool] = []

    def _went_down() -> None:
        crashes.append(True)
        ended.set()

    proxy.went_down = _went_down
    proxy.servers.know(settings.numbers)
    link.at_stop(lambda: _hand(loop, ended.set))
    refresher = Refresher(
        registry, settings.fleet.refresh_interval, loop.call_soon_threadsafe, proxy.refresh,
        lambda error: link.emit("registry_unreachable", {"error": error}),
        lambda: link.emit("registry_reachable"),
    )  # fmt: skip
    admin = await start_admin(proxy, settings.admin_port) if settings.admin_port >= 0 else None
    refresher.start()
    if proxy.spec.health is not None:
        proxy.spawn(check_forever(proxy))
    proxy.spawn(_clean(proxy))
    # From here on there is no await before it is up: what a connection brings about comes after that.
    listener = Listener(proxy, settings.host, settings.port)
    link.subscribe(lambda command: _obey(command, proxy, listener, link))
    gc.freeze()
    report = LoadReport(proxy, listener, registry, link)
    report.start()
    host, port = listener.address
    link.status("up", {"address": url(host, port), "admin": admin.url if admin else ""})
    await ended.wait()
    refresher.stop()
    report.stop()
    listener.close()
    if crashes:
        return True
    await _drain(proxy)
    if admin is not None:
        await admin.close()
    return False


def _obey(command: Mapping[str, Any], proxy: Proxy, listener: Listener, link: RoleLink) -> None:
    """Commands come in a thread of their own."""
    if command.get("command") == "numbers":
        _hand(proxy.loop, lambda: proxy.servers.know(command["numbers"]))
    if command.get("command") != "sample":
        return

    def answer() -> None:
        rss = psutil.Process().memory_info().rss
        link.status("second", {**proxy.sample(), "queued": listener.queued(), "rss": rss})

    _hand(proxy.loop, answer)


def _hand(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """From another thread; a loop that has ended hears nothing."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


async def _clean(proxy: Proxy) -> None:
    """Close upstream connections that nobody has used for long."""
    while True:
        await asyncio.sleep(_CLEANING)
        now = proxy.clock.now()
        for server in proxy.servers.by_number.values():
            server.drop_old(now)


async def _drain(proxy: Proxy) -> None:
    """Let what is under way end; close what is idle."""
    proxy.stopping = True
    deadline = proxy.loop.time() + GRACE
    while proxy.open_connections() and proxy.loop.time() < deadline:
        for connection in proxy.open_connections():
            if connection.is_idle():
                connection.close_idle()
        await asyncio.sleep(0.02)
    proxy.close()
    await asyncio.sleep(0)
