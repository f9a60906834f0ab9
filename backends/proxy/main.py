"""The role "proxy": runs the live proxy until it is told to stop."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psutil

from ...core.errors import UsageError
from ...core.model import NONE
from ...core.ports import Registry
from ...core.ports import Servers as Listed
from ..connection import registry_at
from ..live.addresses import url
from ..live.role import RoleLink
from ..live.settings import ProxySettings
from ..live.watched import watched_registry
from ..reach import Reach
from .admin import Admin, start_admin
from .handover import Handover
from .health_checks import check_forever
from .listener import Listener
from .load_report import LoadReport
from .over_link import watch_all
from .proxy import SPARE_DESCRIPTORS, Proxy
from .refresh import Refresher

CRASHED = 70
"""Exit status after a crash that the scenario asks for (memory exhausted)."""
GRACE = 5.0
"""Seconds in which requests under way may end when the proxy is told to stop."""
HANDOVER_GRACE = 30.0
"""The same when another proxy has taken over."""
HANDOVER_IDLE = 3.0
"""Seconds in which a kept connection may have another request then, which is answered with Connection: close; a client that sends while we close would lose it."""
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
    reach = Reach("proxy")
    if registry is None:
        registry = registry_at(settings.redis_url, settings.fleet.key_prefix, reach)
    registry = watched_registry(registry, settings.redis_url, link.tracing)
    # A new connection may find its descriptor before those of the connections that it displaced are closed, and idle upstream ones are not counted.
    most = settings.fleet.proxy.max_connections
    descriptors = raise_descriptor_limit(NONE if most < 0 else 2 * most + 2 * SPARE_DESCRIPTORS)
    crashed = _run_loop(_serve(settings, link, registry, reach, descriptors))
    if crashed:
        raise SystemExit(CRASHED)


def _run_loop(work: Coroutine[Any, Any, bool]) -> bool:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _serve(
    settings: ProxySettings, link: RoleLink, registry: Registry, reach: Reach, descriptors: int
) -> bool:  # fmt: skip
    """Whether the proxy has crashed."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    proxy = Proxy(
        settings.fleet, loop, link.clock, link.emit, lambda text: link.log("warning", text),
        settings.instance_port, descriptors, settings.own_addresses, settings.instance_network,
    )  # fmt: skip
    proxy.tracing = link.tracing
    crashes: list[bool] = []
    loaded = asyncio.Event()

    def _update(listed: Listed, share: tuple[int, int] | None) -> None:
        proxy.refresh(listed, share)
        loaded.set()

    def _went_down() -> None:
        crashes.append(True)
        ended.set()

    proxy.went_down = _went_down
    proxy.servers.know(settings.numbers)
    link.at_stop(lambda: _hand(loop, ended.set))
    refresher = Refresher(
        registry, settings.fleet.refresh_interval, loop.call_soon_threadsafe, _update,
        lambda error: link.emit("registry_unreachable", {"error": error}),
        lambda: link.emit("registry_reachable"),
    )  # fmt: skip
    link.at_stop(reach.end)
    orders = _Orders(proxy, reach, link)
    link.subscribe(orders.obey)
    refresher.start()
    if proxy.spec.health is not None:
        proxy.spawn(check_forever(proxy))
    proxy.spawn(_clean(proxy))
    place = _Place(proxy, settings)
    listener = orders.listener = await place.take(loaded)
    gc.freeze()
    report = LoadReport(proxy, listener, registry, link)
    report.start()
    place.offer(listener, ended.set)
    host, port = listener.address
    link.status("up", {"address": url(host, port), "admin": place.admin.url if place.admin else ""})
    await ended.wait()
    refresher.stop()
    report.stop()
    listener.close()
    if crashes:
        return True
    await _drain(proxy, place.handed_over)
    await place.leave()
    return False


