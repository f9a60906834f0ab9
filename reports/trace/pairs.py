"""Events that say that something begins, and those that say that it is over; and those that stand alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .spans import APP, AUTOSCALER, CHAOS, CLOUD, PROXY, REGISTRY, Service


@dataclass(frozen=True, slots=True)
class Pair:
    """Something with a length: the event that *opens* it, those that close it, the field *by* which they belong together, what it is called, whose it
    is, and what is wrong meanwhile (empty: nothing of itself).
    """

    opens: str
    closes: tuple[str, ...]
    by: str
    named: Callable[[Mapping[str, Any]], str]
    service: Service
    wrong: str = ""


def _of_server(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda event: f"server {event['server']} {words}"


def _fault(event: Mapping[str, Any]) -> str:
    targets = event.get("targets") or ()
    shown = [f"server {one}" if isinstance(one, int) else str(one) for one in targets]
    hit = f" ({', '.join(shown[:3])}{', ...' if len(shown) > 3 else ''})" if shown else ""
    return f"fault {event['name']}: {event['type']}{hit}"


PAIRS = (
    Pair("fault", ("fault_over",), "name", _fault, CHAOS, "injected"),
    Pair("proxy_down", ("proxy_up",), "", lambda event: f"proxy down ({event.get('cause')})", PROXY, "down"),
    Pair(
        "registry_unreachable",
        ("registry_reachable",),
        "",
        lambda _: "registry unreachable",
        REGISTRY,
        "unreachable",
    ),
    Pair(
        "breaker_opened",
        ("breaker_closed",),
        "server",
        lambda event: f"breaker open for server {event.get('server')}",
        PROXY,
    ),
    Pair("ejected", ("unejected",), "server", _of_server("ejected"), PROXY),
    Pair("unhealthy", ("healthy", "terminated"), "server", _of_server("unhealthy"), PROXY),
    Pair(
        "remedy_started",
        ("remedy_ended", "terminated"),
        "server",
        _of_server("runs its remedy"),
        Service(APP),
    ),
    Pair("restarting", ("restarted", "terminated"), "server", _of_server("restarts"), Service(APP)),
    Pair("alert", ("alert_over",), "name", lambda event: f"alert {event['name']}", AUTOSCALER),
)

POINTS: Mapping[str, tuple[Service, str]] = {
    "launch_refused": (CLOUD, "refused"),
    "terminate_refused": (CLOUD, "refused"),
    "list_refused": (CLOUD, "refused"),
    "orphan_found": (AUTOSCALER, ""),
}
"""Whose they are, and what is wrong."""
