"""Registry and cloud as a role that records traces calls them: each call is a client's span."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ...core.trace.schema import Said, cloud_call, registry_call
from .tracing import Tracing

_REDIS_PORT = 6379


class Watched:
    """*target*, whose methods say by *said* (method, error's type) what they do."""

    def __init__(self, target: Any, tracing: Tracing, said: Callable[[str, str], Said]) -> None:
        self._target = target
        self._tracing = tracing
        self._said = said

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            return self._tracing.timed(
                lambda error: self._said(name, error), lambda: found(*arguments, **named)
            )

        return call


def watched_registry(registry: Any, url: str, tracing: Tracing | None) -> Any:
    """*registry*, which is at *url*; itself if nothing is recorded."""
    if tracing is None:
        return registry
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _REDIS_PORT
    return Watched(registry, tracing, lambda name, error: registry_call(name, host, port, error))


def watched_cloud(cloud: Any, tracing: Tracing | None) -> Any:
    """*cloud*, likewise."""
    return cloud if tracing is None else Watched(cloud, tracing, cloud_call)