class _Place:
    """Where a proxy is reached: its listening socket, which it may have from the proxy before it, and its control API."""

    def __init__(self, proxy: Proxy, settings: ProxySettings) -> None:
        self.admin: Admin | None = None
        self._proxy = proxy
        self._settings = settings
        self._handover = Handover(settings.handover, proxy.loop) if settings.handover else None

    @property
    def handed_over(self) -> bool:
        """Whether another proxy has taken over."""
        return self._handover is not None and self._handover.gone

    async def take(self, loaded: asyncio.Event) -> Listener:
        """Begin to accept; *loaded*: the registry was read. Raises UsageError, OSError."""
        settings, handover = self._settings, self._handover
        if handover is None or not await handover.ask(loaded):
            await self._open_admin()
            # From here on there is no await before it is up: what a connection brings about comes after that.
            return Listener(self._proxy, settings.host, settings.port)
        assert handover.socket is not None
        host, port = handover.socket.getsockname()[:2]
        if host != settings.host or settings.port not in (0, port):
            raise UsageError(
                f"--handover: expected a proxy that listens at {settings.host} port {settings.port}, the one that runs does at {host} port {port}"
            )
        listener = Listener(self._proxy, host, port, handover.socket)
        await handover.complete()
        await self._open_admin()
        return listener

    async def _open_admin(self) -> None:
        if self._settings.admin_port >= 0:
            self.admin = await start_admin(self._proxy, self._settings.admin_port, self._settings.admin_host)

    def offer(self, listener: Listener, ended: Callable[[], None]) -> None:
        """Let the next one have it; then *ended* is called."""
        if self._handover is None:
            return

        async def go() -> None:
            listener.close()
            await self._close_admin()
            ended()

        self._handover.offer(listener.listening, go)

    async def leave(self) -> None:
        """Close what is still open."""
        await self._close_admin()
        if self._handover is not None:
            self._handover.close()

    async def _close_admin(self) -> None:
        admin, self.admin = self.admin, None
        if admin is not None:
            await admin.close()


class _Orders:
    """Commands, which come in a thread of their own. What the proxy must know before its first look at the registry comes before it listens."""

    def __init__(self, proxy: Proxy, reach: Reach, link: RoleLink) -> None:
        self.listener: Listener | None = None
        self._proxy = proxy
        self._reach = reach
        self._link = link

    def obey(self, command: Mapping[str, Any]) -> None:
        """``sample``, ``numbers``, and what faults do: ``registry``, ``cut`` (backends.reach), ``link`` (place, wrong, start: backends.proxy.disturbed), ``slow`` (factor),
        ``descriptors`` (limit, -1: its own)."""
        if not self._reach.obey(command):
            _hand(self._proxy.loop, lambda: self._carry_out(command))

    def _carry_out(self, command: Mapping[str, Any]) -> None:
        proxy, listener = self._proxy, self.listener
        match command:
            case {"command": "numbers", "numbers": numbers}:
                proxy.servers.know(numbers)
            case {"command": "link", "place": place, "wrong": wrong, "start": start}:
                proxy.disturbed.link(place, wrong, start)
                proxy.links_changed()
                watch_all(proxy, place)
            case {"command": "slow", "factor": factor}:
                proxy.disturbed.slow(factor)
            case {"command": "descriptors", "limit": int(limit)}:
                proxy.limit_descriptors(limit)
            case {"command": "sample"} if listener is not None:
                rss = psutil.Process().memory_info().rss
                self._link.status("second", {**proxy.sample(), "queued": listener.queued(), "rss": rss})


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


async def _drain(proxy: Proxy, handed_over: bool) -> None:
    """Let what is under way end; close what is idle."""
    proxy.stopping = True
    begun = proxy.loop.time()
    deadline = begun + (HANDOVER_GRACE if handed_over else GRACE)
    patience = begun + (HANDOVER_IDLE if handed_over else 0.0)
    while proxy.open_connections() and proxy.loop.time() < deadline:
        for connection in proxy.open_connections():
            if connection.is_idle() and proxy.loop.time() >= patience:
                connection.close_idle()
        await asyncio.sleep(0.02)
    proxy.close()
    await asyncio.sleep(0)
