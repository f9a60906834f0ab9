"""Messages between proxy and app servers over the scenario's links: as late as links and faults make them, or lost with their connection.

The counterpart of ``sim/links.py``. What is a connection there, one for each try, is a try here: kept connections are an economy of the real one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core import draws
from ...core.http.heads import ResponseHead
from ...core.network import link_delay
from ...core.toxics import DOWNSTREAM, UPSTREAM
from .disturbed import NEVER
from .proxy import Proxy

if TYPE_CHECKING:
    from .exchange import Exchange


def delay(exchange: "Exchange", purpose: int) -> int:
    """A message's time between proxy and app server (ns), which the scenario and its faults add to the real one."""
    proxy, purpose = exchange.proxy, purpose + draws.TRY * exchange.tries
    link = proxy.fleet.upstream_link
    key = exchange.stream, exchange.index, exchange.attempt
    time = link_delay(link.latency, link.jitter, *key, purpose)
    if proxy.disturbed.on and exchange.server is not None:
        time += proxy.disturbed.extra(exchange.server.number, *key, purpose)
    return time


def send(exchange: "Exchange", then: Callable[[int], None]) -> None:
    """The request of a try leaves; *then* is called with the try's number when it has arrived at its server."""
    proxy = exchange.proxy
    if proxy.disturbed.on:
        watch(exchange)
        _carry(exchange, UPSTREAM, draws.UPSTREAM_LATENCY, max(exchange.head.length, 0), then, exchange.tries)
    else:
        proxy.delays.call_later(delay(exchange, draws.UPSTREAM_LATENCY), then, exchange.tries)


def answer(exchange: "Exchange", head: ResponseHead, then: Callable[..., None], *arguments: Any) -> None:
    """The answer of a try leaves its server; *then* is called when it has arrived. What the application itself did not answer has no content."""
    proxy = exchange.proxy
    if proxy.disturbed.on:
        without = bool(head.cause) or exchange.head.method == b"HEAD" or head.status in (204, 304)
        size = 0 if without else max(head.length, 0)
        _carry(exchange, DOWNSTREAM, draws.ANSWER_LATENCY, size, then, *arguments)
    else:
        proxy.delays.call_later(delay(exchange, draws.ANSWER_LATENCY), then, *arguments)


def _carry(
    exchange: "Exchange", way: int, purpose: int, size: int, then: Callable[..., None], *arguments: Any
) -> None:
    proxy = exchange.proxy
    extra, full = proxy.disturbed.carry(exchange, way, purpose, size)
    if extra == NEVER:
        return
    extra += delay(exchange, purpose)
    if full:
        proxy.delays.call_later(extra, _closed, exchange, exchange.tries)
    else:
        proxy.delays.call_later(extra, then, *arguments)


def watch(exchange: "Exchange") -> None:
    """The link may close the try's connection at some time."""
    wait = exchange.proxy.disturbed.closes_in(exchange)
    if wait != NEVER:
        exchange.proxy.delays.call_later(max(wait, 0), _due, exchange, exchange.tries)


def watch_all(proxy: Proxy, place: int) -> None:
    """The link to server *place* has changed: the tries that are under way there may be concerned."""
    for connection in proxy.open_connections():
        exchange = connection.under_way()
        if exchange is None or not exchange.trying or exchange.server is None:
            continue
        if exchange.server.number == place:
            watch(exchange)


def _due(exchange: "Exchange", tries: int) -> None:
    if exchange.trying and tries == exchange.tries:
        wait = exchange.proxy.disturbed.closes_in(exchange)
        if wait != NEVER and wait <= 0:
            _closed(exchange, tries)


def _closed(exchange: "Exchange", tries: int) -> None:
    if exchange.trying and tries == exchange.tries:
        exchange.reset_by_link()
